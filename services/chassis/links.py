"""The signed links that customers get: whoever holds one may answer for that one confirmation; new ones with a code."""

from __future__ import annotations

import hmac

from itsdangerous import BadSignature, URLSafeSerializer


class ForgedLinkError(ValueError):
    """A token that was not signed by us."""


def sign(secret: str, confirmation_id: str) -> str:
    """Return the token of a confirmation; needs a secret, for an empty one would sign anybody's."""
    return str(_serializer(secret).dumps(confirmation_id))


def read(secret: str, token: str) -> str:
    """Return the confirmation that a token was signed for. Raises ForgedLinkError."""
    try:
        return str(_serializer(secret).loads(token))
    except BadSignature as error:
        raise ForgedLinkError(token) from error


def code(secret: str, confirmation_id: str) -> str:
    """Return the six digits that belong to a confirmation: they go to the phone, the link to the mailbox."""
    digest = hmac.digest(_checked(secret).encode(), f"code {confirmation_id}".encode(), "sha256")
    return f"{int.from_bytes(digest) % 1_000_000:06d}"


def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(_checked(secret), salt="confirm")


def _checked(secret: str) -> str:
    if not secret:
        message = "LINK_SECRET is not set"
        raise ValueError(message)
    return secret
