"""The books of a server in a real browser: what was left or never begun is seen as such, and a seal is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers_books import SEAL, kept
from helpers_page import SIZES, Visit
from helpers_serve import listening
from playwright.sync_api import Browser
from test_page import CONTRAST, UNNAMED

from agents.page.collection import Asked, Collection
from metric_tracker_env import get_task
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

TASK = get_task("realistic_medium")
FIRST = TASK.held_out_seeds[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page is that knows public books, sealed ones without their secret, and a script."""
    folder = tmp_path_factory.mktemp("served")
    kept(folder / "public", TASK, 7, played=4, left=1, open_end=1)
    kept(folder / "sealed", TASK, 2, played=1, seal=SEAL)
    limits = ServeLimits(requests_per_second=1000, request_burst=1000)
    library = Collection([str(folder / "public"), "analyst", str(folder / "sealed")], Asked((TASK,), 7))
    with listening(page_app("easy_single_spike", limits, library=library), limits) as found:
        yield f"http://{found}"


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, served: str) -> Iterator[Visit]:
    """A visit at each size, in which nothing comes from another host."""
    found = Visit(browser, served, SIZES[request.param])
    yield found
    assert found.elsewhere == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= SIZES[request.param][0]
    found.context.close()


def test_books_in_the_index(visit: Visit) -> None:
    """How each episode ended, how many score 0 for that, and what a seal keeps shut."""
    page = visit.page
    page.goto(f"{visit.address}/watch?agent=someone")
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    words = page.locator("#lines td.words").all_inner_texts()
    assert len(words) == 9
    assert words.count("gave up · never begun") == 1
    assert words.count("gave up · without an end") == 1
    assert sum(text.startswith("gave up · left before its end · missed") for text in words) == 1
    assert words.count("\N{EN DASH}") == 1  # sealed: who checked it?
    told = page.inner_text("#faults")
    assert "were left before their end, and score 0: 2" in told
    assert f"the episodes are sealed ({SEAL.hash})" in told
    assert "not read" not in told
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(UNNAMED) == []
    page.goto(f"{visit.address}/watch?run=someone.realistic_medium-2&seed={FIRST}")
    page.wait_for_selector("body[data-ready] [role=alert]")
    assert "--seal and its file open them" in page.inner_text("#faults")
    assert visit.faults == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]


def test_books_call_by_call(visit: Visit) -> None:
    """Calls word for word and their answers; left: a 0 beside the truth; without an end: no truth to switch on."""
    page = visit.page
    place = f"{visit.address}/watch?run=someone.realistic_medium&seed="
    page.goto(f"{place}{FIRST}&step=2")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    calls = page.locator("#chips button").count()
    assert page.locator("#view .said.player button.call").count() == calls
    assert page.locator("#view .said.tool").count() == calls
    assert "player" in page.locator("#view .said.player >> nth=0").inner_text()
    page.goto(f"{place}{FIRST + 4}")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    assert page.inner_text("#score") == "0.000"
    assert "left the episode here: it scores 0" in page.inner_text("#note")
    assert page.inner_text("#failure").startswith("gave up")
    assert page.locator("#cells svg text.missed").count() > 0
    for number in (5, 6):
        page.goto(f"{place}{FIRST + number}")
        page.wait_for_selector("body[data-ready] #cells rect.cell")
        assert page.is_disabled("#truth")
        assert "its truth is not told" in page.inner_text("#draft")
        assert page.locator("#chips button").count() == 6 - number
        assert page.locator("#score").count() == 0
        assert page.evaluate(CONTRAST) == []
    page.click("#compare")
    page.wait_for_selector("body[data-ready] .side rect.cell")
    assert page.locator(".side").count() == 2
    assert visit.faults == []
