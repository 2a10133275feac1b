"""The customer's page as she sees it: in a real browser, on a phone and on a desk, with JavaScript and without."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from services.chassis import links
from tests.browsing import Browse, Screen, overflow, served, violations
from tests.intake.shop import Shop


async def link(shop: Shop, url: str, order_id: str) -> str:
    """The link that the customer of an order got."""
    confirmation = await shop.has('SELECT confirmation_id FROM "order" WHERE id = :id', id=order_id)
    return f"{url}/confirm/{links.sign(shop.service.settings.link_secret, confirmation)}"


@pytest.mark.parametrize("screen", ["desktop", "phone"])
async def test_the_question_has_nothing_that_axe_finds_and_fits_the_screen(
    shop: Shop, browse: Browse, screen: Screen
) -> None:
    order = await shop.order(shop.body(await shop.line()))
    async with served(shop.service) as url, browse(screen) as page:
        await page.goto(await link(shop, url, order["id"]))
        assert await violations(page) == []
        assert await overflow(page) == 0


async def test_a_yes_needs_no_javascript(shop: Shop, browse: Browse) -> None:
    order = await shop.order(shop.body(await shop.line()))
    async with served(shop.service) as url, browse("phone", javascript=False) as page:
        await page.goto(await link(shop, url, order["id"]))
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_be_visible()
    await shop.becomes(order["id"], "inProgress")
