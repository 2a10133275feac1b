"""The customer's door: the page behind the signed link, and her answer (S2)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from string import digits
from typing import Annotated, Any, Literal, cast, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from contracts.customer_v1 import Language
from contracts.money import Money
from contracts.offer_v1 import Offer, OfferRef
from services.chassis import links
from services.chassis.faults import preferred_language
from services.chassis.http import look as look_at
from services.chassis.http import service_of, transact
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.intake import life, pages, store
from services.intake.api.amounts import UnclearAmountError, written
from services.intake.pages import Asked, Attempt
from services.intake.store import ConfirmationRow, CustomerRow, OrderRow, SubscriptionRow

router = APIRouter(tags=["customer"])

Answer = Literal["yes", "no", "not-what-i-was-told"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)

OPEN, UNCLEAR, GONE, UNKNOWN = 200, 422, 410, 404
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}
"""The link is the customer's signature: it is told to nobody, and nobody frames the page to have her click a yes."""

PAGE: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
ANSWERED: dict[int | str, dict[str, Any]] = {
    OPEN: {"description": "The question, or what became of it", **PAGE},
    UNKNOWN: {"description": "No link of ours", **PAGE},
    GONE: {"description": "The question is no longer asked: too late, replaced, or the order ended", **PAGE},
    UNCLEAR: {"description": "An answer that could not be taken; the question is open", **PAGE},
}


class AnswerForm(BaseModel):
    """What the customer sends; amounts are in euros as she writes them."""

    answer: str = ""
    told_monthly_change: str = ""
    told_monthly_total: str = ""
    code: str = ""


@dataclass(frozen=True)
class Question:
    """A question, its order, and what the customer has; `standing` is where it stands now."""

    language: Language
    standing: str
    row: OrderRow | None = None
    confirmation: ConfirmationRow | None = None
    asked: Asked | None = None
    attempt: Attempt | None = None
    not_taken: bool = False


@router.get("/confirm/{token}", response_class=HTMLResponse, responses=ANSWERED)
async def show_question(token: str, request: Request, language: str = "") -> HTMLResponse:
    """Show what was ordered, what it costs and what changes; opening the page answers nothing."""

    async def look(tx: Transaction) -> Question:
        return await _question(tx, request, token, language)

    return _page(await look_at(request, look))


@router.post("/confirm/{token}", response_class=HTMLResponse, responses=ANSWERED)
async def take_answer(
    token: str, request: Request, form: Annotated[AnswerForm, Form()], language: str = ""
) -> HTMLResponse:
    """Take the customer's answer, once."""

    async def work(tx: Transaction) -> Question:
        question = await _question(tx, request, token, language)
        if question.asked is None or question.row is None or question.confirmation is None:
            before = question.confirmation.answer if question.confirmation else None
            return replace(question, not_taken=before not in {None, form.answer})
        told, faults = _read(form, question.asked)
        if faults:
            return replace(question, attempt=Attempt(faults, form.model_dump()))
        if form.answer == "yes" and not _has_code(request, question.confirmation, form):
            return await _without_code(tx, question, form)
        return await _answered(tx, question, cast("Answer", form.answer), told)

    return _page(await transact(request, work))


def _read(form: AnswerForm, asked: Asked) -> tuple[dict[str, Money], dict[str, str]]:
    """The amounts that she was told, and every fault by its field."""
    if form.answer not in ANSWERS:
        return {}, {"answer": "answer"}
    told, faults = dict[str, Money](), dict[str, str]()
    if form.answer != "not-what-i-was-told":
        return told, faults
    for name in ("told_monthly_change", "told_monthly_total"):
        text = getattr(form, name).strip()
        try:
            told |= {name: written(text, asked.price.new_monthly.currency)} if text else {}
        except UnclearAmountError:
            faults[name] = "told-unclear"
    if not told and not faults:
        faults["told_monthly_change"] = "told-missing"
    return told, faults


def _has_code(request: Request, confirmation: ConfirmationRow, form: AnswerForm) -> bool:
    """Whether a yes needs no code, or comes with the one that went to the customer's phone."""
    if not confirmation.code_required:
        return True
    code = links.code(service_of(request).settings.link_secret, confirmation.id)
    return hmac.compare_digest(code, "".join(each for each in form.code if each in digits))


