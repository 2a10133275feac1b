"""Billing's tables, and what is looked up in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import Column, select
from sqlalchemy.orm import registry
from sqlmodel import Field

from contracts.invoice_v1 import Month
from contracts.money import Money
from contracts.offer_v1 import Offer, OfferWithdrawn, Publication
from contracts.order_v1 import Order
from contracts.subscription_v1 import SubscriptionChanged
from services.billing.rules import Entry, Line
from services.billing.rules.commissions import Rate
from services.chassis.database import Json, moment
from services.chassis.rows import Row, changed
from services.chassis.transaction import Transaction


class Table(Row, registry=registry()):
    """The tables of billing."""


class OfferRow(Table, table=True):
    """Billing's own copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    reference: ClassVar[bool] = True
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))
    published_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)


class SubscriptionRow(Table, table=True):
    """What is charged for one subscription, and how far its events were handled.

    `version` is the last one that came, `waiting` those that wait for an offer or behind one that does, `held` the
    order whose version is not charged until that is decided, `behind` the later versions that wait for it, in order.
    `charged` is the last month with a monthly line, `lines` counts all.
    """

    __tablename__: ClassVar[str] = "subscription"
    id: str = Field(primary_key=True)
    customer_id: str
    version: int
    waiting: tuple[int, ...] = Field(default=(), sa_column=Column(Json(tuple[int, ...]), nullable=False))
    held: Order | None = Field(default=None, sa_column=Column(Json(Order)))
    behind: tuple[SubscriptionChanged, ...] = Field(
        default=(), sa_column=Column(Json(tuple[SubscriptionChanged, ...]), nullable=False)
    )
    history: tuple[Entry, ...] = Field(default=(), sa_column=Column(Json(tuple[Entry, ...]), nullable=False))
    charged: Month | None = None
    lines: int = 0


class LineRow(Table, table=True):
    """One charge line, not invoiced yet; `version` is the subscription version that it is charged for."""

    __tablename__: ClassVar[str] = "line"
    subscription_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    version: int
    order_id: str | None = None
    line: Line = Field(sa_column=Column(Json(Line), nullable=False))


class CommissionRateRow(Table, table=True):
    """One of a partner's commission rates."""

    __tablename__: ClassVar[str] = "commission_rate"
    reference: ClassVar[bool] = True
    partner: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    action: str
    offer_code: str | None = None
    since: date
    until: date | None = None
    amount: Money = Field(sa_column=Column(Json(Money), nullable=False))


class CommissionRow(Table, table=True):
    """The commission of one order."""

    __tablename__: ClassVar[str] = "commission"
    order_id: str = Field(primary_key=True)
    partner: str = Field(index=True)
    agent: str
    subscription_id: str
    amount: Money = Field(sa_column=Column(Json(Money), nullable=False))
    state: str
    sold_at: datetime = moment()
    held_at: datetime = moment()


async def publications(tx: Transaction, code: str | None) -> list[Publication]:
    """Every version of an offer that is known here; the rows are not locked, for every order reads them."""
    return (await tx.reference(OfferRow, _by_code)).get(code, [])


def _by_code(rows: Sequence[OfferRow]) -> dict[str | None, list[Publication]]:
    known: dict[str | None, list[Publication]] = defaultdict(list)
    for row in rows:
        found = Publication(offer=row.offer, published_at=row.published_at, withdrawn_at=row.withdrawn_at)
        known[row.code].append(found)
    return dict(known)


async def withdraw(tx: Transaction, event: OfferWithdrawn) -> None:
    """Take all versions of an offer off sale from a moment on; what was off sale before stays so."""
    for known in await publications(tx, event.code):
        row = await tx.get(OfferRow, event.code, known.offer.version)
        if row is not None and row.withdrawn_at is None:
            tx.put(changed(row, withdrawn_at=event.withdrawn_at))


def write_lines(
    tx: Transaction, row: SubscriptionRow, lines: list[Line], *, version: int, order_id: str | None = None
) -> SubscriptionRow:
    """Write lines under the next numbers; returns the row that counts them."""
    for number, line in enumerate(lines, start=row.lines + 1):
        tx.add(LineRow(subscription_id=row.id, number=number, version=version, order_id=order_id, line=line))
    return changed(row, lines=row.lines + len(lines))


async def subscription(tx: Transaction, subscription_id: str) -> SubscriptionRow | None:
    """A subscription to be shown; it is not locked."""
    statement = select(SubscriptionRow).where(SubscriptionRow.id == subscription_id)  # type: ignore[arg-type]
    rows = await tx.select(SubscriptionRow, statement)
    return rows[0] if rows else None


async def lines(tx: Transaction, subscription_id: str) -> list[LineRow]:
    """All lines of a subscription, in the order in which they were written."""
    statement = select(LineRow).where(LineRow.subscription_id == subscription_id).order_by(LineRow.number)  # type: ignore[arg-type]
    return await tx.select(LineRow, statement)


async def rates(tx: Transaction, partner: str) -> list[Rate]:
    """A partner's commission rates."""
    return (await tx.reference(CommissionRateRow, _by_partner)).get(partner, [])


def _by_partner(rows: Sequence[CommissionRateRow]) -> dict[str, list[Rate]]:
    known: dict[str, list[Rate]] = defaultdict(list)
    for row in rows:  # in the order of their positions, which are part of the key
        known[row.partner].append(Rate.model_validate(row.model_dump(exclude={"partner", "position"})))
    return dict(known)


async def replace_rates(tx: Transaction, partner: str, new: list[Rate]) -> None:
    """Put these rates in the place of all that the partner had."""
    for row in await _rate_rows(tx, partner):
        tx.delete(row)
    for position, rate in enumerate(new):
        tx.put(
            CommissionRateRow(
                partner=partner,
                position=position,
                action=rate.action,
                offer_code=rate.offer_code,
                since=rate.since,
                until=rate.until,
                amount=rate.amount,
            )
        )


async def _rate_rows(tx: Transaction, partner: str) -> list[CommissionRateRow]:
    statement = select(CommissionRateRow).where(CommissionRateRow.partner == partner)  # type: ignore[arg-type]
    return await tx.select(CommissionRateRow, statement.order_by(CommissionRateRow.position))  # type: ignore[arg-type]


async def commissions(tx: Transaction, partner: str, after: str | None, limit: int) -> list[CommissionRow]:
    """A partner's commissions by order id, newest first; the last id of a page is the cursor of the next."""
    statement = select(CommissionRow).where(CommissionRow.partner == partner)  # type: ignore[arg-type]
    if after:
        statement = statement.where(CommissionRow.order_id < after)  # type: ignore[arg-type]
    return await tx.select(CommissionRow, statement.order_by(CommissionRow.order_id.desc()).limit(limit))  # type: ignore[attr-defined]
