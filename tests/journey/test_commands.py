"""The command line against a running stack, as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.local.stack import Stack
from tests.journeys import Journey, euro

pytestmark = pytest.mark.timeout(120)


def asquoted(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.local", *words, "--stack", str(stack.file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env={"COLUMNS": "160"})


def test_the_audit_is_a_table_or_json_and_exits_with_0_where_all_is_well(stack: Stack, journey: Journey) -> None:
    journey.doors.quiet()
    told = asquoted(stack, "audit")
    assert (told.returncode, "0 violations" in told.stdout) == (0, True), told.stdout + told.stderr
    assert json.loads(asquoted(stack, "audit", "--json").stdout) == []


@pytest.mark.usefixtures("journey")
def test_consumers_are_listed_and_resumed(stack: Stack) -> None:
    states = json.loads(asquoted(stack, "consumers", "--json").stdout)
    assert states["billing"]["ready"] is True
    assert "notification" in asquoted(stack, "consumers").stdout
    assert "goes on" in asquoted(stack, "consumers", "resume", "billing").stdout
    assert asquoted(stack, "consumers", "resume", "accounts").returncode == 2


def test_events_of_one_order_are_printed_for_people_and_for_programs(stack: Stack, journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    journey.doors.quiet()
    words = ("events", "--no-follow", "--since", "1h", "--order", order["id"])
    assert "order.held.v1" in asquoted(stack, *words).stdout
    lines = [json.loads(each) for each in asquoted(stack, *words, "--json").stdout.splitlines()]
    assert "discrepancy.found.v1" in {each["type"] for each in lines}


@pytest.mark.usefixtures("journey")
def test_the_clock_is_shown_and_a_bad_duration_is_refused_in_one_line(stack: Stack) -> None:
    assert asquoted(stack, "clock", "show").stdout.startswith("2026-")
    refused = asquoted(stack, "clock", "advance", "soon")
    assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (1, 1)


@pytest.mark.usefixtures("journey")
def test_offers_are_published_or_refused_with_the_line_of_every_fault(stack: Stack, tmp_path: Path) -> None:
    offer = """offers:
  - code: FROM-FILE
    version: 1
    names: {fr: F, nl: F, de: F, en: F}
    monthly: {amount: 1000, currency: EUR}
    services: [{code: internet}]
    on_sale_from: 2026-11-20
    channels: [telesales]
"""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(offer)
    bad.write_text(offer.replace("1000", "ten").replace("[telesales]", "[telesales, fax]"))
    published = asquoted(stack, "offers", "publish", str(good))
    assert (published.returncode, "FROM-FILE v1" in published.stdout) == (0, True), published.stdout + published.stderr
    refused = asquoted(stack, "offers", "publish", str(bad))
    assert refused.returncode == 1
    assert "bad.yaml:5:" in refused.stderr.replace("\n", "")
    assert "bad.yaml:8:" in refused.stderr.replace("\n", "")
    assert asquoted(stack, "offers", "publish", str(tmp_path / "none.yaml")).returncode == 2


def test_no_stack_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.local", "audit", "--stack", str(tmp_path / "stack.json")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"COLUMNS": "300"})
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
