"""A browser, and the page on a server of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from helpers_page import SIZES, Visit
from helpers_serve import listening

from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # its event loop must not run on in tests of other modules
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


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Visit]:
    """A visit at each size; nothing goes wrong in it and nothing comes from another host."""
    found = Visit(browser, address, SIZES[request.param])
    yield found
    assert found.faults == []
    assert found.elsewhere == []
    found.context.close()
