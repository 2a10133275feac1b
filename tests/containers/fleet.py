"""The whole system in containers on a network of its own, and ports that stay while containers come and go."""

from __future__ import annotations

import secrets
import socket
import socketserver
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import yaml
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from contracts.topics import SERVICES
from services.local import loading
from services.local.doors import Doors
from services.local.ports import HOST, free_port
from services.local.stack import (
    DEFAULT_START,
    describe,
    keep_secrets,
    make_databases,
    secret_environment,
    start_clock,
)

ROOT = Path(__file__).parents[2]
TAG = "tests"
COMPOSED: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
PORT, SMTP_PORT, KAFKA_OUTSIDE = 8000, 1025, 19092
READY = timedelta(seconds=120)
STOP_SECONDS = 30


def image(name: str) -> str:
    """Our image of a service, or `local`."""
    return f"asquoted/{name}:{TAG}"


class Passage(socketserver.BaseRequestHandler):
    """One connection through a door."""

    def handle(self) -> None:
        """Hand on what comes from either side until both are done."""
        with suppress(OSError), socket.create_connection((HOST, cast("Door", self.server).leads_to)) as inside:
            back = threading.Thread(target=pour, args=(inside, self.request), daemon=True)
            back.start()
            pour(self.request, inside)
            back.join()


def pour(source: socket.socket, sink: socket.socket) -> None:
    """Hand on everything, then say that nothing more comes."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class Door(socketserver.ThreadingTCPServer):
    """A port that stays, as a load balancer's would; new connections go where it leads to now."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__((HOST, free_port()), Passage)
        self.leads_to = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Fleet:
    """Kafka, PostgreSQL, the stand-ins and one container of each service; `add` and `replace` change the latter."""

    def __init__(self, folder: Path) -> None:
        self.clock_file = folder / "clock" / "clock.json"
        self.secrets = keep_secrets(folder / "secrets.json")
        self.network = Network()
        self.running: dict[str, list[DockerContainer]] = {name: [] for name in SERVICES}
        self.doors = {name: Door() for name in SERVICES}
        self.description: dict[str, Any] = {}
        self._all: list[DockerContainer] = []
        self._databases: dict[str, str] = {}

    def start(self) -> None:
        """Start everything and load the demo's data."""
        self._start_clock()
        self.network.create()
        kafka, postgres, mail, network = self._kafka(), self._postgres(), self._mail(), self._network()
        server = postgres.get_connection_url(host=HOST)
        self._databases = make_databases(server, self.secrets["databases"], "postgres:5432")
        at = {name: door.address for name, door in self.doors.items()}
        at |= {"mail": address(mail), "network": address(network), "smtp": f"mail:{SMTP_PORT}"}
        ours = make_databases(server, self.secrets["databases"])
        self.description = describe(f"{HOST}:{kafka.get_exposed_port(KAFKA_OUTSIDE)}", ours, at, self.secrets)
        started = [self.begin(name) for name in SERVICES]
        for name, container in zip(SERVICES, started, strict=True):
            self.lead_to(name, container)
        with Doors(self.description) as doors:
            loading.load(doors, lambda _: None)
            doors.quiet(seconds=120)

    def stop(self) -> None:
        """Remove everything."""
        for container in reversed(self._all):
            container.stop()
        for door in self.doors.values():
            door.stop()
        self.network.remove()

    def begin(self, service: str) -> DockerContainer:
        """One more container of a service; it is not ready yet."""
        environment = secret_environment(service, self._databases, self.secrets) | {
            "KAFKA_BOOTSTRAP": "kafka:9092",
            "CLOCK_FILE": "/run/clock/clock.json",
            "PUBLIC_URL": f"http://{self.doors['intake'].address}",
            "NETWORK_URL": f"http://network:{PORT}",
            "SMTP_HOST": "mail",
            "SMTP_PORT": str(SMTP_PORT),
            "SMS_URL": f"http://mail:{PORT}/sms",
        }
        container = DockerContainer(image(service)).with_envs(**environment)
        container.with_volume_mapping(self.clock_file.parent, "/run/clock", "ro")
        self.running[service].append(self._run(container, f"{service}-{len(self._all)}", PORT))
        return container

    def lead_to(self, service: str, container: DockerContainer) -> None:
        """Wait until a container is ready, then have the service's door lead to it."""
        HttpWaitStrategy(PORT, "/readyz").with_startup_timeout(READY).wait_until_ready(container)
        self.doors[service].leads_to = container.get_exposed_port(PORT)

    def replace(self, service: str) -> int:
        """A new container of a service, then the end of the old one; returns the exit code of that."""
        (old,) = self.running[service]
        self.lead_to(service, self.begin(service))
        self.running[service].remove(old)
        old.get_wrapped_container().stop(timeout=STOP_SECONDS)
        return old.wait()

    def kill(self, service: str, container: DockerContainer) -> None:
        """`kill -9` of one container of a service."""
        container.get_wrapped_container().kill()
        self.running[service].remove(container)

    def _start_clock(self) -> None:
        """A business time that the user of our images can read."""
        self.clock_file.parent.mkdir(mode=0o755)
        start_clock(self.clock_file, DEFAULT_START)

    def _kafka(self) -> DockerContainer:
        """As compose.yaml has it, with one more listener for those who are not in a container."""
        outside = free_port()
        settings = COMPOSED["kafka"]["environment"] | {
            "KAFKA_LISTENERS": f"PLAINTEXT://:9092,CONTROLLER://:9093,OUTSIDE://:{KAFKA_OUTSIDE}",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://kafka:9092,OUTSIDE://{HOST}:{outside}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        }
        container = DockerContainer(COMPOSED["kafka"]["image"]).with_envs(**settings)
        container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(READY))
        return self._run(container, "kafka", KAFKA_OUTSIDE, outside)

    def _postgres(self) -> PostgresContainer:
        password = secrets.token_urlsafe(16)
        container = PostgresContainer(
            COMPOSED["postgres"]["image"], username="postgres", password=password, dbname="postgres", driver=None
        )
        container.with_command(COMPOSED["postgres"]["command"])
        self._run(container, "postgres", 5432)
        return container

    def _mail(self) -> DockerContainer:
        return self._stand_in("mail", ["--smtp-port", str(SMTP_PORT)])

    def _network(self) -> DockerContainer:
        return self._stand_in("network", [])

    def _stand_in(self, name: str, options: list[str]) -> DockerContainer:
        argv = ["python", "-m", f"services.local.{name}", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - inside
        container = DockerContainer(image("local")).with_kwargs(entrypoint=argv).with_command(options)
        container.waiting_for(HttpWaitStrategy(PORT, "/livez").with_startup_timeout(READY))
        return self._run(container, name, PORT)

    def _run(self, container: DockerContainer, alias: str, port: int, outside: int | None = None) -> DockerContainer:
        """Start it on the network under this name, one of its ports on this machine alone."""
        cast("dict[str, Any]", container.ports)[str(port)] = (HOST, outside)  # its own methods know no address
        self._all.append(container)
        return container.with_network(self.network).with_network_aliases(alias).start()


def address(container: DockerContainer) -> str:
    """Where a container's HTTP port is found on this machine."""
    return f"{HOST}:{container.get_exposed_port(PORT)}"
