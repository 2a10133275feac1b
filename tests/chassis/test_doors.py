"""Doors: keys, problems, readiness, and one transaction per request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, text, update

from contracts.order_v1 import OrderConfirmed
from services.chassis import service as service_module
from services.chassis.consuming import consumes
from services.chassis.database import ApiKey
from services.chassis.http import MOST_BYTES, Problem, received, transact
from services.chassis.ids import sha256
from services.chassis.keys import Principal, allow
from services.chassis.service import Service
from services.chassis.transaction import Transaction
from tests.chassis.sample import NAME, Notes, Table, Thing, answer, confirmed, handlers, things
from tests.chassis.test_delivery import at_least
from tests.harness import OPERATOR_KEY, Publish, RunService, Topics, door, eventually, make_key

router = APIRouter()
NAMES = "Valérie D."


class Body(BaseModel):
    """What the sample's door takes."""

    model_config = ConfigDict(extra="forbid")

    id: str
    note: str
    times: int = 1


@router.post("/v1/things", status_code=201)
async def keep(body: Body, request: Request) -> dict[str, str]:
    """Keep a thing and say so; fail when told to, after all is decided."""

    async def work(tx: Transaction) -> None:
        tx.put(Thing(id=body.id, note=body.note, times=body.times))
        tx.publish(answer(confirmed(body.id)))
        if body.note == "conflict":
            raise Problem(409, "thing.taken", "somebody has it", errors=[{"pointer": "/id"}], owner="rita")
        if body.note == "our fault":
            raise RuntimeError(NAMES)

    await transact(request, work)
    return {"id": body.id}


@router.post("/v1/counts/{thing_id}")
async def count(thing_id: str, request: Request) -> dict[str, int]:
    """Count up, whoever else does."""

    async def work(tx: Transaction) -> int:
        found = await tx.get(Thing, thing_id)
        row = Thing(id=thing_id, note="counted", times=found.times + 1 if found else 1)
        (tx.put if found else tx.add)(row)
        return row.times

    return {"times": await transact(request, work)}


@router.post("/v1/form")
async def answered(answer: Annotated[str, Form()]) -> str:
    """Take a form."""
    return answer


