"""Intake's tables, and what is looked up in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, ColumnElement, Index, LargeBinary, Text, literal_column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, col

from contracts.customer_v1 import Customer
from contracts.invoice_v1 import Charge, in_force
from contracts.money import Money
from contracts.offer_v1 import Offer, Publication, brussels_day
from contracts.order_v1 import FINAL, Discrepancy, Evidence, Order, State
from contracts.subscription_v1 import Subscription
from services.chassis.database import Json, moment
from services.chassis.rows import Row, changed
from services.chassis.transaction import Transaction
from services.intake import rules
from services.intake.rules.reception import Reception, Told, contact_of, plain


class Table(Row, registry=registry()):
    """The tables of intake."""


class OrderRow(Table, table=True):
    """One order: what was ordered, where it stands, and how it got there."""

    __tablename__: ClassVar[str] = "order"
    __table_args__ = (Index("order_subscription", "subscription_id", "id"),)
    id: str = Field(primary_key=True)
    partner: str
    partner_reference: str
    subscription_id: str
    customer_id: str = Field(index=True)
    state: str
    waits_for: str | None = None
    order: Order = Field(sa_column=Column(Json(Order), nullable=False))
    channels: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    discrepancies: tuple[Discrepancy, ...] = Field(sa_column=Column(Json(tuple[Discrepancy, ...]), nullable=False))
    resolved: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    case_id: str | None = None
    question: str | None = None
    reversed_by: str | None = None
    reception: Reception = Field(default=Reception(), sa_column=Column(Json(Reception), nullable=False))
    confirmation_id: str | None = None
    attempt: int = 0
    changed_version: int | None = None
    charged_version: int | None = None
    history: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = moment()
    updated_at: datetime = moment()


class ReferenceRow(Table, table=True):
    """The order that a partner gave a reference; a reference is taken once."""

    __tablename__: ClassVar[str] = "partner_reference"
    name: str = Field(primary_key=True)
    partner: str = Field(primary_key=True)
    order_id: str


class SubscriptionRow(Table, table=True):
    """Intake's copy of a subscription and its charges, which order has the turn on it, and which wait, in order."""

    __tablename__: ClassVar[str] = "subscription"
    __table_args__ = (Index("subscription_customer", text("(subscription ->> 'customer_id')")),)
    shared: ClassVar[bool] = True  # what is known of it comes from two topics
    id: str = Field(primary_key=True)
    holder: str | None = None
    waiting: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    subscription: Subscription | None = Field(default=None, sa_column=Column(Json(Subscription)))
    charges: tuple[Charge, ...] = Field(default=(), sa_column=Column(Json(tuple[Charge, ...]), nullable=False))
    charged_version: int = 0


class OfferRow(Table, table=True):
    """Intake's copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    reference: ClassVar[bool] = True
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: Offer = Field(sa_column=Column(Json(Offer), nullable=False))
    published_at: datetime = moment()
    withdrawn_at: datetime | None = moment(nullable=True)


class CustomerRow(Table, table=True):
    """A customer on file; `verified`: her contact is known to be hers, not only an agent's word."""

    __tablename__: ClassVar[str] = "customer"
    id: str = Field(primary_key=True)
    customer: Customer = Field(sa_column=Column(Json(Customer), nullable=False))
    verified: bool = True


class ContactRow(Table, table=True):
    """Whose an e-mail address or a phone number is: the first customer's on file who has it."""

    __tablename__: ClassVar[str] = "contact"
    contact: str = Field(primary_key=True)
    customer_id: str


class QuoteRow(Table, table=True):
    """Every quote that a partner told a customer for an offer, in orders and in checks.

    `customer` is her id; for somebody who is not on file the contact that was given.
    """

    __tablename__: ClassVar[str] = "quote"
    partner: str = Field(primary_key=True)
    customer: str = Field(primary_key=True)
    offer: str = Field(primary_key=True)
    told: tuple[Told, ...] = Field(sa_column=Column(Json(tuple[Told, ...]), nullable=False))


class PartnerRow(Table, table=True):
    """A call-centre company with its registered agents, and contacts that are theirs and so no customer's."""

    __tablename__: ClassVar[str] = "partner"
    reference: ClassVar[bool] = True
    id: str = Field(primary_key=True)
    agents: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    contacts: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))


class ConfirmationRow(Table, table=True):
    """One question to a customer; its link may be answered once."""

    __tablename__: ClassVar[str] = "confirmation"
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    asked_at: datetime = moment()
    expires_at: datetime = moment()
    answer: str | None = None
    answered_at: datetime | None = moment(nullable=True)
    code_required: bool = False
    wrong_codes: int = 0


