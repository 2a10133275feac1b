"""What billing decides: whether a price may be charged, which lines follow from it, and what a partner earns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from pydantic import StrictInt

from contracts.event import Data
from contracts.invoice_v1 import Charge, Month, RunningPromotion, in_force
from contracts.money import Money, Promotion
from contracts.offer_v1 import BRUSSELS, Offer, OfferRef, Price, Publication, brussels_day, on_sale
from contracts.order_v1 import Discrepancy, Order, PriceDecision, Quote
from contracts.subscription_v1 import SubscriptionChanged

VAT_PART, VAT_WHOLE = 21, 121  # of a tax-inclusive amount, at 21 %

Kind = Literal["monthly", "credit", "one-off"]


class ReversalNotChargedError(Exception):
    """Billing cannot unwind the charges of a reversed order yet; the message becomes a technical case."""


class UnknownChangeError(ValueError):
    """A subscription changed without an order and without the sale that it was imported from."""


class Entry(Data):
    """What is charged from a day on because of one subscription version; without a charge: nothing any more.

    `order_id` is null for an imported subscription; `case_id` names the decision about the price, where there was one.
    """

    version: StrictInt
    order_id: str | None = None
    case_id: str | None = None
    since: date
    charge: Charge | None


class Line(Data):
    """One line for the invoice of a month: a price for the days `since` to `until` (both included), tax included."""

    kind: Kind
    invoice: Month
    since: date
    until: date
    offer: OfferRef
    amount: Money


@dataclass(frozen=True)
class Held:
    """Nothing is charged: what differs, and the monthly amounts that a reviewer compares."""

    discrepancies: tuple[Discrepancy, ...]
    published: Money | None = None
    quoted: Money | None = None


@dataclass(frozen=True)
class Started:
    """What is charged from now on, and once."""

    entry: Entry
    one_off: Money | None = None


def came_before(event: SubscriptionChanged, last: int, held: Order | None) -> bool:
    """Whether a version is old news; one that is held comes again once its order was decided, and is judged anew."""
    return event.subscription.version <= last and not (is_held(event, held) and event.order != held)


def is_held(event: SubscriptionChanged, held: Order | None) -> bool:
    """Whether a version is the one that is held; it is said again under its order's id."""
    return held is not None and event.order is not None and event.order.id == held.id


def wanted_offer(event: SubscriptionChanged) -> OfferRef | None:
    """The version that the price is found in; None where nothing is priced. Raises ReversalNotChargedError."""
    order = event.order
    if order is None:
        return event.subscription.offer
    if order.action == "reverse":
        raise ReversalNotChargedError(order.id)
    return order.offer if order.action in ("add", "modify") else None


def offer_code(event: SubscriptionChanged) -> str | None:
    """The code whose versions the price is looked up in: what was ordered, not what was made of it."""
    wanted = wanted_offer(event)
    ordered = event.order.offer_code if event.order else None
    return ordered or (wanted.code if wanted else None)


def is_late(event: SubscriptionChanged, versions: Sequence[Publication]) -> bool:
    """Whether the version has not arrived here yet: the topics of offers and subscriptions are not ordered."""
    wanted = wanted_offer(event)
    return wanted is not None and all(each.offer.ref != wanted for each in versions)


def decide(event: SubscriptionChanged, versions: Sequence[Publication], history: Sequence[Entry]) -> Held | Started:
    """Say what a subscription version is charged, or why nothing is. Raises UnknownChangeError.

    `versions` are those of the offer's code in billing's own copy, `history` the charges so far, oldest first.
    """
    order, day, version = event.order, brussels_day(event.effective_at), event.subscription.version
    if order is None:
        return _imported(event, versions)
    if order.action == "terminate":
        return Started(Entry(version=version, order_id=order.id, since=day, charge=None))
    verdict = judge(order, event.subscription.offer, versions, monthly_on(history, brussels_day(order.sold_at)))
    if isinstance(verdict, Held):
        return verdict
    offer, price = verdict
    case_id = order.decision.case_id if order.decision else None
    charge = charge_of(offer, price, day)
    entry = Entry(version=version, order_id=order.id, case_id=case_id, since=day, charge=charge)
    return Started(entry, price.one_off)


def _imported(event: SubscriptionChanged, versions: Sequence[Publication]) -> Held | Started:
    if event.imported is None:
        raise UnknownChangeError(event.subscription.id)
    channel, sold_at = event.imported.channel, event.imported.sold_at
    offer, in_place = on_sale(versions, channel, sold_at), event.subscription.offer
    if not isinstance(offer, Offer) or offer.ref != in_place:
        return Held((_mismatch("/subscription/offer", getattr(offer, "ref", offer), in_place),))
    charge = charge_of(in_place, offer.price(channel, "add", sold_at), brussels_day(sold_at))
    return Started(Entry(version=event.subscription.version, since=charge.since, charge=charge))


