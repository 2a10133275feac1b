"""Outbox and relay: order per key is commit order, one relay at a time, and what failed is sent again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from contracts.dead_letter_v1 import MessageReleased
from services.chassis import migrations, outbox
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.database import Lease, Outbox, make_engine
from services.chassis.outbox import EmptyKeyError, EventTooLargeError, Relay
from services.chassis.settings import Settings
from services.chassis.transaction import UnitOfWork
from services.local.kafka import Kafka
from tests.chassis.sample import answer, confirmed, connections_of, disposed, orders
from tests.chassis.test_delivery import at_least
from tests.harness import MakeDatabase, Topics, eventually

Database = tuple[AsyncEngine, Settings]
MakeRelay = Callable[..., Any]


@pytest.fixture
async def database(make_database: MakeDatabase, kafka: Kafka) -> AsyncIterator[Database]:
    """A database with the chassis' tables and nobody who relays it."""
    url = await make_database()
    await migrations.upgrade("nobody", url)
    settings = Settings(database_url=url, kafka_bootstrap=kafka.bootstrap, lease=1.0)
    engine = make_engine(settings.database_url)
    yield engine, settings
    await disposed(engine)


@asynccontextmanager
async def relaying(database: Database) -> AsyncIterator[Relay]:
    """Run a relay."""
    engine, settings = database
    relay = Relay(settings, connections_of(engine), Clock())
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        relay.stop()
        await task


async def decide(engine: AsyncEngine, *events: Any, pause: float = 0.0) -> None:
    """Commit events as a transaction would."""
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("provisioning", connection, Clock())
        tx = unit.transaction(Cause("cause"))
        tx.publish(*events)
        unit.absorb(tx)
        await outbox.write(connection, "provisioning", unit.changes.events)
        unit.changes.events = []
        await asyncio.sleep(pause)
        await connection.execute(text("INSERT INTO commits (what) VALUES (:what)"), {"what": events[0].order_id})
        await connection.commit()


async def unsent(engine: AsyncEngine) -> int:
    """How many rows the relay has not deleted."""
    async with connections_of(engine).use() as connection:
        return await outbox.unsent(connection)


async def test_the_order_on_the_topic_is_the_order_of_commits_whoever_began_first(
    database: Database, read_topic: Topics
) -> None:
    engine, _ = database
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE commits (number bigserial, what text)"))
    async with relaying(database):
        pauses = [0.05, 0.0, 0.02, 0.0, 0.03, 0.01] * 5
        writing = (decide(engine, answer(confirmed(f"o{n}")), pause=pause) for n, pause in enumerate(pauses))
        await asyncio.gather(*writing)
        answers = await eventually(lambda: at_least(30, read_topic("subscriptions")))
    async with engine.connect() as connection:
        committed = list(await connection.scalars(text("SELECT what FROM commits ORDER BY number")))
    assert orders(answers) == committed
    assert [each.envelope.sequence for each in answers] == list(range(1, 31))


async def test_one_relay_is_active_and_another_takes_over_when_it_is_gone(
    database: Database, read_topic: Topics
) -> None:
    engine, settings = database
    await publish_some(engine, "o1")
    first = Relay(settings, connections_of(engine), Clock())
    running = asyncio.create_task(first.run())
    await eventually(lambda: at_least(1, read_topic("subscriptions")))
    async with relaying(database) as second:
        await asyncio.sleep(0.1)
        assert (first._token, second._token) == (1, None)
        running.cancel()  # as a process that dies: its lease is not given back
        await asyncio.gather(running, return_exceptions=True)
        await publish_some(engine, "o2")
        await eventually(lambda: at_least(2, read_topic("subscriptions")))
        assert second._token == 2


async def test_a_relay_that_stops_gives_its_lease_back_at_once(database: Database, read_topic: Topics) -> None:
    engine, settings = database
    long = (engine, settings.model_copy(update={"lease": 600.0}))
    async with relaying(long):
        await publish_some(engine, "o1")
        await eventually(lambda: at_least(1, read_topic("subscriptions")))
    async with relaying(long):
        await publish_some(engine, "o2")
        await eventually(lambda: at_least(2, read_topic("subscriptions")), timeout=5)


