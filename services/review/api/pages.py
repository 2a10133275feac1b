"""The reviewers' pages: the queue, and a case with what each decision will do before it is taken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from contracts.money import Money
from contracts.order_v1 import Discrepancy
from services.chassis.http import Problem, look, service_of, transact
from services.chassis.transaction import Transaction
from services.review import store
from services.review.api import deciding
from services.review.api.cases import CaseId, cursor, place
from services.review.api.deciding import WITHOUT_NUL, CorrectionsForm
from services.review.api.rendering import PageRoute, page, refusal
from services.review.api.session import Visitor, sender, visitor
from services.review.api.views import detail
from services.review.rules import cases, decisions
from services.review.rules.cases import Case, Change, State
from services.review.settings import Settings
from services.review.store import Filters

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE_OF_THE_QUEUE = 50
OVERDUE = "overdue"
STATES: tuple[State, ...] = get_args(State)
STATES_SHOWN: dict[str, tuple[State, ...]] = {
    "to_do": store.TO_DO,
    OVERDUE: store.TO_DO,
    "all": STATES,
} | {each: (each,) for each in STATES}

Here = Annotated[Visitor, Depends(visitor)]
Sender = Annotated[Visitor, Depends(sender)]
Text = Annotated[str, Query(max_length=200, pattern=WITHOUT_NUL)]
Typed = Annotated[str, Form(max_length=4000)]


@dataclass(frozen=True)
class Search:
    """What the queue is searched for; it stays while one goes from case to case."""

    state: Text = "to_do"
    code: Text = ""
    partner: Text = ""
    owner: Text = ""

    @property
    def filters(self) -> Filters:
        """The search as the store takes it; what it does not know is to do."""
        given = {"code": self.code, "partner": self.partner, "owner": self.owner}
        chosen = STATES_SHOWN.get(self.state, store.TO_DO)
        late: dict[str, bool] = {"overdue": True} if self.state == OVERDUE else {}
        return {"state": chosen} | late | {name: value for name, value in given.items() if value}

    @property
    def query(self) -> str:
        """The search as a link carries it."""
        given = {"state": self.state, "code": self.code, "partner": self.partner, "owner": self.owner}
        return urlencode({name: value for name, value in given.items() if value and value != "to_do"})


Searched = Annotated[Search, Depends()]


@dataclass(frozen=True)
class Typing:
    """What a reviewer typed into the form of a decision, kept where it is shown again."""

    decision: Typed = ""
    reason: Typed = ""
    agent: Typed = ""
    offer: Typed = ""
    removals: Typed = ""
    no_removals: Typed = ""
    step: Typed = "decide"

    @property
    def corrections(self) -> dict[str, Any]:
        """What is put right; an empty field stays as it was."""
        removals = [each.strip() for each in self.removals.split(",") if each.strip()]
        given: dict[str, Any] = {"agent": self.agent.strip(), "offer": self.offer.strip(), "removals": removals}
        return {name: value for name, value in given.items() if value} | ({"removals": []} if self.no_removals else {})

    def body(self, case: Case) -> dict[str, Any]:
        """The decision as the JSON door takes it, for those of the case's codes that it can resolve."""
        codes = decisions.resolvable(case, self.decision) or case.codes
        corrections = {"corrections": self.corrections} if self.decision == "correct_and_resubmit" else {}
        return {"decision": self.decision, "reason": self.reason, "codes": list(codes)} | corrections


TypedIn = Annotated[Typing, Depends()]


@dataclass(frozen=True)
class Said:
    """What a case's page says beside the case: how it went, what was refused, and what was typed."""

    done: str = ""
    fault: str = ""
    status: int = 200
    typed: Typing = field(default_factory=Typing)
    changes: tuple[Change, ...] = ()
    foreseen: tuple[Discrepancy, ...] = ()


@router.get("/")
async def go_to_queue() -> RedirectResponse:
    """The queue is where one begins."""
    return RedirectResponse("/cases", 303)


@router.get("/cases")
async def show_queue(request: Request, who: Here, search: Searched, after: Text = "") -> HTMLResponse:
    """Show what is to be decided, the oldest due first, with what can be decided together."""

    async def read(tx: Transaction) -> dict[str, Any]:
        start = place(after) if after else None
        rows = await store.queue(tx, search.filters, start, PAGE_OF_THE_QUEUE + 1)
        more = cursor(store.place_of(rows[PAGE_OF_THE_QUEUE - 1])) if len(rows) > PAGE_OF_THE_QUEUE else None
        return {
            "cases": [row.case for row in rows[:PAGE_OF_THE_QUEUE]],
            "more": more,
            "counts": {what: await store.counted(tx, what) for what in ("state", "code", "partner", "owner")},
            "causes": await store.causes(tx),
            "overdue": await store.overdue(tx),
            "now": tx.now,
        }

    values = await look(request, read)
    return page(request, "queue.html", visitor=who, search=search, after=after, states=STATES_SHOWN, **values)


@router.get("/cases/{case_id}")
async def show_case(case_id: CaseId, request: Request, who: Here, search: Searched, done: Text = "") -> HTMLResponse:
    """Show a case with all that is known of it."""
    return await _case_page(request, who, search, case_id, Said(done=done))


@router.get("/cases/{case_id}/standing")
async def tell_standing(case_id: CaseId, request: Request, _: Here, seen: Text, search: Searched) -> Response:
    """Tell a page that is open what became of its case meanwhile; nothing where it stands as it did."""

    async def read(tx: Transaction) -> tuple[Case, str | None]:
        case = deciding.existing(await store.found(tx, case_id), case_id)
        return case, await _again(tx, case)

    case, again = await look(request, read)
    if case.state == seen:
        return Response(status_code=204)
    return page(request, "standing.html", case=case, again=again, search=search)


