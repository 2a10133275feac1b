"""Notification's tables, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, Index, String, select, tuple_
from sqlalchemy.orm import registry
from sqlmodel import Field, col

from contracts.customer_v1 import Customer, Language
from contracts.offer_v1 import Offer, OfferRef
from services.chassis.database import Json, moment
from services.chassis.rows import Row
from services.chassis.transaction import Transaction
from services.notification.rules import Attempt, Contact, Notice, Secret


class Table(Row, registry=registry()):
    """The tables of notification."""


class NoticeRow(Table, table=True):
    """One notice: `waiting`, `sent` or `undeliverable`; never the address or the text, only its hash."""

    __tablename__: ClassVar[str] = "notice"
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    notice: Notice = Field(sa_column=Column(Json(Notice), nullable=False))
    state: str
    language: str | None = None
    sha256: str | None = None
    reason: str | None = None
    created_at: datetime = moment()
    sent_at: datetime | None = moment(nullable=True)


class CustomerRow(Table, table=True):
    """A customer as on file at intake."""

    __tablename__: ClassVar[str] = "customer"
    id: str = Field(primary_key=True)
    customer: Customer = Field(sa_column=Column(Json(Customer), nullable=False))


class PartnerRow(Table, table=True):
    """Where a call-centre wants to read what becomes of its orders."""

    __tablename__: ClassVar[str] = "partner"
    reference: ClassVar[bool] = True
    id: str = Field(primary_key=True)
    email: str
    language: Language = Field(sa_column=Column(String, nullable=False))


class OfferRow(Table, table=True):
    """Notification's copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    reference: ClassVar[bool] = True
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))


async def contact(tx: Transaction, notice: Notice) -> Contact | None:
    """Whom a notice goes to: the address on file, never one from the order."""
    if notice.recipient == "partner":
        partner = (await tx.reference(PartnerRow, _by_id)).get(notice.order.partner)
        return Contact(partner.email, partner.language) if partner else None
    found = await tx.get(CustomerRow, notice.customer_id or notice.order.customer_id)
    if found is None:
        return None
    customer = found.customer
    return Contact(customer.email, customer.language, customer.name, customer.phone)


def _by_id(rows: Sequence[PartnerRow]) -> dict[str, PartnerRow]:
    return {row.id: row for row in rows}


async def offers(tx: Transaction, refs: Collection[OfferRef]) -> list[Offer]:
    """The offers of these names that are here."""
    known = await tx.reference(OfferRow, _by_ref)
    return [known[ref] for ref in refs if ref in known]


def _by_ref(rows: Sequence[OfferRow]) -> dict[OfferRef, Offer]:
    return {row.offer.ref: row.offer for row in rows}


async def was_asked(tx: Transaction, order_id: str) -> bool:
    """Whether the customer was sent a contract summary of an order, or is about to be."""
    rows = await tx.select(NoticeRow, select(NoticeRow).where(col(NoticeRow.order_id) == order_id))
    return any(row.notice.kind == "contract-summary" for row in rows)


async def listed(tx: Transaction, order_id: str | None, after: str | None, limit: int) -> list[NoticeRow]:
    """Notices, oldest first; the id of the last one is the cursor of the next page."""
    place = tuple_(col(NoticeRow.created_at), col(NoticeRow.id))
    statement = select(NoticeRow).order_by(col(NoticeRow.created_at), col(NoticeRow.id)).limit(limit)
    if order_id:
        statement = statement.where(col(NoticeRow.order_id) == order_id)
    if after:
        last = select(col(NoticeRow.created_at), col(NoticeRow.id)).where(col(NoticeRow.id) == after)
        statement = statement.where(place > last.scalar_subquery())
    return await tx.select(NoticeRow, statement)


class WebhookRow(Table, table=True):
    """Where a partner's system wants to hear of its orders: `active`, or `disabled` with the reason."""

    __tablename__: ClassVar[str] = "webhook"
    reference: ClassVar[bool] = True
    id: str = Field(primary_key=True)
    partner: str
    url: str
    events: tuple[str, ...] = Field(sa_column=Column(Json(tuple[str, ...]), nullable=False))
    secrets: tuple[Secret, ...] = Field(sa_column=Column(Json(tuple[Secret, ...]), nullable=False))
    state: str = "active"
    reason: str | None = None
    created_at: datetime = moment()


class DeliveryRow(Table, table=True):
    """A message for a webhook, as it is sent each time: `waiting`, `delivered` or `failed`, with what was tried."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__ = (Index("delivery_log", "webhook_id", "created_at", "id"),)
    id: str = Field(primary_key=True)
    webhook_id: str
    order_id: str
    type: str
    body: str
    state: str = "waiting"
    attempts: tuple[Attempt, ...] = Field(default=(), sa_column=Column(Json(tuple[Attempt, ...]), nullable=False))
    created_at: datetime = moment()


async def webhooks_of(tx: Transaction, partner: str) -> list[WebhookRow]:
    """A partner's webhooks, oldest first; from memory."""
    return (await tx.reference(WebhookRow, _by_partner)).get(partner, [])


def _by_partner(rows: Sequence[WebhookRow]) -> dict[str, list[WebhookRow]]:
    found: dict[str, list[WebhookRow]] = {}
    for row in sorted(rows, key=lambda each: (each.created_at, each.id)):
        found.setdefault(row.partner, []).append(row)
    return found


async def deliveries(
    tx: Transaction, webhook_id: str, state: str | None, after: str | None, limit: int
) -> list[DeliveryRow]:
    """What a webhook was sent, newest first; the id of the last one is the cursor of the next page."""
    at, name = col(DeliveryRow.created_at), col(DeliveryRow.id)
    statement = select(DeliveryRow).where(col(DeliveryRow.webhook_id) == webhook_id)
    statement = statement.order_by(at.desc(), name.desc()).limit(limit)
    if state:
        statement = statement.where(col(DeliveryRow.state) == state)
    if after:
        last = select(at, name).where(name == after)
        statement = statement.where(tuple_(at, name) < last.scalar_subquery())
    return await tx.select(DeliveryRow, statement)


async def webhook(tx: Transaction, webhook_id: str) -> WebhookRow | None:
    """A webhook as it is now; from memory."""
    found = await tx.reference(WebhookRow, _by_partner)
    return next((row for rows in found.values() for row in rows if row.id == webhook_id), None)
