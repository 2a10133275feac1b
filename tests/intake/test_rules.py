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
from contracts.order_v1 import Discrepancy, Evidence, Order, OrderPrice, PriceDecision, Quote
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


def _faster(now: Subscription) -> Subscription:
    """More internet than any offer has."""
    services = [each.model_copy(update={"level": dict.fromkeys(each.level, 10**6)}) for each in now.services[:1]]
    return now.model_copy(update={"services": (*services, *now.services[1:])})


def _two_decoders(now: Subscription) -> Subscription:
    return now.model_copy(update={"equipment": (*now.equipment, Equipment(type="decoder", serial="DC-2"))})


SHOP = {"channels": ("telesales", "shop"), "agents": ("agent-21",)}
SHOP_ORDER = {"channel": "shop", "agent": "agent-21"}

RECORDING = Evidence(kind="recording", reference="rec-88121", sha256="ab" * 32)
CONTRACT = Evidence(kind="signed-contract", reference="C-1", sha256="cd" * 32)

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
    "no quote at all": ({"quote": None}, {}, [("price.missing", None, None)]),
    "a subscription that has ended": (
        {},
        {"subscription": subscription().terminated()},
        [("subscription.unknown", None, None)],
    ),
    "a charge in another currency": (
        {},
        {
            "charges": (
                Charge(offer=OfferRef(code="TRIO", version=2), monthly=euro(7000, "USD"), since=date(2026, 5, 11)),
            )
        },
        [("price.currency", "EUR", "USD")],
    ),
    "the change of who had nothing is all of it, whatever is charged elsewhere": (
        {
            "action": "add",
            "offer_code": "FIBRE",
            "quote": Quote(monthly_total=euro(6000), monthly_change=euro(6000), one_off=euro(5000)),
        },
        {"subscription": None},
        [],
    ),
    "another channel than the key's": (
        {"channel": "shop", "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 6))},
        {},
        [("channel.not-allowed", ["telesales"], "shop")],
    ),
    "an agent nobody registered": ({"agent": "agent-99"}, {}, [("agent.unknown", None, "agent-99")]),
    "evidence that proves this order": ({"evidence": RECORDING}, {"evidence_proves": "order-1"}, []),
    "evidence that proved another order": (
        {"evidence": RECORDING},
        {"evidence_proves": "order-0"},
        [("evidence.reused", None, "ab" * 32)],
    ),
    "evidence that nobody took down": (
        {"evidence": CONTRACT},
        {},
        [("evidence.reused", None, "cd" * 32)],
    ),
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
    "a level lost and not named": (
        {},
        {"subscription": _faster(subscription())},
        [("services.lost", ["level:internet"], [])],
    ),
    "a level lost and named": (
        {"removals": ("level:internet",)},
        {"subscription": _faster(subscription())},
        [],
    ),
    "one of two decoders named": (
        {"offer_code": "DUO", "quote": Quote(monthly_total=euro(5200)), "removals": ("tv", "decoder")},
        {"subscription": _two_decoders(subscription())},
        [("services.lost", ["decoder"], ["tv", "decoder"])],
    ),
    "both decoders named": (
        {"offer_code": "DUO", "quote": Quote(monthly_total=euro(5200)), "removals": ("tv", "decoder", "decoder")},
        {"subscription": _two_decoders(subscription())},
        [],
    ),
    "one of two decoders kept": (
        {"removals": ("decoder",)},
        {"subscription": _two_decoders(subscription())},
        [],
    ),
    "a number lost with its telephony": (
        {"offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000)), "removals": ("tv", "telephony", "decoder")},
        {},
        [("services.lost", ["+3287123456"], ["tv", "telephony", "decoder"])],
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


LATE = ("sale.backdated", {"from": "2026-11-18T14:00:00Z", "until": "2026-11-20T14:05:00Z"}, "2026-11-18T13:00:00Z")


@pytest.mark.parametrize(
    ("facts_changes", "code"),
    [
        ({"subscription": None}, "subscription.unknown"),
        ({"publications": []}, "offer.unknown"),
        ({"charges": ()}, "price.missing"),
        (
            {
                "charges": (
                    Charge(offer=OfferRef(code="TRIO", version=2), monthly=euro(1, "USD"), since=date(2026, 1, 1)),
                )
            },
            "price.currency",
        ),
    ],
)
def test_names_the_faults_of_the_sale_also_where_it_can_judge_no_price(
    facts_changes: dict[str, Any], code: str
) -> None:
    known = facts(**{"publications": _codes_of(publications(), "TRIO-MAX"), **facts_changes})
    judged = rules.assess(order(sold_at=NOW - timedelta(hours=49)), known)
    assert found(judged)[0] == LATE
    assert [each.code for each in judged.discrepancies] == ["sale.backdated", code]


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


def test_knows_no_version_but_the_one_that_was_resolved() -> None:
    versions = _codes_of(publications(), "TRIO-MAX")
    second = order(offer=OfferRef(code="TRIO-MAX", version=2))
    third = order(offer=OfferRef(code="TRIO-MAX", version=3))
    assert rules.assess(second, facts(publications=versions)).offer == second.offer
    assert found(rules.assess(third, facts(publications=versions))) == [("offer.unknown", None, "TRIO-MAX")]


def _version(number: int, monthly: int, published: timedelta, withdrawn: timedelta | None = None) -> Publication:
    values = {**offer("TRIO-MAX", 2).model_dump(), "version": number, "monthly": euro(monthly)}
    sold = NOW - timedelta(minutes=3)
    return Publication(
        offer=Offer.model_validate(values),
        published_at=sold + published,
        withdrawn_at=None if withdrawn is None else sold + withdrawn,
    )


ATOM = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("versions", "resolved"),
    [
        ([_version(2, 8100, -ATOM), _version(3, 9000, ATOM)], 2),
        ([_version(2, 8100, -ATOM), _version(3, 9000, ATOM - ATOM)], 3),
        ([_version(3, 9000, -ATOM), _version(2, 8100, -ATOM)], 3),
        ([_version(3, 9000, 2 * ATOM), _version(2, 8100, ATOM)], 2),
        ([_version(2, 8100, ATOM), _version(3, 9000, 2 * ATOM)], 2),
        ([_version(2, 8100, ATOM), _version(3, 9000, ATOM)], 3),
        ([_version(2, 8100, -ATOM, ATOM)], 2),
        ([_version(2, 8100, -ATOM, ATOM - ATOM)], "offer.not-on-sale"),
        ([_version(2, 8100, -ATOM, -ATOM)], "offer.not-on-sale"),
    ],
)
def test_takes_the_version_that_was_published_and_not_withdrawn_at_the_sale(
    versions: list[Publication], resolved: int | str
) -> None:
    found_at_sale = rules.resolve(order(), versions)
    assert (found_at_sale.version if isinstance(found_at_sale, Offer) else found_at_sale) == resolved


@pytest.mark.parametrize(
    ("window", "runs"),
    [
        ({}, True),
        ({"since": date(2026, 11, 20)}, True),
        ({"since": date(2026, 11, 21)}, False),
        ({"until": date(2026, 11, 20)}, True),
        ({"until": date(2026, 11, 19)}, False),
        ({"since": date(2026, 11, 20), "until": date(2026, 11, 20)}, True),
    ],
)
def test_expects_a_promotion_on_its_days_alone(window: dict[str, date], *, runs: bool) -> None:
    shop = {"channel": "shop", "monthly": euro(-600), "months": 6, **window}
    version = Offer.model_validate({**offer("TRIO-MAX", 2).model_dump(), "promotions": [shop]})
    sold = order(**SHOP_ORDER, quote=Quote(monthly_total=euro(7500), promotion=promotion(-600, 6)))
    judged = rules.assess(sold, facts(**SHOP, publications=publications(version)))
    assert (found(judged) == []) is runs


def _charge(monthly: int, since: date, running: RunningPromotion | None = None) -> Charge:
    return Charge(offer=OfferRef(code="TRIO", version=2), monthly=euro(monthly), promotion=running, since=since)


RUNNING = RunningPromotion(monthly=euro(-600), first_month="2026-12", last_month="2027-05")


@pytest.mark.parametrize(
    ("charges", "current"),
    [
        ((_charge(6500, date(2026, 1, 1)), _charge(7000, date(2026, 11, 20))), 7000),
        ((_charge(6500, date(2026, 1, 1)), _charge(7000, date(2026, 11, 21))), 6500),
        ((_charge(7000, date(2026, 11, 21)),), None),
        ((_charge(7000, date(2026, 11, 20), RUNNING),), 6400),
        ((_charge(7000, date(2026, 5, 1), RUNNING.model_copy(update={"last_month": "2026-11"})),), 6400),
        ((_charge(7000, date(2026, 5, 1), RUNNING.model_copy(update={"last_month": "2026-10"})),), 7000),
    ],
)
def test_takes_the_charge_that_was_in_force_on_the_day_of_the_sale(
    charges: tuple[Charge, ...], current: int | None
) -> None:
    judged = rules.assess(order(), facts(publications=_codes_of(publications(), "TRIO-MAX"), charges=charges))
    assert (judged.price and judged.price.current_monthly) == (None if current is None else euro(current))


def test_charges_nothing_before_a_charge_has_begun() -> None:
    assert _charge(7000, date(2026, 11, 21), RUNNING).in_force(date(2026, 11, 20)) == euro(7000)


def test_prices_an_end_as_nothing_any_more() -> None:
    judged = rules.assess(order(action="terminate", offer_code=None, quote=None), facts())
    assert judged.price == OrderPrice(
        current_monthly=euro(7000),
        new_monthly=euro(0),
        monthly_change=euro(-7000),
        one_off=euro(0),
        monthly_after_promotion=euro(0),
    )


def test_prices_a_new_subscription_without_what_others_of_the_customer_cost() -> None:
    new = order(action="add", offer_code="FIBRE", quote=Quote(monthly_total=euro(6000), one_off=euro(5000)))
    judged = rules.assess(new, facts(publications=_codes_of(publications(), "FIBRE"), subscription=None))
    assert judged.price == OrderPrice(
        new_monthly=euro(6000), monthly_change=euro(6000), one_off=euro(5000), monthly_after_promotion=euro(6000)
    )


def test_prices_what_the_customer_is_asked_to_confirm() -> None:
    judged = rules.assess(order(), facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert judged.price is not None
    assert (judged.price.current_monthly, judged.price.new_monthly, judged.price.monthly_change) == (
        euro(7000),
        euro(8100),
        euro(1100),
    )


def _price(total: int, full: int | None = None, one_off: int = 0, months: int | None = None) -> Price:
    full = total if full is None else full
    return Price(
        monthly_total=euro(total),
        monthly_full=euro(full),
        one_off=euro(one_off),
        promotion=promotion(total - full, months) if months else None,
    )


HONOURED: dict[str, tuple[dict[str, Any], Money | None, Price]] = {
    "the change": ({"quote": Quote(monthly_change=euro(500))}, euro(7000), _price(7500)),
    "the lowest of two": (
        {"quote": Quote(monthly_total=euro(7800), monthly_change=euro(500))},
        euro(7000),
        _price(7500),
    ),
    "the lowest of two, the other way round": (
        {"quote": Quote(monthly_total=euro(7400), monthly_change=euro(500))},
        euro(7000),
        _price(7400),
    ),
    "never above the published price": ({"quote": Quote(monthly_total=euro(9000))}, euro(7000), _price(8100)),
    "the change of who had nothing": ({"quote": Quote(monthly_change=euro(7900))}, None, _price(7900)),
    "nothing that was told in another currency": (
        {"quote": Quote(monthly_total=euro(100, "USD"), monthly_change=euro(100, "USD"), one_off=euro(-100, "USD"))},
        euro(7000),
        _price(8100),
    ),
    "no quote": ({"quote": None}, euro(7000), _price(8100)),
    "a promotion that was never published": (
        {"quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 6))},
        euro(7000),
        _price(7500, 8100, months=6),
    ),
    "no promotion of nothing": (
        {"quote": Quote(monthly_total=euro(8100), promotion=promotion(-600, 6))},
        euro(7000),
        _price(8100),
    ),
    "a total without a promotion is never exceeded after the published one": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(8000))},
        euro(7000),
        _price(7500, 8000, months=6),
    ),
    "the published promotion that was not told": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7000))},
        euro(7000),
        _price(7000),
    ),
    "a promotion for longer than published": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 12))},
        euro(7000),
        _price(7500, 8100, months=12),
    ),
    "never a promotion for shorter than published": (
        {**SHOP_ORDER, "quote": Quote(monthly_total=euro(7500), promotion=promotion(-600, 3))},
        euro(7000),
        _price(7500, 8100, months=6),
    ),
    "the one-off": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000), one_off=euro(1000))},
        None,
        _price(6000, one_off=1000),
    ),
    "no one-off above the published": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000), one_off=euro(9000))},
        None,
        _price(6000, one_off=5000),
    ),
    "the published one-off where none was told": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(5900))},
        None,
        _price(5900, one_off=5000),
    ),
    "no one-off in another currency": (
        {"action": "add", "offer_code": "FIBRE", "quote": Quote(monthly_total=euro(6000), one_off=euro(1, "USD"))},
        None,
        _price(6000, one_off=5000),
    ),
}


