"""What handlers and doors work in: rows as values, events, jobs, the clock and ids; committed as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Table, delete, insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select
from sqlmodel import SQLModel

from contracts.event import Event
from services.chassis import outbox
from services.chassis.clock import Clock
from services.chassis.database import JobRow
from services.chassis.ids import derived_id, new_id, new_traceparent
from services.chassis.job import Job

Row = TypeVar("Row", bound=SQLModel)
Key = tuple[object, ...]
Place = tuple[Table, Key]
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """What made a transaction happen: an event, a request or a job; `attempt` counts decisions that ran it again.

    `time` is when an event happened (RFC 3339, business time), which may be long before it is handled.
    """

    id: str
    source: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    attempt: int = 1
    time: str | None = None

    @classmethod
    def request(cls, traceparent: str | None = None) -> Cause:
        """A request at a door; it starts a correlation of its own."""
        identity = new_id()
        return cls(identity, "request", correlation_id=identity, traceparent=traceparent or new_traceparent())


class AlreadyThereError(Exception):
    """A row was added whose key is taken: by what was read, or by what was decided before it."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is decided, with its id and cause, before its sequence is known; `value` is what Kafka gets."""

    id: str
    event: Event
    value: bytes
    cause: Cause
    time: datetime


@dataclass
class Changes:
    """What was read and decided; the rows are values: changing a row object changes nothing until it is `put`."""

    rows: dict[Place, Values | None] = field(default_factory=dict)
    added: dict[Place, Values] = field(default_factory=dict)
    changed: dict[Place, Values] = field(default_factory=dict)
    deleted: set[Place] = field(default_factory=set)
    events: list[Pending] = field(default_factory=list)
    jobs: list[JobRow] = field(default_factory=list)


