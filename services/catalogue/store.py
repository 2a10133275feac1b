"""The catalogue's table, and what is looked up in it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Column, func, select
from sqlalchemy.orm import registry
from sqlmodel import Field, col

from contracts.offer_v1 import Offer, Publication
from services.chassis.database import Json, moment
from services.chassis.rows import Row
from services.chassis.transaction import Transaction

PUBLISHING = 20_261_001
"""Any number: whoever publishes or withdraws holds this lock until the commit; it happens a few times a day."""


class Table(Row, registry=registry()):
    """The tables of the catalogue."""


class OfferRow(Table, table=True):
    """One published version of an offer; only `withdrawn_at` is ever written again, and only once."""

    __tablename__: ClassVar[str] = "offer"
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))
    published_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)


async def one_at_a_time(tx: Transaction) -> None:
    """Wait until nobody else publishes or withdraws: the order of versions is the order of commits."""
    await tx.scalar(select(func.pg_advisory_xact_lock(PUBLISHING)))


async def versions(
    tx: Transaction, codes: Collection[str], *, after: int = 0, limit: int | None = None
) -> list[OfferRow]:
    """The published versions of some offers, oldest first."""
    statement = select(OfferRow).where(col(OfferRow.code).in_(sorted(codes)), col(OfferRow.version) > after)
    return await tx.select(OfferRow, statement.order_by(col(OfferRow.code), col(OfferRow.version)).limit(limit))


def publication(row: OfferRow) -> Publication:
    """Turn a stored version into what the rules judge."""
    return Publication(offer=row.offer, published_at=row.published_at, withdrawn_at=row.withdrawn_at)
