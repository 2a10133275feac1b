"""What the durable processes share: settings, database, producer, and DBOS's own configuration."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import httpx
from aiokafka import AIOKafkaProducer
from dbos import DBOSConfig
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from tests.bench.contenders.work import billing, demo, environment, events, intake, notification, provisioning
from tests.bench.contenders.work.environment import Settings as SharedSettings
from tests.bench.contenders.work.tables import ReferenceRow, StepRow

QUEUE = "orders"
DATABASE = "durable"
NAMESPACE = uuid.UUID("5a1d9b6e-6f1c-4d0e-9a55-0d6c2f1b7e10")
TABLES: set[type[SQLModel]] = {
    *intake.TABLES,
    *provisioning.TABLES,
    *billing.TABLES,
    *notification.TABLES,
    ReferenceRow,
    StepRow,
}


class Settings(SharedSettings):
    """What DBOS can be tuned with beside; `max_workers` is how many workflows a process runs at once."""

    queue_poll_seconds: float = 0.1
    system_pool_size: int = 16


settings = Settings()


class Outside:
    """The database, Kafka and the network, opened on the event loop that uses them."""

    engine: AsyncEngine
    producer: AIOKafkaProducer
    client: httpx.AsyncClient

    def __init__(self) -> None:
        """Nothing is open until `open`."""
        self._opening = asyncio.Lock()
        self._is_open = False

    async def open(self) -> None:
        """Open everything once."""
        async with self._opening:
            if self._is_open:
                return
            rows = [*demo.offers(), *demo.partners(settings.api_key_sha256), *demo.rates()]
            self.engine = await environment.open_database(settings, DATABASE, TABLES, rows)
            await environment.make_topics(settings, "durable")
            self.client = httpx.AsyncClient(timeout=10)
            self.producer = AIOKafkaProducer(
                bootstrap_servers=settings.kafka_bootstrap, acks="all", compression_type="lz4"
            )
            await self.producer.start()
            self._is_open = True

    def session(self) -> AsyncSession:
        """A session of its own for each step."""
        return AsyncSession(self.engine, expire_on_commit=False)

    async def publish(self, place: tuple[str, int], decided: Sequence[Event]) -> None:
        """Publish events under ids that come out the same when a step is run again."""
        for position, event in enumerate(decided):
            identity = str(uuid.uuid5(NAMESPACE, f"{place[0]}/{place[1]}/{position}"))
            await self.producer.send_and_wait(
                events.topic("durable", event),
                event.to_value(),
                key=event.key.encode(),
                headers=events.headers("durable", event, place[0], identity),
            )


outside = Outside()


def system_database() -> str:
    """The URL of DBOS's own database, on the same server."""
    return settings.database_url.rpartition("/")[0] + f"/{DATABASE}_system"


def configuration() -> DBOSConfig:
    """How DBOS runs in a worker."""
    return {
        "name": "durable",
        "system_database_url": system_database(),
        "sys_db_pool_size": settings.system_pool_size,
        "application_version": "1",
        "executor_id": str(settings.port),
        "log_level": "WARNING",
    }
