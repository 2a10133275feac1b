"""Whatever is killed while orders are on their way: each ends, nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.topics import SERVICES
from services.local import loading
from services.local.doors import Doors
from services.local.stack import DEFAULT_START, Options, Stack
from tests.evening import Evening, evening
from tests.journeys import violations

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ORDERS = int(os.environ.get("ORDERS", "60"))
"""`make faults` sends 500."""
SECONDS_BETWEEN_KILLS = 1.5


@contextmanager
def running(folder: Path, brokers: int) -> Iterator[tuple[Stack, Doors]]:
    stack = Stack(Options(folder, start=DEFAULT_START, brokers=brokers), progress=lambda _: None)
    try:
        stack.start()
        with Doors(stack.description) as doors:
            loading.load(doors, lambda _: None)
            doors.quiet()
            yield stack, doors
    finally:
        stack.stop()


def report(what: str, told: Evening) -> None:
    print(  # noqa: T201 - the instants are what a reader of the run wants to see
        f"\n{what}: first POST {told.first_post:%H:%M:%S.%f}, last completion {told.last_completion:%H:%M:%S.%f},"
        f" {dict(told.states)}, {told.retries} retries"
    )


def test_each_service_killed_in_turn_and_at_random_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running(tmp_path, brokers=1) as (stack, doors):
        killed: list[str] = []

        async def kill_services() -> None:
            in_turn = itertools.chain(SERVICES, iter(lambda: random.choice(SERVICES), None))
            for name in in_turn:
                await asyncio.sleep(SECONDS_BETWEEN_KILLS)
                stack.supervisor.kill(name)
                killed.append(name)
                # Alive again before the next is killed, else nobody would ever get anything done.
                await asyncio.to_thread(stack.supervisor.wait_ready, [name])

        told = asyncio.run(
            evening(doors, tmp_path / "clock.json", ORDERS, kill_services, lambda: set(killed) == set(SERVICES))
        )
        report(f"kill -9 of {', '.join(killed)}", told)
        assert sum(told.states.values()) >= ORDERS
        assert violations(doors) == []


def test_each_of_three_brokers_killed_one_at_a_time_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running(tmp_path, brokers=3) as (stack, doors):
        killed: list[int] = []

        async def kill_brokers() -> None:
            for number in itertools.cycle((1, 2, 3)):
                await asyncio.sleep(SECONDS_BETWEEN_KILLS)
                assert stack.kafka is not None
                stack.kafka.kill(number)
                killed.append(number)
                await asyncio.sleep(1)
                await asyncio.to_thread(stack.kafka.start_broker, number)
                await asyncio.sleep(4)

        told = asyncio.run(
            evening(doors, tmp_path / "clock.json", ORDERS, kill_brokers, lambda: set(killed) == {1, 2, 3})
        )
        report(f"kill -9 of brokers {', '.join(map(str, killed))}", told)
        assert sum(told.states.values()) >= ORDERS
        assert violations(doors) == []
