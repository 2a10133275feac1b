"""Kafka: topics made from the map, and the one FastStream batch subscriber of a service."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from contracts.topics import MEBIBYTE, Topic
from services.chassis import header_names, telemetry
from services.chassis.settings import Settings

log = structlog.get_logger()
faststream_log = logging.getLogger("services.chassis.faststream")
faststream_log.setLevel(logging.ERROR)  # its warnings are about choices that are ours

SESSION_TIMEOUT_MS = 10_000
"""A member that is silent this long is replaced; the heartbeat is under a third of it."""


COMMIT_EVERY_SECONDS = 1.0
"""How seldom offsets are committed: what is read again after a crash is dropped as repeats, by the watermark."""
COMMIT_WITHIN_SECONDS = 5.0
"""How long a commit of offsets is waited for; while Kafka is away that would be for ever."""


class Offsets:
    """How far the records of each partition are handled, committed to Kafka now and then and at the end.

    Never the consumer's positions: those are ahead of a batch that is under way.
    """

    def __init__(self) -> None:
        """Nothing is handled yet."""
        self.consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self._handled: dict[TopicPartition, int] = {}
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """Commit every now and then, until the end."""
        while not self._ending.is_set():
            try:
                await asyncio.wait_for(self._ending.wait(), timeout=COMMIT_EVERY_SECONDS)
            except TimeoutError:
                await self._commit()

    async def end(self) -> None:
        """Commit now, and from now on after each batch: the one under way is the last."""
        self._ending.set()
        await self._commit()

    async def handled(self, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        """These records, each the next of its partition, need not be read again."""
        for each in records:
            self._handled[TopicPartition(each.topic, each.partition)] = each.offset + 1
        if self._ending.is_set():
            await self._commit()

    async def _commit(self) -> None:
        """Commit what was handled since the last time, as far as the partitions are still ours."""
        consumer, handled, self._handled = self.consumer(), self._handled, {}
        ours = {each: offset for each, offset in handled.items() if consumer and each in consumer.assignment()}
        if not ours or consumer is None:
            return
        try:
            await asyncio.wait_for(consumer.commit(ours), timeout=COMMIT_WITHIN_SECONDS)
        except (KafkaError, TimeoutError) as error:
            # Rebalanced or away meanwhile: the next owner reads the records again and drops them as repeats.
            log.warning("offsets.not-committed", error=repr(error))
            self._handled = {**handled, **self._handled}


class BrokerAwayError(Exception):
    """Kafka did not answer in time at the start."""


async def provision(
    bootstrap: list[str], topics: Iterable[Topic], *, replication: int | None = None, wait: float = 60
) -> None:
    """Make the topics that are missing, as the map has them; waits up to `wait` seconds for Kafka to answer."""
    deadline = time.monotonic() + wait
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await admin.start()
            await _create_missing(admin, topics, replication)
        except (KafkaConnectionError, KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                message = f"Kafka at {', '.join(bootstrap)} does not answer: {error!r}"
                raise BrokerAwayError(message) from error
            await asyncio.sleep(0.3)
        else:
            return
        finally:
            await admin.close()


async def _create_missing(admin: AIOKafkaAdminClient, topics: Iterable[Topic], replication: int | None) -> None:
    existing = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in existing]
    if not missing:
        return
    brokers = len((await admin.describe_cluster())["brokers"])
    factor = replication or min(3, brokers)
    try:
        await admin.create_topics([_new_topic(topic, factor) for topic in missing])
    except TopicAlreadyExistsError:
        log.info("topics.made-by-a-neighbour")


def _new_topic(topic: Topic, replication: int) -> NewTopic:
    return NewTopic(
        name=topic.name,
        num_partitions=topic.partitions,
        replication_factor=replication,
        topic_configs={
            "retention.ms": str(topic.retention_ms),
            "cleanup.policy": "compact" if topic.compacted else "delete",
            "max.message.bytes": str(topic.max_message_bytes),
            "min.insync.replicas": str(max(1, replication - 1)),
        },
    )


def subscribe(
    settings: Settings,
    group: str,
    topics: Sequence[str],
    handle: Callable[[Sequence[Any]], Awaitable[bool]],
    offsets: Offsets,
) -> tuple[KafkaBroker, Any]:
    """Register one batch subscriber on all topics of a service; `handle` gets raw records, says if they are done.

    Raw records, because FastStream's parser loses a whole batch with one odd header; manual acknowledgement, because
    its policies commit past a failure or spin on it; `offsets` commits what `handle` returned from.
    """
    header_names.tolerate()
    broker = KafkaBroker(
        settings.brokers,
        client_id=group,
        allow_auto_create_topics=False,
        graceful_timeout=settings.graceful_stop,
        middlewares=telemetry.broker_middlewares(),
        apply_types=False,
        logger=faststream_log,
        enable_idempotence=True,
        acks="all",
    )

    async def parse(records: tuple[ConsumerRecord[Any, Any], ...]) -> KafkaAckableMessage:
        return KafkaAckableMessage(body=b"", headers={}, raw_message=records, consumer=subscriber.consumer)

    async def hand_on(message: KafkaAckableMessage) -> Sequence[ConsumerRecord[Any, Any]]:
        # Not the message: FastStream keeps the answer within it, and what holds itself waits for the collector.
        return message.raw_message if isinstance(message.raw_message, tuple) else (message.raw_message,)

    async def consume_batch(records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        began = time.monotonic()
        if not await handle(records):
            return
        await offsets.handled(records)
        if len(records) < settings.batch_size / 2:
            await asyncio.sleep(settings.pause(time.monotonic() - began))

    subscriber = broker.subscriber(
        *topics,
        group_id=group,
        batch=True,
        max_records=settings.batch_size,
        batch_timeout_ms=settings.batch_wait_ms,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        parser=parse,
        decoder=hand_on,
        # A member that comes back under its name gets its partitions at once, instead of after the session's time-out.
        group_instance_id=settings.instance or None,
        max_partition_fetch_bytes=5 * MEBIBYTE,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        rebalance_timeout_ms=3 * SESSION_TIMEOUT_MS,
    )
    subscriber(consume_batch)
    offsets.consumer = lambda: subscriber.consumer
    return broker, subscriber
