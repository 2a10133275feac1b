"""How a case is decided, at the JSON door and on the pages alike: once, with a reason, never a sale of one's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from contracts.case_v1 import CLOSED, Corrections, Decision
from contracts.order_v1 import Order
from contracts.personal import reaches_somebody
from services.chassis.faults import translated
from services.chassis.http import Problem
from services.chassis.keys import Principal
from services.chassis.transaction import Transaction
from services.review import life, store
from services.review.rules import cases, decisions
from services.review.rules.cases import Case, Change, Made
from services.review.rules.decisions import Unfit
from services.review.settings import Settings

WITHOUT_NUL = r"^[^\x00]*$"
REMOVALS_AT_MOST = 50


def _said(reason: str) -> str:
    if not reason.strip():
        raise PydanticCustomError("reason.blank", "say why: it is kept and shown to those whom it concerns")
    if reaches_somebody(reason):
        raise PydanticCustomError("reason.personal", "where to reach somebody is in it")
    return reason.strip()


def _case(info: ValidationInfo) -> Case:
    case: Case = (info.context or {})["case"]
    return case


def _removable(name: str, info: ValidationInfo) -> str:
    order: Order | None = (info.context or {}).get("order")
    if order is not None and not decisions.may_be_removed(name, _case(info), order):
        known = {"known": repr(decisions.removable(_case(info), order))}
        raise PydanticCustomError("removal.unknown", "such a removal is none of {known}", known)
    return name


def _of_the_case(code: str, info: ValidationInfo) -> str:
    case = _case(info)
    if code not in case.codes:
        raise PydanticCustomError("code.unknown", "the case has only {codes}", {"codes": repr(case.codes)})
    return code


def _where_they_belong(corrections: CorrectionsForm | None, info: ValidationInfo) -> CorrectionsForm | None:
    decision = info.data.get("decision")
    case = _case(info)
    if decision == "correct_and_resubmit" and corrections is None and case.given_evidence is None:
        raise PydanticCustomError("corrections.missing", "say what is put right")
    if corrections is not None and decision not in (None, "correct_and_resubmit"):
        raise PydanticCustomError("corrections.unexpected", "only correct_and_resubmit puts something right")
    return corrections


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=WITHOUT_NUL)]
Removal = Annotated[Name, AfterValidator(_removable)]
Reason = Annotated[str, Field(max_length=2000, pattern=WITHOUT_NUL), AfterValidator(_said)]


Read = TypeVar("Read", bound="Form")


class Form(BaseModel):
    """Unknown fields are refused: what we do not understand we must not ignore."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CorrectionsForm(Form):
    """What is put right in the order; what is absent stays as it was."""

    agent: Name | None = None
    offer: Name | None = None
    removals: Annotated[tuple[Removal, ...], Field(max_length=REMOVALS_AT_MOST)] | None = None


class DecisionForm(Form):
    """A decision with its reason (of `ask_partner` it is the question); `codes` names what it resolves, absent: all."""

    decision: Decision
    reason: Reason
    codes: Annotated[tuple[Annotated[str, AfterValidator(_of_the_case)], ...] | None, Field(min_length=1)] = None
    corrections: Annotated[CorrectionsForm | None, AfterValidator(_where_they_belong), Field(validate_default=True)] = (
        None
    )


class AssignmentForm(Form):
    """Who is to work the case; absent: who asks."""

    owner: Name | None = None


def _why_not(reason: str | None, info: ValidationInfo) -> str | None:
    if info.data.get("approve") is False and reason is None:
        raise PydanticCustomError("missing", "a refusal says why")
    return reason


class ApprovalForm(Form):
    """Whether the second reviewer agrees (absent: yes), and why, if they want to say; a refusal has to say why.

    Who decided may take the decision back: with `approve` false, too.
    """

    approve: StrictBool = True
    reason: Annotated[Reason | None, AfterValidator(_why_not), Field(validate_default=True)] = None


async def decide(
    tx: Transaction, case_id: str, body: dict[str, Any], reviewer: Principal, settings: Settings, language: str
) -> Case:
    """Decide a case, or send the decision for approval. Raises Problem 403, 404, 409 or 422, and nothing is done."""
    case = existing(await store.case(tx, case_id), case_id)
    refuse_own_sale(case, reviewer)
    form = read(body, case, await store.ordered(tx, case.order_id), language)
    if case.state not in cases.UNDECIDED:
        raise too_late(case)
    made = await _fitting(tx, case, form, reviewer)
    if made.decision == "ask_partner":
        life.ask_partner(tx, case, made, timedelta(seconds=settings.partner_answer_seconds))
    elif decisions.needs_approval(case, made.decision, settings.approval_above_minor):
        store.keep(tx, decisions.decided(case, made))
    else:
        life.carry_out(tx, case, made)
    return existing(await store.case(tx, case_id), case_id)


