"""A job that gave up in another service, from its case at review's door until it is done."""

from __future__ import annotations

from services.chassis.service import Service
from tests.chassis.sample import NAME, Broken, confirmed, orders
from tests.harness import RunService, Topics, eventually
from tests.review.desk import Desk


async def only_case(desk: Desk) -> str:
    """Wait for the one case there is."""
    [case] = await eventually(desk.queue)
    return str(case["id"])


async def failed_jobs(service: Service) -> int:
    """How many jobs of a service gave up."""
    return int((await service.readiness())["jobs"]["failed"])


async def test_a_reviewer_sets_a_job_going_again_that_gave_up(
    desk: Desk, run_service: RunService, read_topic: Topics
) -> None:
    broken = Broken()
    async with run_service(NAME, broken.handlers, job_attempts=1) as service:
        await desk.publish(confirmed("o1"))
        case = await desk.case(await only_case(desk))
        assert (case["codes"], case["services"]) == (["message.unhandled"], [NAME])
        assert "o1 cannot be done" in case["failures"][0]["reason"]
        broken.mended = True
        answer = await desk.decide(case["id"], "send_again")
        assert answer.status_code == 200, answer.text
        assert orders(await eventually(lambda: read_topic("subscriptions"))) == ["o1"]
        assert await failed_jobs(service) == 0
    closed = await desk.case(case["id"], "applied")
    assert closed["failures"][0]["released"] == "handled"


async def test_a_job_that_gave_up_is_not_set_aside_for_it_is_work_that_was_promised(
    desk: Desk, run_service: RunService, read_topic: Topics
) -> None:
    broken = Broken()
    async with run_service(NAME, broken.handlers, job_attempts=1) as service:
        await desk.publish(confirmed("o1"))
        case_id = await only_case(desk)
        answer = await desk.decide(case_id, "set_aside")
        assert (answer.status_code, answer.json()["code"]) == (409, "decision.unfit")
        assert "send it again" in answer.json()["detail"]
        assert (await desk.case(case_id))["state"] == "open"
        assert await failed_jobs(service) == 1
        assert await read_topic("subscriptions") == []
