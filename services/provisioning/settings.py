"""What provisioning is told from outside, beside what every service is told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import Settings as ChassisSettings


class Settings(ChassisSettings):
    """A network may be away for most of an hour: whoever gives up earlier does not know what it did."""

    job_attempts: int = 60


class ProvisioningSettings(BaseSettings):
    """Where the network is and how long it is waited for; durations are real seconds."""

    model_config = SettingsConfigDict(extra="ignore")

    network_url: str = "http://127.0.0.1:8090"
    network_timeout: float = 10.0
    late_offer_wait: float = 5.0


settings = ProvisioningSettings()
