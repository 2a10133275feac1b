"""The reviewers' doors: the queue, a case with all that is known of it, and what may be done with it."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from contracts.case_v1 import CaseDecided, Decision
from contracts.money import Money
from contracts.order_v1 import Discrepancy, Order
from services.chassis.faults import preferred_language, translated
from services.chassis.http import Problem, service_of, transact
from services.chassis.keys import Principal, allow
from services.chassis.transaction import Transaction
from services.review import rules, store
from services.review.rules import By, Case, Failure, Made, State
from services.review.settings import Settings
from services.review.store import MessageRow, Place, SeenRow

router = APIRouter(tags=["cases"])

PREVIEW_CHARACTERS = 20_000
WITHOUT_NUL = r"^[^\x00]*$"

Reader = Annotated[Principal, Depends(allow("reviewer", "operator"))]
Reviewer = Annotated[Principal, Depends(allow("reviewer"))]
CaseId = Annotated[str, Path(max_length=200, pattern=WITHOUT_NUL)]
Filter = Annotated[str | None, Query(max_length=200, pattern=WITHOUT_NUL)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=WITHOUT_NUL)]


def _carried_out(decision: Decision) -> Decision:
    if decision in rules.NOT_AVAILABLE:
        raise PydanticCustomError("decision.not-available", "this decision is not available yet")
    return decision


def _said(reason: str) -> str:
    if not reason.strip():
        raise PydanticCustomError("reason.blank", "say why: it is kept and shown to those whom it concerns")
    return reason.strip()


def _of_the_case(code: str, info: ValidationInfo) -> str:
    if code not in (info.context or ()):
        raise PydanticCustomError("code.unknown", "the case has no such code")
    return code


Reason = Annotated[str, Field(max_length=2000, pattern=WITHOUT_NUL), AfterValidator(_said)]


class Form(BaseModel):
    """Unknown fields are refused: what we do not understand we must not ignore."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DecisionForm(Form):
    """A decision with its reason; `codes` names what it resolves, absent: all."""

    decision: Annotated[Decision, AfterValidator(_carried_out)]
    reason: Reason
    codes: Annotated[tuple[Annotated[str, AfterValidator(_of_the_case)], ...] | None, Field(min_length=1)] = None


class AssignmentForm(Form):
    """Who is to work the case; absent: who asks."""

    owner: Name | None = None


class ApprovalForm(Form):
    """Why the second reviewer agrees, if they want to say."""

    reason: Reason | None = None


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
    """An event that review saw; `time` is when it happened."""

    type: str
    id: str
    topic: str
    time: datetime


class CaseDetail(CaseView):
    """A case with all that is known of it."""

    order: Order | None
    failures: tuple[Failure, ...]
    message: Message | None
    decisions: tuple[Made, ...]
    timeline: list[Seen]


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
    after: Filter = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Queue:
    """List cases: open ones before closed ones, the oldest due first."""
    asked = {"state": state, "code": code, "partner": partner, "owner": owner, "order_id": order}
    filters = {name: value for name, value in asked.items() if value is not None}
    place = _place(after) if after else None
    rows = await transact(request, lambda tx: store.queue(tx, filters, place, limit + 1))
    following = _cursor(store.place_of(rows[limit - 1])) if len(rows) > limit else None
    return Queue(items=[CaseView(**_view(row.case)) for row in rows[:limit]], next=following)


@router.get("/v1/cases/{case_id}")
async def get_case(case_id: CaseId, request: Request, _: Reader) -> CaseDetail:
    """Show a case with all that is known of it."""

    async def read(tx: Transaction) -> CaseDetail:
        case = await store.found(tx, case_id)
        return await _detail(tx, _existing(case, case_id))

    return await transact(request, read)


@router.post("/v1/cases/{case_id}/assignment")
async def assign(case_id: CaseId, request: Request, reviewer: Reviewer, form: AssignmentForm | None = None) -> CaseView:
    """Give a case an owner; a case that is closed needs none."""

    async def work(tx: Transaction) -> CaseView:
        case = _existing(await store.case(tx, case_id), case_id)
        if case.state in rules.CLOSED:
            raise _too_late(case)
        owner = form.owner if form and form.owner else reviewer.holder
        store.keep(tx, owned := case.model_copy(update={"owner": owner}))
        return CaseView(**_view(owned))

    return await transact(request, work)


@router.post("/v1/cases/{case_id}/decisions")
async def decide(
    case_id: CaseId, request: Request, reviewer: Reviewer, body: Annotated[dict[str, Any], Body()]
) -> CaseDetail:
    """Decide a case: once, with a reason, and never a sale of one's own; above an amount it then waits for approval."""
    language = preferred_language(request.headers.get("accept-language", ""))
    settings = cast("Settings", service_of(request).settings)

    async def work(tx: Transaction) -> CaseDetail:
        case = _existing(await store.case(tx, case_id), case_id)
        _refuse_own_sale(case, reviewer)
        form = _read(body, case, language)
        if case.state not in rules.UNDECIDED:
            raise _too_late(case)
        made = await _fitting(tx, case, form, reviewer)
        if rules.needs_approval(case, made.decision, settings.approval_above_minor):
            store.keep(tx, rules.decided(case, made))
        else:
            _carry_out(tx, case, made)
        return await _detail(tx, _existing(await store.case(tx, case_id), case_id))

    return await transact(request, work)


