"""The reviewers' pages as people meet them: in a real Chromium, on a desk and on a phone, by keys, without a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tests.browsing import Browse, Screen, overflow, served, violations
from tests.review import samples
from tests.review.desk import Desk
from tests.review.reviewing import lost, poisoned, promised

pytestmark = pytest.mark.timeout(120)  # a browser and axe take their time on a busy machine

SCREENS: list[Screen] = ["desktop", "phone"]


@asynccontextmanager
async def seated(
    desk: Desk, browse: Browse, screen: Screen = "desktop", who: str = "rita", *, javascript: bool = True
) -> AsyncIterator[Page]:
    """A reviewer at the queue, in a browser of their own."""
    async with served(desk.service) as url, browse(screen, javascript=javascript) as page:
        await page.goto(f"{url}/cases")
        await page.get_by_label("Your reviewer's key").fill(desk.keys[who])
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
        yield page


async def faultless(page: Page) -> None:
    assert await violations(page) == []
    assert await overflow(page) == 0


@pytest.mark.parametrize("screen", SCREENS)
async def test_the_door_and_the_queue_have_nothing_that_axe_finds(desk: Desk, browse: Browse, screen: Screen) -> None:
    for partner in ("liege-calls", "liege-calls", "gent-calls"):
        await promised(desk, partner)
    await lost(desk)
    await poisoned(desk)
    async with served(desk.service) as url, browse(screen) as door:
        await door.goto(f"{url}/sign-in")
        await faultless(door)
    async with seated(desk, browse, screen) as page:
        await expect(page.locator("a.case")).to_have_count(5)
        await faultless(page)


@pytest.mark.parametrize("screen", SCREENS)
async def test_a_case_has_nothing_that_axe_finds_before_and_after_its_decision(
    desk: Desk, browse: Browse, screen: Screen
) -> None:
    case_id, order = await lost(desk)
    await desk.publish(samples.confirmed(samples.order(f"earlier-{order.id}", order.subscription_id)))
    await desk.decide(case_id, "ask_partner", reason="Does she want to lose the TV?")
    await desk.publish(samples.answered(order, case_id, "She has none any more."))
    await desk.case(case_id, "open")
    async with seated(desk, browse, screen) as page:
        await page.locator("a.case").click()
        await page.get_by_label("Correct and resubmit").check()
        await page.get_by_label("Removals").fill("tv, decoder")
        await page.get_by_role("button", name="Show what changes").click()
        await expect(page.locator("ins")).to_have_text("Television, Decoder")
        await faultless(page)
        await page.get_by_label("Reason").fill("The partner confirms it.")
        await page.get_by_role("button", name="Decide").click()
        await expect(page.get_by_role("status")).to_contain_text("Noted")
        await faultless(page)


@pytest.mark.parametrize("screen", SCREENS)
async def test_a_decision_that_waits_is_refused_and_has_nothing_that_axe_finds(
    desk: Desk, browse: Browse, screen: Screen
) -> None:
    case_id, _ = await promised(desk)
    await desk.decide(case_id, "honour_quote", reason="She has it in writing.")
    async with seated(desk, browse, screen, "carl") as page:
        await page.locator("a.case").click()
        await faultless(page)
        await page.get_by_label("Why").fill("The recording says otherwise.")
        await page.get_by_role("button", name="Refuse").click()
        await expect(page.get_by_role("status")).to_contain_text("the case is open again")
        await expect(page.locator(".history")).to_contain_text("refused by carl")
        await faultless(page)


@pytest.mark.parametrize("screen", SCREENS)
async def test_both_numbers_stand_side_by_side(desk: Desk, browse: Browse, screen: Screen) -> None:
    await promised(desk)
    async with seated(desk, browse, screen) as page:
        await page.locator("a.case").click()
        numbers = page.locator(".numbers dd")
        await expect(numbers).to_have_text([re.compile("81.00"), re.compile("75.00"), re.compile("-€6.00")])
        boxes = [await each.bounding_box() for each in await numbers.all()]
        tops = {round(box["y"]) for box in boxes[:2] if box}
        assert len(tops) == 1
        await faultless(page)


@pytest.mark.parametrize("screen", SCREENS)
async def test_a_raw_message_and_a_group_have_nothing_that_axe_finds(
    desk: Desk, browse: Browse, screen: Screen
) -> None:
    await poisoned(desk, b"{" + b"x" * 5000)
    await poisoned(desk)
    async with seated(desk, browse, screen) as page:
        await page.locator("a.case").first.click()
        await faultless(page)
        await page.get_by_role("link", name="Back to the queue").click()
        await page.get_by_role("link", name="2 cases, to decide together").click()
        await faultless(page)
        await page.get_by_label("Set aside").check()
        await page.get_by_label("Reason").fill("A test line of the partner's.")
        await page.get_by_role("button", name="Decide").click()
        await expect(page.locator("td")).to_have_text(["decided", "decided"])
        await faultless(page)


async def test_a_reviewer_works_with_the_keys_alone(desk: Desk, browse: Browse) -> None:
    first, _ = await promised(desk)
    second, _ = await promised(desk)
    async with seated(desk, browse) as page:
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await expect(page.locator("a.case").nth(1)).to_be_focused()
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(first))
        await page.keyboard.press("j")
        await expect(page).to_have_url(re.compile(second))
        await page.keyboard.press("k")
        await expect(page).to_have_url(re.compile(first))
        await page.keyboard.press("2")
        await expect(page.get_by_label("Apply the published price")).to_be_checked()
        await page.get_by_label("Reason").focus()
        await page.keyboard.type("jk 81.00 is published")
        await expect(page).to_have_url(re.compile(first))
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("Noted")
        await page.keyboard.press("q")
        await expect(page.locator("a.case")).to_have_count(1)
    assert (await desk.case(first))["decision"] == "apply_published_price"


async def test_keys_that_are_switched_off_do_nothing(desk: Desk, browse: Browse) -> None:
    await promised(desk)
    async with seated(desk, browse) as page:
        await page.get_by_label("Shortcuts on").uncheck()
        await page.keyboard.press("j")
        await expect(page.locator("a.case")).not_to_be_focused()


async def test_the_queue_is_filtered_as_one_chooses(desk: Desk, browse: Browse) -> None:
    await promised(desk)
    await promised(desk, "gent-calls")
    async with seated(desk, browse) as page:
        await page.get_by_label("Partner").select_option("gent-calls")
        await expect(page.locator("a.case")).to_have_count(1)
        await expect(page).to_have_url(re.compile("partner=gent-calls"))
        await page.locator("a.case").click()
        await expect(page.get_by_role("link", name="Next case")).to_have_count(0)


async def test_whoever_was_slower_is_told_while_still_reading(desk: Desk, browse: Browse) -> None:
    case_id, _ = await promised(desk)
    async with seated(desk, browse) as page:
        await page.locator("a.case").click()
        await desk.decide(case_id, "cancel", "carl")
        await expect(page.get_by_role("status")).to_contain_text("carl: Cancel", timeout=30_000)
        await page.get_by_role("link", name="Load the case again").click()
        await expect(page.get_by_role("button", name="Decide")).to_have_count(0)


async def test_everything_is_done_without_a_script(desk: Desk, browse: Browse) -> None:
    case_id, _ = await promised(desk)
    await promised(desk, "gent-calls")
    async with seated(desk, browse, "phone", javascript=False) as page:
        await page.get_by_label("Partner").select_option("liege-calls")
        await page.get_by_role("button", name="Filter").click()
        await page.locator("a.case").click()
        await page.get_by_label("Cancel").check()
        await page.get_by_label("Reason").fill("She does not want it.")
        await page.get_by_role("button", name="Decide").click()
        await expect(page.get_by_role("status")).to_contain_text("Noted")
    assert (await desk.case(case_id))["decision"] == "cancel"
