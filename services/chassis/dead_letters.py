"""From a failure to a case: the record is kept, later records of its key wait behind it, decisions let them go.

The one room of the chassis that knows particular events: those of dead letters and of decisions about them.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from contracts.case_v1 import CaseDecided
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered, MessageReleased, RawHeader
from contracts.event import Event, Headers
from contracts.order_v1 import Discrepancy
from contracts.topics import BY_EVENT, BY_NAME
from services.chassis import outbox, telemetry
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection
from services.chassis.database import ConsumerState, DeadLetter, JobRow, ParkedKey
from services.chassis.ids import derived_id, sha256
from services.chassis.job import Job
from services.chassis.rows import changed
from services.chassis.transaction import Transaction, UnitOfWork

WINDOW = timedelta(minutes=1)
TECHNICAL_DECISIONS = ("send_again", "set_aside")
DECISION = CaseDecided.type
DECISIONS = BY_EVENT[CaseDecided].name

_PARKED = "SELECT queue FROM parked_key WHERE queue = ANY(CAST($1 AS text[])) ORDER BY queue FOR UPDATE"

_BATCH_START = f"""
    WITH parked AS MATERIALIZED ({_PARKED})
    SELECT 'parked', queue, 0 FROM parked
    UNION ALL SELECT 'version', name, version FROM reference_version
    UNION ALL SELECT 'stopped', '', CAST(stopped AS int) FROM consumer_state
"""  # noqa: S608 - SQL of ours

Handler = Callable[[Any, Transaction], Awaitable[Iterable[Event] | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it was on the topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def cause(self) -> Cause:
        """The cause for what follows from a record whose envelope cannot be read."""
        return Cause(f"{self.topic}/{self.partition}/{self.offset}", "record")

    @property
    def queue(self) -> str | None:
        """What newer records of the same key wait in; none without a key, for then there is no order to keep.

        Decisions have none either: they never wait, and one that fails parks nothing.
        """
        return None if self.key is None or self.topic == DECISIONS else sha256(self.key)

    @property
    def case_id(self) -> str:
        """One case per topic, partition and offset, whichever services failed on it."""
        return derived_id("record", self.topic, self.partition, self.offset)


class ReleaseQueue(Job):
    """Carry out a decision about a dead letter, then let go what waits behind it; or do a job again that gave up."""

    name: ClassVar[str] = "chassis.release-queue"
    case_id: str
    decision: str


@dataclass(frozen=True, slots=True)
class BatchStart:
    """What a batch starts from: what must be known before its first handler.

    Whether the consumer is stopped, which of the batch's keys are parked (they are locked, as by `parked`), and the
    versions of the reference tables.
    """

    stopped: bool
    parked: set[str]
    versions: dict[str, int]


async def batch_start(connection: Connection, queues: Iterable[str | None]) -> BatchStart:
    """Read it after the watermark, in a statement of its own: who had the keys before may have parked one of them."""
    wanted = sorted({queue for queue in queues if queue is not None})
    found: dict[str, dict[str, int]] = {"stopped": {}, "version": {}, "parked": {}}
    for what, name, number in await connection.fetch(_BATCH_START, wanted):
        found[what][name] = number
    return BatchStart(any(found["stopped"].values()), set(found["parked"]), found["version"])


async def parked(connection: Connection, queues: Iterable[str | None]) -> set[str]:
    """Return which of these keys have a queue, and lock them: nobody empties the queue while the batch joins it."""
    wanted = sorted({queue for queue in queues if queue is not None})
    return {each[0] for each in await connection.fetch(_PARKED, wanted)}


async def join(unit: UnitOfWork, record: Record) -> None:
    """Put a record at the end of its key's queue."""
    await _store(unit, record, "waiting", attempt=1)


def told_directly(handlers: Mapping[str, Handler]) -> Handler | None:
    """Return what a service that consumes dead letters does with its own, in place of publishing them.

    On the topic, a failure to handle a dead letter would be a dead letter again, larger each time and without end.
    """
    return handlers.get(MessageDeadLettered.type)


async def open_case(
    unit: UnitOfWork, record: Record, fault: tuple[str, str], cause: Cause, own: Handler | None = None
) -> bool:
    """Keep a record that this service cannot read or handle (code, reason), park its key, and tell of it.

    Returns whether it was not there already: a record that is read again opens no second case and parks nothing.
    """
    stored = await _store(unit, record, "failed", attempt=cause.attempt)
    if stored:
        if record.queue is not None:
            await unit.connection.execute(insert(ParkedKey).on_conflict_do_nothing(), {"queue": record.queue})
        await tell(unit, record, fault, cause, own)
    return stored


async def _store(unit: UnitOfWork, record: Record, state: str, attempt: int) -> bool:
    values = {
        "state": state,
        "case_id": record.case_id,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "queue": record.queue,
        "value": record.value,
        "headers": [[_text(name), _base64(value)] for name, value in record.headers],
        "attempt": attempt,
        "failed_at": unit.clock.real() if state == "failed" else None,
    }
    statement = insert(DeadLetter).on_conflict_do_nothing().returning(col(DeadLetter.position))
    return (await unit.connection.execute(statement, values)).scalar() is not None


async def tell(
    unit: UnitOfWork, record: Record, fault: tuple[str, str], cause: Cause, own: Handler | None = None
) -> None:
    """Publish a failed record with all its bytes; `own` is done in place of that by a service that is told directly."""
    tx = unit.transaction(cause)
    letter = _letter(record, fault, cause, tx)
    tx.publish(*([letter] if own is None else await own(letter, tx) or ()))
    unit.absorb(tx)
    telemetry.DEAD_LETTERED.labels(record.topic, letter.code).inc()


