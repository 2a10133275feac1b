"""The network simulator: activates services in the manner of TM Forum's TMF640, and can be told to misbehave.

With `--fast` it does the same in memory, without checks of form, journal or misbehaviour: so that a benchmark measures
the system and not what stands in for the world outside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from services.local.ports import HOST

SERVICE_PATH = "/tmf-api/ServiceActivationAndConfiguration/v4/service"
EVERY_SUBSCRIPTION = "*"
WITH_A_NUMBER = frozenset({"telephony", "mobile"})


class ServiceInPlace(BaseModel):
    """A service and its level, for example {"download_mbps": 500}."""

    code: str
    level: dict[str, int] = {}


class EquipmentInPlace(BaseModel):
    """A device; one that is asked for without a serial gets one."""

    type: str
    serial: str | None = None


class Activation(BaseModel):
    """What is asked for: the whole of what a version of a subscription is to be."""

    id: str
    version: int
    action: Literal["activate", "modify", "deactivate"]
    services: list[ServiceInPlace] = []
    equipment: list[EquipmentInPlace] = []
    numbers: list[str] = []


class InPlace(BaseModel):
    """What is in place afterwards."""

    id: str
    version: int
    state: Literal["active", "terminated"]
    services: list[ServiceInPlace]
    equipment: list[EquipmentInPlace]
    numbers: list[str]


class Effect(BaseModel):
    """A change that was made, once, however often it was asked for."""

    id: str
    version: int
    action: str
    idempotency_key: str
    at: datetime
    times_received: int = 1
    answer: InPlace


class Control(BaseModel):
    """How to behave towards a subscription ("*": each that has no control of its own), so many times or until told."""

    subscription_id: str = EVERY_SUBSCRIPTION
    mode: Literal["ok", "slow", "fail", "conflict", "twice", "partial"]
    seconds: float = 2.0
    times: int | None = None


class ProblemError(Exception):
    """An answer of RFC 9457 problem details."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Network:
    """What is in place, and everything that was done for it; kept in a file, if one is given."""

    def __init__(self, journal: Path | None = None) -> None:
        """Start from what the journal holds, one effect or repeated request a line."""
        self.effects: dict[str, Effect] = {}
        self._in_place: dict[str, InPlace] = {}
        self._controls: dict[str, Control] = {}
        self._journal = journal
        for line in _lines(journal):
            self._replay(json.loads(line))

    def control(self, control: Control) -> None:
        """Behave like this from now on."""
        self._controls[control.subscription_id] = control

    def behaviour(self, key: str, subscription_id: str) -> Control:
        """How to behave towards this request; a control with a number of times is used up by it."""
        control = self._controls.get(subscription_id) or self._controls.get(EVERY_SUBSCRIPTION)
        if control is None or control.times == 0 or (control.mode == "twice" and key in self.effects):
            return Control(mode="ok")
        if control.times is not None:
            control.times -= 1
        return control

    def service(self, subscription_id: str) -> InPlace:
        """What is in place for a subscription."""
        if subscription_id not in self._in_place:
            raise ProblemError(HTTPStatus.NOT_FOUND, "service.unknown", f"nothing is in place for {subscription_id}")
        return self._in_place[subscription_id]

    def change(self, key: str, asked: Activation, *, partial: bool = False) -> InPlace:
        """Do what is asked (`partial`: without the last service), or give the first answer again to the same key."""
        if key in self.effects:
            self._write({"repeated": key})
            self.effects[key].times_received += 1
            return self.effects[key].answer
        self._refuse_older(asked)
        done = asked.model_copy(update={"services": asked.services[:-1]}) if partial else asked
        effect = Effect(
            **asked.model_dump(include={"id", "version", "action"}),
            idempotency_key=key,
            at=datetime.now(UTC),
            answer=_put_in_place(done),
        )
        self._write(effect.model_dump(mode="json"))
        self._apply(effect)
        return effect.answer

    def _refuse_older(self, asked: Activation) -> None:
        known = self._in_place.get(asked.id)
        if known is not None and asked.version <= known.version:
            detail = f"version {known.version} of {asked.id} is in place; version {asked.version} is older"
            raise ProblemError(HTTPStatus.CONFLICT, "version.older", detail)

    def _apply(self, effect: Effect) -> None:
        self.effects[effect.idempotency_key] = effect
        self._in_place[effect.id] = effect.answer

    def _replay(self, line: dict[str, Any]) -> None:
        if "repeated" in line:
            self.effects[line["repeated"]].times_received += 1
        else:
            self._apply(Effect.model_validate(line))

    def _write(self, line: dict[str, Any]) -> None:
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _lines(journal: Path | None) -> Iterator[str]:
    """The whole lines of the journal; one that a crash cut off was never answered and is cut away."""
    if journal is None or not journal.exists():
        return
    text = journal.read_text(encoding="utf-8")
    whole, newline, cut_off = text.rpartition("\n")
    if cut_off:
        journal.write_text(whole + newline, encoding="utf-8")
    yield from whole.splitlines()


