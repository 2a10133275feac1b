"""The network simulator: the same request changes nothing twice, an older version nothing at all."""

from typing import Any

import httpx
import pytest

from services.local.network import SERVICE_PATH
from tests.local.conftest import Serve


@pytest.fixture
def network(serve: Serve) -> httpx.Client:
    return serve("services.local.network")


def change(network: httpx.Client, key: str = "job-1", version: int = 1, **further: object) -> httpx.Response:
    body: dict[str, Any] = {"id": "sub-1", "version": version, "action": "activate", **further}
    return network.post(SERVICE_PATH, json=body, headers={"Idempotency-Key": key})


def control(network: httpx.Client, mode: str, **further: object) -> None:
    network.post("/control", json={"subscription_id": "sub-1", "mode": mode, **further}).raise_for_status()


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


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
    decoder, modem = place["equipment"]
    assert decoder["type"] == "decoder"
    assert decoder["serial"].startswith("SN-")
    assert modem == {"type": "modem", "serial": "M-1"}
    assert [number[:3] for number in place["numbers"]] == ["+32"]
    assert network.get(f"{SERVICE_PATH}/sub-1").json() == place


def test_the_numbers_that_were_given_stay(network: httpx.Client) -> None:
    services = [{"code": "telephony", "level": {}}]
    assert change(network, services=services, numbers=["+3287123456"]).json()["numbers"] == ["+3287123456"]


def test_deactivates(network: httpx.Client) -> None:
    change(network)
    answer = change(network, "job-2", 2, action="deactivate")
    assert (answer.status_code, answer.json()["state"]) == (200, "terminated")


def test_the_same_key_is_answered_the_same_and_nothing_is_done_twice(network: httpx.Client) -> None:
    first = change(network, equipment=[{"type": "decoder"}])
    assert change(network, equipment=[{"type": "decoder"}]).json() == first.json()
    [call] = network.get("/calls").json()
    assert (call["id"], call["version"], call["action"]) == ("sub-1", 1, "activate")
    assert (call["idempotency_key"], call["times_received"]) == ("job-1", 2)


def test_refuses_a_request_without_a_key(network: httpx.Client) -> None:
    answer = network.post(SERVICE_PATH, json={"id": "sub-1", "version": 1, "action": "activate"})
    assert problem(answer) == (400, "idempotency-key.missing")


@pytest.mark.parametrize("version", [1, 2])
def test_refuses_a_version_that_is_not_newer(network: httpx.Client, version: int) -> None:
    change(network, version=2)
    assert problem(change(network, "job-2", version)) == (409, "version.older")
    assert len(network.get("/calls").json()) == 1


def test_knows_only_what_it_was_told(network: httpx.Client) -> None:
    assert problem(network.get(f"{SERVICE_PATH}/sub-9")) == (404, "service.unknown")


@pytest.mark.parametrize(
    ("mode", "said"), [("fail", (503, "network.unavailable")), ("conflict", (409, "network.conflict"))]
)
def test_misbehaves_so_many_times_and_does_nothing(network: httpx.Client, mode: str, said: tuple[int, str]) -> None:
    control(network, mode, times=2)
    assert [problem(change(network)), problem(change(network))] == [said, said]
    assert network.get("/calls").json() == []
    assert change(network).status_code == 201


def test_misbehaves_towards_one_subscription_only(network: httpx.Client) -> None:
    control(network, "fail")
    assert change(network, "job-2", id="sub-2").status_code == 201
    network.post("/control", json={"subscription_id": "*", "mode": "fail"})
    assert change(network, "job-3", id="sub-3").status_code == 503
    control(network, "ok")
    assert change(network).status_code == 201


def test_is_slow(network: httpx.Client) -> None:
    control(network, "slow", seconds=0.3)
    assert change(network).elapsed.total_seconds() >= 0.3


def test_breaks_off_after_it_has_done_it_and_the_retry_gets_the_answer(network: httpx.Client) -> None:
    control(network, "twice")
    assert problem(change(network)) == (503, "network.broken-off")
    assert change(network).status_code == 201
    assert [call["times_received"] for call in network.get("/calls").json()] == [2]


def test_does_only_a_part_and_says_so(network: httpx.Client) -> None:
    services: list[dict[str, Any]] = [{"code": code, "level": {}} for code in ("internet", "tv")]
    control(network, "partial", times=1)
    assert [each["code"] for each in change(network, services=services).json()["services"]] == ["internet"]
    assert network.get(f"{SERVICE_PATH}/sub-1").json()["services"] == services[:1]
    assert change(network, "job-2", 2, services=services).json()["services"] == services


def test_forgets_nothing_over_a_restart(serve: Serve) -> None:
    network = serve("services.local.network")
    first = change(network, version=3, equipment=[{"type": "decoder"}])
    change(network, version=3)
    calls = network.get("/calls").json()
    again = serve("services.local.network")
    assert again.get("/calls").json() == calls
    assert problem(change(again, "job-2", 3)) == (409, "version.older")
    assert change(again, version=3).json() == first.json()
