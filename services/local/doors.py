"""A client of the doors of a running stack, as partners, reviewers and operators use them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx

READY_ANSWER_SECONDS = 5.0
QUIET_ROUNDS = 3
ROUND_SECONDS = 0.12


class StackNotFoundError(Exception):
    """There is no running stack where one was looked for."""


class NotQuietError(Exception):
    """A stack did not come to rest in time; the message says which service still had what to do."""


class Doors:
    """The doors of one stack, opened with its keys; every answer is the door's own."""

    def __init__(self, description: dict[str, Any]) -> None:
        """`description` is what `stack.json` says."""
        self.description = description
        self.client = httpx.Client(timeout=30)

    @classmethod
    def of(cls, file: Path) -> Doors:
        """Open the doors of the stack described in a file. Raises StackNotFoundError."""
        if not file.exists():
            message = f"{file} is not there: start a stack with `asquoted up`, or name its stack.json with --stack"
            raise StackNotFoundError(message)
        try:
            doors = cls(json.loads(file.read_text()))
        except ValueError as error:
            message = f"{file} is not what `asquoted up` writes: {error}"
            raise StackNotFoundError(message) from error
        if not any(doors.answers(name) for name in doors.description["services"]):
            doors.client.close()
            message = f"the stack of {file} does not run any more: start it again with `asquoted up`"
            raise StackNotFoundError(message)
        return doors

    def answers(self, service: str) -> bool:
        """Whether a service answers at all; one alone may be on its way up again."""
        try:
            return self.client.get(f"{self.url(service)}/livez", timeout=2).is_success
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def url(self, service: str) -> str:
        """Where a service listens."""
        return str(self.description["services"][service]["url"])

    def key(self, *path: str) -> str:
        """A key of the stack, for example `key("partners", "liege-calls")`."""
        found: Any = self.description["keys"]
        for part in path:
            found = found[part]
        return str(found)

    def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        key: str,
        expect: tuple[int, ...] = (),
        **more: Any,  # noqa: ANN401 - httpx's arguments
    ) -> httpx.Response:
        """Call a door. Raises httpx.HTTPStatusError for an answer that is neither 2xx nor expected."""
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        answer = self.client.request(method, self.url(service) + path, headers=headers, **more)
        if answer.status_code not in expect:
            _raise_with_body(answer)
        return answer

    def mails(self, address: str) -> list[dict[str, Any]]:
        """What was sent to an address, newest first."""
        answer = self.client.get(f"{self.description['mail']['url']}/messages", params={"to": address})
        _raise_with_body(answer)
        found: list[dict[str, Any]] = answer.json()
        return found

    def readiness(self) -> dict[str, dict[str, Any]]:
        """What every service says of itself."""
        names = list(self.description["services"])
        with ThreadPoolExecutor(len(names)) as at_once:  # one that hangs keeps nobody waiting for the others
            return dict(zip(names, at_once.map(self._readiness, names), strict=True))

    def _readiness(self, name: str) -> dict[str, Any]:
        try:
            state: dict[str, Any] = self.client.get(f"{self.url(name)}/readyz", timeout=READY_ANSWER_SECONDS).json()
        except httpx.TransportError as error:
            return {"service": name, "ready": False, "fault": str(error) or repr(error)}
        return state

    def quiet(self, *, seconds: float = 60) -> None:
        """Wait until nothing is on its way any more: no lag, nothing unsent, no job due. Raises NotQuietError."""
        deadline, rounds = time.monotonic() + seconds, 0
        while rounds < QUIET_ROUNDS:
            busy = [reason for state in self.readiness().values() for reason in _busy(state)]
            rounds = 0 if busy else rounds + 1
            if time.monotonic() > deadline:
                message = "; ".join(busy) or "not quiet for long enough"
                raise NotQuietError(message)
            time.sleep(ROUND_SECONDS)

    def until(self, what: str, found: Callable[[], Any], *, seconds: float = 20) -> Any:  # noqa: ANN401 - what is found
        """Poll until something is there. Raises NotQuietError naming what was waited for."""
        deadline = time.monotonic() + seconds
        while True:
            value = found()
            if value:
                return value
            if time.monotonic() > deadline:
                message = f"waited {seconds:.0f} s for {what}"
                raise NotQuietError(message)
            time.sleep(0.05)


def _busy(state: dict[str, Any]) -> list[str]:
    name = state.get("service", "?")
    if not state.get("ready"):
        return [f"{name} is not ready: {state.get('fault', state.get('consumer', ''))}"]
    reasons = []
    if state["consumer"]["lag"]:
        reasons.append(f"{name} lags {state['consumer']['lag']}")
    if state["unsent_events"]:
        reasons.append(f"{name} has {state['unsent_events']} unsent events")
    if state["jobs"]["due"]:
        retried = state["jobs"].get("retried")
        why = f" ({retried['name']}, tried {retried['attempts']} times: {retried['last_error']})" if retried else ""
        reasons.append(f"{name} has {state['jobs']['due']} jobs due{why}")
    return reasons


def _raise_with_body(answer: httpx.Response) -> None:
    if answer.is_error:
        message = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {_told(answer)}"
        raise httpx.HTTPStatusError(message, request=answer.request, response=answer)


def _told(answer: httpx.Response) -> str:
    """What the door says is wrong, in words where it is a problem (RFC 9457), else as it stands there."""
    try:
        problem = answer.json()
        faults = [
            f"{each['detail']} ({each['code']} at {each['pointer'] or '/'})" for each in problem.get("errors", ())
        ]
        return f"{problem['code']}: {'; '.join([problem['detail'], *faults])}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return answer.text
