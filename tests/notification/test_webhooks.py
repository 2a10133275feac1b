"""Partners' webhooks on real Kafka and PostgreSQL, judged by the stock verifier of Standard Webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from contracts.order_v1 import OrderAcknowledged, OrderCompleted, OrderFailed, OrderHeld, OrderPending
from services.chassis.job import TryAgainError
from services.chassis.service import Service
from services.notification import api, gateway, handlers, rules
from services.notification.gateway import Answered, Signed, Unanswered
from services.notification.settings import Settings, settings
from tests.harness import START, MovableClock, Publish, RunService, door, eventually, make_key
from tests.notification.samples import VALERIE, order

HELD = OrderHeld(order=order(), case_id="case-1", codes=("price.change",))
DONE = OrderCompleted(order=order(), completed_at=START)


@dataclass
class PartnerServer:
    """A partner's system: keeps what it is sent, and answers with the next of `statuses` (200 when there is none)."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.received.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": self.url} if status == 307 else {})

    def verified(self, index: int, secret: str) -> Any:
        """What a message says, where the stock verifier finds it signed with this secret."""
        headers, body = self.received[index]
        return Webhook(secret).verify(body, headers)


@pytest_asyncio.fixture
async def partner_server() -> AsyncIterator[PartnerServer]:
    partner = PartnerServer()
    app = web.Application()
    app.router.add_post("/hook", partner.take)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    partner.url = str(server.make_url("/hook"))
    yield partner
    await server.close()


