"""What a durable job is: a name and a payload; the handlers that do it are registered with `@job`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

Handler = TypeVar("Handler", bound=Callable[..., Any])
Call = Callable[[Any, str], Awaitable[Any]]
Prepare = Callable[[Any, Any], Awaitable[Any]]
Reads = Callable[[Any], Iterable[tuple[Any, tuple[object, ...]]]]


class Job(BaseModel):
    """Work to be done later. A subclass is the payload; its `name` is stored with it and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str] = ""


class GaveUp(BaseModel):
    """Handed to a job's handler in place of an answer when the outside could not be reached in all attempts."""

    reason: str


class TryAgainError(Exception):
    """Raised by a gateway: the outside did not answer, or answered that it will later; the job backs off."""


def job(
    kind: type[Job], *, call: Call | None = None, prepare: Prepare | None = None, reads: Reads | None = None
) -> Callable[[Handler], Handler]:
    """Register what does a job: `handler(job, tx)`, or with a call to the outside `handler(job, answer, tx)`.

    `call(job, job_id)` runs outside any transaction, at least once, with the job's id as its idempotency key. It raises
    TryAgainError to be called again later; after the last attempt the handler gets GaveUp.

    With `prepare(job, tx)`, which only reads, the call gets what that returns in the job's place: no payload need hold
    personal data. Where it is a GaveUp, nothing is called. `reads(job)` may name rows that both are going to need.
    """

    def register(handler: Handler) -> Handler:
        handler.job_kind = kind  # type: ignore[attr-defined]
        handler.job_call = call  # type: ignore[attr-defined]
        handler.job_prepare = prepare  # type: ignore[attr-defined]
        handler.reads = reads  # type: ignore[attr-defined]
        return handler

    return register
