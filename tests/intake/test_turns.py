"""Orders on one subscription are taken in turn: whose turn it is not waits, and what was held while it waited, too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.case_v1 import Corrections
from contracts.offer_v1 import OfferPublished, OfferWithdrawn
from contracts.order_v1 import Evidence
from tests.harness import START, MovableClock, eventually
from tests.intake.shop import GENT, LIEGE, OFFERS, Shop

PUBLISHED: dict[str, Any] = {"channel": "telesales"}
LATE = OFFERS[0].model_copy(update={"code": "LATE", "version": 1})
LATE_ORDER: dict[str, Any] = {
    **PUBLISHED,
    "offer": "LATE",
    "quote": {"monthly_total": {"amount": 7000, "currency": "EUR"}},
}


async def cancel(shop: Shop, order: dict[str, Any], partner: str = GENT) -> None:
    async with shop.at(partner) as client:
        answer = await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "a mistake"})
    assert answer.json()["state"] == "cancelled"


def sold_now(clock: MovableClock) -> dict[str, str]:
    return {"sold_at": (clock.now() - timedelta(minutes=3)).isoformat()}


async def two_of_one_line(shop: Shop, clock: MovableClock) -> tuple[dict[str, Any], dict[str, Any]]:
    """An order that the customer does not answer, and one that waited behind it until its clock ran out."""
    line = await shop.line()
    first, second = await shop.order(shop.body(line, **PUBLISHED)), await shop.order(shop.body(line, **PUBLISHED))
    assert (first["state"], second["state"], second["waits_for"]) == ("pending", "acknowledged", first["id"])
    clock.advance(timedelta(days=2, minutes=1))
    overdue = await shop.becomes(second["id"], "held")
    assert [each["code"] for each in overdue["discrepancies"]] == ["order.conflict"]
    return first, overdue


async def test_an_order_that_waited_too_long_and_is_sent_again_still_waits_for_the_one_ahead(
    shop: Shop, clock: MovableClock
) -> None:
    first, second = await two_of_one_line(shop, clock)

    await shop.decides(second, "send_again")

    waiting = await shop.becomes(second["id"], "acknowledged")
    assert (waiting["waits_for"], waiting["discrepancies"], waiting["case_id"]) == (first["id"], [], None)
    assert (await shop.becomes(first["id"], "pending"))["history"] == first["history"]
    await cancel(shop, first)
    assert (await shop.becomes(second["id"], "pending"))["waits_for"] is None


async def test_it_has_a_clock_again(shop: Shop, clock: MovableClock) -> None:
    _, second = await two_of_one_line(shop, clock)
    await shop.decides(second, "send_again")
    await shop.becomes(second["id"], "acknowledged")
    clock.advance(timedelta(days=2, minutes=1))
    again = await shop.becomes(second["id"], "held")
    assert (again["discrepancies"], again["case_id"] == second["case_id"]) == (second["discrepancies"], False)


async def test_once_nobody_is_ahead_it_is_judged_at_once_and_has_the_turn(shop: Shop, clock: MovableClock) -> None:
    first, second = await two_of_one_line(shop, clock)
    await cancel(shop, first)
    assert (await shop.becomes(second["id"], "held"))["history"] == second["history"]
    await shop.decides(second, "send_again")
    await shop.becomes(second["id"], "pending")
    third = await shop.order(shop.body(second["subscription_id"], **PUBLISHED, **sold_now(clock)))
    assert third["waits_for"] == second["id"]


async def test_one_that_came_meanwhile_is_ahead(shop: Shop, clock: MovableClock) -> None:
    first, second = await two_of_one_line(shop, clock)
    await cancel(shop, first)
    third = await shop.order(shop.body(first["subscription_id"], **PUBLISHED, **sold_now(clock)))
    assert third["state"] == "pending"
    await shop.decides(second, "send_again")
    assert (await shop.becomes(second["id"], "acknowledged"))["waits_for"] == third["id"]
    fourth = await shop.order(shop.body(first["subscription_id"], **PUBLISHED, **sold_now(clock)))
    await cancel(shop, third)
    await shop.becomes(second["id"], "pending")
    assert (await shop.becomes(fourth["id"], "acknowledged"))["waits_for"] == third["id"]


async def test_an_order_whose_turn_it_is_is_judged_again_at_once(shop: Shop) -> None:
    line = await shop.line()
    order = await shop.order(shop.body(line, **PUBLISHED, offer="NEVER"))
    held = await shop.becomes(order["id"], "held")
    assert [each["code"] for each in held["discrepancies"]] == ["offer.unknown"]
    await shop.decides(held, "send_again")
    again = await eventually(lambda: _held_anew(shop, held))
    assert [each["code"] for each in again["discrepancies"]] == ["offer.unknown"]


async def _held_anew(shop: Shop, before: dict[str, Any]) -> dict[str, Any] | None:
    view = await shop.becomes(before["id"], "held")
    return view if view["case_id"] != before["case_id"] else None


async def test_an_order_whose_turn_comes_waits_for_a_late_offer_as_a_new_one_does(shop: Shop) -> None:
    line = await shop.line()
    first = await shop.order(shop.body(line, **PUBLISHED))
    second = await shop.order(shop.body(line, **LATE_ORDER))
    assert second["waits_for"] == first["id"]
    await cancel(shop, first)
    waiting = await shop.becomes(second["id"], "acknowledged")
    assert waiting["waits_for"] == "LATE"
    await shop.publish(OfferPublished(offer=LATE, published_at=START - timedelta(days=90)))
    assert (await shop.becomes(second["id"], "pending"))["offer"] == {"code": "LATE", "version": 1}


async def test_an_offer_that_is_read_again_stays_off_sale(shop: Shop) -> None:
    published = OfferPublished(offer=LATE, published_at=START - timedelta(days=90))
    await shop.publish(published, OfferWithdrawn(code="LATE", withdrawn_at=START - timedelta(days=1)), published)
    await shop.publish(OfferPublished(offer=LATE.model_copy(update={"version": 2}), published_at=START))
    await eventually(lambda: shop.has("SELECT count(*) = 2 FROM offer WHERE code = 'LATE'"))
    assert await shop.has("SELECT withdrawn_at IS NOT NULL FROM offer WHERE code = 'LATE' AND version = 1")


@pytest.mark.parametrize("evidence", ["signed", "given in an answer"])
async def test_who_signed_is_asked_all_the_same_once_her_order_was_put_right(
    shop: Shop, clock: MovableClock, evidence: str
) -> None:
    line, contract = await shop.line(), await shop.upload(b"%PDF signed while it waited")
    first = await shop.order(shop.body(line, **PUBLISHED), LIEGE)
    second = await shop.order(shop.body(line, contract if evidence == "signed" else None, removals=["tv"]))
    clock.advance(timedelta(days=2, minutes=1))
    overdue = await shop.becomes(second["id"], "held")
    given = Evidence(kind="signed-contract", reference="C-9", sha256=contract)
    right = Corrections(removals=(), evidence=None if evidence == "signed" else given)
    await shop.decides(overdue, "correct_and_resubmit", corrections=right)
    await shop.becomes(second["id"], "acknowledged")
    await cancel(shop, first, LIEGE)
    await shop.becomes(second["id"], "pending")
