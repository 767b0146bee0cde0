"""The options of an episode: the form of them, where a refused one is told, and the link that holds them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import pytest
from helpers_page import SIZES, Visit
from helpers_serve import wait_for
from playwright.sync_api import Browser, Page

from metric_tracker_env import MetricDataGenerator, Session, get_task
from metric_tracker_env.config import METHODS, EpisodeOptions
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.options import RefusedError, options_form
from metric_tracker_env.ui.visitor import Visitor

EASY = get_task("realistic_easy").config
DATE = EASY.generator.date_names[9]
BREAK = {"method_name": "funnel_break", "step_name": "menu_opens", "keep": 0.5}
SHIFT = {"method_name": "metric_stddev_shift", "metric_name": "app_opens", "stddev_factor": 3, "date": DATE}


@pytest.mark.parametrize("task", TASKS)
def test_the_form_offers_what_is_possible(task: str) -> None:
    """All options with the task's values; of each method the names and dates of this funnel, each of which is taken."""
    config = get_task(task).config
    form = options_form(config)["options"]
    assert set(form) == set(EpisodeOptions.model_fields)
    assert form["difficulty"]["default"] == config.difficulty
    methods = form["anomaly_generators"]["methods"]
    kinds = {entity.entity_type for entity in config.generator.catalogue.entities}
    assert [method["name"] for method in methods] == [
        name for name, method in METHODS.items() if kinds & set(method.entity_types)
    ]
    for method in methods:
        assert method["fields"]["date"]["names"] == list(config.generator.date_names)
        named = METHODS[method["name"]].named
        if named is None:
            continue
        names = method["fields"][named[0]]["names"]
        assert names == method["fields"][named[1]]["names"]
        parameter = METHODS[method["name"]].parameter
        for name in names:
            item = {"method_name": method["name"], named[0]: name, parameter: 0.5, "date": DATE}
            assert METHODS[method["name"]].model_validate(item).entities(config.generator.catalogue)


@pytest.mark.parametrize(
    ("options", "place", "words"),
    [
        ({"difficulty": "odd"}, ("difficulty", None, None), "'easy', 'medium' or 'hard'"),
        ({"anomaly_count": "x"}, ("anomaly_count", None, None), "'x' given"),
        ({"anomaly_count": [4, 1]}, ("anomaly_count", None, None), "must not fall"),
        ({"anomaly_count": 99}, ("anomaly_count", None, None), "at most 7 do"),
        ({"anomaly_density": "high"}, ("anomaly_density", None, None), "does nothing beside anomaly_count"),
        ({"anomaly_generators": 3}, ("anomaly_generators", None, None), "given 3"),
        (
            {"anomaly_generators": [SHIFT, {**SHIFT, "stddev_factor": -1}]},
            ("anomaly_generators", 1, "stddev_factor"),
            "-1",
        ),
        ({"anomaly_generators": [{**SHIFT, "dates": [""]}]}, ("anomaly_generators", 0, "dates"), "at least 1"),
        ({"anomaly_generators": [{"method_name": "none"}]}, ("anomaly_generators", 0, None), "method_name is one of"),
        (
            {"anomaly_generators": [SHIFT, {**SHIFT, "metric_name": "clicks", "date": None}, SHIFT]},
            ("anomaly_generators", 1, None),
            "metric 'clicks' is not one of",
        ),
        ({"anomaly_generators": [SHIFT, SHIFT]}, ("anomaly_generators", 1, None), "both change"),
        (
            {"anomaly_generators": [BREAK, {**SHIFT, "stddev_factor": 900, "direction": "down"}]},
            ("anomaly_generators", 1, None),
            "possible is a stddev_factor",
        ),
    ],
)
def test_a_fault_has_its_place(options: dict[str, Any], place: tuple[str, int | None, str | None], words: str) -> None:
    """The option, the row and the key that are wrong; the episode under way goes on."""
    visitor = Visitor("realistic_easy")
    visitor.begin(None, 3, {})
    with pytest.raises(RefusedError) as refused:
        visitor.begin(None, 4, options)
    (fault,) = refused.value.faults
    assert (fault.option, fault.row, fault.key) == place
    assert words in fault.text
    assert (visitor.seed, visitor.options) == (3, {})


def test_an_option_that_there_is_not() -> None:
    """Is refused by its name, also where the session has an argument of that name."""
    visitor = Visitor("realistic_easy")
    for name in ("seed", "task", "weeks"):
        with pytest.raises(ValueError, match=f"unknown option '{name}'"):
            visitor.begin(None, 4, {name: 1})


def test_chosen_anomalies_do_not_count() -> None:
    """Whoever names them knows the truth; the next episode counts again."""
    visitor = Visitor("realistic_easy")
    visitor.begin(None, 3, {"anomaly_generators": [SHIFT]})
    assert not visitor.counted
    visitor.begin(None, 3, {"anomaly_count": 2})
    assert visitor.counted


def filled(page: Page) -> None:
    """Choose options by the form: a family, a range of incidents, hard."""
    page.select_option("#difficulty", "hard")
    page.click("#options")
    page.select_option("#scenario_family", "funnel_break")
    page.fill("#anomaly_count", "1 to 2")


