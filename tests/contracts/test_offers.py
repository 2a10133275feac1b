"""Offers and money: what every service must decide alike, and must answer the same for the past for ever."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.money import CurrencyMismatchError, Money
from contracts.offer_v1 import Channel, Names, Offer, OfferedService, Publication, brussels_day, on_sale

DAY = date(2026, 1, 1)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
amounts = st.integers(-10_000_000, 10_000_000)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
days = st.integers(0, 60).map(lambda number: DAY + timedelta(days=number))


@st.composite
def publications(draw: st.DrawFn) -> list[Publication]:
    """Versions 1, 2, … of one offer, each published when the one before it was there already."""
    published = sorted(draw(st.lists(moments, min_size=1, max_size=5)))
    found = []
    for number, moment in enumerate(published, 1):
        since = draw(days)
        length = draw(st.none() | st.integers(0, 40))
        until = None if length is None else since + timedelta(days=length)
        channels = draw(st.sets(st.sampled_from(Channel), min_size=1))
        found.append(Publication(offer=an_offer(number, since, until, channels), published_at=moment))
    return found


def an_offer(version: int, since: date = DAY, until: date | None = None, channels: object = (Channel.SHOP,)) -> Offer:
    """A version of an offer."""
    return Offer(
        code="TRIO",
        version=version,
        names=Names(fr="Trio", nl="Trio", de="Trio", en="Trio"),
        monthly=Money(amount=7000 + version, currency="EUR"),
        services=(OfferedService(code="internet"),),
        on_sale_from=since,
        on_sale_until=until,
        channels=tuple(sorted(channels)),  # type: ignore[call-overload]
    )


@settings(deadline=None)
@given(publications(), st.sampled_from(Channel), moments, st.data())
def test_a_version_published_later_never_changes_an_answer_about_the_past(
    versions: list[Publication], channel: Channel, at: datetime, data: st.DataObject
) -> None:
    before = on_sale(versions, channel, at)
    if not isinstance(before, Offer):
        return  # nothing was on sale: a version with an earlier date may fill that
    later = max([at, *(each.published_at for each in versions)]) + timedelta(
        microseconds=data.draw(st.integers(1, 10**9))
    )
    added = an_offer(len(versions) + 1, data.draw(days), None, data.draw(st.sets(st.sampled_from(Channel), min_size=1)))
    assert on_sale([*versions, Publication(offer=added, published_at=later)], channel, at) == before


@settings(deadline=None)
@given(publications(), st.sampled_from(Channel), moments, st.integers(0, 10**9))
def test_a_withdrawal_never_reaches_back(
    versions: list[Publication], channel: Channel, at: datetime, after: int
) -> None:
    withdrawn_at = at + timedelta(microseconds=after + 1)
    withdrawn = [each.model_copy(update={"withdrawn_at": withdrawn_at}) for each in versions]
    assert on_sale(withdrawn, channel, at) == on_sale(versions, channel, at)
    assert on_sale(withdrawn, channel, withdrawn_at) == "offer.not-on-sale"


@settings(deadline=None)
@given(publications(), st.sampled_from(Channel), moments, st.randoms())
def test_the_answer_does_not_depend_on_the_order_in_which_versions_arrived(
    versions: list[Publication], channel: Channel, at: datetime, chance: object
) -> None:
    shuffled = list(versions)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert on_sale(shuffled, channel, at) == on_sale(versions, channel, at)


@settings(deadline=None)
@given(publications(), st.sampled_from(Channel), moments)
def test_what_is_on_sale_is_dated_so_and_sold_in_the_channel(
    versions: list[Publication], channel: Channel, at: datetime
) -> None:
    found, day = on_sale(versions, channel, at), brussels_day(at)
    dated = [each.offer for each in versions if each.offer.on_sale_from <= day <= (each.offer.on_sale_until or day)]
    here = [each for each in dated if channel in each.channels]
    if isinstance(found, Offer):
        assert found in here
    else:
        assert here == []
        assert found == ("offer.not-for-channel" if dated else "offer.not-on-sale")


def test_an_offer_without_any_version_is_unknown() -> None:
    assert on_sale([], Channel.SHOP, NOW) == "offer.unknown"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-09-30T21:59:59+00:00", date(2026, 9, 30)),
        ("2026-09-30T22:00:00+00:00", date(2026, 10, 1)),
        ("2026-12-31T22:59:59+00:00", date(2026, 12, 31)),
        ("2026-12-31T23:00:00+00:00", date(2027, 1, 1)),
    ],
)
def test_a_day_is_a_day_in_brussels_in_summer_and_winter(moment: str, day: date) -> None:
    assert brussels_day(datetime.fromisoformat(moment)) == day


@given(amounts, amounts)
def test_money_adds_and_subtracts_exactly(one: int, other: int) -> None:
    a, b = Money(amount=one, currency="EUR"), Money(amount=other, currency="EUR")
    assert (a + b) - b == a
    assert (a + b).amount == one + other
    assert Money.model_validate_json(a.model_dump_json()) == a


@given(amounts, st.integers(0, 400), st.integers(1, 400))
def test_a_share_is_rounded_once_half_away_from_zero(amount: int, part: int, whole: int) -> None:
    exact = Fraction(amount) * part / whole
    rounded = Money(amount=amount, currency="EUR").share(part, whole).amount
    assert abs(rounded - exact) <= Fraction(1, 2)
    assert rounded == (int(abs(exact) + Fraction(1, 2)) * (1 if amount >= 0 else -1))


def test_the_partial_period_of_the_story_is_rounded_as_it_says() -> None:
    assert Money(amount=7000, currency="EUR").share(21, 30).amount == 4900
    assert Money(amount=8100, currency="EUR").share(21, 30).amount == 5670
    assert Money(amount=8100, currency="EUR").share(21, 121).amount == 1406


def test_different_currencies_are_never_combined() -> None:
    with pytest.raises(CurrencyMismatchError):
        Money(amount=1, currency="EUR") + Money(amount=1, currency="USD")


@pytest.mark.parametrize("amount", [81.0, "8100", 81.5, None, True])
def test_an_amount_that_is_no_integer_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": "EUR"})
