"""The price gate, the loss guard on intake's copy, and the order's life; pure: data in, decision out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.case_v1 import Corrections
from contracts.event import Data
from contracts.invoice_v1 import Charge, in_force
from contracts.money import Money, Promotion
from contracts.offer_v1 import Offer, OfferFault, OfferRef, Price, Publication, brussels_day, on_sale
from contracts.order_v1 import OPEN_ENDED, Discrepancy, Order, OrderPrice, PriceDecision, Quote, State
from contracts.subscription_v1 import Subscription, judge_removals, lost
from services.intake.rules.reception import Reception

STAGE = "intake"

TRANSITIONS: dict[State, frozenset[State]] = {
    "acknowledged": frozenset({"pending", "held", "inProgress", "rejected", "cancelled"}),
    "pending": frozenset({"pending", "inProgress", "held", "assessingCancellation", "cancelled"}),
    "held": frozenset(
        {
            *("held", "acknowledged", "pending", "inProgress"),
            *("assessingCancellation", "cancelled", "failed", "rejected"),
        },
    ),
    "inProgress": frozenset({"held", "completed", "failed", "assessingCancellation"}),
    "assessingCancellation": frozenset({"pendingCancellation", "inProgress", "held"}),
    "pendingCancellation": frozenset({"cancelled", "held"}),
    "completed": frozenset(),
    "rejected": frozenset(),
    "cancelled": frozenset(),
    "failed": frozenset(),
}
"""TMF622 v4's states. Four steps are ours: a new summary while pending, fewer codes while held, from held back to
acknowledged, where an order that was held because it waited too long is sent again and another one is still ahead, and
from pending to assessing a cancellation, where the order was on its way before its customer was asked anew."""


class NothingToHonourError(LookupError):
    """A quote for an offer that was not on sale has no published price to stay below."""


class UnknownTransitionError(Exception):
    """An order cannot go from one state to another: a fault of ours, never silence."""


@dataclass(frozen=True)
class Windows:
    """How long before and after its reception a sale may be dated."""

    before: timedelta
    after: timedelta


@dataclass(frozen=True)
class Facts:
    """What an order is judged against: looked up by us, nothing of it comes from the agent."""

    publications: Sequence[Publication] = ()
    subscription: Subscription | None = None
    charges: Sequence[Charge] = ()
    channels: Sequence[str] = ()
    agents: Sequence[str] = ()
    evidence_proves: str | None = None
    evidence_channels: Collection[str] = ()
    reception: Reception = field(default_factory=Reception)
    windows: Windows = field(default_factory=lambda: Windows(timedelta(hours=48), timedelta(minutes=5)))


@dataclass(frozen=True)
class Assessment:
    """The judgement of an order: the offer version resolved once, the price, and every discrepancy."""

    offer: OfferRef | None
    price: OrderPrice | None
    discrepancies: tuple[Discrepancy, ...]

    def left(self, resolved: Iterable[str]) -> tuple[Discrepancy, ...]:
        """What keeps the order from the customer: what no decision has resolved; all of it where there is no price."""
        return unresolved(self.discrepancies, resolved if self.price else ())


def assess(order: Order, facts: Facts) -> Assessment:
    """Judge an order completely: it fails closed, and every fault is found at once."""
    found = [*_judge_sale(order, facts)]
    if order.action != "add" and not is_hers(order, facts.subscription):
        return Assessment(None, None, (*found, _discrepancy("subscription.unknown", "/subscription_id")))
    if order.action in {"terminate", "reverse"}:
        return _assess_end(order, facts, found)
    offer = resolve(order, facts.publications)
    if isinstance(offer, str):
        return Assessment(None, None, (*found, _discrepancy(offer, "/offer", given=order.offer_code)))
    if order.action == "add" and any(each.code in facts.reception.services for each in offer.services):
        found.append(_discrepancy("subscription.exists", "/offer", given=order.offer_code))
    published = offer.price(order.channel, order.action, order.sold_at)
    current = _current(order, facts)
    if current is None and order.action == "modify":
        return Assessment(offer.ref, None, (*found, _discrepancy("price.missing", "/subscription_id")))
    if current is not None and current.currency != published.monthly_total.currency:
        currencies = (published.monthly_total.currency, current.currency)
        return Assessment(offer.ref, None, (*found, _discrepancy("price.currency", "/subscription_id", *currencies)))
    found += [*judge_quote(order.quote or Quote(), published, current), *_judge_loss(order, facts, offer)]
    return Assessment(offer.ref, price_of(_decided(published, order.decision), current), tuple(found))


def _assess_end(order: Order, facts: Facts, found: list[Discrepancy]) -> Assessment:
    if order.action == "reverse":
        return Assessment(None, None, (*found, _discrepancy("reversal.by-hand", "/reverses", given=order.reverses)))
    price = _terminated_price(order, facts)
    if price is None:
        found.append(_discrepancy("price.missing", "/subscription_id"))
    return Assessment(None, price, (*found, *_judge_loss(order, facts, None)))


def corrected(order: Order, corrections: Corrections) -> Order:
    """The order as a reviewer put it right; what is not corrected stays, the quote always."""
    given = {
        "agent": corrections.agent,
        "offer_code": corrections.offer,
        "removals": corrections.removals,
        "evidence": corrections.evidence,
    }
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if corrections.offer not in (None, order.offer_code):
        changes |= {"offer": None, "decision": None}
    return order.model_copy(update=changes)


def resolve(order: Order, publications: Iterable[Publication]) -> Offer | OfferFault:
    """Find the version on sale at the sale; once it was found it is never looked for again."""
    versions = list(publications)
    if order.offer is not None:
        pinned = [each.offer for each in versions if each.offer.ref == order.offer]
        return pinned[0] if pinned else "offer.unknown"
    return on_sale(versions, order.channel, order.sold_at)


def judge_quote(quote: Quote, published: Price, current: Money | None) -> list[Discrepancy]:
    """The price gate (S1): total, change, one-off and promotion, each by itself, exact, in both directions."""
    change = published.monthly_total if current is None else published.monthly_total - current
    found = []
    if quote.monthly_total is None and quote.monthly_change is None:
        found.append(_discrepancy("price.missing", "/quote"))
    if quote.monthly_total is not None:
        found += _judge_amount("price.monthly", "/quote/monthly_total", published.monthly_total, quote.monthly_total)
    if quote.monthly_change is not None:
        found += _judge_amount("price.change", "/quote/monthly_change", change, quote.monthly_change)
    found += _judge_one_off(published.one_off, quote.one_off)
    found += _judge_promotion(published.promotion, quote.promotion, published.monthly_total.currency)
    return found


def _judge_amount(code: str, path: str, expected: Money, given: Money) -> list[Discrepancy]:
    if given.currency != expected.currency:
        return [_discrepancy("price.currency", path, expected.currency, given.currency)]
    if given.amount != expected.amount:
        return [_discrepancy(code, path, expected, given)]
    return []


def _judge_one_off(expected: Money, given: Money | None) -> list[Discrepancy]:
    """Judge a one-off that was not quoted as 0, and show it as null."""
    if given is not None:
        return _judge_amount("price.one-off", "/quote/one_off", expected, given)
    return [_discrepancy("price.one-off", "/quote/one_off", expected)] if expected.amount else []


def _judge_promotion(expected: Promotion | None, given: Promotion | None, currency: str) -> list[Discrepancy]:
    path = "/quote/promotion"
    if given is not None and given.monthly.currency != currency:
        return [_discrepancy("price.currency", path, currency, given.monthly.currency)]
    return [_discrepancy("price.promotion", path, expected, given)] if expected != given else []


def _judge_sale(order: Order, facts: Facts) -> list[Discrepancy]:
    found = []
    earliest, latest = order.received_at - facts.windows.before, order.received_at + facts.windows.after
    if not earliest <= order.sold_at <= latest:
        window = {"from": _zulu(earliest), "until": _zulu(latest)}
        found.append(_discrepancy("sale.backdated", "/sold_at", window, _zulu(order.sold_at)))
    if order.channel not in facts.channels:
        found.append(_discrepancy("channel.not-allowed", "/channel", sorted(facts.channels), order.channel))
    if order.agent not in facts.agents:
        found.append(_discrepancy("agent.unknown", "/agent", given=order.agent))
    found += [_discrepancy("contact.unverified", path) for path in facts.reception.contacts]
    if order.earlier_quotes:
        found.append(_discrepancy("quote.changed", "/quote", order.earlier_quotes, order.quote))
    return [*found, *_judge_evidence(order, facts)]


def _judge_evidence(order: Order, facts: Facts) -> list[Discrepancy]:
    """Evidence proves one sale, and nobody is told whose; where the channel asks for some, there must be some."""
    if order.evidence is None:
        asked_for = order.channel in facts.evidence_channels and order.action != "reverse"
        return [_discrepancy("evidence.missing", "/evidence")] if asked_for else []
    if facts.evidence_proves != order.id:
        return [_discrepancy("evidence.reused", "/evidence/sha256", given=order.evidence.sha256)]
    return []


def is_hers(order: Order, subscription: Subscription | None) -> bool:
    """Whether the subscription that an order names is in place and its customer's."""
    return subscription is not None and subscription.customer_id == order.customer_id and subscription.state == "active"


