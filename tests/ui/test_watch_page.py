"""Watch, Compare and the leaderboard in a real browser, at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from helpers_page import SIZES, Visit
from helpers_serve import listening, wait_for
from helpers_watch import THOUGHT, many_calls, spoken
from playwright.sync_api import Browser, Page
from test_page import CONTRAST, UNNAMED

from agents import leaderboard
from agents.page.collection import Asked, Collection
from agents.tasks import held_out_seeds
from metric_tracker_env import get_task
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

TASK = get_task("realistic_medium")
EPISODES = 60
SEEDS = held_out_seeds(TASK, EPISODES)
ANALYST, OTHER, TOLD = "analyst.realistic_medium", "one_by_one.realistic_medium", "speaker.realistic_medium"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page is that knows a results file, a language model, a long transcript and a broken file."""
    folder = tmp_path_factory.mktemp("watched")
    leaderboard((), TASK, EPISODES, folder, ("analyst", "one_by_one", "analyst_blind", "oracle"), 1, "compare")
    (folder / "broken.json").write_text("{", encoding="utf-8")
    spoken(folder / "llm", TASK, [SEEDS[0], SEEDS[1], SEEDS[0]])
    long = TASK.model_copy(update={"name": "long", "config": TASK.config.model_copy(update={"step_limit": 600})})
    spoken(folder / "long", long, SEEDS[:1], script=lambda: many_calls(500), name="patient")
    spoken(folder / "half", TASK, SEEDS[2:3], name="halfway", lives=5)
    sources = [str(folder / name) for name in ("compare.json", "broken.json", "llm", "long", "half")]
    limits = ServeLimits(requests_per_second=1000, request_burst=1000)
    app = page_app("easy_single_spike", limits, library=Collection(sources, Asked((TASK, long), 1)))
    with listening(app, limits) as found:
        yield f"http://{found}"


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, watched: str) -> Iterator[Visit]:
    """A visit at each size; nothing goes wrong in it and nothing comes from another host."""
    found = Visit(browser, watched, SIZES[request.param])
    yield found
    assert found.faults == []
    assert found.elsewhere == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= SIZES[request.param][0]
    found.context.close()


def go(visit: Visit, path: str, shown: str = "") -> Page:
    """Open an address and wait until it is drawn."""
    visit.page.goto(f"{visit.address}/{path}")
    visit.page.wait_for_selector(f"body[data-ready] {shown}".strip())
    return visit.page


def asked(page: Page) -> list[str]:
    """What the address asks for."""
    return page.evaluate("location.search.slice(1).split('&')")


def lines(page: Page) -> int:
    """Episodes that the index shows."""
    return page.locator("#lines tbody tr:not(.of-seed)").count()


def seen(page: Page) -> int:
    """Cells that are not grey."""
    return page.locator("#cells rect.cell:not([fill='#eceef1'])").count()


def test_the_index_and_its_filters(visit: Visit) -> None:
    """All episodes, repeats of a seed together; filters narrow it, stay in the address, and survive a reload."""
    page = go(visit, "watch", "#lines tbody tr")
    total = 4 * EPISODES + 3 + 1 + 1
    assert f"{total} episodes of {EPISODES + 1} seeds" in page.inner_text("#count")
    assert "broken.json" in page.inner_text("#faults")
    page.select_option("#by-task", "realistic_medium")
    page.fill("#by-seed", str(SEEDS[0]))
    page.dispatch_event("#by-seed", "change")
    wait_for(lambda: lines(page) == 6)
    assert page.locator("tr.of-seed").count() == 1
    assert "6 episodes" in page.inner_text("tr.of-seed")
    assert "trial 2" in page.inner_text("#lines")
    page.fill("#by-seed", "")
    page.dispatch_event("#by-seed", "change")
    page.select_option("#by-agent", "analyst")
    page.select_option("#by-fate", "missed")
    page.select_option("#by-order", "worst")
    words = page.locator("#lines td.words")
    wait_for(lambda: words.count() > 0 and all("missed" in text for text in words.all_inner_texts()))
    some = lines(page)
    assert 0 < some < EPISODES
    wait_for(lambda: "order=worst" in asked(page))
    page.reload()
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    assert lines(page) == some
    page.select_option("#by-family", "funnel_break")
    wait_for(lambda: lines(page) < some)
    assert all("missed funnel break" in text for text in page.locator("#lines td.words").all_inner_texts())
    wait_for(lambda: "family=funnel_break" in asked(page))
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(UNNAMED) == []


