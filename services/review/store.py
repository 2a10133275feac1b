"""Review's tables, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Text, and_, func, not_, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, col

from contracts.case_v1 import CLOSED
from contracts.dead_letter_v1 import MessageDeadLettered, RawHeader
from contracts.event import Event
from contracts.order_v1 import Order, OrderConfirmed
from contracts.topics import BY_EVENT
from services.chassis.database import ApiKey, Json, moment
from services.chassis.rows import Row
from services.chassis.transaction import Transaction
from services.review.rules.cases import UNDECIDED, Case, State, cause
from services.review.rules.following import Standing

Place = tuple[bool, datetime, str]
"""Where a case stands in the queue: open ones before closed ones, the oldest due first."""

Filters = Mapping[str, str | bool | tuple[str, ...]]
"""What cases are looked for by: a column's value, or any of several; `code` is any of a case's codes.

`overdue`: whether somebody has to decide it and its due time is over.
"""

TO_DO: tuple[State, ...] = ("open", "awaiting_approval")
"""The states in which a reviewer has something to do."""

LONGEST_TIMELINE = 500
MOST_CAUSES = 10


class Counted(NamedTuple):
    """How many cases there are of a value."""

    value: str
    cases: int


class Table(Row, registry=registry()):
    """The tables of review."""


class CaseRow(Table, table=True):
    """A case, and beside it what the queue is searched by."""

    __tablename__: ClassVar[str] = "case"
    shared: ClassVar[bool] = True
    __table_args__ = (
        Index("case_queue", "closed", "due_at", "id"),
        Index("case_codes", "codes", postgresql_using="gin"),
    )
    id: str = Field(primary_key=True)
    closed: bool
    due_at: datetime = moment()
    state: str
    codes: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    owner: str | None = Field(default=None, index=True)
    partner: str | None = Field(default=None, index=True)
    order_id: str | None = Field(default=None, index=True)
    cause: str | None = Field(default=None, index=True)
    case: Case = Field(sa_column=Column(Json(Case), nullable=False))


class MessageRow(Table, table=True):
    """The raw message of a case, bytes in base64, as the first service that failed on it had it."""

    __tablename__: ClassVar[str] = "message"
    case_id: str = Field(primary_key=True)
    topic: str
    partition: int
    offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    key_base64: str | None = Field(default=None, sa_column=Column(Text))
    value_base64: str | None = Field(default=None, sa_column=Column(Text))
    headers: tuple[RawHeader, ...] = Field(sa_column=Column(Json(tuple[RawHeader, ...]), nullable=False))


class OrderRow(Table, table=True):
    """Where an order stands as far as cases care, and which of its cases are not closed."""

    __tablename__: ClassVar[str] = "order"
    shared: ClassVar[bool] = True
    id: str = Field(primary_key=True)
    standing: Standing = Field(sa_column=Column(Json(Standing), nullable=False))
    order: Order | None = Field(default=None, sa_column=Column(Json(Order)))
    cases: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))


class SeenRow(Table, table=True):
    """One event that review saw of an order or a case; `at` is when it happened."""

    __tablename__: ClassVar[str] = "seen"
    __table_args__ = (
        Index("seen_order", "order_id", "at", "id"),
        Index("seen_case", "case_id", "at", "id"),
        Index("seen_customer", "customer_id", "at", "id"),
    )
    id: str = Field(primary_key=True)
    order_id: str | None = None
    customer_id: str | None = None
    case_id: str | None = None
    event_id: str
    type: str
    topic: str
    at: datetime = moment()


async def case(tx: Transaction, case_id: str) -> Case | None:
    """Read a case and lock it."""
    row = await tx.get(CaseRow, case_id)
    return row.case if row else None


def keep(tx: Transaction, kept: Case) -> None:
    """Write a case."""
    tx.put(
        CaseRow(
            id=kept.id,
            closed=kept.state in CLOSED,
            due_at=kept.due_at,
            state=kept.state,
            codes=list(kept.codes),
            owner=kept.owner,
            partner=kept.partner,
            order_id=kept.order_id,
            cause=cause(kept),
            case=kept,
        )
    )


def keep_message(tx: Transaction, letter: MessageDeadLettered) -> None:
    """Write a raw message."""
    tx.put(
        MessageRow(
            case_id=letter.case_id,
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            key_base64=letter.key_base64,
            value_base64=letter.value_base64,
            headers=letter.headers,
        )
    )


async def order(tx: Transaction, order_id: str) -> OrderRow:
    """Read an order and lock it; one of which nothing is known yet stands nowhere."""
    return await tx.get(OrderRow, order_id) or OrderRow(id=order_id, standing=Standing())


async def ordered(tx: Transaction, order_id: str | None) -> Order | None:
    """What was ordered, as it was last told; for showing, without a lock."""
    rows = await tx.select(OrderRow, select(OrderRow).where(col(OrderRow.id) == order_id))
    return rows[0].order if rows else None


async def reviewers(tx: Transaction) -> list[tuple[str, list[str]]]:
    """Who works cases, by name, each with the partners that they also work for."""
    keys = select(ApiKey).where(col(ApiKey.role) == "reviewer", col(ApiKey.revoked_at).is_(None))
    rows = await tx.select(ApiKey, keys.order_by(col(ApiKey.holder)))
    return [(row.holder, row.attributes.get("works_for", [])) for row in rows]


class About(NamedTuple):
    """What an event is about, as far as it says."""

    order_id: str | None = None
    case_id: str | None = None
    customer_id: str | None = None


async def reviewers_key(tx: Transaction, hashed: str) -> ApiKey | None:
    """Find the key of a reviewer by its hash; one that was revoked is none."""
    mine = (col(ApiKey.sha256) == hashed, col(ApiKey.role) == "reviewer", col(ApiKey.revoked_at).is_(None))
    rows = await tx.select(ApiKey, select(ApiKey).where(*mine))
    return rows[0] if rows else None


def saw(tx: Transaction, event: Event, about: About, event_id: str | None = None) -> None:
    """Write an event into the timeline: the one that is being handled, or one of ours by its id."""
    tx.add(
        SeenRow(
            id=tx.new_id(),
            order_id=about.order_id,
            case_id=about.case_id,
            customer_id=about.customer_id,
            event_id=event_id or tx.cause.id,
            type=event.type,
            topic=BY_EVENT[type(event)].name,
            at=datetime.fromisoformat(tx.cause.time) if tx.cause.time else tx.now,
        )
    )


async def was_confirmed(tx: Transaction, order_id: str | None) -> bool:
    """Whether an order was ever seen on its way."""
    confirmed = select(col(SeenRow.id)).where(
        col(SeenRow.order_id) == order_id, col(SeenRow.type) == OrderConfirmed.type
    )
    return await tx.scalar(confirmed.limit(1)) is not None


async def found(tx: Transaction, case_id: str) -> Case | None:
    """Read a case without locking it."""
    rows = await tx.select(CaseRow, select(CaseRow).where(col(CaseRow.id) == case_id))
    return rows[0].case if rows else None


async def message(tx: Transaction, case_id: str) -> MessageRow | None:
    """Read the raw message of a case."""
    rows = await tx.select(MessageRow, select(MessageRow).where(col(MessageRow.case_id) == case_id))
    return rows[0] if rows else None


async def timeline(tx: Transaction, of: Case) -> list[SeenRow]:
    """What was seen of a case, of its order and of its customer's other orders, oldest first."""
    known = ((SeenRow.case_id, of.id), (SeenRow.order_id, of.order_id), (SeenRow.customer_id, of.customer_id))
    mine = or_(*(col(column) == value for column, value in known if value is not None))
    latest = select(SeenRow).where(mine).order_by(col(SeenRow.at).desc(), col(SeenRow.id).desc())
    return list(reversed(await tx.select(SeenRow, latest.limit(LONGEST_TIMELINE))))


