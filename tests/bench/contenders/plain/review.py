"""Review: notes what happens to orders."""

from __future__ import annotations

from typing import Any

from faststream.kafka.annotations import KafkaMessage

from contracts.order_v1 import OrderCompleted, OrderConfirmed
from tests.bench.contenders.plain.wiring import Service, of_type
from tests.bench.contenders.work import review

service = Service("review", review.TABLES)
orders = service.subscriber("orders")


@orders(filter=of_type(OrderConfirmed))
async def follow_confirmed(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Note that an order is on its way."""
    async with service.session() as session:
        review.note(session, event, message.headers["ce_id"])
        await session.commit()


@orders(filter=of_type(OrderCompleted))
async def follow_completed(event: OrderCompleted, message: KafkaMessage) -> None:
    """Note that an order is complete."""
    async with service.session() as session:
        review.note(session, event, message.headers["ce_id"])
        await session.commit()


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


if __name__ == "__main__":
    service.run()
