"""Does durable jobs when they are due: clocks in a transaction, calls to the outside before one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col

from services.chassis import dead_letters, telemetry
from services.chassis.clock import Clock
from services.chassis.database import JobRow, is_infrastructure
from services.chassis.job import GaveUp, Job, TryAgainError
from services.chassis.settings import Settings
from services.chassis.transaction import Cause, UnitOfWork

log = structlog.get_logger()

IDLE_POLL_SECONDS = 0.2
AWAY_SECONDS = 1.0
FAULTS_PER_ATTEMPT = 4
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 60.0

# The rows are chosen in a materialised step of their own: as a sub-query PostgreSQL may choose again, and claim more.
_CLAIM = text("""
    WITH chosen AS MATERIALIZED (
        SELECT id FROM job WHERE failed_at IS NULL AND due_at <= :now AND not_before <= :real
        ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE job SET not_before = :claimed_until, attempts = attempts + 1
    FROM chosen WHERE job.id = chosen.id
    RETURNING job.id, job.name, job.payload, job.cause, job.attempts
""")


class Worker:
    """Claims due jobs and does them, several at a time; a claim that dies with its process is taken over later."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        engine: AsyncEngine,
        clock: Clock,
        handlers: dict[str, Callable[..., Any]],
    ) -> None:
        """`handlers` by job name; `on_commit` is told when something was decided."""
        self._service = service
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._handlers = handlers
        self._wake = asyncio.Event()
        self._stopping = False
        self._doing: dict[str, asyncio.Task[None]] = {}
        self._broken: BaseException | None = None
        self.on_commit: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Something was committed; there may be a job in it."""
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; `run` ends when the jobs under way are done."""
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
        """Claim as many due jobs as are free to be done and start them: a slow one holds up no other."""
        free = self._settings.job_concurrency - len(self._doing)
        try:
            claimed = await self._claim(free) if free else []
        except (SQLAlchemyError, OSError) as error:
            if not is_infrastructure(error):
                raise
            log.warning("jobs.database-away", error=repr(error))
            await asyncio.sleep(AWAY_SECONDS)
            claimed = []
        for row in claimed:
            self._doing[row.id] = task = asyncio.create_task(self._do(row))
            task.add_done_callback(functools.partial(self._ended, row.id))
        return len(claimed)

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
        values = {"now": self._clock.now(), "real": real, "claimed_until": claimed_until, "limit": limit}
        async with self._engine.begin() as connection:
            result = await connection.execute(_CLAIM, values)
            return [JobRow(**row) for row in result.mappings()]

    async def _give_back(self) -> None:
        cut = dict(self._doing)
        if not cut:
            return
        for task in cut.values():
            task.cancel()
        await asyncio.gather(*cut.values(), return_exceptions=True)
        mine = update(JobRow).where(col(JobRow.id).in_(list(cut)))
        try:
            async with self._engine.begin() as connection:
                await connection.execute(mine.values(not_before=self._clock.real()))
        except (SQLAlchemyError, OSError) as error:
            log.warning("jobs.claims-kept", error=repr(error))  # they run out by themselves

    async def _do(self, row: JobRow) -> None:
        try:
            await self._done(row)
        except (TryAgainError, httpx.TransportError) as error:
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
        payload = handler.job_kind.model_validate(row.payload)  # type: ignore[attr-defined]
        answers = await self._answers(handler, payload, row)
        async with self._engine.connect() as connection:
            unit = UnitOfWork(self._service, connection, self._clock)
            gone = await connection.execute(delete(JobRow).where(col(JobRow.id) == row.id))
            if not gone.rowcount:
                return  # somebody else finished it after our claim ran out
            stored = Cause(**row.cause)
            cause = Cause(row.id, "job", stored.correlation_id, stored.id, stored.traceparent)
            tx = unit.transaction(cause)
            with telemetry.about(getattr(payload, "order_id", None), cause.traceparent):
                tx.publish(*(await handler(payload, *answers, tx) or ()))
            unit.absorb(tx)
            await unit.commit()
        telemetry.JOBS.labels(row.name, "done").inc()
        self.on_commit()

    async def _answers(self, handler: Callable[..., Any], payload: Job, row: JobRow) -> list[Any]:
        call = handler.job_call  # type: ignore[attr-defined]
        if call is None:
            return []
        asked = await self._prepared(handler, payload, row)
        if isinstance(asked, GaveUp):
            return [asked]
        try:
            return [await asyncio.wait_for(call(asked, row.id), timeout=self._settings.job_claim / 2)]
        except (TryAgainError, httpx.TransportError, TimeoutError, OSError) as error:
            if row.attempts < self._settings.job_attempts:
                raise TryAgainError(repr(error)) from error
            return [GaveUp(reason=str(error) or repr(error))]

    async def _prepared(self, handler: Callable[..., Any], payload: Job, row: JobRow) -> Any:  # noqa: ANN401
        """What the call gets: the job, or what `prepare` reads for it."""
        if handler.job_prepare is None:  # type: ignore[attr-defined]
            return payload
        async with self._engine.connect() as connection:
            unit = UnitOfWork(self._service, connection, self._clock)
            return await handler.job_prepare(payload, unit.transaction(Cause(row.id, "job")))  # type: ignore[attr-defined]

    async def _again(self, row: JobRow, error: str, *, counts: bool = False) -> None:
        """Put a job back to be done later; one that `counts` as a fault of the job itself is given up some time."""
        telemetry.JOBS.labels(row.name, "again").inc()
        backoff = min(FIRST_BACKOFF_SECONDS * 2 ** min(row.attempts - 1, 10), LONGEST_BACKOFF_SECONDS)
        values: dict[str, Any] = {
            "not_before": self._clock.real() + timedelta(seconds=backoff),
            "last_error": error[:2000],
        }
        if counts and row.attempts >= FAULTS_PER_ATTEMPT * self._settings.job_attempts:
            values["failed_at"] = self._clock.now()
            log.error("job.gave-up", job=row.name, job_id=row.id)
        try:
            async with self._engine.connect() as connection:
                unit = UnitOfWork(self._service, connection, self._clock)
                await connection.execute(update(JobRow).where(col(JobRow.id) == row.id).values(**values))
                if "failed_at" in values:
                    tx = unit.transaction(Cause(row.id, "job", attempt=row.attempts))
                    dead_letters.job_failed(tx, row.name, error)
                    unit.absorb(tx)
                await unit.commit()
            self.on_commit()
        except (SQLAlchemyError, OSError) as away:
            log.warning("job.claim-kept", job=row.name, error=repr(away))  # it runs out, and somebody tries again


async def due_counts(connection: AsyncConnection, clock: Clock) -> dict[str, Any]:
    """How many jobs are due now, how many failed for good, and when the next is due (business time)."""
    open_jobs, due_at = col(JobRow.failed_at).is_(None), col(JobRow.due_at)
    due = await connection.scalar(select(func.count()).where(open_jobs, due_at <= clock.now()))
    failed = await connection.scalar(select(func.count()).where(~open_jobs))
    following: datetime | None = await connection.scalar(
        select(func.min(due_at)).where(open_jobs, due_at > clock.now())
    )
    return {"due": due, "failed": failed, "next_due_at": following}