async def queue(tx: Transaction, filters: Filters, after: Place | None, limit: int) -> list[CaseRow]:
    """List cases: open ones before closed ones, the oldest due first, beginning after a place."""
    statement = select(CaseRow).where(*_conditions(tx, filters))
    if after is not None:
        statement = statement.where(after < _PLACE)
    return await tx.select(CaseRow, statement.order_by(*_PLACE.clauses).limit(limit))


async def neighbours(tx: Transaction, filters: Filters, of: Case) -> tuple[str | None, str | None]:
    """Return the ids of the cases before and after one in the queue, whether it is in the queue itself or not."""
    here = (of.state in CLOSED, of.due_at, of.id)
    backwards = [column.desc() for column in _PLACE.clauses]
    earlier = select(CaseRow).where(*_conditions(tx, filters), here > _PLACE).order_by(*backwards).limit(1)
    before, following = await tx.select(CaseRow, earlier), await queue(tx, filters, here, 1)
    return (before[0].id if before else None), (following[0].id if following else None)


async def counted(tx: Transaction, what: Literal["state", "code", "partner", "owner"]) -> list[Counted]:
    """How many cases that are not closed there are of each, most first."""
    value = func.jsonb_array_elements_text(CaseRow.codes) if what == "code" else getattr(CaseRow, what)
    return await _counted(tx, value, col(CaseRow.closed).is_(False))


