"""The watermark: one statement per batch locks its keys against another process and tells what is new."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import Envelope

Place = tuple[str, str, str]

_ADVANCE = text("""
    INSERT INTO consumed (source, topic, key, sequence, previous)
    SELECT source, topic, key, sequence, 0 FROM unnest(
        CAST(:sources AS text[]), CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:sequences AS bigint[])
    ) AS batch (source, topic, key, sequence) ORDER BY 1, 2, 3
    ON CONFLICT (source, topic, key) DO UPDATE
        SET previous = consumed.sequence, sequence = GREATEST(consumed.sequence, excluded.sequence)
    RETURNING source, topic, key, previous
""")


def place(topic: str, envelope: Envelope) -> Place | None:
    """Where an event counts; None for one without key or sequence."""
    if envelope.key is None or envelope.sequence is None:
        return None
    return envelope.source, topic, envelope.key


async def advance(connection: AsyncConnection, reached: dict[Place, int]) -> dict[Place, int]:
    """Move the watermark of each key to where the batch reaches, never back; returns where each stood before."""
    if not reached:
        return {}
    places = sorted(reached)
    result = await connection.execute(
        _ADVANCE,
        {
            "sources": [each[0] for each in places],
            "topics": [each[1] for each in places],
            "keys": [each[2] for each in places],
            "sequences": [reached[each] for each in places],
        },
    )
    return {(source, topic, key): previous for source, topic, key, previous in result}
