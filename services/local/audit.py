"""The audit: reads every database and every topic of a stack at rest, and checks what must always hold.

It shares nothing with the services but the contracts, so that a fault of theirs is not a fault of its own. What is read
is in evidence.py, how it is read and judged slice by slice in audit_running.py; the checks of money are in prices.py,
those of what is on the topics in delivery.py.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from contracts.case_v1 import CaseOpened
from contracts.commission_v1 import CommissionHeld
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered
from contracts.invoice_v1 import ChargeHeld, ChargesStarted
from contracts.notice_v1 import NoticeUndeliverable
from contracts.offer_v1 import Offer
from contracts.order_v1 import FINAL, Order, OrderCompleted, OrderConfirmed, OrderEvent, OrderHeld, OrderPending
from contracts.subscription_v1 import (
    ChangeFailed,
    ChangeHeld,
    Subscription,
    SubscriptionChanged,
    beyond,
    lost,
    services_of,
)
from services.local import delivery, prices
from services.local.evidence import Evidence, Fault, People, Rows

__all__ = ["CHECKS", "Evidence", "Finding", "judge"]

EVENT_STATES = {
    "order.acknowledged.v1": "acknowledged",
    "order.held.v1": "held",
    "order.questioned.v1": "held",
    "order.answered.v1": "held",
    "order.pending.v1": "pending",
    "order.confirmed.v1": "inProgress",
    "order.cancellation-requested.v1": "assessingCancellation",
    "order.completed.v1": "completed",
    "order.rejected.v1": "rejected",
    "order.cancelled.v1": "cancelled",
    "order.failed.v1": "failed",
}
UNDECIDED = {"open", "awaiting_partner", "awaiting_approval"}
BESIDE_THE_ORDER = {"notice.undeliverable", "quote.disputed"}
NO_YES = "its customer did not say yes"
EMAIL = re.compile(rb"[\w.+-]+@[\w.-]+\w")
TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Finding:
    """One violation: which check, what it is about, and what is wrong."""

    check: str
    about: str
    fault: str


# --- orders ---------------------------------------------------------------------------------------------------------


def one_state(evidence: Evidence) -> Iterator[Fault]:
    """Each order is in exactly one state: its row, its history and the last event about it agree; an end is an end."""
    told: dict[str, list[str]] = defaultdict(list)
    for record, event in evidence.events(OrderEvent):
        if told[event.order.id] and told[event.order.id][-1] in FINAL:
            yield event.order.id, f"goes on after it was {told[event.order.id][-1]} ({record.place})"
        told[event.order.id].append(EVENT_STATES.get(event.type, event.type))
    for order_id in told.keys() - {row["id"] for row in evidence.orders}:
        yield order_id, "has events but no row"
    for row in evidence.orders:
        states = [entry["state"] for entry in row["history"]]
        last = told[row["id"]][-1] if told[row["id"]] else "nothing"
        if row["state"] != states[-1]:
            yield row["id"], f"is {row['state']}, its history ends with {states[-1]}"
        if row["state"] != last:
            yield row["id"], f"is {row['state']}, its last event says {last}"
        if sum(state in FINAL for state in states) > 1:
            yield row["id"], "ended more than once"


def one_order(evidence: Evidence) -> Iterator[Fault]:
    """One order per partner reference, and one per idempotency key; none that was answered is lost."""
    references = Counter((row["partner"], row["partner_reference"]) for row in evidence.references)
    for (partner, reference), count in references.items():
        if count > 1:
            yield f"{partner} {reference}", f"has {count} orders"
    keys = Counter(row["order_id"] for row in evidence.idempotency)
    for order_id, count in keys.items():
        if count > 1:
            yield order_id, f"was made under {count} idempotency keys"
    orders = {row["id"] for row in evidence.orders}
    for order_id in orders - keys.keys():
        yield order_id, "was made without an idempotency key"
    for order_id in keys.keys() - orders:
        yield order_id, "was answered, and is lost"


def clocks(evidence: Evidence) -> Iterator[Fault]:
    """No order is forgotten: each is held, has a clock or has ended, and a turn never stays with one that has ended."""
    jobs = [row["payload"] for row in evidence.jobs if row["service"] == "intake" and not row["failed"]]
    watched = {(job.get("order_id"), job.get("steps")) for job in jobs} | {job.get("confirmation_id") for job in jobs}
    going = {row["id"] for row in evidence.orders if row["state"] not in FINAL}
    turns = {row["id"]: row["holder"] for row in evidence.turns}
    for row in evidence.orders:
        clock = row["confirmation_id"] if row["state"] == "pending" else (row["id"], len(row["history"]))
        if row["state"] not in FINAL | {"held"} and clock not in watched:
            yield row["id"], f"is {row['state']} without a clock"
        if row["state"] == "acknowledged" and turns.get(row["subscription_id"]) is None:
            yield row["id"], "waits for its turn, which nobody has"
    for subscription_id, holder in turns.items():
        if holder is not None and holder not in going:
            yield subscription_id, f"its turn is still with {holder}, which has ended"


def completed(evidence: Evidence) -> Iterator[Fault]:
    """A completed order was carried out and charged; for one that ended otherwise nothing was done or earned."""
    carried_out = {e.order.id: e.order for _, e in evidence.events(SubscriptionChanged) if e.order}
    changed = carried_out.keys()
    charged = {e.order_id for _, e in evidence.events(ChargesStarted) if e.order_id}
    earned = {e.order_id for _, e in evidence.events(CommissionHeld)}
    done = {e.order.id: e.order for _, e in evidence.events(OrderCompleted)}
    honoured = {order_id for order_id, order in done.items() if _is_honoured(order)}
    for row in evidence.orders:
        order_id = row["id"]
        if row["state"] == "completed" and order_id not in changed & charged:
            yield order_id, "is completed, but not both changed and charged"
        if row["state"] in FINAL - {"completed"} | {"pending", "acknowledged"} and order_id in changed | charged:
            yield order_id, f"is {row['state']}, but something was done for it"
        if row["state"] != "completed" and order_id in earned:
            yield order_id, f"is {row['state']}, but a commission is held for it"
    for order_id in sorted(done.keys() & changed):
        if (done[order_id].offer, done[order_id].price) != (carried_out[order_id].offer, carried_out[order_id].price):
            yield order_id, "is completed as something else than what was carried out"
    for order_id in honoured & earned:
        yield order_id, "was honoured below the published price, but a commission is held for it"


def _is_honoured(order: Order) -> bool:
    return order.decision is not None and order.decision.kind == "honour_quote"


def confirmed(evidence: Evidence) -> Iterator[Fault]:
    """Nothing is done before the customer's yes, or the contract that she signed in the shop, to this price."""
    yes = {row["id"] for row in evidence.confirmations if row["answer"] == "yes"}
    contracts = {(row["partner"], row["sha256"]): row["order_id"] for row in evidence.contracts}
    asked: dict[str, str] = {}
    agreed: dict[str, Order] = {}
    started = set()
    held = set()
    for record, event in evidence.events(OrderPending, OrderHeld, OrderConfirmed):
        order = event.order
        if isinstance(event, OrderPending):
            asked[order.id], agreed[order.id] = event.confirmation_id, order
            continue
        if isinstance(event, OrderHeld):
            held.add(order.id)
            continue
        started.add(order.id)
        lacks = _lacks(order, asked.get(order.id), yes, contracts)
        if order.id in held and order.id not in agreed:
            yield record.place, f"{order.id} was in review, and its customer was not asked"
        first = agreed.setdefault(order.id, order)
        if lacks:
            yield record.place, f"{order.id} is confirmed, but {lacks}"
        elif (first.price, first.offer) != (order.price, order.offer):
            yield record.place, f"{order.id} is confirmed at another price than its customer agreed to"
    for record, event in evidence.events(SubscriptionChanged):
        if event.order and event.order.id not in started:
            yield record.place, f"{event.order.id} was carried out without being confirmed"


