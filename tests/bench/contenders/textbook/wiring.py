"""One service: FastAPI, a FastStream broker, the inbox, and what runs beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Response
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import ConcurrentBetweenPartitionsSubscriber, LogicSubscriber
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from tests.bench.contenders.textbook import jobs, relay
from tests.bench.contenders.work import environment, events
from tests.bench.contenders.work.environment import Settings as SharedSettings
from tests.bench.contenders.work.tables import InboxRow, JobRow, OutboxRow, now

Subscriber = LogicSubscriber[Any]


class Settings(SharedSettings):
    """What the textbook's way can be tuned with beside."""

    job_workers: int = 4


settings = Settings()


class Service:
    """A service's app, broker, database and what runs beside them."""

    engine: AsyncEngine

    def __init__(self, name: str, tables: Sequence[type[SQLModel]], rows: Sequence[SQLModel] = ()) -> None:
        """`rows` are the reference data that it has a copy of."""
        self.name = name
        self.tables: list[type[SQLModel]] = [*tables, InboxRow, OutboxRow, JobRow]
        self.rows = rows
        self.app = FastAPI(lifespan=self._lifespan)
        self.app.add_api_route("/readyz", self._readyz)
        self.broker = KafkaBroker(settings.kafka_bootstrap, logger=None)
        self.client = httpx.AsyncClient(timeout=10)
        self.do: jobs.Do | None = None
        self._subscribers: list[Subscriber] = []

    def subscriber(self, topic: str) -> Subscriber:
        """Consume a topic, partitions side by side; handlers are told apart by the type of the event."""
        subscriber = self.broker.subscriber(
            f"textbook.{topic}",
            group_id=f"textbook-{self.name}-{topic}",
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_workers=settings.max_workers,
        )
        self._subscribers.append(subscriber)
        return subscriber

    def session(self) -> AsyncSession:
        """A session of its own for each message."""
        return AsyncSession(self.engine, expire_on_commit=False)

    async def once(self, message: KafkaMessage, work: Callable[[AsyncSession], Awaitable[Sequence[Event]]]) -> None:
        """Do the work of a message, unless it was done before; its events are in the same transaction."""
        source, identity = message.headers["ce_source"], message.headers["ce_id"]
        async with self.session() as session:
            inbox = insert(InboxRow).values(source=source, id=identity, received_at=now())
            taken = await session.connection()
            if (await taken.execute(inbox.on_conflict_do_nothing())).rowcount:
                self.keep(session, await work(session), identity)
                await session.commit()

    def keep(self, session: AsyncSession, decided: Sequence[Event], cause: str) -> None:
        """Write events to the outbox."""
        for event in decided:
            session.add(
                OutboxRow(
                    topic=events.topic("textbook", event),
                    key=event.key,
                    headers=[[name, value.decode()] for name, value in events.headers(self.name, event, cause)],
                    value=event.to_value(),
                )
            )

    def run(self) -> None:
        """Serve until told to stop."""
        environment.serve(self.app, settings)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.engine = await environment.open_database(settings, f"textbook_{self.name}", self.tables, self.rows)
        await environment.make_topics(settings, "textbook")
        beside = [_beside(relay.run(settings.kafka_bootstrap, self.session))]
        if self.do is not None:
            beside += [_beside(jobs.run(self.session, self.do, self.keep)) for _ in range(settings.job_workers)]
        await self.broker.start()
        yield
        await self.broker.stop()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await self.client.aclose()
        await self.engine.dispose()

    async def _readyz(self) -> Response:
        return Response(status_code=200 if all(map(_consumes, self._subscribers)) else 503)


def _consumes(subscriber: Subscriber) -> bool:
    if isinstance(subscriber, ConcurrentBetweenPartitionsSubscriber):
        return all(each.assignment() for each in subscriber.consumer_subgroup)
    return subscriber.consumer is not None and bool(subscriber.consumer.assignment())


def _beside(work: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = asyncio.create_task(work)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[None]) -> None:
    """End the process with what died beside it: nobody would notice otherwise."""
    if not task.cancelled() and task.exception() is not None:
        logging.getLogger(__name__).error("stopping", exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def of_type(event: type[Event]) -> Callable[[KafkaMessage], bool]:
    """Whether a message is an event of this type."""
    return lambda message: message.headers.get("ce_type") == event.type
