"""Letters to customers and partners: what is said in which language, as plain text and as HTML."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from contracts.customer_v1 import Language
from contracts.money import Money
from contracts.offer_v1 import BRUSSELS, Offer
from contracts.order_v1 import OrderPrice
from contracts.things import LEVELS, THINGS
from services.notification.pages.texts import INTROS, PARTNER, SUBJECTS, WORDS
from services.notification.rules import Contact, Letter, Notice, Sms, named

LOCALES: dict[Language, str] = {"fr": "fr_BE", "nl": "nl_BE", "de": "de_BE", "en": "en_GB"}

PAGES = Environment(
    loader=PackageLoader("services.notification", "pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,  # else each letter asks the disk whether its template changed
)


@dataclass(frozen=True, slots=True)
class Group:
    """Things under one title, for example what is there today."""

    title: str
    things: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """An amount and what it is for."""

    label: str
    value: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a letter under its heading."""

    heading: str
    groups: Sequence[Group] = ()
    rows: Sequence[Row] = ()
    note: str = ""


def letter(notice: Notice, contact: Contact, offers: Iterable[Offer], link: str | None) -> Letter:
    """Write the letter of a notice in the language of whom it goes to."""
    return _Writer(notice, contact, list(offers), link).letter()


def sms(contact: Contact, code: str) -> Sms:
    """Write the text with a new customer's code, in her language."""
    text = WORDS["code"][contact.language].format(code=code)
    return Sms(to=contact.phone or "", language=contact.language, text=text)


@functools.lru_cache(4096)
def _currency(minor_units: int, currency: str, locale: str) -> str:
    amount = Decimal(minor_units).scaleb(-get_currency_precision(currency))
    return str(format_currency(amount, currency, locale=locale))


@functools.lru_cache(4096)
def _number(amount: int, locale: str) -> str:
    return str(format_decimal(amount, locale=locale))


