"""Batches of raw records become handled events: decode, watermark, handlers, outbox, one transaction per batch."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.case_v1 import CaseDecided
from contracts.event import Envelope, Event, UnreadableMessageError
from contracts.topics import BY_NAME, Topic, consumed_by
from services.chassis import dead_letters, telemetry, watermark
from services.chassis.clock import Clock
from services.chassis.database import ConsumerState, DeadLetter, ParkedKey, is_infrastructure
from services.chassis.dead_letters import Record, ReleaseQueue
from services.chassis.settings import Settings
from services.chassis.transaction import Cause, Transaction, UnitOfWork

log = structlog.get_logger()

Handler = Callable[[Any, Transaction], Awaitable[Iterable[Event] | None]]
Registered = TypeVar("Registered", bound=Callable[..., Any])
Reads = Callable[[Any], Iterable[tuple[Any, tuple[object, ...]]]]

LONGEST_BACKOFF_SECONDS = 2.0
QUEUE_PAGE = 200
LONGEST_KEY = 500


class UnhandledEventError(Exception):
    """The map says that a service consumes an event for which it has no handler, or the other way round."""


class TooManyFailuresError(Exception):
    """More technical cases than a minute may bring; `handled` records of the batch are still carried out."""

    def __init__(self, handled: int) -> None:
        """Remember how far the batch may go."""
        super().__init__(handled)
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


@dataclass(slots=True)
class Item:
    """One record of a batch, decoded by itself: an event with its handler, a fault, or neither (skipped)."""

    record: Record
    envelope: Envelope | None = None
    event: Event | None = None
    fault: str | None = None

    @property
    def place(self) -> watermark.Place | None:
        """Where it counts; None where its envelope says no key or sequence."""
        return watermark.place(self.record.topic, self.envelope) if self.envelope else None

    @property
    def cause(self) -> Cause:
        """What follows from this record has it as its cause."""
        if self.envelope is None:
            return self.record.cause
        return Cause(
            self.envelope.id,
            self.envelope.source,
            self.envelope.correlation_id,
            self.envelope.causation_id,
            self.envelope.traceparent,
            time=self.envelope.time.isoformat(),
        )


class Consumer:
    """Handles the batches of one service. It returns from a batch only when all of it is committed."""

    def __init__(
        self, service: str, settings: Settings, engine: AsyncEngine, clock: Clock, handlers: dict[str, Handler]
    ) -> None:
        """`handlers` by event type; they must be those that the map names."""
        self._service = service
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._handlers = handlers
        self._own_letters = dead_letters.told_directly(handlers)
        self._wanted = {(topic.name, event.type): event for topic, event in consumed_by(service)}
        self.on_commit: Callable[[], None] = lambda: None
        self.on_fatal: Callable[[BaseException], None] = lambda _error: None
        self._check_map()

    def _check_map(self) -> None:
        mapped = {type_ for _, type_ in self._wanted if type_ != CaseDecided.type}
        differing = mapped.symmetric_difference(set(self._handlers) - {CaseDecided.type})
        if differing:
            message = f"{self._service}: contracts/topics.py and the handlers differ in {', '.join(sorted(differing))}"
            raise UnhandledEventError(message)

    @property
    def topics(self) -> list[str]:
        """The topics this service subscribes to."""
        return sorted({topic for topic, _ in self._wanted})

    async def handle_batch(self, raw: Sequence[Any]) -> None:
        """Handle a batch of aiokafka's ConsumerRecord; what is away is waited for, faults of data become cases."""
        started = self._clock.monotonic()
        try:
            items = [self._decode(_record(each)) for each in raw]
            while items:
                items = items[await self._patiently(items) :]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Not to return is the point: a return would commit the offsets of what was not handled.
            log.exception("consumer.fatal")
            self.on_fatal(error)
            await asyncio.Event().wait()
        telemetry.BATCH_SECONDS.observe(self._clock.monotonic() - started)

    async def _patiently(self, items: Sequence[Item]) -> int:
        backoff = 0.1
        while True:
            try:
                await self._until_running()
                return await self._bisected(items)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                if not is_infrastructure(error):
                    raise
                log.warning("consumer.database-away", error=repr(error))
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    async def _until_running(self) -> None:
        while await self._stopped():
            telemetry.STOPPED.set(1)
            await asyncio.sleep(0.3)
        telemetry.STOPPED.set(0)

    async def _stopped(self) -> bool:
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(select(ConsumerState.stopped)))

    async def _bisected(self, items: Sequence[Item]) -> int:
        """Handle a batch; where the database refuses one record's data, find it by halves."""
        try:
            return await self._batch(items)
        except TooManyFailuresError as error:
            return await self._batch(items[: error.handled], stop=True)
        except SQLAlchemyError as error:
            if is_infrastructure(error):
                raise
            if len(items) == 1:
                return await self._refused(items[0], error)
        half = len(items) // 2
        first = await self._bisected(items[:half])
        if first < half or await self._stopped():
            return first
        return first + await self._bisected(items[half:])

    async def _batch(self, items: Sequence[Item], *, stop: bool = False) -> int:
        async with self._engine.connect() as connection:
            unit = UnitOfWork(self._service, connection, self._clock)
            known = await watermark.advance(connection, _highest(items))
            queued = await dead_letters.parked(connection, (item.record.queue for item in items))
            new = [item for item in items if self._is_new(item, known, unit)]
            await unit.load(place for item in new for place in self._reads(item))
            for item in new:
                failed = await self._one(unit, item, queued)
                if failed and not stop and await self._too_many(connection):
                    raise TooManyFailuresError(items.index(item) + 1)
            if stop:
                await _stop_consumer(connection)
            await watermark.advance(connection, known)
            await unit.commit()
        self.on_commit()
        return len(items)

    async def _too_many(self, connection: AsyncConnection) -> bool:
        recent = await dead_letters.recent_failures(connection, self._clock)
        return recent > self._settings.technical_cases_per_minute

    def _is_new(self, item: Item, known: dict[watermark.Place, int], unit: UnitOfWork) -> bool:
        """Tell whether an item has to be looked at; a repeat is dropped, a gap is reported and its event handled."""
        where = item.place
        if where is None or item.envelope is None or item.envelope.sequence is None:
            return True
        before, found = known[where], item.envelope.sequence
        if item.fault:
            # Only the next of its key counts: a forged sequence would make later events look like repeats.
            known[where] = found if found == before + 1 else before
            return True
        if found <= before:
            telemetry.REPEATED.labels(item.record.topic).inc()
            return False
        known[where] = found
        if found > before + 1 and BY_NAME[item.record.topic].gapless:
            tx = unit.transaction(item.cause)
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
        if record.queue in queued and not isinstance(item.event, CaseDecided):
            await dead_letters.join(unit, record)
            return False
        fault = await self._handled(unit, item, item.cause)
        if fault is None:
            return False
        await dead_letters.open_case(unit, record, fault, item.cause, self._own_letters)
        if record.queue is not None:
            queued.add(record.queue)
        return True

    async def _handled(self, unit: UnitOfWork, item: Item, cause: Cause) -> tuple[str, str] | None:
        """Run the handler; returns code and reason where the record is unreadable or the handler raised."""
        if item.event is None:
            return "message.unreadable", item.fault or "no event"
        tx = unit.transaction(cause)
        try:
            await self._run(item.event, tx)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, the record drops out alone
            log.exception("handler.failed", type=item.event.type, subject=item.event.subject)
            return "message.unhandled", "".join(traceback.format_exception(error, limit=-6))
        unit.absorb(tx)
        telemetry.CONSUMED.labels(item.event.type).inc()
        return None

    async def _run(self, event: Event, tx: Transaction) -> None:
        if isinstance(event, CaseDecided) and dead_letters.carry_out(event, tx):
            return
        handler = self._handlers.get(event.type)
        if handler is not None:
            tx.publish(*(await handler(event, tx) or ()))

    async def _refused(self, item: Item, error: SQLAlchemyError) -> int:
        """Make a case of a record whose data the database refuses."""
        async with self._engine.connect() as connection:
            unit = UnitOfWork(self._service, connection, self._clock)
            await watermark.advance(connection, _highest([item]))
            fault = "message.unhandled", str(error)
            await dead_letters.open_case(unit, item.record, fault, item.cause, self._own_letters)
            await unit.commit()
        self.on_commit()
        return 1

    async def release(self, job: ReleaseQueue, tx: Transaction) -> None:
        """Carry out a decision about a dead letter; then its queue runs in order until it is empty or one fails."""
        unit = tx.unit
        decided = await self._decided(tx, job)
        if decided is None:
            return
        if decided.queue is None:
            await self._release_one(unit, decided)
            return
        await dead_letters.parked(unit.connection, [decided.queue])
        queue = select(DeadLetter).where(DeadLetter.queue == decided.queue, DeadLetter.state.in_(("failed", "waiting")))  # type: ignore[attr-defined, arg-type]
        for row in await tx.select(DeadLetter, queue.order_by(DeadLetter.position).limit(QUEUE_PAGE)):  # type: ignore[arg-type]
            undecided = row.state == "failed" and row.case_id != job.case_id
            if undecided or not await self._release_one(unit, _changed(row, decision=job.decision)):
                return
        if await tx.scalar(queue.with_only_columns(DeadLetter.position).limit(1)):  # type: ignore[call-overload, arg-type]
            tx.schedule(job)
            return
        gone = await tx.get(ParkedKey, decided.queue)
        if gone:
            tx.delete(gone)

    async def _decided(self, tx: Transaction, job: ReleaseQueue) -> DeadLetter | None:
        statement = select(DeadLetter).where(DeadLetter.case_id == job.case_id, DeadLetter.state == "failed")  # type: ignore[arg-type]
        rows = await tx.select(DeadLetter, statement.with_for_update())
        return _changed(rows[0], decision=job.decision) if rows else None

    async def _release_one(self, unit: UnitOfWork, row: DeadLetter) -> bool:
        """Handle or set aside one kept record; returns whether what waits behind it may go on."""
        record = dead_letters.raw(row)
        item = self._decode(record)
        cause = replace(item.cause, attempt=row.attempt + 1)
        tx = unit.transaction(cause)
        set_aside = row.state == "failed" and row.decision == "set_aside"
        fault = None if set_aside else await self._within_savepoint(unit, item, cause)
        if fault is None:
            tx.put(_changed(row, state="released"))
            if row.state == "failed":
                tx.publish(dead_letters.released(row.case_id, self._service, row.decision))
        else:
            tx.put(_changed(row, state="failed", attempt=row.attempt + 1, decision=None, failed_at=self._clock.real()))
            await dead_letters.tell(unit, record, fault, cause, self._own_letters)
        unit.absorb(tx)
        await unit.flush()
        return fault is None

    async def _within_savepoint(self, unit: UnitOfWork, item: Item, cause: Cause) -> tuple[str, str] | None:
        mark = unit.mark()
        try:
            async with unit.connection.begin_nested():
                fault = await self._handled(unit, item, cause)
                await unit.flush()
                return fault
        except SQLAlchemyError as error:
            if is_infrastructure(error):
                raise
            unit.back_to(mark)
            return "message.unhandled", str(error)

    def _decode(self, record: Record) -> Item:
        """Decode one record by itself: one odd record must not take the batch with it."""
        topic = BY_NAME[record.topic]
        if record.value is None and topic.compacted:
            return Item(record)
        try:
            envelope = Envelope.from_headers(record.headers)
        except UnreadableMessageError as error:
            return Item(record, fault=str(error))
        event_class = self._wanted.get((record.topic, envelope.type))
        if event_class is None:
            return Item(record, envelope if envelope.source in topic.writers else None)
        fault = _envelope_fault(topic, record, envelope)
        if fault:
            return Item(record, fault=fault)
        try:
            return Item(record, envelope, event_class.from_value(record.value or b""))
        except UnreadableMessageError as error:
            return Item(record, envelope, fault=str(error))