def _judge_loss(order: Order, facts: Facts, offer: Offer | None) -> list[Discrepancy]:
    """The loss guard (S5) on intake's copy; provisioning judges again on its own inventory."""
    before = facts.subscription
    if before is None:
        return judge_removals((), order.removals, STAGE)
    after = before.changed_to(offer) if offer else before.terminated()
    return judge_removals(lost(before, after), order.removals, STAGE)


def _current(order: Order, facts: Facts) -> Money | None:
    return None if order.action == "add" else in_force(facts.charges, brussels_day(order.sold_at))


def _decided(published: Price, decision: PriceDecision | None) -> Price:
    return decision.honoured if decision and decision.honoured else published


def price_of(price: Price, current: Money | None) -> OrderPrice:
    """What the customer pays before and after, as she is asked to confirm it."""
    return OrderPrice(
        current_monthly=current,
        new_monthly=price.monthly_total,
        monthly_change=price.monthly_total - current if current else price.monthly_total,
        one_off=price.one_off,
        promotion=price.promotion,
        monthly_after_promotion=price.monthly_full,
    )


def _terminated_price(order: Order, facts: Facts) -> OrderPrice | None:
    current = _current(order, facts)
    if current is None:
        return None
    free = Money(amount=0, currency=current.currency)
    return OrderPrice(
        current_monthly=current,
        new_monthly=free,
        monthly_change=free - current,
        one_off=free,
        monthly_after_promotion=free,
    )


