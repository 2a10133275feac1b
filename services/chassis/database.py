"""PostgreSQL: the engine, typed JSON columns, the chassis' own tables, and what counts as infrastructure being away."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, LargeBinary, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import Field

from services.chassis.rows import Row

INFRASTRUCTURE_CLASSES = ("08", "40", "53", "57", "58")
"""SQLSTATE classes that say nothing about the data: connection, rollback, resources, operator, system."""


class Json(TypeDecorator[Any]):
    """A JSONB column that holds a value of one Python type, for example `Json(tuple[Discrepancy, ...])`."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def __init__(self, kind: Any) -> None:  # noqa: ANN401 - any type that pydantic can validate
        """Hold values of this type."""
        super().__init__()
        self.kind = kind
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def process_bind_param(self, value: Any, dialect: object) -> Any:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Turn the value into JSON."""
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: Any, dialect: object) -> Any:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Turn JSON into the value."""
        return None if value is None else self._adapter.validate_python(value, extra="ignore")

    def to_text(self, value: Any) -> str:  # noqa: ANN401 - a value of the kind
        """Turn the value into JSON text, which is what travels."""
        return self._adapter.dump_json(value).decode()

    def from_text(self, text: str) -> Any:  # noqa: ANN401 - a value of the kind
        """Turn JSON text into the value."""
        return self._adapter.validate_json(text, extra="ignore")


class JsonText(TypeDecorator[str]):
    """A JSONB column whose value is the JSON text itself: it is written and read by others, not looked into."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> Any:  # noqa: ANN401, ARG002 - SQLAlchemy's
        """Hand the text on as JSON."""
        return None if value is None else json.loads(value)

    def process_result_value(self, value: Any, dialect: object) -> str | None:  # noqa: ANN401, ARG002 - SQLAlchemy's
        """Take the JSON as text."""
        return None if value is None else json.dumps(value)

    @staticmethod
    def to_text(value: str) -> str:
        """Return the text as it is."""
        return value

    from_text = to_text


def moment(*, nullable: bool = False, index: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's Field takes
    """Return a column for an aware UTC time."""
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable, index=index))


class ChassisTable(Row, registry=registry()):
    """The tables that every service's database has."""


class Published(ChassisTable, table=True):
    """The last sequence given to a key of a topic: locked before the key's outbox rows are written."""

    __tablename__: ClassVar[str] = "published"
    topic: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))


class Consumed(ChassisTable, table=True):
    """The watermark: the last sequence consumed of a source, topic and key, and the one before that statement."""

    __tablename__: ClassVar[str] = "consumed"
    source: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    previous: int = Field(sa_column=Column(BigInteger, nullable=False))


class Outbox(ChassisTable, table=True):
    """An event that is decided but not yet on Kafka."""

    __tablename__: ClassVar[str] = "outbox"
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    topic: str
    key: str
    headers: str = Field(sa_column=Column(JsonText, nullable=False))
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class JobRow(ChassisTable, table=True):
    """Work that is due later: a clock, or a call to the outside."""

    __tablename__: ClassVar[str] = "job"
    __table_args__ = (Index("job_open", "due_at", postgresql_where="failed_at IS NULL"),)
    id: str = Field(primary_key=True)
    name: str
    payload: str = Field(sa_column=Column(JsonText, nullable=False))
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    due_at: datetime = moment()
    not_before: datetime = moment()
    attempts: int = 0
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    failed_at: datetime | None = moment(nullable=True)


class DeadLetter(ChassisTable, table=True):
    """A record that failed here (`failed`) or waits behind one that failed (`waiting`); released ones are history."""

    __tablename__: ClassVar[str] = "dead_letter"
    __table_args__ = (Index("dead_letter_record", "topic", "partition", "offset", unique=True),)
    position: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    state: str
    case_id: str = Field(index=True)
    topic: str
    partition: int
    offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    key: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    queue: str | None = Field(default=None, index=True)
    value: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    headers: list[list[str | None]] = Field(sa_column=Column(JSONB, nullable=False))
    attempt: int = 1
    decision: str | None = None
    failed_at: datetime | None = moment(nullable=True, index=True)


class ParkedKey(ChassisTable, table=True):
    """A key with a queue (named by the key's hash): while its row is there, newer records of the key join the end."""

    __tablename__: ClassVar[str] = "parked_key"
    queue: str = Field(primary_key=True)


class ConsumerState(ChassisTable, table=True):
    """Whether this service's consumer was stopped by too many technical cases, and when it was resumed."""

    __tablename__: ClassVar[str] = "consumer_state"
    id: int = Field(default=1, primary_key=True)
    stopped: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    resumed_at: datetime | None = moment(nullable=True)


class ReferenceVersion(ChassisTable, table=True):
    """How often a reference table was written: what a process has in memory is as old as its version."""

    __tablename__: ClassVar[str] = "reference_version"
    name: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


class Lease(ChassisTable, table=True):
    """Who is the one active relay, until when (real time); `token` rises with every holder."""

    __tablename__: ClassVar[str] = "lease"
    name: str = Field(primary_key=True)
    holder: str
    token: int = Field(sa_column=Column(BigInteger, nullable=False))
    until: datetime = moment()


class ApiKey(ChassisTable, table=True):
    """A key that opens doors, stored as its SHA-256 only."""

    __tablename__: ClassVar[str] = "api_key"
    reference: ClassVar[bool] = True
    sha256: str = Field(primary_key=True)
    role: str
    holder: str
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = moment()
    revoked_at: datetime | None = moment(nullable=True)


def make_engine(url: str) -> AsyncEngine:
    """Make the engine; UTC, and bounds on how long a statement may wait for a lock, and we for a statement.

    Parameters stay out of error messages: they are what customers and agents typed.
    """
    return create_async_engine(
        url,
        pool_size=16,
        max_overflow=16,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            # No scans: every statement of ours names keys, and a plan made while a table was new outlives its growth.
            "server_settings": {
                "timezone": "UTC",
                "lock_timeout": "10000",
                "enable_seqscan": "off",
                "plan_cache_mode": "force_generic_plan",
            },
            "timeout": 5,
            "command_timeout": 30,
            # No statement ends by age: the driver's timer for each would keep the batch in which it began.
            "max_cached_statement_lifetime": 0,
        },
    )


def is_refused_data(error: BaseException) -> bool:
    """Whether the database refused a value itself: too long, out of range, a character that it does not store."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")
    return state.startswith("22") or isinstance(getattr(getattr(error, "orig", None), "__cause__", None), ValueError)


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached, so that it makes no sense to try each work of a group alone."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(getattr(error.orig, "__cause__", None), OSError)
    return isinstance(error, OSError | TimeoutError | PoolTimeoutError)


def is_infrastructure(error: BaseException) -> bool:
    """Whether the database is away or asks to try again (also 55P03, a lock not got in time), not a fault of data."""
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError | PendingRollbackError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", "") or "")
    if not state:  # the client's own error: the connection is gone, or a value could not be encoded
        return error.connection_invalidated or isinstance(getattr(error.orig, "__cause__", None), OSError)
    return state == "55P03" or state.startswith(INFRASTRUCTURE_CLASSES)
