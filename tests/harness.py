"""What tests of services hold in their hands: a service in process, the topics, a clock that moves, and polling."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from fastapi import APIRouter

from contracts.event import REGISTRY, Envelope, Event
from contracts.topics import BY_EVENT, BY_NAME, MEBIBYTE
from services.chassis.clock import Clock, write_offset
from services.chassis.ids import sha256
from services.chassis.service import Service
from services.chassis.settings import Settings

START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
"""Business time at the start of every test that uses the clock."""

OPERATOR_KEY = "operator-of-the-tests"


class RunService(Protocol):
    """`async with run_service("billing", handlers) as service:` runs a service in process on the embedded stack.

    It gets a database of its own (or the one named), the shared Kafka, and consumes what is published from then on;
    with `resume` it goes on where the group stood, as after a restart. The group is the service's name: one at a time.
    Further settings are handed on to `settings`.
    """

    def __call__(
        self,
        name: str,
        handlers: object = None,
        *,
        routers: tuple[APIRouter, ...] = (),
        database: str | None = None,
        resume: bool = False,
        settings: type[Settings] = Settings,
        **further: object,
    ) -> AbstractAsyncContextManager[Service]: ...


MakeDatabase = Callable[[], Awaitable[str]]


async def eventually(predicate: Callable[[], Any], timeout: float = 15.0, interval: float = 0.02) -> Any:  # noqa: ASYNC109
    """Poll until the predicate (a function, or one that returns an awaitable) says something true; return that."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        found = predicate()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not so within {timeout} s: {inspect.getsource(predicate).strip()}")
        await asyncio.sleep(interval)


@dataclass(frozen=True)
class Message:
    """One record of a topic, as it was and decoded; `event` is None where it is none of ours."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    envelope: Envelope
    event: Event


class Topics:
    """Reads topics from a mark on, each time all that is there by then."""

    def __init__(self, consumer: AIOKafkaConsumer, mark: dict[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._mark = mark

    @classmethod
    async def from_now(cls, consumer: AIOKafkaConsumer) -> Topics:
        """Mark the present end of every topic."""
        return cls(consumer, await consumer.end_offsets(all_partitions()))

    async def __call__(self, topic: str, key: str | None = None) -> list[Message]:
        """Return the messages of a topic (of one key) since the mark, in order per partition."""
        records = await self.records(topic)
        return [each for each in map(decoded, records) if key in (None, each.key)]

    async def events(self, topic: str, key: str | None = None) -> list[Event]:
        """Return the events alone."""
        return [message.event for message in await self(topic, key)]

    async def records(self, topic: str) -> list[Any]:
        """Return aiokafka's records of a topic since the mark."""
        partitions = [each for each in self._mark if each.topic == topic]
        self._consumer.assign(partitions)
        ends = await self._consumer.end_offsets(partitions)
        for each in partitions:
            self._consumer.seek(each, self._mark[each])
        found: list[Any] = []
        while any([await self._consumer.position(each) < ends[each] for each in partitions]):
            for records in (await self._consumer.getmany(timeout_ms=20)).values():
                found.extend(
                    record for record in records if record.offset < ends[TopicPartition(topic, record.partition)]
                )
        return sorted(found, key=lambda record: (record.partition, record.offset))


def decoded(record: Any) -> Message:
    """Decode a record; raises where it is none of our events."""
    envelope = Envelope.from_headers(record.headers)
    event = REGISTRY[envelope.type].from_value(record.value)
    key = None if record.key is None else record.key.decode()
    return Message(
        record.topic, record.partition, record.offset, key, record.value, tuple(record.headers), envelope, event
    )


def all_partitions() -> list[TopicPartition]:
    """All partitions of the map."""
    return [TopicPartition(topic.name, each) for topic in BY_NAME.values() for each in range(topic.partitions)]