class IdempotencyRow(Table, table=True):
    """The first answer to a partner's idempotency key, and the hash of the body it answered."""

    __tablename__: ClassVar[str] = "idempotency"
    partner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_sha256: str
    order_id: str
    answer: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = moment()


class EvidenceRow(Table, table=True):
    """A file that a partner gave us, for example a signed contract; small, for orders look for it."""

    __tablename__: ClassVar[str] = "evidence"
    partner: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)
    content_type: str
    size: int
    uploaded_at: datetime = moment()


class EvidenceContentRow(Table, table=True):
    """What is in a file: once, whoever gave it to us, and never read on an order's way."""

    __tablename__: ClassVar[str] = "evidence_content"
    sha256: str = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class EvidenceUseRow(Table, table=True):
    """The one order that a piece of evidence proves, be its file here or not: the first that named it."""

    __tablename__: ClassVar[str] = "evidence_use"
    sha256: str = Field(primary_key=True)
    order_id: str
    used_at: datetime = moment()


async def claim(tx: Transaction, evidence: Evidence | None, order_id: str) -> None:
    """Let evidence prove this order, unless it proves another already."""
    if evidence is not None and await tx.get(EvidenceUseRow, evidence.sha256) is None:
        tx.add(EvidenceUseRow(sha256=evidence.sha256, order_id=order_id, used_at=tx.now))


async def proven_by(tx: Transaction, evidence: Evidence | None) -> str | None:
    """The order that evidence proves."""
    use = await tx.get(EvidenceUseRow, evidence.sha256) if evidence else None
    return use.order_id if use else None


async def holds(tx: Transaction, partner: str, evidence: Evidence | None) -> bool:
    """Whether this partner gave us the file."""
    return evidence is not None and await tx.get(EvidenceRow, partner, evidence.sha256) is not None


async def subscription(tx: Transaction, subscription_id: str) -> SubscriptionRow:
    """Read and lock a subscription; one that is not here yet is nobody's."""
    return await tx.get(SubscriptionRow, subscription_id) or SubscriptionRow(id=subscription_id)


def overtakes(row: OrderRow, subscription: SubscriptionRow) -> bool:
    """Whether an order takes no turn: it undoes another one, or is not for the customer of the subscription.

    A stranger's order with a turn would keep the customer's own waiting.
    """
    hers = row.order.action == "add" or rules.is_hers(row.order, subscription.subscription)
    return not hers or row.order.action == "reverse"


def line_up(tx: Transaction, row: OrderRow, subscription: SubscriptionRow) -> str | None:
    """Take the turn, or a place among those that wait; the order that has the turn, None where it is this one's."""
    if subscription.holder is None:
        waiting = [each for each in subscription.waiting if each != row.id]
        tx.put(changed(subscription, holder=row.id, waiting=waiting))
        return None
    if row.id not in {subscription.holder, *subscription.waiting}:
        tx.put(changed(subscription, waiting=[*subscription.waiting, row.id]))
    return subscription.holder if subscription.holder != row.id else None


async def pass_turn(tx: Transaction, row: OrderRow) -> OrderRow | None:
    """Give an order's turn, if it has it, to the oldest that waits; that one, None where nobody does."""
    subscription = await tx.get(SubscriptionRow, row.subscription_id)
    if subscription is None or subscription.holder != row.id:
        return None
    following, waiting = None, list(subscription.waiting)
    while waiting and following is None:
        oldest = await tx.get(OrderRow, waiting.pop(0))
        following = oldest if oldest is not None and oldest.state == "acknowledged" else None
    tx.put(changed(subscription, holder=following.id if following else None, waiting=waiting))
    return following


async def current_charge(tx: Transaction, row: OrderRow) -> Money | None:
    """What the customer pays now, as of the sale."""
    subscription = await tx.get(SubscriptionRow, row.subscription_id)
    return in_force(subscription.charges, brussels_day(row.order.sold_at)) if subscription else None


async def publications(tx: Transaction, code: str | None) -> list[Publication]:
    """Every version of an offer that is known here."""
    return (await tx.reference(OfferRow, _by_code)).get(code, [])


def _by_code(rows: Sequence[OfferRow]) -> dict[str | None, list[Publication]]:
    known: dict[str | None, list[Publication]] = defaultdict(list)
    for row in rows:
        found = Publication(offer=row.offer, published_at=row.published_at, withdrawn_at=row.withdrawn_at)
        known[row.code].append(found)
    return dict(known)


