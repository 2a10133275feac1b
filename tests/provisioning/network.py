"""A network element on 127.0.0.1 that does what a test tells it: a real HTTP server, answering as TMF640 would."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.local.ports import free_port
from tests.harness import eventually

PATH = "/tmf-api/ServiceActivationAndConfiguration/v4/service"
FAULTS: dict[str, tuple[int, dict[str, str]]] = {
    "fail": (503, {"code": "network.busy"}),
    "conflict": (409, {"code": "network.conflict", "detail": "port 7 is taken"}),
    "older": (409, {"code": "version.older"}),
    "refuse": (400, {}),
}


class Network:
    """Does what it is asked; `behaviours` says what the next requests meet instead."""

    def __init__(self) -> None:
        self.port = free_port()
        self.behaviours: deque[str] = deque()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.in_place: dict[str, dict[str, Any]] = {}
        self.go_on = asyncio.Event()
        self._answers: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def next(self, *behaviours: str) -> None:
        """Say what the next requests meet: stall, lose the answer, leave out SERVICE, talk nonsense, one of FAULTS."""
        self.behaviours.extend(behaviours)

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        body, key = await request.json(), request.headers["idempotency-key"]
        self.requests.append((key, body))
        behaviour = self.behaviours.popleft() if self.behaviours else "work"
        if behaviour in FAULTS:
            return refused(behaviour)
        if behaviour == "stall":
            await self.go_on.wait()
        if key not in self._answers and body["version"] <= self.in_place.get(body["id"], {}).get("version", 0):
            return refused("older")
        left_out = behaviour.removeprefix("leave out ")
        body["services"] = [each for each in body["services"] if each["code"] != left_out]
        done = self._done(key, body) | {"vendor": "unknown fields are ignored"}
        if behaviour == "lose the answer":
            return PlainTextResponse("the proxy waited too long", 504)
        if behaviour == "talk nonsense":
            return PlainTextResponse("<html>")
        return JSONResponse(done, 201 if body["action"] == "activate" else 200)

    def _done(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Assign serials and a number, once per key."""
        if key not in self._answers:
            telephony = any(each["code"] == "telephony" for each in body["services"])
            serial = f"S-{len(self._answers) + 1}"
            devices = [{"type": each["type"], "serial": each["serial"] or serial} for each in body["equipment"]]
            numbers = body["numbers"] or ([f"+328700{len(self._answers):04d}"] if telephony else [])
            state = "inactive" if body["action"] == "deactivate" else "active"
            done = {"state": state, "equipment": devices, "numbers": numbers}
            done |= {name: body[name] for name in ("id", "version", "services")}
            self._answers[key] = self.in_place[body["id"]] = done
        return self._answers[key]


def refused(fault: str) -> Response:
    """A problem+json answer."""
    status, problem = FAULTS[fault]
    return JSONResponse(problem, status, media_type="application/problem+json")


@asynccontextmanager
async def serving() -> AsyncIterator[Network]:
    """Run a network on a free port."""
    network = Network()
    app = Starlette(routes=[Route(PATH, network.answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=network.port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        yield network
    finally:
        network.go_on.set()
        server.should_exit = True
        await task
