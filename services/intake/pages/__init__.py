"""Intake's page for customers, in four languages: what is asked, and what became of it; it needs no JavaScript."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from contracts.customer_v1 import Language
from contracts.money import Money, Promotion
from contracts.offer_v1 import BRUSSELS, Offer
from contracts.order_v1 import Order, OrderPrice, Quote
from contracts.subscription_v1 import Subscription, lost, services_of
from contracts.things import LEVELS, THINGS
from services.intake.pages.texts import FAULTS, NOT_TAKEN, SAID, STANDINGS, TEXTS

LOCALES: dict[Language, str] = {"fr": "fr_BE", "nl": "nl_BE", "de": "de_BE", "en": "en_GB"}
NAMES: dict[Language, str] = {"fr": "Français", "nl": "Nederlands", "de": "Deutsch", "en": "English"}

PAGES = Environment(
    loader=PackageLoader("services.intake", "pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

Levels = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a customer is asked about: the order, what she has today, and the offers of today and then."""

    order: Order
    price: OrderPrice
    subscription: Subscription | None
    current_offer: Offer | None
    new_offer: Offer | None
    expires_at: datetime
    code_required: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer that could not be taken: what was wrong with which field, and what she wrote."""

    faults: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of prices: an amount, what it is for, and what is to be known about it."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    weight: Literal["", "marked", "strong"] = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """A service, a device or a number: what there is of it today and then."""

    name: str
    today: Sequence[str]
    new: Sequence[str]


def question(asked: Asked, language: Language, attempt: Attempt) -> str:
    """The page that asks; nothing on it comes from the agent but the removals' names and what is quoted as such."""
    return _Page(language).question(asked, attempt)


def standing(language: Language, sentences: Sequence[str]) -> str:
    """The page that says what became of a question."""
    return _Page(language).render("standing.html", sentences=sentences)


def said(language: Language, answer: str, at: datetime) -> str:
    """What the customer answered, and when."""
    return SAID[answer][language].format(at=_moment(at, LOCALES[language]))


def stands(language: Language, word: str, until: datetime | None = None) -> str:
    """How the order stands now."""
    return STANDINGS[word][language].format(until=_moment(until, LOCALES[language]) if until else "")


def not_taken(language: Language) -> str:
    """That a question is answered once."""
    return NOT_TAKEN[language]


def _moment(at: datetime, locale: str) -> str:
    here = at.astimezone(BRUSSELS)
    return f"{format_date(here, 'long', locale=locale)}, {format_time(here, 'short', locale=locale)}"


@functools.lru_cache(4096)
def _currency(minor_units: int, currency: str, locale: str) -> str:
    amount = Decimal(minor_units).scaleb(-get_currency_precision(currency))
    return str(format_currency(amount, currency, locale=locale))


