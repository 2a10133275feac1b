"""One contender playing on the stage: warmed up, then measured run by run; what it leaves is cleared away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from tests.bench.load import Plan, Task
from tests.bench.results import Run
from tests.bench.sampling import Costs, Meter
from tests.bench.stage import LoadProcess, Sizes, Stage
from tests.bench.theirs import Pipe

FIRST_ORDERS = 200
"""So many tell roughly how fast a contender is."""
FEWEST_ORDERS = 200
WARM_SHARE = 0.5
"""Warm-up, as a share of the measured time."""

Told = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""


class Subject(Protocol):
    """A contender that takes orders over HTTP."""

    name: str
    uploads: bool

    def running(self) -> AbstractContextManager[None]: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def pids(self) -> Mapping[str, int]: ...

    def audit(self) -> dict[str, float]: ...


class Session:
    """Runs orders through a subject that is ready; each order has a number of its own."""

    def __init__(self, stage: Stage, subject: Subject, load: LoadProcess, meter: Meter, tell: Told) -> None:
        """The meter knows already what the subject uses when idle."""
        self.load = load
        self.meter = meter
        self._stage = stage
        self.subject = subject
        self._tell = tell
        self._next = 0
        self._uploaded = 0

    def warm_up(self, seconds: float) -> float:
        """Run orders for about so long; returns orders per second."""
        rough = self.run(FIRST_ORDERS, "warming up").rate
        return self.run(max(FEWEST_ORDERS, round(rough * seconds)), "warming up").rate

    def run(self, count: int, what: str = "", *, rate: float | None = None, then_quiet: bool = True) -> Run:
        """Run so many orders, at a rate or as fast as they are answered; returns when all that follows is done.

        `then_quiet` false: it returns when they are completed, whatever else goes on. Large tables are vacuumed for
        longer than anybody waits.
        """
        task = self.task(count, rate=rate, then_quiet=then_quiet)
        before = self._stage.sizes()
        self.meter.begin()
        figures = self.load.do(task, lambda done: self._tell(f"{self.subject.name} {what}", done, count))
        ended = time.monotonic()
        if then_quiet:
            self.meter.wait_quiet()
        quiet = time.monotonic() - ended
        return measured(self.subject.name, figures, self.meter.end(), self._stage.sizes().since(before), quiet, rate)

    def measured(self, figures: dict[str, Any], *, rate: float) -> Run:
        """A run of which the caller did the parts; what it added is not measured."""
        return measured(self.subject.name, figures, self.meter.end(), Sizes(0, 0, 0), rate=rate)

    def task(
        self,
        count: int,
        *,
        rate: float | None = None,
        wait: bool = True,
        behind: bool = False,
        then_quiet: bool = True,
    ) -> Task:
        """The next so many orders, their contracts uploaded."""
        self.upload(count, then_quiet=then_quiet)
        first, self._next = self._next, self._next + count
        return Task("run", first, count, rate, wait, behind)

    def upload(self, count: int, *, then_quiet: bool = True) -> None:
        """See that the contracts of the next so many orders are there."""
        missing = self._next + count - self._uploaded
        if self.subject.uploads and missing > 0:
            self._tell(f"{self.subject.name} uploading contracts", 0, missing)
            self.load.do(Task("upload", self._uploaded, missing))
            self._uploaded += missing
            if then_quiet:
                self.meter.wait_quiet()

    def audit(self) -> dict[str, float]:
        """Audit what was done; raises where something is found."""
        self._tell(f"{self.subject.name} audit", 0, 1)
        return self.subject.audit()


@contextmanager
def playing(stage: Stage, subject: Subject, tell: Told) -> Iterator[Session]:
    """Start a contender on an empty stage; stop it and clear the stage at the end."""
    tell(f"{subject.name} starting", 0, 1)
    try:
        with (
            subject.running(),
            LoadProcess(subject.plan) as load,
            Meter(lambda: {**stage.pids, **subject.pids, "load": load.pid}) as meter,
        ):
            meter.learn_idle()
            yield Session(stage, subject, load, meter, tell)
    finally:
        stage.empty()


def measured(
    name: str, figures: dict[str, Any], costs: Costs, added: Sizes, quiet: float = 0.0, rate: float | None = None
) -> Run:
    """A run, from what the load generator and the meter say."""
    orders = figures["orders"]
    return Run(
        contender=name,
        orders=orders,
        seconds=figures["seconds"],
        posting_seconds=figures.get("posting_seconds", 0.0),
        quiet_seconds=quiet,
        post_ms=figures.get("post_ms", {}),
        completed_ms=figures.get("completed_ms", {}),
        cpu_us={process: 1e6 * seconds / orders for process, seconds in costs.cpu.items()},
        memory=costs.memory,
        bytes={
            "kafka": added.kafka / orders,
            "postgres": added.postgres / orders,
            "write-ahead log": added.wal / orders,
        },
        wanted_rate=rate,
        notes=figures.get("notes", {}),
    )


def pipe_run(stage: Stage, pipe: Pipe, seconds: float, tell: Told) -> Run:
    """The bare pipe: a first run tells how fast it is, a second is measured; it says itself what CPU it used."""
    try:
        with Meter(lambda: {**stage.pids, **pipe.pids}) as meter:
            tell("pipe warming up", 0, 1)
            rough = pipe.run(20 * FIRST_ORDERS)
            orders = max(40 * FIRST_ORDERS, round(seconds * rough["orders"] / rough["seconds"]))
            meter.learn_idle()
            before = stage.sizes()
            meter.begin()
            tell("pipe", 0, orders)
            figures = pipe.run(orders)
            meter.wait_quiet()
            costs = meter.end()
            costs.cpu["pipe"] = figures["cpu_seconds"]
            return measured("pipe", figures, costs, stage.sizes().since(before))
    finally:
        stage.empty()
