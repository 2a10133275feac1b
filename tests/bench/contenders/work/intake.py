"""Intake's work within one session: take an order, and complete it once it is done and charged."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.offer_v1 import Publication
from contracts.order_v1 import Evidence, Order, OrderCompleted, OrderConfirmed, OrderHeld
from contracts.subscription_v1 import SubscriptionChanged
from services.intake.api.body import OrderForm
from services.intake.rules import Assessment, Facts, assess, step
from tests.bench.contenders.work.tables import (
    CustomerRow,
    EvidenceUseRow,
    IdempotencyRow,
    KnownSubscriptionRow,
    OfferRow,
    OrderRow,
    PartnerRow,
    now,
)

TABLES = (OfferRow, PartnerRow, CustomerRow, OrderRow, EvidenceUseRow, IdempotencyRow, KnownSubscriptionRow)


@dataclass
class Answer:
    """What a partner is answered, and what is to be published for it."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class UnknownKeyError(Exception):
    """Nobody has this key."""


def key_hash(authorization: str) -> str:
    """The hash of the key in an Authorization header."""
    return hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()


async def seller(session: AsyncSession, authorization: str) -> PartnerRow:
    """Whose key it is. Raises UnknownKeyError."""
    found = await session.scalar(select(PartnerRow).where(col(PartnerRow.key_sha256) == key_hash(authorization)))
    if found is None:
        raise UnknownKeyError
    return found


async def take(session: AsyncSession, form: OrderForm, raw: bytes, partner: PartnerRow, key: str) -> Answer:
    """Take an order once per idempotency key and once per partner reference; a replay gets the first answer."""
    body_sha256 = hashlib.sha256(raw).hexdigest()
    first = await session.get(IdempotencyRow, (partner.id, key))
    if first is not None:
        return replayed(first, body_sha256)
    same = await session.scalar(
        select(OrderRow).where(
            col(OrderRow.partner) == partner.id, col(OrderRow.partner_reference) == form.partner_reference
        )
    )
    if same is not None:
        return problem(409, "partner-reference.in-use", f"order {same.id} has this partner_reference")
    return await _taken(session, form, partner, key, body_sha256)


async def _taken(session: AsyncSession, form: OrderForm, partner: PartnerRow, key: str, body_sha256: str) -> Answer:
    at, customer = now(), customer_of(form, f"cust-{uuid.uuid4()}")
    order = order_of(form, partner.id, customer.id, (str(uuid.uuid4()), f"sub-{uuid.uuid4()}"), at)
    proves = await claim(session, order)
    order, assessment = judged(order, partner, await publications(session, order.offer_code), proves)
    row = order_row(order, assessment, at)
    answer = Answer(201, json.dumps(view(row)), {"Location": f"/v1/orders/{row.id}"})
    session.add(CustomerRow(id=customer.id, customer=customer.model_dump(mode="json")))
    session.add(row)
    session.add(KnownSubscriptionRow(id=order.subscription_id, holder=order.id, charges=[]))
    session.add(
        IdempotencyRow(
            partner=partner.id,
            key=key,
            body_sha256=body_sha256,
            order_id=order.id,
            answer=answer.body,
            created_at=at,
        )
    )
    answer.events = [CustomerRecorded(customer=customer), decided(order, assessment, at)]
    return answer


def replayed(first: IdempotencyRow, body_sha256: str) -> Answer:
    """The first answer again, if the body is the same."""
    if first.body_sha256 != body_sha256:
        return problem(422, "idempotency-key.reused", "this Idempotency-Key came with another body before")
    headers = {"Location": f"/v1/orders/{first.order_id}", "Idempotency-Replayed": "true"}
    return Answer(201, first.answer, headers)


def problem(status: int, code: str, detail: str, errors: list[Any] | None = None) -> Answer:
    """An answer that is not a success."""
    content = {"type": code, "status": status, "detail": detail, "errors": errors or []}
    return Answer(status, json.dumps(content), {"Content-Type": "application/problem+json"})


async def publications(session: AsyncSession, code: str | None) -> list[Publication]:
    """Every version of an offer."""
    rows = await session.scalars(select(OfferRow).where(col(OfferRow.code) == code))
    return [Publication.model_validate({"offer": row.offer, "published_at": row.published_at}) for row in rows]


def customer_of(form: OrderForm, new_id: str) -> Customer:
    """A new customer as the partner has her."""
    given = form.customer
    return Customer(
        id=given.id or new_id,
        name=given.name or "",
        email=given.email or "",
        phone=given.phone or "",
        language=form.language,
    )


