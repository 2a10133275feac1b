"""Orders in bulk: a file is sent, interrupted, repeated, and each of its lines is one order."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.local.stack import Stack
from tests.journeys import Journey, started

pytestmark = pytest.mark.timeout(400)

MANY = 2000


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: so many orders would slow every other journey's audit."""
    with started() as stack:
        yield stack


def command(stack: Stack, file: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "services.local", "orders", "submit", str(file), "--stack", str(stack.file), *words]


def submitted(stack: Stack, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    typed = command(stack, file, *words)
    return subprocess.run(typed, capture_output=True, text=True, timeout=240, check=False, env={"COLUMNS": "80"})


def interrupted(stack: Stack, file: Path, at: int, by: signal.Signals) -> int:
    """Send a file until so many lines are answered, then end it; its exit code."""
    with subprocess.Popen(command(stack, file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(results(file)) < at and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, by)
        return process.wait(30)


def results(file: Path) -> list[str]:
    beside = file.with_suffix(f".result{file.suffix}")
    return beside.read_text("utf-8").splitlines() if beside.exists() else []


def orders_named(journey: Journey, prefix: str) -> dict[str, str]:
    """The orders whose reference begins so, by their ids, from the partner door's own pages."""
    found: dict[str, str] = {}
    after = None
    key = journey.doors.key("partners", "liege-calls")
    while True:
        query = {"limit": 500} | ({"after": after} if after else {})
        page = journey.doors.call("intake", "GET", "/v1/orders", key=key, params=query).json()
        found |= {each["id"]: each["partner_reference"] for each in page["items"]}
        after = page["next"]
        if after is None:
            return {name: reference for name, reference in found.items() if reference.startswith(prefix)}


def unknown_subscription(journey: Journey, reference: str, **more: Any) -> dict[str, Any]:
    """An order that is held at once: it makes no work beyond its case."""
    number = reference.rpartition("-")[2]
    body = {"subscription_id": f"sub-of-{reference}", "customer": {"id": f"cust-of-{number}"}, **more}
    return journey.new_customer_body() | {
        "partner_reference": reference,
        "action": "modify",
        "offer": "TRIO-MAX",
        "quote": {"monthly_total": {"amount": 8100, "currency": "EUR"}},
        **body,
    }


def test_two_thousand_lines_killed_midway_and_repeated_are_two_thousand_orders(
    stack: Stack, journey: Journey, tmp_path: Path
) -> None:
    file = tmp_path / "many.ndjson"
    references = [f"MANY-{number}" for number in range(MANY)]
    file.write_text("".join(json.dumps(unknown_subscription(journey, each)) + "\n" for each in references))

    assert interrupted(stack, file, MANY // 4, signal.SIGKILL) == -signal.SIGKILL
    before = [json.loads(each)["order_id"] for each in results(file)[:-1]]  # the last may have been cut
    assert MANY // 4 - 1 <= len(before) < MANY
    repeated = submitted(stack, file)
    assert (repeated.returncode, "held 2,000 orders\n" in repeated.stdout) == (0, True), repeated.stderr

    orders = orders_named(journey, "MANY-")
    assert sorted(orders.values()) == sorted(references)
    told = [json.loads(each) for each in results(file)]
    assert [(each["line"], each["partner_reference"]) for each in told] == [*enumerate(references, 1)]
    assert {each["order_id"]: each["partner_reference"] for each in told} == orders
    assert set(before) <= set(orders)
    journey.doors.quiet(seconds=200)


def test_what_was_ended_by_ctrl_c_is_told_and_goes_on(stack: Stack, journey: Journey, tmp_path: Path) -> None:
    file = tmp_path / "ended.ndjson"
    references = [f"ENDED-{number}" for number in range(500)]
    file.write_text("".join(json.dumps(unknown_subscription(journey, each)) + "\n" for each in references))
    assert interrupted(stack, file, 20, signal.SIGINT) == 1
    assert 20 <= len(results(file)) < 500
    assert submitted(stack, file).returncode == 0
    file.with_suffix(".result.ndjson").unlink()  # without it all is sent again, and nothing is ordered twice
    assert submitted(stack, file).returncode == 0
    assert sorted(orders_named(journey, "ENDED-").values()) == sorted(references)


def test_a_table_of_orders_tells_line_by_line_what_became_of_each(
    stack: Stack, journey: Journey, tmp_path: Path
) -> None:
    line, file = journey.customer_with("TRIO", 2), tmp_path / "orders.csv"
    sold_at = journey.body(line)["sold_at"]
    head = "partner_reference;agent;channel;sold_at;language;action;subscription_id;offer;customer.id"
    rows = [
        f"{head};quote.monthly_total.amount;quote.monthly_total.currency",
        f"TABLE-1;agent-17;telesales;{sold_at};fr;modify;{line.subscription_id};TRIO-MAX;{line.customer['id']};7500;EUR",
        f"TABLE-2;agent-17;fax;;fr;modify;{line.subscription_id};TRIO-MAX;{line.customer['id']};81.00;EUR",
        'TABLE-3;"',
    ]
    file.write_text("\r\n".join(rows))
    told = submitted(stack, file, "--partner", "liege-calls")
    assert (told.returncode, told.stdout.splitlines()[:2]) == (1, ["held 1 order", "refused 2 lines"]), told.stderr
    named = told.stderr.splitlines()
    assert [each.partition(": ")[0] for each in named] == [f"{file}:3"] * 3 + [f"{file}:4"]
    assert [each.rpartition("(")[2] for each in named[:3]] == [
        "enum at /channel)",
        "missing at /sold_at)",
        "int_type at /quote/monthly_total/amount)",
    ]
    held, refused, broken = csv.DictReader(results(file), delimiter=";")
    (order_id,) = orders_named(journey, "TABLE-")
    assert (held["line"], held["order_id"], held["state"]) == ("2", order_id, "held")
    assert held["faults"].startswith("expected 81.00 EUR, given 75.00 EUR (price.monthly at ")
    assert (refused["line"], refused["order_id"], refused["faults"].count(" | ")) == ("3", "", 2)
    assert (broken["line"], broken["state"], "csv.invalid" in broken["faults"]) == ("4", "", True)


@pytest.mark.usefixtures("journey")
def test_a_partner_without_a_key_and_a_file_that_is_none_are_said_in_one_line(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson"
    missing = submitted(stack, file)
    assert (missing.returncode, missing.stderr) == (2, f"asquoted: {file}: No such file or directory\n")
    file.write_text("{}\n")
    unknown = submitted(stack, file, "--partner", "nobody")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "asquoted: there is no key of partner nobody; there are liege-calls, gent-calls\n",
    )
    asked = submitted(stack, file, "--json")
    assert (asked.returncode, json.loads(asked.stdout)["refused"]) == (1, [1])
