"""What review is told from outside, beside what every service is told, and how long a case may wait."""

from __future__ import annotations

from services.chassis.settings import Settings as ChassisSettings

MINUTES_TO_DECIDE = {"price": 4 * 60, "quote": 4 * 60, "message": 60, "provisioning": 60, "billing": 60}
"""By the first part of a reason code: how long a case may wait before its due time."""

MINUTES_OTHERWISE = 8 * 60


class Settings(ChassisSettings):
    """Review's settings; amounts are minor units."""

    approval_above_minor: int = 2000
    """What a quote may be honoured for over twelve months before a second reviewer is needed."""

    partner_answer_seconds: int = 2 * 24 * 3600
    """How long a partner has to answer a reviewer's question before the case comes back into the queue."""