class _Writer:
    """Writes one letter; every method says its part in the reader's language."""

    def __init__(self, notice: Notice, contact: Contact, offers: Sequence[Offer], link: str | None) -> None:
        self.notice, self.contact, self.link = notice, contact, link
        self.language, self.locale = contact.language, LOCALES[contact.language]
        self.before = named(notice.current_offer, offers)
        self.after = named(notice.order.offer, offers)

    def letter(self) -> Letter:
        subject, intro = self._subject(), self._intro()
        values = {
            "contact": self.contact,
            "order": self.notice.order,
            "subject": subject,
            "heading": self.say("title") if self.notice.kind == "contract-summary" else subject,
            "intro": intro,
            "sections": self._sections(),
            "lines": self._lines(),
            "link": self.link,
            "until": self._until(),
            "say": self.say,
        }
        text, html = (PAGES.get_template(name).render(values) for name in ("letter.txt", "letter.html"))
        return Letter(to=self.contact.email, language=self.language, subject=subject, text=text, html=html)

    def say(self, word: str, **values: object) -> str:
        return WORDS[word][self.language].format(**values)

    def _subject(self) -> str:
        if self.notice.recipient == "partner":
            return f"{self.notice.order.partner_reference}: {self.notice.kind}"
        return SUBJECTS[self._letter()][self.language].format(until=self._until())

    def _intro(self) -> str:
        if self.notice.recipient == "partner":
            return PARTNER[self.notice.kind][self.language].format(reference=self.notice.order.partner_reference)
        return INTROS[self._letter()][self.language]

    def _letter(self) -> str:
        """Which letter to the customer it is: a summary that asks nothing is of a contract that she signed."""
        signed = self.notice.kind == "contract-summary" and self.notice.confirmation_id is None
        return "signed-contract" if signed else self.notice.kind

    def _sections(self) -> list[Section]:
        if self.notice.recipient == "partner" or self.notice.kind not in {"contract-summary", "completed"}:
            return []
        summary = self.notice.kind == "contract-summary"
        sections = [Section(self.say("services"), groups=self._compared() if summary else [self._now()])]
        if self.notice.order.price:
            rows = self._prices(self.notice.order.price)
            sections.append(Section(self.say("price"), rows=rows if summary else rows[1:], note=self.say("taxes")))
        return [*sections, Section(self.say("duration"), note=self._duration())] if summary else sections

    def _compared(self) -> list[Group]:
        removals = [self._removal(name) for name in self.notice.order.removals]
        return [
            Group(self._titled("today", self.before), self._contents(self.before)),
            Group(self._titled("new", self.after), self._contents(self.after)),
            Group(self.say("removed"), removals or [self.say("nothing")]),
        ]

    def _now(self) -> Group:
        return Group(self._titled("now", self.after), self._contents(self.after))

    def _titled(self, word: str, offer: Offer | None) -> str:
        return f"{self.say(word)} ({getattr(offer.names, self.language)})" if offer else self.say(word)

    def _contents(self, offer: Offer | None) -> list[str]:
        if offer is None:
            return [self.say("nothing")]
        services = [self._service(each.code, each.level) for each in offer.services]
        return [*services, *(self._thing(each) for each in offer.equipment)]

    def _service(self, code: str, level: dict[str, int]) -> str:
        levels = ", ".join(self._level(name, amount) for name, amount in level.items())
        return f"{self._thing(code)} ({levels})" if levels else self._thing(code)

    def _level(self, name: str, amount: int) -> str:
        shown = _number(amount, self.locale)
        return LEVELS[name][self.language].format(amount=shown) if name in LEVELS else f"{name} {shown}"

    def _thing(self, code: str) -> str:
        return THINGS[code][self.language] if code in THINGS else code

    def _removal(self, name: str) -> str:
        if name.startswith("level:"):
            return self.say("lower", what=self._thing(name.removeprefix("level:")))
        return self.say("number", what=name) if name.startswith("+") else self._thing(name)

    def _prices(self, price: OrderPrice) -> list[Row]:
        """Today's price first, then the new one, large; computed by us, never taken from the agent."""
        none_yet = Row(self.say("today"), "-")
        today = Row(self.say("today"), self._monthly(price.current_monthly)) if price.current_monthly else none_yet
        rows = [today, Row(self.say("new"), self._monthly(price.new_monthly), strong=True)]
        if self.notice.kind == "contract-summary":
            rows.append(Row(self.say("difference"), self._monthly(price.monthly_change, signed=True)))
            rows += self._recent(price)
        if price.promotion:
            label = self.say("promotion", months=price.promotion.months)
            rows.append(Row(label, self._monthly(price.promotion.monthly, signed=True)))
            rows.append(Row(self.say("after"), self._monthly(price.monthly_after_promotion)))
        return [*rows, Row(self.say("one-off"), self._money(price.one_off))]

    def _recent(self, price: OrderPrice) -> list[Row]:
        """What hides in several orders or several calls: the sum of the last 30 days, and what else she was told."""
        order, rows = self.notice.order, list[Row]()
        if order.recent_change and order.recent_change != price.monthly_change:
            rows.append(Row(self.say("recent"), self._monthly(order.recent_change, signed=True)))
        for each in order.earlier_quotes:
            label = self.say("earlier", day=format_date(each.told_at.astimezone(BRUSSELS), "long", locale=self.locale))
            told = [(each.quote.monthly_total, False), (each.quote.monthly_change, True)]
            shown = [self._monthly(money, signed=signed) for money, signed in told if money]
            rows.append(Row(label, ", ".join(shown) or "-"))
        return rows

    def _monthly(self, money: Money, *, signed: bool = False) -> str:
        return self.say("monthly", money=self._money(money, signed=signed))

    def _money(self, money: Money, *, signed: bool = False) -> str:
        plus = "+" if signed and money.amount > 0 else ""
        return plus + _currency(money.amount, money.currency, self.locale)

    def _duration(self) -> str:
        if self.after is None:
            return self.say("ends")
        return self.say("term", months=self.after.term_months) if self.after.term_months else self.say("open-ended")

    def _until(self) -> str:
        expires_at = self.notice.expires_at
        return self._moment(expires_at) if expires_at else ""

    def _moment(self, at: datetime) -> str:
        here = at.astimezone(BRUSSELS)
        return f"{format_date(here, 'long', locale=self.locale)}, {format_time(here, 'short', locale=self.locale)}"

    def _lines(self) -> list[str]:
        codes = [self.say("codes", codes=", ".join(self.notice.codes))] if self.notice.codes else []
        return [*codes, *([self.say("reason", reason=self.notice.reason)] if self.notice.reason else [])]
