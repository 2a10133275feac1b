"""Intake's page for customers, in four languages: what is asked, and what became of it; it needs no JavaScript."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from contracts.customer_v1 import Language
from contracts.money import Money
from contracts.offer_v1 import BRUSSELS, Offer
from contracts.order_v1 import Order, OrderPrice
from contracts.subscription_v1 import Subscription, lost, services_of
from services.intake.pages.texts import FAULTS, NOT_TAKEN, SAID, STANDINGS, TEXTS
from services.intake.pages.things import LEVELS, THINGS

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
    note: str = ""
    strong: bool = False


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
            day=format_date(asked.order.sold_at.astimezone(BRUSSELS), "long", locale=self.locale),
            until=_moment(asked.expires_at, self.locale),
            prices=self._prices(asked),
            things=self._things(today, new),
            has_today=asked.subscription is not None,
            removed=self._removed(asked, today, new),
            faults={name: FAULTS[fault][self.language] for name, fault in attempt.faults.items()},
            written=attempt.written,
        )

    # --- the price ---------------------------------------------------------------------------------------------------

    def _prices(self, asked: Asked) -> list[Row]:
        """Today's price first, then the new one, large; computed by us, never taken from the agent."""
        price, today = asked.price, asked.price.current_monthly
        rows = [Row(self.say("today"), self._monthly(today), self._name(asked.current_offer))] if today else []
        rows.append(Row(self.say("new"), self._monthly(price.new_monthly), self._new(asked), strong=True))
        if today:
            rows.append(Row(self.say("difference"), self._monthly(price.monthly_change, signed=True)))
        if price.promotion:
            full = price.monthly_after_promotion
            rows.append(Row(self.say("after-promotion"), self._monthly(full), self._than(full, today)))
        return [*rows, Row(self.say("once"), self._money(price.one_off))]

    def _new(self, asked: Asked) -> str:
        """What she is going to have, and for how long a promotion is in its price."""
        name, promotion = self._name(asked.new_offer) or self.say("terminated"), asked.price.promotion
        if promotion is None:
            return name
        return f"{name}: {self.say('promotion', money=self._money(promotion.monthly), months=promotion.months)}"

    def _name(self, offer: Offer | None) -> str:
        return str(getattr(offer.names, self.language)) if offer else ""

    def _than(self, money: Money, today: Money | None) -> str:
        """By how much the price after a promotion differs from today's: what a promotion hides."""
        return self.say("than-today", money=self._money(money - today, signed=True)) if today else ""

    def _monthly(self, money: Money, *, signed: bool = False) -> str:
        return self.say("monthly", money=self._money(money, signed=signed))

    def _money(self, money: Money, *, signed: bool = False) -> str:
        plus = "+" if signed and money.amount > 0 else ""
        return plus + _currency(money.amount, money.currency, self.locale)

    # --- what she has ------------------------------------------------------------------------------------------------

    def _things(self, today: _Held, new: _Held) -> list[Thing]:
        yes, no = [self.say("included")], [self.say("not-there")]
        services = [
            Thing(self._thing(code), self._levels(today.services.get(code)), self._levels(new.services.get(code)))
            for code in dict.fromkeys([*today.services, *new.services])
        ]
        devices = [
            Thing(self._thing(each), self._count(today.devices[each]), self._count(new.devices[each]))
            for each in dict.fromkeys([*today.devices, *new.devices])
        ]
        numbers = [
            Thing(
                self.say("number", number=each),
                yes if each in today.numbers else no,
                yes if each in new.numbers else no,
            )
            for each in dict.fromkeys([*today.numbers, *new.numbers])
        ]
        return [*services, *devices, *numbers]

    def _levels(self, levels: Levels | None) -> list[str]:
        if levels is None:
            return [self.say("not-there")]
        known = [name for name in LEVELS if name in levels]  # the database keeps no order of them
        names = [*known, *sorted(levels.keys() - set(known))]
        return [self._level(name, levels[name]) for name in names] or [self.say("included")]

    def _level(self, name: str, amount: int) -> str:
        shown = format_decimal(amount, locale=self.locale)
        return LEVELS[name][self.language].format(amount=shown) if name in LEVELS else f"{name} {shown}"

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
