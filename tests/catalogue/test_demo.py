"""The demo data hold what the demo, the README and the price gate's table speak of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.customer_v1 import Customer
from contracts.invoice_v1 import Charge, RunningPromotion, in_force
from contracts.money import Money, Promotion
from contracts.offer_v1 import Offer, OfferFault, OfferRef, Price, Publication, on_sale
from contracts.subscription_v1 import Sale, Subscription, lost, services_of

DEMO = Path(__file__).parents[2] / "deploy/demo"
PUBLISHED_AT = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
SOLD_AT = PUBLISHED_AT - timedelta(minutes=3)


def demo(name: str) -> dict[str, list[dict[str, Any]]]:
    data: dict[str, list[dict[str, Any]]] = yaml.safe_load((DEMO / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


OFFERS = {(each["code"], each["version"]): Offer.model_validate(each) for each in demo("offers")["offers"]}
CUSTOMERS = {each["id"]: Customer.model_validate(each) for each in demo("customers")["customers"]}
SUBSCRIPTIONS = {
    each["subscription"]["id"]: (
        Subscription.model_validate(each["subscription"]),
        Sale.model_validate(each["sale"]),
    )
    for each in demo("customers")["subscriptions"]
}


def eur(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def sold(code: str, channel: str, at: datetime = SOLD_AT) -> Offer | OfferFault:
    versions = [Publication(offer=offer, published_at=PUBLISHED_AT) for offer in OFFERS.values() if offer.code == code]
    return on_sale(versions, channel, at)


def price(code: str, channel: str, at: datetime = SOLD_AT, action: str = "modify") -> Price:
    offer = sold(code, channel, at)
    assert isinstance(offer, Offer)
    return offer.price(channel, action, at)


def test_there_are_the_five_offers_of_the_story_in_seven_versions_and_eight_more() -> None:
    codes = {code for code, _ in OFFERS}
    story = {"DUO", "TRIO", "TRIO-MAX", "FIBRE", "SURF"}
    assert story <= codes
    assert len(codes - story) == 8
    assert {ref for ref in OFFERS if ref[0] in story} == {
        *(("DUO", 1), ("TRIO", 1), ("TRIO", 2), ("TRIO-MAX", 1), ("TRIO-MAX", 2), ("FIBRE", 1), ("SURF", 1))
    }


@pytest.mark.parametrize(
    ("code", "channel", "monthly", "full", "promotion"),
    [
        ("TRIO-MAX", "telesales", 8100, 8100, None),
        ("TRIO-MAX", "desk", 8100, 8100, None),
        ("TRIO-MAX", "shop", 7500, 8100, Promotion(monthly=eur(-600), months=6)),
        ("DUO", "telesales", 5200, 5200, None),
        ("TRIO", "telesales", 7000, 7000, None),
        ("FIBRE", "telesales", 6000, 6000, None),
    ],
)
def test_what_is_on_sale_in_november_costs_what_the_table_says(
    code: str, channel: str, monthly: int, full: int, promotion: Promotion | None
) -> None:
    assert price(code, channel) == Price(
        monthly_total=eur(monthly), monthly_full=eur(full), one_off=eur(0), promotion=promotion
    )


def test_trio_max_changes_its_price_at_midnight_in_brussels() -> None:
    before = datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC)
    assert price("TRIO-MAX", "telesales", before).monthly_total == eur(7900)
    assert price("TRIO-MAX", "telesales", before + timedelta(seconds=1)).monthly_total == eur(8100)


def test_fibre_costs_fifty_euros_once_for_who_is_new() -> None:
    assert price("FIBRE", "telesales", action="add").one_off == eur(5000)
    assert price("FIBRE", "telesales", action="modify").one_off == eur(0)


@pytest.mark.parametrize(
    ("code", "channel", "fault"),
    [
        ("TRIO-XXL", "telesales", "offer.unknown"),
        ("SURF", "telesales", "offer.not-on-sale"),
        ("CAMPUS", "telesales", "offer.not-for-channel"),
    ],
)
def test_what_is_not_on_sale_is_refused_for_its_own_reason(code: str, channel: str, fault: str) -> None:
    assert sold(code, channel) == fault


def test_surf_was_sold_until_the_end_of_june() -> None:
    last = datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC)
    assert price("SURF", "telesales", last).monthly_total == eur(3900)
    assert sold("SURF", "telesales", last + timedelta(seconds=1)) == "offer.not-on-sale"


def test_trio_consists_of_thirty_eighteen_and_twenty_two_euros() -> None:
    for version in (1, 2):
        trio = OFFERS["TRIO", version]
        assert {each.code: each.share for each in trio.services} == {
            "internet": eur(3000),
            "tv": eur(1800),
            "telephony": eur(2200),
        }
        assert trio.equipment == ("decoder",)


def after(offer: Offer) -> tuple[str, ...]:
    subscription, _ = SUBSCRIPTIONS["sub-1001"]
    return lost(subscription, subscription.changed_to(offer))


def test_from_trio_to_duo_one_loses_tv_and_its_decoder_and_nothing_else() -> None:
    assert after(OFFERS["DUO", 1]) == ("tv", "decoder")


def test_from_trio_to_trio_max_one_loses_nothing_and_gains_the_bouquet() -> None:
    for version in (1, 2):
        trio_max = OFFERS["TRIO-MAX", version]
        assert after(trio_max) == ()
        assert [each.code for each in trio_max.services] == ["internet", "tv", "telephony", "tv-bouquet"]


def test_every_subscription_belongs_to_a_customer_and_is_what_was_sold() -> None:
    for subscription, sale in SUBSCRIPTIONS.values():
        assert subscription.customer_id in CUSTOMERS
        offer = sold(subscription.offer.code, sale.channel, sale.sold_at)
        assert isinstance(offer, Offer)
        assert offer.ref == subscription.offer
        assert subscription.services == services_of(offer)
        assert tuple(each.type for each in subscription.equipment) == offer.equipment
        assert (subscription.contract_until is not None) == (offer.term_months > 0)


def test_valerie_is_the_customer_of_the_order_in_the_readme() -> None:
    assert CUSTOMERS["cust-1001"] == Customer(
        id="cust-1001", name="Valérie D.", email="valerie@example.org", phone="+3287123456", language="fr"
    )
    subscription, sale = SUBSCRIPTIONS["sub-1001"]
    assert subscription.customer_id == "cust-1001"
    assert subscription.offer == OfferRef(code="TRIO", version=2)
    assert price("TRIO", sale.channel, sale.sold_at).monthly_total == eur(7000)


def test_the_second_customer_pays_six_euros_less_until_march() -> None:
    _, sale = SUBSCRIPTIONS["sub-1002"]
    published = price("TRIO", sale.channel, sale.sold_at)
    assert published.monthly_total == eur(6400)
    assert published.promotion == Promotion(monthly=eur(-600), months=12)
    promotion = RunningPromotion(monthly=eur(-600), first_month="2026-04", last_month="2027-03")
    charge = Charge(
        offer=OfferRef(code="TRIO", version=1), monthly=eur(7000), promotion=promotion, since=sale.sold_at.date()
    )
    now = in_force([charge], SOLD_AT.date())
    assert now is not None
    assert price("TRIO-MAX", "telesales").monthly_total - now == eur(1700)


def test_customers_of_all_four_languages_are_on_file() -> None:
    assert {each.language for each in CUSTOMERS.values()} == {"fr", "nl", "de", "en"}


def test_partners_sell_through_their_own_channels_and_agents() -> None:
    partners = {each["id"]: each for each in demo("partners")["partners"]}
    assert {name: (each["channels"], each["agents"], each["language"]) for name, each in partners.items()} == {
        "liege-calls": (["telesales"], ["agent-17", "agent-18"], "fr"),
        "gent-calls": (["telesales", "shop"], ["agent-21"], "nl"),
    }


def test_ben_works_for_a_partner_whose_sales_he_may_not_decide() -> None:
    reviewers = {each["id"]: each["works_for"] for each in demo("partners")["reviewers"]}
    assert reviewers == {"rita": [], "ben": ["gent-calls"], "carl": []}


def test_every_commission_is_for_a_partner_of_ours_and_an_offer_that_exists() -> None:
    data = demo("partners")
    partners, codes = {each["id"] for each in data["partners"]}, {code for code, _ in OFFERS}
    for rate in data["commission_rates"]:
        assert rate["partner"] in partners
        assert rate.get("offer") in {None, *codes}
        assert Money.model_validate(rate["commission"]).amount > 0
