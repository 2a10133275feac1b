"""What a partner does with an order afterwards: cancels it, or answers what a reviewer asks about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from contracts.order_v1 import Evidence
from services.chassis.http import Problem, transact
from services.chassis.keys import Principal
from services.chassis.transaction import Transaction
from services.intake import life, store
from services.intake.api import examples
from services.intake.api.body import EvidenceForm, Form, judge_references, language_of, refusal
from services.intake.api.orders import Seller, mine, view
from services.intake.rules.personal import is_personal
from services.intake.store import CustomerRow, IdempotencyRow, OrderRow, ReferenceRow

router = APIRouter(tags=["orders"])

Words = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*\S[^\x00]*$")]
CANCELLING = frozenset({"assessingCancellation", "pendingCancellation"})


class AnswerForm(Form):
    """What a partner says to a reviewer's question."""

    text: Words
    evidence: EvidenceForm | None = None


class CancellationForm(Form):
    """Why an order is to end."""

    reason: Words


@router.post(
    "/v1/orders/{order_id}/cancellation",
    status_code=202,
    responses=examples.answered(202, "The order, which is to end or names what undoes it", examples.CANCELLED)
    | examples.problems("order.unknown", "order.ended", "request.not-storable"),
)
async def cancel_order(order_id: str, form: CancellationForm, request: Request, seller: Seller) -> dict[str, Any]:
    """Cancel an order that has not ended; a completed one is undone by another order, named in `reversed_by`."""

    async def cancel(tx: Transaction) -> OrderRow:
        row = await mine(tx, seller, order_id)
        await _judge_words(tx, row, seller, request, {"/reason": form.reason})
        if row.state in CANCELLING:
            return row
        if row.state == "completed" and row.order.action != "reverse":
            return await _reversed(tx, row, seller, form.reason)
        if store.is_final(row.state):
            raise Problem(409, "order.ended", f"this order is {row.state}")
        return await life.cancel(tx, row, seller.holder, form.reason)

    return view(await transact(request, cancel), seller)


async def _reversed(tx: Transaction, row: OrderRow, seller: Principal, reason: str) -> OrderRow:
    """Undo a completed order; the reversal was made under a key of its own, as every order is."""
    before = row.reversed_by
    row = await life.reverse(tx, row, seller.holder, reason)
    reversal = await tx.get(OrderRow, row.reversed_by)
    if reversal is not None and row.reversed_by != before:
        tx.add(ReferenceRow(name=reversal.partner_reference, partner=row.partner, order_id=reversal.id))
        tx.add(
            IdempotencyRow(
                partner=row.partner,
                key=reversal.partner_reference,
                body_sha256="",
                order_id=reversal.id,
                answer=json.dumps(view(reversal, seller)),
                created_at=tx.now,
            )
        )
    return row


@router.post(
    "/v1/orders/{order_id}/answers",
    status_code=201,
    responses=examples.answered(201, "The order, which stays held", examples.HELD)
    | examples.problems("order.unknown", "question.none", "evidence.reused", "request.not-storable"),
)
async def post_answer(order_id: str, form: AnswerForm, request: Request, seller: Seller) -> dict[str, Any]:
    """Answer what a reviewer asked about an order; the answer goes to the reviewer, and the order stays held."""

    async def answer(tx: Transaction) -> OrderRow:
        row = await mine(tx, seller, order_id)
        if row.question is None:
            raise Problem(409, "question.none", "nobody asks anything about this order")
        references = {"/evidence/reference": form.evidence.reference} if form.evidence else {}
        await _judge_words(tx, row, seller, request, {"/text": form.text}, references)
        evidence = Evidence(**form.evidence.model_dump()) if form.evidence else None
        if await store.proven_by(tx, evidence) not in {None, row.id}:
            raise Problem(409, "evidence.reused", "this evidence proves another order")
        return await life.answer(tx, row, seller.holder, form.text, evidence)

    return view(await transact(request, answer), seller)


async def _judge_words(
    tx: Transaction,
    row: OrderRow,
    seller: Principal,
    request: Request,
    words: Mapping[str, str],
    references: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Refuse words, by their place, that name the customer: they go to where no personal data goes.

    Her name and number are looked for only where they may be known: who does not know her learns nothing of her here.
    """
    knows_her = row.order.discloses or seller.role != "partner"
    known = await tx.get(CustomerRow, row.customer_id) if knows_her else None
    name, phone = (known.customer.name, known.customer.phone) if known else ("", "")
    faults = [(place, "text.personal") for place, text in words.items() if is_personal(text, name, phone)]
    faults += judge_references(references, phone)
    if faults:
        raise refusal(faults, language_of(request))
