"""Keys that open doors: random, shown once, stored as their hash, each with a role and a holder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request

from services.chassis.database import ApiKey
from services.chassis.http import Problem, look, service_of
from services.chassis.ids import sha256
from services.chassis.settings import Settings
from services.chassis.transaction import Transaction

Role = Literal["partner", "reviewer", "service-desk", "catalogue", "operator"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who came in with a key."""

    role: str
    holder: str
    attributes: dict[str, Any]


def allow(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a FastAPI dependency: the holder of a key with one of these roles; else 401 or 403."""

    async def principal(request: Request) -> Principal:
        return await look(request, lambda tx: holder(tx, request, roles))

    return principal


async def holder(tx: Transaction, request: Request, roles: Collection[Role]) -> Principal:
    """Find out within a transaction whose key it is. Raises Problem 401, and 403 for a role that may not come in."""
    found = await holder_of(tx, service_of(request).settings, _given(request))
    if found.role not in roles:
        raise Problem(403, "key.role", f"this door is for: {', '.join(roles)}")
    return found


def likely_holder(request: Request, roles: Collection[Role]) -> str | None:
    """Say whose key it was when keys were last read, if he might come in then; so that what he needs is read early."""
    known = service_of(request).references.latest(_by_hash) or {}
    row = known.get(sha256(_given(request)))
    return row.holder if row and row.revoked_at is None and row.role in roles else None


def _given(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Problem(401, "key.missing", "send Authorization: Bearer KEY")
    return key


async def holder_of(tx: Transaction, settings: Settings, key: str) -> Principal:
    """Return the holder of a key, within a transaction. Raises Problem 401 for an unknown or revoked one."""
    hashed = sha256(key)
    if settings.operator_key_sha256 and hashed == settings.operator_key_sha256:
        return Principal("operator", "operator", {})
    known = (await tx.reference(ApiKey, _by_hash)).get(hashed)
    if known is None or known.revoked_at is not None:
        raise Problem(401, "key.unknown", "this key is not known here")
    return Principal(known.role, known.holder, known.attributes)


def _by_hash(rows: Sequence[ApiKey]) -> dict[str, ApiKey]:
    return {row.sha256: row for row in rows}
