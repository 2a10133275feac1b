"""The offers of the demo, and orders as they reach billing: right in every part, unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from contracts.invoice_v1 import Charge
from contracts.money import Money, Promotion
from contracts.offer_v1 import (
    Channel,
    ChannelPromotion,
    Names,
    Offer,
    OfferedService,
    OfferPublished,
    OfferRef,
    OneOff,
    Price,
    Publication,
)
from contracts.order_v1 import Order, OrderPrice, PriceDecision, Quote
from contracts.subscription_v1 import Sale, SubscribedService, Subscription, SubscriptionChanged
from services.billing.rules import Entry

SOLD_AT = datetime(2026, 11, 20, 13, 57, tzinfo=UTC)
PUBLISHED_AT = datetime(2025, 1, 1, tzinfo=UTC)
TELESALES_AND_SHOP = (Channel.TELESALES, Channel.SHOP)
SIX_MONTHS = Promotion(monthly=Money(amount=-600, currency="EUR"), months=6)


def eur(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def usd(amount: int) -> Money:
    return Money(amount=amount, currency="USD")


def offer(code: str, monthly: int, version: int = 1, **further: Any) -> Offer:
    values: dict[str, Any] = {"on_sale_from": date(2025, 1, 1), "channels": TELESALES_AND_SHOP}
    return Offer(
        code=code,
        version=version,
        names=Names(fr=code, nl=code, de=code, en=code),
        monthly=eur(monthly),
        services=(OfferedService(code="internet"),),
        **(values | further),
    )


SHOP_PROMOTION = ChannelPromotion(channel=Channel.SHOP, monthly=eur(-600), months=6)
SPRING = ChannelPromotion(channel=Channel.TELESALES, monthly=eur(-600), months=12)
TRIO_V1 = offer("TRIO", 7000, 1, on_sale_until=date(2026, 3, 31), promotions=(SPRING,))
TRIO = offer("TRIO", 7000, 2, on_sale_from=date(2026, 4, 1))
TRIO_MAX_V1 = offer("TRIO-MAX", 7900, 1, on_sale_until=date(2026, 9, 30), promotions=(SHOP_PROMOTION,))
TRIO_MAX = offer("TRIO-MAX", 8100, 2, on_sale_from=date(2026, 10, 1), promotions=(SHOP_PROMOTION,))
FIBRE = offer("FIBRE", 6000, one_off=OneOff(price=eur(5000), actions=("add",)))
OFFERS = (TRIO_V1, TRIO, TRIO_MAX_V1, TRIO_MAX, FIBRE)


def versions(code: str) -> list[Publication]:
    return [Publication(offer=each, published_at=PUBLISHED_AT) for each in OFFERS if each.code == code]


def published(*offers: Offer) -> list[OfferPublished]:
    return [OfferPublished(offer=each, published_at=PUBLISHED_AT) for each in offers]


def history(monthly: int = 7000, since: date = date(2026, 4, 15)) -> tuple[Entry, ...]:
    """What was charged before: TRIO since April."""
    return (Entry(version=1, since=since, charge=Charge(offer=TRIO.ref, monthly=eur(monthly), since=since)),)


def price(new: int = 8100, change: int = 1100, **parts: Any) -> OrderPrice:
    """What the customer confirmed."""
    values: dict[str, Any] = {"one_off": eur(0), "monthly_after_promotion": eur(new)}
    return OrderPrice(new_monthly=eur(new), monthly_change=eur(change), **(values | parts))


def order(**parts: Any) -> Order:
    """TRIO to TRIO-MAX in telesales, 81.00 quoted and confirmed."""
    values: dict[str, Any] = {
        "id": "order-1",
        "partner": "liege-calls",
        "partner_reference": "LC-1",
        "agent": "agent-17",
        "channel": "telesales",
        "action": "modify",
        "customer_id": "cust-1001",
        "subscription_id": "sub-1001",
        "subscription_version": 1,
        "offer_code": "TRIO-MAX",
        "offer": TRIO_MAX.ref,
        "quote": Quote(monthly_total=eur(8100), monthly_change=eur(1100)),
        "price": price(),
        "sold_at": SOLD_AT,
        "received_at": SOLD_AT,
    }
    return Order(**(values | parts))


def in_shop(**parts: Any) -> Order:
    """The same in a shop: 75.00 for six months, then 81.00."""
    values: dict[str, Any] = {
        "channel": "shop",
        "quote": Quote(monthly_total=eur(7500), promotion=SIX_MONTHS),
        "price": price(7500, 500, promotion=SIX_MONTHS, monthly_after_promotion=eur(8100)),
    }
    return order(**(values | parts))


def new_fibre(**parts: Any) -> Order:
    """A new customer's FIBRE: 60.00 and 50.00 once."""
    values: dict[str, Any] = {
        "action": "add",
        "offer_code": "FIBRE",
        "offer": FIBRE.ref,
        "subscription_version": None,
        "quote": Quote(monthly_total=eur(6000), one_off=eur(5000)),
        "price": price(6000, 6000, one_off=eur(5000)),
    }
    return order(**(values | parts))


def decided(kind: Any, honoured: Price | None = None) -> PriceDecision:
    return PriceDecision(kind=kind, case_id="case-1", reviewer="rita", honoured=honoured)


def honoured(monthly: int, full: int | None = None, **parts: Any) -> Price:
    values: dict[str, Any] = {"one_off": eur(0)}
    return Price(monthly_total=eur(monthly), monthly_full=eur(full or monthly), **(values | parts))


def changed(
    given: Order | None = None,
    *,
    version: int = 2,
    in_place: OfferRef | None = None,
    sale: Sale | None = None,
    effective_at: datetime = SOLD_AT,
) -> SubscriptionChanged:
    """What provisioning says once the network works as ordered, or on an import."""
    subscription = Subscription(
        id=given.subscription_id if given else "sub-1001",
        customer_id=given.customer_id if given else "cust-1001",
        version=version,
        offer=in_place or (given and given.offer) or TRIO.ref,
        services=(SubscribedService(code="internet", level={}),),
        contract_since=date(2026, 4, 15),
    )
    return SubscriptionChanged(subscription=subscription, order=given, imported=sale, effective_at=effective_at)


def imported(
    sold_at: datetime = datetime(2026, 4, 15, 9, tzinfo=UTC), in_place: OfferRef = TRIO.ref
) -> SubscriptionChanged:
    """A subscription that was sold by telesales before this system was there."""
    return changed(version=1, in_place=in_place, sale=Sale(channel="telesales", sold_at=sold_at))