async def _without_code(tx: Transaction, question: Question, form: AnswerForm) -> Question:
    """A yes without the right code is none; nor is there a question any more after too many of them."""
    row, confirmation = question.row, question.confirmation
    if row is None or confirmation is None:
        return question
    row = await life.wrong_code(tx, row, confirmation) if form.code.strip() else row
    if row.state == "pending":
        return replace(question, attempt=Attempt({"code": "code"}, form.model_dump(exclude={"code"})))
    return Question(question.language, _standing(tx, row, confirmation), row, confirmation)


async def _answered(tx: Transaction, question: Question, answer: Answer, told: dict[str, Money]) -> Question:
    row, confirmation = question.row, question.confirmation
    if row is None or confirmation is None:
        return question
    confirmation = changed(confirmation, answer=answer, answered_at=tx.now)
    tx.put(confirmation)
    match answer:
        case "yes":
            row = await life.confirm(tx, row)
        case "no":
            row = await life.cancel(tx, row, "customer", "the customer said no")
        case "not-what-i-was-told":
            row = await life.dispute(tx, row, told.get("told_monthly_change"), told.get("told_monthly_total"))
    return Question(question.language, _standing(tx, row, confirmation), row, confirmation)


def _confirmation_id(request: Request, token: str) -> str | None:
    try:
        return links.read(service_of(request).settings.link_secret, token)
    except links.ForgedLinkError:
        return None


async def _question(tx: Transaction, request: Request, token: str, wanted: str) -> Question:
    confirmation_id = _confirmation_id(request, token)
    confirmation = await tx.get(ConfirmationRow, confirmation_id) if confirmation_id else None
    row = await tx.get(OrderRow, confirmation.order_id) if confirmation else None
    customer = await tx.get(CustomerRow, row.customer_id) if row else None
    language = _language(request, wanted, customer)
    if confirmation is None or row is None:
        return Question(language, "unknown")
    question = Question(language, _standing(tx, row, confirmation), row, confirmation)
    return replace(question, asked=await _asked(tx, row, confirmation)) if question.standing == "pending" else question


def _language(request: Request, wanted: str, customer: CustomerRow | None) -> Language:
    """The language that is asked for on the page, else the customer's, else the browser's."""
    if wanted in get_args(Language):
        return cast("Language", wanted)
    if customer is not None:
        return customer.customer.language
    return cast("Language", preferred_language(request.headers.get("accept-language", "")))


def _standing(tx: Transaction, row: OrderRow, confirmation: ConfirmationRow) -> str:
    """Where a question stands: open where the order is pending on it, else what became of it or of the order."""
    late = tx.now >= confirmation.expires_at
    if row.state == "pending":
        if row.confirmation_id != confirmation.id:
            return "replaced"
        return "expired" if late else "pending"
    if row.state == "cancelled" and confirmation.answer is None and late:
        return "expired"
    ending = {"assessingCancellation": "cancelling", "pendingCancellation": "cancelling", "failed": "cancelled"}
    return ending.get(row.state, row.state)


async def _asked(tx: Transaction, row: OrderRow, confirmation: ConfirmationRow) -> Asked:
    known = await tx.get(SubscriptionRow, row.subscription_id)
    subscription = known.subscription if known and row.order.action != "add" else None
    if row.order.price is None:
        message = f"{row.id} is pending without a price"
        raise ValueError(message)
    return Asked(
        order=row.order,
        price=row.order.price,
        subscription=subscription,
        current_offer=await _offer(tx, subscription.offer if subscription else None),
        new_offer=await _offer(tx, row.order.offer),
        expires_at=confirmation.expires_at,
        code_required=confirmation.code_required,
    )


async def _offer(tx: Transaction, ref: OfferRef | None) -> Offer | None:
    versions = await store.publications(tx, ref.code) if ref else []
    return next((each.offer for each in versions if each.offer.ref == ref), None)


def _page(question: Question) -> HTMLResponse:
    language, confirmation = question.language, question.confirmation
    if question.asked is not None:
        html = pages.question(question.asked, language, question.attempt or Attempt())
        return HTMLResponse(html, UNCLEAR if question.attempt else OPEN, HEADERS)
    sentences, status = _said(language, confirmation), UNKNOWN
    if confirmation is not None:
        status = OPEN if sentences and question.standing != "replaced" else GONE
    sentences.append(pages.stands(language, question.standing, confirmation.expires_at if confirmation else None))
    if question.not_taken:
        sentences.append(pages.not_taken(language))
    return HTMLResponse(pages.standing(language, sentences), status, HEADERS)


def _said(language: Language, confirmation: ConfirmationRow | None) -> list[str]:
    if confirmation is None or confirmation.answer is None or confirmation.answered_at is None:
        return []
    return [pages.said(language, confirmation.answer, confirmation.answered_at)]
