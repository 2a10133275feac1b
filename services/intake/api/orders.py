"""The partner door: orders taken, shown and listed; what is on sale."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.offer_v1 import Channel, on_sale
from contracts.order_v1 import Evidence, Order, State
from services.chassis import keys
from services.chassis.http import Problem, look, received, transact
from services.chassis.ids import sha256
from services.chassis.keys import Principal
from services.chassis.rate import Rate
from services.chassis.rows import changed
from services.chassis.transaction import Place, Transaction
from services.intake import life, store
from services.intake.api import examples, reception
from services.intake.api.body import CustomerForm, FaultyBodyError, OrderForm, language_of, read_order
from services.intake.api.reception import Met
from services.intake.rules.disclosure import shown
from services.intake.settings import settings
from services.intake.store import ContactRow, CustomerRow, IdempotencyRow, OrderRow, ReferenceRow, SubscriptionRow

router = APIRouter(tags=["orders"])

SELLERS: tuple[keys.Role, ...] = ("partner", "service-desk")
RATE = Rate()


async def _seller(principal: Annotated[Principal, Depends(keys.allow(*SELLERS))]) -> Principal:
    RATE.take(principal.holder, settings.requests_per_second)
    return principal


Seller = Annotated[Principal, Depends(_seller)]

LONGEST_IDEMPOTENCY_KEY = 255
TAKEN = examples.LOCATION | examples.REPLAYED


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_IDEMPOTENCY_KEY},
    "example": "LC-2026-000123",
}


@router.post(
    "/v1/orders",
    status_code=201,
    responses=examples.answered(201, "The order, its state already decided", examples.HELD, TAKEN)
    | examples.problems(
        "idempotency-key.missing",
        "idempotency-key.in-use",
        "idempotency-key.reused",
        "partner-reference.in-use",
        "body.too-large",
        "request.not-storable",
    ),
    openapi_extra=examples.body_of(OrderForm, examples.ORDERED) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def post_order(request: Request) -> Response:
    """Take an order; the answer already says what became of it.

    What the customer has and pays is null in it, as in every later answer, unless the phone or the e-mail is the one on
    file; after her own yes it is shown.
    """
    likely, key = likely_seller(request), _idempotency_key(request)
    raw = await received(request, settings.body_bytes)
    form, language = read(raw, request), language_of(request)

    async def work(tx: Transaction) -> Response:
        seller = await keys.holder(tx, request, SELLERS)
        if isinstance(form, Problem):
            raise form
        return await submit_order(tx, form, seller, key, sha256(raw), language)

    with _one_at_a_time(likely, key):
        reads = () if likely is None or isinstance(form, Problem) else _reads(form, likely, key)
        return await transact(request, work, reads)


def likely_seller(request: Request) -> str | None:
    """Say who seems to come in, so that what is needed can be read early. Raises Problem 429 for too often."""
    likely = keys.likely_holder(request, SELLERS)
    if likely is not None:
        RATE.take(likely, settings.requests_per_second)
    return likely


@contextmanager
def _one_at_a_time(partner: str | None, key: str) -> Iterator[None]:
    """Let no second request with a key in while the first is running; another process's is waited for."""
    if (partner, key) in _running:
        raise Problem(409, "idempotency-key.in-use", "the first request with this key is still running")
    _running.add((partner, key))
    try:
        yield
    finally:
        _running.discard((partner, key))


_running: set[tuple[str | None, str]] = set()


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not key or len(key) > LONGEST_IDEMPOTENCY_KEY or not key.isprintable():
        raise Problem(400, "idempotency-key.missing", "send an Idempotency-Key of 1 to 255 printable characters")
    return key


def _reads(form: OrderForm, partner: str, key: str) -> list[Place]:
    """What an order needs, so that it is read for all orders of a moment at once."""
    reads: list[Place] = [(IdempotencyRow, (partner, key)), (ReferenceRow, (form.partner_reference, partner))]
    return reads + reception.reads(form, partner)


