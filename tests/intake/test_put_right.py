"""What a reviewer's corrections make of an order, before it is judged again."""

from __future__ import annotations

from contracts.case_v1 import Corrections
from contracts.money import Money
from contracts.offer_v1 import OfferRef
from contracts.order_v1 import Order, PriceDecision, Quote
from services.intake import rules
from tests.review.samples import order as an_order

TOLD = Quote(monthly_total=Money(amount=7500, currency="EUR"))
DECIDED = PriceDecision(kind="apply_published_price", case_id="case-1", reviewer="rita")


def order() -> Order:
    pinned = {"offer": OfferRef(code="TRIO-MAX", version=3), "quote": TOLD, "decision": DECIDED, "removals": ("tv",)}
    return an_order().model_copy(update=pinned)


def test_what_is_not_put_right_stays_as_it_was() -> None:
    assert rules.corrected(order(), Corrections()) == order()
    assert rules.corrected(order(), Corrections(agent="agent-18")) == order().model_copy(update={"agent": "agent-18"})
    assert rules.corrected(order(), Corrections(removals=())) == order().model_copy(update={"removals": ()})


def test_another_offer_is_looked_for_anew_and_nothing_is_decided_about_its_price() -> None:
    put_right = rules.corrected(order(), Corrections(offer="DUO"))
    assert (put_right.offer_code, put_right.offer, put_right.decision) == ("DUO", None, None)
    assert put_right.quote == TOLD


def test_the_same_offer_again_changes_nothing() -> None:
    assert rules.corrected(order(), Corrections(offer="TRIO-MAX")) == order()
