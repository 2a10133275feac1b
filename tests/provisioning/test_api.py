"""The doors of provisioning: importing what was there before us, and looking at what a customer has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.subscription_v1 import Sale, SubscriptionChanged
from tests.harness import OPERATOR_KEY, START, Publish, door, eventually, make_key
from tests.provisioning.samples import DUO, offer, published, trio
from tests.provisioning.stage import IMPORT, Stage


async def put(stage: Stage, body: dict[str, Any], key: str | None = OPERATOR_KEY) -> tuple[int, dict[str, Any]]:
    async with door(stage.service, key) as client:
        answer = await client.put(f"/v1/subscriptions/{stage.sub}", json=body)
    return answer.status_code, answer.json()


async def test_an_import_is_published_with_its_sale(stage: Stage) -> None:
    status, body = await put(stage, IMPORT)
    [imported] = await stage.said(1)
    assert status == 201
    assert body == trio(id=stage.sub).model_dump(mode="json")
    assert isinstance(imported, SubscriptionChanged)
    assert imported == SubscriptionChanged(
        subscription=trio(id=stage.sub),
        imported=Sale.model_validate({"channel": "telesales", "sold_at": "2026-04-01T10:00:00Z"}),
        effective_at=imported.effective_at,
    )


async def test_the_same_import_again_does_nothing_even_after_a_change(stage: Stage) -> None:
    assert (await put(stage, IMPORT))[0] == 201
    assert (await put(stage, IMPORT))[0] == 200
    await stage.confirm(stage.order(to=DUO, removals=("tv", "decoder")))
    await stage.said(2)
    status, body = await put(stage, IMPORT)
    assert (status, body["version"]) == (200, 2)
    assert len(await stage.settled()) == 2


async def test_two_imports_at_once_are_one(stage: Stage) -> None:
    answers = await asyncio.gather(*(put(stage, IMPORT) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 201]
    assert len(await stage.settled()) == 1


@pytest.mark.parametrize("changed", [{"numbers": []}, {"customer_id": "cust-1002"}, {"channel": "shop"}])
async def test_a_different_import_is_refused(stage: Stage, changed: dict[str, Any]) -> None:
    await stage.have_trio()
    status, problem = await put(stage, IMPORT | changed)
    assert (status, problem["code"]) == (409, "subscription.exists")
    assert "cust-1001" not in str(problem)
    assert len(await stage.settled()) == 1


async def test_what_an_order_made_is_not_imported_over(stage: Stage) -> None:
    await stage.confirm(stage.order("add"))
    await stage.said(1)
    status, problem = await put(stage, IMPORT)
    assert (status, problem["code"]) == (409, "subscription.exists")


async def test_an_import_waits_for_its_offer(stage: Stage, publish: Publish) -> None:
    new = offer("NEW", {"internet": {}}, version=3)
    body = IMPORT | {"offer": {"code": "NEW", "version": 3}}
    status, problem = await put(stage, body)
    assert (status, problem["code"]) == (409, "offer.unknown")
    await publish(*published(new))

    async def taken() -> bool:
        return (await put(stage, body))[0] == 201

    await eventually(taken)


async def test_every_fault_of_an_import_is_named(stage: Stage) -> None:
    faulty = IMPORT | {"numbers": ["none"], "sold_at": "2026-04-01T10:00:00", "channel": "street", "price": 1}
    status, problem = await put(stage, faulty)
    assert status == 422
    assert {each["pointer"] for each in problem["errors"]} == {"/numbers/0", "/sold_at", "/channel", "/price"}
    assert await stage.settled() == []


async def test_the_service_desk_sees_what_is_in_place_and_every_change_newest_first(stage: Stage) -> None:
    await stage.have_trio()
    held = stage.order(id=f"1-{stage.sub}", to=DUO)
    done = stage.order(id=f"2-{stage.sub}", to=DUO, removals=("tv", "decoder"))
    await stage.confirm(held)
    await stage.said(2)
    await stage.confirm(done)
    await stage.said(3)
    body = await stage.shown(await make_key(stage.service, "service-desk", "desk"))
    newest, oldest = body["changes"]
    assert (body["version"], body["offer"]["code"]) == (2, "DUO")
    assert (newest["order_id"], newest["state"], newest["attempt"]) == (done.id, "done", 1)
    assert (newest["before"]["offer"]["code"], newest["after"]["offer"]["code"]) == ("TRIO", "DUO")
    assert newest["started_at"] <= newest["ended_at"]
    assert newest["ended_at"].startswith(START.date().isoformat())
    assert newest["ended_at"].endswith("Z")
    assert (oldest["order_id"], oldest["state"], oldest["before"], oldest["after"]) == (held.id, "held", None, None)


async def test_an_unknown_subscription_is_a_problem(stage: Stage) -> None:
    async with door(stage.service, OPERATOR_KEY) as client:
        answer = await client.get(f"/v1/subscriptions/{stage.sub}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "subscription.unknown"


async def test_doors_open_to_their_roles_only(stage: Stage) -> None:
    await stage.have_trio()
    desk = await make_key(stage.service, "service-desk", "desk")
    partner = await make_key(stage.service, "partner", "liege-calls")
    assert (await put(stage, IMPORT, desk))[0] == 403
    assert (await put(stage, IMPORT, partner))[0] == 403
    assert (await put(stage, IMPORT, None))[0] == 401
    async with door(stage.service, partner) as client:
        assert (await client.get(f"/v1/subscriptions/{stage.sub}")).status_code == 403
