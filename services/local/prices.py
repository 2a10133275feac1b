"""The audit of money: what is charged against the price recomputed from the topic `offers`, or a recorded decision."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from contracts.case_v1 import CLOSED, CaseDecided, CaseOpened
from contracts.invoice_v1 import Charge, ChargesStarted, RunningPromotion
from contracts.money import Money, Promotion
from contracts.offer_v1 import Offer, OfferRef, Price, Publication, brussels_day, on_sale
from contracts.order_v1 import Order, OrderEvent
from contracts.subscription_v1 import SubscriptionChanged
from services.local.evidence import Evidence, Fault

Publications = Mapping[str, Sequence[Publication]]
Taken = set[tuple[str, str, str, str | None]]


def charges(evidence: Evidence) -> Iterator[Fault]:
    """Each charge is the price recomputed from the topic `offers` alone, or the amount of a recorded decision."""
    changes, known, charged = evidence.changes(), (evidence.publications(), recorded(evidence)), set()
    for record, started in evidence.events(ChargesStarted):
        what = (started.subscription_id, started.subscription_version)
        charged.add(what)
        if what not in changes:
            yield record.place, f"{what[0]} is charged for a version that it never had"
            continue
        for fault in _charge_faults(changes[what][1], started, *known):
            yield record.place, f"{what[0]}: {fault}"
    letters, held, waits_behind = _failed_in_billing(evidence), _held(evidence), set()
    for what, (record, change) in changes.items():
        if what in charged or record.place in letters or what[0] in waits_behind:
            continue
        if (what[0], change.order.id if change.order else None) not in held:
            yield record.place, f"{what[0]} version {what[1]} is not charged, and nobody looks at it"
        elif change.order:
            waits_behind.add(what[0])  # newer versions wait until this one is charged


def recorded(evidence: Evidence) -> Taken:
    """The decisions that reviewers took: which, in which case, by whom, about which order."""
    return {(e.decision, e.case_id, e.reviewer, e.order_id) for _, e in evidence.events(CaseDecided)}


def _failed_in_billing(evidence: Evidence) -> set[str]:
    """The places of the messages that billing could not handle: they are cases of their own."""
    letters = evidence.letters
    return {f"{e['topic']}/{e['partition']}/{e['offset']}" for e in letters if e["service"] == "billing"}


def _held(evidence: Evidence) -> set[tuple[str | None, str | None]]:
    """Whose version billing does not charge because a person looks at it: subscription, and order if there is one.

    While billing's case is not closed, or the order is still held: another case may have taken its place.
    """
    closed = {row["id"] for row in evidence.cases if row["state"] in CLOSED}
    held = {row["id"] for row in evidence.orders if row["state"] == "held"}
    return {
        (event.subscription_id, event.order_id)
        for _, event in evidence.events(CaseOpened)
        if any(each.stage == "billing" for each in event.discrepancies)
        and (event.case_id not in closed or event.order_id in held)
    }


def _charge_faults(
    change: SubscriptionChanged, started: ChargesStarted, publications: Publications, taken: Taken
) -> Iterator[str]:
    order, charge = change.order, started.charge
    if order is not None and order.action == "terminate":
        if charge is not None:
            yield "is charged after its end"
        return
    sold = _sold(change, publications)
    if charge is None or isinstance(sold, str):
        yield f"cannot be priced: {sold}" if isinstance(sold, str) else "is charged nothing"
        return
    offer, published = sold
    honoured = _honoured(order, taken)
    if honoured is not None and _above(honoured, published):
        yield "its honoured quote is above the published price"
    right, wrong = _expected(change, offer.ref, honoured or published), _charged(started, charge)
    for name, value in right.items():
        if wrong[name] != value:
            yield f"{name} is charged as {_said(wrong[name])}, published or decided is {_said(value)}"


def _sold(change: SubscriptionChanged, publications: Publications) -> tuple[Offer, Price] | str:
    """The version that was on sale when this was sold, and its published price then; or why there is none."""
    sale = change.order or change.imported
    if sale is None:
        return "neither ordered nor imported"
    code = change.order.offer_code if change.order else change.subscription.offer.code
    offer = on_sale(publications.get(code or "", ()), sale.channel, sale.sold_at)
    if isinstance(offer, str):
        return offer
    return offer, offer.price(sale.channel, change.order.action if change.order else "add", sale.sold_at)


def _honoured(order: Order | None, taken: Taken) -> Price | None:
    """The price of a decision, if a reviewer took it."""
    decision = order.decision if order else None
    if order is None or decision is None or decision.kind != "honour_quote":
        return None
    return decision.honoured if (decision.kind, decision.case_id, decision.reviewer, order.id) in taken else None


def _above(honoured: Price, published: Price) -> bool:
    """Whether any part is more than published, or a promotion is over while the published one still runs."""
    parts = ("monthly_total", "monthly_full", "one_off")
    months = [each.promotion.months if each.promotion else 0 for each in (honoured, published)]
    shorter = months[0] < months[1] and honoured.monthly_full.amount > published.monthly_total.amount
    return shorter or any(getattr(honoured, part).amount > getattr(published, part).amount for part in parts)


def _expected(change: SubscriptionChanged, offer: OfferRef, price: Price) -> dict[str, object]:
    order, sale = change.order, change.imported
    since = brussels_day(change.effective_at if order or sale is None else sale.sold_at)
    return {
        "order": order.id if order else None,
        "offer": offer,
        "since": since,
        "monthly": price.monthly_full,
        "promotion": _running(price.promotion, since),
        "one-off": price.one_off.amount if order else 0,
        "decision": order.decision.case_id if order and order.decision else None,
    }


def _charged(started: ChargesStarted, charge: Charge) -> dict[str, object]:
    return {
        "order": started.order_id,
        "offer": charge.offer,
        "since": charge.since,
        "monthly": charge.monthly,
        "promotion": charge.promotion,
        "one-off": started.one_off.amount if started.one_off else 0,
        "decision": started.case_id,
    }


def _running(promotion: Promotion | None, since: date) -> RunningPromotion | None:
    """A promotion in months: the first full month after it begins counts as its first."""
    if promotion is None:
        return None
    first = since.year * 12 + since.month - 1 + (since.day > 1)
    last = first + promotion.months - 1
    months = [f"{each // 12:04d}-{each % 12 + 1:02d}" for each in (first, last)]
    return RunningPromotion(monthly=promotion.monthly, first_month=months[0], last_month=months[1])


def _said(value: object) -> str:
    if isinstance(value, Money):
        return f"{value.amount / 100:.2f} {value.currency}"
    if isinstance(value, OfferRef):
        return f"{value.code} v{value.version}"
    if isinstance(value, RunningPromotion):
        return f"{_said(value.monthly)} {value.first_month} to {value.last_month}"
    return "nothing" if value is None else str(value)


def lines(evidence: Evidence) -> Iterator[Fault]:
    """Each line is its charge for its days, rounded once; no day is billed twice, and no one-off."""
    started: dict[str, list[ChargesStarted]] = defaultdict(list)
    for _, event in evidence.events(ChargesStarted):
        started[event.subscription_id].append(event)
    billed: dict[tuple[str, int | str], int] = defaultdict(int)
    for row in evidence.lines:
        line, about = row["line"], row["subscription_id"]
        amounts = {each.amount for each in _line_amounts(row, started[about])}
        if line["amount"]["amount"] not in amounts:
            yield about, f"{_line(line)}, which is no charge of it"
        if line["kind"] == "one-off":
            billed[about, f"the one-off of {row['order_id']}"] += 1
        else:
            times = -1 if line["kind"] == "credit" else 1
            first, count = _days(line)
            for day in range(first.toordinal(), first.toordinal() + count):
                billed[about, day] += times
    twice: dict[str, str] = {}
    for (about, what), times in billed.items():
        if times > 1:
            twice.setdefault(
                about, f"is billed {times} times for {date.fromordinal(what) if isinstance(what, int) else what}"
            )
    yield from twice.items()


def _line_amounts(row: dict[str, Any], started: list[ChargesStarted]) -> Iterator[Money]:
    """What a line may amount to: a credit takes back a charge of a version before its own."""
    line, (first, days) = row["line"], _days(row["line"])
    whole = monthrange(first.year, first.month)[1]
    for each in started:
        if line["kind"] == "one-off":
            yield from [each.one_off] if each.one_off and each.order_id == row["order_id"] else []
        elif _fits(each, row, first) and each.charge:
            monthly = each.charge.in_force(first)
            sign = -1 if line["kind"] == "credit" else 1
            yield Money(amount=sign * monthly.amount, currency=monthly.currency).share(days, whole)


def _fits(started: ChargesStarted, row: dict[str, Any], first: date) -> bool:
    charge, line = started.charge, row["line"]
    latest = row["version"] - (line["kind"] == "credit")
    same = charge is not None and charge.offer.model_dump() == line["offer"] and charge.since <= first
    return same and started.subscription_version <= latest


def _days(line: dict[str, Any]) -> tuple[date, int]:
    """The first day of a line, and how many it has."""
    first = date.fromisoformat(line["since"])
    return first, (date.fromisoformat(line["until"]) - first).days + 1


def _line(line: dict[str, Any]) -> str:
    return f"{line['kind']} {line['amount']['amount'] / 100:.2f} from {line['since']} to {line['until']}"


def decisions(evidence: Evidence) -> Iterator[Fault]:
    """Every decision was recorded, for a reason, and nobody decided the sale of a partner that they also work for."""
    works_for = {row["holder"]: row["attributes"].get("works_for", ()) for row in evidence.reviewers}
    partners = {row["id"]: row["partner"] for row in evidence.cases}
    for record, event in evidence.events(CaseDecided):
        if not event.reason.strip():
            yield record.place, f"{event.reviewer} decided {event.case_id} without a reason"
        if event.reviewer == event.approved_by:
            yield record.place, f"{event.reviewer} approved what {event.reviewer} decided"
        for name in filter(None, (event.reviewer, event.approved_by)):
            if partners.get(event.case_id) in works_for.get(name, ()):
                yield record.place, f"{name} decided {event.case_id}, a sale of {partners[event.case_id]}"
    taken, told = recorded(evidence), defaultdict(set)
    for _, event in evidence.events(OrderEvent, SubscriptionChanged):
        decision = event.order.decision if event.order else None
        if decision and (decision.kind, decision.case_id, decision.reviewer, event.order.id) not in taken:
            told[event.order.id].add(decision.case_id)
    for order_id, cases in told.items():
        yield order_id, f"goes by a decision that no reviewer took: {', '.join(sorted(cases))}"
