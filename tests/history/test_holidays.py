"""Holidays of a history's days, with the days that they may change."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import numpy as np
import pytest

from metric_tracker_env.fitting import expected_changes, fit_history, holiday_effects
from metric_tracker_env.fitting.holiday_effects import NOTHING
from metric_tracker_env.history import History, HistoryError, holiday_windows


def flat(first: str, last: str) -> History:
    """A history of constant counts."""
    days = np.arange(first, np.datetime64(last) + 1, dtype="datetime64[D]")
    return History(("visits",), days, np.full((len(days), 1, 1), 900))


def test_a_window_has_the_days_beside_and_the_weekend() -> None:
    """A Thursday takes Wednesday, Friday and the weekend that follows; a Monday the weekend before."""
    windows = {window.name: window for window in holiday_windows(flat("2026-09-01", "2026-12-20"), "US")}
    thursday, monday = windows["Thanksgiving Day"], windows["Labor Day"]
    assert [date.isoformat()[5:] for date in thursday.dates] == ["11-25", "11-26", "11-27", "11-28", "11-29"]
    assert [date.isoformat()[5:] for date in monday.dates] == ["09-05", "09-06", "09-07", "09-08"]
    assert [monday.offset(date) for date in monday.dates] == [-2, -1, 0, 1]


def test_a_day_belongs_to_the_nearer_holiday() -> None:
    """Windows share no day, and hold days of the history alone; the country and its part count."""
    history = flat("2025-12-20", "2026-01-05")
    windows = holiday_windows(history, "DE", "BY", beside=4)
    days = [date for window in windows for date in window.dates]
    assert len(days) == len(set(days))
    owner = {date: window.name for window in windows for date in window.dates}
    assert owner[dt.date(2025, 12, 25)] == "Christmas Day"
    assert owner[dt.date(2025, 12, 31)] == "New Year's Day"
    assert owner[dt.date(2026, 1, 5)] == "Epiphany"  # the holiday itself comes a day after the history
    assert min(days) >= dt.date(2025, 12, 20)
    assert max(days) <= dt.date(2026, 1, 5)
    elsewhere = holiday_windows(history, "DE", beside=4)
    assert "Epiphany" not in {window.name for window in elsewhere}
    assert holiday_windows(flat("2026-02-02", "2026-02-10"), "DE") == ()


def test_effects_are_means_over_the_years() -> None:
    """A holiday that comes twice has the mean of its changes; days that are not known are left out."""
    history = flat("2024-01-01", "2025-12-31")
    counts = history.counts + (np.arange(731) * 7 % 20)[:, None, None]
    for date, kept in (("2024-07-04", 0.5), ("2025-07-04", 0.7)):
        counts[history.dates == np.datetime64(date)] = int(900 * kept)
    history = History(history.steps, history.dates, counts)
    windows = holiday_windows(history, "US")
    ignore = [date for window in windows for date in window.dates]
    fit = fit_history(history, ignore=ignore)
    (effect,) = holiday_effects(fit, windows)
    assert (effect.name, effect.offset, effect.measure, effect.years) == ("Independence Day", 0, "visits", 2)
    assert effect.change == pytest.approx(-0.4, abs=0.02)
    known = history.dates != np.datetime64("2025-07-04")
    (effect,) = holiday_effects(
        fit_history(History(history.steps, history.dates, counts, known), ignore=ignore), windows
    )
    assert effect.years == 1
    assert effect.change == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"country": "XX"}, "country='XX' with subdivision=None is not known"),
        ({"country": 3}, "country=3 with"),
        ({"country": "US", "subdivision": "BY"}, "subdivision='BY' is not known"),
        ({"country": "US", "beside": -1}, "beside=-1 is not a whole number from 0 to 14"),
        ({"country": "US", "beside": 1.0}, "beside=1.0 is not"),
    ],
)
def test_unknown_countries_are_refused(kwargs: dict[str, Any], words: str) -> None:
    """What is not known is named with what is allowed."""
    with pytest.raises(HistoryError, match=words):
        holiday_windows(flat("2026-01-01", "2026-03-01"), **kwargs)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to install."""
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ImportError, match=r"metric_tracker_env\[history\]"):
        holiday_windows(flat("2026-01-01", "2026-03-01"), "US")


