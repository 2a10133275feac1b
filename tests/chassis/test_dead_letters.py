"""Dead letters: what waits behind a failed record, and what decisions let go, in order."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from contracts.case_v1 import CaseDecided
from contracts.dead_letter_v1 import MessageDeadLettered, MessageReleased
from contracts.order_v1 import OrderCancellationRequested, OrderCompleted, OrderConfirmed
from contracts.subscription_v1 import ChangeCancelled
from services.chassis import consuming
from services.chassis.consuming import consumes
from services.chassis.service import Service
from services.chassis.transaction import Transaction
from tests.chassis.sample import (
    NAME,
    Notes,
    answer,
    confirmed,
    decided,
    handlers,
    keep_thing,
    letters,
    orders,
    parked,
    things,
    with_things,
)
from tests.chassis.test_delivery import at_least, rewind
from tests.harness import Publish, RunService, Topics, eventually


async def only_case(read_topic: Topics) -> str:
    """The case of the one dead letter."""
    (letter,) = await eventually(lambda: read_topic.events("dead-letters"))
    assert isinstance(letter, MessageDeadLettered)
    return letter.case_id


async def releases(read_topic: Topics) -> list[MessageReleased]:
    """What was let go or set aside."""
    return [each for each in await read_topic.events("dead-letters") if isinstance(each, MessageReleased)]


async def test_later_events_of_the_key_wait_and_go_in_order_after_send_again(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    notes.failing = {"o2"}
    async with run_service(NAME, notes.handlers) as service:
        await publish(*(confirmed(f"o{n}") for n in (1, 2, 3, 4)), confirmed("elsewhere", "sub-2"))
        case_id = await only_case(read_topic)
        await eventually(lambda: sorted(notes.seen) == ["elsewhere", "o1"])
        await eventually(lambda: in_state(service, "waiting", 2))
        notes.failing.clear()
        await publish(decided(case_id, "send_again"))
        await eventually(lambda: not_parked(service))
        await publish(confirmed("o5"))
        answers = await eventually(lambda: at_least(5, read_topic("subscriptions", "sub-1")))
        assert orders(answers) == ["o1", "o2", "o3", "o4", "o5"]
        assert [each.envelope.sequence for each in answers] == [1, 2, 3, 4, 5]
        released = await eventually(lambda: releases(read_topic))
        assert [(each.case_id, each.service, each.outcome) for each in released] == [(case_id, NAME, "handled")]
        assert {row.state for row in await letters(service)} == {"released"}


async def test_set_aside_leaves_one_record_out_and_lets_the_others_go(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        await publish.raw("orders", b"{", b"sub-1")
        await publish(confirmed("o1"), confirmed("o2"))
        case_id = await only_case(read_topic)
        await eventually(lambda: in_state(service, "waiting", 2))
        await publish(decided(case_id, "set_aside"))
        await eventually(lambda: notes.seen == ["o1", "o2"])
        await eventually(lambda: not_parked(service))
        released = await eventually(lambda: releases(read_topic))
        assert [each.outcome for each in released] == ["set-aside"]


async def test_a_record_that_fails_again_stays_first_with_its_attempts_counted(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    notes.failing = {"o1"}
    async with run_service(NAME, notes.handlers) as service:
        await publish(confirmed("o1"), confirmed("o2"))
        case_id = await only_case(read_topic)
        await publish(decided(case_id, "send_again"))
        found = await eventually(lambda: at_least(2, read_topic("dead-letters")))
        assert [each.event.attempt for each in found if isinstance(each.event, MessageDeadLettered)] == [1, 2]
        assert {each.event.key for each in found} == {case_id}
        assert len({each.envelope.id for each in found}) == 2
        assert notes.seen == []
        notes.failing.clear()
        await publish(decided(case_id, "send_again"))
        await eventually(lambda: notes.seen == ["o1", "o2"])
        await eventually(lambda: not_parked(service))


async def test_the_next_one_that_fails_is_a_case_of_its_own_and_stops_the_queue(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    notes.failing = {"o1", "o3"}
    async with run_service(NAME, notes.handlers) as service:
        await publish(*(confirmed(f"o{n}") for n in range(1, 5)))
        first = await only_case(read_topic)
        await eventually(lambda: in_state(service, "waiting", 3))
        notes.failing = {"o3"}
        await publish(decided(first, "send_again"))
        await eventually(lambda: notes.seen == ["o1", "o2"])
        await eventually(lambda: in_state(service, "waiting", 1))

        async def others() -> list[str]:
            found = await read_topic.events("dead-letters")
            return [each.case_id for each in found if isinstance(each, MessageDeadLettered) and each.case_id != first]

        (second,) = await eventually(others)
        await publish(decided(first, "set_aside"))  # decided once already: it does not let the next one pass
        notes.failing.clear()
        await publish(decided(second, "send_again"))
        await eventually(lambda: notes.seen == ["o1", "o2", "o3", "o4"])


async def test_a_queue_longer_than_a_page_runs_to_its_end(
    run_service: RunService, publish: Publish, read_topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "QUEUE_PAGE", 10)
    notes = Notes()
    notes.failing = {"o0"}
    expected = [f"o{n}" for n in range(35)]
    async with run_service(NAME, notes.handlers) as service:
        await publish(*map(confirmed, expected))
        case_id = await only_case(read_topic)
        await eventually(lambda: in_state(service, "waiting", 34))
        notes.failing.clear()
        await publish(decided(case_id, "send_again"))
        await eventually(lambda: not_parked(service))
        answers = await eventually(lambda: at_least(35, read_topic("subscriptions")))
        assert orders(answers) == expected


async def test_a_poison_read_again_after_its_decision_holds_up_nothing(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        place = await publish.raw("orders", b"{", b"sub-1")
        await publish(decided(await only_case(read_topic), "set_aside"))
        await eventually(lambda: not_parked(service))
        database = service.settings.database_url
    await publish(confirmed("o1"))
    await rewind(service, {TopicPartition("orders", place.partition): place.offset})
    async with run_service(NAME, notes.handlers, database=database, resume=True) as service:
        await eventually(lambda: notes.seen == ["o1"])
        assert await letters(service, "waiting") == []
        found = await eventually(lambda: at_least(2, read_topic.events("dead-letters")))
        assert [type(each) for each in found] == [MessageDeadLettered, MessageReleased]


async def test_what_waits_is_refused_by_the_database_alone(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    failing = {"o1"}

    @consumes(OrderConfirmed)
    async def fail_or_keep(event: OrderConfirmed, tx: Transaction) -> list[ChangeCancelled]:
        if event.order.id in failing:
            raise RuntimeError
        return await keep_thing(event, tx)

    async with with_things(run_service, fail_or_keep) as service:
        await publish(confirmed("o1"), confirmed("o2"), confirmed("o3", medium="x" * 21), confirmed("o4"))
        case_id = await only_case(read_topic)
        await eventually(lambda: in_state(service, "waiting", 3))
        failing.clear()
        await publish(decided(case_id, "send_again"))
        await eventually(lambda: in_state(service, "waiting", 1))
        assert sorted(await things(service)) == ["o1", "o2"]
        assert orders(await eventually(lambda: at_least(2, read_topic("subscriptions")))) == ["o1", "o2"]


async def test_decisions_never_wait_and_one_that_fails_parks_nothing(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes, carried_out = Notes(), []

    @consumes(CaseDecided)
    async def carry_out(event: CaseDecided, _tx: Transaction) -> None:
        carried_out.append(event.decision)
        if event.decision == "honour_quote":
            raise RuntimeError

    notes.handlers.decide = carry_out
    async with run_service(NAME, notes.handlers) as service:
        await publish.raw("orders", b"{", b"sub-1")
        await only_case(read_topic)
        business = decided("case-1", "reject").model_copy(update={"subscription_id": "sub-1"})
        await publish(business, business.model_copy(update={"decision": "honour_quote"}))
        await publish(business.model_copy(update={"subscription_id": "sub-2", "decision": "honour_quote"}))
        await eventually(lambda: sorted(carried_out) == ["honour_quote", "honour_quote", "reject"])
        await publish(confirmed("o2", "sub-2"))
        await eventually(lambda: notes.seen == ["o2"])
        assert await parked(service) == 1


async def test_a_decision_about_another_services_failure_does_nothing_here(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    notes = Notes()
    async with run_service(NAME, notes.handlers) as service:
        await publish.raw("orders", b"{", b"sub-1")
        case_id = await only_case(read_topic)
        await publish(decided(case_id, "set_aside", service="billing"), decided(case_id, "apply_published_price"))
        await publish(confirmed("next", "sub-2"))
        await eventually(lambda: notes.seen == ["next"])
        assert await parked(service) == 1


async def test_a_key_is_parked_on_all_topics_of_the_service_that_failed_and_in_no_other(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    provisioning, billed = Notes(), []

    @consumes(OrderCancellationRequested)
    async def cancel(event: OrderCancellationRequested, _tx: Transaction) -> list[ChangeCancelled]:
        return [answer(confirmed(event.order.id, event.order.subscription_id))]

    provisioning.handlers = handlers(cancel)

    @consumes(OrderCompleted)
    async def bill(event: OrderCompleted, _tx: Transaction) -> None:
        billed.append(event.order.id)

    order = confirmed("o1").order
    async with (
        run_service(NAME, provisioning.handlers) as service,
        run_service("billing", handlers(bill, service="billing")) as billing,
    ):
        envelope = publish.envelope(confirmed("o1"))
        await publish.raw("orders", b"{", b"sub-1", envelope.headers())  # provisioning consumes this type, billing not
        await only_case(read_topic)
        await publish(
            OrderCancellationRequested(order=order, reason="asked"),
            OrderCompleted(order=order, completed_at=order.sold_at),
        )
        await eventually(lambda: billed == ["o1"])
        await eventually(lambda: in_state(service, "waiting", 1))
        assert await parked(billing) == 0
        assert await read_topic("subscriptions") == []


async def in_state(service: Service, state: str, count: int) -> bool:
    """Whether so many dead letters are in a state."""
    return len(await letters(service, state)) == count


async def not_parked(service: Service) -> bool:
    """Whether no key is parked."""
    return await parked(service) == 0
