"""The watermark: one statement per batch locks its keys against another process and tells what is new."""

from __future__ import annotations

from contracts.event import Envelope
from services.chassis.connections import Connection, columns

Place = tuple[str, str, str]

_ADVANCE = """
    INSERT INTO consumed (source, topic, key, sequence, previous)
    SELECT source, topic, key, sequence, 0 FROM unnest(
        CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS bigint[])
    ) AS batch (source, topic, key, sequence) ORDER BY 1, 2, 3
    ON CONFLICT (source, topic, key) DO UPDATE
        SET previous = consumed.sequence, sequence = GREATEST(consumed.sequence, excluded.sequence)
    RETURNING source, topic, key, previous
"""


def place(topic: str, envelope: Envelope) -> Place | None:
    """Where an event counts; None for one without key or sequence."""
    if envelope.key is None or envelope.sequence is None:
        return None
    return envelope.source, topic, envelope.key


async def advance(connection: Connection, reached: dict[Place, int]) -> dict[Place, int]:
    """Move the watermark of each key to where the batch reaches, never back; returns where each stood before."""
    if not reached:
        return {}
    found = await connection.fetch(_ADVANCE, *columns([(*place, reached[place]) for place in sorted(reached)]))
    return {(source, topic, key): previous for source, topic, key, previous in found}
