"""Who is told what; pure: events in, notices out, never an address in them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import AwareDatetime, StrictInt

from contracts.customer_v1 import Language
from contracts.event import Data
from contracts.notice_v1 import Kind
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import (
    Order,
    OrderAcknowledged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderQuestioned,
    OrderRejected,
    State,
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


# --- webhooks -------------------------------------------------------------------------------------------------------

STATES: dict[type[OrderEvent], State] = {
    OrderAcknowledged: "acknowledged",
    OrderHeld: "held",
    OrderQuestioned: "held",
    OrderPending: "pending",
    OrderConfirmed: "inProgress",
    OrderCompleted: "completed",
    OrderRejected: "rejected",
    OrderCancelled: "cancelled",
    OrderFailed: "failed",
}
"""The events that a webhook may be told of, and the order's state with each."""

Told = Literal[
    "order.acknowledged",
    "order.held",
    "order.questioned",
    "order.pending",
    "order.confirmed",
    "order.completed",
    "order.rejected",
    "order.cancelled",
    "order.failed",
]
EVENTS: tuple[Told, ...] = get_args(Told)
SECRET_PREFIX = "whsec_"  # noqa: S105 - what Standard Webhooks has before every secret
SECRET_LEAVES_AFTER = timedelta(days=1)
PAUSES = tuple(timedelta(seconds=each) for each in (5, 300, 1800, 7200, 18000, 25200, 36000))
"""Business time before the second and each further call: over a day in all."""

NAT64 = IPv6Network("64:ff9b::/96")


class Secret(Data):
    """What a webhook's messages are signed with; one that was replaced is valid `until` then."""

    value: str
    until: AwareDatetime | None = None


class Attempt(Data):
    """One call of a webhook: the status of the answer, or why there was none."""

    at: AwareDatetime
    status: StrictInt | None = None
    reason: str | None = None


def message(event: OrderEvent, at: datetime) -> str:
    """The body of a webhook's message: what the partner's own door shows of the order at this event, and no more."""
    order = event.order
    data: dict[str, object] = {
        "id": order.id,
        "partner_reference": order.partner_reference,
        "state": STATES[type(event)],
        "waits_for": getattr(event, "waits_for", None),
        "action": order.action,
        "customer_id": order.customer_id,
        "subscription_id": order.subscription_id,
        "reverses": order.reverses,
        "offer": order.offer.model_dump() if order.offer else None,
        "price": order.price_for_partner(),
        "codes": list(getattr(event, "codes", ())),
        "case_id": getattr(event, "case_id", None),
        "question": getattr(event, "question", None),
        "reason": getattr(event, "reason", None),
    }
    envelope = {"type": told_as(event), "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def told_as(event: OrderEvent) -> str:
    """The name under which a webhook is told of an event: its type without the version."""
    return event.type.rpartition(".v")[0]


def rotated(secrets: tuple[Secret, ...], new: str, now: datetime) -> tuple[Secret, ...]:
    """Sign with a new secret; the one before it stays valid beside it for a day, so at most two are."""
    return (Secret(value=new), Secret(value=secrets[0].value, until=now + SECRET_LEAVES_AFTER))


def signatures(secrets: tuple[Secret, ...], now: datetime, message_id: str, timestamp: int, body: str) -> str:
    """Sign a message with each secret that is valid (Standard Webhooks: HMAC-SHA256 of id.timestamp.body)."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    valid = [each.value for each in secrets if each.until is None or now < each.until]
    return " ".join(f"v1,{_signature(each, signed)}" for each in valid)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def next_try(tried: int) -> timedelta | None:
    """How long to wait after so many calls without success; None where it is enough."""
    return PAUSES[tried - 1] if tried <= len(PAUSES) else None


def is_webhook(url: str, *, private: bool) -> bool:
    """Whether this can be a webhook's address: https, a host, no name or password; `private` also http and our own.

    A name is not resolved here: its addresses are judged when they are connected to.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not (plain and host) or "@" in parts.netloc or parts.scheme not in ({"https", "http"} if private else {"https"}):
        return False
    return private or not _is_literal(host) or is_public(host)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an address is on the Internet: none of a private, local or reserved network, however it is wrapped."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        teredo = found.teredo
        inner = (found.ipv4_mapped, found.sixtofour, teredo[1] if teredo else None, _translated(found))
        if any(inner):
            return all(is_public(str(each)) for each in inner if each)
    return found.is_global and not found.is_multicast and not found.is_reserved


def _translated(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address within one of NAT64's (RFC 6052)."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
