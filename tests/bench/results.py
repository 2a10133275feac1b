"""What the benchmark measures, as data: runs, goals and the ratios between contenders; kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

OUTSIDE = frozenset({"load", "network", "mail"})
"""What stands for the world outside; it is shown, and does not count as the system's cost."""


@dataclass(frozen=True)
class Run:
    """One measured run: latencies in milliseconds; CPU in microseconds and bytes per order; memory in bytes."""

    contender: str
    orders: int
    seconds: float
    posting_seconds: float = 0.0
    quiet_seconds: float = 0.0
    """From the last completion until nothing worked any more: notices and other work that follows."""
    post_ms: dict[str, float] = field(default_factory=dict)
    completed_ms: dict[str, float] = field(default_factory=dict)
    cpu_us: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)
    wanted_rate: float | None = None
    notes: dict[str, float] = field(default_factory=dict)
    """What only this scenario measures."""

    @property
    def rate(self) -> float:
        """Orders completed per second."""
        return self.orders / self.seconds

    @property
    def system_cpu_us(self) -> float:
        """CPU microseconds per order of all that belongs to the system: services, Kafka, PostgreSQL."""
        return sum(used for name, used in self.cpu_us.items() if name not in OUTSIDE)


@dataclass(frozen=True)
class Goal:
    """A figure beside what is wanted of it."""

    what: str
    figure: float
    wanted: float
    at_least: bool = True
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.figure >= self.wanted if self.at_least else self.figure <= self.wanted


@dataclass(frozen=True)
class Outcome:
    """What one scenario gave."""

    scenario: str
    runs: Sequence[Run]
    goals: Sequence[Goal] = ()
    remarks: Sequence[str] = ()


def middle(runs: Iterable[Run], figure: Callable[[Run], float]) -> float:
    """The median of a figure over runs."""
    return median(map(figure, runs))


def by_contender(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each contender, in their order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.contender, []).append(run)
    return found


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def loop_ms() -> float:
    """Milliseconds of CPU that a loop takes which is always the same: how fast the machine is at the moment.

    What is hours apart is not compared without it; a machine shared with others swings by half.
    """
    began = time.thread_time()
    sum(range(3_000_000))
    return 1000 * (time.thread_time() - began)


def write(folder: Path, outcome: Outcome, on: dict[str, Any]) -> Path:
    """Keep an outcome as JSON; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC)
    kept = {
        "scenario": outcome.scenario,
        "at": at.isoformat(timespec="seconds"),
        "machine": on,
        "goals": [asdict(goal) | {"met": goal.met} for goal in outcome.goals],
        "remarks": list(outcome.remarks),
        "runs": [asdict(run) | {"rate": run.rate} for run in outcome.runs],
    }
    file = folder / f"{outcome.scenario}-{at:%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return file
