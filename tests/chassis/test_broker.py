"""Kafka: topics come from the map alone, business time stays out of timestamps, a rebalance doubles nothing."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from contracts.topics import TOPICS
from services.chassis import broker
from services.chassis.broker import BrokerAwayError
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.local.kafka import Kafka
from services.local.ports import free_port
from tests.chassis.sample import NAME, Notes, confirmed, handlers, keep_thing, orders, things, with_things
from tests.harness import MovableClock, Publish, RunService, Topics, eventually


async def test_topics_are_as_the_map_has_them(kafka: Kafka) -> None:
    await broker.provision([kafka.bootstrap], TOPICS)  # once more: what is there is left as it is
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        described = {each["topic"]: each for each in await admin.describe_topics([topic.name for topic in TOPICS])}
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in TOPICS]
        resources = [each for answer in await admin.describe_configs(asked) for each in answer.resources]
    finally:
        await admin.close()
    configured = {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries in resources}
    for topic in TOPICS:
        assert len(described[topic.name]["partitions"]) == topic.partitions
        assert configured[topic.name]["retention.ms"] == str(topic.retention_ms)
        assert configured[topic.name]["max.message.bytes"] == str(topic.max_message_bytes)
        assert configured[topic.name]["cleanup.policy"] == ("compact" if topic.compacted else "delete")


async def test_a_topic_that_nobody_made_does_not_come_into_being(kafka: Kafka, reader: AIOKafkaConsumer) -> None:
    curious = AIOKafkaConsumer("not-in-the-map", bootstrap_servers=kafka.bootstrap, request_timeout_ms=1500)
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await curious.start()
    finally:
        await curious.stop()
    assert "not-in-the-map" not in await reader.topics()


async def test_kafka_that_does_not_come_is_told_after_the_wait() -> None:
    began = time.monotonic()
    with pytest.raises(BrokerAwayError):
        await broker.provision([f"127.0.0.1:{free_port()}"], TOPICS, wait=1)
    assert time.monotonic() - began >= 1


def test_a_list_of_brokers_is_split() -> None:
    settings = Settings(database_url="postgresql://h/d", kafka_bootstrap="a:1, b:2,c:3")
    assert settings.brokers == ["a:1", "b:2", "c:3"]
    assert settings.database_url == "postgresql+asyncpg://h/d"


async def test_business_time_far_ahead_goes_into_the_envelope_and_not_into_kafkas_timestamp(
    run_service: RunService, publish: Publish, read_topic: Topics, clock: MovableClock
) -> None:
    clock.advance(timedelta(days=400))
    async with run_service(NAME, Notes().handlers):
        await publish(confirmed("o1"))
        (message,) = await eventually(lambda: read_topic("subscriptions"))
        (record,) = await read_topic.records("subscriptions")
    assert message.envelope.time > clock.now() - timedelta(minutes=1)
    assert abs(record.timestamp / 1000 - time.time()) < 60


@pytest.mark.faults
async def test_two_processes_and_rebalances_between_them_have_every_effect_once_and_in_order(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    async def publish_all() -> None:
        for round_number in range(25):
            await publish(*(confirmed(f"{key}-{round_number}", f"sub-{key}") for key in range(12)))
            await asyncio.sleep(0.1)

    async with with_things(run_service, keep_thing) as first:
        publishing = asyncio.create_task(publish_all())
        await eventually(lambda: read_topic("subscriptions"))
        second = Service(NAME, first.settings, handlers=handlers(keep_thing))
        async with second.running():
            await eventually(lambda: shared(first, second))
        await publishing

        async def all_answered() -> bool:
            return len(set(orders(await read_topic("subscriptions")))) == 300

        await eventually(all_answered)
        assert {row.times for row in (await things(first)).values()} == {1}
        assert await read_topic("dead-letters") == []
    for key in range(12):
        answered = orders(await read_topic("subscriptions", f"sub-{key}"))
        assert list(dict.fromkeys(answered)) == [f"{key}-{number}" for number in range(25)]


async def shared(*services: Service) -> bool:
    """Whether each of them has partitions."""
    return all([(await each.readiness())["consumer"]["partitions"] for each in services])


async def test_what_was_handled_is_freed_at_once_and_does_not_wait_for_the_collector(
    run_service: RunService, publish: Publish
) -> None:
    def records() -> int:
        return sum(isinstance(each, ConsumerRecord) for each in gc.get_objects())

    notes = Notes()
    async with run_service(NAME, notes.handlers):
        gc.collect()
        before = records()
        gc.disable()
        try:
            await publish(*(confirmed(f"order-{number}", f"sub-{number}") for number in range(300)))
            await eventually(lambda: len(notes.seen) == 300)
            await eventually(lambda: records() <= before, timeout=5)
        finally:
            gc.enable()