async def all_publications(tx: Transaction) -> list[Publication]:
    """Every version of every offer."""
    return [each for versions in (await tx.reference(OfferRow, _by_code)).values() for each in versions]


async def agents(tx: Transaction, partner: str) -> Sequence[str]:
    """The agents registered for a partner; the row is not locked, for every order reads it."""
    return (await tx.reference(PartnerRow, _agents)).get(partner, ())


def _agents(rows: Sequence[PartnerRow]) -> dict[str, Sequence[str]]:
    return {row.id: row.agents for row in rows}


async def owners(tx: Transaction, contacts: Mapping[str, str]) -> dict[str, str]:
    """Whose contacts are, by place: a customer's id, or "" where it is an agent's; nobody's are left out."""
    of_agents = await tx.reference(PartnerRow, _contacts)
    found = {path: await tx.get(ContactRow, contact) for path, contact in contacts.items()}
    known = {path: row.customer_id for path, row in found.items() if row is not None}
    return {path: "" for path, contact in contacts.items() if contact in of_agents} | known


def _contacts(rows: Sequence[PartnerRow]) -> frozenset[str]:
    return frozenset(plain(each) for row in rows for each in row.contacts)


async def file(tx: Transaction, row: CustomerRow) -> None:
    """Put a customer on file; a contact stays whose it was, and what is hers no more is free again."""
    known = await tx.get(CustomerRow, row.id)
    contacts = contact_of(row.customer).values()
    for each in contact_of(known.customer).values() if known else ():
        old = await tx.get(ContactRow, each)
        if old is not None and old.customer_id == row.id and each not in contacts:
            tx.delete(old)
    for each in contacts:
        if await tx.get(ContactRow, each) is None:
            tx.add(ContactRow(contact=each, customer_id=row.id))
    tx.put(row)


async def has_or_awaits(tx: Transaction, customers: Sequence[str]) -> tuple[str, ...]:
    """The services that customers have, or that an order of theirs under way brings."""
    owner: ColumnElement[str] = literal_column("subscription ->> 'customer_id'")
    held = await tx.select(SubscriptionRow, select(SubscriptionRow).where(owner.in_(customers)))
    mine = col(OrderRow.customer_id).in_(customers) & col(OrderRow.state).not_in(FINAL)
    under_way = await tx.select(OrderRow, select(OrderRow).where(mine))
    offers = [each.offer for row in under_way for each in await publications(tx, row.order.offer_code)]
    codes = {each.code for row in held if row.subscription for each in row.subscription.services}
    return tuple(sorted(codes | {each.code for offer in offers for each in offer.services}))


async def listed(
    tx: Transaction, partner: str | None, filters: dict[str, str | None], after: str | None, limit: int
) -> list[OrderRow]:
    """A partner's orders, newest first; ids are time-ordered, so the last id of a page is the cursor of the next."""
    statement = select(OrderRow).order_by(OrderRow.id.desc()).limit(limit)  # type: ignore[attr-defined]
    wanted = {**filters, "partner": partner}
    reference = wanted.pop("partner_reference", None)
    if reference is not None:
        named = select(ReferenceRow.order_id).where(ReferenceRow.name == reference)  # type: ignore[call-overload]
        statement = statement.where(OrderRow.id.in_(named))  # type: ignore[attr-defined]
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(OrderRow, name) == value)
    if after:
        statement = statement.where(OrderRow.id < after)  # type: ignore[arg-type]
    return await tx.select(OrderRow, statement)


def is_final(state: str) -> bool:
    """Whether an order in this state goes nowhere any more."""
    return state in FINAL


def new_order(order: Order, channels: list[str], entry: dict[str, Any], at: datetime) -> OrderRow:
    """An order as it comes in, with the first entry of its history."""
    return OrderRow(
        id=order.id,
        partner=order.partner,
        partner_reference=order.partner_reference,
        subscription_id=order.subscription_id,
        customer_id=order.customer_id,
        state="acknowledged",
        order=order,
        channels=channels,
        discrepancies=(),
        history=[entry],
        created_at=at,
        updated_at=at,
    )


def history_entry(state: State, at: datetime, by: str, reason: str | None) -> dict[str, Any]:
    """One line of an order's history."""
    return {"state": state, "at": at.isoformat().replace("+00:00", "Z"), "by": by, "reason": reason}
