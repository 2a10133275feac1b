"""What is known of an order's customer when it comes in: whose contact it gives, and what else she was told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.customer_v1 import Customer
from contracts.invoice_v1 import Charge
from contracts.money import Money, Promotion
from contracts.offer_v1 import OfferRef
from contracts.order_v1 import EarlierQuote, OrderPrice, Quote
from services.intake.rules.reception import Reception, Told, judge_contact, kept, recent_change, told_before

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)
EMAIL, PHONE = "/customer/email", "/customer/phone"
VALERIE = Customer(id="cust-1", name="Valérie D.", email="Valerie@Example.org", phone="+3287123456", language="fr")


def euro(amount: int, currency: str = "EUR") -> Money:
    return Money(amount=amount, currency=currency)


HERS = {EMAIL: "valerie@example.org", PHONE: "+3287123456"}


@pytest.mark.parametrize(
    ("given", "owners", "on_file", "may_be_new", "contacts", "told"),
    [
        (HERS, {EMAIL: "cust-1", PHONE: "cust-1"}, VALERIE, False, [], []),
        ({}, {}, VALERIE, False, [], []),
        ({}, {}, None, False, [], []),
        ({EMAIL: "other@example.org"}, {}, VALERIE, False, [EMAIL], ["cust-1"]),
        ({EMAIL: "other@example.org"}, {}, VALERIE, True, [EMAIL], ["cust-1"]),
        ({PHONE: "+3247"}, {PHONE: "cust-2"}, VALERIE, False, [PHONE], ["cust-1", "cust-2"]),
        ({PHONE: "+3247"}, {PHONE: ""}, VALERIE, False, [PHONE], ["cust-1"]),
        (HERS, {EMAIL: "cust-2", PHONE: "cust-2"}, VALERIE, False, [], []),
        (HERS, {}, None, True, [], []),
        (HERS, {EMAIL: "cust-2"}, None, True, [EMAIL], ["cust-2"]),
        (HERS, {PHONE: ""}, None, True, [PHONE], []),
        (HERS, {}, None, False, [EMAIL, PHONE], []),
    ],
    ids=[
        "what is on file",
        "nothing for who is on file",
        "nothing for who is not on file",
        "another address",
        "another address for one more subscription",
        "somebody else's number",
        "an agent's number",
        "what is on file, and on another's too",
        "a new customer's own",
        "somebody else's address for a new customer",
        "an agent's number for a new customer",
        "a contact of a customer who is not on file",
    ],
)
def test_takes_for_a_customers_contact_what_is_on_file_or_nobodys_yet(
    given: dict[str, str],
    owners: dict[str, str],
    on_file: Customer | None,
    *,
    may_be_new: bool,
    contacts: list[str],
    told: list[str],
) -> None:
    judged = judge_contact(given, owners, on_file, may_be_new=may_be_new)
    assert judged == Reception(contacts=tuple(contacts), owners=tuple(told))


def told(quote: Quote, current: Money | None = None, days: float = 1, **more: Any) -> Told:
    at = NOW - timedelta(days=days)
    return Told(quote=quote, current=current, first_at=at, last_at=at, **more)


TOTAL, CHANGE, LESS = (
    Quote(monthly_total=euro(8100)),
    Quote(monthly_change=euro(1100)),
    Quote(monthly_change=euro(500)),
)


@pytest.mark.parametrize(
    ("before", "quote", "current", "differs"),
    [
        (told(TOTAL, euro(7000)), TOTAL, euro(7000), False),
        (told(TOTAL, euro(7000)), CHANGE, euro(7000), False),
        (told(LESS, euro(7000)), CHANGE, euro(7000), True),
        (told(LESS, euro(7000)), TOTAL, euro(7000), True),
        (told(CHANGE, euro(7000)), CHANGE, euro(7100), True),
        (told(TOTAL), TOTAL, euro(7000), False),
        (told(LESS, euro(7000), days=29.9), TOTAL, euro(7000), True),
        (told(LESS, euro(7000), days=30.1), TOTAL, euro(7000), False),
        (told(TOTAL), TOTAL.model_copy(update={"one_off": euro(0)}), None, False),
        (told(TOTAL), TOTAL.model_copy(update={"one_off": euro(1)}), None, True),
        (told(TOTAL), TOTAL.model_copy(update={"promotion": Promotion(monthly=euro(-1), months=1)}), None, True),
        (told(Quote(monthly_change=euro(500, "USD")), euro(7000)), LESS, euro(7000), True),
        (told(Quote(monthly_change=euro(5, "USD")), euro(7000)), Quote(monthly_change=euro(6, "USD")), None, True),
    ],
)
def test_finds_what_was_told_otherwise_within_30_days(
    before: Told, quote: Quote, current: Money | None, *, differs: bool
) -> None:
    expected = (EarlierQuote(quote=before.quote, told_at=before.last_at),) if differs else ()
    assert told_before([before], quote, current, NOW) == expected


def test_lists_every_other_quote_once_and_the_oldest_first() -> None:
    low, lower = Quote(monthly_total=euro(7500)), Quote(monthly_total=euro(7000))
    known = [told(low, days=1, order_id="order-1"), told(lower, days=2), told(low, days=1, order_id="order-1")]
    assert [(each.quote, each.order_id) for each in told_before(known, TOTAL, None, NOW)] == [
        (lower, None),
        (low, "order-1"),
    ]


def test_keeps_every_quote_and_of_one_that_is_told_again_the_first_and_the_last_time() -> None:
    first, other, again = told(LESS, days=3), told(TOTAL, days=2), told(LESS, days=1)
    known = kept(kept(kept((), first), other), again)
    assert known == (other, first.model_copy(update={"last_at": again.last_at}))


def price(total: int, change: int) -> OrderPrice:
    return OrderPrice(
        new_monthly=euro(total), monthly_change=euro(change), one_off=euro(0), monthly_after_promotion=euro(total)
    )


def charge(monthly: int, since: date, currency: str = "EUR") -> Charge:
    return Charge(offer=OfferRef(code="TRIO", version=2), monthly=euro(monthly, currency), since=since)


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ([], 600),
        ([charge(7500, date(2026, 1, 1))], 600),
        ([charge(7000, date(2026, 1, 1)), charge(7500, date(2026, 11, 19))], 1100),
        ([charge(7000, date(2026, 1, 1)), charge(7500, date(2026, 10, 21))], 600),
        ([charge(7000, date(2026, 1, 1)), charge(7500, date(2026, 10, 22))], 1100),
        ([charge(7500, date(2026, 11, 1))], 8100),
        ([charge(7500, date(2026, 1, 1), "USD")], None),
    ],
)
def test_adds_up_the_changes_of_30_days(charges: list[Charge], expected: int | None) -> None:
    summed = recent_change(price(8100, 600), charges, date(2026, 11, 20))
    assert (summed.amount if summed else None) == expected


def test_has_no_sum_without_a_price() -> None:
    assert recent_change(None, [], date(2026, 11, 20)) is None
