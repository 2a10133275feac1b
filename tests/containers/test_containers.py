"""What runs in production: our images, beside the real Kafka's and PostgreSQL's, and containers that come and go."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from testcontainers.core.container import DockerContainer

from contracts.topics import SERVICES, TOPICS
from services.local.doors import Doors
from services.local.ports import free_ports
from tests.containers.fleet import ROOT, TAG, Fleet, address, image
from tests.evening import evening
from tests.harness import eventually
from tests.journeys import Journey, euro, violations

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

ORDERS = 40
AT_ONCE = 12
LOOK_INSIDE = """
import importlib.metadata, json, os, pathlib
files = [path for top in ("/app", "/opt/asquoted", "/run/asquoted") for path in pathlib.Path(top).rglob("*")]
print(json.dumps({
    "rooms": sorted(path.name for path in pathlib.Path("/app/services").iterdir() if path.name != "__pycache__"),
    "top": sorted(path.name for path in pathlib.Path("/app").iterdir() if path.name != "__pycache__"),
    "packages": sorted(each.name.lower().replace("_", "-") for each in importlib.metadata.distributions()),
    "user": os.getuid(),
    "writable": [str(path) for path in files if os.access(path, os.W_OK) and not path.is_symlink()],
}))
"""


@pytest.fixture
def doors(fleet: Fleet) -> Iterator[Doors]:
    """The doors of the fleet; what went through them is audited afterwards."""
    with Doors(fleet.description) as doors:
        yield doors
        assert violations(doors) == []


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("service", SERVICES)
def test_the_image_of_a_service_holds_its_own_code_and_libraries_and_nothing_it_could_change(service: str) -> None:
    run = ["docker", "run", "--rm", "--network=none", image(service), "python", "-c", LOOK_INSIDE]
    inside = json.loads(subprocess.run(run, check=True, capture_output=True, text=True, timeout=60).stdout)
    lock = (ROOT / f"deploy/locks/{service}.txt").read_text(encoding="utf-8")
    assert inside["rooms"] == sorted(["__init__.py", "chassis", service])
    assert inside["top"] == ["contracts", "services"]
    assert set(inside["packages"]) <= set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert inside["user"] != 0
    assert inside["writable"] == []


def test_an_order_goes_all_the_way_and_a_wrong_quote_is_held(fleet: Fleet, doors: Doors) -> None:
    journey = Journey(doors, fleet.clock_file)
    line = journey.customer_with("TRIO", 2)
    held = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    assert [(each["code"], each["expected"], each["given"]) for each in held["discrepancies"]] == [
        ("price.change", euro(1100), euro(500))
    ]
    journey.decide(held["case_id"], "reject")
    journey.becomes(held["id"], "rejected")

    other = journey.customer_with("TRIO", 2)  # the first one was told two prices by now
    order = journey.order(journey.body(other))
    journey.answer(journey.link(other), "yes")
    journey.becomes(order["id"], "completed")
    assert journey.charged(other.subscription_id) == 8100


def partitions(container: DockerContainer) -> int:
    """How many partitions a container reads."""
    state = httpx.get(f"http://{address(container)}/readyz", timeout=10).json()
    return int(state["consumer"]["partitions"])


def carried_out(fleet: Fleet) -> int:
    """How many changes the network was asked for."""
    return len(httpx.get(f"{fleet.description['network']['url']}/calls", timeout=10).json())


def test_two_containers_of_provisioning_share_the_work_and_nothing_is_lost_or_doubled_when_one_is_killed(
    fleet: Fleet, doors: Doors
) -> None:
    first, second = fleet.running["provisioning"][0], fleet.begin("provisioning")
    fleet.lead_to("provisioning", second)
    killed = asyncio.Event()

    async def kill_one_midway() -> None:
        whole = sum(topic.partitions for topic in TOPICS if "provisioning" in topic.consumers)
        await eventually(lambda: min(partitions(first), partitions(second)) > 0, timeout=60)
        await eventually(lambda: partitions(first) + partitions(second) == whole, timeout=60)
        before = carried_out(fleet)
        await eventually(lambda: carried_out(fleet) >= before + ORDERS // 4, timeout=240)
        fleet.kill("provisioning", first)
        killed.set()

    told = asyncio.run(
        evening(doors, fleet.clock_file, ORDERS, kill_one_midway, killed.is_set, at_once=AT_ONCE, begin=10_000)
    )
    assert set(told.states) == {"completed"}
    assert told.states["completed"] >= ORDERS


def test_every_service_is_replaced_under_load_and_nobody_notices_but_for_a_retry(fleet: Fleet, doors: Doors) -> None:
    codes: dict[str, int] = {}

    async def replace_all() -> None:
        for service in SERVICES:
            codes[service] = await asyncio.to_thread(fleet.replace, service)

    told = asyncio.run(
        evening(doors, fleet.clock_file, ORDERS, replace_all, lambda: len(codes) == len(SERVICES), at_once=AT_ONCE)
    )
    assert codes == dict.fromkeys(SERVICES, 0)
    assert set(told.states) == {"completed"}


Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compose(images: None) -> Iterator[Compose]:  # noqa: ARG001 - they are run
    """Run `docker compose` on a project of its own, on free ports; everything of it is removed afterwards."""
    names = [f"{name.upper()}_PORT" for name in (*SERVICES, "mail")]
    ports = {name: str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    project = ["docker", "compose", "--project-name", f"asquoted-{uuid.uuid4().hex[:8]}"]

    def run(*arguments: str) -> Any:
        env = {**os.environ, **ports, "TAG": TAG}
        argv = [*project, *arguments]
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)

    yield run
    run("down", "--volumes", "--timeout", "5")


def test_compose_up_ends_healthy_and_the_demo_tells_its_story_on_it(compose: Compose) -> None:
    up = compose("up", "--wait")
    assert up.returncode == 0, up.stderr[-2000:] + compose("logs", "--tail=20").stdout[-6000:]
    told = compose("run", "--rm", "--no-TTY", "demo")
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert "0 violations" in told.stdout
    again = compose("run", "--rm", "--no-TTY", "demo")
    assert (again.returncode, "has heard the story already" in again.stderr) == (2, True)