def _record(raw: Any) -> Record:  # noqa: ANN401 - aiokafka's ConsumerRecord
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers))


def _envelope_fault(topic: Topic, record: Record, envelope: Envelope) -> str | None:
    if envelope.source not in topic.writers:
        return f"{envelope.source!r} does not write to {topic.name}"
    if envelope.key is None or envelope.sequence is None:
        return "ce_partitionkey or ce_sequence is missing"
    if len(envelope.key) > LONGEST_KEY:
        return f"ce_partitionkey has more than {LONGEST_KEY} characters"
    if record.key != envelope.key.encode():
        return "the record's key is not its ce_partitionkey"
    if record.value is None:
        return "no value: a tombstone does not belong here"
    return None


def _highest(items: Iterable[Item]) -> dict[watermark.Place, int]:
    """Return how far the batch moves each watermark: by all that can be read, whether it has a handler or not."""
    highest: dict[watermark.Place, int] = {}
    for item in items:
        if item.place and item.envelope:
            counted = 0 if item.fault else item.envelope.sequence or 0
            highest[item.place] = max(highest.get(item.place, 0), counted)
    return highest


async def _stop_consumer(connection: AsyncConnection) -> None:
    log.error("consumer.stopped", reason="too many technical cases within a minute")
    statement = insert(ConsumerState).values(id=1, stopped=True)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"stopped": True}))


def _changed(row: DeadLetter, **changes: object) -> DeadLetter:
    return DeadLetter(**{**row.model_dump(), **changes})
