"""The catalogue's doors: offers come in as JSON or YAML, all of them or none; and what events there are is shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, cast

import yaml
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from pydantic_core import from_json

from contracts import offer_v1, offer_v2
from contracts.offer_v1 import Offer, OfferPublished, OfferRef, brussels_day
from services.catalogue import pages, rules, store
from services.catalogue.rules import Candidate, Fault
from services.catalogue.settings import Settings
from services.catalogue.store import OfferRow
from services.chassis.faults import preferred_language, translated
from services.chassis.http import Problem, received, service_of, transact
from services.chassis.keys import allow
from services.chassis.rows import changed
from services.chassis.transaction import Transaction

JSON_TYPES = ("application/json",)
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {each: {"schema": {"type": "object"}} for each in (*JSON_TYPES, *YAML_TYPES)},
    }
}

router = APIRouter(tags=["offers"])


@dataclass
class Sent:
    """What was sent: its data, for YAML the line of every pointer, and what is wrong with its form."""

    data: Any = None
    language: str = "en"
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


@router.post("/v1/offers", dependencies=[Depends(allow("catalogue", "operator"))], openapi_extra=_SCHEMA)
async def publish_offers(request: Request, response: Response) -> dict[str, list[OfferRef]]:
    """Publish one offer or `{"offers": [...]}`, all or nothing; what is published already as it is stays untouched."""
    sent = await _read(request)
    candidates = list(_candidates(sent))

    async def publish(tx: Transaction) -> list[OfferRef]:
        await store.one_at_a_time(tx)
        rows = await store.versions(tx, {each.offer.code for each in candidates})
        published = [row.offer for row in rows]
        _refuse(sent, [*sent.faults, *rules.judge(candidates, published, brussels_day(tx.now))])
        new = [each.offer for each in rules.unpublished(candidates, published)]
        for offer in sorted(new, key=lambda each: each.version):
            tx.add(OfferRow(code=offer.code, version=offer.version, offer=offer, published_at=tx.now))
            tx.publish(OfferPublished(offer=offer, published_at=tx.now))
        return [offer.ref for offer in new]

    new = await transact(request, publish)
    response.status_code = 201 if new else 200
    return {"published": new, "already_published": [each.offer.ref for each in candidates if each.offer.ref not in new]}


@router.post("/v1/offers/{code}/withdrawal", dependencies=[Depends(allow("catalogue", "operator"))])
async def withdraw_offer(code: str, request: Request) -> dict[str, Any]:
    """Take every version of an offer off sale, now; running subscriptions keep theirs. Again: nothing happens."""

    async def withdraw(tx: Transaction) -> dict[str, Any]:
        await store.one_at_a_time(tx)
        rows = _known(await store.versions(tx, [code]), code)
        on_sale = [row for row in rows if row.withdrawn_at is None]
        for row in on_sale:
            tx.put(changed(row, withdrawn_at=tx.now))
        if on_sale:
            versions = tuple(row.version for row in on_sale)
            tx.publish(
                offer_v1.OfferWithdrawn(code=code, withdrawn_at=tx.now),
                offer_v2.OfferWithdrawn(code=code, versions=versions, withdrawn_at=tx.now),
            )
        return {"code": code, "withdrawn_at": tx.now if on_sale else rows[-1].withdrawn_at}

    return await transact(request, withdraw)


@router.get("/v1/offers/{code}/versions", dependencies=[Depends(allow("catalogue", "service-desk", "operator"))])
async def list_versions(
    code: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """Every published version of an offer, oldest first, with when it was published and withdrawn."""

    async def find(tx: Transaction) -> list[OfferRow]:
        return await store.versions(tx, [code], after=after, limit=limit + 1)

    rows = await transact(request, find)
    page = (rows if after else _known(rows, code))[:limit]
    items = [
        row.offer.model_dump(mode="json") | {"published_at": row.published_at, "withdrawn_at": row.withdrawn_at}
        for row in page
    ]
    return {"items": items, "next": str(page[-1].version) if len(rows) > limit else None}


@router.get("/asyncapi", response_class=HTMLResponse, tags=["events"])
async def show_events() -> HTMLResponse:
    """What events there are, for people: every topic with its owner, key and retention, every event with an example."""
    return HTMLResponse(await asyncio.to_thread(pages.page))


@router.get("/asyncapi.json", tags=["events"])
async def give_events_as_json() -> Response:
    """The same as an AsyncAPI 3.0 document."""
    return Response(await asyncio.to_thread(pages.as_json), media_type="application/json")


@router.get(
    "/asyncapi.yaml",
    tags=["events"],
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {"type": "object"}}}}},
)
async def give_events_as_yaml() -> Response:
    """The same document as YAML."""
    return Response(await asyncio.to_thread(pages.as_yaml), media_type="application/yaml")


def _known(rows: list[OfferRow], code: str) -> list[OfferRow]:
    if not rows:
        raise Problem(404, "offer.unknown", f"there is no offer {code}")
    return rows


async def _read(request: Request) -> Sent:
    """Read the body, as its content type says. Raises Problem 415, or HTTPException 413."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (*JSON_TYPES, *YAML_TYPES):
        raise Problem(415, "request.media-type", f"send {' or '.join((*JSON_TYPES, *YAML_TYPES))}")
    body = await received(request, cast("Settings", service_of(request).settings).body_bytes)
    sent = await asyncio.to_thread(_yaml if kind in YAML_TYPES else _json, body)
    return replace(sent, language=preferred_language(request.headers.get("accept-language", "")))


