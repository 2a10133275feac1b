"""What is decided but not yet on Kafka, and the one active relay that publishes it in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from contracts.event import SEQUENCE_DIGITS, Envelope, Event
from contracts.topics import BY_EVENT, MEBIBYTE
from services.chassis import bulk, telemetry
from services.chassis.bulk import Statement
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection, Connections, columns
from services.chassis.database import Lease, Outbox, is_infrastructure
from services.chassis.ids import new_id
from services.chassis.settings import Settings

log = structlog.get_logger()

PAGE = 1000
MOST_IN_MEMORY = 20_000
"""Messages; what comes on top of them is read from the database when its turn comes."""
RECORD_OVERHEAD = 8 * 1024
LONGEST_KEY = 500
"""Characters of an event's key: it is part of an index."""
IDLE_POLL_SECONDS = 0.5
LINGER_SECONDS = 0.02
"""How long a page that was sent waits for the next, to be deleted with the look at it."""
AWAY_SECONDS = 1.0
DISCARD_SECONDS = 2.0

_NUMBER = """
    INSERT INTO published (topic, key, sequence)
    SELECT * FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS bigint[])) ORDER BY 1, 2
    ON CONFLICT (topic, key) DO UPDATE SET sequence = published.sequence + excluded.sequence
    RETURNING topic, key, sequence
"""

# `later`: how many events of the same key come after this one. The rows' ids are given in the order of the events.
_WRITE = f"""
    INSERT INTO outbox (topic, key, headers, value)
    SELECT event.topic, event.key, event.headers || jsonb_build_array(jsonb_build_array('ce_sequence',
        lpad(CAST(numbered.sequence - event.later AS text), {SEQUENCE_DIGITS}, '0'))), event.value FROM unnest(
        CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS jsonb[]), CAST($4 AS bytea[]), CAST($5 AS bigint[])
    ) WITH ORDINALITY AS event (topic, key, headers, value, later, place)
    JOIN numbered ON numbered.topic = event.topic AND numbered.key = event.key ORDER BY event.place
    RETURNING id, headers -> -1 ->> 1
"""  # noqa: S608 - a number of ours

# What was sent goes, and what follows is read, with one statement. The lease's row is locked with it: nobody takes the
# lease over between the look at it and the deletion. Where another has it, nothing is deleted and nothing returned.
_NEXT_PAGE = f"""
    WITH held AS MATERIALIZED (SELECT token FROM lease WHERE name = 'relay' AND token = $1 FOR UPDATE),
    gone AS (DELETE FROM outbox USING held WHERE outbox.id = ANY($2)),
    following AS (SELECT id FROM outbox WHERE id <> ALL($2) AND EXISTS (SELECT FROM held) ORDER BY id LIMIT {PAGE})
    SELECT id FROM following UNION ALL SELECT -token FROM held
"""  # noqa: S608

_HOLD = """
    INSERT INTO lease (name, holder, token, until)
    VALUES ('relay', $1, 1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
        token = lease.token + CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END
    WHERE lease.holder = excluded.holder OR lease.until < clock_timestamp()
    RETURNING token
"""


class EventTooLargeError(ValueError):
    """An event does not fit on its topic; found before anything is written."""


