"""What is normal in a daily series: its level, weekday pattern and noise, found so that incidents do not move them.

A value is taken as level x weekday factor x (1 + deviation). The level is a running median over three weeks, the factor
of a weekday one over the thirteen nearest same weekdays, and the two are found in turns; what is far from both is left
out, and means take the medians' place. Both may drift: a schedule that changes in autumn is not unusual for the rest
of the year.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.schema import DAYS_PER_WEEK

LEVEL_DAYS = 21  # of the running median
HALF = LEVEL_DAYS // 2
WEEKS_BESIDE = 6  # before and after a day, of whose same weekdays the factor is the median
ROUNDS = 4  # of finding the one from the other
GROWTH_DAYS = 56  # before an end, that tell how the level goes on
CLIP = 3.5  # standard deviations; what is beyond is no noise
CLIP_ROUNDS = 5
MAD_TO_SD = 1.4826  # of a normal distribution
Q90_TO_SD = 1 / 1.645
# Deviations from a mean of n values that they are among are too small by sqrt(1 - 1 / n); here are two such means.
OVERFIT = ((1 - 1 / LEVEL_DAYS) * (1 - 1 / (2 * WEEKS_BESIDE + 1))) ** -0.5


class Spread(NamedTuple):
    """Centre and noise of deviations, incidents left out."""

    centre: float
    sd: float


class Season(NamedTuple):
    """What is normal in a series of D days."""

    level: np.ndarray  # (D,) float64 in the series' unit
    weekday: np.ndarray  # (D,) float64 factor, of mean 1 over the weekdays; 0 on weekdays without events
    deviation: np.ndarray  # (D,) float64 value / expected - 1; NaN where there is no value or nothing is expected
    noise: float  # standard deviation of ordinary deviations

    @property
    def expected(self) -> np.ndarray:
        """(D,) float64 what the day would have without noise."""
        return self.level * self.weekday


def spread(values: np.ndarray) -> Spread:
    """Mean and standard deviation of the (N,) finite values within 3.5 of the latter, from the median on."""
    centre = float(np.median(values))
    distance = np.abs(values - centre)
    sd = MAD_TO_SD * float(np.median(distance))
    if sd == 0.0:
        sd = Q90_TO_SD * float(np.quantile(distance, 0.9))
    for _ in range(CLIP_ROUNDS):
        if sd == 0.0:
            break
        kept = values[np.abs(values - centre) <= CLIP * sd]
        centre, sd = float(kept.mean()), float(kept.std())
    return Spread(centre, sd)


def fit_season(
    values: np.ndarray, weekdays: np.ndarray, good: np.ndarray, events: float, weights: np.ndarray | None = None
) -> Season:
    """Fit level, weekday factors and noise of a daily series.

    Medians find the ordinary days first; means over these then find level and factors more exactly.

    Args:
        values: (D,) float64, from 0; NaN for none.
        weekdays: (D,) int64, Monday 0.
        good: (D,) bool days that may be learnt from.
        events: Counted events of a usual day behind the value; its noise is at least one of them.
        weights: (D,) float64 of the days in means; None weighs all alike. The denominators, for a rate.
    """
    good = good & np.isfinite(values)
    shut = [day for day in range(DAYS_PER_WEEK) if not np.any(values[good & (weekdays == day)] > 0)]
    closed = np.isin(weekdays, shut)
    used = good & ~closed
    if not used.any():  # it is always 0, as the daytime share is of those who are open at night alone
        return Season(np.ones(len(values)), np.zeros(len(values)), np.full(len(values), np.nan), 1.0 / max(events, 1.0))
    plain, weights = np.where(used, values, 0.0), np.ones(len(values)) if weights is None else weights
    factor = np.ones(len(values))
    for _ in range(ROUNDS):
        level = running_level(plain / factor, used)
        factor = weekday_factors(plain / level, weekdays, used)
    level = running_level(plain / factor, used)
    ratio = plain / (level * factor)
    middle = spread(ratio[used])
    ordinary = used & (np.abs(ratio - middle.centre) <= CLIP * middle.sd)
    for _ in range(ROUNDS):
        level = continued(running_ratio(plain, factor, weights * ordinary, HALF, level))
        factor = weekday_means(plain, level, weekdays, weights * ordinary, factor)
    level = continued(running_ratio(plain, factor, weights * ordinary, HALF, level))
    deviation = np.where(closed, np.nan, values / (level * factor) - 1.0)
    noise = max(OVERFIT * spread(deviation[used]).sd, 1.0 / max(events, 1.0))
    return Season(level, np.where(closed, 0.0, factor), deviation, noise)


def running_level(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(D,) float64 running median over three weeks, its ends continued as it grew before them."""
    known = np.where(used, values, np.nan)
    level = running_median(known, HALF)
    return continued(np.where(level > 0, level, np.mean(known[used])))  # of few events: the median day may have none


