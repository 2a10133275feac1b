"""What partners send: any body up to a limit, and that of an order, strict in form, every fault at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, Strict, ValidationError

from contracts.customer_v1 import Language
from contracts.offer_v1 import Action, Channel
from contracts.order_v1 import Quote
from services.chassis.faults import Fault, preferred_language, translated
from services.chassis.http import Problem
from services.intake.rules.personal import identifies

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Moment = Annotated[AwareDatetime, Strict(), AfterValidator(lambda at: at.astimezone(UTC))]


class Form(BaseModel):
    """Unknown fields are refused: what we do not understand we must not ignore."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomerForm(Form):
    """The customer as the agent has her; what is on file stays on file."""

    id: Text | None = None
    name: Text | None = None
    email: (
        Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$")] | None
    ) = None
    phone: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")] | None = None


class EvidenceForm(Form):
    """What proves the sale: a recording or a signed contract."""

    kind: Literal["recording", "signed-contract"]
    reference: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OrderForm(Form):
    """Everything that a call-centre knows at the end of a call."""

    partner_reference: Text
    agent: Text
    channel: Channel
    sold_at: Moment
    language: Language
    action: Action
    subscription_id: Text | None = None
    offer: Text | None = None
    customer: CustomerForm
    quote: Quote | None = None
    removals: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    evidence: EvidenceForm | None = None
    reverses: Text | None = None
    grounds: Literal["withdrawal", "misquoted", "misencoded", "not-agreed"] | None = None


class FaultyBodyError(ValueError):
    """A body that is refused, with every fault."""

    def __init__(self, faults: list[Fault]) -> None:
        """Keep the faults."""
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def read_order(raw: bytes, language: str) -> OrderForm:
    """Read an order. Raises FaultyBodyError naming every fault, in `language` (fr nl de en)."""
    try:
        loose = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FaultyBodyError([translated("", "json.invalid", str(error), language)]) from error
    faults: list[Fault] = []
    form = None
    try:
        form = OrderForm.model_validate_json(raw)
    except ValidationError as error:
        faults = [
            translated("/" + "/".join(map(str, each["loc"])), each["type"], each["msg"], language)
            for each in error.errors(include_url=False, include_input=False)
        ]
    if isinstance(loose, dict):
        named = {fault["pointer"] for fault in faults}
        faults += [translated(p, c, c, language) for p, c in _between_fields(loose) if p not in named]
    if faults or form is None:
        raise FaultyBodyError(faults)
    return form


def language_of(request: Request) -> str:
    """The language of whoever reads the faults."""
    return preferred_language(request.headers.get("accept-language", ""))


def refusal(faults: Sequence[tuple[str, str]], language: str) -> Problem:
    """What is answered to faults, each a place and a code."""
    errors = [dict(translated(place, code, code, language)) for place, code in faults]
    return Problem(422, "request.invalid", f"{len(errors)} faults", errors=errors)


def judge_references(references: Mapping[str, str], phone: str) -> list[tuple[str, str]]:
    """Find the references, by place, that hold an address or the customer's number: they travel with the order."""
    return [(place, "reference.personal") for place, text in references.items() if identifies(text, phone)]


def references_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The references that a body chooses, by place, as far as they are texts."""
    evidence = body.get("evidence")
    given = {
        "/partner_reference": body.get("partner_reference"),
        "/evidence/reference": evidence.get("reference") if isinstance(evidence, dict) else None,
    }
    return {place: text for place, text in given.items() if isinstance(text, str)}


def _between_fields(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Find what does not fit together; looked for in the loose JSON, so that other faults do not hide it."""
    action = body.get("action")
    if action == "reverse":
        return [("/action", "action.not-available")]
    needed = {
        "add": ("offer", "quote"),
        "modify": ("subscription_id", "offer", "quote"),
        "terminate": ("subscription_id",),
    }
    barred = {"add": ("subscription_id",), "modify": (), "terminate": ("offer", "quote")}
    faults = [(f"/{name}", "missing") for name in needed.get(str(action), ()) if body.get(name) is None]
    faults += [(f"/{name}", "field.not-here") for name in barred.get(str(action), ()) if body.get(name) is not None]
    faults += [(f"/{name}", "field.not-here") for name in ("reverses", "grounds") if body.get(name) is not None]
    faults += judge_references(references_of(body), _phone(body.get("customer")))
    return faults + _customer_faults(action, body.get("customer")) + _quote_faults(action, body.get("quote"))


def _customer_faults(action: object, customer: object) -> list[tuple[str, str]]:
    if not isinstance(customer, dict):
        return []
    needed = ("name", "email", "phone") if action == "add" else ("id",)
    return [(f"/customer/{name}", "missing") for name in needed if customer.get(name) is None]


def _phone(customer: object) -> str:
    phone = customer.get("phone") if isinstance(customer, dict) else None
    return phone if isinstance(phone, str) else ""


def _quote_faults(action: object, quote: object) -> list[tuple[str, str]]:
    if not isinstance(quote, dict) or action not in ("add", "modify"):  # no set: it may be an object
        return []
    total, change = quote.get("monthly_total"), quote.get("monthly_change")
    if action == "add" and total is None:
        return [("/quote/monthly_total", "missing")]
    return [("/quote", "quote.without-monthly")] if total is None and change is None else []
