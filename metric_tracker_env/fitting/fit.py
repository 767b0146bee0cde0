"""Fitting a history: what is normal in it, what was unusual, and the smallest change that can be seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from metric_tracker_env.config import MAX_WEEKS, GeneratorConfig
from metric_tracker_env.fitting.funnel import Funnel, fit_funnel
from metric_tracker_env.fitting.parameters import FittedParameters
from metric_tracker_env.fitting.recent import parameters_of
from metric_tracker_env.history import History, HistoryError
from metric_tracker_env.history.errors import number_of
from metric_tracker_env.history.record import day_of
from metric_tracker_env.measure import NOISE_MULTIPLES
from metric_tracker_env.schema import DAYS_PER_WEEK, Difficulty

LEAST_WEEKS = 3  # to fit at all
ENOUGH_WEEKS = 16  # with fewer a fit is told to be uncertain
UNUSUAL = NOISE_MULTIPLES["easy"]  # noises from which on a day is told to be unusual


@dataclass(frozen=True)
class Unusual:
    """A measure on a day far from what is normal."""

    date: str
    measure: str
    observed: float  # events, or a share of 1
    expected: float
    noises: float  # signed distance in the measure's noise


@dataclass(frozen=True, repr=False)
class HistoryFit:
    """What is normal in a history of D days, S steps and M daily measures.

    The measures are the counts, the step rates, rates that skip steps, and where hours are known the daytime share.
    """

    history: History
    parameters: FittedParameters
    measures: tuple[str, ...]
    level: np.ndarray  # (D, S) float64 events a day, without weekday
    weekday: np.ndarray  # (D, S) float64 factor of the day's weekday
    values: np.ndarray  # (D, M) float64 events, or shares of 1
    expected: np.ndarray  # (D, M) float64 without noise
    deviation: np.ndarray  # (D, M) float64 value / expected - 1; NaN where there is none
    noise: np.ndarray  # (M,) float64 standard deviation of ordinary deviations
    good: np.ndarray  # (D,) bool days that were learnt from
    unusual: tuple[Unusual, ...]  # by date
    smallest_change: dict[Difficulty, dict[str, float]]  # by measure, as a share of its value
    natural_per_week: dict[Difficulty, float]  # dates that ordinary days would show without any incident
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"HistoryFit({len(self.history.dates)} days, {len({item.date for item in self.unusual})} of them unusual)"
        )

    @property
    def config(self) -> GeneratorConfig | None:
        """The generator's configuration, where the generator can express the parameters."""
        return None if self.parameters.obstacles() else self.parameters.config()


def fit_history(history: History, weeks: int = 4, ignore: Iterable[str | dt.date] = ()) -> HistoryFit:
    """Fit level, weekdays, hours, rates and noise of a history; incidents on up to a tenth of its days do no harm.

    >>> import numpy as np
    >>> days = np.arange("2026-01-05", "2026-06-01", dtype="datetime64[D]")
    >>> visits = 1000 + np.arange(len(days)) * 7 % 20  # a little noise
    >>> visits[70] = 500  # and an incident
    >>> history = History(("visits", "orders"), days, np.stack([visits, visits * 3 // 10], axis=1)[:, None])
    >>> fit = fit_history(history)
    >>> fit
    HistoryFit(147 days, 1 of them unusual)
    >>> fit.unusual[0].date, fit.unusual[0].measure, fit.unusual[0].observed
    ('2026-03-16', 'visits', 500.0)

    Args:
        history: At least three weeks; sixteen are enough.
        weeks: Weeks of an episode of the fitted world, 1 to 12.
        ignore: Days that must not be learnt from, such as those of known incidents.

    Raises:
        HistoryError: if the history is too short, or something given is not allowed.
    """
    if isinstance(weeks, bool) or not isinstance(weeks, int) or not 1 <= weeks <= MAX_WEEKS:
        what = f"weeks={weeks!r} is not a whole number from 1 to {MAX_WEEKS}"
        raise HistoryError(what, value=weeks, option="weeks")
    good = days_to_learn_from(history, ignore)
    funnel = fit_funnel(history, good)
    parameters = parameters_of(history, funnel, good, weeks)
    notes: list[str] = []
    if good.sum() < ENOUGH_WEEKS * DAYS_PER_WEEK:
        notes.append(f"{good.sum()} days to learn from; with fewer than {ENOUGH_WEEKS} weeks the fit is uncertain")
    if left_out := int((~good).sum()):
        notes.append(f"{number_of(left_out, 'day')} not learnt from: ignored, or not known")
    usual = np.flatnonzero(good & ~np.any(funnel.beyond(UNUSUAL), axis=1))
    return HistoryFit(
        **funnel._asdict(),
        history=history,
        parameters=parameters,
        good=good,
        unusual=unusual_days(history, funnel),
        smallest_change={
            name: dict(zip(funnel.measures, (multiple * funnel.noise).tolist(), strict=True))
            for name, multiple in NOISE_MULTIPLES.items()
        },
        natural_per_week={
            name: DAYS_PER_WEEK * float(np.any(funnel.beyond(multiple)[usual], axis=1).mean())
            for name, multiple in NOISE_MULTIPLES.items()
        },
        notes=tuple(notes),
    )


def unusual_days(history: History, funnel: Funnel) -> tuple[Unusual, ...]:
    """Every value that is further from what is expected than noise goes, by date and measure."""
    found: list[Unusual] = []
    for day, column in np.argwhere(funnel.beyond(UNUSUAL) & history.known[:, None]).tolist():
        noises = funnel.deviation[day, column] / funnel.noise[column]
        observed, expected = (float(array[day, column]) for array in (funnel.values, funnel.expected))
        found.append(Unusual(str(history.dates[day]), funnel.measures[column], observed, expected, float(noises)))
    return tuple(found)


def days_to_learn_from(history: History, ignore: Iterable[str | dt.date]) -> np.ndarray:
    """(D,) bool: days that are known and not to be ignored.

    Raises:
        HistoryError: if a day to ignore is not in the history, or too few are left.
    """
    good = history.known.copy()
    for given in [ignore] if isinstance(ignore, str) else ignore:
        at = history.dates == day_of(given, "ignore")
        if not at.any():
            what = f"ignore has {given!r}, not a day from {history.dates[0]} to {history.dates[-1]}"
            raise HistoryError(what, value=given, option="ignore")
        good &= ~at
    if good.sum() < LEAST_WEEKS * DAYS_PER_WEEK:
        what = f"{good.sum()} days to learn from; {LEAST_WEEKS} weeks are the least, and {ENOUGH_WEEKS} make a good fit"
        raise HistoryError(what, value=int(good.sum()))
    together: np.ndarray = np.logical_and.accumulate(history.daily[good] > 0, axis=1)
    for name, seen in zip(history.steps, together.T, strict=True):
        if not seen.any():
            what = f"no event of {name} on the days to learn from, or never on a day with events of the steps before it"
            raise HistoryError(what, value=name)
    return good
