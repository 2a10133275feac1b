"""The mail catcher: a real SMTP server and an SMS gateway that deliver to a page and a list instead of to people."""

from __future__ import annotations

import argparse
import asyncio
import html
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Literal

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from services.local.ports import HOST

LARGEST_MAIL = 20 * 1024 * 1024
"""Bytes."""
PAGE = Path(__file__).with_name("pages") / "mail.html"
LINK = re.compile(r"https?://[^\s<>\"']+")
AFTER_A_LINK = ".,;:!?)]}"
"""What ends a sentence rather than a link."""


class Attachment(BaseModel):
    """A file that came with a mail; `content` is base64."""

    filename: str
    content_type: str
    content: str


class Message(BaseModel):
    """A mail as one recipient got it, or an SMS (without subject and headers)."""

    to: str
    subject: str = ""
    text: str = ""
    html: str = ""
    headers: dict[str, str] = {}
    links: list[str] = []
    attachments: list[Attachment] = []
    kind: Literal["mail", "sms"] = "mail"
    received_at: datetime


class Control(BaseModel):
    """How to treat what is sent: take it, refuse the recipient for good, or be out of order; so many times or on."""

    mode: Literal["ok", "refuse", "down"]
    times: int | None = None


class Sms(BaseModel):
    """A text message to a phone number."""

    to: str
    text: str


class MailBox:
    """Everything that was sent, the oldest first; kept in a file, if one is given."""

    def __init__(self, journal: Path | None = None) -> None:
        """Start from what the journal holds, one message a line."""
        self.control = Control(mode="ok")
        self._journal = journal
        self._messages = [Message.model_validate_json(line) for line in _whole_lines(journal)]

    def mode(self) -> str:
        """How to treat this delivery; a control with a number of times is used up by it."""
        if self.control.times == 0:
            return "ok"
        if self.control.times is not None and self.control.mode != "ok":
            self.control.times -= 1
        return self.control.mode

    def deliver(self, message: Message) -> None:
        """Take a message."""
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(message.model_dump_json() + "\n")
        self._messages.append(message)

    def newest_first(self, to: str | None = None) -> list[Message]:
        """The messages to this address or phone number, or all."""
        wanted = to.strip().casefold() if to is not None else None
        return [each for each in reversed(self._messages) if wanted is None or each.to.casefold() == wanted]


def _whole_lines(journal: Path | None) -> list[str]:
    """The lines of the journal; one that a crash cut off was never accepted and is cut away."""
    if journal is None or not journal.exists():
        return []
    whole, newline, cut_off = journal.read_text(encoding="utf-8").rpartition("\n")
    if cut_off:
        journal.write_text(whole + newline, encoding="utf-8")
    return whole.split("\n") if whole else []


