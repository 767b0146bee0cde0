"""The page in a real browser: a person's whole episode by clicks and by keys, at both sizes."""

from __future__ import annotations

from typing import Any

import pytest
from helpers_page import SIZES, Visit
from helpers_serve import wait_for
from playwright.sync_api import Browser, Page

from metric_tracker_env import MetricDataGenerator, get_task
from metric_tracker_env.tasks import TASKS

EASY = "?task=easy_single_spike&seed=7"


def expected(task: str, seed: int) -> list[tuple[int, int]]:
    """(day, entity) of the rows of an episode."""
    config = get_task(task).config
    episode = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed))
    generator = config.generator
    return [
        (generator.day_index(row.date), generator.catalogue.index[row.entity_type, row.entity_name])
        for row in episode.expected_rows
    ]


def click_cell(page: Page, day: int, entity: int) -> None:
    """Select a cell."""
    page.click(f"rect.cell[data-day='{day}'][data-entity='{entity}']")


def settled(page: Page, calls: int) -> None:
    """Wait until the timeline has so many calls."""
    wait_for(lambda: page.locator("#chips button").count() == calls)


def test_a_whole_episode_by_clicks(visit: Visit) -> None:
    """Scan, open, report, submit: the score is that of an agent that reports the same rows."""
    page = visit.open(EASY)
    page.click("text=suspicious dates")
    settled(page, 1)
    for number, (day, entity) in enumerate(expected("easy_single_spike", 7)):
        click_cell(page, day, entity)
        page.click("#actions >> text=open")
        settled(page, 2 + number)
        page.click("#report")
        page.wait_for_selector("#draft >> text=confirmed")
    page.click("#submit")
    page.wait_for_selector("#score")
    assert page.inner_text("#score") == "1.000"
    assert "right" in page.inner_text("#draft")
    assert visit.state()["over"] is True


def test_a_whole_episode_by_keys(visit: Visit) -> None:
    """Without a mouse: the board has the focus, arrows move, letters call; Tab reaches the submission."""
    page = visit.open(EASY)
    page.focus("#cells")
    page.keyboard.press("s")
    settled(page, 1)
    for number, (day, entity) in enumerate(expected("easy_single_spike", 7)):
        for _ in range(40):
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowUp")
        for _ in range(day):
            page.keyboard.press("ArrowRight")
        for _ in range(entity):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("o")
        settled(page, 2 + number)
        page.keyboard.press("r")
        wait_for(lambda number=number: page.locator("#draft >> text=confirmed").count() == 1 + number)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "submit":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#score")
    assert page.inner_text("#score") == "1.000"