@pytest.fixture(autouse=True)
def _on_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "webhook_private_addresses", True)
    monkeypatch.setattr(settings, "webhook_timeout", 3.0)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is sent again after an hour: on no machine by itself while a test looks."""
    monkeypatch.setattr(rules, "PAUSES", (timedelta(hours=1),) * 3)


@pytest_asyncio.fixture
async def notification(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("notification", handlers, routers=api.routers, settings=Settings) as service:
        yield service


@pytest_asyncio.fixture
async def partner(notification: Service) -> AsyncIterator[httpx.AsyncClient]:
    key = await make_key(notification, "partner", "liege-calls")
    async with door(notification, key) as client:
        yield client


async def registered(partner: httpx.AsyncClient, url: str, *events: str) -> dict[str, Any]:
    answer = await partner.post("/v1/webhooks", json={"url": url, **({"events": events} if events else {})})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


async def deliveries(partner: httpx.AsyncClient, webhook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    answer = await partner.get(f"/v1/webhooks/{webhook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def ended(partner: httpx.AsyncClient, webhook: dict[str, Any], state: str, attempts: int) -> dict[str, Any]:
    """A delivery that is in a state after so many attempts, once there is one."""

    async def there() -> dict[str, Any] | None:
        found = await deliveries(partner, webhook, state=state)
        return next((each for each in found if len(each["attempts"]) == attempts), None)

    delivery: dict[str, Any] = await eventually(there)
    return delivery


async def attempted(partner: httpx.AsyncClient, webhook: dict[str, Any], attempts: int) -> None:
    """Wait until the only delivery was tried so often, or more often on a machine that is slow to look."""

    async def there() -> bool:
        return any(len(each["attempts"]) >= attempts for each in await deliveries(partner, webhook))

    await eventually(there)


async def test_a_partner_hears_of_his_orders_in_messages_that_the_stock_verifier_accepts(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    await publish(HELD)
    await eventually(lambda: partner_server.received)
    told = partner_server.verified(0, webhook["secret"])
    assert told["type"] == "order.held"
    assert told["data"] == {
        "id": "order-1",
        "partner_reference": order().partner_reference,
        "state": "held",
        "waits_for": None,
        "action": "modify",
        "customer_id": "cust-1001",
        "subscription_id": "sub-1001",
        "reverses": None,
        "offer": {"code": "TRIO-MAX", "version": 2},
        "price": order().model_dump(mode="json")["price"],
        "codes": ["price.change"],
        "case_id": "case-1",
        "question": None,
        "reason": None,
    }
    delivery = await ended(partner, webhook, "delivered", 1)
    headers, body = partner_server.received[0]
    assert headers["webhook-id"] == delivery["id"]
    assert headers["content-type"] == "application/json"
    assert delivery["attempts"][0]["status"] == 200
    assert not any(each in body.decode() for each in (VALERIE.name, VALERIE.email, VALERIE.phone))
    with pytest.raises(WebhookVerificationError):
        partner_server.verified(0, "whsec_" + "A" * 44)


async def test_a_webhook_shows_what_she_pays_only_where_the_partners_door_does(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    await publish(OrderHeld(order=order(discloses=False), case_id="case-1", codes=("price.change",)))
    await eventually(lambda: partner_server.received)
    price = partner_server.verified(0, webhook["secret"])["data"]["price"]
    assert (price["current_monthly"], price["monthly_change"]) == (None, None)
    assert price["new_monthly"] == {"amount": 8100, "currency": "EUR"}
    assert b"7000" not in partner_server.received[0][1]


async def test_a_webhook_is_told_only_of_the_events_it_asked_for_and_of_its_partners_orders(
    notification: Service, partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    await registered(partner, partner_server.url, "order.completed", "order.acknowledged", "order.failed")
    other = await make_key(notification, "partner", "gent-calls")
    async with door(notification, other) as client:
        await registered(client, partner_server.url)
    waiting = OrderAcknowledged(order=order(), waits_for="order-0")
    await publish(HELD, waiting, OrderFailed(order=order(), reason="no line"), DONE)
    await eventually(lambda: len(partner_server.received) == 3)
    told = sorted((json.loads(body)["type"], json.loads(body)["data"]["state"]) for _, body in partner_server.received)
    assert told == [
        ("order.acknowledged", "acknowledged"),
        ("order.completed", "completed"),
        ("order.failed", "failed"),
    ]


async def test_an_event_that_comes_again_is_told_once(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    envelope = publish.envelope(HELD)
    for _ in range(2):
        await publish.raw("orders", HELD.to_value(), HELD.key.encode(), envelope.headers())
    await publish(DONE)
    await eventually(lambda: len(partner_server.received) == 2)
    types = sorted(each["type"] for each in await deliveries(partner, webhook))
    assert types == ["order.completed", "order.held"]


async def test_what_is_refused_is_sent_again_over_a_day_and_then_given_up(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish, clock: MovableClock
) -> None:
    webhook = await registered(partner, partner_server.url)
    tries = len(rules.PAUSES) + 1
    partner_server.statuses = [500] * tries
    await publish(HELD)
    for number, pause in enumerate(rules.PAUSES, 1):
        await attempted(partner, webhook, number)
        clock.advance(pause)
    delivery = await ended(partner, webhook, "failed", tries)
    assert [each["status"] for each in delivery["attempts"]] == [500] * tries
    times = [datetime.fromisoformat(each["at"]) for each in delivery["attempts"]]
    pauses = [after - before for before, after in pairwise(times)]
    assert all(waited >= pause for waited, pause in zip(pauses, rules.PAUSES, strict=True))
    assert sum(rules.PAUSES, timedelta()) > timedelta(days=1)
    assert len({headers["webhook-id"] for headers, _ in partner_server.received}) == 1
    assert len({body for _, body in partner_server.received}) == 1


@pytest.mark.usefixtures("unhurried")
async def test_the_next_call_is_due_when_the_pause_after_the_last_is_over(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    partner_server.statuses = [500]
    await publish(HELD)
    [attempt] = (await ended(partner, webhook, "waiting", 1))["attempts"]
    due_at = (await partner.get("/readyz")).json()["jobs"]["next_due_at"]
    assert datetime.fromisoformat(due_at) - datetime.fromisoformat(attempt["at"]) == timedelta(hours=1)


@pytest.mark.usefixtures("unhurried")
async def test_what_is_on_its_way_is_not_replayed(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    partner_server.statuses = [500]
    await publish(HELD)
    delivery = await ended(partner, webhook, "waiting", 1)
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/replay"
    refused = await partner.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "delivery.waiting")


async def test_a_message_that_arrived_is_replayed_as_it_was(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    await publish(HELD)
    delivery = await ended(partner, webhook, "delivered", 1)
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/replay"
    assert (await partner.post(path)).status_code == 202
    await ended(partner, webhook, "delivered", 2)
    (first, again), bodies = zip(*partner_server.received, strict=True)
    assert first["webhook-id"] == again["webhook-id"]
    assert len(set(bodies)) == 1
    assert (await partner.post(path.replace(delivery["id"], "none"))).status_code == 404


async def test_two_secrets_are_valid_for_a_day_after_a_rotation(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish, clock: MovableClock
) -> None:
    webhook = await registered(partner, partner_server.url)
    path = f"/v1/webhooks/{webhook['id']}/secret"
    second = (await partner.post(path)).json()["secret"]
    third = (await partner.post(path)).json()["secret"]
    await publish(HELD)
    await eventually(lambda: len(partner_server.received) == 1)
    for secret in (second, third):
        assert partner_server.verified(0, secret)["type"] == "order.held"
    with pytest.raises(WebhookVerificationError):
        partner_server.verified(0, webhook["secret"])
    clock.advance(timedelta(days=1, seconds=1))
    await publish(DONE)
    await eventually(lambda: len(partner_server.received) == 2)
    assert partner_server.verified(1, third)["type"] == "order.completed"
    with pytest.raises(WebhookVerificationError):
        partner_server.verified(1, second)


@pytest.mark.usefixtures("unhurried")
async def test_410_disables_a_webhook_until_it_is_changed(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish, clock: MovableClock
) -> None:
    webhook = await registered(partner, partner_server.url)
    other = await registered(partner, partner_server.url, "order.pending")
    partner_server.statuses = [500, 410]
    await publish(DONE)
    await ended(partner, webhook, "waiting", 1)
    await publish(HELD)
    failed = await ended(partner, webhook, "failed", 1)
    [listed, _] = (await partner.get("/v1/webhooks")).json()["items"]
    assert (listed["state"], listed["reason"]) == ("disabled", "its server answered 410 Gone")
    await publish(OrderPending(order=order(), confirmation_id="conf-1", expires_at=START + timedelta(days=14)))
    await ended(partner, other, "delivered", 1)
    assert len(await deliveries(partner, webhook)) == 2
    clock.advance(timedelta(hours=1))
    waited = await ended(partner, webhook, "failed", 2)
    assert (waited["type"], waited["attempts"][1]["reason"]) == ("order.completed", "the webhook is disabled")
    replay = f"/v1/webhooks/{webhook['id']}/deliveries/{failed['id']}/replay"
    refused = await partner.post(replay)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.disabled")
    changed = await partner.put(f"/v1/webhooks/{webhook['id']}", json={"url": partner_server.url})
    assert changed.json()["state"] == "active"
    assert (await partner.post(replay)).status_code == 202
    await ended(partner, webhook, "delivered", 2)


@pytest.mark.usefixtures("unhurried")
async def test_what_waits_for_a_webhook_that_is_taken_away_is_not_sent(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish, clock: MovableClock
) -> None:
    gone, kept = await registered(partner, partner_server.url), await registered(partner, partner_server.url)
    partner_server.statuses = [500, 500]
    await publish(HELD)
    await ended(partner, gone, "waiting", 1)
    await ended(partner, kept, "waiting", 1)
    assert (await partner.delete(f"/v1/webhooks/{gone['id']}")).status_code == 204
    clock.advance(timedelta(hours=1))
    await ended(partner, kept, "delivered", 2)
    assert (await partner.get(f"/v1/webhooks/{gone['id']}/deliveries")).status_code == 404
    assert len(partner_server.received) == 3


@pytest.mark.usefixtures("unhurried")
async def test_a_redirect_is_not_followed(
    partner: httpx.AsyncClient, partner_server: PartnerServer, publish: Publish
) -> None:
    webhook = await registered(partner, partner_server.url)
    partner_server.statuses = [307]
    await publish(HELD)
    assert (await ended(partner, webhook, "waiting", 1))["attempts"][0]["status"] == 307
    assert len(partner_server.received) == 1


async def test_another_partners_webhook_does_not_exist(
    notification: Service, partner: httpx.AsyncClient, partner_server: PartnerServer
) -> None:
    webhook = await registered(partner, partner_server.url)
    path = f"/v1/webhooks/{webhook['id']}"
    async with door(notification, await make_key(notification, "partner", "gent-calls")) as other:
        answers = [
            await other.get(f"{path}/deliveries"),
            await other.put(path, json={"url": partner_server.url}),
            await other.delete(path),
            await other.post(f"{path}/secret"),
            await other.post(f"{path}/deliveries/any/replay"),
        ]
        assert [each.status_code for each in answers] == [404] * 5
        assert (await other.get("/v1/webhooks")).json()["items"] == []
    async with door(notification) as stranger:
        assert (await stranger.get("/v1/webhooks")).status_code == 401


async def test_a_webhook_is_refused_with_every_fault_in_the_partners_language(
    partner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "webhook_private_addresses", False)
    empty = await partner.post("/v1/webhooks", json={"url": "https://partner.example/", "events": []})
    assert [(each["pointer"], each["code"]) for each in empty.json()["errors"]] == [("/events", "missing")]
    body = {"url": "https://10.0.0.1/hook", "events": ["order.lost"], "secret": "mine"}
    answer = await partner.post("/v1/webhooks", json=body, headers={"accept-language": "nl"})
    assert answer.status_code == 422
    faults = {each["pointer"]: (each["code"], each["detail"]) for each in answer.json()["errors"]}
    assert set(faults) == {"/url", "/events/0", "/secret"}
    assert faults["/url"][0] == "webhook.address"
    assert faults["/url"][1].startswith("een https-adres dat via internet bereikbaar is")


async def test_a_partner_has_only_so_many_webhooks_and_sees_no_secret_again(
    partner: httpx.AsyncClient, partner_server: PartnerServer
) -> None:
    for _ in range(10):
        await registered(partner, partner_server.url)
    refused = await partner.post("/v1/webhooks", json={"url": partner_server.url})
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.too-many")
    listed = await partner.get("/v1/webhooks")
    assert len(listed.json()["items"]) == 10
    assert "whsec_" not in listed.text


# --- where a call may lead --------------------------------------------------------------------------------------------


def signed(url: str) -> Signed:
    return Signed(webhook_id="webhook-1", url=url, headers={}, body="{}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_no_name_and_no_spelling_leads_into_our_own_network(
    host: str, partner_server: PartnerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = partner_server.url.replace("127.0.0.1", host)
    if host in {"localhost", "127.0.0.1"}:  # the other spellings not every resolver takes
        assert await gateway.call_webhook(signed(url), "job") == Answered(status=200)
    heard = len(partner_server.received)
    monkeypatch.setattr(settings, "webhook_private_addresses", False)
    answer = await gateway.call_webhook(signed(url), "job")
    assert isinstance(answer, Unanswered)
    assert len(partner_server.received) == heard


async def test_a_name_that_leads_elsewhere_at_the_second_look_leads_nowhere(
    partner_server: PartnerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that is judged is the one that is connected to: after the name's last resolution."""
    monkeypatch.setattr(settings, "webhook_private_addresses", False)
    judged: list[str] = []

    def public(address: str) -> bool:
        judged.append(address)
        return False

    monkeypatch.setattr(rules, "is_public", public)
    answer = await gateway.call_webhook(signed(partner_server.url.replace("127.0.0.1", "localhost")), "job")
    assert isinstance(answer, Unanswered)
    assert "127.0.0.1" in judged
    assert partner_server.received == []


