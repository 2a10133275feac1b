"""The doors of an operator and the service desk: contacts of partners, and what was told to whom."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from contracts.customer_v1 import Language
from services.chassis.http import transact
from services.chassis.keys import allow
from services.chassis.transaction import Transaction
from services.notification import store
from services.notification.store import NoticeRow, PartnerRow

router = APIRouter(tags=["notices"])


class PartnerForm(BaseModel):
    """Where a partner reads, and in which language."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$")]
    language: Language


@router.put("/v1/partners/{partner_id}", dependencies=[Depends(allow("operator"))])
async def put_partner(partner_id: str, form: PartnerForm, request: Request) -> dict[str, str]:
    """Put a partner's contact on file; it replaces the one before."""

    async def keep(tx: Transaction) -> None:
        tx.put(PartnerRow(id=partner_id, email=form.email, language=form.language))

    await transact(request, keep)
    return {"id": partner_id, **form.model_dump()}


@router.get("/v1/notices", dependencies=[Depends(allow("service-desk", "operator"))])
async def list_notices(
    request: Request,
    order: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """What was told to whom, oldest first: never the text or the address."""

    async def find(tx: Transaction) -> list[NoticeRow]:
        return await store.listed(tx, order, after, limit + 1)

    rows = await transact(request, find)
    page = rows[:limit]
    return {"items": [_view(row) for row in page], "next": page[-1].id if len(rows) > limit else None}


def _view(row: NoticeRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "order_id": row.order_id,
        "kind": row.notice.kind,
        "recipient": row.notice.recipient,
        "language": row.language,
        "medium": row.notice.medium,
        "state": row.state,
        "reason": row.reason,
        "created_at": row.created_at,
        "sent_at": row.sent_at,
        "sha256": row.sha256,
    }
