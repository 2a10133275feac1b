"""One contender by itself, for writing and tuning it: every order completed, every event once, how fast, what CPU.

`python -m tests.bench.contenders.trial plain --orders 200 --set MAX_WORKERS=8 --profile profile.txt`
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop
from aiokafka import AIOKafkaConsumer

from services.local import processes
from services.local.kafka import Kafka
from services.local.ports import free_ports
from services.local.postgres import Postgres
from tests.bench.contenders import CONTENDERS, Contender
from tests.bench.contenders.work.environment import TOPICS

ROOT = Path(__file__).parents[3]
KEY = "key-of-the-trial"
WARM_UP = 50
WAITING = (
    "Condition.wait",
    "Runner.run",
    "_worker (concurrent",
    "select (selectors",
    "wait_selector",
    "Connection.wait (psycopg",
    "run_notifier",
)
"""Where a thread is that does nothing."""
SOLD_AT = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
EXPECTED = {
    "customer.recorded.v1": 1,
    "order.confirmed.v1": 1,
    "subscription.changed.v1": 1,
    "charges.started.v1": 1,
    "order.completed.v1": 1,
    "commission.held.v1": 1,
    "notice.sent.v1": 3,
}


class Stack:
    """Kafka, PostgreSQL, the network simulator and a contender's processes."""

    def __init__(self, contender: Contender, knobs: dict[str, str], folder: Path) -> None:
        self.contender = contender
        self.kafka = Kafka(folder / "kafka", compile_fully=True)
        self.postgres = Postgres(folder / "postgres")
        self.ports = dict(zip(["network", *contender.processes], free_ports(1 + len(contender.processes)), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._knobs = {**contender.knobs, **knobs}
        self._folder = folder

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything; what was started is stopped."""
        with ExitStack() as stack:
            self.kafka.start(lambda _: None)
            stack.callback(self.kafka.stop)
            self.postgres.start()
            stack.callback(self.postgres.stop)
            stack.callback(self._stop)
            self._start("network", ["services.local.network", "--port", str(self.ports["network"])])
            for name, module in self.contender.processes.items():
                self._start(name, [module])
            yield

    def _start(self, name: str, module: list[str]) -> None:
        environment = {
            **os.environ,
            "DATABASE_URL": self.postgres.url,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "PORT": str(self.ports[name]),
            "NETWORK_URL": f"http://127.0.0.1:{self.ports['network']}",
            "API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest(),
            **self._knobs,
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            self.processes[name] = processes.spawn(
                [sys.executable, "-m", *module], output=log, env=environment, cwd=ROOT
            )

    def _stop(self) -> None:
        for name, process in self.processes.items():
            processes.end(process, (signal.SIGTERM, 5))
            sys.stderr.write(f"{name}: {log}\n" if (log := (self._folder / f"{name}.log").read_text()[-9000:]) else "")

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process."""
        pids = {name: process.pid for name, process in self.processes.items()}
        pids |= {"kafka": self.kafka.pids[1], "postgres": self.postgres.pid or 0}
        return {name: _cpu(pid) for name, pid in pids.items()}


def _cpu(pid: int) -> float:
    """CPU seconds of a process and its children, ended ones included."""
    process = psutil.Process(pid)
    own = sum(process.cpu_times()[:4])
    return float(own + sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True)))


