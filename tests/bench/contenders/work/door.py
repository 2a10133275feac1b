"""The partner door, as far as plain and textbook do alike: read, judge and answer one order in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import Request, Response
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.event import Event
from services.chassis.faults import preferred_language
from services.intake.api.body import FaultyBodyError, read_order
from tests.bench.contenders.work.intake import Answer, UnknownKeyError, problem, seller, take

Keep = Callable[[AsyncSession, Sequence[Event]], None]


async def post_order(request: Request, open_session: Callable[[], AsyncSession], keep: Keep) -> Answer:
    """Take an order; `keep` may write its events into the transaction. Again if somebody else was first."""
    raw = await request.body()
    for last in (False, True):
        try:
            async with open_session() as session:
                answer = await _answer(session, request, raw)
                keep(session, answer.events)
                await session.commit()
                return answer
        except IntegrityError:
            if last:
                raise
    raise AssertionError("unreachable")


async def _answer(session: AsyncSession, request: Request, raw: bytes) -> Answer:
    key = request.headers.get("idempotency-key", "")
    if not key:
        return problem(400, "idempotency-key.missing", "send an Idempotency-Key")
    try:
        partner = await seller(session, request.headers.get("authorization", ""))
        form = read_order(raw, preferred_language(request.headers.get("accept-language", "")))
    except UnknownKeyError:
        return problem(401, "key.unknown", "this key is not known here")
    except FaultyBodyError as error:
        return problem(422, "request.invalid", str(error), [dict(each) for each in error.faults])
    return await take(session, form, raw, partner, key)


def response(answer: Answer) -> Response:
    """The answer on HTTP."""
    return Response(answer.body, answer.status, {"Content-Type": "application/json", **answer.headers})
