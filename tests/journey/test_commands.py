"""The command line against a running stack, as an operator types it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from contracts.topics import SERVICES
from services.local import audit
from services.local.ports import free_port
from services.local.stack import Stack
from tests.journeys import Journey, euro

pytestmark = pytest.mark.timeout(120)

OFFER = """offers:
  - code: {code}
    version: 1
    names: {{fr: F, nl: F, de: F, en: F}}
    monthly: {{amount: {amount}, currency: EUR}}
    services: [{{code: internet}}]
    on_sale_from: 2026-11-20
    channels: [{channels}]
"""


def typed(*words: str, columns: int = 160) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.local", *words]
    env = {"COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=env)


def asquoted(stack: Stack, *words: str, columns: int = 160) -> subprocess.CompletedProcess[str]:
    return typed(*words, "--stack", str(stack.file), columns=columns)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "the customer was quoted is what the customer gets and pays"),
        ("up", "Run the whole system"),
        ("demo", "Tell the story step by step"),
        ("audit", "exit code 1 where something is broken"),
        ("consumers", "Show how far each service is"),
        ("consumers resume", "Let a consumer go on"),
        ("cases", "exit code is 1 where one is overdue"),
        ("events", "Print events in the order of their arrival"),
        ("clock show", "Show business time"),
        ("clock advance", "Move business time forward"),
        ("offers publish", "every fault is named with its line"),
        ("orders submit", "nothing is ordered twice"),
    ],
)
def test_help_says_what_each_command_does(words: str, says: str) -> None:
    told = typed(*words.split(), "--help")
    assert (told.returncode, says in told.stdout) == (0, True), told.stdout


def test_the_audit_is_a_table_or_json_and_exits_with_0_where_all_is_well(stack: Stack, journey: Journey) -> None:
    journey.doors.quiet()
    told = asquoted(stack, "audit")
    assert (told.returncode, "0 violations" in told.stdout) == (0, True), told.stdout + told.stderr
    assert all(check in told.stdout for check in audit.CHECKS)
    asked = asquoted(stack, "audit", "--json")
    assert (asked.returncode, json.loads(asked.stdout)) == (0, [])


@pytest.mark.usefixtures("journey")
def test_consumers_ends_with_1_where_a_service_is_away(stack: Stack) -> None:
    assert asquoted(stack, "consumers").returncode == 0
    stack.supervisor.pause_restart("billing")
    try:
        stack.supervisor.kill("billing")
        for words in (("consumers",), ("consumers", "--json")):
            gone = asquoted(stack, *words)
            assert (gone.returncode, "billing" in gone.stdout) == (1, True)
    finally:
        stack.supervisor.resume_restart("billing")
        stack.supervisor.wait_ready(["billing"])


def test_consumers_are_listed_for_people_and_for_programs(stack: Stack) -> None:
    states = json.loads(asquoted(stack, "consumers", "--json").stdout)
    assert (set(states), states["billing"]["ready"]) == (set(SERVICES), True)
    lines = asquoted(stack, "consumers").stdout.splitlines()
    assert all(any(service in line and "ready" in line for line in lines) for service in SERVICES), lines


@pytest.mark.usefixtures("journey")
def billing_is_stopped(stack: Stack) -> None:
    """As if too many of its messages had failed within a minute."""
    statement = "INSERT INTO consumer_state VALUES (1, true, NULL) ON CONFLICT (id) DO UPDATE SET stopped = true"

    async def stop() -> None:
        connection = await asyncpg.connect(stack.description["services"]["billing"]["database"])
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(stop())


def test_a_consumer_is_resumed_by_the_name_of_its_service(stack: Stack) -> None:
    assert asquoted(stack, "consumers", "resume", "billing").stdout == "billing was not stopped\n"
    billing_is_stopped(stack)
    resumed = asquoted(stack, "consumers", "resume", "billing")
    assert (resumed.returncode, resumed.stdout) == (0, "billing goes on\n")
    assert asquoted(stack, "consumers", "resume", "billing").returncode == 0
    refused = asquoted(stack, "consumers", "resume", "accounts")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"asquoted: there is no service accounts; there are {', '.join(SERVICES)}\n"
    assert asquoted(stack, "consumers", "restart", "billing").returncode == 2


def test_events_of_one_order_are_one_line_each_for_people_and_for_programs(stack: Stack, journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    words = ("events", "--no-follow", "--since", "1h", "--order", order["id"])
    named = journey.events(order["id"])
    expected = sorted(f"{each}.v1" for types in named.values() for each in types)
    read = [json.loads(each) for each in asquoted(stack, *words, "--json").stdout.splitlines()]
    assert sorted(each["type"] for each in read) == expected
    held = next(each for each in read if each["type"] == "order.held.v1")
    assert (held["topic"], held["subject"], held["key"]) == ("orders", order["id"], line.subscription_id)
    assert held["value"]["order"]["id"] == order["id"]
    shown = asquoted(stack, *words, columns=40).stdout.splitlines()  # a narrow window folds nothing
    assert len(shown) == len(expected)
    told = next(each for each in shown if "order.held.v1" in each)
    assert order["id"] in told
    assert "modify TRIO-MAX liege-calls/agent-17  price.change" in told


def test_events_of_one_topic_are_shown_and_an_unknown_topic_is_refused(stack: Stack, journey: Journey) -> None:
    journey.doors.quiet()
    shown = asquoted(stack, "events", "--no-follow", "--since", "1h", "--topic", "offers").stdout
    assert "offer.published.v1               TRIO-MAX " in shown
    assert "v2 81.00 EUR a month  offers/" in shown
    assert "subscription.changed" not in shown
    refused = asquoted(stack, "events", "--topic", "order")
    assert (refused.returncode, "there is no topic order; there are offers, " in refused.stderr) == (2, True)


def test_the_clock_is_shown_and_moved(stack: Stack, journey: Journey) -> None:
    before = asquoted(stack, "clock", "show").stdout
    assert before[:13] == f"{journey.now():%Y-%m-%dT%H}"
    moved = asquoted(stack, "clock", "advance", "1h")
    assert (moved.returncode, moved.stdout.startswith("business time is now 2026-")) == (0, True), moved.stderr
    assert asquoted(stack, "clock", "show").stdout[:13] > before[:13]


@pytest.mark.parametrize("duration", ["soon", "1", "-1h", "1h soon", ""])
@pytest.mark.usefixtures("journey")
def test_a_bad_duration_is_refused_in_one_line(stack: Stack, duration: str) -> None:
    # `--` lets the duration begin with a dash, and then no option can follow it.
    refused = typed("clock", "advance", "--stack", str(stack.file), "--", duration)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"asquoted: {duration!r} is no duration; write for example 14d, 90m or 1h30m\n"


def test_events_are_filtered_by_their_type_and_by_what_they_name(stack: Stack, journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    journey.doors.quiet()
    words = ("events", "--no-follow", "--since", "1h", "--json", "--about", line.subscription_id)
    types = [
        json.loads(each)["type"]
        for each in asquoted(stack, *words, "--type", "order.held", "--type", "case.opened.v1").stdout.splitlines()
    ]
    assert sorted(types) == ["case.opened.v1", "order.held.v1"]
    assert asquoted(stack, *words, "--about", "nobody at all").stdout == ""
    named = asquoted(stack, *words, "--about", order["id"], "--type", "order.held").stdout.splitlines()
    assert [json.loads(each)["subject"] for each in named] == [order["id"]]
    refused = asquoted(stack, "events", "--type", "order.hold")
    assert (refused.returncode, "there is no type order.hold; there are " in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("o", ["offers", "orders"]),
        ("orders ", ["submit"]),
        ("events --topic c", ["customers", "commissions", "cases"]),
        ("events --type order.h", ["order.held"]),
        ("consumers resume b", ["billing"]),
    ],
)
def test_a_shell_completes_commands_topics_types_and_services(begun: str, completed: list[str]) -> None:
    words = f"asquoted {begun}"
    env = {"_ASQUOTED_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = str(Path(sys.executable).with_name("asquoted"))
    told = subprocess.run([command], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert sorted(told.stdout.split()) == sorted(completed), told.stderr


@pytest.mark.usefixtures("journey")
def test_tables_fit_in_80_columns(stack: Stack) -> None:
    for words in (("consumers",), ("audit",)):
        told = asquoted(stack, *words, columns=80).stdout.splitlines()
        assert max(map(len, told)) <= 80, told
    shown = asquoted(stack, "consumers", columns=80).stdout
    assert "…" not in shown
    assert all(each in shown for each in SERVICES)


def test_cases_are_listed_until_they_are_decided_and_what_is_overdue_is_named(stack: Stack, journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    held = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    journey.case(held["case_id"])
    told = asquoted(stack, "cases", columns=80)
    for each in (held["id"], held["case_id"], "price.change"):
        assert each in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80, told.stdout
    assert asquoted(stack, "cases", "--overdue").stdout == "no case is overdue\n"
    assert held["id"] not in asquoted(stack, "cases", "--overdue", "--json").stdout

    journey.advance("3d")
    late = asquoted(stack, "cases", "--overdue", "--json")
    assert late.returncode == 1
    assert [each["overdue"] for each in json.loads(late.stdout) if each["order_id"] == held["id"]] == [True]

    journey.decide(held["case_id"], "reject")
    journey.case_becomes(held["case_id"], "applied")
    assert held["id"] not in asquoted(stack, "cases", "--json").stdout


@pytest.mark.usefixtures("journey")
def test_offers_are_published_once(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(OFFER.format(code="FROM-FILE", amount=1000, channels="telesales"))
    published = asquoted(stack, "offers", "publish", str(file))
    assert (published.returncode, published.stdout) == (0, "published FROM-FILE v1\n"), published.stderr
    again = asquoted(stack, "offers", "publish", str(file))
    assert (again.returncode, again.stdout) == (0, "was published already FROM-FILE v1\n"), again.stderr
    told = json.loads(asquoted(stack, "offers", "publish", str(file), "--json").stdout)
    assert told == {"published": [], "already_published": [{"code": "FROM-FILE", "version": 1}]}


@pytest.mark.usefixtures("journey")
def test_offers_are_refused_with_the_line_of_every_fault(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(OFFER.format(code="BAD", amount="ten", channels="telesales, fax"))
    refused = asquoted(stack, "offers", "publish", str(file), columns=40)
    told = refused.stderr.splitlines()
    assert (refused.returncode, refused.stdout, told[-1]) == (1, "", "2 faults; nothing was published")
    assert told[0].startswith(f"{file}:5: ")
    assert told[0].endswith(" at /offers/0/monthly/amount)")
    assert told[1].startswith(f"{file}:8: ")
    asked = asquoted(stack, "offers", "publish", str(file), "--json")
    assert (asked.returncode, [each["line"] for each in json.loads(asked.stdout)["errors"]]) == (1, [5, 8])
    file.write_text("offers: [")
    assert asquoted(stack, "offers", "publish", str(file)).stderr.startswith(f"{file}:1: ")


@pytest.mark.usefixtures("journey")
def test_a_file_that_is_not_there_is_said_in_one_line(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    missing = asquoted(stack, "offers", "publish", str(file))
    assert (missing.returncode, missing.stderr) == (2, f"asquoted: {file}: No such file or directory\n")


@pytest.mark.parametrize("words", ["audit", "consumers", "consumers resume billing", "events", "clock show"])
def test_no_stack_is_said_in_one_line(words: str, tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    told = typed(*words.split(), "--stack", str(file), columns=40)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert told.stderr.startswith(f"asquoted: {file} is not there: start a stack with `asquoted up`")


def test_a_file_that_describes_no_stack_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_text("{")
    told = typed("audit", "--stack", str(file))
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert told.stderr.startswith(f"asquoted: {file} is not what `asquoted up` writes: ")


@pytest.mark.parametrize(
    "words",
    [
        ("audit",),
        ("consumers",),
        ("consumers", "resume", "billing"),
        ("events", "--no-follow"),
        ("clock", "advance", "1h"),
    ],
)
def test_a_stack_that_runs_no_more_is_said_in_one_line_and_not_waited_for(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    away = f"127.0.0.1:{free_port()}"
    file = tmp_path / "stack.json"
    described = {"url": f"http://{away}", "database": ""}
    file.write_text(json.dumps({"kafka": away, "services": {"billing": described}, "keys": {"operator": "k"}}))
    told = typed(*words, "--stack", str(file))
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert told.stderr.startswith(f"asquoted: the stack of {file} does not run any more")
