"""The relay: looks for outbox rows every 100 ms, publishes them one by one in order, then deletes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from sqlalchemy import delete, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.bench.contenders.work.tables import OutboxRow

POLL_SECONDS = 0.1
PAGE = 100


async def run(bootstrap: str, open_session: Callable[[], AsyncSession]) -> None:
    """Relay until cancelled."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="lz4"
    )
    await producer.start()
    try:
        while True:
            if await _page(producer, open_session) < PAGE:
                await asyncio.sleep(POLL_SECONDS)
    finally:
        await producer.stop()


async def _page(producer: AIOKafkaProducer, open_session: Callable[[], AsyncSession]) -> int:
    async with open_session() as session:
        rows = (await session.scalars(select(OutboxRow).order_by(col(OutboxRow.id)).limit(PAGE))).all()
        for row in rows:
            headers = [(name, value.encode()) for name, value in row.headers]
            await producer.send_and_wait(row.topic, row.value, key=row.key.encode(), headers=headers)
        if rows:
            await session.exec(delete(OutboxRow).where(col(OutboxRow.id).in_([row.id for row in rows])))
            await session.commit()
        return len(rows)
