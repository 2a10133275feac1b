"""What partners earn: rates by the day of the sale, and what an order earns by them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from contracts.event import Data
from contracts.money import Money
from contracts.offer_v1 import Code, brussels_day
from contracts.order_v1 import Order


class Rate(Data):
    """A flat commission for an action (and an offer; null: any) sold on Brussels days `since` to `until`, included."""

    action: Literal["add", "modify"]
    offer_code: Code | None = None
    since: date
    until: date | None = None
    amount: Money


def commission(order: Order, rates: Sequence[Rate]) -> Money | None:
    """What the partner earns by an order, by the partner's rates on the day of the sale; None where there is none.

    A rate for the offer goes before one for any offer. A honoured quote earns nothing.
    """
    if order.decision and order.decision.kind == "honour_quote":
        return None
    day, code = brussels_day(order.sold_at), order.offer.code if order.offer else None
    fitting = [
        rate
        for rate in rates
        if rate.action == order.action and rate.offer_code in (None, code) and rate.since <= day <= (rate.until or day)
    ]
    best = max(fitting, key=lambda rate: (rate.offer_code is not None, rate.since), default=None)
    return best.amount if best else None


def of_the_past(before: Sequence[Rate], after: Sequence[Rate], today: date) -> list[Rate]:
    """What one of them says of sales until today and the other does not: what an order earns is fixed at its sale."""
    said, says = _until(before, today), _until(after, today)
    return [each for each in (*said, *says) if each not in said or each not in says]


def _until(rates: Sequence[Rate], day: date) -> list[Rate]:
    """What rates say of days until this one."""
    return [rate.model_copy(update={"until": min(rate.until or day, day)}) for rate in rates if rate.since <= day]


def overlapping(rates: Sequence[Rate]) -> list[int]:
    """The positions of rates that leave open which one is valid: another before it says the same for the same day."""
    return [place for place, rate in enumerate(rates) if any(_overlap(rate, other) for other in rates[:place])]


def _overlap(one: Rate, other: Rate) -> bool:
    same = (one.action, one.offer_code) == (other.action, other.offer_code)
    return same and one.since <= (other.until or one.since) and other.since <= (one.until or other.since)