class EmptyKeyError(ValueError):
    """An event without a key: it would have no order."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is decided, with its id and cause, before its sequence is known; `value` is what Kafka gets."""

    id: str
    event: Event
    value: bytes
    cause: Cause
    time: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What Kafka gets."""

    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


async def write(
    connection: Connection, service: str, events: Sequence[Pending], before: Sequence[Statement] = ()
) -> dict[int, Message]:
    """Give the events their sequences and write them to the outbox; returns them by their rows' ids.

    `before` is written with the same statement. The key's row in `published` is locked first, in key order, so that the
    order on the topic is the order of commits.
    """
    if not events:
        await bulk.together(connection, before)
        return {}
    messages = [_message(service, each) for each in events]
    counts: Counter[tuple[str, str]] = Counter()
    later = []
    for each, message in zip(reversed(events), reversed(messages), strict=True):
        later.append(counts[message.topic, each.event.key])
        counts[message.topic, each.event.key] += 1
    number = Statement(
        _NUMBER, tuple(columns([(*place, count) for place, count in sorted(counts.items())])), "numbered"
    )
    rows = [
        (message.topic, each.event.key, _stored(message.headers), message.value, following)
        for each, message, following in zip(events, messages, reversed(later), strict=True)
    ]
    written = await bulk.together(connection, [*before, number, Statement(_WRITE, tuple(columns(rows)))])
    return {
        row_id: replace(message, headers=[*message.headers, ("ce_sequence", sequence.encode())])
        for (row_id, sequence), message in zip(written, messages, strict=True)
    }


def _stored(headers: Sequence[tuple[str, bytes]]) -> str:
    return orjson.dumps([(name, value.decode()) for name, value in headers]).decode()


def _from_row(row: Outbox) -> Message:
    headers = [(name, value.encode()) for name, value in orjson.loads(row.headers)]
    return Message(row.topic, row.key.encode(), headers, row.value)


def checked(event: Event) -> bytes:
    """Return an event's value. Raises EventTooLargeError or EmptyKeyError for one that cannot be published."""
    if not event.key:
        message = f"{event.type} {event.subject} has no key"
        raise EmptyKeyError(message)
    if len(event.key) > LONGEST_KEY:
        message = f"{event.type}: a key of {len(event.key)} characters, at most {LONGEST_KEY} fit"
        raise EventTooLargeError(message)
    value, limit = event.to_value(), room_for(type(event))
    if len(value) > limit:
        message = f"{event.type} {event.subject}: {len(value)} bytes, at most {limit} fit"
        raise EventTooLargeError(message)
    return value


def room_for(event: type[Event]) -> int:
    """How many bytes the value of an event may have; the rest of the record is for its headers."""
    return BY_EVENT[event].max_message_bytes - RECORD_OVERHEAD


def _message(service: str, pending: Pending) -> Message:
    """Return what Kafka gets, but for the sequence."""
    cause, event = pending.cause, pending.event
    envelope = Envelope(
        id=pending.id,
        source=service,
        type=event.type,
        time=pending.time,
        subject=event.subject,
        key=event.key,
        sequence=None,
        correlation_id=cause.correlation_id or pending.id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
        sunset=pending.event.sunset,
    )
    return Message(BY_EVENT[type(event)].name, event.key.encode(), envelope.headers(), pending.value)