@pytest.mark.parametrize("name", HONOURED)
def test_honours_the_lowest_quote_and_never_above_the_published_price(name: str) -> None:
    changes, current, price = HONOURED[name]
    told = order(**changes)
    assert rules.honoured(told, _codes_of(publications(), told.offer_code or ""), current) == price


def test_honours_no_price_below_nothing() -> None:
    told = order(quote=Quote(monthly_change=euro(-8000)))
    with pytest.raises(rules.NothingToHonourError):
        rules.honoured(told, _codes_of(publications(), told.offer_code or ""), euro(7000))


def test_honours_nothing_for_an_offer_that_was_not_on_sale() -> None:
    with pytest.raises(rules.NothingToHonourError, match=r"offer\.unknown"):
        rules.honoured(order(), [], euro(7000))


PUBLISHED = OrderPrice(
    current_monthly=euro(7000),
    new_monthly=euro(8100),
    monthly_change=euro(1100),
    one_off=euro(0),
    monthly_after_promotion=euro(8100),
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quote": None, "price": PUBLISHED}, None),
        ({"quote": None, "price": None}, None),
        ({"quote": Quote(monthly_total=euro(7800), monthly_change=euro(500)), "price": None}, 7800),
        ({"quote": Quote(monthly_total=euro(7800), monthly_change=euro(500)), "price": PUBLISHED}, 7500),
        ({"quote": Quote(monthly_total=euro(7400), monthly_change=euro(500)), "price": PUBLISHED}, 7400),
        ({"quote": Quote(monthly_total=euro(100, "USD")), "price": PUBLISHED}, 100),
        ({"quote": Quote(), "price": PUBLISHED}, None),
    ],
)
def test_shows_a_reviewer_the_lowest_that_was_told(changes: dict[str, Any], told: int | None) -> None:
    shown = rules.quoted_monthly(order(**changes))
    assert (shown.amount if shown else None) == told


