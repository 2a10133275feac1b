"""What every event is: frozen data, a declared type, and CloudEvents headers on Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

Headers = Sequence[tuple[str, bytes | None]]

SEQUENCE_DIGITS = 20
HIGHEST_SEQUENCE = 2**63 - 1
_TYPE = re.compile(r"^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*$")
_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")


class UnreadableMessageError(Exception):
    """A record on a topic that is no event: the reason says which part is wrong."""


class Data(BaseModel):
    """Business data inside an event: frozen; strict where it is made, tolerant where it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Data):
    """Something that happened, published on one topic by one service.

    A class declares its type: ``class OrderHeld(Event, type="order.held.v1")``. Fields are business data only; the
    envelope travels in the headers. One that a next version replaces says until when it is published beside it, as
    ``sunset="2027-06-30T00:00:00Z"``; its messages carry it (CloudEvents' deprecation extension).
    """

    type: ClassVar[str] = ""
    sunset: ClassVar[str | None] = None

    def __init_subclass__(cls, *, type: str = "", sunset: str | None = None, **kwargs: Any) -> None:  # noqa: A002, ANN401 - the field's word; pydantic's hook
        """Register the class under its declared type."""
        super().__init_subclass__(**kwargs)
        if not type:
            return
        if not _TYPE.match(type) or type in REGISTRY:
            message = f"{cls.__name__}: {type!r} is not a new type of the form subject.happened.v1"
            raise TypeError(message)
        cls.type = type
        cls.sunset = sunset
        REGISTRY[type] = cls

    @property
    def key(self) -> str:
        """The Kafka key: whatever has the same key is consumed in order."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """The id of the thing that it happened to (``ce_subject``)."""
        return self.key

    def to_value(self) -> bytes:
        """The value of the Kafka record: JSON of the business data."""
        return self.model_dump_json().encode()

    @classmethod
    def from_value(cls, value: bytes) -> Self:
        """Read a record's value; unknown fields are ignored. Raises UnreadableMessageError."""
        try:
            return cls.model_validate_json(value, extra="ignore")
        except ValidationError as error:
            faults = "; ".join(f"{_pointer(e['loc'])}: {e['msg']}" for e in error.errors(include_input=False))
            message = f"{cls.type}: {faults}"
            raise UnreadableMessageError(message) from error


@dataclass(frozen=True, slots=True)
class Envelope:
    """The CloudEvents 1.0 attributes of one event, in binary mode (https://cloudevents.io)."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    key: str | None = None
    sequence: int | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    sunset: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers, in the Kafka protocol binding's names."""
        pairs = {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": self.id,
            "ce_source": self.source,
            "ce_type": self.type,
            "ce_time": self.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "ce_subject": self.subject,
            "ce_dataschema": f"urn:asquoted:schema:{self.type}",
            "ce_partitionkey": self.key,
            "ce_sequence": None if self.sequence is None else f"{self.sequence:0{SEQUENCE_DIGITS}d}",
            "ce_correlationid": self.correlation_id,
            "ce_causationid": self.causation_id,
            "ce_deprecated": "true" if self.sunset else None,
            "ce_deprecationsunset": self.sunset,
            "traceparent": self.traceparent,
        }
        return [(name, value.encode()) for name, value in pairs.items() if value is not None]

    @classmethod
    def from_headers(cls, headers: Headers) -> Envelope:
        """Read the attributes of a record. Raises UnreadableMessageError, naming what is missing or malformed."""
        texts = _quick_texts(headers) or dict(_texts(headers))
        missing = [name for name in _REQUIRED if not texts.get(name)]
        if missing:
            message = f"missing headers: {', '.join(missing)}"
            raise UnreadableMessageError(message)
        if not _TYPE.match(texts["ce_type"]):
            message = f"malformed ce_type: {texts['ce_type'][:100]!r}"
            raise UnreadableMessageError(message)
        return cls(
            id=texts["ce_id"],
            source=texts["ce_source"],
            type=texts["ce_type"],
            time=_time(texts["ce_time"]),
            subject=texts.get("ce_subject"),
            key=texts.get("ce_partitionkey"),
            sequence=_sequence(texts.get("ce_sequence")),
            correlation_id=texts.get("ce_correlationid"),
            causation_id=texts.get("ce_causationid"),
            traceparent=texts.get("traceparent"),
            sunset=texts.get("ce_deprecationsunset"),
        )


def _quick_texts(headers: Headers) -> dict[str, str] | None:
    """The headers of a record that has nothing wrong with any, in a third of the time; else None."""
    try:
        texts = {name: str(value, "utf-8") for name, value in headers}  # type: ignore[arg-type]  # None raises as well
    except (TypeError, UnicodeDecodeError):
        return None
    whole = len(texts) == len(headers) and "\x00" not in "".join(texts) and "\x00" not in "".join(texts.values())
    return texts if whole else None


def _texts(headers: Headers) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        if value is None:
            message = f"header {name} has no value"
            raise UnreadableMessageError(message)
        if b"\x00" in value or "\x00" in name:
            message = f"header {name!r} holds a NUL character"
            raise UnreadableMessageError(message)
        try:
            yield name, value.decode()
        except UnicodeDecodeError as error:
            message = f"header {name} is not UTF-8"
            raise UnreadableMessageError(message) from error


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"malformed ce_time: {text[:100]!r}"
        raise UnreadableMessageError(message) from error
    if moment.tzinfo is None:
        message = f"ce_time without an offset: {text!r}"
        raise UnreadableMessageError(message)
    return moment


def _sequence(text: str | None) -> int | None:
    if text is None:
        return None
    decimal = text.isascii() and text.isdigit() and len(text) == SEQUENCE_DIGITS
    if not (decimal and 0 < int(text) <= HIGHEST_SEQUENCE):
        message = f"malformed ce_sequence: {text[:100]!r}"
        raise UnreadableMessageError(message)
    return int(text)


def _pointer(location: Iterable[int | str]) -> str:
    return "/" + "/".join(str(part) for part in location)


REGISTRY: dict[str, type[Event]] = {}
"""The class of every declared type."""
