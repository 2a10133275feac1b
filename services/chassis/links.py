"""The signed links that customers get: whoever holds one may answer for that one confirmation."""

from __future__ import annotations

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


def _serializer(secret: str) -> URLSafeSerializer:
    if not secret:
        message = "LINK_SECRET is not set"
        raise ValueError(message)
    return URLSafeSerializer(secret, salt="confirm")