class Relay:
    """Publishes the outbox in order, page by page; only the holder of the lease does, all others wait.

    The order of the rows is the database's. What is in them need not be read again: this process has what it committed
    itself in memory. A page is deleted with the look at the next one; a process that dies before it does that has sent
    its last page, which is sent again and dropped as repeats by all who read it.
    """

    def __init__(self, settings: Settings, connections: Connections, clock: Clock) -> None:
        """Nothing is done until `run`."""
        self._settings = settings
        self._connections = connections
        self._clock = clock
        self._holder = new_id()
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._token: int | None = None
        self._renew_at = self._valid_until = 0.0
        self._stopping = False
        self._in_memory: dict[int, Message] = {}
        self._sent: list[int] = []

    def committed(self, messages: dict[int, Message]) -> None:
        """These rows were committed; they are kept in memory while this process is the one that sends."""
        if self._token is not None and len(self._in_memory) < MOST_IN_MEMORY:
            self._in_memory.update(messages)
        self._wake.set()

    def stop(self) -> None:
        """End after the page under way."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Relay until stopped; what is away is waited for. The lease is given back, so that another goes on at once."""
        try:
            while not self._stopping:
                began = self._clock.monotonic()
                if await self._turn():
                    await asyncio.sleep(self._settings.pause(self._clock.monotonic() - began) / 2)
                    await self._sleep(LINGER_SECONDS)
                else:
                    await self._sleep(IDLE_POLL_SECONDS)
            await self._give_lease_back()
        finally:
            await self._discard_producer()

    async def _turn(self) -> bool:
        """Relay one page; returns whether there may be more."""
        self._wake.clear()
        try:
            if self._token is None or self._clock.monotonic() >= self._renew_at:
                asked = self._clock.monotonic()
                self._token = await self._hold_lease()
                self._renew_at, self._valid_until = asked + self._settings.lease / 3, asked + self._settings.lease
            return self._token is not None and await self._page(self._token)
        except KafkaError as error:
            # A producer that failed once must not send again: a later row would overtake the failed one.
            log.warning("relay.broker-away", error=repr(error))
            await self._discard_producer()
            await asyncio.sleep(AWAY_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            if not is_infrastructure(error):
                raise
            log.warning("relay.database-away", error=repr(error))
            await asyncio.sleep(AWAY_SECONDS)
        return True

    async def _hold_lease(self) -> int | None:
        async with self._connections.use() as connection:
            held = await connection.alone(_HOLD, self._holder, self._settings.lease)
            return held[0][0] if held else None

    async def _give_lease_back(self) -> None:
        mine = update(Lease).where(col(Lease.name) == "relay", col(Lease.holder) == self._holder)
        try:
            if self._token is not None:
                await self._following(self._token)
            async with self._connections.use() as connection:
                await connection.execute(mine.values(until=func.clock_timestamp()))
                await connection.commit()
        except (SQLAlchemyError, OSError) as error:
            log.warning("relay.lease-kept", error=repr(error))  # it runs out by itself

    async def _page(self, token: int) -> bool:
        """Send what is unsent; returns whether there was anything."""
        ids = await self._following(token)
        if not ids:
            return False
        if self._clock.monotonic() > self._valid_until:
            return True  # the lease ran out while we waited for the rows: ask for it again before sending
        await self._send([self._in_memory[each] for each in ids if each in self._in_memory])
        self._sent = ids
        telemetry.RELAYED.inc(len(ids))
        if len(ids) == PAGE:
            self._wake.set()  # there may be more
        return True

    async def _following(self, token: int) -> list[int]:
        """Delete the page that was sent; return the next one, whose rows are then in memory."""
        async with self._connections.use() as connection:
            held, *ids = sorted(each[0] for each in await connection.alone(_NEXT_PAGE, token, self._sent)) or [0]
            if held != -token:
                log.warning("relay.lease-lost")  # another relay has the rows; it sends them again, consumers drop them
                self._token, self._sent = None, []
                return []
            for each in self._sent:
                self._in_memory.pop(each, None)
            self._sent = []
            unknown = [each for each in ids if each not in self._in_memory]
            if unknown:
                found = await bulk.load(connection, Outbox, [(each,) for each in unknown])
                self._in_memory |= {row.id: _from_row(row) for row in found.values() if row.id is not None}
        if not ids and not self._wake.is_set():
            self._in_memory.clear()  # what another relay sent meanwhile
        return ids

    async def _send(self, messages: Sequence[Message]) -> None:
        producer = await self._current_producer()
        sent = [await producer.send(each.topic, each.value, key=each.key, headers=each.headers) for each in messages]
        failed = [
            each for each in await asyncio.gather(*sent, return_exceptions=True) if isinstance(each, BaseException)
        ]
        if failed:
            raise failed[0]

    async def _current_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.brokers,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                max_request_size=5 * MEBIBYTE,
                request_timeout_ms=20_000,
            )
            await self._producer.start()
        return self._producer

    async def _discard_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await asyncio.wait_for(producer.stop(), timeout=DISCARD_SECONDS)
        except (KafkaError, TimeoutError) as error:
            log.warning("relay.producer-stop", error=repr(error))
            await _abandon(producer)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=seconds)
        except TimeoutError:
            return


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer that cannot flush: left alone it would go on sending behind the back of its successor."""
    if producer._sender is not None:  # noqa: SLF001 - aiokafka has no way to stop without flushing
        await producer._sender.close()  # noqa: SLF001
    await producer.client.close()


async def unsent(connection: Connection) -> int:
    """How many events are decided but not yet on Kafka."""
    return int(await connection.scalar(select(func.count()).select_from(Outbox)) or 0)
