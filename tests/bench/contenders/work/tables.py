"""The tables, by the service that has them in its database; values of the contracts are kept as JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


def now() -> datetime:
    """The time; the contenders have no other."""
    return datetime.now(UTC)


def json_column(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=nullable))


def moment(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable))


class Table(SQLModel, registry=registry()):
    """All tables of the contenders."""


class OfferRow(Table, table=True):
    """A service's copy of a published offer version."""

    __tablename__: ClassVar[str] = "offer"
    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    offer: dict[str, Any] = json_column()
    published_at: datetime = moment()


class PartnerRow(Table, table=True):
    """A call-centre: its key, what it may sell where, and where it reads what becomes of its orders."""

    __tablename__: ClassVar[str] = "partner"
    id: str = Field(primary_key=True)
    key_sha256: str = Field(index=True)
    channels: list[str] = json_column()
    agents: list[str] = json_column()
    email: str
    language: str


class CustomerRow(Table, table=True):
    """A customer on file."""

    __tablename__: ClassVar[str] = "customer"
    id: str = Field(primary_key=True)
    customer: dict[str, Any] = json_column()


class OrderRow(Table, table=True):
    """Intake: an order and where it stands."""

    __tablename__: ClassVar[str] = "order"
    __table_args__ = (UniqueConstraint("partner", "partner_reference"),)
    id: str = Field(primary_key=True)
    partner: str
    partner_reference: str
    subscription_id: str = Field(index=True)
    customer_id: str = Field(index=True)
    state: str
    order: dict[str, Any] = json_column()
    discrepancies: list[dict[str, Any]] = json_column()
    history: list[dict[str, Any]] = json_column()
    changed_version: int | None = None
    charged_version: int | None = None
    created_at: datetime = moment()
    updated_at: datetime = moment()


class EvidenceUseRow(Table, table=True):
    """Intake: the one order that a piece of evidence proves."""

    __tablename__: ClassVar[str] = "evidence_use"
    sha256: str = Field(primary_key=True)
    order_id: str
    used_at: datetime = moment()


class IdempotencyRow(Table, table=True):
    """Intake: the first answer to a partner's idempotency key."""

    __tablename__: ClassVar[str] = "idempotency"
    partner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_sha256: str
    order_id: str
    answer: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = moment()


class KnownSubscriptionRow(Table, table=True):
    """Intake's copy of a subscription and its charges, and the order that has the turn on it."""

    __tablename__: ClassVar[str] = "known_subscription"
    id: str = Field(primary_key=True)
    holder: str | None = None
    subscription: dict[str, Any] | None = json_column(nullable=True)
    charges: list[dict[str, Any]] = json_column()
    charged_version: int = 0


class InventoryRow(Table, table=True):
    """Provisioning: what a customer has now."""

    __tablename__: ClassVar[str] = "inventory"
    id: str = Field(primary_key=True)
    subscription: dict[str, Any] | None = json_column(nullable=True)
    under_way: str | None = None
    asked: int = 0


class ChangeRow(Table, table=True):
    """Provisioning: the change that an order makes."""

    __tablename__: ClassVar[str] = "change"
    order_id: str = Field(primary_key=True)
    subscription_id: str = Field(index=True)
    state: str
    order: dict[str, Any] = json_column()
    after: dict[str, Any] | None = json_column(nullable=True)
    started_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class ChargedRow(Table, table=True):
    """Billing: what is charged for a subscription."""

    __tablename__: ClassVar[str] = "charged"
    id: str = Field(primary_key=True)
    customer_id: str
    version: int
    history: list[dict[str, Any]] = json_column()
    charged: str
    lines: int


class LineRow(Table, table=True):
    """Billing: a charge line."""

    __tablename__: ClassVar[str] = "line"
    subscription_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    version: int
    order_id: str
    line: dict[str, Any] = json_column()


class RateRow(Table, table=True):
    """Billing: a partner's commission rate."""

    __tablename__: ClassVar[str] = "commission_rate"
    partner: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    action: str
    offer_code: str | None = None
    since: date
    amount: dict[str, Any] = json_column()


class CommissionRow(Table, table=True):
    """Billing: the commission of an order."""

    __tablename__: ClassVar[str] = "commission"
    order_id: str = Field(primary_key=True)
    partner: str = Field(index=True)
    agent: str
    subscription_id: str
    amount: dict[str, Any] = json_column()
    state: str
    sold_at: datetime = moment()
    held_at: datetime = moment()


class NoticeRow(Table, table=True):
    """Notification: a notice, and the hash of what was sent."""

    __tablename__: ClassVar[str] = "notice"
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    notice: dict[str, Any] = json_column()
    state: str
    language: str | None = None
    sha256: str | None = None
    created_at: datetime = moment()
    sent_at: datetime | None = moment(nullable=True)


class SeenRow(Table, table=True):
    """Review: an event that it saw of an order."""

    __tablename__: ClassVar[str] = "seen"
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    type: str
    at: datetime = moment()


class InboxRow(Table, table=True):
    """Textbook: a message that was handled."""

    __tablename__: ClassVar[str] = "inbox"
    source: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    received_at: datetime = moment()


class OutboxRow(Table, table=True):
    """Textbook: an event that is not on Kafka yet."""

    __tablename__: ClassVar[str] = "outbox"
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    topic: str
    key: str
    headers: list[list[str]] = json_column()
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class JobRow(Table, table=True):
    """Textbook: a call to the outside that is to be made; by id, which is its idempotency key."""

    __tablename__: ClassVar[str] = "job"
    position: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    id: str
    subject: str
    payload: dict[str, Any] = json_column()
    not_before: datetime = moment()


class ReferenceRow(Table, table=True):
    """Durable: the order that a partner gave a reference, known before the workflow of the order has begun."""

    __tablename__: ClassVar[str] = "reference"
    partner: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    order_id: str


class StepRow(Table, table=True):
    """Durable: a step that was done, and its events, in case DBOS has not written it down."""

    __tablename__: ClassVar[str] = "step"
    workflow: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    events: list[list[str]] = json_column()
