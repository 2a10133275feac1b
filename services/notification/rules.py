"""Who is told what; pure: events in, notices out, never an address in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime

from contracts.customer_v1 import Language
from contracts.event import Data
from contracts.notice_v1 import Kind
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import (
    Order,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderHeld,
    OrderPending,
    OrderQuestioned,
    OrderRejected,
)

Recipient = Literal["customer", "partner"]


class Notice(Data):
    """What is to be told to whom about an order; who that is and where they read is looked up when it is sent.

    A contract summary without `confirmation_id` asks nothing: the customer signed the contract on paper. `customer_id`
    is the customer who is told, where it is not the order's.
    """

    kind: Kind
    recipient: Recipient
    order: Order
    customer_id: str | None = None
    current_offer: OfferRef | None = None
    confirmation_id: str | None = None
    expires_at: AwareDatetime | None = None
    codes: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def medium(self) -> Literal["email", "sms"]:
        """How it goes: the code to the phone, everything else to the mailbox."""
        return "sms" if self.kind == "confirmation-code" else "email"

    @property
    def offers(self) -> tuple[OfferRef, ...]:
        """The offers that it speaks of: a customer reads what she has and gets, a partner only codes."""
        if self.recipient == "partner" or self.kind in {"contact-differs", "confirmation-code"}:
            return ()
        return tuple(ref for ref in (self.current_offer, self.order.offer) if ref)


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to write to, and in which language; a partner has no name here."""

    email: str
    language: Language
    name: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is ready to be sent."""

    to: str
    language: Language
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message that is ready to be sent."""

    to: str
    language: Language
    text: str


def notices(event: OrderEvent, *, asked: bool = False) -> list[Notice]:
    """Who is told of an event; `asked`: the customer was sent a summary, so she hears how it ended.

    A signed contract waives the question, never the summary.
    """
    order = event.order
    match event:
        case OrderPending() | OrderConfirmed(medium="signed-contract"):
            return [_summary(event), *_code(event)]
        case OrderHeld():
            held = Notice(kind="held", recipient="partner", order=order, codes=event.codes)
            return [held, *(_contact_differs(order, each) for each in event.contact_owners)]
        case OrderQuestioned():
            return [Notice(kind="question", recipient="partner", order=order, reason=event.question)]
        case OrderCompleted():
            return _ended("completed", order, asked=True)
        case OrderRejected() | OrderCancelled():
            kind: Kind = "rejected" if isinstance(event, OrderRejected) else "cancelled"
            return _ended(kind, order, event.reason, asked=asked)
    return []


def _code(event: OrderPending | OrderConfirmed) -> list[Notice]:
    """The code of a new customer: whose the mailbox is says nothing of whose the phone is."""
    if isinstance(event, OrderConfirmed) or not event.code_required:
        return []
    confirmation_id = event.confirmation_id
    return [Notice(kind="confirmation-code", recipient="customer", order=event.order, confirmation_id=confirmation_id)]


def _contact_differs(order: Order, owner: str) -> Notice:
    """Whoever is on file hears that somebody gave another contact for her, or hers for somebody else."""
    return Notice(kind="contact-differs", recipient="customer", order=order, customer_id=owner)


def _summary(event: OrderPending | OrderConfirmed) -> Notice:
    """The contract summary; whoever signed the contract on paper gets it too, but is asked nothing."""
    order, current = event.order, event.current_offer
    notice = Notice(kind="contract-summary", recipient="customer", order=order, current_offer=current)
    if isinstance(event, OrderConfirmed):
        return notice
    return notice.model_copy(update={"confirmation_id": event.confirmation_id, "expires_at": event.expires_at})


def _ended(kind: Kind, order: Order, reason: str | None = None, *, asked: bool) -> list[Notice]:
    """The partner reads why, in the words of whoever ended it; the customer reads what that means for her."""
    customer = [Notice(kind=kind, recipient="customer", order=order)] if asked else []
    return [*customer, Notice(kind=kind, recipient="partner", order=order, reason=reason)]


def named(ref: OfferRef | None, offers: Iterable[Offer]) -> Offer | None:
    """Find the offer of this name."""
    return next((offer for offer in offers if offer.ref == ref), None)