def _lacks(order: Order, question: str | None, yes: set[str], contracts: dict[tuple[str, str], str]) -> str | None:
    """What a confirmed order lacks: the yes to the question, or where nobody asked, the signed contract of the shop."""
    if question in yes:
        return None
    signed = order.evidence
    if question or signed is None or signed.kind != "signed-contract" or order.channel != "shop":
        return NO_YES
    proves = contracts.get((order.partner, signed.sha256))
    if proves is None:
        return "the contract that its customer signed is not held"
    return None if proves == order.id else f"the contract that its customer signed proves {proves}"


# --- what the customer has ------------------------------------------------------------------------------------------


def removals(evidence: Evidence) -> Iterator[Fault]:
    """Nothing was removed that the order did not name, and the snapshot is what was there before."""
    before: dict[str, Any] = {}
    for record, event in evidence.changes().values():
        gone = lost(event.before, event.subscription) if event.before else ()
        named = event.order.removals if event.order else ()
        unnamed, excess = beyond(gone, named), beyond(named, gone)
        about = event.subscription.id
        if unnamed:
            yield record.place, f"{about} lost {', '.join(unnamed)}, which nobody named"
        if excess:
            yield record.place, f"{about} kept {', '.join(excess)}, which was to be removed"
        if event.before != before.get(about):
            yield record.place, f"{about}: the snapshot is not what was there before"
        before[about] = event.subscription