def continued(level: np.ndarray) -> np.ndarray:
    """A running level with its ends, where half of the window is missing, as it grew from week to week before."""
    inner = level[HALF:-HALF]
    if len(inner) <= DAYS_PER_WEEK:
        return level
    level = level.copy()
    growth = inner[DAYS_PER_WEEK:] / inner[:-DAYS_PER_WEEK]
    first, last = float(np.median(growth[:GROWTH_DAYS])), float(np.median(growth[-GROWTH_DAYS:]))
    for day in range(len(level) - HALF, len(level)):
        level[day] = level[day - DAYS_PER_WEEK] * last
    for day in range(HALF - 1, -1, -1):
        level[day] = level[day + DAYS_PER_WEEK] / first
    return level


def weekday_factors(ratio: np.ndarray, weekdays: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(D,) float64 running medians of the same weekdays, of mean 1 over the weekdays."""
    known = np.where(used, ratio, np.nan)
    factor = np.ones(len(ratio))
    for day in np.unique(weekdays[used]):
        at = weekdays == day
        found = running_median(known[at], WEEKS_BESIDE)
        factor[at] = np.where(found > 0, found, np.nanmean(known[at]))
    return of_mean_one(factor, weekdays, used)


def weekday_means(
    values: np.ndarray, level: np.ndarray, weekdays: np.ndarray, weights: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """(D,) float64 running weighted means of the same weekdays, of mean 1 over the weekdays."""
    factor = before.copy()
    for day in np.unique(weekdays[weights > 0]):
        at = weekdays == day
        factor[at] = running_ratio(values[at], level[at], weights[at], WEEKS_BESIDE, before[at])
    return of_mean_one(factor, weekdays, weights > 0)


def of_mean_one(factor: np.ndarray, weekdays: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Factors scaled so that the means of the weekdays have the mean 1."""
    return factor / np.mean([factor[used & (weekdays == day)].mean() for day in np.unique(weekdays[used])])


def running_ratio(
    values: np.ndarray, expected: np.ndarray, weights: np.ndarray, beside: int, otherwise: np.ndarray
) -> np.ndarray:
    """(D,) float64 weighted sum of the values over that of what is expected, of each place and those beside it."""
    window = np.ones(2 * beside + 1)
    above, below = (
        np.convolve(np.pad(part, beside), window, "valid") for part in (weights * values, weights * expected)
    )
    return np.where((above > 0) & (below > 0), above / np.where(below > 0, below, 1.0), otherwise)


def running_median(values: np.ndarray, beside: int) -> np.ndarray:
    """(D,) float64 median of each place and ``beside`` places before and after it; NaN where all of them are."""
    padded = np.pad(values, beside, constant_values=np.nan)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * beside + 1), axis=1)  # NaN is sorted last
    number = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(values))
    middle = ordered[row, np.maximum(number - 1, 0) // 2] + ordered[row, np.minimum(number // 2, ordered.shape[1] - 1)]
    return np.where(number > 0, 0.5 * middle, np.nan)
