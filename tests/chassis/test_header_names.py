"""aiokafka stops on a header whose name is not UTF-8, for all partitions; here it is one case like any other."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from contracts.dead_letter_v1 import MessageDeadLettered
from services.local.kafka import Kafka
from tests.chassis.sample import NAME, Notes, confirmed, letters
from tests.harness import Publish, RunService, Topics, eventually

# In a process of its own, for only aiokafka's Python code can be made to write such a name.
STRANGER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def main():
    async with AIOKafkaProducer(bootstrap_servers=sys.argv[1], compression_type=sys.argv[2] or None) as producer:
        batch = producer.create_batch()
        for number in range(3):
            headers = [(Name("odd"), b"v")] if number == 1 else [("even", b"v")]
            batch.append(key=b"sub-%d" % number, value=b"value %d" % number, timestamp=None, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, "orders", partition=3))

asyncio.run(main())
"""


@pytest.mark.parametrize("compression", ["", "gzip", "lz4"])
async def test_a_header_whose_name_is_not_utf_8_is_one_case_and_stops_nothing(
    compression: str, run_service: RunService, kafka: Kafka, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        command = [sys.executable, "-c", STRANGER, kafka.bootstrap, compression]
        environment = {"AIOKAFKA_NO_EXTENSIONS": "1"}
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, env=environment)
        others = [confirmed(f"o{number}", f"sub-{number}") for number in range(10, 40)]
        await publish(*others)
        await eventually(lambda: len(notes.seen) == len(others))

        async def cases() -> list[MessageDeadLettered]:
            found = [each for each in await read_topic.events("dead-letters") if isinstance(each, MessageDeadLettered)]
            return found if len(found) == 3 else []

        found = await eventually(cases)
        assert sorted(header.name for each in found for header in each.headers) == ["\\xff\\xfe", "even", "even"]
        assert sorted(row.value or b"" for row in await letters(service)) == [b"value 0", b"value 1", b"value 2"]
