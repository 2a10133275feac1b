"""One record of each type, of the size that ours has, made by the contracts and rules themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from contracts.commission_v1 import CommissionHeld
from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.event import Envelope, Event
from contracts.invoice_v1 import ChargesStarted
from contracts.money import Money
from contracts.notice_v1 import NoticeSent
from contracts.offer_v1 import Offer, Publication, brussels_day
from contracts.order_v1 import Evidence, Order, OrderCompleted, OrderConfirmed, Quote
from contracts.subscription_v1 import SubscriptionChanged
from contracts.topics import BY_EVENT
from services.billing.rules import Started, decide
from services.intake.rules import Facts, assess
from services.provisioning.rules import Change, change
from tests.bench.contenders.work import demo
from tests.bench.contenders.work.tables import now


@dataclass(frozen=True)
class Sample:
    """A record but for its key."""

    topic: str
    value: bytes
    headers: list[tuple[str, bytes]]


def samples() -> dict[str, Sample]:
    """One of each type, by type."""
    return {
        event.type: Sample(f"pipe.{BY_EVENT[type(event)].name}", event.to_value(), _headers(event))
        for event in _events()
    }


def _events() -> Iterator[Event]:
    """The events of one order."""
    at, order, offer = now(), *_order()
    customer = Customer(
        id=order.customer_id, name="Evening 1000", email="evening-1000@example.org", phone="+32490001000", language="fr"
    )
    yield CustomerRecorded(customer=customer)
    yield OrderConfirmed(order=order, confirmed_at=at, medium="signed-contract", attempt=1)
    planned = change(None, order, offer.offer, brussels_day(at))
    assert isinstance(planned, Change)
    changed = SubscriptionChanged(subscription=planned.after, order=order, effective_at=at)
    yield changed
    started = decide(changed, [offer], [])
    assert isinstance(started, Started)
    about = {"order_id": order.id, "subscription_id": order.subscription_id}
    yield ChargesStarted(
        customer_id=order.customer_id,
        subscription_version=1,
        charge=started.entry.charge,
        one_off=started.one_off,
        **about,
    )
    yield OrderCompleted(order=order, completed_at=at)
    yield CommissionHeld(
        partner=order.partner, agent=order.agent, commission=Money(amount=6500, currency="EUR"), **about
    )
    yield NoticeSent(
        notice_id=str(uuid.uuid4()),
        kind="completed",
        recipient="customer",
        medium="email",
        language="fr",
        sent_at=at,
        sha256="0" * 64,
        **about,
    )


def _order() -> tuple[Order, Publication]:
    row = next(each for each in demo.offers() if each.code == "FIBRE")
    offer, at = Publication(offer=Offer.model_validate(row.offer), published_at=row.published_at), now()
    total, once = Money(amount=6000, currency="EUR"), Money(amount=5000, currency="EUR")
    order = Order(
        id=str(uuid.uuid4()),
        partner=demo.SELLER,
        partner_reference="EVENING-1000",
        agent="agent-21",
        channel="shop",
        action="add",
        customer_id=f"cust-{uuid.uuid4()}",
        subscription_id=f"sub-{uuid.uuid4()}",
        offer_code="FIBRE",
        quote=Quote(monthly_total=total, one_off=once),
        evidence=Evidence(kind="signed-contract", reference="contract-1000", sha256="0" * 64),
        sold_at=at - timedelta(minutes=1),
        received_at=at,
        attempt=1,
    )
    facts = Facts(publications=[offer], channels=["shop"], agents=["agent-21"], evidence_proves=order.id)
    judged = assess(order, facts)
    assert not judged.discrepancies
    return order.model_copy(update={"offer": judged.offer, "price": judged.price}), offer


def _headers(event: Event) -> list[tuple[str, bytes]]:
    envelope = Envelope(
        id=str(uuid.uuid4()),
        source=BY_EVENT[type(event)].writers[0],
        type=event.type,
        time=now(),
        subject=event.subject,
        key=event.key,
        sequence=1,
        correlation_id=str(uuid.uuid4()),
        causation_id=str(uuid.uuid4()),
        traceparent=f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
    )
    return envelope.headers()
