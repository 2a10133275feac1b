"""What provisioning does when an offer is published, an order confirmed or cancelled, or the network answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.offer_v1 import OfferPublished, brussels_day
from contracts.offer_v2 import OfferWithdrawn
from contracts.order_v1 import Discrepancy, Order, OrderCancellationRequested, OrderConfirmed
from contracts.subscription_v1 import ChangeCancelled, ChangeFailed, ChangeHeld, SubscriptionChanged, lost
from services.chassis.consuming import consumes
from services.chassis.job import GaveUp, Job, job
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.provisioning import gateway, rules, store
from services.provisioning.gateway import ChangeNetwork, Refused, RestoreNetwork
from services.provisioning.settings import settings
from services.provisioning.store import ChangeRow, OfferRow, ReservationRow, SubscriptionRow

Answer = ChangeHeld | ChangeFailed | DiscrepancyFound

AGAIN_SECONDS = 0.25
ACTIONS: dict[str, Literal["activate", "modify", "deactivate"]] = {
    "add": "activate",
    "modify": "modify",
    "terminate": "deactivate",
}
INVERSE: dict[str, Literal["activate", "modify", "deactivate"]] = {
    "add": "deactivate",
    "modify": "modify",
    "terminate": "activate",
}


class ChangeLater(Job):
    """Try a change again whose offer is not here yet and may only be late."""

    name: ClassVar[str] = "provisioning.change-later"
    order_id: str
    attempt: int
    tries_left: int


@consumes(OfferPublished)
async def keep_offer(event: OfferPublished, tx: Transaction) -> None:
    """Keep the published version: what an order puts in place is read from provisioning's own copy."""
    offer = event.offer
    known = await tx.get(OfferRow, offer.code, offer.version)
    if known is None:
        tx.add(OfferRow(code=offer.code, version=offer.version, offer=offer, published_at=event.published_at))


@consumes(OfferWithdrawn, reads=lambda event: [(OfferRow, (event.code, version)) for version in event.versions])
async def withdraw_offer(event: OfferWithdrawn, tx: Transaction) -> None:
    """Remember from when on an offer is off sale; what was sold before is put in place all the same."""
    for version in event.versions:
        row = await tx.get(OfferRow, event.code, version)
        if row is not None and row.withdrawn_at is None:
            tx.put(changed(row, withdrawn_at=event.withdrawn_at))


def _rows(event: Any) -> Iterable[tuple[Any, tuple[object, ...]]]:  # noqa: ANN401 - either event about an order
    return (ChangeRow, (event.order.id,)), (SubscriptionRow, (event.order.subscription_id,))


@consumes(OrderConfirmed, reads=_rows)
async def change_subscription(
    event: OrderConfirmed, tx: Transaction
) -> list[ChangeHeld | ChangeFailed | ChangeCancelled | DiscrepancyFound | SubscriptionChanged]:
    """Have the network do what was ordered, or say why not; an attempt that was seen already does nothing."""
    known = await tx.get(ChangeRow, event.order.id)
    if store.state(known) == "cancelled":
        return [_cancelled(event.order)]
    if known is not None and known.state == "done" and event.attempt > known.attempt:
        return [_said_again(tx, known, event)]
    if not rules.starts(store.state(known), known.attempt if known else 0, event.attempt):
        return []
    tries = round(settings.late_offer_wait / AGAIN_SECONDS)
    return [*await _change(tx, event.order, event.attempt, tries)]


@job(ChangeLater)
async def change_once_the_offer_is_here(
    job_: ChangeLater, tx: Transaction
) -> list[ChangeHeld | ChangeFailed | DiscrepancyFound]:
    """Try again a change that waits for its offer, unless the order was cancelled meanwhile."""
    row = await tx.get(ChangeRow, job_.order_id)
    if row is None or (row.state, row.attempt) != ("waiting", job_.attempt):
        return []
    return await _change(tx, row.order, row.attempt, job_.tries_left)


