"""The partner door for asking before selling: what an order would cost, change and remove; no order is made."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from contracts.order_v1 import Order
from contracts.subscription_v1 import lost
from services.chassis import keys
from services.chassis.http import Problem, received, transact
from services.chassis.keys import Principal
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.intake import life, rules, store
from services.intake.api import examples, reception
from services.intake.api.body import OrderForm, language_of
from services.intake.api.orders import SELLERS, likely_seller, ordered, read
from services.intake.rules import Assessment
from services.intake.rules.disclosure import not_shown_in_check, shown
from services.intake.settings import settings
from services.intake.store import SubscriptionRow

router = APIRouter(tags=["orders"])


@router.post(
    "/v1/order-checks",
    responses=examples.checked() | examples.problems("body.too-large", "request.not-storable"),
    openapi_extra=examples.body_of(OrderForm, examples.ORDERED),
)
async def check_order(request: Request) -> dict[str, Any]:
    """Judge an order that is not made: what it would cost, change and remove, and what would be wrong with it.

    What the customer has and pays is shown only to who gives the phone or the e-mail that is on file. For anybody else
    `not_shown` names the codes that are left out whether they were found or not, always the same ones, so that guessing
    tells nothing. The quote is kept and compared like an order's.
    """
    likely = likely_seller(request)
    form = read(await received(request, settings.body_bytes), request)

    async def work(tx: Transaction) -> dict[str, Any]:
        seller = await keys.holder(tx, request, SELLERS)
        if isinstance(form, Problem):
            raise form
        return await _checked(tx, form, seller, language_of(request))

    reads = () if likely is None or isinstance(form, Problem) else reception.reads(form, likely)
    return await transact(request, work, reads)


async def _checked(tx: Transaction, form: OrderForm, seller: Principal, language: str) -> dict[str, Any]:
    met = await reception.meet(tx, form, seller, language)
    order = ordered(tx, form, seller, met)
    keep_for = (*met.customers, *met.unknown)
    quotes = await reception.earlier_quotes(tx, order, met, keep_for, checked=True)
    order = order.model_copy(update={"earlier_quotes": quotes})
    channels = list(seller.attributes.get("channels", ()))
    entry = store.history_entry("acknowledged", tx.now, seller.holder, None)
    row = changed(store.new_order(order, channels, entry, tx.now), reception=met.reception)
    judged = await life.judge(tx, row)
    return _view(order.model_copy(update={"price": judged.price}), judged, await _removes(tx, order, judged))


async def _removes(tx: Transaction, order: Order, judged: Assessment) -> list[str]:
    """What the customer would have no more."""
    known = await tx.get(SubscriptionRow, order.subscription_id) if order.action != "add" else None
    before = known.subscription if known else None
    if before is None or judged.price is None or not rules.is_hers(order, before):
        return []
    versions = await store.publications(tx, order.offer_code)
    offer = next((each.offer for each in versions if each.offer.ref == judged.offer), None)
    return list(lost(before, before.changed_to(offer) if offer else before.terminated()))


def _view(order: Order, judged: Assessment, removes: list[str]) -> dict[str, Any]:
    not_shown = not_shown_in_check(order)
    return {
        "offer": judged.offer.model_dump() if judged.offer else None,
        "price": order.price_for_partner(),
        "removes": removes if order.discloses else None,
        "discrepancies": [shown(each, order) for each in judged.discrepancies if each.code not in not_shown],
        "not_shown": list(not_shown),
    }
