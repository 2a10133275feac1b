"""Offers, subscriptions and orders of the story, as provisioning meets them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from contracts.event import Event
from contracts.offer_v1 import Offer, OfferPublished
from contracts.order_v1 import Order, OrderCancellationRequested, OrderConfirmed
from contracts.subscription_v1 import Equipment, Subscription, services_of

PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
SOLD = datetime(2026, 11, 20, 13, 57, tzinfo=UTC)


def offer(code: str, services: dict[str, dict[str, int]], equipment: tuple[str, ...] = (), **changes: Any) -> Offer:
    return Offer.model_validate(
        {
            "code": code,
            "version": 1,
            "names": {"fr": code, "nl": code, "de": code, "en": code},
            "monthly": {"amount": 7000, "currency": "EUR"},
            "services": [{"code": each, "level": level} for each, level in services.items()],
            "equipment": equipment,
            "on_sale_from": "2026-01-01",
            "channels": ["telesales"],
        }
        | changes
    )


INTERNET = {"internet": {"download": 300, "volume": 500}}
TRIO = offer("TRIO", {**INTERNET, "tv": {"channels": 60}, "telephony": {}}, ("decoder",))
DUO = offer("DUO", {**INTERNET, "telephony": {}})
LESS = {"internet": {"download": 100, "volume": 500}}
SLOW = offer("SLOW", {**LESS, "tv": {"channels": 60}, "telephony": {}}, ("decoder",))
FIBRE = offer("FIBRE", {"internet": {"download": 1000}, "telephony": {}}, ("modem",), term_months=12)
OFFERS = (TRIO, DUO, SLOW, FIBRE)
REF = {each.code: each.ref for each in OFFERS}


def trio(**changes: Any) -> Subscription:
    """What cust-1001 has: TRIO, with a decoder and a number."""
    have = Subscription(
        id="sub-1001",
        customer_id="cust-1001",
        version=1,
        offer=TRIO.ref,
        services=services_of(TRIO),
        equipment=(Equipment(type="decoder", serial="D-1"),),
        numbers=("+3287000001",),
        contract_since=date(2026, 4, 1),
    )
    return have.model_copy(update=changes)


def order(action: str = "modify", to: Offer | None = TRIO, **changes: Any) -> Order:
    return Order.model_validate(
        {
            "id": "order-1",
            "partner": "liege-calls",
            "partner_reference": "LC-1",
            "agent": "agent-17",
            "channel": "telesales",
            "action": action,
            "customer_id": "cust-1001",
            "subscription_id": "sub-1001",
            "subscription_version": None if action == "add" else 1,
            "offer_code": to.code if to else None,
            "offer": to.ref if to else None,
            "sold_at": SOLD,
            "received_at": SOLD,
        }
        | changes
    )


def published(*offers: Offer) -> list[Event]:
    return [OfferPublished(offer=each, published_at=PUBLISHED) for each in offers]


def confirmed(what: Order, attempt: int = 1) -> OrderConfirmed:
    return OrderConfirmed(order=what, confirmed_at=SOLD, medium="email-link", attempt=attempt)


def cancelled(what: Order) -> OrderCancellationRequested:
    return OrderCancellationRequested(order=what, reason="the customer changed her mind")
