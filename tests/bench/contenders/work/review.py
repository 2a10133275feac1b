"""Review's work: it notes what it sees of an order."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.order_v1 import OrderCompleted, OrderConfirmed
from tests.bench.contenders.work.tables import SeenRow, now

TABLES = (SeenRow,)


def note(session: AsyncSession, event: OrderConfirmed | OrderCompleted, event_id: str) -> None:
    """Note one event of an order."""
    session.add(SeenRow(id=event_id, order_id=event.order.id, type=event.type, at=now()))
