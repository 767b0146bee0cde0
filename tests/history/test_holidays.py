"""Holidays of a history's days, with the days that they may change."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import numpy as np
import pytest

from metric_tracker_env.fitting import fit_history, holiday_effects
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
