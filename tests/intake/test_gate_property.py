"""The price gate against a naive oracle, over random catalogues, dates, promotions and quotes.

The oracle is written from the table of the domain alone: it works on plain numbers and imports nothing of the services.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.invoice_v1 import Charge, RunningPromotion
from contracts.money import Money, Promotion
from contracts.offer_v1 import Channel, ChannelPromotion, Names, Offer, OfferedService, OfferRef, OneOff, Publication
from contracts.order_v1 import Order, Quote
from contracts.subscription_v1 import Subscription, services_of
from services.intake import rules

FIRST_DAY = date(2026, 1, 1)
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD")


@dataclass(frozen=True)
class Version:
    """A version of the one offer, in plain numbers; days count from 1 January 2026."""

    number: int
    monthly: int
    one_off: int
    one_off_on_modify: bool
    since: int
    until: int | None
    shop: bool
    promotions: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Case:
    versions: tuple[Version, ...]
    channel: str
    minutes: int
    adds: bool
    current: int
    running: tuple[int, int] | None
    total: tuple[int, str] | None
    change: tuple[int, str] | None
    one_off: tuple[int, str] | None
    promotion: tuple[int, int, str] | None


def oracle(case: Case) -> set[tuple[str, object, object]]:
    """Say what must be found, as (code, expected, given)."""
    local = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=case.minutes)).astimezone(ZoneInfo("Europe/Brussels"))
    day = (local.date() - FIRST_DAY).days
    dated = [v for v in case.versions if v.since <= day and (v.until is None or day <= v.until)]
    here = [v for v in dated if case.channel == "telesales" or v.shop]
    if not dated:
        return {("offer.not-on-sale", None, "PACK")}
    if not here:
        return {("offer.not-for-channel", None, "PACK")}
    version = max(here, key=lambda v: v.number)
    promotion = next(((amount, months) for where, amount, months in version.promotions if where == case.channel), None)
    total = version.monthly + (promotion[0] if promotion else 0)
    paid = 0 if case.adds else case.current + _running(case, local.strftime("%Y-%m"))
    one_off = version.one_off if case.adds or version.one_off_on_modify else 0
    return (
        _nothing_told(case)
        | _amount("price.monthly", total, case.total)
        | _amount("price.change", total - paid, case.change)
        | (_amount("price.one-off", one_off, case.one_off) if case.one_off else _unless_free(one_off))
        | _promotion(promotion, case.promotion)
    )


def _running(case: Case, month: str) -> int:
    if case.running is None:
        return 0
    amount, last_month = case.running
    return amount if month <= f"2026-{last_month:02d}" else 0


def _nothing_told(case: Case) -> set[tuple[str, object, object]]:
    return {("price.missing", None, None)} if case.total is None and case.change is None else set()


def _amount(code: str, expected: int, told: tuple[int, str] | None) -> set[tuple[str, object, object]]:
    if told is None:
        return set()
    if told[1] != "EUR":
        return {("price.currency", "EUR", told[1])}
    return set() if told[0] == expected else {(code, expected, told[0])}


def _unless_free(one_off: int) -> set[tuple[str, object, object]]:
    return {("price.one-off", one_off, None)} if one_off != 0 else set()


def _promotion(published: tuple[int, int] | None, told: tuple[int, int, str] | None) -> set[tuple[str, object, object]]:
    if told is not None and told[2] != "EUR":
        return {("price.currency", "EUR", told[2])}
    plain = None if told is None else (told[0], told[1])
    return set() if plain == published else {("price.promotion", published, plain)}


amounts = st.sampled_from([4000, 5000, 5001, 7000, 8100])
discounts = st.sampled_from([-1000, -600])
months = st.sampled_from([6, 12])
promotions = st.lists(
    st.tuples(st.sampled_from(["telesales", "shop"]), discounts, months), max_size=2, unique_by=lambda each: each[0]
).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    versions = tuple(
        Version(
            number=number + 1,
            monthly=draw(amounts),
            one_off=draw(st.sampled_from([0, 5000])),
            one_off_on_modify=draw(st.booleans()),
            since=draw(st.integers(0, 40)),
            until=draw(st.none() | st.integers(40, 80)),
            shop=draw(st.booleans()),
            promotions=draw(promotions),
        )
        for number in range(draw(st.integers(1, 3)))
    )
    boundary = st.sampled_from([versions[0].since, versions[-1].since, versions[0].until or 60])
    days = draw(st.integers(1, 100) | boundary)
    # Around midnight in Brussels, where a day begins while the one before still runs in UTC.
    minutes = max(1, days * 1440 + draw(st.sampled_from([-61, -60, -59, -1, 0, 1, 600])))
    near = [draw(amounts), 4400, 7500, 1100, 500, 0]
    for version in versions:
        near += [version.monthly, *(version.monthly + amount for _, amount, _ in version.promotions)]
        near += [value - paid for value in near[-3:] for paid in (5000, 7000, 6400, 4400)]
    told = st.tuples(st.sampled_from(near), st.sampled_from(CURRENCIES))
    known = [(amount, count) for version in versions for _, amount, count in version.promotions] or [(-600, 6)]
    told_promotion = st.tuples(st.sampled_from([*known, (-600, 12)]), st.sampled_from(CURRENCIES))
    return Case(
        versions=versions,
        channel=draw(st.sampled_from(["telesales", "shop"])),
        minutes=minutes,
        adds=draw(st.booleans()),
        current=draw(st.sampled_from([5000, 7000])),
        running=draw(st.none() | st.tuples(discounts, st.integers(1, 5))),
        total=draw(st.none() | told),
        change=draw(st.none() | told),
        one_off=draw(st.none() | st.tuples(st.sampled_from([0, 5000, 4999]), st.sampled_from(CURRENCIES))),
        promotion=draw(st.none() | told_promotion.map(lambda each: (*each[0], each[1]))),
    )


def _money(amount: int, currency: str = "EUR") -> Money:
    return Money(amount=amount, currency=currency)


def _offer(version: Version) -> Offer:
    return Offer(
        code="PACK",
        version=version.number,
        names=Names(fr="Pack", nl="Pack", de="Pack", en="Pack"),
        monthly=_money(version.monthly),
        one_off=OneOff(
            price=_money(version.one_off), actions=("add", "modify") if version.one_off_on_modify else ("add",)
        ),
        promotions=tuple(
            ChannelPromotion(channel=Channel(where), monthly=_money(amount), months=count)
            for where, amount, count in version.promotions
        ),
        services=(OfferedService(code="internet"),),
        on_sale_from=FIRST_DAY + timedelta(days=version.since),
        on_sale_until=None if version.until is None else FIRST_DAY + timedelta(days=version.until),
        channels=(Channel.TELESALES, Channel.SHOP) if version.shop else (Channel.TELESALES,),
    )


def _running_promotion(amount: int, last_month: int) -> RunningPromotion:
    return RunningPromotion(monthly=_money(amount), first_month="2026-01", last_month=f"2026-{last_month:02d}")


def _judged(case: Case) -> set[tuple[str, object, object]]:
    offers = [_offer(version) for version in case.versions]
    sold_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=case.minutes)
    running = case.running
    charge = Charge(
        offer=OfferRef(code="OLD", version=1),
        monthly=_money(case.current),
        promotion=_running_promotion(*running) if running else None,
        since=date(2025, 6, 1),
    )
    before = Subscription(
        id="sub-1",
        customer_id="cust-1",
        version=1,
        offer=OfferRef(code="OLD", version=1),
        services=services_of(offers[0]),
        contract_since=date(2025, 6, 1),
    )
    order = Order(
        id="order-1",
        partner="partner",
        partner_reference="1",
        agent="agent",
        channel=case.channel,
        action="add" if case.adds else "modify",
        customer_id="cust-1",
        subscription_id="sub-1",
        offer_code="PACK",
        quote=Quote(
            monthly_total=_money(*case.total) if case.total else None,
            monthly_change=_money(*case.change) if case.change else None,
            one_off=_money(*case.one_off) if case.one_off else None,
            promotion=Promotion(monthly=_money(case.promotion[0], case.promotion[2]), months=case.promotion[1])
            if case.promotion
            else None,
        ),
        sold_at=sold_at,
        received_at=sold_at,
    )
    facts = rules.Facts(
        publications=[Publication(offer=each, published_at=datetime(2025, 1, 1, tzinfo=UTC)) for each in offers],
        subscription=None if case.adds else before,
        charges=() if case.adds else (charge,),
        channels=("telesales", "shop"),
        agents=("agent",),
    )
    return {(each.code, _plain(each.expected), _plain(each.given)) for each in rules.assess(order, facts).discrepancies}


def _plain(value: object) -> object:
    if isinstance(value, dict) and "amount" in value:
        return value["amount"]
    return (value["monthly"]["amount"], value["months"]) if isinstance(value, dict) else value


@pytest.mark.timeout(240)
@settings(max_examples=1500, deadline=None)
@given(cases())
def test_the_gate_finds_what_the_naive_oracle_finds(case: Case) -> None:
    assert _judged(case) == oracle(case)
