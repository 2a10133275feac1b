"""The HTTP doors of a service: problem+json with every fault named, health, metrics, one transaction per request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis import telemetry
from services.chassis.cause import Cause
from services.chassis.database import is_infrastructure, is_refused_data
from services.chassis.faults import preferred_language, translated
from services.chassis.ids import new_traceparent
from services.chassis.references import References
from services.chassis.settings import Settings
from services.chassis.transaction import Place, Transaction

log = structlog.get_logger()

Result = TypeVar("Result")
Work = Callable[[Transaction], Awaitable[Result]]

PROBLEM: dict[str, Any] = {
    "description": "Nothing was done; why (RFC 9457), every fault with its place",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "instance", "trace_id", "code"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                    "trace_id": {"type": "string"},
                    "code": {"type": "string"},
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["pointer", "code", "detail"],
                            "properties": {each: {"type": "string"} for each in ("pointer", "code", "detail")},
                        },
                    },
                },
            }
        }
    },
}
"""What every door answers where it does not do what it was asked; a door may document some of it closer."""

REFUSALS: dict[int | str, dict[str, Any]] = {"4XX": PROBLEM, "503": PROBLEM}

MOST_BYTES = 1024 * 1024
"""Of a body, at every door that does not say otherwise with `received`."""
ATTEMPTS = 4
RETRY_AFTER_SECONDS = "2"


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is not a success: RFC 9457 problem details with a stable code as its type."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        **members: object,
    ) -> None:
        """`errors` lists every fault as {pointer, code, detail}; further members are added as they are."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.members = members


class Behind(Protocol):
    """What doors need of the service that is behind them."""

    name: str
    settings: Settings
    references: References

    async def look(self, work: Work[Result]) -> Result:
        """Do work that only reads."""

    async def transact(self, work: Work[Result], cause: Cause, reads: Sequence[Place] = ()) -> Result:
        """Do work and commit it."""

    async def readiness(self) -> dict[str, Any]:
        """Say whether all is well, and what is not."""


async def received(request: Request, most: int) -> bytes:
    """Read a body as it is, and no more of it than `most` bytes. Raises HTTPException 413."""
    request.state.most_bytes = most
    return await request.body()


def service_of(request: Request) -> Behind:
    """Return the service that this request came to."""
    return cast("Behind", request.app.state.service)


async def look(request: Request, work: Work[Result]) -> Result:
    """Do the work of a request that only reads. Raises Problem 503 if the database is away."""
    return await _tried(lambda: service_of(request).look(work))


async def transact(request: Request, work: Work[Result], reads: Sequence[Place] = ()) -> Result:
    """Do the work of a request in a transaction; again if somebody else was first. Raises Problem 503 if it is away.

    `reads` are rows that the work is going to need, read for all requests of a moment at once.
    """
    service = service_of(request)
    cause = Cause.request(request.state.traceparent)
    return await _tried(lambda: service.transact(work, cause, reads))


async def _tried(doing: Callable[[], Awaitable[Result]]) -> Result:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await doing()
        except (DBAPIError, SQLAlchemyError, OSError, TimeoutError) as error:
            if is_refused_data(error):
                raise Problem(422, "request.not-storable", "a text or number in it cannot be stored") from error
            crosswise = isinstance(error, IntegrityError) or "deadlock" in str(error).lower()
            if crosswise and attempt < ATTEMPTS:
                await asyncio.sleep(0.01 * attempt)
                continue
            if crosswise or is_infrastructure(error):
                log.warning("request.database-away", error=repr(error))
                headers = {"Retry-After": RETRY_AFTER_SECONDS}
                raise Problem(503, "service.unavailable", "try again in a moment", headers=headers) from error
            raise
    message = "unreachable"
    raise AssertionError(message)


def make_app(service: Behind, *routers: APIRouter) -> FastAPI:
    """Make the application: the service's own doors, and the ones that every service has."""
    title = f"AsQuoted {service.name}"
    app = FastAPI(title=title, version="1", separate_input_output_schemas=False, responses=REFUSALS)
    app.state.service = service
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(_Traced)
    for router in (*routers, _health):
        app.include_router(router)
    return app


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """Render a problem."""
    body: dict[str, Any] = {
        "type": f"urn:asquoted:problem:{problem.code}",
        "title": problem.code,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "trace_id": telemetry.trace_id(getattr(request.state, "traceparent", None)),
        "code": problem.code,
    }
    if problem.errors is not None:
        body["errors"] = problem.errors
    body.update(problem.members)
    return JSONResponse(body, problem.status, problem.headers, media_type="application/problem+json")


async def _problem(request: Request, error: Exception) -> Response:
    return problem_response(request, cast("Problem", error))


async def _invalid(request: Request, error: Exception) -> Response:
    language = preferred_language(request.headers.get("accept-language", ""))
    faults: list[dict[str, Any]] = [
        dict(translated("/" + "/".join(map(str, each["loc"][1:])), each["type"], each["msg"], language))
        for each in cast("RequestValidationError", error).errors()
    ]
    return problem_response(request, Problem(422, "request.invalid", f"{len(faults)} faults", errors=faults))


async def _http(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    known = {404: "resource.unknown", 405: "method.not-allowed", 413: "body.too-large"}
    code = known.get(raised.status_code, "request.refused")
    return problem_response(
        request, Problem(raised.status_code, code, str(raised.detail), headers=dict(raised.headers or {}))
    )


async def _failed(request: Request, error: Exception) -> Response:
    log.error("request.failed", path=request.url.path, exc_info=error)
    return problem_response(request, Problem(500, "service.failed", "this was our fault; it has been logged"))


class _Traced:
    """Gives every request a trace and a limit, counts the answers, and says the trace in what is logged meanwhile."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")
        traceparent = given if telemetry.trace_id(given) else new_traceparent()
        state = scope.setdefault("state", {})
        state |= {"traceparent": traceparent, "most_bytes": MOST_BYTES}
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > state["most_bytes"]:
                raise HTTPException(413, f"at most {state['most_bytes']} bytes")
            return message

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                telemetry.REQUESTS.labels(scope["method"], route, message["status"]).inc()
            await send(message)

        with telemetry.about(None, traceparent):
            await self._app(scope, limited, counted)


_health = APIRouter(tags=["health"])


@_health.get("/livez", response_class=PlainTextResponse)
async def livez() -> str:
    """Tell that the process answers."""
    return "ok"


@_health.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Tell whether the database answers and this consumer really consumes, with lag, parked keys and due jobs."""
    state = await service_of(request).readiness()
    return JSONResponse(state, 200 if state["ready"] else 503)


@_health.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    """Metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
