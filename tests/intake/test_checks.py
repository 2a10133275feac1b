"""Asking before selling: what an order would be, without one, and what it costs to have asked."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.harness import OPERATOR_KEY, door
from tests.intake.shop import GENT, LIEGE, TRIO, Shop

RIGHT: dict[str, Any] = {"channel": "telesales", "quote": {"monthly_total": {"amount": 8100, "currency": "EUR"}}}
LESS: dict[str, Any] = {"channel": "telesales", "quote": {"monthly_change": {"amount": 500, "currency": "EUR"}}}

NOT_SHOWN = ["price.change", "quote.changed", "removals.excess", "services.lost", "subscription.exists"]


async def on_file(shop: Shop, line: str, number: int = 1) -> dict[str, str]:
    """Put the customer of a line on file; returns what an agent who knows her writes."""
    contact = {"email": f"Customer-{number}@example.org", "phone": f"+3287{number:06d}"}
    async with door(shop.service, OPERATOR_KEY) as client:
        file = {"name": f"Customer {number}", "language": "fr", **contact}
        assert (await client.put(f"/v1/customers/cust-of-{line}", json=file)).is_success
    return {"id": f"cust-of-{line}", **contact}


async def check(shop: Shop, body: Any, partner: str = GENT, **more: Any) -> httpx.Response:
    async with shop.at(partner) as client:
        return await client.post("/v1/order-checks", json=body, **more)


def codes(answer: dict[str, Any]) -> list[str]:
    return sorted(each["code"] for each in answer["discrepancies"])


async def test_a_check_says_what_an_order_would_cost_change_and_remove_and_makes_none(shop: Shop) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    answer = await check(shop, shop.body(line, **RIGHT, customer=customer))
    assert answer.status_code == 200
    found = answer.json()
    assert (found["offer"], found["removes"], found["discrepancies"]) == ({"code": "TRIO-MAX", "version": 2}, [], [])
    assert {name: found["price"][name]["amount"] for name in ("current_monthly", "new_monthly", "monthly_change")} == {
        "current_monthly": 7000,
        "new_monthly": 8100,
        "monthly_change": 1100,
    }
    assert await shop.has('SELECT count(*) FROM "order"') == 0
    assert await shop.topics.events("orders") == []


@pytest.mark.parametrize("known", [["phone"], ["email"]])
async def test_what_she_pays_is_shown_to_who_knows_one_of_her_contacts(shop: Shop, known: list[str]) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    given = {name: value for name, value in customer.items() if name in {"id", *known}}
    found = (await check(shop, shop.body(line, **LESS, customer=given))).json()
    assert found["price"]["current_monthly"]["amount"] == 7000
    assert found["discrepancies"][0]["expected"] == {"amount": 1100, "currency": "EUR"}


@pytest.mark.parametrize("given", [{}, {"email": "guessed@example.org"}, {"phone": "+3299999999"}])
async def test_what_she_has_and_pays_is_hidden_from_who_does_not(shop: Shop, given: dict[str, str]) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    body = shop.body(line, **LESS, customer={"id": customer["id"], **given})
    found = (await check(shop, body | {"removals": ["tv", "fax"]})).json()
    assert (found["price"]["current_monthly"], found["price"]["monthly_change"], found["removes"]) == (None, None, None)
    assert found["price"]["new_monthly"]["amount"] == 8100
    assert codes(found) == (["contact.unverified"] if given else [])
    assert found["not_shown"] == NOT_SHOWN


def others(**quote: int) -> dict[str, Any]:
    """A quote of these amounts."""
    return {"quote": {name: {"amount": amount, "currency": "EUR"} for name, amount in quote.items()}}


@pytest.mark.parametrize("known", [True, False])
async def test_a_check_tells_nobody_whether_he_guessed_right_who_knows_no_contact_of_hers(
    shop: Shop, *, known: bool
) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    body = shop.body(line, channel="telesales", customer=customer if known else {"id": customer["id"]})
    ends = {name: value for name, value in body.items() if name not in {"offer", "quote"}} | {"action": "terminate"}
    guesses = [
        (body | others(monthly_total=8100), []),
        (body | others(monthly_change=1100), []),
        (body | others(monthly_change=1200), ["price.change", "quote.changed"]),
        (body | others(monthly_change=1100), ["quote.changed"]),
        (body | others(monthly_total=8100) | {"removals": ["tv"]}, ["quote.changed", "removals.excess"]),
        (ends, ["services.lost"]),
    ]
    for guess, there in guesses:
        found = (await check(shop, guess)).json()
        assert (codes(found), found["not_shown"]) == ((there, []) if known else ([], NOT_SHOWN))
    order = await shop.order(body | others(monthly_total=8100))
    assert (order["state"], codes(order)) == ("held", ["quote.changed"]), "every guess was kept"


async def test_a_check_says_of_nobodys_contact_no_more_than_that_it_is_wrong(shop: Shop) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    add = shop.body("", **RIGHT, action="add", customer={**customer, "name": "A", "email": "made-up@example.org"})
    del add["subscription_id"]
    known = (await check(shop, add)).json()
    assert (codes(known), known["not_shown"]) == (["contact.unverified", "subscription.exists"], [])
    blind = {**add, "customer": {**add["customer"], "phone": "+3299999999"}}
    found = (await check(shop, blind)).json()
    assert (codes(found), found["not_shown"]) == (["contact.unverified", "contact.unverified"], NOT_SHOWN)


async def test_nothing_of_a_foreign_subscription_is_shown(shop: Shop) -> None:
    line, other = await shop.line(), await shop.line()
    customer = await on_file(shop, line)
    found = (await check(shop, shop.body(other, **LESS, customer=customer))).json()
    assert (found["price"], found["removes"], codes(found)) == (None, [], ["subscription.unknown"])


async def test_what_was_told_in_a_check_is_told(shop: Shop) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    assert codes((await check(shop, shop.body(line, **LESS, customer=customer))).json()) == ["price.change"]
    assert codes((await check(shop, shop.body(line, **RIGHT, customer=customer))).json()) == ["quote.changed"]
    order = await shop.order(shop.body(line, **RIGHT))
    assert (order["state"], codes(order)) == ("held", ["quote.changed"])
    [found] = order["discrepancies"]
    assert [each["quote"]["monthly_change"]["amount"] for each in found["expected"]] == [500]


async def test_another_partner_and_another_offer_were_told_nothing(shop: Shop) -> None:
    line = await shop.line()
    await check(shop, shop.body(line, **LESS), LIEGE)
    await check(shop, shop.body(line, **{**LESS, "offer": TRIO.code}))
    assert (await shop.order(shop.body(line, **RIGHT)))["state"] == "pending"


async def test_a_new_customer_is_known_by_her_contact(shop: Shop) -> None:
    new = {"name": "New", "email": "new@example.org", "phone": "+3247000001"}
    body = shop.body("", **RIGHT, action="add", customer=new)
    del body["subscription_id"]
    cheap = body | {"quote": {"monthly_total": {"amount": 7500, "currency": "EUR"}}}
    assert codes((await check(shop, cheap | {"customer": {**new, "email": "typed@example.org"}})).json()) == [
        "price.monthly"
    ]
    order = await shop.order(body)
    assert codes(order) == ["quote.changed"]
    again = await shop.order(body | {"partner_reference": "GC-again", "evidence": None})
    assert codes(again) == ["contact.unverified", "contact.unverified", "quote.changed", "subscription.exists"]


async def test_two_checks_at_once_are_both_kept(shop: Shop) -> None:
    line = await shop.line()
    quotes = [{"monthly_total": {"amount": amount, "currency": "EUR"}} for amount in range(7000, 7008)]
    bodies = [shop.body(line, **{**RIGHT, "quote": quote}) for quote in quotes]
    answers = await asyncio.gather(*(check(shop, each) for each in bodies))
    assert {each.status_code for each in answers} == {200}
    order = await shop.order(shop.body(line, **RIGHT))
    assert len(order["discrepancies"][0]["expected"]) == 8


async def test_evidence_is_not_used_up_by_a_check(shop: Shop) -> None:
    line = await shop.line()
    body = shop.body(line, "ab" * 32, **RIGHT)
    assert codes((await check(shop, body)).json()) == []
    assert (await shop.order(body))["state"] == "pending"
    assert codes((await check(shop, body)).json()) == ["evidence.reused"]


async def test_the_shop_asks_for_evidence(shop: Shop) -> None:
    line = await shop.line()
    assert codes((await check(shop, shop.body(line) | {"evidence": None})).json()) == ["evidence.missing"]
    by_telephone = shop.body(await shop.line(), **RIGHT) | {"evidence": None}
    assert codes((await check(shop, by_telephone)).json()) == []


async def test_a_check_is_refused_as_an_order_is(shop: Shop) -> None:
    body = shop.body(await shop.line(), **RIGHT)
    async with door(shop.service) as nobody:
        assert (await nobody.post("/v1/order-checks", json=body)).status_code == 401
    refused = await check(shop, body | {"quantity": 2}, headers={"Accept-Language": "de"})
    assert (refused.status_code, refused.json()["errors"]) == (
        422,
        [{"pointer": "/quantity", "code": "extra_forbidden", "detail": "dieses Feld ist unbekannt"}],
    )
    assert (await check(shop, body | {"agent": "x" * 70000})).status_code == 413


@pytest.mark.parametrize("action", [{}, [], None, 1])
async def test_an_action_that_is_no_word_is_a_fault_of_the_body(shop: Shop, action: Any) -> None:
    answer = await shop.post(shop.body("sub-1") | {"action": action})
    assert answer.status_code == 422
    assert "/action" in [each["pointer"] for each in answer.json()["errors"]]
