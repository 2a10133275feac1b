"""What the audit looks at: the records of all topics, rows of every service's database, and what the network did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from heapq import merge
from itertools import chain
from typing import Any

from contracts import offer_v1, offer_v2
from contracts.event import Event
from contracts.offer_v1 import Offer, OfferPublished, Publication
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import SERVICES
from services.local.records import Record

Rows = list[dict[str, Any]]

Contact = tuple[str, str, str]
"""A customer's name, phone and e-mail address."""

Fault = tuple[str, str]
"""What it is about, and what is wrong."""

STATEMENTS = (
    (
        "orders",
        ("intake",),
        """SELECT subscription_id AS slice, id, partner, subscription_id, state, case_id, confirmation_id, history
        FROM "order" o""",
    ),
    (
        "references",
        ("intake",),
        """SELECT partner || ' ' || partner_reference AS slice, partner, partner_reference FROM "order" o""",
    ),
    (
        "idempotency",
        ("intake",),
        """SELECT coalesce(o.subscription_id, i.order_id) AS slice, i.partner, i.key, i.order_id
        FROM idempotency i LEFT JOIN "order" o ON o.id = i.order_id""",
    ),
    (
        "confirmations",
        ("intake",),
        """SELECT coalesce(o.subscription_id, c.order_id) AS slice, c.id, c.order_id, c.answer
        FROM confirmation c LEFT JOIN "order" o ON o.id = c.order_id""",
    ),
    (
        "contracts",
        ("intake",),
        """WITH held AS MATERIALIZED (
            SELECT e.sha256, e.partner, u.order_id
            FROM evidence e JOIN evidence_content c ON c.sha256 = e.sha256 JOIN evidence_use u ON u.sha256 = e.sha256
            WHERE encode(sha256(c.content), 'hex') = e.sha256
        )
        SELECT o.subscription_id AS slice, held.* FROM held JOIN "order" o ON o.id = held.order_id
        UNION ALL
        SELECT o.subscription_id, held.* FROM held
        JOIN "order" o ON o."order" -> 'evidence' ->> 'sha256' = held.sha256 AND o.id <> held.order_id""",
    ),
    ("turns", ("intake",), "SELECT id AS slice, id, holder FROM subscription"),
    (
        "jobs",
        ("intake",),
        """SELECT coalesce(o.subscription_id, c.order_id, j.id) AS slice, j.name, j.payload, false AS failed
        FROM job j
        LEFT JOIN confirmation c ON c.id = j.payload ->> 'confirmation_id'
        LEFT JOIN "order" o ON o.id = coalesce(j.payload ->> 'order_id', c.order_id)
        WHERE j.failed_at IS NULL""",
    ),
    ("jobs", SERVICES, "SELECT NULL AS slice, name, true AS failed FROM job WHERE failed_at IS NOT NULL"),
    ("inventory", ("provisioning",), "SELECT id AS slice, id, subscription FROM subscription"),
    (
        "cases",
        ("review",),
        """SELECT coalesce(nullif("case" ->> 'subscription_id', ''), id) AS slice, id, state, order_id, partner, codes
        FROM "case" c""",
    ),
    (
        "cases",
        ("review",),
        """SELECT NULL AS slice, id, state FROM "case"
        WHERE state IN ('open', 'awaiting_partner', 'awaiting_approval', 'decided')""",
    ),
    ("reviewers", ("review",), "SELECT NULL AS slice, holder, attributes FROM api_key WHERE role = 'reviewer'"),
    (
        "lines",
        ("billing",),
        """SELECT subscription_id AS slice, subscription_id, version, order_id, line
        FROM line ORDER BY subscription_id, number""",
    ),
    ("published", SERVICES, "SELECT key AS slice, topic, key, sequence FROM published"),
    ("consumed", SERVICES, "SELECT key AS slice, source, topic, key, sequence FROM consumed"),
    ("letters", SERVICES, 'SELECT NULL AS slice, case_id, state, queue, topic, partition, "offset" FROM dead_letter'),
    ("parked", SERVICES, "SELECT NULL AS slice, queue FROM parked_key"),
)
"""What is read into which rows, and of which services; each row then says of which, as `service`.

`slice` is the key under which the topics tell about the same: what is judged together comes together (NULL: the whole).
"""


@dataclass(frozen=True)
class People:
    """What on file is personal: names, phones and e-mail addresses; a subscription's number is no secret of hers."""

    texts: frozenset[bytes] = frozenset()
    addresses: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, contacts: Iterable[Contact], numbers: AbstractSet[str]) -> People:
        """Those of some customers, given every number that a subscription has."""
        texts, addresses = set(), set()
        for name, phone, email in contacts:
            texts |= {name} if phone in numbers else {name, phone}
            addresses.add(email)
        return cls(frozenset(each.encode() for each in texts), frozenset(each.encode() for each in addresses))


@dataclass
class Evidence:
    """What the audit looks at: a slice of all there is, or the whole of it.

    The lists of rows are those of `STATEMENTS`. Offers and people are always all there are.
    """

    records: list[Record] = field(default_factory=list)
    offers: list[Record] = field(default_factory=list)
    people: People = field(default_factory=People)
    calls: Rows = field(default_factory=list)
    orders: Rows = field(default_factory=list)
    references: Rows = field(default_factory=list)
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
        """The readable events of some kinds, in their order, each once: a repeat of an id is no second event."""
        wanted = [each for kind, each in self._by_kind.items() if issubclass(kind, kinds)]
        return ((record, record.event) for _, record in (merge(*wanted) if len(wanted) > 1 else chain(*wanted)))

    @cached_property
    def _by_kind(self) -> dict[type[Event], list[tuple[int, Record]]]:
        """The readable records of each kind of event, with their numbers."""
        found: dict[type[Event], list[tuple[int, Record]]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        for number, record in enumerate(self.records):
            if record.envelope is None or record.event is None:
                continue
            what = (record.envelope.type, record.envelope.id)
            if what not in seen:
                seen.add(what)
                found[type(record.event)].append((number, record))
        return found

    def changes(self) -> dict[tuple[str, int], tuple[Record, SubscriptionChanged]]:
        """Every version that a subscription had, in their order, as it was told last."""
        found = {(event.subscription.id, event.subscription.version): (r, event) for r, event in self._changed()}
        return dict(sorted(found.items()))

    def _changed(self) -> Iterator[tuple[Record, SubscriptionChanged]]:
        return self.events(SubscriptionChanged)

    def published_offers(self) -> dict[tuple[str, int], Offer]:
        """Every version of every offer by its code and number."""
        events = Evidence(self.offers).events(OfferPublished)
        return {(event.offer.code, event.offer.version): event.offer for _, event in events}

    def publications(self) -> dict[str, list[Publication]]:
        """Every version of every offer by its code, from the topic `offers` alone."""
        found: dict[str, list[Publication]] = defaultdict(list)
        for _, event in Evidence(self.offers).events(OfferPublished, offer_v1.OfferWithdrawn, offer_v2.OfferWithdrawn):
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
