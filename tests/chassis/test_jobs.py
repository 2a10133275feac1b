"""Jobs: due by business time, waiting by real time, tried again, given up, and taken over from the dead."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from contracts.dead_letter_v1 import DiscrepancyFound, MessageReleased
from contracts.subscription_v1 import ChangeCancelled
from services.chassis import jobs as worker
from services.chassis.cause import Cause
from services.chassis.database import JobRow
from services.chassis.job import GaveUp, Job, TryAgainError, job
from services.chassis.service import Service
from services.chassis.transaction import Transaction
from tests.chassis.sample import NAME, Broken, Later, answer, confirmed, decided, handlers, orders, scheduling
from tests.chassis.test_delivery import at_least
from tests.harness import MovableClock, Publish, RunService, Topics, eventually


class Call(Job):
    """Ask the outside about an order."""

    name: ClassVar[str] = "tests.call"
    order_id: str


@job(Later)
async def say(payload: Later, _tx: Transaction) -> list[ChangeCancelled]:
    """Publish the answer."""
    return [answer(confirmed(payload.order_id))]


class Outside:
    """Something that is called: it fails so often, then answers; it remembers the calls."""

    def __init__(self, failures: int, delay: float = 0.0) -> None:
        self.failures, self.delay = failures, delay
        self.calls: list[tuple[str, float]] = []
        self.answers: list[Any] = []

    async def call(self, _payload: Call, job_id: str) -> str:
        self.calls.append((job_id, time.monotonic()))
        await asyncio.sleep(self.delay)
        if len(self.calls) <= self.failures:
            raise TryAgainError("the outside is away")
        return "done"

    def handler(self) -> Any:
        @job(Call, call=self.call)
        async def finish(payload: Call, given: Any, _tx: Transaction) -> list[ChangeCancelled]:
            self.answers.append(given)
            return [answer(confirmed(payload.order_id))]

        return finish


async def rows(service: Service) -> list[JobRow]:
    """The jobs of a service."""
    async with service.engine.connect() as connection:
        return [JobRow(**row) for row in (await connection.execute(select(JobRow))).mappings()]


async def test_a_job_is_done_when_business_time_reaches_it(
    run_service: RunService, publish: Publish, read_topic: Topics, clock: MovableClock
) -> None:
    due = clock.now() + timedelta(days=14)
    async with run_service(NAME, handlers(scheduling((Later(order_id="o1"), {"due": due})), say)) as service:
        await publish(confirmed("o1"))
        await eventually(lambda: rows(service))
        jobs = (await service.readiness())["jobs"]
        assert jobs == {"due": 0, "failed": 0, "next_due_at": due.isoformat(), "retried": None}
        clock.advance(timedelta(days=13))
        await asyncio.sleep(3 * worker.IDLE_POLL_SECONDS)
        assert await read_topic("subscriptions") == []
        clock.advance(timedelta(days=1, seconds=1))
        (message,) = await eventually(lambda: read_topic("subscriptions"))
        assert message.envelope.time >= due
        assert await rows(service) == []


async def test_a_job_waits_real_seconds_however_far_business_time_moves(
    run_service: RunService, publish: Publish, read_topic: Topics, clock: MovableClock
) -> None:
    async with run_service(NAME, handlers(scheduling((Later(order_id="o1"), {"wait": 1.0})), say)):
        began = time.monotonic()
        await publish(confirmed("o1"))
        clock.advance(timedelta(days=30))
        await eventually(lambda: read_topic("subscriptions"))
        assert time.monotonic() - began >= 1.0


async def test_the_same_job_scheduled_twice_by_one_cause_is_one(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    twice = scheduling((Later(order_id="o1"), {}), (Later(order_id="o1"), {}), (Later(order_id="o2"), {}))
    async with run_service(NAME, handlers(twice, say)) as service:
        await publish(confirmed("o1"))
        await eventually(lambda: at_least(2, read_topic("subscriptions")))
        await eventually(lambda: nothing_left(service))
        assert sorted(orders(await read_topic("subscriptions"))) == ["o1", "o2"]


async def test_a_call_is_tried_again_with_the_same_key_and_growing_pauses(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    outside = Outside(failures=3)
    asking = scheduling((Call(order_id="o1"), {}))
    async with run_service(NAME, handlers(asking, outside.handler())):
        await publish(confirmed("o1"))
        await eventually(lambda: read_topic("subscriptions"))
    assert outside.answers == ["done"]
    assert len({job_id for job_id, _ in outside.calls}) == 1
    times = [moment for _, moment in outside.calls]
    pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert len(pauses) == 3
    assert all(pause >= 0.9 * worker.FIRST_BACKOFF_SECONDS * 2**number for number, pause in enumerate(pauses))


async def test_an_operator_is_told_which_call_is_tried_in_vain_and_why(
    run_service: RunService, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = scheduling((Call(order_id="o1"), {}))
    async with run_service(NAME, handlers(asking, Outside(failures=99).handler())) as service:
        await publish(confirmed("o1"))

        async def told() -> Any:
            return (await service.readiness())["jobs"]["retried"]

        retried = await eventually(told)
    assert (retried["name"], retried["attempts"] > 0) == ("tests.call", True)
    assert "the outside is away" in retried["last_error"]
    logged = [line for line in capsys.readouterr().out.splitlines() if "job.again" in line]
    assert "tests.call" in logged[0]
    assert "the outside is away" in logged[0]


async def test_after_the_last_attempt_the_handler_is_told_that_the_call_gave_up(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    outside = Outside(failures=99)
    asking = scheduling((Call(order_id="o1"), {}))
    async with run_service(NAME, handlers(asking, outside.handler()), job_attempts=3):
        await publish(confirmed("o1"))
        await eventually(lambda: read_topic("subscriptions"))
    assert len(outside.calls) == 3
    assert outside.answers == [GaveUp(reason="the outside is away")]


async def test_a_job_that_raises_is_tried_again_and_in_the_end_shown_as_failed(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    @job(Later)
    async def fail(_payload: Later, tx: Transaction) -> None:
        tx.publish(answer(confirmed("published before it failed")))
        raise RuntimeError

    wanted = scheduling((Later(order_id="o1"), {}))
    async with run_service(NAME, handlers(wanted, fail), job_attempts=1) as service:
        await publish(confirmed("o1"))

        async def failed() -> bool:
            return bool((await service.readiness())["jobs"]["failed"] == 1)

        await eventually(failed)
        (row,) = await rows(service)
        assert (row.attempts, row.last_error) == (worker.FAULTS_PER_ATTEMPT, "RuntimeError()")
        assert await read_topic("subscriptions") == []


async def test_a_claimed_job_of_a_dead_process_is_taken_over(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    async with run_service(NAME, handlers(scheduling((Later(order_id="o1"), {"wait": 600})), say)) as service:
        await publish(confirmed("o1"))
        await eventually(lambda: rows(service))
        database = service.settings.database_url
        async with service.engine.begin() as connection:  # as if claimed, and its process killed a moment ago
            soon = service.clock.real() + timedelta(seconds=0.5)
            await connection.execute(update(JobRow).values(attempts=1, not_before=soon))
    async with run_service(NAME, handlers(scheduling(), say), database=database, resume=True) as service:
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]
        assert await rows(service) == []


async def test_a_job_cut_by_a_stop_is_free_for_the_next_process_at_once(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    slow, quick = Outside(failures=0, delay=60), Outside(failures=0)
    asking = scheduling((Call(order_id="o1"), {}))
    async with run_service(NAME, handlers(asking, slow.handler()), job_claim=600, graceful_stop=0.3) as service:
        await publish(confirmed("o1"))
        await eventually(lambda: slow.calls)
        database = service.settings.database_url
    async with run_service(NAME, handlers(asking, quick.handler()), database=database, resume=True):
        await eventually(lambda: read_topic("subscriptions"), timeout=5)
    assert quick.calls[0][0] == slow.calls[0][0]


async def test_a_slow_call_holds_up_no_other_job(run_service: RunService, publish: Publish, read_topic: Topics) -> None:
    slow = Outside(failures=0, delay=3)
    planned = scheduling((Call(order_id="slow"), {}), *((Later(order_id=f"o{n}"), {"wait": 0.3 * n}) for n in range(4)))
    async with run_service(NAME, handlers(planned, slow.handler(), say)):
        await publish(confirmed("o1"))
        await eventually(lambda: at_least(4, read_topic("subscriptions")), timeout=2.5)
        assert slow.answers == []
        await eventually(lambda: at_least(5, read_topic("subscriptions")))


async def test_what_a_job_publishes_has_the_job_as_its_cause_and_the_event_before_it(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    async with run_service(NAME, handlers(scheduling((Later(order_id="o1"), {})), say)):
        (given,) = await publish(confirmed("o1"))
        (message,) = await eventually(lambda: read_topic("subscriptions"))
    assert message.envelope.correlation_id == given.correlation_id
    assert message.envelope.causation_id not in (None, given.id)


async def test_a_job_scheduled_at_a_door_is_done_as_well(run_service: RunService, read_topic: Topics) -> None:
    async with run_service(NAME, handlers(scheduling(), say)) as service:

        async def work(tx: Transaction) -> str:
            return tx.schedule(Later(order_id="o1"))

        await service.transact(work, Cause.request())
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]


async def nothing_left(service: Service) -> bool:
    """Whether all jobs are done."""
    async with service.engine.connect() as connection:
        return await connection.scalar(select(col(JobRow.id))) is None


async def gave_up(read_topic: Topics, *known: DiscrepancyFound) -> DiscrepancyFound:
    """The case of a job that gave up, beside those that are known."""

    async def told() -> list[Any]:
        found = [each for each in await read_topic.events("dead-letters") if isinstance(each, DiscrepancyFound)]
        return [each for each in found if each not in known]

    (found,) = await eventually(told)
    assert isinstance(found, DiscrepancyFound)
    return found


async def released(read_topic: Topics) -> list[tuple[str, str, str]]:
    """What services said that they did about cases."""
    events = await read_topic.events("dead-letters")
    return [(each.case_id, each.service, each.outcome) for each in events if isinstance(each, MessageReleased)]


async def test_a_job_that_gave_up_is_a_case_and_runs_again_from_its_first_attempt_when_it_is_sent_again(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    broken = Broken()
    async with run_service(NAME, broken.handlers, job_attempts=1) as service:
        await publish(confirmed("o1"))
        first = await gave_up(read_topic)
        assert (first.service, first.discrepancies[0].path) == (NAME, "/jobs/tests.later")
        await publish(decided(first.case_id, "send_again"))
        second = await gave_up(read_topic, first)  # it was tried as often as at first, and is a case of its own
        assert second.case_id != first.case_id
        assert broken.runs == 2 * worker.FAULTS_PER_ATTEMPT
        broken.mended = True
        await publish(decided(first.case_id, "send_again"))  # an old decision about an old case
        await publish(decided(second.case_id, "send_again", service="billing"))  # another service's
        await publish(decided(second.case_id, "send_again"))
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]
        await eventually(lambda: nothing_left(service))
        assert broken.runs == 2 * worker.FAULTS_PER_ATTEMPT + 1
        assert sorted(await released(read_topic)) == sorted((each.case_id, NAME, "handled") for each in (first, second))


async def test_a_job_that_gave_up_is_work_that_was_promised_and_no_decision_ends_it(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    broken = Broken()
    async with run_service(NAME, broken.handlers, job_attempts=1) as service:
        await publish(confirmed("o1"))
        case = await gave_up(read_topic)
        broken.mended = True
        await publish(decided(case.case_id, "set_aside"), confirmed("o2"))
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]  # the job of the second order

        async def only_the_failed_one() -> bool:
            return [each.name for each in await rows(service)] == [Later.name]

        await eventually(only_the_failed_one)
        assert (await service.readiness())["jobs"]["failed"] == 1
        assert await released(read_topic) == []
        await publish(decided(case.case_id, "send_again"))
        await eventually(lambda: nothing_left(service))
        assert await eventually(lambda: released(read_topic)) == [(case.case_id, NAME, "handled")]


@pytest.mark.parametrize("taken", ["done", "claimed"])
async def test_a_job_that_another_worker_took_over_is_not_given_up_by_the_one_whose_claim_ran_out(
    taken: str, run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    other, calls = timedelta(hours=1), []

    async def call(_payload: Call, job_id: str) -> str:
        calls.append(job_id)
        if len(calls) == worker.FAULTS_PER_ATTEMPT:
            async with service.engine.begin() as connection:  # what the other worker does meanwhile
                mine = col(JobRow.id) == job_id
                claimed = update(JobRow).where(mine).values(not_before=service.clock.real() + other)
                await connection.execute(delete(JobRow).where(mine) if taken == "done" else claimed)
        raise RuntimeError

    @job(Call, call=call)
    async def never(_payload: Call, _given: Any, _tx: Transaction) -> None:
        """Have no answer to handle."""

    async def given_up() -> bool:
        return len(calls) == worker.FAULTS_PER_ATTEMPT

    async with run_service(NAME, handlers(scheduling((Call(order_id="o1"), {})), never), job_attempts=1) as service:
        await publish(confirmed("o1"))
        await eventually(given_up)
        await asyncio.sleep(3 * worker.IDLE_POLL_SECONDS)
        assert await read_topic("dead-letters") == []
        left = await rows(service)
        assert [each.failed_at for each in left] == ([] if taken == "done" else [None])
        assert all(each.not_before > service.clock.real() + other / 2 for each in left)
