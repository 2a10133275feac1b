"""Who sits at the pages: sign-in by key into a signed cookie, and in every form a token that no other site can make."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer

from services.chassis.http import Problem, look, service_of
from services.chassis.ids import sha256
from services.chassis.keys import Principal, holder_of
from services.chassis.transaction import Transaction
from services.review import store
from services.review.api.rendering import PageRoute, language_of, page, refusal

router = APIRouter(include_in_schema=False, route_class=PageRoute)

COOKIE = "review"
SESSION_SECONDS = 12 * 3600
HOME = "/cases"


@dataclass(frozen=True)
class Visitor:
    """A reviewer who is signed in; `token` is what the forms of this session carry."""

    reviewer: Principal
    language: str
    token: str


async def visitor(request: Request) -> Visitor:
    """Return who is signed in; whoever is not is sent to the door."""
    cookie = request.cookies.get(COOKIE, "")
    try:
        hashed = _sessions(request).loads(cookie, max_age=SESSION_SECONDS)
    except BadSignature:
        raise _not_signed_in(request) from None
    key = await look(request, lambda tx: store.reviewers_key(tx, hashed))
    if key is None:
        raise _not_signed_in(request)
    return Visitor(Principal(key.role, key.holder, key.attributes), language_of(request), _token(request, cookie))


async def sender(request: Request, token: Annotated[str, Form()] = "") -> Visitor:
    """Return who sent a form of ours. Raises Problem 403 where it was made elsewhere."""
    who = await visitor(request)
    if not hmac.compare_digest(token.encode(), who.token.encode()) or _from_elsewhere(request):
        raise Problem(403, "form.forged", "this form is none of this session's")
    return who


@router.get("/sign-in")
async def show_door(request: Request, following: str = HOME) -> HTMLResponse:
    """Ask for a key."""
    return page(request, "sign_in.html", following=_ours(following), fault=None)


@router.post("/sign-in")
async def sign_in(
    request: Request, key: Annotated[str, Form()] = "", following: Annotated[str, Form()] = HOME
) -> Response:
    """Let a reviewer in by key; the cookie names the key by its hash, so that a revoked one ends the session."""
    if _from_elsewhere(request):
        raise Problem(403, "form.forged", "this form is none of ours")

    async def known(tx: Transaction) -> None:
        principal = await holder_of(tx, service_of(request).settings, key.strip())
        if principal.role != "reviewer":
            raise Problem(403, "key.role", "this door is for reviewers")

    try:
        await look(request, known)
    except Problem as problem:
        return page(
            request, "sign_in.html", status=problem.status, following=_ours(following), fault=refusal(request, problem)
        )
    answer = RedirectResponse(_ours(following), 303)
    answer.set_cookie(
        COOKIE,
        _sessions(request).dumps(sha256(key.strip())),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out")
async def sign_out(_: Annotated[Visitor, Depends(sender)]) -> RedirectResponse:
    """Forget who was signed in."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _sessions(request: Request) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_secret(request), salt="review-session")


def _token(request: Request, cookie: str) -> str:
    return Signer(_secret(request), salt="review-form").get_signature(cookie).decode()


def _secret(request: Request) -> str:
    secret = service_of(request).settings.link_secret
    if not secret:
        message = "LINK_SECRET is not set"
        raise ValueError(message)
    return secret


def _from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site made it send this (https://www.w3.org/TR/fetch-metadata/)."""
    return request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}


def _ours(path: str) -> str:
    """A path of our own to go on to; anything else could be somebody else's site."""
    return path if path.startswith(HOME) and "\\" not in path and "//" not in path else HOME


def _not_signed_in(request: Request) -> HTTPException:
    if "hx-request" in request.headers:
        return HTTPException(401, headers={"HX-Redirect": "/sign-in"})
    here = request.url.path if request.method == "GET" else HOME
    return HTTPException(303, headers={"Location": f"/sign-in?following={here}"})
