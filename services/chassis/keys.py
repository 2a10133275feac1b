"""Keys that open doors: random, shown once, stored as their hash, each with a role and a holder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request
from sqlalchemy import select
from sqlmodel import col

from services.chassis.database import ApiKey
from services.chassis.http import Problem, service_of, transact
from services.chassis.ids import sha256
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
        found = await authenticate(request)
        if found.role not in roles:
            raise Problem(403, "key.role", f"this door is for: {', '.join(roles)}")
        return found

    return principal


async def authenticate(request: Request) -> Principal:
    """Find out whose key it is. Raises Problem 401."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Problem(401, "key.missing", "send Authorization: Bearer KEY")
    return await principal_of(request, key)


async def principal_of(request: Request, key: str) -> Principal:
    """Return the holder of a key. Raises Problem 401 for an unknown or revoked one."""
    service, hashed = service_of(request), sha256(key)
    if service.settings.operator_key_sha256 and hashed == service.settings.operator_key_sha256:
        return Principal("operator", "operator", {})

    async def find(tx: Transaction) -> list[ApiKey]:  # without a lock: requests with one key do not wait for each other
        return await tx.select(ApiKey, select(ApiKey).where(col(ApiKey.sha256) == hashed))

    rows = await transact(request, find)
    if not rows or rows[0].revoked_at is not None:
        raise Problem(401, "key.unknown", "this key is not known here")
    return Principal(rows[0].role, rows[0].holder, rows[0].attributes)
