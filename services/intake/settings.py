"""What intake is told from outside, beside what every service is told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class IntakeSettings(BaseSettings):
    """Intake's own settings; durations are seconds of business time, unless they say real.

    Orders of `evidence_channels` need evidence; a new customer may mistake her code `wrong_codes` times. A partner may
    send `requests_per_second` to each process, and twice as many at once; 0: as many as there are.
    """

    model_config = SettingsConfigDict(env_prefix="INTAKE_", extra="ignore")

    confirmation_seconds: int = 14 * 24 * 3600
    backdated_seconds: int = 48 * 3600
    postdated_seconds: int = 5 * 60
    acknowledged_seconds: int = 48 * 3600
    in_progress_seconds: int = 24 * 3600
    late_offer_real_seconds: float = 5.0
    evidence_channels: frozenset[str] = frozenset({"shop"})
    wrong_codes: int = 5
    requests_per_second: int = 1000
    body_bytes: int = 64 * 1024
    evidence_bytes: int = 10 * 1024 * 1024


settings = IntakeSettings()
