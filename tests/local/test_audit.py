"""Each check of the audit, broken by hand once: it must be the one that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from contracts.commission_v1 import CommissionHeld
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.event import Envelope, Event
from contracts.invoice_v1 import Charge, ChargesStarted
from contracts.money import Money
from contracts.offer_v1 import Channel, Names, Offer, OfferedService, OfferPublished, Price
from contracts.order_v1 import (
    Discrepancy,
    Order,
    OrderCompleted,
    OrderConfirmed,
    OrderHeld,
    OrderPending,
    PriceDecision,
)
from contracts.subscription_v1 import Subscription, SubscriptionChanged, services_of
from contracts.topics import BY_EVENT
from services.local import audit
from services.local.audit import Evidence
from services.local.records import Record

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)


def euro(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def offer(code: str, monthly: int, *services: str) -> Offer:
    return Offer(
        code=code,
        version=1,
        names=Names(fr=code, nl=code, de=code, en=code),
        monthly=euro(monthly),
        services=tuple(OfferedService(code=each) for each in services),
        on_sale_from=date(2026, 1, 1),
        channels=(Channel.TELESALES,),
    )


TRIO, MAX = offer("TRIO", 7000, "internet", "tv"), offer("MAX", 8100, "internet", "tv", "bouquet")


def order(identity: str, **changes: Any) -> Order:
    values = {
        "id": identity,
        "partner": "liege-calls",
        "partner_reference": identity,
        "agent": "agent-17",
        "channel": "telesales",
        "action": "modify",
        "customer_id": "cust-1",
        "subscription_id": "sub-1",
        "offer_code": "MAX",
        "offer": MAX.ref,
        "sold_at": NOW,
        "received_at": NOW,
    }
    return Order(**{**values, **changes})


def subscription(version: int, of: Offer) -> Subscription:
    return Subscription(
        id="sub-1",
        customer_id="cust-1",
        version=version,
        offer=of.ref,
        services=services_of(of),
        contract_since=date(2026, 5, 1),
    )


def changed(**changes: Any) -> SubscriptionChanged:
    values = {
        "subscription": subscription(2, MAX),
        "before": subscription(1, TRIO),
        "order": order("done"),
        "effective_at": NOW,
    }
    return SubscriptionChanged(**{**values, **changes})


def charged(amount: int = 8100, version: int = 2) -> ChargesStarted:
    return ChargesStarted(
        order_id="done",
        subscription_id="sub-1",
        customer_id="cust-1",
        subscription_version=version,
        charge=Charge(offer=MAX.ref, monthly=euro(amount), since=date(2026, 11, 20)),
    )


DISCREPANCY = Discrepancy(code="price.change", path="/quote/monthly_change", stage="intake")
FOUND = DiscrepancyFound(case_id="case-1", order_id="held", subscription_id="sub-1", discrepancies=(DISCREPANCY,))


class World:
    """A small world in which all is well."""

    def __init__(self) -> None:
        self.events: list[Event] = [
            OfferPublished(offer=TRIO, published_at=NOW),
            OfferPublished(offer=MAX, published_at=NOW),
            OrderPending(order=order("done"), confirmation_id="c", expires_at=NOW),
            OrderConfirmed(order=order("done"), confirmed_at=NOW, medium="email-link"),
            OrderCompleted(order=order("done"), completed_at=NOW),
            OrderHeld(order=order("held"), case_id="case-1", codes=("price.change",)),
            changed(),
            charged(),
            CommissionHeld(order_id="done", subscription_id="sub-1", partner="p", agent="a", commission=euro(2500)),
            FOUND,
        ]
        self.orders = [self._row("done", "completed", None), self._row("held", "held", "case-1")]
        self.idempotency = [{"partner": "p", "key": each, "order_id": each} for each in ("done", "held")]
        self.cases: list[dict[str, Any]] = [{"id": "case-1", "state": "open", "order_id": "held"}]
        self.calls = [{"id": "sub-1", "version": 2}]

    @staticmethod
    def _row(identity: str, state: str, case_id: str | None) -> dict[str, Any]:
        return {
            "id": identity,
            "partner": "p",
            "partner_reference": identity,
            "state": state,
            "case_id": case_id,
            "history": [{"state": state}],
        }

    def row(self, identity: str) -> dict[str, Any]:
        return next(row for row in self.orders if row["id"] == identity)

    def evidence(self) -> Evidence:
        records: list[Record] = []
        for number, event in enumerate(self.events):
            topic = BY_EVENT[type(event)]
            sequence = 1 + sum(each.topic == topic.name and each.key == event.key.encode() for each in records)
            envelope = Envelope(f"id-{number}", topic.writers[0], event.type, NOW, event.subject, event.key, sequence)
            records.append(Record(topic.name, 0, number, 0, event.key.encode(), event.to_value(), envelope, event))
        return Evidence(records, self.orders, self.idempotency, self.cases, self.calls)

    def findings(self, evidence: Evidence | None = None) -> set[str]:
        return {each.check for each in audit.judge(evidence or self.evidence())}


def test_finds_nothing_where_all_is_well() -> None:
    assert World().findings() == set()


STATE, ORDER, SEQUENCE = (
    "each order in exactly one state",
    "one order per key and reference",
    "sequences per key gapless and in order",
)
CHARGE, ONCE, COMPLETED = (
    "charge = published price or recorded decision",
    "no effect twice",
    "completed = done and charged",
)
REMOVED, CASE = "nothing removed that was not named", "every discrepancy exactly one case"


def _replaced(world: World, kind: type[Event], *instead: Event) -> None:
    at = next(number for number, event in enumerate(world.events) if isinstance(event, kind))
    world.events[at : at + 1] = instead


def _without_tv() -> SubscriptionChanged:
    after = subscription(2, MAX)
    return changed(subscription=after.model_copy(update={"services": after.services[:1]}))


def _honoured() -> SubscriptionChanged:
    price = Price(monthly_total=euro(8100), monthly_full=euro(8100), one_off=euro(0))
    decision = PriceDecision(kind="honour_quote", case_id="case-9", reviewer="nobody", honoured=price)
    return changed(order=order("done", decision=decision))


BREAKS: dict[str, tuple[str, Callable[[World], Any]]] = {
    "a row in another state than its last event": (STATE, lambda w: w.row("done").update(state="failed")),
    "a history that ends elsewhere": (STATE, lambda w: w.row("held").update(history=[{"state": "pending"}])),
    "an order that ended twice": (
        STATE,
        lambda w: w.row("done").update(history=[{"state": "cancelled"}, {"state": "completed"}]),
    ),
    "an order without a row": (STATE, lambda w: w.orders.pop(1)),
    "two orders under one reference": (ORDER, lambda w: w.row("held").update(partner_reference="done")),
    "one order under two keys": (
        ORDER,
        lambda w: w.idempotency.append({"partner": "p", "key": "again", "order_id": "done"}),
    ),
    "an order without a key": (ORDER, lambda w: w.idempotency.pop()),
    "a charge one cent off": (CHARGE, lambda w: _replaced(w, ChargesStarted, charged(8101))),
    "a charge by a decision that nobody took": (CHARGE, lambda w: _replaced(w, SubscriptionChanged, _honoured())),
    "a charge for a version that never was": (CHARGE, lambda w: w.events.append(charged(version=3))),
    "another change of the same version": (ONCE, lambda w: w.events.append(_without_tv())),
    "a charge twice": (ONCE, lambda w: w.events.append(charged())),
    "a commission twice": (ONCE, lambda w: w.events.append(w.events[8])),
    "the network twice": (ONCE, lambda w: w.calls.append({"id": "sub-1", "version": 2})),
    "completed without a charge": (COMPLETED, lambda w: w.events.remove(w.events[7])),
    "a service gone that nobody named": (REMOVED, lambda w: _replaced(w, SubscriptionChanged, _without_tv())),
    "a discrepancy without a case": (CASE, lambda w: w.cases.pop()),
    "a discrepancy found twice": (CASE, lambda w: w.events.append(FOUND)),
    "a case of nothing": (CASE, lambda w: w.cases.append({"id": "case-2", "state": "open", "order_id": None})),
    "a held order in a closed case": (CASE, lambda w: w.cases[0].update(state="applied")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_finds_what_was_broken_by_hand(name: str) -> None:
    check, breaking = BREAKS[name]
    world = World()
    breaking(world)
    assert check in world.findings()


def test_finds_something_done_for_an_order_that_was_cancelled() -> None:
    world = World()
    world.row("done").update(state="cancelled", history=[{"state": "cancelled"}])
    assert COMPLETED in world.findings()


@pytest.mark.parametrize("sequence", [1, 3, 9])
def test_finds_a_gap_and_a_step_back_in_the_sequence_of_a_key(sequence: int) -> None:
    world = World()
    evidence = world.evidence()
    second = next(n for n, each in enumerate(evidence.records) if isinstance(each.event, OrderConfirmed))
    record = evidence.records[second]
    assert record.envelope is not None
    evidence.records[second] = replace(record, envelope=replace(record.envelope, sequence=sequence))
    assert world.findings(evidence) == {SEQUENCE}


def test_takes_a_repeat_of_the_same_event_for_no_second_effect() -> None:
    world = World()
    evidence = world.evidence()
    evidence.records.append(next(each for each in evidence.records if isinstance(each.event, ChargesStarted)))
    assert world.findings(evidence) == set()


def test_takes_a_change_that_is_said_again_for_the_same_change() -> None:
    world = World()
    world.events.append(changed(order=order("done", attempt=2)))
    assert world.findings() == set()
