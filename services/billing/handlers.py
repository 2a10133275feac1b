"""What billing does when an offer, a subscription or an order changed."""

from __future__ import annotations

from typing import ClassVar

from pydantic import StrictInt

from contracts.commission_v1 import CommissionHeld
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.invoice_v1 import ChargeHeld, ChargesStarted, Month
from contracts.offer_v1 import OfferPublished, OfferWithdrawn, brussels_day
from contracts.order_v1 import OrderCompleted
from contracts.subscription_v1 import SubscriptionChanged
from services.billing import rules, store
from services.billing.rules import Held, Started
from services.billing.rules.commissions import commission
from services.billing.settings import settings
from services.billing.store import CommissionRow, OfferRow, SubscriptionRow
from services.chassis.consuming import consumes
from services.chassis.job import Job, job
from services.chassis.rows import changed
from services.chassis.transaction import Transaction

AGAIN_REAL_SECONDS = 0.25


class ChargeLater(Job):
    """Try again to charge a subscription version whose offer is not here yet, or which stands behind such a one."""

    name: ClassVar[str] = "billing.charge-later"
    event: SubscriptionChanged
    tries: StrictInt


class ChargeMonth(Job):
    """Write the monthly line of a subscription on its billing day."""

    name: ClassVar[str] = "billing.charge-month"
    subscription_id: str
    month: Month


@consumes(OfferPublished)
async def keep_offer(event: OfferPublished, tx: Transaction) -> None:
    """Keep the published version: prices are judged against billing's own copy."""
    offer = event.offer
    if await tx.get(OfferRow, offer.code, offer.version) is None:
        tx.add(OfferRow(code=offer.code, version=offer.version, offer=offer, published_at=event.published_at))


@consumes(OfferWithdrawn)
async def withdraw_offer(event: OfferWithdrawn, tx: Transaction) -> None:
    """Remember from when on an offer is off sale; what was sold before stays sold."""
    await store.withdraw(tx, event)


@consumes(SubscriptionChanged, reads=lambda event: [(SubscriptionRow, (event.subscription.id,))])
async def start_charges(
    event: SubscriptionChanged, tx: Transaction
) -> list[ChargesStarted | ChargeHeld | DiscrepancyFound]:
    """Charge what the customer has now at the published or the decided price, or hold it; each version once.

    A version that is held stays to be decided: later ones wait behind it, and follow once it is charged.
    """
    now = event.subscription
    row = await tx.get(SubscriptionRow, now.id)
    if row is not None and rules.came_before(event, row.version, row.held):
        return []
    row = row or SubscriptionRow(id=now.id, customer_id=now.customer_id, version=now.version)
    tries = round(settings.late_offer_wait / AGAIN_REAL_SECONDS)
    held = None if rules.is_held(event, row.held) else row.held
    return await _settle(event, changed(row, version=max(row.version, now.version), held=held), tries, tx)


@job(ChargeLater)
async def charge_later(again: ChargeLater, tx: Transaction) -> list[ChargesStarted | ChargeHeld | DiscrepancyFound]:
    """Charge a version that had to wait."""
    row = await tx.get(SubscriptionRow, again.event.subscription.id)
    if row is None or again.event.subscription.version not in row.waiting:
        return []
    return await _settle(again.event, row, again.tries, tx)


@job(ChargeMonth)
async def charge_month(due: ChargeMonth, tx: Transaction) -> None:
    """Write the monthly lines that are due, and come again on the next billing day while something is charged."""
    row, today = await tx.get(SubscriptionRow, due.subscription_id), brussels_day(tx.now)
    entry = row.history[-1] if row and row.history else None
    if row is None or row.charged is None or entry is None or entry.charge is None:
        return
    lines = rules.monthly_lines(row.history, row.charged, today)
    row = store.write_lines(tx, row, lines, version=entry.version)
    tx.put(changed(row, charged=rules.charged_by(row.charged, today)))
    _schedule_month(tx, row.id, rules.charged_by(row.charged, today))