class _Page:
    """Writes a page; every method says its part in the customer's language."""

    def __init__(self, language: Language) -> None:
        self.language, self.locale = language, LOCALES[language]

    def render(self, template: str, **values: object) -> str:
        return PAGES.get_template(template).render(values, language=self.language, names=NAMES, say=self.say)

    def say(self, word: str, **values: object) -> str:
        return TEXTS[word][self.language].format(**values)

    def question(self, asked: Asked, attempt: Attempt) -> str:
        today, new = _held(asked.subscription), _held_then(asked)
        return self.render(
            "question.html",
            asked=asked,
            day=self._day(asked.order.sold_at),
            until=_moment(asked.expires_at, self.locale),
            prices=self._prices(asked),
            told=self._told(asked),
            things=self._things(today, new),
            has_today=asked.subscription is not None,
            removed=self._removed(asked, today, new),
            faults={name: FAULTS[fault][self.language] for name, fault in attempt.faults.items()},
            written=attempt.written,
        )

    # --- the price ---------------------------------------------------------------------------------------------------

    def _prices(self, asked: Asked) -> list[Row]:
        """Today's price first, then the new one, large; computed by us, never taken from the agent."""
        price, today, recent = asked.price, asked.price.current_monthly, asked.order.recent_change
        rows = [self._monthly("today", today, self._name(asked.current_offer))] if today else []
        rows.append(self._monthly("new", price.new_monthly, self._new(asked), "strong"))
        if today:
            rows.append(self._monthly("difference", price.monthly_change, weight="marked", signed=True))
        if recent is not None and recent != price.monthly_change:
            rows.append(self._monthly("recent-change", recent, weight="marked", signed=True))
        if price.promotion:
            full = price.monthly_after_promotion
            rows.append(self._monthly("after-promotion", full, self._than(full, today), "marked"))
        return [*rows, Row(self.say("once"), self._money(price.one_off))]

    def _monthly(
        self,
        label: str,
        money: Money,
        note: str = "",
        weight: Literal["", "marked", "strong"] = "",
        *,
        signed: bool = False,
    ) -> Row:
        return Row(self.say(label), self._money(money, signed=signed), self.say("per-month"), note, weight)

    def _new(self, asked: Asked) -> str:
        """What she is going to have, and for how long a promotion is in its price."""
        name, promotion = self._name(asked.new_offer) or self.say("terminated"), asked.price.promotion
        return f"{name}: {self._promotion(promotion)}" if promotion else name

    def _promotion(self, promotion: Promotion) -> str:
        return self.say("promotion", money=self._money(promotion.monthly), months=promotion.months)

    def _name(self, offer: Offer | None) -> str:
        return str(getattr(offer.names, self.language)) if offer else ""

    def _than(self, money: Money, today: Money | None) -> str:
        """By how much the price after a promotion differs from today's: what a promotion hides."""
        return self.say("than-today", money=self._money(money - today, signed=True)) if today else ""

    def _money(self, money: Money, *, signed: bool = False) -> str:
        plus = "+" if signed and money.amount > 0 else ""
        return plus + _currency(money.amount, money.currency, self.locale)

    def _told(self, asked: Asked) -> list[str]:
        """What the agent wrote down that is not what she is asked: in this order, and before it."""
        order, price = asked.order, asked.price
        quotes = [(each.told_at, each.quote) for each in order.earlier_quotes]
        if order.quote and not _same(order.quote, price):
            quotes.append((order.sold_at, order.quote))
        return [
            self.say("told-on", day=self._day(at), what=self._quote(quote)) for at, quote in sorted(quotes, key=_when)
        ]

    def _quote(self, quote: Quote) -> str:
        parts = [
            self.say("told-total-was", money=self._money(quote.monthly_total)) if quote.monthly_total else "",
            self.say("told-change-was", money=self._money(quote.monthly_change, signed=True))
            if quote.monthly_change
            else "",
            self.say("told-once-was", money=self._money(quote.one_off)) if quote.one_off else "",
            self._promotion(quote.promotion) if quote.promotion else "",
        ]
        return ", ".join(each for each in parts if each)

    def _day(self, at: datetime) -> str:
        return format_date(at.astimezone(BRUSSELS), "long", locale=self.locale)

    # --- what she has ------------------------------------------------------------------------------------------------

    def _things(self, today: _Held, new: _Held) -> list[Thing]:
        services = [
            Thing(self._thing(code), self._levels(today.services.get(code)), self._levels(new.services.get(code)))
            for code in dict.fromkeys([*today.services, *new.services])
        ]
        devices = [
            Thing(self._thing(each), self._count(today.devices[each]), self._count(new.devices[each]))
            for each in dict.fromkeys([*today.devices, *new.devices])
        ]
        numbers = [Thing(self.say("numbers"), self._numbers(today.numbers), self._numbers(new.numbers))]
        return [*services, *devices, *(numbers if today.numbers or new.numbers else [])]

    def _levels(self, levels: Levels | None) -> list[str]:
        if levels is None:
            return [self.say("not-there")]
        known = [name for name in LEVELS if name in levels]  # the database keeps no order of them
        names = [*known, *sorted(levels.keys() - set(known))]
        return [self._level(name, levels[name]) for name in names] or [self.say("included")]

    def _level(self, name: str, amount: int) -> str:
        shown = format_decimal(amount, locale=self.locale)
        return LEVELS[name][self.language].format(amount=shown) if name in LEVELS else f"{name} {shown}"

    def _numbers(self, numbers: Sequence[str]) -> Sequence[str]:
        return numbers or [self.say("not-there")]

    def _count(self, devices: int) -> list[str]:
        return [self.say("included") if devices == 1 else str(devices) if devices else self.say("not-there")]

    def _thing(self, code: str) -> str:
        return THINGS[code][self.language] if code in THINGS else code

    def _removed(self, asked: Asked, today: _Held, new: _Held) -> list[str]:
        """What she loses (S5), as the guard computes it, in words that people read."""
        if asked.subscription is None:
            return []
        after = _subscription_then(asked, asked.subscription)
        return [line for name in lost(asked.subscription, after) for line in self._loss(name, today, new)]

    def _loss(self, name: str, today: _Held, new: _Held) -> list[str]:
        if name in today.numbers:
            return [self.say("number", number=name)]
        if not name.startswith("level:"):
            return [self._thing(name)]
        code = name.removeprefix("level:")
        return [
            self.say("less", what=self._thing(code), new=self._level(each, less), old=self._level(each, amount))
            for each, amount in today.services[code].items()
            if (less := new.services[code].get(each, 0)) < amount
        ]


@dataclass(frozen=True, slots=True)
class _Held:
    """What somebody has: services with their levels, devices by type, numbers."""

    services: Mapping[str, Levels] = field(default_factory=dict)
    devices: Counter[str] = field(default_factory=Counter)
    numbers: Sequence[str] = ()


def _same(quote: Quote, price: OrderPrice) -> bool:
    """Whether every part that was quoted is what she is asked."""
    pairs = [
        (quote.monthly_total, price.new_monthly),
        (quote.monthly_change, price.monthly_change),
        (quote.one_off, price.one_off),
        (quote.promotion, price.promotion),
    ]
    return all(told in (None, asked) for told, asked in pairs)


def _when(told: tuple[datetime, Quote]) -> datetime:
    return told[0]


def _held(subscription: Subscription | None) -> _Held:
    if subscription is None:
        return _Held()
    return _Held(
        {each.code: each.level for each in subscription.services},
        Counter(each.type for each in subscription.equipment),
        subscription.numbers,
    )


def _held_then(asked: Asked) -> _Held:
    if asked.subscription is not None:
        return _held(_subscription_then(asked, asked.subscription))
    if asked.new_offer is None:
        return _Held()
    services = services_of(asked.new_offer)
    return _Held({each.code: each.level for each in services}, Counter(asked.new_offer.equipment))


def _subscription_then(asked: Asked, subscription: Subscription) -> Subscription:
    return subscription.changed_to(asked.new_offer) if asked.new_offer else subscription.terminated()
