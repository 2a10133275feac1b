"""Outages: database or broker away for 20 seconds, a process killed at the worst moment, a stop in mid-batch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.order_v1 import OrderConfirmed
from contracts.topics import TOPICS
from services.chassis import broker
from services.chassis.cause import Cause
from services.chassis.consuming import Consumer, consumes
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.transaction import Transaction
from services.local.kafka import Kafka
from tests.chassis.sample import (
    NAME,
    Notes,
    answer,
    confirmed,
    handlers,
    keep_thing,
    letters,
    orders,
    things,
    with_things,
)
from tests.chassis.test_delivery import at_least
from tests.conftest import silent
from tests.harness import (
    MakeDatabase,
    MovableClock,
    Publish,
    RunService,
    Topics,
    door,
    eventually,
    new_reader,
    settings_for,
)

OUTAGE_SECONDS = 20.0
pytestmark = pytest.mark.faults


class Wire:
    """A TCP proxy that can be cut: connections break and nobody answers until it is mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(*self._target)
        self._open |= {writer, ours}
        try:
            await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))
        finally:
            self._open -= {writer, ours}


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@pytest_asyncio.fixture
async def wired(make_database: MakeDatabase) -> AsyncIterator[tuple[str, Wire]]:
    """A database behind a wire that can be cut."""
    url = await make_database()
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    wire = Wire(parts.hostname, parts.port)
    await wire.mend()
    yield url.replace(f":{parts.port}/", f":{wire.port}/"), wire
    await wire.cut()


@pytest.mark.timeout(120)
async def test_the_database_or_the_broker_away_for_20_seconds_makes_no_case_and_loses_nothing(
    run_service: RunService,
    publish: Publish,
    read_topic: Topics,
    wired: tuple[str, Wire],
    tmp_path: Path,
    make_database: MakeDatabase,
    clock: MovableClock,
) -> None:
    """Both at once, for the time that it takes: two services, on two Kafkas and two databases."""
    await asyncio.gather(
        the_database_away(run_service, publish, read_topic, wired),
        the_broker_away(tmp_path, await make_database(), clock),
    )


async def the_database_away(
    run_service: RunService, publish: Publish, read_topic: Topics, wired: tuple[str, Wire]
) -> None:
    database, wire = wired
    async with with_things(run_service, keep_thing, database=database) as service:
        await publish(*(confirmed(f"before-{n}", f"sub-{n}") for n in range(20)))
        await eventually(lambda: at_least(1, read_topic("subscriptions")))
        await wire.cut()
        mended_at = asyncio.get_running_loop().time() + OUTAGE_SECONDS
        number = 0
        while asyncio.get_running_loop().time() < mended_at:
            await publish(confirmed(f"during-{number}", f"sub-{number % 20}"))
            number += 1
            await asyncio.sleep(0.2)
        async with door(service) as client:
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
        await wire.mend()

        async def all_answered() -> bool:
            return len(set(orders(await read_topic("subscriptions")))) == 20 + number

        await eventually(all_answered, timeout=30)
        # A page that was sent but not yet deleted when the wire was cut is sent again: the same ids and sequences.
        answers = await read_topic("subscriptions")
        assert len({each.envelope.id for each in answers}) == 20 + number
        assert len({(each.key, each.envelope.sequence) for each in answers}) == 20 + number
        assert {row.times for row in (await things(service)).values()} == {1}
        assert await letters(service) == []
        assert await read_topic("dead-letters") == []


async def the_broker_away(tmp_path: Path, database: str, clock: MovableClock) -> None:
    server = Kafka(tmp_path / "kafka")
    await asyncio.to_thread(server.start, silent)
    await broker.provision([server.bootstrap], TOPICS)
    notes = Notes()
    settings = settings_for_own(server, database, clock)
    service = Service(NAME, settings, handlers=notes.handlers)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(service.running())
        async with own_clients(server) as (producer, reader):
            publish, read_topic = Publish(producer, clock), await Topics.from_now(reader)
            await publish(*(confirmed(f"before-{n}", f"sub-{n}") for n in range(20)))
            await eventually(lambda: len(notes.seen) == 20)
            server.kill(1)
            pending = [await decide_at_a_door(service, n) for n in range(20)]
            sent = asyncio.create_task(publish(*(confirmed(f"during-{n}", f"sub-{n}") for n in range(20))))
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(server.start_broker, 1)
            await sent

            async def all_answered() -> bool:
                return len(set(orders(await read_topic("subscriptions")))) == 60

            await eventually(all_answered, timeout=40)
            answers = await read_topic("subscriptions")
            assert await read_topic("dead-letters") == []
            assert await letters(service) == []
            assert sorted(notes.seen) == sorted(f"{when}-{n}" for when in ("before", "during") for n in range(20))
        sequences: dict[str | None, list[int]] = {}
        for each in answers:
            sequences.setdefault(each.key, []).append(each.envelope.sequence or 0)
        assert set(orders(answers)) == {*notes.seen, *pending}
        assert {key: sorted(set(found)) for key, found in sequences.items()} == {
            f"sub-{n}": [1, 2, 3] for n in range(20)
        }
        assert all(first_occurrences(found) == [1, 2, 3] for found in sequences.values())
        server.kill(1)
        began = asyncio.get_running_loop().time()
        await stack.aclose()
        assert asyncio.get_running_loop().time() - began < broker.COMMIT_WITHIN_SECONDS + 5, (
            "a stop does not wait for Kafka"
        )


