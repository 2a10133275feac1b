"""Amounts of money as customers write them: "5", "5,00", "5.00 €", "+ 5 euros", "5€50"."""

from __future__ import annotations

import re

from contracts.money import Money

_EURO = re.compile(r"euros?|eur|€", re.IGNORECASE)
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<units>[0-9]{1,5})(?:[.,](?P<cents>[0-9]{1,2}|-))?", re.ASCII)


class UnclearAmountError(ValueError):
    """A text that may mean more than one amount, or none."""


def written(text: str, currency: str) -> Money:
    """Read an amount as a customer wrote it; no guess: "1.234" may be a thousand. Raises UnclearAmountError."""
    plain = "".join(text.replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-").split())
    between = re.sub(r"(?<=[0-9])(?:euros?|eur|€)(?=[0-9])", ",", plain, flags=re.IGNORECASE)
    found = _AMOUNT.fullmatch(_EURO.sub("", between))
    if found is None:
        raise UnclearAmountError(text)
    cents = (found["cents"] or "").replace("-", "").ljust(2, "0")
    amount = int(found["units"]) * 100 + int(cents)
    return Money(amount=-amount if found["sign"] == "-" else amount, currency=currency)
