"""Provisioning: has the network do what was ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faststream.kafka.annotations import KafkaMessage
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from contracts.order_v1 import OrderConfirmed
from contracts.subscription_v1 import Subscription
from tests.bench.contenders.textbook.wiring import Service, of_type, settings
from tests.bench.contenders.work import demo, provisioning
from tests.bench.contenders.work.tables import JobRow, now

service = Service("provisioning", provisioning.TABLES, demo.offers())
orders = service.subscriber("orders")


@orders(filter=of_type(OrderConfirmed))
async def change_subscription(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Plan the change; the network is asked later."""

    async def work(session: AsyncSession) -> list[Event]:
        wanted = await provisioning.plan(session, event)
        identity = f"change-{event.order.id}"
        payload = wanted.model_dump(mode="json")
        session.add(JobRow(id=identity, subject=event.order.id, payload=payload, not_before=now()))
        return []

    await service.once(message, work)


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


async def change_network(session: AsyncSession, job: JobRow) -> Sequence[Event]:
    """Ask the network and keep what it says."""
    wanted = Subscription.model_validate(job.payload)
    reported = await provisioning.ask_network(service.client, settings.network_url, wanted, job.id)
    return await provisioning.finish(session, job.subject, reported)


service.do = change_network

if __name__ == "__main__":
    service.run()
