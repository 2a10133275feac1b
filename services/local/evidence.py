"""What the audit looks at: the records of all topics, rows of every service's database, and what the network did."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from contracts import offer_v1, offer_v2
from contracts.event import Event
from contracts.offer_v1 import OfferPublished, Publication
from contracts.subscription_v1 import SubscriptionChanged
from services.local.records import Record, read_all

Rows = list[dict[str, Any]]

Fault = tuple[str, str]
"""What it is about, and what is wrong."""

OF_ONE = {
    "orders": (
        "intake",
        'SELECT id, partner, partner_reference, subscription_id, state, case_id, confirmation_id, history FROM "order"',
    ),
    "idempotency": ("intake", "SELECT partner, key, order_id FROM idempotency"),
    "confirmations": ("intake", "SELECT id, order_id, answer FROM confirmation"),
    "contracts": (
        "intake",
        """SELECT e.sha256, e.partner, u.order_id
        FROM evidence e JOIN evidence_content c ON c.sha256 = e.sha256 JOIN evidence_use u ON u.sha256 = e.sha256
        WHERE encode(sha256(c.content), 'hex') = e.sha256""",
    ),
    "turns": ("intake", "SELECT id, holder FROM subscription"),
    "inventory": ("provisioning", "SELECT id, subscription FROM subscription"),
    "cases": ("review", 'SELECT id, state, order_id, partner, codes FROM "case"'),
    "reviewers": ("review", "SELECT holder, attributes FROM api_key WHERE role = 'reviewer'"),
    "lines": ("billing", "SELECT subscription_id, version, order_id, line FROM line ORDER BY subscription_id, number"),
}
"""What is read of one service."""

OF_EACH = {
    "published": "SELECT topic, key, sequence FROM published",
    "consumed": "SELECT source, topic, key, sequence FROM consumed",
    "jobs": "SELECT name, payload, failed_at IS NOT NULL AS failed FROM job",
    "letters": 'SELECT case_id, state, queue, topic, partition, "offset" FROM dead_letter',
    "parked": "SELECT queue FROM parked_key",
}
"""What is read of every service; each row then says of which, as `service`."""


@dataclass
class Evidence:
    """All that the audit looks at; the lists of rows are those of `OF_ONE` and `OF_EACH`."""

    records: list[Record]
    calls: Rows = field(default_factory=list)
    orders: Rows = field(default_factory=list)
    idempotency: Rows = field(default_factory=list)
    confirmations: Rows = field(default_factory=list)
    contracts: Rows = field(default_factory=list)
    turns: Rows = field(default_factory=list)
    inventory: Rows = field(default_factory=list)
    cases: Rows = field(default_factory=list)
    reviewers: Rows = field(default_factory=list)
    lines: Rows = field(default_factory=list)
    published: Rows = field(default_factory=list)
    consumed: Rows = field(default_factory=list)
    jobs: Rows = field(default_factory=list)
    letters: Rows = field(default_factory=list)
    parked: Rows = field(default_factory=list)

    def events(self, *kinds: type[Event]) -> Iterator[tuple[Record, Any]]:
        """The readable events of some kinds, each once: a repeat of an id is no second event."""
        seen: set[str] = set()
        for record in self.records:
            if record.envelope and isinstance(record.event, kinds) and record.envelope.id not in seen:
                seen.add(record.envelope.id)
                yield record, record.event

    def changes(self) -> dict[tuple[str, int], tuple[Record, SubscriptionChanged]]:
        """Every version that a subscription had, in their order, as it was told last."""
        found = {(event.subscription.id, event.subscription.version): (r, event) for r, event in self._changed()}
        return dict(sorted(found.items()))

    def _changed(self) -> Iterator[tuple[Record, SubscriptionChanged]]:
        return self.events(SubscriptionChanged)

    def publications(self) -> dict[str, list[Publication]]:
        """Every version of every offer by its code, from the topic `offers` alone."""
        found: dict[str, list[Publication]] = defaultdict(list)
        for _, event in self.events(OfferPublished, offer_v1.OfferWithdrawn, offer_v2.OfferWithdrawn):
            if isinstance(event, OfferPublished):
                found[event.offer.code].append(Publication(offer=event.offer, published_at=event.published_at))
                continue
            known = found[event.code]
            named = getattr(event, "versions", [each.offer.version for each in known])  # version 1 means all of them
            update = {"withdrawn_at": event.withdrawn_at}
            found[event.code] = [
                each.model_copy(update=update) if each.offer.version in named and not each.withdrawn_at else each
                for each in known
            ]
        return found


def gather(description: dict[str, Any], calls: Rows) -> Evidence:
    """Read every topic and every database of a stack; `calls` are what its network did."""
    records = read_all(description["kafka"])
    databases = {name: each["database"] for name, each in description["services"].items()}
    return Evidence(records, calls, **asyncio.run(_read_databases(databases)))


async def _read_databases(urls: dict[str, str]) -> dict[str, Rows]:
    found: dict[str, Rows] = {name: [] for name in (*OF_ONE, *OF_EACH)}
    for service, url in urls.items():
        connection = await asyncpg.connect(url)
        try:
            await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            mine = {name: statement for name, (of, statement) in OF_ONE.items() if of == service}
            for name, statement in (mine | OF_EACH).items():
                found[name] += [{"service": service, **row} for row in await connection.fetch(statement)]
        finally:
            await connection.close()
    return found