def ordered(evidence: Evidence) -> Iterator[Fault]:
    """What is in place is what was ordered, and what the network did is what was told."""
    offers = evidence.published_offers()
    network = {(call["id"], call["version"]): call["answer"]["services"] for call in evidence.calls}
    failed = {event.subscription_id for _, event in evidence.events(ChangeFailed)}
    changes, latest = evidence.changes(), dict[str, Subscription]()
    for what, (record, event) in changes.items():
        now, order = event.subscription, event.order
        latest[now.id] = now
        if not _as_ordered(event, offers):
            yield record.place, f"{now.id} has something else than was ordered"
        if order and network.get(what) != [each.model_dump() for each in now.services]:
            yield record.place, f"{now.id} version {now.version} is not what the network did"
    for identity, version in network.keys() - changes.keys():
        if identity not in failed:
            yield identity, f"the network made version {version}, and nobody says so"
    for row in evidence.inventory:
        told = latest.get(row["id"])
        if row["subscription"] != (told and told.model_dump(mode="json")):
            yield row["id"], "is not in the inventory as it was told last"
    yield from _left_behind(evidence, network)


def _left_behind(evidence: Evidence, network: dict[tuple[str, int], Any]) -> Iterator[Fault]:
    """Once no order is open any more, the network has what the customer has: of a cancelled order nothing is left."""
    busy = {row["subscription_id"] for row in evidence.orders if row["state"] not in FINAL}
    last = {identity: services for (identity, _), services in sorted(network.items(), key=lambda each: each[0])}
    for row in evidence.inventory:
        has = row["subscription"]["services"] if row["subscription"] else []
        if row["id"] not in busy and last.get(row["id"], has) != has:
            yield row["id"], "has something else at the network than in the inventory, and no order is open"


def _as_ordered(event: SubscriptionChanged, offers: dict[Any, Offer]) -> bool:
    now, order = event.subscription, event.order
    if order is not None and order.action == "terminate":
        return not now.named()
    offer = offers.get((now.offer.code, now.offer.version))
    if offer is None or now.services != services_of(offer):
        return False
    devices = sorted(each.type for each in now.equipment)
    return order is None or (order.offer == now.offer and devices == sorted(offer.equipment))


# --- people ---------------------------------------------------------------------------------------------------------


def one_case(evidence: Evidence) -> Iterator[Fault]:
    """Every discrepancy and every failed message is exactly one case, in which whatever is held for it is named."""
    found = Counter(event.case_id for _, event in evidence.events(DiscrepancyFound))
    failed = {event.case_id for _, event in evidence.events(MessageDeadLettered)}
    opened = Counter(event.case_id for _, event in evidence.events(CaseOpened))
    named = {e.case_id for _, e in evidence.events(OrderHeld, ChangeHeld, ChangeFailed, ChargeHeld) if e.case_id}
    named |= {event.case_id for _, event in evidence.events(NoticeUndeliverable)}
    cases = Counter(row["id"] for row in evidence.cases)
    for case_id in found.keys() | failed | opened.keys() | named:
        if cases[case_id] != 1:
            yield case_id, f"is {cases[case_id]} cases"
        if found[case_id] > 1:
            yield case_id, f"was found {found[case_id]} times"
    for case_id in cases:
        if opened[case_id] != 1:
            yield case_id, f"was opened {opened[case_id]} times"


