"""The embedded stack, once per session: real Kafka, real PostgreSQL, and services in process on both."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import asyncpg
import pytest
import pytest_asyncio
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from fastapi import APIRouter
from playwright.async_api import Browser, Page

from contracts.topics import MEBIBYTE, TOPICS
from services.chassis import broker, telemetry
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.local.kafka import Kafka
from services.local.postgres import Postgres
from tests import browsing
from tests.browsing import Browse, Screen
from tests.harness import MakeDatabase, MovableClock, Publish, RunService, Topics, new_reader, running, settings_for


def silent(_message: str) -> None:
    """Nobody watches the progress."""


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Log as in production: structlog's own default prints the locals of every frame."""
    telemetry.configure_logging("tests", "INFO")
    structlog.configure(cache_logger_on_first_use=False)  # each test has a standard output of its own


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session.

    It may run as another user, and each session of pytest shuts others out of the folder that all their temporary
    folders are in: so it has one elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="asquoted-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.kill()  # nobody needs its data any more


@pytest_asyncio.fixture(scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """A Kafka broker of this session, with the topics of the map."""
    server = Kafka(tmp_path_factory.mktemp("kafka"))
    server.start(silent)
    await broker.provision([server.bootstrap], TOPICS, wait=30)
    yield server
    server.kill(1)  # nobody needs its data any more


@pytest_asyncio.fixture(scope="session")
async def reader(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    """The consumer behind `read_topic`."""
    consumer = new_reader(kafka.bootstrap)
    await consumer.start()
    yield consumer
    # Tests that are not async keep the loop away for longer than a fetch may take; that it timed out is told here.
    with suppress(KafkaError, asyncio.CancelledError):
        await consumer.stop()


@pytest_asyncio.fixture(scope="session")
async def producer(kafka: Kafka) -> AsyncIterator[AIOKafkaProducer]:
    """The producer behind `publish`."""
    sender = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", max_request_size=5 * MEBIBYTE)
    await sender.start()
    yield sender
    await sender.stop()


@pytest.fixture(scope="session")
def make_database(postgres: Postgres) -> MakeDatabase:
    """Make an empty database; returns its URL."""

    async def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        connection = await asyncpg.connect(postgres.url)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return postgres.url.removesuffix("/postgres") + f"/{name}"

    return make


@pytest.fixture
def clock(tmp_path: Path) -> MovableClock:
    """Business time of the services of this test, from START on."""
    return MovableClock(tmp_path / "clock.json")


@pytest_asyncio.fixture
async def read_topic(reader: AIOKafkaConsumer) -> Topics:
    """Read what came onto a topic since this test began."""
    return await Topics.from_now(reader)


@pytest.fixture
def publish(producer: AIOKafkaProducer, clock: MovableClock) -> Publish:
    """Publish events as another service would; sequences begin at 1 in each test."""
    return Publish(producer, clock)


@pytest.fixture
def run_service(kafka: Kafka, make_database: MakeDatabase, reader: AIOKafkaConsumer, clock: MovableClock) -> RunService:
    """Run services in process; see RunService."""

    @asynccontextmanager
    async def run(
        name: str,
        handlers: object = None,
        *,
        routers: tuple[APIRouter, ...] = (),
        database: str | None = None,
        resume: bool = False,
        settings: type[Settings] = Settings,
        **further: object,
    ) -> AsyncIterator[Service]:
        url = database or await make_database()
        configured = settings_for(settings, database=url, bootstrap=kafka.bootstrap, clock=clock, further=further)
        service = Service(name, configured, handlers=handlers, routers=routers)
        async with running(service, reader, resume=resume):
            yield service

    return cast("RunService", run)


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium of this session; see browsing.chromium."""
    async with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def browse(chromium: Browser) -> Browse:
    """Open browser windows; see Browse."""

    def window(screen: Screen = "desktop", *, javascript: bool = True) -> AbstractAsyncContextManager[Page]:
        return browsing.opened(chromium, screen, javascript=javascript)

    return window