def test_the_classes_of_failure(visit: Visit) -> None:
    """Each class with its number; one narrows the list, which says what it means, and so does the episode."""
    page = go(visit, "watch?agent=one_by_one", "#lines tbody tr")
    options = page.locator("#by-failure option").all_inner_texts()
    numbers = {text.split(" · ")[0]: int(text.split(" · ")[1]) for text in options if " · " in text}
    assert sum(numbers.values()) == lines(page) == EPISODES
    page.select_option("#by-failure", "wrong_root")
    wait_for(lambda: lines(page) == numbers["wrong root"] > 0)
    assert all(text.startswith("wrong root") for text in page.locator("#lines td.words").all_inner_texts())
    assert "the episode has a row on the date of a missed root" in page.inner_text("#count")
    entities = page.locator("#by-entity option").all_inner_texts()
    assert sum(int(text.split(" · ")[1]) for text in entities if " · " in text) >= numbers["wrong root"]
    assert page.evaluate(CONTRAST) == []
    wait_for(lambda: "failure=wrong_root" in asked(page))
    page.reload()
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    assert lines(page) == numbers["wrong root"]
    page.click("#lines td a >> nth=0")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    assert page.inner_text("#failure").startswith("wrong root: the episode has a row")
    page.click("#truth")
    wait_for(lambda: page.locator("#failure").count() == 0)
    go(visit, "watch?agent=speaker", "#lines tbody tr")
    assert "solved · " in page.inner_text("#by-failure")


def test_more_lines_come_as_one_scrolls(visit: Visit) -> None:
    """Only a part of a long index is drawn at first."""
    page = go(visit, "watch?order=dearest", "#lines tbody tr")
    assert lines(page) == 200
    page.locator("#more-lines").scroll_into_view_if_needed()
    wait_for(lambda: lines(page) == 4 * EPISODES + 5)


def test_an_episode_call_by_call(visit: Visit) -> None:
    """From the index into an episode; chips, slider and keys go through it, and what was not seen yet is grey."""
    page = go(visit, f"watch?agent=analyst&seed={SEEDS[0]}", "#lines tbody tr")
    page.click("#lines td a >> nth=0")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    cells, calls = page.locator("#cells rect.cell").count(), page.locator("#chips button").count()
    assert seen(page) == cells
    assert "analyst" in page.inner_text("#title")
    page.click("#chips button >> nth=0")
    wait_for(lambda: seen(page) == 0)
    wait_for(lambda: "step=1" in asked(page))
    page.focus("#cells")
    for number in range(2, calls):
        page.keyboard.press("Shift+ArrowRight")
        wait_for(lambda number=number: f"step={number}" in asked(page))
    assert 0 < seen(page) < cells
    page.locator("input[type=range]").fill(str(calls))
    wait_for(lambda: seen(page) == cells)
    assert f"call {calls} of {calls}" in page.inner_text("#timeline")
    for tab, words in (("Why", "detection threshold"), ("Answer", "units"), ("Words", "call 1")):
        page.click(f"#tabs >> text={tab}")
        assert words in page.inner_text("#view")
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(UNNAMED) == []


def test_the_switch_hides_what_the_agent_did_not_know(visit: Visit) -> None:
    """Causes are marked at every call; blind, only what was seen and reported by then."""
    page = go(visit, f"watch?run={OTHER}&seed={SEEDS[0]}&step=3", "#cells rect.cell")
    marks = page.locator("#cells svg text.missed")
    known = seen(page)
    assert marks.count() > 0
    assert page.locator("#score").count() == 1
    page.click("#truth")
    wait_for(lambda: marks.count() == 0)
    assert seen(page) == known
    assert page.locator("#score").count() == 0
    wait_for(lambda: "truth=off" in asked(page))
    page.locator("input[type=range]").fill("500")
    wait_for(lambda: "step=3" not in asked(page))
    assert 0 < seen(page) < page.locator("#cells rect.cell").count()
    page.focus("#cells")
    page.keyboard.press("t")
    wait_for(lambda: seen(page) == page.locator("#cells rect.cell").count())


