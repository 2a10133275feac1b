"""Orders, discrepancies and dead letters as other services publish them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered, MessageReleased, RawHeader
from contracts.money import Money
from contracts.order_v1 import (
    Discrepancy,
    Evidence,
    Order,
    OrderAcknowledged,
    OrderAnswered,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderRejected,
)

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


RECORDING = Evidence(kind="recording", reference="rec-1", sha256="ab" * 32)


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def order(order_id: str = "order-1", subscription_id: str = "sub-1", partner: str = "liege-calls") -> Order:
    return Order(
        id=order_id,
        partner=partner,
        partner_reference=f"reference of {order_id}",
        agent="agent-17",
        channel="telesales",
        action="modify",
        offer_code="TRIO-MAX",
        customer_id="cust-1001",
        subscription_id=subscription_id,
        sold_at=NOW,
        received_at=NOW,
    )


def discrepancy(
    code: str = "price.change", stage: str = "intake", expected: Any = None, given: Any = None
) -> Discrepancy:
    return Discrepancy(code=code, path="/quote", expected=expected, given=given, stage=stage)


def found(
    case_id: str, *codes: str, of: Order | None = None, stage: str = "intake", **changes: Any
) -> DiscrepancyFound:
    """A judgement of an order; without one it is about no order."""
    about: dict[str, Any] = {"case_id": case_id}
    if of:
        about |= {"order_id": of.id, "subscription_id": of.subscription_id, "customer_id": of.customer_id}
        about |= {"partner": of.partner, "agent": of.agent}
    discrepancies = tuple(discrepancy(code, stage) for code in codes or ("price.change",))
    return DiscrepancyFound(**about | {"discrepancies": discrepancies} | changes)


def letter(
    case_id: str = "case-m",
    service: str = "billing",
    *,
    attempt: int = 1,
    value: bytes | None = b"{not json",
    key: bytes | None = b"sub-1",
    headers: Sequence[tuple[str, bytes | None]] = (),
    **changes: Any,
) -> MessageDeadLettered:
    def encoded(data: bytes | None) -> str | None:
        return None if data is None else base64.b64encode(data).decode()

    raw = tuple(RawHeader(name=name, value_base64=encoded(each)) for name, each in headers)
    values: dict[str, Any] = {
        "case_id": case_id,
        "service": service,
        "code": "message.unreadable",
        "reason": "missing headers: ce_id",
        "topic": "orders",
        "partition": 3,
        "offset": 41,
        "attempt": attempt,
        "failed_at": NOW,
        "key_base64": encoded(key),
        "value_base64": encoded(value),
        "headers": raw,
    }
    return MessageDeadLettered(**values | changes)


def released(case_id: str = "case-m", service: str = "billing") -> MessageReleased:
    return MessageReleased(case_id=case_id, service=service, outcome="handled")


def held(of: Order, case_id: str, *codes: str) -> OrderHeld:
    return OrderHeld(order=of, case_id=case_id, codes=codes or ("price.change",))


def answered(
    of: Order, case_id: str, text: str = "she was told 81.00", evidence: Evidence | None = None
) -> OrderAnswered:
    held = False if evidence else None
    return OrderAnswered(order=of, case_id=case_id, text=text, evidence=evidence, evidence_held=held, answered_at=NOW)


def acknowledged(of: Order) -> OrderAcknowledged:
    return OrderAcknowledged(order=of, waits_for="order-0")


def pending(of: Order) -> OrderPending:
    return OrderPending(order=of, confirmation_id="confirmation-1", expires_at=NOW)


def confirmed(of: Order) -> OrderConfirmed:
    return OrderConfirmed(order=of, confirmed_at=NOW, medium="email-link")


def cancellation_requested(of: Order) -> OrderCancellationRequested:
    return OrderCancellationRequested(order=of, reason="no more")


def completed(of: Order) -> OrderCompleted:
    return OrderCompleted(order=of, completed_at=NOW)


def rejected(of: Order) -> OrderRejected:
    return OrderRejected(order=of, reason="no")


def cancelled(of: Order) -> OrderCancelled:
    return OrderCancelled(order=of, reason="no more")


def failed(of: Order) -> OrderFailed:
    return OrderFailed(order=of, reason="the network refused")
