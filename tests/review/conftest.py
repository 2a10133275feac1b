"""Review, running on the embedded stack, with its reviewers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.review import api, handlers
from services.review.settings import Settings
from tests.harness import Publish, RunService
from tests.review.desk import Desk


@pytest_asyncio.fixture
async def desk(run_service: RunService, publish: Publish) -> AsyncIterator[Desk]:
    """The doors of a running review."""
    async with run_service("review", handlers, routers=api.routers, settings=Settings) as service:
        yield await Desk.opened(service, publish)
