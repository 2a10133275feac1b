"""Our product as a contender: the six services as on one machine, with the demo's data."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from contracts.topics import SERVICES
from services.local import loading
from services.local.doors import Doors
from services.local.ports import HOST, free_port
from services.local.stack import Options, Stack, outside_world
from services.local.supervisor import Process
from tests.bench.load import Plan
from tests.bench.sampling import memory_of
from tests.bench.stage import REPOSITORY, Stage, fast_network, python

PARTNER, AGENT = "gent-calls", "agent-21"
CONFIRMING_PARTNER, CONFIRMING_AGENT = "liege-calls", "agent-18"
AUDIT_SAMPLE_SECONDS = 0.25


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
        self._names: list[str] = []
        self._more_doors: list[str] = []
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
        urls = [self.description["services"]["intake"]["url"], *self._more_doors]
        key = self.description["keys"]["partners"][partner]
        plan = Plan(urls, key, self._stage.bootstrap, "orders", agent)
        mail = str(self.folder / "mail.jsonl")
        return replace(plan, state="pending", mail=mail) if self._confirm else plan

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process by name; a second instance of a service is `SERVICE-2`."""
        return {name: pid for name in self._names if (pid := self.supervisor.pid(name))}

    def halt(self, services: Iterable[str]) -> None:
        """Kill some services, and leave them dead."""
        for name in services:
            self.supervisor.pause_restart(name)
            self.supervisor.kill(name)

    def resume(self, services: Sequence[str]) -> None:
        """Start those services again, and return when they are ready."""
        for name in services:
            self.supervisor.resume_restart(name)
        self.supervisor.wait_ready(services)

    def audit(self) -> dict[str, float]:
        """Run the audit in a process of its own; its seconds, CPU seconds, most bytes and messages.

        CPU and bytes are those of it and the processes that it starts. Raises AuditFailedError.
        """
        argv = [sys.executable, "-m", "services.local", "audit", "--stack", str(self.file)]
        report, began, most, spent = self.folder / "audit.txt", time.monotonic(), 0, _spent_by_children()
        with report.open("wb") as output:
            process = psutil.Popen(argv, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
            while process.poll() is None:
                with suppress(psutil.NoSuchProcess):
                    most = max(most, memory_of([process, *process.children(recursive=True)]))
                time.sleep(AUDIT_SAMPLE_SECONDS)
        seconds = time.monotonic() - began
        if process.returncode != 0:
            raise AuditFailedError(report.read_text(encoding="utf-8"))
        cpu = _spent_by_children() - spent
        return {"seconds": seconds, "cpu": cpu, "memory": most, "messages": self._stage.messages()}

    def _start_kafka(self) -> str:
        return self._stage.bootstrap

    def _start_postgres(self) -> str:
        return self._stage.database

    def _start_processes(self, bootstrap: str, databases: dict[str, str], ports: dict[str, int]) -> None:
        outside = [fast_network(ports["network"])]
        if self._confirm:
            outside += [each for each in outside_world(self.folder, ports) if each.name == "mail"]
        services = [
            self._service(service, number, bootstrap, databases, ports)
            for number in range(1, self._instances + 1)
            for service in SERVICES
        ]
        for process in (*outside, *services):
            self.supervisor.add(process)
        self._names = [process.name for process in (*outside, *services)]
        self.supervisor.start()

    def _service(
        self, service: str, number: int, bootstrap: str, databases: dict[str, str], ports: dict[str, int]
    ) -> Process:
        null = service == "notification" and not self._confirm
        module = "tests.bench.null_notification" if null else f"services.{service}"
        env = self._environment(service, bootstrap, databases, ports) | {"INTAKE_REQUESTS_PER_SECOND": "0"}
        if number == 1:
            return python(service, module, env, ready=f"http://{HOST}:{ports[service]}/readyz")
        port = free_port()
        if service == "intake":
            self._more_doors.append(f"http://{HOST}:{port}")
        env |= {"PORT": str(port), "INSTANCE": f"{service}-{number}"}
        return python(f"{service}-{number}", module, env, ready=f"http://{HOST}:{port}/readyz")


def _spent_by_children() -> float:
    """CPU seconds of every process that we started, with theirs, and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
