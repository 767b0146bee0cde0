"""Holidays of one's own history as known events: announced by the fit, told to agents, and nothing to look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_own_data import STEPS, shop_history

from agents import evaluate
from agents.own_data.files import FIT, FITTED, HELD_OUT, FitReport, read_model
from agents.own_data.fit import fit
from agents.own_data.watch import watch
from metric_tracker_env import MetricTrackerEnv, load_config
from metric_tracker_env.history import History, HistoryError

YEARS = 800  # days: from January 2026 on, with two Independence Days before the last weeks


def thinned(history: History, date: str, kept: float) -> History:
    """The history with a share of the visits of a day, and what follows from them."""
    counts = history.counts.copy()
    at = history.dates == np.datetime64(date)
    counts[at] = np.random.default_rng(1).binomial(counts[at], kept)
    counts[at] = np.minimum.accumulate(counts[at], axis=2)
    return replace(history, counts=counts)


@pytest.fixture(scope="module")
def shop() -> History:
    """A shop that half of the visits stay away from on each Independence Day; it ends soon after the third."""
    history = shop_history(YEARS + 120)
    for year in (2026, 2027, 2028):
        history = thinned(history, f"{year}-07-04", 0.5)
    return history.between(last="2028-07-09")


@pytest.fixture(scope="module")
def folder(shop: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fit of it, the last four weeks held out."""
    place = tmp_path_factory.mktemp("own")
    fit(shop, place, held_out_weeks=4, country="US", holidays="announced")
    return place


def test_the_fit_says_what_is_expected_of_holidays(folder: Path) -> None:
    """The third Independence Day by the two before it; the fitted world has known events, and no lost hours."""
    report = read_model(folder / FIT, FitReport)
    told = {item.date: item for item in report.announced}
    day = told["2028-07-04"]
    assert (day.holiday, day.measure, day.change) == ("Independence Day", STEPS[0], pytest.approx(-0.5, abs=0.03))
    config = load_config(folder / FITTED)
    assert config.generator.world is not None
    assert config.generator.world.events == (0, report.most_announced)
    assert config.generator.world.gaps == (0, 0)
    assert report.most_announced >= 1


def test_held_out_weeks_hold_the_holiday_as_a_known_event(folder: Path) -> None:
    """It is announced, it came true, and it is explained; the analyst finds what was injected beside it."""
    config = load_config(folder / HELD_OUT)
    env = MetricTrackerEnv(config=config)
    env.reset(seed=0)
    env.step(env.actions.encode("submit"))
    episode = env.episode()
    (event,) = [event for event in episode.known_events if event.kind == "holiday" and event.expected_change < -40]
    place = episode.known_events.index(event)
    assert episode.event_effects[place]
    assert episode.explanation(episode.dates.index(event.first_date), 0) == event
    played = evaluate("analyst", range(1_000_000, 1_000_100), config=config)
    assert played.mean("f1") >= 0.95
    blind = evaluate("analyst_blind", range(1_000_000, 1_000_100), config=config)
    assert blind.mean("f1") < played.mean("f1") - 0.1


def test_a_holiday_that_does_as_before_is_nothing_to_look_at(folder: Path, shop: History) -> None:
    """Neither a row nor an explained one; the same drop on a day of no holiday is a row."""
    report = watch(folder, shop, until="2028-07-07").report
    assert (report.rows, report.explained) == ((), ())
    report = watch(folder, thinned(shop, "2028-07-07", 0.5), until="2028-07-07").report
    assert [(row.date, row.measure) for row in report.rows] == [("2028-07-07", STEPS[0])]


def test_one_that_does_not_is_explained_by_its_name(folder: Path, shop: History) -> None:
    """Hardly a visit on Independence Day: more than was announced, and still near a holiday."""
    report = watch(folder, thinned(shop, "2028-07-04", 0.1), until="2028-07-07").report
    assert report.rows == ()
    assert {(row.date, row.holiday) for row in report.explained} == {("2028-07-04", "Independence Day")}


def test_without_being_announced_nothing_of_the_fit_changes(shop: History, tmp_path: Path) -> None:
    """A country alone explains, in reports; the fitted world knows no events."""
    found = fit(shop, tmp_path, held_out_weeks=4, country="US")
    assert found.config.generator.world is None
    assert (found.report.announced, found.report.most_announced) == ((), 0)


def test_watch_learns_nothing_from_a_day_that_the_fit_was_told_to_ignore(shop: History, tmp_path: Path) -> None:
    """An outage on a holiday of the past is not what the next one is expected to do."""
    outage = thinned(shop, "2027-07-04", 0.01)
    fit(outage, tmp_path, held_out_weeks=4, country="US", holidays="announced", ignore=["2027-07-04"])
    assert read_model(tmp_path / FIT, FitReport).ignore == ("2027-07-04",)
    report = watch(tmp_path, outage, until="2028-07-07").report
    assert (report.rows, report.explained) == ((), ())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"holidays": "anounced"}, r"holidays='anounced' is not one of \['explained', 'announced'\]"),
        ({}, "holidays='announced' needs country, whose holidays they are"),
        ({"country": "US", "num_weeks": 2}, "holidays='announced' needs weeks of at least 3; an episode has 2"),
    ],
)
def test_what_cannot_be_announced_is_refused(tmp_path: Path, options: dict[str, object], told: str) -> None:
    """By the option that is missing, before anything is written."""
    with pytest.raises(HistoryError, match=told):
        fit(shop_history(), tmp_path / "own", held_out_weeks=4, **({"holidays": "announced"} | options))  # pyright: ignore[reportArgumentType] - options by name
    assert not (tmp_path / "own").exists()


def test_a_history_without_holidays_has_none_to_announce(tmp_path: Path) -> None:
    """Weeks between two holidays: nothing can be expected of any day."""
    with pytest.raises(HistoryError, match="needs holidays: from those of US in this history nothing can be expected"):
        fit(
            shop_history(230).between("2026-07-07", "2026-08-22"),
            tmp_path / "own",
            held_out_weeks=0,
            country="US",
            holidays="announced",
        )
