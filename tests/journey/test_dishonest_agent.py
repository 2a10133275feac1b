"""The dishonest agent: twelve ways to get a promise of +5.00 past the published +11.00, and who sees each of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys import Journey, Line, euro

pytestmark = pytest.mark.timeout(120)

PROMISED = {"monthly_change": euro(500)}
RIGHT = {"monthly_total": euro(8100), "monthly_change": euro(1100)}
SHOP = {"monthly_total": euro(7500), "promotion": {"monthly": euro(-600), "months": 6}}
TRIO_MID = {
    "code": "TRIO-MID",
    "version": 1,
    "names": dict.fromkeys(("fr", "nl", "de", "en"), "Trio Mid"),
    "monthly": euro(7500),
    "services": [
        {"code": "internet", "level": {"download": 200, "upload": 25, "volume": 400}},
        {"code": "tv", "level": {"channels": 85}},
        {"code": "telephony", "level": {"minutes": 1000}},
    ],
    "equipment": ["decoder"],
    "on_sale_from": "2026-11-01",
    "channels": ["telesales"],
}


def codes(order: dict[str, Any]) -> list[str]:
    """What a person is going to look at, if anything."""
    assert (order["state"] == "held") is bool(order["discrepancies"]), order
    return sorted({each["code"] for each in order["discrepancies"]})


def untouched(journey: Journey, line: Line, order: dict[str, Any]) -> bool:
    """Whether nothing came of an order: no change, no charge, no question to the customer."""
    events = journey.events(order["id"])
    asked = [link for mail in journey.doors.mails(line.customer["email"]) for link in mail["links"]]
    same = journey.charged(line.subscription_id) == 7000
    return same and not asked and not events.keys() & {"subscriptions", "invoices", "commissions"}


def test_another_key_makes_no_new_promise(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    body = journey.body(line, quote=PROMISED)
    promised = journey.order(body)
    assert codes(promised) == ["price.change"]
    same_sale = journey.post({**body, "quote": RIGHT}, key="another key")
    assert (same_sale.status_code, same_sale.json()["code"]) == (409, "partner-reference.in-use")
    sold_anew = journey.order(journey.body(line, quote=RIGHT))
    by_others = journey.order(journey.body(line, quote=RIGHT), partner="gent-calls")
    assert (sold_anew["waits_for"], by_others["waits_for"]) == (promised["id"], promised["id"])
    journey.decide(promised["case_id"], "reject")
    held = journey.becomes(sold_anew["id"], "held")
    assert codes(held) == ["quote.changed"]
    journey.decide(held["case_id"], "reject")
    assert codes(journey.becomes(by_others["id"], "held", "gent-calls")) == ["agent.unknown"]
    assert untouched(journey, line, sold_anew)


def test_a_check_first_counts_as_told(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    checked = journey.check(journey.body(line, quote=PROMISED))
    assert [(each["code"], each["expected"]) for each in checked["discrepancies"]] == [("price.change", euro(1100))]
    order = journey.order(journey.body(line, quote=RIGHT))
    assert codes(order) == ["quote.changed"]
    [earlier] = order["discrepancies"][0]["expected"]
    assert (earlier["quote"]["monthly_change"], earlier["order_id"]) == (euro(500), None)
    assert untouched(journey, line, order)


def test_a_check_of_an_add_counts_for_a_modification_of_the_same_customer(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    nameless = {name: value for name, value in line.customer.items() if name != "id"}
    check = journey.body(line, action="add", customer=nameless, quote={"monthly_total": euro(7500)})
    del check["subscription_id"]
    assert "subscription.exists" in {each["code"] for each in journey.check(check)["discrepancies"]}
    order = journey.order(journey.body(line, customer={"id": line.customer["id"]}, quote=RIGHT))
    assert codes(order) == ["quote.changed"]


def test_another_channels_promotion_is_not_the_callers(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    by_telephone = journey.order(journey.body(line, channel="shop", quote=SHOP))
    assert codes(by_telephone) == ["channel.not-allowed", "evidence.missing"]
    journey.decide(by_telephone["case_id"], "reject")
    journey.becomes(by_telephone["id"], "rejected")
    as_if_in_the_shop = journey.body(line, agent="agent-21", channel="shop", quote=SHOP)
    unsigned = journey.order(as_if_in_the_shop, partner="gent-calls")
    assert codes(unsigned) == ["evidence.missing"]
    assert untouched(journey, line, unsigned)


def test_a_sale_is_not_dated_back_to_when_it_was_cheaper(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    cheaper = {"sold_at": "2026-09-29T10:00:00Z", "quote": {"monthly_total": euro(7900)}}
    order = journey.order(journey.body(line, **cheaper))
    assert codes(order) == ["sale.backdated"]
    assert untouched(journey, line, order)


def test_a_change_in_two_steps_is_shown_as_their_sum(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    key = journey.doors.key("catalogue")
    journey.doors.call("catalogue", "POST", "/v1/offers", key=key, json={"offers": [TRIO_MID]})
    first = journey.order(journey.body(line, offer="TRIO-MID", quote=PROMISED))
    journey.becomes(first["id"], "pending")
    journey.answer(journey.link(line), "yes")
    journey.becomes(first["id"], "completed")

    second = journey.order(journey.body(line, quote={"monthly_change": euro(600)}))

    assert second["state"] == "pending"
    link = journey.link(line, count=2)
    summary = journey.doors.mails(line.customer["email"])[0]["text"].replace("\xa0", " ")
    assert "Différence: +6,00 € par mois" in summary
    assert "Toutes les modifications des 30 derniers jours: +11,00 € par mois" in summary
    journey.answer(link, "no")
    journey.becomes(second["id"], "cancelled")
    assert journey.charged(line.subscription_id) == 7500


@pytest.mark.parametrize("named", [True, False])
def test_what_she_has_is_not_sold_to_her_a_second_time(journey: Journey, *, named: bool) -> None:
    line = journey.customer_with("TRIO", 2)
    customer = line.customer if named else {**line.customer, "id": None, "email": "another@example.org"}
    body = journey.body(line, action="add", customer=customer, quote={"monthly_total": euro(8100)})
    del body["subscription_id"]
    order = journey.order(body)
    assert codes(order) == (["subscription.exists"] if named else ["contact.unverified", "subscription.exists"])
    [exists] = [each for each in order["discrepancies"] if each["code"] == "subscription.exists"]
    assert (exists["expected"], exists["given"]) == (None, "TRIO-MAX")
    assert untouched(journey, line, order)


def test_the_easier_number_alone_leaves_the_other_to_the_customer(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_total": euro(8100)}))
    assert order["state"] == "pending"
    link = journey.link(line)
    for shown in (journey.doors.mails(line.customer["email"])[0]["text"], journey.doors.client.get(link).text):
        assert "+11,00" in shown
    journey.answer(link, "no")
    journey.becomes(order["id"], "cancelled")
    assert journey.charged(line.subscription_id) == 7000


def test_a_promotion_that_nobody_published_is_none(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote=SHOP))
    assert codes(order) == ["price.monthly", "price.promotion"]
    assert untouched(journey, line, order)


def test_the_agents_own_address_gets_no_link_and_the_customer_is_told(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    own = "agent-17-at-home@example.org"
    order = journey.order(journey.body(line, customer={**line.customer, "email": own}, quote=RIGHT))
    [fault] = order["discrepancies"]
    assert (fault["code"], fault["path"], fault["expected"], fault["given"]) == (
        "contact.unverified",
        "/customer/email",
        None,
        None,
    )
    journey.doors.until("the warning", lambda: journey.doors.mails(line.customer["email"]))
    assert untouched(journey, line, order)
    assert [mail["subject"] for mail in journey.doors.mails(line.customer["email"])] == [
        "Une commande donne un autre contact que le vôtre, ou le vôtre pour quelqu'un d'autre"
    ]
    assert journey.doors.mails(own) == []


def test_a_partners_address_is_no_new_customers(journey: Journey) -> None:
    body = journey.new_customer_body()
    body["customer"]["email"] = "Orders@liege-calls.example"
    first = journey.order(body)
    assert codes(first) == ["contact.unverified"]
    assert journey.decide(first["case_id"], "reject").is_success
    journey.becomes(first["id"], "rejected")

    customer = {**body["customer"], "id": first["customer_id"]}  # as if she were on file by now
    again = journey.order({**body, "partner_reference": f"{body['partner_reference']}-2", "customer": customer})
    assert codes(again) == ["contact.unverified"]


def test_a_contract_proves_one_sale(journey: Journey) -> None:
    first, second = journey.customer_with("TRIO", 2), journey.customer_with("TRIO", 2)
    evidence = journey.signed(b"the contract of somebody else")
    journey.order(journey.in_the_shop(first, evidence), partner="gent-calls")
    order = journey.order(journey.in_the_shop(second, evidence), partner="gent-calls")
    assert codes(order) == ["evidence.reused"]
    assert untouched(journey, second, order)


def test_a_foreign_subscription_is_unknown(journey: Journey) -> None:
    line, other = journey.customer_with("TRIO", 2), journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, subscription_id=other.subscription_id, quote=PROMISED))
    assert (codes(order), order["price"]) == (["subscription.unknown"], None)
    assert untouched(journey, other, order)


def test_a_made_up_contact_learns_nothing_of_what_she_pays(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    guessed = {"id": line.customer["id"], "email": "made-up@example.org"}
    order = journey.order(journey.body(line, customer=guessed, quote=PROMISED))
    assert codes(order) == ["contact.unverified", "price.change"]
    ends = journey.body(line, customer=guessed, action="terminate")
    del ends["offer"], ends["quote"]
    waiting = journey.order(ends)
    journey.decide(order["case_id"], "reject")
    lost = journey.becomes(waiting["id"], "held")
    assert codes(lost) == ["contact.unverified", "services.lost"]
    for view in (order, journey.view(order["id"]), lost):
        assert [view["price"][name] for name in ("current_monthly", "monthly_change")] == [None, None]
        assert [each["expected"] for each in view["discrepancies"]] == [None, None]
    known = journey.order(journey.body(line, offer="TRIO", quote={"monthly_change": euro(500)}), partner="gent-calls")
    journey.decide(lost["case_id"], "reject")
    seen = journey.becomes(known["id"], "held", "gent-calls")
    assert seen["price"]["current_monthly"] == euro(7000)


def test_five_of_another_currency_are_not_eleven_of_ours(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": {"amount": 500, "currency": "USD"}}))
    assert codes(order) == ["price.currency"]
    assert untouched(journey, line, order)
