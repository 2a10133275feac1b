"""Our product as a contender: the six services as on one machine, with the demo's data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from contracts.topics import SERVICES
from services.local import loading
from services.local.doors import Doors
from services.local.ports import HOST
from services.local.stack import Options, Stack, outside_world
from services.local.supervisor import Supervisor
from tests.bench.load import Plan
from tests.bench.stage import REPOSITORY, Stage, fast_network, python

PARTNER, AGENT = "gent-calls", "agent-21"
CONFIRMING_PARTNER, CONFIRMING_AGENT = "liege-calls", "agent-18"


class AuditFailedError(Exception):
    """The audit found something; the message says what."""


class Ours(Stack):
    """The stack of one machine on the stage's Kafka and PostgreSQL, with the fast network.

    Without `confirm` notification has a null gateway; with it mails go to the mail catcher, and each order waits for
    its customer's yes. `instances` is how many processes each service has.
    """

    name = "ours"
    uploads = True

    def __init__(self, stage: Stage, folder: Path, *, confirm: bool = False, instances: int = 1) -> None:
        """Nothing runs until it is entered."""
        super().__init__(Options(folder), stage.progress)
        self._stage = stage
        self._confirm = confirm
        self._instances = instances
        self.uploads = not confirm

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything is ready and the demo's data is loaded, until it is left."""
        try:
            self.start()
            with Doors(self.description) as doors:
                loading.load(doors, lambda _: None)
                doors.quiet()
            self.ready()
            yield
        finally:
            self.stop()

    @property
    def plan(self) -> Plan:
        """Where the orders go."""
        partner, agent = (CONFIRMING_PARTNER, CONFIRMING_AGENT) if self._confirm else (PARTNER, AGENT)
        urls = [self.description["services"]["intake"]["url"]]
        key = self.description["keys"]["partners"][partner]
        mail = str(self.folder / "mail.jsonl") if self._confirm else None
        return Plan(urls, key, self._stage.bootstrap, "orders", agent, mail)

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process by name."""
        if self.supervisor is None:
            return {}
        names = [*SERVICES, "network", *(["mail"] if self._confirm else [])]
        return {name: pid for name in names if (pid := self.supervisor.pid(name))}

    def audit(self) -> dict[str, float]:
        """Run the audit in a process of its own; its seconds and peak bytes. Raises AuditFailedError."""
        argv = [sys.executable, "-m", "services.local", "audit", "--stack", str(self.file)]
        with subprocess.Popen(
            argv, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            watched = psutil.Process(process.pid)
            output, _ = process.communicate()
            del watched
        if process.returncode != 0:
            raise AuditFailedError(output)
        return {}

    def _start_kafka(self) -> str:
        return self._stage.bootstrap

    def _start_postgres(self) -> str:
        return self._stage.database

    def _start_processes(self, bootstrap: str, databases: dict[str, str], ports: dict[str, int]) -> None:
        supervisor = self.supervisor = Supervisor(self.folder)
        supervisor.add(fast_network(ports["network"]))
        if self._confirm:
            supervisor.add(next(each for each in outside_world(self.folder, ports) if each.name == "mail"))
        for service in SERVICES:
            null = service == "notification" and not self._confirm
            module = "tests.bench.null_notification" if null else f"services.{service}"
            env = self._environment(service, bootstrap, databases, ports)
            supervisor.add(python(service, module, env, ready=f"http://{HOST}:{ports[service]}/readyz"))
        supervisor.start()
