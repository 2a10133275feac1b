"""What the journey tests say and look at: customers, orders, answers, decisions, and the events that followed."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from services.chassis.ids import sha256
from services.local import clock, loading
from services.local.audit_running import audit
from services.local.doors import Doors
from services.local.records import Record, read_all
from services.local.stack import DEFAULT_START, Options, Stack

CODE = re.compile(r"\b[0-9]{6}\b")
_numbers = itertools.count(1)


@contextmanager
def started() -> Iterator[Stack]:
    """A stack with the demo's data, until the end; in a folder that PostgreSQL's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="asquoted-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Options(Path(folder), start=DEFAULT_START), progress=lambda _: None)
        try:
            stack.start()
            with Doors(stack.description) as doors:
                loading.load(doors, lambda _: None)
                doors.quiet()
            stack.ready()
            yield stack
        finally:
            stack.stop()


def violations(doors: Doors) -> list[str]:
    """What the audit finds once nothing is on its way any more."""
    doors.quiet(seconds=60)
    return [f"{each.check}: {each.about} {each.fault}" for each in audit(doors.description).findings]


def euro(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


@dataclass(frozen=True)
class Line:
    """A customer of a test with her subscription."""

    customer: dict[str, Any]
    subscription_id: str


class Journey:
    """The doors of a running stack, in the words of the story."""

    def __init__(self, doors: Doors, clock_file: Path) -> None:
        self.doors = doors
        self.clock_file = clock_file

    def now(self) -> datetime:
        return clock.now(self.clock_file)

    def advance(self, by: str) -> None:
        clock.advance(self.doors, self.clock_file, clock.duration(by), lambda _: None)

    # --- what stands before the journey ------------------------------------------------------------------------------

    def customer_with(self, offer: str, version: int, **more: Any) -> Line:
        """A customer on file who has an offer, sold in May 2026."""
        number = next(_numbers)
        customer = {
            "name": f"Customer {number}",
            "email": f"customer-{number}@example.org",
            "phone": f"+3247{number:07d}",
            "language": "fr",
        }
        self._operator("intake", f"/v1/customers/test-{number}", customer)
        body = {
            "customer_id": f"test-{number}",
            "offer": {"code": offer, "version": version},
            "channel": "telesales",
            "sold_at": "2026-05-11T16:20:00Z",
            "equipment": [{"type": "decoder", "serial": f"DC-{number}"}] if offer.startswith("TRIO") else [],
            "numbers": [f"+3287{number:06d}"],
            "contract_since": "2026-05-11",
            **more,
        }
        self._operator("provisioning", f"/v1/subscriptions/test-sub-{number}", body)
        self.doors.until("the charge", lambda: self.charged(f"test-sub-{number}"))
        self.doors.quiet()
        del customer["language"]
        return Line({"id": f"test-{number}", **customer}, f"test-sub-{number}")

    def _operator(self, service: str, path: str, body: Any) -> None:
        self.doors.call(service, "PUT", path, key=self.doors.key("operator"), json=body)

    # --- the partner -------------------------------------------------------------------------------------------------

    def body(self, line: Line, **changes: Any) -> dict[str, Any]:
        return {
            "partner_reference": f"LC-{next(_numbers):08d}",
            "agent": "agent-17",
            "channel": "telesales",
            "sold_at": (self.now() - timedelta(minutes=3)).astimezone(UTC).isoformat(),
            "language": "fr",
            "action": "modify",
            "subscription_id": line.subscription_id,
            "offer": "TRIO-MAX",
            "customer": line.customer,
            "quote": {"monthly_total": euro(8100)},
            "removals": [],
            **changes,
        }

    def new_customer_body(self, **changes: Any) -> dict[str, Any]:
        """An order of FIBRE for somebody new."""
        number = next(_numbers)
        customer = {"name": f"New {number}", "email": f"new-{number}@example.org", "phone": f"+3248{number:07d}"}
        quote = {"monthly_total": euro(6000), "one_off": euro(5000)}
        body = self.body(Line(customer, ""), action="add", offer="FIBRE", quote=quote, **changes)
        del body["subscription_id"]
        return body

    def post(self, body: dict[str, Any], *, key: str | None = None, partner: str = "liege-calls") -> httpx.Response:
        """Send an order, whatever the answer."""
        headers = {"Idempotency-Key": key or body["partner_reference"]}
        return self.doors.call(
            "intake",
            "POST",
            "/v1/orders",
            key=self.doors.key("partners", partner),
            json=body,
            headers=headers,
            expect=(400, 401, 409, 413, 422),
        )

    def check(self, body: dict[str, Any], partner: str = "liege-calls") -> dict[str, Any]:
        """What the door says of an order that is not made."""
        key = self.doors.key("partners", partner)
        answer: dict[str, Any] = self.doors.call("intake", "POST", "/v1/order-checks", key=key, json=body).json()
        return answer

    def signed(self, content: bytes, partner: str = "gent-calls") -> dict[str, str]:
        """Give the file of a signed contract to intake; the evidence that an order names."""
        digest = sha256(content)
        key = self.doors.key("partners", partner)
        answer = self.doors.call("intake", "PUT", f"/v1/evidence/{digest}", key=key, content=content)
        assert answer.status_code == 201, answer.text
        return {"kind": "signed-contract", "reference": f"C-{next(_numbers)}", "sha256": digest}

    def in_the_shop(self, line: Line, evidence: dict[str, str] | None, **changes: Any) -> dict[str, Any]:
        """An order of TRIO-MAX at the shop's published price."""
        quote = {"monthly_total": euro(7500), "promotion": {"monthly": euro(-600), "months": 6}}
        return self.body(line, agent="agent-21", channel="shop", quote=quote, evidence=evidence, **changes)

    def order(self, body: dict[str, Any], partner: str = "liege-calls") -> dict[str, Any]:
        """Send an order that is taken; its view."""
        answer = self.post(body, partner=partner)
        assert answer.status_code == 201, answer.text
        view: dict[str, Any] = answer.json()
        return view

    def view(self, order_id: str, partner: str = "liege-calls") -> dict[str, Any]:
        key = self.doors.key("partners", partner)
        view: dict[str, Any] = self.doors.call("intake", "GET", f"/v1/orders/{order_id}", key=key).json()
        return view

    def becomes(self, order_id: str, state: str, partner: str = "liege-calls") -> dict[str, Any]:
        """Wait until an order is in a state."""

        def there() -> dict[str, Any] | None:
            view = self.view(order_id, partner)
            return view if view["state"] == state else None

        view: dict[str, Any] = self.doors.until(f"{order_id} to be {state}", there)
        return view

    # --- the customer ------------------------------------------------------------------------------------------------

    def link(self, line: Line, count: int = 1) -> str:
        """The link in the newest of `count` contract summaries that the customer got."""

        def found() -> str | None:
            mails = self.doors.mails(line.customer["email"])
            links = [link for mail in mails for link in mail["links"] if "/confirm/" in link]
            unique = list(dict.fromkeys(links))
            return unique[0] if len(unique) >= count else None

        link: str = self.doors.until(f"contract summary {count} for {line.customer['email']}", found)
        return link

    def code(self, phone: str) -> str:
        """The six digits in the newest text to a phone."""

        def found() -> str | None:
            return next((match[0] for text in self.doors.mails(phone) if (match := CODE.search(text["text"]))), None)

        code: str = self.doors.until(f"the code to {phone}", found)
        return code

    def answer(self, link: str, answer: str, **told: str) -> httpx.Response:
        return self.doors.client.post(link, data={"answer": answer, **told})

    # --- reviewers and the desk --------------------------------------------------------------------------------------

    def case(self, case_id: str) -> dict[str, Any]:
        key = self.doors.key("reviewers", "rita")

        def found() -> dict[str, Any] | None:
            answer = self.doors.call("review", "GET", f"/v1/cases/{case_id}", key=key, expect=(404,))
            return answer.json() if answer.is_success else None

        case: dict[str, Any] = self.doors.until(f"case {case_id}", found)
        return case

    def disputed(self, order_id: str) -> dict[str, Any] | None:
        """The case about what the customer of an order says that she was told."""
        path, key = "/v1/cases?code=quote.disputed", self.doors.key("reviewers", "rita")
        items = self.doors.call("review", "GET", path, key=key).json()["items"]
        return next((each for each in items if each["order_id"] == order_id), None)

    def decide(self, case_id: str, decision: str, reviewer: str = "rita", **named: Any) -> httpx.Response:
        self.case(case_id)
        key = self.doors.key("reviewers", reviewer)
        body = {"decision": decision, "reason": "seen in a test", **named}
        return self.doors.call(
            "review", "POST", f"/v1/cases/{case_id}/decisions", key=key, json=body, expect=(403, 409, 422)
        )

    def case_becomes(self, case_id: str, state: str) -> None:
        self.doors.until(f"case {case_id} to be {state}", lambda: self.case(case_id)["state"] == state)

    def charged(self, subscription_id: str) -> int | None:
        """What is charged per month now, in cents."""
        path = f"/v1/subscriptions/{subscription_id}/charges"
        answer = self.doors.call("billing", "GET", path, key=self.doors.key("service_desk"), expect=(404,))
        in_force = answer.json().get("in_force") if answer.is_success else None
        return in_force["amount"] if in_force else None

    def subscription(self, subscription_id: str) -> dict[str, Any]:
        path = f"/v1/subscriptions/{subscription_id}"
        found: dict[str, Any] = self.doors.call("provisioning", "GET", path, key=self.doors.key("service_desk")).json()
        return found

    # --- what followed -----------------------------------------------------------------------------------------------

    def events(self, order_id: str) -> dict[str, list[str]]:
        """The types of all events that name an order, per topic in their order; notices and cases too."""
        self.doors.quiet()
        found: dict[str, list[str]] = defaultdict(list)
        for record in self.records():
            if order_id.encode() in (record.value or b"") and record.envelope:
                found[record.topic].append(record.envelope.type.removesuffix(".v1"))
        return dict(found)

    def records(self) -> list[Record]:
        return read_all(self.doors.description["kafka"])
