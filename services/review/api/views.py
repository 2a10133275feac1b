"""What the reviewers' doors and pages show of a case."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from contracts.case_v1 import Decision
from contracts.money import Money
from contracts.order_v1 import Discrepancy, Order
from services.chassis.transaction import Transaction
from services.review import store
from services.review.rules.cases import By, Case, Change, Failure, Made, Question, State
from services.review.store import MessageRow, SeenRow

PREVIEW_CHARACTERS = 20_000


class CaseView(BaseModel):
    """A case as it stands in the queue."""

    id: str
    state: State
    codes: tuple[str, ...]
    owner: str | None
    due_at: datetime
    created_at: datetime
    order_id: str | None
    subscription_id: str | None
    customer_id: str | None
    partner: str | None
    agent: str | None
    discrepancies: tuple[Discrepancy, ...]
    published_monthly: Money | None
    quoted_monthly: Money | None
    services: tuple[str, ...]
    decision: Decision | None
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    approved_by: str | None
    changes: tuple[Change, ...]
    questions: tuple[Question, ...]
    closed_by: By | None
    closed_at: datetime | None


class Header(BaseModel):
    """A header of a raw message."""

    name: str
    value_text: str | None
    value_base64: str | None


class Message(BaseModel):
    """A raw message: where it is on Kafka, every byte in base64, and as much of it as can be read."""

    topic: str
    partition: int
    offset: int
    key_text: str | None
    key_base64: str | None
    value_text: str | None
    value_base64: str | None
    headers: list[Header]


class Seen(BaseModel):
    """An event that review saw; `time` is when it happened, `order_id` the order that it is about, if any."""

    type: str
    id: str
    topic: str
    time: datetime
    order_id: str | None


class CaseDetail(CaseView):
    """A case with all that is known of it."""

    order: Order | None
    failures: tuple[Failure, ...]
    message: Message | None
    decisions: tuple[Made, ...]
    timeline: list[Seen]


def view(case: Case) -> dict[str, Any]:
    """What a case shows in the queue."""
    made = case.decision
    shown = {name: getattr(case, name) for name in CaseView.model_fields if name in Case.model_fields}
    return shown | {
        "services": case.services,
        "decision": made.decision if made else None,
        "reason": made.reason if made else None,
        "decided_by": made.reviewer if made else None,
        "decided_at": made.decided_at if made else None,
        "approved_by": made.approved_by if made else None,
        "changes": made.changes if made else (),
    }


async def detail(tx: Transaction, case: Case) -> CaseDetail:
    """Read all that is known of a case."""
    raw = await store.message(tx, case.id)
    return CaseDetail(
        **view(case),
        order=await store.ordered(tx, case.order_id),
        failures=case.failures,
        message=_message(raw) if raw else None,
        decisions=case.decisions,
        timeline=[_seen(each) for each in await store.timeline(tx, case)],
    )


def _seen(row: SeenRow) -> Seen:
    return Seen(type=row.type, id=row.event_id, topic=row.topic, time=row.at, order_id=row.order_id)


def _message(row: MessageRow) -> Message:
    return Message(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        key_text=_text(row.key_base64),
        key_base64=row.key_base64,
        value_text=_text(row.value_base64),
        value_base64=row.value_base64,
        headers=[
            Header(name=each.name, value_text=_text(each.value_base64), value_base64=each.value_base64)
            for each in row.headers
        ],
    )


def _text(encoded: str | None) -> str | None:
    """Decode as much as a person reads; odd bytes show as U+FFFD. None where there is nothing, or no base64."""
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode(errors="replace")[:PREVIEW_CHARACTERS]
    except binascii.Error:
        return None
