"""What holidays did to a history, and what that lets one expect of a day near one."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from metric_tracker_env.fitting.fit import HistoryFit
from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.history.holiday_calendar import HolidayWindow
from metric_tracker_env.measure import NOISE_MULTIPLES

VISIBLE = NOISE_MULTIPLES["hard"]  # noises from which on a holiday is held to have changed a measure
NOTHING = -1


@dataclass(frozen=True)
class HolidayEffect:
    """A measure that a holiday changed on one of its days."""

    name: str  # of the holiday
    offset: int  # days after the holiday
    measure: str
    change: float  # share of what would have been expected, mean over the years
    noises: float  # signed, in the noise of that mean
    years: int  # in the history


class ExpectedChanges(NamedTuple):
    """What is known of each of D days before it comes: the measure that a holiday near it is expected to move."""

    measure: np.ndarray  # (D,) int64 column of the fit's measures; NOTHING where nothing is expected
    change: np.ndarray  # (D,) float64 share of what would be usual

    @classmethod
    def nothing(cls, days: int) -> ExpectedChanges:
        """There are no holidays, or nothing is known of them."""
        return cls(np.full(days, NOTHING), np.zeros(days))


def holiday_effects(fit: HistoryFit, windows: Iterable[HolidayWindow]) -> tuple[HolidayEffect, ...]:
    """What the holidays changed by more than noise, by holiday, day and measure.

    A fit is right when the windows' days were left out of it (``ignore``).

    >>> import numpy as np
    >>> from metric_tracker_env.fitting import fit_history
    >>> from metric_tracker_env.history import History, holiday_windows
    >>> days = np.arange("2026-08-03", "2026-12-21", dtype="datetime64[D]")
    >>> visits = 1000 + np.arange(len(days)) * 7 % 20
    >>> visits[days == np.datetime64("2026-11-26")] = 500  # Thanksgiving
    >>> history = History(("visits",), days, visits[:, None, None])
    >>> windows = holiday_windows(history, "US")
    >>> fit = fit_history(history, ignore=[date for window in windows for date in window.dates])
    >>> for effect in holiday_effects(fit, windows):
    ...     print(effect.name, effect.offset, effect.measure, f"{effect.change:+.0%}")
    Thanksgiving Day 0 visits -50%

    Args:
        fit: What is normal in the history.
        windows: Of its days, as ``holiday_windows`` gives them.

    Returns:
        Effects by holiday, offset and measure.
    """
    effects: list[HolidayEffect] = []
    for (name, offset), days in sorted(days_of(fit, windows).items()):
        for column, measure in enumerate(fit.measures):
            change, noises, years = mean_change(fit, days, column)
            if abs(noises) > VISIBLE:
                effects.append(HolidayEffect(name, offset, measure, change, noises, years))
    return tuple(effects)


def expected_changes(
    fit: HistoryFit,
    windows: Iterable[HolidayWindow],
    dates: Sequence[dt.date] | np.ndarray,
    ignore: Iterable[str | dt.date] = (),
) -> ExpectedChanges:
    """What the holidays of a history let one expect of each of D days, which may come after it.

    A day near a holiday is expected to do what the same day of the same holiday did in other years: the one measure
    that moved furthest beyond its noise, of the first count, the step rates and the daytime share, from which all else
    follows; and nothing where none did. Of a holiday that the history has in no other year, the mean of what the others
    did to the first count so many days from them is expected, if that is visible. A day's own values are never used.

    >>> import numpy as np
    >>> from metric_tracker_env.fitting import fit_history
    >>> from metric_tracker_env.history import History, holiday_windows
    >>> days = np.arange("2024-01-01", "2026-01-01", dtype="datetime64[D]")
    >>> visits = 1000 + np.arange(len(days)) * 7 % 20
    >>> visits[days == np.datetime64("2024-07-04")] = 500
    >>> history = History(("visits",), days, visits[:, None, None])
    >>> windows = holiday_windows(history, "US")
    >>> fit = fit_history(history, ignore=[date for window in windows for date in window.dates])
    >>> print(f"{expected_changes(fit, windows, ['2025-07-04']).change[0]:+.0%}")
    -50%

    Args:
        fit: What is normal, and did happen, in the history that may be learnt from.
        windows: Of the holidays near the D days and of the history.
        dates: D days, as dates or datetime64[D].
        ignore: Days of which nothing may be learnt, such as those of known incidents.

    Raises:
        HistoryError: if a day is asked for twice.
    """
    windows = tuple(windows)
    asked = np.asarray(dates, "datetime64[D]").tolist()
    place = {day: i for i, day in enumerate(asked)}
    if len(place) < len(asked):
        twice = next(day for i, day in enumerate(asked) if place[day] != i)
        raise HistoryError(f"dates has {twice} twice; each day may be asked for once", value=str(twice), option="dates")
    in_fit = {day: i for i, day in enumerate(fit.history.dates.tolist())}
    ignored = {str(day) for day in ignore}
    happened = {
        key: [day for day in days if str(fit.history.dates[day]) not in ignored]
        for key, days in days_of(fit, windows).items()
    }
    found = ExpectedChanges.nothing(len(place))
    for window in windows:
        for date in sorted(set(window.dates) & place.keys()):
            offset = window.offset(date)
            same = [day for day in happened.get((window.name, offset), ()) if day != in_fit.get(date)]
            if same:
                column, change = most_moved(fit, same)
            else:
                alike = [days for (name, at), days in happened.items() if name != window.name and at == offset]
                column, (change, noises, _) = 0, mean_change(fit, sorted(chain(*alike)), 0)
                change *= abs(noises) > VISIBLE
            if change:
                found.measure[place[date]], found.change[place[date]] = column, change
    return found


def most_moved(fit: HistoryFit, days: Sequence[int]) -> tuple[int, float]:
    """The measure that moved furthest beyond its noise on some days, and its mean change, or 0 where none did."""
    steps, measures = len(fit.history.steps), len(fit.measures)
    roots = [0, *range(steps, 2 * steps - 1), *([measures - 1] if fit.history.hourly else [])]
    changes = {column: mean_change(fit, days, column) for column in roots}
    column = max(roots, key=lambda column: abs(changes[column][1]))
    change, noises, _ = changes[column]
    return (column, change) if abs(noises) > VISIBLE else (column, 0.0)


def days_of(fit: HistoryFit, windows: Iterable[HolidayWindow]) -> dict[tuple[str, int], list[int]]:
    """Positions of the known days of a history near its holidays, by name and days after the holiday."""
    place = {day: i for i, day in enumerate(fit.history.dates.tolist())}
    found: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for window in windows:
        for date in window.dates:
            if date in place and fit.history.known[place[date]]:
                found[window.name, window.offset(date)].append(place[date])
    return dict(found)


def mean_change(fit: HistoryFit, days: Sequence[int], column: int) -> tuple[float, float, int]:
    """Mean deviation of a measure on some days, that mean in its own noise, and the days on which there is one."""
    changes = fit.deviation[list(days), column]
    changes = changes[np.isfinite(changes)]
    if not len(changes):
        return 0.0, 0.0, 0
    change = float(changes.mean())
    return change, change / float(fit.noise[column]) * len(changes) ** 0.5, len(changes)
