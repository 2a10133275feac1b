"""The price gate, row by row as the catalogue and the sale say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.invoice_v1 import Charge, RunningPromotion
from contracts.money import Money, Promotion
from contracts.offer_v1 import Offer, OfferRef, Price, Publication
from contracts.order_v1 import Discrepancy, Order, PriceDecision, Quote
from contracts.subscription_v1 import Equipment, Subscription, services_of
from services.intake import rules

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
OFFERS = Path(__file__).parents[2] / "deploy" / "demo" / "offers.yaml"


def euro(amount: int, currency: str = "EUR") -> Money:
    return Money(amount=amount, currency=currency)


def promotion(amount: int, months: int) -> Promotion:
    return Promotion(monthly=euro(amount), months=months)


@cache
def catalogue() -> tuple[Offer, ...]:
    return tuple(Offer.model_validate(each) for each in yaml.safe_load(OFFERS.read_text())["offers"])


def publications(*offers: Offer) -> list[Publication]:
    return [Publication(offer=each, published_at=NOW - timedelta(days=900)) for each in offers or catalogue()]


def offer(code: str, version: int) -> Offer:
    return next(each for each in catalogue() if (each.code, each.version) == (code, version))


def subscription(identity: str = "sub-1001", customer: str = "cust-1001", version: int = 2) -> Subscription:
    trio = offer("TRIO", version)
    return Subscription(
        id=identity,
        customer_id=customer,
        version=1,
        offer=trio.ref,
        services=services_of(trio),
        equipment=(Equipment(type="decoder", serial="DC-1"),),
        numbers=("+3287123456",),
        contract_since=date(2026, 5, 11),
    )


FULL = (Charge(offer=OfferRef(code="TRIO", version=2), monthly=euro(7000), since=date(2026, 5, 11)),)
DISCOUNTED = (
    Charge(
        offer=OfferRef(code="TRIO", version=1),
        monthly=euro(7000),
        promotion=RunningPromotion(monthly=euro(-600), first_month="2026-04", last_month="2027-03"),
        since=date(2026, 3, 20),
    ),
)


def order(**changes: Any) -> Order:
    received = changes.pop("received_at", NOW)
    values: dict[str, Any] = {
        "id": "order-1",
        "partner": "liege-calls",
        "partner_reference": "LC-1",
        "agent": "agent-17",
        "channel": "telesales",
        "action": "modify",
        "customer_id": "cust-1001",
        "subscription_id": "sub-1001",
        "offer_code": "TRIO-MAX",
        "quote": Quote(monthly_total=euro(8100)),
        "sold_at": received - timedelta(minutes=3),
        "received_at": received,
    }
    return Order(**{**values, **changes})


def facts(**changes: Any) -> rules.Facts:
    values: dict[str, Any] = {
        "publications": publications(),
        "subscription": subscription(),
        "charges": FULL,
        "channels": ("telesales",),
        "agents": ("agent-17", "agent-18"),
    }
    return rules.Facts(**{**values, **changes})


def found(assessment: rules.Assessment) -> list[tuple[str, Any, Any]]:
    return [(each.code, _short(each.expected), _short(each.given)) for each in assessment.discrepancies]


def _short(value: Any) -> Any:
    if isinstance(value, dict) and "amount" in value:
        return value["amount"]
    return (value["monthly"]["amount"], value["months"]) if isinstance(value, dict) and "months" in value else value


SHOP = {"channels": ("telesales", "shop"), "agents": ("agent-21",)}
SHOP_ORDER = {"channel": "shop", "agent": "agent-21"}

Row = tuple[dict[str, Any], dict[str, Any], Sequence[tuple[str, Any, Any]]]

TABLE: dict[str, Row] = {
    "total right": ({"quote": Quote(monthly_total=euro(8100))}, {}, []),
    "change right": ({"quote": Quote(monthly_change=euro(1100))}, {}, []),
    "both right": ({"quote": Quote(monthly_total=euro(8100), monthly_change=euro(1100))}, {}, []),
    "change +5": ({"quote": Quote(monthly_change=euro(500))}, {}, [("price.change", 1100, 500)]),
    "total 75 and change +5": (
        {"quote": Quote(monthly_total=euro(7500), monthly_change=euro(500))},
        {},
        [("price.monthly", 8100, 7500), ("price.change", 1100, 500)],
    ),
    "total 79": ({"quote": Quote(monthly_total=euro(7900))}, {}, [("price.monthly", 8100, 7900)]),
    "total 90": ({"quote": Quote(monthly_total=euro(9000))}, {}, [("price.monthly", 8100, 9000)]),
    "one cent too much": ({"quote": Quote(monthly_total=euro(8101))}, {}, [("price.monthly", 8100, 8101)]),
    "a promotion that was never published": (
        {"quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 6))},
        {},
        [("price.monthly", 8100, 7500), ("price.promotion", None, (-600, 6))],
    ),
    "version 1 until the evening of 30 September": (
        {
            "received_at": datetime(2026, 9, 30, 22, 2, tzinfo=UTC),
            "sold_at": datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC),
            "quote": Quote(monthly_total=euro(7900)),
        },
        {},
        [],
    ),
    "version 2 from midnight in Brussels": (
        {
            "received_at": datetime(2026, 9, 30, 22, 2, tzinfo=UTC),
            "sold_at": datetime(2026, 9, 30, 22, 0, tzinfo=UTC),
            "quote": Quote(monthly_total=euro(7900)),
        },
        {},
        [("price.monthly", 8100, 7900)],
    ),
    "a running promotion counts in the change": (
        {"subscription_id": "sub-1002", "customer_id": "cust-1002", "quote": Quote(monthly_change=euro(1700))},
        {"subscription": subscription("sub-1002", "cust-1002", 1), "charges": DISCOUNTED},
        [],
    ),
    "the change without the running promotion": (
        {"subscription_id": "sub-1002", "customer_id": "cust-1002", "quote": Quote(monthly_change=euro(1100))},
        {"subscription": subscription("sub-1002", "cust-1002", 1), "charges": DISCOUNTED},
        [("price.change", 1700, 1100)],
    ),
    "the shop's promotion": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 6))},
        SHOP,
        [],
    ),
    "the shop's promotion for too long": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 12))},
        SHOP,
        [("price.promotion", (-600, 6), (-600, 12))],
    ),
    "the shop's promotion for another amount": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500), promotion=promotion(-500, 6))},
        SHOP,
        [("price.promotion", (-600, 6), (-500, 6))],
    ),
    "the shop's promotion not told": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500))},
        SHOP,
        [("price.promotion", (-600, 6), None)],
    ),
    "the full price in the shop": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(8100))},
        SHOP,
        [("price.monthly", 7500, 8100), ("price.promotion", (-600, 6), None)],
    ),
    "one-off told as nothing": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000), one_off=euro(0))},
        {"subscription": None, "charges": ()},
        [("price.one-off", 5000, 0)],
    ),
    "one-off not told": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000))},
        {"subscription": None, "charges": ()},
        [("price.one-off", 5000, None)],
    ),
    "one-off right": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000), one_off=euro(5000))},
        {"subscription": None, "charges": ()},
        [],
    ),
    "another currency": (
        {"quote": Quote(monthly_total=euro(8100, "USD"))},
        {},
        [("price.currency", "EUR", "USD")],
    ),
    "another currency for one part only": (
        {"quote": Quote(monthly_total=euro(8100, "USD"), monthly_change=euro(500))},
        {},
        [("price.currency", "EUR", "USD"), ("price.change", 1100, 500)],
    ),
    "another currency in the one-off": (
        {"quote": Quote(monthly_total=euro(8100), one_off=euro(0, "USD"))},
        {},
        [("price.currency", "EUR", "USD")],
    ),
    "another currency in the promotion": (
        {"quote": Quote(monthly_total=euro(8100), promotion=Promotion(monthly=euro(-600, "USD"), months=6))},
        {},
        [("price.currency", "EUR", "USD")],
    ),
    "nothing told": ({"quote": Quote()}, {}, [("price.missing", None, None)]),
    "an offer that never was": (
        {"offer_code": "TRIO-XXL"},
        {"publications": []},
        [("offer.unknown", None, "TRIO-XXL")],
    ),
    "a withdrawn offer": (
        {"offer_code": "SURF"},
        {"publications": publications(offer("SURF", 1))},
        [("offer.not-on-sale", None, "SURF")],
    ),
    "an offer of the shop only": (
        {"offer_code": "CAMPUS"},
        {"publications": publications(offer("CAMPUS", 1))},
        [("offer.not-for-channel", None, "CAMPUS")],
    ),
    "a subscription that is not there": (
        {"subscription_id": "sub-9999"},
        {"subscription": None, "charges": ()},
        [("subscription.unknown", None, None)],
    ),
    "another customer's subscription": (
        {},
        {"subscription": subscription(customer="cust-1002")},
        [("subscription.unknown", None, None)],
    ),
    "a charge that is not known": ({}, {"charges": ()}, [("price.missing", None, None)]),
    "another channel than the key's": (
        {"channel": "shop", "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 6))},
        {},
        [("channel.not-allowed", ["telesales"], "shop")],
    ),
    "an agent nobody registered": ({"agent": "agent-99"}, {}, [("agent.unknown", None, "agent-99")]),
    "tv lost and not named": (
        {"offer_code": "DUO", "quote": Quote(monthly_total=euro(5200))},
        {},
        [("services.lost", ["tv", "decoder"], [])],
    ),
    "tv and decoder named": (
        {"offer_code": "DUO", "quote": Quote(monthly_total=euro(5200)), "removals": ("tv", "decoder")},
        {},
        [],
    ),
    "more named than lost": (
        {"offer_code": "DUO", "quote": Quote(monthly_total=euro(5200)), "removals": ("tv", "decoder", "internet")},
        {},
        [("removals.excess", ["tv", "decoder"], ["internet"])],
    ),
    "an end that names everything": (
        {
            "action": "terminate",
            "offer_code": None,
            "quote": None,
            "removals": ("internet", "tv", "telephony", "decoder", "+3287123456"),
        },
        {},
        [],
    ),
    "an end of what nobody is known to pay for": (
        {
            "action": "terminate",
            "offer_code": None,
            "quote": None,
            "removals": ("internet", "tv", "telephony", "decoder", "+3287123456"),
        },
        {"charges": ()},
        [("price.missing", None, None)],
    ),
    "an end that forgets the number": (
        {
            "action": "terminate",
            "offer_code": None,
            "quote": None,
            "removals": ("internet", "tv", "telephony", "decoder"),
        },
        {},
        [("services.lost", ["+3287123456"], ["internet", "tv", "telephony", "decoder"])],
    ),
}


def _codes_of(publications_for: Any, code: str) -> list[Publication]:
    return [each for each in publications_for if each.offer.code == code]


@pytest.mark.parametrize("name", TABLE)
def test_judges_each_row_of_the_table_as_it_stands(name: str) -> None:
    order_changes, facts_changes, expected = TABLE[name]
    given = order(**order_changes)
    known = facts(**facts_changes)
    known = facts(**{**facts_changes, "publications": _codes_of(known.publications, given.offer_code or "")})
    assert found(rules.assess(given, known)) == expected


@pytest.mark.parametrize(
    ("age", "codes"),
    [
        (timedelta(hours=49), ["sale.backdated"]),
        (timedelta(hours=48), []),
        (timedelta(minutes=-5), []),
        (timedelta(minutes=-6), ["sale.backdated"]),
    ],
)
def test_takes_a_sale_of_the_last_48_hours_and_no_later_one(age: timedelta, codes: list[str]) -> None:
    known = facts(publications=_codes_of(publications(), "TRIO-MAX"))
    assert [each[0] for each in found(rules.assess(order(sold_at=NOW - age), known))] == codes


def test_shows_nothing_of_a_subscription_that_is_not_the_customers() -> None:
    judged = rules.assess(order(), facts(subscription=subscription(customer="cust-1002")))
    assert judged == rules.Assessment(
        None, None, (Discrepancy(code="subscription.unknown", path="/subscription_id", stage="intake"),)
    )


def test_keeps_the_version_that_was_resolved_once_whatever_is_on_sale_now() -> None:
    sold = datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC)
    pinned = order(offer=OfferRef(code="TRIO-MAX", version=1), sold_at=sold, received_at=sold + timedelta(days=2))
    judged = rules.assess(pinned, facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert (judged.offer, judged.price and judged.price.new_monthly) == (pinned.offer, euro(7900))


def test_keeps_a_version_that_is_on_sale_no_more() -> None:
    judged = rules.assess(
        order(offer=OfferRef(code="TRIO-MAX", version=1), quote=Quote(monthly_total=euro(7900))),
        facts(publications=_codes_of(publications(), "TRIO-MAX")),
    )
    assert found(judged) == []


def test_prices_what_the_customer_is_asked_to_confirm() -> None:
    judged = rules.assess(order(), facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert judged.price is not None
    assert (judged.price.current_monthly, judged.price.new_monthly, judged.price.monthly_change) == (
        euro(7000),
        euro(8100),
        euro(1100),
    )


@pytest.mark.parametrize(
    ("quote", "monthly"),
    [
        (Quote(monthly_change=euro(500)), 7500),
        (Quote(monthly_total=euro(7800), monthly_change=euro(500)), 7500),
        (Quote(monthly_total=euro(9000)), 8100),
    ],
)
def test_honours_the_lowest_quote_and_never_above_the_published_price(quote: Quote, monthly: int) -> None:
    price = rules.honoured(order(quote=quote), _codes_of(publications(), "TRIO-MAX"), euro(7000))
    assert price == Price(monthly_total=euro(monthly), monthly_full=euro(monthly), one_off=euro(0))


def test_asks_the_customer_for_the_honoured_price() -> None:
    honoured = Price(monthly_total=euro(7500), monthly_full=euro(7500), one_off=euro(0))
    decision = PriceDecision(kind="honour_quote", case_id="case-1", reviewer="rita", honoured=honoured)
    judged = rules.assess(order(decision=decision), facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert judged.price is not None
    assert judged.price.new_monthly == euro(7500)


def test_refuses_a_step_that_the_life_of_an_order_does_not_have() -> None:
    with pytest.raises(rules.UnknownTransitionError, match="completed to pending"):
        rules.step("completed", "pending")


def test_takes_every_final_state_as_an_end() -> None:
    assert [state for state, following in rules.TRANSITIONS.items() if not following] == [
        "completed",
        "rejected",
        "cancelled",
        "failed",
    ]
