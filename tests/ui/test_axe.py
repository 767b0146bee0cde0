"""Every screen of the page passes the rules of axe-core, at both sizes, with nothing on the console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers_axe import violations
from helpers_page import SIZES, Visit
from helpers_serve import listening, wait_for
from helpers_watch import spoken
from playwright.sync_api import Browser, Page

from agents import cli, leaderboard
from agents.page.collection import Asked, Collection
from agents.page.my_data import Workshop
from agents.tasks import held_out_seeds
from metric_tracker_env import get_task
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

TASK = get_task("realistic_medium")
EPISODES = 6
SEEDS = held_out_seeds(TASK, EPISODES)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page is, with two scripts, a language model and a broken file to watch."""
    folder = tmp_path_factory.mktemp("screens")
    leaderboard((), TASK, EPISODES, folder, ("analyst", "one_by_one"), 1, "compare")
    (folder / "broken.json").write_text("{", encoding="utf-8")
    spoken(folder / "llm", TASK, SEEDS[:2])
    sources = [str(folder / name) for name in ("compare.json", "broken.json", "llm")]
    limits = ServeLimits(requests_per_second=1000, request_burst=1000)
    app = page_app(
        "realistic_medium", limits, library=Collection(sources, Asked((TASK,), 1)), own=Workshop(1000, folder)
    )
    with listening(app, limits) as found:
        yield f"http://{found}"


def tabs(page: Page) -> list[str]:
    """What is wrong on each tab of the selection, one after another."""
    found: list[str] = []
    for tab in page.locator("#tabs button").all_inner_texts():
        page.locator("#tabs button").get_by_text(tab, exact=True).click()
        found += violations(page)
    return found


def called(page: Page, act: str) -> None:
    """Press a key on the board, and wait until the call is there."""
    before = page.locator("#chips button").count()
    page.keyboard.press(act)
    wait_for(lambda: page.locator("#chips button").count() == before + 1)


def test_a_fault_is_found(browser: Browser, address: str) -> None:
    """The rules run where the page's own policy lets no foreign script in: a field without a name, pale text."""
    visit = Visit(browser, address, SIZES["wide"])
    page = visit.open()
    page.evaluate("document.querySelector('#seed').closest('label').replaceWith(document.querySelector('#seed'))")
    page.evaluate("document.querySelector('#legend').style.color = '#ccc'")
    rules = {told.partition(":")[0] for told in violations(page)}
    assert {"label", "color-contrast"} <= rules
    visit.context.close()


def test_play(visit: Visit) -> None:
    """Before the first call, with the options, in the middle of an episode, at its end, and back in time."""
    page = visit.open("?task=realistic_medium&seed=3")
    assert page.locator("#views a").count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert violations(page) == []
    page.click("#options")
    page.click("#add")
    page.locator(".anomaly details summary").first.click()
    assert violations(page) == []
    page.click("#options")
    for name in ("known events", "suspicious dates"):
        before = page.locator("#chips button").count()
        page.click(f"#scans >> text={name}")
        wait_for(lambda before=before: page.locator("#chips button").count() == before + 1)
    page.click("rect.cell[data-day='9'][data-entity='0']")
    for key in "ohfi":
        called(page, key)
    page.keyboard.press("r")
    page.wait_for_selector("#draft >> text=1 row")
    page.click("#more summary")
    assert tabs(page) == []
    page.click("#submit")
    page.wait_for_selector("#score")
    assert tabs(page) == []
    page.click("#chips button >> nth=1")
    assert violations(page) == []


def test_what_was_refused(browser: Browser, address: str) -> None:
    """The form with a fault at its field."""
    visit = Visit(browser, address, SIZES["wide"])
    page = visit.open("?task=realistic_medium&seed=3&anomaly_count=99")
    page.wait_for_selector("#choices .fault:not(:empty)")
    assert violations(page) == []
    visit.context.close()


@pytest.mark.parametrize("run", ["analyst", "speaker"])
def test_watch(run: str, visit: Visit) -> None:
    """The index, and an episode at its end, at an earlier call, and without the truth."""
    page = visit.page
    page.goto(f"{visit.address}/watch")
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    assert violations(page) == []
    page.goto(f"{visit.address}/watch?run={run}.realistic_medium&seed={SEEDS[0]}")
    page.wait_for_selector("body[data-ready] rect.cell")
    assert tabs(page) == []
    page.click("#chips button >> nth=1")
    assert violations(page) == []
    page.click("#truth")
    assert violations(page) == []


def test_an_episode_that_there_is_not(browser: Browser, address: str) -> None:
    """What is told instead of it."""
    visit = Visit(browser, address, SIZES["wide"])
    visit.page.goto(f"{address}/watch?run=none&seed=1")
    visit.page.wait_for_selector("[role=alert] >> nth=0")
    assert violations(visit.page) == []
    visit.context.close()


def test_compare_and_leaderboard(visit: Visit) -> None:
    """Two runs over each other, with and without the truth; the tables."""
    page = visit.page
    page.goto(f"{visit.address}/compare?run=analyst.realistic_medium&seed={SEEDS[0]}&other=one_by_one.realistic_medium")
    page.wait_for_selector("body[data-ready] rect.cell")
    assert violations(page) == []
    page.click("#truth")
    assert violations(page) == []
    page.goto(f"{visit.address}/leaderboard")
    page.wait_for_selector("body[data-ready] table")
    assert violations(page) == []


@pytest.mark.parametrize("size", SIZES)
def test_the_exported_file(size: str, browser: Browser, tmp_path: Path) -> None:
    """The replay without a server."""
    output = tmp_path / "replay.html"
    cli.main(["export-html", "analyst", "--task", TASK.name, "--seed", str(SEEDS[0]), "--output", str(output)])
    page = browser.new_page(viewport={"width": SIZES[size][0], "height": SIZES[size][1]})
    page.goto(output.as_uri())
    page.wait_for_selector("body[data-ready] rect.cell")
    assert tabs(page) == []
    page.close()
