"""A new customer's code: the link goes to the mailbox, six digits to the phone, and a yes takes both."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.order_v1 import OrderCancelled, OrderConfirmed, OrderPending
from services.chassis import links
from services.chassis.service import Service
from tests.harness import door
from tests.intake.shop import Shop

NEW = {"name": "New", "email": "new@example.org", "phone": "+3247000001"}


async def asked(shop: Shop, **changes: Any) -> tuple[dict[str, Any], OrderPending]:
    """An order for somebody new, and what she is asked."""
    body = shop.body("", channel="telesales", action="add", customer=NEW, **changes)
    del body["subscription_id"]
    order = await shop.order(body)
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    return order, question


async def says(service: Service, question: OrderPending, answer: str, code: str | None = None) -> httpx.Response:
    token = links.sign(service.settings.link_secret, question.confirmation_id)
    form = {"answer": answer} | ({"code": code} if code is not None else {})
    async with door(service) as customer:
        return await customer.post(f"/confirm/{token}", data=form)


async def test_a_yes_of_a_new_customer_takes_the_code_and_after_it_she_is_known(shop: Shop) -> None:
    order, question = await asked(shop)
    assert question.code_required
    code = links.code(shop.service.settings.link_secret, question.confirmation_id)
    assert (len(code), code.isdecimal()) == (6, True)
    for wrong in (None, "", f"{(int(code) + 1) % 1_000_000:06d}", code[:5]):
        assert (await says(shop.service, question, "yes", wrong)).status_code == 422
    assert (await shop.becomes(order["id"], "pending"))["history"][-1]["state"] == "pending"

    assert (await says(shop.service, question, "yes", f" {code[:3]} {code[3:]} ")).status_code == 200

    assert isinstance((await shop.said(order["id"], 2))[-1], OrderConfirmed)
    assert await shop.has("SELECT verified FROM customer WHERE id = :id", id=order["customer_id"])


async def test_who_mistakes_the_code_too_often_ends_the_order(shop: Shop) -> None:
    order, question = await asked(shop)
    code = links.code(shop.service.settings.link_secret, question.confirmation_id)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answers = [(await says(shop.service, question, "yes", wrong)).status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 410]
    ended = (await shop.said(order["id"], 2))[-1]
    assert isinstance(ended, OrderCancelled)
    assert ended.reason == "the code was wrong 5 times"
    assert (await says(shop.service, question, "yes", code)).status_code == 410


async def test_a_no_takes_no_code(shop: Shop) -> None:
    order, question = await asked(shop)
    assert (await says(shop.service, question, "no")).status_code == 200
    await shop.becomes(order["id"], "cancelled")


async def test_who_is_on_file_needs_no_code(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line()))
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    assert not question.code_required


def test_a_code_is_that_of_one_question_and_of_one_secret() -> None:
    codes = {links.code(secret, each) for secret in ("a", "b") for each in ("conf-1", "conf-2")}
    assert len(codes) == 4
    assert links.code("a", "conf-1") == links.code("a", "conf-1")