@consumes(OrderCompleted, reads=lambda event: [(CommissionRow, (event.order.id,))])
async def hold_commission(event: OrderCompleted, tx: Transaction) -> list[CommissionHeld]:
    """Fix what the partner earns by the order, once, at the rate of the day of the sale."""
    order = event.order
    amount = commission(order, await store.rates(tx, order.partner))
    if amount is None or await tx.get(CommissionRow, order.id) is not None:
        return []
    tx.add(
        CommissionRow(
            order_id=order.id,
            partner=order.partner,
            agent=order.agent,
            subscription_id=order.subscription_id,
            amount=amount,
            state="held",
            sold_at=order.sold_at,
            held_at=tx.now,
        )
    )
    return [
        CommissionHeld(
            order_id=order.id,
            subscription_id=order.subscription_id,
            partner=order.partner,
            agent=order.agent,
            commission=amount,
        )
    ]


async def _settle(
    event: SubscriptionChanged, row: SubscriptionRow, tries: int, tx: Transaction
) -> list[ChargesStarted | ChargeHeld | DiscrepancyFound]:
    """Judge a version, and after it those that waited for it to be decided."""
    said = await _in_turn(event, row, tries, tx)
    now = await tx.get(SubscriptionRow, row.id)
    if now is None or now.held is not None or not now.behind:
        return said
    following, *later = now.behind
    return [*said, *await _settle(following, changed(now, behind=tuple(later)), tries, tx)]


async def _in_turn(
    event: SubscriptionChanged, row: SubscriptionRow, tries: int, tx: Transaction
) -> list[ChargesStarted | ChargeHeld | DiscrepancyFound]:
    """Judge a version when those before it are settled and its offer is here, or no longer waited for."""
    version = event.subscription.version
    if row.held is not None:
        behind = sorted((*row.behind, event), key=lambda each: each.subscription.version)
        tx.put(changed(row, behind=tuple(behind), waiting=tuple(each for each in row.waiting if each != version)))
        return []
    stands_behind = any(each < version for each in row.waiting)
    versions = await store.publications(tx, rules.offer_code(event))
    if stands_behind or (tries > 0 and rules.is_late(event, versions)):
        tx.put(changed(row, waiting=tuple(sorted({*row.waiting, version}))))
        tx.schedule(ChargeLater(event=event, tries=tries if stands_behind else tries - 1), wait=AGAIN_REAL_SECONDS)
        return []
    row = changed(row, waiting=tuple(each for each in row.waiting if each != version))
    decision = rules.decide(event, versions, row.history)
    if isinstance(decision, Held):
        return _hold(event, decision, row, tx)
    return [_start(event, decision, row, tx)]


def _start(event: SubscriptionChanged, started: Started, row: SubscriptionRow, tx: Transaction) -> ChargesStarted:
    entry, today = started.entry, brussels_day(tx.now)
    charged = rules.charged_by(row.charged, today)
    lines = rules.lines(row.history, started, row.charged, today)
    if row.charged is None and entry.charge:
        _schedule_month(tx, row.id, charged)
    row = store.write_lines(tx, row, lines, version=entry.version, order_id=entry.order_id)
    tx.put(changed(row, history=(*row.history, entry), charged=charged))
    return ChargesStarted(
        order_id=entry.order_id,
        subscription_id=row.id,
        customer_id=event.subscription.customer_id,
        subscription_version=entry.version,
        charge=entry.charge,
        one_off=started.one_off,
        case_id=entry.case_id,
    )


def _schedule_month(tx: Transaction, subscription_id: str, charged: Month) -> None:
    month = rules.following(charged)
    tx.schedule(ChargeMonth(subscription_id=subscription_id, month=month), due=rules.billing_moment(month))


def _hold(
    event: SubscriptionChanged, held: Held, row: SubscriptionRow, tx: Transaction
) -> list[ChargesStarted | ChargeHeld | DiscrepancyFound]:
    """Charge nothing, and let one case list everything that differs."""
    order = event.order
    tx.put(changed(row, held=order))
    case_id = tx.next_id(DiscrepancyFound, row.id)
    found = DiscrepancyFound(
        case_id=case_id,
        order_id=order.id if order else None,
        subscription_id=row.id,
        customer_id=event.subscription.customer_id,
        partner=order.partner if order else None,
        agent=order.agent if order else None,
        discrepancies=held.discrepancies,
        published_monthly=held.published,
        quoted_monthly=held.quoted,
    )
    if order is None:
        return [found]
    stopped = ChargeHeld(order_id=order.id, subscription_id=row.id, case_id=case_id, discrepancies=held.discrepancies)
    return [stopped, found]
