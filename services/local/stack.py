"""The whole system on one machine, started and stopped as one: Kafka, PostgreSQL, the outside world, all services."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from contracts.topics import SERVICES
from services.chassis.clock import write_offset
from services.chassis.ids import new_secret, sha256
from services.local.kafka import Kafka
from services.local.ports import ports_from, same_or_free
from services.local.postgres import Postgres
from services.local.supervisor import Process, Supervisor, lock_folder

DEFAULT_START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
PORTS = (*SERVICES, "mail", "smtp", "network")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a stack is started; `start` is where a movable business time begins, None for real time."""

    folder: Path
    base_port: int | None = None
    start: datetime | None = None
    brokers: int = 1
    verbose: bool = False


class Stack:
    """Starts everything, in order; `stop` stops what it started, and the data stays in the folder."""

    def __init__(self, options: Options, progress: Progress) -> None:
        """Nothing runs until `start`."""
        self.options = options
        self.folder = options.folder
        self.progress = progress
        self.kafka: Kafka | None = None
        self.postgres: Postgres | None = None
        self.supervisor = Supervisor(options.folder, verbose=options.verbose)
        self.secrets: dict[str, Any] = {}
        self.description: dict[str, Any] = {}
        self._lock: Any = None

    @property
    def file(self) -> Path:
        """Where the addresses and keys are written once the stack is ready."""
        return self.folder / "stack.json"

    @property
    def new(self) -> bool:
        """Whether the demo data still has to be loaded."""
        return not (self.folder / "loaded").exists()

    def start(self) -> None:
        """Start everything up to services that are ready; the demo data is loaded by the caller."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.folder)
        self.file.unlink(missing_ok=True)
        self.secrets = keep_secrets(self.folder / "secrets.json")
        if self.options.start is not None:
            start_clock(self.folder / "clock.json", self.options.start)
        self.supervisor.warm()
        with ThreadPoolExecutor(1) as beside:
            kafka = beside.submit(self._start_kafka)
            server = self._start_postgres()
            bootstrap = kafka.result()
        ports = self._ports()
        databases = make_databases(server, self.secrets["databases"])
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.description = describe(bootstrap, databases, at, self.secrets)
        self._start_processes(bootstrap, databases, ports)

    def ready(self) -> None:
        """Say that everything is ready: the demo data is loaded and consumed."""
        (self.folder / "loaded").touch()
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(self.description, indent=2))

    def stop(self) -> None:
        """Stop what was started, the services first."""
        if self._lock is None:
            return  # the folder is somebody else's
        self.file.unlink(missing_ok=True)
        for part in (self.supervisor, self.kafka, self.postgres):
            if part is not None:
                part.stop()
        self._lock.release()

    def _ports(self) -> dict[str, int]:
        """Keep the ports over restarts: the links in mails that were sent before name them."""
        file = self.folder / "ports.json"
        if self.options.base_port is None and file.exists():
            kept: dict[str, int] = json.loads(file.read_text())
            return dict(zip(kept, same_or_free(list(kept.values())), strict=True))
        ports = ports_from(self.options.base_port, PORTS)
        file.write_text(json.dumps(ports))
        return ports

    def _start_kafka(self) -> str:
        given = os.environ.get("KAFKA_BOOTSTRAP")
        if given:
            return given
        self.kafka = Kafka(self.folder / "kafka", brokers=self.options.brokers)
        self.kafka.start(self.progress)
        return self.kafka.bootstrap

    def _start_postgres(self) -> str:
        given = os.environ.get("DATABASE_URL")
        if given:
            return given
        self.progress("starting PostgreSQL")
        self.postgres = Postgres(self.folder / "postgres")
        self.postgres.start()
        return self.postgres.url

    def _start_processes(self, bootstrap: str, databases: dict[str, str], ports: dict[str, int]) -> None:
        self.progress("starting the services")
        for process in outside_world(self.folder, ports):
            self.supervisor.add(process)
        for service in SERVICES:
            self.supervisor.add(
                Process(
                    name=service,
                    module=f"services.{service}",
                    env=self._environment(service, bootstrap, databases, ports),
                    ready_url=f"http://127.0.0.1:{ports[service]}/readyz",
                )
            )
        self.supervisor.start()

    def _environment(
        self, service: str, bootstrap: str, databases: dict[str, str], ports: dict[str, int]
    ) -> dict[str, str]:
        clock = self.folder / "clock.json"
        return (
            secret_environment(service, databases, self.secrets)
            | {
                "KAFKA_BOOTSTRAP": bootstrap,
                "INSTANCE": f"{service}-1",
                "HOST": "127.0.0.1",
                "PORT": str(ports[service]),
                "PUBLIC_URL": f"http://127.0.0.1:{ports['intake']}",
                "NETWORK_URL": f"http://127.0.0.1:{ports['network']}",
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(ports["smtp"]),
                "WEBHOOK_PRIVATE_ADDRESSES": "true",
                "SMS_URL": f"http://127.0.0.1:{ports['mail']}/sms",
            }
            | ({"CLOCK_FILE": str(clock)} if clock.exists() else {})
        )


def outside_world(folder: Path, ports: dict[str, int]) -> list[Process]:
    """Return what stands in for the world outside: a network that can be activated, and a mail catcher."""
    mail, network = f"http://127.0.0.1:{ports['mail']}", f"http://127.0.0.1:{ports['network']}"
    return [
        Process(
            name="network",
            module="services.local.network",
            argv=["--port", str(ports["network"]), "--folder", str(folder)],
            ready_url=f"{network}/calls",
        ),
        Process(
            name="mail",
            module="services.local.mail",
            argv=["--port", str(ports["mail"]), "--smtp-port", str(ports["smtp"]), "--folder", str(folder)],
            ready_url=f"{mail}/livez",
        ),
    ]


def start_clock(file: Path, start: datetime) -> None:
    """Begin a business time that can be moved; one that began already goes on."""
    if not file.exists():
        write_offset(file, start - datetime.now(UTC))


def secret_environment(service: str, databases: dict[str, str], kept: dict[str, Any]) -> dict[str, str]:
    """Return what a service is told that nobody else may know."""
    return {
        "DATABASE_URL": databases[service],
        "OPERATOR_KEY_SHA256": sha256(kept["operator"]),
        "LINK_SECRET": kept["link"],
    }


def describe(bootstrap: str, databases: dict[str, str], at: dict[str, str], kept: dict[str, Any]) -> dict[str, Any]:
    """Return what `stack.json` says: addresses and keys. `at` is the host and port of each in `PORTS`."""
    return {
        "kafka": bootstrap,
        "services": {name: {"url": f"http://{at[name]}", "database": databases[name]} for name in SERVICES},
        "mail": {"url": f"http://{at['mail']}", "smtp": at["smtp"]},
        "network": {"url": f"http://{at['network']}"},
        "keys": {**kept["keys"], "operator": kept["operator"]},
    }


def keep_secrets(file: Path) -> dict[str, Any]:
    """Read the stack's keys, or make them at random on the first start."""
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    made = {
        "operator": new_secret("aq_operator"),
        "link": secrets.token_urlsafe(32),
        "databases": {name: secrets.token_urlsafe(24) for name in SERVICES},
        "keys": {
            "partners": {name: new_secret("aq_partner") for name in ("liege-calls", "gent-calls")},
            "reviewers": {name: new_secret("aq_reviewer") for name in ("rita", "ben", "carl")},
            "service_desk": new_secret("aq_desk"),
            "catalogue": new_secret("aq_catalogue"),
        },
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(made))
    return made


def make_databases(server: str, passwords: dict[str, str], host: str = "") -> dict[str, str]:
    """Make one database and one role per service where they are missing; returns their URLs.

    `host` is where services find the server, with its port; without it as we do.
    """
    import asyncio  # noqa: PLC0415 - the rest of this module is synchronous

    asyncio.run(_make_databases(server, passwords))
    at = host or server.rpartition("@")[2].partition("/")[0]
    return {name: f"postgresql://{name}:{password}@{at}/{name}" for name, password in passwords.items()}


async def _make_databases(server: str, passwords: dict[str, str]) -> None:
    connection = await asyncpg.connect(server)
    try:
        for name, password in passwords.items():
            exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
            verb = "ALTER" if exists else "CREATE"
            await connection.execute(f"{verb} ROLE {name} LOGIN PASSWORD '{password}'")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    finally:
        await connection.close()