def _changing(job_: ChangeNetwork) -> Iterable[tuple[Any, tuple[object, ...]]]:
    return (ChangeRow, (job_.order_id,)), (SubscriptionRow, (job_.subscription.id,))


@job(ChangeNetwork, call=gateway.change, reads=_changing)
async def finish_change(
    job_: ChangeNetwork, answer: rules.Reported | Refused | GaveUp, tx: Transaction
) -> list[SubscriptionChanged | ChangeFailed | DiscrepancyFound]:
    """Take what the network did into the inventory, or say what it did not do; a second answer does nothing.

    Of a part the inventory takes nothing: the customer has it only once all of it is there.
    """
    row = await tx.get(ChangeRow, job_.order_id)
    if row is None or (row.state, row.attempt) != ("planned", job_.attempt):
        return []
    subscription = await tx.get(SubscriptionRow, row.subscription_id) or SubscriptionRow(id=row.subscription_id)
    subscription = changed(subscription, under_way=None)
    tx.put(subscription)
    if not isinstance(answer, rules.Reported):
        row = changed(row, touched=row.touched or isinstance(answer, GaveUp))
        return [*_failed(tx, row, rules.failed(answer.reason))]
    lacking = rules.partial(job_.subscription, answer)
    if lacking is not None:
        return [*_failed(tx, changed(row, touched=True, reported=answer), lacking)]
    after = rules.installed(job_.subscription, answer)
    row = changed(row, state="done", after=after, touched=False, reported=None, ended_at=tx.now)
    tx.put(changed(subscription, subscription=after))
    tx.put(row)
    for what in rules.reserved(row.before, after):
        tx.put(ReservationRow(what=what, subscription_id=row.subscription_id, until=tx.now + rules.RESERVED))
    return [_changed(row)]


@consumes(OrderCancellationRequested, reads=_rows)
async def cancel_change(
    event: OrderCancellationRequested, tx: Transaction
) -> list[ChangeCancelled | ChangeHeld | DiscrepancyFound]:
    """Cancel a change of which nothing was done; what was done in part, or may have been, the network undoes first.

    One that is under way at the network cannot be stopped: it completes, and SubscriptionChanged is the answer (or
    ChangeFailed). One that is done is held for a person: undoing it takes a reversal. What was cancelled stays so.
    """
    known = await tx.get(ChangeRow, event.order.id)
    if store.state(known) == "done":
        return [*_held(tx, event.order, rules.done_already())]
    if store.state(known) in {"planned", "restoring"}:
        return []
    if known is not None and known.touched:
        return [*await _restore(tx, known)]
    await store.keep_change(tx, event.order, known.attempt if known else 0, "cancelled")
    return [_cancelled(event.order)]


async def _restore(tx: Transaction, row: ChangeRow) -> Sequence[ChangeHeld | DiscrepancyFound]:
    inventory = await tx.get(SubscriptionRow, row.subscription_id)
    if inventory is not None and inventory.under_way is not None:
        return _held(tx, row.order, rules.another_at_work())
    current = inventory.subscription if inventory else None
    before = rules.restored(current, row.order, brussels_day(tx.now), store.network(inventory))
    tx.put(changed(row, state="restoring", ended_at=None))
    store.begin(tx, inventory, row.order, before)
    action = INVERSE[row.order.action]
    tx.schedule(RestoreNetwork(order_id=row.order_id, attempt=row.attempt, action=action, subscription=before))
    return []


@job(RestoreNetwork, call=gateway.change, reads=_changing)
async def finish_restoring(
    job_: RestoreNetwork, answer: rules.Reported | Refused | GaveUp, tx: Transaction
) -> list[ChangeCancelled | ChangeFailed | DiscrepancyFound]:
    """Say that a change is cancelled once the network has what was there before, or that a person must look."""
    row = await tx.get(ChangeRow, job_.order_id)
    inventory = await tx.get(SubscriptionRow, job_.subscription.id)
    if row is None or inventory is None or (row.state, inventory.asked) != ("restoring", job_.subscription.version):
        return []
    tx.put(changed(inventory, under_way=None))
    if isinstance(answer, rules.Reported):
        wrong, row = rules.not_restored(job_.subscription, answer), changed(row, reported=answer)
    else:
        wrong = rules.failed(f"what was there before is not restored: {answer.reason}")
    if wrong is not None:
        return [*_failed(tx, row, wrong, undoing=True)]
    tx.put(changed(row, state="cancelled", touched=False, ended_at=tx.now))
    return [_cancelled(row.order)]


