"""The customer's door: the page behind the signed link, and her answer (S2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from babel.dates import format_datetime
from babel.numbers import format_currency
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from contracts.money import Money
from contracts.offer_v1 import BRUSSELS, Offer
from services.chassis import links
from services.chassis.http import look as look_at
from services.chassis.http import service_of, transact
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.intake import life, store
from services.intake.pages.texts import TEXTS
from services.intake.store import ConfirmationRow, CustomerRow, OrderRow, SubscriptionRow

router = APIRouter(tags=["customer"])

Outcome = Literal["open", "yes", "no", "expired", "replaced", "unknown", "unclear"]

PAGES = Environment(
    loader=PackageLoader("services.intake", "pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
STATUS = {"open": 200, "yes": 200, "no": 200, "expired": 410, "replaced": 410, "unknown": 404, "unclear": 422}


@dataclass(frozen=True)
class Question:
    """What the page shows: how the question stands, and what it is about."""

    outcome: Outcome
    language: str = "en"
    row: OrderRow | None = None
    before: Offer | None = None
    after: Offer | None = None
    confirmation: ConfirmationRow | None = None


@router.get("/confirm/{token}", response_class=HTMLResponse)
async def show_question(token: str, request: Request) -> HTMLResponse:
    """Show what was ordered, what it costs and what changes; opening the page answers nothing."""

    async def look(tx: Transaction) -> Question:
        return await _question(tx, _confirmation_id(request, token))

    return _page(await look_at(request, look))


@router.post("/confirm/{token}", response_class=HTMLResponse)
async def take_answer(token: str, request: Request, answer: Annotated[str, Form()] = "") -> HTMLResponse:
    """Take the customer's yes or no, once."""

    async def work(tx: Transaction) -> Question:
        question = await _question(tx, _confirmation_id(request, token))
        if question.outcome != "open":
            return question
        if answer not in {"yes", "no"}:
            return Question(
                "unclear", question.language, question.row, question.before, question.after, question.confirmation
            )
        return await _answered(tx, question, answer)

    return _page(await transact(request, work))


async def _answered(tx: Transaction, question: Question, answer: str) -> Question:
    row, confirmation = question.row, question.confirmation
    if row is None or confirmation is None:
        return Question("unknown", question.language)
    tx.put(changed(confirmation, answer=answer, answered_at=tx.now))
    if answer == "no":
        await life.cancelled(tx, row, "customer", "the customer said no")
        return Question("no", question.language)
    row = await life.confirm(tx, row)
    return Question("yes" if row.state == "inProgress" else "replaced", question.language)


def _confirmation_id(request: Request, token: str) -> str | None:
    try:
        return links.read(service_of(request).settings.link_secret, token)
    except links.ForgedLinkError:
        return None


async def _question(tx: Transaction, confirmation_id: str | None) -> Question:
    confirmation = await tx.get(ConfirmationRow, confirmation_id) if confirmation_id else None
    row = await tx.get(OrderRow, confirmation.order_id) if confirmation else None
    if confirmation is None or row is None:
        return Question("unknown")
    customer = await tx.get(CustomerRow, row.customer_id)
    language = customer.customer.language if customer else "en"
    if confirmation.answer is not None:
        return Question("yes" if confirmation.answer == "yes" else "no", language)
    if tx.now >= confirmation.expires_at:
        return Question("expired", language)
    if row.state != "pending" or row.confirmation_id != confirmation.id:
        return Question("replaced", language)
    before, after = await _offers(tx, row)
    return Question("open", language, row, before, after, confirmation)


async def _offers(tx: Transaction, row: OrderRow) -> tuple[Offer | None, Offer | None]:
    subscription = await tx.get(SubscriptionRow, row.subscription_id)
    current = subscription.subscription.offer if subscription and subscription.subscription else None
    found = []
    for ref in (current, row.order.offer):
        versions = await store.publications(tx, ref.code) if ref else []
        found.append(next((each.offer for each in versions if each.offer.ref == ref), None))
    return found[0], found[1]


def _page(question: Question) -> HTMLResponse:
    language = question.language

    def money(amount: Money) -> str:
        return format_currency(
            amount.amount / 100, amount.currency, locale=f"{language}_BE" if language != "en" else "en"
        )

    def signed(amount: Money) -> str:
        return ("+" if amount.amount > 0 else "") + money(amount)

    until = question.confirmation.expires_at if question.confirmation else None
    html = PAGES.get_template("confirm.html").render(
        question=question,
        order=question.row.order if question.row else None,
        text=_Texts(language),
        language=language,
        money=money,
        signed=signed,
        until=format_datetime(until, "long", tzinfo=BRUSSELS, locale=language) if until else "",
    )
    return HTMLResponse(html, STATUS[question.outcome], {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


class _Texts:
    """The page's words in one language; a missing one is an error, not an empty place."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a text
        return TEXTS[name][self._language]
