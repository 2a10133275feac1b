"""The events of topic `invoices`: what a customer is charged, published by billing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import Field, StrictInt

from contracts.event import Data, Event
from contracts.money import Money
from contracts.offer_v1 import OfferRef
from contracts.order_v1 import Discrepancy

Month = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]


class RunningPromotion(Data):
    """A discount per month (negative) that runs from a first to a last full month, both included."""

    monthly: Money
    first_month: Month
    last_month: Month


class Charge(Data):
    """The monthly charge in force from a Brussels day on: full price, and the promotion that runs on it."""

    offer: OfferRef
    monthly: Money
    promotion: RunningPromotion | None = None
    since: date

    def in_force(self, day: date) -> Money:
        """What is charged per month on a day, running promotion included.

        The discount also covers the partial month before its first full one.
        """
        if self.promotion and self.since <= day and day.strftime("%Y-%m") <= self.promotion.last_month:
            return self.monthly + self.promotion.monthly
        return self.monthly


def in_force(charges: Sequence[Charge], day: date) -> Money | None:
    """What is charged per month on a day by a history of charges, oldest first; None where there was none yet."""
    begun = [charge for charge in charges if charge.since <= day]
    return begun[-1].in_force(day) if begun else None


class ChargesStarted(Event, type="charges.started.v1"):
    """Billing charges a subscription version: the published price, or the amount of a recorded decision (`case_id`)."""

    order_id: str | None = None
    subscription_id: str
    customer_id: str
    subscription_version: StrictInt
    charge: Charge | None = None
    one_off: Money | None = None
    case_id: str | None = None

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id, where there is one."""
        return self.order_id or self.subscription_id


class ChargeHeld(Event, type="charge.held.v1"):
    """Billing charges nothing: what was confirmed is not what its own copy of the offers says."""

    order_id: str
    subscription_id: str
    case_id: str
    discrepancies: tuple[Discrepancy, ...]

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id
