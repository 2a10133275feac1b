"""What a partner who knows no contact of the customer is not shown of what was found about an order; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.order_v1 import Discrepancy, Order

OF_HERS: Mapping[str, tuple[str, ...]] = {
    "price.change": ("expected",),
    "services.lost": ("expected",),
    "removals.excess": ("expected", "given"),
    "billing.mismatch": ("expected", "given"),
}
"""The values that tell what the customer has or pays, by code: `given` too where it is not only what the body says."""

NOT_SHOWN_IN_CHECKS = ("price.change", "quote.changed", "removals.excess", "services.lost", "subscription.exists")
"""The codes whose presence alone tells what she has or pays. `quote.changed` does, for a total and a change are one
quote where they come to the same: a right guess shows. An order tells it: that one leaves a trace."""

HERS = "/subscription_id"
"""Where the subscription itself is at fault, both values are of hers."""


def not_shown_in_check(order: Order) -> tuple[str, ...]:
    """The codes that a check does not show, there or not: the same ones for every order that does not disclose."""
    return () if order.discloses else NOT_SHOWN_IN_CHECKS


def shown(found: Discrepancy, order: Order) -> dict[str, Any]:
    """A discrepancy as JSON, as the order's partner may see it: that there is one always, its values not always."""
    hidden = ("expected", "given") if found.path == HERS else OF_HERS.get(found.code, ())
    return found.model_dump(mode="json") | (dict.fromkeys(hidden) if not order.discloses else {})
