"""Public holidays of a history's days, each with the days around it that it may change."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metric_tracker_env.history.errors import EXTRA, HistoryError
from metric_tracker_env.history.record import History

if TYPE_CHECKING:
    from holidays import HolidayBase

MAX_BESIDE = 14  # days
FARTHEST = (10**6, dt.date.max)


@dataclass(frozen=True)
class HolidayWindow:
    """The days of a history that a public holiday may change."""

    name: str
    holiday: dt.date
    dates: tuple[dt.date, ...]  # in order; all of them in the history

    def offset(self, date: dt.date) -> int:
        """Days after the holiday."""
        return (date - self.holiday).days


def holiday_windows(
    history: History, country: str, subdivision: str | None = None, beside: int = 1
) -> tuple[HolidayWindow, ...]:
    """The public holidays of a country within a history, each with the days beside it and the weekend that they touch.

    A day near two holidays belongs to the nearer one. The days can be left out of a fit:

    >>> import numpy as np
    >>> days = np.arange("2026-11-02", "2026-12-28", dtype="datetime64[D]")
    >>> history = History(("visits",), days, np.full((len(days), 1, 1), 900))
    >>> window = holiday_windows(history, "US")[1]
    >>> window.name, str(window.dates[0]), str(window.dates[-1])
    ('Thanksgiving Day', '2026-11-25', '2026-11-29')
    >>> ignore = [date for window in holiday_windows(history, "US") for date in window.dates]

    Args:
        history: The history.
        country: ISO 3166-1 code, such as "US" or "DE".
        subdivision: Code of a part of it, such as "NY" or "BY".
        beside: Days before and after the holiday that it may change, 0 to 14.

    Returns:
        Windows by date, of which no two share a day.

    Raises:
        HistoryError: if the country or the part of it is not known.
        ImportError: if the package ``holidays`` is not installed; names the extra.
    """
    if isinstance(beside, bool) or not isinstance(beside, int) or not 0 <= beside <= MAX_BESIDE:
        what = f"beside={beside!r} is not a whole number from 0 to {MAX_BESIDE}"
        raise HistoryError(what, value=beside, option="beside")
    first, last = history.dates[0].item(), history.dates[-1].item()
    calendar = calendar_of(country, subdivision, range(first.year - 1, last.year + 2))
    nearest: dict[dt.date, tuple[int, dt.date]] = {}
    for holiday in calendar:
        for day in days_around(holiday, beside, calendar.weekend):
            distance = abs((day - holiday).days), holiday
            if first <= day <= last and distance < nearest.get(day, FARTHEST):
                nearest[day] = distance
    windows: dict[dt.date, list[dt.date]] = {}
    for day in sorted(nearest):
        windows.setdefault(nearest[day][1], []).append(day)
    found = (HolidayWindow(calendar[holiday], holiday, tuple(days)) for holiday, days in windows.items())
    return tuple(sorted(found, key=lambda window: window.holiday))


def calendar_of(country: str, subdivision: str | None, years: range) -> HolidayBase:
    """The holidays of some years."""
    try:
        import holidays
    except ImportError as error:
        raise ImportError(f"holidays come from the package holidays: {EXTRA}") from error
    try:
        return holidays.country_holidays(country, subdiv=subdivision, years=years)
    except (NotImplementedError, AttributeError, TypeError) as error:
        what = (
            f"country={country!r} with subdivision={subdivision!r} is not known: {error}; codes are such as 'US', 'DE'"
        )
        raise HistoryError(what, value=country, option="country") from error


def days_around(holiday: dt.date, beside: int, weekend: set[int]) -> list[dt.date]:
    """The holiday, the days beside it, and the days of a weekend that these touch."""
    first, last = holiday - dt.timedelta(days=beside), holiday + dt.timedelta(days=beside)
    while (first - dt.timedelta(days=1)).weekday() in weekend:
        first -= dt.timedelta(days=1)
    while (last + dt.timedelta(days=1)).weekday() in weekend:
        last += dt.timedelta(days=1)
    return [first + dt.timedelta(days=day) for day in range((last - first).days + 1)]
