"""Every fault that keeps an offer from being published, and what is none."""

from datetime import date
from typing import Any

import pytest

from contracts.offer_v1 import Offer
from services.catalogue.rules import Candidate, Fault, judge, unpublished

TODAY = date(2026, 11, 20)


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def offer(**changes: Any) -> Offer:
    return Offer.model_validate(
        {
            "code": "TRIO",
            "version": 1,
            "names": {"fr": "Trio", "nl": "Trio", "de": "Trio", "en": "Trio"},
            "monthly": eur(7000),
            "services": [
                {"code": "internet", "level": {"download": 150}, "share": eur(4000)},
                {"code": "tv", "share": eur(3000)},
            ],
            "on_sale_from": "2026-11-20",
            "channels": ["telesales", "shop"],
        }
        | changes
    )


def faults(*offers: Offer, published: tuple[Offer, ...] = ()) -> list[Fault]:
    return judge([Candidate(f"/offers/{index}", each) for index, each in enumerate(offers)], published, TODAY)


def found(*offers: Offer, published: tuple[Offer, ...] = ()) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults(*offers, published=published)]


def promotion(**changes: Any) -> dict[str, Any]:
    return {"channel": "shop", "monthly": eur(-600), "months": 6} | changes


def test_a_sound_offer_has_no_fault() -> None:
    assert faults(offer(promotions=[promotion()], one_off={"price": eur(0), "actions": ["add"]})) == []


def test_a_first_version_may_have_been_on_sale_for_long() -> None:
    assert faults(offer(on_sale_from="2020-01-01"), offer(version=2, on_sale_from="2021-01-01")) == []


def test_the_same_content_is_published_already() -> None:
    assert faults(offer(), published=(offer(),)) == []
    assert unpublished([Candidate("", offer())], [offer()]) == []


def test_a_published_version_never_changes() -> None:
    changed = offer(monthly=eur(7100), term_months=12)
    assert faults(changed, published=(offer(),))[0] == Fault(
        "/offers/0", "offer.published", "TRIO v1 is published and never changes; different: monthly, term_months"
    )


def test_versions_rise_by_one() -> None:
    assert found(offer(version=3), published=(offer(),)) == [("/offers/0/version", "offer.version")]
    assert found(offer(version=2)) == [("/offers/0/version", "offer.version")]
    assert found(offer(version=3), offer(version=2), published=(offer(),)) == []


def test_another_code_says_nothing_about_versions() -> None:
    assert found(offer(code="DUO", version=2), published=(offer(),)) == [("/offers/0/version", "offer.version")]


def test_a_version_is_sent_once() -> None:
    assert found(offer(), offer()) == [("/offers/1", "offer.twice")]


def test_a_further_version_begins_today_at_the_earliest() -> None:
    yesterday = offer(version=2, on_sale_from="2026-11-19")
    assert found(yesterday, published=(offer(),)) == [("/offers/0/on_sale_from", "offer.backdated")]
    assert found(offer(version=2, on_sale_from="2026-11-20"), published=(offer(),)) == []
    assert found(yesterday, published=(offer(code="DUO"), offer(code="TRIO-MAX"))) == [
        ("/offers/0/version", "offer.version")
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"on_sale_until": "2026-11-19"}, [("/on_sale_until", "offer.dates")]),
        ({"on_sale_until": "2026-11-20"}, []),
        ({"monthly": eur(0), "services": [{"code": "tv"}]}, [("/monthly", "offer.monthly")]),
        ({"one_off": {"price": eur(-1), "actions": ["add"]}}, [("/one_off/price", "offer.one-off")]),
        ({"names": {"fr": "Trio", "nl": " ", "de": "Trio", "en": "Trio"}}, [("/names/nl", "offer.name")]),
        ({"services": [{"code": "tv"}, {"code": "internet"}]}, []),
        ({"services": [{"code": "tv"}, {"code": "tv"}]}, [("/services", "offer.service-twice")]),
        ({"services": [{"code": "tv", "share": eur(6999)}]}, [("/services", "offer.shares")]),
        (
            {"services": [{"code": "tv", "share": eur(7000)}, {"code": "internet"}]},
            [("/services", "offer.shares")],
        ),
        (
            {"services": [{"code": "tv", "share": eur(8000)}, {"code": "internet", "share": eur(-1000)}]},
            [("/services", "offer.shares")],
        ),
        (
            {"services": [{"code": "tv", "share": {"amount": 7000, "currency": "USD"}}]},
            [("/services/0/share/currency", "offer.currency")],
        ),
        (
            {"one_off": {"price": {"amount": 1, "currency": "USD"}, "actions": ["add"]}},
            [("/one_off/price/currency", "offer.currency")],
        ),
        (
            {"promotions": [promotion(monthly={"amount": -1, "currency": "USD"})]},
            [("/promotions/0/monthly/currency", "offer.currency")],
        ),
        ({"promotions": [promotion(monthly=eur(0))]}, [("/promotions/0/monthly", "offer.promotion")]),
        ({"promotions": [promotion(monthly=eur(-7000))]}, [("/promotions/0/monthly", "offer.promotion")]),
        ({"promotions": [promotion(monthly=eur(-6999))]}, []),
        ({"promotions": [promotion(channel="desk")]}, [("/promotions/0/channel", "offer.promotion-channel")]),
        (
            {"promotions": [promotion(since="2026-12-01", until="2026-11-30")]},
            [("/promotions/0/until", "offer.dates")],
        ),
        (
            {"promotions": [promotion(until="2026-12-01"), promotion(since="2026-12-01")]},
            [("/promotions/1", "offer.promotion-twice")],
        ),
        ({"promotions": [promotion(until="2026-11-30"), promotion(since="2026-12-01")]}, []),
        ({"promotions": [promotion(), promotion(channel="telesales")]}, []),
    ],
)
def test_the_contents_are_judged(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert found(offer(**changes)) == [(f"/offers/0{pointer}", code) for pointer, code in expected]


def test_every_fault_of_every_offer_is_found_at_once() -> None:
    first = offer(monthly=eur(-1), services=[{"code": "tv"}], on_sale_until="2026-11-19")
    second = offer(code="DUO", version=2, promotions=[promotion(monthly=eur(5), channel="desk")])
    assert found(first, second) == [
        ("/offers/0/on_sale_until", "offer.dates"),
        ("/offers/0/monthly", "offer.monthly"),
        ("/offers/1/version", "offer.version"),
        ("/offers/1/promotions/0/monthly", "offer.promotion"),
        ("/offers/1/promotions/0/channel", "offer.promotion-channel"),
    ]
