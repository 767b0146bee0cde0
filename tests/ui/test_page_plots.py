"""The plots of the selection: what weekday and trend lead one to expect, the usual hours, and the clean twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_page import SIZES, Visit
from helpers_serve import wait_for
from playwright.sync_api import Browser, Page

from agents import cli
from metric_tracker_env import get_task
from metric_tracker_env.ui.snapshot import snapshot
from metric_tracker_env.ui.visitor import Visitor

SEED = 12


def begun(task: str = "realistic_medium") -> Visitor:
    """A visitor with an episode that has incidents."""
    visitor = Visitor(task)
    visitor.begin(None, SEED, {})
    return visitor


def incident() -> tuple[int, int]:
    """Day and entity of a count or rate that an incident has moved."""
    episode = begun().episode()
    generator = episode.generator_config
    kinds = ("event_count", "conversion_rate")
    row = next(row for row in episode.expected_rows if row.entity_type in kinds)
    return generator.day_index(row.date), generator.catalogue.index[row.entity_type, row.entity_name]


@pytest.mark.parametrize("task", ["medium_mixed", "realistic_medium"])
def test_the_expectation_is_told_of_opened_dates_alone(task: str) -> None:
    """It is what the tool has answered; at the end there is one of every date."""
    visitor = begun(task)
    names = visitor.session.config.generator.date_names
    assert snapshot(visitor)["seasonal"] == []
    for day in (9, 4, 9):
        visitor.call("rows_for_date", {"date": names[day]})
    visitor.call("hourly_rows_for_date", {"date": names[20]})
    visitor.call("rows_for_date", {"date": "nonsense"})
    answers = [step.result for step in visitor.steps[:2]]
    assert snapshot(visitor)["seasonal"] == [
        {"d": day, "v": answer["seasonal"]["seasonal_baseline"], "k": number}
        for day, number, answer in ((4, 2, answers[1]), (9, 1, answers[0]))
        if answer is not None
    ]
    visitor.submit()
    late = snapshot(visitor)["seasonal"]
    expected = visitor.episode().view.seasonal_baseline
    assert [item["v"] for item in late] == pytest.approx(expected.tolist(), abs=1e-3)
    assert [item["d"] for item in late if item["k"]] == [4, 9]


def test_the_twin_is_that_of_the_episode() -> None:
    """Counts and rates without incidents, by day; none of hours and impossible counts, which a day does not tell."""
    visitor = begun()
    visitor.call("rows_for_date", {"date": visitor.session.config.generator.date_names[3]})
    assert snapshot(visitor)["truth"] is None
    visitor.submit()
    truth, episode = snapshot(visitor)["truth"], visitor.episode()
    catalogue = episode.generator_config.catalogue
    counts = episode.twin_daily
    for place, entity in enumerate(catalogue.entities):
        if entity.entity_type == "event_count":
            assert truth["twin"][place] == counts[:, place].tolist()
        elif entity.entity_type in ("conversion_rate", "funnel_step"):
            spans = catalogue.spans if entity.entity_type == "conversion_rate" else None
            first, last = catalogue.slices[entity.entity_type].start, place
            below, above = (last - first, last - first + 1) if spans is None else spans[last - first]
            assert truth["twin"][place] == pytest.approx((100 * counts[:, above] / counts[:, below]).tolist(), abs=1e-3)
        else:
            assert truth["twin"][place] is None
    changed = np.argwhere(episode.daily != counts)
    assert {int(day) for day, _ in changed} <= {day for day, _ in np.argwhere(episode.classes > 0).tolist()}
    shares = episode.hourly[:, :, 0] / episode.hourly[:, :, 0].sum(axis=1, keepdims=True)
    assert truth["profile"] == pytest.approx(np.median(shares, axis=0).tolist(), abs=1e-4)


def opened(page: Page, days: list[int], entity: int, keys: str) -> None:
    """Select cells, and press the keys on each."""
    for day in days:
        page.click(f"rect.cell[data-day='{day}'][data-entity='{entity}']")
        for key in keys:
            before = page.locator("#chips button").count()
            page.keyboard.press(key)
            wait_for(lambda before=before: page.locator("#chips button").count() == before + 1)


def test_lines_of_the_plots(visit: Visit) -> None:
    """Dotted from the second opened date on; dashed at the end, not with the truth hidden, nor at an earlier call."""
    day, entity = incident()
    days = [place for place in (4, 11, 18) if place != day]
    page = visit.open(f"?task=realistic_medium&seed={SEED}")
    opened(page, [day], entity, "o")
    page.click("#tabs button >> nth=0")
    counts = len(get_task("realistic_medium").config.generator.catalogue.count_metrics)
    plots, expected, twin = page.locator(".plots svg"), page.locator("polyline.expected"), page.locator("polyline.twin")
    assert (plots.count(), expected.count(), twin.count()) == (11, 0, 0)
    assert page.locator("line.expected").count() == counts
    opened(page, days, entity, "o")
    assert (expected.count(), twin.count()) == (counts, 0)
    page.click("#tabs >> text=Why")
    assert "without incidents" not in page.inner_text("#view")
    page.click("#submit")
    page.wait_for_selector("#score")
    page.click(f"rect.cell[data-day='{day}'][data-entity='{entity}']")
    assert "without incidents" in page.inner_text("#view")
    page.click("#tabs button >> nth=0")
    wait_for(lambda: plots.count() == len(begun().session.config.generator.catalogue.entities))
    assert (expected.count(), twin.count()) == (counts, counts + 6 + counts - 1)
    apart = "([twin, data]) => twin.getAttribute('points') !== data.getAttribute('points')"
    own = page.locator(".plots > div").nth(entity).locator("svg")
    lines = own.locator("polyline").all()
    assert page.evaluate(apart, [lines[0].element_handle(), lines[1].element_handle()])
    page.click("#truth")
    wait_for(lambda: twin.count() == 0)
    assert "without incidents" not in page.inner_text("#view")
    page.click("#truth")
    page.click("#chips button >> nth=0")
    wait_for(lambda: plots.count() == 11)
    assert (expected.count(), twin.count()) == (0, 0)
    page.click("#tabs >> text=Why")
    assert "at the end" not in page.inner_text("#view")


def test_the_usual_hours(visit: Visit) -> None:
    """A median profile is drawn of three dates that were looked at, and of all dates at the end."""
    page = visit.open(f"?task=realistic_medium&seed={SEED}")
    opened(page, [2, 5], 0, "h")
    assert "once the hours of 3 dates" in page.inner_text("#view")
    assert page.locator("path.profile").count() == 0
    opened(page, [9], 0, "h")
    assert "median profile of the 3 dates" in page.inner_text("#view")
    assert page.locator("path.profile").count() == 1
    page.click("#submit")
    page.wait_for_selector("#score")
    assert "median profile of all dates" in page.inner_text("#view")


def test_the_funnel_without_incidents(visit: Visit) -> None:
    """Beside this date and the median, once the truth is told."""
    day, entity = incident()
    page = visit.open(f"?task=realistic_medium&seed={SEED}")
    opened(page, [day], entity, "o")
    page.click("#tabs >> text=Funnel")
    assert page.locator("rect.twin").count() == 0
    page.click("#submit")
    page.wait_for_selector("#score")
    told = page.inner_text("#view")
    for count in begun().episode().twin_daily[day].tolist():
        assert f"clean {count:,}" in told


def test_the_exported_file_draws_the_same(tmp_path: Path, browser: Browser) -> None:
    """Expectation, twin and usual hours without a server; at an earlier call what the agent knew then."""
    output = tmp_path / "replay.html"
    cli.main(["export-html", "analyst", "--task", "realistic_medium", "--seed", str(SEED), "--output", str(output)])
    page = browser.new_page(viewport={"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(output.as_uri())
    page.wait_for_selector("body[data-ready] rect.cell")
    catalogue = get_task("realistic_medium").config.generator.catalogue
    assert page.locator("polyline.twin").count() == sum(
        entity.entity_type in ("event_count", "conversion_rate", "funnel_step") for entity in catalogue.entities
    )
    assert page.locator("polyline.expected").count() == len(catalogue.count_metrics)
    page.click("#chips button >> nth=0")
    wait_for(lambda: page.locator("polyline.twin").count() == 0)
    assert page.locator("polyline.expected").count() == 0
    assert faults == []
    page.close()
