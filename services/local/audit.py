"""The audit: reads every database and every topic of a stack at rest, and checks what must always hold.

It shares nothing with the services but the contracts, so that a fault of theirs is not a fault of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from contracts.case_v1 import CaseDecided
from contracts.commission_v1 import CommissionHeld
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.money import Money
from contracts.offer_v1 import OfferPublished, OfferWithdrawn, Publication, on_sale
from contracts.order_v1 import FINAL, OrderEvent
from contracts.subscription_v1 import SubscriptionChanged, beyond, lost
from contracts.topics import BY_NAME
from services.local.records import Record, read_all

EVENT_STATES = {
    "order.acknowledged.v1": "acknowledged",
    "order.held.v1": "held",
    "order.pending.v1": "pending",
    "order.confirmed.v1": "inProgress",
    "order.cancellation-requested.v1": "assessingCancellation",
    "order.completed.v1": "completed",
    "order.rejected.v1": "rejected",
    "order.cancelled.v1": "cancelled",
    "order.failed.v1": "failed",
}
OPEN_CASES = {"open", "awaiting_partner", "awaiting_approval", "decided"}


@dataclass(frozen=True)
class Finding:
    """One violation: which check, what it is about, and what is wrong."""

    check: str
    about: str
    fault: str


@dataclass
class Evidence:
    """All that the audit looks at: the records of all topics, and rows of the services' databases."""

    records: list[Record]
    orders: list[dict[str, Any]] = field(default_factory=list)
    idempotency: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def events(self, *kinds: type[Event]) -> Iterator[tuple[Record, Any]]:
        """The readable events of some kinds, each once: a repeat of an id is no second event."""
        seen: set[str] = set()
        for record in self.records:
            if record.envelope and isinstance(record.event, kinds) and record.envelope.id not in seen:
                seen.add(record.envelope.id)
                yield record, record.event


def gather(description: dict[str, Any], calls: list[dict[str, Any]]) -> Evidence:
    """Read every topic and every database of a stack."""
    records = read_all(description["kafka"])
    databases = {name: each["database"] for name, each in description["services"].items()}
    return asyncio.run(_read_databases(records, databases, calls))


async def _read_databases(records: list[Record], urls: dict[str, str], calls: list[dict[str, Any]]) -> Evidence:
    return Evidence(
        records,
        orders=await _rows(
            urls["intake"], 'SELECT id, partner, partner_reference, state, case_id, history FROM "order"'
        ),
        idempotency=await _rows(urls["intake"], "SELECT partner, key, order_id FROM idempotency"),
        cases=await _rows(urls["review"], 'SELECT id, state, order_id FROM "case"'),
        calls=calls,
    )


