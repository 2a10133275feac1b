"""Every answer of the partner door with an example of it, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from services.intake.rules.disclosure import NOT_SHOWN_IN_CHECKS

Answers = dict[int | str, dict[str, Any]]

PROBLEMS: dict[str, tuple[int, str]] = {
    "idempotency-key.missing": (400, "send an Idempotency-Key of 1 to 255 printable characters"),
    "key.missing": (401, "send Authorization: Bearer KEY"),
    "key.unknown": (401, "this key is not known here"),
    "key.role": (403, "this door is for: partner, service-desk"),
    "order.unknown": (404, "there is no such order"),
    "idempotency-key.in-use": (409, "the first request with this key is still running"),
    "partner-reference.in-use": (409, "order 01a1f941-f5e0-7a21-814e-464a6b56701e has this partner_reference"),
    "question.none": (409, "nobody asks anything about this order"),
    "evidence.reused": (409, "this evidence proves another order"),
    "order.ended": (409, "this order is cancelled"),
    "body.too-large": (413, "at most 65536 bytes"),
    "request.invalid": (422, "1 faults"),
    "request.not-storable": (422, "a text or number in it cannot be stored"),
    "idempotency-key.reused": (422, "this Idempotency-Key came with another body before"),
    "evidence.hash-differs": (422, "the path says …, the SHA-256 of the body is …"),
    "evidence.empty": (422, "there is nothing in the file"),
    "requests.too-many": (429, "more than 1000 requests a second: come back in 1 s"),
    "service.unavailable": (503, "try again in a moment"),
}
"""Every code with its status and what it says in English."""

EVERYWHERE = ("key.missing", "key.unknown", "key.role", "request.invalid", "requests.too-many", "service.unavailable")
"""What any request may be answered."""

FAULT = {"pointer": "/quote/monthly_total/amount", "code": "int_type", "detail": "a whole number of minor units is …"}
LATER = frozenset({429, 503})


def _euro(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


ORDERED: dict[str, Any] = {
    "partner_reference": "LC-2026-000123",
    "agent": "agent-17",
    "channel": "telesales",
    "sold_at": "2026-11-20T13:57:00Z",
    "language": "fr",
    "action": "modify",
    "subscription_id": "sub-1001",
    "offer": "TRIO-MAX",
    "customer": {"id": "cust-1001", "email": "valerie@example.org", "phone": "+3287123456"},
    "quote": {"monthly_total": _euro(8100), "monthly_change": _euro(500), "one_off": _euro(0), "promotion": None},
    "removals": [],
    "evidence": {"kind": "recording", "reference": "rec-88121", "sha256": "ab" * 32},
}
FOUND: dict[str, Any] = {
    "code": "price.change",
    "path": "/quote/monthly_change",
    "expected": _euro(1100),
    "given": _euro(500),
    "stage": "intake",
}
PRICE: dict[str, Any] = {
    "current_monthly": _euro(7000),
    "new_monthly": _euro(8100),
    "monthly_change": _euro(1100),
    "one_off": _euro(0),
    "promotion": None,
    "monthly_after_promotion": _euro(8100),
}
HELD: dict[str, Any] = {
    "id": "01a1f941-f5e0-7a21-814e-464a6b56701e",
    "partner_reference": "LC-2026-000123",
    "state": "held",
    "waits_for": None,
    "action": "modify",
    "customer_id": "cust-1001",
    "subscription_id": "sub-1001",
    "reverses": None,
    "reversed_by": None,
    "offer": {"code": "TRIO-MAX", "version": 2},
    "price": PRICE,
    "discrepancies": [FOUND],
    "case_id": "041c70e2-9a22-59ec-a52e-8afdb5350424",
    "question": None,
    "history": [
        {"state": "acknowledged", "at": "2026-11-20T14:00:12Z", "by": "liege-calls/agent-17", "reason": None},
        {"state": "held", "at": "2026-11-20T14:00:12Z", "by": "intake", "reason": "price.change"},
    ],
    "created_at": "2026-11-20T14:00:12Z",
    "updated_at": "2026-11-20T14:00:12Z",
}
CANCELLED: dict[str, Any] = HELD | {
    "state": "cancelled",
    "discrepancies": [FOUND],
    "case_id": None,
    "history": [
        *HELD["history"],
        {"state": "cancelled", "at": "2026-11-20T15:00:00Z", "by": "liege-calls", "reason": "she called back"},
    ],
}
CHECKED: dict[str, Any] = {name: HELD[name] for name in ("offer", "price", "discrepancies")} | {
    "removes": [],
    "not_shown": [],
}
CHECKED_BLIND: dict[str, Any] = CHECKED | {
    "price": PRICE | {"current_monthly": None, "monthly_change": None},
    "removes": None,
    "discrepancies": [],
    "not_shown": NOT_SHOWN_IN_CHECKS,
}
OFFERS: dict[str, Any] = {
    "items": [
        {
            "code": "TRIO-MAX",
            "version": 2,
            "names": dict.fromkeys(("fr", "nl", "de", "en"), "Trio Max"),
            "services": [{"code": "tv", "level": {"channels": 90}, "share": _euro(1800)}],
            "equipment": ["decoder"],
            "term_months": 0,
            "price": {
                action: {"monthly_total": _euro(8100), "monthly_full": _euro(8100), "one_off": _euro(0)}
                for action in ("add", "modify")
            },
        }
    ],
    "next": None,
}
KEPT = {
    "sha256": "ab" * 32,
    "content_type": "application/pdf",
    "size": 48213,
    "uploaded_at": "2026-11-20T13:58:00Z",
}
LOCATION = {"Location": {"description": "The order", "schema": {"type": "string"}}}
REPLAYED = {"Idempotency-Replayed": {"description": "Only where it is the first answer again", "schema": {}}}
RETRY_AFTER = {"Retry-After": {"description": "In so many seconds", "schema": {"type": "integer"}}}


def answered(status: int, description: str, example: object, headers: dict[str, Any] | None = None) -> Answers:
    """An answer that is a success, with an example."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {status: {"description": description, "content": content} | ({"headers": headers} if headers else {})}