async def approve(tx: Transaction, case_id: str, form: ApprovalForm, reviewer: Principal) -> Case:
    """Carry out another reviewer's decision, or take it back. Raises Problem 403, 404 or 409, and nothing is done."""
    case = existing(await store.case(tx, case_id), case_id)
    refuse_own_sale(case, reviewer)
    if case.state in CLOSED or case.state == "decided":
        raise too_late(case)
    if case.state != "awaiting_approval" or case.decision is None:
        raise Problem(409, "case.not-awaiting-approval", "no decision of this case waits for approval")
    if not form.approve:
        life.refuse(tx, case, case.decision, reviewer.holder, form.reason or "")
    elif case.decision.reviewer == reviewer.holder:
        raise Problem(403, "approval.same-reviewer", "another reviewer than the one who decided has to approve")
    else:
        approval = {"approved_by": reviewer.holder, "approved_at": tx.now, "approval_reason": form.reason}
        life.carry_out(tx, case, case.decision.model_copy(update=approval))
    return existing(await store.case(tx, case_id), case_id)


async def assign(tx: Transaction, case_id: str, owner: str) -> Case:
    """Give a case an owner; a case that is closed needs none. Raises Problem 404 or 409."""
    case = existing(await store.case(tx, case_id), case_id)
    if case.state in CLOSED:
        raise too_late(case)
    owned = case.model_copy(update={"owner": owner})
    store.keep(tx, owned)
    return owned


def read(body: dict[str, Any], case: Case, order: Order | None, language: str) -> DecisionForm:
    """Read a decision about a case and its order. Raises Problem 422 naming every fault."""
    return _read(DecisionForm, body, language, case=case, order=order)


def read_approval(body: dict[str, Any], language: str) -> ApprovalForm:
    """Read what a second reviewer says. Raises Problem 422 naming every fault."""
    return _read(ApprovalForm, body, language)


def _pointer(place: tuple[int | str, ...]) -> str:
    return "".join(f"/{part}" for part in place)


def _read(form: type[Read], body: dict[str, Any], language: str, **context: Any) -> Read:  # noqa: ANN401 - pydantic's
    try:
        return form.model_validate(body, context=context)
    except ValidationError as error:
        faults = [
            dict(translated(_pointer(each["loc"]), each["type"], each["msg"], language))
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise Problem(422, "request.invalid", f"{len(faults)} faults", errors=faults) from error


async def _fitting(tx: Transaction, case: Case, form: DecisionForm, reviewer: Principal) -> Made:
    """Return the decision that a reviewer made. Raises Problem 409 where it does not fit the case."""
    codes = tuple(dict.fromkeys(form.codes or case.codes))
    confirmed = await store.was_confirmed(tx, case.order_id)
    unfit = decisions.unfit(case, form.decision, codes, confirmed=confirmed)
    if unfit:
        raise does_not_fit(unfit)
    corrections: Corrections | None = None
    changes: tuple[Change, ...] = ()
    if form.decision == "correct_and_resubmit":
        corrections, changes = await corrected(tx, case, form.corrections or CorrectionsForm())
    return Made(
        decision=form.decision,
        reason=form.reason,
        codes=codes,
        reviewer=reviewer.holder,
        decided_at=tx.now,
        corrections=corrections,
        changes=changes,
    )


async def corrected(tx: Transaction, case: Case, form: CorrectionsForm) -> tuple[Corrections, tuple[Change, ...]]:
    """Say what corrections change in the order of a case, the evidence of the partner's answer among them.

    Raises Problem 409 where they do not fit it.
    """
    corrections = Corrections(**form.model_dump(), evidence=case.given_evidence)
    order = await store.ordered(tx, case.order_id)
    unfit = decisions.unfit_corrections(order, corrections)
    if unfit or order is None:
        raise does_not_fit(unfit or Unfit(pointer="/decision", why="order-not-here", detail="the order is not here"))
    return corrections, decisions.changes(order, corrections)


def does_not_fit(unfit: Unfit) -> Problem:
    """Say that a decision does not fit."""
    fault = {"pointer": unfit.pointer, "code": "decision.unfit", "detail": unfit.detail}
    return Problem(409, "decision.unfit", unfit.detail, errors=[fault], why=unfit.why)


def existing(case: Case | None, case_id: str) -> Case:
    """Return a case that is there. Raises Problem 404."""
    if case is None:
        raise Problem(404, "case.unknown", f"there is no case {case_id[:100]}")
    return case


def refuse_own_sale(case: Case, reviewer: Principal) -> None:
    """Raise Problem 403 where a reviewer would decide a sale of their own."""
    if cases.own_sale(case, reviewer.attributes.get("works_for", ())):
        raise Problem(403, "case.own-sale", f"{reviewer.holder} works for {case.partner}: somebody else has to decide")


def too_late(case: Case) -> Problem:
    """Say who was first, and what became of the case."""
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
