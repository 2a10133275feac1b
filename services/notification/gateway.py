"""The calls to the outside: a mail to the mail server, a text to the SMS gateway, a message to a partner's webhook."""

from __future__ import annotations

import re
import socket
from collections import Counter
from email.message import EmailMessage
from email.utils import formatdate
from typing import ClassVar

import aiohttp
import aiosmtplib
from pydantic import BaseModel

from contracts.customer_v1 import Language
from services.chassis import outside
from services.chassis.ids import sha256
from services.chassis.job import Job, TryAgainError
from services.notification import rules
from services.notification.rules import Letter, Sms
from services.notification.settings import settings

PERMANENT = 500
"""SMTP answers from here on mean: do not try again (RFC 5321, 4.2.1)."""

REFUSED = 400
LATER = frozenset({408, 425, 429})
"""HTTP answers of the SMS gateway: from 400 on it does not take it, and these mean later, like all from 500 on."""

MOST_AT_ONCE = 8
"""Calls of one webhook under way in this process: a server that is slow keeps no letter from being sent."""

_under_way: Counter[str] = Counter()

_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}\b")


class Sent(BaseModel):
    """The mail server took it; `sha256` is that of the plain text."""

    sha256: str
    language: Language


class Refused(BaseModel):
    """It cannot be delivered; the reason holds codes only, for a mail server's words name the address."""

    reason: str
    language: Language


async def send(message: Letter | Sms, job_id: str) -> Sent | Refused:
    """Hand a message over. Raises TryAgainError where whoever takes it is away or refuses for now."""
    return await (_mail(message, job_id) if isinstance(message, Letter) else _text(message, job_id))


async def _text(sms: Sms, job_id: str) -> Sent | Refused:
    body, headers = {"to": sms.to, "text": sms.text}, {"Idempotency-Key": job_id}
    timeout = aiohttp.ClientTimeout(settings.sms_timeout)
    try:
        async with outside.session().post(settings.sms_url, json=body, headers=headers, timeout=timeout) as answer:
            status = answer.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        message = f"the SMS gateway is away: {type(error).__name__}"
        raise TryAgainError(message) from error
    reason = f"the SMS gateway answers {status}"
    if status in LATER or status >= PERMANENT:
        raise TryAgainError(reason)
    if status >= REFUSED:
        return Refused(reason=reason, language=sms.language)
    return Sent(sha256=sha256(sms.text), language=sms.language)


async def _mail(letter: Letter, job_id: str) -> Sent | Refused:
    try:
        await aiosmtplib.send(
            message_of(letter, job_id),
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username or None,
            password=settings.smtp_password or None,
            timeout=settings.smtp_timeout,
        )
    except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
        return _refused(error, letter.language)
    except ValueError as error:
        return Refused(reason=f"no mail can be made of it: {type(error).__name__}", language=letter.language)
    except (aiosmtplib.SMTPException, OSError) as error:
        message = f"the mail server is away: {type(error).__name__}"
        raise TryAgainError(message) from error
    return Sent(sha256=sha256(letter.text), language=letter.language)


def message_of(letter: Letter, job_id: str) -> EmailMessage:
    """Make the mail; a repeat of the same job has the same Message-ID. Raises ValueError for an impossible address."""
    message = EmailMessage()
    message["Message-ID"] = f"<{job_id}@asquoted>"
    message["Date"] = formatdate(usegmt=True)
    message["From"] = settings.mail_sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    message["Content-Language"] = letter.language  # last: making an alternative moves such headers into the text's part
    return message


def _refused(
    error: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError,
    language: Language,
) -> Refused:
    """Say why, for good. Raises TryAgainError where the mail server will take it later."""
    first = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
    enhanced = _ENHANCED.match(first.message)
    reason = f"the mail server answers {first.code}" + (f" {enhanced[0]}" if enhanced else "")
    if first.code < PERMANENT:
        raise TryAgainError(reason) from error
    return Refused(reason=reason, language=language)


class CallWebhook(Job):
    """Send a message to a webhook for the `tried`-th time since it was made or replayed."""

    name: ClassVar[str] = "notification.webhook"
    delivery_id: str
    tried: int = 1


class Signed(BaseModel):
    """A webhook's message, ready to be posted."""

    webhook_id: str
    url: str
    headers: dict[str, str]
    body: str


class Answered(BaseModel):
    """The partner's server answered, whatever that was."""

    status: int


class Unanswered(BaseModel):
    """There was no answer; the reason names no address but the partner's own."""

    reason: str


class PrivateAddressError(OSError):
    """A webhook leads into a network that is not the Internet: nobody makes us call what only we can reach."""


async def call_webhook(signed: Signed, job_id: str) -> Answered | Unanswered:
    """Post a message. Raises TryAgainError where as many calls of this webhook are under way as one may have.

    Its idempotency key is `webhook-id`, which is the same in every attempt, and not this job's id.
    """
    del job_id
    if _under_way[signed.webhook_id] >= MOST_AT_ONCE:
        message = "the partner's server takes its time"
        raise TryAgainError(message)
    _under_way[signed.webhook_id] += 1
    try:
        return await _posted(signed)
    finally:
        _under_way[signed.webhook_id] -= 1


async def _posted(signed: Signed) -> Answered | Unanswered:
    connector = aiohttp.TCPConnector(socket_factory=_public_socket, force_close=True)
    patience = aiohttp.ClientTimeout(total=settings.webhook_timeout)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=patience, trust_env=False) as session,
            session.post(
                signed.url, data=signed.body.encode(), headers=signed.headers, allow_redirects=False
            ) as answer,
        ):
            return Answered(status=answer.status)
    except TimeoutError:
        return Unanswered(reason=f"no answer in {settings.webhook_timeout:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Unanswered(reason=(str(error) or type(error).__name__)[:200])


def _public_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket for one address that a name was resolved to, which is judged here and connected to next.

    So no second look at the name can lead elsewhere (DNS rebinding). Raises PrivateAddressError.
    """
    family, kind, protocol, _, place = address
    if not (settings.webhook_private_addresses or rules.is_public(place[0])):
        message = "this is no address on the Internet"
        raise PrivateAddressError(message)
    return socket.socket(family, kind, protocol)