def honoured(order: Order, publications: Iterable[Publication], current: Money | None) -> Price:
    """The price that honours a quote: never above the published price, of contradictory quotes the lowest.

    A part that was not quoted is the published one; a quoted promotion that was never published is not honoured twice:
    the quoted total already holds it. A total that was told without a promotion is never exceeded, whatever promotion
    was published. Raises NothingToHonourError where no version was on sale, or less than nothing was told.
    """
    offer = resolve(order, publications)
    if isinstance(offer, str):
        raise NothingToHonourError(f"{order.id}: {offer}")
    published = offer.price(order.channel, order.action, order.sold_at)
    quote, currency = order.quote or Quote(), published.monthly_full.currency
    told = [quote, *(each.quote for each in order.earlier_quotes)]
    totals = [published.monthly_total, *(total for each in told for total in _quoted_totals(each, current, currency))]
    total = min(totals, key=lambda each: each.amount)
    if total.amount < 0:
        raise NothingToHonourError(f"{order.id}: {total.amount} a month was told")
    lasting = [total for each in told if not each.promotion for total in _quoted_totals(each, current, currency)]
    full = min((published.monthly_full, *lasting), key=lambda each: each.amount)
    below_full = Money(amount=total.amount - full.amount, currency=total.currency)
    months = max((each.months for each in (quote.promotion, published.promotion) if each), default=None)
    told_once = quote.one_off if quote.one_off and quote.one_off.currency == currency else published.one_off
    return Price(
        monthly_total=total,
        monthly_full=full if months else total,
        one_off=min((published.one_off, told_once), key=lambda each: each.amount),
        promotion=Promotion(monthly=below_full, months=months) if months and below_full.amount else None,
    )