@router.post("/cases/{case_id}/decision")
async def decide(case_id: CaseId, request: Request, who: Sender, search: Searched, typed: TypedIn) -> Response:
    """Decide a case, or show what its correction changes; what is refused is said on the case as it stands now."""
    if typed.step == "preview":
        return await _preview(request, who, search, case_id, typed)

    async def work(tx: Transaction) -> Case:
        return await decide_within(tx, case_id, typed, who, cast("Settings", service_of(request).settings))

    try:
        case = await transact(request, work)
    except Problem as problem:
        return await _refused(request, who, search, case_id, typed, problem)
    return _back(
        case_id, search, {"awaiting_partner": "asked", "awaiting_approval": "waiting"}.get(case.state, "decided")
    )


@router.post("/cases/{case_id}/assignment")
async def take(case_id: CaseId, request: Request, who: Sender, search: Searched) -> Response:
    """Make a case one's own."""
    try:
        await transact(request, lambda tx: deciding.assign(tx, case_id, who.reviewer.holder))
    except Problem as problem:
        return await _refused(request, who, search, case_id, Typing(), problem)
    return _back(case_id, search, "taken")


@router.post("/cases/{case_id}/approval")
async def approve(case_id: CaseId, request: Request, who: Sender, search: Searched, typed: TypedIn) -> Response:
    """Approve another reviewer's decision, or refuse it; who decided may take it back."""
    agreed = typed.step != "refuse"
    body = {"approve": agreed, "reason": typed.reason if typed.reason.strip() else None}

    async def work(tx: Transaction) -> Case:
        return await deciding.approve(tx, case_id, deciding.read_approval(body, who.language), who.reviewer)

    try:
        await transact(request, work)
    except Problem as problem:
        return await _refused(request, who, search, case_id, typed, problem)
    return _back(case_id, search, "decided" if agreed else "refused")


async def decide_within(tx: Transaction, case_id: str, typed: Typing, who: Visitor, settings: Settings) -> Case:
    """Decide one case as it was typed. Raises Problem, and nothing is done."""
    case = deciding.existing(await store.case(tx, case_id), case_id)
    return await deciding.decide(tx, case_id, typed.body(case), who.reviewer, settings, who.language)


async def _preview(request: Request, who: Visitor, search: Search, case_id: str, typed: Typing) -> HTMLResponse:
    async def read(tx: Transaction) -> Said:
        case = deciding.existing(await store.found(tx, case_id), case_id)
        order = await store.ordered(tx, case.order_id)
        body = replace(typed, decision="correct_and_resubmit").body(case)
        form = deciding.read(body | {"reason": "preview"}, case, order, who.language)
        corrections, changes = await deciding.corrected(tx, case, form.corrections or CorrectionsForm())
        foreseen = decisions.foreseen(case, order, corrections) if order else ()
        return Said(typed=typed, changes=changes, foreseen=foreseen)

    try:
        said = await look(request, read)
    except Problem as problem:
        return await _refused(request, who, search, case_id, typed, problem)
    return await _case_page(request, who, search, case_id, said)


async def _again(tx: Transaction, case: Case) -> str | None:
    """The case that the order of a decided one waits for now: what was put right may be held again."""
    return None if case.state in cases.UNDECIDED else await store.another_of_order(tx, case)


async def _refused(
    request: Request, who: Visitor, search: Search, case_id: str, typed: Typing, problem: Problem
) -> HTMLResponse:
    if problem.status == 404:  # noqa: PLR2004 - there is no case to show
        raise problem
    said = Said(fault=refusal(request, problem), status=problem.status, typed=typed)
    return await _case_page(request, who, search, case_id, said)


async def _case_page(request: Request, who: Visitor, search: Search, case_id: str, said: Said) -> HTMLResponse:
    settings = cast("Settings", service_of(request).settings)

    async def read(tx: Transaction) -> dict[str, Any]:
        case = deciding.existing(await store.found(tx, case_id), case_id)
        confirmed = await store.was_confirmed(tx, case.order_id)
        before, following = await store.neighbours(tx, search.filters, case)
        offered = decisions.offered(case, confirmed=confirmed, above_minor=settings.approval_above_minor)
        shown = await detail(tx, case)
        return {
            "case": case,
            "detail": shown,
            "offered": offered,
            "fitting": sum(each.unfit is None for each in offered),
            "taken_away": decisions.taken_away(case, shown.order) if shown.order else None,
            "again": await _again(tx, case),
            "effects": effects(case) | {"until": tx.now + timedelta(seconds=settings.partner_answer_seconds)},
            "before": before,
            "following": following,
            "now": tx.now,
        }

    values = await look(request, read)
    here = f"/cases/{case_id}"
    return page(request, "case.html", status=said.status, visitor=who, search=search, said=said, here=here, **values)


def effects(case: Case) -> dict[str, Any]:
    """What the effects of decisions name: amounts, partner, services."""
    published, quoted = case.published_monthly, case.quoted_monthly
    lower = min((each for each in (published, quoted) if each), key=lambda each: each.amount, default=None)
    currency = published.currency if published else "EUR"
    return {
        "published": published,
        "quoted": lower,
        "difference": Money(amount=decisions.honoured_difference(case), currency=currency),
        "partner": case.partner or "",
        "services": ", ".join(case.waiting_services),
    }


def _back(case_id: str, search: Search, done: str) -> RedirectResponse:
    query = "&".join(filter(None, (f"done={done}", search.query)))
    return RedirectResponse(f"/cases/{case_id}?{query}", 303)
