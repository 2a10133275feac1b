"""The gateway and the network simulator of the one-machine stack understand each other, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from contracts.subscription_v1 import Equipment, Subscription
from services.chassis.job import TryAgainError
from services.local import network
from services.local.ports import free_port
from services.provisioning import gateway
from services.provisioning.gateway import ChangeNetwork, Refused
from services.provisioning.rules import Reported
from services.provisioning.settings import settings
from tests.harness import eventually
from tests.provisioning.samples import trio

WANTED = trio(equipment=(Equipment(type="decoder", serial="D-1"), Equipment(type="modem")), numbers=())


@pytest_asyncio.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[network.Network]:
    """A network simulator of this test's own."""
    simulated, port = network.Network(), free_port()
    config = uvicorn.Config(network.make_app(simulated), host="127.0.0.1", port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    monkeypatch.setattr(settings, "network_url", f"http://127.0.0.1:{port}")
    yield simulated
    server.should_exit = True
    await task


def job(wanted: Subscription = WANTED, action: Any = "modify") -> ChangeNetwork:
    return ChangeNetwork(order_id="order-1", attempt=1, action=action, subscription=wanted)


async def test_the_network_reports_what_is_in_place_and_what_it_assigned(simulator: network.Network) -> None:
    reported = await gateway.change(job(), "job-1")
    assert isinstance(reported, Reported)
    assert (reported.id, reported.version, reported.services) == (WANTED.id, WANTED.version, WANTED.services)
    assert [each.type for each in reported.equipment] == ["decoder", "modem"]
    assert reported.equipment[0].serial == "D-1"
    assert reported.equipment[1].serial
    assert len(reported.numbers) == 1
    assert [each.action for each in simulator.effects.values()] == ["modify"]


async def test_the_same_job_again_is_the_same_request(simulator: network.Network) -> None:
    simulator.control(network.Control(mode="twice"))
    with pytest.raises(TryAgainError, match="503"):
        await gateway.change(job(), "job-1")
    first = simulator.service(WANTED.id)
    reported = await gateway.change(job(), "job-1")
    assert isinstance(reported, Reported)
    assert [each.serial for each in reported.equipment] == [each.serial for each in first.equipment]
    assert len(simulator.effects) == 1


async def test_a_version_that_is_there_already_is_refused(simulator: network.Network) -> None:
    await gateway.change(job(), "job-1")
    refused = await gateway.change(job(), "job-2")
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("version.older: ")
    assert len(simulator.effects) == 1


async def test_a_conflict_is_refused_with_its_reason(simulator: network.Network) -> None:
    simulator.control(network.Control(mode="conflict"))
    refused = await gateway.change(job(), "job-1")
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("network.conflict: The line of sub-1001 is reserved")


async def test_a_network_that_is_not_available_is_to_be_called_again(simulator: network.Network) -> None:
    simulator.control(network.Control(mode="fail"))
    with pytest.raises(TryAgainError, match="503"):
        await gateway.change(job(), "job-1")


async def test_a_network_that_is_too_slow_is_not_waited_for(
    simulator: network.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.control(network.Control(mode="slow", seconds=1))
    monkeypatch.setattr(settings, "network_timeout", 0.1)
    with pytest.raises(TryAgainError, match="does not answer"):
        await gateway.change(job(), "job-1")


async def test_a_deactivation_leaves_nothing(simulator: network.Network) -> None:
    reported = await gateway.change(job(WANTED.terminated(), "deactivate"), "job-1")
    assert reported == Reported(id=WANTED.id, version=1, services=(), equipment=(), numbers=())
    assert simulator.service(WANTED.id).state == "terminated"
