"""The other contenders: their processes, run on the stage as each was tuned; the bare pipe, which has no doors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.chassis.ids import new_secret, sha256
from services.local.ports import HOST, free_ports
from services.local.supervisor import Supervisor
from tests.bench.contenders import Contender
from tests.bench.load import Plan
from tests.bench.ours import AGENT
from tests.bench.stage import REPOSITORY, Stage, fast_network, python

ANSWERED = {"durable": "acknowledged"}
"""In which state an order is answered, where not in progress: a workflow does everything after the answer."""


class PipeFailedError(Exception):
    """The bare pipe did not do what it was asked."""


class Theirs:
    """A contender's processes and the fast network."""

    uploads = False

    def __init__(self, stage: Stage, folder: Path, contender: Contender) -> None:
        """Nothing runs until it is entered."""
        self.name = contender.name
        self._stage = stage
        self._contender = contender
        self._key = new_secret("aq_partner")
        names = ["network", *contender.processes]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._supervisor = Supervisor(folder)
        self._supervisor.add(fast_network(self._ports["network"]))
        for name, module in contender.processes.items():
            ready = f"http://{HOST}:{self._ports[name]}/readyz"
            self._supervisor.add(python(name, module, self._environment(name), ready=ready))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything is ready, until it is left."""
        try:
            self._supervisor.start()
            yield
        finally:
            self._supervisor.stop()

    @property
    def plan(self) -> Plan:
        """Where the orders go."""
        urls = [f"http://{HOST}:{self._ports['intake']}"]
        state = ANSWERED.get(self.name, "inProgress")
        return Plan(urls, self._key, self._stage.bootstrap, self._contender.completed_topic, AGENT, state)

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process by name."""
        return {name: pid for name in self._ports if (pid := self._supervisor.pid(name))}

    def audit(self) -> dict[str, float]:
        """Nobody promises anything here."""
        return {}

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "DATABASE_URL": self._stage.database,
            "KAFKA_BOOTSTRAP": self._stage.bootstrap,
            "PORT": str(self._ports[name]),
            "NETWORK_URL": f"http://{HOST}:{self._ports['network']}",
            "API_KEY_SHA256": sha256(self._key),
            **self._contender.knobs,
        }


class Pipe:
    """The bare pipe: a program that is run once for so many orders."""

    name = "pipe"

    def __init__(self, stage: Stage, contender: Contender) -> None:
        """Nothing runs yet."""
        self._contender = contender
        self._env = {"DATABASE_URL": stage.database, "KAFKA_BOOTSTRAP": stage.bootstrap, **contender.knobs}
        self._running: subprocess.Popen[str] | None = None

    @property
    def pids(self) -> Mapping[str, int]:
        """The process, while it runs."""
        return {"pipe": self._running.pid} if self._running and self._running.poll() is None else {}

    def run(self, orders: int) -> dict[str, Any]:
        """Push so many orders through; what it says: orders, seconds, cpu_seconds. Raises PipeFailedError."""
        argv = [sys.executable, "-m", self._contender.processes["pipe"], "--orders", str(orders)]
        self._running = subprocess.Popen(
            argv, cwd=REPOSITORY, env={**os.environ, **self._env}, stdout=subprocess.PIPE, text=True
        )
        output, _ = self._running.communicate()
        if self._running.returncode != 0:
            raise PipeFailedError(f"the pipe ended with exit code {self._running.returncode}; it says why above")
        said: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return said