def judge(
    order: Order, in_place: OfferRef, versions: Sequence[Publication], before: Money | None
) -> Held | tuple[OfferRef, Price]:
    """The second price gate: what an order may be charged, or every part that is not as published or decided.

    `in_place` is the offer that the customer now has, `before` what was charged per month at the sale.
    """
    offer = on_sale(versions, order.channel, order.sold_at)
    if not isinstance(offer, Offer):
        return Held((_mismatch("/offer", offer, order.offer),), quoted=_quoted(order.quote, before))
    published = offer.price(order.channel, order.action, order.sold_at)
    agreed = _agreed(order.decision, published)
    found = [
        *_offer_faults(order, in_place, offer.ref),
        *_quote_faults(order, published, before),
        *_decision_faults(order.decision, published),
        *_price_faults(order, agreed, before),
    ]
    if found:
        return Held(tuple(found), published.monthly_total, _quoted(order.quote, before))
    return offer.ref, agreed


def _agreed(decision: PriceDecision | None, published: Price) -> Price:
    honoured = decision.honoured if decision and decision.kind == "honour_quote" else None
    return honoured or published


def _offer_faults(order: Order, in_place: OfferRef, sold: OfferRef) -> Iterator[Discrepancy]:
    if order.offer != sold:
        yield _mismatch("/offer", sold, order.offer)
    if in_place != sold:
        yield _mismatch("/subscription/offer", sold, in_place)


def _quote_faults(order: Order, published: Price, before: Money | None) -> Iterator[Discrepancy]:
    """Compare what the agent quoted; not after a decision, for then the customer was asked anew."""
    if order.decision is not None:
        return
    quote, change = order.quote or Quote(), _change(order, published, before)
    silent = quote.monthly_total is None and (order.action == "add" or quote.monthly_change is None)
    if silent or quote.monthly_total not in (None, published.monthly_total):
        yield _mismatch("/quote/monthly_total", published.monthly_total, quote.monthly_total)
    if quote.monthly_change not in (None, change):
        yield _mismatch("/quote/monthly_change", change, quote.monthly_change)
    if (quote.one_off or _nothing(published.one_off)) != published.one_off:
        yield _mismatch("/quote/one_off", published.one_off, quote.one_off)
    if quote.promotion != published.promotion:
        yield _mismatch("/quote/promotion", published.promotion, quote.promotion)


def _decision_faults(decision: PriceDecision | None, published: Price) -> Iterator[Discrepancy]:
    """An honoured quote is never above the published price, in no part, and its parts add up."""
    if decision is None or decision.kind != "honour_quote":
        return
    honoured = decision.honoured
    if honoured is None:
        yield _mismatch("/decision/honoured", published, None)
        return
    for part in ("monthly_total", "monthly_full", "one_off"):
        most, given = getattr(published, part), getattr(honoured, part)
        if given.currency != most.currency or given.amount > most.amount:
            yield _mismatch(f"/decision/honoured/{part}", most, given)
    discount = honoured.promotion.monthly if honoured.promotion else _nothing(honoured.monthly_full)
    expected = _difference(honoured.monthly_total, honoured.monthly_full)
    if discount != expected:
        yield _mismatch("/decision/honoured/promotion", expected, discount)


def _price_faults(order: Order, agreed: Price, before: Money | None) -> Iterator[Discrepancy]:
    """Compare what the customer said yes to, whatever was quoted before."""
    expected = {
        "new_monthly": agreed.monthly_total,
        "monthly_change": _change(order, agreed, before),
        "one_off": agreed.one_off,
        "promotion": agreed.promotion,
        "monthly_after_promotion": agreed.monthly_full,
    }
    for part, value in expected.items():
        given = getattr(order.price, part, None)
        if given != value:
            yield _mismatch(f"/price/{part}", value, given)


def _change(order: Order, price: Price, before: Money | None) -> Money | None:
    """The change per month; none can be right where an `add` finds a charge in force, or a `modify` finds none."""
    if order.action == "add":
        return price.monthly_total if before is None else None
    return None if before is None else _difference(price.monthly_total, before)


def _quoted(quote: Quote | None, before: Money | None) -> Money | None:
    """The monthly amount that was quoted; the lowest, where total and change contradict each other."""
    total, change = (quote.monthly_total, quote.monthly_change) if quote else (None, None)
    from_change = before + change if before and change and before.currency == change.currency else None
    return min((each for each in (total, from_change) if each), key=lambda each: each.amount, default=None)


def _difference(one: Money, other: Money) -> Money | None:
    return one - other if one.currency == other.currency else None