def _json(body: bytes) -> Sent:
    try:
        return Sent(from_json(body))
    except ValueError as error:
        return Sent(faults=[Fault("", "json.invalid", str(error))])


class _Loader(yaml.SafeLoader):
    """Reads YAML as JSON is read: plain `0100`, `12:30` and `no` are texts, dates are left to the contract."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: with them a small file becomes data without end."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _yaml(body: bytes) -> Sent:
    sent = Sent()
    try:
        loader = _Loader(body.decode())
        node = loader.get_single_node()
        sent.data = _value(loader, node, "", sent) if node else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = getattr(error, "problem", None) or str(error)
        return Sent(lines={"": mark.line + 1 if mark else 1}, faults=[Fault("", "yaml.invalid", detail)])
    return sent


def _value(loader: _Loader, node: yaml.Node, pointer: str, sent: Sent) -> Any:  # noqa: ANN401 - what YAML may hold
    sent.lines[pointer] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, each, f"{pointer}/{index}", sent) for index, each in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return dict(_members(loader, node, pointer, sent))
    return loader.construct_object(node)


def _members(loader: _Loader, node: yaml.MappingNode, pointer: str, sent: Sent) -> Iterator[tuple[str, Any]]:
    for name, value in node.value:
        below = f"{pointer}/{_escaped(name.value)}"
        if below in sent.lines:
            sent.faults.append(Fault(below, "yaml.twice", f"{name.value} stands there twice"))
        yield str(name.value), _value(loader, value, below, sent)


def _candidates(sent: Sent) -> Iterator[Candidate]:
    """Yield what is an offer by its form; the rest becomes faults."""
    for pointer, data in _offers(sent):
        try:
            yield Candidate(pointer, Offer.model_validate(data))
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                where = "".join(f"/{_escaped(part)}" for part in each["loc"])
                sent.faults.append(Fault(pointer + where, each["type"], each["msg"]))


def _offers(sent: Sent) -> Iterator[tuple[str, Any]]:
    if not isinstance(sent.data, dict):
        if not sent.faults:
            sent.faults.append(Fault("", "offers.missing", "send one offer, or offers: a list of them"))
        return
    if "offers" not in sent.data:
        yield "", sent.data
        return
    sent.faults += [
        Fault(f"/{_escaped(name)}", "extra_forbidden", "not known beside offers")
        for name in sent.data
        if name != "offers"
    ]
    offers = sent.data["offers"]
    if not isinstance(offers, list) or not offers:
        sent.faults.append(Fault("/offers", "offers.missing", "a list of at least one offer"))
        return
    yield from ((f"/offers/{index}", each) for index, each in enumerate(offers))


def _refuse(sent: Sent, faults: Sequence[Fault]) -> None:
    """Name every fault, with its line where there are lines. Raises Problem 422 if there is any."""
    if not faults:
        return
    placed = sorted(faults, key=lambda each: _line(sent, each.pointer) or 0)
    errors: list[dict[str, Any]] = [
        {**translated(each.pointer, each.code, each.detail, sent.language), "line": _line(sent, each.pointer)}
        for each in placed
    ]
    raise Problem(422, "offers.invalid", f"{len(errors)} faults; nothing was published", errors=errors)


def _line(sent: Sent, pointer: str) -> int | None:
    """The line of a pointer, None in JSON; what is missing is shown where its parent begins."""
    while pointer and pointer not in sent.lines:
        pointer = pointer.rpartition("/")[0]
    return sent.lines.get(pointer)


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
