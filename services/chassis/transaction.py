"""What handlers and doors work in: rows as values, events, jobs, the clock and ids; committed as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy.sql import Select

from contracts.event import Event
from services.chassis import bulk, outbox, references
from services.chassis.bulk import Key, Statement
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection
from services.chassis.database import JobRow
from services.chassis.ids import derived_id, new_id
from services.chassis.job import Job
from services.chassis.outbox import Message, Pending
from services.chassis.references import Arranged, References
from services.chassis.rows import Row, differences

Found = TypeVar("Found", bound=Row)
Place = tuple[type[Row], Key]
Places = Iterable[tuple[Any, Key]]
"""Rows that are going to be needed, each as its table's class and primary key."""

_LOCK_KEYS = """
    SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST($1 AS text[])) AS key
"""


class AlreadyThereError(Exception):
    """A row was added whose key is taken: by what was read, or by what was decided before it."""


@dataclass
class Changes:
    """What was read and decided; a row that is known not to be there is None."""

    rows: dict[Place, Row | None] = field(default_factory=dict)
    added: dict[Place, Row] = field(default_factory=dict)
    changed: dict[Place, Row] = field(default_factory=dict)
    deleted: set[Place] = field(default_factory=set)
    events: list[Pending] = field(default_factory=list)
    jobs: list[JobRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Committed:
    """What was decided and is to be done now: messages by their rows' ids, and jobs."""

    messages: dict[int, Message]
    jobs: Sequence[JobRow]


class UnitOfWork:
    """One database transaction; many handlers may work in it, each through a Transaction of its own."""

    def __init__(self, service: str, connection: Connection, clock: Clock, known: References | None = None) -> None:
        """Work on an open connection; `commit` is the only way that anything stays.

        A job that is due at once is claimed with its row for `claim_seconds`: whoever commits it does it. Without
        `locking` rows are only looked at: a lock is written to the disk as a change is.
        """
        self.service = service
        self.connection = connection
        self.clock = clock
        self.changes = Changes()
        self.claim_seconds = 0.0
        self.locking = True
        self._stored: dict[Place, Row] = {}  # as the database has them
        self._references = known or References()
        self.versions: dict[str, int] | None = None
        self._rewritten: set[str] = set()

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
        for place, row in its.changed.items():
            (mine.added if place in mine.added else mine.changed)[place] = row
        for place, row in its.added.items():
            (mine.changed if place in mine.deleted else mine.added)[place] = row
        mine.deleted -= its.added.keys() | its.changed.keys()
        mine.rows.update(its.rows)
        written = (*its.added, *its.changed, *its.deleted)
        self._rewritten |= {str(row_class.__tablename__) for row_class, _ in written if row_class.reference}
        mine.events.extend(its.events)
        mine.jobs.extend(its.jobs)

    async def load(self, places: Places) -> None:
        """Read and lock rows that are going to be needed, one statement per table, in key order.

        A row of a shared table that is not there is locked by its key and looked for again: somebody may be making it.
        """
        wanted: dict[type[Row], set[Key]] = defaultdict(set)
        for row_class, key in places:
            if (row_class, key) not in self.changes.rows:
                wanted[row_class].add(key)
        for row_class, keys in sorted(wanted.items(), key=_table_name):
            ordered = sorted(keys, key=str)
            found = await bulk.load(self.connection, row_class, ordered, lock=self.locking)
            missing = [key for key in ordered if key not in found]
            if missing and row_class.shared and self.locking:
                names = [f"{row_class.__tablename__}{key}" for key in missing]
                await self.connection.fetch(_LOCK_KEYS, names)
                found |= await bulk.load(self.connection, row_class, missing)
            for key in ordered:
                self.changes.rows[row_class, key] = found.get(key)
            self._stored |= {(row_class, key): row for key, row in found.items()}

    async def reference(self, row_class: type[Found], arrange: references.Arrange[Found, Arranged]) -> Arranged:
        """Return a reference table, from memory unless it was written; see references.py."""
        name = str(row_class.__tablename__)
        if name in self._rewritten:
            await self.flush()
            return arrange(await references.read(self.connection, row_class))
        if self.versions is None:
            self.versions = await references.versions(self.connection)
        return await self._references.arranged(self.connection, row_class, arrange, self.versions.get(name, 0))

    async def flush(self) -> None:
        """Write the rows decided so far, so that a statement sees them."""
        await bulk.together(self.connection, self._writes())

    def _writes(self) -> list[Statement]:
        """Return what writes the rows decided so far, keys sorted, so that two never wait for each other crosswise."""
        changes = self.changes
        places = {*changes.deleted, *changes.added, *changes.changed}
        statements = [bulk.deleting(row_class, keys) for row_class, keys in _by_table(changes.deleted)]
        for row_class, keys in _by_table(changes.added):
            statements.append(bulk.inserting(row_class, [changes.added[row_class, key] for key in keys]))
        for row_class, keys in _by_table(changes.changed):
            statements.extend(self._changes_of(row_class, keys))
        self._stored |= changes.added | changes.changed
        for place in changes.deleted:
            self._stored.pop(place, None)
        written = {str(row_class.__tablename__) for row_class, _ in places if row_class.reference}
        changes.added, changes.changed, changes.deleted = {}, {}, set()
        return [*statements, *references.raising(written)]

    def _changes_of(self, row_class: type[Row], keys: Sequence[Key]) -> Iterable[Statement]:
        """Write what differs of rows that were read; rows that were not are written whole, whether they are there."""
        unread, read, differing = [], [], set()
        for key in keys:
            row, stored = self.changes.changed[row_class, key], self._stored.get((row_class, key))
            if stored is None:
                unread.append(row)
            elif names := differences(stored, row):
                read.append(row)
                differing |= names
        if read:
            yield bulk.updating(row_class, read, frozenset(differing))
        if unread:
            yield bulk.upserting(row_class, unread)

    def mark(self) -> tuple[int, int]:
        """Remember what is decided so far, before a savepoint."""
        return len(self.changes.events), len(self.changes.jobs)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was decided since the mark, after its savepoint was rolled back."""
        events, jobs = self.changes.events[: mark[0]], self.changes.jobs[: mark[1]]
        self.changes = Changes(events=events, jobs=jobs)
        self._stored = {}

    async def commit(self) -> Committed:
        """Write rows, jobs and outbox with one statement, and commit."""
        statements, events = self._writes(), self.changes.events
        if self.changes.jobs:
            statements.append(bulk.inserting_missing(JobRow, self.changes.jobs))
        messages = await outbox.write(self.connection, self.service, events, statements)
        await self.connection.commit()
        return Committed(messages, self.changes.jobs)


class Transaction:
    """What one handler or door works in. `now` is business time, the same for all that is decided here."""

    def __init__(self, unit: UnitOfWork, cause: Cause) -> None:
        """Start with nothing read and nothing decided."""
        self.unit = unit
        self.cause = cause
        self.now: datetime = unit.clock.now()
        self.changes = Changes()
        self._ordinals: dict[tuple[str, str], int] = defaultdict(int)

    async def get(self, row_class: type[Found], *key: object) -> Found | None:
        """Read one row by its primary key and lock it until the commit."""
        place = (row_class, key)
        if place not in self.changes.rows:
            if place not in self.unit.changes.rows:
                await self.unit.load([place])
            self.changes.rows[place] = self.unit.changes.rows[place]
        return cast("Found | None", self.changes.rows[place])

    async def select(self, row_class: type[Found], statement: Select[Any]) -> list[Found]:
        """Read rows without locking them; what earlier handlers of the batch wrote is seen, this one's is not."""
        await self.unit.flush()
        result = await self.unit.connection.execute(statement)
        return [row_class(**row) for row in result.mappings()]

    async def reference(self, row_class: type[Found], arrange: references.Arrange[Found, Arranged]) -> Arranged:
        """Return a reference table as `arrange`, a module's function, puts it; not locked, usually from memory."""
        return await self.unit.reference(row_class, arrange)

    async def scalar(self, statement: Select[Any]) -> Any:  # noqa: ANN401 - whatever the statement selects
        """Read one value."""
        await self.unit.flush()
        return (await self.unit.connection.execute(statement)).scalar()

    def add(self, row: Row) -> None:
        """Write a row that must be new. Raises AlreadyThereError; a row not read before makes the transaction fail."""
        place = bulk.place(row)
        if self._known(place) is not None:
            message = f"{place[0].__tablename__} has a row with this key"
            raise AlreadyThereError(message)
        self.changes.rows[place] = self.changes.added[place] = row

    def _known(self, place: Place) -> Row | None:
        rows = self.changes.rows if place in self.changes.rows else self.unit.changes.rows
        return rows.get(place)

    def put(self, row: Row) -> None:
        """Write a row, whether it is there or not."""
        place = bulk.place(row)
        self.changes.rows[place] = row
        if place in self.changes.added:
            self.changes.added[place] = row
            return
        self.changes.deleted.discard(place)
        self.changes.changed[place] = row

    def delete(self, row: Row) -> None:
        """Take a row away."""
        place = bulk.place(row)
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
        payload = job.model_dump_json()
        identity = self.same_id(job.name, payload)
        claimed = self.unit.claim_seconds if due is None and not wait else 0.0
        self.changes.jobs.append(
            JobRow(
                id=identity,
                name=job.name,
                payload=payload,
                cause=self.cause.stored(),
                due_at=due or self.now,
                not_before=self.unit.clock.real() + timedelta(seconds=wait or claimed),
                attempts=1 if claimed else 0,
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


def _table_name(wanted: tuple[type[Row], object]) -> str:
    return str(wanted[0].__tablename__)


def _by_table(places: Iterable[Place]) -> list[tuple[type[Row], list[Key]]]:
    grouped: dict[type[Row], list[Key]] = defaultdict(list)
    for row_class, key in places:
        grouped[row_class].append(key)
    return [(row_class, sorted(keys, key=str)) for row_class, keys in sorted(grouped.items(), key=_table_name)]
