"""What a change leaves in place, the loss guard on provisioning's own inventory (S5), and what stays reserved; pure."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from pydantic import StrictInt

from contracts.event import Data
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import Discrepancy, Order
from contracts.subscription_v1 import (
    NUMBERED,
    Equipment,
    SubscribedService,
    Subscription,
    judge_removals,
    lost,
    services_of,
)

STAGE = "provisioning"

RESERVED = timedelta(days=60)
"""How long a removed number or device is kept for the customer who had it."""

ChangeState = Literal["waiting", "planned", "done", "failed", "partial", "held", "restoring", "cancelled"]
"""Waiting for its offer, planned at the network, answered as done, failed, done in part or held; restoring: the network
is to put back what was there before; cancelled: nothing of it is in place, and it is never to be done."""


class UnknownChangeError(Exception):
    """An order asks for something that provisioning cannot work out: a fault of ours, never silence."""


@dataclass(frozen=True)
class Change:
    """What the network is to do: the snapshot before (none for a new subscription), and what is in place after."""

    before: Subscription | None
    after: Subscription


@dataclass(frozen=True)
class Held:
    """Nothing is done yet: for its discrepancies, or without any because the subscription is not the one assessed."""

    discrepancies: tuple[Discrepancy, ...] = ()
    version: int | None = None


class Reported(Data):
    """What the network says is in place for a version of a subscription."""

    id: str
    version: StrictInt
    services: tuple[SubscribedService, ...]
    equipment: tuple[Equipment, ...]
    numbers: tuple[str, ...]


def starts(known: ChangeState | None, known_attempt: int, attempt: int) -> bool:
    """Whether a confirmation begins a change: the first one, or a later attempt at one that was not done whole."""
    return known is None or (known in ("held", "failed", "partial") and attempt > known_attempt)


@dataclass(frozen=True)
class Network:
    """Where the network stands with a subscription: the last version that it was asked for, and whether it is at it."""

    asked: int = 0
    busy: bool = False


IDLE = Network()


def change(
    current: Subscription | None, order: Order, offer: Offer | None, today: date, network: Network = IDLE
) -> Change | Held:
    """Decide what an order does to a subscription, or why nothing yet. Raises UnknownChangeError.

    The loss guard is judged before the version: what the customer would lose is a matter for a person, even if the
    order has to be assessed anew as well. The new version is one that the network was never asked for: it may have done
    what it did not answer, and it refuses a version that it has.
    """
    fault = _judge_subscription(current, order)
    if fault is not None:
        return Held((fault,))
    version = current.version if current else None
    after = _after(current, order, offer, today).model_copy(update={"version": max(version or 0, network.asked) + 1})
    found = judge_removals(lost(current, after) if current else (), order.removals, STAGE)
    if found:
        return Held(tuple(found), version)
    if network.busy or version != order.subscription_version:
        return Held(version=version)
    return Change(current, after)


def _judge_subscription(current: Subscription | None, order: Order) -> Discrepancy | None:
    """A new subscription must be new, any other must be this customer's; nothing of it is shown."""
    if order.action == "add":
        return _discrepancy("subscription.exists", "/subscription_id") if current else None
    if current is None or current.state == "terminated" or current.customer_id != order.customer_id:
        return _discrepancy("subscription.unknown", "/subscription_id")
    return None


def _after(current: Subscription | None, order: Order, offer: Offer | None, today: date) -> Subscription:
    if order.action == "add" and current is None and offer is not None:
        return _new(order, offer, today)
    if order.action == "modify" and current is not None and offer is not None:
        contract = {"contract_since": today, "contract_until": contract_end(today, offer.term_months)}
        return current.changed_to(offer).model_copy(update=contract)
    if order.action == "terminate" and current is not None:
        return current.terminated()
    raise UnknownChangeError(f"{order.action} of {order.subscription_id} to {order.offer}")


def _new(order: Order, offer: Offer, today: date) -> Subscription:
    return Subscription(
        id=order.subscription_id,
        customer_id=order.customer_id,
        version=1,
        offer=offer.ref,
        services=services_of(offer),
        equipment=tuple(Equipment(type=each) for each in offer.equipment),
        contract_since=today,
        contract_until=contract_end(today, offer.term_months),
    )


