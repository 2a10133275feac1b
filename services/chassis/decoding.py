"""Decodes each record by itself, so that an odd one cannot take its batch with it: an event, a fault, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.event import Envelope, Event, UnreadableMessageError
from contracts.topics import BY_NAME, Topic
from services.chassis import watermark
from services.chassis.cause import Cause
from services.chassis.dead_letters import Record
from services.chassis.outbox import LONGEST_KEY

LONGEST_ATTRIBUTE = 500
"""Of the attributes that go into the envelopes of what follows; longer ones would make those too large to send."""

Wanted = Mapping[tuple[str, str], type[Event]]


@dataclass(slots=True)
class Item:
    """One record of a batch: an event that is consumed, a fault, or neither (then it is skipped)."""

    record: Record
    envelope: Envelope | None = None
    event: Event | None = None
    fault: str | None = None

    @property
    def place(self) -> watermark.Place | None:
        """Where it counts; None where its envelope says no key or sequence."""
        return watermark.place(self.record.topic, self.envelope) if self.envelope else None

    @property
    def cause(self) -> Cause:
        """What follows from this record has it as its cause."""
        if self.envelope is None:
            return self.record.cause
        return Cause(
            self.envelope.id,
            self.envelope.source,
            self.envelope.correlation_id,
            self.envelope.causation_id,
            self.envelope.traceparent,
            time=self.envelope.time.isoformat(),
        )


def record_of(raw: Any) -> Record:  # noqa: ANN401 - aiokafka's ConsumerRecord
    """Return a record as it came from Kafka."""
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers))


def decode(record: Record, wanted: Wanted) -> Item:
    """Decode one record; `wanted` are the consumed events by topic and type. Never raises for what is in a record."""
    topic = BY_NAME[record.topic]
    if record.value is None and topic.compacted:
        return Item(record)
    try:
        envelope = Envelope.from_headers(record.headers)
    except UnreadableMessageError as error:
        return Item(record, fault=str(error))
    event_class = wanted.get((record.topic, envelope.type))
    if event_class is None:
        counts = envelope.source in topic.writers and len(envelope.key or "") <= LONGEST_KEY
        return Item(record, envelope if counts else None)
    fault = _envelope_fault(topic, record, envelope)
    if fault:
        return Item(record, fault=fault)
    try:
        return Item(record, envelope, event_class.from_value(record.value or b""))
    except UnreadableMessageError as error:
        return Item(record, envelope, fault=str(error))


def _envelope_fault(topic: Topic, record: Record, envelope: Envelope) -> str | None:
    key = envelope.key or ""
    carried = (envelope.id, envelope.correlation_id, envelope.causation_id, envelope.traceparent)
    faults = {
        f"{envelope.source!r} does not write to {topic.name}": envelope.source not in topic.writers,
        "ce_partitionkey or ce_sequence is missing": not key or envelope.sequence is None,
        f"ce_partitionkey has more than {LONGEST_KEY} characters": len(key) > LONGEST_KEY,
        "the record's key is not its ce_partitionkey": record.key != key.encode(),
        f"an attribute has more than {LONGEST_ATTRIBUTE} characters": max(map(_length, carried)) > LONGEST_ATTRIBUTE,
        "no value: a tombstone does not belong here": record.value is None,
    }
    return next((fault for fault, found in faults.items() if found), None)


def _length(attribute: str | None) -> int:
    return len(attribute or "")
