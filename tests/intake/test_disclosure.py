"""What a customer has and pays is shown to who knows her, to the service desk, and to all once she said yes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts.offer_v1 import Price
from contracts.order_v1 import Discrepancy, OrderPending, PriceDecision
from services.intake.rules.disclosure import shown
from tests.harness import door, make_key
from tests.intake.shop import GENT, LIEGE, Shop, euro
from tests.intake.test_checks import check, on_file
from tests.intake.test_code import says
from tests.intake.test_rules import order as an_order
from tests.notification.samples import order as a_priced_order

GUESSED: dict[str, Any] = {"channel": "telesales", "quote": {"monthly_change": {"amount": 500, "currency": "EUR"}}}
PUBLISHED: dict[str, Any] = {"channel": "telesales"}
HERS = ("current_monthly", "monthly_change")


def of_hers(view: dict[str, Any]) -> list[Any]:
    """What an order's view tells of what she pays and would lose."""
    price = view["price"] or dict.fromkeys(HERS)
    return [*(price[name] for name in HERS), *(each["expected"] for each in view["discrepancies"])]


async def everywhere(shop: Shop, order: dict[str, Any], partner: str = GENT) -> list[dict[str, Any]]:
    """An order in every answer that shows it to its partner, until it is cancelled."""
    async with shop.at(partner) as client:
        read = (await client.get(f"/v1/orders/{order['id']}")).json()
        [listed] = (await client.get("/v1/orders", params={"customer_id": order["customer_id"]})).json()["items"]
        path, reason = f"/v1/orders/{order['id']}/cancellation", {"reason": "a mistake"}
        cancelled = (await client.post(path, json=reason)).json()
    assert cancelled["state"] == "cancelled"
    return [order, read, listed, cancelled]


@pytest.mark.parametrize("given", [{}, {"email": "made-up@example.org", "phone": "+3299999999"}])
async def test_who_guesses_ids_and_contacts_learns_nothing_of_what_she_pays(shop: Shop, given: dict[str, str]) -> None:
    line = await shop.line()
    await on_file(shop, line)
    body = shop.body(line, **GUESSED, customer={"id": f"cust-of-{line}", **given})
    order = await shop.order(body)
    assert order["state"] == "held"
    replayed = (await shop.post(body)).json()
    for view in (replayed, *await everywhere(shop, order)):
        assert not any(of_hers(view)), view
        assert (view["price"]["new_monthly"], view["discrepancies"][-1]["code"]) == (
            {"amount": 8100, "currency": "EUR"},
            "price.change",
        )
        assert view["discrepancies"][-1]["given"] == {"amount": 500, "currency": "EUR"}
    assert (await check(shop, shop.body(line, **GUESSED))).json()["price"]["current_monthly"] is None


@pytest.mark.parametrize("known", ["email", "phone"])
async def test_who_knows_one_of_her_contacts_sees_what_she_pays(shop: Shop, known: str) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    body = shop.body(line, **GUESSED, customer={"id": customer["id"], known: customer[known]})
    for view in await everywhere(shop, await shop.order(body)):
        assert [each["amount"] for each in of_hers(view)] == [7000, 1100, 1100]


async def test_what_she_would_lose_is_hidden_and_that_she_would_lose_something_is_not_in_an_order(shop: Shop) -> None:
    line = await shop.line()
    ends = shop.body(line, channel="telesales", action="terminate", removals=["tv", "fax"])
    del ends["offer"], ends["quote"]
    order = await shop.order(ends)
    found = [(each["code"], each["expected"], each["given"]) for each in order["discrepancies"]]
    assert found == [("services.lost", None, ["tv", "fax"]), ("removals.excess", None, None)]
    assert (order["price"]["new_monthly"]["amount"], *of_hers(order)[:2]) == (0, None, None)


async def test_what_she_said_yes_to_is_shown(shop: Shop) -> None:
    line = await shop.line()
    order = await shop.order(shop.body(line, **PUBLISHED))
    assert (order["state"], *of_hers(order)) == ("pending", None, None)
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    assert not question.order.discloses

    assert (await says(shop.service, question, "yes")).is_success

    confirmed = await shop.becomes(order["id"], "inProgress")
    assert [each["amount"] for each in of_hers(confirmed)] == [7000, 1100]
    assert (await shop.confirmed(order["id"], 2)).order.discloses


async def test_a_no_shows_nothing(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), **PUBLISHED))
    [question] = await shop.said(order["id"], 1)
    assert isinstance(question, OrderPending)
    assert (await says(shop.service, question, "no")).is_success
    assert not any(of_hers(await shop.becomes(order["id"], "cancelled")))