async def _rows(url: str, statement: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        return [dict(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def one_state(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each order is in exactly one state: its row, its history and the last event about it agree."""
    last = {event.order.id: record for record, event in evidence.events(OrderEvent)}
    rows = {row["id"]: row for row in evidence.orders}
    for order_id in last.keys() - rows.keys():
        yield order_id, "has events but no row"
    for order_id, row in rows.items():
        ended = row["history"][-1]["state"]
        told = EVENT_STATES.get(last[order_id].event.type) if order_id in last else None  # type: ignore[union-attr]
        if row["state"] != ended:
            yield order_id, f"is {row['state']}, its history ends with {ended}"
        if told != row["state"]:
            yield order_id, f"is {row['state']}, its last event says {told}"
        if sum(entry["state"] in FINAL for entry in row["history"]) > 1:
            yield order_id, "ended more than once"


def one_order(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """One order per partner reference, and one per idempotency key."""
    references = Counter((row["partner"], row["partner_reference"]) for row in evidence.orders)
    for (partner, reference), count in references.items():
        if count > 1:
            yield f"{partner} {reference}", f"has {count} orders"
    keys = Counter(row["order_id"] for row in evidence.idempotency)
    for order_id, count in keys.items():
        if count > 1:
            yield order_id, f"was made under {count} idempotency keys"
    for row in evidence.orders:
        if row["id"] not in keys:
            yield row["id"], "was made without an idempotency key"


def sequences(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Per source, topic and key the sequences rise, without gaps, in the order in which they lie on the topic."""
    reached: dict[tuple[str, str, str], int] = defaultdict(int)
    seen: set[str] = set()
    for record in evidence.records:
        envelope = record.envelope
        if envelope is None or envelope.sequence is None or envelope.key is None or envelope.id in seen:
            continue
        if envelope.source not in BY_NAME[record.topic].writers or record.event is None:
            continue
        seen.add(envelope.id)
        where = (envelope.source, record.topic, envelope.key)
        before, reached[where] = reached[where], max(reached[where], envelope.sequence)
        if BY_NAME[record.topic].gapless and envelope.sequence != before + 1:
            yield record.place, f"sequence {envelope.sequence} of {envelope.key} follows {before}"
        if envelope.sequence <= before:
            yield record.place, f"sequence {envelope.sequence} of {envelope.key} lies behind {before}"


def charges(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each charge is the price recomputed from the topic `offers` alone, or the amount of a recorded decision."""
    publications = _publications(evidence)
    decided = {event.case_id for _, event in evidence.events(CaseDecided) if event.decision == "honour_quote"}
    changes = {
        (event.subscription.id, event.subscription.version): event for _, event in evidence.events(SubscriptionChanged)
    }
    for record, started in evidence.events(ChargesStarted):
        change = changes.get((started.subscription_id, started.subscription_version))
        if change is None:
            yield record.place, f"{started.subscription_id} is charged for a version that it never had"
            continue
        honoured = change.order.decision if change.order else None
        if honoured and honoured.honoured and honoured.case_id not in decided:
            yield record.place, f"{started.subscription_id} is charged by a decision that no reviewer took"
        expected = _expected_price(change, publications)
        charged = _charged(started)
        if expected != charged:
            yield record.place, f"{started.subscription_id} is charged {charged}, published or decided is {expected}"


def _publications(evidence: Evidence) -> dict[str, list[Publication]]:
    found: dict[str, list[Publication]] = defaultdict(list)
    for _, event in evidence.events(OfferPublished, OfferWithdrawn):
        if isinstance(event, OfferPublished):
            found[event.offer.code].append(Publication(offer=event.offer, published_at=event.published_at))
        else:
            update = {"withdrawn_at": event.withdrawn_at}
            found[event.code] = [
                each if each.withdrawn_at else each.model_copy(update=update) for each in found[event.code]
            ]
    return found


Figures = tuple[Money, Money | None, int | None, Money] | None


def _expected_price(change: SubscriptionChanged, publications: dict[str, list[Publication]]) -> Figures:
    """Return full monthly price, promotion per month and months, one-off; None where nothing is charged any more."""
    order, sale = change.order, change.imported
    if order is not None and order.action == "terminate":
        return None
    if order is not None and order.decision is not None and order.decision.honoured is not None:
        price = order.decision.honoured
    else:
        channel, sold_at = (order.channel, order.sold_at) if order else (sale.channel, sale.sold_at)  # type: ignore[union-attr]
        offer = on_sale(publications[change.subscription.offer.code], channel, sold_at)
        if isinstance(offer, str):
            return None
        price = offer.price(channel, order.action if order else "modify", sold_at)
    promotion = price.promotion
    free = Money(amount=0, currency=price.monthly_full.currency)
    return (
        price.monthly_full,
        promotion.monthly if promotion else None,
        promotion.months if promotion else None,
        price.one_off if order else free,
    )


def _charged(started: ChargesStarted) -> Figures:
    charge = started.charge
    if charge is None:
        return None
    running = charge.promotion
    months = None
    if running is not None:
        first, last = (list(map(int, month.split("-"))) for month in (running.first_month, running.last_month))
        months = (last[0] - first[0]) * 12 + last[1] - first[1] + 1
    free = Money(amount=0, currency=charge.monthly.currency)
    return charge.monthly, running.monthly if running else None, months, started.one_off or free


def once(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No effect happens twice: one change and one charge per subscription version, one commission per order.

    A change that is said again, because a reviewer sent its order again, is the same change.
    """
    changes = {
        (event.subscription.id, event.subscription.version, event.subscription.model_dump_json())
        for _, event in evidence.events(SubscriptionChanged)
    }
    changed = Counter((identity, version) for identity, version, _ in changes)
    charged = Counter((e.subscription_id, e.subscription_version) for _, e in evidence.events(ChargesStarted))
    paid = Counter((e.order_id, "commission") for _, e in evidence.events(CommissionHeld))
    activated = Counter((call["id"], call["version"]) for call in evidence.calls)
    for what, counted in (
        ("changed", changed),
        ("charged", charged),
        ("held a commission for", paid),
        ("activated", activated),
    ):
        for (about, version), count in counted.items():
            if count > 1:
                yield f"{about} {version}", f"{what} {count} times"


def completed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A completed order was carried out and charged; one that ended otherwise was not."""
    changed = {e.order.id for _, e in evidence.events(SubscriptionChanged) if e.order}
    charged = {e.order_id for _, e in evidence.events(ChargesStarted) if e.order_id}
    for row in evidence.orders:
        order_id = row["id"]
        if row["state"] == "completed" and not {order_id} <= changed & charged:
            yield order_id, "is completed, but not both changed and charged"
        if row["state"] in {"rejected", "cancelled", "pending", "acknowledged"} and order_id in changed | charged:
            yield order_id, f"is {row['state']}, but something was done for it"


def removals(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Nothing was removed that the order did not name."""
    for record, event in evidence.events(SubscriptionChanged):
        gone = lost(event.before, event.subscription) if event.before else ()
        named = event.order.removals if event.order else ()
        unnamed = beyond(gone, named)
        if unnamed:
            yield record.place, f"{event.subscription.id} lost {', '.join(unnamed)}, which nobody named"


def one_case(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every discrepancy and every dead letter is exactly one case, and every held order is in an open one."""
    opened = {event.case_id for _, event in evidence.events(DiscrepancyFound, MessageDeadLettered)}
    found = Counter(event.case_id for _, event in evidence.events(DiscrepancyFound))
    cases = Counter(row["id"] for row in evidence.cases)
    states = {row["id"]: row["state"] for row in evidence.cases}
    for case_id in opened:
        if cases[case_id] != 1:
            yield case_id, f"is {cases[case_id]} cases"
        if found[case_id] > 1:
            yield case_id, f"was found {found[case_id]} times"
    for case_id in cases.keys() - opened:
        yield case_id, "is a case of nothing"
    for row in evidence.orders:
        if row["state"] == "held" and states.get(row["case_id"]) not in OPEN_CASES:
            yield row["id"], f"is held, its case {row['case_id']} is {states.get(row['case_id'])}"


CHECKS: dict[str, Callable[[Evidence], Iterable[tuple[str, str]]]] = {
    "each order in exactly one state": one_state,
    "one order per key and reference": one_order,
    "sequences per key gapless and in order": sequences,
    "charge = published price or recorded decision": charges,
    "no effect twice": once,
    "completed = done and charged": completed,
    "nothing removed that was not named": removals,
    "every discrepancy exactly one case": one_case,
}


def judge(evidence: Evidence) -> list[Finding]:
    """Run every check."""
    return [Finding(name, about, fault) for name, check in CHECKS.items() for about, fault in check(evidence)]
