"""Where a benchmark is played: one Kafka and one PostgreSQL in a folder, emptied between one contender and the next."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import BY_NAME
from services.chassis.broker import provision
from services.local.kafka import Kafka
from services.local.ports import HOST
from services.local.postgres import Postgres
from services.local.records import consumer
from services.local.supervisor import Process
from tests.bench.load import Plan, Task

KAFKA_HEAP_MB = 768
WARM_UP_PAGES, WARM_UP_PAGE = 300, 200
REPOSITORY = Path(__file__).parents[2]

Progress = Callable[[str], None]


class LoadFailedError(Exception):
    """The load generator ended before its time; the message ends with what it wrote."""


@dataclass(frozen=True)
class Sizes:
    """Bytes that are kept: Kafka's logs, PostgreSQL's tables and indexes, and what went through its write-ahead log."""

    kafka: int
    postgres: int
    wal: int

    def since(self, before: Sizes) -> Sizes:
        """What was added."""
        return Sizes(self.kafka - before.kafka, self.postgres - before.postgres, self.wal - before.wal)


FOR_LOAD = {"shared_buffers": "4GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
"""PostgreSQL's settings: its defaults are for a small machine, and after each checkpoint pages are logged in full."""


class Stage:
    """A Kafka and a PostgreSQL as for load: fully compiled; with memory, but everything really on the disk (fsync)."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        """Nothing runs until it is entered."""
        self.folder = folder
        self.progress = progress
        self._kafka = Kafka(folder / "kafka", compile_fully=True, heap_mb=KAFKA_HEAP_MB)
        self._postgres = Postgres(folder / "postgres", settings=FOR_LOAD)

    def __enter__(self) -> Self:
        try:
            self._kafka.start(self.progress)
            self._postgres.start(self.progress)
            self.progress("warming up Kafka")
            asyncio.run(_warm(self.bootstrap))
            self.empty()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._kafka.stop()
        self._postgres.stop()

    @property
    def bootstrap(self) -> str:
        """Where Kafka listens."""
        return self._kafka.bootstrap

    @property
    def database(self) -> str:
        """The URL of the database server."""
        return self._postgres.url

    @property
    def pids(self) -> dict[str, int]:
        """Kafka's and PostgreSQL's processes."""
        return {"kafka": self._kafka.pids[1], "postgres": self._postgres.pid or 0}

    def empty(self) -> None:
        """Drop every topic, with it the offsets of its groups, and every database: each run begins with nothing."""
        asyncio.run(_drop_topics(self.bootstrap))
        asyncio.run(_drop_databases(self.database))

    def messages(self) -> int:
        """How many records the topics of the map hold."""
        return asyncio.run(_messages(self.bootstrap))

    def sizes(self) -> Sizes:
        """What is kept now."""
        folders = [each for each in (self.folder / "kafka/broker-1").iterdir() if not _is_no_topics(each.name)]
        kafka = 0
        for folder in folders:
            with suppress(FileNotFoundError):  # of a topic that is being deleted
                kafka += sum(log.stat().st_size for log in folder.glob("*.log"))
        return Sizes(kafka, *asyncio.run(_database_sizes(self.database)))


async def _warm(bootstrap: str) -> None:
    """Send and read records until Kafka's code is compiled: else the first contender would pay for that."""
    topic = replace(BY_NAME["orders"], name="warm-up")
    await provision([bootstrap], [topic])
    value = json.dumps({"nothing": list(range(200))}).encode()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="lz4")
    await producer.start()
    async with consumer(bootstrap) as client:
        client.assign([TopicPartition(topic.name, each) for each in range(topic.partitions)])
        for _ in range(WARM_UP_PAGES):
            await asyncio.gather(*[await producer.send(topic.name, value, key=b"%d" % n) for n in range(WARM_UP_PAGE)])
            await client.getmany(timeout_ms=20)
    await producer.stop()


def _is_no_topics(folder: str) -> bool:
    """Whether this is the folder of Kafka's own topics, or of one that was dropped."""
    return folder.startswith("__") or folder.endswith("-delete")


async def _drop_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = [name for name in await admin.list_topics() if not name.startswith("__")]
        if topics:
            await admin.delete_topics(topics)
    finally:
        await admin.close()


async def _messages(bootstrap: str) -> int:
    places = [TopicPartition(topic.name, each) for topic in BY_NAME.values() for each in range(topic.partitions)]
    async with consumer(bootstrap) as client:
        client.assign(places)
        return sum((await client.end_offsets(places)).values())


async def _drop_databases(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "SELECT datname FROM pg_database WHERE datname <> 'postgres' AND NOT datistemplate"
        )
        for (name,) in names:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.execute("CHECKPOINT")  # what one contender wrote burdens no other
    finally:
        await connection.close()


async def _database_sizes(url: str) -> tuple[int, int]:
    connection = await asyncpg.connect(url)
    try:
        kept = await connection.fetchval("SELECT sum(pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate")
        return int(kept), int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
    finally:
        await connection.close()


def python(name: str, module: str, env: Mapping[str, str], *arguments: str, ready: str) -> Process:
    """A Python module as a process that is ready when a URL answers."""
    # Not forked: what ours has loaded would be in everybody's memory.
    return Process(name, [sys.executable, "-m", module, *arguments], env=env, ready_url=ready)


def fast_network(port: int) -> Process:
    """The network simulator in its fast mode."""
    url = f"http://{HOST}:{port}/livez"
    return python("network", "services.local.network", {}, "--port", str(port), "--fast", ready=url)


class LoadProcess:
    """The load generator, which ends when it is left or when we are gone."""

    def __init__(self, plan: Plan) -> None:
        """Start it, and return when it is connected to everything."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(asdict(plan))
        self._hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def do(self, task: Task, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
        """Have a task done; returns what was measured. `progress` is told how many orders are completed."""
        self.begin(task)
        return self.finish(progress)

    def begin(self, task: Task) -> None:
        """Have a task begun."""
        self._say(asdict(task))

    def finish(self, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
        """Wait for the task that was begun."""
        while "progress" in (line := self._hear()):
            progress(line["progress"])
        return line

    def _say(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailedError(f"the load generator ended with exit code {self._process.wait()}; it says why above")
        heard: dict[str, Any] = json.loads(line)
        return heard
