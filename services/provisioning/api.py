"""The doors of provisioning: what a customer has, and how what was there before us came in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.offer_v1 import Channel, Offer, OfferRef
from contracts.subscription_v1 import Equipment, Sale, Subscription, SubscriptionChanged, services_of
from services.chassis.http import Problem, transact
from services.chassis.keys import Principal, allow
from services.chassis.transaction import Transaction
from services.provisioning import store
from services.provisioning.rules import Reported
from services.provisioning.store import ChangeRow, Imported, SubscriptionRow

LIMIT = 100
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

Reader = Annotated[Principal, Depends(allow("service-desk", "operator"))]
Operator = Annotated[Principal, Depends(allow("operator"))]
SubscriptionId = Annotated[str, Path(pattern=ID_PATTERN)]
Number = Annotated[str, Field(pattern=r"^\+?[0-9]{3,15}$")]

router = APIRouter(tags=["subscriptions"])


class Import(BaseModel):
    """A subscription that a customer has already; its services are those of its offer."""

    model_config = ConfigDict(extra="forbid")

    customer_id: str = Field(pattern=ID_PATTERN)
    offer: OfferRef
    channel: Channel
    sold_at: AwareDatetime
    equipment: list[Equipment]
    numbers: list[Number]
    contract_since: date
    contract_until: date | None = None

    def taken(self, subscription_id: str, offer: Offer) -> Imported:
        """The first version of the subscription, and its sale."""
        subscription = Subscription(
            id=subscription_id,
            customer_id=self.customer_id,
            version=1,
            offer=offer.ref,
            services=services_of(offer),
            equipment=tuple(self.equipment),
            numbers=tuple(self.numbers),
            contract_since=self.contract_since,
            contract_until=self.contract_until,
        )
        return Imported(subscription=subscription, sale=Sale(channel=self.channel, sold_at=self.sold_at))


class ChangeView(BaseModel):
    """One change of a subscription: the order that made it, where it stands, and what was in place before and after.

    `reported` is what the network said that it had put in place, where that was not all.
    """

    order_id: str
    attempt: int
    state: str
    before: Subscription | None
    after: Subscription | None
    reported: Reported | None
    started_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: ChangeRow) -> ChangeView:
        """Show a stored change."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class SubscriptionView(Subscription):
    """What a customer has now, and its latest changes, newest first."""

    changes: list[ChangeView]


@router.put("/v1/subscriptions/{subscription_id}", status_code=201)
async def import_subscription(
    subscription_id: SubscriptionId, body: Import, request: Request, response: Response, _: Operator
) -> Subscription:
    """Take over a subscription that was there before us; the same again changes nothing and is answered 200."""

    async def take(tx: Transaction) -> tuple[Subscription, bool]:
        return await _taken(tx, subscription_id, body)

    subscription, new = await transact(request, take)
    response.status_code = 201 if new else 200
    return subscription


async def _taken(tx: Transaction, subscription_id: str, body: Import) -> tuple[Subscription, bool]:
    offer = await store.offer(tx, body.offer)
    if offer is None:
        raise Problem(409, "offer.unknown", f"{body.offer.code} version {body.offer.version} has not arrived here")
    imported = body.taken(subscription_id, offer)
    known = await tx.get(SubscriptionRow, subscription_id)
    if known is not None and known.subscription is not None and known.imported == imported:
        return known.subscription, False
    if known is not None:
        raise Problem(409, "subscription.exists", f"{subscription_id} is here already, and it is not this one")
    tx.add(SubscriptionRow(id=subscription_id, subscription=imported.subscription, imported=imported))
    tx.publish(SubscriptionChanged(subscription=imported.subscription, imported=imported.sale, effective_at=tx.now))
    return imported.subscription, True


@router.get("/v1/subscriptions/{subscription_id}")
async def show_subscription(subscription_id: SubscriptionId, request: Request, _: Reader) -> SubscriptionView:
    """Show what a customer has, and what was changed by which order."""

    async def look(tx: Transaction) -> tuple[Subscription | None, list[ChangeRow]]:
        return await store.subscription(tx, subscription_id), await store.changes(tx, subscription_id, LIMIT)

    subscription, rows = await transact(request, look)
    if subscription is None:
        raise Problem(404, "subscription.unknown", f"{subscription_id} is not known here")
    fields: dict[str, Any] = {name: getattr(subscription, name) for name in Subscription.model_fields}
    return SubscriptionView(**fields, changes=[ChangeView.of(row) for row in rows])
