"""A partner's own system hears of an order's steps, on the whole stack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.journeys import Journey

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def partner_system() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The address of a server that takes whatever it is sent, and what it was sent."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/orders", received
    server.shutdown()
    server.server_close()


def test_a_partners_system_hears_each_step_of_an_order_with_the_key_of_the_partner_door(
    journey: Journey, partner_system: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    url, received = partner_system
    doors, key = journey.doors, journey.doors.key("partners", "liege-calls")
    webhook = doors.call("notification", "POST", "/v1/webhooks", key=key, json={"url": url}).json()
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed")
    doors.until("the last message", lambda: len(told(received, webhook["secret"], order["id"])) == 3)
    steps = told(received, webhook["secret"], order["id"])
    assert {each["type"]: each["data"]["state"] for each in steps} == {
        "order.pending": "pending",
        "order.confirmed": "inProgress",
        "order.completed": "completed",
    }
    done = next(each["data"] for each in steps if each["type"] == "order.completed")
    shown = journey.view(order["id"])
    assert {name: done[name] for name in ("id", "partner_reference", "offer", "price", "customer_id")} == {
        name: shown[name] for name in ("id", "partner_reference", "offer", "price", "customer_id")
    }
    doors.call("notification", "DELETE", f"/v1/webhooks/{webhook['id']}", key=key)


def told(received: list[tuple[dict[str, str], bytes]], secret: str, order_id: str) -> list[dict[str, Any]]:
    """What was told of an order, each message verified."""
    messages = [Webhook(secret).verify(body, headers) for headers, body in list(received)]
    return [each for each in messages if each["data"]["id"] == order_id]