def test_options_by_the_form_and_the_link(visit: Visit, browser: Browser) -> None:
    """The episode is that of the options; another browser opens the same one by the address."""
    page = visit.open("?task=realistic_easy&seed=5")
    filled(page)
    page.click("#apply")
    wait_for(lambda: "scenario_family" in page.evaluate("location.search"))
    assert page.is_hidden("#choices")
    assert page.inner_text("#options") == "Options (2)"
    chosen = {"scenario_family": "funnel_break", "difficulty": "hard", "anomaly_count": [1, 2]}
    assert visit.state()["options"] == chosen
    page.click("#submit")
    page.wait_for_selector("#score")
    episode = MetricDataGenerator(EASY.generator).generate_episode(EASY.episode_config(seed=5, **chosen))
    missed = page.locator("#draft td.missed").count()
    assert missed == len(episode.expected_rows) > 0
    other = Visit(browser, visit.address, SIZES["wide"])
    other.open(page.evaluate("location.search"))
    assert other.state()["options"] == chosen
    assert other.state()["seed"] == 5
    assert other.page.input_value("#anomaly_count") == "1-2"
    assert other.faults == []
    other.context.close()
    page.click("#next")
    wait_for(lambda: "seed=6" in page.evaluate("location.search"))
    assert visit.state()["options"] == chosen


def test_anomalies_by_rows(visit: Visit) -> None:
    """Rows with the methods, names and dates of the funnel make the episode that was asked for."""
    page = visit.open("?task=realistic_easy&seed=5")
    page.click("#options")
    page.click("#add")
    page.click("#add")
    first, second = (page.locator(".anomaly").nth(place) for place in range(2))
    first.get_by_label("metric name", exact=True).select_option("app_opens")
    first.get_by_label("date", exact=True).select_option(DATE)
    first.get_by_label("direction").select_option("down")
    first.get_by_label("stddev factor").fill("4")
    second.get_by_label("method").select_option("funnel_break")
    second.get_by_label("keep").fill("0.4")
    second.get_by_label("step names").click()
    second.locator(".names").get_by_text("orders_placed").last.click()
    page.click("#apply")
    page.wait_for_selector("text=does not count: anomalies chosen")
    told: Any = visit.state()["options"]
    assert told["anomaly_generators"] == [
        {
            "method_name": "metric_stddev_shift",
            "date": DATE,
            "direction": "down",
            "metric_name": "app_opens",
            "stddev_factor": 4,
        },
        {"method_name": "funnel_break", "step_names": ["orders_placed"], "keep": 0.4},
    ]
    page.reload()
    page.wait_for_selector("body[data-ready] rect.cell")
    page.click("#options")
    assert first.get_by_label("stddev factor").input_value() == "4"
    page.get_by_label("take this anomaly out").first.click()
    assert page.locator(".anomaly").count() == 1
    page.click("#choices >> text=clear")
    assert page.locator(".anomaly").count() == 0


def test_what_is_refused_is_told_at_its_row(browser: Browser, address: str) -> None:
    """At the field where there is one, else at the row; the episode under way goes on."""
    visit = Visit(browser, address, SIZES["wide"])
    page = visit.open("?task=realistic_easy&seed=5")
    page.click("#options")
    for _ in range(2):
        page.click("#add")
    first, second = (page.locator(".anomaly").nth(place) for place in range(2))
    first.get_by_label("stddev factor").fill("3")
    first.get_by_label("metric name", exact=True).select_option("app_opens")
    page.click("#apply")
    wait_for(lambda: second.locator(".field .fault:not(:empty)").count() == 1)
    assert "required" in second.inner_text()
    second.get_by_label("metric name", exact=True).select_option("app_opens")
    second.get_by_label("stddev factor").fill("900")
    second.get_by_label("direction").select_option("down")
    page.click("#apply")
    wait_for(lambda: "possible is a stddev_factor" in second.inner_text())
    assert "required" not in second.inner_text()
    assert first.locator(".fault:not(:empty)").count() == 0
    page.fill("#anomaly_count", "many")
    page.click("#apply")
    wait_for(lambda: "'many' given" in page.inner_text("#choices"))
    page.keyboard.press("Escape")
    assert page.is_hidden("#choices")
    assert visit.state()["options"] == {}
    assert page.evaluate("document.activeElement.id") == "options"
    visit.context.close()


def test_a_link_that_asks_too_much_is_refused_in_words(browser: Browser, address: str) -> None:
    """A link with a bad option opens the form with what is wrong; one with a bad difficulty says it."""
    for query, where, words in (
        ("anomaly_count=99", "#choices", "at most 7 do"),
        ("anomaly_generators=[{", "#choices", "given '[{'"),
        ("seed=99999999999999999999", "#status", "is not a whole number from 0 to"),
    ):
        visit = Visit(browser, address, SIZES["wide"])
        page = visit.open(f"?task=realistic_easy&seed=5&{query}".replace("seed=5&seed", "seed"))
        wait_for(lambda page=page, where=where, words=words: words in page.inner_text(where))
        visit.context.close()


def test_the_call_in_python_plays_the_same_episode(visit: Visit) -> None:
    """With the options of the episode: what is copied from the page gives the same answer."""
    page = visit.open("?task=realistic_easy&seed=5&difficulty=hard&anomaly_count=2")
    page.click("rect.cell[data-day='9'][data-entity='0']")
    page.click("#actions >> text=open")
    wait_for(lambda: page.locator("#chips button").count() == 1)
    page.click("#tabs >> text=Call")
    told = page.inner_text("#view pre >> nth=0")
    assert 'play.reset(seed=5, difficulty="hard", anomaly_count=2)' in told
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(told, {})
    session = Session("realistic_easy")
    session.begin(5, difficulty="hard", anomaly_count=2)
    answer = session.call("rows_for_date", {"date": DATE})
    assert answer.result is not None
    steps: Any = visit.state()["steps"]
    assert from_tables(answer.result) == steps[0]["result"]
    assert printed.getvalue().strip() == answer.text
