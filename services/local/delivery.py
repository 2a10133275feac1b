"""The audit of delivery: what was decided lies on the topics once, in order, and came to whoever consumes it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from contracts.commission_v1 import CommissionHeld
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.notice_v1 import NoticeSent
from contracts.offer_v1 import OfferPublished
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import BY_NAME, SERVICES, consumed_by
from services.local.evidence import Evidence, Fault
from services.local.records import Record

Place = tuple[str, str, str]
"""Source, topic and key: where sequences count."""


def sequences(evidence: Evidence) -> Iterator[Fault]:
    """Per source, topic and key the sequences rise, without gaps, in the order in which they lie on the topic."""
    reached: dict[Place, int] = defaultdict(int)
    for record, where, sequence in _counted(evidence):
        before, reached[where] = reached[where], max(reached[where], sequence)
        if sequence <= before:
            yield record.place, f"sequence {sequence} of {where[2]} lies behind {before}"
        elif BY_NAME[record.topic].gapless and sequence != before + 1:
            yield record.place, f"sequence {sequence} of {where[2]} follows {before}"


def _counted(evidence: Evidence) -> Iterator[tuple[Record, Place, int]]:
    """The records that count for the sequence of a key, each once."""
    seen: set[str] = set()
    for record in evidence.records:
        envelope = record.envelope
        if envelope is None or envelope.sequence is None or envelope.key is None or envelope.id in seen:
            continue
        if envelope.source in BY_NAME[record.topic].writers and record.event is not None:
            seen.add(envelope.id)
            yield record, (envelope.source, record.topic, envelope.key), envelope.sequence


def delivered(evidence: Evidence) -> Iterator[Fault]:
    """What was decided lies on its topic, and whoever consumes it has got that far."""
    reached: dict[Place, int] = defaultdict(int)
    wanted: dict[tuple[str, Place], int] = defaultdict(int)
    consumers: dict[type[Event | None], list[str]] = defaultdict(list)
    for service in SERVICES:
        for _, kind in consumed_by(service):
            consumers[kind].append(service)
    for record, where, sequence in _counted(evidence):
        reached[where] = max(reached[where], sequence)
        for service in consumers[type(record.event)]:
            wanted[service, where] = max(wanted[service, where], sequence)
    for row in evidence.published:
        there = reached[row["service"], row["topic"], row["key"]]
        if BY_NAME[row["topic"]].gapless and there != row["sequence"]:
            yield f"{row['topic']} {row['key']}", f"{row['service']} decided {row['sequence']} events, {there} came"
    got = {(row["service"], (row["source"], row["topic"], row["key"])): row["sequence"] for row in evidence.consumed}
    for (service, where), sequence in wanted.items():
        if got.get((service, where), 0) < sequence:
            yield f"{where[1]} {where[2]}", f"{service} consumed {got.get((service, where), 0)} of {sequence} events"


def once(evidence: Evidence) -> Iterator[Fault]:
    """No effect happens twice: change, charge, commission, notice, activation; and a published offer never changes.

    A change that is said again, because a reviewer sent its order again, is the same change.
    """
    told = [event.subscription for _, event in evidence.events(SubscriptionChanged)]
    changes = {(each.id, each.version, each.model_dump_json()) for each in told}
    offers = {(e.offer.code, e.offer.version, e.offer.model_dump_json()) for _, e in evidence.events(OfferPublished)}
    for what, counted in {
        "changed": Counter(f"{name} version {version}" for name, version, _ in changes),
        "charged": Counter(
            f"{e.subscription_id} version {e.subscription_version}" for _, e in evidence.events(ChargesStarted)
        ),
        "paid a commission": Counter(e.order_id for _, e in evidence.events(CommissionHeld)),
        "told": Counter(e.notice_id for _, e in evidence.events(NoticeSent)),
        "activated": Counter(f"{call['id']} version {call['version']}" for call in evidence.calls),
        "published": Counter(f"{code} version {version}" for code, version, _ in offers),
    }.items():
        for about, count in counted.items():
            if count > 1:
                yield about, f"was {what} {count} times"
