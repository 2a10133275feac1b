"""The second price gate, charges, lines and commissions: pure, and compared with the figures of the published rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.invoice_v1 import Charge, RunningPromotion
from contracts.money import Money, Promotion
from contracts.offer_v1 import OfferRef, Publication
from contracts.order_v1 import Order, Quote
from contracts.subscription_v1 import Sale
from services.billing import rules
from services.billing.rules import Entry, Held, Line, Started
from services.billing.rules.commissions import Rate, commission, overlapping
from tests.billing import sales
from tests.billing.sales import (
    SIX_MONTHS,
    TRIO,
    TRIO_MAX,
    TRIO_MAX_V1,
    TRIO_V1,
    decided,
    eur,
    honoured,
    order,
    price,
    usd,
)

TRIO_MAX_V9 = OfferRef(code="TRIO-MAX", version=9)
NOVEMBER = "2026-11"
BEFORE = eur(7000)


def judged(given_order: Order, before: Money | None = BEFORE, in_place: OfferRef | None = None) -> Any:
    versions = sales.versions(given_order.offer_code or "")
    return rules.judge(given_order, in_place or given_order.offer or TRIO_MAX.ref, versions, before)


def faults(
    given_order: Order, before: Money | None = BEFORE, in_place: OfferRef | None = None
) -> list[tuple[str, Any, Any]]:
    """What the gate finds: path, expected, given."""
    verdict = judged(given_order, before, in_place)
    found = verdict.discrepancies if isinstance(verdict, Held) else ()
    assert {(each.code, each.stage) for each in found} <= {("billing.mismatch", "billing")}
    return [(each.path, each.expected, each.given) for each in found]


# --- the gate: what passes


@pytest.mark.parametrize(
    "quote",
    [
        Quote(monthly_total=eur(8100)),
        Quote(monthly_change=eur(1100)),
        Quote(monthly_total=eur(8100), monthly_change=eur(1100)),
        Quote(monthly_total=eur(8100), one_off=eur(0)),
    ],
)
def test_the_published_price_passes_as_total_as_change_and_as_both(quote: Quote) -> None:
    assert judged(order(quote=quote)) == (TRIO_MAX.ref, TRIO_MAX.price("telesales", "modify", sales.SOLD_AT))


def test_a_promotion_of_the_channel_passes_when_it_is_quoted() -> None:
    assert faults(sales.in_shop()) == []


def test_a_new_subscription_passes_at_total_and_one_off() -> None:
    assert faults(sales.new_fibre(), before=None) == []


def test_a_running_promotion_counts_in_what_was_paid_before() -> None:
    sold = order(quote=Quote(monthly_change=eur(1700)), price=price(8100, 1700))
    assert faults(sold, before=eur(6400)) == []


def test_the_version_on_sale_at_the_last_second_of_september_is_the_first_one() -> None:
    sold = order(
        offer=TRIO_MAX_V1.ref,
        quote=Quote(monthly_total=eur(7900)),
        price=price(7900, 900),
        sold_at=datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC),
    )
    assert faults(sold) == []


# --- the gate: every part of the quote is compared by itself


def test_a_total_that_differs_by_a_cent_is_held() -> None:
    assert faults(order(quote=Quote(monthly_total=eur(8099)))) == [("/quote/monthly_total", eur(8100), eur(8099))]
    assert faults(order(quote=Quote(monthly_total=eur(8101)))) == [("/quote/monthly_total", eur(8100), eur(8101))]


def test_a_change_that_differs_by_a_cent_is_held() -> None:
    assert faults(order(quote=Quote(monthly_change=eur(1099)))) == [("/quote/monthly_change", eur(1100), eur(1099))]
    assert faults(order(quote=Quote(monthly_change=eur(1101)))) == [("/quote/monthly_change", eur(1100), eur(1101))]


def test_total_and_change_are_judged_separately() -> None:
    quoted = Quote(monthly_total=eur(7500), monthly_change=eur(500))
    assert faults(order(quote=quoted)) == [
        ("/quote/monthly_total", eur(8100), eur(7500)),
        ("/quote/monthly_change", eur(1100), eur(500)),
    ]


@pytest.mark.parametrize("quote", [None, Quote(), Quote(one_off=eur(0))])
def test_a_modification_without_total_and_without_change_is_held(quote: Quote | None) -> None:
    assert faults(order(quote=quote)) == [("/quote/monthly_total", eur(8100), None)]


def test_a_new_subscription_needs_the_total_even_where_a_change_is_quoted() -> None:
    sold = sales.new_fibre(quote=Quote(monthly_change=eur(6000), one_off=eur(5000)))
    assert faults(sold, before=None) == [("/quote/monthly_total", eur(6000), None)]


@pytest.mark.parametrize("one_off", [None, eur(0), eur(4999)])
def test_an_absent_one_off_counts_as_nothing_and_is_shown_as_absent(one_off: Money | None) -> None:
    sold = sales.new_fibre(quote=Quote(monthly_total=eur(6000), one_off=one_off))
    assert faults(sold, before=None) == [("/quote/one_off", eur(5000), one_off)]


@pytest.mark.parametrize("promotion", [None, SIX_MONTHS.model_copy(update={"months": 12})])
def test_a_published_promotion_must_be_quoted_as_it_is(promotion: Promotion | None) -> None:
    sold = sales.in_shop(quote=Quote(monthly_total=eur(7500), promotion=promotion))
    assert faults(sold) == [("/quote/promotion", SIX_MONTHS, promotion)]


def test_a_promotion_that_nobody_published_is_held() -> None:
    sold = order(quote=Quote(monthly_total=eur(8100), promotion=SIX_MONTHS))
    assert faults(sold) == [("/quote/promotion", None, SIX_MONTHS)]


def test_another_currency_is_never_the_same_amount() -> None:
    quoted = Quote(monthly_total=usd(8100), monthly_change=usd(1100), one_off=usd(0))
    assert faults(order(quote=quoted)) == [
        ("/quote/monthly_total", eur(8100), usd(8100)),
        ("/quote/monthly_change", eur(1100), usd(1100)),
        ("/quote/one_off", eur(0), usd(0)),
    ]


# --- the gate: every part of what the customer confirmed is compared as well


@pytest.mark.parametrize(
    ("part", "expected", "wrong"),
    [
        ("new_monthly", eur(8100), eur(8099)),
        ("new_monthly", eur(8100), eur(8101)),
        ("new_monthly", eur(8100), usd(8100)),
        ("monthly_change", eur(1100), eur(1099)),
        ("one_off", eur(0), eur(1)),
        ("promotion", None, SIX_MONTHS),
        ("monthly_after_promotion", eur(8100), eur(8101)),
    ],
)
def test_one_part_of_the_confirmed_price_that_differs_is_held(part: str, expected: object, wrong: object) -> None:
    confirmed = price().model_copy(update={part: wrong})
    assert faults(order(price=confirmed)) == [(f"/price/{part}", expected, wrong)]


def test_an_order_that_nobody_confirmed_a_price_of_is_held() -> None:
    assert [path for path, _, given_ in faults(order(price=None)) if given_ is None] == [
        "/price/new_monthly",
        "/price/monthly_change",
        "/price/one_off",
        "/price/monthly_after_promotion",
    ]


# --- the gate: which offer, and fails closed


def test_another_version_than_the_one_found_here_is_held() -> None:
    assert faults(order(offer=TRIO_MAX_V9), in_place=TRIO_MAX.ref) == [("/offer", TRIO_MAX.ref, TRIO_MAX_V9)]
    assert faults(order(offer=None), in_place=TRIO_MAX.ref) == [("/offer", TRIO_MAX.ref, None)]


def test_another_offer_in_place_than_the_one_sold_is_held() -> None:
    assert faults(order(), in_place=TRIO.ref) == [("/subscription/offer", TRIO_MAX.ref, TRIO.ref)]


@pytest.mark.parametrize(
    ("sold", "fault"),
    [
        (order(offer_code="TRIO-XXL"), "offer.unknown"),
        (order(sold_at=datetime(2024, 12, 31, tzinfo=UTC)), "offer.not-on-sale"),
        (order(channel="desk"), "offer.not-for-channel"),
    ],
)
def test_an_offer_that_is_not_on_sale_here_is_held_and_says_why(sold: Order, fault: str) -> None:
    assert faults(sold) == [("/offer", fault, TRIO_MAX.ref)]


def test_at_midnight_in_brussels_the_old_price_is_held() -> None:
    sold = order(
        offer=TRIO_MAX_V1.ref,
        quote=Quote(monthly_total=eur(7900)),
        price=price(7900, 900),
        sold_at=datetime(2026, 9, 30, 22, 0, 0, tzinfo=UTC),
    )
    assert faults(sold) == [
        ("/offer", TRIO_MAX.ref, TRIO_MAX_V1.ref),
        ("/subscription/offer", TRIO_MAX.ref, TRIO_MAX_V1.ref),
        ("/quote/monthly_total", eur(8100), eur(7900)),
        ("/price/new_monthly", eur(8100), eur(7900)),
        ("/price/monthly_change", eur(1100), eur(900)),
        ("/price/monthly_after_promotion", eur(8100), eur(7900)),
    ]


def test_a_modification_of_what_is_not_charged_is_held() -> None:
    sold = order(quote=Quote(monthly_total=eur(8100)))
    assert faults(sold, before=None) == [("/price/monthly_change", None, eur(1100))]


def test_a_new_subscription_on_which_something_is_charged_already_is_held() -> None:
    assert faults(sales.new_fibre(), before=eur(7000)) == [("/price/monthly_change", None, eur(6000))]


def test_a_charge_in_force_in_another_currency_is_held() -> None:
    assert faults(order(), before=usd(7000)) == [
        ("/quote/monthly_change", None, eur(1100)),
        ("/price/monthly_change", None, eur(1100)),
    ]


# --- the gate: decisions


def test_after_the_published_price_was_applied_the_quote_no_longer_counts() -> None:
    sold = order(quote=Quote(monthly_change=eur(500)), decision=decided("apply_published_price"))
    assert faults(sold) == []


def test_after_the_published_price_was_applied_the_confirmed_price_is_still_compared() -> None:
    sold = order(price=price(7500, 500), decision=decided("apply_published_price", honoured(7500)))
    assert faults(sold) == [
        ("/price/new_monthly", eur(8100), eur(7500)),
        ("/price/monthly_change", eur(1100), eur(500)),
        ("/price/monthly_after_promotion", eur(8100), eur(7500)),
    ]


def test_an_honoured_quote_is_charged_as_decided() -> None:
    decision = decided("honour_quote", honoured(7500))
    sold = order(quote=Quote(monthly_change=eur(500)), price=price(7500, 500), decision=decision)
    assert judged(sold) == (TRIO_MAX.ref, honoured(7500))


def test_an_honoured_quote_binds_what_the_customer_confirmed() -> None:
    sold = order(price=price(7501, 501), decision=decided("honour_quote", honoured(7500)))
    assert faults(sold) == [
        ("/price/new_monthly", eur(7500), eur(7501)),
        ("/price/monthly_change", eur(500), eur(501)),
        ("/price/monthly_after_promotion", eur(7500), eur(7501)),
    ]


def test_an_honoured_quote_without_an_amount_is_held() -> None:
    assert [path for path, *_ in faults(order(decision=decided("honour_quote")))] == ["/decision/honoured"]


def test_an_honoured_total_is_never_above_the_published_one() -> None:
    sold = sales.in_shop(
        price=price(7501, 501, monthly_after_promotion=eur(7501)), decision=decided("honour_quote", honoured(7501))
    )
    assert faults(sold) == [("/decision/honoured/monthly_total", eur(7500), eur(7501))]


def test_an_honoured_price_after_its_promotion_is_never_above_the_published_one() -> None:
    steep = Promotion(monthly=eur(-2000), months=6)
    decision = decided("honour_quote", honoured(7500, 9500, promotion=steep))
    sold = order(price=price(7500, 500, promotion=steep, monthly_after_promotion=eur(9500)), decision=decision)
    assert faults(sold) == [("/decision/honoured/monthly_full", eur(8100), eur(9500))]


def test_an_honoured_one_off_is_never_above_the_published_one() -> None:
    sold = order(price=price(one_off=eur(1)), decision=decided("honour_quote", honoured(8100, one_off=eur(1))))
    assert faults(sold) == [("/decision/honoured/one_off", eur(0), eur(1))]


def test_an_honoured_quote_in_another_currency_is_held() -> None:
    decision = decided("honour_quote", honoured(8100, one_off=usd(0)))
    assert faults(order(price=price(one_off=usd(0)), decision=decision)) == [
        ("/decision/honoured/one_off", eur(0), usd(0))
    ]


def test_an_honoured_quote_whose_parts_do_not_add_up_is_held() -> None:
    decision = decided("honour_quote", honoured(7500, 8100))
    sold = order(price=price(7500, 500, monthly_after_promotion=eur(8100)), decision=decision)
    assert faults(sold) == [("/decision/honoured/promotion", eur(-600), eur(0))]


def test_a_held_order_names_the_two_amounts_that_a_reviewer_compares() -> None:
    held = judged(order(quote=Quote(monthly_change=eur(500))))
    assert (held.published, held.quoted) == (eur(8100), eur(7500))


def test_contradictory_quotes_are_shown_as_the_lowest() -> None:
    held = judged(order(quote=Quote(monthly_total=eur(7900), monthly_change=eur(500))))
    assert held.quoted == eur(7500)


PARTS = st.sampled_from([-1, 0, 0, 0, 1])


@given(total=PARTS, change=PARTS, one_off=PARTS, new=PARTS, new_change=PARTS, paid=PARTS, before=st.integers(0, 20000))
def test_only_the_exact_price_passes_whatever_was_paid_before(
    total: int, change: int, one_off: int, new: int, new_change: int, paid: int, before: int
) -> None:
    expected = 8100 - before
    sold = order(
        quote=Quote(monthly_total=eur(8100 + total), monthly_change=eur(expected + change), one_off=eur(one_off)),
        price=price(8100, expected + new_change).model_copy(
            update={"new_monthly": eur(8100 + new), "one_off": eur(paid)}
        ),
    )
    wrong = [
        path
        for path, off in (
            ("/quote/monthly_total", total),
            ("/quote/monthly_change", change),
            ("/quote/one_off", one_off),
            ("/price/new_monthly", new),
            ("/price/monthly_change", new_change),
            ("/price/one_off", paid),
        )
        if off
    ]
    assert [path for path, *_ in faults(sold, before=eur(before))] == wrong


# --- what a change brings


def test_an_imported_subscription_is_charged_what_was_published_when_it_was_sold() -> None:
    assert rules.decide(sales.imported(), sales.versions("TRIO"), ()) == Started(
        Entry(
            version=1,
            since=date(2026, 4, 15),
            charge=Charge(offer=TRIO.ref, monthly=eur(7000), since=date(2026, 4, 15)),
        )
    )


def test_sold_on_20_march_2026_a_promotion_of_twelve_months_runs_until_and_with_march_2027() -> None:
    event = sales.imported(sold_at=datetime(2026, 3, 20, 9, tzinfo=UTC), in_place=TRIO_V1.ref)
    started = rules.decide(event, sales.versions("TRIO"), ())
    assert isinstance(started, Started)
    assert started.entry.charge == Charge(
        offer=TRIO_V1.ref,
        monthly=eur(7000),
        promotion=RunningPromotion(monthly=eur(-600), first_month="2026-04", last_month="2027-03"),
        since=date(2026, 3, 20),
    )
    paid = [rules.monthly_on([started.entry], day) for day in (date(2026, 3, 20), date(2027, 3, 31), date(2027, 4, 1))]
    assert paid == [eur(6400), eur(6400), eur(7000)]


def test_an_imported_sale_counts_by_its_day_in_brussels() -> None:
    event = sales.imported(sold_at=datetime(2026, 4, 30, 22, 30, tzinfo=UTC))
    started = rules.decide(event, sales.versions("TRIO"), ())
    assert isinstance(started, Started)
    assert started.entry.since == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("in_place", "channel", "expected"),
    [(TRIO_V1.ref, "telesales", TRIO.ref), (TRIO.ref, "desk", "offer.not-for-channel")],
)
def test_an_imported_subscription_whose_offer_was_not_on_sale_is_held(
    in_place: OfferRef, channel: str, expected: object
) -> None:
    sale = Sale(channel=channel, sold_at=datetime(2026, 4, 15, tzinfo=UTC))
    held = rules.decide(sales.changed(in_place=in_place, sale=sale), sales.versions("TRIO"), ())
    assert isinstance(held, Held)
    assert [(each.code, each.path, each.expected, each.given) for each in held.discrepancies] == [
        ("billing.mismatch", "/subscription/offer", expected, in_place)
    ]


def test_an_order_is_charged_from_the_brussels_day_on_which_it_took_effect() -> None:
    event = sales.changed(order(), effective_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    since = date(2026, 11, 21)
    assert rules.decide(event, sales.versions("TRIO-MAX"), sales.history()) == Started(
        Entry(
            version=2,
            order_id="order-1",
            since=since,
            charge=Charge(offer=TRIO_MAX.ref, monthly=eur(8100), since=since),
        ),
        eur(0),
    )


def test_the_change_is_judged_against_the_charge_in_force_at_the_sale() -> None:
    cheaper = Entry(
        version=2, since=date(2026, 11, 21), charge=Charge(offer=TRIO.ref, monthly=eur(6900), since=date(2026, 11, 21))
    )
    event = sales.changed(order(), version=3, effective_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert isinstance(rules.decide(event, sales.versions("TRIO-MAX"), (*sales.history(), cheaper)), Started)


def test_a_charge_names_the_case_in_which_its_price_was_decided() -> None:
    sold = order(price=price(7500, 500), decision=decided("honour_quote", honoured(7500)))
    started = rules.decide(sales.changed(sold), sales.versions("TRIO-MAX"), sales.history())
    assert isinstance(started, Started)
    assert started.entry.charge is not None
    assert (started.entry.case_id, started.entry.charge.monthly) == ("case-1", eur(7500))


def test_after_a_termination_nothing_is_charged() -> None:
    ended = rules.decide(
        sales.changed(order(action="terminate", offer=None, price=None, quote=None)), (), sales.history()
    )
    assert ended == Started(Entry(version=2, order_id="order-1", since=date(2026, 11, 20), charge=None))
    after = (*sales.history(), ended.entry)
    days = (date(2026, 11, 19), date(2026, 11, 20), date(2027, 1, 1))
    assert [rules.monthly_on(after, day) for day in days] == [eur(7000), None, None]


def test_a_reversal_is_not_charged_in_silence() -> None:
    with pytest.raises(rules.ReversalNotChargedError):
        rules.wanted_offer(sales.changed(order(action="reverse")))


def test_a_change_without_order_and_sale_is_an_error() -> None:
    with pytest.raises(rules.UnknownChangeError):
        rules.decide(sales.changed(), sales.versions("TRIO"), ())


def test_before_the_first_charge_nothing_is_in_force() -> None:
    assert rules.monthly_on(sales.history(), date(2026, 4, 14)) is None


# --- what is late, what is old


def test_only_an_offer_version_that_is_not_here_is_late() -> None:
    assert not rules.is_late(sales.changed(order()), sales.versions("TRIO-MAX"))
    assert rules.is_late(sales.changed(order()), sales.versions("TRIO-MAX")[:1])
    assert rules.is_late(sales.imported(), ())
    assert not rules.is_late(sales.changed(order(action="terminate", offer=None)), ())
    assert not rules.is_late(sales.changed(order(offer=None), in_place=TRIO_MAX.ref), ())


def test_the_price_is_looked_up_under_what_was_ordered() -> None:
    assert rules.offer_code(sales.changed(order(offer_code="TRIO-XXL"))) == "TRIO-XXL"
    assert rules.offer_code(sales.changed(order(offer_code=None))) == "TRIO-MAX"
    assert rules.offer_code(sales.imported()) == "TRIO"
    assert rules.offer_code(sales.changed(order(action="terminate", offer_code=None, offer=None))) is None


def test_an_older_version_and_the_same_once_more_are_old_news() -> None:
    event = sales.changed(order(), version=2)
    assert [rules.came_before(event, last, None) for last in (1, 2, 3)] == [False, True, True]


def test_a_held_version_is_news_again_only_once_its_order_was_decided() -> None:
    held = order()
    decided_since = order(decision=decided("apply_published_price"))
    assert rules.came_before(sales.changed(held), 2, held)
    assert not rules.came_before(sales.changed(decided_since), 2, held)
    assert not rules.came_before(sales.changed(decided_since), 3, held)  # a newer one waits behind it
    assert rules.came_before(sales.changed(order(id="order-2")), 3, held)


# --- lines


def started(day: date, monthly: int = 8100, **parts: Any) -> Started:
    """TRIO-MAX from a day on."""
    charge = Charge(offer=TRIO_MAX.ref, monthly=eur(monthly), since=day, promotion=parts.pop("promotion", None))
    return Started(Entry(version=2, order_id="order-1", since=day, charge=charge), **parts)


def ended(day: date) -> Started:
    return Started(Entry(version=3, order_id="order-2", since=day, charge=None))


def amounts(lines: Sequence[Line]) -> list[tuple[str, int]]:
    return [(line.kind, line.amount.amount) for line in lines]


def test_from_70_to_81_on_10_november_is_49_credited_and_56_70_charged() -> None:
    day = date(2026, 11, 10)
    assert rules.lines(sales.history(), started(day), NOVEMBER, day) == [
        Line(kind="credit", invoice="2026-12", since=day, until=date(2026, 11, 30), offer=TRIO.ref, amount=eur(-4900)),
        Line(
            kind="monthly", invoice="2026-12", since=day, until=date(2026, 11, 30), offer=TRIO_MAX.ref, amount=eur(5670)
        ),
    ]


def test_a_change_on_the_billing_day_takes_back_the_whole_month_that_was_invoiced() -> None:
    day = date(2026, 11, 1)
    assert amounts(rules.lines(sales.history(), started(day), NOVEMBER, day)) == [("credit", -7000), ("monthly", 8100)]


def test_each_line_is_rounded_once_and_half_up() -> None:
    day = date(2026, 11, 16)  # 15 of 30 days
    found = rules.lines(sales.history(7001), started(day, 8101), NOVEMBER, day)
    assert amounts(found) == [("credit", -3501), ("monthly", 4051)]


def test_a_new_subscription_pays_its_first_days_and_its_one_off() -> None:
    day = date(2026, 11, 20)
    found = rules.lines((), started(day, 6000, one_off=eur(5000)), None, day)
    assert amounts(found) == [("monthly", 2200), ("one-off", 5000)]  # 11 of 30 days


def test_nothing_to_pay_once_is_no_line() -> None:
    day = date(2026, 11, 20)
    assert amounts(rules.lines((), started(day, 6000, one_off=eur(0)), None, day)) == [("monthly", 2200)]


def test_a_promotion_discounts_the_first_days_pro_rata() -> None:
    day = date(2026, 11, 10)
    running = rules.running_promotion(SIX_MONTHS, day)
    found = rules.lines(sales.history(), started(day, promotion=running), NOVEMBER, day)
    assert amounts(found) == [("credit", -4900), ("monthly", 5250)]  # 75.00 x 21/30


def test_a_running_promotion_counts_in_what_is_credited() -> None:
    since = date(2026, 3, 20)
    charge = Charge(
        offer=TRIO_V1.ref,
        monthly=eur(7000),
        promotion=RunningPromotion(monthly=eur(-600), first_month="2026-04", last_month="2027-03"),
        since=since,
    )
    found = rules.lines(
        (Entry(version=1, since=since, charge=charge),), started(date(2026, 11, 10)), NOVEMBER, date(2026, 11, 10)
    )
    assert amounts(found) == [("credit", -4480), ("monthly", 5670)]


def test_a_termination_credits_the_rest_of_the_invoiced_month() -> None:
    day = date(2026, 11, 10)
    assert amounts(rules.lines(sales.history(), ended(day), NOVEMBER, day)) == [("credit", -4900)]


def test_an_imported_subscription_was_invoiced_where_it_came_from() -> None:
    imported = Started(sales.history()[0])
    assert rules.lines((), imported, None, date(2026, 11, 20)) == []
    assert rules.charged_by(None, date(2026, 11, 20)) == NOVEMBER


def test_a_change_that_is_charged_late_reaches_back_into_every_invoiced_month() -> None:
    found = rules.lines(sales.history(), started(date(2026, 11, 10)), "2026-12", date(2026, 12, 3))
    assert [(line.kind, line.since, line.amount.amount, line.invoice) for line in found] == [
        ("credit", date(2026, 11, 10), -4900, "2027-01"),
        ("monthly", date(2026, 11, 10), 5670, "2027-01"),
        ("credit", date(2026, 12, 1), -7000, "2027-01"),
        ("monthly", date(2026, 12, 1), 8100, "2027-01"),
    ]


def test_months_that_are_due_are_written_before_a_change_of_them() -> None:
    found = rules.lines(sales.history(), started(date(2026, 12, 11)), NOVEMBER, date(2026, 12, 11))
    assert amounts(found) == [("monthly", 7000), ("credit", -4742), ("monthly", 5487)]  # 21 of 31 days


def test_every_month_is_charged_once_in_advance() -> None:
    assert [
        (line.invoice, line.since, line.until, line.amount)
        for line in rules.monthly_lines(sales.history(), NOVEMBER, date(2027, 2, 1))
    ] == [
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31), eur(7000)),
        ("2027-01", date(2027, 1, 1), date(2027, 1, 31), eur(7000)),
        ("2027-02", date(2027, 2, 1), date(2027, 2, 28), eur(7000)),
    ]
    assert rules.monthly_lines(sales.history(), NOVEMBER, date(2026, 11, 30)) == []


def test_a_promotion_ends_with_its_last_month() -> None:
    day = date(2026, 11, 10)
    entry = started(day, promotion=rules.running_promotion(SIX_MONTHS, day)).entry
    found = rules.monthly_lines((entry,), NOVEMBER, date(2027, 6, 1))
    assert [line.amount.amount for line in found] == [7500, 7500, 7500, 7500, 7500, 7500, 8100]


def test_after_a_termination_no_month_is_charged() -> None:
    history = (*sales.history(), ended(date(2026, 11, 10)).entry)
    assert rules.monthly_lines(history, NOVEMBER, date(2027, 2, 1)) == []


@given(
    old=st.integers(1, 20000),
    new=st.integers(1, 20000),
    day=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    late=st.integers(0, 70),
)
def test_the_lines_of_a_change_are_what_each_day_costs(old: int, new: int, day: date, late: int) -> None:
    """However late it is charged: each day from the change on costs its part of the new price."""
    today = day + timedelta(days=late)
    charged = rules.month_of(day)
    found = rules.lines(sales.history(old, since=date(2025, 1, 1)), started(day, new), charged, today)
    end = rules.first_day(rules.following(rules.month_of(today)))
    days = [day + timedelta(days=each) for each in range((end - day).days)]
    months = {
        rules.month_of(each): (rules.first_day(rules.following(rules.month_of(each))) - timedelta(days=1)).day
        for each in days
    }
    owed = sum((Fraction(new, months[rules.month_of(each)]) for each in days), Fraction(0))
    in_advance = [each for each in days if rules.month_of(each) == charged]
    paid_in_advance = sum((Fraction(old, months[charged]) for _ in in_advance), Fraction(0))
    assert abs(sum(line.amount.amount for line in found) - (owed - paid_in_advance)) <= Fraction(len(found), 2)


# --- VAT and months


@pytest.mark.parametrize(("total", "net", "vat"), [(8100, 6694, 1406), (-4900, -4050, -850), (121, 100, 21), (0, 0, 0)])
def test_vat_is_21_of_121_rounded_half_up(total: int, net: int, vat: int) -> None:
    assert rules.split(eur(total)) == (eur(net), eur(vat))


@given(amount=st.integers(-(10**9), 10**9))
def test_net_and_vat_are_the_whole_amount(amount: int) -> None:
    net, vat = rules.split(eur(amount))
    assert net + vat == eur(amount)
    assert abs(Fraction(amount * 21, 121) - vat.amount) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2026, 3, 20), "2026-04", "2026-09"),
        (date(2026, 4, 1), "2026-04", "2026-09"),
        (date(2026, 12, 31), "2027-01", "2027-06"),
    ],
)
def test_a_promotion_counts_full_months_only(day: date, first: str, last: str) -> None:
    assert rules.running_promotion(SIX_MONTHS, day) == RunningPromotion(
        monthly=eur(-600), first_month=first, last_month=last
    )


@given(day=st.dates(date(2026, 1, 1), date(2030, 12, 31)), months=st.integers(1, 120))
def test_a_promotion_runs_for_exactly_its_number_of_full_months(day: date, months: int) -> None:
    running = rules.running_promotion(Promotion(monthly=eur(-100), months=months), day)
    assert rules.following(running.first_month, months - 1) == running.last_month
    assert rules.first_day(running.first_month) >= day
    assert rules.first_day(rules.following(running.first_month, -1)) < day


def test_the_billing_day_begins_at_midnight_in_brussels() -> None:
    assert rules.billing_moment("2026-12") == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert rules.billing_moment("2026-07") == datetime(2026, 6, 30, 22, tzinfo=UTC)


# --- commissions

ANY = Rate(action="modify", since=date(2026, 1, 1), amount=eur(2000))
FOR_TRIO_MAX = Rate(
    action="modify", offer_code="TRIO-MAX", since=date(2026, 10, 1), until=date(2026, 11, 20), amount=eur(3500)
)
FOR_NEW = Rate(action="add", since=date(2026, 1, 1), amount=eur(6000))


@pytest.mark.parametrize(
    ("sold", "amount"),
    [
        (order(), eur(3500)),
        (order(sold_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC)), eur(2000)),
        (order(sold_at=datetime(2026, 9, 30, 21, 59, tzinfo=UTC)), eur(2000)),
        (order(sold_at=datetime(2026, 9, 30, 22, 0, tzinfo=UTC)), eur(3500)),
        (order(offer=TRIO.ref), eur(2000)),
        (order(sold_at=datetime(2025, 12, 31, 12, tzinfo=UTC)), None),
        (order(decision=decided("apply_published_price")), eur(3500)),
        (order(decision=decided("honour_quote", honoured(7500))), None),
        (order(action="terminate", offer=None), None),
        (order(action="reverse", offer=None), None),
        (sales.new_fibre(), eur(6000)),
    ],
)
def test_a_commission_is_the_rate_of_partner_action_offer_and_day_of_the_sale(
    sold: Order, amount: Money | None
) -> None:
    assert commission(sold, [ANY, FOR_TRIO_MAX, FOR_NEW]) == amount


def test_without_a_rate_there_is_no_commission() -> None:
    assert commission(order(), []) is None


def test_rates_that_say_two_things_for_one_day_are_found() -> None:
    later = ANY.model_copy(update={"since": date(2026, 6, 1)})
    closed = ANY.model_copy(update={"until": date(2026, 5, 31)})
    same_day = closed.model_copy(update={"since": date(2026, 5, 31), "until": None})
    assert overlapping([ANY, FOR_TRIO_MAX, FOR_NEW]) == []
    assert overlapping([ANY, later]) == [1]
    assert overlapping([closed, later]) == []
    assert overlapping([later, closed]) == []
    assert overlapping([closed, same_day]) == [1]


def test_a_late_version_published_after_the_sale_does_not_displace_the_one_that_was_sold() -> None:
    newer = TRIO_MAX.model_copy(update={"version": 3, "monthly": eur(9000)})
    versions = [
        *sales.versions("TRIO-MAX"),
        Publication(offer=newer, published_at=sales.SOLD_AT + timedelta(seconds=1)),
    ]
    assert rules.judge(order(), TRIO_MAX.ref, versions, eur(7000)) == judged(order())