def test_a_deep_link_opens_the_same(visit: Visit) -> None:
    """Run, seed, trial, call, tab and switch are in the address, and a reload shows the same."""
    path = f"watch?run={TOLD}&seed={SEEDS[0]}&trial=1&step=4&tab=Words&truth=off"
    page = go(visit, path, "#cells rect.cell")
    before = page.inner_text("#timeline"), page.inner_text("#title"), seen(page)
    assert "trial 2" in before[1]
    page.reload()
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    assert (page.inner_text("#timeline"), page.inner_text("#title"), seen(page)) == before
    assert "call 4 of" in before[0]
    page.click("#after")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    assert f"seed {SEEDS[1]}" in page.inner_text("#title")


def test_the_words_of_a_model(visit: Visit) -> None:
    """What it said, its thoughts, its calls word for word and the answers; a click on a call goes to it."""
    page = go(visit, f"watch?run={TOLD}&seed={SEEDS[0]}", "#view .said")
    calls = page.locator("#chips button").count()
    assert page.locator(".said.assistant").count() == calls
    told = page.locator(".said.assistant >> nth=1").inner_text()
    assert THOUGHT in told
    assert "Next I call" in told
    page.click(".said.assistant >> nth=2 >> button.call")
    wait_for(lambda: "step=3" in asked(page))
    assert page.locator(".said.now").count() == 2
    page.locator("input[type=range]").fill("1")
    wait_for(lambda: page.locator(".said.now >> nth=0").get_attribute("data-step") == "1")


def test_five_hundred_calls(visit: Visit) -> None:
    """A long transcript is there as a whole, goes to where it is asked, and draws only what is seen of it."""
    page = go(visit, f"watch?run=patient.long&seed={SEEDS[0]}&step=250", "#view .said")
    assert page.locator(".said").count() == 1001
    in_view = """() => {
      const shelf = document.querySelector("#view").getBoundingClientRect();
      return [...document.querySelectorAll(".said.now")].some((item) => {
        const place = item.getBoundingClientRect();
        return place.bottom > shelf.top && place.top < shelf.bottom;
      });
    }"""
    wait_for(lambda: page.evaluate(in_view))
    page.locator("input[type=range]").fill("480")
    wait_for(lambda: page.evaluate(in_view))
    assert page.evaluate("getComputedStyle(document.querySelector('.said')).contentVisibility") == "auto"


def test_an_episode_that_is_still_played(visit: Visit) -> None:
    """What it has done so far can be gone through; there is no truth to switch on, also beside one that has ended."""
    page = go(visit, f"watch?run=halfway.realistic_medium&seed={SEEDS[2]}&tab=Day", "#cells rect.cell")
    assert page.locator("#chips button").count() == 5
    assert page.is_disabled("#truth")
    assert "is still played" in page.inner_text("#draft")
    page.locator("input[type=range]").fill("2")
    wait_for(lambda: "call 2 of 5" in page.inner_text("#timeline"))
    assert page.locator("#cells svg text.missed, #cells svg text.found").count() == 0
    page.click("#compare")
    page.wait_for_selector("body[data-ready] .side rect.cell")
    assert page.locator(".side >> nth=0 >> svg text.missed").count() == 0
    assert "not seen" in page.inner_text("#differences")


def test_two_runs_of_a_seed(visit: Visit) -> None:
    """Boards and timelines of both, one slider for both, what differs marked; the choice is in the address."""
    page = go(visit, f"watch?seed={SEEDS[0]}&agent=analyst", "#lines tbody tr")
    page.goto(f"{visit.address}/compare?run={ANALYST}&other={OTHER}&seed={SEEDS[0]}")
    page.wait_for_selector("body[data-ready] .side rect.cell")
    assert page.locator(".side").count() == 2
    steps = [page.locator(f".side >> nth={side} >> .chips button").count() for side in range(2)]
    assert page.locator(".chips button.unlike").count() > 0
    assert page.get_attribute("input[type=range]", "max") == str(max(steps))
    page.locator("input[type=range]").fill("6")
    wait_for(lambda: "step=6" in asked(page))
    assert page.inner_text("#differences").count("At call 6") == 1
    alone = page.locator("rect.cell.alone")
    assert alone.count() > 0
    for side in range(2):
        assert page.locator(f".side >> nth={side} >> .chips button.now").inner_text().startswith("6 ")
    assert page.locator("#differences td.unlike").count() > 0
    page.focus(".cells >> nth=0")
    page.keyboard.press("Shift+ArrowRight")
    wait_for(lambda: "step=7" in asked(page))
    assert page.locator(".side text.missed").count() > 0
    page.click("#truth")
    wait_for(lambda: page.locator(".side text.missed").count() == 0)
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(UNNAMED) == []
    wait_for(lambda: "truth=off" in asked(page))
    page.reload()
    page.wait_for_selector("body[data-ready] .side rect.cell")
    assert "call 7 of" in page.inner_text("#timeline")
    page.select_option("#second", f"{TOLD} 1")
    page.wait_for_url("**other_trial=1**")
    page.wait_for_selector("body[data-ready] .side rect.cell")
    assert "speaker" in page.locator(".side >> nth=1").inner_text()


