"""One order from a call-centre's POST to the customer's charges."""

from __future__ import annotations

import pytest

from tests.journeys import Journey, euro

pytestmark = pytest.mark.timeout(120)


def test_an_order_quoted_right_is_carried_out_and_charged_once_the_customer_said_yes(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_total": euro(8100), "monthly_change": euro(1100)}))
    assert order["state"] == "pending"
    assert journey.charged(line.subscription_id) == 7000

    answered = journey.answer(journey.link(line), "yes")

    assert answered.status_code == 200
    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 8100
    assert [each["code"] for each in journey.subscription(line.subscription_id)["services"]] == [
        "internet",
        "tv",
        "telephony",
        "tv-bouquet",
    ]
    assert journey.events(order["id"]) == {
        "orders": ["order.pending", "order.confirmed", "order.completed"],
        "subscriptions": ["subscription.changed"],
        "invoices": ["charges.started"],
        "commissions": ["commission.held"],
        "notices": ["notice.sent"] * 3,
    }


def test_an_order_quoted_below_the_published_price_is_held_with_both_numbers_and_nothing_happens(
    journey: Journey,
) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    assert (order["state"], order["discrepancies"]) == (
        "held",
        [
            {
                "code": "price.change",
                "path": "/quote/monthly_change",
                "expected": euro(1100),
                "given": euro(500),
                "stage": "intake",
            }
        ],
    )
    case = journey.case(order["case_id"])
    assert (case["codes"], case["order_id"], case["state"]) == (["price.change"], order["id"], "open")
    assert journey.events(order["id"]) == {
        "orders": ["order.held"],
        "dead-letters": ["discrepancy.found"],
        "cases": ["case.opened"],
        "notices": ["notice.sent"],
    }


def test_the_published_price_goes_back_to_the_customer_for_a_new_yes(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    decided = journey.decide(order["case_id"], "apply_published_price")
    assert decided.is_success, decided.text
    assert journey.becomes(order["id"], "pending")["price"]["new_monthly"] == euro(8100)

    journey.answer(journey.link(line), "yes")

    journey.becomes(order["id"], "completed")
    journey.case_becomes(order["case_id"], "applied")
    assert journey.charged(line.subscription_id) == 8100
    assert journey.events(order["id"])["orders"] == [
        "order.held",
        "order.pending",
        "order.confirmed",
        "order.completed",
    ]


def test_a_quote_that_is_honoured_is_what_the_customer_pays(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    decided = journey.decide(order["case_id"], "honour_quote")
    if decided.json()["state"] == "awaiting_approval":
        approve = f"/v1/cases/{order['case_id']}/approvals"
        journey.doors.call("review", "POST", approve, key=journey.doors.key("reviewers", "carl"), json={})
    journey.becomes(order["id"], "pending")

    journey.answer(journey.link(line), "yes")

    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 7500
    assert "commissions" not in journey.events(order["id"])


def test_a_rejected_order_ends_without_effect(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_total": euro(7500)}))
    assert journey.decide(order["case_id"], "reject").is_success
    journey.becomes(order["id"], "rejected")
    assert journey.charged(line.subscription_id) == 7000
    assert "subscriptions" not in journey.events(order["id"])


def test_a_customers_no_cancels_and_her_link_answers_only_once(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    link = journey.link(line)
    assert journey.doors.client.get(link).status_code == 200
    journey.answer(link, "no")
    journey.becomes(order["id"], "cancelled")
    again = journey.answer(link, "yes")
    assert journey.view(order["id"])["state"] == "cancelled"
    assert "annulée" in again.text
    assert journey.charged(line.subscription_id) == 7000


def test_what_a_customer_was_not_told_is_a_case_about_the_agent_and_changes_nothing(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    answered = journey.answer(journey.link(line), "not-what-i-was-told", told_monthly_change="5,00 €")
    assert answered.status_code == 200
    assert journey.view(order["id"])["state"] == "cancelled"
    case = journey.doors.until("the case", lambda: journey.disputed(order["id"]))
    assert (case["agent"], case["partner"]) == ("agent-17", "liege-calls")
    assert [(each["expected"], each["given"]) for each in case["discrepancies"]] == [(euro(1100), euro(500))]
    journey.doors.quiet()
    assert journey.case(case["id"])["state"] == "open"  # that the order has ended answers nothing
    assert not journey.decide(case["id"], "apply_published_price").is_success
    assert journey.decide(case["id"], "set_aside").is_success
    assert journey.charged(line.subscription_id) == 7000


def test_silence_cancels_when_its_time_is_over(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    link = journey.link(line)
    journey.advance("14d")
    journey.becomes(order["id"], "cancelled")
    assert journey.answer(link, "yes").status_code == 410
    assert journey.events(order["id"])["orders"] == ["order.pending", "order.cancelled"]


def test_an_order_that_would_lose_tv_is_held_until_it_names_it(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    unnamed = journey.order(journey.body(line, offer="DUO", quote={"monthly_total": euro(5200)}))
    assert [(each["code"], each["expected"]) for each in unnamed["discrepancies"]] == [
        ("services.lost", ["tv", "decoder"])
    ]
    journey.decide(unnamed["case_id"], "reject")
    journey.becomes(unnamed["id"], "rejected")

    named = {"offer": "DUO", "quote": {"monthly_total": euro(5200)}, "removals": ["tv", "decoder"]}
    order = journey.order(journey.body(line, **named))
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 5200


def test_a_new_customer_gets_a_subscription_with_the_link_from_her_mailbox_and_the_code_from_her_phone(
    journey: Journey,
) -> None:
    body = journey.new_customer_body()
    order = journey.order(body)
    assert order["state"] == "pending"
    link = journey.doors.until(
        "the mail", lambda: [link for mail in journey.doors.mails(body["customer"]["email"]) for link in mail["links"]]
    )[0]
    assert journey.answer(link, "yes").status_code == 422
    assert journey.answer(link, "yes", code=journey.code(body["customer"]["phone"])).status_code == 200
    journey.becomes(order["id"], "completed")
    assert journey.charged(order["subscription_id"]) == 6000


def test_orders_on_one_subscription_take_turns(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    first = journey.order(journey.body(line))
    removals = ["tv", "decoder", "tv-bouquet", "level:internet"]
    second = journey.order(journey.body(line, offer="DUO", quote={"monthly_total": euro(5200)}, removals=removals))
    assert (second["state"], second["waits_for"]) == ("acknowledged", first["id"])
    journey.answer(journey.link(line), "yes")
    journey.becomes(first["id"], "completed")
    asked = journey.becomes(second["id"], "pending")
    assert (asked["price"]["current_monthly"], asked["price"]["monthly_change"]) == (euro(8100), euro(-2900))
    journey.answer(journey.link(line, count=2), "yes")
    journey.becomes(second["id"], "completed")
    assert journey.charged(line.subscription_id) == 5200


def test_an_end_names_everything_and_stops_the_charge(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    subscription = journey.subscription(line.subscription_id)
    removals = ["internet", "tv", "telephony", "decoder", *subscription["numbers"]]
    body = journey.body(line, action="terminate", removals=removals)
    del body["offer"], body["quote"]
    order = journey.order(body)
    assert order["state"] == "pending", order
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) is None


def test_an_offer_that_is_only_late_is_waited_for(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    body = journey.body(line, offer="LATE-PACK", quote={"monthly_total": euro(9100)})
    order = journey.order(body)
    assert (order["state"], order["waits_for"]) == ("acknowledged", "LATE-PACK")
    offer = {
        "code": "LATE-PACK",
        "version": 1,
        "names": {"fr": "Late", "nl": "Late", "de": "Late", "en": "Late"},
        "monthly": euro(9100),
        "services": [
            {"code": "internet", "level": {"download": 900, "upload": 90, "volume": 900}},
            {"code": "tv", "level": {"channels": 200}},
            {"code": "telephony", "level": {"minutes": 9000}},
        ],
        "equipment": ["decoder"],
        "on_sale_from": "2026-11-01",
        "channels": ["telesales"],
    }
    key = journey.doors.key("catalogue")
    journey.doors.call("catalogue", "POST", "/v1/offers", key=key, json={"offers": [offer]})
    assert journey.becomes(order["id"], "pending")["offer"] == {"code": "LATE-PACK", "version": 1}


def test_an_offer_that_never_comes_is_a_case(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, offer="TRIO-XXL"))
    assert order["state"] == "acknowledged"
    assert [each["code"] for each in journey.becomes(order["id"], "held")["discrepancies"]] == ["offer.unknown"]


def test_the_same_request_again_is_answered_as_the_first_and_makes_nothing(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    body = journey.body(line)
    first, again = journey.post(body), journey.post(body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = journey.post({**body, "removals": ["tv"]}, key=body["partner_reference"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key.reused")
    same_reference = journey.post(body, key="another-key")
    assert (same_reference.status_code, same_reference.json()["order_id"]) == (409, first.json()["id"])


def test_a_malformed_order_is_refused_with_every_fault_in_the_agents_language_and_uses_up_nothing(
    journey: Journey,
) -> None:
    line = journey.customer_with("TRIO", 2)
    good = journey.body(line)
    bad = {
        **good,
        "quote": {
            "monthly_total": {"amount": 81.0, "currency": "EUR"},
            "monthly_change": {"amount": "1100", "currency": "EUR"},
        },
        "sold_at": "yesterday",
        "quantity": 2,
    }
    headers = {"Idempotency-Key": good["partner_reference"], "Accept-Language": "nl-BE,nl;q=0.9"}
    key = journey.doors.key("partners", "liege-calls")
    refused = journey.doors.call("intake", "POST", "/v1/orders", key=key, json=bad, headers=headers, expect=(422,))
    assert refused.headers["content-type"] == "application/problem+json"
    assert {each["pointer"] for each in refused.json()["errors"]} == {
        "/quote/monthly_total/amount",
        "/quote/monthly_change/amount",
        "/sold_at",
        "/quantity",
    }
    assert "een geheel aantal cent" in refused.text
    assert journey.order(good)["state"] == "pending"


def test_nobody_learns_of_a_foreign_subscription_and_it_keeps_its_turn(journey: Journey) -> None:
    line, other = journey.customer_with("TRIO", 2), journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, subscription_id=other.subscription_id))
    assert order["discrepancies"] == [
        {
            "code": "subscription.unknown",
            "path": "/subscription_id",
            "expected": None,
            "given": None,
            "stage": "intake",
        }
    ]
    assert order["price"] is None
    assert journey.order(journey.body(other))["state"] == "pending"


def test_a_reviewer_does_not_decide_a_sale_of_their_own_partner(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    body = journey.body(line, agent="agent-21", quote={"monthly_change": euro(500)})
    answer = journey.post(body, partner="gent-calls")
    assert answer.status_code == 201, answer.text
    case_id = answer.json()["case_id"]
    refused = journey.decide(case_id, "reject", reviewer="ben")
    assert (refused.status_code, refused.json()["code"]) == (403, "case.own-sale")
    assert journey.case(case_id)["state"] == "open"