def yearly(july: dict[int, float], last: str = "2026-12-31", **others: float) -> History:
    """Three years of visits, with a factor on the fourth of July of each year, and on further dates."""
    history = flat("2024-01-01", last)
    noise = np.random.default_rng(1).integers(-9, 10, len(history.dates))
    counts = history.counts + noise[:, None, None]
    factors = {f"{year}-07-04": kept for year, kept in july.items()}
    factors |= {date.replace("_", "-"): kept for date, kept in others.items()}
    for date, kept in factors.items():
        counts[history.dates == np.datetime64(date)] = int(900 * kept)
    return History(history.steps, history.dates, counts)


def expected_of(history: History, learnt: History, date: str) -> tuple[int, float]:
    """The measure and change that are expected of a date, learnt from a part of a history."""
    windows = holiday_windows(history, "US")
    ignore = [day for window in windows for day in window.dates if day <= learnt.dates[-1].item()]
    found = expected_changes(fit_history(learnt, ignore=ignore), windows, history.dates)
    (place,) = np.flatnonzero(history.dates == np.datetime64(date)).tolist()
    return found.measure[place], found.change[place]


def test_a_holiday_is_expected_to_do_what_it_did_in_other_years() -> None:
    """The mean of the other years that may be learnt from, and never what the day itself does."""
    history = yearly({2024: 0.5, 2025: 0.7, 2026: 0.1})
    before = history.between(last="2026-06-30")
    measure, change = expected_of(history, before, "2026-07-04")
    assert (measure, change) == (0, pytest.approx(-0.4, abs=0.01))
    assert expected_of(history, before, "2025-07-04") == (0, pytest.approx(-0.5, abs=0.01))
    assert expected_of(history, history, "2024-07-04") == (0, pytest.approx(-0.6, abs=0.01))


def test_nothing_is_learnt_from_a_day_that_is_ignored() -> None:
    """A holiday on which something broke is left out of what the next one is expected to do."""
    history = yearly({2024: 0.1, 2025: 0.7, 2026: 0.7})
    windows = holiday_windows(history, "US")
    fit = fit_history(history, ignore=[day for window in windows for day in window.dates])
    plain, without = (
        expected_changes(fit, windows, [dt.date(2026, 7, 4)], ignore).change[0] for ignore in ((), ["2024-07-04"])
    )
    assert (plain, without) == (pytest.approx(-0.6, abs=0.01), pytest.approx(-0.3, abs=0.01))


def test_a_day_is_asked_for_once() -> None:
    """A second time is refused with the day."""
    history = yearly({2024: 0.5}, last="2024-12-20")
    with pytest.raises(HistoryError, match="dates has 2024-07-04 twice"):
        expected_changes(fit_history(history), (), [dt.date(2024, 7, 4)] * 2)


def test_what_is_no_more_than_noise_is_not_expected_of_a_new_holiday() -> None:
    """Where no holiday did anything visible, nothing is expected of one that comes for the first time."""
    history = yearly({2024: 1.0}, last="2024-12-20")
    assert expected_of(history, history.between(last="2024-10-31"), "2024-11-28") == (NOTHING, 0.0)


def test_a_holiday_that_changes_nothing_is_expected_to_do_so_again() -> None:
    """Where the same holiday did nothing visible, nothing is expected, nor on a day without a holiday."""
    history = yearly({2024: 0.5, 2025: 0.5, 2026: 0.5})
    assert expected_of(history, history, "2026-09-07") == (NOTHING, 0.0)  # Labor Day
    assert expected_of(history, history, "2026-09-16") == (NOTHING, 0.0)


def test_of_a_new_holiday_the_mean_of_the_others_is_expected() -> None:
    """So many days from it; a holiday whose effects lie on other days tells nothing of it."""
    history = yearly({2024: 0.5}, last="2024-12-20")
    before = history.between(last="2024-10-31")
    measure, change = expected_of(history, before, "2024-11-28")
    windows = holiday_windows(before, "US")
    days = [window.holiday for window in windows if window.holiday in window.dates]
    assert len(days) == 8
    assert (measure, change) == (0, pytest.approx(-0.5 / 8, abs=0.005))


def test_the_measure_that_moved_most_is_the_one_expected() -> None:
    """Of the first count and the step rates; what follows from them, such as a later count, is none."""
    days = np.arange("2024-01-01", "2025-12-31", dtype="datetime64[D]")
    noise = np.arange(len(days)) * 7 % 20
    visits = 1000 + noise
    orders = visits * 3 // 10
    for year in ("2024", "2025"):
        at = days == np.datetime64(f"{year}-07-04")
        visits[at] = 950
        orders[at] = 95
    history = History(("visits", "orders"), days, np.stack([visits, orders], axis=1)[:, None])
    assert expected_of(history, history, "2025-07-04") == (2, pytest.approx(-2 / 3, abs=0.02))
