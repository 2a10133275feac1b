"""What tests of pages hold in their hands: a real Chromium, a service behind a real socket, and axe to judge a page."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Request, ViewportSize, async_playwright

from services.chassis.service import Service

LOOPBACK = "127.0.0.1"
PATIENCE_MILLISECONDS = 15_000

Screen = Literal["desktop", "phone"]
SCREENS: dict[Screen, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}


class Browse(Protocol):
    """`async with browse("phone", javascript=False) as page:` is somebody's browser, with cookies of its own.

    What the page looks like at the end is photographed into the folder SCREENSHOTS, where that is set.
    """

    def __call__(self, screen: Screen = "desktop", *, javascript: bool = True) -> AbstractAsyncContextManager[Page]: ...


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium of this machine; where there is none, the tests that ask for it are skipped."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium on this machine (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, screen: Screen, *, javascript: bool) -> AsyncIterator[Page]:
    """Open a browser window; no page may fail in it, or ask anything of a host that is not ours."""
    context = await browser.new_context(viewport=SCREENS[screen], java_script_enabled=javascript)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page, faults = await context.new_page(), list[str]()

    def judge(request: Request) -> None:
        if urlsplit(request.url).hostname != LOOPBACK:
            faults.append(f"the page asked for {request.url}")

    page.on("request", judge)
    page.on("pageerror", lambda error: faults.append(f"a script failed: {error}"))
    try:
        yield page
    finally:
        if "SCREENSHOTS" in os.environ:
            test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].removesuffix(" (call)")
            await page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{test}-{screen}.png", full_page=True)
        await context.close()
    assert not faults, faults


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[str]:
    """Let a service that runs in process be reached by a browser; yields its URL."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(service.app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def violations(page: Page) -> list[str]:
    """What axe finds on a page as it stands, by all of its rules; it needs a page with JavaScript."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{each['id']}: {node['failureSummary']} {node['html']}" for each in found for node in each["nodes"]]


async def overflow(page: Page) -> int:
    """By how many pixels a page is wider than the screen it is on; 0 where nobody must scroll sideways."""
    wider: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
