"""The order's life: the steps that doors and handlers take alike, each a change of state with its events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.money import Money
from contracts.offer_v1 import OfferRef, brussels_day
from contracts.order_v1 import (
    Discrepancy,
    Evidence,
    Order,
    OrderAcknowledged,
    OrderAnswered,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderHeld,
    OrderPending,
    OrderPrice,
    OrderQuestioned,
    OrderRejected,
    State,
)
from contracts.subscription_v1 import Subscription
from services.chassis.job import Job
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.intake import rules, store
from services.intake.rules.reception import recent_change
from services.intake.settings import settings
from services.intake.store import ConfirmationRow, CustomerRow, OrderRow, SubscriptionRow

AGAIN_REAL_SECONDS = 0.25


class AssessLater(Job):
    """Assess an order again that names an offer which may only be late."""

    name: ClassVar[str] = "intake.assess-later"
    order_id: str
    tries_left: int


class ExpireConfirmation(Job):
    """Cancel an order whose customer did not answer."""

    name: ClassVar[str] = "intake.expire-confirmation"
    confirmation_id: str


class WatchState(Job):
    """Raise a case where an order stays too long in a state (S8); `steps` tells whether it moved meanwhile."""

    name: ClassVar[str] = "intake.watch-state"
    order_id: str
    steps: int
    code: str


async def begin(tx: Transaction, row: OrderRow, subscription: SubscriptionRow) -> OrderRow:
    """Take a new order: it waits for its turn, or for an offer that may be late, or is judged at once."""
    await store.claim(tx, row.order.evidence, row.id)
    if store.overtakes(row, subscription):
        return await assess(tx, row)
    ahead = store.line_up(tx, row, subscription)
    return wait(tx, row, ahead) if ahead else await _assess_in_turn(tx, row)


async def resume(tx: Transaction, row: OrderRow, by: str) -> OrderRow:
    """Judge a held order again, of which nothing was done; where another one has the turn, it waits once more."""
    subscription = await store.subscription(tx, row.subscription_id)
    ahead = None if store.overtakes(row, subscription) else store.line_up(tx, row, subscription)
    if ahead is None:
        return await assess(tx, row, by)
    return wait(tx, move(tx, changed(row, discrepancies=()), "acknowledged", by, f"waits for {ahead}"), ahead)


async def _assess_in_turn(tx: Transaction, row: OrderRow) -> OrderRow:
    """Judge an order whose turn it is; one whose offer is not here waits a moment for it, as it may only be late."""
    if row.order.offer_code is None or await store.publications(tx, row.order.offer_code):
        return await assess(tx, row)
    tries = round(settings.late_offer_real_seconds / AGAIN_REAL_SECONDS)
    tx.schedule(AssessLater(order_id=row.id, tries_left=tries), wait=AGAIN_REAL_SECONDS)
    return wait(tx, row, row.order.offer_code)


def wait(tx: Transaction, row: OrderRow, waits_for: str) -> OrderRow:
    """Say that an order was taken and what it waits for."""
    row = changed(row, waits_for=waits_for)
    tx.put(row)
    tx.publish(OrderAcknowledged(order=row.order, waits_for=waits_for))
    watch(tx, row, "order.conflict", settings.acknowledged_seconds)
    return row


async def assess(tx: Transaction, row: OrderRow, by: str = "intake") -> OrderRow:
    """Judge an order and hold it, or ask the customer.

    Who signed a contract in the shop is not asked again, as long as nothing happened to her order but waiting its turn.
    """
    judged = await judge(tx, row)
    order = row.order.model_copy(
        update={
            "offer": judged.offer,
            "price": judged.price,
            "recent_change": await _recent_change(tx, row, judged.price),
            "subscription_version": await _version(tx, row),
        }
    )
    row = changed(row, order=order, waits_for=None)
    found = judged.left(row.resolved)
    if found:
        return hold(tx, row, found, by)
    if _only_waited(row) and await _is_signed(tx, row, judged):
        return await start(tx, row, by, "signed-contract")
    return await ask(tx, row, by)


async def assess_stopped(tx: Transaction, row: OrderRow, version: int | None) -> OrderRow:
    """Judge an order anew that provisioning stopped at this version of the subscription.

    What was signed holds, once, where it is still so; a customer who was asked is always asked anew.
    """
    judged = await judge(tx, row)
    as_signed = row.confirmation_id is None and row.attempt == 1 and await _is_signed(tx, row, judged)
    same_version = row.order.subscription_version == version
    row = move(tx, row, "held", "provisioning", "the subscription changed meanwhile")
    if as_signed and same_version and not rules.moved(row.order, judged, await _version(tx, row)):
        return await start(tx, row, "intake", "sent-again")
    return await assess(tx, row)


def _only_waited(row: OrderRow) -> bool:
    """Whether nobody had a question about an order, or decided or put right anything: it was taken, and waited."""
    return all(entry["state"] == "acknowledged" for entry in row.history)


async def _is_signed(tx: Transaction, row: OrderRow, judged: rules.Assessment) -> bool:
    held = await store.holds(tx, row.partner, row.order.evidence)
    return rules.is_signed(row.order, judged, held=held)


async def judge(tx: Transaction, row: OrderRow) -> rules.Assessment:
    """Run the gate on what is known now; the offer version that was resolved once stays."""
    subscription = await tx.get(SubscriptionRow, row.subscription_id)
    facts = rules.Facts(
        publications=await store.publications(tx, row.order.offer_code),
        subscription=subscription.subscription if subscription else None,
        charges=subscription.charges if subscription else (),
        channels=row.channels,
        agents=await store.agents(tx, row.partner),
        evidence_proves=await store.proven_by(tx, row.order.evidence) or row.id,
        evidence_channels=settings.evidence_channels,
        reception=row.reception,
        windows=rules.Windows(
            timedelta(seconds=settings.backdated_seconds), timedelta(seconds=settings.postdated_seconds)
        ),
    )
    return rules.assess(row.order, facts)


async def _recent_change(tx: Transaction, row: OrderRow, price: OrderPrice | None) -> Money | None:
    known = await tx.get(SubscriptionRow, row.subscription_id)
    return recent_change(price, known.charges if known else (), brussels_day(row.order.sold_at))


def hold(tx: Transaction, row: OrderRow, found: Sequence[Discrepancy], by: str) -> OrderRow:
    """Hold an order and open the one case of this judgement."""
    return held_by(tx, row, found, raise_case(tx, row, found), by)


def raise_case(tx: Transaction, row: OrderRow, found: Sequence[Discrepancy]) -> str:
    """Say what was found about an order, once; the id of the case that review opens for it."""
    case_id = tx.next_id(DiscrepancyFound, row.subscription_id)
    order = row.order
    tx.publish(
        DiscrepancyFound(
            case_id=case_id,
            order_id=row.id,
            subscription_id=row.subscription_id,
            customer_id=row.customer_id,
            partner=row.partner,
            agent=order.agent,
            discrepancies=tuple(found),
            published_monthly=order.price.new_monthly if order.price else None,
            quoted_monthly=rules.quoted_monthly(order),
        )
    )
    return case_id


def held_by(tx: Transaction, row: OrderRow, found: Sequence[Discrepancy], case_id: str, by: str) -> OrderRow:
    """Hold an order for a case that is open, whoever found it."""
    codes = tuple(each.code for each in found)
    told = () if row.case_id else row.reception.owners  # once, when the order is held for the first time
    row = changed(row, discrepancies=tuple(found), case_id=case_id)
    row = move(tx, row, "held", by, ", ".join(sorted(set(codes))))
    tx.publish(OrderHeld(order=row.order, case_id=case_id, codes=codes, contact_owners=told))
    return row


def question(tx: Transaction, row: OrderRow, by: str, asked: str) -> OrderRow:
    """Ask the partner about a held order; it stays held, and whatever was asked before is asked no more."""
    row = changed(move(tx, row, "held", by, asked), question=asked)
    tx.put(row)
    tx.publish(OrderQuestioned(order=row.order, case_id=row.case_id or "", question=asked, asked_at=tx.now))
    return row


async def answer(tx: Transaction, row: OrderRow, by: str, text: str, evidence: Evidence | None) -> OrderRow:
    """Hand the partner's answer to review; its evidence proves no other order, and is this one's once resubmitted."""
    await store.claim(tx, evidence, row.id)
    held = await store.holds(tx, row.partner, evidence) if evidence else None
    row = move(tx, row, "held", by, "answered")
    said: dict[str, Any] = {"text": text, "evidence": evidence, "evidence_held": held, "answered_at": tx.now}
    tx.publish(OrderAnswered(order=row.order, case_id=row.case_id or "", **said))
    return row


async def ask(tx: Transaction, row: OrderRow, by: str) -> OrderRow:
    """Ask the customer: no contract exists before the yes (S2). An earlier question is answered no more."""
    customer = await tx.get(CustomerRow, row.customer_id)
    confirmation = ConfirmationRow(
        id=tx.new_id(),
        order_id=row.id,
        code_required=customer is not None and not customer.verified,
        asked_at=tx.now,
        expires_at=tx.now + timedelta(seconds=settings.confirmation_seconds),
    )
    tx.add(confirmation)
    tx.schedule(ExpireConfirmation(confirmation_id=confirmation.id), due=confirmation.expires_at)
    row = move(tx, changed(row, discrepancies=(), confirmation_id=confirmation.id), "pending", by)
    tx.publish(
        OrderPending(
            order=row.order,
            confirmation_id=confirmation.id,
            expires_at=confirmation.expires_at,
            current_offer=await _current_offer(tx, row),
            code_required=confirmation.code_required,
        )
    )
    return row


async def wrong_code(tx: Transaction, row: OrderRow, confirmation: ConfirmationRow) -> OrderRow:
    """Count a wrong code; who mistakes it too often is not who the phone belongs to, and the order ends."""
    confirmation = changed(confirmation, wrong_codes=confirmation.wrong_codes + 1)
    tx.put(confirmation)
    if confirmation.wrong_codes < settings.wrong_codes:
        return row
    return await cancel(tx, row, "intake", f"the code was wrong {confirmation.wrong_codes} times")


async def confirm(tx: Transaction, row: OrderRow) -> OrderRow:
    """Carry out a yes, if what the customer was shown is still so; else she is asked anew, or a person looks.

    With her code a new customer has shown that address and phone are hers. From her yes on the partner may see what
    she has and pays.
    """
    row = changed(row, order=row.order.model_copy(update={"discloses": True}))
    customer = await tx.get(CustomerRow, row.customer_id)
    if customer is not None and not customer.verified:
        tx.put(changed(customer, verified=True))
    judged = await judge(tx, row)
    version = await _version(tx, row)
    if judged.left(row.resolved) or rules.moved(row.order, judged, version):
        return await assess(tx, row)
    return await start(tx, row, "customer", "email-link")


async def start(tx: Transaction, row: OrderRow, by: str, medium: str) -> OrderRow:
    """Send an order on its way to provisioning; again with a higher attempt after a reviewer's decision."""
    attempt = row.attempt + 1
    row = changed(row, attempt=attempt, order=row.order.model_copy(update={"attempt": attempt}), discrepancies=())
    row = move(tx, row, "inProgress", by)
    tx.publish(
        OrderConfirmed(
            order=row.order,
            confirmed_at=tx.now,
            medium=medium,
            current_offer=await _current_offer(tx, row),
            attempt=attempt,
        )
    )
    watch(tx, row, "order.overdue", settings.in_progress_seconds)
    return row


