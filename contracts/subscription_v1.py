"""The events of topic `subscriptions`: what a customer has, published by provisioning."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, StrictInt

from contracts.event import Data, Event
from contracts.offer_v1 import OfferRef
from contracts.order_v1 import Discrepancy, Order


class SubscribedService(Data):
    """One service in place, with its level (more is better)."""

    code: str
    level: dict[str, StrictInt]


class Equipment(Data):
    """One device in place; the serial is known once the network assigned it."""

    type: str
    serial: str | None = None


class Subscription(Data):
    """What one customer has now [Product]; also the snapshot before a modification."""

    id: str
    customer_id: str
    version: StrictInt
    state: Literal["active", "terminated"] = "active"
    offer: OfferRef
    services: tuple[SubscribedService, ...]
    equipment: tuple[Equipment, ...] = ()
    numbers: tuple[str, ...] = ()
    contract_since: date
    contract_until: date | None = None


class Sale(Data):
    """When and in which channel an imported subscription was sold: its published price follows from that."""

    channel: str
    sold_at: AwareDatetime


class SubscriptionChanged(Event, type="subscription.changed.v1"):
    """The network works as ordered (or a subscription was imported, then `order` is null and `imported` says its sale).

    `removed` lists what was in place before and is not any more, in the words of an order's removals.
    """

    subscription: Subscription
    before: Subscription | None = None
    removed: tuple[str, ...] = ()
    order: Order | None = None
    imported: Sale | None = None
    effective_at: AwareDatetime

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription.id


class ChangeHeld(Event, type="change.held.v1"):
    """Provisioning did nothing yet: a discrepancy (then `case_id`), or the version moved and intake assesses anew."""

    order_id: str
    subscription_id: str
    case_id: str | None = None
    discrepancies: tuple[Discrepancy, ...] = ()
    subscription_version: StrictInt | None = None

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id


class ChangeFailed(Event, type="change.failed.v1"):
    """The network refused or could not be reached in time; nothing was changed."""

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


class ChangeCancelled(Event, type="change.cancelled.v1"):
    """The change of a cancelled order is not going to happen; nothing of it was done."""

    order_id: str
    subscription_id: str

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id
