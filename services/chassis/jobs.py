"""Does durable jobs when they are due: clocks in a transaction, calls to the outside before one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import structlog
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import telemetry
from services.chassis.clock import Clock
from services.chassis.database import JobRow, is_infrastructure
from services.chassis.job import GaveUp, Job, TryAgainError
from services.chassis.settings import Settings
from services.chassis.transaction import Cause, UnitOfWork

log = structlog.get_logger()

IDLE_POLL_SECONDS = 0.2
CLAIM_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 60.0

_CLAIM = text("""
    UPDATE job SET not_before = :claimed_until, attempts = attempts + 1
    WHERE id IN (
        SELECT id FROM job WHERE failed_at IS NULL AND due_at <= :now AND not_before <= :real
        ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, name, payload, cause, attempts
""")


class Worker:
    """Claims due jobs and does them, several at a time; a claim that dies with its process is taken over later."""

    def __init__(
        self, service: str, settings: Settings, engine: AsyncEngine, clock: Clock, handlers: dict[str, Callable[..., Any]]
    ) -> None:
        """`handlers` by job name; `on_commit` is told when something was decided."""
        self._service = service
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._handlers = handlers
        self._wake = asyncio.Event()
        self.on_commit: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Something was committed; there may be a job in it."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is away is waited for."""
        while True:
            self._wake.clear()
            try:
                done = await self._turn()
            except (SQLAlchemyError, OSError) as error:
                if not is_infrastructure(error):
                    raise
                log.warning("jobs.database-away", error=repr(error))
                done = 0
                await asyncio.sleep(IDLE_POLL_SECONDS)
            if not done:
                await self._sleep()

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=IDLE_POLL_SECONDS)
        except TimeoutError:
            return

    async def _turn(self) -> int:
        real = self._clock.real()
        async with self._engine.begin() as connection:
            result = await connection.execute(
                _CLAIM,
                {
                    "now": self._clock.now(),
                    "real": real,
                    "claimed_until": real + timedelta(seconds=CLAIM_SECONDS),
                    "limit": self._settings.job_concurrency,
                },
            )
            claimed = [JobRow(**row) for row in result.mappings()]
        await asyncio.gather(*(self._do(row) for row in claimed))
        return len(claimed)

    async def _do(self, row: JobRow) -> None:
        try:
            await self._done(row)
        except (TryAgainError, httpx.TransportError) as error:
            await self._again(row, repr(error))
        except Exception as error:  # noqa: BLE001 - whatever a job raises, the others go on and an operator sees it
            if is_infrastructure(error):
                log.warning("job.database-away", job=row.name, error=repr(error))
                return  # the claim runs out and somebody tries again
            log.exception("job.failed", job=row.name, job_id=row.id)
            await self._again(row, repr(error))

    async def _done(self, row: JobRow) -> None:
        handler = self._handlers[row.name]
        payload = handler.job_kind.model_validate(row.payload)  # type: ignore[attr-defined]
        answers = await self._answers(handler, payload, row)
        async with self._engine.connect() as connection:
            unit = UnitOfWork(self._service, connection, self._clock)
            gone = await connection.execute(delete(JobRow).where(JobRow.id == row.id))  # type: ignore[arg-type]
            if not gone.rowcount:
                return  # somebody else finished it after our claim ran out
            stored = Cause(**row.cause)
            cause = Cause(row.id, "job", stored.correlation_id, stored.id, stored.traceparent)
            tx = unit.transaction(cause)
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
            return [await asyncio.wait_for(call(asked, row.id), timeout=CLAIM_SECONDS / 2)]
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

    async def _again(self, row: JobRow, error: str) -> None:
        telemetry.JOBS.labels(row.name, "again").inc()
        backoff = min(FIRST_BACKOFF_SECONDS * 2 ** (row.attempts - 1), LONGEST_BACKOFF_SECONDS)
        values: dict[str, Any] = {
            "not_before": self._clock.real() + timedelta(seconds=backoff),
            "last_error": error[:2000],
        }
        if row.attempts >= 4 * self._settings.job_attempts:
            values["failed_at"] = self._clock.now()
            log.error("job.gave-up", job=row.name, job_id=row.id)
        async with self._engine.begin() as connection:
            await connection.execute(update(JobRow).where(JobRow.id == row.id).values(**values))  # type: ignore[arg-type]


async def due_counts(connection: AsyncConnection, clock: Clock) -> dict[str, Any]:
    """How many jobs are due now, how many failed for good, and when the next is due (business time)."""
    open_jobs = JobRow.failed_at.is_(None)  # type: ignore[union-attr]
    due = await connection.scalar(select(func.count()).select_from(JobRow).where(open_jobs, JobRow.due_at <= clock.now()))
    failed = await connection.scalar(select(func.count()).select_from(JobRow).where(~open_jobs))
    following = await connection.scalar(select(func.min(JobRow.due_at)).where(open_jobs, JobRow.due_at > clock.now()))
    return {"due": due, "failed": failed, "next_due_at": following}