def _put_in_place(asked: Activation) -> InPlace:
    """What is there once this is done: serials and, for telephony, a number that were not given are invented."""
    numbered = any(each.code in WITH_A_NUMBER for each in asked.services)
    return InPlace(
        id=asked.id,
        version=asked.version,
        state="terminated" if asked.action == "deactivate" else "active",
        services=asked.services,
        equipment=[EquipmentInPlace(type=each.type, serial=each.serial or _serial()) for each in asked.equipment],
        numbers=asked.numbers or ([_number()] if numbered and asked.action != "deactivate" else []),
    )


def _number() -> str:
    return f"+32{secrets.randbelow(90_000_000) + 10_000_000}"


def _serial() -> str:
    return f"SN-{secrets.token_hex(5).upper()}"


def make_app(network: Network) -> FastAPI:
    """The simulator's doors."""
    app = FastAPI(title="AsQuoted network simulator")

    @app.exception_handler(ProblemError)
    async def problem(_: object, error: ProblemError) -> JSONResponse:
        content = {"type": "about:blank", "title": error.status.phrase, "status": error.status}
        content |= {"code": error.code, "detail": error.detail}
        return JSONResponse(content, error.status, media_type="application/problem+json")

    @app.post(SERVICE_PATH)
    async def change(asked: Activation, idempotency_key: Annotated[str | None, Header()] = None) -> JSONResponse:
        if not idempotency_key:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "idempotency-key.missing", "an Idempotency-Key is needed")
        behaviour = network.behaviour(idempotency_key, asked.id)
        await _misbehave_before(behaviour, asked)
        answer = network.change(idempotency_key, asked, partial=behaviour.mode == "partial")
        if behaviour.mode == "twice":
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "network.broken-off", "done, but not answered")
        status = HTTPStatus.CREATED if asked.action == "activate" else HTTPStatus.OK
        return JSONResponse(answer.model_dump(), status)

    @app.get(f"{SERVICE_PATH}/{{subscription_id}}")
    async def service(subscription_id: str) -> InPlace:
        return network.service(subscription_id)

    @app.get("/calls")
    async def calls(after: int = 0, limit: int | None = None) -> list[Effect]:
        return list(islice(network.effects.values(), after, limit and after + limit))

    @app.post("/control")
    async def control(wanted: Control) -> Control:
        network.control(wanted)
        return wanted

    @app.get("/livez")
    async def livez() -> str:
        return "ok"

    return app


async def _misbehave_before(behaviour: Control, asked: Activation) -> None:
    """Wait, or refuse, before anything is done."""
    if behaviour.mode == "slow":
        await asyncio.sleep(behaviour.seconds)
    if behaviour.mode == "fail":
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "network.unavailable", "the network is not available")
    if behaviour.mode == "conflict":
        detail = f"The line of {asked.id} is reserved by another work order; a field engineer has to release it first."
        raise ProblemError(HTTPStatus.CONFLICT, "network.conflict", detail)


class FastNetwork:
    """The simulator as a bare ASGI application: what was done is kept in memory, each key's first answer as bytes."""

    def __init__(self) -> None:
        """Nothing was done yet."""
        self._answers: dict[bytes, bytes] = {}
        self._versions: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, content = 200, b""
        if scope["method"] == "POST" and scope["path"] == SERVICE_PATH:
            key = next((value for name, value in scope["headers"] if name == b"idempotency-key"), b"")
            status, content = self.change(key, await _whole_body(receive))
        elif scope["path"] == "/calls":
            query = dict(parse_qsl(scope["query_string"].decode()))
            after, limit = int(query.get("after", 0)), int(query.get("limit", len(self._answers)))
            answers = islice(self._answers.values(), after, after + limit)
            content = b"[%b]" % b",".join(b'%b,"answer":%b}' % (answer[:-1], answer) for answer in answers)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def change(self, key: bytes, body: bytes) -> tuple[int, bytes]:
        """Do what is asked, or give the first answer again to the same key; an older version is refused."""
        known = self._answers.get(key)
        if known is not None:
            return HTTPStatus.OK, known
        asked = json.loads(body)
        if asked["version"] <= self._versions.get(asked["id"], 0):
            return HTTPStatus.CONFLICT, b'{"code":"version.older","detail":"a newer version is in place"}'
        action = asked.pop("action")
        asked["state"] = "terminated" if action == "deactivate" else "active"
        for each in asked["equipment"]:
            each["serial"] = each.get("serial") or _serial()
        if action != "deactivate" and not WITH_A_NUMBER.isdisjoint(each["code"] for each in asked["services"]):
            asked["numbers"] = asked["numbers"] or [_number()]
        answer = self._answers[key] = json.dumps(asked).encode()
        self._versions[asked["id"]] = asked["version"]
        return HTTPStatus.CREATED if action == "activate" else HTTPStatus.OK, answer


async def _whole_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="services.local.network", description=__doc__)
    parser.add_argument("--host", default=HOST, help="where to listen; without it on 127.0.0.1 only")
    parser.add_argument("--port", type=int, required=True, help="where to serve HTTP")
    parser.add_argument("--folder", type=Path, help="where to keep what is in place over restarts")
    parser.add_argument("--fast", action="store_true", help="in memory, without checks or misbehaviour")
    options = parser.parse_args()
    journal = options.folder / "network.jsonl" if options.folder else None
    app = FastNetwork() if options.fast else make_app(Network(journal))
    lifespan: Literal["auto", "off"] = "off" if options.fast else "auto"
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False, lifespan=lifespan)


if __name__ == "__main__":
    main()
