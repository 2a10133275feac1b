"""The partner's door to webhooks: where its system hears of its orders, and what was sent there."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.chassis.http import Problem, look, transact
from services.chassis.ids import new_secret
from services.chassis.keys import Principal, allow
from services.chassis.rows import changed
from services.chassis.transaction import Transaction
from services.notification import rules, store
from services.notification.gateway import CallWebhook
from services.notification.rules import Secret, Told
from services.notification.settings import settings
from services.notification.store import DeliveryRow, WebhookRow

router = APIRouter(tags=["webhooks"])

MOST_WEBHOOKS = 10

Partner = Annotated[Principal, Depends(allow("partner"))]
DeliveryState = Literal["waiting", "delivered", "failed"]


def _webhook_address(url: str) -> str:
    if not rules.is_webhook(url, private=settings.webhook_private_addresses):
        raise PydanticCustomError("webhook.address", "an https address on the Internet is expected")
    return url


def _each_once(events: tuple[Told, ...]) -> tuple[Told, ...]:
    if not events:
        raise PydanticCustomError("missing", "name at least one event")
    return tuple(dict.fromkeys(events))


class WebhookForm(BaseModel):
    """Where a partner's system wants to hear of its orders, and of which events."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(max_length=2000), AfterValidator(_webhook_address)]
    events: Annotated[tuple[Told, ...], AfterValidator(_each_once)] = rules.EVENTS


@router.post("/v1/webhooks", status_code=201)
async def add_webhook(form: WebhookForm, request: Request, partner: Partner) -> dict[str, Any]:
    """Register a webhook; the answer shows its secret, which is shown again by nothing but a rotation."""
    secret = _new_secret()

    async def add(tx: Transaction) -> WebhookRow:
        if len(await store.webhooks_of(tx, partner.holder)) >= MOST_WEBHOOKS:
            raise Problem(409, "webhook.too-many", f"a partner has at most {MOST_WEBHOOKS} webhooks")
        row = WebhookRow(
            id=tx.new_id(),
            partner=partner.holder,
            url=form.url,
            events=form.events,
            secrets=(Secret(value=secret),),
            created_at=tx.now,
        )
        tx.add(row)
        return row

    return _webhook_view(await transact(request, add)) | {"secret": secret}


@router.get("/v1/webhooks")
async def list_webhooks(request: Request, partner: Partner) -> dict[str, Any]:
    """List the partner's webhooks, oldest first; never a secret."""
    rows = await look(request, lambda tx: store.webhooks_of(tx, partner.holder))
    return {"items": [_webhook_view(row) for row in rows], "next": None}


@router.put("/v1/webhooks/{webhook_id}")
async def change_webhook(webhook_id: str, form: WebhookForm, request: Request, partner: Partner) -> dict[str, Any]:
    """Change address and events of a webhook; one that was disabled is active again."""

    async def change(tx: Transaction) -> WebhookRow:
        known = await _own(tx, webhook_id, partner)
        row = changed(known, url=form.url, events=form.events, state="active", reason=None)
        tx.put(row)
        return row

    return _webhook_view(await transact(request, change))


@router.delete("/v1/webhooks/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: str, request: Request, partner: Partner) -> None:
    """Take a webhook away; what still waited to be sent to it is not sent any more."""

    async def delete(tx: Transaction) -> None:
        tx.delete(await _own(tx, webhook_id, partner))

    await transact(request, delete)


@router.post("/v1/webhooks/{webhook_id}/secret")
async def rotate_secret(webhook_id: str, request: Request, partner: Partner) -> dict[str, Any]:
    """Make a new secret; for a day messages are signed with the one before it as well."""
    secret = _new_secret()

    async def rotate(tx: Transaction) -> WebhookRow:
        known = await _own(tx, webhook_id, partner)
        row = changed(known, secrets=rules.rotated(known.secrets, secret, tx.now))
        tx.put(row)
        return row

    row = await transact(request, rotate)
    return {"secret": secret, "former_valid_until": row.secrets[1].until}


@router.get("/v1/webhooks/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str,
    request: Request,
    partner: Partner,
    state: DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """List what was sent to a webhook, newest first, with every attempt."""

    async def find(tx: Transaction) -> list[DeliveryRow]:
        await _own(tx, webhook_id, partner)
        return await store.deliveries(tx, webhook_id, state, after, limit + 1)

    rows = await look(request, find)
    page = rows[:limit]
    return {"items": [_delivery_view(row) for row in page], "next": page[-1].id if len(rows) > limit else None}


@router.post("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202)
async def replay_delivery(webhook_id: str, delivery_id: str, request: Request, partner: Partner) -> dict[str, Any]:
    """Send a message again, as it was and under the same `webhook-id`; one that is still on its way is refused."""

    async def replay(tx: Transaction) -> DeliveryRow:
        webhook = await _own(tx, webhook_id, partner)
        row = await tx.get(DeliveryRow, delivery_id)
        if row is None or row.webhook_id != webhook.id:
            raise Problem(404, "delivery.unknown", "there is no such delivery")
        if row.state == "waiting":
            raise Problem(409, "delivery.waiting", "it is on its way already")
        if webhook.state != "active":
            raise Problem(409, "webhook.disabled", "change the webhook first: that makes it active again")
        again = changed(row, state="waiting")
        tx.put(again)
        tx.schedule(CallWebhook(delivery_id=row.id))
        return again

    return _delivery_view(await transact(request, replay))


async def _own(tx: Transaction, webhook_id: str, partner: Principal) -> WebhookRow:
    """Find a webhook of the partner's; another partner's does not exist here. Raises Problem 404."""
    row = await tx.get(WebhookRow, webhook_id)
    if row is None or row.partner != partner.holder:
        raise Problem(404, "webhook.unknown", "there is no such webhook")
    return row


def _new_secret() -> str:
    return rules.SECRET_PREFIX + base64.b64encode(new_secret("aq_webhook").encode()).decode()


def _webhook_view(row: WebhookRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "url", "events", "state", "reason", "created_at")}


def _delivery_view(row: DeliveryRow) -> dict[str, Any]:
    names = ("id", "order_id", "type", "state", "attempts", "created_at")
    return {name: getattr(row, name) for name in names}
