"""The events of topic `orders`: the life of an order, decided by intake alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import AwareDatetime, StrictBool, StrictInt

from contracts.event import Data, Event
from contracts.money import Money, Promotion
from contracts.offer_v1 import Action, OfferRef, Price

State = Literal[
    "acknowledged",
    "pending",
    "held",
    "inProgress",
    "assessingCancellation",
    "pendingCancellation",
    "completed",
    "rejected",
    "cancelled",
    "failed",
]
Grounds = Literal["withdrawal", "misquoted", "misencoded", "not-agreed"]
FINAL: frozenset[State] = frozenset({"completed", "rejected", "cancelled", "failed"})


class Discrepancy(Data):
    """A difference that a person must look at: its code, where it is, both values, and the stage that found it."""

    code: str
    path: str
    expected: Any = None
    given: Any = None
    stage: str


class Quote(Data):
    """What the agent told the customer; every part is judged by itself."""

    monthly_total: Money | None = None
    monthly_change: Money | None = None
    one_off: Money | None = None
    promotion: Promotion | None = None


class Evidence(Data):
    """What proves a sale: a recording of the call, or a contract signed in the shop; `sha256` is that of its file."""

    kind: Literal["recording", "signed-contract"]
    reference: str
    sha256: str


class EarlierQuote(Data):
    """Another quote that the partner gave for this customer and offer: in an order, or in a check (then no order)."""

    quote: Quote
    told_at: AwareDatetime
    order_id: str | None = None


class PriceDecision(Data):
    """A reviewer's decision about the price of one order; an honoured quote carries its own price."""

    kind: Literal["apply_published_price", "honour_quote"]
    case_id: str
    reviewer: str
    honoured: Price | None = None


class OrderPrice(Data):
    """What the customer pays before and after, per month, and once; computed by us, never taken from the agent."""

    current_monthly: Money | None = None
    new_monthly: Money
    monthly_change: Money
    one_off: Money
    promotion: Promotion | None = None
    monthly_after_promotion: Money


class Order(Data):
    """An order as its consumers need it [ProductOrder]; the customer is named by id only.

    `offer` is the version resolved once at the sale; `price` is what the customer is asked to confirm;
    `subscription_version` is the version it was assessed against (null for a new subscription). `attempt` counts how
    often it was sent on its way: whoever held it judges it again when it comes with a higher one. `earlier_quotes` are
    those that differ from `quote`; `recent_change` is the sum of the changes per month of the last 30 days, this one
    included; `grounds` says why an order is undone. `discloses`: the partner may see what the customer has and pays,
    for he gave a contact that is on file, or she is new, or she said yes herself; so it is where an order does not say.
    """

    id: str
    partner: str
    partner_reference: str
    agent: str
    channel: str
    action: Action
    customer_id: str
    subscription_id: str
    subscription_version: StrictInt | None = None
    offer_code: str | None = None
    offer: OfferRef | None = None
    quote: Quote | None = None
    removals: tuple[str, ...] = ()
    evidence: Evidence | None = None
    price: OrderPrice | None = None
    decision: PriceDecision | None = None
    reverses: str | None = None
    grounds: Grounds | None = None
    earlier_quotes: tuple[EarlierQuote, ...] = ()
    recent_change: Money | None = None
    sold_at: AwareDatetime
    received_at: AwareDatetime
    attempt: StrictInt = 0
    discloses: StrictBool = True

    def price_for_partner(self) -> dict[str, Any] | None:
        """The price as JSON, as far as the partner may see it.

        Without `discloses` what she pays today is null, and the change, which tells it. An honoured price is not shown
        at all then: a change that was told may be in it, added to what she pays.
        """
        if self.price is None or (not self.discloses and self.decision and self.decision.honoured):
            return None
        price = self.price.model_dump(mode="json")
        return price if self.discloses else price | {"current_monthly": None, "monthly_change": None}


OPEN_ENDED = frozenset({"provisioning.failed", "order.overdue", "order.conflict"})
"""Codes of an order on its way that leave open what was done: a network that failed or is silent, a clock that ran out,
a cancellation that came too late."""


def is_untouched(discrepancies: Iterable[Discrepancy], *, confirmed: bool) -> bool:
    """Whether it is certain that nothing of a held order is under way or in place, so that it may become another one.

    It was never confirmed, or whoever stopped it did nothing. What billing holds is in place already.
    """
    return not confirmed or not any(each.code in OPEN_ENDED or each.stage == "billing" for each in discrepancies)


class OrderEvent(Event):
    """What all events about one order share: the key is its subscription, the subject the order."""

    order: Order

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.order.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order.id


class OrderAcknowledged(OrderEvent, type="order.acknowledged.v1"):
    """An order was taken and waits: for another order of its subscription, or for an offer that is not here yet."""

    waits_for: str


class OrderHeld(OrderEvent, type="order.held.v1"):
    """An order is in review; the case lists its discrepancies.

    `contact_owners` are the customers on file whose contact it gives otherwise, or for somebody else: they are told.
    """

    case_id: str
    codes: tuple[str, ...]
    contact_owners: tuple[str, ...] = ()


class OrderQuestioned(OrderEvent, type="order.questioned.v1"):
    """A reviewer asks the partner something about a held order, which stays held until somebody decides."""

    case_id: str
    question: str
    asked_at: AwareDatetime


class OrderAnswered(OrderEvent, type="order.answered.v1"):
    """The partner answered; evidence that came with it proves no other order, and is judged once a reviewer resubmits.

    `evidence_held`: whether its file was here when the answer came; null without evidence.
    """

    case_id: str
    text: str
    evidence: Evidence | None = None
    evidence_held: bool | None = None
    answered_at: AwareDatetime


class OrderPending(OrderEvent, type="order.pending.v1"):
    """The customer is asked: the link's token is signed from `confirmation_id`; without an answer it expires.

    `current_offer` is what the customer has today; null for a new subscription. `code_required`: a yes also takes the
    six digits signed from `confirmation_id`, which go to her phone.
    """

    confirmation_id: str
    current_offer: OfferRef | None = None
    code_required: bool = False
    expires_at: AwareDatetime


class OrderConfirmed(OrderEvent, type="order.confirmed.v1"):
    """The customer said yes to this price (or signed a contract that we hold): it may be carried out.

    `medium` is how: `email-link`, or `signed-contract` where she was not asked; `sent-again` where she agreed before.
    `current_offer` is what she has today; null for a new subscription. `attempt` counts how often it was sent.
    """

    confirmed_at: AwareDatetime
    medium: str
    current_offer: OfferRef | None = None
    attempt: StrictInt = 1


class OrderCompleted(OrderEvent, type="order.completed.v1"):
    """The customer has what was ordered and is charged for it."""

    completed_at: AwareDatetime


class OrderRejected(OrderEvent, type="order.rejected.v1"):
    """A reviewer refused an order before anything was done."""

    reason: str


class OrderCancellationRequested(OrderEvent, type="order.cancellation-requested.v1"):
    """An order on its way is to be stopped; provisioning answers."""

    reason: str


class OrderCancelled(OrderEvent, type="order.cancelled.v1"):
    """An order ended without effect: the customer said no or did not answer, or it was cancelled."""

    reason: str


class OrderFailed(OrderEvent, type="order.failed.v1"):
    """An order could not be carried out, and nothing of it is in effect."""

    reason: str
