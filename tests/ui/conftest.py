"""A browser, and the page on a server of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from helpers_serve import listening

from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, where there is one."""
    if CHROMIUM is None:
        pytest.skip("the page is tested in a browser, which is missing: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is."""
    limits = ServeLimits()
    with listening(page_app("easy_single_spike", limits), limits) as found:
        yield f"http://{found}"


class Visit:
    """A visitor's browser window, and everything that went wrong or elsewhere in it."""

    def __init__(self, browser: Browser, address: str, size: tuple[int, int]) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.address = address
        self.faults: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda told: self.faults.append(told.text) if told.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._look)

    def _look(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.elsewhere.append(request.url)

    def open(self, query: str = "") -> Page:
        """Go to the page."""
        self.page.goto(f"{self.address}/{query}")
        self.page.wait_for_selector("body[data-ready] rect.cell")
        return self.page

    def state(self) -> dict[str, object]:
        """What the server tells the page."""
        return self.page.evaluate("fetch('/api/state').then((answer) => answer.json())")


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Visit]:
    """A visit at each size; nothing goes wrong in it and nothing comes from another host."""
    found = Visit(browser, address, SIZES[request.param])
    yield found
    assert found.faults == []
    assert found.elsewhere == []
    found.context.close()
