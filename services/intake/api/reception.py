"""Who an order or a check is for, as far as its body says, and what the partner told her before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.customer_v1 import Customer
from contracts.invoice_v1 import in_force
from contracts.money import Money
from contracts.offer_v1 import brussels_day
from contracts.order_v1 import EarlierQuote, Order
from services.chassis.keys import Principal
from services.chassis.rows import changed
from services.chassis.transaction import Place, Transaction
from services.intake import rules, store
from services.intake.api.body import CustomerForm, OrderForm, judge_references, references_of, refusal
from services.intake.rules.reception import Reception, Told, contact_of, judge_contact, kept, plain, told_before
from services.intake.store import ContactRow, CustomerRow, EvidenceRow, EvidenceUseRow, QuoteRow, SubscriptionRow


@dataclass(frozen=True)
class Met:
    """Who is met: the customers that a body may mean, its contacts, and those of them that nobody on file has.

    `knows_her`: a contact is the one on file, so that whoever gives it knows the customer; or she is sold her first, or
    it is the service desk, which sees everybody.
    """

    customers: Sequence[str]
    contacts: Sequence[str]
    unknown: Sequence[str]
    reception: Reception
    knows_her: bool


def reads(form: OrderForm, partner: str) -> list[Place]:
    """What judging an order needs, so that it is read for all orders of a moment at once."""
    contacts = contacts_of(form.customer).values()
    places: list[Place] = [(ContactRow, (each,)) for each in contacts]
    if form.offer and form.quote:
        customers = [*([form.customer.id] if form.customer.id else []), *contacts]
        places += [(QuoteRow, (partner, each, form.offer)) for each in customers]
    if form.subscription_id:
        places.append((SubscriptionRow, (form.subscription_id,)))
    if form.customer.id:
        places.append((CustomerRow, (form.customer.id,)))
    if form.evidence:
        places += [(EvidenceUseRow, (form.evidence.sha256,)), (EvidenceRow, (partner, form.evidence.sha256))]
    return places


def contacts_of(form: CustomerForm) -> dict[str, str]:
    """The contacts that a body gives, by their place in it."""
    given = {"/customer/email": form.email, "/customer/phone": form.phone}
    return {path: plain(contact) for path, contact in given.items() if contact}


async def meet(tx: Transaction, form: OrderForm, seller: Principal, language: str) -> Met:
    """Look up who is meant, and judge the contact; who is on file is locked, so that orders for her come in turn.

    Raises Problem 422, in a language, for a reference with the number that is on file, where the seller knows her: a
    refusal leaves no trace, and would let anybody else try numbers until one is hers.
    """
    given, named = contacts_of(form.customer), form.customer.id
    owners = await store.owners(tx, given)
    customers = list(dict.fromkeys([*([named] if named else []), *filter(None, owners.values())]))
    on_file = [row for row in [await tx.get(CustomerRow, each) for each in customers] if row is not None]
    file = next((row.customer for row in on_file if row.id == named), None)
    sold_first = form.action == "add" and file is None
    knows_her = sold_first or _matches(given, file) or seller.role != "partner"
    references = references_of(form.model_dump(include={"partner_reference", "evidence"}))
    personal = judge_references(references, file.phone if file and knows_her else "")
    if personal:
        raise refusal(personal, language)
    reception = judge_contact(given, owners, file, may_be_new=form.action == "add")
    if form.action == "add" and on_file:
        services = await store.has_or_awaits(tx, [row.id for row in on_file])
        reception = reception.model_copy(update={"services": services})
    return Met(
        customers=customers,
        contacts=list(given.values()),
        unknown=[contact for path, contact in given.items() if path not in owners],
        reception=reception,
        knows_her=knows_her,
    )


def _matches(given: Mapping[str, str], file: Customer | None) -> bool:
    return file is not None and any(given.get(path) == contact for path, contact in contact_of(file).items())


async def earlier_quotes(
    tx: Transaction, order: Order, met: Met, keep_for: Sequence[str], *, checked: bool
) -> tuple[EarlierQuote, ...]:
    """Keep what is told now, under every name in `keep_for`, and return what the partner told her otherwise before."""
    if order.quote is None or order.offer_code is None:
        return ()
    place = (order.partner, order.offer_code)
    known = {each: await tx.get(QuoteRow, place[0], each, place[1]) for each in (*met.customers, *met.contacts)}
    current = await _current(tx, order)
    before = [told for row in known.values() if row for told in row.told]
    now = Told(
        quote=order.quote,
        current=current,
        order_id=None if checked else order.id,
        first_at=tx.now,
        last_at=tx.now,
    )
    for each in dict.fromkeys(keep_for):
        row = known.get(each)
        if row is not None:
            tx.put(changed(row, told=kept(row.told, now)))
        else:  # who is on file from now on was told what was told to her contacts
            told = kept(tuple(dict.fromkeys(before)), now)
            tx.add(QuoteRow(partner=place[0], customer=each, offer=place[1], told=told))
    return told_before(before, order.quote, current, tx.now)


async def _current(tx: Transaction, order: Order) -> Money | None:
    known = await tx.get(SubscriptionRow, order.subscription_id) if order.action != "add" else None
    if known is None or not rules.is_hers(order, known.subscription):
        return None
    return in_force(known.charges, brussels_day(order.sold_at))
