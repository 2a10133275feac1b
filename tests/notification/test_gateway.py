"""The call to the mail server: what is handed over, and what its answers mean."""

import pytest

from services.chassis.ids import sha256
from services.chassis.job import TryAgainError
from services.notification import gateway
from services.notification.gateway import Refused, Sent
from services.notification.rules import Letter
from services.notification.settings import settings
from tests.notification.samples import MailServer, text_of

LETTER = Letter(
    to="valerie@example.org", language="fr", subject="Commande exécutée", text="81,00 €\n", html="<p>81,00 €</p>"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MailServer:
    monkeypatch.setattr(settings, "smtp_timeout", 3.0)
    return MailServer()


async def sent_to(server: MailServer, monkeypatch: pytest.MonkeyPatch, letter: Letter = LETTER) -> Sent | Refused:
    async with server.listening():
        monkeypatch.setattr(settings, "smtp_port", server.port)
        return await gateway.send(letter, "job-1")


async def test_text_and_html_are_handed_over(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await sent_to(server, monkeypatch) == Sent(sha256=sha256("81,00 €\n"), language="fr")
    [mail] = server.mails
    assert (mail["To"], mail["Subject"]) == ("valerie@example.org", "Commande exécutée")
    assert (mail["Content-Language"], mail["Auto-Submitted"]) == ("fr", "auto-generated")
    assert text_of(mail) == "81,00 €\n"
    assert text_of(mail, "html").strip() == "<p>81,00 €</p>"
    assert mail["Date"].datetime.tzinfo is not None


async def test_a_repeat_has_the_same_message_id(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    await sent_to(server, monkeypatch)
    await sent_to(server, monkeypatch)
    assert [mail["Message-ID"] for mail in server.mails] == ["<job-1@asquoted>"] * 2


async def test_a_permanent_refusal_is_final_and_names_no_address(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = ["550 5.1.1 <valerie@example.org> is unknown here"]
    refused = await sent_to(server, monkeypatch)
    assert refused == Refused(reason="the mail server answers 550 5.1.1", language="fr")


async def test_a_temporary_refusal_is_tried_again(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = ["451 4.7.1 try later"]
    with pytest.raises(TryAgainError, match=r"^the mail server answers 451 4\.7\.1$"):
        await sent_to(server, monkeypatch)


async def test_a_mail_server_that_is_away_is_tried_again(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server.listening():
        monkeypatch.setattr(settings, "smtp_port", server.port)
    with pytest.raises(TryAgainError, match="the mail server is away"):
        await gateway.send(LETTER, "job-1")


async def test_an_address_cannot_bring_headers_along(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Letter(to="a@example.org\nBcc: b@example.org", language="fr", subject="x", text="x", html="x")
    assert isinstance(await sent_to(server, monkeypatch, odd), Refused)
    assert server.mails == []
