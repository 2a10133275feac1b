"""The events of topic `subscriptions`: what a customer has, published by provisioning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import AwareDatetime, StrictInt

from contracts.event import Data, Event
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import Discrepancy, Order

NUMBERED = frozenset({"telephony", "mobile"})
"""The services that numbers belong to."""


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

    def named(self) -> tuple[str, ...]:
        """Everything in place, in the words of removals: service codes, equipment types, numbers."""
        return (
            *(service.code for service in self.services),
            *(device.type for device in self.equipment),
            *self.numbers,
        )

    def changed_to(self, offer: Offer) -> Subscription:
        """What is in place after a change to an offer: serials of kept types and numbers of kept telephony stay."""
        types = list(offer.equipment)
        kept = [device for device in self.equipment if device.type in types and not types.remove(device.type)]  # type: ignore[func-returns-value]
        return self.model_copy(
            update={
                "offer": offer.ref,
                "services": services_of(offer),
                "equipment": (*kept, *(Equipment(type=each) for each in types)),
                "numbers": self.numbers if any(each.code in NUMBERED for each in offer.services) else (),
            }
        )

    def terminated(self) -> Subscription:
        """Nothing in place any more."""
        return self.model_copy(update={"state": "terminated", "services": (), "equipment": (), "numbers": ()})


def services_of(offer: Offer) -> tuple[SubscribedService, ...]:
    """The services that an offer puts in place."""
    return tuple(SubscribedService(code=each.code, level=dict(each.level)) for each in offer.services)


def lost(before: Subscription, after: Subscription) -> tuple[str, ...]:
    """What was in place before and is absent after (S5): services, equipment types, numbers, lower levels.

    A one-for-one swap of a device of the same type is not lost. Levels are named `level:<service>`.
    """
    gone = list(before.named())
    for name in after.named():
        if name in gone:
            gone.remove(name)
    levels = {service.code: service.level for service in after.services}
    lower = [
        f"level:{service.code}"
        for service in before.services
        if service.code in levels
        and any(levels[service.code].get(what, 0) < amount for what, amount in service.level.items())
    ]
    return (*gone, *lower)


def beyond(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """What stands in `names` and not in `others`, each as often as it is too much: two decoders are two."""
    left = list(others)
    found = []
    for name in names:
        if name in left:
            left.remove(name)
        else:
            found.append(name)
    return found


def judge_removals(gone: Sequence[str], removals: Sequence[str], stage: str) -> list[Discrepancy]:
    """Compare what would be lost with what the order names; both directions, each with its list."""
    unnamed, excess = beyond(gone, removals), beyond(removals, gone)
    found = []
    if unnamed:
        found.append(
            Discrepancy(code="services.lost", path="/removals", expected=unnamed, given=list(removals), stage=stage)
        )
    if excess:
        found.append(
            Discrepancy(code="removals.excess", path="/removals", expected=list(gone), given=excess, stage=stage)
        )
    return found


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
    """The network refused, did only a part, or could not be reached in time; what the customer has is not changed.

    The discrepancy says which. `undoing`: it was to restore what was there before a cancelled order, and did not.
    """

    order_id: str
    subscription_id: str
    case_id: str
    discrepancies: tuple[Discrepancy, ...]
    undoing: bool = False

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id


class ChangeCancelled(Event, type="change.cancelled.v1"):
    """The change of a cancelled order is not going to happen; nothing of it was done, or all of that is undone."""

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
