"""The map: which topic carries which events, who publishes and who consumes them, under which key, for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from contracts import (
    case_v1,
    commission_v1,
    customer_v1,
    dead_letter_v1,
    invoice_v1,
    notice_v1,
    offer_v1,
    offer_v2,
    order_v1,
    subscription_v1,
)
from contracts.event import Event

PARTITIONS = 12
"""Of every topic, never changed in place: a key would move to another partition and lose its order."""

DAY_MS = 24 * 3600 * 1000
FOR_EVER = -1
MEBIBYTE = 1024 * 1024

SERVICES = ("catalogue", "intake", "provisioning", "billing", "notification", "review")


@dataclass(frozen=True)
class Topic:
    """One Kafka topic. `consumers` says which service consumes which events of it.

    `by_subscription`: the key of each of its events is a subscription's id.
    """

    name: str
    writers: tuple[str, ...]
    events: tuple[type[Event], ...]
    consumers: dict[str, tuple[type[Event], ...]]
    retention_ms: int = FOR_EVER
    compacted: bool = False
    by_subscription: bool = True
    max_message_bytes: int = MEBIBYTE
    partitions: int = field(default=PARTITIONS)

    @property
    def gapless(self) -> bool:
        """Whether the sequences of a key have no gaps; compaction and retention make some."""
        return not self.compacted and self.retention_ms == FOR_EVER


def _by_type(topics: tuple[Topic, ...]) -> dict[type[Event], Topic]:
    return {event: topic for topic in topics for event in topic.events}


TOPICS = (
    Topic(
        name="offers",
        writers=("catalogue",),
        events=(offer_v1.OfferPublished, offer_v1.OfferWithdrawn, offer_v2.OfferWithdrawn),
        by_subscription=False,
        consumers={
            "intake": (offer_v1.OfferPublished, offer_v1.OfferWithdrawn),
            "provisioning": (offer_v1.OfferPublished, offer_v2.OfferWithdrawn),
            "billing": (offer_v1.OfferPublished, offer_v1.OfferWithdrawn),
            "notification": (offer_v1.OfferPublished, offer_v1.OfferWithdrawn),
        },
    ),
    Topic(
        name="customers",
        writers=("intake",),
        events=(customer_v1.CustomerRecorded,),
        by_subscription=False,
        consumers={"notification": (customer_v1.CustomerRecorded,)},
        compacted=True,
    ),
    Topic(
        name="orders",
        writers=("intake",),
        events=(
            order_v1.OrderAcknowledged,
            order_v1.OrderHeld,
            order_v1.OrderQuestioned,
            order_v1.OrderAnswered,
            order_v1.OrderPending,
            order_v1.OrderConfirmed,
            order_v1.OrderCancellationRequested,
            order_v1.OrderCompleted,
            order_v1.OrderRejected,
            order_v1.OrderCancelled,
            order_v1.OrderFailed,
        ),
        consumers={
            "provisioning": (order_v1.OrderConfirmed, order_v1.OrderCancellationRequested),
            "billing": (order_v1.OrderCompleted,),
            "notification": (
                order_v1.OrderAcknowledged,
                order_v1.OrderHeld,
                order_v1.OrderQuestioned,
                order_v1.OrderPending,
                order_v1.OrderConfirmed,
                order_v1.OrderCompleted,
                order_v1.OrderRejected,
                order_v1.OrderCancelled,
                order_v1.OrderFailed,
            ),
            "review": (
                order_v1.OrderAcknowledged,
                order_v1.OrderHeld,
                order_v1.OrderAnswered,
                order_v1.OrderPending,
                order_v1.OrderConfirmed,
                order_v1.OrderCancellationRequested,
                order_v1.OrderCompleted,
                order_v1.OrderRejected,
                order_v1.OrderCancelled,
                order_v1.OrderFailed,
            ),
        },
    ),
    Topic(
        name="subscriptions",
        writers=("provisioning",),
        events=(
            subscription_v1.SubscriptionChanged,
            subscription_v1.ChangeHeld,
            subscription_v1.ChangeFailed,
            subscription_v1.ChangeCancelled,
        ),
        consumers={
            "intake": (
                subscription_v1.SubscriptionChanged,
                subscription_v1.ChangeHeld,
                subscription_v1.ChangeFailed,
                subscription_v1.ChangeCancelled,
            ),
            "billing": (subscription_v1.SubscriptionChanged,),
        },
    ),
    Topic(
        name="invoices",
        writers=("billing",),
        events=(invoice_v1.ChargesStarted, invoice_v1.ChargeHeld),
        consumers={"intake": (invoice_v1.ChargesStarted, invoice_v1.ChargeHeld)},
    ),
    Topic(
        name="commissions",
        writers=("billing",),
        events=(commission_v1.CommissionHeld,),
        consumers={},
    ),
    Topic(
        name="notices",
        writers=("notification",),
        events=(notice_v1.NoticeSent, notice_v1.NoticeUndeliverable),
        consumers={},
    ),
    Topic(
        name="cases",
        writers=("review",),
        events=(case_v1.CaseOpened, case_v1.CaseDecided, case_v1.DecisionRefused, case_v1.CaseClosed),
        by_subscription=False,
        consumers=dict.fromkeys(SERVICES, (case_v1.CaseDecided,)),
    ),
    Topic(
        name="dead-letters",
        writers=SERVICES,
        events=(
            dead_letter_v1.DiscrepancyFound,
            dead_letter_v1.MessageDeadLettered,
            dead_letter_v1.MessageReleased,
        ),
        by_subscription=False,
        consumers={
            "review": (
                dead_letter_v1.DiscrepancyFound,
                dead_letter_v1.MessageDeadLettered,
                dead_letter_v1.MessageReleased,
            )
        },
        retention_ms=30 * DAY_MS,
        max_message_bytes=4 * MEBIBYTE,
    ),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
BY_EVENT = _by_type(TOPICS)


def consumed_by(service: str) -> Iterator[tuple[Topic, type[Event]]]:
    """Yield every (topic, event) that a service consumes."""
    for topic in TOPICS:
        for event in topic.consumers.get(service, ()):
            yield topic, event
