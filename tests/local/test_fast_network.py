"""The network simulator's fast mode, for benchmarks: what it answers is what the full one would."""

from typing import Any

import httpx
import pytest

from services.local.network import SERVICE_PATH
from tests.local.conftest import Serve


@pytest.fixture
def network(serve: Serve) -> httpx.Client:
    return serve("services.local.network", "--fast")


def change(network: httpx.Client, key: str = "job-1", version: int = 1, **further: object) -> httpx.Response:
    body: dict[str, Any] = {"id": "sub-1", "version": version, "action": "activate"}
    body |= {"services": [], "equipment": [], "numbers": [], **further}
    return network.post(SERVICE_PATH, json=body, headers={"Idempotency-Key": key})


def test_activates_and_invents_what_was_not_given(network: httpx.Client) -> None:
    answer = change(
        network,
        services=[{"code": "telephony", "level": {"minutes": 300}}],
        equipment=[{"type": "decoder", "serial": None}, {"type": "modem", "serial": "M-1"}],
    )
    assert answer.status_code == 201
    place = answer.json()
    assert (place["id"], place["version"], place["state"]) == ("sub-1", 1, "active")
    assert place["services"] == [{"code": "telephony", "level": {"minutes": 300}}]
    assert place["equipment"][0]["serial"].startswith("SN-")
    assert place["equipment"][1] == {"type": "modem", "serial": "M-1"}
    assert [number[:3] for number in place["numbers"]] == ["+32"]


def test_the_same_key_is_answered_the_same_and_nothing_is_done_twice(network: httpx.Client) -> None:
    first = change(network, equipment=[{"type": "modem", "serial": None}]).json()
    assert change(network, equipment=[{"type": "modem", "serial": None}]).json() == first
    calls = network.get("/calls").json()
    assert [(each["id"], each["version"], each["answer"]) for each in calls] == [("sub-1", 1, first)]


def test_an_older_version_is_refused(network: httpx.Client) -> None:
    change(network, version=2)
    answer = change(network, "job-2", version=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "version.older")
    assert len(network.get("/calls").json()) == 1


def test_deactivates(network: httpx.Client) -> None:
    change(network)
    answer = change(network, "job-2", 2, action="deactivate")
    assert (answer.status_code, answer.json()["state"]) == (200, "terminated")
