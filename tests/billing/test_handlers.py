"""Billing in process on a real Kafka and a real PostgreSQL: what it publishes and what its doors then show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts import offer_v2
from contracts.commission_v1 import CommissionHeld
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered
from contracts.event import Event
from contracts.invoice_v1 import Charge, ChargeHeld, ChargesStarted
from contracts.offer_v1 import OfferWithdrawn
from contracts.order_v1 import Discrepancy, OrderCompleted, Quote
from contracts.subscription_v1 import SubscriptionChanged
from services.billing import api, handlers
from services.billing.settings import settings
from services.chassis.service import Service
from tests.billing import sales
from tests.billing.sales import OFFERS, TRIO, TRIO_MAX, changed, decided, eur, order, price
from tests.harness import MovableClock, Publish, RunService, Topics, door, eventually, make_key

SUB = "sub-1001"
TODAY = date(2026, 11, 20)


@pytest_asyncio.fixture
async def billing(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("billing", handlers, routers=(api.router,)) as service:
        yield service


@pytest_asyncio.fixture
async def desk(billing: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with door(billing, await make_key(billing, "service-desk", "desk")) as client:
        yield client


async def said(read_topic: Topics, count: int, topic: str = "invoices", key: str = SUB) -> list[Event]:
    """What billing published about a subscription, once there is that much of it."""

    async def enough() -> list[Event] | None:
        found = await read_topic.events(topic, key)
        return found if len(found) >= count else None

    found: list[Event] = await eventually(enough)
    assert len(found) == count
    return found


async def settled(billing: Service) -> None:
    """Everything that was published is consumed, and everything decided is on Kafka."""

    async def quiet() -> bool:
        state = await billing.readiness()
        return (state["consumer"]["lag"], state["unsent_events"], state["jobs"]["due"]) == (0, 0, 0)

    await eventually(quiet)


async def with_trio(publish: Publish) -> None:
    """The demo's offers are here, and sub-1001 was imported with TRIO at 70.00."""
    await publish(*sales.published(*OFFERS))
    await publish(sales.imported())