class Watcher:
    """Reads a contender's topics and counts what is on them."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.seen: Counter[str] = Counter()
        self.completed_at = 0.0

    async def until(self, counts: dict[str, int], seconds: float) -> None:
        """Read until so many of each type were seen, or for so long."""
        deadline = time.monotonic() + seconds
        while any(self.seen[each] < count for each, count in counts.items()) and time.monotonic() < deadline:
            for records in (await self._consumer.getmany(timeout_ms=50)).values():
                for record in records:
                    kind = dict(record.headers)["ce_type"].decode()
                    self.seen[kind] += 1
                    if kind == "order.completed.v1":
                        self.completed_at = time.monotonic()


def body(number: int) -> dict[str, Any]:
    """An order that is signed in a shop."""
    return {
        "partner_reference": f"TRIAL-{number}",
        "agent": "agent-21",
        "channel": "shop",
        "sold_at": SOLD_AT,
        "language": ("fr", "nl", "de", "en")[number % 4],
        "action": "add",
        "offer": "FIBRE",
        "customer": {
            "name": f"Trial {number}",
            "email": f"trial-{number}@example.org",
            "phone": f"+3249{number:07d}",
        },
        "quote": {
            "monthly_total": {"amount": 6000, "currency": "EUR"},
            "one_off": {"amount": 5000, "currency": "EUR"},
        },
        "evidence": {
            "kind": "signed-contract",
            "reference": f"contract-{number}",
            "sha256": hashlib.sha256(f"contract {number}".encode()).hexdigest(),
        },
    }


async def post(session: aiohttp.ClientSession, url: str, numbers: range, connections: int) -> list[float]:
    """Post orders over so many connections; returns how long each took."""
    waiting, took = iter(numbers), []

    async def one_after_another() -> None:
        for number in waiting:
            begun = time.monotonic()
            headers = {"Idempotency-Key": f"trial-{number}", "Authorization": f"Bearer {KEY}"}
            async with session.post(f"{url}/v1/orders", json=body(number), headers=headers) as answer:
                assert answer.status == 201, await answer.text()
                await answer.read()
            took.append(time.monotonic() - begun)

    await asyncio.gather(*(one_after_another() for _ in range(connections)))
    return took


async def ready(session: aiohttp.ClientSession, stack: Stack) -> None:
    """Wait until every process says that it consumes."""
    for name in stack.contender.processes:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{stack.ports[name]}/readyz") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"{name} does not become ready")


async def doors(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    """What the door says to a replay, another body, a taken reference, faults, and no key."""
    answers = {}
    good = body(0)
    for name, key, content, secret in (
        ("replayed", "trial-0", good, KEY),
        ("other body", "trial-0", {**good, "language": "en", "agent": "agent-9"}, KEY),
        ("reference", "another", good, KEY),
        ("faults", "faulty", {**good, "quote": None}, KEY),
        ("no key", "unknown", good, "nobody's"),
    ):
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {secret}"}
        async with session.post(f"{url}/v1/orders", json=content, headers=headers) as answer:
            answers[name] = answer.status
    return answers


async def trial(stack: Stack, orders: int, connections: int, profile: Path | None) -> dict[str, Any]:
    """Post the orders and say what came of it."""
    consumer = AIOKafkaConsumer(
        *(f"{stack.contender.name}.{each}" for each in TOPICS),
        bootstrap_servers=stack.kafka.bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
    url = f"http://127.0.0.1:{stack.ports['intake']}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        await ready(session, stack)
        await consumer.start()
        try:
            watcher = Watcher(consumer)
            warm, total = min(WARM_UP, orders), min(WARM_UP, orders) + orders
            first = [await post(session, url, range(1), 1), await post(session, url, range(1, warm), connections)]
            await watcher.until({each: times * warm for each, times in EXPECTED.items()}, 30)
            before, profilers = stack.cpu(), _profilers(stack, profile)
            begun = time.monotonic()
            took, _ = await asyncio.gather(
                post(session, url, range(warm, total), connections),
                watcher.until({"order.completed.v1": total}, 120),
            )
            seconds = watcher.completed_at - begun
            await watcher.until({each: times * total for each, times in EXPECTED.items()}, 60)
            after = stack.cpu()
            await watcher.until({"none": 1}, 0.5)
            took.sort()
            _collect(profilers, profile)
            return {
                "contender": stack.contender.name,
                "first_post_ms": round(1000 * first[0][0], 1),
                "orders_per_second": round(orders / seconds, 1),
                "post_ms_p50_p99": [round(1000 * took[int(len(took) * each)], 1) for each in (0.5, 0.99)],
                "cpu_ms_per_order": {name: round(1000 * (after[name] - before[name]) / orders, 2) for name in after},
                "cpu_ms": round(1000 * sum(after[name] - before[name] for name in after) / orders, 2),
                "wrong_counts": {
                    each: watcher.seen[each]
                    for each in {*EXPECTED, *watcher.seen}
                    if watcher.seen[each] != EXPECTED.get(each, 0) * total
                },
                "doors": await doors(session, url),
            }
        finally:
            await consumer.stop()


def _profilers(stack: Stack, profile: Path | None) -> dict[str, subprocess.Popen[bytes]]:
    """Sample every process of the contender with py-spy, which must be installed."""
    if profile is None:
        return {}
    spy, folder = Path(sys.executable).with_name("py-spy"), Path(tempfile.mkdtemp())
    return {
        str(folder / name): subprocess.Popen(
            [spy, "record", "--format", "raw", "--output", folder / name, "--rate", "200", "--pid", str(process.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, process in stack.processes.items()
        if name != "network"
    }


def _collect(profilers: dict[str, subprocess.Popen[bytes]], profile: Path | None) -> None:
    """Write the 15 functions that are on most samples by themselves, and the 15 that most samples are below."""
    own: Counter[str] = Counter()
    for output, process in profilers.items():
        process.send_signal(signal.SIGINT)
        process.wait(30)
        for line in Path(output).read_text(encoding="utf-8").splitlines():
            stack, _, count = line.rpartition(" ")
            if any(each in stack.split(";")[-1] for each in WAITING):
                continue
            own[f"{Path(output).name:13} {stack.split(';')[-1]}"] += int(count)
    if profile is not None:
        total = sum(own.values())
        lines = [f"{100 * count / total:5.1f} %  {where}" for where, count in own.most_common(15)]
        profile.write_text(
            "\n".join(["self time of all processes, by process (py-spy; waiting left out)", *lines]) + "\n",
            encoding="utf-8",
        )


def main() -> None:
    """Run one trial and print what came of it as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=sorted(set(CONTENDERS) - {"pipe"}))
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--set", nargs="*", default=[], help="KNOB=VALUE …")
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    knobs = dict(each.split("=", 1) for each in options.set)
    with tempfile.TemporaryDirectory(prefix="trial-", ignore_cleanup_errors=True) as folder:
        stack = Stack(CONTENDERS[options.contender], knobs, Path(folder))
        with stack.running():
            said = uvloop.run(trial(stack, options.orders, options.connections, options.profile))
    sys.stdout.write(json.dumps(said | {"knobs": knobs}) + "\n")


if __name__ == "__main__":
    main()
