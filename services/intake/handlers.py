"""What intake does when something was published, done, charged or decided elsewhere."""

from __future__ import annotations

from contracts.case_v1 import CaseDecided, Corrections
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.invoice_v1 import ChargeHeld, ChargesStarted
from contracts.money import CurrencyMismatchError
from contracts.offer_v1 import OfferPublished, OfferWithdrawn, Price
from contracts.order_v1 import (
    Discrepancy,
    OrderAcknowledged,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderHeld,
    OrderPending,
    OrderQuestioned,
    OrderRejected,
    PriceDecision,
    is_untouched,
)
from contracts.subscription_v1 import ChangeCancelled, ChangeFailed, ChangeHeld, SubscriptionChanged
from services.chassis.consuming import consumes
from services.chassis.job import job
from services.chassis.rows import changed
from services.chassis.transaction import Places, Transaction
from services.intake import life, rules, store
from services.intake.life import AssessLater, ExpireConfirmation, WatchState
from services.intake.store import ConfirmationRow, OfferRow, OrderRow, SubscriptionRow


class UnknownOrderError(LookupError):
    """An event names an order that intake never took."""


@consumes(OfferPublished)
async def keep_offer(event: OfferPublished, tx: Transaction) -> None:
    """Keep the published version: orders are judged against intake's own copy."""
    offer = event.offer
    if await tx.get(OfferRow, offer.code, offer.version) is None:  # read again, it may be off sale by now
        tx.add(OfferRow(code=offer.code, version=offer.version, offer=offer, published_at=event.published_at))


@consumes(OfferWithdrawn)
async def withdraw_offer(event: OfferWithdrawn, tx: Transaction) -> None:
    """Remember from when on an offer is off sale; what was sold before stays sold."""
    for publication in await store.publications(tx, event.code):
        row = await tx.get(OfferRow, event.code, publication.offer.version)
        if row is not None and row.withdrawn_at is None:
            tx.put(changed(row, withdrawn_at=event.withdrawn_at))


def _changed(event: SubscriptionChanged) -> Places:
    order = [(OrderRow, (event.order.id,))] if event.order else []
    return [(SubscriptionRow, (event.subscription.id,)), *order]


@consumes(SubscriptionChanged, reads=_changed)
async def keep_subscription(
    event: SubscriptionChanged, tx: Transaction
) -> list[OrderCompleted | OrderAcknowledged | OrderPending | OrderConfirmed | OrderHeld]:
    """Keep what the customer has now, and complete the order if it is charged already."""
    known = await store.subscription(tx, event.subscription.id)
    if known.subscription is None or known.subscription.version < event.subscription.version:
        tx.put(changed(known, subscription=event.subscription))
    if event.order is not None:
        row = await _order(tx, event.order.id)
        await life.complete(tx, changed(row, changed_version=event.subscription.version))
    return []


def _charged(event: ChargesStarted) -> Places:
    order = [(OrderRow, (event.order_id,))] if event.order_id else []
    return [(SubscriptionRow, (event.subscription_id,)), *order]


@consumes(ChargesStarted, reads=_charged)
async def keep_charges(
    event: ChargesStarted, tx: Transaction
) -> list[OrderCompleted | OrderAcknowledged | OrderPending | OrderConfirmed | OrderHeld]:
    """Keep what the customer pays from now on, and complete the order if it is done already."""
    known = await store.subscription(tx, event.subscription_id)
    if known.charged_version < event.subscription_version:
        charges = (*known.charges, event.charge) if event.charge else known.charges
        tx.put(changed(known, charges=charges, charged_version=event.subscription_version))
    if event.order_id is not None:
        row = await _order(tx, event.order_id)
        await life.complete(tx, changed(row, charged_version=event.subscription_version))
    return []


