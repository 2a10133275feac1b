"""Runs the pipe: the other services as processes, intake here, so many orders in flight; see the package."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace

import uvloop

from contracts.topics import BY_NAME
from services.chassis.broker import provision
from services.local import processes
from tests.bench.contenders.pipe.plan import PLAN, POST, records_for
from tests.bench.contenders.pipe.stage import BATCH, DATABASE, Settings, Stage
from tests.bench.contenders.work.environment import TOPICS, make_database


async def run(orders: int, window: int) -> dict[str, float]:
    """Send the orders; returns the seconds to the last completion, and the CPU seconds to the last row."""
    settings = Settings()
    await make_database(settings.database_url, DATABASE)
    await provision([settings.kafka_bootstrap], [replace(BY_NAME[each], name=f"pipe.{each}") for each in TOPICS])
    others = [_start(service, orders) for service in PLAN if service != "intake"]
    stage = Stage("intake", settings)
    await stage.open()
    await asyncio.gather(*(asyncio.to_thread(_ready, each) for each in others))
    door = await _door(settings)
    begun, own = time.monotonic(), time.process_time()
    consuming = asyncio.create_task(stage.consume(orders * records_for("intake")))
    await _post(door, stage, orders, window)
    await consuming
    seconds = time.monotonic() - begun
    spent = await asyncio.gather(*(asyncio.to_thread(_spent, each) for each in others))
    cpu_seconds = time.process_time() - own + sum(spent)
    await door.close()
    await stage.close()
    return {"orders": orders, "seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3)}


async def _door(settings: Settings) -> Stage:
    """Intake's door has connections of its own, as its consumer has."""
    door = Stage("intake", settings)
    await door.open_door()
    return door


async def _post(door: Stage, stage: Stage, orders: int, window: int) -> None:
    """Begin orders, in batches, while there is room in the window."""
    begun = 0
    while begun < orders:
        room = min(BATCH, orders - begun, window - (begun - stage.completed))
        if room <= 0:
            await asyncio.sleep(0.001)
            continue
        await door.write([(f"sub-{uuid.uuid4()}".encode(), POST) for _ in range(room)])
        begun += room


def _start(service: str, orders: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.bench.contenders.pipe.stage", service, str(orders)]
    return processes.spawn(argv, output=subprocess.PIPE, env=os.environ)


def _ready(process: subprocess.Popen[bytes]) -> None:
    """Wait for the first line that says so. Raises RuntimeError with what it said instead."""
    assert process.stdout is not None
    said = b""
    while b"ready\n" not in said:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(said.decode())
        said += line


def _spent(process: subprocess.Popen[bytes]) -> float:
    """Wait for a service to end; returns the CPU seconds."""
    said, _ = process.communicate(timeout=60)
    return float(said.decode().strip().splitlines()[-1])


def main() -> None:
    """Run it once and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--window", type=int, default=2000)
    options = parser.parse_args()
    sys.stdout.write(json.dumps(uvloop.run(run(options.orders, options.window))) + "\n")


if __name__ == "__main__":
    main()