async def test_a_contract_that_the_partner_brought_is_not_her_word(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), await shop.upload(b"signed by somebody")))
    assert (order["state"], *of_hers(order)) == ("inProgress", None, None)


async def test_a_quote_that_was_honoured_shows_no_price_from_which_hers_is_told(shop: Shop) -> None:
    line = await shop.line()
    order = await shop.order(shop.body(line, **GUESSED))
    await shop.decides(order, "honour_quote")
    pending = await shop.becomes(order["id"], "pending")
    assert pending["price"] is None
    question = (await shop.said(order["id"], 2))[-1]
    assert isinstance(question, OrderPending)
    assert (await says(shop.service, question, "yes")).is_success
    assert (await shop.becomes(order["id"], "inProgress"))["price"]["new_monthly"]["amount"] == 7500


async def test_the_service_desk_sees_everything(shop: Shop) -> None:
    shop.keys["desk"] = await make_key(shop.service, "service-desk", "desk", channels=["desk", "telesales"])
    order = await shop.order(shop.body(await shop.line(), **GUESSED))
    async with door(shop.service, shop.keys["desk"]) as desk:
        assert [each["amount"] for each in of_hers((await desk.get(f"/v1/orders/{order['id']}")).json())] == [
            *(7000, 1100, 1100),
        ]
    own = await shop.order(shop.body(await shop.line(), **GUESSED), "desk")
    assert of_hers(own)[0] == {"amount": 7000, "currency": "EUR"}


async def test_an_order_that_undoes_another_discloses_no_more_than_that(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), await shop.upload(b"signed")))
    await shop.done((await shop.confirmed(order["id"])).order)
    await shop.becomes(order["id"], "completed")
    async with shop.at() as client:
        answer = await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "a mistake"})
    [held] = await shop.said(answer.json()["reversed_by"], 1)
    assert not held.order.discloses


async def test_another_partners_right_contact_opens_nothing_for_this_one(shop: Shop) -> None:
    line = await shop.line()
    customer = await on_file(shop, line)
    first = await shop.order(shop.body(line, **GUESSED, customer=customer), LIEGE)
    assert all(of_hers(first))
    async with shop.at(LIEGE) as client:
        assert (await client.post(f"/v1/orders/{first['id']}/cancellation", json={"reason": "no"})).is_success
    assert not any(of_hers(await shop.order(shop.body(line, **GUESSED))))


# --- the rule -------------------------------------------------------------------------------------------------------

VALUES: dict[str, Any] = {"expected": 1, "given": 2, "stage": "intake"}
SHOWN = [
    ("price.change", "/quote/monthly_change", (None, 2)),
    ("services.lost", "/removals", (None, 2)),
    ("removals.excess", "/removals", (None, None)),
    ("billing.mismatch", "/price/monthly_change", (None, None)),
    ("price.missing", "/subscription_id", (None, None)),
    ("price.currency", "/subscription_id", (None, None)),
    ("provisioning.failed", "/subscription_id", (None, None)),
    ("price.monthly", "/quote/monthly_total", (1, 2)),
    ("price.currency", "/quote/monthly_total", (1, 2)),
    ("quote.changed", "/quote", (1, 2)),
]


@pytest.mark.parametrize(("code", "path", "values"), SHOWN)
def test_values_that_tell_of_her_are_hidden(code: str, path: str, values: tuple[int | None, int | None]) -> None:
    found = Discrepancy(code=code, path=path, **VALUES)
    hidden = shown(found, an_order(discloses=False))
    assert (hidden["expected"], hidden["given"]) == values
    assert shown(found, an_order()) == found.model_dump(mode="json")


def test_an_order_of_before_shows_what_it_showed() -> None:
    before = an_order().model_dump(mode="json")
    del before["discloses"]
    assert type(an_order()).model_validate(before).discloses


def honoured() -> PriceDecision:
    price = Price(monthly_total=euro(7500), monthly_full=euro(7500), one_off=euro(0))
    return PriceDecision(kind="honour_quote", case_id="case-1", reviewer="rita", honoured=price)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, lambda price: price),
        ({"discloses": False}, lambda price: {**price, "current_monthly": None, "monthly_change": None}),
        ({"discloses": False, "decision": honoured()}, lambda _: None),
        ({"decision": honoured()}, lambda price: price),
        ({"discloses": False, "price": None}, lambda _: None),
    ],
)
def test_a_price_is_shown_as_far_as_it_tells_nothing_of_hers(
    changes: dict[str, Any], expected: Callable[[Any], Any]
) -> None:
    price = a_priced_order().model_dump(mode="json")["price"]
    assert a_priced_order(**changes).price_for_partner() == expected(price)
