"""What notification is told from outside, beside what every service is told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.settings import Settings as ChassisSettings


class Settings(ChassisSettings):
    """A mail server may be away for most of an hour before a person has to look at it."""

    job_attempts: int = 60


class MailSettings(BaseSettings):
    """Where mail and texts go and what stands in them, and how webhooks are called; durations are real seconds.

    `sms_url`: an HTTP gateway that takes `{"to": "+32…", "text": "…"}`, with the job's id as `Idempotency-Key`.
    """

    model_config = SettingsConfigDict(extra="ignore")

    smtp_host: str = "127.0.0.1"
    smtp_port: int = 1025
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_timeout: float = 10.0
    sms_url: str = ""
    sms_timeout: float = 10.0
    mail_sender: str = "AsQuoted <noreply@asquoted.example>"
    public_url: str = ""
    link_secret: str = ""
    webhook_timeout: float = 8.0
    webhook_private_addresses: bool = False
    """Whether partners' webhooks may be http and lead into our own network: for tests and a stack on one machine."""
    late_offer_wait: float = 5.0
    late_customer_wait: float = 60.0


settings = MailSettings()
