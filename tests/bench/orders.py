"""The requests of the load generator as bytes: orders, the contracts that they name, and the customer's yes."""

from __future__ import annotations

import hashlib
import json
from typing import Any


class Requests:
    """The requests as bytes; only numbers of a fixed width are filled in, so that making one costs next to nothing."""

    def __init__(self, key: str, agent: str, sold_at: str, *, signed: bool) -> None:
        evidence = {"kind": "signed-contract", "reference": "contract-%08d", "sha256": "%064d"}
        body: dict[str, Any] = {
            "partner_reference": "bench-%08d",
            "agent": agent,
            "channel": "shop" if signed else "telesales",
            "sold_at": sold_at,
            "language": "fr",
            "action": "add",
            "offer": "FIBRE",
            "customer": {"name": "Bench %08d", "email": "bench-%08d@example.org", "phone": "+324%08d"},
            "quote": {
                "monthly_total": {"amount": 6000, "currency": "EUR"},
                "one_off": {"amount": 5000, "currency": "EUR"},
            },
        } | ({"evidence": evidence} if signed else {})
        text = json.dumps(body).replace("%064d", "%b")
        self._content = text.encode()
        self._fields = self._content.count(b"%08d")
        self._signed = signed
        self._key = key.encode()
        idempotency_key = b"idempotency-key: bench-%08d\r\n"
        self._order = self._head(b"POST /v1/orders", idempotency_key, len(self._body(0))) + self._content

    def order(self, number: int) -> bytes:
        """The POST of an order."""
        numbers: tuple[Any, ...] = (number,) * (self._fields + 1)
        return self._order % (*numbers, digest(number)) if self._signed else self._order % numbers

    def contract(self, number: int) -> bytes:
        """The upload of the contract that an order names."""
        content = contract(number)
        target = b"PUT /v1/evidence/" + digest(number)
        return self._head(target, b"", len(content), b"application/pdf") + content

    def _body(self, number: int) -> bytes:
        numbers: tuple[Any, ...] = (number,) * self._fields
        return self._content % ((*numbers, digest(number)) if self._signed else numbers)

    def _head(self, target: bytes, more: bytes, length: int, kind: bytes = b"application/json") -> bytes:
        lines = b"%b HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
        return lines % (target, self._key, kind, length) + more + b"\r\n"


def contract(number: int) -> bytes:
    """The signed contract of an order, as a file."""
    return b"%%PDF-1.7 the signed contract of order %08d" % number


def digest(number: int) -> bytes:
    """The SHA-256 of an order's contract."""
    return hashlib.sha256(contract(number)).hexdigest().encode()


def yes(path: bytes, code: bytes) -> bytes:
    """The customer's answer to a link, with the code from her phone."""
    form = b"answer=yes&code=" + code
    kind = b"application/x-www-form-urlencoded"
    lines = b"POST %b HTTP/1.1\r\nhost: bench\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return lines % (path, kind, len(form)) + form
