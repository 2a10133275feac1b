"""Intake's tables, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field

from contracts.customer_v1 import Customer
from contracts.invoice_v1 import Charge
from contracts.offer_v1 import Offer, Publication
from contracts.order_v1 import FINAL, Discrepancy, Order, State
from contracts.subscription_v1 import Subscription
from services.chassis.database import Json, moment
from services.chassis.rows import Row
from services.chassis.transaction import Transaction


class Table(Row, registry=registry()):
    """The tables of intake."""


class OrderRow(Table, table=True):
    """One order: what was ordered, where it stands, and how it got there."""

    __tablename__: ClassVar[str] = "order"
    __table_args__ = (
        Index("order_reference", "partner", "partner_reference", unique=True),
        Index("order_subscription", "subscription_id", "id"),
    )
    id: str = Field(primary_key=True)
    partner: str
    partner_reference: str
    subscription_id: str
    customer_id: str = Field(index=True)
    state: str
    waits_for: str | None = None
    order: Order = Field(sa_column=Column(Json(Order), nullable=False))
    channels: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    discrepancies: tuple[Discrepancy, ...] = Field(sa_column=Column(Json(tuple[Discrepancy, ...]), nullable=False))
    resolved: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    case_id: str | None = None
    confirmation_id: str | None = None
    attempt: int = 0
    changed_version: int | None = None
    charged_version: int | None = None
    history: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = moment()
    updated_at: datetime = moment()


class SubscriptionRow(Table, table=True):
    """Intake's copy of a subscription and its charges, and which order has the turn on it."""

    __tablename__: ClassVar[str] = "subscription"
    shared: ClassVar[bool] = True  # what is known of it comes from two topics
    id: str = Field(primary_key=True)
    holder: str | None = None
    subscription: Subscription | None = Field(default=None, sa_column=Column(Json(Subscription)))
    charges: tuple[Charge, ...] = Field(default=(), sa_column=Column(Json(tuple[Charge, ...]), nullable=False))
    charged_version: int = 0


class OfferRow(Table, table=True):
    """Intake's copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))
    published_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)


class CustomerRow(Table, table=True):
    """A customer on file."""

    __tablename__: ClassVar[str] = "customer"
    id: str = Field(primary_key=True)
    customer: Customer = Field(sa_column=Column(Json(Customer), nullable=False))


class PartnerRow(Table, table=True):
    """A call-centre company with its registered agents."""

    __tablename__: ClassVar[str] = "partner"
    id: str = Field(primary_key=True)
    agents: list[str] = Field(sa_column=Column(JSONB, nullable=False))


class ConfirmationRow(Table, table=True):
    """One question to a customer; its link may be answered once."""

    __tablename__: ClassVar[str] = "confirmation"
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    asked_at: datetime = moment()
    expires_at: datetime = moment()
    answer: str | None = None
    answered_at: datetime | None = moment(nullable=True)


class IdempotencyRow(Table, table=True):
    """The first answer to a partner's idempotency key, and the hash of the body it answered."""

    __tablename__: ClassVar[str] = "idempotency"
    partner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_sha256: str
    order_id: str
    answer: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = moment()


async def subscription(tx: Transaction, subscription_id: str) -> SubscriptionRow:
    """Read and lock a subscription; one that is not here yet is nobody's."""
    return await tx.get(SubscriptionRow, subscription_id) or SubscriptionRow(id=subscription_id)


async def publications(tx: Transaction, code: str | None) -> list[Publication]:
    """Every version of an offer that is known here."""
    rows = await tx.select(OfferRow, select(OfferRow).where(OfferRow.code == code))  # type: ignore[arg-type]
    return [publication(row) for row in rows]


def publication(row: OfferRow) -> Publication:
    """Turn a stored version into what the contract decides with."""
    return Publication(offer=row.offer, published_at=row.published_at, withdrawn_at=row.withdrawn_at)


async def all_publications(tx: Transaction) -> list[Publication]:
    """Every version of every offer."""
    rows = await tx.select(OfferRow, select(OfferRow).order_by(OfferRow.code, OfferRow.version))  # type: ignore[arg-type]
    return [publication(row) for row in rows]


async def agents(tx: Transaction, partner: str) -> Sequence[str]:
    """The agents registered for a partner; the row is not locked, for every order reads it."""
    rows = await tx.select(PartnerRow, select(PartnerRow).where(PartnerRow.id == partner))  # type: ignore[arg-type]
    return rows[0].agents if rows else ()


async def by_reference(tx: Transaction, partner: str, reference: str) -> OrderRow | None:
    """The order that a partner gave this reference."""
    statement = select(OrderRow).where(OrderRow.partner == partner, OrderRow.partner_reference == reference)  # type: ignore[arg-type]
    rows = await tx.select(OrderRow, statement)
    return rows[0] if rows else None


async def next_in_turn(tx: Transaction, subscription_id: str, but: str) -> OrderRow | None:
    """The oldest order that waits for its turn on a subscription."""
    statement = (
        select(OrderRow)
        .where(
            OrderRow.subscription_id == subscription_id,  # type: ignore[arg-type]
            OrderRow.state == "acknowledged",  # type: ignore[arg-type]
            OrderRow.id != but,  # type: ignore[arg-type]
        )
        .order_by(OrderRow.id)
        .limit(1)
    )
    rows = await tx.select(OrderRow, statement)
    return await tx.get(OrderRow, rows[0].id) if rows else None


async def listed(
    tx: Transaction, partner: str | None, filters: dict[str, str | None], after: str | None, limit: int
) -> list[OrderRow]:
    """A partner's orders, newest first; ids are time-ordered, so the last id of a page is the cursor of the next."""
    statement = select(OrderRow).order_by(OrderRow.id.desc()).limit(limit)  # type: ignore[attr-defined]
    wanted = {**filters, "partner": partner}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(OrderRow, name) == value)
    if after:
        statement = statement.where(OrderRow.id < after)  # type: ignore[arg-type]
    return await tx.select(OrderRow, statement)


async def only_one_at_a_time(tx: Transaction, *parts: str) -> bool:
    """Take a lock until the commit; False while another request holds it."""
    statement = select(func.pg_try_advisory_xact_lock(func.hashtextextended("\x1f".join(parts), text("0"))))
    return bool(await tx.scalar(statement))


def is_final(state: str) -> bool:
    """Whether an order in this state goes nowhere any more."""
    return state in FINAL


def history_entry(state: State, at: datetime, by: str, reason: str | None) -> dict[str, Any]:
    """One line of an order's history."""
    return {"state": state, "at": at.isoformat().replace("+00:00", "Z"), "by": by, "reason": reason}
