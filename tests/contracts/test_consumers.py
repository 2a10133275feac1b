"""The consumers in the README, as they stand there: a stranger reads our topics with the libraries that he has."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.catalogue import api
from services.catalogue.settings import Settings
from services.local.kafka import Kafka
from tests.harness import RunService, Topics, door, eventually, make_key

README = Path(__file__).parents[2] / "README.md"
AT_MOST = 20
PATIENCE_SECONDS = 60


def program(language: str) -> str:
    """The one block of the README in a language that is a consumer."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    [found] = [block for block in blocks if "price-list" in block]
    return str(found)


def an_offer(code: str) -> dict[str, Any]:
    """A version 1 of an offer."""
    return {
        "code": code,
        "version": 1,
        "names": dict.fromkeys(("fr", "nl", "de", "en"), code),
        "monthly": {"amount": 7000, "currency": "EUR"},
        "services": [{"code": "internet"}],
        "on_sale_from": "2026-01-01",
        "channels": ["telesales"],
    }


@asynccontextmanager
async def started(*command: str | Path, cwd: Path) -> AsyncIterator[list[str]]:
    """A program that runs until the end of the block; yields the lines that it has printed so far."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=pipe)
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            lines.append(line.decode().strip())

    reading = asyncio.create_task(read())
    try:
        yield lines
    finally:
        process.kill()
        await process.wait()
        await reading


async def once_each(lines: list[str], expected: Sequence[str]) -> None:
    """Wait for the last of the expected lines; each was printed once, in that order."""
    await eventually(lambda: expected[-1] in lines, timeout=PATIENCE_SECONDS)
    assert [line for line in lines if line in expected] == list(expected)


async def told(run_service: RunService, kafka: Kafka, read_topic: Topics, code: str) -> list[str]:
    """Publish an offer, send it once more as it came, and withdraw it; returns what is to be read of that."""
    service = run_service("catalogue", routers=(api.router,), settings=Settings)
    async with service as catalogue, door(catalogue, await make_key(catalogue, "catalogue", "tests")) as client:
        await client.post("/v1/offers", json=an_offer(code))
        [record] = await eventually(lambda: here(read_topic, code))
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
            await producer.send_and_wait("offers", record.value, key=record.key, headers=list(record.headers))
        assert (await client.post(f"/v1/offers/{code}/withdrawal")).status_code == 200
        await eventually(lambda: here(read_topic, code, at_least=4))
    return [f"{code} version 1 is published", f"{code} version 1 is withdrawn"]


async def here(read_topic: Topics, code: str, at_least: int = 1) -> list[Any] | None:
    """The records of an offer, once there are so many."""
    found = [record for record in await read_topic.records("offers") if record.key == code.encode()]
    return found if len(found) >= at_least else None


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_consumer_has_twenty_lines(language: str) -> None:
    lines = [
        line for line in program(language).splitlines() if line.strip() and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= AT_MOST


@pytest.mark.timeout(180)
async def test_the_consumer_in_python_reads_what_the_catalogue_tells_and_nothing_twice(
    run_service: RunService, kafka: Kafka, read_topic: Topics, tmp_path: Path
) -> None:
    expected = await told(run_service, kafka, read_topic, "FOR-PYTHON")
    file = tmp_path / "consumer.py"
    file.write_text(program("python").replace("price-list", f"price-list-{uuid.uuid4()}"), encoding="utf-8")
    async with started(sys.executable, file, kafka.bootstrap, cwd=tmp_path) as lines:
        await once_each(lines, expected)


@pytest.mark.timeout(400)
async def test_the_consumer_in_node_reads_what_the_catalogue_tells_and_nothing_twice(
    run_service: RunService, kafka: Kafka, read_topic: Topics, node: Path
) -> None:
    expected = await told(run_service, kafka, read_topic, "FOR-NODE")
    group = f"price-list-{uuid.uuid4()}"
    file = node / f"{group}.mjs"  # where its packages are found
    file.write_text(program("js").replace("price-list-node", group), encoding="utf-8")
    try:
        async with started("node", file, kafka.bootstrap, cwd=node) as lines:
            await once_each(lines, expected)
    finally:
        file.unlink()
