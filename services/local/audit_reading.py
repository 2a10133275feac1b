"""Reads every topic, every database and what the network did, and puts it aside slice by slice: one reader for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import orjson
from aiokafka import ConsumerRecord, TopicPartition

from contracts.customer_v1 import CustomerRecorded
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import BY_NAME
from services.local.audit_slices import Spool
from services.local.evidence import STATEMENTS, Contact
from services.local.records import batches, consumer

RECORD, CALL = "records", "calls"
OF_A_CALL = ("id", "version", "answer")
ROWS_AT_ONCE = 2000
CALLS_AT_ONCE = 5000
PARTITION_KEY = "ce_partitionkey"
OF_THE_WHOLE = frozenset({b"offer.published.v1", b"offer.withdrawn.v1", b"offer.withdrawn.v2"})
"""Events that each slice needs."""
LEARNED_FROM = (CustomerRecorded.type.encode(), SubscriptionChanged.type.encode())
JOB_FAILED = (b"case.opened.v1", b'"/jobs/')
"""The events that tell of a failed job: their type, and what stands in them."""

Ends = Mapping[str, Mapping[int, int]]
"""The offset behind the last record of each partition, by topic."""


@dataclass(frozen=True)
class Aside:
    """Where everything is put: a folder, and how many slices it has."""

    folder: Path
    slices: int

    def spool(self, reader: str) -> Spool:
        """Files of its own for a reader."""
        return Spool(self.folder, self.slices, reader)


@dataclass
class Learned:
    """What one reader learned that each slice needs: contacts of customers, and numbers of subscriptions."""

    contacts: set[Contact] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)


class Raw(NamedTuple):
    """A record as it was put aside, with what `decoded` reads of one."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def ends_of(bootstrap: str) -> dict[str, dict[int, int]]:
    """Where each partition ends now: so far is read."""
    return asyncio.run(_ends(bootstrap))


async def _ends(bootstrap: str) -> dict[str, dict[int, int]]:
    async with consumer(bootstrap) as client:
        ends = await client.end_offsets(
            [TopicPartition(topic.name, each) for topic in BY_NAME.values() for each in range(topic.partitions)]
        )
    found: dict[str, dict[int, int]] = {name: {} for name in BY_NAME}
    for place, end in ends.items():
        found[place.topic][place.partition] = end
    return found


def read_partition(aside: Aside, bootstrap: str, partition: int, ends: Ends) -> Learned:
    """Read one partition of every topic."""
    places = {TopicPartition(name, partition): of[partition] for name, of in ends.items() if partition in of}
    return asyncio.run(_read_partition(aside, bootstrap, f"topics-{partition}", places))


async def _read_partition(aside: Aside, bootstrap: str, reader: str, places: dict[TopicPartition, int]) -> Learned:
    learned = Learned()
    with aside.spool(reader) as spool:
        async for batch in batches(bootstrap, places):
            for record in batch:
                kind = put_record_aside(record, spool)
                _learn(kind, record.value, learned)
    return learned


def put_record_aside(record: ConsumerRecord[Any, Any] | Raw, spool: Spool) -> bytes | None:
    """Put a record aside under the key that its sequence counts for, and what each slice needs there too; its type."""
    headers = dict(record.headers)
    kind, value = headers.get("ce_type"), record.value
    item = (record.topic, record.partition, record.offset, record.timestamp, record.key, value, record.headers)
    spool.add(headers.get(PARTITION_KEY) or record.key or b"", RECORD, item)
    if kind in OF_THE_WHOLE or (kind == JOB_FAILED[0] and value and JOB_FAILED[1] in value):
        spool.add(None, RECORD, item)
    return kind


def _learn(kind: bytes | None, value: bytes | None, learned: Learned) -> None:
    """Note a customer's contact and a subscription's numbers, as far as they are there: it is validated when judged."""
    if kind not in LEARNED_FROM or value is None:
        return
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        event = orjson.loads(value)
        if kind == LEARNED_FROM[0]:
            customer = event["customer"]
            learned.contacts.add((str(customer["name"]), str(customer["phone"]), str(customer["email"])))
        else:
            learned.numbers.update(map(str, event["subscription"]["numbers"]))


def read_database(aside: Aside, service: str, url: str) -> Learned:
    """Read the tables of one service, as they are at one moment."""
    asyncio.run(_read_database(aside, service, url))
    return Learned()


async def _read_database(aside: Aside, service: str, url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("jsonb", encoder=str, decoder=orjson.loads, schema="pg_catalog")
        with aside.spool(f"database-{service}") as spool:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table, services, statement in STATEMENTS:
                    if service in services:
                        async for names, key, *values in _rows(connection, statement):
                            spool.add(None if key is None else key.encode(), table, (names, (service, *values)))
    finally:
        await connection.close()


async def _rows(connection: asyncpg.Connection, statement: str) -> AsyncIterator[tuple[Any, ...]]:
    """The rows of a statement, each behind the names of what is put aside of it: `service`, and all but the slice."""
    prepared = await connection.prepare(statement)
    names = ("service", *(each.name for each in prepared.get_attributes()[1:]))
    cursor = await prepared.cursor()
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        for row in rows:
            yield names, *row


def read_network(aside: Aside, url: str) -> Learned:
    """Read what the network did, a page at a time."""
    with aside.spool("network") as spool, httpx.Client(base_url=url, timeout=30) as client:
        after = 0
        while page := client.get("/calls", params={"after": after, "limit": CALLS_AT_ONCE}).raise_for_status().content:
            calls = orjson.loads(page)
            for call in calls:
                spool.add(call["id"].encode(), CALL, (OF_A_CALL, tuple(call[each] for each in OF_A_CALL)))
            after += len(calls)
            if len(calls) != CALLS_AT_ONCE:
                break
    return Learned()
