"""A partner's cancellation: every order that has not ended can be cancelled, a completed one is undone by another."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts.order_v1 import Discrepancy, OrderCancellationRequested, OrderCancelled, OrderHeld
from contracts.subscription_v1 import ChangeCancelled, ChangeHeld, SubscriptionChanged
from tests.intake.shop import GENT, LIEGE, Shop, trio

REASON = "the customer called back"


async def cancel(shop: Shop, order: dict[str, Any], partner: str = GENT, reason: str = REASON) -> httpx.Response:
    async with shop.at(partner) as client:
        return await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": reason})


@pytest.mark.parametrize("state", ["pending", "held", "acknowledged"])
async def test_an_order_of_which_nothing_was_done_is_cancelled_at_once(shop: Shop, state: str) -> None:
    line = await shop.line()
    wrong: dict[str, Any] = {"quote": {"monthly_total": {"amount": 7000, "currency": "EUR"}}} if state == "held" else {}
    first = await shop.order(shop.body(line, **wrong)) if state != "acknowledged" else None
    ahead = await shop.order(shop.body(line)) if first is None else None
    order = first or await shop.order(shop.body(line))
    assert order["state"] == state
    answer = await cancel(shop, order)
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    last = answer.json()["history"][-1]
    assert (last["by"], last["reason"]) == (GENT, REASON)
    assert isinstance((await shop.said(order["id"], 2))[-1], OrderCancelled)
    following = await shop.order(shop.body(line))
    assert (following["waits_for"] or None) == (ahead["id"] if ahead else None)


async def test_an_order_on_its_way_is_asked_to_stop(shop: Shop) -> None:
    contract = await shop.upload(b"signed")
    order = await shop.order(shop.body(await shop.line(), contract))
    for answer in (await cancel(shop, order), await cancel(shop, order)):
        assert (answer.status_code, answer.json()["state"]) == (202, "assessingCancellation")
    assert isinstance((await shop.said(order["id"], 2))[-1], OrderCancellationRequested)
    await shop.publish(ChangeCancelled(order_id=order["id"], subscription_id=order["subscription_id"]))
    await shop.becomes(order["id"], "cancelled")
    again = await cancel(shop, order)
    assert (again.status_code, again.json()["code"]) == (409, "order.ended")


async def test_who_cancels_is_not_asked_again_where_the_version_moved_meanwhile(shop: Shop) -> None:
    contract = await shop.upload(b"signed before it moved")
    order = await shop.order(shop.body(await shop.line(), contract))
    await shop.confirmed(order["id"])
    assert (await cancel(shop, order)).json()["state"] == "assessingCancellation"
    about: dict[str, Any] = {"order_id": order["id"], "subscription_id": order["subscription_id"]}
    await shop.publish(ChangeHeld(**about, subscription_version=2), ChangeCancelled(**about))
    await shop.becomes(order["id"], "cancelled")
    assert [each.type for each in await shop.said(order["id"], 3)] == [
        "order.confirmed.v1",
        "order.cancellation-requested.v1",
        "order.cancelled.v1",
    ]


async def test_what_is_said_of_an_order_that_has_ended_changes_nothing_and_parks_nothing(shop: Shop) -> None:
    contract = await shop.upload(b"signed and done")
    order = await shop.order(shop.body(await shop.line(), contract))
    confirmed = (await shop.confirmed(order["id"])).order
    await shop.done(confirmed)
    await shop.becomes(order["id"], "completed")
    found = (Discrepancy(code="order.conflict", path="/order", stage="provisioning"),)
    about: dict[str, Any] = {"order_id": order["id"], "subscription_id": order["subscription_id"]}
    await shop.publish(ChangeHeld(**about, case_id="case-late", discrepancies=found))
    again = SubscriptionChanged(
        subscription=trio(order["subscription_id"], 2), order=confirmed, effective_at=confirmed.received_at
    )
    await shop.publish(again)
    following = await shop.order(shop.body(order["subscription_id"], await shop.upload(b"another")))
    await shop.said(following["id"], 1)
    assert (await shop.becomes(order["id"], "completed"))["state"] == "completed"
    assert await shop.has("SELECT count(*) = 0 FROM parked_key")
    assert len(await shop.said(order["id"], 2)) == 2


async def test_a_completed_order_is_undone_by_another_which_the_answer_names(shop: Shop) -> None:
    contract = await shop.upload(b"signed")
    order = await shop.order(shop.body(await shop.line(), contract))
    await shop.done((await shop.confirmed(order["id"])).order)
    await shop.becomes(order["id"], "completed")

    answer = await cancel(shop, order)

    assert (answer.status_code, answer.json()["state"]) == (202, "completed")
    reversal = await shop.becomes(answer.json()["reversed_by"], "held")
    assert (reversal["action"], reversal["reverses"]) == ("reverse", order["id"])
    assert [(each["code"], each["given"]) for each in reversal["discrepancies"]] == [("reversal.by-hand", order["id"])]
    [held] = await shop.said(reversal["id"], 1)
    assert isinstance(held, OrderHeld)
    assert held.order.grounds == "misencoded"
    assert (await cancel(shop, order)).json()["reversed_by"] == reversal["id"]
    assert (await cancel(shop, reversal)).json()["state"] == "cancelled"
    assert (await cancel(shop, order)).json()["reversed_by"] != reversal["id"]


async def test_another_partners_order_is_not_there(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line()))
    assert (await cancel(shop, order, LIEGE)).status_code == 404
    assert (await shop.becomes(order["id"], "pending"))["state"] == "pending"


@pytest.mark.parametrize("reason", ["", "  ", "ask v@example.org"])
async def test_a_cancellation_says_why_without_naming_people(shop: Shop, reason: str) -> None:
    order = await shop.order(shop.body(await shop.line()))
    refused = await cancel(shop, order, reason=reason)
    assert (refused.status_code, [each["pointer"] for each in refused.json()["errors"]]) == (422, ["/reason"])
