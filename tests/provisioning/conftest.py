"""Provisioning in process beside a network that does what a test tells it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.provisioning import api, handlers
from services.provisioning.settings import settings
from tests.harness import Publish, RunService, Topics
from tests.provisioning.network import Network, serving
from tests.provisioning.samples import OFFERS, published
from tests.provisioning.stage import Stage


@pytest_asyncio.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    """The network that provisioning calls in this test."""
    async with serving() as network:
        monkeypatch.setattr(settings, "network_url", network.url)
        yield network


@pytest_asyncio.fixture
async def stage(
    run_service: RunService, network: Network, publish: Publish, read_topic: Topics
) -> AsyncIterator[Stage]:
    """Provisioning with the samples' offers and a subscription of this test's own; it gives up after three calls."""
    async with run_service("provisioning", handlers, routers=(api.router,), job_attempts=3) as service:
        stage = Stage(service, network, publish, read_topic, f"sub-{uuid.uuid4().hex[:12]}")
        await publish(*published(*OFFERS))
        await stage.offers_are_here(len(OFFERS))
        yield stage
        network.go_on.set()  # a service that stops waits for its calls