def checked() -> Answers:
    """What a check answers to who knows a contact of the customer, and to who does not."""
    shown = {"contact on file": {"value": CHECKED}, "no contact on file": {"value": CHECKED_BLIND}}
    content = {"application/json": {"schema": {"type": "object"}, "examples": shown}}
    return {200: {"description": "What the order would be", "content": content}}


def problems(*codes: str) -> Answers:
    """The answers that are none, by status, with an example for each code; those of every request included."""
    found: Answers = {}
    for code in (*EVERYWHERE, *codes):
        status, detail = PROBLEMS[code]
        answer = found.setdefault(status, _refusal(status))
        answer["content"]["application/problem+json"]["examples"][code] = {"value": _problem(code, status, detail)}
    return dict(sorted(found.items(), key=lambda each: int(each[0])))


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"type": "object"}, "examples": dict[str, Any]()}}
    headers = {"headers": RETRY_AFTER} if status in LATER else {}
    return {"description": "Problem details (RFC 9457)", "content": content} | headers


def _problem(code: str, status: int, detail: str) -> dict[str, Any]:
    body = {
        "type": f"urn:asquoted:problem:{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "instance": "/v1/orders",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "code": code,
    }
    return body | ({"errors": [FAULT]} if code == "request.invalid" else {})


def body_of(model: type[BaseModel], example: object) -> dict[str, Any]:
    """What a route that reads its body itself takes."""
    schema = model.model_json_schema()
    plain = _inlined(schema, schema.get("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": plain, "example": example}}}}


def _inlined(schema: Any, named: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The schema with what it refers to put in place: in OpenAPI its references would lead elsewhere."""
    if isinstance(schema, list):
        return [_inlined(each, named) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(named[schema["$ref"].rpartition("/")[2]], named)
    return {name: _inlined(each, named) for name, each in schema.items() if name != "$defs"}