def _letter(record: Record, fault: tuple[str, str], cause: Cause, tx: Transaction) -> MessageDeadLettered:
    code, reason = fault
    letter = MessageDeadLettered(
        case_id=record.case_id,
        service=tx.unit.service,
        code=code,
        reason=_text(reason[:4000]),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        attempt=cause.attempt,
        failed_at=tx.now,
        key_base64=_base64(record.key),
        value_base64=_base64(record.value),
        headers=tuple(RawHeader(name=_text(name), value_base64=_base64(value)) for name, value in record.headers),
    )
    return _fitting(letter, record)


def _fitting(letter: MessageDeadLettered, record: Record) -> MessageDeadLettered:
    """Cut what does not fit on the topic of dead letters: a compressed batch may bring such. Here it is kept whole."""
    room = outbox.room_for(MessageDeadLettered)
    if len(letter.to_value()) <= room:
        return letter
    value, key = record.value or b"", record.key
    cut = {
        "reason": f"[cut: {len(value)} bytes, {len(record.headers)} headers] {letter.reason}",
        "key_base64": _base64(key and key[: outbox.LONGEST_KEY]),
        "value_base64": _base64(value[: room // 2]),
        "headers": (),
    }
    return letter.model_copy(update=cut)


def missing(tx: Transaction, topic: str, key: str, *, after: int, found: int) -> None:
    """Report events that never came; what came after them is handled all the same.

    The path names topic and key; only a key that is a subscription's id is said to be one.
    """
    gap = Discrepancy(
        code="message.missing", path=f"/{topic}/{key}", expected=after + 1, given=found, stage=tx.unit.service
    )
    subscription_id = key if BY_NAME[topic].by_subscription else None
    case_id = tx.next_id(DiscrepancyFound, key)
    tx.publish(DiscrepancyFound(case_id=case_id, subscription_id=subscription_id, discrepancies=(gap,)))


def job_failed(tx: Transaction, row: JobRow, error: str) -> None:
    """Report a job that failed in every attempt: nobody else would tell that what it was for does not happen."""
    service = tx.unit.service
    fault = Discrepancy(code="message.unhandled", path=f"/jobs/{row.name}", given=_text(error[:500]), stage=service)
    case_id = _case_of_job(service, row)
    tx.publish(DiscrepancyFound(case_id=case_id, service=service, discrepancies=(fault,)))


def _case_of_job(service: str, row: JobRow) -> str:
    """One case each time that a job gives up: what a reviewer decided is about that time only.

    `not_before` tells them apart: it is real time, and stays as it is while the job has failed.
    """
    return derived_id("job-failed", service, row.id, row.not_before)


async def release_job(decided: ReleaseQueue, tx: Transaction) -> bool:
    """Set a job that gave up going again, from its first attempt; returns whether that was what was decided.

    A job is work that was promised: no decision ends it undone.
    """
    if decided.decision != "send_again":
        return False
    gave_up = await tx.select(JobRow, select(JobRow).where(col(JobRow.failed_at).is_not(None)))
    for each in gave_up:
        row = await tx.get(JobRow, each.id) if _is_about(decided, each, tx) else None
        if row is not None and _is_about(decided, row, tx):  # as it is now that it is locked
            tx.put(changed(row, failed_at=None, attempts=0, not_before=tx.unit.clock.real()))
            tx.publish(released(decided.case_id, tx.unit.service, decided.decision))
            return True
    return False


def _is_about(decided: ReleaseQueue, row: JobRow, tx: Transaction) -> bool:
    return row.failed_at is not None and _case_of_job(tx.unit.service, row) == decided.case_id


def is_decision(event: Event | None) -> bool:
    """Whether an event is a reviewer's decision: those are never parked, for they let go what is."""
    return isinstance(event, CaseDecided)


def carry_out(decided: Event, tx: Transaction) -> bool:
    """Schedule the release, if the decision is about a dead letter or a job of this service."""
    if not isinstance(decided, CaseDecided):
        return False
    mine = decided.decision in TECHNICAL_DECISIONS and tx.unit.service in decided.services
    if mine:
        tx.schedule(ReleaseQueue(case_id=decided.case_id, decision=decided.decision))
    return mine


async def recent_failures(connection: Connection, clock: Clock) -> int:
    """How many technical cases were opened here within the last minute, since the consumer was last resumed."""
    resumed = await connection.scalar(select(col(ConsumerState.resumed_at)))
    since = max(filter(None, (clock.real() - WINDOW, resumed)))
    return await connection.scalar(select(func.count()).where(col(DeadLetter.failed_at) > since)) or 0


def released(case_id: str, service: str, decision: str | None) -> MessageReleased:
    """Say that the decision about a dead letter, or a job that gave up, was carried out here."""
    return MessageReleased(
        case_id=case_id, service=service, outcome="set-aside" if decision == "set_aside" else "handled"
    )


def raw(row: DeadLetter) -> Record:
    """Turn a kept record back into what came from Kafka."""
    headers = [(str(name), None if value is None else base64.b64decode(value)) for name, value in row.headers]
    return Record(row.topic, row.partition, row.offset, row.key, row.value, headers)


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _text(raw_text: str) -> str:
    """Make a text storable: PostgreSQL takes no NUL."""
    return raw_text.replace("\x00", "\\x00")