async def complete(tx: Transaction, row: OrderRow) -> OrderRow:
    """Complete an order once what was changed is charged: both of the same subscription version."""
    done = row.changed_version is not None and row.changed_version == row.charged_version
    if not done or store.is_final(row.state):  # what is said again about an end changes nothing
        tx.put(row)
        return row
    if row.state != "inProgress":  # its clock ran out meanwhile, or a cancellation came too late
        row = move(tx, row, "inProgress", "intake", "carried out after all")
    row = move(tx, row, "completed", "intake")
    tx.publish(OrderCompleted(order=row.order, completed_at=tx.now))
    await pass_turn(tx, row)
    return row


async def reverse(tx: Transaction, row: OrderRow, by: str, reason: str) -> OrderRow:
    """Turn the cancellation of a completed order into an order that undoes it, and name it; one that goes on stays."""
    known = await tx.get(OrderRow, row.reversed_by) if row.reversed_by else None
    if known is not None and not store.is_final(known.state):
        return row
    order = Order(
        **row.order.model_dump(include={"partner", "agent", "channel", "customer_id", "subscription_id", "discloses"}),
        id=tx.new_id(),
        partner_reference=f"reversal {tx.same_id('reversal', row.id)}",
        action="reverse",
        reverses=row.id,
        grounds="misencoded",
        sold_at=tx.now,
        received_at=tx.now,
    )
    row = changed(row, reversed_by=order.id)
    tx.put(row)
    entry = store.history_entry("acknowledged", tx.now, by, reason)
    reversal = store.new_order(order, row.channels, entry, tx.now)
    tx.add(reversal)
    await begin(tx, reversal, await store.subscription(tx, row.subscription_id))
    return row


