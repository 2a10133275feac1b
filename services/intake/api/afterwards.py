"""What a partner does with an order afterwards: cancels it, or answers what a reviewer asks about it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from contracts.order_v1 import Evidence
from services.chassis.faults import preferred_language, translated
from services.chassis.http import Problem, transact
from services.chassis.transaction import Transaction
from services.intake import life, store
from services.intake.api import examples
from services.intake.api.body import EvidenceForm, Form
from services.intake.api.orders import Seller, mine, view
from services.intake.store import CustomerRow, IdempotencyRow, OrderRow, ReferenceRow

router = APIRouter(tags=["orders"])

ADDRESS = re.compile(r"\S@\S+\.\S|\+\d[\d ./-]{6,}\d")


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
        await _judge_words(tx, "/reason", form.reason, row, request)
        if row.state in CANCELLING:
            return row
        if row.state == "completed" and row.order.action != "reverse":
            return await _reversed(tx, row, seller.holder, form.reason)
        if store.is_final(row.state):
            raise Problem(409, "order.ended", f"this order is {row.state}")
        return await life.cancel(tx, row, seller.holder, form.reason)

    return view(await transact(request, cancel))


async def _reversed(tx: Transaction, row: OrderRow, by: str, reason: str) -> OrderRow:
    """Undo a completed order; the reversal was made under a key of its own, as every order is."""
    before = row.reversed_by
    row = await life.reverse(tx, row, by, reason)
    reversal = await tx.get(OrderRow, row.reversed_by)
    if reversal is not None and row.reversed_by != before:
        tx.add(ReferenceRow(name=reversal.partner_reference, partner=row.partner, order_id=reversal.id))
        tx.add(
            IdempotencyRow(
                partner=row.partner,
                key=reversal.partner_reference,
                body_sha256="",
                order_id=reversal.id,
                answer=json.dumps(view(reversal)),
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
        await _judge_words(tx, "/text", form.text, row, request)
        evidence = Evidence(**form.evidence.model_dump()) if form.evidence else None
        if await store.proven_by(tx, evidence) not in {None, row.id}:
            raise Problem(409, "evidence.reused", "this evidence proves another order")
        return await life.answer(tx, row, seller.holder, form.text, evidence)

    return view(await transact(request, answer))


async def _judge_words(tx: Transaction, pointer: str, words: str, row: OrderRow, request: Request) -> None:
    """Refuse words that name the customer: they go to where no personal data goes."""
    known = await tx.get(CustomerRow, row.customer_id)
    if ADDRESS.search(words) or (known is not None and known.customer.name.casefold() in words.casefold()):
        language = preferred_language(request.headers.get("accept-language", ""))
        fault = translated(pointer, "text.personal", "say it without names, addresses and numbers", language)
        raise Problem(422, "request.invalid", "1 faults", errors=[dict(fault)])
