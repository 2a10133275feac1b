"""Intake: takes orders over HTTP, and completes them."""

from __future__ import annotations

import uuid

from fastapi import Request, Response
from faststream.kafka.annotations import KafkaMessage

from contracts.invoice_v1 import ChargesStarted
from contracts.subscription_v1 import SubscriptionChanged
from tests.bench.contenders.plain.wiring import Service, of_type, settings
from tests.bench.contenders.work import demo, door, intake

service = Service("intake", intake.TABLES, [*demo.offers(), *demo.partners(settings.api_key_sha256)])
subscriptions = service.subscriber("subscriptions")
invoices = service.subscriber("invoices")


@service.app.post("/v1/orders")
async def post_order(request: Request) -> Response:
    """Take an order."""
    answer = await door.post_order(request, service.session, lambda _session, _events: None)
    await service.publish(answer.events, str(uuid.uuid4()))
    return door.response(answer)


@subscriptions(filter=of_type(SubscriptionChanged))
async def keep_subscription(event: SubscriptionChanged, message: KafkaMessage) -> None:
    """Keep what the customer has now; the order may be complete."""
    async with service.session() as session:
        events = await intake.keep_subscription(session, event)
        await session.commit()
    await service.publish(events, message.headers["ce_id"])


@invoices(filter=of_type(ChargesStarted))
async def keep_charges(event: ChargesStarted, message: KafkaMessage) -> None:
    """Keep what the customer pays; the order may be complete."""
    async with service.session() as session:
        events = await intake.keep_charges(session, event)
        await session.commit()
    await service.publish(events, message.headers["ce_id"])


if __name__ == "__main__":
    service.run()
