"""The partner door for what a reviewer asked: the partner's answer, with evidence where there is some."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from contracts.order_v1 import Evidence
from services.chassis.faults import preferred_language, translated
from services.chassis.http import Problem, transact
from services.chassis.transaction import Transaction
from services.intake import life, store
from services.intake.api.body import EvidenceForm, Form
from services.intake.api.orders import Seller, mine, view
from services.intake.store import CustomerRow, OrderRow

router = APIRouter(tags=["orders"])

ADDRESS = re.compile(r"\S@\S+\.\S|\+\d[\d ./-]{6,}\d")


class AnswerForm(Form):
    """What a partner says to a reviewer's question."""

    text: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*\S[^\x00]*$")]
    evidence: EvidenceForm | None = None


@router.post("/v1/orders/{order_id}/answers", status_code=201)
async def post_answer(order_id: str, form: AnswerForm, request: Request, seller: Seller) -> dict[str, Any]:
    """Answer what a reviewer asked about an order; the answer goes to the reviewer, and the order stays held."""

    async def answer(tx: Transaction) -> OrderRow:
        row = await mine(tx, seller, order_id)
        if row.question is None:
            raise Problem(409, "question.none", "nobody asks anything about this order")
        await _judge_text(tx, form, row, request)
        evidence = Evidence(**form.evidence.model_dump()) if form.evidence else None
        if await store.proven_by(tx, evidence) not in {None, row.id}:
            raise Problem(409, "evidence.reused", "this evidence proves another order")
        return await life.answer(tx, row, seller.holder, form.text, evidence)

    return view(await transact(request, answer))


async def _judge_text(tx: Transaction, form: AnswerForm, row: OrderRow, request: Request) -> None:
    """Refuse a text that names the customer: it goes to where no personal data goes."""
    known = await tx.get(CustomerRow, row.customer_id)
    if ADDRESS.search(form.text) or (known is not None and known.customer.name.casefold() in form.text.casefold()):
        language = preferred_language(request.headers.get("accept-language", ""))
        fault = translated("/text", "text.personal", "say it without names, addresses and numbers", language)
        raise Problem(422, "request.invalid", "1 faults", errors=[dict(fault)])
