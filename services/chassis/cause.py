"""What made a transaction happen; events and jobs carry it on, so that everything can be followed to its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.chassis.ids import new_id, new_traceparent


@dataclass(frozen=True, slots=True)
class Cause:
    """What made a transaction happen: an event, a request or a job; `attempt` counts decisions that ran it again.

    `time` is when an event happened (RFC 3339, business time), which may be long before it is handled.
    """

    id: str
    source: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    attempt: int = 1
    time: str | None = None

    def stored(self) -> dict[str, Any]:
        """Return it as a job's row keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def request(cls, traceparent: str | None = None) -> Cause:
        """A request at a door; it starts a correlation of its own."""
        identity = new_id()
        return cls(identity, "request", correlation_id=identity, traceparent=traceparent or new_traceparent())
