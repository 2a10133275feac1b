"""What each service does on each event, as numbers: the table of the package as data."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.customer_v1 import CustomerRecorded
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.order_v1 import OrderCompleted, OrderConfirmed
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import BY_EVENT


@dataclass(frozen=True)
class Work:
    """So many rows, and records of these types."""

    rows: int
    records: tuple[str, ...] = ()


POST = Work(11, ("customer.recorded.v1", "order.confirmed.v1"))

PLAN: dict[str, dict[type[Event], Work]] = {
    "intake": {
        SubscriptionChanged: Work(3),
        ChargesStarted: Work(5, ("order.completed.v1",)),
    },
    "provisioning": {
        OrderConfirmed: Work(8, ("subscription.changed.v1",)),
        OrderCompleted: Work(1),
    },
    "billing": {
        SubscriptionChanged: Work(7, ("charges.started.v1",)),
        OrderConfirmed: Work(1),
        OrderCompleted: Work(4, ("commission.held.v1",)),
    },
    "notification": {
        CustomerRecorded: Work(2),
        OrderConfirmed: Work(6, ("notice.sent.v1",)),
        OrderCompleted: Work(11, ("notice.sent.v1", "notice.sent.v1")),
    },
    "review": {
        OrderConfirmed: Work(2),
        OrderCompleted: Work(2),
    },
}


def topics(service: str) -> list[str]:
    """The topics that a service reads."""
    return sorted({f"pipe.{BY_EVENT[event].name}" for event in PLAN[service]})


def records_for(service: str) -> int:
    """How many records of an order a service reads."""
    return len(PLAN[service])
