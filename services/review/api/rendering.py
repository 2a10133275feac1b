"""How a page is made and kept safe: templates, headers, the reader's language, and refusals that people can read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.chassis.faults import LANGUAGES, preferred_language
from services.chassis.http import Problem
from services.review.pages.words import Words

router = APIRouter(include_in_schema=False)

PAGES = Environment(
    loader=PackageLoader("services.review", "pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}
LANGUAGE_COOKIE = "language"
YEAR_SECONDS = 365 * 24 * 3600
STATIC = {"desk.css": "text/css", "desk.js": "text/javascript", "htmx.min.js": "text/javascript"}


class PageRoute(APIRoute):
    """A route whose refusals are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                return page(
                    request, "problem.html", status=problem.status, here="/cases", said=refusal(request, problem)
                )

        return handle


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Hand out what the pages load beside them; nothing of it comes from another host."""
    if name not in STATIC:
        raise Problem(404, "resource.unknown", "there is no such file")
    content = files("services.review.pages").joinpath("static", name).read_bytes()
    return Response(content, media_type=STATIC[name], headers={"Cache-Control": "max-age=300"})


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """Make a page in the reader's language; a language that was asked for is remembered."""
    words = Words(language_of(request))
    here = values.pop("here", request.url.path)
    asked = {name: value for name, value in request.query_params.items() if name != LANGUAGE_COOKIE}
    shown = {"visitor": None, "words": words, "languages": LANGUAGES, "here": here, "query": urlencode(asked)}
    html = PAGES.get_template(template).render(shown | values)
    answer = HTMLResponse(html, status, HEADERS)
    if LANGUAGE_COOKIE in request.query_params:
        answer.set_cookie(LANGUAGE_COOKIE, words.language, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
    return answer


def language_of(request: Request) -> str:
    """Return the reader's language: the one asked for now, or before, or by the browser."""
    given = (request.query_params.get(LANGUAGE_COOKIE), request.cookies.get(LANGUAGE_COOKIE))
    known = [each for each in given if each in LANGUAGES]
    return known[0] or "en" if known else preferred_language(request.headers.get("accept-language", ""))


def refusal(request: Request, problem: Problem) -> str:
    """Say in the reader's language why something was not done."""
    words = Words(language_of(request))
    if problem.code == "decision.unfit":
        return words.unfit(str(problem.members["why"]))
    if problem.code == "request.invalid":
        return " · ".join(f"{words.place(each['pointer'])}: {each['detail']}" for each in problem.errors or ())
    decision = problem.members.get("decision")
    if problem.code == "case.decided" and decision is None:
        return words.fault("case.overtaken", problem.detail)
    named = {"who": problem.members.get("decided_by"), "decision": words.decision(str(decision)) if decision else None}
    return words.fault(problem.code, problem.detail, **named)
