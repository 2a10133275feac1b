"""What is known of an order's customer when it comes in: whose contact it gives, and what else was told; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from pydantic import AwareDatetime

from contracts.customer_v1 import Customer
from contracts.event import Data
from contracts.invoice_v1 import Charge
from contracts.money import Money
from contracts.order_v1 import EarlierQuote, OrderPrice, Quote

REMEMBERED = timedelta(days=30)
"""For how long a quote that differs from an earlier one is held, and changes are added up."""


class Reception(Data):
    """What was known when an order came in; what comes later does not change it.

    `contacts` are the places of contacts that are not the customer's own, `owners` whom they belong to or should have
    named; `services` is what she has or awaits elsewhere.
    """

    contacts: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


class Told(Data):
    """A quote as it was told by a partner: the first time and the last, in an order or in a check, at what she paid."""

    quote: Quote
    current: Money | None = None
    order_id: str | None = None
    first_at: AwareDatetime
    last_at: AwareDatetime


def judge_contact(
    given: Mapping[str, str], owners: Mapping[str, str], on_file: Customer | None, *, may_be_new: bool
) -> Reception:
    """Judge the contact that an order gives, by place, against what is on file: no link ever goes to another one.

    `owners` says whose a contact is: a customer's on file, or "" for an agent's. Only a customer who is not on file,
    and may be new, brings a contact of her own: one that is nobody's yet.
    """
    of_file = contact_of(on_file) if on_file else {}
    new = may_be_new and on_file is None
    wrong = [path for path, value in given.items() if (path in owners if new else value != of_file.get(path))]
    told = {owners.get(path, "") for path in wrong} | ({on_file.id} if on_file and wrong else set())
    return Reception(contacts=tuple(wrong), owners=tuple(sorted(told - {""})))


def contact_of(customer: Customer) -> dict[str, str]:
    """Where a customer's contacts stand in an order, and what they are."""
    return {"/customer/email": plain(customer.email), "/customer/phone": plain(customer.phone)}


def plain(contact: str) -> str:
    """A contact as it is compared: capitals and spaces make no other one."""
    return "".join(contact.split()).casefold()


def told_before(known: Iterable[Told], quote: Quote, current: Money | None, now: datetime) -> tuple[EarlierQuote, ...]:
    """The quotes of the last 30 days that differ from this one, oldest first, each once."""
    differing = [
        EarlierQuote(quote=each.quote, told_at=each.last_at, order_id=each.order_id)
        for each in known
        if each.last_at >= now - REMEMBERED and _promised(each.quote, each.current) != _promised(quote, current)
    ]
    return tuple(sorted(dict.fromkeys(differing), key=lambda each: each.told_at))


def kept(known: Sequence[Told], told: Told) -> tuple[Told, ...]:
    """Keep one more quote: every different one for good, what was told again with the time of that."""
    same = [each for each in known if (each.quote, each.current) == (told.quote, told.current)]
    others = [each for each in known if each not in same]
    first = same[0].model_copy(update={"last_at": told.last_at}) if same else told
    return (*others, first)


def _promised(quote: Quote, current: Money | None) -> tuple[object, ...]:
    """What a quote comes to, so that a total and a change that say the same are the same."""
    totals = {quote.monthly_total} if quote.monthly_total else set()
    change = quote.monthly_change
    if change is not None:
        totals.add(current + change if current and current.currency == change.currency else change)
    one_off = quote.one_off if quote.one_off and quote.one_off.amount else None
    return frozenset(totals), one_off, quote.promotion


def recent_change(price: OrderPrice | None, charges: Sequence[Charge], day: date) -> Money | None:
    """The sum of the changes per month of the last 30 days, this one included: a change in two steps is one change."""
    since = day - REMEMBERED
    if price is None or any(each.monthly.currency != price.new_monthly.currency for each in charges):
        return None
    changes = [price.monthly_change]
    changes += [each.in_force(each.since) for each in charges[:1] if each.since > since]
    for before, after in pairwise(charges):
        if after.since > since:
            changes.append(after.in_force(after.since) - before.in_force(after.since))
    return Money(amount=sum(each.amount for each in changes), currency=price.new_monthly.currency)
