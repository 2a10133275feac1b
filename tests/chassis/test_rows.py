"""Rows as values and in bulk, reference tables in memory, connections in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis import connections, migrations, references
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connections
from services.chassis.database import ApiKey, DeadLetter, make_engine
from services.chassis.references import References
from services.chassis.rows import changed
from services.chassis.transaction import UnitOfWork
from tests.chassis.sample import SharedThing, Table, Thing, connections_of, disposed
from tests.harness import START, MakeDatabase


@pytest_asyncio.fixture
async def engine(make_database: MakeDatabase) -> AsyncIterator[AsyncEngine]:
    url = await make_database()
    await migrations.upgrade("nobody", url)
    made = make_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with made.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    yield made
    await disposed(made)


async def write(engine: AsyncEngine, *rows: Any, known: References | None = None) -> None:
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock(), known)
        tx = unit.transaction(Cause("cause"))
        for row in rows:
            tx.put(row)
        unit.absorb(tx)
        await unit.commit()


def key(name: str, holder: str = "liege-calls") -> ApiKey:
    return ApiKey(sha256=name, role="partner", holder=holder, created_at=START)


def holders(rows: Sequence[ApiKey]) -> dict[str, str]:
    return {row.sha256: row.holder for row in rows}


async def seen(engine: AsyncEngine, known: References) -> dict[str, str]:
    async with connections_of(engine).use() as connection:
        return await UnitOfWork("tests", connection, Clock(), known).reference(ApiKey, holders)


def test_a_row_has_all_its_columns_and_no_others() -> None:
    assert Thing(id="a", note="n").times == 1
    with pytest.raises(TypeError, match=r"missing \['note'\]"):
        Thing(id="a")
    with pytest.raises(TypeError, match=r"unknown \['colour'\]"):
        Thing(id="a", note="n", colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"unknown \['colour'\]"):
        changed(Thing(id="a", note="n"), colour="red")


def test_every_row_has_a_fresh_default() -> None:
    first, second = key("a"), key("b")
    first.attributes["channels"] = ["shop"]
    assert second.attributes == {}


async def test_a_text_that_is_too_long_is_refused_and_never_cut(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError):
        await write(engine, Thing(id="a", note="x" * 21))


async def test_a_row_with_a_number_from_the_database_keeps_it_when_it_is_changed(engine: AsyncEngine) -> None:
    letter = DeadLetter(state="failed", case_id="case", topic="orders", partition=0, offset=1, headers=[])
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock())
        tx = unit.transaction(Cause("cause"))
        tx.add(letter)
        unit.absorb(tx)
        await unit.commit()
        (kept,) = await tx.select(DeadLetter, select(DeadLetter))
        tx = unit.transaction(Cause("cause"))
        tx.put(changed(kept, state="released"))
        unit.absorb(tx)
        await unit.commit()
        (again,) = await tx.select(DeadLetter, select(DeadLetter))
    assert (again.position, again.state) == (kept.position, "released")


async def test_two_who_make_the_same_row_of_a_shared_table_at_once_see_each_other(engine: AsyncEngine) -> None:
    async def count() -> None:
        async with connections_of(engine).use() as connection:
            unit = UnitOfWork("tests", connection, Clock())
            tx = unit.transaction(Cause("cause"))
            found = await tx.get(SharedThing, "same")
            await asyncio.sleep(0.05)
            tx.put(SharedThing(id="same", times=found.times + 1 if found else 1))
            unit.absorb(tx)
            await unit.commit()

    await asyncio.gather(*(count() for _ in range(5)))
    async with connections_of(engine).use() as connection:
        row = await UnitOfWork("tests", connection, Clock()).transaction(Cause("c")).get(SharedThing, "same")
    assert row is not None
    assert row.times == 5


async def test_a_reference_table_is_read_once_and_again_when_another_process_wrote_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = references.read

    async def counted(*given: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*given)

    monkeypatch.setattr(references, "read", counted)
    here, there = References(), References()
    await write(engine, key("a"), known=there)
    assert [await seen(engine, here) for _ in range(5)] == [{"a": "liege-calls"}] * 5
    assert reads == 1
    await write(engine, key("a", "gent-calls"), key("b"), known=there)
    assert await seen(engine, here) == {"a": "gent-calls", "b": "liege-calls"}
    assert reads == 2


async def test_who_writes_a_reference_table_reads_what_he_wrote(engine: AsyncEngine) -> None:
    known = References()
    await write(engine, key("a"), known=known)
    await seen(engine, known)
    async with connections_of(engine).use() as connection:
        unit = UnitOfWork("tests", connection, Clock(), known)
        first = unit.transaction(Cause("cause"))
        first.put(key("b"))
        unit.absorb(first)
        assert await unit.transaction(Cause("later")).reference(ApiKey, holders) == {
            "a": "liege-calls",
            "b": "liege-calls",
        }
    assert await seen(engine, known) == {"a": "liege-calls"}  # it was never committed


async def test_who_wants_a_connection_waits_for_a_turn(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_IN_USE", 2)
    lending, at_once, most = Connections(engine), 0, 0

    async def use() -> None:
        nonlocal at_once, most
        async with lending.use() as connection:
            at_once += 1
            most = max(most, at_once)
            await connection.fetch("SELECT pg_sleep(0.01)")
            at_once -= 1

    await asyncio.gather(*(use() for _ in range(10)))
    assert most == 2
    assert len(lending._free) == 2
    await lending.close()


async def half_done(lending: Connections) -> None:
    async with lending.use() as broken:
        await broken.fetch("INSERT INTO thing (id, note, times) VALUES ('a', 'n', 1)")
        await broken.fetch("SELECT nothing FROM nowhere")


async def test_a_connection_is_not_used_again_after_an_error_and_nothing_of_it_stays(engine: AsyncEngine) -> None:
    lending = Connections(engine)
    async with lending.use() as first:
        await first.fetch("SELECT 1")
    with pytest.raises(DBAPIError):
        await half_done(lending)
    async with lending.use() as another:
        assert another is not first
        assert [tuple(each) for each in await another.fetch("SELECT count(*) FROM thing")] == [(0,)]
    await lending.close()