async def causes(tx: Transaction) -> list[Counted]:
    """Causes that more than one undecided case has, most first."""
    shared = await _counted(tx, col(CaseRow.cause), col(CaseRow.state).in_(UNDECIDED), at_least=2)
    return shared[:MOST_CAUSES]


async def _counted(tx: Transaction, value: Any, which: Any, at_least: int = 1) -> list[Counted]:  # noqa: ANN401 - SQL
    cases = func.count()
    statement = select(value.label("value"), cases.label("cases")).where(which).group_by(text("1"))
    ranked = statement.having(cases >= at_least).order_by(text("2 DESC"), text("1"))
    rows = (await tx.unit.connection.execute(ranked)).mappings()
    return [Counted(**row) for row in rows if row["value"] is not None]


async def of_cause(tx: Transaction, cause_: str, limit: int) -> list[CaseRow]:
    """The undecided cases of a cause, the oldest due first."""
    alike = select(CaseRow).where(col(CaseRow.cause) == cause_, col(CaseRow.state).in_(UNDECIDED))
    return await tx.select(CaseRow, alike.order_by(*_PLACE.clauses).limit(limit))


async def overdue(tx: Transaction) -> int:
    """How many cases that somebody has to decide are past their due time."""
    return int(await tx.scalar(select(func.count()).select_from(CaseRow).where(_late(tx))))


async def another_of_order(tx: Transaction, of: Case) -> str | None:
    """The case that the same order waits for now, after this one was decided; the soonest due."""
    mine = (col(CaseRow.order_id) == of.order_id, col(CaseRow.id) != of.id, col(CaseRow.closed).is_(False))
    rows = await tx.select(CaseRow, select(CaseRow).where(*mine).order_by(col(CaseRow.due_at)).limit(1))
    return rows[0].id if rows and of.order_id else None


def place_of(row: CaseRow) -> Place:
    """Where a case stands in the queue."""
    return row.closed, row.due_at, row.id


def _late(tx: Transaction) -> Any:  # noqa: ANN401 - SQL
    return and_(col(CaseRow.closed).is_(False), col(CaseRow.state).in_(TO_DO), col(CaseRow.due_at) < tx.now)


def _conditions(tx: Transaction, filters: Filters) -> Iterable[Any]:
    for name, wanted in filters.items():
        if name == "overdue":
            yield _late(tx) if wanted else not_(_late(tx))
        elif name == "code":
            yield CaseRow.codes.contains([wanted])  # type: ignore[attr-defined]
        elif isinstance(wanted, tuple):
            yield col(getattr(CaseRow, name)).in_(wanted)
        else:
            yield col(getattr(CaseRow, name)) == wanted


_PLACE = tuple_(col(CaseRow.closed), col(CaseRow.due_at), col(CaseRow.id))
