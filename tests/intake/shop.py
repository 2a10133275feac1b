"""A shop at intake's doors, customers with TRIO at 70.00, and what the other services say of their orders."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml
from sqlalchemy import text

from contracts.case_v1 import CaseDecided, Corrections, Decision
from contracts.event import Event
from contracts.invoice_v1 import Charge, ChargesStarted
from contracts.money import Money
from contracts.offer_v1 import Offer, OfferPublished
from contracts.order_v1 import Order, OrderConfirmed, OrderEvent
from contracts.subscription_v1 import ChangeHeld, Sale, Subscription, SubscriptionChanged, services_of
from services.chassis.ids import sha256
from services.chassis.service import Service
from tests.harness import OPERATOR_KEY, START, Publish, Topics, door, eventually, make_key

OFFERS = tuple(
    Offer.model_validate(each)
    for each in yaml.safe_load((Path(__file__).parents[2] / "deploy/demo/offers.yaml").read_text())["offers"]
    if each["code"] in {"TRIO", "TRIO-MAX"} and each["version"] == 2
)
TRIO = next(each for each in OFFERS if each.code == "TRIO")
GENT, LIEGE = "gent-calls", "liege-calls"
QUOTES: dict[str, dict[str, Any]] = {
    "telesales": {"monthly_total": {"amount": 8100, "currency": "EUR"}},
    "shop": {
        "monthly_total": {"amount": 7500, "currency": "EUR"},
        "promotion": {"monthly": {"amount": -600, "currency": "EUR"}, "months": 6},
    },
}


def euro(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def trio(line: str, version: int = 1) -> Subscription:
    return Subscription(
        id=line,
        customer_id=f"cust-of-{line}",
        version=version,
        offer=TRIO.ref,
        services=services_of(TRIO),
        contract_since=date(2026, 5, 11),
    )


def charged(line: str, version: int, amount: int, order_id: str | None = None) -> ChargesStarted:
    return ChargesStarted(
        order_id=order_id,
        subscription_id=line,
        customer_id=f"cust-of-{line}",
        subscription_version=version,
        charge=Charge(offer=TRIO.ref, monthly=euro(amount), since=date(2026, 5, 11)),
    )


@dataclass
class Shop:
    """Intake as two partners see it, who both sell in a shop and by telephone."""

    service: Service
    publish: Publish
    topics: Topics
    keys: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def opens(self) -> None:
        """Register the partners and let the offers be on sale."""
        async with door(self.service, OPERATOR_KEY) as client:
            for partner in (GENT, LIEGE):
                answer = await client.put(f"/v1/partners/{partner}", json={"agents": ["agent-21"]})
                assert answer.is_success, answer.text
        for partner in (GENT, LIEGE):
            self.keys[partner] = await make_key(self.service, "partner", partner, channels=["telesales", "shop"])
        await self.publish(*(OfferPublished(offer=each, published_at=START - timedelta(days=90)) for each in OFFERS))
        await eventually(lambda: self.has("SELECT count(*) = 2 FROM offer"))

    @asynccontextmanager
    async def at(self, partner: str = GENT) -> AsyncIterator[httpx.AsyncClient]:
        async with door(self.service, self.keys[partner]) as client:
            yield client

    async def has(self, statement: str, **values: object) -> Any:
        """One value of intake's database."""
        async with self.service.engine.connect() as connection:
            return await connection.scalar(text(statement), values)

    async def line(self) -> str:
        """A new customer's subscription to TRIO; returns its id."""
        line = f"sub-{next(self._numbers)}"
        imported = Sale(channel="telesales", sold_at=START - timedelta(days=60))
        await self.publish(
            SubscriptionChanged(subscription=trio(line), imported=imported, effective_at=START), charged(line, 1, 7000)
        )
        await self.knows(line, 1)
        return line

    async def knows(self, line: str, version: int) -> None:
        """Wait until intake knows what a customer has and pays."""
        known = "SELECT (subscription->>'version')::int = :v AND charged_version = :v FROM subscription WHERE id = :id"
        await eventually(lambda: self.has(known, v=version, id=line))

    # --- the partner -------------------------------------------------------------------------------------------------

    async def upload(self, content: bytes, partner: str = GENT) -> str:
        """Give a file to intake; returns its SHA-256."""
        async with self.at(partner) as client:
            answer = await client.put(f"/v1/evidence/{sha256(content)}", content=content)
        assert answer.is_success, answer.text
        return sha256(content)

    def body(self, line: str, evidence: str | None = None, **changes: Any) -> dict[str, Any]:
        """An order of TRIO-MAX at the published price, with a signed contract where a SHA-256 is given.

        The shop asks for evidence: otherwise it is a recording, which never is the customer's yes.
        """
        channel = changes.get("channel", "shop")
        proof = {"kind": changes.pop("kind", "signed-contract"), "reference": "C-1", "sha256": evidence}
        number = next(self._numbers)
        recording = {"kind": "recording", "reference": f"rec-{number}", "sha256": f"{number:064x}"}
        return {
            "partner_reference": f"GC-{number}",
            "agent": "agent-21",
            "channel": channel,
            "sold_at": (START - timedelta(minutes=3)).isoformat(),
            "language": "nl",
            "action": "modify",
            "subscription_id": line,
            "offer": "TRIO-MAX",
            "customer": {"id": f"cust-of-{line}"},
            "quote": QUOTES[channel],
            "evidence": proof if evidence else recording,
            **changes,
        }

    async def post(self, body: dict[str, Any], partner: str = GENT) -> httpx.Response:
        """Send an order; its reference is the idempotency key."""
        async with self.at(partner) as client:
            return await client.post("/v1/orders", json=body, headers={"Idempotency-Key": body["partner_reference"]})

    async def order(self, body: dict[str, Any], partner: str = GENT) -> dict[str, Any]:
        """Send an order that is taken; its view."""
        answer = await self.post(body, partner)
        assert answer.status_code == 201, answer.text
        view: dict[str, Any] = answer.json()
        return view

    async def becomes(self, order_id: str, state: str) -> dict[str, Any]:
        """Wait until an order is in a state; its view."""

        async def there() -> dict[str, Any] | None:
            async with self.at() as client:
                view: dict[str, Any] = (await client.get(f"/v1/orders/{order_id}")).json()
            return view if view["state"] == state else None

        view: dict[str, Any] = await eventually(there)
        return view

    # --- what intake said, and what others say ------------------------------------------------------------------------

    async def said(self, order_id: str, count: int) -> Sequence[OrderEvent]:
        """The events about an order, once there are that many."""

        async def enough() -> list[OrderEvent] | None:
            events: list[Event] = await self.topics.events("orders")
            mine = [each for each in events if isinstance(each, OrderEvent) and each.order.id == order_id]
            return mine if len(mine) >= count else None

        found: list[OrderEvent] = await eventually(enough)
        assert len(found) == count, [each.type for each in found]
        return found

    async def confirmed(self, order_id: str, count: int = 1) -> OrderConfirmed:
        """The last event about an order: that it may be carried out."""
        event = (await self.said(order_id, count))[-1]
        assert isinstance(event, OrderConfirmed)
        return event

    async def done(self, order: Order) -> None:
        """Let an order have been carried out and charged."""
        after = trio(order.subscription_id, 2)
        await self.publish(
            SubscriptionChanged(
                subscription=after, before=trio(order.subscription_id), order=order, effective_at=START
            ),
            charged(order.subscription_id, 2, 7000, order.id),
        )

    async def decides(
        self, held: dict[str, Any], decision: Decision, corrections: Corrections | None = None, reason: str = "so it is"
    ) -> None:
        """Let a reviewer have decided about all that a held order, as its view says, is held for."""
        await self.publish(
            CaseDecided(
                case_id=held["case_id"],
                order_id=held["id"],
                subscription_id=held["subscription_id"],
                decision=decision,
                codes=tuple(each["code"] for each in held["discrepancies"]),
                reason=reason,
                reviewer="rita",
                corrections=corrections,
                decided_at=START,
            )
        )

    async def stops(self, order: Order, version: int) -> None:
        """Let provisioning have done nothing, for it has this version of the subscription."""
        held = ChangeHeld(order_id=order.id, subscription_id=order.subscription_id, subscription_version=version)
        await self.publish(held)
