"""Sends the orders of a file to the partner door, a few at a time, each of them once however often it is sent."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from services.chassis.faults import Fault
from services.chassis.ids import sha256
from services.local.order_files import Line, Result, fingerprint

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
CREATED, UNAUTHORIZED, FORBIDDEN, CONFLICT = 201, 401, 403, 409
LATER = (429, 502, 503, 504)
STILL_RUNNING = "idempotency-key.in-use"


class SubmissionError(Exception):
    """The sending cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where orders are sent, for whom and with which key; `patience`: seconds without an answer before it gives up."""

    url: str
    partner: str
    key: str
    at_once: int = 8
    patience: float = 600.0


class Submission:
    """One sending of many lines. Lines of one subscription keep their order; all rest where the door asks for it."""

    def __init__(self, door: Door, tell: Callable[[Result], None], wait: Callable[[str], None]) -> None:
        """`tell` hears of every line what became of it, `wait` why nothing is sent just now (empty: it goes on)."""
        self.door = door
        self._tell = tell
        self._wait = wait
        self._rest_until = 0.0
        self._answered_at = time.monotonic()

    async def send(self, lines: Iterable[Line]) -> None:
        """Send every line. Raises SubmissionError; what was told until then is done."""
        lanes: dict[int, list[Line]] = defaultdict(list)
        for line in lines:
            lanes[zlib.crc32(line.turn.encode()) % self.door.at_once].append(line)
        headers = {"Authorization": f"Bearer {self.door.key}", "Content-Type": "application/json"}
        async with httpx.AsyncClient(base_url=self.door.url, headers=headers, timeout=30, trust_env=False) as client:
            sending = [asyncio.create_task(self._send_in_order(client, lane)) for lane in lanes.values()]
            try:
                await asyncio.gather(*sending)
            finally:
                for each in sending:
                    each.cancel()

    async def _send_in_order(self, client: httpx.AsyncClient, lines: list[Line]) -> None:
        for line in lines:
            if line.faults:
                self._tell(_result(line, self.door.key, faults=line.faults))
            else:
                self._tell(_judged(line, self.door.key, await self._answer(client, line)))

    async def _answer(self, client: httpx.AsyncClient, line: Line) -> httpx.Response:
        """Send a line until the door says what became of it; always with the same key, so that it is one order."""
        headers, pause = {"Idempotency-Key": idempotency_key(self.door.partner, line)}, FIRST_PAUSE_SECONDS
        while True:
            await self._rested()
            try:
                answer = await client.post("/v1/orders", content=line.content(), headers=headers)
            except httpx.TransportError:
                self._rest(pause, f"{self.door.url} does not answer")
            else:
                if answer.status_code in {UNAUTHORIZED, FORBIDDEN}:
                    raise SubmissionError(_faults(answer)[0]["detail"])
                if not _comes_later(answer):
                    self._goes_on()
                    return answer
                self._rest(_retry_after(answer) or pause, f"the door says {answer.status_code}")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _rested(self) -> None:
        while (left := self._rest_until - time.monotonic()) > 0:  # noqa: ASYNC110 - a later answer may put it off
            await asyncio.sleep(left)

    def _rest(self, seconds: float, why: str) -> None:
        """Let all lines wait. Raises SubmissionError where that takes longer than there is patience."""
        until = time.monotonic() + seconds
        if until - self._answered_at > self.door.patience:
            raise SubmissionError(f"{why}, for {self.door.patience:.0f} s")
        self._rest_until = max(self._rest_until, until)
        self._wait(f"{why}; again in {seconds:.0f} s")

    def _goes_on(self) -> None:
        self._answered_at = time.monotonic()
        self._wait("")


def idempotency_key(partner: str, line: Line) -> str:
    """Name the sending by the partner's own name of the order; without one by its content: the door refuses it."""
    return sha256(f"{partner}/{line.reference}") if line.reference else sha256(line.content())


def _comes_later(answer: httpx.Response) -> bool:
    running = answer.status_code == CONFLICT and _faults(answer)[0]["code"] == STILL_RUNNING
    return running or answer.status_code in LATER


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the door asks for: a number or a date (RFC 9110, 10.2.3); None where it says nothing readable."""
    told = answer.headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _judged(line: Line, key: str, answer: httpx.Response) -> Result:
    if answer.status_code != CREATED:
        return _result(line, key, faults=tuple(_faults(answer)))
    order = answer.json()
    return _result(line, key, order["id"], order["state"], tuple(_discrepancy(each) for each in order["discrepancies"]))


def _result(
    line: Line, key: str, order_id: str | None = None, state: str | None = None, faults: tuple[Fault, ...] = ()
) -> Result:
    return Result(line.number, line.reference, order_id, state, faults, fingerprint(line, key))


def _faults(answer: httpx.Response) -> list[Fault]:
    """Return what the door says is wrong; something else than the door may have answered."""
    try:
        problem = answer.json()
        found = problem.get("errors") or [{"pointer": "", "code": problem["code"], "detail": problem["detail"]}]
        return [Fault(pointer=each["pointer"], code=each["code"], detail=each["detail"]) for each in found]
    except (ValueError, KeyError, AttributeError, TypeError):
        text = " ".join(answer.text.split())[:200]
        return [Fault(pointer="", code=f"http.{answer.status_code}", detail=text or "an answer without words")]


def _discrepancy(found: dict[str, Any]) -> Fault:
    told = [f"{name} {_value(found[name])}" for name in ("expected", "given") if found[name] is not None]
    return Fault(pointer=found["path"], code=found["code"], detail=", ".join(told) or "held for review")


def _value(value: Any) -> str:  # noqa: ANN401 - what a discrepancy may hold
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        return f"{value['amount'] / 100:.2f} {value['currency']}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