async def _change(tx: Transaction, order: Order, attempt: int, tries_left: int) -> list[Answer]:
    offer = await store.offer(tx, order.offer)
    if offer is None and order.action in {"add", "modify"}:
        return await _without_offer(tx, order, attempt, tries_left)
    row = await tx.get(SubscriptionRow, order.subscription_id)
    current, today = row.subscription if row else None, brussels_day(tx.now)
    decision = rules.change(current, order, offer, today, store.network(row))
    if isinstance(decision, rules.Held):
        await store.keep_change(tx, order, attempt, "held")
        return [*_held(tx, order, decision)]
    await store.keep_change(tx, order, attempt, "planned", decision)
    store.begin(tx, row, order, decision.after)
    tx.schedule(
        ChangeNetwork(order_id=order.id, attempt=attempt, action=ACTIONS[order.action], subscription=decision.after)
    )
    return []


async def _without_offer(tx: Transaction, order: Order, attempt: int, tries_left: int) -> list[Answer]:
    row = await store.keep_change(tx, order, attempt, "waiting")
    if not tries_left or order.offer is None:
        return [*_failed(tx, row, rules.offer_unknown(order.offer))]
    tx.schedule(ChangeLater(order_id=order.id, attempt=attempt, tries_left=tries_left - 1), wait=AGAIN_SECONDS)
    return []


def _held(tx: Transaction, order: Order, held: rules.Held) -> Sequence[ChangeHeld | DiscrepancyFound]:
    case = _case(tx, order, held.discrepancies) if held.discrepancies else None
    answer = ChangeHeld(
        order_id=order.id,
        subscription_id=order.subscription_id,
        case_id=case.case_id if case else None,
        discrepancies=held.discrepancies,
        subscription_version=held.version,
    )
    return [case, answer] if case else [answer]


def _failed(
    tx: Transaction, row: ChangeRow, why: Discrepancy, *, undoing: bool = False
) -> list[ChangeFailed | DiscrepancyFound]:
    tx.put(changed(row, state="partial" if row.reported else "failed", ended_at=tx.now))
    case = _case(tx, row.order, (why,))
    answer = ChangeFailed(
        order_id=row.order_id,
        subscription_id=row.subscription_id,
        case_id=case.case_id,
        discrepancies=(why,),
        undoing=undoing,
    )
    return [case, answer]


def _case(tx: Transaction, order: Order, discrepancies: tuple[Discrepancy, ...]) -> DiscrepancyFound:
    return DiscrepancyFound(
        case_id=tx.next_id(DiscrepancyFound, order.subscription_id),
        order_id=order.id,
        subscription_id=order.subscription_id,
        customer_id=order.customer_id,
        partner=order.partner,
        agent=order.agent,
        discrepancies=discrepancies,
    )


def _cancelled(order: Order) -> ChangeCancelled:
    return ChangeCancelled(order_id=order.id, subscription_id=order.subscription_id)


def _said_again(tx: Transaction, row: ChangeRow, event: OrderConfirmed) -> SubscriptionChanged:
    """The network did it already: say so once more, for whoever could not go on then and a reviewer sent it again."""
    row = changed(row, order=event.order, attempt=event.attempt)
    tx.put(row)
    return _changed(row)


def _changed(row: ChangeRow) -> SubscriptionChanged:
    if row.after is None or row.ended_at is None:
        raise rules.UnknownChangeError(row.order_id)
    return SubscriptionChanged(
        subscription=row.after,
        before=row.before,
        removed=lost(row.before, row.after) if row.before else (),
        order=row.order,
        effective_at=row.ended_at,
    )
