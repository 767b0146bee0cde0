"""A visitor of the page in a browser, and what went wrong or elsewhere in his window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

SIZES = {"wide": (1280, 800), "narrow": (390, 844)}


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
