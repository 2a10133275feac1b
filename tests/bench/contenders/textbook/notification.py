"""Notification: writes to customers and partners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faststream.kafka.annotations import KafkaMessage
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.customer_v1 import CustomerRecorded
from contracts.event import Event
from contracts.order_v1 import OrderCompleted, OrderConfirmed
from services.notification.rules import Notice, notices
from tests.bench.contenders.textbook.wiring import Service, of_type, settings
from tests.bench.contenders.work import demo, notification
from tests.bench.contenders.work.tables import JobRow, NoticeRow, now

service = Service("notification", notification.TABLES, [*demo.offers(), *demo.partners(settings.api_key_sha256)])
customers = service.subscriber("customers")
orders = service.subscriber("orders")


@customers(filter=of_type(CustomerRecorded))
async def keep_customer(event: CustomerRecorded, message: KafkaMessage) -> None:
    """Keep where a customer reads."""
    await service.once(message, lambda session: notification.keep_customer(session, event))


@orders(filter=of_type(OrderConfirmed))
async def send_contract_summary(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Send the customer her contract summary."""
    await tell(event, message)


@orders(filter=of_type(OrderCompleted))
async def tell_of_completion(event: OrderCompleted, message: KafkaMessage) -> None:
    """Tell the customer what she has now, and the partner that it is done."""
    await tell(event, message)


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


async def tell(event: OrderConfirmed | OrderCompleted, message: KafkaMessage) -> None:
    """Keep every notice of an event, and a job that sends it."""

    async def work(session: AsyncSession) -> list[Event]:
        for notice in notices(event):
            row = notification.keep_notice(session, notice)
            session.add(JobRow(id=f"send-{row.id}", subject=row.id, payload={}, not_before=now()))
        return []

    await service.once(message, work)


async def send(session: AsyncSession, job: JobRow) -> Sequence[Event] | None:
    """Write the letter and send it; not yet while the customer is not here."""
    row = await session.get_one(NoticeRow, job.subject)
    notice = Notice.model_validate(row.notice)
    letter = await notification.write_letter(session, notice)
    if letter is None:
        return None
    return [notification.sent(row, notice, letter, await notification.send(letter))]


service.do = send

if __name__ == "__main__":
    service.run()