def test_keys_go_on_after_a_click(visit: Visit) -> None:
    """A button that the answer draws anew leaves the focus with the board, so that the next key is heard."""
    page = visit.open(EASY)
    page.click("text=suspicious dates")
    settled(page, 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("o")
    settled(page, 2)
    page.click("#tabs >> text=Why")
    page.keyboard.press("h")
    settled(page, 3)


def test_the_board_fits_on_one_screen(browser: Browser, address: str) -> None:
    """At 1280 x 800 nothing scrolls; at 390 x 844 only downwards, and the board sideways in itself."""
    for name, size in SIZES.items():
        visit = Visit(browser, address, size)
        page = visit.open("?task=realistic_medium&seed=3")
        wide, high = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert wide <= size[0]
        if name == "wide":
            assert high <= size[1]
            assert page.evaluate(
                "document.querySelector('#left').scrollHeight <= document.querySelector('#left').clientHeight"
            )
        visit.context.close()


def test_two_visitors_do_not_see_each_other(browser: Browser, address: str) -> None:
    """Each has an episode, a budget and a draft of his own."""
    first, second = (Visit(browser, address, SIZES["wide"]) for _ in range(2))
    first.open(EASY)
    second.open("?task=realistic_easy&seed=4")
    first.page.click("text=suspicious dates")
    settled(first.page, 1)
    told: dict[str, Any] = second.state()
    assert (told["task"], told["seed"], told["steps"]) == ("realistic_easy", 4, [])
    assert first.state()["task"] == "easy_single_spike"
    for visit in (first, second):
        visit.context.close()


def test_a_reload_keeps_the_episode(visit: Visit) -> None:
    """Calls, shown cells and the draft are where they were; the address opens the same episode."""
    page = visit.open(EASY)
    click_cell(page, 9, 2)
    page.click("#actions >> text=open")
    settled(page, 1)
    page.click("#report")
    page.wait_for_selector("#draft >> text=1 row")
    assert "seed=7" in page.url
    page.reload()
    settled(page, 1)
    assert "1 row" in page.inner_text("#draft")
    page.click("#next")
    wait_for(lambda: "seed=8" in page.evaluate("location.search"))
    settled(page, 0)


def test_the_truth_costs_the_count(visit: Visit) -> None:
    """The switch shows causes before the end, and says that the episode does not count."""
    page = visit.open(EASY)
    assert visit.state()["truth"] is None
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#truth")
    page.wait_for_selector("#counted >> text=does not count: truth shown")
    assert visit.state()["counted"] is False
    assert page.locator("#cells svg text.missed").count() == len(expected("easy_single_spike", 7))


def test_every_tab_and_the_form(visit: Visit) -> None:
    """Hours, funnel, arithmetic, the call in other words, the answer as a table; a call from the form of all tools."""
    page = visit.open("?task=realistic_easy&seed=2")
    click_cell(page, 12, 0)
    page.click("#actions >> text=open")
    settled(page, 1)
    assert page.locator(".plots svg").count() >= 11
    page.click("#actions >> text=hours")
    settled(page, 2)
    assert page.locator("#view svg rect").count() == 24
    for tab, told in (
        ("Funnel", "median"),
        ("Why", "detection threshold"),
        ("Call", "Investigation"),
        ("Answer", "JSON"),
    ):
        page.click(f"#tabs >> text={tab}")
        assert told in page.inner_text("#view")
    page.click("#more summary")
    click_cell(page, 9, 0)
    assert page.input_value("#of-date") == get_task("realistic_easy").config.generator.date_names[9]
    page.select_option("#form select >> nth=0", "get_metric_median")
    page.click("#form >> text=call")
    settled(page, 3)


def test_what_is_refused_is_said(browser: Browser, address: str) -> None:
    """A seed that is none, and a cell that was not shown, are told in words; the episode goes on."""
    visit = Visit(browser, address, SIZES["wide"])
    page = visit.open(EASY)
    page.fill("#seed", "twelve")
    page.click("#begin")
    assert "not a whole number" in page.inner_text("#status")
    page.focus("#cells")
    page.keyboard.press("r")
    page.wait_for_selector("#status >> text=was not shown yet")
    assert visit.state()["seed"] == 7
    visit.context.close()


CONTRAST = """() => {
  const light = (text) => {
    const parts = text.match(/[0-9.]+/g).map(Number).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.disabled || !element.getClientRects().length) continue;
    const [front, back] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    if ((front + 0.05) / (back + 0.05) < 4.5) found.push(element.outerHTML);
  }
  return found;
}"""
UNNAMED = """() => [...document.querySelectorAll("button, select, input, a")].filter((element) => {
  const label = element.closest("label") ?? document.querySelector(`label[for="${element.id}"]`);
  return !(element.getAttribute("aria-label") || element.textContent.trim() || label?.textContent.trim());
}).map((element) => element.outerHTML)"""


def test_contrast_and_names(visit: Visit) -> None:
    """Text stands out by 4.5 to 1 (WCAG 2.2, 1.4.3), and what can be used has a name (4.1.2), also after the end."""
    page = visit.open(EASY)
    click_cell(page, 9, 2)
    page.click("#actions >> text=open")
    settled(page, 1)
    page.click("#report")
    page.wait_for_selector("#draft >> text=1 row")
    for _ in range(2):
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(UNNAMED) == []
        if not visit.state()["over"]:
            page.click("#submit")
            page.wait_for_selector("#score")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_shown(task: str, browser: Browser, address: str) -> None:
    """Each task's funnel and dates are drawn."""
    visit = Visit(browser, address, SIZES["wide"])
    page = visit.open(f"?task={task}&seed=1")
    generator = get_task(task).config.generator
    assert page.locator("rect.cell").count() == generator.num_days * generator.catalogue.num_entities
    assert visit.faults == []
    visit.context.close()
