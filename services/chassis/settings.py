"""What a service is told from outside, through environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LONGEST_PAUSE_SECONDS = 0.1


class Settings(BaseSettings):
    """Settings that every service has; a service's own `settings.py` adds to them. Durations are seconds."""

    model_config = SettingsConfigDict(extra="ignore")

    database_url: str = Field(description="PostgreSQL URL of this service's own database")
    kafka_bootstrap: str = Field(description="host:port[,host:port …]")
    host: str = "127.0.0.1"
    port: int = 8000
    operator_key_sha256: str = Field(default="", description="SHA-256 of the key that may make other keys; empty: none")
    link_secret: str = Field(default="", description="signs the links that customers get")
    instance: str = Field(default="", description="name of this instance, kept over restarts (a pod's); empty: none")
    clock_file: Path | None = Field(default=None, description="offset of the business time; absent: real time")
    public_url: str = Field(default="", description="address under which customers reach intake's pages")
    log_level: str = "INFO"

    batch_size: int = 500
    batch_wait_ms: int = 10
    batch_pause_ms: int = Field(default=8, description="least pause after a small batch, also of the relay's")
    technical_cases_per_minute: int = 200
    job_concurrency: int = Field(default=64, description="calls to the outside at one time")
    job_attempts: int = Field(default=8, description="calls to the outside before a job gives up")
    job_claim: float = Field(default=30.0, description="seconds after which a dead process's job is taken over")
    lease: float = Field(default=10.0, description="seconds after which another relay or worker may take over")
    graceful_stop: float = 15.0

    @field_validator("database_url")
    @classmethod
    def _asyncpg(cls, url: str) -> str:
        return url.replace("postgresql://", "postgresql+asyncpg://", 1)

    def pause(self, took: float) -> float:
        """Seconds from a small batch that took this long to the next, so that what a batch costs is shared by more.

        A busy machine makes batches slow; then the next begins later and is larger, and less is spent on each record.
        """
        return min(max(2 * took, self.batch_pause_ms / 1000), LONGEST_PAUSE_SECONDS)

    @property
    def brokers(self) -> list[str]:
        """The bootstrap servers as a list: the client does not split a comma list itself."""
        return [each.strip() for each in self.kafka_bootstrap.split(",") if each.strip()]
