"""Events as records: their topic, key and CloudEvents headers."""

from __future__ import annotations

import uuid

from contracts.event import Envelope, Event
from contracts.topics import BY_EVENT
from tests.bench.contenders.work.tables import now


def headers(service: str, event: Event, cause: str, identity: str | None = None) -> list[tuple[str, bytes]]:
    """The headers of an event that was caused by another, or by a request; without an identity it gets a new one."""
    envelope = Envelope(
        id=identity or str(uuid.uuid4()),
        source=service,
        type=event.type,
        time=now(),
        subject=event.subject,
        key=event.key,
        correlation_id=event.subject,
        causation_id=cause,
        traceparent=f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
    )
    return envelope.headers()


def topic(prefix: str, event: Event) -> str:
    """The contender's topic for an event."""
    return f"{prefix}.{BY_EVENT[type(event)].name}"
