"""Jobs: rows that stand for calls to the outside, taken one by one with SKIP LOCKED."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import httpx
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from tests.bench.contenders.work.tables import JobRow, now

POLL_SECONDS = 0.1
AGAIN = timedelta(seconds=0.1)

Do = Callable[[AsyncSession, JobRow], Awaitable[Sequence[Event] | None]]
"""Does a job and returns its events; None: not yet."""
Keep = Callable[[AsyncSession, Sequence[Event], str], None]

log = logging.getLogger(__name__)


async def run(open_session: Callable[[], AsyncSession], do: Do, keep: Keep) -> None:
    """Do jobs until cancelled; a job that fails is tried again."""
    while True:
        try:
            if not await _one(open_session, do, keep):
                await asyncio.sleep(POLL_SECONDS)
        except httpx.HTTPError:
            log.exception("a job is tried again")
            await asyncio.sleep(POLL_SECONDS)


async def _one(open_session: Callable[[], AsyncSession], do: Do, keep: Keep) -> bool:
    async with open_session() as session:
        due = select(JobRow).where(col(JobRow.not_before) <= now()).order_by(col(JobRow.position)).limit(1)
        job = await session.scalar(due.with_for_update(skip_locked=True))
        if job is None:
            return False
        decided = await do(session, job)
        if decided is None:
            job.not_before = now() + AGAIN
        else:
            keep(session, decided, job.id)
            await session.delete(job)
        await session.commit()
        return True
