"""Cases of the same cause, and one decision for all of them: each is decided by itself, and says how it went."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse

from services.chassis.http import Problem, look, service_of, transact
from services.chassis.transaction import Transaction
from services.review import store
from services.review.api.deciding import WITHOUT_NUL
from services.review.api.pages import Here, Sender, TypedIn, Typing, decide_within
from services.review.api.rendering import PageRoute, page, refusal
from services.review.api.session import Visitor
from services.review.rules import decisions
from services.review.rules.cases import LONGEST_CAUSE, Case
from services.review.settings import Settings

router = APIRouter(include_in_schema=False, route_class=PageRoute)

CASES_AT_MOST = 200

Cause = Annotated[str, Query(max_length=LONGEST_CAUSE, pattern=WITHOUT_NUL)]
ONE_BY_ONE = frozenset({"correct_and_resubmit"})
"""Decisions that name what is one order's alone."""


@router.get("/groups")
async def show_group(request: Request, who: Here, cause: Cause) -> HTMLResponse:
    """Show the undecided cases of a cause, and what can be decided about them all."""
    settings = cast("Settings", service_of(request).settings)

    async def read(tx: Transaction) -> dict[str, Any]:
        alike = [row.case for row in await store.of_cause(tx, cause, CASES_AT_MOST)]
        fits = Counter([decision for each in alike for decision in await _fitting(tx, each, settings)])
        until = tx.now + timedelta(seconds=settings.partner_answer_seconds)
        services = ", ".join(sorted({service for each in alike for service in each.waiting_services}))
        return {"cases": alike, "fits": fits, "until": until, "services": services, "now": tx.now}

    return page(request, "group.html", visitor=who, cause=cause, **await look(request, read))


@router.post("/groups")
async def decide_group(
    request: Request, who: Sender, cause: Cause, typed: TypedIn, case: Annotated[list[str], Form()]
) -> HTMLResponse:
    """Decide the chosen cases alike, each in a transaction of its own: one that somebody decided first stops none."""
    outcomes = [(each, *await _decided(request, who, each, typed)) for each in case[:CASES_AT_MOST]]
    return page(request, "outcomes.html", visitor=who, outcomes=outcomes, cause=cause, here="/groups")


async def _decided(request: Request, who: Visitor, case_id: str, typed: Typing) -> tuple[str, str]:
    """Decide one case; its state then, or why not."""
    settings = cast("Settings", service_of(request).settings)

    async def work(tx: Transaction) -> Case:
        return await decide_within(tx, case_id, typed, who, settings)

    try:
        return (await transact(request, work)).state, ""
    except Problem as problem:
        return "", refusal(request, problem)


async def _fitting(tx: Transaction, case: Case, settings: Settings) -> list[str]:
    confirmed = await store.was_confirmed(tx, case.order_id)
    offered = decisions.offered(case, confirmed=confirmed, above_minor=settings.approval_above_minor)
    return [each.decision for each in offered if each.unfit is None and each.decision not in ONE_BY_ONE]
