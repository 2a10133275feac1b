"""What tests of the pages hold in their hands: cases worth looking at, and reviewers who are signed in."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from contracts.order_v1 import Order, OrderPrice, Quote
from services.chassis.ids import sha256
from tests.harness import eventually
from tests.review import samples
from tests.review.desk import Desk
from tests.review.samples import discrepancy, euros, found, letter

PROMISED: dict[str, Any] = {
    "discrepancies": (
        discrepancy("price.change", "intake", {"amount": 1100, "currency": "EUR"}, {"amount": 500, "currency": "EUR"}),
    ),
    "published_monthly": euros(8100),
    "quoted_monthly": euros(7500),
}
"""The story's order: +5.00 told, +11.00 published; honouring it takes two people."""


async def promised(desk: Desk, partner: str = "liege-calls", **changes: Any) -> tuple[str, Order]:
    """A case of an order whose price was told wrong, once its page shows all of it."""
    name = uuid.uuid4().hex
    price = OrderPrice(
        current_monthly=euros(7000),
        new_monthly=euros(8100),
        monthly_change=euros(1100),
        one_off=euros(0),
        monthly_after_promotion=euros(8100),
    )
    order = samples.order(f"order-{name}", f"sub-{name}", partner).model_copy(
        update={"price": price, "quote": Quote(monthly_change=euros(500))}
    )
    case_id = f"case-{name}"
    await desk.publish(found(case_id, of=order, **PROMISED | changes))
    await desk.case(case_id)
    await desk.holds(order, case_id)
    return case_id, order


async def lost(desk: Desk) -> tuple[str, Order]:
    """A case of an order that would take the TV away without naming it."""
    missing = discrepancy("services.lost", "intake", ["tv", "decoder"], []).model_copy(update={"path": "/removals"})
    return await promised(desk, discrepancies=(missing,))


async def poisoned(desk: Desk, value: bytes = b"{not json") -> str:
    """A case of a message that nobody can read."""
    case_id = f"case-{uuid.uuid4().hex}"
    await desk.publish(letter(case_id, value=value, headers=[("ce_type", b"order.completed.v1")]), source="billing")
    await desk.case(case_id)
    return case_id


@asynccontextmanager
async def visiting(desk: Desk, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    """A browser without JavaScript, in process; nobody is signed in yet."""
    transport = httpx.ASGITransport(app=desk.service.app, raise_app_exceptions=False)
    headers = {"accept-language": language}
    async with httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers) as client:
        yield client


@asynccontextmanager
async def signed_in(desk: Desk, who: str = "rita", language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    """The same, with somebody signed in."""
    async with visiting(desk, language) as client:
        answer = await client.post("/sign-in", data={"key": desk.keys[who]})
        assert (answer.status_code, answer.headers["location"]) == (303, "/cases"), answer.text
        yield client


def token(html: str) -> str:
    """The token that the forms of a page carry."""
    [found_, *_] = re.findall(r'name="token" value="([^"]+)"', html)
    return str(found_)


async def sent(client: httpx.AsyncClient, page: str, path: str, **fields: Any) -> httpx.Response:
    """Fill in a form of a page and send it."""
    return await client.post(path, data={"token": token((await client.get(page)).text), **fields})


async def revoked(desk: Desk, who: str) -> None:
    """Let somebody's key open nothing any more, and wait until it does not."""
    async with visiting(desk) as client:
        headers = {"authorization": f"Bearer {desk.keys['operator']}"}
        answer = await client.delete(f"/v1/keys/{sha256(desk.keys[who])}", headers=headers)
    assert answer.status_code == 204

    async def shut() -> bool:
        return (await desk.get("/v1/cases", who=who)).status_code == 401

    await eventually(shut)
