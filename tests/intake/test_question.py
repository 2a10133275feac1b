"""What the customer's page says of an order, without a browser: the golden example of a question, and its variants."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.customer_v1 import Language
from contracts.money import Promotion
from contracts.order_v1 import EarlierQuote, Order, OrderPending, Quote
from contracts.subscription_v1 import Equipment
from services.chassis.transaction import Transaction
from services.intake import pages
from services.intake.api import confirmations
from services.intake.pages import Asked, Attempt
from services.intake.pages.texts import STANDINGS
from services.intake.store import ConfirmationRow, OrderRow
from tests.harness import START
from tests.intake.shop import TRIO, euro, trio

EXAMPLE = Path(__file__).parents[2] / "contracts/examples/order.pending.v1.json"
ORDER = OrderPending.model_validate(json.loads(EXAMPLE.read_text())["value"]).order
"""Quoted 75.00 and +5.00; the published price, decided by a reviewer, is 81.00 and +11.00."""


def page(order: Order = ORDER, language: Language = "en", **changes: Any) -> str:
    """The page's text about an order of somebody with TRIO, with plain spaces."""
    assert order.price is not None
    asked = {
        "order": order,
        "price": order.price,
        "subscription": trio("sub-1001"),
        "current_offer": TRIO,
        "new_offer": TRIO,
        "expires_at": START + timedelta(days=14),
        **changes,
    }
    html = pages.question(Asked(**asked), language, Attempt())
    text = re.sub(r"<[^>]+>", " ", html[html.index("<main>") :])
    return " ".join(text.split())


def test_what_the_agent_wrote_otherwise_is_shown() -> None:
    assert (
        "The seller told something else "
        "On 20 November 2026: €75.00 per month in all, +€5.00 per month compared with before, €0.00 once" in page()
    )


def test_an_agent_who_wrote_what_is_asked_is_not_mentioned() -> None:
    quoted = Quote(monthly_total=euro(8100), monthly_change=euro(1100), one_off=euro(0))
    assert "The seller told" not in page(ORDER.model_copy(update={"quote": quoted}))
    assert "The seller told" not in page(ORDER.model_copy(update={"quote": Quote(monthly_total=euro(8100))}))
    assert "The seller told" not in page(ORDER.model_copy(update={"quote": None}))


@pytest.mark.parametrize(
    "quoted",
    [
        Quote(monthly_total=euro(8000)),
        Quote(monthly_change=euro(1000)),
        Quote(monthly_total=euro(8100), one_off=euro(100)),
        Quote(monthly_total=euro(8100), promotion=Promotion(monthly=euro(-600), months=6)),
    ],
)
def test_each_part_that_was_quoted_otherwise_counts(quoted: Quote) -> None:
    assert "The seller told something else" in page(ORDER.model_copy(update={"quote": quoted}))


def test_every_earlier_quote_is_listed_the_oldest_first() -> None:
    earlier = tuple(
        EarlierQuote(quote=Quote(monthly_total=euro(amount)), told_at=START - timedelta(days=days))
        for amount, days in ((7600, 2), (7700, 9))
    )
    order = ORDER.model_copy(update={"quote": Quote(monthly_total=euro(8100)), "earlier_quotes": earlier})
    assert (
        "Op 11 november 2026: € 77,00 per maand in totaal Op 18 november 2026: € 76,00 per maand in totaal"
    ) in page(order, "nl")


def test_changes_that_add_up_within_a_month_are_summed() -> None:
    order = ORDER.model_copy(update={"recent_change": euro(1600)})
    assert "Mit Ihren anderen Änderungen der letzten 30 Tage +16,00 € pro Monat" in page(order, "de")


def test_a_change_that_is_the_only_one_is_not_said_twice() -> None:
    assert "30 days" not in page(ORDER.model_copy(update={"recent_change": euro(1100)}))


def test_an_end_says_that_everything_goes() -> None:
    text = page(new_offer=None)
    assert "New everything is ended" in text
    assert "What you will no longer have Internet Television Telephone" in text


def test_a_code_is_asked_for_only_where_the_question_needs_one() -> None:
    assert "six-digit code" not in page()
    assert "six-digit code" in page(code_required=True)


def test_two_devices_of_a_type_are_counted_and_one_that_goes_is_named() -> None:
    two = trio("sub-1001").model_copy(update={"equipment": (Equipment(type="decoder"), Equipment(type="decoder"))})
    text = page(subscription=two)
    assert "Decoder 2 yes" in text
    assert "What you will no longer have Decoder" in text


def test_a_code_that_has_no_name_is_shown_as_it_is() -> None:
    alarm = TRIO.services[0].model_copy(update={"code": "alarm", "level": {"sensors": 4}})
    assert "alarm no sensors 4" in page(new_offer=TRIO.model_copy(update={"services": (*TRIO.services, alarm)}))


@pytest.mark.parametrize(
    ("state", "newest", "days", "standing"),
    [
        ("pending", True, 0, "pending"),
        ("pending", True, 14, "expired"),  # before its clock has cancelled the order
        ("pending", False, 0, "replaced"),
        ("cancelled", True, 14, "expired"),
        ("cancelled", True, 0, "cancelled"),
        ("held", True, 0, "held"),
        ("inProgress", True, 0, "inProgress"),
        ("assessingCancellation", True, 0, "cancelling"),
        ("pendingCancellation", True, 0, "cancelling"),
        ("failed", True, 0, "cancelled"),
        ("rejected", True, 0, "rejected"),
        ("completed", True, 0, "completed"),
    ],
)
def test_a_question_stands_as_its_order_and_its_clock_do(state: str, newest: bool, days: int, standing: str) -> None:  # noqa: FBT001
    question = ConfirmationRow(id="asked", order_id=ORDER.id, asked_at=START, expires_at=START + timedelta(days=14))
    order = OrderRow(
        id=ORDER.id,
        partner=ORDER.partner,
        partner_reference=ORDER.partner_reference,
        subscription_id=ORDER.subscription_id,
        customer_id=ORDER.customer_id,
        state=state,
        order=ORDER,
        channels=[],
        discrepancies=(),
        confirmation_id="asked" if newest else "asked anew",
        created_at=START,
        updated_at=START,
    )
    tx = cast("Transaction", SimpleNamespace(now=START + timedelta(days=days)))
    assert confirmations._standing(tx, order, question) == standing
    assert standing == "pending" or standing in STANDINGS
