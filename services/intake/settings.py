"""What intake is told from outside, beside what every service is told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class IntakeSettings(BaseSettings):
    """Intake's own settings; durations are seconds of business time, unless they say real."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", extra="ignore")

    confirmation_seconds: int = 14 * 24 * 3600
    backdated_seconds: int = 48 * 3600
    postdated_seconds: int = 5 * 60
    acknowledged_seconds: int = 48 * 3600
    in_progress_seconds: int = 24 * 3600
    late_offer_real_seconds: float = 5.0
    body_bytes: int = 64 * 1024
    evidence_bytes: int = 10 * 1024 * 1024


settings = IntakeSettings()
