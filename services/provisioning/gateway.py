"""The network, called as a service activation API in the manner of TMF640: at least once per change."""

from __future__ import annotations

import http
from typing import Any, ClassVar, Literal

import aiohttp
from pydantic import BaseModel, ValidationError

from contracts.subscription_v1 import Subscription
from services.chassis import outside
from services.chassis.job import Job, TryAgainError
from services.provisioning.rules import Reported
from services.provisioning.settings import settings

SERVICE_PATH = "/tmf-api/ServiceActivationAndConfiguration/v4/service"

LATER = frozenset({http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_EARLY, http.HTTPStatus.TOO_MANY_REQUESTS})
"""Answers below 500 that ask to come again."""


class ChangeNetwork(Job):
    """Have the network put a subscription in place as it is to be; the network refuses an older version of it."""

    name: ClassVar[str] = "provisioning.change-network"
    order_id: str
    attempt: int
    action: Literal["activate", "modify", "deactivate"]
    subscription: Subscription


class RestoreNetwork(ChangeNetwork):
    """Have the network put back what was there before a change that was done in part, or may have been."""

    name: ClassVar[str] = "provisioning.restore-network"


class Refused(BaseModel):
    """The network will not do it, however often it is asked."""

    reason: str


class Problem(BaseModel):
    """What is read of the network's problem+json."""

    code: str
    detail: str = ""


async def change(job: ChangeNetwork, job_id: str) -> Reported | Refused:
    """Ask the network for a change; the same job again is the same request. Raises TryAgainError."""
    url, headers = settings.network_url + SERVICE_PATH, {"Idempotency-Key": job_id}
    timeout = aiohttp.ClientTimeout(total=settings.network_timeout)
    calling = outside.session().post(url, json=_body(job), headers=headers, timeout=timeout, allow_redirects=False)
    try:
        async with calling as answer:
            status, content = answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TryAgainError(f"the network does not answer: {type(error).__name__}") from error
    if http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
        return _reported(job, content)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or status in LATER:
        raise TryAgainError(f"the network answered {status}")
    return Refused(reason=_reason(status, content))


def _body(job: ChangeNetwork) -> dict[str, Any]:
    place = job.subscription.model_dump(mode="json", include={"id", "version", "services", "equipment", "numbers"})
    return {**place, "action": job.action}


def _reported(job: ChangeNetwork, content: bytes) -> Reported:
    try:
        reported = Reported.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise TryAgainError(f"the network's answer cannot be read: {error.error_count()} faults") from error
    asked = job.subscription
    if (reported.id, reported.version) != (asked.id, asked.version):
        raise TryAgainError(f"the network answered for {reported.id} version {reported.version}")
    return reported


def _reason(status: int, content: bytes) -> str:
    """Return the problem's code and detail, or only the status of an answer that names none."""
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return f"the network answered {status}"
    return f"{problem.code}: {problem.detail}" if problem.detail else problem.code
