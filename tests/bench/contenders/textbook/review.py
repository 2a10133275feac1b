"""Review: notes what happens to orders."""

from __future__ import annotations

from typing import Any

from faststream.kafka.annotations import KafkaMessage
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from contracts.order_v1 import OrderCompleted, OrderConfirmed
from tests.bench.contenders.textbook.wiring import Service, of_type
from tests.bench.contenders.work import review

service = Service("review", review.TABLES)
orders = service.subscriber("orders")


@orders(filter=of_type(OrderConfirmed))
async def follow_confirmed(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Note that an order is on its way."""
    await note(event, message)


@orders(filter=of_type(OrderCompleted))
async def follow_completed(event: OrderCompleted, message: KafkaMessage) -> None:
    """Note that an order is complete."""
    await note(event, message)


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


async def note(event: OrderConfirmed | OrderCompleted, message: KafkaMessage) -> None:
    """Note an event once."""

    async def work(session: AsyncSession) -> list[Event]:
        review.note(session, event, message.headers["ce_id"])
        return []

    await service.once(message, work)


if __name__ == "__main__":
    service.run()
