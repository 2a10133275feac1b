"""The doors of an operator, on every service: making keys, and letting a stopped consumer go on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import insert

from services.chassis.database import ApiKey, ConsumerState
from services.chassis.http import Problem, transact
from services.chassis.ids import new_secret, sha256
from services.chassis.keys import Principal, Role, allow
from services.chassis.rows import changed
from services.chassis.transaction import Transaction

Operator = Annotated[Principal, Depends(allow("operator"))]

router = APIRouter(tags=["operator"])


class NewKey(BaseModel):
    """A key to be made; with `sha256` the maker keeps the key to itself and only its hash is stored."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    holder: str = Field(min_length=1, max_length=100)
    attributes: dict[str, Any] = Field(default_factory=dict)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


@router.post("/v1/keys", status_code=201)
async def make_key(body: NewKey, request: Request, _: Operator) -> dict[str, str]:
    """Make a key; the answer is the only place where it is ever shown."""
    secret = None if body.sha256 else new_secret("aq")
    hashed = body.sha256 or sha256(secret or "")

    async def keep(tx: Transaction) -> None:
        tx.put(ApiKey(sha256=hashed, role=body.role, holder=body.holder, attributes=body.attributes, created_at=tx.now))

    await transact(request, keep)
    return {"sha256": hashed} | ({"key": secret} if secret else {})


@router.delete("/v1/keys/{sha256_of_key}", status_code=204)
async def revoke_key(sha256_of_key: str, request: Request, _: Operator) -> None:
    """Let a key open nothing any more, named by its hash."""

    async def revoke(tx: Transaction) -> None:
        known = await tx.get(ApiKey, sha256_of_key)
        if known is None:
            raise Problem(404, "key.unknown", "there is no key with this hash")
        tx.put(changed(known, revoked_at=known.revoked_at or tx.now))

    await transact(request, revoke)


@router.post("/v1/consumer/resume", status_code=202)
async def resume_consumer(request: Request, _: Operator) -> dict[str, bool]:
    """Let a stopped consumer go on; failures before this moment no longer count."""

    async def resume(tx: Transaction) -> None:
        now = tx.unit.clock.real()
        statement = insert(ConsumerState).values(id=1, stopped=False, resumed_at=now)
        changed = {"stopped": False, "resumed_at": now}
        await tx.unit.connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))

    await transact(request, resume)
    return {"stopped": False}