class Publish:
    """Publishes events as the service that writes their topic would: its source, their key, rising sequences."""

    def __init__(self, producer: AIOKafkaProducer, clock: MovableClock) -> None:
        self._producer = producer
        self._clock = clock
        self._sequences: dict[tuple[str, str, str], int] = defaultdict(int)

    async def __call__(self, *events: Event, source: str | None = None) -> list[Envelope]:
        """Publish events in order; returns their envelopes once Kafka has them all."""
        sent, envelopes = [], []
        for event in events:
            topic = BY_EVENT[type(event)]
            envelope = self.envelope(event, source or topic.writers[0])
            envelopes.append(envelope)
            sent.append(await self._send(topic.name, event.to_value(), event.key.encode(), envelope.headers()))
        await asyncio.gather(*sent)
        return envelopes

    def envelope(self, event: Event, source: str | None = None) -> Envelope:
        """Make the next envelope of the event's key."""
        topic = BY_EVENT[type(event)]
        writer = source or topic.writers[0]
        place = (writer, topic.name, event.key)
        self._sequences[place] += 1
        return Envelope(
            id=str(uuid.uuid4()),
            source=writer,
            type=event.type,
            time=self._clock.now(),
            subject=event.subject,
            key=event.key,
            sequence=self._sequences[place],
            correlation_id=str(uuid.uuid4()),
        )

    async def raw(self, topic: str, value: bytes | None, key: bytes | None, headers: Any = ()) -> Any:
        """Put any bytes on a topic; returns where they are (partition, offset)."""
        return await (await self._send(topic, value, key, headers))

    async def _send(self, topic: str, value: bytes | None, key: bytes | None, headers: Any) -> Any:
        return await self._producer.send(topic, value, key=key, headers=list(headers))


class MovableClock:
    """The business time of every service of a test; real pace, from START."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set_to(START)

    def now(self) -> datetime:
        """Business time."""
        return Clock(self.file).now()

    def set_to(self, moment: datetime) -> None:
        """Move business time to a moment."""
        write_offset(self.file, moment - datetime.now(UTC))

    def advance(self, delta: timedelta) -> None:
        """Move business time by a duration."""
        self.set_to(self.now() + delta)


@asynccontextmanager
async def running(service: Service, consumer: AIOKafkaConsumer, *, resume: bool) -> AsyncIterator[Service]:
    """Run a service in process; what is on the topics already is none of its business unless it resumes."""
    if not resume:
        await skip_to_end(service, consumer)
    async with service.running():
        yield service


async def skip_to_end(service: Service, consumer: AIOKafkaConsumer) -> None:
    """Commit the ends of all topics for a service's group, which has no members now."""
    bootstrap = service.settings.brokers
    ends = await consumer.end_offsets([each for each in all_partitions() if each.topic in service.consumer.topics])
    group = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=service.name, enable_auto_commit=False)
    await group.start()
    try:
        if ends:
            group.assign(list(ends))
            await group.commit(ends)
    finally:
        await group.stop()


@asynccontextmanager
async def door(service: Service, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client on a service's doors, in process, with a key or without."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app=service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers) as client:
        yield client


async def make_key(service: Service, role: str, holder: str, **attributes: object) -> str:
    """Make a key at the operator's door of a service."""
    async with door(service, OPERATOR_KEY) as client:
        answer = await client.post("/v1/keys", json={"role": role, "holder": holder, "attributes": attributes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def settings_for(
    kind: type[Settings], *, database: str, bootstrap: str, clock: MovableClock, further: dict[str, object]
) -> Settings:
    """Make a service's settings for the embedded stack."""
    values: dict[str, Any] = {
        "database_url": database,
        "kafka_bootstrap": bootstrap,
        "clock_file": clock.file,
        "operator_key_sha256": sha256(OPERATOR_KEY),
        "link_secret": "signs the links of the tests",
        "public_url": "http://door",
    }
    return kind(**(values | further))


def new_reader(bootstrap: str) -> AIOKafkaConsumer:
    """Make a consumer without a group that reads what is there."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        fetch_max_wait_ms=20,
        max_partition_fetch_bytes=5 * MEBIBYTE,
    )
