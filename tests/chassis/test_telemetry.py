"""Logs: JSON with the trace, the exception's types and places, and nothing that a customer or an agent typed."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from contracts.order_v1 import OrderConfirmed
from services.chassis import telemetry
from services.chassis.consuming import consumes
from services.chassis.transaction import Transaction
from tests.chassis.sample import NAME, confirmed, handlers, keep_thing, with_things
from tests.chassis.test_delivery import at_least
from tests.harness import Publish, RunService, Topics, eventually

PERSON = "Valérie D., valerie@example.org"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_a_handlers_exception_is_logged_without_its_words_and_locals(
    run_service: RunService, publish: Publish, read_topic: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    @consumes(OrderConfirmed)
    async def fail(_event: OrderConfirmed, _tx: Transaction) -> None:
        person = PERSON
        try:
            {}[person]  # type: ignore[index]
        except KeyError as error:
            raise RuntimeError(f"no mail to {person}") from error

    async with run_service(NAME, handlers(fail)):
        await publish(confirmed("o1"))
        await eventually(lambda: read_topic("dead-letters"))
    logged = lines(capsys)
    (failed,) = [line for line in logged if line["event"] == "handler.failed"]
    assert failed["subject"] == "o1"
    assert failed["exception"] == ["RuntimeError", "KeyError"]
    assert failed["where"][-1].endswith(" fail")
    assert "alerie" not in json.dumps(logged)


async def test_what_the_database_refuses_is_not_logged_or_told_with_its_values(
    run_service: RunService, publish: Publish, read_topic: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    async with with_things(run_service, keep_thing) as service:
        await publish(confirmed("o1", medium=PERSON))
        (letter,) = await eventually(lambda: read_topic.events("dead-letters"))
        assert "alerie" not in letter.reason
        with pytest.raises(DBAPIError) as refused:
            async with service.engine.begin() as connection:
                await connection.execute(text("SELECT CAST(:person AS integer) + nothing"), {"person": PERSON})
    assert "alerie" not in str(refused.value)
    assert "alerie" not in capsys.readouterr().out


def test_lines_carry_what_is_bound_around_them(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(trace_id="a" * 32):
        structlog.get_logger().info("something.happened", order_id="ord-1")
    (line,) = lines(capsys)
    assert (line["trace_id"], line["order_id"], line["level"]) == ("a" * 32, "ord-1", "info")


def test_lines_of_libraries_are_json_without_words_of_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure_logging("tests", "INFO")  # on the standard output of this test
    try:
        int(PERSON)
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    (line,) = lines(capsys)
    with capsys.disabled():
        telemetry.configure_logging("tests", "INFO")
        structlog.configure(cache_logger_on_first_use=False)
    assert line["event"] == "it failed"
    assert line["exception"] == ["ValueError"]
    assert "alerie" not in json.dumps(line)


async def test_counters_tell_what_was_consumed(run_service: RunService, publish: Publish, read_topic: Topics) -> None:
    consumed = telemetry.CONSUMED.labels(OrderConfirmed.type)
    before = consumed._value.get()
    async with with_things(run_service, keep_thing):
        await publish(confirmed("o1"), confirmed("o2"))
        await eventually(lambda: at_least(2, read_topic("subscriptions")))
    assert consumed._value.get() == before + 2
