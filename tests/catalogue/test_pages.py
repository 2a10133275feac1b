"""The page of events, and the same as JSON and YAML: readable without a script, on a phone and on a desk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from contracts.event import REGISTRY
from contracts.topics import TOPICS
from services.catalogue import api
from services.catalogue.settings import Settings
from services.chassis.service import Service
from tests.browsing import Browse, Screen, overflow, served, violations
from tests.harness import RunService, door

KEPT = json.loads((Path(__file__).parents[2] / "contracts/asyncapi.json").read_text(encoding="utf-8"))


@pytest_asyncio.fixture
async def catalogue(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("catalogue", routers=(api.router,), settings=Settings) as service:
        yield service


@pytest_asyncio.fixture
async def client(catalogue: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with door(catalogue) as opened:
        yield opened


async def test_the_document_is_given_as_it_is_kept_as_json_and_as_yaml(client: httpx.AsyncClient) -> None:
    as_json, as_yaml = await client.get("/asyncapi.json"), await client.get("/asyncapi.yaml")
    assert (as_json.headers["content-type"], as_json.json()) == ("application/json", KEPT)
    assert as_yaml.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(as_yaml.text) == KEPT


async def test_the_page_has_every_topic_and_event_and_every_link_on_it_leads_somewhere(
    catalogue: Service, browse: Browse
) -> None:
    async with served(catalogue) as url, browse("desktop", javascript=False) as page:
        await page.goto(f"{url}/asyncapi")
        links = [await each.get_attribute("href") or "" for each in await page.locator("a").all()]
        ids = [await each.get_attribute("id") or "" for each in await page.locator("[id]").all()]
        assert len(ids) == len(set(ids))
        assert {topic.name for topic in TOPICS} | set(REGISTRY) <= set(ids)
        assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)
        assert {link for link in links if not link.startswith("#")} == {"/asyncapi.json", "/asyncapi.yaml"}
        old = page.locator(".sunset")
        assert [await each.inner_text() for each in await old.all()] == [
            "Deprecated. Published until 2027-06-30T00:00:00Z."
        ]
        await page.get_by_text("An example of offer.withdrawn.v2").click()
        assert await page.get_by_text("ce_type: offer.withdrawn.v2").is_visible()


@pytest.mark.parametrize("screen", ["desktop", "phone"])
async def test_the_page_has_nothing_that_axe_finds_and_fits_the_screen(
    catalogue: Service, browse: Browse, screen: Screen
) -> None:
    async with served(catalogue) as url, browse(screen) as page:
        await page.goto(f"{url}/asyncapi")
        assert await violations(page) == []
        assert await overflow(page) == 0
