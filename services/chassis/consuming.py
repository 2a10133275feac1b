"""Batches of raw records become handled events: decode, watermark, handlers, outbox, one transaction per batch."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from contracts.event import Event
from contracts.topics import BY_NAME, consumed_by
from services.chassis import dead_letters, telemetry, watermark
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection, Connections
from services.chassis.database import ConsumerState, DeadLetter, ParkedKey, is_infrastructure
from services.chassis.dead_letters import ReleaseQueue
from services.chassis.decoding import Item, decode, record_of
from services.chassis.job import Reads
from services.chassis.rows import changed
from services.chassis.settings import Settings
from services.chassis.transaction import Committed, Transaction, UnitOfWork

log = structlog.get_logger()

Handler = Callable[[Any, Transaction], Awaitable[Iterable[Event] | None]]
Registered = TypeVar("Registered", bound=Callable[..., Any])

LONGEST_BACKOFF_SECONDS = 2.0
STOPPED_POLL_SECONDS = 0.3
QUEUE_PAGE = 200
BREATH_SECONDS = 0.003
"""How long a batch is handled without letting anything else of the process go on."""
GAP = 0
"""Stands for the attempt in the ids of what reports a gap before an event."""


class UnhandledEventError(Exception):
    """The map says that a service consumes an event for which it has no handler, or the other way round."""


class LeftUndoneError(Exception):
    """The service stops while a batch waits for the database, or to be resumed."""


class ConsumerStoppedError(Exception):
    """An operator has to resume the consumer."""


class TooManyFailuresError(Exception):
    """More technical cases than a minute may bring; `handled` records of the batch are still carried out."""

    def __init__(self, handled: int) -> None:
        """Remember how far the batch may go."""
        self.handled = handled


def consumes(event: type[Event], *, reads: Reads | None = None) -> Callable[[Registered], Registered]:
    """Register a handler: ``async def effect(event, tx) -> list[Event]``.

    `reads(event)` may name rows that the handler is going to need, as `(table, key)`; they are read and locked for the
    whole batch with one statement per table.
    """

    def register(handler: Registered) -> Registered:
        handler.consumes = event  # type: ignore[attr-defined]
        handler.reads = reads  # type: ignore[attr-defined]
        return handler

    return register


def handlers_in(module: object) -> dict[str, Handler]:
    """Collect the handlers of a module by the type that they consume."""
    members = inspect.getmembers(module, inspect.iscoroutinefunction) if module else []
    return {member.consumes.type: member for _, member in members if hasattr(member, "consumes")}


class Consumer:
    """Handles the batches of one service. It returns from a batch only when all of it is committed."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        connections: Connections,
        handlers: dict[str, Handler],
        begin: Callable[[Connection], UnitOfWork],
    ) -> None:
        """`handlers` by event type, those that the map names; `begin` makes a unit of work."""
        self._service = service
        self._settings = settings
        self._connections = connections
        self._clock = Clock()  # real time: how long a batch takes, and when it failed
        self._begin = begin
        self._handlers = handlers
        self._own_letters = dead_letters.told_directly(handlers)
        self._wanted = {(topic.name, event.type): event for topic, event in consumed_by(service)}
        self._over = asyncio.Event()
        self._busy_since: float | None = None
        self.on_commit: Callable[[Committed], None] = lambda _committed: None
        self.on_fatal: Callable[[BaseException], None] = lambda _error: None
        self._check_map()

    def _check_map(self) -> None:
        mapped = {type_ for _, type_ in self._wanted if type_ != dead_letters.DECISION}
        differing = mapped.symmetric_difference(set(self._handlers) - {dead_letters.DECISION})
        if differing:
            message = f"{self._service}: contracts/topics.py and the handlers differ in {', '.join(sorted(differing))}"
            raise UnhandledEventError(message)

    @property
    def topics(self) -> list[str]:
        """The topics this service subscribes to."""
        return sorted({topic for topic, _ in self._wanted})

    def stop(self) -> None:
        """End after the batch under way; one that only waits is left undone and read again after the next start."""
        self._over.set()

    @property
    def busy_seconds(self) -> float:
        """How long the batch under way has been going on; 0 between batches."""
        return 0.0 if self._busy_since is None else self._clock.monotonic() - self._busy_since

    async def handle_batch(self, raw: Sequence[Any]) -> bool:
        """Handle a batch of aiokafka's ConsumerRecord; what is away is waited for, faults of data become cases.

        Returns whether its offsets may be committed. Once they may not, no later ones may: they would skip this batch.
        """
        if self._over.is_set():
            return False
        self._busy_since = self._clock.monotonic()
        try:
            items = [decode(record_of(each), self._wanted) for each in raw]
            while items:
                items = items[await self._patiently(items) :]
        except LeftUndoneError:
            return False
        except Exception as error:
            log.exception("consumer.fatal")
            self._over.set()
            self.on_fatal(error)
            return False
        finally:
            telemetry.BATCH_SECONDS.observe(self.busy_seconds)
            self._busy_since = None
        return True

    async def _patiently(self, items: Sequence[Item]) -> int:
        backoff = 0.1
        while True:
            try:
                return await self._bisected(items)
            except ConsumerStoppedError:
                telemetry.STOPPED.set(1)
                await self._pause(STOPPED_POLL_SECONDS)
                continue
            except (SQLAlchemyError, OSError) as error:
                if not is_infrastructure(error):
                    raise
                log.warning("consumer.database-away", error=repr(error))
            await self._pause(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), timeout=seconds)
        except TimeoutError:
            return
        raise LeftUndoneError

    async def _bisected(self, items: Sequence[Item], *, again: bool = False) -> int:
        """Handle a batch; where the database refuses one record's data, find it by halves and try it once more.

        Once more, because what it refuses may only be that somebody else was first by a moment.
        """
        try:
            return await self._batch(items)
        except TooManyFailuresError as error:
            last = items[: error.handled]
        except SQLAlchemyError as error:
            if is_infrastructure(error):
                raise
            if len(items) == 1:
                return await (self._refused(items[0], error) if again else self._bisected(items, again=True))
            last = []
        if last:
            return await self._last(last)
        half = len(items) // 2
        first = await self._bisected(items[:half])
        return first if first < half else first + await self._bisected(items[half:])

    async def _last(self, items: Sequence[Item]) -> int:
        """Handle a batch and stop the consumer; where the database refuses that, only stop."""
        try:
            return await self._batch(items, stop=True)
        except SQLAlchemyError as error:
            if is_infrastructure(error):
                raise
        async with self._connections.use() as connection:
            await _stop_consumer(connection)
            await connection.commit()
        raise ConsumerStoppedError

    async def _batch(self, items: Sequence[Item], *, stop: bool = False) -> int:
        async with self._connections.use() as connection:
            unit = self._begin(connection)
            known = await watermark.advance(connection, _highest(items))
            reached = dict(known)
            start = await dead_letters.batch_start(connection, [item.record.queue for item in items])
            if start.stopped:
                raise ConsumerStoppedError
            telemetry.STOPPED.set(0)
            queued, unit.versions = start.parked, start.versions
            new = [item for item in items if self._is_new(item, reached, unit)]
            await unit.load(place for item in new for place in self._reads(item))
            breath = self._clock.monotonic()
            for item in new:
                if self._clock.monotonic() - breath > BREATH_SECONDS:
                    await asyncio.sleep(0)  # the doors of this process are served meanwhile
                    breath = self._clock.monotonic()
                failed = await self._one(unit, item, queued)
                if failed and not stop and await self._too_many(connection):
                    raise TooManyFailuresError(items.index(item) + 1)
            if stop:
                await _stop_consumer(connection)
            if any(item.fault for item in items):  # all others moved it already
                await watermark.advance(connection, reached)
            self.on_commit(await unit.commit())
        return len(items)

    async def _too_many(self, connection: Connection) -> bool:
        recent = await dead_letters.recent_failures(connection, self._clock)
        return recent > self._settings.technical_cases_per_minute

    def _is_new(self, item: Item, reached: dict[watermark.Place, int], unit: UnitOfWork) -> bool:
        """Tell whether an item has to be looked at; a repeat is dropped, a gap is reported and its event handled."""
        where = item.place
        if where is None or item.envelope is None or item.envelope.sequence is None:
            return True
        before, found = reached[where], item.envelope.sequence
        if item.fault:
            # Only the next of its key counts: a forged sequence would make later events look like repeats.
            reached[where] = found if found == before + 1 else before
            return True
        if found <= before:
            telemetry.REPEATED.labels(item.record.topic).inc()
            return False
        reached[where] = found
        if found > before + 1 and BY_NAME[item.record.topic].gapless:
            tx = unit.transaction(replace(item.cause, attempt=GAP))  # its ids must not be those of the handler's events
            dead_letters.missing(tx, item.record.topic, where[2], after=before, found=found)
            unit.absorb(tx)
        return True

    def _reads(self, item: Item) -> Iterable[Any]:
        reads = getattr(self._handlers.get(item.event.type), "reads", None) if item.event else None
        return reads(item.event) if reads else ()

    async def _one(self, unit: UnitOfWork, item: Item, queued: set[str]) -> bool:
        """Handle one item; returns whether it became a technical case."""
        record = item.record
        if item.event is None and item.fault is None:
            telemetry.SKIPPED.labels(record.topic).inc()
            return False
        if record.queue in queued and not dead_letters.is_decision(item.event):
            await dead_letters.join(unit, record)
            return False
        if (fault := await self._handled(unit, item, item.cause)) is None:
            return False
        opened = await dead_letters.open_case(unit, record, fault, item.cause, self._own_letters)
        if opened and record.queue is not None:
            queued.add(record.queue)
        return opened

    async def _handled(self, unit: UnitOfWork, item: Item, cause: Cause) -> tuple[str, str] | None:
        """Run the handler; returns code and reason where the record is unreadable or the handler raised."""
        if item.event is None:
            return "message.unreadable", item.fault or "no event"
        tx = unit.transaction(cause)
        try:
            await self._run(item.event, tx)
        except (SQLAlchemyError, TimeoutError):
            raise
        except Exception as error:
            if isinstance(error, OSError):
                await unit.connection.scalar(select(1))  # raises where it is the database that is away
            trace_id = telemetry.trace_id(cause.traceparent)
            log.exception("handler.failed", type=item.event.type, subject=item.event.subject, trace_id=trace_id)
            return "message.unhandled", "".join(traceback.format_exception(error, limit=-6))
        unit.absorb(tx)
        telemetry.CONSUMED.labels(item.event.type).inc()
        return None

    async def _run(self, event: Event, tx: Transaction) -> None:
        if dead_letters.carry_out(event, tx):
            return
        handler = self._handlers.get(event.type)
        if handler is None:
            return
        with telemetry.about(event.subject, tx.cause.traceparent):
            tx.publish(*(await handler(event, tx) or ()))

    async def _refused(self, item: Item, error: SQLAlchemyError) -> int:
        """Make a case of a record whose data the database refuses."""
        async with self._connections.use() as connection:
            unit = self._begin(connection)
            await watermark.advance(connection, _highest([item]))
            fault = "message.unhandled", str(error)
            await dead_letters.open_case(unit, item.record, fault, item.cause, self._own_letters)
            if await self._too_many(connection):
                await _stop_consumer(connection)
            self.on_commit(await unit.commit())
        return 1

    async def release(self, job: ReleaseQueue, tx: Transaction) -> None:
        """Carry out a decision about a dead letter; then its queue runs in order until it is empty or one fails."""
        unit = tx.unit
        decided = await self._decided(tx, job)
        if decided is None:
            return
        if decided.queue is None:
            if decided.state == "failed":
                await self._release_one(unit, decided)
            return
        await dead_letters.parked(unit.connection, [decided.queue])
        queue = select(DeadLetter).where(col(DeadLetter.queue) == decided.queue, col(DeadLetter.state) != "released")
        for row in await tx.select(DeadLetter, queue.order_by(col(DeadLetter.position)).limit(QUEUE_PAGE)):
            mine = row.case_id == job.case_id
            undecided = row.state == "failed" and not mine
            if undecided or not await self._release_one(unit, decided if mine else row):
                return
        if await tx.scalar(queue.with_only_columns(col(DeadLetter.position)).limit(1)):
            tx.schedule(job)  # the next page: the decided record is behind us, what waits behind it is not
            return
        gone = await tx.get(ParkedKey, decided.queue)
        if gone:
            tx.delete(gone)

    async def _decided(self, tx: Transaction, job: ReleaseQueue) -> DeadLetter | None:
        statement = select(DeadLetter).where(col(DeadLetter.case_id) == job.case_id)
        rows = await tx.select(DeadLetter, statement.with_for_update())
        return changed(rows[0], decision=job.decision) if rows else None

    async def _release_one(self, unit: UnitOfWork, row: DeadLetter) -> bool:
        """Handle or set aside one kept record; returns whether what waits behind it may go on."""
        record = dead_letters.raw(row)
        item = decode(record, self._wanted)
        cause = replace(item.cause, attempt=row.attempt + 1)
        tx = unit.transaction(cause)
        set_aside = row.state == "failed" and row.decision == "set_aside"
        fault = None if set_aside else await self._within_savepoint(unit, item, cause)
        if fault is None:
            tx.put(changed(row, state="released"))
            if row.state == "failed":
                tx.publish(dead_letters.released(row.case_id, self._service, row.decision))
        else:
            tx.put(changed(row, state="failed", attempt=row.attempt + 1, decision=None, failed_at=self._clock.real()))
            await dead_letters.tell(unit, record, fault, cause, self._own_letters)
        unit.absorb(tx)
        await unit.flush()
        return fault is None

    async def _within_savepoint(self, unit: UnitOfWork, item: Item, cause: Cause) -> tuple[str, str] | None:
        mark = unit.mark()
        try:
            async with unit.connection.savepoint():
                fault = await self._handled(unit, item, cause)
                await unit.flush()
                return fault
        except SQLAlchemyError as error:
            if is_infrastructure(error):
                raise
            unit.back_to(mark)
            return "message.unhandled", str(error)


def _highest(items: Iterable[Item]) -> dict[watermark.Place, int]:
    """Return how far the batch moves each watermark: by all that can be read, whether it has a handler or not."""
    highest: dict[watermark.Place, int] = {}
    for item in items:
        if item.place and item.envelope:
            counted = 0 if item.fault else item.envelope.sequence or 0
            highest[item.place] = max(highest.get(item.place, 0), counted)
    return highest


async def _stop_consumer(connection: Connection) -> None:
    log.error("consumer.stopped", reason="too many technical cases within a minute")
    statement = insert(ConsumerState).values(id=1, stopped=True)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"stopped": True}))
