"""The mail catcher: what was sent is there to be read, from SMTP to the page."""

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from services.local.ports import free_port
from tests.local.conftest import Serve

TEXT = "Bonjour Valérie,\n\nvotre réponse : https://example.org/confirm/abc?x=1&y=2.\n"
HTML = '<p>Bonjour <b>Valérie</b></p><a href="https://example.org/confirm/abc?x=1&amp;y=2">répondre</a>'


class Catcher:
    """The catcher, and a mail program that sends to it."""

    def __init__(self, client: httpx.Client, smtp_port: int) -> None:
        self.client = client
        self.smtp_port = smtp_port

    def send(self, *to: str, subject: str = "Votre contrat", message_id: str = "<job-1@example.org>") -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "orders@example.org", ", ".join(to), subject
        mail["Message-ID"] = message_id
        mail.set_content(TEXT)
        mail.add_alternative(HTML, subtype="html")
        mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="résumé.pdf")
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=5) as smtp:
            smtp.send_message(mail)

    def messages(self, to: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("/messages", params={"to": to}).json()
        return found

    def control(self, mode: str, times: int | None = None) -> None:
        self.client.post("/control", json={"mode": mode, "times": times}).raise_for_status()

    def sms(self, text: str) -> int:
        return self.client.post("/sms", json={"to": "+3287123456", "text": text}).status_code


@pytest.fixture
def start(serve: Serve) -> Callable[[], Catcher]:
    def start() -> Catcher:
        smtp_port = free_port()
        return Catcher(serve("services.local.mail", "--smtp-port", str(smtp_port)), smtp_port)

    return start


@pytest.fixture
def catcher(start: Callable[[], Catcher]) -> Catcher:
    return start()


def test_a_mail_is_there_with_all_its_parts(catcher: Catcher) -> None:
    catcher.send("valerie@example.org")
    [mail] = catcher.messages("Valerie@example.org")
    assert (mail["to"], mail["subject"]) == ("valerie@example.org", "Votre contrat")
    assert mail["text"].replace("\r\n", "\n") == TEXT
    assert mail["html"].strip() == HTML
    assert mail["headers"]["Message-ID"] == "<job-1@example.org>"
    assert mail["links"] == ["https://example.org/confirm/abc?x=1&y=2"]
    assert mail["attachments"] == [
        {"filename": "résumé.pdf", "content_type": "application/pdf", "content": "JVBERg=="},
    ]


def test_mails_are_listed_per_address_and_the_newest_first(catcher: Catcher) -> None:
    catcher.send("valerie@example.org", subject="first")
    catcher.send("valerie@example.org", "desk@example.org", subject="second")
    assert [mail["subject"] for mail in catcher.messages("valerie@example.org")] == ["second", "first"]
    assert [mail["subject"] for mail in catcher.messages("desk@example.org")] == ["second"]
    assert catcher.messages("nobody@example.org") == []


def test_a_mail_that_is_sent_twice_is_shown_twice(catcher: Catcher) -> None:
    catcher.send("valerie@example.org")
    catcher.send("valerie@example.org")
    assert len(catcher.messages("valerie@example.org")) == 2


def test_an_sms_is_listed_under_its_phone_number(catcher: Catcher) -> None:
    assert catcher.sms("Code 123456, https://example.org/x") == 202
    [sms] = catcher.messages("+3287123456")
    assert (sms["text"], sms["links"]) == ("Code 123456, https://example.org/x", ["https://example.org/x"])


def test_refuses_as_often_as_told(catcher: Catcher) -> None:
    catcher.control("refuse", times=2)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        catcher.send("valerie@example.org")
    assert catcher.sms("hello") == 422
    catcher.send("valerie@example.org")
    assert len(catcher.messages("valerie@example.org")) == 1


def test_is_out_of_order_until_told_otherwise(catcher: Catcher) -> None:
    catcher.control("down")
    with pytest.raises(smtplib.SMTPSenderRefused, match="421"):
        catcher.send("valerie@example.org")
    assert catcher.sms("hello") == 503
    catcher.control("ok")
    catcher.send("valerie@example.org")
    assert len(catcher.messages("valerie@example.org")) == 1


def test_the_page_shows_mails_with_links_to_click_and_nothing_of_theirs_runs(catcher: Catcher) -> None:
    catcher.send("valerie@example.org", subject="<script>alert(1)</script>")
    page = catcher.client.get("/").text
    assert '<a href="https://example.org/confirm/abc?x=1&amp;y=2">' in page
    assert "<script>" not in page


def test_keeps_its_messages_over_a_restart(start: Callable[[], Catcher]) -> None:
    catcher = start()
    catcher.send("valerie@example.org")
    catcher.sms("line one\u2028line two")
    before = [*catcher.messages("valerie@example.org"), *catcher.messages("+3287123456")]
    again = start()
    assert [*again.messages("valerie@example.org"), *again.messages("+3287123456")] == before
