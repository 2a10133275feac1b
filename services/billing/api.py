"""Billing's doors: what a subscription is charged, and what a partner earns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from contracts.offer_v1 import brussels_day
from services.billing import rules, store
from services.billing.rules import Entry
from services.billing.rules.commissions import Rate, of_the_past, overlapping
from services.billing.store import LineRow, SubscriptionRow
from services.chassis.http import Problem, transact
from services.chassis.keys import Principal, allow
from services.chassis.transaction import Transaction

router = APIRouter(prefix="/v1", tags=["billing"])

Desk = Annotated[Principal, Depends(allow("service-desk", "operator"))]
Operator = Annotated[Principal, Depends(allow("operator"))]
Limit = Annotated[int, Query(ge=1, le=1000)]
Item = dict[str, Any]


@router.get("/subscriptions/{subscription_id}/charges")
async def charges(
    subscription_id: str, request: Request, _: Desk, limit: Limit = 100, after: int | None = None
) -> Item:
    """What is charged per month now, and the history of charges with their lines, oldest first."""

    async def read(tx: Transaction) -> Item:
        row = await _subscription(tx, subscription_id)
        lines = await store.lines(tx, row.id)
        items = [_charge(entry, lines) for entry in row.history if after is None or entry.version > after]
        in_force = rules.monthly_on(row.history, brussels_day(tx.now))
        return {"subscription_id": row.id, "in_force": in_force} | _page(items, limit, lambda item: item["version"])

    return await transact(request, read)


@router.get("/subscriptions/{subscription_id}/invoices")
async def invoices(
    subscription_id: str, request: Request, _: Desk, limit: Limit = 100, after: str | None = None
) -> Item:
    """The lines by the month on whose billing day they will be invoiced, with net and VAT; none is issued yet."""

    async def read(tx: Transaction) -> Item:
        row = await _subscription(tx, subscription_id)
        by_month = sorted(await store.lines(tx, row.id), key=lambda line: line.line.invoice)
        grouped = groupby(by_month, key=lambda line: line.line.invoice)
        items = [_invoice(month, list(lines)) for month, lines in grouped if after is None or month > after]
        return _page(items, limit, lambda item: item["period"])

    return await transact(request, read)


@router.get("/partners/{partner}/commissions")
async def commissions(partner: str, request: Request, _: Desk, limit: Limit = 100, after: str | None = None) -> Item:
    """A partner's commissions, newest order first."""

    async def read(tx: Transaction) -> Item:
        rows = await store.commissions(tx, partner, after, limit + 1)
        shown = {"order_id", "subscription_id", "agent", "amount", "state", "sold_at"}
        return _page([row.model_dump(include=shown) for row in rows], limit, lambda item: item["order_id"])

    return await transact(request, read)


@router.put("/partners/{partner}/commission-rates")
async def set_commission_rates(partner: str, body: list[Rate], request: Request, _: Operator) -> Item:
    """Replace a partner's commission rates; what an order earns is fixed at its sale, so they change from tomorrow on.

    Two that say the same for the same day are refused with 422, and 409 what would change the past.
    """
    faults = [
        {"pointer": f"/{place}", "code": "rate.overlapping", "detail": "another rate is valid for the same sales"}
        for place in overlapping(body)
    ]
    if faults:
        raise Problem(422, "request.invalid", f"{len(faults)} faults", errors=faults)

    async def replace(tx: Transaction) -> None:
        before = await store.rates(tx, partner)
        rewritten = of_the_past(before, body, brussels_day(tx.now)) if before else []
        if rewritten:
            detail = "what partners earn by sales until today stays: end a rate today, and begin the next one tomorrow"
            raise Problem(409, "rates.of-the-past", detail, rates=[each.model_dump(mode="json") for each in rewritten])
        await store.replace_rates(tx, partner, body)

    await transact(request, replace)
    return {"items": body, "next": None}


async def _subscription(tx: Transaction, subscription_id: str) -> SubscriptionRow:
    row = await store.subscription(tx, subscription_id)
    if row is None:
        raise Problem(404, "subscription.unknown", "nothing is charged under this id")
    return row


def _charge(entry: Entry, lines: list[LineRow]) -> Item:
    return entry.model_dump() | {"lines": [_line(line) for line in lines if line.version == entry.version]}


def _invoice(month: str, lines: list[LineRow]) -> Item:
    total = lines[0].line.amount
    for line in lines[1:]:
        total += line.line.amount
    net, vat = rules.split(total)
    shown = [_line(line) for line in lines]
    return {"period": month, "state": "open", "lines": shown, "total": total, "net": net, "vat": vat}


def _line(row: LineRow) -> Item:
    return {"number": row.number, "order_id": row.order_id} | row.line.model_dump()


def _page(items: list[Item], limit: int, cursor: Callable[[Item], Any]) -> Item:
    return {"items": items[:limit], "next": cursor(items[limit - 1]) if len(items) > limit else None}
