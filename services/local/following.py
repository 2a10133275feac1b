"""Follows topics and prints events so that a person can read them."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition
from rich.console import Console
from rich.text import Text

from contracts.case_v1 import CaseClosed, CaseDecided, DecisionRefused
from contracts.dead_letter_v1 import MessageDeadLettered
from contracts.event import REGISTRY, Event
from contracts.invoice_v1 import ChargesStarted
from contracts.money import Money
from contracts.notice_v1 import NoticeEvent
from contracts.offer_v1 import OfferPublished, OfferRef
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import BY_NAME
from services.local.records import Record, consumer, decoded

COLOURS = {
    "offers": "yellow",
    "customers": "white",
    "orders": "cyan",
    "subscriptions": "blue",
    "invoices": "green",
    "commissions": "green",
    "notices": "white",
    "cases": "magenta",
    "dead-letters": "red",
}
TYPE_WIDTH, ID_WIDTH = 32, 36  # of the longest type and of the ids that we make
WIDE = 130  # columns of a screen on which most events are one line
END = None

TYPES = tuple(sorted(each.partition(".v")[0] for each in REGISTRY))
"""The types of all events, without their versions."""

Queue = queue.Queue[Record | Exception | None]


class UnreachableError(Exception):
    """Kafka cannot be read; the message says where it was looked for."""


@dataclass(frozen=True)
class Wanted:
    """What to show: which topics, from how long ago, of which types (all without), and what a record must name."""

    topics: tuple[str, ...]
    since: timedelta
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def has(self, record: Record) -> bool:
        """Whether a record is to be shown: a type stands for all its versions, a name in key or value for itself."""
        told = record.envelope.type if record.envelope else ""
        if self.types and not any(told == each or told.startswith(f"{each}.v") for each in self.types):
            return False
        content = b"\n".join((record.key or b"", record.value or b""))
        return all(each.encode() in content for each in self.names)


def is_type(name: str) -> bool:
    """Whether there are events of this type, named with its version or without."""
    return name in TYPES or name in REGISTRY


def follow(bootstrap: str, wanted: Wanted, *, forever: bool) -> Iterator[Record]:
    """Yield records in the order of their arrival, and new ones for ever; or up to the end as of now.

    Raises UnreachableError.
    """
    found: Queue = queue.Queue(maxsize=1000)

    def read() -> None:
        try:
            asyncio.run(_read(bootstrap, wanted, found, forever=forever))
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread that shows has to hear of it
            found.put(error)

    threading.Thread(target=read, daemon=True).start()
    while (record := found.get()) is not END:
        if isinstance(record, Exception):
            message = f"Kafka at {bootstrap} cannot be read: {record}"
            raise UnreachableError(message) from record
        yield record


async def _read(bootstrap: str, wanted: Wanted, found: Queue, *, forever: bool) -> None:
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
    """Print one record on a line, on a narrow screen on two; an unreadable one is shown as bytes."""
    if as_json:
        console.print(json.dumps(_described(record)), soft_wrap=True, highlight=False, markup=False)
        return
    envelope = record.envelope
    time = Text(f"{envelope.time:%Y-%m-%d %H:%M:%S}" if envelope else f"{'?':<19}", style="dim")
    told = Text(envelope.type if envelope else "unreadable", style=COLOURS[record.topic])
    about = Text((envelope.subject if envelope else "") or "")
    place = Text(record.place, style="dim")
    if console.is_terminal and console.width < WIDE:
        lines = [_beside(time, told, place), _beside(Text("  "), about, _brief(record))]
    else:
        told.pad_right(TYPE_WIDTH - len(told))
        about.pad_right(ID_WIDTH - len(about))
        lines = [_beside(time, Text(" ").join((told, about)), _brief(record), place)]
    console.print(Text("\n").join(lines), soft_wrap=True, highlight=False)


def _beside(*parts: Text) -> Text:
    return Text("  ").join(parts)


def _described(record: Record) -> dict[str, object]:
    """The record for programs: where it lies, what its headers say where they are readable, and its value."""
    envelope = record.envelope
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    headers = {} if envelope is None else asdict(envelope) | {"time": f"{envelope.time:%Y-%m-%dT%H:%M:%S.%fZ}"}
    return place | headers | {"value": _json(record)}


def _json(record: Record) -> object:
    if record.event is not None:
        return record.event.model_dump(mode="json")
    return None if record.value is None else record.value.decode("utf-8", "backslashreplace")


def _brief(record: Record) -> Text:
    """What a person wants to know of it, in a few words; what was found wrong stands out."""
    event = record.event
    if event is None:
        return Text("no value" if record.value is None else repr(record.value)[:100], style="red")
    codes = getattr(event, "codes", ()) or [each.code for each in getattr(event, "discrepancies", ())]
    reason = str(getattr(event, "reason", "") or "")[:80]
    parts = (*map(Text, _parts(event)), Text(", ".join(codes), style="bold red"), Text(reason, style="italic"))
    return _beside(*filter(None, parts))


def _parts(event: Event) -> Iterator[str]:
    order = getattr(event, "order", None)
    if isinstance(event, OfferPublished):
        yield f"v{event.offer.version} {_money(event.offer.monthly)} a month"
    elif isinstance(event, SubscriptionChanged):
        yield f"version {event.subscription.version}: {_named(event.subscription.offer)}"
    elif isinstance(event, ChargesStarted):
        charge = event.charge
        yield f"{_named(charge.offer)} {_money(charge.monthly)} a month" if charge else "nothing any more"
    elif isinstance(event, NoticeEvent):
        yield f"{event.kind} to the {event.recipient} by {event.medium}"
    elif isinstance(event, CaseDecided):
        yield f"{event.decision} by {event.reviewer}"
    elif isinstance(event, DecisionRefused):
        yield f"{event.decision} by {event.reviewer}, refused by {event.refused_by}"
    elif isinstance(event, CaseClosed):
        yield f"{event.outcome} by {event.by}"
    elif isinstance(event, MessageDeadLettered):
        yield f"{event.topic}/{event.partition}/{event.offset} in {event.service}: {event.code}"
    elif order is not None:
        yield " ".join(filter(None, (order.action, order.offer_code, f"{order.partner}/{order.agent}")))


def _named(offer: OfferRef) -> str:
    return f"{offer.code} v{offer.version}"


def _money(money: Money) -> str:
    return f"{money.amount / 100:.2f} {money.currency}"