async def charges(desk: httpx.AsyncClient) -> dict[str, Any]:
    answer = await desk.get(f"/v1/subscriptions/{SUB}/charges")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_imported_trio_is_charged_70_euros(
    desk: httpx.AsyncClient, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    charge = Charge(offer=TRIO.ref, monthly=eur(7000), since=date(2026, 4, 15))
    assert await said(read_topic, 1) == [
        ChargesStarted(subscription_id=SUB, customer_id="cust-1001", subscription_version=1, charge=charge)
    ]
    shown = await charges(desk)
    assert shown["in_force"] == {"amount": 7000, "currency": "EUR"}
    assert [(each["order_id"], each["lines"]) for each in shown["items"]] == [(None, [])]


async def test_an_order_from_trio_to_trio_max_is_charged_81_euros(
    desk: httpx.AsyncClient, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    await publish(changed(order()))
    assert (await said(read_topic, 2))[1] == ChargesStarted(
        order_id="order-1",
        subscription_id=SUB,
        customer_id="cust-1001",
        subscription_version=2,
        charge=Charge(offer=TRIO_MAX.ref, monthly=eur(8100), since=TODAY),
        one_off=eur(0),
    )
    shown = await charges(desk)
    assert shown["in_force"] == {"amount": 8100, "currency": "EUR"}
    lines = [(each["kind"], each["amount"]["amount"], each["since"]) for each in shown["items"][1]["lines"]]
    assert lines == [("credit", -2567, "2026-11-20"), ("monthly", 2970, "2026-11-20")]  # 11 of 30 days


@pytest.mark.parametrize("cent", [-1, 1])
async def test_a_price_that_differs_by_one_cent_is_held_with_one_case_and_nothing_is_charged(
    cent: int, desk: httpx.AsyncClient, billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    await publish(changed(order(price=price(8100 + cent, 1100, monthly_after_promotion=eur(8100)))))
    held = (await said(read_topic, 2))[1]
    (case,) = await said(read_topic, 1, "dead-letters")
    assert isinstance(held, ChargeHeld)
    assert isinstance(case, DiscrepancyFound)
    wrong = Discrepancy(
        code="billing.mismatch",
        path="/price/new_monthly",
        expected={"amount": 8100, "currency": "EUR"},
        given={"amount": 8100 + cent, "currency": "EUR"},
        stage="billing",
    )
    assert held == ChargeHeld(order_id="order-1", subscription_id=SUB, case_id=case.case_id, discrepancies=(wrong,))
    assert case == DiscrepancyFound(
        case_id=(await read_topic("dead-letters", SUB))[0].envelope.id,
        order_id="order-1",
        subscription_id=SUB,
        customer_id="cust-1001",
        partner="liege-calls",
        agent="agent-17",
        discrepancies=(wrong,),
        published_monthly=eur(8100),
        quoted_monthly=eur(8100),
    )
    shown = await charges(desk)
    assert (shown["in_force"]["amount"], len(shown["items"])) == (7000, 1)
    assert (await billing.readiness())["dead_letters"] == 0


async def test_every_part_that_differs_is_in_the_one_case(
    publish: Publish, read_topic: Topics, billing: Service
) -> None:
    await with_trio(publish)
    await publish(changed(order(quote=Quote(monthly_total=eur(7500), monthly_change=eur(500)), price=price(7500, 500))))
    (case,) = await said(read_topic, 1, "dead-letters")
    assert isinstance(case, DiscrepancyFound)
    assert [each.path for each in case.discrepancies] == [
        "/quote/monthly_total",
        "/quote/monthly_change",
        "/price/new_monthly",
        "/price/monthly_change",
        "/price/monthly_after_promotion",
    ]
    await settled(billing)


async def test_a_held_order_is_charged_once_its_price_was_decided(
    desk: httpx.AsyncClient, billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    quoted = Quote(monthly_change=eur(500))
    await publish(changed(order(quote=quoted)), changed(order(quote=quoted)))
    held = (await said(read_topic, 2))[1]
    assert isinstance(held, ChargeHeld)
    await settled(billing)
    await publish(changed(order(quote=quoted, decision=decided("apply_published_price"))))
    started = (await said(read_topic, 3))[2]
    assert isinstance(started, ChargesStarted)
    assert (started.subscription_version, started.case_id) == (2, "case-1")
    assert len(await read_topic("dead-letters", SUB)) == 1
    assert (await charges(desk))["in_force"]["amount"] == 8100


async def test_what_comes_again_or_comes_late_has_no_second_effect(
    desk: httpx.AsyncClient, billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    event = changed(order())
    (envelope,) = await publish(event)
    await said(read_topic, 2)
    await publish.raw("subscriptions", event.to_value(), SUB.encode(), envelope.headers())  # the very same record
    await publish(event, sales.imported())  # the same version once more, and an older one
    await publish(changed(order(id="order-9"), version=3, in_place=TRIO_MAX.ref))  # a mark: the end of what was sent
    await said(read_topic, 3)
    await settled(billing)
    assert [type(each) for each in await read_topic.events("invoices", SUB)] == [
        ChargesStarted,
        ChargesStarted,
        ChargeHeld,
    ]
    assert [len(each["lines"]) for each in (await charges(desk))["items"]] == [0, 2]


async def test_a_subscription_waits_for_an_offer_that_is_only_late(
    publish: Publish, read_topic: Topics, billing: Service
) -> None:
    await publish(sales.imported(), changed(order()))
    await settled_except_jobs(billing)
    assert await read_topic("invoices", SUB) == []
    await publish(*sales.published(*OFFERS))
    first, second = await said(read_topic, 2)
    assert isinstance(first, ChargesStarted)
    assert isinstance(second, ChargesStarted)
    assert [first.subscription_version, second.subscription_version] == [1, 2]
    assert await read_topic("dead-letters", SUB) == []


async def test_a_version_waits_behind_an_older_one_though_its_own_offer_is_here(
    publish: Publish, read_topic: Topics, billing: Service
) -> None:
    await publish(*sales.published(TRIO_MAX))
    await settled(billing)
    await publish(sales.imported(), changed(order()))
    await settled_except_jobs(billing)
    await publish(*sales.published(TRIO))
    assert [type(each) for each in await said(read_topic, 2)] == [ChargesStarted, ChargesStarted]
    assert await read_topic("dead-letters", SUB) == []


async def settled_except_jobs(billing: Service, versions: int = 2) -> None:
    """So many versions wait in the database."""

    async def waiting() -> bool:
        state = await billing.readiness()
        return (state["consumer"]["lag"], state["jobs"]["due"]) == (0, versions)

    await eventually(waiting)


async def test_an_offer_that_never_comes_becomes_a_case(
    monkeypatch: pytest.MonkeyPatch, desk: httpx.AsyncClient, publish: Publish, read_topic: Topics
) -> None:
    monkeypatch.setattr(settings, "late_offer_wait", 0.5)
    await publish(sales.imported())
    (case,) = await said(read_topic, 1, "dead-letters")
    assert isinstance(case, DiscrepancyFound)
    assert [(each.code, each.path, each.expected, each.given) for each in case.discrepancies] == [
        ("billing.mismatch", "/subscription/offer", "offer.unknown", TRIO.ref.model_dump())
    ]
    assert case.order_id is None
    assert await read_topic("invoices", SUB) == []
    assert (await charges(desk))["in_force"] is None


async def test_what_was_sold_after_a_withdrawal_is_held_and_what_was_sold_before_is_charged(
    publish: Publish, read_topic: Topics, billing: Service
) -> None:
    await with_trio(publish)
    beside = offer_v2.OfferWithdrawn(code="TRIO-MAX", versions=(1,), withdrawn_at=sales.SOLD_AT - timedelta(days=1))
    await publish(OfferWithdrawn(code="TRIO-MAX", withdrawn_at=sales.SOLD_AT), beside)  # which billing does not read
    await said(read_topic, 1)
    await settled(billing)
    just_before = sales.SOLD_AT - timedelta(seconds=1)
    await publish(changed(order(id="order-2", sold_at=just_before)), changed(order(), version=3))
    _, before, after = await said(read_topic, 3)
    assert isinstance(after, ChargeHeld)
    assert [(each.path, each.expected) for each in after.discrepancies] == [("/offer", "offer.not-on-sale")]
    assert isinstance(before, ChargesStarted)


async def test_a_termination_credits_what_was_paid_and_charges_nothing_any_more(
    desk: httpx.AsyncClient, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    ended = order(action="terminate", offer_code=None, offer=None, quote=None, price=None)
    await publish(changed(ended, in_place=TRIO.ref, effective_at=datetime(2026, 11, 10, 12, tzinfo=UTC)))
    stopped = (await said(read_topic, 2))[1]
    assert isinstance(stopped, ChargesStarted)
    assert (stopped.order_id, stopped.charge, stopped.one_off) == ("order-1", None, None)
    shown = await charges(desk)
    assert shown["in_force"] is None
    assert [each["amount"]["amount"] for each in shown["items"][1]["lines"]] == [-4900]


async def test_a_reversal_becomes_a_technical_case_and_charges_nothing(
    publish: Publish, read_topic: Topics, billing: Service
) -> None:
    await with_trio(publish)
    await said(read_topic, 1)
    await publish(changed(order(action="reverse", reverses="order-0")))

    async def case() -> Any:
        return [each.event for each in await read_topic("dead-letters") if isinstance(each.event, MessageDeadLettered)]

    (letter,) = await eventually(case)
    assert "ReversalNotChargedError" in letter.reason
    await settled(billing)
    assert len(await read_topic("invoices", SUB)) == 1


async def test_every_month_is_charged_in_advance_on_its_billing_day(
    desk: httpx.AsyncClient, publish: Publish, read_topic: Topics, clock: MovableClock
) -> None:
    await with_trio(publish)
    await said(read_topic, 1)
    clock.set_to(datetime(2027, 1, 1, 0, 0, tzinfo=UTC))

    async def lines() -> Any:
        (entry,) = (await charges(desk))["items"]
        return len(entry["lines"]) >= 2 and entry["lines"]

    assert [(each["invoice"], each["amount"]["amount"]) for each in await eventually(lines)] == [
        ("2026-12", 7000),
        ("2027-01", 7000),
    ]


async def test_open_invoices_show_net_and_vat(desk: httpx.AsyncClient, publish: Publish, read_topic: Topics) -> None:
    await publish(*sales.published(*OFFERS))
    new = sales.new_fibre()
    await publish(changed(new, version=1, effective_at=datetime(2026, 11, 1, 12, tzinfo=UTC)))
    await said(read_topic, 1)
    answer = (await desk.get(f"/v1/subscriptions/{SUB}/invoices")).json()
    assert answer["next"] is None
    (invoice,) = answer["items"]
    assert (invoice["period"], invoice["state"]) == ("2026-12", "open")
    assert [each["amount"]["amount"] for each in invoice["lines"]] == [6000, 5000]
    assert [invoice[part]["amount"] for part in ("total", "net", "vat")] == [11000, 9091, 1909]


RATES = [{"action": "modify", "since": "2026-01-01", "amount": {"amount": 3500, "currency": "EUR"}}]


async def with_rates(billing: Service) -> None:
    async with door(billing, "operator-of-the-tests") as operator:
        answer = await operator.put("/v1/partners/liege-calls/commission-rates", json=RATES)
    assert answer.status_code == 200, answer.text


async def test_a_commission_is_held_once_per_completed_order(
    desk: httpx.AsyncClient, billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_rates(billing)
    completed = OrderCompleted(order=order(), completed_at=sales.SOLD_AT)
    honoured = OrderCompleted(
        order=order(id="order-2", decision=decided("honour_quote", sales.honoured(7500))), completed_at=sales.SOLD_AT
    )
    last = OrderCompleted(order=order(id="order-3"), completed_at=sales.SOLD_AT)
    await publish(completed, completed, honoured, last)
    assert await said(read_topic, 2, "commissions") == [
        CommissionHeld(
            order_id=each, subscription_id=SUB, partner="liege-calls", agent="agent-17", commission=eur(3500)
        )
        for each in ("order-1", "order-3")
    ]
    shown = (await desk.get("/v1/partners/liege-calls/commissions")).json()
    assert [(each["order_id"], each["agent"], each["amount"]["amount"], each["state"]) for each in shown["items"]] == [
        ("order-3", "agent-17", 3500, "held"),
        ("order-1", "agent-17", 3500, "held"),
    ]
    assert shown["items"][0]["sold_at"] == "2026-11-20T13:57:00Z"


# ------------------------------------------------------------------------------------- what is held stays to be decided


def back_to_trio(version: int = 3, **parts: Any) -> SubscriptionChanged:
    """A later order of the same subscription: TRIO again, 70.00 instead of 81.00."""
    values: dict[str, Any] = {
        "id": "order-2",
        "offer_code": "TRIO",
        "offer": TRIO.ref,
        "quote": Quote(monthly_total=eur(7000)),
        "price": price(7000, -1100),
    }
    return changed(order(**(values | parts)), version=version, in_place=TRIO.ref)


def decided_later() -> SubscriptionChanged:
    """The order that was held, with a recorded decision about its price."""
    return changed(order(quote=Quote(monthly_change=eur(500)), decision=decided("apply_published_price")))


async def test_a_held_version_is_not_forgotten_when_a_newer_one_comes(
    desk: httpx.AsyncClient, billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    await publish(changed(order(quote=Quote(monthly_change=eur(500)))), back_to_trio())
    held = (await said(read_topic, 2))[1]
    assert isinstance(held, ChargeHeld)
    await settled(billing)
    assert len(await read_topic("invoices", SUB)) == 2  # the newer one waits
    assert (await charges(desk))["in_force"]["amount"] == 7000
    await publish(decided_later(), decided_later())
    first, second = (await said(read_topic, 4))[2:]
    assert isinstance(first, ChargesStarted)
    assert isinstance(second, ChargesStarted)
    assert [(each.order_id, each.subscription_version) for each in (first, second)] == [("order-1", 2), ("order-2", 3)]
    await settled(billing)
    assert len(await read_topic("invoices", SUB)) == 4
    assert len(await read_topic("dead-letters", SUB)) == 1
    shown = await charges(desk)
    assert [each["charge"]["monthly"]["amount"] for each in shown["items"]] == [7000, 8100, 7000]


async def test_a_version_that_waited_behind_a_held_one_is_judged_as_any_other(
    billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    wrong = back_to_trio(quote=Quote(monthly_total=eur(6900)))
    last = back_to_trio(4, id="order-3", offer_code="TRIO-MAX", offer=TRIO_MAX.ref)
    await publish(changed(order(quote=Quote(monthly_change=eur(500)))), wrong, last)
    await said(read_topic, 2)
    await publish(decided_later())
    started, held = (await said(read_topic, 4))[2:]
    assert isinstance(started, ChargesStarted)
    assert isinstance(held, ChargeHeld)
    assert (started.order_id, held.order_id) == ("order-1", "order-2")
    await settled(billing)
    assert len(await read_topic("invoices", SUB)) == 4  # and the last one waits for the second


async def test_a_decision_that_does_not_fit_leaves_the_version_held_and_the_newer_one_waiting(
    billing: Service, publish: Publish, read_topic: Topics
) -> None:
    await with_trio(publish)
    quote = Quote(monthly_change=eur(500))
    await publish(changed(order(quote=quote)), back_to_trio())
    await said(read_topic, 2)  # a decision can only follow what was held
    above = changed(order(quote=quote, decision=decided("honour_quote", sales.honoured(8200))))
    await publish(above)
    again = (await said(read_topic, 3))[2]
    assert isinstance(again, ChargeHeld)
    assert again.order_id == "order-1"
    await publish(decided_later())
    assert [type(each) for each in (await said(read_topic, 5))[3:]] == [ChargesStarted, ChargesStarted]
    await settled(billing)


async def test_a_version_whose_offer_was_late_waits_behind_one_that_is_held_meanwhile(
    billing: Service, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "late_offer_wait", 60)
    await publish(sales.imported(), changed(order(quote=Quote(monthly_change=eur(500)))), back_to_trio())
    await settled_except_jobs(billing, 3)
    await publish(*sales.published(*OFFERS))
    await said(read_topic, 2)
    await settled(billing)
    assert [type(each) for each in await read_topic.events("invoices", SUB)] == [ChargesStarted, ChargeHeld]
    await publish(decided_later())
    assert [type(each) for each in (await said(read_topic, 4))[2:]] == [ChargesStarted, ChargesStarted]
