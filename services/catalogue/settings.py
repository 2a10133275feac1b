"""What the catalogue is told from outside, beside what every service is told."""

from __future__ import annotations

from services.chassis.settings import Settings as ChassisSettings


class Settings(ChassisSettings):
    """The catalogue's settings."""

    body_bytes: int = 512 * 1024
