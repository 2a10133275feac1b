"""Sending orders to a door that refuses, asks for patience, breaks off, or is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services.local.order_files import Line, Result
from services.local.ports import free_port
from services.local.submitting import Door, Submission, SubmissionError, idempotency_key

Answer = tuple[int, dict[str, Any] | str, dict[str, str]]


class PartnerDoor:
    """A door that answers as a test wants: `answers(reference, how often it was asked before)`; None breaks off."""

    def __init__(self) -> None:
        self.answers: Callable[[str, int], Answer | None] = lambda reference, _: created(reference)
        self.asked: list[tuple[float, str, str]] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    def asks(self, key: str, body: bytes) -> Answer | None:
        reference = str(json.loads(body).get("partner_reference"))
        with self.lock:
            before = sum(each == reference for _, each, _ in self.asked)
            self.asked.append((time.monotonic(), reference, key))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        answer = self.answers(reference, before)
        with self.lock:
            self.under_way -= 1
        return answer

    def times(self, reference: str) -> list[float]:
        return [at for at, each, _ in self.asked if each == reference]


def created(reference: str) -> Answer:
    return 201, {"id": f"order-{reference}", "state": "pending", "discrepancies": []}, {}


def problem(status: int, code: str, **headers: str) -> Answer:
    return status, {"code": code, "detail": f"it says {code}"}, headers


@pytest.fixture
def partner_door() -> Iterator[tuple[PartnerDoor, str]]:
    door = PartnerDoor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = door.asks(self.headers["idempotency-key"], body)
            if answer is None:
                self.close_connection = True
                return
            status, told, headers = answer
            content = (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield door, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def lines(*references: str, **more: Any) -> list[Line]:
    return [Line(number, {"partner_reference": each, **more}) for number, each in enumerate(references, 1)]


async def send(url: str, orders: list[Line], **more: Any) -> tuple[dict[str, Result], list[str]]:
    """Send lines; what became of each, and why it was waited."""
    told: dict[str, Result] = {}
    waits: list[str] = []
    door = Door(url, "liege-calls", "the key", **more)

    def tell(result: Result) -> None:
        assert result.partner_reference not in told
        told[result.partner_reference] = result

    await Submission(door, tell, waits.append).send(orders)
    return told, [each for each in waits if each]


async def test_each_line_is_told_once_and_only_so_many_are_under_way(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door

    def slow(reference: str, _: int) -> Answer:
        time.sleep(0.01)
        return created(reference)

    door.answers = slow
    told, _ = await send(url, lines(*(f"LC-{each}" for each in range(40))), at_once=3)
    assert {name: result.order_id for name, result in told.items()} == {
        f"LC-{each}": f"order-LC-{each}" for each in range(40)
    }
    assert 1 < door.most_under_way <= 3


async def test_lines_of_one_subscription_keep_their_order(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    door.answers = lambda reference, before: (
        created(reference) if before or reference != "LC-0" else problem(429, "too-many", Retry_After="1")
    )
    names = [f"LC-{each}" for each in range(6)]
    await send(url, lines(*names, subscription_id="sub-1"), at_once=8)
    assert [reference for _, reference, _ in door.asked] == ["LC-0", *names]


async def test_all_lines_rest_for_as_long_as_the_door_asks(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    door.answers = lambda reference, before: (
        created(reference) if before or reference != "LC-0" else problem(429, "too-many", Retry_After="1")
    )
    told, waits = await send(url, lines(*(f"LC-{each}" for each in range(9))), at_once=1)
    first, again = door.times("LC-0")
    assert again - first >= 1
    assert (len(told), waits) == (9, ["the door says 429; again in 1 s"])


async def test_what_broke_off_is_sent_again_under_the_same_key(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    door.answers = lambda reference, before: None if before < 2 else created(reference)
    told, waits = await send(url, lines("LC-1"))
    assert told["LC-1"].order_id == "order-LC-1"
    assert len(door.asked) == 3
    assert len({key for _, _, key in door.asked}) == 1
    assert waits[0] == f"{url} does not answer; again in 0 s"


async def test_an_order_has_the_same_key_in_every_run_and_each_partner_its_own(
    partner_door: tuple[PartnerDoor, str],
) -> None:
    door, url = partner_door
    for _ in range(2):
        await send(url, lines("LC-1", "LC-2"), at_once=1)
    assert len({(reference, key) for _, reference, key in door.asked}) == 2
    (line,) = lines("LC-1")
    assert idempotency_key("liege-calls", line) != idempotency_key("gent-calls", line)


async def test_a_request_that_is_still_running_is_asked_for_again(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    door.answers = lambda reference, before: created(reference) if before else problem(409, "idempotency-key.in-use")
    told, _ = await send(url, lines("LC-1"))
    assert told["LC-1"].order_id == "order-LC-1"


async def test_a_refused_line_names_its_faults_and_stops_no_other(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    faults = [{"pointer": "/offer", "code": "missing", "detail": "this field is required"}]
    refusals = {
        "LC-1": (422, {"code": "request.invalid", "detail": "1 fault", "errors": faults}, {}),
        "LC-2": problem(409, "partner-reference.in-use"),
        "LC-3": (404, "<h1>nothing here</h1>", {}),
        "LC-4": problem(500, "service.failed"),
    }
    door.answers = lambda reference, _: refusals.get(reference, created(reference))
    told, _ = await send(url, lines("LC-1", "LC-2", "LC-3", "LC-4", "LC-5"))
    assert {name: [each["code"] for each in result.faults] for name, result in told.items()} == {
        "LC-1": ["missing"],
        "LC-2": ["partner-reference.in-use"],
        "LC-3": ["http.404"],
        "LC-4": ["service.failed"],
        "LC-5": [],
    }
    assert [name for name, result in told.items() if result.taken] == ["LC-5"]


async def test_a_broken_line_is_told_and_not_sent(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    broken = Line(7, {}, ({"pointer": "", "code": "json.invalid", "detail": "this is not JSON"},))
    told, _ = await send(url, [broken])
    assert (told[""].line, told[""].faults, door.asked) == (7, broken.faults, [])


async def test_a_key_that_is_not_known_ends_the_sending(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    door.answers = lambda *_: problem(401, "key.unknown")
    with pytest.raises(SubmissionError, match=r"it says key\.unknown"):
        await send(url, lines(*(f"LC-{each}" for each in range(9))), at_once=1)
    assert len(door.asked) == 1


async def test_patience_with_a_door_that_is_away_has_an_end() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(SubmissionError, match=r"does not answer, for 1 s"):
        await send(url, lines("LC-1", "LC-2"), patience=1.0)
    assert time.monotonic() - began < 10


async def test_a_held_order_tells_what_differs(partner_door: tuple[PartnerDoor, str]) -> None:
    door, url = partner_door
    found = {
        "code": "price.change",
        "path": "/quote/monthly_change",
        "expected": {"amount": 1100, "currency": "EUR"},
        "given": {"amount": 500, "currency": "EUR"},
        "stage": "intake",
    }
    silent = {**found, "code": "contact.unverified", "path": "/customer/email", "expected": None, "given": None}
    door.answers = lambda *_: (201, {"id": "order-1", "state": "held", "discrepancies": [found, silent]}, {})
    told, _ = await send(url, lines("LC-1"))
    assert [each["detail"] for each in told["LC-1"].faults] == ["expected 11.00 EUR, given 5.00 EUR", "held for review"]
