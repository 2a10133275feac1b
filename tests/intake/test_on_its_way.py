"""An order that was on its way is not another one, and ends only once nothing of it is in place."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.case_v1 import Corrections
from contracts.order_v1 import (
    Discrepancy,
    Order,
    OrderCancellationRequested,
    OrderCancelled,
    OrderHeld,
    OrderPending,
    is_untouched,
)
from contracts.subscription_v1 import ChangeCancelled, ChangeFailed, ChangeHeld
from services.chassis import links
from tests.harness import door
from tests.intake.shop import Shop

CONTRACT = b"%PDF-1.7 the signed contract of an order on its way"


def found(code: str, stage: str) -> Discrepancy:
    return Discrepancy(code=code, path="/state", stage=stage)


@pytest.mark.parametrize(
    ("code", "stage", "untouched"),
    [
        ("services.lost", "provisioning", True),
        ("offer.unknown", "provisioning", True),
        ("price.change", "intake", True),
        ("provisioning.failed", "provisioning", False),
        ("order.conflict", "provisioning", False),
        ("order.overdue", "intake", False),
        ("billing.mismatch", "billing", False),
    ],
)
def test_of_what_was_confirmed_something_may_be_done_unless_it_was_stopped(
    code: str, stage: str, *, untouched: bool
) -> None:
    assert is_untouched((found(code, stage),), confirmed=True) is untouched
    assert is_untouched((found(code, stage),), confirmed=False)


async def on_its_way(shop: Shop) -> Order:
    """An order whose customer signed a contract in the shop."""
    order = await shop.order(shop.body(await shop.line(), await shop.upload(CONTRACT)))
    return (await shop.confirmed(order["id"])).order


async def asked_anew(shop: Shop) -> tuple[Order, str]:
    """An order that provisioning stopped, of which its customer is asked; with the token of her link."""
    order = await on_its_way(shop)
    await shop.stops(order, version=2)
    await shop.becomes(order.id, "pending")
    question = (await shop.said(order.id, 2))[-1]
    assert isinstance(question, OrderPending)
    return order, links.sign(shop.service.settings.link_secret, question.confirmation_id)


@pytest.mark.parametrize("answer", [{"answer": "no"}, {"answer": "not-what-i-was-told", "told_monthly_total": "70"}])
async def test_a_no_to_an_order_that_was_on_its_way_ends_it_once_nothing_of_it_is_in_place(
    shop: Shop, answer: dict[str, Any]
) -> None:
    order, token = await asked_anew(shop)
    async with door(shop.service) as customer:
        assert (await customer.post(f"/confirm/{token}", data=answer)).is_success
    assert isinstance((await shop.said(order.id, 3))[-1], OrderCancellationRequested)
    await shop.becomes(order.id, "assessingCancellation")
    nothing_done = ChangeCancelled(order_id=order.id, subscription_id=order.subscription_id)
    await shop.publish(nothing_done)
    await shop.becomes(order.id, "cancelled")
    await shop.publish(nothing_done)
    await shop.line()  # what was published before it is handled
    assert isinstance((await shop.said(order.id, 4))[-1], OrderCancelled)
    assert await shop.has("SELECT holder IS NULL FROM subscription WHERE id = :id", id=order.subscription_id)
    assert await shop.has("SELECT count(*) FROM dead_letter") == 0


def of(order: Order, case_id: str, code: str) -> dict[str, Any]:
    """What provisioning says where it opened a case about an order."""
    why = (found(code, "provisioning"),)
    return {"order_id": order.id, "subscription_id": order.subscription_id, "case_id": case_id, "discrepancies": why}


async def test_what_its_customer_refused_is_undone_and_not_carried_out_where_it_is_sent_again(shop: Shop) -> None:
    order, token = await asked_anew(shop)
    async with door(shop.service) as customer:
        assert (await customer.post(f"/confirm/{token}", data={"answer": "no"})).is_success
    await shop.becomes(order.id, "assessingCancellation")
    await shop.publish(ChangeFailed(**of(order, "case-1", "provisioning.failed"), undoing=True))
    await shop.decides(await shop.becomes(order.id, "held"), "send_again")
    await shop.becomes(order.id, "assessingCancellation")
    assert isinstance((await shop.said(order.id, 5))[-1], OrderCancellationRequested)
    await shop.publish(ChangeCancelled(order_id=order.id, subscription_id=order.subscription_id))
    ended = await shop.becomes(order.id, "cancelled")
    assert ended["history"][-1]["reason"] == "so it is"


async def test_an_order_that_the_network_failed_is_not_put_right_whoever_decides_so(shop: Shop) -> None:
    order, right = await on_its_way(shop), Corrections(agent="agent-22")
    await shop.publish(ChangeFailed(**of(order, "case-1", "provisioning.failed")))
    failed = await shop.becomes(order.id, "held")
    await shop.decides(failed, "correct_and_resubmit", right)
    again = (await shop.said(order.id, 3))[-1]
    assert isinstance(again, OrderHeld)
    assert (again.case_id, again.order.agent) == ("case-1", "agent-21")

    # Nor once it was sent again, and is held for something else: the first attempt may have left something.
    await shop.decides(failed, "send_again")
    await shop.said(order.id, 4)
    await shop.publish(ChangeHeld(**of(order, "case-2", "services.lost"), subscription_version=1))
    await shop.said(order.id, 5)
    await shop.decides(await shop.becomes(order.id, "held"), "correct_and_resubmit", right)
    last = (await shop.said(order.id, 6))[-1]
    assert isinstance(last, OrderHeld)
    assert (last.case_id, last.order.agent) == ("case-2", "agent-21")
