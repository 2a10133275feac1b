"""One service of the pipe: a batch of records becomes rows in one transaction, then records, then committed offsets."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic_settings import BaseSettings

from tests.bench.contenders.pipe.plan import PLAN, Work, records_for, topics
from tests.bench.contenders.pipe.samples import samples

BATCH = 500
PAUSE_SECONDS = 0.01
"""Between batches, so that they fill."""
PAYLOAD = '{"payload": "' + 250 * "x" + '"}'
"""Of a row: about what the rows of ours have on average."""
DATABASE = "pipe"
CREATE = "CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text, payload jsonb)"
INSERT = (
    "INSERT INTO {} (key, payload) SELECT key, payload::jsonb FROM unnest($1::text[], $2::text[]) AS r(key, payload)"
)


class Settings(BaseSettings):
    """Where Kafka and PostgreSQL are."""

    database_url: str
    kafka_bootstrap: str


class Stage:
    """The connections of one service, and its work."""

    def __init__(self, service: str, settings: Settings) -> None:
        """Nothing is open until `open`."""
        self.service = service
        self.settings = settings
        self.samples = samples()
        self.work = {event.type: work for event, work in PLAN[service].items()}
        self.consumer: AIOKafkaConsumer | None = None
        self.read = 0
        self.completed = 0

    async def open(self) -> None:
        """Connect, and wait for partitions."""
        await self.open_door()
        self.consumer = AIOKafkaConsumer(
            *topics(self.service),
            bootstrap_servers=self.settings.kafka_bootstrap,
            group_id=f"pipe-{self.service}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await self.consumer.start()
        while not self.consumer.assignment():  # noqa: ASYNC110 - aiokafka has no event for it
            await asyncio.sleep(0.05)

    async def open_door(self) -> None:
        """Connect for writing only."""
        self.connection = await asyncpg.connect(self.settings.database_url.rpartition("/")[0] + f"/{DATABASE}")
        await self.connection.execute(CREATE.format(self.service))
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
        )
        await self.producer.start()

    async def close(self) -> None:
        """Disconnect."""
        if self.consumer is not None:
            await self.consumer.stop()
        await self.producer.stop()
        await self.connection.close()

    async def consume(self, records: int) -> None:
        """Handle batches until so many records were read."""
        assert self.consumer is not None
        while self.read < records:
            batch = [
                each
                for found in (await self.consumer.getmany(timeout_ms=200, max_records=BATCH)).values()
                for each in found
            ]
            if batch:
                await self._handle(batch)
                await self.consumer.commit()
                self.read += len(batch)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _handle(self, batch: Sequence[Any]) -> None:
        await self.write([(each.key, self.work[_type(each)]) for each in batch if _type(each) in self.work])

    async def write(self, works: Sequence[tuple[bytes, Work]]) -> None:
        """Write the rows of a batch in one transaction, then send its records."""
        keys = [key.decode() for key, work in works for _ in range(work.rows)]
        await self.connection.execute(INSERT.format(self.service), keys, [PAYLOAD] * len(keys))
        sent = []
        for key, work in works:
            for kind in work.records:
                sample = self.samples[kind]
                sent.append(await self.producer.send(sample.topic, sample.value, key=key, headers=sample.headers))
                self.completed += kind == "order.completed.v1"
        await asyncio.gather(*sent)


def _type(record: Any) -> str:
    headers: dict[str, bytes] = dict(record.headers)
    return headers["ce_type"].decode()


async def _run(service: str, orders: int) -> None:
    stage = Stage(service, Settings())
    await stage.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    begun = time.process_time()
    await stage.consume(orders * records_for(service))
    sys.stdout.write(f"{time.process_time() - begun}\n")
    await stage.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=sorted(PLAN))
    parser.add_argument("orders", type=int)
    options = parser.parse_args()
    uvloop.run(_run(options.service, options.orders))
