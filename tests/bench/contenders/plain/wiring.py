"""One service: FastAPI and a FastStream broker in one process, a session per message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Response
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import LogicSubscriber
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from tests.bench.contenders.work import environment, events
from tests.bench.contenders.work.environment import Settings

settings = Settings()

Subscriber = LogicSubscriber[Any]


class Service:
    """A service's app, broker and database."""

    engine: AsyncEngine

    def __init__(self, name: str, tables: Sequence[type[SQLModel]], rows: Sequence[SQLModel] = ()) -> None:
        """`rows` are the reference data that it has a copy of."""
        self.name = name
        self.tables = tables
        self.rows = rows
        self.app = FastAPI(lifespan=self._lifespan)
        self.app.add_api_route("/readyz", self._readyz)
        self.broker = KafkaBroker(settings.kafka_bootstrap, compression_type="lz4", logger=None)
        self.client = httpx.AsyncClient(timeout=10)
        self._subscribers: list[Subscriber] = []

    def subscriber(self, topic: str) -> Subscriber:
        """Consume a topic; handlers are told apart by the type of the event."""
        subscriber = self.broker.subscriber(
            f"plain.{topic}",
            group_id=f"plain-{self.name}-{topic}",
            auto_offset_reset="earliest",
            max_workers=settings.max_workers,
        )
        self._subscribers.append(subscriber)
        return subscriber

    def session(self) -> AsyncSession:
        """A session of its own for each message."""
        return AsyncSession(self.engine, expire_on_commit=False)

    async def publish(self, published: Sequence[Event], cause: str) -> None:
        """Publish events one by one."""
        for event in published:
            await self.broker.publish(
                event,
                topic=events.topic("plain", event),
                key=event.key.encode(),
                headers={name: value.decode() for name, value in events.headers(self.name, event, cause)},
            )

    def run(self) -> None:
        """Serve until told to stop."""
        environment.serve(self.app, settings)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.engine = await environment.open_database(settings, f"plain_{self.name}", self.tables, self.rows)
        await environment.make_topics(settings, "plain")
        await self.broker.start()
        yield
        await self.broker.stop()
        await self.client.aclose()
        await self.engine.dispose()

    async def _readyz(self) -> Response:
        consuming = all(each.consumer is not None and each.consumer.assignment() for each in self._subscribers)
        return Response(status_code=200 if consuming else 503)


def of_type(event: type[Event]) -> Callable[[KafkaMessage], bool]:
    """Whether a message is an event of this type."""
    return lambda message: message.headers.get("ce_type") == event.type
