"""Ids: UUIDv7 for what is new, UUIDv5 for what must come out the same when it is done again."""

from __future__ import annotations

import hashlib
import secrets

import uuid_utils

_NAMESPACE = uuid_utils.UUID("6b1c4c1e-4a57-5d0e-9d0b-2f6f5a1f7a11")


def new_id() -> str:
    """Make a time-ordered id (RFC 9562, version 7)."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: object) -> str:
    """Make the id that follows from its parts: the same parts, the same id."""
    return str(uuid_utils.uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))


def new_secret(prefix: str) -> str:
    """Make a random key, shown once and stored only as its hash."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def sha256(data: str | bytes) -> str:
    """Return the SHA-256 of a text or of bytes, in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def new_traceparent() -> str:
    """Make a W3C trace context for what came in without one (https://www.w3.org/TR/trace-context/)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