async def test_a_relay_that_lost_its_lease_while_sending_deletes_nothing(
    database: Database, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = database
    send, stolen = Relay._send, asyncio.Event()

    async def robbed(relay: Relay, rows: Any) -> None:
        await send(relay, rows)
        if not stolen.is_set():
            stolen.set()
            async with engine.begin() as connection:
                theirs = update(Lease).values(holder="another", token=9, until=func.clock_timestamp())
                await connection.execute(theirs)
            assert await unsent(engine) == 1

    monkeypatch.setattr(Relay, "_send", robbed)
    await publish_some(engine, "o1")
    async with relaying(database) as relay:
        answers = await eventually(lambda: at_least(2, read_topic("subscriptions")))
        await eventually(lambda: is_empty(engine))
        assert relay._token == 10
    assert [each.envelope.sequence for each in answers] == [1, 1]  # sent twice, with one sequence: consumers drop it


async def test_after_a_failed_send_a_new_producer_sends_again_from_the_first_row_in_order(
    database: Database, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = database
    producers: list[int] = []
    current = Relay._current_producer

    async def failing_first(relay: Relay) -> Any:
        producer = await current(relay)
        if id(producer) not in producers:
            producers.append(id(producer))
            if len(producers) == 1:
                real = producer.send

                async def send(topic: str, value: bytes, **rest: Any) -> Any:
                    sent = await real(topic, value, **rest)
                    if b'"o1"' in value:
                        return failed()
                    return sent

                producer.send = send
        return producer

    monkeypatch.setattr(Relay, "_current_producer", failing_first)
    await publish_some(engine, "o0", "o1", "o2", "o3")
    async with relaying(database):
        await eventually(lambda: is_empty(engine))
    assert len(producers) == 2
    answers = await read_topic("subscriptions")
    again = orders(answers)[-4:]
    assert again == ["o0", "o1", "o2", "o3"]
    assert {each.envelope.sequence for each in answers} == {1, 2, 3, 4}


def failed() -> asyncio.Future[Any]:
    """What a send that was not acknowledged leaves behind."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(KafkaTimeoutError())
    return future


async def test_the_producer_is_idempotent_and_waits_for_all_replicas(database: Database) -> None:
    async with relaying(database) as relay:
        producer = await relay._current_producer()
        assert producer._txn_manager is not None
        assert producer._sender._acks == -1


async def test_an_event_too_large_or_without_a_key_is_refused_before_anything_is_written(database: Database) -> None:
    engine, _ = database
    async with connections_of(engine).use() as connection:
        tx = UnitOfWork("provisioning", connection, Clock()).transaction(Cause("cause"))
        with pytest.raises(EventTooLargeError):
            tx.publish(answer(confirmed("x" * 1024 * 1024)))
        with pytest.raises(EmptyKeyError):
            tx.publish(answer(confirmed("o1", "")))
        assert tx.changes.events == []


async def test_the_largest_event_that_is_let_through_fits_on_its_topic(database: Database, read_topic: Topics) -> None:
    engine, _ = database
    room = outbox.room_for(MessageReleased)
    empty = MessageReleased(case_id="", service="x", outcome="handled")
    large = MessageReleased(case_id="case", service="s" * (room - len(empty.to_value()) - 3), outcome="handled")
    assert len(large.to_value()) == room
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("provisioning", connection, Clock())
        tx = unit.transaction(Cause("cause"))
        tx.publish(large)
        unit.absorb(tx)
        await unit.commit()
    async with relaying(database):
        assert len(await eventually(lambda: read_topic("dead-letters"))) == 1


async def publish_some(engine: AsyncEngine, *order_ids: str) -> None:
    """Decide one event per order, in one transaction."""
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("provisioning", connection, Clock())
        tx = unit.transaction(Cause("-".join(order_ids)))
        tx.publish(*(answer(confirmed(each)) for each in order_ids))
        unit.absorb(tx)
        await unit.commit()


async def is_empty(engine: AsyncEngine) -> bool:
    """Whether all is sent and deleted."""
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count(col(Outbox.id)))) == 0
