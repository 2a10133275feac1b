"""The calls to the outside: one mail, handed to the mail server, or one text, handed to the SMS gateway."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.utils import formatdate

import aiohttp
import aiosmtplib
from pydantic import BaseModel

from contracts.customer_v1 import Language
from services.chassis import outside
from services.chassis.ids import sha256
from services.chassis.job import TryAgainError
from services.notification.rules import Letter, Sms
from services.notification.settings import settings

PERMANENT = 500
"""SMTP answers from here on mean: do not try again (RFC 5321, 4.2.1)."""

REFUSED = 400
LATER = frozenset({408, 425, 429})
"""HTTP answers of the SMS gateway: from 400 on it does not take it, and these mean later, like all from 500 on."""

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
