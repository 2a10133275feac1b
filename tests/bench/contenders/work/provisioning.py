"""Provisioning's work: plan a change, ask the network, and take its answer into the inventory."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.event import Event
from contracts.offer_v1 import Offer, OfferRef, brussels_day
from contracts.order_v1 import Order, OrderConfirmed
from contracts.subscription_v1 import Subscription, SubscriptionChanged
from services.provisioning.rules import Change, Reported, change, installed, lacking
from tests.bench.contenders.work.tables import ChangeRow, InventoryRow, OfferRow, now

TABLES = (OfferRow, InventoryRow, ChangeRow)
SERVICE_PATH = "/tmf-api/ServiceActivationAndConfiguration/v4/service"


class NotCarriedOutError(Exception):
    """An order of the benchmark is always possible; anything else is a fault of the contender."""


async def offer_of(session: AsyncSession, ref: OfferRef | None) -> Offer | None:
    """A version of an offer."""
    row = await session.get(OfferRow, (ref.code, ref.version)) if ref else None
    return Offer.model_validate(row.offer) if row else None


async def plan(session: AsyncSession, event: OrderConfirmed) -> Subscription:
    """Judge the change and begin it; returns what the network is to put in place. Raises NotCarriedOutError."""
    order, at = event.order, now()
    offer = await offer_of(session, order.offer)
    row = await session.get(InventoryRow, order.subscription_id, with_for_update=True)
    current = Subscription.model_validate(row.subscription) if row and row.subscription else None
    decision = change(current, order, offer, brussels_day(at))
    if not isinstance(decision, Change):
        raise NotCarriedOutError(order.id)
    session.add(InventoryRow(id=order.subscription_id, under_way=order.id, asked=decision.after.version))
    session.add(
        ChangeRow(
            order_id=order.id,
            subscription_id=order.subscription_id,
            state="planned",
            order=order.model_dump(mode="json"),
            after=decision.after.model_dump(mode="json"),
            started_at=at,
        )
    )
    return decision.after


async def ask_network(client: httpx.AsyncClient, url: str, wanted: Subscription, job_id: str) -> Reported:
    """Have the network put it in place. Raises httpx.HTTPError."""
    place = wanted.model_dump(mode="json", include={"id", "version", "services", "equipment", "numbers"})
    body: dict[str, Any] = {**place, "action": "activate"}
    answer = await client.post(url + SERVICE_PATH, json=body, headers={"Idempotency-Key": job_id})
    answer.raise_for_status()
    return Reported.model_validate_json(answer.content, extra="ignore")


async def finish(session: AsyncSession, order_id: str, reported: Reported) -> list[Event]:
    """Take what the network did into the inventory. Raises NotCarriedOutError."""
    row = await session.get_one(ChangeRow, order_id)
    planned = Subscription.model_validate(row.after)
    if lacking(planned, reported):
        raise NotCarriedOutError(order_id)
    after, at = installed(planned, reported), now()
    row.state, row.after, row.ended_at = "done", after.model_dump(mode="json"), at
    inventory = await session.get_one(InventoryRow, after.id)
    inventory.subscription, inventory.under_way = row.after, None
    return [SubscriptionChanged(subscription=after, order=Order.model_validate(row.order), effective_at=at)]
