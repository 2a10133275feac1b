"""A call-centre evening: many orders of new customers, each confirmed through its link, while things break."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from contracts.order_v1 import FINAL
from services.local import clock
from services.local.doors import Doors

CODE = re.compile(r"\b[0-9]{6}\b")
PARTNER_PATIENCE = timedelta(seconds=240)
POLL_SECONDS = 0.8
SETTLED = FINAL | {"held"}


@dataclass
class Evening:
    """What happened, and when: real instants of the first POST and the last completion."""

    first_post: datetime
    last_completion: datetime
    states: Counter[str] = field(default_factory=Counter)
    retries: int = 0


class Crowd:
    """Partners and customers who try again when a door does not answer, as they would."""

    def __init__(self, doors: Doors, clock_file: Path, client: httpx.AsyncClient) -> None:
        self.doors = doors
        self.clock_file = clock_file
        self.client = client
        self.retries = 0
        self._headers = {"Authorization": f"Bearer {doors.key('partners', 'liege-calls')}"}

    async def one(self, number: int) -> str:
        """One order from POST to its end; returns the state in which it ended."""
        email = f"evening-{number}@example.org"
        body = self._body(number, email)
        answer = await self._patiently(lambda: self._post(number, body))
        order_id = answer.json()["id"]
        link = await self._link(email)
        yes = {"answer": "yes", "code": await self._code(body["customer"]["phone"])}
        await self._patiently(lambda: self.client.post(link, data=yes))
        return await self._ended(order_id)

    def _body(self, number: int, email: str) -> dict[str, Any]:
        return {
            "partner_reference": f"EVENING-{number}",
            "agent": "agent-18",
            "channel": "telesales",
            "sold_at": (clock.now(self.clock_file) - timedelta(minutes=1)).isoformat(),
            "language": ("fr", "nl", "de", "en")[number % 4],
            "action": "add",
            "offer": "FIBRE",
            "customer": {"name": f"Evening {number}", "email": email, "phone": f"+3249{number:07d}"},
            "quote": {
                "monthly_total": {"amount": 6000, "currency": "EUR"},
                "one_off": {"amount": 5000, "currency": "EUR"},
            },
        }

    async def _post(self, number: int, body: dict[str, Any]) -> httpx.Response:
        headers = {**self._headers, "Idempotency-Key": f"evening-{number}"}
        return await self.client.post(f"{self.doors.url('intake')}/v1/orders", json=body, headers=headers)

    async def _link(self, email: str) -> str:
        mailbox = f"{self.doors.description['mail']['url']}/messages"

        async def found() -> str | None:
            mails: list[dict[str, Any]] = (await self.client.get(mailbox, params={"to": email})).json()
            return next((link for mail in mails for link in mail["links"] if "/confirm/" in link), None)

        return await self._until(f"the mail to {email}", found)

    async def _code(self, phone: str) -> str:
        mailbox = f"{self.doors.description['mail']['url']}/messages"

        async def found() -> str | None:
            texts: list[dict[str, Any]] = (await self.client.get(mailbox, params={"to": phone})).json()
            return next((match[0] for each in texts if (match := CODE.search(each["text"]))), None)

        return await self._until(f"the code to {phone}", found)

    async def _ended(self, order_id: str) -> str:
        url = f"{self.doors.url('intake')}/v1/orders/{order_id}"

        async def found() -> str | None:
            view = (await self._patiently(lambda: self.client.get(url, headers=self._headers))).json()
            return view["state"] if view["state"] in SETTLED else None

        return await self._until(f"order {order_id} to end", found)

    async def _patiently(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        deadline = datetime.now(UTC) + PARTNER_PATIENCE
        while True:
            try:
                answer = await send()
                if answer.status_code < 500 and answer.status_code != 409:
                    assert answer.status_code < 400, answer.text
                    return answer
            except httpx.TransportError:
                pass
            assert datetime.now(UTC) < deadline, "no door answered for too long"
            self.retries += 1
            await asyncio.sleep(0.2)

    async def _until(self, what: str, found: Callable[[], Awaitable[str | None]]) -> str:
        deadline = datetime.now(UTC) + PARTNER_PATIENCE
        while datetime.now(UTC) < deadline:
            value = await found()
            if value:
                return value
            await asyncio.sleep(POLL_SECONDS)
        raise AssertionError(f"waited too long for {what}")


async def evening(
    doors: Doors,
    clock_file: Path,
    count: int,
    trouble: Callable[[], Awaitable[None]],
    enough: Callable[[], bool],
    *,
    at_once: int = 24,
    begin: int = 0,
) -> Evening:
    """Send `count` orders, and more until there was `enough` trouble, `at_once` of them at the same time.

    They are numbered from `begin` on. Trouble that could not be made is raised.
    """
    turns = asyncio.Semaphore(at_once)
    first = datetime.now(UTC)
    async with httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=at_once)) as client:
        crowd = Crowd(doors, clock_file, client)

        async def in_turn(number: int) -> str:
            async with turns:
                return await crowd.one(number)

        breaking = asyncio.ensure_future(trouble())
        try:
            ended = await asyncio.gather(*(in_turn(begin + number) for number in range(count)))
            while not enough() and not breaking.done():
                further = range(begin + len(ended), begin + len(ended) + at_once)
                ended += await asyncio.gather(*map(in_turn, further))
        finally:
            breaking.cancel()
            await asyncio.wait([breaking])
        if not breaking.cancelled():
            breaking.result()
    return Evening(first, datetime.now(UTC), Counter(ended), crowd.retries)