@consumes(ChangeHeld)
async def hold_change(
    event: ChangeHeld, tx: Transaction
) -> list[OrderHeld | OrderPending | OrderConfirmed | DiscrepancyFound]:
    """Hold an order that provisioning stopped; where only the version moved, judge it anew and ask again.

    Who is cancelling it is not asked again: provisioning answers the cancellation next.
    """
    row = await _order(tx, event.order_id)
    if event.case_id is not None:
        _held(tx, row, event, "provisioning")
        return []
    if row.state != "assessingCancellation" and not store.is_final(row.state):
        await life.assess_stopped(tx, row, event.subscription_version)
    return []


@consumes(ChangeFailed)
async def hold_failed(event: ChangeFailed, tx: Transaction) -> list[OrderHeld]:
    """Hold an order that the network refused, did only in part, or did not undo when it was to be cancelled."""
    row = await _order(tx, event.order_id)
    if event.undoing and row.state == "assessingCancellation":
        row = life.move(tx, row, "pendingCancellation", "provisioning", "what was done is to be undone")
    _held(tx, row, event, "provisioning")
    return []


@consumes(ChangeCancelled)
async def finish_cancellation(event: ChangeCancelled, tx: Transaction) -> list[OrderCancelled]:
    """Cancel an order now that it is known that nothing of it is in place; one that ended stays as it is."""
    row = await _order(tx, event.order_id)
    if store.is_final(row.state):
        return []
    reason = rules.why_cancelled(row.history)
    if row.state != "assessingCancellation":  # a refusal came in between, or its clock ran out and it was sent again
        row = life.move(tx, row, "assessingCancellation", "provisioning", reason)
    row = life.move(tx, row, "pendingCancellation", "provisioning")
    await life.cancelled(tx, row, "provisioning", reason)
    return []


@consumes(ChargeHeld)
async def hold_charge(event: ChargeHeld, tx: Transaction) -> list[OrderHeld]:
    """Hold an order that billing does not charge."""
    _held(tx, await _order(tx, event.order_id), event, "billing")
    return []


def _held(tx: Transaction, row: OrderRow, event: ChangeHeld | ChangeFailed | ChargeHeld, by: str) -> None:
    """Hold an order for the case that its executor opened; one that has ended meanwhile stays ended."""
    if event.case_id is not None and not store.is_final(row.state):
        life.held_by(tx, row, event.discrepancies, event.case_id, by)


@consumes(CaseDecided)
async def carry_out_decision(
    event: CaseDecided, tx: Transaction
) -> list[
    OrderAcknowledged
    | OrderPending
    | OrderHeld
    | OrderQuestioned
    | OrderRejected
    | OrderCancelled
    | OrderCancellationRequested
    | OrderConfirmed
]:
    """Answer a reviewer's decision with an order event; about a case that holds the order no more it is overtaken."""
    row = await tx.get(OrderRow, event.order_id) if event.order_id else None
    if row is None or row.state != "held" or row.case_id != event.case_id:
        return []
    if event.decision == "ask_partner":
        life.question(tx, row, event.reviewer, event.reason)
        return []
    if event.decision == "correct_and_resubmit":
        await _correct(tx, row, event)
        return []
    match event.decision:
        case "reject" if not row.attempt:
            await life.reject(tx, row, event.reviewer, event.reason)
        case "reject" | "cancel":
            await life.cancel(tx, row, event.reviewer, event.reason)
        case "send_again" if not row.attempt:
            await life.resume(tx, row, event.reviewer)
        case "send_again":
            await _send_again(tx, row, event)
        case "apply_published_price" | "honour_quote":
            await _decide_price(tx, row, event)
        case _:
            message = f"{event.decision} is not carried out by intake"
            raise NotImplementedError(message)
    return []


async def _send_again(tx: Transaction, row: OrderRow, event: CaseDecided) -> None:
    """Send an order on its way once more; to one of which its customer was asked, and did not say yes, nothing is done.

    That one is cancelled again: what is still in place of it is to be undone.
    """
    asked = await tx.get(ConfirmationRow, row.confirmation_id) if row.confirmation_id else None
    if asked is not None and asked.answer != "yes":
        await life.cancel(tx, row, event.reviewer, event.reason)
    else:
        await life.start(tx, row, event.reviewer, "sent-again")


