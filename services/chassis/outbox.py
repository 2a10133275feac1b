"""What is decided but not yet on Kafka, and the one active relay that publishes it in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.event import Envelope, Event
from contracts.topics import BY_EVENT, MEBIBYTE
from services.chassis import telemetry
from services.chassis.clock import Clock
from services.chassis.database import Lease, Outbox, is_infrastructure
from services.chassis.ids import new_id
from services.chassis.settings import Settings

if TYPE_CHECKING:
    from services.chassis.transaction import Pending

log = structlog.get_logger()

PAGE = 500
RECORD_OVERHEAD = 8 * 1024
IDLE_POLL_SECONDS = 0.5

_NUMBER = text("""
    INSERT INTO published (topic, key, sequence)
    SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:counts AS bigint[])) ORDER BY 1, 2
    ON CONFLICT (topic, key) DO UPDATE SET sequence = published.sequence + excluded.sequence
    RETURNING topic, key, sequence
""")


class EventTooLargeError(ValueError):
    """An event does not fit on its topic; found before anything is written."""


class EmptyKeyError(ValueError):
    """An event without a key: it would have no order."""


async def write(connection: AsyncConnection, service: str, events: Sequence[Pending]) -> None:
    """Give the events their sequences and write them to the outbox.

    The key's row in `published` is locked first, in key order, so that the order on the topic is the order of commits.
    """
    if not events:
        return
    places = [(BY_EVENT[type(each.event)].name, each.event.key) for each in events]
    counts = sorted(Counter(places).items())
    result = await connection.execute(
        _NUMBER,
        {
            "topics": [topic for (topic, _), _ in counts],
            "keys": [key for (_, key), _ in counts],
            "counts": [count for _, count in counts],
        },
    )
    last = {(topic, key): sequence for topic, key, sequence in result}
    following = {place: last[place] - count + 1 for place, count in counts}
    rows = []
    for each, place in zip(events, places, strict=True):
        headers = _envelope(service, each, place[1], following[place]).headers()
        following[place] += 1
        rows.append({"topic": place[0], "key": place[1], "headers": [[n, v.decode()] for n, v in headers], "value": each.value})
    await connection.execute(insert(Outbox), rows)


def checked(event: Event) -> bytes:
    """Return an event's value. Raises EventTooLargeError or EmptyKeyError for one that cannot be published."""
    if not event.key:
        message = f"{event.type} {event.subject} has no key"
        raise EmptyKeyError(message)
    value = event.to_value()
    limit = BY_EVENT[type(event)].max_message_bytes - RECORD_OVERHEAD
    if len(value) > limit:
        message = f"{event.type} {event.subject}: {len(value)} bytes, at most {limit} fit"
        raise EventTooLargeError(message)
    return value


def _envelope(service: str, pending: Pending, key: str, sequence: int) -> Envelope:
    cause = pending.cause
    return Envelope(
        id=pending.id,
        source=service,
        type=pending.event.type,
        time=pending.time,
        subject=pending.event.subject,
        key=key,
        sequence=sequence,
        correlation_id=cause.correlation_id or pending.id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
    )


class Relay:
    """Publishes the outbox in order, page by page; only the holder of the lease does, all others wait."""

    def __init__(self, settings: Settings, engine: AsyncEngine, clock: Clock) -> None:
        """Nothing is done until `run`."""
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._holder = new_id()
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._token: int | None = None
        self._renew_at = 0.0

    def wake(self) -> None:
        """Something was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Relay until cancelled; what is away is waited for."""
        try:
            while True:
                if not await self._turn():
                    await self._sleep(IDLE_POLL_SECONDS)
        finally:
            await self._discard_producer()

    async def _turn(self) -> bool:
        """Relay one page; returns whether there may be more."""
        self._wake.clear()
        try:
            if self._token is None or self._clock.monotonic() >= self._renew_at:
                self._token = await self._hold_lease()
                self._renew_at = self._clock.monotonic() + self._settings.lease / 3
            return self._token is not None and await self._page(self._token)
        except KafkaError as error:
            # A producer that failed once must not send again: a later row would overtake the failed one.
            log.warning("relay.broker-away", error=repr(error))
            await self._discard_producer()
            await asyncio.sleep(IDLE_POLL_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            if not is_infrastructure(error):
                raise
            log.warning("relay.database-away", error=repr(error))
            await asyncio.sleep(IDLE_POLL_SECONDS)
        return True

    async def _hold_lease(self) -> int | None:
        real = self._clock.real()
        until = real + timedelta(seconds=self._settings.lease)
        async with self._engine.begin() as connection:
            result = await connection.execute(
                text("""
                    INSERT INTO lease (name, holder, token, until) VALUES ('relay', :holder, 1, :until)
                    ON CONFLICT (name) DO UPDATE SET holder = :holder, until = :until,
                        token = lease.token + CASE WHEN lease.holder = :holder THEN 0 ELSE 1 END
                    WHERE lease.holder = :holder OR lease.until < :real
                    RETURNING token
                """),
                {"holder": self._holder, "until": until, "real": real},
            )
            return result.scalar()

    async def _page(self, token: int) -> bool:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(Outbox).order_by(Outbox.id).limit(PAGE))).mappings().all()  # type: ignore[arg-type]
        if not rows:
            return False
        await self._send(rows)
        async with self._engine.begin() as connection:
            held = await connection.scalar(select(Lease.token).where(Lease.name == "relay").with_for_update())  # type: ignore[arg-type]
            if held != token:
                log.warning("relay.lease-lost")  # another relay has the rows; it sends them again and consumers drop them
                self._token = None
                return False
            await connection.execute(delete(Outbox).where(Outbox.id.in_([row["id"] for row in rows])))  # type: ignore[union-attr]
        telemetry.RELAYED.inc(len(rows))
        return True

    async def _send(self, rows: Sequence[Any]) -> None:
        producer = await self._current_producer()
        sent = []
        for row in rows:
            headers = [(name, value.encode()) for name, value in row["headers"]]
            sent.append(await producer.send(row["topic"], row["value"], key=row["key"].encode(), headers=headers))
        failed = [each for each in await asyncio.gather(*sent, return_exceptions=True) if isinstance(each, BaseException)]
        if failed:
            raise failed[0]

    async def _current_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.brokers,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                max_request_size=5 * MEBIBYTE,
                request_timeout_ms=20_000,
            )
            await producer.start()
            self._producer = producer
        return self._producer

    async def _discard_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), timeout=5)
            except (KafkaError, TimeoutError) as error:
                log.warning("relay.producer-stop", error=repr(error))

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=seconds)
        except TimeoutError:
            return


async def unsent(connection: AsyncConnection) -> int:
    """How many events are decided but not yet on Kafka."""
    return int(await connection.scalar(select(func.count()).select_from(Outbox)) or 0)
