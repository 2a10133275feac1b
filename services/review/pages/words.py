"""Says things in a reviewer's language: texts, amounts, times, and values of any shape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_currency

from contracts.money import Money
from contracts.offer_v1 import BRUSSELS
from contracts.order_v1 import Evidence
from contracts.things import THINGS
from services.review.pages.codes import CODES, EVENTS, STATES
from services.review.pages.fields import FIELDS, VALUES
from services.review.pages.outcomes import DECISIONS, EFFECTS, FAULTS, UNFIT
from services.review.pages.texts import TEXTS

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
GERMAN_ZONES = {"CET": "MEZ", "CEST": "MESZ"}

NOTHING = "\N{EN DASH}"


class Words:
    """One language. A text that is missing is an error, not an empty place."""

    def __init__(self, language: str) -> None:
        """Speak French, Dutch, German or English: fr, nl, de, en."""
        self.language = language
        self._locale = "en_GB" if language == "en" else f"{language}_BE"

    def __call__(self, name: str, **values: object) -> str:
        """A text of the pages."""
        return TEXTS[name][self.language].format(**values)

    def code(self, code: str) -> str:
        """What a reason code means; one that is new here is shown as it is."""
        return CODES[code][self.language] if code in CODES else code

    def codes(self, codes: Iterable[str]) -> str:
        """What several reason codes mean."""
        return " · ".join(map(self.code, codes))

    def state(self, state: str) -> str:
        """A state of a case."""
        return STATES[state][self.language]

    def decision(self, decision: str) -> str:
        """The name of a decision."""
        return DECISIONS[decision][self.language]

    def effect(self, effect: str, **values: object) -> str:
        """What a decision will do."""
        return EFFECTS[effect][self.language].format(**values)

    def unfit(self, why: str) -> str:
        """Why a decision does not fit."""
        return UNFIT[why][self.language]

    def fault(self, code: str, detail: str, **values: object) -> str:
        """What went wrong; without a text of its own its detail, in English."""
        return FAULTS[code][self.language].format(**values) if code in FAULTS else detail

    def evidence(self, evidence: Evidence | None) -> str:
        """What proves a sale, by its kind and reference."""
        return f"{self(evidence.kind)} {evidence.reference}" if evidence else NOTHING

    def thing(self, code: str) -> str:
        """A service, a device, a level, a channel or an action, as people call it; what has no name, as it is."""
        service = code.removeprefix("level:")
        names = VALUES.get(service) or {str(language): name for language, name in THINGS.get(service, {}).items()}
        if not names:
            return code
        name = names[self.language]
        return name if service == code else self("level_of", service=name)

    def place(self, pointer: str) -> str:
        """The field that a pointer points into; one that has no name is shown as it is."""
        named = [FIELDS[each] for each in pointer.split("/") if each in FIELDS]
        return named[-1][self.language] if named else pointer

    def digits(self, count: int) -> str:
        """The keys that choose one of so many."""
        return "1" if count == 1 else f"1\N{EN DASH}{min(count, 9)}"

    def money(self, money: Money | None) -> str:
        """An amount, as it is written here."""
        if money is None:
            return NOTHING
        return str(format_currency(money.amount / 100, money.currency, locale=self._locale))

    def change(self, money: Money | None) -> str:
        """An amount by which something changes: with its sign."""
        return ("+" if money is not None and money.amount > 0 else "") + self.money(money)

    def event(self, kind: str) -> str:
        """What an event says that happened; one that is new here is shown by its type."""
        return EVENTS[kind][self.language] if kind in EVENTS else kind

    def at(self, moment: datetime | None) -> str:
        """A moment, in Brussels, with its zone."""
        if moment is None:
            return NOTHING
        zone = moment.astimezone(BRUSSELS).tzname() or ""
        zone = GERMAN_ZONES.get(zone, zone) if self.language == "de" else zone
        return f"{format_datetime(moment, 'short', tzinfo=BRUSSELS, locale=self._locale)}\N{NO-BREAK SPACE}{zone}"

    def due(self, due_at: datetime, now: datetime) -> str:
        """How long there is still time, or how long not any more."""
        between = format_timedelta(abs(due_at - now), locale=self._locale, threshold=1.5)
        return self("due_in" if due_at > now else "overdue_by", time=between)

    def given(self, code: str, value: Any) -> str:  # noqa: ANN401 - a discrepancy's value may be anything
        """A value of a discrepancy; a change has its sign."""
        sign = "+" if code == "price.change" and isinstance(value, dict) and (value.get("amount") or 0) > 0 else ""
        return sign + self.value(value)

    def value(self, value: Any) -> str:  # noqa: ANN401 - the same
        """An amount, a promotion, a list, or whatever it is."""
        if isinstance(value, Money):
            return self.money(value)
        if isinstance(value, dict):
            return self._record(value)
        if isinstance(value, list | tuple) and value:
            return ", ".join(map(self.value, value))
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return self.at(datetime.fromisoformat(value))
        return self.thing(str(value)) if value not in (None, "", [], ()) else NOTHING

    def _record(self, record: dict[str, Any]) -> str:
        match record:
            case {"amount": int(amount), "currency": str(currency), **others} if not others:
                return self.money(Money(amount=amount, currency=currency))
            case {"kind": str(), "reference": str(), "sha256": str()}:
                return self.evidence(Evidence(**record))
            case {"from": str(start), "until": str(end)}:
                return f"{self.value(start)} \N{EN DASH} {self.value(end)}"
            case {"monthly": monthly, "months": months}:
                return f"{self.value(monthly)} \N{MULTIPLICATION SIGN} {months} {self('months')}"
            case _:
                return ", ".join(f"{name}: {self.value(each)}" for name, each in record.items())