async def submit_order(
    tx: Transaction, form: OrderForm, seller: Principal, idempotency_key: str, body_sha256: str, language: str
) -> Response:
    """Take an order once per idempotency key and once per partner reference."""
    first = await tx.get(IdempotencyRow, seller.holder, idempotency_key)
    if first is not None:
        return _replayed(first, body_sha256)
    same = await tx.get(ReferenceRow, form.partner_reference, seller.holder)
    if same is not None:
        detail = f"order {same.order_id} has this partner_reference"
        raise Problem(409, "partner-reference.in-use", detail, order_id=same.order_id)
    row = await _new_order(tx, form, seller, language)
    tx.add(ReferenceRow(name=form.partner_reference, partner=seller.holder, order_id=row.id))
    answer = JSONResponse(view(row, seller), 201, {"Location": f"/v1/orders/{row.id}"})
    tx.add(
        IdempotencyRow(
            partner=seller.holder,
            key=idempotency_key,
            body_sha256=body_sha256,
            order_id=row.id,
            answer=bytes(answer.body).decode(),
            created_at=tx.now,
        )
    )
    return answer


def _replayed(first: IdempotencyRow, body_sha256: str) -> Response:
    if first.body_sha256 != body_sha256:
        raise Problem(422, "idempotency-key.reused", "this Idempotency-Key came with another body before")
    headers = {"Location": f"/v1/orders/{first.order_id}", "Idempotency-Replayed": "true"}
    return Response(first.answer, 201, headers, media_type="application/json")


async def _new_order(tx: Transaction, form: OrderForm, seller: Principal, language: str) -> OrderRow:
    met = await reception.meet(tx, form, seller, language)
    order = ordered(tx, form, seller, met)
    await _record(tx, form, met, order.customer_id)
    keep_for = [order.customer_id, *met.customers]
    quotes = await reception.earlier_quotes(tx, order, met, keep_for, checked=False)
    order = order.model_copy(update={"earlier_quotes": quotes})
    entry = store.history_entry("acknowledged", tx.now, f"{seller.holder}/{form.agent}", None)
    row = changed(
        store.new_order(order, list(seller.attributes.get("channels", ())), entry, tx.now), reception=met.reception
    )
    tx.add(row)
    known = await tx.get(SubscriptionRow, row.subscription_id) if form.subscription_id else None
    return await life.begin(tx, row, known or SubscriptionRow(id=row.subscription_id))


def ordered(tx: Transaction, form: OrderForm, seller: Principal, met: Met) -> Order:
    """The order that a body asks for; ids that it does not name are made."""
    return Order(
        id=tx.new_id(),
        partner=seller.holder,
        partner_reference=form.partner_reference,
        agent=form.agent,
        channel=form.channel,
        action=form.action,
        customer_id=form.customer.id or f"cust-{tx.new_id()}",
        subscription_id=form.subscription_id or f"sub-{tx.new_id()}",
        offer_code=form.offer,
        quote=form.quote,
        removals=form.removals,
        evidence=Evidence(**form.evidence.model_dump()) if form.evidence else None,
        sold_at=form.sold_at,
        received_at=tx.now,
        discloses=met.knows_her,
    )


async def _record(tx: Transaction, form: OrderForm, met: Met, customer_id: str) -> None:
    """Put a new customer on file, by the agent's word. A contact that is on file is never changed by an order.

    Who comes with a contact that is another's or an agent's is not put on file: the next order would find it there.
    """
    if form.action != "add" or met.reception.contacts or (form.customer.id and await tx.get(CustomerRow, customer_id)):
        return
    customer = _new_customer(customer_id, form.customer, form.language)
    tx.add(CustomerRow(id=customer_id, customer=customer, verified=False))
    for each in met.unknown:
        tx.add(ContactRow(contact=each, customer_id=customer_id))
    tx.publish(CustomerRecorded(customer=customer))


def _new_customer(customer_id: str, form: CustomerForm, language: Any) -> Customer:  # noqa: ANN401 - a checked literal
    return Customer(
        id=customer_id, name=form.name or "", email=form.email or "", phone=form.phone or "", language=language
    )


