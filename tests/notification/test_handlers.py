"""Notification on real Kafka and PostgreSQL with a mail server that takes, refuses, and is away."""

from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from contracts.customer_v1 import CustomerRecorded
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.event import Event
from contracts.notice_v1 import NoticeSent, NoticeUndeliverable
from contracts.offer_v1 import OfferPublished, OfferWithdrawn
from contracts.order_v1 import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderHeld,
    OrderPending,
    OrderRejected,
)
from services.chassis import links
from services.chassis.ids import sha256
from services.chassis.service import Service
from services.notification import api, handlers
from services.notification.settings import Settings, settings
from tests.harness import OPERATOR_KEY, START, Publish, RunService, Topics, door, eventually, make_key
from tests.notification.samples import OFFERS, TRIO, VALERIE, MailServer, order, text_of

PARTNER = "orders@liege-calls.example"
SECRET = "signs the links of the tests"
PENDING = OrderPending(
    order=order(), confirmation_id="conf-1", current_offer=TRIO, expires_at=START + timedelta(days=14)
)
pytestmark = pytest.mark.usefixtures("mail")
KNOWN: list[Event] = [
    *(OfferPublished(offer=each, published_at=START) for each in OFFERS),
    CustomerRecorded(customer=VALERIE),
]


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> MailServer:
    monkeypatch.setattr(settings, "link_secret", SECRET)
    monkeypatch.setattr(settings, "public_url", "http://door")
    monkeypatch.setattr(settings, "smtp_timeout", 3.0)
    return MailServer()


