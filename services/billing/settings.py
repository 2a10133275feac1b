"""What billing is told from outside, beside what every service is told."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BillingSettings(BaseSettings):
    """Billing's own settings."""

    model_config = SettingsConfigDict(extra="ignore")

    late_offer_wait: float = Field(default=5.0, description="real seconds to wait for an offer that is not here yet")


settings = BillingSettings()
