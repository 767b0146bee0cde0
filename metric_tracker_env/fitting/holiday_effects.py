"""What holidays did to a history, so that they can be known before they come again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from metric_tracker_env.fitting.fit import HistoryFit
from metric_tracker_env.history.holiday_calendar import HolidayWindow
from metric_tracker_env.measure import NOISE_MULTIPLES

VISIBLE = NOISE_MULTIPLES["hard"]  # noises from which on a holiday is held to have changed a measure


@dataclass(frozen=True)
class HolidayEffect:
    """A measure that a holiday changed on one of its days."""

    name: str  # of the holiday
    offset: int  # days after the holiday
    measure: str
    change: float  # share of what would have been expected, mean over the years
    noises: float  # signed, in the noise of that mean
    years: int  # in the history


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
    place = {day: i for i, day in enumerate(fit.history.dates.tolist())}
    found: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for window in windows:
        for date in window.dates:
            if fit.history.known[place[date]]:
                found[window.name, window.offset(date)].append(place[date])
    effects: list[HolidayEffect] = []
    for (name, offset), days in sorted(found.items()):
        for column, measure in enumerate(fit.measures):
            changes = fit.deviation[days, column]
            changes = changes[np.isfinite(changes)]
            if not len(changes):
                continue
            change = float(changes.mean())
            noises = change / float(fit.noise[column]) * len(changes) ** 0.5
            if abs(noises) > VISIBLE:
                effects.append(HolidayEffect(name, offset, measure, change, noises, len(changes)))
    return tuple(effects)