def test_leaves_to_review_what_no_decision_resolved() -> None:
    price, agent = (Discrepancy(code=each, path="/", stage="intake") for each in ("price.change", "agent.unknown"))
    assert rules.unresolved((price, agent), ["price.change", "price.monthly"]) == (agent,)


@pytest.mark.parametrize(
    ("assessed", "version", "moved"),
    [(PUBLISHED, 1, False), (PUBLISHED, 2, True), (PUBLISHED, None, True), (None, 1, True)],
)
def test_asks_anew_where_the_subscription_or_the_price_moved(
    assessed: OrderPrice | None, version: int | None, *, moved: bool
) -> None:
    shown = order(subscription_version=1, price=PUBLISHED)
    assert rules.moved(shown, rules.Assessment(None, assessed, ()), version) is moved


def test_asks_the_customer_for_the_honoured_price() -> None:
    honoured = Price(monthly_total=euro(7500), monthly_full=euro(7500), one_off=euro(0))
    decision = PriceDecision(kind="honour_quote", case_id="case-1", reviewer="rita", honoured=honoured)
    judged = rules.assess(order(decision=decision), facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert judged.price is not None
    assert judged.price.new_monthly == euro(7500)


def test_asks_the_customer_for_the_published_price_once_a_reviewer_applied_it() -> None:
    decision = PriceDecision(kind="apply_published_price", case_id="case-1", reviewer="rita")
    judged = rules.assess(order(decision=decision), facts(publications=_codes_of(publications(), "TRIO-MAX")))
    assert judged.price == PUBLISHED


SIGNED = {"channel": "shop", "evidence": CONTRACT}


@pytest.mark.parametrize(
    ("changes", "held", "wrong", "signed"),
    [
        (SIGNED, True, False, True),
        (SIGNED, False, False, False),
        (SIGNED, True, True, False),
        ({**SIGNED, "channel": "telesales"}, True, False, False),
        ({**SIGNED, "channel": "desk"}, True, False, False),
        ({**SIGNED, "evidence": RECORDING}, True, False, False),
        ({**SIGNED, "evidence": None}, True, False, False),
    ],
)
def test_takes_for_the_customers_yes_only_a_contract_of_the_shop_that_is_held_and_right(
    changes: dict[str, Any], *, held: bool, wrong: bool, signed: bool
) -> None:
    found = (Discrepancy(code="agent.unknown", path="/agent", stage="intake"),) if wrong else ()
    assert rules.is_signed(order(**changes), rules.Assessment(None, None, found), held=held) is signed


def test_takes_a_step_that_the_life_of_an_order_has() -> None:
    assert rules.step("held", "pending") == "pending"


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
