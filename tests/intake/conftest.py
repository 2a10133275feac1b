"""Intake in process, with a shop at its doors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.intake import api, handlers
from tests.harness import Publish, RunService, Topics
from tests.intake.shop import Shop


@pytest_asyncio.fixture
async def shop(run_service: RunService, publish: Publish, read_topic: Topics) -> AsyncIterator[Shop]:
    """Intake with two partners and the offers TRIO and TRIO-MAX on sale."""
    async with run_service("intake", handlers, routers=api.routers) as service:
        shop = Shop(service, publish, read_topic)
        await shop.opens()
        yield shop