def first_occurrences(sequences: list[int]) -> list[int]:
    """In which order each sequence came first."""
    return list(dict.fromkeys(sequences))


async def decide_at_a_door(service: Service, number: int) -> str:
    """Commit an event while the broker is away."""

    async def work(tx: Transaction) -> None:
        tx.publish(answer(confirmed(f"door-{number}", f"sub-{number}")))

    await service.transact(work, Cause.request())
    return f"door-{number}"


def settings_for_own(server: Kafka, database: str, clock: MovableClock) -> Any:
    """Settings for a broker of one's own."""
    return settings_for(Settings, database=database, bootstrap=server.bootstrap, clock=clock, further={})


@contextlib.asynccontextmanager
async def own_clients(server: Kafka) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """Clients of a broker of one's own; the producer outlives an outage."""
    options: dict[str, Any] = {"enable_idempotence": True, "request_timeout_ms": 60_000}
    reader = new_reader(server.bootstrap)
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap, **options) as producer, reader:
        yield producer, reader


async def test_a_process_killed_between_its_commit_and_the_offsets_has_no_second_effect(
    run_service: RunService, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_offsets: broker.Offsets) -> None:
        """Commit nothing."""

    with monkeypatch.context() as patched:
        patched.setattr(broker.Offsets, "_commit", dies)
        async with with_things(run_service, keep_thing) as service:
            await publish(*(confirmed(f"o{n}") for n in range(10)))
            await eventually(lambda: at_least(10, read_topic("subscriptions")))
            database = service.settings.database_url
    async with run_service(NAME, handlers(keep_thing), database=database, resume=True) as service:
        await publish(confirmed("o10"))
        answers = await eventually(lambda: at_least(11, read_topic("subscriptions")))
        assert orders(answers) == [f"o{n}" for n in range(11)]
        assert {row.times for row in (await things(service)).values()} == {1}


async def test_a_stop_finishes_the_batch_under_way_and_commits_its_offsets(
    run_service: RunService, publish: Publish, read_topic: Topics, kafka: Kafka
) -> None:
    begun, calls = asyncio.Event(), []

    @consumes(OrderConfirmed)
    async def slowly(event: OrderConfirmed, _tx: Transaction) -> list[Any]:
        calls.append(event.order.id)
        begun.set()
        await asyncio.sleep(0.1)
        return [answer(event)]

    async with run_service(NAME, handlers(slowly)) as service:
        await publish(*(confirmed(f"o{n}") for n in range(8)))
        await begun.wait()
        database = service.settings.database_url
    seen = list(calls)
    last = (await read_topic("orders"))[len(seen) - 1]
    assert await committed(kafka, last.topic, last.partition) == last.offset + 1
    async with run_service(NAME, handlers(slowly), database=database, resume=True):
        answers = await eventually(lambda: at_least(8, read_topic("subscriptions")))
    assert orders(answers) == [f"o{n}" for n in range(8)]
    assert calls == [f"o{n}" for n in range(8)]
    assert seen


async def test_what_is_handled_is_committed_soon_also_where_nothing_follows(
    run_service: RunService, publish: Publish, read_topic: Topics, kafka: Kafka
) -> None:
    async with run_service(NAME, Notes().handlers):
        await publish(confirmed("o1"))
        [record] = await eventually(lambda: at_least(1, read_topic("orders")))

        async def there() -> Any:
            return await committed(kafka, record.topic, record.partition) == record.offset + 1

        await eventually(there)


async def committed(kafka: Kafka, topic: str, partition: int) -> int | None:
    """How far the sample's group has committed a partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(NAME)
    finally:
        await admin.close()
    found = offsets.get(TopicPartition(topic, partition))
    return found.offset if found else None


async def test_a_stop_does_not_wait_for_a_consumer_that_only_waits_for_the_database(
    run_service: RunService, publish: Publish, read_topic: Topics, wired: tuple[str, Wire]
) -> None:
    database, wire = wired
    async with run_service(NAME, Notes().handlers, database=database, lease=1.0) as service:
        await publish(confirmed("o1"))
        await eventually(lambda: read_topic("subscriptions"))
        await wire.cut()
        await publish(confirmed("o2"))
        await eventually(lambda: service.consumer.busy_seconds > 0)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5
    await wire.mend()
    async with run_service(NAME, Notes().handlers, database=database, resume=True):
        await eventually(lambda: at_least(2, read_topic("subscriptions")))


async def test_a_fault_of_the_chassis_stops_the_service_and_commits_no_offsets(
    run_service: RunService, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()

    async def breaks(_consumer: Consumer, _items: Any) -> int:
        raise AssertionError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(Consumer, "_bisected", breaks)
        async with run_service(NAME, notes.handlers) as service:
            await publish(confirmed("o1"))
            await eventually(lambda: service._fault)
            database = service.settings.database_url
    async with run_service(NAME, notes.handlers, database=database, resume=True):
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]
