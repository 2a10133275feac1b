"""Amounts as customers write them."""

from __future__ import annotations

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from services.intake.api.amounts import UnclearAmountError, written


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("5", 500),
        ("5,00", 500),
        ("5.00 €", 500),
        ("€ 5", 500),
        ("+5", 500),
        ("+ 5,5 euro", 550),
        ("5 Euros", 500),
        ("5 EUR", 500),
        ("5€50", 550),
        ("5 euros 50", 550),
        ("5,-", 500),
        ("-5", -500),
        ("\N{MINUS SIGN}\N{NO-BREAK SPACE}5,00", -500),
        ("0", 0),
        ("75\N{NARROW NO-BREAK SPACE}€", 7500),
    ],
)
def test_an_amount_is_read_as_customers_write_it(text: str, cents: int) -> None:
    assert written(text, "EUR") == Money(amount=cents, currency="EUR")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "five",
        "5 or 6",
        "5 to 6",
        "1.234",
        "1.234,56",
        "5,000",
        "5..0",
        "5-",
        "--5",
        "€",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "5/6",
        "1e3",
        "123456",
        "$5",
    ],
)
def test_what_may_mean_something_else_is_not_guessed(text: str) -> None:
    with pytest.raises(UnclearAmountError):
        written(text, "EUR")


@given(st.integers(-99_999, 99_999), st.sampled_from(["fr_BE", "nl_BE", "de_BE", "en_GB"]))
def test_what_we_write_ourselves_is_read_as_what_it_is(cents: int, locale: str) -> None:
    text = format_currency(cents / 100, "EUR", locale=locale)
    assert written(text, "EUR").amount == cents