def order_of(form: OrderForm, partner: str, customer_id: str, new_ids: tuple[str, str], at: datetime) -> Order:
    """The order as its consumers need it; `new_ids` are its own and that of a new subscription."""
    return Order(
        id=new_ids[0],
        partner=partner,
        partner_reference=form.partner_reference,
        agent=form.agent,
        channel=form.channel,
        action=form.action,
        customer_id=customer_id,
        subscription_id=form.subscription_id or new_ids[1],
        offer_code=form.offer,
        quote=form.quote,
        removals=form.removals,
        evidence=Evidence(**form.evidence.model_dump()) if form.evidence else None,
        sold_at=form.sold_at,
        received_at=at,
    )


async def claim(session: AsyncSession, order: Order) -> str | None:
    """Let evidence prove this order, unless it proves another already; returns the one that it proves."""
    if order.evidence is None:
        return None
    use = await session.get(EvidenceUseRow, order.evidence.sha256)
    if use is None:
        use = EvidenceUseRow(sha256=order.evidence.sha256, order_id=order.id, used_at=order.received_at)
        session.add(use)
    return use.order_id


def judged(
    order: Order, partner: PartnerRow, offers: list[Publication], proves: str | None
) -> tuple[Order, Assessment]:
    """The order with its offer and price, and every discrepancy; `proves`: the order that its evidence proves."""
    facts = Facts(publications=offers, channels=partner.channels, agents=partner.agents, evidence_proves=proves)
    assessment = assess(order, facts)
    found = {"offer": assessment.offer, "price": assessment.price, "attempt": 0 if assessment.discrepancies else 1}
    return order.model_copy(update=found), assessment


def decided(order: Order, assessment: Assessment, at: datetime) -> OrderConfirmed | OrderHeld:
    """A signed contract is the customer's yes; with a discrepancy a person looks."""
    if assessment.discrepancies:
        codes = tuple(each.code for each in assessment.discrepancies)
        return OrderHeld(order=order, case_id=str(uuid.uuid4()), codes=codes)
    return OrderConfirmed(order=order, confirmed_at=at, medium="signed-contract", attempt=order.attempt)


def order_row(order: Order, assessment: Assessment, at: datetime) -> OrderRow:
    """A new order as it is kept."""
    state = step("acknowledged", "held" if assessment.discrepancies else "pending")
    state = state if assessment.discrepancies else step(state, "inProgress")
    taken = {"state": "acknowledged", "at": at.isoformat(), "by": f"{order.partner}/{order.agent}", "reason": None}
    return OrderRow(
        id=order.id,
        partner=order.partner,
        partner_reference=order.partner_reference,
        subscription_id=order.subscription_id,
        customer_id=order.customer_id,
        state=state,
        order=order.model_dump(mode="json"),
        discrepancies=[each.model_dump(mode="json") for each in assessment.discrepancies],
        history=[taken, {"state": state, "at": at.isoformat(), "by": "intake", "reason": None}],
        created_at=at,
        updated_at=at,
    )


def view(row: OrderRow) -> dict[str, Any]:
    """An order as partners see it."""
    order = row.order
    return {
        "id": row.id,
        "partner_reference": row.partner_reference,
        "state": row.state,
        "waits_for": None,
        "action": order["action"],
        "customer_id": row.customer_id,
        "subscription_id": row.subscription_id,
        "reverses": None,
        "reversed_by": None,
        "offer": order["offer"],
        "price": order["price"],
        "discrepancies": row.discrepancies,
        "case_id": None,
        "history": row.history,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


async def keep_subscription(session: AsyncSession, event: SubscriptionChanged) -> list[Event]:
    """Keep what the customer has now, and complete the order if it is charged already."""
    if event.order is None:
        return []
    row = await session.get_one(OrderRow, event.order.id, with_for_update=True)
    known = await session.get_one(KnownSubscriptionRow, event.subscription.id, with_for_update=True)
    known.subscription = event.subscription.model_dump(mode="json")
    row.changed_version = event.subscription.version
    return _completed(row, known)


async def keep_charges(session: AsyncSession, event: ChargesStarted) -> list[Event]:
    """Keep what the customer pays from now on, and complete the order if it is done already."""
    row = await session.get_one(OrderRow, event.order_id, with_for_update=True)
    known = await session.get_one(KnownSubscriptionRow, event.subscription_id, with_for_update=True)
    charge = [event.charge.model_dump(mode="json")] if event.charge else []
    known.charges, known.charged_version = [*known.charges, *charge], event.subscription_version
    row.charged_version = event.subscription_version
    return _completed(row, known)


def _completed(row: OrderRow, known: KnownSubscriptionRow) -> list[Event]:
    if row.changed_version is None or row.changed_version != row.charged_version:
        return []
    at = now()
    row.state, row.updated_at = step("inProgress", "completed"), at
    row.history = [*row.history, {"state": "completed", "at": at.isoformat(), "by": "intake", "reason": None}]
    known.holder = None
    return [OrderCompleted(order=Order.model_validate(row.order), completed_at=at)]