async def reject(tx: Transaction, row: OrderRow, by: str, reason: str) -> OrderRow:
    """End an order that was never carried out."""
    row = move(tx, row, "rejected", by, reason)
    tx.publish(OrderRejected(order=row.order, reason=reason))
    await pass_turn(tx, row)
    return row


async def cancel(tx: Transaction, row: OrderRow, by: str, reason: str) -> OrderRow:
    """End an order: at once where it was never on its way, else provisioning stops or undoes what was done of it."""
    if row.attempt:
        row = move(tx, row, "assessingCancellation", by, reason)
        tx.publish(OrderCancellationRequested(order=row.order, reason=reason))
        watch(tx, row, "order.overdue", settings.in_progress_seconds)
        return row
    return await cancelled(tx, row, by, reason)


async def cancelled(tx: Transaction, row: OrderRow, by: str, reason: str) -> OrderRow:
    """Say that an order ended without effect."""
    row = move(tx, row, "cancelled", by, reason)
    tx.publish(OrderCancelled(order=row.order, reason=reason))
    await pass_turn(tx, row)
    return row


async def dispute(tx: Transaction, row: OrderRow, change: Money | None, total: Money | None) -> OrderRow:
    """Cancel an order that is not what its customer was told, and have a person ask what the agent told her (S2)."""
    raise_case(tx, row, rules.disputed(row.order, change, total))
    return await cancel(tx, row, "customer", "it is not what the customer was told")