class Receiver:
    """What the SMTP server asks at each step of a delivery; one per connection."""

    def __init__(self, box: MailBox) -> None:
        self._box = box
        self._mode = "ok"

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Be out of order, if told to; what is refused is refused at the recipient."""
        self._mode = self._box.mode()
        if self._mode == "down":
            return "421 4.3.2 out of order"
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse the recipient, if told to."""
        if self._mode == "refuse":
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Take the mail, once for each recipient."""
        content = envelope.content or b""
        mail = message_from_bytes(content if isinstance(content, bytes) else content.encode(), policy=policy.default)
        for recipient in envelope.rcpt_tos:
            self._box.deliver(_as_message(mail, recipient))
        return "250 2.0.0 OK"


def _as_message(mail: EmailMessage, recipient: str) -> Message:
    text, html_text = _body(mail, "plain"), _body(mail, "html")
    return Message(
        to=recipient,
        subject=mail.get("Subject", ""),
        text=text,
        html=html_text,
        headers={name: str(value) for name, value in mail.items()},
        links=links_in(text, html_text),
        attachments=list(_attachments(mail)),
        received_at=datetime.now(UTC),
    )


def _body(mail: EmailMessage, kind: Literal["plain", "html"]) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def _attachments(mail: EmailMessage) -> Iterator[Attachment]:
    for part in mail.iter_attachments():
        content = part.get_payload(decode=True)
        yield Attachment(
            filename=part.get_filename() or "",
            content_type=part.get_content_type(),
            content=b64encode(content if isinstance(content, bytes) else b"").decode(),
        )


def links_in(text: str, html_text: str) -> list[str]:
    """The whole URLs of a message in the order in which they stand there, each once."""
    found = [link.rstrip(AFTER_A_LINK) for link in LINK.findall(text)]
    found += [html.unescape(link).rstrip(AFTER_A_LINK) for link in LINK.findall(html_text)]
    return list(dict.fromkeys(found))


def page(messages: list[Message]) -> str:
    """The messages for people to read."""
    shown = "\n".join(map(_article, messages)) or '<p class="none">Nothing was sent yet.</p>'
    return Template(PAGE.read_text(encoding="utf-8")).substitute(count=len(messages), messages=shown)


def _article(message: Message) -> str:
    at = f"{message.received_at:%d %B %Y, %H:%M:%S} UTC"
    text = _linked(message.text) if message.text else "<em>no text part</em>"
    rich = f'<iframe sandbox title="HTML part" srcdoc="{html.escape(message.html)}"></iframe>' if message.html else ""
    return "\n".join([
        "<article>",
        f"<h2>{html.escape(message.subject or message.text.partition(chr(10))[0])}</h2>",
        f'<p class="meta"><span class="kind">{message.kind}</span>to {html.escape(message.to)} · {at}</p>',
        f"<pre>{text}</pre>",
        f"<details><summary>HTML part</summary>{rich}</details>" if rich else "",
        *(f'<p class="meta">attached: {html.escape(each.filename)}</p>' for each in message.attachments),
        "</article>",
    ])  # fmt: skip


def _linked(text: str) -> str:
    """Text as HTML, its links to be clicked."""
    parts, end = [], 0
    for match in LINK.finditer(text):
        link = match[0].rstrip(AFTER_A_LINK)
        parts += [html.escape(text[end : match.start()]), f'<a href="{html.escape(link)}">{html.escape(link)}</a>']
        end = match.start() + len(link)
    return "".join(parts) + html.escape(text[end:])


def make_app(box: MailBox, smtp_port: int, host: str = HOST) -> FastAPI:
    """The catcher's page and doors; its SMTP server runs beside them."""

    @asynccontextmanager
    async def smtp_server(_: FastAPI) -> AsyncIterator[None]:
        def new_connection() -> SMTP:
            return SMTP(Receiver(box), hostname="localhost", enable_SMTPUTF8=True, data_size_limit=LARGEST_MAIL)

        server = await asyncio.get_running_loop().create_server(new_connection, host, smtp_port)
        yield
        server.close()

    app = FastAPI(title="AsQuoted mail catcher", lifespan=smtp_server)

    @app.get("/")
    async def read() -> HTMLResponse:
        return HTMLResponse(page(box.newest_first()))

    @app.get("/messages")
    async def messages(to: str | None = None) -> list[Message]:
        return box.newest_first(to)

    @app.post("/sms", status_code=HTTPStatus.ACCEPTED)
    async def send_sms(sms: Sms) -> None:
        mode = box.mode()
        if mode == "down":
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "out of order")
        if mode == "refuse":
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "no such number")
        links = links_in(sms.text, "")
        box.deliver(Message(to=sms.to, text=sms.text, links=links, kind="sms", received_at=datetime.now(UTC)))

    @app.post("/control")
    async def control(wanted: Control) -> Control:
        box.control = wanted
        return wanted

    @app.get("/livez")
    async def livez() -> Response:
        return Response("ok", media_type="text/plain")

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="services.local.mail", description=__doc__)
    parser.add_argument("--host", default=HOST, help="where to listen; without it on 127.0.0.1 only")
    parser.add_argument("--port", type=int, required=True, help="where to serve the page")
    parser.add_argument("--smtp-port", type=int, required=True, help="where to take mail")
    parser.add_argument("--folder", type=Path, help="where to keep messages over restarts")
    options = parser.parse_args()
    journal = options.folder / "mail.jsonl" if options.folder else None
    app = make_app(MailBox(journal), options.smtp_port, options.host)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
