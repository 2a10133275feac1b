"""Evidence at the doors: files kept once, hashes used once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.dead_letter_v1 import DiscrepancyFound
from services.chassis.ids import sha256
from tests.harness import OPERATOR_KEY, door, eventually, make_key
from tests.intake.shop import GENT, LIEGE, Shop

CONTRACT = b"%PDF-1.7 signed by V. D."
MEBIBYTE = 1024 * 1024


async def put(shop: Shop, content: Any, path: str, partner: str = GENT, **headers: str) -> tuple[int, dict[str, Any]]:
    async with shop.at(partner) as client:
        answer = await client.put(f"/v1/evidence/{path}", content=content, headers=headers)
    return answer.status_code, answer.json()


async def test_a_file_is_kept_once_as_it_came(shop: Shop) -> None:
    path = sha256(CONTRACT)
    status, body = await put(shop, CONTRACT, path, **{"Content-Type": "application/pdf"})
    assert (status, {**body, "uploaded_at": ""}) == (
        201,
        {"sha256": path, "content_type": "application/pdf", "size": len(CONTRACT), "uploaded_at": ""},
    )
    assert await put(shop, CONTRACT, path, **{"Content-Type": "text/plain"}) == (200, body)
    assert await shop.has("SELECT content FROM evidence_content WHERE sha256 = :sha256", sha256=path) == CONTRACT
    assert await shop.has("SELECT partner FROM evidence WHERE sha256 = :sha256", sha256=path) == GENT


async def test_a_partner_does_not_learn_what_another_gave(shop: Shop) -> None:
    path = sha256(CONTRACT)
    assert [(await put(shop, CONTRACT, path, each))[0] for each in (GENT, LIEGE, LIEGE)] == [201, 201, 200]


async def test_the_same_file_five_times_at_once_is_one(shop: Shop) -> None:
    answers = await asyncio.gather(*(put(shop, CONTRACT, sha256(CONTRACT)) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 201]


async def test_a_file_under_the_hash_of_another_is_refused_with_both_hashes(shop: Shop) -> None:
    path = sha256(b"something else")
    status, problem = await put(shop, CONTRACT, path)
    assert (status, problem["code"], problem["expected"], problem["given"]) == (
        *(422, "evidence.hash-differs", path, sha256(CONTRACT)),
    )
    assert path in problem["detail"]
    assert sha256(CONTRACT) in problem["detail"]
    assert await shop.has("SELECT count(*) FROM evidence_content") == 0


async def test_an_empty_file_is_no_contract(shop: Shop) -> None:
    status, problem = await put(shop, b"", sha256(b""))
    assert (status, problem["code"]) == (422, "evidence.empty")


async def test_ten_mebibytes_are_taken_and_a_byte_more_is_refused(shop: Shop) -> None:
    most = bytes(10 * MEBIBYTE)
    assert (await put(shop, most, sha256(most)))[0] == 201
    status, problem = await put(shop, most + b".", sha256(most + b"."))
    assert (status, problem["code"]) == (413, "body.too-large")


async def test_of_a_file_that_is_too_large_no_more_is_read_than_tells_so(shop: Shop) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield bytes(MEBIBYTE)

    assert (await put(shop, endless(), "0" * 64))[0] == 413
    assert sent == 11


@pytest.mark.parametrize(
    ("whose", "status", "code"),
    [("nobody", 401, "key.unknown"), ("revoked", 401, "key.unknown"), ("reviewer", 403, "key.role")],
)
async def test_nothing_is_read_of_a_file_from_somebody_who_may_not_come_in(
    shop: Shop, whose: str, status: int, code: str
) -> None:
    key = await make_key(shop.service, "reviewer" if whose == "reviewer" else "partner", whose)
    if whose == "revoked":
        async with door(shop.service, OPERATOR_KEY) as client:
            assert (await client.delete(f"/v1/keys/{sha256(key)}")).status_code == 204
    assert (await put(shop, CONTRACT, sha256(CONTRACT)))[0] == 201  # the keys are in memory now
    read = 0

    async def contract() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield CONTRACT

    async with door(shop.service, "nobody's key" if whose == "nobody" else key) as client:
        refused = await client.put(f"/v1/evidence/{sha256(CONTRACT)}", content=contract())
    assert (refused.status_code, refused.json()["code"], read) == (status, code, 0)


async def test_a_path_that_no_database_can_store_is_a_hash_that_differs(shop: Shop) -> None:
    assert (await put(shop, CONTRACT, sha256(CONTRACT)))[0] == 201
    status, problem = await put(shop, CONTRACT, "%00")
    assert (status, problem["code"]) == (422, "evidence.hash-differs")


async def test_the_door_is_for_partners_and_the_service_desk(shop: Shop) -> None:
    for role, status in (("service-desk", 201), ("reviewer", 403), ("catalogue", 403)):
        async with door(shop.service, await make_key(shop.service, role, "somebody")) as client:
            assert (await client.put(f"/v1/evidence/{sha256(CONTRACT)}", content=CONTRACT)).status_code == status
    async with door(shop.service) as client:
        assert (await client.put(f"/v1/evidence/{sha256(CONTRACT)}", content=CONTRACT)).status_code == 401


async def test_evidence_proves_one_order_and_nobody_learns_whose(shop: Shop) -> None:
    used = sha256(b"a recording")
    first = await shop.order(shop.body(await shop.line(), used, kind="recording"))
    assert first["state"] == "pending"
    for partner in (GENT, LIEGE):
        again = await shop.order(shop.body(await shop.line(), used, kind="recording"), partner)
        assert (again["state"], again["discrepancies"]) == (
            "held",
            [
                {
                    "code": "evidence.reused",
                    "path": "/evidence/sha256",
                    "expected": None,
                    "given": used,
                    "stage": "intake",
                }
            ],
        )
        assert first["id"] not in str(again)


async def test_evidence_of_an_order_that_is_held_is_used_as_well(shop: Shop) -> None:
    used = sha256(b"a recording")
    held = await shop.order(shop.body(await shop.line(), used, kind="recording", agent="agent-99"))
    again = await shop.order(shop.body(await shop.line(), used, kind="recording"))
    assert [[each["code"] for each in order["discrepancies"]] for order in (held, again)] == [
        ["agent.unknown"],
        ["evidence.reused"],
    ]


async def test_a_repeated_request_uses_its_evidence_once(shop: Shop) -> None:
    body = shop.body(await shop.line(), await shop.upload(CONTRACT))
    first, again = await shop.post(body), await shop.post(body)
    assert (first.json()["state"], again.json()) == ("inProgress", first.json())
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_of_orders_at_once_with_the_same_contract_one_goes_on(shop: Shop) -> None:
    contract = await shop.upload(CONTRACT)
    bodies = [shop.body(await shop.line(), contract) for _ in range(4)]
    orders = await asyncio.gather(*(shop.order(each) for each in bodies))
    assert sorted(each["state"] for each in orders) == ["held", "held", "held", "inProgress"]

    async def cases() -> list[Any] | None:
        found = [each for each in await shop.topics.events("dead-letters") if isinstance(each, DiscrepancyFound)]
        return found if len(found) >= 3 else None

    assert len(await eventually(cases)) == 3
