"""What each process costs: CPU seconds and peak memory, by name; PostgreSQL's many processes count as one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import psutil

SAMPLE_SECONDS = 0.5
QUIET_SAMPLES = 2
QUIET_SECONDS = 180.0

WITH_CHILDREN = frozenset({"postgres", "pipe"})
"""Only these are asked for their children: to find them takes a look at every process of the machine."""

Pids = Callable[[], Mapping[str, int]]


class NotQuietError(Exception):
    """The processes went on working for too long after the last order."""


@dataclass
class Costs:
    """CPU seconds, and the most resident memory in bytes, by process."""

    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


class Meter:
    """Measures what processes cost between `begin` and `end`; `pids` names those that run now."""

    def __init__(self, pids: Pids) -> None:
        """Nothing is measured yet."""
        self._pids = pids
        self._began: dict[str, float] = {}
        self._peaks: dict[str, int] = {}
        self._idle = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def learn_idle(self, seconds: float = 1.0) -> None:
        """Note how much these processes use while there is nothing to do."""
        self._idle = self._share(seconds)

    def begin(self) -> None:
        """Count from now on."""
        self._began = self._cpu()
        self._peaks = self.memory()

    def end(self) -> Costs:
        """Return what was used since `begin`; a process that is new began at nothing."""
        used = {name: seconds - self._began.get(name, 0.0) for name, seconds in self._cpu().items()}
        return Costs(used, dict(self._peaks))

    def wait_quiet(self) -> None:
        """Wait until they use no more than when there was nothing to do: all that follows an order is done."""
        deadline, quiet = time.monotonic() + QUIET_SECONDS, 0
        while quiet < QUIET_SAMPLES:
            quiet = quiet + 1 if self._share(SAMPLE_SECONDS) < 1.5 * self._idle + 0.06 else 0
            if time.monotonic() > deadline:
                raise NotQuietError(f"still working {QUIET_SECONDS:.0f} s after the last order")

    def _share(self, seconds: float) -> float:
        """CPU used in the coming seconds, in cores."""
        before, began = sum(self._cpu().values()), time.monotonic()
        time.sleep(seconds)
        return (sum(self._cpu().values()) - before) / (time.monotonic() - began)

    def _watch(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            for name, size in self.memory().items():
                self._peaks[name] = max(size, self._peaks.get(name, 0))

    def _cpu(self) -> dict[str, float]:
        found = {}
        for name, pid in self._pids().items():
            with suppress(psutil.NoSuchProcess):
                found[name] = _cpu(_family(name, pid))
        return found

    def memory(self) -> dict[str, int]:
        """Resident bytes now."""
        found = {}
        for name, pid in self._pids().items():
            with suppress(psutil.NoSuchProcess):
                found[name] = memory_of(_family(name, pid))
        return found


def _family(name: str, pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children()] if name in WITH_CHILDREN else [process]


def _cpu(family: Sequence[psutil.Process]) -> float:
    """Seconds of a process, of its children that run and of those that ended."""
    parent = family[0].cpu_times()
    total: float = parent.children_user + parent.children_system
    for each in family:
        with suppress(psutil.NoSuchProcess):
            own = each.cpu_times()
            total += own.user + own.system
    return total


def memory_of(family: Sequence[psutil.Process]) -> int:
    """Resident bytes of some processes; what they share is counted once."""
    private, shared = 0, 0
    for each in family:
        with suppress(psutil.NoSuchProcess):
            memory = each.memory_info()
            private += memory.rss - memory.shared
            shared = max(shared, memory.shared)
    return private + shared
