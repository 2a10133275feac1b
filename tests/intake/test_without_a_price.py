"""An order of which nobody can say what it costs is never shown to a customer, whatever was decided about it."""

from __future__ import annotations

from datetime import timedelta

from contracts.order_v1 import OrderHeld
from contracts.subscription_v1 import Sale, SubscriptionChanged
from tests.harness import START, eventually
from tests.intake.shop import Shop, trio

LINE = "sub-without-charges"


async def test_a_price_that_is_missing_is_not_there_because_somebody_applied_it(shop: Shop) -> None:
    imported = Sale(channel="telesales", sold_at=START - timedelta(days=60))
    await shop.publish(SubscriptionChanged(subscription=trio(LINE), imported=imported, effective_at=START))
    await eventually(lambda: shop.has("SELECT count(*) = 1 FROM subscription WHERE id = :id", id=LINE))
    order = await shop.order(shop.body(LINE, channel="telesales"))
    assert [(each["code"], each["path"]) for each in order["discrepancies"]] == [("price.missing", "/subscription_id")]
    await shop.decides(order, "apply_published_price")
    first, second = await shop.said(order["id"], 2)
    assert isinstance(first, OrderHeld)
    assert isinstance(second, OrderHeld)
    assert second.codes == ("price.missing",)
    assert second.case_id != first.case_id
