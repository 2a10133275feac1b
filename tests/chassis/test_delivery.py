"""Delivery: what FastStream and aiokafka would lose, spin on or double, and what is no fault at all."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream import AckPolicy
from sqlalchemy import insert

from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered
from contracts.offer_v2 import OfferWithdrawn
from contracts.order_v1 import Discrepancy, OrderCompleted, OrderConfirmed
from contracts.subscription_v1 import ChangeCancelled
from services.chassis import telemetry
from services.chassis.consuming import UnhandledEventError, consumes
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.transaction import Transaction
from tests.chassis.sample import (
    NAME,
    Notes,
    Thing,
    answer,
    confirmed,
    handlers,
    keep_thing,
    letters,
    orders,
    parked,
    things,
    with_things,
)
from tests.harness import START, MovableClock, Publish, RunService, Topics, door, eventually

GOOD = confirmed("good").to_value()
TYPE = OrderConfirmed.type


def headers(publish: Publish, **changes: bytes | None) -> list[tuple[str, bytes | None]]:
    """The headers of the next event of sub-1, some changed; None takes one away."""
    pairs: dict[str, bytes | None] = dict(publish.envelope(confirmed("good")).headers())
    pairs.update({name.replace("content_type", "content-type"): value for name, value in changes.items()})
    return [(name, value) for name, value in pairs.items() if value is not None]


POISON: dict[str, Any] = {
    "no JSON": lambda p: (b"{not json", headers(p)),
    "no UTF-8": lambda p: (b"\xff\xfe", headers(p)),
    "the wrong shape": lambda p: (b'{"order": 7}', headers(p)),
    "900 KB": lambda p: (b"x" * 900_000, headers(p)),
    "no headers": lambda _p: (GOOD, []),
    "no type": lambda p: (GOOD, headers(p, ce_type=None)),
    "a malformed type": lambda p: (GOOD, headers(p, ce_type=b"OrderConfirmed")),
    "a header without a value": lambda p: (GOOD, [*headers(p), ("x-trace", None)]),
    "a header that is not UTF-8": lambda p: (GOOD, [*headers(p), ("x-trace", b"\xff")]),
    "a header with a NUL": lambda p: (GOOD, [*headers(p), ("x-trace", b"a\x00b")]),
    "a tombstone": lambda p: (None, headers(p)),
    "an empty value": lambda p: (b"", headers(p)),
    "another's source": lambda p: (GOOD, headers(p, ce_source=b"billing")),
    "no sequence": lambda p: (GOOD, headers(p, ce_sequence=None)),
    "a sequence that no column holds": lambda p: (GOOD, headers(p, ce_sequence=b"9" * 20)),
    "no key in the envelope": lambda p: (GOOD, headers(p, ce_partitionkey=None)),
    "another key in the envelope": lambda p: (GOOD, headers(p, ce_partitionkey=b"sub-2")),
    "an id that would not fit into what follows": lambda p: (GOOD, headers(p, ce_id=b"i" * 9000)),
    "nesting without end": lambda p: (b"[" * 100_000, headers(p)),
}


async def test_one_subscriber_per_service_acknowledges_by_hand_and_misses_nothing(run_service: RunService) -> None:
    async with run_service(NAME, Notes().handlers) as service:
        subscriber = service._subscriber
        assert service._broker is not None
        assert service._broker.subscribers == [subscriber]
        assert subscriber.ack_policy is AckPolicy.MANUAL
        assert subscriber.group_id == NAME
        assert subscriber.consumer._auto_offset_reset == "earliest"
        assert subscriber.consumer._enable_auto_commit is False
        assert set(subscriber.topic_names) == set(service.consumer.topics)


@pytest.mark.parametrize("kind", POISON)
async def test_what_cannot_be_read_is_one_case_with_all_its_bytes(
    kind: str, run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        value, sent = POISON[kind](publish)
        place = await publish.raw("orders", value, b"sub-1", sent)
        await publish(confirmed("other", "sub-other"))
        await eventually(lambda: notes.seen == ["other"])
        (letter,) = await eventually(lambda: read_topic.events("dead-letters"))
        assert isinstance(letter, MessageDeadLettered)
        assert (letter.topic, letter.partition, letter.offset) == ("orders", place.partition, place.offset)
        assert (letter.code, letter.service, letter.attempt) == ("message.unreadable", NAME, 1)
        assert letter.key_base64 == base64.b64encode(b"sub-1").decode()
        assert letter.value_base64 == (None if value is None else base64.b64encode(value).decode())
        kept = [(each.name, each.value_base64) for each in letter.headers]
        assert kept == [(name, None if data is None else base64.b64encode(data).decode()) for name, data in sent]
        assert len(await letters(service, "failed")) == 1
        assert await parked(service) == 1


async def test_a_handler_that_raises_on_one_record_of_a_batch_of_500_stops_no_other(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    notes.failing = {"order-250"}
    async with run_service(NAME, notes.handlers):
        await publish(*(confirmed(f"order-{number}", f"sub-{number}") for number in range(500)))
        answers = await eventually(lambda: at_least(499, read_topic("subscriptions")))
        (letter,) = await read_topic.events("dead-letters")
    assert sorted(orders(answers)) == sorted(f"order-{number}" for number in range(500) if number != 250)
    assert isinstance(letter, MessageDeadLettered)
    assert letter.code == "message.unhandled"
    assert "RuntimeError: order-250 cannot be handled" in letter.reason
    assert letter.value_base64 == base64.b64encode(confirmed("order-250", "sub-250").to_value()).decode()


async def test_a_record_without_a_key_parks_nothing(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        await publish.raw("orders", b"{", None)
        await publish.raw("orders", b"{", None)
        await publish(confirmed("next"))
        await eventually(lambda: at_least(2, read_topic("dead-letters")))
        await eventually(lambda: notes.seen == ["next"])
        assert await parked(service) == 0


@pytest.mark.parametrize("text", ["a NUL \x00 in it", "a text of more than twenty characters"])
async def test_a_record_whose_data_the_database_refuses_is_found_by_halves(
    text: str, run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    async with with_things(run_service, keep_thing) as service:
        await publish(*(confirmed(f"o{n}", f"sub-{n}", text if n == 37 else "fine") for n in range(60)))
        answers = await eventually(lambda: at_least(59, read_topic("subscriptions")))
        (letter,) = await eventually(lambda: read_topic.events("dead-letters"))
        assert isinstance(letter, MessageDeadLettered)
        assert letter.code == "message.unhandled"
        assert letter.value_base64 == base64.b64encode(confirmed("o37", "sub-37", text).to_value()).decode()
        assert sorted(orders(answers)) == sorted(f"o{n}" for n in range(60) if n != 37)
        assert {row.times for row in (await things(service)).values()} == {1}


async def test_a_lone_record_that_lost_a_race_for_a_row_is_no_case(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    raced: list[Service] = []

    @consumes(OrderConfirmed)
    async def race(event: OrderConfirmed, tx: Transaction) -> list[ChangeCancelled]:
        found = await tx.get(Thing, event.order.id)
        if raced:
            async with raced.pop().engine.begin() as connection:  # another process is first by a moment
                await connection.execute(insert(Thing).values(id=event.order.id, note="theirs", times=1))
        (tx.put if found else tx.add)(Thing(id=event.order.id, note="ours", times=2 if found else 1))
        return [answer(event)]

    async with with_things(run_service, race) as service:
        raced.append(service)
        await publish(confirmed("o1"))
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]
        assert await read_topic("dead-letters") == []
        assert (await things(service))["o1"].times == 2


async def test_a_handler_that_raises_an_os_error_is_a_fault_of_its_own_and_no_outage(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    @consumes(OrderConfirmed)
    async def read_a_file(_event: OrderConfirmed, _tx: Transaction) -> None:
        raise FileNotFoundError("rates.csv")

    async with run_service(NAME, handlers(read_a_file)):
        await publish(confirmed("o1"))
        assert len(await eventually(lambda: read_topic("dead-letters"))) == 1


async def test_an_event_that_is_too_large_or_has_no_key_is_a_fault_of_the_record_that_asks_for_it(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    @consumes(OrderConfirmed)
    async def boast(event: OrderConfirmed, _tx: Transaction) -> list[ChangeCancelled]:
        odd = {
            "large": {"order_id": "x" * 2_000_000},
            "keyless": {"subscription_id": ""},
            "long-key": {"subscription_id": "k" * 501},
        }
        return [answer(event).model_copy(update=odd.get(event.order.id))]

    async with run_service(NAME, handlers(boast)):
        await publish(*(confirmed(each, each) for each in ("large", "keyless", "long-key", "fine")))
        found = await eventually(lambda: at_least(3, read_topic.events("dead-letters")))
        reasons = sorted(each.reason.strip().splitlines()[-1].split(":")[0].split(".")[-1] for each in found)
        assert reasons == ["EmptyKeyError", "EventTooLargeError", "EventTooLargeError"]
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["fine"]


async def test_unknown_well_formed_types_are_skipped_and_counted_and_move_the_watermark(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes, skipped, first = Notes(), telemetry.SKIPPED.labels("orders"), confirmed("o1")
    before = skipped._value.get()
    async with run_service(NAME, notes.handlers) as service:
        await publish(first, OrderCompleted(order=first.order, completed_at=first.confirmed_at))
        strange = publish.envelope(confirmed("o2"))
        unknown = [(n, b"order.teleported.v7" if n == "ce_type" else v) for n, v in strange.headers()]
        await publish.raw("orders", b"any bytes", b"sub-1", unknown)
        await publish(confirmed("o3"))
        answers = await eventually(lambda: at_least(2, read_topic("subscriptions")))
        assert orders(answers) == ["o1", "o3"]
        assert skipped._value.get() == before + 2
        assert await read_topic("dead-letters") == []  # no gap either: what is skipped counts
        assert await letters(service) == []


async def test_repeats_are_dropped_also_after_the_offsets_were_set_to_zero(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes, repeated = Notes(), telemetry.REPEATED.labels("orders")
    async with run_service(NAME, notes.handlers) as service:
        first = confirmed("o1")
        envelope = publish.envelope(first)
        for _ in range(3):
            await publish.raw("orders", first.to_value(), b"sub-1", envelope.headers())
        await publish.raw("orders", b"{", b"sub-2")
        await publish(confirmed("o2"))
        await eventually(lambda: notes.seen == ["o1", "o2"])
        database = service.settings.database_url
    await rewind(service, {each: at for each, at in read_topic._mark.items() if each.topic in service.consumer.topics})
    before = repeated._value.get()
    async with run_service(NAME, notes.handlers, database=database, resume=True) as service:
        await publish(confirmed("o3"))
        answers = await eventually(lambda: at_least(3, read_topic("subscriptions")))
        assert sorted(orders(answers)) == sorted(notes.seen) == ["o1", "o2", "o3"]
        assert repeated._value.get() == before + 4
        assert len(await read_topic("dead-letters")) == 1
        assert len(await letters(service)) == 1


async def test_a_gap_is_reported_and_the_event_after_it_handled(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    @consumes(OrderConfirmed)
    async def find(event: OrderConfirmed, tx: Transaction) -> list[DiscrepancyFound]:
        key = event.order.subscription_id
        case_id = tx.next_id(DiscrepancyFound, key)
        return [DiscrepancyFound(case_id=case_id, subscription_id=key, discrepancies=(fault("services.lost"),))]

    async with run_service(NAME, handlers(find)) as service:
        publish.envelope(confirmed("lost"))
        publish.envelope(confirmed("lost too"))
        await publish(confirmed("o3"))
        found = await eventually(lambda: at_least(2, read_topic("dead-letters")))
        assert await parked(service) == 0
    gap, other = (each.event for each in found)
    assert isinstance(gap, DiscrepancyFound)
    assert isinstance(other, DiscrepancyFound)
    assert [(each.code, each.expected, each.given) for each in gap.discrepancies] == [("message.missing", 1, 3)]
    assert other.discrepancies[0].code == "services.lost"
    assert [each.event.case_id for each in found] == [each.envelope.id for each in found]
    assert gap.case_id != other.case_id


async def test_a_gap_in_what_is_keyed_by_an_offer_names_no_subscription(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    withdrawn = OfferWithdrawn(code="TRIO", versions=(1,), withdrawn_at=START)
    async with run_service(NAME, handlers()):
        publish.envelope(withdrawn)
        await publish(withdrawn)
        (gap,) = await eventually(lambda: read_topic.events("dead-letters"))
    assert isinstance(gap, DiscrepancyFound)
    assert [(each.code, each.path) for each in gap.discrepancies] == [("message.missing", "/offers/TRIO")]
    assert (gap.subscription_id, gap.key) == (None, gap.case_id)


async def test_more_failures_than_a_minute_may_bring_stop_the_consumer_until_it_is_resumed(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    notes.failing = {f"bad-{n}" for n in range(6)}
    async with run_service(NAME, notes.handlers, technical_cases_per_minute=3) as service:
        await publish(*(confirmed(f"bad-{n}", f"sub-{n}") for n in range(6)), confirmed("good", "sub-good"))
        await eventually(lambda: at_least(4, read_topic("dead-letters")))
        await eventually(lambda: not_ready(service))
    assert len(await read_topic("dead-letters")) == 4
    async with run_service(
        NAME, notes.handlers, database=service.settings.database_url, resume=True, technical_cases_per_minute=3
    ) as service:
        assert await not_ready(service), "a restart must not let it go on"
        notes.failing.clear()
        async with door(service, "operator-of-the-tests") as client:
            assert (await client.post("/v1/consumer/resume")).status_code == 202
        await eventually(lambda: {"good"} <= set(notes.seen))
        await eventually(lambda: at_least(3, read_topic("subscriptions")))
        assert len(await read_topic("dead-letters")) == 4


async def test_below_the_threshold_the_consumer_never_stops(run_service: RunService, publish: Publish) -> None:
    notes = Notes()
    notes.failing = {"bad-0", "bad-1", "bad-2"}
    async with run_service(NAME, notes.handlers, technical_cases_per_minute=3) as service:
        await publish(*(confirmed(f"bad-{n}", f"sub-{n}") for n in range(3)), confirmed("good", "sub-good"))
        await eventually(lambda: notes.seen == ["good"])
        assert (await service.readiness())["stopped"] is False


async def test_refused_data_counts_towards_the_threshold_too(run_service: RunService, publish: Publish) -> None:
    async with with_things(run_service, keep_thing, technical_cases_per_minute=3) as service:
        await publish(*(confirmed(f"o{n}", f"sub-{n}", "x" * 21) for n in range(6)))
        await eventually(lambda: not_ready(service))
        assert len(await letters(service)) == 4


async def test_a_record_larger_than_the_topic_of_dead_letters_is_shown_cut_and_kept_whole(
    run_service: RunService, kafka: Any, publish: Publish, read_topic: Topics
) -> None:
    value = b"0" * 5_000_000
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, compression_type="lz4", max_request_size=10_000_000
        ) as stranger:
            await stranger.send_and_wait("orders", value, key=b"sub-1")
        await publish(confirmed("next", "sub-2"))
        (letter,) = await eventually(lambda: read_topic.events("dead-letters"))
        await eventually(lambda: notes.seen == ["next"])
        assert isinstance(letter, MessageDeadLettered)
        assert letter.reason.startswith("[cut: 5000000 bytes, 0 headers]")
        (kept,) = await letters(service)
        assert kept.value == value


async def test_every_compression_that_a_producer_may_choose_is_read(
    run_service: RunService, kafka: Any, publish: Publish
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers):
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            event = confirmed(codec)
            async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=codec) as stranger:
                await stranger.send_and_wait(
                    "orders", event.to_value(), key=b"sub-1", headers=publish.envelope(event).headers()
                )
        await eventually(lambda: notes.seen == ["gzip", "snappy", "lz4", "zstd"])


def test_handlers_that_differ_from_the_map_are_refused_at_the_start(clock: MovableClock) -> None:
    settings = Settings(database_url="postgresql://nobody/", kafka_bootstrap="nowhere:1", clock_file=clock.file)
    with pytest.raises(UnhandledEventError, match=TYPE):
        Service(NAME, settings)


def fault(code: str) -> Any:
    return Discrepancy(code=code, path="/removals", expected=["tv"], given=[], stage=NAME)


async def at_least(count: int, reading: Any) -> Any:
    """What was read, once there are so many."""
    found = await reading
    return found if len(found) >= count else None


async def not_ready(service: Service) -> bool:
    """Whether a service is stopped and says so."""
    async with door(service) as client:
        answer = await client.get("/readyz")
    return answer.status_code == 503 and answer.json()["stopped"] is True


async def rewind(service: Service, offsets: dict[TopicPartition, int]) -> None:
    """Set a group's offsets, as an operator could."""
    async with AIOKafkaConsumer(
        bootstrap_servers=service.settings.brokers, group_id=service.name, enable_auto_commit=False
    ) as group:
        group.assign(list(offsets))
        await group.commit(offsets)