@pytest_asyncio.fixture
async def server(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail.listening():
        monkeypatch.setattr(settings, "smtp_port", mail.port)
        yield mail


@pytest_asyncio.fixture
async def notification(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("notification", handlers, routers=api.routers, settings=Settings) as service:
        yield service


@pytest_asyncio.fixture
async def operator(notification: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with door(notification, OPERATOR_KEY) as client:
        contact = {"email": PARTNER, "language": "nl"}
        assert (await client.put("/v1/partners/liege-calls", json=contact)).status_code == 200
        yield client


async def mails(server: MailServer, count: int) -> list[EmailMessage]:
    await eventually(lambda: len(server.mails) >= count)
    return server.mails


async def notices(read_topic: Topics, count: int) -> list[Any]:
    """The events on `notices`, once there are that many."""

    async def enough() -> list[Event] | None:
        found = await read_topic.events("notices")
        return found if len(found) >= count else None

    found: list[Any] = await eventually(enough)
    assert len(found) == count
    return found


async def cases(read_topic: Topics) -> list[Any]:
    return await read_topic.events("dead-letters")


async def test_the_customer_gets_the_summary_in_her_language_with_the_link(
    operator: httpx.AsyncClient, server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    await publish(*KNOWN, PENDING)
    [sent] = await notices(read_topic, 1)
    [letter] = server.mails
    said = text_of(letter).replace("\xa0", " ")
    assert letter["To"] == VALERIE.email
    assert "Aujourd'hui: 70,00 € par mois" in said
    assert "Nouveau: 81,00 € par mois" in said
    [link] = [line for line in said.splitlines() if line.startswith("http")]
    assert link.startswith("http://door/confirm/")
    assert links.read(SECRET, link.rpartition("/")[2]) == "conf-1"
    assert sent == NoticeSent(
        notice_id=sent.notice_id,
        order_id="order-1",
        subscription_id="sub-1001",
        kind="contract-summary",
        recipient="customer",
        medium="email",
        language="fr",
        sent_at=sent.sent_at,
        sha256=sha256(text_of(letter)),
    )
    [listed] = (await operator.get("/v1/notices", params={"order": "order-1"})).json()["items"]
    assert listed["sha256"] == sent.sha256
    assert (listed["kind"], listed["recipient"], listed["language"], listed["medium"], listed["state"]) == (
        *("contract-summary", "customer", "fr", "email", "sent"),
    )
    assert START.isoformat() <= listed["sent_at"]


@pytest.mark.usefixtures("operator")
async def test_who_signed_in_the_shop_gets_the_summary_without_a_link_and_hears_how_it_ended(
    server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    agreed = OrderConfirmed(order=order(), confirmed_at=START, medium="signed-contract", current_offer=TRIO)
    again = agreed.model_copy(update={"medium": "sent-again", "attempt": 2})
    await publish(*KNOWN, agreed, again, OrderCancelled(order=order(), reason="she changed her mind"))
    told = await notices(read_topic, 3)
    assert sorted((each.recipient, each.kind) for each in told) == [
        ("customer", "cancelled"),
        ("customer", "contract-summary"),
        ("partner", "cancelled"),
    ]
    [said] = [text_of(each) for each in server.to(VALERIE.email) if "papier" in text_of(each)]
    assert "Aujourd'hui: 70,00" in said
    assert "http" not in said


@pytest.mark.usefixtures("operator")
async def test_a_mail_server_that_is_away_for_a_while_costs_nothing(
    mail: MailServer, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch, notification: Service
) -> None:
    async with mail.listening():
        monkeypatch.setattr(settings, "smtp_port", mail.port)
    await publish(*KNOWN, PENDING)

    async def tried_twice() -> bool:
        async with notification.engine.connect() as connection:
            return bool(await connection.scalar(text("SELECT count(*) FROM job WHERE attempts >= 2")))

    await eventually(tried_twice)
    async with mail.listening(mail.port):
        [sent] = await notices(read_topic, 1)
    assert isinstance(sent, NoticeSent)
    assert len(mail.mails) == 1
    assert await cases(read_topic) == []


@pytest.mark.usefixtures("operator")
async def test_a_temporary_refusal_ends_in_one_mail(server: MailServer, publish: Publish, read_topic: Topics) -> None:
    server.answers = ["451 4.7.1 greylisted", "421 4.3.2 not now"]
    await publish(*KNOWN, PENDING)
    [sent] = await notices(read_topic, 1)
    assert isinstance(sent, NoticeSent)
    assert len(server.mails) == 1


async def test_a_permanent_refusal_becomes_one_case_at_once(
    operator: httpx.AsyncClient, server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    server.answers = ["550 5.1.1 <valerie@example.org> is unknown here"]
    await publish(*KNOWN, PENDING)
    [refused] = await notices(read_topic, 1)
    [found] = await cases(read_topic)
    assert isinstance(refused, NoticeUndeliverable)
    assert isinstance(found, DiscrepancyFound)
    assert (refused.case_id, refused.reason, refused.language) == (
        *(found.case_id, "the mail server answers 550 5.1.1", "fr"),
    )
    assert (found.order_id, found.partner, found.agent) == ("order-1", "liege-calls", "agent-17")
    assert [each.model_dump() for each in found.discrepancies] == [
        {
            "code": "notice.undeliverable",
            "path": "/customer/contract-summary",
            "expected": None,
            "given": "the mail server answers 550 5.1.1",
            "stage": "notification",
        }
    ]
    [message] = await read_topic("dead-letters")
    assert message.envelope.id == found.case_id
    assert server.recipients == [VALERIE.email]
    [listed] = (await operator.get("/v1/notices")).json()["items"]
    assert (listed["state"], listed["sent_at"]) == ("undeliverable", None)


@pytest.mark.usefixtures("operator")
async def test_a_customer_and_offers_that_are_only_late_are_waited_for(
    server: MailServer, publish: Publish, read_topic: Topics, notification: Service
) -> None:
    await publish(PENDING)

    async def waited() -> bool:
        async with notification.engine.connect() as connection:
            return bool(await connection.scalar(text("SELECT count(*) FROM job WHERE payload->>'tried' > '1'")))

    await eventually(waited)
    await publish(*KNOWN)
    [sent] = await notices(read_topic, 1)
    assert isinstance(sent, NoticeSent)
    assert len(server.mails) == 1
    assert await cases(read_topic) == []


@pytest.mark.usefixtures("operator")
async def test_a_customer_who_never_comes_becomes_a_case(
    server: MailServer, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "late_customer_wait", 0.5)
    await publish(PENDING)
    [missing] = await notices(read_topic, 1)
    [found] = await cases(read_topic)
    assert (missing.case_id, missing.reason, missing.language) == (found.case_id, "the customer is not on file", None)
    assert server.mails == []


@pytest.mark.usefixtures("operator", "server")
async def test_an_offer_that_never_comes_becomes_a_case(
    publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "late_offer_wait", 0.5)
    await publish(KNOWN[1], KNOWN[2], PENDING)
    [missing] = await notices(read_topic, 1)
    assert missing.reason == "offers are missing: TRIO v2"
    assert len(await cases(read_topic)) == 1


@pytest.mark.usefixtures("notification")
async def test_a_partner_without_a_contact_becomes_a_case(
    server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    await publish(*KNOWN, OrderHeld(order=order(), case_id="case-1", codes=("price.change",)))
    [missing] = await notices(read_topic, 1)
    [found] = await cases(read_topic)
    assert (missing.case_id, missing.reason, missing.recipient) == (
        *(found.case_id, "the partner is not on file", "partner"),
    )
    assert server.mails == []


@pytest.mark.usefixtures("operator")
async def test_a_review_is_told_to_the_partner_in_its_language(
    server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    await publish(OrderHeld(order=order(), case_id="case-1", codes=("price.change", "services.lost")))
    [sent] = await notices(read_topic, 1)
    [letter] = server.mails
    assert (letter["To"], letter["Subject"], sent.language) == (PARTNER, "LC-2026-000123: held", "nl")
    assert "Redenen: price.change, services.lost" in text_of(letter)


@pytest.mark.usefixtures("operator")
async def test_completion_is_told_to_customer_and_partner(
    server: MailServer, publish: Publish, read_topic: Topics
) -> None:
    await publish(*KNOWN, OrderCompleted(order=order(), completed_at=START))
    assert {(each.recipient, each.kind) for each in await notices(read_topic, 2)} == {
        *(("customer", "completed"), ("partner", "completed"))
    }
    [letter] = server.to(VALERIE.email)
    assert "81,00" in text_of(letter)
    assert len(server.to(PARTNER)) == 1


@pytest.mark.parametrize("happened", [OrderCancelled, OrderRejected])
@pytest.mark.usefixtures("operator")
async def test_an_end_is_told_to_the_customer_only_if_she_was_asked(
    server: MailServer, publish: Publish, read_topic: Topics, happened: type[OrderCancelled | OrderRejected]
) -> None:
    unasked = happened(order=order(id="order-2", subscription_id="sub-2"), reason="a duplicate")
    await publish(*KNOWN, PENDING, happened(order=order(), reason="the customer said no"), unasked)
    told = {(each.order_id, each.recipient) for each in await notices(read_topic, 4)}
    assert told == {("order-1", "customer"), ("order-1", "partner"), ("order-2", "partner")}
    assert len(server.to(VALERIE.email)) == 2


@pytest.mark.usefixtures("operator")
async def test_a_new_price_is_asked_anew(server: MailServer, publish: Publish, read_topic: Topics) -> None:
    await publish(*KNOWN, PENDING, PENDING.model_copy(update={"confirmation_id": "conf-2"}))
    await notices(read_topic, 2)
    tokens = {line.rpartition("/")[2] for each in server.mails for line in text_of(each).split() if "/confirm/" in line}
    assert {links.read(SECRET, token) for token in tokens} == {"conf-1", "conf-2"}


@pytest.mark.usefixtures("operator")
async def test_a_repeated_event_sends_nothing_twice(server: MailServer, publish: Publish, read_topic: Topics) -> None:
    await publish(*KNOWN)
    envelope = publish.envelope(PENDING)
    for _ in range(2):
        await publish.raw("orders", PENDING.to_value(), PENDING.key.encode(), envelope.headers())
    await publish(OrderHeld(order=order(), case_id="case-1", codes=()))
    await notices(read_topic, 2)
    assert len(server.to(VALERIE.email)) == 1


@pytest.mark.usefixtures("operator")
async def test_only_the_customers_own_table_holds_who_she_is(
    server: MailServer, publish: Publish, read_topic: Topics, notification: Service
) -> None:
    server.answers = ["451 4.7.1 <valerie@example.org> try later"]
    await publish(*KNOWN, PENDING, OfferWithdrawn(code="TRIO", withdrawn_at=START))
    await eventually(lambda: server.recipients)
    async with notification.engine.connect() as connection:
        for table in ("notice", "job", "outbox", "dead_letter"):
            found = await connection.execute(text(f"SELECT * FROM {table} t WHERE t::text ILIKE '%valerie%'"))  # noqa: S608
            assert found.all() == []
    await notices(read_topic, 1)
    for topic in ("notices", "dead-letters"):
        assert [each for each in await read_topic(topic) if b"alerie" in (each.value or b"")] == []


async def test_the_doors_open_for_their_roles_only(notification: Service) -> None:
    desk = await make_key(notification, "service-desk", "desk")
    partner = await make_key(notification, "partner", "liege-calls")
    contact = {"email": PARTNER, "language": "nl"}
    async with door(notification, desk) as client:
        assert (await client.get("/v1/notices")).json() == {"items": [], "next": None}
        assert (await client.put("/v1/partners/liege-calls", json=contact)).status_code == 403
    async with door(notification, partner) as client:
        assert (await client.get("/v1/notices")).status_code == 403
    async with door(notification, OPERATOR_KEY) as client:
        odd = await client.put("/v1/partners/liege-calls", json={"email": "nowhere", "language": "it", "more": 1})
        assert {each["pointer"] for each in odd.json()["errors"]} == {"/email", "/language", "/more"}


@pytest.mark.usefixtures("server")
async def test_notices_are_listed_page_by_page(
    operator: httpx.AsyncClient, publish: Publish, read_topic: Topics
) -> None:
    await publish(*KNOWN, PENDING, OrderCompleted(order=order(), completed_at=START))
    await notices(read_topic, 3)
    found, after = [], None
    while True:
        page = (await operator.get("/v1/notices", params={"limit": 1} | ({"after": after} if after else {}))).json()
        found += [(each["kind"], each["recipient"]) for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(found) == [*(("completed", "customer"), ("completed", "partner"), ("contract-summary", "customer"))]
    assert (await operator.get("/v1/notices", params={"order": "order-9"})).json()["items"] == []
