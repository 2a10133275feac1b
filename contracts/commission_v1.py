"""The events of topic `commissions`: what a partner earns and when, published by billing."""

from __future__ import annotations

from contracts.event import Event
from contracts.money import Money


class CommissionHeld(Event, type="commission.held.v1"):
    """A commission was fixed at the sale and is held until the customer's invoice stands undisputed."""

    order_id: str
    subscription_id: str
    partner: str
    agent: str
    commission: Money

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id