@router.get(
    "/v1/orders/{order_id}",
    responses=examples.answered(200, "The order", examples.HELD) | examples.problems("order.unknown"),
)
async def get_order(order_id: str, request: Request, seller: Seller) -> dict[str, Any]:
    """Show an order; another partner's order does not exist here."""

    async def find(tx: Transaction) -> OrderRow | None:
        rows = await store.listed(tx, _only(seller), {"id": order_id}, None, 1)
        return rows[0] if rows else None

    row = await look(request, find)
    if row is None:
        raise _unknown()
    return view(row, seller)


async def mine(tx: Transaction, seller: Principal, order_id: str) -> OrderRow:
    """Read and lock an order of a seller's own. Raises Problem 404."""
    row = await tx.get(OrderRow, order_id)
    if row is None or _only(seller) not in {None, row.partner}:
        raise _unknown()
    return row


def _unknown() -> Problem:
    return Problem(404, "order.unknown", "there is no such order")


@router.get(
    "/v1/orders",
    responses=examples.answered(200, "A page of orders", {"items": [examples.HELD], "next": None})
    | examples.problems(),
)
async def list_orders(
    request: Request,
    seller: Seller,
    state: State | None = None,
    partner_reference: str | None = None,
    customer_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """List orders, newest first; `next` is the cursor of the following page."""
    filters = {"state": state, "partner_reference": partner_reference, "customer_id": customer_id}

    async def find(tx: Transaction) -> list[OrderRow]:
        return await store.listed(tx, _only(seller), filters, after, limit + 1)

    rows = await look(request, find)
    page = rows[:limit]
    return {"items": [view(row, seller) for row in page], "next": page[-1].id if len(rows) > limit else None}


@router.get(
    "/v1/offers",
    responses=examples.answered(200, "What is on sale", examples.OFFERS) | examples.problems(),
)
async def list_offers(
    request: Request, seller: Seller, channel: Channel, at: AwareDatetime | None = None
) -> dict[str, Any]:
    """List what is on sale in a channel at a moment, with its published prices."""
    del seller
    publications, now = await look(request, _everything)
    moment: datetime = at or now
    by_code: dict[str, list[Any]] = {}
    for each in publications:
        by_code.setdefault(each.offer.code, []).append(each)
    found = [on_sale(versions, channel, moment) for versions in by_code.values()]
    items = [
        {
            "code": offer.code,
            "version": offer.version,
            "names": offer.names.model_dump(),
            "services": [each.model_dump(mode="json") for each in offer.services],
            "equipment": list(offer.equipment),
            "term_months": offer.term_months,
            "price": {each: offer.price(channel, each, moment).model_dump(mode="json") for each in ("add", "modify")},
        }
        for offer in found
        if not isinstance(offer, str)
    ]
    return {"items": items, "next": None}


async def _everything(tx: Transaction) -> tuple[list[Any], datetime]:
    return await store.all_publications(tx), tx.now


def _only(seller: Principal) -> str | None:
    return seller.holder if seller.role == "partner" else None


def read(raw: bytes, request: Request) -> OrderForm | Problem:
    """Read the body; its faults are told to nobody whose key is not known."""
    try:
        return read_order(raw, language_of(request))
    except FaultyBodyError as error:
        return Problem(422, "request.invalid", str(error), errors=[dict(each) for each in error.faults])


def view(row: OrderRow, seller: Principal) -> dict[str, Any]:
    """Show an order as its partner may see it, and whole to the service desk."""
    order = row.order if seller.role == "partner" else row.order.model_copy(update={"discloses": True})
    return {
        "id": row.id,
        "partner_reference": row.partner_reference,
        "state": row.state,
        "waits_for": row.waits_for,
        "action": order.action,
        "customer_id": row.customer_id,
        "subscription_id": row.subscription_id,
        "reverses": order.reverses,
        "reversed_by": row.reversed_by,
        "offer": order.offer.model_dump() if order.offer else None,
        "price": order.price_for_partner(),
        "discrepancies": [shown(each, order) for each in row.discrepancies],
        "case_id": row.case_id if row.state == "held" else None,
        "question": row.question,
        "history": row.history,
        "created_at": _zulu(row.created_at),
        "updated_at": _zulu(row.updated_at),
    }


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
