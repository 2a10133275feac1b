"""A contract signed in the shop is the customer's yes, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.order_v1 import Evidence, OrderConfirmed, OrderHeld, OrderPending
from services.chassis import links
from services.chassis.ids import sha256
from tests.harness import door, eventually
from tests.intake.shop import LIEGE, TRIO, Shop, charged, euro

CONTRACT, OTHER = b"%PDF-1.7 signed by V. D.", b"%PDF-1.7 signed by W. V."


async def asked(shop: Shop) -> int:
    return int(await shop.has("SELECT count(*) FROM confirmation"))


async def test_an_order_with_its_signed_contract_goes_on_at_once(shop: Shop) -> None:
    contract = await shop.upload(CONTRACT)
    order = await shop.order(shop.body(await shop.line(), contract))
    assert order["state"] == "inProgress"
    assert [each["state"] for each in order["history"]] == ["acknowledged", "inProgress"]
    confirmed = await shop.confirmed(order["id"])
    assert (confirmed.medium, confirmed.attempt, confirmed.current_offer) == ("signed-contract", 1, TRIO.ref)
    assert confirmed.order.evidence == Evidence(kind="signed-contract", reference="C-1", sha256=contract)
    assert await asked(shop) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "recording"},
        {"channel": "telesales"},
    ],
    ids=["a recording", "by telephone"],
)
async def test_whatever_else_is_held_the_customer_is_asked(shop: Shop, changes: dict[str, Any]) -> None:
    order = await shop.order(shop.body(await shop.line(), await shop.upload(CONTRACT), **changes))
    assert order["state"] == "pending"
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    assert question.current_offer == TRIO.ref


async def test_without_the_file_the_customer_is_asked(shop: Shop) -> None:
    await shop.upload(OTHER)
    assert (await shop.order(shop.body(await shop.line(), sha256(CONTRACT))))["state"] == "pending"


async def test_a_file_that_another_partner_gave_is_not_held_for_this_one(shop: Shop) -> None:
    contract = await shop.upload(CONTRACT, LIEGE)
    assert (await shop.order(shop.body(await shop.line(), contract)))["state"] == "pending"


async def test_a_file_that_comes_after_the_order_changes_nothing(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), sha256(CONTRACT)))
    await shop.upload(CONTRACT)
    assert (await shop.becomes(order["id"], "pending"))["history"] == order["history"]


async def test_a_signed_contract_opens_nothing_that_the_gate_holds(shop: Shop) -> None:
    quote = {"monthly_total": {"amount": 7000, "currency": "EUR"}}
    order = await shop.order(shop.body(await shop.line(), await shop.upload(CONTRACT), quote=quote))
    assert (order["state"], [each["code"] for each in order["discrepancies"]]) == (
        *("held", ["price.monthly", "price.promotion"]),
    )


async def test_after_a_decision_about_the_price_the_customer_is_asked(shop: Shop) -> None:
    quote = {"monthly_total": {"amount": 7000, "currency": "EUR"}}
    line = await shop.line()
    order = await shop.order(shop.body(line, await shop.upload(CONTRACT), quote=quote))
    await shop.decides(order, "apply_published_price")
    await shop.becomes(order["id"], "pending")
    assert [type(each) for each in await shop.said(order["id"], 2)] == [OrderHeld, OrderPending]


async def test_an_order_whose_turn_comes_goes_on_with_what_was_signed(shop: Shop) -> None:
    line = await shop.line()
    first = await shop.order(shop.body(line, await shop.upload(CONTRACT)))
    second = await shop.order(shop.body(line, await shop.upload(OTHER)))
    assert (second["state"], second["waits_for"]) == ("acknowledged", first["id"])
    await shop.done((await shop.confirmed(first["id"])).order)
    await shop.becomes(second["id"], "inProgress")
    confirmed = await shop.confirmed(second["id"], 2)
    assert (confirmed.medium, confirmed.order.subscription_version) == ("signed-contract", 2)
    assert await asked(shop) == 0


async def test_what_was_signed_holds_once_where_provisioning_stopped_it_and_nothing_moved(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), await shop.upload(CONTRACT)))
    signed = await shop.confirmed(order["id"])
    await shop.stops(signed.order, version=1)
    again = await shop.confirmed(order["id"], 2)
    assert (again.medium, again.attempt, again.order.price) == ("sent-again", 2, signed.order.price)
    await shop.stops(again.order, version=1)
    await shop.becomes(order["id"], "pending")


async def test_a_customer_whose_subscription_moved_is_asked_whatever_she_signed(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), await shop.upload(CONTRACT)))
    await shop.stops((await shop.confirmed(order["id"])).order, version=2)
    await shop.becomes(order["id"], "pending")
    assert [type(each) for each in await shop.said(order["id"], 2)] == [OrderConfirmed, OrderPending]
    assert await asked(shop) == 1


async def test_a_customer_whose_price_moved_is_asked_whatever_she_signed(shop: Shop) -> None:
    line = await shop.line()
    order = await shop.order(shop.body(line, await shop.upload(CONTRACT)))
    await shop.publish(charged(line, 2, 6500))
    await eventually(lambda: shop.has("SELECT charged_version = 2 FROM subscription WHERE id = :id", id=line))
    await shop.stops((await shop.confirmed(order["id"])).order, version=1)
    await shop.becomes(order["id"], "pending")
    price = (await shop.said(order["id"], 2))[-1].order.price
    assert price is not None
    assert price.current_monthly == euro(6500)


async def test_a_customer_who_was_asked_is_asked_again_where_provisioning_stopped_it(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), sha256(CONTRACT)))
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    await shop.upload(CONTRACT)
    async with door(shop.service) as customer:
        token = links.sign(shop.service.settings.link_secret, question.confirmation_id)
        assert (await customer.post(f"/confirm/{token}", data={"answer": "yes"})).status_code == 200
    await shop.stops((await shop.confirmed(order["id"], 2)).order, version=1)
    await shop.becomes(order["id"], "pending")
