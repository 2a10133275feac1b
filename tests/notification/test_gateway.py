"""The call to the mail server: what is handed over, and what its answers mean."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from services.chassis import outside
from services.chassis.ids import sha256
from services.chassis.job import TryAgainError
from services.notification import gateway
from services.notification.gateway import Refused, Sent
from services.notification.rules import Letter, Sms
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


TEXT = Sms(to="+3287123456", language="fr", text="AsQuoted: votre code est 123456.")


class SmsGateway:
    """An SMS gateway that answers what it is told to, and keeps what it got with its key."""

    def __init__(self) -> None:
        self.status = 202
        self.got: list[tuple[object, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((await request.json(), request.headers["Idempotency-Key"]))
        return web.Response(status=self.status)


@pytest_asyncio.fixture
async def texts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmsGateway]:
    gateway_, app = SmsGateway(), web.Application()
    app.router.add_post("/sms", gateway_.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    monkeypatch.setattr(settings, "sms_url", f"http://{host}:{port}/sms")
    yield gateway_
    await outside.close()
    await runner.cleanup()


async def test_a_text_is_handed_over_with_the_jobs_id(texts: SmsGateway) -> None:
    assert await gateway.send(TEXT, "job-1") == Sent(sha256=sha256(TEXT.text), language="fr")
    assert texts.got == [({"to": TEXT.to, "text": TEXT.text}, "job-1")]


async def test_a_number_that_is_none_is_final_and_names_no_number(texts: SmsGateway) -> None:
    texts.status = 422
    assert await gateway.send(TEXT, "job-1") == Refused(reason="the SMS gateway answers 422", language="fr")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_gateway_that_is_busy_is_tried_again(texts: SmsGateway, status: int) -> None:
    texts.status = status
    with pytest.raises(TryAgainError, match=f"the SMS gateway answers {status}"):
        await gateway.send(TEXT, "job-1")


async def test_a_gateway_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "sms_url", "http://127.0.0.1:1/sms")
    with pytest.raises(TryAgainError, match="the SMS gateway is away"):
        await gateway.send(TEXT, "job-1")
    await outside.close()
