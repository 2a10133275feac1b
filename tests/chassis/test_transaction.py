"""Transaction: rows are values, a failing handler leaves nothing, ids come out the same, two writers never deadlock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.order_v1 import OrderConfirmed
from contracts.subscription_v1 import ChangeCancelled
from services.chassis import migrations
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.consuming import consumes
from services.chassis.database import Outbox, make_engine
from services.chassis.rows import changed
from services.chassis.transaction import AlreadyThereError, Transaction, UnitOfWork
from tests.chassis.sample import (
    Table,
    Thing,
    answer,
    confirmed,
    connections_of,
    disposed,
    keep_thing,
    orders,
    things,
    with_things,
)
from tests.chassis.test_delivery import at_least
from tests.harness import MakeDatabase, Publish, RunService, Topics, eventually

CAUSE = Cause("cause-1", "intake", correlation_id="corr-1", causation_id="before", traceparent=None)


@pytest_asyncio.fixture
async def engine(make_database: MakeDatabase) -> AsyncIterator[AsyncEngine]:
    """A database with the chassis' tables and the sample's."""
    url = await make_database()
    await migrations.upgrade("nobody", url)
    made = make_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with made.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    yield made
    await disposed(made)


async def test_a_row_is_a_value_that_changes_nothing_until_it_is_put(engine: AsyncEngine) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        first = unit.transaction(CAUSE)
        first.add(Thing(id="a", note="written"))
        row = await first.get(Thing, "a")
        assert row is not None
        with pytest.raises(TypeError, match="is a value"):
            row.note = "scribbled"
        assert changed(row, note="another").note == "another"
        again = await first.get(Thing, "a")
        assert again is not None
        assert again.note == "written"
        unit.absorb(first)
        await unit.commit()
    assert await notes_of(engine) == {"a": "written"}


async def test_what_one_transaction_puts_deletes_and_puts_again_is_seen_as_decided(engine: AsyncEngine) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        first, second, third = (unit.transaction(CAUSE) for _ in range(3))
        first.add(Thing(id="a", note="one"))
        first.put(Thing(id="b", note="one"))
        unit.absorb(first)
        found = await second.get(Thing, "a")
        assert found is not None
        second.delete(found)
        assert await second.get(Thing, "a") is None
        unit.absorb(second)
        assert await third.get(Thing, "a") is None
        third.add(Thing(id="a", note="three"))
        third.put(Thing(id="b", note="three"))
        unit.absorb(third)
        assert {row.id for row in await third.select(Thing, select(Thing))} == {"a", "b"}
        await unit.commit()
    assert await notes_of(engine) == {"a": "three", "b": "three"}


async def test_a_row_deleted_and_made_anew_in_one_transaction_is_written_once(engine: AsyncEngine) -> None:
    await kept(engine, Thing(id="a", note="one"))
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        second = unit.transaction(CAUSE)
        found = await second.get(Thing, "a")
        assert found is not None
        second.delete(found)
        second.add(Thing(id="a", note="two"))
        second.put(Thing(id="a", note="three"))
        unit.absorb(second)
        await unit.commit()
    assert await notes_of(engine) == {"a": "three"}


async def test_a_row_that_is_deleted_for_a_query_to_see_is_there_once_it_is_put_again(engine: AsyncEngine) -> None:
    await kept(engine, Thing(id="a", note="one"))
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        first, second = unit.transaction(CAUSE), unit.transaction(CAUSE)
        found = await first.get(Thing, "a")
        assert found is not None
        first.delete(found)
        unit.absorb(first)
        assert await second.select(Thing, select(Thing)) == []
        second.put(Thing(id="a", note="two"))
        unit.absorb(second)
        await unit.commit()
    assert await notes_of(engine) == {"a": "two"}


@pytest.mark.parametrize("locking", [True, False])
async def test_what_is_read_is_another_transactions_only_after_the_commit_and_what_is_looked_at_at_once(
    engine: AsyncEngine, *, locking: bool
) -> None:
    await kept(engine, Thing(id="a", note="one"))
    connections = connections_of(engine)
    async with connections.use() as one, connections.use() as other:
        first, second = UnitOfWork("tests", one, Clock()), UnitOfWork("tests", other, Clock())
        first.locking = locking
        tx = first.transaction(CAUSE)
        await tx.get(Thing, "a")
        reading = asyncio.create_task(second.transaction(CAUSE).get(Thing, "a"))
        done, _ = await asyncio.wait([reading], timeout=0.3 if locking else 5)
        assert bool(done) is not locking
        if locking:
            tx.put(Thing(id="a", note="two"))
            first.absorb(tx)
        await first.commit()
        seen = await reading
    assert seen is not None
    assert seen.note == ("two" if locking else "one")


async def kept(engine: AsyncEngine, *rows: Thing) -> None:
    """Write rows as a transaction of its own."""
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        tx = unit.transaction(CAUSE)
        for row in rows:
            tx.add(row)
        unit.absorb(tx)
        await unit.commit()


async def test_a_row_that_is_there_cannot_be_added_again_by_a_later_handler_of_the_batch(engine: AsyncEngine) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        first, second = unit.transaction(CAUSE), unit.transaction(CAUSE)
        first.add(Thing(id="a", note="one"))
        unit.absorb(first)
        with pytest.raises(AlreadyThereError):
            second.add(Thing(id="a", note="two"))
        await unit.commit()
    assert await notes_of(engine) == {"a": "one"}


async def test_nothing_stays_of_a_transaction_that_is_not_absorbed(engine: AsyncEngine) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        dropped = unit.transaction(CAUSE)
        dropped.add(Thing(id="a", note="one"))
        dropped.publish(answer(confirmed("o1")))
        await unit.commit()
    assert await notes_of(engine) == {}
    assert await outbox_of(engine) == []


async def test_a_failing_handler_leaves_nothing_and_the_earlier_ones_of_its_batch_stay(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    @consumes(OrderConfirmed)
    async def keep_then_fail(event: OrderConfirmed, tx: Transaction) -> list[ChangeCancelled]:
        decided = await keep_thing(event, tx)
        tx.publish(answer(confirmed("published before it failed", "sub-9")))
        await tx.select(Thing, select(Thing))
        if event.order.id == "o2":
            raise RuntimeError
        return decided

    async with with_things(run_service, keep_then_fail, batch_wait_ms=300) as service:
        await publish(*(confirmed(f"o{n}", f"sub-{n}") for n in (1, 2, 3)))
        await eventually(lambda: at_least(1, read_topic("dead-letters")))
        await eventually(lambda: at_least(2, read_topic("subscriptions", "sub-9")))
        assert sorted(await things(service)) == ["o1", "o3"]
        assert len(await read_topic("subscriptions")) == 4


async def test_the_second_event_of_a_key_sees_what_the_first_one_wrote(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    async with with_things(run_service, keep_thing) as service:
        await publish(*(confirmed("same") for _ in range(50)))
        await eventually(lambda: at_least(50, read_topic("subscriptions")))
        assert (await things(service))["same"].times == 50


def test_ids_come_out_the_same_when_the_same_cause_is_handled_again() -> None:
    def ids(cause: Cause, service: str = "tests") -> list[str]:
        unit = UnitOfWork(service, None, Clock())  # type: ignore[arg-type]
        tx = unit.transaction(cause)
        tx.publish(answer(confirmed("o1")), answer(confirmed("o1")), answer(confirmed("o1", "sub-2")))
        return [each.id for each in tx.changes.events] + [tx.same_id("charge", 1)]

    first = ids(CAUSE)
    assert ids(CAUSE) == first
    assert len(set(first)) == 4
    sent_again = Cause(CAUSE.id, CAUSE.source, attempt=2)
    assert not set(ids(sent_again)) & set(first)
    assert not set(ids(CAUSE, "billing")) & set(first)


async def test_next_id_is_the_id_of_the_event_that_follows(engine: AsyncEngine) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        tx = unit.transaction(CAUSE)
        foretold = []
        for _ in range(2):
            foretold.append(tx.next_id(ChangeCancelled, "sub-1"))
            tx.publish(answer(confirmed("o1")))
        unit.absorb(tx)
        await unit.commit()
    assert [headers["ce_id"] for headers in await outbox_of(engine)] == foretold


async def test_events_carry_their_cause(engine: AsyncEngine) -> None:
    cause = Cause("event-7", "intake", "corr-1", "event-6", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        tx = unit.transaction(cause)
        tx.publish(answer(confirmed("o1")))
        unit.absorb(tx)
        await unit.commit()
    (headers,) = await outbox_of(engine)
    assert (headers["ce_causationid"], headers["ce_correlationid"]) == ("event-7", "corr-1")
    assert headers["traceparent"] == cause.traceparent
    assert headers["ce_source"] == "tests"


async def test_two_transactions_that_write_the_same_keys_in_opposite_order_do_not_deadlock(engine: AsyncEngine) -> None:
    keys = [f"key-{n:03d}" for n in range(200)]

    async def write(ordered: list[str], note: str) -> None:
        async with connections_of(engine).use() as connection:
            unit = UnitOfWork("tests", connection, Clock())
            tx = unit.transaction(Cause(note))
            for key in ordered:
                tx.put(Thing(id=key, note=note))
                tx.publish(answer(confirmed("o1", key)))
            unit.absorb(tx)
            await unit.commit()

    for round_number in range(15):
        await asyncio.gather(write(keys, f"up {round_number}"), write(keys[::-1], f"down {round_number}"))
    async with engine.connect() as connection:
        rows = (await connection.execute(select(Outbox))).mappings().all()
    sequences = [int(dict(json.loads(row["headers"]))["ce_sequence"]) for row in rows if row["key"] == keys[0]]
    assert sorted(sequences) == list(range(1, 31))


async def test_rows_named_by_reads_are_loaded_with_one_statement(
    run_service: RunService, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    load = UnitOfWork.load

    async def counted(unit: UnitOfWork, places: object) -> None:
        wanted = list(places)  # type: ignore[call-overload]
        loads.append(len([each for each in wanted if each not in unit.changes.rows]))
        await load(unit, wanted)

    monkeypatch.setattr(UnitOfWork, "load", counted)
    reading = consumes(OrderConfirmed, reads=lambda event: [(Thing, (event.order.id,))])(keep_thing)
    try:
        async with with_things(run_service, reading):
            await publish(*(confirmed(f"o{n}") for n in range(20)))
            answers = await eventually(lambda: at_least(20, read_topic("subscriptions")))
            assert orders(answers) == [f"o{n}" for n in range(20)]
    finally:
        consumes(OrderConfirmed)(keep_thing)
    assert sum(loads) == 20
    assert len([each for each in loads if each]) < 20


async def notes_of(engine: AsyncEngine) -> dict[str, str]:
    """The texts of the sample's rows."""
    async with engine.connect() as connection:
        return {row.id: row.note for row in await connection.execute(select(Thing.id, Thing.note))}  # type: ignore[call-overload]


async def outbox_of(engine: AsyncEngine) -> list[dict[str, str]]:
    """The headers of what is decided and not yet sent."""
    async with engine.connect() as connection:
        rows = (await connection.execute(select(Outbox).order_by(Outbox.id))).mappings()  # type: ignore[arg-type]
        return [dict(json.loads(row["headers"])) for row in rows]
