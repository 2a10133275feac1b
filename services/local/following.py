"""Follows topics and prints events so that a person can read them."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition
from rich.console import Console
from rich.text import Text

from contracts.topics import BY_NAME
from services.local.records import Record, consumer, decoded

COLOURS = {"orders": "cyan", "dead-letters": "red", "cases": "magenta", "invoices": "green", "subscriptions": "blue"}
END = None


@dataclass(frozen=True)
class Wanted:
    """What to show: which topics, from how long ago, and only one order or all."""

    topics: tuple[str, ...]
    since: timedelta
    order: str | None

    def has(self, record: Record) -> bool:
        """Whether a record is to be shown."""
        return self.order is None or self.order.encode() in (record.value or b"")


def follow(bootstrap: str, wanted: Wanted, *, forever: bool) -> Iterator[Record]:
    """Yield records in the order of their arrival, and new ones for ever; or up to the end as of now."""
    found: queue.Queue[Record | None] = queue.Queue(maxsize=1000)

    def read() -> None:
        asyncio.run(_read(bootstrap, wanted, found, forever=forever))

    threading.Thread(target=read, daemon=True).start()
    while (record := found.get()) is not END:
        yield record


async def _read(bootstrap: str, wanted: Wanted, found: queue.Queue[Record | None], *, forever: bool) -> None:
    async with consumer(bootstrap) as client:
        places = [TopicPartition(name, each) for name in wanted.topics for each in range(BY_NAME[name].partitions)]
        client.assign(places)
        begin = int((datetime.now(UTC) - wanted.since).timestamp() * 1000)
        ends = await client.end_offsets(places)
        for place, at in (await client.offsets_for_times(dict.fromkeys(places, begin))).items():
            client.seek(place, at.offset if at else ends[place])
        while True:
            batches = await client.getmany(timeout_ms=300, max_records=500)
            records = sorted((decoded(each) for batch in batches.values() for each in batch), key=_arrival)
            for record in filter(wanted.has, records):
                await asyncio.to_thread(found.put, record)
            if not forever and all([await client.position(place) >= end for place, end in ends.items()]):
                await asyncio.to_thread(found.put, END)
                return


def _arrival(record: Record) -> tuple[int, str, int]:
    return record.timestamp_ms, record.topic, record.offset


def show(record: Record, console: Console, *, as_json: bool) -> None:
    """Print one record on a line; an unreadable one is shown as bytes."""
    envelope = record.envelope
    if as_json:
        body = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "value": _json(record)}
        named = {"type": envelope.type, "id": envelope.id} if envelope else {}
        console.print(json.dumps(body | named), soft_wrap=True, highlight=False, markup=False)
        return
    line = Text(f"{record.place:<24}", style="dim")
    line.append(f"{envelope.time:%Y-%m-%d %H:%M:%S} " if envelope else f"{'unreadable':<20}", style="dim")
    line.append(f"{envelope.type if envelope else '?':<28}", style=COLOURS.get(record.topic, "white"))
    line.append(f"{(envelope.subject if envelope else '') or '':<38} ")
    line.append(_brief(record))
    console.print(line, soft_wrap=True, highlight=False)


def _json(record: Record) -> object:
    if record.event is not None:
        return record.event.model_dump(mode="json")
    return None if record.value is None else record.value.decode("utf-8", "backslashreplace")


def _brief(record: Record) -> str:
    if record.event is None:
        return repr(record.value)[:100]
    order = getattr(record.event, "order", None)
    codes = getattr(record.event, "codes", None) or [each.code for each in getattr(record.event, "discrepancies", ())]
    parts = [
        f"{order.action} {order.offer_code or ''} {order.partner}/{order.agent}" if order else "",
        ", ".join(codes),
        str(getattr(record.event, "reason", "") or "")[:80],
    ]
    return "  ".join(part for part in parts if part)