@router.post("/v1/cases/{case_id}/approvals")
async def approve(
    case_id: CaseId, request: Request, reviewer: Reviewer, form: ApprovalForm | None = None
) -> CaseDetail:
    """Approve another reviewer's decision, which is then carried out."""

    async def work(tx: Transaction) -> CaseDetail:
        case = _existing(await store.case(tx, case_id), case_id)
        _refuse_own_sale(case, reviewer)
        if case.state in rules.CLOSED or case.state == "decided":
            raise _too_late(case)
        if case.state != "awaiting_approval" or case.decision is None:
            raise Problem(409, "case.not-awaiting-approval", "no decision of this case waits for approval")
        if case.decision.reviewer == reviewer.holder:
            raise Problem(403, "approval.same-reviewer", "another reviewer than the one who decided has to approve")
        why = form.reason if form else None
        approval = {"approved_by": reviewer.holder, "approved_at": tx.now, "approval_reason": why}
        _carry_out(tx, case, case.decision.model_copy(update=approval))
        return await _detail(tx, _existing(await store.case(tx, case_id), case_id))

    return await transact(request, work)


def _carry_out(tx: Transaction, case: Case, made: Made) -> None:
    """Ask for a decision to be carried out; one that nobody else has to answer closes the case."""
    event_id = tx.next_id(CaseDecided, case.key)
    made = made.model_copy(update={"event_id": event_id})
    event = rules.asking(case, made)
    after = decided = rules.decided(case, made)
    if rules.nobody_else_answers(case):
        after = rules.closed(decided, "applied", By(type=event.type, id=event_id), tx.now)
    store.saw(tx, event, order_id=case.order_id, case_id=case.id, event_id=event_id)
    store.keep(tx, after)
    tx.publish(event, *rules.closing(decided, after))


async def _fitting(tx: Transaction, case: Case, form: DecisionForm, reviewer: Principal) -> Made:
    """Return the decision that a reviewer made. Raises Problem 409 where it does not fit the case."""
    codes = tuple(dict.fromkeys(form.codes or case.codes))
    confirmed = await store.was_confirmed(tx, case.order_id)
    unfit = rules.unfit(case, form.decision, codes, confirmed=confirmed)
    if unfit:
        fault = {"pointer": unfit.pointer, "code": "decision.unfit", "detail": unfit.detail}
        raise Problem(409, "decision.unfit", unfit.detail, errors=[fault])
    return Made(decision=form.decision, reason=form.reason, codes=codes, reviewer=reviewer.holder, decided_at=tx.now)


def _read(body: dict[str, Any], case: Case, language: str) -> DecisionForm:
    """Read a decision about a case. Raises Problem 422 naming every fault."""
    try:
        return DecisionForm.model_validate(body, context=case.codes)
    except ValidationError as error:
        faults = [
            dict(translated("".join(f"/{part}" for part in each["loc"]), each["type"], each["msg"], language))
            for each in error.errors(include_url=False, include_input=False)
        ]
        known = "decision.not-available"
        code = known if any(each["code"] == known for each in faults) else "request.invalid"
        raise Problem(422, code, f"{len(faults)} faults", errors=faults) from error


def _existing(case: Case | None, case_id: str) -> Case:
    if case is None:
        raise Problem(404, "case.unknown", f"there is no case {case_id[:100]}")
    return case


def _refuse_own_sale(case: Case, reviewer: Principal) -> None:
    if rules.own_sale(case, reviewer.attributes.get("works_for", ())):
        raise Problem(403, "case.own-sale", f"{reviewer.holder} works for {case.partner}: somebody else has to decide")


def _too_late(case: Case) -> Problem:
    made = case.decision
    what = f"{made.decision} by {made.reviewer}" if made else f"{case.state} without a decision"
    by = case.closed_by.model_dump() if case.closed_by else None
    return Problem(
        409,
        "case.decided",
        f"decided already: {what}",
        state=case.state,
        decision=made.decision if made else None,
        decided_by=made.reviewer if made else None,
        closed_by=by,
    )


def _view(case: Case) -> dict[str, Any]:
    made = case.decision
    shown = {name: getattr(case, name) for name in CaseView.model_fields if name in Case.model_fields}
    return shown | {
        "services": case.services,
        "decision": made.decision if made else None,
        "reason": made.reason if made else None,
        "decided_by": made.reviewer if made else None,
        "decided_at": made.decided_at if made else None,
        "approved_by": made.approved_by if made else None,
    }


async def _detail(tx: Transaction, case: Case) -> CaseDetail:
    raw = await store.message(tx, case.id)
    return CaseDetail(
        **_view(case),
        order=await store.ordered(tx, case.order_id),
        failures=case.failures,
        message=_message(raw) if raw else None,
        decisions=case.decisions,
        timeline=[_seen(each) for each in await store.timeline(tx, case)],
    )


def _seen(row: SeenRow) -> Seen:
    return Seen(type=row.type, id=row.event_id, topic=row.topic, time=row.at)


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


def _cursor(place: Place) -> str:
    closed, due_at, case_id = place
    return base64.urlsafe_b64encode(json.dumps([closed, due_at.isoformat(), case_id]).encode()).decode()


def _place(cursor: str) -> Place:
    try:
        return _PLACE.validate_json(base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        fault = {"pointer": "/after", "code": "cursor.unknown", "detail": "take it from `next` of a page before"}
        raise Problem(422, "request.invalid", "1 fault", errors=[fault]) from error


_PLACE: TypeAdapter[Place] = TypeAdapter(tuple[bool, datetime, str])
