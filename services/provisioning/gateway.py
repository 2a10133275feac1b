"""The network, called as a service activation API in the manner of TMF640: at least once per change."""

from __future__ import annotations

import functools
import http
import ssl
from typing import Any, ClassVar, Literal

import httpx
from pydantic import BaseModel, ValidationError

from contracts.subscription_v1 import Subscription
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
    # The network element is reached directly, whatever proxy the machine has for the web.
    async with httpx.AsyncClient(timeout=settings.network_timeout, verify=_tls(), trust_env=False) as client:
        answer = await client.post(url, json=_body(job), headers=headers)
    if answer.is_success:
        return _reported(job, answer)
    if answer.is_server_error or answer.status_code in LATER:
        raise TryAgainError(f"the network answered {answer.status_code}")
    return Refused(reason=_reason(answer))


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading the certificates takes longer than the call."""
    return ssl.create_default_context()


def _body(job: ChangeNetwork) -> dict[str, Any]:
    place = job.subscription.model_dump(mode="json", include={"id", "version", "services", "equipment", "numbers"})
    return {**place, "action": job.action}


def _reported(job: ChangeNetwork, answer: httpx.Response) -> Reported:
    try:
        reported = Reported.model_validate_json(answer.content, extra="ignore")
    except ValidationError as error:
        raise TryAgainError(f"the network's answer cannot be read: {error.error_count()} faults") from error
    asked = job.subscription
    if (reported.id, reported.version) != (asked.id, asked.version):
        raise TryAgainError(f"the network answered for {reported.id} version {reported.version}")
    return reported


def _reason(answer: httpx.Response) -> str:
    """Return the problem's code and detail, or only the status of an answer that names none."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        return f"the network answered {answer.status_code}"
    return f"{problem.code}: {problem.detail}" if problem.detail else problem.code