class UnitOfWork:
    """One database transaction; many handlers may work in it, each through a Transaction of its own."""

    def __init__(self, service: str, connection: AsyncConnection, clock: Clock) -> None:
        """Work on an open connection; `commit` is the only way that anything stays."""
        self.service = service
        self.connection = connection
        self.clock = clock
        self.changes = Changes()

    def transaction(self, cause: Cause) -> Transaction:
        """Open what one handler or door works in; keep it with `absorb` or drop it."""
        return Transaction(self, cause)

    def absorb(self, tx: Transaction) -> None:
        """Take over what a handler decided, after it returned without an error."""
        mine, its = self.changes, tx.changes
        for place in its.deleted:
            mine.changed.pop(place, None)
            if mine.added.pop(place, None) is None:
                mine.deleted.add(place)
        for place, values in its.changed.items():
            (mine.added if place in mine.added else mine.changed)[place] = values
        mine.added.update(its.added)
        mine.rows.update(its.rows)
        mine.events.extend(its.events)
        mine.jobs.extend(its.jobs)

    async def load(self, places: Iterable[tuple[type[SQLModel], Key]]) -> None:
        """Read and lock rows that are going to be needed, one statement per table, in key order."""
        wanted: dict[Table, set[Key]] = defaultdict(set)
        for row_class, key in places:
            table = _table(row_class)
            if (table, key) not in self.changes.rows:
                wanted[table].add(key)
        for table, keys in sorted(wanted.items(), key=lambda each: each[0].name):
            columns = list(table.primary_key.columns)
            ordered = sorted(keys, key=str)
            statement = select(table).where(tuple_(*columns).in_(ordered)).order_by(*columns).with_for_update()
            found = {_key(table, dict(row)): dict(row) for row in (await self.connection.execute(statement)).mappings()}
            for key in ordered:
                self.changes.rows[table, key] = found.get(key)

    async def flush(self) -> None:
        """Write the rows in bulk, keys sorted, so that two transactions never wait for each other crosswise."""
        changes = self.changes
        for table, places in _by_table(changes.deleted):
            columns = list(table.primary_key.columns)
            await self.connection.execute(delete(table).where(tuple_(*columns).in_([place[1] for place in places])))
        for table, places in _by_table(changes.added):
            await self.connection.execute(insert(table), [changes.added[place] for place in places])
        for table, places in _by_table(changes.changed):
            await self.connection.execute(_upsert(table), [changes.changed[place] for place in places])
        changes.added, changes.changed, changes.deleted = {}, {}, set()

    def mark(self) -> tuple[int, int]:
        """Remember what is decided so far, before a savepoint."""
        return len(self.changes.events), len(self.changes.jobs)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was decided since the mark, after its savepoint was rolled back."""
        events, jobs = self.changes.events[: mark[0]], self.changes.jobs[: mark[1]]
        self.changes = Changes(events=events, jobs=jobs)

    async def commit(self) -> Sequence[Pending]:
        """Write rows, jobs and outbox, and commit; returns the events that are now decided."""
        await self.flush()
        if self.changes.jobs:
            jobs = [job.model_dump() for job in self.changes.jobs]
            await self.connection.execute(upsert(_table(JobRow)).on_conflict_do_nothing(), jobs)
        await outbox.write(self.connection, self.service, self.changes.events)
        await self.connection.commit()
        return self.changes.events


class Transaction:
    """What one handler or door works in. `now` is business time, the same for all that is decided here."""

    def __init__(self, unit: UnitOfWork, cause: Cause) -> None:
        """Start with nothing read and nothing decided."""
        self.unit = unit
        self.cause = cause
        self.now: datetime = unit.clock.now()
        self.changes = Changes()
        self._ordinals: dict[tuple[str, str], int] = defaultdict(int)

    async def get(self, row_class: type[Row], *key: object) -> Row | None:
        """Read one row by its primary key and lock it until the commit."""
        place = (_table(row_class), key)
        if place not in self.changes.rows:
            await self.unit.load([(row_class, key)])
            self.changes.rows[place] = self.unit.changes.rows[place]
        values = self.changes.rows[place]
        return None if values is None else row_class(**values)

    async def select(self, row_class: type[Row], statement: Select[Any]) -> list[Row]:
        """Read rows without locking them; what earlier handlers of the batch wrote is seen, this one's is not."""
        await self.unit.flush()
        result = await self.unit.connection.execute(statement)
        return [row_class(**row) for row in result.mappings()]

    async def scalar(self, statement: Select[Any]) -> Any:  # noqa: ANN401 - whatever the statement selects
        """Read one value."""
        await self.unit.flush()
        return (await self.unit.connection.execute(statement)).scalar()

    def add(self, row: SQLModel) -> None:
        """Write a row that must be new. Raises AlreadyThereError; a row not read before makes the transaction fail."""
        place, values = _placed(row)
        if self._known(place) is not None:
            message = f"{place[0].name} has a row with this key"
            raise AlreadyThereError(message)
        self.changes.rows[place] = self.changes.added[place] = values

    def _known(self, place: Place) -> Values | None:
        rows = self.changes.rows if place in self.changes.rows else self.unit.changes.rows
        return rows.get(place)

    def put(self, row: SQLModel) -> None:
        """Write a row, whether it is there or not."""
        place, values = _placed(row)
        self.changes.deleted.discard(place)
        self.changes.rows[place] = values
        (self.changes.added if place in self.changes.added else self.changes.changed)[place] = values

    def delete(self, row: SQLModel) -> None:
        """Take a row away."""
        place, _ = _placed(row)
        self.changes.changed.pop(place, None)
        if self.changes.added.pop(place, None) is None:
            self.changes.deleted.add(place)
        self.changes.rows[place] = None

    def publish(self, *events: Event) -> None:
        """Decide events; they are on Kafka some time after the commit, in order per key.

        Raises EventTooLargeError or EmptyKeyError here, so that the record that asks for it drops out alone.
        """
        for event in events:
            value = outbox.checked(event)
            identity = self.next_id(type(event), event.key)
            self._ordinals[event.type, event.key] += 1
            self.changes.events.append(Pending(identity, event, value, self.cause, self.now))

    def next_id(self, event: type[Event], key: str) -> str:
        """Return the id that the next event of this type and key gets here; a case is named by its first event's."""
        ordinal = self._ordinals[event.type, key]
        cause = self.cause
        return derived_id(self.unit.service, cause.source, cause.id, event.type, key, ordinal, cause.attempt)

    def schedule(self, job: Job, *, due: datetime | None = None, wait: float = 0.0) -> str:
        """Have a job done at a business time (now) and not before `wait` real seconds; returns its id.

        The same job scheduled twice by the same cause is one job.
        """
        identity = self.same_id(job.name, job.model_dump_json())
        self.changes.jobs.append(
            JobRow(
                id=identity,
                name=job.name,
                payload=job.model_dump(mode="json"),
                cause=asdict(self.cause),
                due_at=due or self.now,
                not_before=self.unit.clock.real() + timedelta(seconds=wait),
            )
        )
        return identity

    @staticmethod
    def new_id() -> str:
        """Make a time-ordered id."""
        return new_id()

    def same_id(self, *parts: object) -> str:
        """Make an id that comes out the same when this cause is handled again."""
        return derived_id(self.unit.service, self.cause.source, self.cause.id, self.cause.attempt, *parts)


def _table(row_class: type[SQLModel]) -> Table:
    return cast("Table", row_class.__table__)  # type: ignore[attr-defined]


def _key(table: Table, values: Values) -> Key:
    return tuple(values[column.name] for column in table.primary_key.columns)


def _placed(row: SQLModel) -> tuple[Place, Values]:
    table = _table(type(row))
    values = {column.name: getattr(row, column.name) for column in table.columns}
    return (table, _key(table, values)), values


def _by_table(places: Iterable[Place]) -> list[tuple[Table, list[Place]]]:
    grouped: dict[Table, list[Place]] = defaultdict(list)
    for place in places:
        grouped[place[0]].append(place)
    ordered = sorted(grouped.items(), key=lambda each: each[0].name)
    return [(table, sorted(members, key=lambda place: str(place[1]))) for table, members in ordered]


def _upsert(table: Table) -> Any:  # noqa: ANN401 - SQLAlchemy's Insert of its PostgreSQL dialect
    statement = upsert(table)
    keys = {column.name for column in table.primary_key.columns}
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=rest)
