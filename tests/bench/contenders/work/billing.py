"""Billing's work within one session: charge what was put in place, and hold the commission of a completed order."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from contracts.commission_v1 import CommissionHeld
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.offer_v1 import Publication, brussels_day
from contracts.order_v1 import OrderCompleted
from contracts.subscription_v1 import SubscriptionChanged
from services.billing.rules import Entry, Started, charged_by, decide, lines, offer_code
from services.billing.rules.commissions import Rate, commission
from tests.bench.contenders.work.intake import publications
from tests.bench.contenders.work.provisioning import NotCarriedOutError
from tests.bench.contenders.work.tables import ChargedRow, CommissionRow, LineRow, OfferRow, RateRow, now

TABLES = (OfferRow, RateRow, ChargedRow, LineRow, CommissionRow)


async def start_charges(session: AsyncSession, event: SubscriptionChanged) -> list[Event]:
    """Judge the price again and write the lines that follow. Raises NotCarriedOutError."""
    subscription = event.subscription
    row = await session.get(ChargedRow, subscription.id, with_for_update=True)
    history = [Entry.model_validate(each) for each in row.history] if row else []
    started = _started(event, await publications(session, offer_code(event)), history)
    today = brussels_day(now())
    written = lines(history, started, row.charged if row else None, today)
    session.add(
        ChargedRow(
            id=subscription.id,
            customer_id=subscription.customer_id,
            version=subscription.version,
            history=[started.entry.model_dump(mode="json")],
            charged=charged_by(None, today),
            lines=len(written),
        )
    )
    for number, line in enumerate(written, start=1):
        session.add(
            LineRow(
                subscription_id=subscription.id,
                number=number,
                version=subscription.version,
                order_id=started.entry.order_id or "",
                line=line.model_dump(mode="json"),
            )
        )
    return [_charges(event, started)]


def _started(event: SubscriptionChanged, offers: Sequence[Publication], history: Sequence[Entry]) -> Started:
    decision = decide(event, offers, history)
    if not isinstance(decision, Started):
        raise NotCarriedOutError(event.subscription.id)
    return decision


def _charges(event: SubscriptionChanged, started: Started) -> ChargesStarted:
    return ChargesStarted(
        order_id=started.entry.order_id,
        subscription_id=event.subscription.id,
        customer_id=event.subscription.customer_id,
        subscription_version=started.entry.version,
        charge=started.entry.charge,
        one_off=started.one_off,
        case_id=started.entry.case_id,
    )


async def hold_commission(session: AsyncSession, event: OrderCompleted) -> list[Event]:
    """Fix what the partner earns by the order."""
    order = event.order
    rows = await session.scalars(select(RateRow).where(col(RateRow.partner) == order.partner))
    rates = [Rate.model_validate(row.model_dump(exclude={"partner", "position"})) for row in rows]
    amount = commission(order, rates)
    if amount is None:
        return []
    who = {"partner": order.partner, "agent": order.agent, "subscription_id": order.subscription_id}
    session.add(
        CommissionRow(
            order_id=order.id,
            amount=amount.model_dump(mode="json"),
            state="held",
            sold_at=order.sold_at,
            held_at=now(),
            **who,
        )
    )
    return [CommissionHeld(order_id=order.id, commission=amount, **who)]
