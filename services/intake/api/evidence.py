"""The partner door for evidence: the file of a signed contract, before the order that names it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.chassis import ids, keys
from services.chassis.http import Problem, look, received, transact
from services.chassis.transaction import Transaction
from services.intake.api import examples
from services.intake.api.orders import RATE, SELLERS, likely_seller
from services.intake.settings import settings
from services.intake.store import EvidenceContentRow, EvidenceRow

router = APIRouter(tags=["evidence"])

FILE = {"requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}


@router.put(
    "/v1/evidence/{sha256}",
    status_code=201,
    responses=examples.answered(200, "It was here already", examples.KEPT)
    | examples.answered(201, "It is kept", examples.KEPT)
    | examples.problems("body.too-large", "evidence.hash-differs", "evidence.empty", "request.not-storable"),
    openapi_extra=FILE,
)
async def put_evidence(sha256: str, request: Request) -> JSONResponse:
    """Keep a file under its SHA-256 in hex; the same again changes nothing, and nobody learns what others gave us."""
    likely = likely_seller(request)
    if likely is None:  # who may not come in has no megabytes read
        seller = await look(request, lambda tx: keys.holder(tx, request, SELLERS))
        RATE.take(seller.holder, settings.requests_per_second)
    content = await received(request, settings.evidence_bytes)
    found = ids.sha256(content)
    content_type = request.headers.get("content-type", "application/octet-stream")

    async def keep(tx: Transaction) -> tuple[EvidenceRow, bool]:
        seller = await keys.holder(tx, request, SELLERS)
        _check(content, found, sha256)
        known = await tx.get(EvidenceRow, seller.holder, sha256)
        if known is not None:
            return known, False
        named = {"partner": seller.holder, "sha256": sha256}
        row = EvidenceRow(**named, content_type=content_type, size=len(content), uploaded_at=tx.now)
        tx.add(row)
        tx.put(EvidenceContentRow(sha256=sha256, content=content))
        return row, True

    row, new = await transact(request, keep, [(EvidenceRow, (likely, sha256))] if likely and found == sha256 else ())
    return JSONResponse(row.model_dump(mode="json", exclude={"partner"}), 201 if new else 200)


def _check(content: bytes, found: str, named: str) -> None:
    """Raise Problem 422 where a file is not what its path says, or nothing."""
    if found != named:
        detail = f"the path says {named}, the SHA-256 of the body is {found}"
        raise Problem(422, "evidence.hash-differs", detail, expected=named, given=found)
    if not content:
        raise Problem(422, "evidence.empty", "there is nothing in the file")