def _nothing(like: Money) -> Money:
    return Money(amount=0, currency=like.currency)


def _mismatch(path: str, expected: object, given: object) -> Discrepancy:
    return Discrepancy(code="billing.mismatch", path=path, expected=expected, given=given, stage="billing")


def charge_of(offer: OfferRef, price: Price, day: date) -> Charge:
    """The charge that begins on a day; a published promotion begins with it."""
    running = running_promotion(price.promotion, day) if price.promotion else None
    return Charge(offer=offer, monthly=price.monthly_full, promotion=running, since=day)


def running_promotion(promotion: Promotion, day: date) -> RunningPromotion:
    """The full months of a promotion: the partial month that it begins in is discounted too, but not counted."""
    month = month_of(day)
    first = month if day.day == 1 else following(month)
    return RunningPromotion(
        monthly=promotion.monthly, first_month=first, last_month=following(first, promotion.months - 1)
    )


def charge_on(history: Sequence[Entry], day: date) -> Charge | None:
    """The charge in force on a day; None before the first one and after a termination."""
    begun = [entry for entry in history if entry.since <= day]
    return begun[-1].charge if begun else None


def monthly_on(history: Sequence[Entry], day: date) -> Money | None:
    """What is charged per month on a day, running promotion included; None where nothing is."""
    if charge_on(history, day) is None:
        return None
    return in_force([entry.charge for entry in history if entry.charge], day)


def lines(history: Sequence[Entry], started: Started, charged: Month | None, today: date) -> list[Line]:
    """The lines that follow from a change: months that are due, the months it reaches back into, and what is paid once.

    `charged` is the last month with a monthly line. An imported subscription brings none: until now it was invoiced
    where it came from.
    """
    entry, invoice = started.entry, following(month_of(today))
    if entry.order_id is None:
        return []
    found = monthly_lines(history, charged, today) if charged else []
    found += _change_lines(history, entry, charged_by(charged, today), invoice)
    if started.one_off and started.one_off.amount and entry.charge:
        found.append(_line("one-off", invoice, (entry.since, entry.since), entry.charge, started.one_off))
    return found


def charged_by(charged: Month | None, today: date) -> Month:
    """The last month with a monthly line once everything due until a day is written."""
    return max(charged or "", month_of(today))


def monthly_lines(history: Sequence[Entry], charged: Month, today: date) -> list[Line]:
    """The monthly lines, in advance, of the months after `charged` whose first day (the billing day) has come."""
    found = []
    for month in _months(following(charged), month_of(today)):
        first = first_day(month)
        charge = charge_on(history, first)
        if charge:
            found.append(_line("monthly", month, (first, _last_day(month)), charge, charge.in_force(first)))
    return found


def _change_lines(history: Sequence[Entry], entry: Entry, through: Month, invoice: Month) -> list[Line]:
    """Credit the old price and charge the new one for the remaining days of every month that has its line already."""
    found = []
    for month in _months(month_of(entry.since), through):
        first, last = days = max(entry.since, first_day(month)), _last_day(month)
        part, whole = (last - first).days + 1, last.day
        old, new = charge_on(history, first), entry.charge
        if old:
            credit = _nothing(old.monthly) - old.in_force(first)
            found.append(_line("credit", invoice, days, old, credit.share(part, whole)))
        if new:
            found.append(_line("monthly", invoice, days, new, new.in_force(first).share(part, whole)))
    return found


def _line(kind: Kind, invoice: Month, days: tuple[date, date], charge: Charge, amount: Money) -> Line:
    return Line(kind=kind, invoice=invoice, since=days[0], until=days[1], offer=charge.offer, amount=amount)


def split(total: Money) -> tuple[Money, Money]:
    """Split a tax-inclusive amount into net and VAT, which is 21/121 of it, rounded half-up."""
    vat = total.share(VAT_PART, VAT_WHOLE)
    return total - vat, vat


def month_of(day: date) -> Month:
    """The month of a day."""
    return day.strftime("%Y-%m")


def following(month: Month, months: int = 1) -> Month:
    """The month so many months later."""
    counted = int(month[:4]) * 12 + int(month[5:]) - 1 + months
    return f"{counted // 12:04d}-{counted % 12 + 1:02d}"


def first_day(month: Month) -> date:
    """The first day of a month: the billing day."""
    return date(int(month[:4]), int(month[5:]), 1)


def billing_moment(month: Month) -> datetime:
    """The moment in which the billing day of a month begins in Brussels."""
    return datetime.combine(first_day(month), time.min, BRUSSELS)


def _last_day(month: Month) -> date:
    return first_day(following(month)) - timedelta(days=1)


def _months(first: Month, last: Month) -> Iterator[Month]:
    month = first
    while month <= last:
        yield month
        month = following(month)
