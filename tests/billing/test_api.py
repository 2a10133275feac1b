"""Billing's doors: who may come in, what is refused, and lists in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from contracts.order_v1 import OrderCompleted
from services.billing import api, handlers
from services.billing.store import CommissionRateRow, CommissionRow
from services.chassis.service import Service
from tests.billing import sales
from tests.billing.sales import order
from tests.harness import OPERATOR_KEY, Publish, RunService, door, eventually, make_key

RATES = "/v1/partners/liege-calls/commission-rates"
YESTERDAY, TODAY, TOMORROW = "2026-11-19", "2026-11-20", "2026-11-21"


def rate(**changes: Any) -> dict[str, Any]:
    return {"action": "modify", "since": "2026-01-01", "amount": {"amount": 3500, "currency": "EUR"}} | changes


@pytest_asyncio.fixture
async def billing(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("billing", handlers, routers=(api.router,)) as service:
        yield service


async def rows(billing: Service, table: Any) -> int:
    async with billing.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize(
    "path",
    ["/v1/subscriptions/sub-1/charges", "/v1/subscriptions/sub-1/invoices", "/v1/partners/liege-calls/commissions"],
)
async def test_a_partner_does_not_come_in(billing: Service, path: str) -> None:
    async with door(billing, await make_key(billing, "partner", "liege-calls")) as partner:
        assert (await partner.get(path)).status_code == 403
    async with door(billing) as stranger:
        assert (await stranger.get(path)).status_code == 401


async def test_only_an_operator_sets_commission_rates(billing: Service) -> None:
    async with door(billing, await make_key(billing, "service-desk", "desk")) as desk:
        assert (await desk.put(RATES, json=[rate()])).status_code == 403
    assert await rows(billing, CommissionRateRow) == 0


@pytest.mark.parametrize("what", ["charges", "invoices"])
async def test_a_subscription_that_is_not_charged_is_unknown(billing: Service, what: str) -> None:
    async with door(billing, OPERATOR_KEY) as operator:
        answer = await operator.get(f"/v1/subscriptions/sub-9999/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "subscription.unknown")


async def test_new_rates_replace_all_that_a_partner_had_and_nobody_elses(billing: Service) -> None:
    async with door(billing, OPERATOR_KEY) as operator:
        await operator.put("/v1/partners/gent-calls/commission-rates", json=[rate()])
        await operator.put(
            RATES, json=[rate(), rate(since=TOMORROW, action="add"), rate(since=TOMORROW, offer_code="X")]
        )
        answer = await operator.put(RATES, json=[rate(until="2027-06-30")])
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"] == [rate(offer_code=None, until="2027-06-30")]
    assert await rows(billing, CommissionRateRow) == 2


@pytest.mark.parametrize(
    "body",
    [
        [],
        [rate(amount={"amount": 3000, "currency": "EUR"})],
        [rate(until=YESTERDAY)],
        [rate(), rate(action="add")],
        [rate(since=TOMORROW)],
    ],
)
async def test_what_an_order_earns_is_fixed_at_its_sale_whatever_is_agreed_later(
    billing: Service, body: list[dict[str, Any]]
) -> None:
    async with door(billing, OPERATOR_KEY) as operator:
        assert (await operator.put(RATES, json=[rate()])).is_success
        answer = await operator.put(RATES, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "rates.of-the-past")
        assert answer.json()["rates"]
        new = rate(since=TOMORROW, amount={"amount": 3000, "currency": "EUR"})
        assert (await operator.put(RATES, json=[rate(until=TODAY), new])).is_success
    assert await rows(billing, CommissionRateRow) == 2


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([rate(), rate(amount={"amount": "35", "currency": "EUR"})], ["/1/amount/amount"]),
        ([rate(action="terminate"), rate(since="soon")], ["/0/action", "/1/since"]),
        ([rate(extra=1)], ["/0/extra"]),
        ([rate(), rate(since="2026-06-01")], ["/1"]),
    ],
)
async def test_wrong_rates_are_refused_with_every_fault_and_nothing_is_replaced(
    billing: Service, body: list[dict[str, Any]], pointers: list[str]
) -> None:
    async with door(billing, OPERATOR_KEY) as operator:
        await operator.put(RATES, json=[rate()])
        answer = await operator.put(RATES, json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == pointers
    assert await rows(billing, CommissionRateRow) == 1


async def test_lists_come_in_pages(billing: Service, publish: Publish) -> None:
    async with door(billing, OPERATOR_KEY) as operator:
        await operator.put(RATES, json=[rate()])
        sold = [order(id=f"order-{each}", subscription_id=f"sub-{each}") for each in range(5)]
        await publish(*(OrderCompleted(order=each, completed_at=sales.SOLD_AT) for each in sold))

        async def all_here() -> bool:
            return await rows(billing, CommissionRow) == 5

        await eventually(all_here)
        seen, after = [], ""
        while after is not None:
            page = (
                await operator.get("/v1/partners/liege-calls/commissions", params={"limit": 2, "after": after})
            ).json()
            assert len(page["items"]) <= 2
            seen += [each["order_id"] for each in page["items"]]
            after = page["next"]
    assert seen == [f"order-{each}" for each in (4, 3, 2, 1, 0)]