@router.post("/v1/file")
async def put_file(request: Request) -> int:
    """Take a body as it is, and less of it than other doors."""
    return len(await received(request, MOST_BYTES // 3))


@router.get("/v1/secret")
async def secret(principal: Annotated[Principal, Depends(allow("partner", "reviewer"))]) -> dict[str, Any]:
    """Say who came in."""
    return {"role": principal.role, "holder": principal.holder, **principal.attributes}


@pytest.fixture
async def service(run_service: RunService) -> Any:
    """The sample with its doors."""
    async with run_service(NAME, Notes().handlers, routers=(router,)) as running:
        async with running.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        yield running


async def test_a_key_is_shown_once_and_stored_as_its_hash_only(service: Service) -> None:
    key = await make_key(service, "partner", "liege-calls", channels=["telesales"])
    async with door(service, key) as client:
        found = await client.get("/v1/secret")
    assert found.json() == {"role": "partner", "holder": "liege-calls", "channels": ["telesales"]}
    async with service.engine.connect() as connection:
        (row,) = (await connection.execute(select(ApiKey))).mappings()
        dumped = str(list(await connection.execute(text("SELECT api_key::text FROM api_key"))))
    assert row["sha256"] == sha256(key)
    assert key not in dumped


async def test_a_key_whose_hash_was_given_is_never_known_to_the_service(service: Service) -> None:
    body = {"role": "reviewer", "holder": "rita", "sha256": sha256("known to rita alone")}
    async with door(service, OPERATOR_KEY) as client:
        assert (await client.post("/v1/keys", json=body)).json() == {"sha256": body["sha256"]}
    async with door(service, "known to rita alone") as client:
        assert (await client.get("/v1/secret")).json()["holder"] == "rita"


@pytest.mark.parametrize("path", ["/v1/things", "/v1/form", "/v1/file"])
async def test_of_a_body_that_is_too_large_no_more_is_read_than_tells_so(service: Service, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield b"x" * (MOST_BYTES // 4)

    kind = "application/x-www-form-urlencoded" if path == "/v1/form" else "application/json"
    async with door(service) as client:
        refused = await client.post(path, content=endless(), headers={"content-type": kind})
    assert (refused.status_code, refused.json()["code"]) == (413, "body.too-large")
    assert sent == (2 if path == "/v1/file" else 5)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer nobodys"}])
async def test_no_key_or_an_unknown_one_is_a_401(service: Service, headers: dict[str, str]) -> None:
    async with door(service) as client:
        refused = await client.get("/v1/secret", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_revoked_key_is_a_401_and_a_wrong_role_a_403(service: Service) -> None:
    revoked, desk = await make_key(service, "partner", "gent-calls"), await make_key(service, "service-desk", "desk")
    async with service.engine.begin() as connection:
        ours = update(ApiKey).where(ApiKey.sha256 == sha256(revoked))  # type: ignore[arg-type]
        await connection.execute(ours.values(revoked_at=service.clock.now()))
    for key, status in ((revoked, 401), (desk, 403)):
        async with door(service, key) as client:
            assert (await client.get("/v1/secret")).status_code == status


async def test_only_the_operator_makes_keys(service: Service) -> None:
    key = await make_key(service, "reviewer", "rita")
    async with door(service, key) as client:
        assert (await client.post("/v1/keys", json={"role": "operator", "holder": "rita"})).status_code == 403


async def test_a_problem_says_what_it_is_and_nothing_stays_of_the_request(service: Service, read_topic: Topics) -> None:
    async with door(service) as client:
        refused = await client.post("/v1/things", json={"id": "a", "note": "conflict"})
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    body = refused.json()
    assert len(body.pop("trace_id")) == 32
    assert body == {
        "type": "urn:asquoted:problem:thing.taken",
        "title": "thing.taken",
        "status": 409,
        "detail": "somebody has it",
        "instance": "/v1/things",
        "code": "thing.taken",
        "errors": [{"pointer": "/id"}],
        "owner": "rita",
    }
    assert await things(service) == {}
    assert (await service.readiness())["unsent_events"] == 0
    assert await read_topic("subscriptions") == []


async def test_every_fault_of_a_request_is_named_at_once(service: Service) -> None:
    async with door(service) as client:
        refused = await client.post("/v1/things", json={"note": 7, "times": "many", "colour": "red"})
    assert refused.status_code == 422
    assert sorted(fault["pointer"] for fault in refused.json()["errors"]) == ["/colour", "/id", "/note", "/times"]


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b'"text"'])
async def test_what_is_no_json_object_is_a_422_problem(service: Service, content: bytes) -> None:
    async with door(service) as client:
        refused = await client.post("/v1/things", content=content, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["errors"]


@pytest.mark.parametrize("note", ["a NUL \x00", "x" * 21])
async def test_what_the_database_cannot_hold_is_a_422_problem(service: Service, note: str) -> None:
    async with door(service) as client:
        refused = await client.post("/v1/things", json={"id": "a", "note": note})
    assert (refused.status_code, refused.json()["code"]) == (422, "request.not-storable")


async def test_a_fault_of_ours_is_a_500_problem_that_tells_and_logs_no_personal_data(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    async with door(service) as client:
        failed = await client.post("/v1/things", json={"id": "a", "note": "our fault"})
    assert (failed.status_code, failed.headers["content-type"]) == (500, "application/problem+json")
    said = capsys.readouterr().out
    assert "request.failed" in said
    assert NAMES not in failed.text + said
    assert "Val" not in said


async def test_unknown_resources_and_methods_are_problems_too(service: Service) -> None:
    async with door(service) as client:
        unknown, wrong = await client.get("/v1/nothing"), await client.delete("/v1/things")
    assert [(each.status_code, each.json()["code"]) for each in (unknown, wrong)] == [
        (404, "resource.unknown"),
        (405, "method.not-allowed"),
    ]


async def test_requests_that_meet_on_one_row_are_all_done_one_after_the_other(service: Service) -> None:
    async with door(service) as client:
        answers = await asyncio.gather(*(client.post("/v1/counts/a") for _ in range(12)))
    assert sorted(each.json()["times"] for each in answers) == list(range(1, 13))


async def test_the_trace_goes_from_the_request_to_the_event_to_the_event_that_follows(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @consumes(OrderConfirmed)
    async def follow(event: OrderConfirmed, _tx: Transaction) -> list[Any]:
        return [answer(event)]

    async with run_service(NAME, handlers(follow), routers=(router,)) as running:
        async with running.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        async with door(running) as client:
            await client.post("/v1/things", json={"id": "a", "note": "b"}, headers={"traceparent": given})
            refused = await client.get("/v1/nothing", headers={"traceparent": given})
            odd = await client.get("/v1/nothing", headers={"traceparent": "a-b-c-d"})
        (first,) = await eventually(lambda: read_topic("subscriptions"))
        event = confirmed("o1")
        envelope = publish.envelope(event)
        sent = [*envelope.headers(), ("traceparent", given.encode())]
        await publish.raw("orders", event.to_value(), b"sub-1", sent)
        _, second = await eventually(lambda: at_least(2, read_topic("subscriptions")))
    assert [first.envelope.traceparent, second.envelope.traceparent] == [given, given]
    assert second.envelope.causation_id == envelope.id
    assert second.envelope.correlation_id == envelope.correlation_id
    assert refused.json()["trace_id"] == given.split("-")[1]
    assert len(odd.json()["trace_id"]) == 32


async def test_a_service_is_ready_once_it_consumes_and_says_what_an_operator_asks(service: Service) -> None:
    async def ready() -> Any:
        async with door(service) as client:
            found = await client.get("/readyz")
        return found.json() if found.status_code == 200 else None

    state = await eventually(ready)
    assert state["service"] == NAME
    assert state["consumer"]["partitions"] == 12 * len(service.consumer.topics)
    assert state["consumer"]["lag"] == 0
    assert (state["parked_keys"], state["dead_letters"], state["unsent_events"]) == (0, 0, 0)


async def test_a_service_whose_batch_does_not_end_is_not_ready(
    run_service: RunService, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "POLL_AGE_LIMIT_SECONDS", 0.7)
    hangs, lets_go = asyncio.Event(), asyncio.Event()

    @consumes(OrderConfirmed)
    async def hang(_event: OrderConfirmed, _tx: Transaction) -> None:
        hangs.set()
        await lets_go.wait()

    async with run_service(NAME, handlers(hang)) as running:
        await eventually(lambda: ready(running))
        await publish(confirmed("o1"))
        await hangs.wait()
        await eventually(lambda: not_ready(running))
        lets_go.set()
        await eventually(lambda: ready(running))


async def test_the_process_lives_and_tells_its_metrics(service: Service) -> None:
    async with door(service) as client:
        assert (await client.get("/livez")).text == "ok"
        metrics = (await client.get("/metrics")).text
    assert "asquoted_events_consumed_total" in metrics


async def ready(service: Service) -> bool:
    """Whether a service says that it is ready."""
    return bool((await service.readiness())["ready"])


async def not_ready(service: Service) -> bool:
    """Whether it says that it is not."""
    return not await ready(service)
