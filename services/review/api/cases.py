"""The reviewers' JSON door: the queue, a case with all that is known of it, and what may be done with it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import BaseModel, TypeAdapter

from services.chassis.faults import preferred_language
from services.chassis.http import Problem, service_of, transact
from services.chassis.keys import Principal, allow
from services.chassis.transaction import Transaction
from services.review import store
from services.review.api import deciding
from services.review.api.deciding import WITHOUT_NUL, ApprovalForm, AssignmentForm
from services.review.api.views import CaseDetail, CaseView, detail, view
from services.review.rules.cases import State
from services.review.settings import Settings
from services.review.store import Place

router = APIRouter(tags=["cases"])

Reader = Annotated[Principal, Depends(allow("reviewer", "operator"))]
Reviewer = Annotated[Principal, Depends(allow("reviewer"))]
CaseId = Annotated[str, Path(max_length=200, pattern=WITHOUT_NUL)]
Filter = Annotated[str | None, Query(max_length=200, pattern=WITHOUT_NUL)]


class Queue(BaseModel):
    """A page of the queue; `next` is the `after` of the following one."""

    items: list[CaseView]
    next: str | None


@router.get("/v1/cases")
async def list_cases(
    request: Request,
    _: Reader,
    state: Annotated[State | None, Query()] = None,
    code: Filter = None,
    partner: Filter = None,
    owner: Filter = None,
    order: Filter = None,
    overdue: Annotated[bool | None, Query(description="somebody has to decide it, and its due time is over")] = None,
    after: Filter = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Queue:
    """List cases: open ones before closed ones, the oldest due first."""
    asked: dict[str, str | bool | None] = {"state": state, "code": code, "partner": partner, "owner": owner}
    asked |= {"order_id": order, "overdue": overdue}
    filters = {name: value for name, value in asked.items() if value is not None}
    start = place(after) if after else None
    rows = await transact(request, lambda tx: store.queue(tx, filters, start, limit + 1))
    following = cursor(store.place_of(rows[limit - 1])) if len(rows) > limit else None
    return Queue(items=[CaseView(**view(row.case)) for row in rows[:limit]], next=following)


@router.get("/v1/cases/{case_id}")
async def get_case(case_id: CaseId, request: Request, _: Reader) -> CaseDetail:
    """Show a case with all that is known of it."""

    async def read(tx: Transaction) -> CaseDetail:
        case = await store.found(tx, case_id)
        return await detail(tx, deciding.existing(case, case_id))

    return await transact(request, read)


@router.post("/v1/cases/{case_id}/assignment")
async def assign(case_id: CaseId, request: Request, reviewer: Reviewer, form: AssignmentForm | None = None) -> CaseView:
    """Give a case an owner; a case that is closed needs none."""
    owner = form.owner if form and form.owner else reviewer.holder

    async def work(tx: Transaction) -> CaseView:
        return CaseView(**view(await deciding.assign(tx, case_id, owner)))

    return await transact(request, work)


@router.post("/v1/cases/{case_id}/decisions")
async def decide(
    case_id: CaseId, request: Request, reviewer: Reviewer, body: Annotated[dict[str, Any], Body()]
) -> CaseDetail:
    """Decide a case: once, with a reason, and never a sale of one's own; above an amount it then waits for approval."""
    language = preferred_language(request.headers.get("accept-language", ""))
    settings = cast("Settings", service_of(request).settings)

    async def work(tx: Transaction) -> CaseDetail:
        return await detail(tx, await deciding.decide(tx, case_id, body, reviewer, settings, language))

    return await transact(request, work)


@router.post("/v1/cases/{case_id}/approvals")
async def approve(
    case_id: CaseId, request: Request, reviewer: Reviewer, form: ApprovalForm | None = None
) -> CaseDetail:
    """Approve another reviewer's decision, which is then carried out; or refuse it, and the case is open again."""

    async def work(tx: Transaction) -> CaseDetail:
        return await detail(tx, await deciding.approve(tx, case_id, form or ApprovalForm(), reviewer))

    return await transact(request, work)


def cursor(place_: Place) -> str:
    """Write a place of the queue as `next` shows it."""
    closed, due_at, case_id = place_
    return base64.urlsafe_b64encode(json.dumps([closed, due_at.isoformat(), case_id]).encode()).decode()


def place(cursor_: str) -> Place:
    """Read what `next` showed. Raises Problem 422."""
    try:
        return _PLACE.validate_json(base64.urlsafe_b64decode(cursor_))
    except ValueError as error:
        fault = {"pointer": "/after", "code": "cursor.unknown", "detail": "take it from `next` of a page before"}
        raise Problem(422, "request.invalid", "1 fault", errors=[fault]) from error


_PLACE: TypeAdapter[Place] = TypeAdapter(tuple[bool, datetime, str])