async def _correct(tx: Transaction, row: OrderRow, event: CaseDecided) -> None:
    """Put an order right and judge it again: a correction resolves nothing by itself.

    Another offer is looked for anew, and what was decided about the price of the first one is not about it. An order of
    which something may be under way or in place stays as it is and held, and its case is open again.
    """
    if not (is_untouched(row.discrepancies, confirmed=row.attempt > 0) and rules.never_left_open(row.history)):
        life.held_by(tx, row, row.discrepancies, event.case_id, event.reviewer)
        return
    order = rules.corrected(row.order, event.corrections or Corrections())
    same_offer = order.offer_code == row.order.offer_code
    await life.resume(tx, changed(row, order=order, resolved=row.resolved if same_offer else []), event.reviewer)


async def _decide_price(tx: Transaction, row: OrderRow, event: CaseDecided) -> None:
    """Fix the price of a decision; where there is none to honour the order stays held, and its case is open again."""
    honours = event.decision == "honour_quote"
    try:
        price = await _honoured(tx, row) if honours else None
    except (rules.NothingToHonourError, CurrencyMismatchError):
        life.held_by(tx, row, row.discrepancies, event.case_id, event.reviewer)
        return
    row = changed(row, resolved=sorted({*row.resolved, *event.codes}))
    decision = PriceDecision(
        kind="honour_quote" if honours else "apply_published_price",
        case_id=event.case_id,
        reviewer=event.reviewer,
        honoured=price,
    )
    if not (row.order.decision and row.order.decision.honoured):  # an honoured quote stays, whatever else is decided
        row = changed(row, order=row.order.model_copy(update={"decision": decision}))
    left = rules.unresolved(row.discrepancies, row.resolved)
    if left:
        life.held_by(tx, row, left, event.case_id, event.reviewer)
        return
    await life.resume(tx, row, event.reviewer)


async def _honoured(tx: Transaction, row: OrderRow) -> Price:
    publications = await store.publications(tx, row.order.offer_code)
    return rules.honoured(row.order, publications, await store.current_charge(tx, row))


@job(AssessLater)
async def assess_later(job_: AssessLater, tx: Transaction) -> list[OrderHeld | OrderPending | OrderConfirmed]:
    """Judge an order once its offer is here, or when it has been waited for long enough."""
    row = await _order(tx, job_.order_id)
    if row.state != "acknowledged":
        return []
    if job_.tries_left and not await store.publications(tx, row.order.offer_code):
        again = AssessLater(order_id=row.id, tries_left=job_.tries_left - 1)
        tx.schedule(again, wait=life.AGAIN_REAL_SECONDS)
        return []
    await life.assess(tx, row)
    return []


@job(ExpireConfirmation)
async def expire_confirmation(
    job_: ExpireConfirmation, tx: Transaction
) -> list[OrderCancelled | OrderCancellationRequested]:
    """Cancel an order whose customer did not answer in time; a question that was replaced has nothing to expire."""
    confirmation = await tx.get(ConfirmationRow, job_.confirmation_id)
    row = await _order(tx, confirmation.order_id) if confirmation else None
    if row is not None and row.state == "pending" and row.confirmation_id == job_.confirmation_id:
        await life.cancel(tx, row, "intake", "the customer did not answer in time")
    return []


@job(WatchState)
async def raise_overdue(job_: WatchState, tx: Transaction) -> list[OrderHeld | DiscrepancyFound]:
    """Hold an order that stayed where it was until its clock ran out, and open a case."""
    row = await _order(tx, job_.order_id)
    if len(row.history) != job_.steps or store.is_final(row.state):
        return []
    overdue = Discrepancy(code=job_.code, path="/state", expected=None, given=row.state, stage=rules.STAGE)
    life.hold(tx, changed(row, waits_for=None), (overdue,), "intake")
    return []


async def _order(tx: Transaction, order_id: str) -> OrderRow:
    row = await tx.get(OrderRow, order_id)
    if row is None:
        raise UnknownOrderError(order_id)
    return row
