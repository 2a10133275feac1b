"""A service for the tests of the chassis: provisioning's place in the map, with handlers that note, fail and write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

from sqlalchemy import Column, String, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import registry
from sqlmodel import Field, col

from contracts.case_v1 import CaseDecided
from contracts.order_v1 import Order, OrderConfirmed
from contracts.subscription_v1 import ChangeCancelled
from contracts.topics import consumed_by
from services.chassis.connections import Connections
from services.chassis.consuming import consumes
from services.chassis.database import DeadLetter, ParkedKey
from services.chassis.job import Job, job
from services.chassis.rows import Row
from services.chassis.service import Service
from services.chassis.transaction import Transaction
from tests.harness import START, Message, RunService

NAME = "provisioning"


class Table(Row, registry=registry()):
    """The tables of the sample."""


class Thing(Table, table=True):
    """A row with a text that the database can refuse."""

    __tablename__: ClassVar[str] = "thing"
    id: str = Field(primary_key=True)
    note: str = Field(sa_column=Column(String(20), nullable=False))
    times: int = 1


class SharedThing(Table, table=True):
    """A row that two may make at once."""

    __tablename__: ClassVar[str] = "shared_thing"
    shared: ClassVar[bool] = True
    id: str = Field(primary_key=True)
    times: int = 1


_open: dict[AsyncEngine, Connections] = {}


def connections_of(engine: AsyncEngine) -> Connections:
    """The connections of an engine, kept until `disposed`."""
    return _open.setdefault(engine, Connections(engine))


async def disposed(engine: AsyncEngine) -> None:
    """Close what is open."""
    if engine in _open:
        await _open.pop(engine).close()
    await engine.dispose()


def confirmed(order_id: str, subscription: str = "sub-1", medium: str = "link") -> OrderConfirmed:
    """An event with a key, whose text is up to the test."""
    order = Order(
        id=order_id,
        partner="liege-calls",
        partner_reference=f"LC-{order_id}",
        agent="agent-17",
        channel="telesales",
        action="modify",
        customer_id="cust-1001",
        subscription_id=subscription,
        sold_at=START,
        received_at=START,
    )
    return OrderConfirmed(order=order, confirmed_at=START, medium=medium)


def handlers(*given: Any, service: str = NAME) -> SimpleNamespace:
    """The handlers given, and for all else that the service consumes one that does nothing."""
    taken = {each.consumes for each in given if hasattr(each, "consumes")}
    idle = [ignoring(event) for _, event in consumed_by(service) if event not in taken and event is not CaseDecided]
    return SimpleNamespace(**{f"handler_{number}": each for number, each in enumerate([*given, *idle])})


def ignoring(event_class: Any) -> Any:
    """A handler that does nothing."""

    @consumes(event_class)
    async def ignore(_event: Any, _tx: Transaction) -> list[Any]:
        return []

    return ignore


class Notes:
    """Handles OrderConfirmed: fails for the orders that it is told, else answers with one event and remembers."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.seen: list[str] = []

        @consumes(OrderConfirmed)
        async def note(event: OrderConfirmed, _tx: Transaction) -> list[ChangeCancelled]:
            if event.order.id in self.failing:
                raise RuntimeError(f"{event.order.id} cannot be handled")
            self.seen.append(event.order.id)
            return [answer(event)]

        self.handlers = handlers(note)


class Later(Job):
    """Say later that an order was cancelled."""

    name: ClassVar[str] = "tests.later"
    order_id: str


def scheduling(*planned: tuple[Job, dict[str, Any]]) -> Any:
    """A handler that schedules jobs."""

    @consumes(OrderConfirmed)
    async def schedule(_event: OrderConfirmed, tx: Transaction) -> None:
        for each, when in planned:
            tx.schedule(each, **when)

    return schedule


class Broken:
    """A job that cannot be done until `mended`; one scheduled by every confirmed order."""

    def __init__(self) -> None:
        self.mended, self.runs = False, 0

        @job(Later)
        async def try_(payload: Later, _tx: Transaction) -> list[ChangeCancelled]:
            self.runs += 1
            if not self.mended:
                raise RuntimeError(f"{payload.order_id} cannot be done")
            return [answer(confirmed(payload.order_id))]

        self.handlers = handlers(scheduling((Later(order_id="o1"), {})), try_)


@consumes(OrderConfirmed)
async def keep_thing(event: OrderConfirmed, tx: Transaction) -> list[ChangeCancelled]:
    """Write what the event says: `medium` is the text; the second event of an order counts up."""
    thing = await tx.get(Thing, event.order.id)
    tx.put(Thing(id=event.order.id, note=event.medium, times=thing.times + 1 if thing else 1))
    return [answer(event)]


def answer(event: OrderConfirmed) -> ChangeCancelled:
    """What the handlers publish for an order: visible once per effect."""
    return ChangeCancelled(order_id=event.order.id, subscription_id=event.order.subscription_id)


@asynccontextmanager
async def with_things(run_service: RunService, *given: Any, **settings: Any) -> AsyncIterator[Service]:
    """Run the sample with its table."""
    async with run_service(NAME, handlers(*given), **settings) as service:
        async with service.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        yield service


async def things(service: Service) -> dict[str, Thing]:
    """The rows of the sample's table by id."""
    async with service.engine.connect() as connection:
        rows = (await connection.execute(select(Thing))).mappings()
        return {row["id"]: Thing(**row) for row in rows}


async def letters(service: Service, state: str | None = None) -> list[DeadLetter]:
    """The dead letters of a service, in the order of its queues."""
    async with service.engine.connect() as connection:
        rows = (await connection.execute(select(DeadLetter).order_by(col(DeadLetter.position)))).mappings()
        return [DeadLetter(**row) for row in rows if state in (None, row["state"])]


async def parked(service: Service) -> int:
    """How many keys are parked."""
    async with service.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(ParkedKey)) or 0)


def orders(messages: list[Message]) -> list[str]:
    """The orders that answers on the topic are about, in order."""
    return [message.event.order_id for message in messages if isinstance(message.event, ChangeCancelled)]


def decided(case_id: str, decision: Any, service: str = NAME) -> CaseDecided:
    """A reviewer's decision about a dead letter."""
    return CaseDecided(
        case_id=case_id,
        decision=decision,
        codes=(),
        reason="looked at",
        reviewer="rita",
        services=(service,),
        decided_at=START,
    )