async def pass_turn(tx: Transaction, row: OrderRow) -> None:
    """Free the turn on a subscription and judge the oldest order that waits for it."""
    following = await store.pass_turn(tx, row)
    if following is not None:
        await _assess_in_turn(tx, following)


def move(tx: Transaction, row: OrderRow, state: State, by: str, reason: str | None = None) -> OrderRow:
    """Change an order's state, guarded, and write it down with who and why."""
    entry = store.history_entry(rules.step(row.state, state), tx.now, by, reason)  # type: ignore[arg-type]
    row = changed(row, state=state, question=None, history=[*row.history, entry], updated_at=tx.now)
    tx.put(row)
    return row


def watch(tx: Transaction, row: OrderRow, code: str, seconds: int) -> None:
    """Set the clock of the state that an order is in now."""
    job = WatchState(order_id=row.id, steps=len(row.history), code=code)
    tx.schedule(job, due=tx.now + timedelta(seconds=seconds))


async def _current(tx: Transaction, row: OrderRow) -> Subscription | None:
    subscription = await tx.get(SubscriptionRow, row.subscription_id)
    return subscription.subscription if subscription else None


async def _version(tx: Transaction, row: OrderRow) -> int | None:
    current = await _current(tx, row)
    return current.version if current else None


async def _current_offer(tx: Transaction, row: OrderRow) -> OfferRef | None:
    current = await _current(tx, row)
    return current.offer if current else None