def contract_end(since: date, months: int) -> date | None:
    """The last day of a term: the same day of the month, or the month's last where it is shorter; none without a term.

    That is how Regulation 1182/71 counts a period of months.
    """
    if not months:
        return None
    year, month = divmod(since.year * 12 + since.month - 1 + months, 12)
    return date(year, month + 1, min(since.day, calendar.monthrange(year, month + 1)[1]))


def installed(after: Subscription, reported: Reported) -> Subscription:
    """What was planned, with the serials and numbers that the network assigned; what it has beyond that is not ours."""
    free, devices = list(reported.equipment), []
    for device in after.equipment:
        same = [each for each in free if each == device] or [each for each in free if each.type == device.type]
        free = [each for each in free if each not in same[:1]]
        devices += same[:1]
    numbered = any(service.code in NUMBERED for service in after.services)
    return after.model_copy(
        update={"equipment": tuple(devices), "numbers": reported.numbers if numbered else ()},
    )


def lacking(after: Subscription, reported: Reported) -> tuple[str, ...]:
    """What was planned and is not there: the network may take away nothing that the order did not name either."""
    return lost(after, _there(after, reported))


def _there(planned: Subscription, reported: Reported) -> Subscription:
    there = {"services": reported.services, "equipment": reported.equipment, "numbers": reported.numbers}
    return planned.model_copy(update=there)


def restored(current: Subscription | None, order: Order, today: date, network: Network) -> Subscription:
    """What the network is to have again: what the inventory says that the customer has; nothing, if that is nothing.

    It is asked for under a version that the network has not seen. Raises UnknownChangeError.
    """
    version = max(current.version if current else 0, network.asked) + 1
    if current is not None:
        return current.model_copy(update={"version": version})
    if order.offer is None:
        raise UnknownChangeError(order.id)
    return Subscription(
        id=order.subscription_id,
        customer_id=order.customer_id,
        version=version,
        state="terminated",
        offer=order.offer,
        services=(),
        contract_since=today,
    )


def reserved(before: Subscription | None, after: Subscription) -> tuple[str, ...]:
    """The numbers and devices (by serial) that were taken away."""
    if before is None:
        return ()
    return tuple(each for each in _physical(before) if each not in _physical(after))


def _physical(subscription: Subscription) -> list[str]:
    return [*subscription.numbers, *(each.serial for each in subscription.equipment if each.serial)]


def offer_unknown(offer: OfferRef | None) -> Discrepancy:
    """The offer of an order did not arrive in time."""
    return _discrepancy("offer.unknown", "/offer", offer.model_dump() if offer else None)


def failed(reason: str) -> Discrepancy:
    """The network did not do what was ordered."""
    return _discrepancy("provisioning.failed", "/subscription_id", reason)


def partial(after: Subscription, reported: Reported) -> Discrepancy | None:
    """The network did a part of what was ordered: what is in place now, and what lacks; None where nothing does."""
    lacks = lacking(after, reported)
    return failed(f"the network lacks: {_listed(lacks)}; in place: {_named(after, reported)}") if lacks else None


def not_restored(before: Subscription, reported: Reported) -> Discrepancy | None:
    """The network has not what was there before: too little, or still a part of what was undone."""
    there = _there(before, reported)
    lacks, left = lost(before, there), lost(there, before)
    if not lacks and not left:
        return None
    found = f"what was there before is not restored: lacking: {_listed(lacks)}; left over: {_listed(left)}"
    return failed(f"{found}; in place: {_named(before, reported)}")


def _named(planned: Subscription, reported: Reported) -> str:
    return _listed(_there(planned, reported).named())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def done_already() -> Held:
    """A cancellation that came when the network had done it."""
    return Held((_discrepancy("order.conflict", "/state", "the change is done; undoing it takes a reversal"),))


def another_at_work() -> Held:
    """A cancellation that finds the network at work on another order for the same subscription."""
    return Held((_discrepancy("order.conflict", "/state", "the network is at work on another order; cancel it again"),))


def _discrepancy(code: str, path: str, given: object = None) -> Discrepancy:
    return Discrepancy(code=code, path=path, given=given, stage=STAGE)
