"""Does durable jobs when they are due: clocks in a transaction, calls to the outside before one."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from services.chassis import dead_letters, telemetry
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection, Connections
from services.chassis.database import JobRow, is_infrastructure
from services.chassis.group import Group
from services.chassis.job import GaveUp, Job, TryAgainError
from services.chassis.rows import changed
from services.chassis.settings import Settings
from services.chassis.transaction import Place, Transaction

log = structlog.get_logger()

IDLE_POLL_SECONDS = 0.2
AWAY_SECONDS = 1.0
FAULTS_PER_ATTEMPT = 4
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 60.0

MOST_IN_MEMORY = 500
"""Jobs that are claimed and wait here; they must have their turn before the claim runs out."""

# The rows are chosen in a materialised step of their own: as a sub-query PostgreSQL may choose again, and claim more.
_CLAIM = text("""
    WITH chosen AS MATERIALIZED (
        SELECT id FROM job WHERE failed_at IS NULL AND due_at <= :now AND not_before <= :real
        ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE job SET not_before = :claimed_until, attempts = attempts + 1
    FROM chosen WHERE job.id = chosen.id
    RETURNING job.id, job.name, CAST(job.payload AS TEXT) AS payload, job.cause, job.attempts, due_at, job.not_before
""")


class Worker:
    """Does due jobs, several at a time.

    What this process committed itself it has claimed with the commit; all other jobs it looks for now and then. A claim
    that dies with its process is taken over later.
    """

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        clock: Clock,
        handlers: dict[str, Callable[..., Any]],
        group: Group,
    ) -> None:
        """`handlers` by job name; in `group` they share transactions."""
        self._settings = settings
        self._connections = connections
        self._clock = clock
        self._handlers = handlers
        self._group = group
        self._looks = group.looking()
        self._wake = asyncio.Event()
        self._stopping = False
        self._queue: deque[JobRow] = deque()
        self._doing: dict[str, asyncio.Task[None]] = {}
        self._broken: BaseException | None = None
        self._look_at = 0.0

    @property
    def claim_seconds(self) -> float:
        """For how long a job that is committed now is claimed with its commit; 0 while there are enough."""
        full = self._stopping or len(self._queue) >= MOST_IN_MEMORY
        return 0.0 if full else self._settings.job_claim

    def committed(self, jobs: Sequence[JobRow]) -> None:
        """These jobs were committed; those claimed with it are ours."""
        claimed = [each for each in jobs if each.attempts]
        if claimed:
            self._queue.extend(claimed)
            self._wake.set()

    def stop(self) -> None:
        """Begin nothing more; `run` ends when the jobs under way are done."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped; what is away is waited for. A job that is cut is free for others at once."""
        try:
            while not self._stopping:
                self._wake.clear()
                if not await self._start_some():
                    await self._sleep()
                if self._broken is not None:
                    raise self._broken
            if self._doing:
                await asyncio.wait(self._doing.values())
        finally:
            await self._give_back()

    async def _start_some(self) -> int:
        """Start as many due jobs as are free to be done: a slow one holds up no other."""
        free = self._settings.job_concurrency - len(self._doing)
        if free and len(self._queue) < free and self._clock.monotonic() >= self._look_at:
            self._queue.extend(await self._claimed(free - len(self._queue)))
        started = 0
        while started < free and self._queue:
            started += self._start(self._queue.popleft())
        return started

    def _start(self, row: JobRow) -> bool:
        if row.not_before - self._clock.real() < timedelta(seconds=self._settings.job_claim / 2):
            return False  # it waited here for too long; once its claim has run out somebody claims it again
        self._doing[row.id] = task = asyncio.create_task(self._do(row))
        task.add_done_callback(functools.partial(self._ended, row.id))
        return True

    async def _claimed(self, limit: int) -> list[JobRow]:
        self._look_at = self._clock.monotonic() + IDLE_POLL_SECONDS
        try:
            claimed = await self._claim(limit)
        except (SQLAlchemyError, OSError) as error:
            if not is_infrastructure(error):
                raise
            log.warning("jobs.database-away", error=repr(error))
            self._look_at += AWAY_SECONDS
            return []
        if len(claimed) == limit:
            self._look_at = 0.0  # there may be more
        return claimed

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        self._doing.pop(job_id, None)
        self._wake.set()
        if not task.cancelled():
            self._broken = self._broken or task.exception()

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=IDLE_POLL_SECONDS)
        except TimeoutError:
            return

    async def _claim(self, limit: int) -> list[JobRow]:
        real = self._clock.real()
        claimed_until = real + timedelta(seconds=self._settings.job_claim)
        async with self._connections.use() as connection:
            claimed = await connection.execute(
                _CLAIM, {"now": self._clock.now(), "real": real, "claimed_until": claimed_until, "limit": limit}
            )
            rows = [JobRow(**row) for row in claimed.mappings()]
            await connection.commit()
        return rows

    async def _give_back(self) -> None:
        tasks = list(self._doing.values())
        cut = [*self._doing, *(each.id for each in self._queue)]
        if not cut:
            return
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        mine = update(JobRow).where(col(JobRow.id).in_(cut), col(JobRow.failed_at).is_(None))
        try:
            async with self._connections.use() as connection:
                await connection.execute(mine.values(not_before=self._clock.real()))
                await connection.commit()
        except (SQLAlchemyError, OSError) as error:
            log.warning("jobs.claims-kept", error=repr(error))  # they run out by themselves

    async def _do(self, row: JobRow) -> None:
        try:
            await self._done(row)
        except TryAgainError as error:
            trace_id = telemetry.trace_id(row.cause.get("traceparent"))
            tried = {"job": row.name, "job_id": row.id, "attempts": row.attempts, "trace_id": trace_id}
            log.warning("job.again", **tried, error=str(error))
            await self._again(row, repr(error))
        except Exception as error:
            if is_infrastructure(error):
                log.warning("job.database-away", job=row.name, error=repr(error))
                await self._again(row, repr(error))
                return
            log.exception("job.failed", job=row.name, job_id=row.id)
            await self._again(row, repr(error), counts=True)

    async def _done(self, row: JobRow) -> None:
        handler = self._handlers[row.name]
        payload = handler.job_kind.model_validate_json(row.payload)  # type: ignore[attr-defined]
        stored = Cause(**row.cause)
        cause = Cause(row.id, "job", stored.correlation_id, stored.id, stored.traceparent)
        reads = [*handler.reads(payload)] if handler.reads else []  # type: ignore[attr-defined]
        answers = await self._answers(handler, payload, row, reads)

        async def finish(tx: Transaction) -> None:
            mine = await tx.get(JobRow, row.id)
            if mine is None:
                return  # somebody else finished it after our claim ran out
            tx.delete(mine)
            with telemetry.about(getattr(payload, "order_id", None), cause.traceparent):
                tx.publish(*(await handler(payload, *answers, tx) or ()))

        await self._group.do(finish, cause, [(JobRow, (row.id,)), *reads])
        telemetry.JOBS.labels(row.name, "done").inc()

    async def _answers(
        self, handler: Callable[..., Any], payload: Job, row: JobRow, reads: Sequence[Place]
    ) -> list[Any]:
        call = handler.job_call  # type: ignore[attr-defined]
        if call is None:
            return []
        prepare, asked = handler.job_prepare, payload  # type: ignore[attr-defined]
        if prepare is not None:
            asked = await self._looks.do(lambda tx: prepare(payload, tx), Cause(row.id, "job"), reads)
        if isinstance(asked, GaveUp):
            return [asked]
        try:
            async with asyncio.timeout(self._settings.job_claim / 2):
                return [await call(asked, row.id)]
        except (TryAgainError, TimeoutError, OSError) as error:
            if row.attempts < self._settings.job_attempts:
                raise TryAgainError(repr(error)) from error
            return [GaveUp(reason=str(error) or repr(error))]

    async def _again(self, row: JobRow, error: str, *, counts: bool = False) -> None:
        """Put a job back to be done later; one that `counts` as a fault of the job itself is given up some time.

        Once our claim ran out it is somebody else's to say what became of it: nothing is written, nothing told.
        """
        backoff = min(FIRST_BACKOFF_SECONDS * 2 ** min(row.attempts - 1, 10), LONGEST_BACKOFF_SECONDS)
        values: dict[str, Any] = {
            "not_before": self._clock.real() + timedelta(seconds=backoff),
            "last_error": error[:2000],
        }
        if counts and row.attempts >= FAULTS_PER_ATTEMPT * self._settings.job_attempts:
            values["failed_at"] = self._clock.now()

        async def put_back(tx: Transaction) -> None:
            ours = update(JobRow).where(col(JobRow.id) == row.id, col(JobRow.not_before) == row.not_before)
            put = await tx.unit.connection.execute(ours.values(**values))
            if put.rowcount:
                telemetry.JOBS.labels(row.name, "again").inc()
            if put.rowcount and "failed_at" in values:
                log.error("job.gave-up", job=row.name, job_id=row.id)
                dead_letters.job_failed(tx, changed(row, **values), error)

        try:
            await self._group.do(put_back, Cause(row.id, "job", attempt=row.attempts))
        except (SQLAlchemyError, OSError) as away:
            log.warning("job.claim-kept", job=row.name, error=repr(away))  # it runs out, and somebody tries again


async def due_counts(connection: Connection, clock: Clock) -> dict[str, Any]:
    """How many jobs are due now, how many failed for good, and when the next is due (business time).

    `retried` is one that is due and was tried in vain: its name, how often, and what was wrong.
    """
    open_jobs, due_at = col(JobRow.failed_at).is_(None), col(JobRow.due_at)
    due = await connection.scalar(select(func.count()).where(open_jobs, due_at <= clock.now()))
    failed = await connection.scalar(select(func.count()).where(~open_jobs))
    following: datetime | None = await connection.scalar(
        select(func.min(due_at)).where(open_jobs, due_at > clock.now())
    )
    in_vain = select(col(JobRow.name), col(JobRow.attempts), col(JobRow.last_error)).order_by(due_at).limit(1)
    in_vain = in_vain.where(open_jobs, due_at <= clock.now(), col(JobRow.last_error).is_not(None))
    retried = (await connection.execute(in_vain)).mappings().first() if due else None
    return {"due": due, "failed": failed, "next_due_at": following, "retried": dict(retried) if retried else None}
