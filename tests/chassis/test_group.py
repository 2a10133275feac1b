"""Group commit: works of a moment share a transaction, and yet each stands and falls by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import String, cast, func, select, text
from sqlalchemy.exc import DBAPIError

from services.chassis.cause import Cause
from services.chassis.service import Service
from services.chassis.transaction import Transaction, UnitOfWork
from tests.chassis.sample import Thing, answer, confirmed, things, with_things
from tests.chassis.test_delivery import at_least
from tests.harness import RunService, Topics, eventually

Work = Callable[[Transaction], Awaitable[str]]


class RefusedError(Exception):
    """What a work raises that changes its mind."""


@pytest.fixture
async def service(run_service: RunService) -> AsyncIterator[Service]:
    async with with_things(run_service) as running:
        yield running


def keeping(name: str, note: str = "kept", error: Exception | None = None) -> Work:
    """Write a row and an event; returns the transaction's number."""

    async def work(tx: Transaction) -> str:
        tx.put(Thing(id=name, note=note))
        tx.publish(answer(confirmed(name)))
        if error:
            raise error
        return str(await tx.scalar(select(cast(func.pg_current_xact_id(), String))))

    return work


async def all_of(service: Service, works: list[Work]) -> list[str | BaseException]:
    asked = (service.transact(work, Cause.request()) for work in works)
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_works_of_a_moment_share_a_transaction(service: Service, read_topic: Topics) -> None:
    numbers = await all_of(service, [keeping(f"o{n}") for n in range(40)])
    assert len(set(numbers)) <= 3  # the first may go alone, and two go at once
    assert len(await things(service)) == 40
    assert len(await eventually(lambda: at_least(40, read_topic("subscriptions")))) == 40


async def test_a_work_that_raises_leaves_nothing_and_disturbs_no_other(service: Service) -> None:
    works = [keeping(f"o{n}", error=RefusedError() if n % 2 else None) for n in range(10)]
    outcomes = await all_of(service, works)
    assert [isinstance(each, RefusedError) for each in outcomes] == [bool(n % 2) for n in range(10)]
    assert sorted(await things(service)) == [f"o{n}" for n in range(0, 10, 2)]


async def test_what_the_database_refuses_is_one_works_fault_alone(service: Service) -> None:
    outcomes = await all_of(service, [keeping(f"o{n}", "x" * (21 if n == 3 else 20)) for n in range(8)])
    assert [n for n, each in enumerate(outcomes) if isinstance(each, DBAPIError)] == [3]
    assert {name: thing.note for name, thing in (await things(service)).items()} == {
        f"o{n}": "x" * 20 for n in range(8) if n != 3
    }


async def test_who_is_answered_finds_it_committed(service: Service) -> None:
    async def asked(name: str) -> bool:
        await service.transact(keeping(name), Cause.request())
        return name in await things(service)

    assert all(await asyncio.gather(*(asked(f"o{n}") for n in range(12))))


async def test_a_later_work_of_the_same_moment_sees_what_an_earlier_one_wrote(service: Service) -> None:
    async def count(tx: Transaction) -> None:
        found = await tx.get(Thing, "same")
        tx.put(Thing(id="same", note="counted", times=found.times + 1 if found else 1))

    await asyncio.gather(*(service.transact(count, Cause.request()) for _ in range(20)))
    assert (await things(service))["same"].times == 20


async def test_connections_that_were_cut_are_replaced_without_anybody_noticing(service: Service) -> None:
    await all_of(service, [keeping(f"o{n}") for n in range(6)])
    async with service.engine.connect() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> {}"
        await connection.execute(text(cut.format("pg_backend_pid()")))
    outcomes = await all_of(service, [keeping(f"p{n}") for n in range(6)])
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert len(await things(service)) == 12


async def test_what_works_need_is_read_with_one_statement_for_all(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_of(service, [keeping(f"o{n}") for n in range(30)])
    loads: list[int] = []
    load = UnitOfWork.load

    async def counted(unit: UnitOfWork, places: object) -> None:
        wanted = [each for each in places if each not in unit.changes.rows]  # type: ignore[attr-defined]
        loads.append(len([each for each in wanted if each[0] is Thing]))
        await load(unit, wanted)

    async def look(tx: Transaction) -> str:
        found = await tx.get(Thing, name_of[tx.cause.id])
        return found.id if found else "nothing"

    monkeypatch.setattr(UnitOfWork, "load", counted)
    causes = [Cause.request() for _ in range(30)]
    name_of = {cause.id: f"o{n}" for n, cause in enumerate(causes)}
    found = await asyncio.gather(*(service.transact(look, cause, [(Thing, (name_of[cause.id],))]) for cause in causes))
    assert found == [f"o{n}" for n in range(30)]
    assert sum(loads) == 30
    assert len([each for each in loads if each]) <= 3