async def test_a_slow_server_has_only_so_many_calls_at_once(
    partner_server: PartnerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gateway._under_way, "webhook-1", gateway.MOST_AT_ONCE)
    with pytest.raises(TryAgainError):
        await gateway.call_webhook(signed(partner_server.url), "job")
    assert partner_server.received == []
    monkeypatch.setitem(gateway._under_way, "webhook-1", gateway.MOST_AT_ONCE - 1)
    assert await gateway.call_webhook(signed(partner_server.url), "job") == Answered(status=200)
    assert gateway._under_way["webhook-1"] == gateway.MOST_AT_ONCE - 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::1", False),
    ],
)
def test_only_addresses_on_the_internet_are_public(address: str, public: bool) -> None:  # noqa: FBT001
    assert rules.is_public(address) is public


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://partner.example/hook?a=b", True),
        ("https://partner.example:8443/hook", True),
        ("https://93.184.216.34/hook", True),
        ("http://partner.example/hook", False),
        ("https://127.0.0.1/hook", False),
        ("https://[::1]/hook", False),
        ("https://user:word@partner.example/", False),
        ("https:///hook", False),
        ("https://partner.example:99999/", False),
        ("https://partner.example/a b", False),
        ("https://partner.example\\@127.0.0.1/", False),
        ("ftp://partner.example/", False),
        ("hook", False),
    ],
)
def test_an_address_is_https_and_leads_to_the_internet(url: str, good: bool) -> None:  # noqa: FBT001
    assert rules.is_webhook(url, private=False) is good


def test_the_events_a_webhook_may_ask_for_are_those_it_can_be_told_of() -> None:
    assert [each.type.removesuffix(".v1") for each in rules.STATES] == list(rules.EVENTS)
