"""Provisioning: has the network do what was ordered."""

from __future__ import annotations

from typing import Any

from faststream.kafka.annotations import KafkaMessage

from contracts.order_v1 import OrderConfirmed
from tests.bench.contenders.plain.wiring import Service, of_type, settings
from tests.bench.contenders.work import demo, provisioning

service = Service("provisioning", provisioning.TABLES, demo.offers())
orders = service.subscriber("orders")


@orders(filter=of_type(OrderConfirmed))
async def change_subscription(event: OrderConfirmed, message: KafkaMessage) -> None:
    """Plan the change, ask the network and keep what it says."""
    async with service.session() as session:
        wanted = await provisioning.plan(session, event)
        reported = await provisioning.ask_network(service.client, settings.network_url, wanted, event.order.id)
        events = await provisioning.finish(session, event.order.id, reported)
        await session.commit()
    await service.publish(events, message.headers["ce_id"])


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


if __name__ == "__main__":
    service.run()
