"""Provisioning's tables, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, cast

from sqlalchemy import Column, Index, select
from sqlalchemy.orm import registry
from sqlmodel import Field

from contracts.event import Data
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import Order
from contracts.subscription_v1 import Sale, Subscription
from services.chassis.database import Json, moment
from services.chassis.rows import Row, changed
from services.chassis.transaction import Transaction
from services.provisioning.rules import Change, ChangeState, Network, Reported


class Table(Row, registry=registry()):
    """The tables of provisioning."""


class Imported(Data):
    """A subscription as it was imported: the same again is no second import."""

    subscription: Subscription
    sale: Sale


class SubscriptionRow(Table, table=True):
    """The inventory: what a customer has now, nothing before the first change is done; `under_way` is an order's id.

    `asked` is the last version that the network was asked for, whatever came of it.
    """

    __tablename__: ClassVar[str] = "subscription"
    id: str = Field(primary_key=True)
    subscription: Subscription | None = Field(default=None, sa_column=Column(Json(Subscription)))
    under_way: str | None = None
    asked: int = 0
    imported: Imported | None = Field(default=None, sa_column=Column(Json(Imported)))


class ChangeRow(Table, table=True):
    """The change that an order makes: where it stands, the snapshot before it, and what is in place after.

    `touched`: the network did a part of it, or never answered and may have, in whichever attempt; who cancels it has
    what was there before restored. `reported` is what the network said last that it has in place, where that is wrong.
    """

    __tablename__: ClassVar[str] = "change"
    __table_args__ = (Index("change_subscription", "subscription_id", "started_at"),)
    order_id: str = Field(primary_key=True)
    attempt: int
    subscription_id: str
    state: str
    order: Order = Field(sa_column=Column(Json(Order), nullable=False))
    before: Subscription | None = Field(default=None, sa_column=Column(Json(Subscription)))
    after: Subscription | None = Field(default=None, sa_column=Column(Json(Subscription)))
    touched: bool = False
    reported: Reported | None = Field(default=None, sa_column=Column(Json(Reported)))
    started_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class OfferRow(Table, table=True):
    """Provisioning's copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    reference: ClassVar[bool] = True
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))
    published_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)


class ReservationRow(Table, table=True):
    """A number, or a device by its serial, that was taken away and is kept for its customer for a while."""

    __tablename__: ClassVar[str] = "reservation"
    what: str = Field(primary_key=True)
    subscription_id: str = Field(primary_key=True)
    until: datetime = moment()


async def offer(tx: Transaction, ref: OfferRef | None) -> Offer | None:
    """A version of an offer, once it is here; not locked, for every order reads it."""
    if ref is None:
        return None
    return (await tx.reference(OfferRow, _by_ref)).get(ref)


def _by_ref(rows: Sequence[OfferRow]) -> dict[OfferRef, Offer]:
    return {row.offer.ref: row.offer for row in rows}


async def subscription(tx: Transaction, subscription_id: str) -> Subscription | None:
    """What a customer has now; not locked."""
    statement = select(SubscriptionRow).where(SubscriptionRow.id == subscription_id)  # type: ignore[arg-type]
    rows = await tx.select(SubscriptionRow, statement)
    return rows[0].subscription if rows else None


async def changes(tx: Transaction, subscription_id: str, limit: int) -> list[ChangeRow]:
    """The changes of a subscription, newest first."""
    statement = (
        select(ChangeRow)
        .where(ChangeRow.subscription_id == subscription_id)  # type: ignore[arg-type]
        .order_by(ChangeRow.started_at.desc(), ChangeRow.order_id.desc())  # type: ignore[attr-defined]
        .limit(limit)
    )
    return await tx.select(ChangeRow, statement)


def state(row: ChangeRow | None) -> ChangeState | None:
    """Where a change stands; None where there is none."""
    return cast("ChangeState", row.state) if row else None


async def keep_change(
    tx: Transaction, order: Order, attempt: int, now: ChangeState, change: Change | None = None
) -> ChangeRow:
    """Write down where the change of an order stands now; a later attempt takes the place of the earlier.

    What the network did in an earlier attempt is not forgotten.
    """
    known = await tx.get(ChangeRow, order.id)
    row = ChangeRow(
        order_id=order.id,
        attempt=attempt,
        subscription_id=order.subscription_id,
        state=now,
        order=order,
        before=change.before if change else None,
        after=change.after if change else None,
        touched=known.touched if known else False,
        reported=known.reported if known else None,
        started_at=tx.now,
        ended_at=None if now in {"waiting", "planned"} else tx.now,
    )
    tx.put(row)
    return row


def network(row: SubscriptionRow | None) -> Network:
    """Where the network stands with a subscription."""
    return Network(row.asked, row.under_way is not None) if row else Network()


def begin(tx: Transaction, row: SubscriptionRow | None, order: Order, after: Subscription) -> None:
    """Remember that the network is at work on a subscription for an order; of a new one that is all there is yet."""
    if row is None:
        tx.add(SubscriptionRow(id=order.subscription_id, under_way=order.id, asked=after.version))
        return
    tx.put(changed(row, under_way=order.id, asked=after.version))