def _quoted_totals(quote: Quote, current: Money | None, currency: str) -> list[Money]:
    """What the agent told, as monthly totals; a part in another currency cannot be honoured."""
    told = [each for each in (quote.monthly_total,) if each is not None and each.currency == currency]
    change = quote.monthly_change
    if change is not None and change.currency == currency:
        told.append(change if current is None else current + change)
    return told


def quoted_monthly(order: Order) -> Money | None:
    """What the agent told, as a monthly total, for the reviewer to compare; the lowest where the parts contradict."""
    if order.quote is None or order.price is None:
        return order.quote.monthly_total if order.quote else None
    quotes = [order.quote, *(each.quote for each in order.earlier_quotes)]
    current, currency = order.price.current_monthly, order.price.new_monthly.currency
    told = [total for each in quotes for total in _quoted_totals(each, current, currency)]
    return min(told, key=lambda each: each.amount, default=order.quote.monthly_total)


def disputed(order: Order, change: Money | None, total: Money | None) -> tuple[Discrepancy, ...]:
    """What the customer says that she was told per month, beside what she was asked to confirm."""
    price = order.price
    asked = (
        ("change", price.monthly_change if price else None, change),
        ("total", price.new_monthly if price else None, total),
    )
    return tuple(
        _discrepancy("quote.disputed", f"/quote/monthly_{part}", expected, given)
        for part, expected, given in asked
        if given is not None
    )


def unresolved(discrepancies: Iterable[Discrepancy], resolved: Iterable[str]) -> tuple[Discrepancy, ...]:
    """What no reviewer's decision has resolved."""
    settled = set(resolved)
    return tuple(each for each in discrepancies if each.code not in settled)


def never_left_open(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether, since an order was first on its way, nothing held it that leaves open what was done of it."""
    states = [entry["state"] for entry in history]
    since = history[states.index("inProgress") :] if "inProgress" in states else ()
    codes = {code for entry in since if entry["state"] == "held" for code in (entry["reason"] or "").split(", ")}
    return OPEN_ENDED.isdisjoint(codes)


def why_cancelled(history: Sequence[Mapping[str, Any]]) -> str:
    """What was said when the cancellation of an order was asked for last."""
    said = [entry["reason"] for entry in history if entry["state"] == "assessingCancellation"]
    return (said and said[-1]) or "cancelled"


def moved(order: Order, assessed: Assessment, version: int | None) -> bool:
    """Whether what the customer was shown is no longer so: another version of the subscription or another price."""
    return order.subscription_version != version or order.price != assessed.price


def is_signed(order: Order, judged: Assessment, *, held: bool) -> bool:
    """Whether the customer said yes on paper: a contract signed in the shop, its file held by us, nothing found wrong.

    A recording never is her yes, whatever is said in it.
    """
    signed = order.evidence is not None and order.evidence.kind == "signed-contract"
    return signed and order.channel == "shop" and held and not judged.discrepancies


def step(state: State, new: State) -> State:
    """Go from one state to another. Raises UnknownTransitionError."""
    if new not in TRANSITIONS[state]:
        message = f"an order cannot go from {state} to {new}"
        raise UnknownTransitionError(message)
    return new


def _discrepancy(code: str, path: str, expected: object = None, given: object = None) -> Discrepancy:
    return Discrepancy(code=code, path=path, expected=_plain(expected), given=_plain(given), stage=STAGE)


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json") if isinstance(value, Money | Promotion | Data) else value


def _zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
