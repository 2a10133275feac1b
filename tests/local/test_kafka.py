"""Embedded Kafka: real brokers that keep their data and survive the loss of one."""

import sys
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.local.kafka import Kafka, KafkaError, class_path
from tests.local.waiting import until

ORDERS = TopicPartition("orders", 0)
FOUR_MEBIBYTES = b"x" * 4 * 1024 * 1024


async def make_topic(kafka: Kafka, copies: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    await admin.start()
    await admin.create_topics([NewTopic(ORDERS.topic, num_partitions=1, replication_factor=copies)])
    await admin.close()


@asynccontextmanager
async def producing(kafka: Kafka) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap.split(","), acks="all", enable_idempotence=True, max_request_size=5_000_000
    ) as producer:
        yield producer


async def read(kafka: Kafka, count: int) -> list[bytes]:
    """The first records of the topic."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap.split(","), auto_offset_reset="earliest", fetch_max_bytes=50_000_000
    ) as consumer:
        consumer.assign([ORDERS])
        return [(await consumer.getone()).value for _ in range(count)]


async def test_keeps_data_and_port_over_a_restart_and_takes_the_largest_dead_letter(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    kafka.start(print)
    first = kafka.bootstrap
    try:
        await make_topic(kafka, copies=1)
        async with producing(kafka) as producer:
            await producer.send_and_wait("orders", b"before the restart")
            await producer.send_and_wait("orders", FOUR_MEBIBYTES)
        kafka.stop()
        assert kafka.pids == {}
        again = Kafka(tmp_path)
        again.start(print)
        kafka = again
        assert kafka.bootstrap == first
        assert await read(kafka, 2) == [b"before the restart", FOUR_MEBIBYTES]
    finally:
        kafka.stop()


@pytest.mark.faults
@pytest.mark.timeout(120)
async def test_three_brokers_survive_the_loss_of_one(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path, brokers=3, heap_mb=256)
    kafka.start(print)
    try:
        await make_topic(kafka, copies=3)
        async with producing(kafka) as producer:
            await producer.send_and_wait("orders", b"all three up")
            kafka.kill(2)
            assert set(kafka.pids) == {1, 3}
            await producer.send_and_wait("orders", b"one is down")
            kafka.start_broker(2)
            assert set(kafka.pids) == {1, 2, 3}
            await producer.send_and_wait("orders", b"it is back")
        assert await read(kafka, 3) == [b"all three up", b"one is down", b"it is back"]
    finally:
        kafka.stop()


def test_an_identity_that_begins_like_an_option_is_as_good_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.local.kafka.uuid.uuid4", lambda: uuid.UUID(bytes=b"\xf8" + b"\x11" * 15))
    kafka = Kafka(tmp_path)
    kafka.start(print)
    kafka.stop()
    assert kafka._cluster_id.startswith("-")


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path, heap_mb=1)
    with pytest.raises(KafkaError, match="heap"):
        kafka.start(print)


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops what was left")
def test_no_broker_runs_on_when_we_are_killed(tmp_path: Path, killed_after: Callable[[str], int]) -> None:
    pid = killed_after(f"""
        from services.local.kafka import Kafka
        kafka = Kafka(Path({str(tmp_path)!r}))
        kafka.start(lambda _: None)
        print(kafka.pids[1], flush=True)
    """)
    until(lambda: not psutil.pid_exists(pid))


def test_the_jars_are_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class_path(print)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("used the network")

    monkeypatch.setattr("requests.sessions.Session.request", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert "kafka_2.13-4.3.1.jar" in class_path(print)


def test_a_download_that_was_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, torn = jar(tmp_path / "whole.jar"), tmp_path / "repository" / "torn.jar"
    torn.parent.mkdir()
    torn.write_bytes(whole.read_bytes()[:50])
    monkeypatch.setenv("M2_REPO", str(torn.parent))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    asked: list[bool] = []

    def build(_: str, *, update: bool = False) -> SimpleNamespace:
        asked.append(update)
        return SimpleNamespace(all_jars=[whole if update else torn], lock_path=whole)

    monkeypatch.setattr("jgo.build", build)
    assert class_path(print) == str(whole)
    assert asked == [False, True]
    assert not torn.exists()


def jar(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("content", "x" * 100)
    return path