def test_the_same_run_twice_differs_in_nothing(browser: Browser, watched: str) -> None:
    """Two trials that made the same calls: no call and no row is marked."""
    visit = Visit(browser, watched, SIZES["wide"])
    page = go(visit, f"compare?run={TOLD}&other={TOLD}&other_trial=1&seed={SEEDS[0]}&step=5", ".side rect.cell")
    assert page.locator(".unlike, rect.cell.alone").count() == 0
    assert "all calls are the same" in page.inner_text("#differences")
    visit.context.close()


def test_compare_without_a_choice(browser: Browser, watched: str) -> None:
    """The view alone opens the first seed that two have played."""
    visit = Visit(browser, watched, SIZES["wide"])
    page = go(visit, "compare", ".side rect.cell")
    assert page.locator(".side").count() == 2
    wait_for(lambda: any(part.startswith("other=") for part in asked(page)))
    high = "document.documentElement.scrollHeight"
    assert page.evaluate(high) <= SIZES["wide"][1]
    assert visit.faults == []
    visit.context.close()


def test_the_leaderboard(visit: Visit) -> None:
    """Best first, with what quiet episodes, rates and paired differences say; lines and classes lead to episodes."""
    page = go(visit, "leaderboard", "table.lines")
    first, quiet, rates, paired = (page.locator(f"table.lines >> nth={place}") for place in range(4))
    agents = [text.split()[0] for text in first.locator("tbody td:first-child").all_inner_texts()]
    assert agents[:2] == ["oracle", "analyst"]
    assert quiet.locator("th").all_inner_texts() == [
        *("agent", "quiet", "left alone", "false alarms", "precision of others", "recall of others"),
    ]
    assert quiet.locator("tbody td:first-child").all_inner_texts() == agents
    assert "all families" in paired.inner_text()
    assert "*" in paired.inner_text()
    assert page.evaluate(CONTRAST) == []
    fault = rates.locator("tbody tr", has_text="one_by_one").locator("a >> nth=0")
    name = fault.inner_text()
    first.locator("a >> nth=1").click()
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    assert page.input_value("#by-agent") == "analyst"
    assert lines(page) == EPISODES
    go(visit, "leaderboard", "table.lines")
    fault.click()
    page.wait_for_selector("body[data-ready] #lines tbody tr")
    assert page.input_value("#by-agent") == "one_by_one"
    assert page.input_value("#by-failure") == name.replace(" ", "_")
    assert all(text.startswith(name) for text in page.locator("#lines td.words").all_inner_texts())


def test_what_does_not_open_says_why(browser: Browser, watched: str) -> None:
    """An unknown run, or nobody to compare with, in words and with the way back."""
    for path, words in (
        ("watch?run=nobody&seed=1", "is not one of"),
        (f"compare?run=patient.long&seed={SEEDS[0]}", "nobody else has played this seed"),
        (f"compare?run={ANALYST}&seed=3", "has no seed 3"),
    ):
        visit = Visit(browser, watched, SIZES["wide"])
        page = go(visit, path, "[role=alert]")
        assert words in page.inner_text("main:not([hidden])")
        page.click("text=all episodes")
        page.wait_for_selector("body[data-ready] #lines tbody tr")
        visit.context.close()


def test_play_beside_it(visit: Visit) -> None:
    """The links lead between the views, and Play works as without them."""
    page: Any = go(visit, "watch", "#lines tbody tr")
    page.click("#views >> text=Play")
    page.wait_for_selector("body[data-ready] #cells rect.cell")
    assert page.get_attribute("#views a[aria-current]", "href") == "/"
    page.click("text=suspicious dates")
    wait_for(lambda: page.locator("#chips button").count() == 1)
    page.click("#submit")
    page.wait_for_selector("#score")
    assert page.evaluate(CONTRAST) == []
    page.click("#views >> text=Compare")
    page.wait_for_selector("body[data-ready] .side rect.cell")
