"""Money as integer minor units with an ISO 4217 currency; consumer prices, tax included."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]


class CurrencyMismatchError(ValueError):
    """Two amounts in different currencies were combined."""


class Money(BaseModel):
    """An amount in minor units (cents), tax included, in one currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: StrictInt
    currency: Currency

    def __add__(self, other: Money) -> Money:
        """Add an amount of the same currency, else CurrencyMismatchError."""
        self._same_currency(other)
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        """Subtract an amount of the same currency, else CurrencyMismatchError."""
        self._same_currency(other)
        return Money(amount=self.amount - other.amount, currency=self.currency)

    def share(self, part: int, whole: int) -> Money:
        """Return part/whole of this amount, rounded once, half away from zero."""
        doubled = 2 * abs(self.amount) * part + whole
        rounded = doubled // (2 * whole)
        return Money(amount=rounded if self.amount >= 0 else -rounded, currency=self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            message = f"{self.currency} and {other.currency} cannot be combined"
            raise CurrencyMismatchError(message)


class Promotion(BaseModel):
    """A discount per month (a negative amount) for a number of full months."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    monthly: Money
    months: Annotated[StrictInt, Field(ge=1, le=120)]