def open_cases(evidence: Evidence) -> Iterator[Fault]:
    """A held order is in an undecided case, no case waits for an order that ended, and every decision was answered."""
    states = {row["id"]: row["state"] for row in evidence.orders}
    cases = {row["id"]: row["state"] for row in evidence.cases}
    for row in evidence.orders:
        if row["state"] == "held" and cases.get(row["case_id"]) not in UNDECIDED:
            yield row["id"], f"is held, its case {row['case_id']} is {cases.get(row['case_id'])}"
    for row in evidence.cases:
        if row["order_id"] is None or BESIDE_THE_ORDER.issuperset(row["codes"]):
            continue
        if row["state"] in UNDECIDED and states.get(row["order_id"]) in FINAL:
            yield row["id"], f"is {row['state']}, its order {row['order_id']} has ended"
        if row["state"] == "decided":
            yield row["id"], "was decided, and nobody carried it out"


def failures(evidence: Evidence) -> Iterator[Fault]:
    """What failed is a case that is not closed: a message with all that waits behind it, or a job."""
    still_open = {row["id"] for row in evidence.cases if row["state"] in UNDECIDED | {"decided"}}
    failed = {(row["service"], row["queue"]) for row in evidence.letters if row["state"] == "failed"}
    for row in evidence.letters:
        place = f"{row['topic']}/{row['partition']}/{row['offset']}"
        if row["state"] == "failed" and row["case_id"] not in still_open:
            yield place, f"failed in {row['service']}, its case {row['case_id']} is closed or was never opened"
        if row["state"] == "waiting" and (row["service"], row["queue"]) not in failed:
            yield place, f"waits in {row['service']} behind nothing"
    for row in evidence.parked:
        if (row["service"], row["queue"]) not in failed:
            yield row["queue"], f"is parked in {row['service']}, and nothing of it failed"
    told = Counter((each.stage, each.path) for _, event in evidence.events(CaseOpened) for each in event.discrepancies)
    for (service, path), count in _failed_jobs(evidence.jobs).items():
        if told[service, path] < count:
            yield path, f"{count} failed in {service}, {told[service, path]} are cases"


def _failed_jobs(jobs: Rows) -> Counter[tuple[str, str]]:
    return Counter((row["service"], f"/jobs/{row['name']}") for row in jobs if row["failed"])


def personal(evidence: Evidence) -> Iterator[Fault]:
    """Personal data is on the topic `customers` alone: no name, address or phone on file stands in another event."""
    for record in evidence.records:
        if record.topic != "customers" and _names_somebody(record.value or b"", evidence.people):
            yield record.place, "holds the name, the address or the phone of a customer"


def _names_somebody(value: bytes, people: People) -> bool:
    """Whether a whole text in it is somebody's name or phone, or any part of it an address.

    What stands between quotes is looked up first, and `@` looked for: patterns are slow, and nearly always needless.
    """
    named = not people.texts.isdisjoint(value.split(b'"')) and not people.texts.isdisjoint(TEXT.findall(value))
    return named or (b"@" in value and not people.addresses.isdisjoint(EMAIL.findall(value)))


CHECKS: dict[str, Callable[[Evidence], Iterable[Fault]]] = {
    "each order in exactly one state": one_state,
    "one order per key and reference": one_order,
    "no order forgotten": clocks,
    "completed = done and charged": completed,
    "nothing before the customer's yes": confirmed,
    "sequences per key gapless and in order": delivery.sequences,
    "everything decided was sent and consumed": delivery.delivered,
    "no effect twice": delivery.once,
    "charge = published price or recorded decision": prices.charges,
    "line = charge for its days, once": prices.lines,
    "decisions recorded, not on one's own sale": prices.decisions,
    "nothing removed that was not named": removals,
    "in place = what was ordered": ordered,
    "every discrepancy exactly one case": one_case,
    "held orders and decisions in hand": open_cases,
    "whatever failed is a case": failures,
    "personal data on customers alone": personal,
}


WHOLE = frozenset({"whatever failed is a case"})
"""The checks of what is not about one key of the topics: they need the whole, and nothing else does."""


def judge(evidence: Evidence, checks: Iterable[str] = CHECKS) -> list[Finding]:
    """Run some checks, or every one."""
    return [Finding(name, about, fault) for name in checks for about, fault in CHECKS[name](evidence)]
