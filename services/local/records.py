"""Reads topics from outside, as any consumer could: every record once, from the beginning to the end as of now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from contracts.event import REGISTRY, Envelope, Event, UnreadableMessageError
from contracts.topics import BY_NAME, MEBIBYTE

POLL_MS = 500


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies on the topic; envelope and event are None where it is unreadable or of no known type."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    envelope: Envelope | None
    event: Event | None

    @property
    def place(self) -> str:
        """Where it can be looked up: topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def read_all(bootstrap: str, topics: Iterable[str] = tuple(BY_NAME)) -> list[Record]:
    """Read every record of some topics up to their ends as of now; per partition in order."""
    return asyncio.run(_read_all(bootstrap, list(topics)))


async def _read_all(bootstrap: str, topics: list[str]) -> list[Record]:
    async with consumer(bootstrap) as client:
        ends = await client.end_offsets(
            [TopicPartition(name, each) for name in topics for each in range(BY_NAME[name].partitions)]
        )
    return [decoded(record) async for batch in batches(bootstrap, ends) for record in batch]


async def batches(bootstrap: str, ends: Mapping[TopicPartition, int]) -> AsyncIterator[list[ConsumerRecord[Any, Any]]]:
    """Read some partitions from the beginning to given ends; each partition in order."""
    async with consumer(bootstrap) as client:
        client.assign(list(ends))
        await client.seek_to_beginning(*ends)
        left = {place for place, end in ends.items() if end and await client.position(place) < end}
        while left:
            for batch in (await client.getmany(*left, timeout_ms=POLL_MS, max_records=5000)).values():
                yield batch
            left = {place for place in left if await client.position(place) < ends[place]}


@asynccontextmanager
async def consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group: it commits nothing and disturbs nobody."""
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=5 * MEBIBYTE,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


def decoded(record: ConsumerRecord[Any, Any]) -> Record:
    """Decode a record as far as it can be."""
    envelope, event = None, None
    try:
        envelope = Envelope.from_headers(record.headers)
        kind = REGISTRY.get(envelope.type)
        event = kind.from_value(record.value) if kind and record.value is not None else None
    except UnreadableMessageError:
        event = None
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        envelope,
        event,
    )


def put(bootstrap: str, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> str:
    """Put raw bytes on a topic, as a faulty stranger would; returns topic/partition/offset."""
    return asyncio.run(_put(bootstrap, topic, key, value, headers))


async def _put(
    bootstrap: str, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> str:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap.split(","))
    await producer.start()
    try:
        at = await producer.send_and_wait(topic, value, key=key, headers=headers)
    finally:
        await producer.stop()
    return f"{at.topic}/{at.partition}/{at.offset}"
