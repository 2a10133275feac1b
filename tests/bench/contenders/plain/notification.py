"""Notification: writes to customers and partners."""

from __future__ import annotations

import asyncio
from typing import Any

from faststream.kafka.annotations import KafkaMessage
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.customer_v1 import CustomerRecorded
from contracts.order_v1 import OrderCompleted, OrderConfirmed
from services.notification.rules import Letter, Notice, notices
from tests.bench.contenders.plain.wiring import Service, of_type, settings
from tests.bench.contenders.work import demo, notification

LATE_SECONDS = 0.02
"""The topics of customers and orders are not ordered: how long to wait before looking for a customer again."""

service = Service("notification", notification.TABLES, [*demo.offers(), *demo.partners(settings.api_key_sha256)])
customers = service.subscriber("customers")
orders = service.subscriber("orders")


@customers(filter=of_type(CustomerRecorded))
async def keep_customer(event: CustomerRecorded) -> None:
    """Keep where a customer reads."""
    async with service.session() as session:
        await notification.keep_customer(session, event)
        await session.commit()


@orders(filter=of_type(OrderConfirmed))
async def send_contract_summary(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Send the customer her contract summary."""
    await tell(event, message.headers["ce_id"])


@orders(filter=of_type(OrderCompleted))
async def tell_of_completion(event: OrderCompleted, message: KafkaMessage) -> None:
    """Tell the customer what she has now, and the partner that it is done."""
    await tell(event, message.headers["ce_id"])


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


async def tell(event: OrderConfirmed | OrderCompleted, cause: str) -> None:
    """Send every notice of an event."""
    events = []
    async with service.session() as session:
        for notice in notices(event):
            letter = await written(session, notice)
            row = notification.keep_notice(session, notice)
            events.append(notification.sent(row, notice, letter, await notification.send(letter)))
        await session.commit()
    await service.publish(events, cause)


async def written(session: AsyncSession, notice: Notice) -> Letter:
    """Write a letter; the customer may only be late."""
    letter = await notification.write_letter(session, notice)
    while letter is None:
        await session.rollback()
        await asyncio.sleep(LATE_SECONDS)
        letter = await notification.write_letter(session, notice)
    return letter


if __name__ == "__main__":
    service.run()
