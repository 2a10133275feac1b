"""What the doors say of themselves: every answer of the partner door has an example, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from services.chassis import rate
from services.chassis.faults import LANGUAGES, translated
from services.chassis.http import Problem
from services.intake import api
from services.intake.api import examples, orders
from services.intake.api.body import OrderForm, read_order
from services.intake.settings import settings
from tests.harness import door
from tests.intake.shop import LIEGE, Shop

DOORS = Path(api.__file__).parent
BESIDE = {"confirmations.py", "files.py"}  # the customer's page and the operator's doors


def documented() -> dict[tuple[str, str], dict[str, Any]]:
    """The partner door's operations by path and method."""
    app = FastAPI()
    for router in api.routers:
        app.include_router(router)
    paths = app.openapi()["paths"]
    return {
        (path, method): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation["tags"] in (["orders"], ["evidence"])
    }


def test_the_partner_door_is_the_one_that_partners_build_on() -> None:
    assert sorted(documented()) == [
        ("/v1/evidence/{sha256}", "put"),
        ("/v1/offers", "get"),
        ("/v1/order-checks", "post"),
        ("/v1/orders", "get"),
        ("/v1/orders", "post"),
        ("/v1/orders/{order_id}", "get"),
        ("/v1/orders/{order_id}/answers", "post"),
        ("/v1/orders/{order_id}/cancellation", "post"),
    ]


@pytest.mark.parametrize("place", sorted(documented()))
def test_every_answer_has_an_example(place: tuple[str, str]) -> None:
    for status, answer in documented()[place]["responses"].items():
        for content in answer["content"].values():
            shown = [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
            assert shown, (place, status)
            assert all(each["status"] == int(status) for each in shown if "trace_id" in each)


def test_every_refusal_of_the_doors_is_among_the_examples() -> None:
    refused = re.compile(r'Problem\(\s*(\d+),\s*"([a-z.-]+)"')
    sources = [path.read_text() for path in DOORS.glob("*.py") if path.name not in BESIDE]
    raised = {(code, int(status)) for source in sources for status, code in refused.findall(source)}
    shown = {
        (code, int(status))
        for operation in documented().values()
        for status, answer in operation["responses"].items()
        for code in answer["content"].get("application/problem+json", {}).get("examples", {})
    }
    assert raised <= shown
    assert {code for code, _ in shown} == set(examples.PROBLEMS)


async def test_the_examples_are_what_the_doors_answer(shop: Shop) -> None:
    line = await shop.line()
    quote = {"monthly_change": {"amount": 500, "currency": "EUR"}}
    body = shop.body(line, channel="telesales", quote=quote)
    async with shop.at() as client:
        checked = (await client.post("/v1/order-checks", json=body)).json()
        offers = (await client.get("/v1/offers", params={"channel": "telesales"})).json()
    held = await shop.order(body)
    assert checked.keys() == examples.CHECKED.keys() == examples.CHECKED_BLIND.keys()
    assert checked["not_shown"] == list(examples.CHECKED_BLIND["not_shown"])
    assert held.keys() == examples.HELD.keys()
    assert held["price"].keys() == examples.PRICE.keys()
    assert offers["items"][0].keys() == examples.OFFERS["items"][0].keys()
    assert [each.keys() for each in held["discrepancies"]] == [examples.FOUND.keys()] * len(held["discrepancies"])


def test_the_example_of_an_order_is_one() -> None:
    OrderForm.model_validate(examples.ORDERED, strict=False)


# --- faults, in the language of who reads them ----------------------------------------------------------------------

BAD: list[Any] = [1, 1.5, True, "", "x" * 3000, "\x00", [], ["x"] * 101, {}, {"a": 1}, None, "2026-11-20T13:57:00"]


def faults() -> set[tuple[str, str]]:
    """The codes of whatever can be wrong with an order, each with pydantic's own words."""
    found: set[tuple[str, str]] = set()

    def tried(body: dict[str, Any]) -> None:
        try:
            OrderForm.model_validate(body)
        except ValidationError as error:
            found.update((each["type"], each["msg"]) for each in error.errors())

    for name, value in examples.ORDERED.items():
        for bad in BAD:
            tried({**examples.ORDERED, name: bad})
            if isinstance(value, dict):
                for inner in value:
                    tried({**examples.ORDERED, name: {**value, inner: bad}})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_of_an_order_is_said_in_the_readers_language(language: str) -> None:
    found = faults()
    assert len({code for code, _ in found}) > 8
    untranslated = {code for code, words in found if translated("", code, words, language)["detail"] == words}
    assert untranslated == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_does_not_fit_together_is_said_in_the_readers_language(language: str) -> None:
    body = b'{"action": "reverse", "quote": {}, "customer": {}}'
    with pytest.raises(ValueError, match="faults") as refused:
        read_order(body, language)
    details = {each["code"]: each["detail"] for each in refused.value.faults}  # type: ignore[attr-defined]
    assert "action.not-available" in details
    assert all(detail != code for code, detail in details.items())


# --- how often, and how much ----------------------------------------------------------------------------------------


async def test_who_comes_too_often_is_told_when_to_come_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "requests_per_second", 1)
    monkeypatch.setattr(orders, "RATE", rate.Rate())
    monkeypatch.setattr(rate, "time", Standing())
    async with shop.at() as client:
        answers = [await client.get("/v1/orders") for _ in range(3)]
        answers.append(await client.post("/v1/orders", json={}, headers={"Idempotency-Key": "k"}))
        answers.append(await client.post("/v1/order-checks", json={}))
    assert [each.status_code for each in answers] == [200, 200, 429, 429, 429]
    refused = answers[2]
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("requests.too-many", "1")
    async with shop.at(LIEGE) as another:
        assert (await another.get("/v1/orders")).status_code == 200


class Standing:
    """A clock that stands."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_who_waits_as_long_as_was_said_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, door_ = Standing(), rate.Rate()
    monkeypatch.setattr(rate, "time", clock)
    for _ in range(20):
        door_.take("liege-calls", 10)
    with pytest.raises(Problem) as refused:
        door_.take("liege-calls", 10)
    clock.at += float((refused.value.headers or {})["Retry-After"])
    for _ in range(10):
        door_.take("liege-calls", 10)
    with pytest.raises(Problem):
        door_.take("liege-calls", 10)
    for _ in range(100):
        door_.take("liege-calls", 0)


async def test_nobody_without_a_key_gets_in(shop: Shop) -> None:
    async with door(shop.service) as nobody:
        for path, method in documented():
            answer = await nobody.request(method, path.replace("{order_id}", "1").replace("{sha256}", "ab" * 32))
            assert answer.status_code == 401, path
