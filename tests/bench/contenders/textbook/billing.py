"""Billing: charges what was put in place, and holds commissions."""

from __future__ import annotations

from typing import Any

from faststream.kafka.annotations import KafkaMessage

from contracts.order_v1 import OrderCompleted
from contracts.subscription_v1 import SubscriptionChanged
from tests.bench.contenders.textbook.wiring import Service, of_type
from tests.bench.contenders.work import billing, demo

service = Service("billing", billing.TABLES, [*demo.offers(), *demo.rates()])
subscriptions = service.subscriber("subscriptions")
orders = service.subscriber("orders")


@subscriptions(filter=of_type(SubscriptionChanged))
async def start_charges(event: SubscriptionChanged, message: KafkaMessage) -> None:
    """Charge what the customer has now."""
    await service.once(message, lambda session: billing.start_charges(session, event))


@orders(filter=of_type(OrderCompleted))
async def hold_commission(event: OrderCompleted, message: KafkaMessage) -> None:
    """Fix what the partner earns."""
    await service.once(message, lambda session: billing.hold_commission(session, event))


@orders
async def ignore(_: dict[str, Any]) -> None:
    """Do nothing about what else happens to orders."""


if __name__ == "__main__":
    service.run()
