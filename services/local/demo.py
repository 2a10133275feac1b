"""Tells the story step by step against the real doors; every line comes from a door's answer or a topic's record."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.markup import escape

from contracts.dead_letter_v1 import MessageDeadLettered
from contracts.event import Event
from contracts.invoice_v1 import ChargesStarted
from contracts.order_v1 import OrderCompleted, OrderConfirmed, OrderEvent
from services.local import clock
from services.local.doors import Doors
from services.local.records import Record, put, read_all

ORDER: dict[str, Any] = {
    "agent": "agent-17",
    "channel": "telesales",
    "language": "fr",
    "action": "modify",
    "subscription_id": "sub-1001",
    "offer": "TRIO-MAX",
    "customer": {"id": "cust-1001", "name": "Valérie D.", "email": "valerie@example.org", "phone": "+3287123456"},
    "removals": [],
}
SOLD_BEFORE = timedelta(minutes=3)
FIRST_REFERENCE = "LC-2026-000123"


class StoryBrokenError(Exception):
    """The system did not do what the story says it must."""


class Demo:
    """One telling of the story on one stack."""

    def __init__(self, doors: Doors, clock_file: Path, console: Console) -> None:
        """Tell it to a console."""
        self.doors = doors
        self.clock_file = clock_file
        self.console = console
        self._step = 0

    def tell(self) -> None:
        """Tell all of it. Raises StoryBrokenError at the first line that does not hold."""
        self._today()
        held = self._promised()
        self._nothing_happened(held)
        self._decided(held)
        self._right_order()
        self._tv_kept()
        self._poisoned()

    def was_told(self) -> bool:
        """Whether this stack has heard it: the story begins with what Valérie has before it."""
        path, key = f"/v1/orders?partner_reference={FIRST_REFERENCE}", self.doors.key("partners", "liege-calls")
        return bool(self.doors.call("intake", "GET", path, key=key).json()["items"])

    def _today(self) -> None:
        self._title("Valérie has TRIO and pays 70.00 a month.")
        answer = self.doors.call("billing", "GET", "/v1/subscriptions/sub-1001/charges", key=self._desk)
        in_force = answer.json()["in_force"]
        self._expect(in_force["amount"] == 7000, answer, f"Billing charges her {_money(in_force)} a month.")  # noqa: PLR2004 - the story's price

    def _promised(self) -> dict[str, Any]:
        self._title('An agent sells TRIO-MAX "for 5 euros more a month"; published is 11 more.')
        quote = {"monthly_change": {"amount": 500, "currency": "EUR"}}
        answer = self._order(FIRST_REFERENCE, quote=quote)
        order: dict[str, Any] = answer.json()
        found = order["discrepancies"]
        as_told = [(each["code"], each["expected"], each["given"]) for each in found]
        expected = [("price.change", {"amount": 1100, "currency": "EUR"}, {"amount": 500, "currency": "EUR"})]
        what = [
            f"{each['code']}, expected {_money(each['expected'], '+')}, given {_money(each['given'], '+')}"
            for each in found
        ]
        held = order["state"] == "held" and as_told == expected
        self._expect(held, answer, f"The order is {order['state']}: {'; '.join(what)}.", f"order {order['id']}")
        return order

    def _nothing_happened(self, order: dict[str, Any]) -> None:
        self._title("Nothing happens before a person looked at it.")
        self.doors.quiet()
        records = read_all(self.doors.description["kafka"])
        confirmed = [each for each in _of(records, OrderConfirmed) if each.event.order.id == order["id"]]  # type: ignore[union-attr]
        named = [each for each in records if each.topic in {"subscriptions", "invoices"} and _names(each, order["id"])]
        self._check(not confirmed, "Topic orders has no OrderConfirmed for it.")
        self._check(not named, "Topics subscriptions and invoices have no event that names it.")
        for service in ("provisioning", "billing"):
            rows = asyncio.run(rows_naming(self.doors.description["services"][service]["database"], order["id"]))
            self._check(not rows, f"Database {service} has no row that names it.")

    def _decided(self, order: dict[str, Any]) -> None:
        self._title("Rita, a reviewer, applies the published price; Valérie is asked anew.")
        path, rita = f"/v1/cases/{order['case_id']}", self.doors.key("reviewers", "rita")
        case = self.doors.until("the case", lambda: self._found("review", path, rita))
        codes = case.json()["codes"]
        self._expect(codes == ["price.change"], case, f"Her case says {', '.join(codes)}, with both numbers.")
        body = {"decision": "apply_published_price", "reason": "The agent promised +5.00, published is +11.00."}
        decided = self.doors.call("review", "POST", f"{path}/decisions", key=rita, json=body)
        self._expect(decided.is_success, decided, f"The case is {decided.json()['state']}: {body['decision']}.")
        self._order_becomes(order["id"], "pending")
        mail = self._mail("81")
        self._said(f"A mail goes to {mail['to']}.", f'"{mail["subject"]}"')
        self._answer(mail, "no")
        self._order_becomes(order["id"], "cancelled")
        closed = self.doors.until("the case to close", lambda: self._in_state(path, rita, "applied"))
        self._expect(closed.is_success, closed, f"The case is {closed.json()['state']}.")

    def _right_order(self) -> None:
        self._title("Another call-centre quotes the published price: its order goes all the way.")
        quote = {
            "monthly_total": {"amount": 8100, "currency": "EUR"},
            "monthly_change": {"amount": 1100, "currency": "EUR"},
        }
        answer = self._order("GC-2026-000124", "gent-calls", agent="agent-21", quote=quote)
        order = answer.json()
        asked = f"The order is {order['state']}: the customer is asked."
        self._expect(order["state"] == "pending", answer, asked, f"order {order['id']}")
        self._answer(self.doors.until("the mail", lambda: self._unanswered("81")), "yes")
        self._order_becomes(order["id"], "completed", "gent-calls")
        records = read_all(self.doors.description["kafka"], ["orders", "invoices"])
        charged = [each for each in _of(records, ChargesStarted) if each.event.order_id == order["id"]]  # type: ignore[union-attr]
        done = [each for each in _of(records, OrderCompleted) if each.event.order.id == order["id"]]  # type: ignore[union-attr]
        self._check(len(done) == 1, "Kafka has its OrderCompleted, once.", _places(done))
        amounts = [each.event.charge.monthly.amount for each in charged]  # type: ignore[union-attr]
        told = ", ".join(f"{amount / 100:.2f}" for amount in amounts)
        self._check(amounts == [8100], f"Kafka has its ChargesStarted: {told} EUR a month.", _places(charged))

    def _tv_kept(self) -> None:
        self._title("An order that would take the TV away without naming it is stopped.")
        quote = {"monthly_total": {"amount": 5200, "currency": "EUR"}}
        customer = {"id": "cust-1002", "phone": "+3292345678"}  # who does not know her is told no list
        answer = self._order(
            "LC-2026-000125", quote=quote, offer="DUO", subscription_id="sub-1002", customer=customer, language="nl"
        )
        order = answer.json()
        lost = [(each["code"], each["expected"]) for each in order["discrepancies"]]
        stopped = order["state"] == "held" and lost == [("services.lost", ["tv", "decoder"])]
        what = "; ".join(f"{code}, {' and '.join(services)}" for code, services in lost)
        self._expect(stopped, answer, f"The order is {order['state']}: {what}.", f"order {order['id']}")

    def _poisoned(self) -> None:
        self._title("A message that nobody can read becomes one case; everything else goes on.")
        place = put(self.doors.description["kafka"], "orders", b"poison", b"\xff not json", [("ce_type", b"?")])
        self._said("A stranger puts bytes on a topic.", place)
        rita = self.doors.key("reviewers", "rita")
        cases = self.doors.until("the case", lambda: self._cases_of(place, rita))
        self.doors.quiet()
        cases = self._cases_of(place, rita)
        shown = ("GET /v1/cases?code=message.unreadable", f"case {cases[0]['id']}")
        self._check(len(cases) == 1, "They are exactly one case.", *shown)
        letters = _of(read_all(self.doors.description["kafka"], ["dead-letters"]), MessageDeadLettered)
        services = sorted(each.event.service for each in letters)  # type: ignore[union-attr]
        self._said(f"Told by {', '.join(services)}.", _places(letters))

    # --- doors -------------------------------------------------------------------------------------------------------

    @property
    def _desk(self) -> str:
        return self.doors.key("service_desk")

    def _order(self, reference: str, partner: str = "liege-calls", **changes: Any) -> httpx.Response:  # noqa: ANN401
        sold_at: datetime = clock.now(self.clock_file) - SOLD_BEFORE
        body = {**ORDER, "partner_reference": reference, "sold_at": sold_at.isoformat(), **changes}
        key, headers = self.doors.key("partners", partner), {"Idempotency-Key": reference}
        return self.doors.call("intake", "POST", "/v1/orders", key=key, json=body, headers=headers)

    def _order_becomes(self, order_id: str, state: str, partner: str = "liege-calls") -> None:
        path, key = f"/v1/orders/{order_id}", self.doors.key("partners", partner)

        def there() -> httpx.Response | None:
            answer = self.doors.call("intake", "GET", path, key=key)
            return answer if answer.json()["state"] == state else None

        answer = self.doors.until(f"order {order_id} to be {state}", there)
        self._expect(answer.is_success, answer, f"The order is {state}.")

    def _found(self, service: str, path: str, key: str) -> httpx.Response | None:
        answer = self.doors.call(service, "GET", path, key=key, expect=(404,))
        return answer if answer.is_success else None

    def _in_state(self, path: str, key: str, state: str) -> httpx.Response | None:
        answer = self._found("review", path, key)
        return answer if answer is not None and answer.json()["state"] == state else None

    def _cases_of(self, place: str, key: str) -> list[dict[str, Any]]:
        """Return the cases that hold the message at a place."""
        path = "/v1/cases?code=message.unreadable"
        items = self.doors.call("review", "GET", path, key=key).json()["items"]
        cases = [self.doors.call("review", "GET", f"/v1/cases/{each['id']}", key=key).json() for each in items]
        return [each for each in cases if _message_place(each) == place]

    def _mail(self, containing: str) -> dict[str, Any]:
        found: dict[str, Any] = self.doors.until("the mail to Valérie", lambda: self._unanswered(containing))
        return found

    def _unanswered(self, containing: str) -> dict[str, Any] | None:
        """The newest mail to Valérie whose link can still be answered."""
        for mail in self.doors.mails("valerie@example.org"):
            links = [link for link in mail["links"] if "/confirm/" in link]
            if links and containing in mail["text"] and self.doors.client.get(links[0]).status_code == httpx.codes.OK:
                page = self.doors.client.get(links[0]).text
                if 'name="answer"' in page:
                    return mail
        return None

    def _answer(self, mail: dict[str, Any], answer: str) -> None:
        link = next(each for each in mail["links"] if "/confirm/" in each)
        answer_page = self.doors.client.get(link)
        prices = re.findall(r"-?\+?\d+[.,]\d\d", answer_page.text.partition("<main>")[2])
        shown = "  ".join(dict.fromkeys(prices))
        self._check(answer_page.is_success, f"Its page shows {shown}.", f"GET /confirm/… → {answer_page.status_code}")
        posted = self.doors.client.post(link, data={"answer": answer})
        self._check(posted.is_success, f"She answers {answer}.", f"POST /confirm/… → {posted.status_code}")

    # --- telling -----------------------------------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self._step += 1
        self.console.print(f"\n[bold]{self._step}. {escape(text)}[/bold]", soft_wrap=True, highlight=False)

    def _said(self, text: str, *proof: str) -> None:
        """Say what happened in words, and below it where that can be looked up."""
        self.console.print(f"   [green]✓[/green] {escape(text)}", soft_wrap=True, highlight=False)
        for each in proof:
            self.console.print(f"     [dim]{escape(each)}[/dim]", soft_wrap=True, highlight=False)

    def _check(self, holds: bool, text: str, *proof: str) -> None:  # noqa: FBT001 - what was found, and what is said of it
        if not holds:
            raise StoryBrokenError(" ".join(["the story breaks here:", text, *proof]))
        self._said(text, *proof)

    def _expect(self, holds: bool, answer: httpx.Response, text: str, *proof: str) -> None:  # noqa: FBT001 - the same
        self._check(holds, text, f"{_request(answer)} → {answer.status_code}", *proof)


def _request(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}"


def _money(amount: dict[str, Any], sign: str = "-") -> str:
    return f"{amount['amount'] / 100:{sign}.2f} {amount['currency']}"


def _of(records: list[Record], kind: type[Event]) -> list[Record]:
    return [each for each in records if isinstance(each.event, kind)]


def _names(record: Record, order_id: str) -> bool:
    told = isinstance(record.event, OrderEvent) and record.event.order.id == order_id
    return told or order_id.encode() in (record.value or b"")


def _places(records: list[Record]) -> str:
    return ", ".join(each.place for each in records) or "nowhere:"


def _message_place(case: dict[str, Any]) -> str | None:
    message = case.get("message") or {}
    return f"{message.get('topic')}/{message.get('partition')}/{message.get('offset')}" if message else None


async def rows_naming(url: str, text: str) -> list[str]:
    """Return the tables of a database that have a row in which a text stands anywhere."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in tables:
            statement = f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE $1'  # noqa: S608 - names from the catalogue
            if await connection.fetchval(statement, f"%{text}%"):
                found.append(table)
        return found
    finally:
        await connection.close()
