"""Noise by the hour, and how much of a day's noise it explains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.fitting.parameters import ROUNDING
from metric_tracker_env.fitting.seasons import spread

LEAST_EVENTS = 5.0  # of an hour, on average: with fewer its noise is rounding
LEAST_TRAFFIC = 0.5  # share of the events in hours with enough of them; with less, noise is told by the day alone
BY_CHANCE = 5.0  # standard errors of a variance by which a day's noise may pass what its hours explain


class HourWeights(NamedTuple):
    """How the events of a day spread over its hours."""

    weights: np.ndarray  # (H,) float64, of sum 1
    noise: float  # standard deviation of an hour's weight, relative to it


class RateNoise(NamedTuple):
    """Noise of a step rate, relative to it, as standard deviations."""

    day: float  # common to all hours of a day; 0 where the hours explain the day
    hour: float  # of each hour for itself


def fit_weights(entry: np.ndarray) -> HourWeights:
    """Weights of the hours and their noise.

    Args:
        entry: (D, H) float64 first-step events of ordinary days, none without events.
    """
    totals = entry.sum(axis=1)
    shares = entry / totals[:, None]
    spreads = [spread(share) for share in shares.T]
    weights = np.array([found.centre for found in spreads])
    if not weights.any():  # of few events the ordinary share of every hour is none; the mean is not
        weights = shares.mean(axis=0)
    weights /= weights.sum()
    used = weights * totals.mean() >= LEAST_EVENTS
    if weights[used].sum() < LEAST_TRAFFIC or weights.max() == 1.0:  # the only hour of a day has no share to vary
        return HourWeights(weights, 0.0)
    own = np.array([found.sd for found in spreads])[used] / weights[used]
    variance = (
        own**2 - 2.0 * ROUNDING / (weights[used] * totals.mean()) ** 2
    )  # an hour is the difference of two roundings
    variance /= 1.0 - 2.0 * weights[used] + (weights**2).sum()  # the weights of a day are scaled to its total
    mean = float((variance * weights[used]).sum() / weights[used].sum())
    return HourWeights(weights, max(mean, 0.0) ** 0.5)


def fit_rate_noise(before: np.ndarray, after: np.ndarray, expected: np.ndarray, daily_noise: float) -> RateNoise:
    """Part the noise of a rate into that of days and that of hours.

    An hour varies by both, a day by its own noise and what is left of the hours' in its mean: two equations.

    Args:
        before: (D, H) float64 events of the step before, of ordinary days.
        after: (D, H) float64 events of the step.
        expected: (D,) float64 rate that the day would have without noise.
        daily_noise: Standard deviation of the daily rate, relative.
    """
    if not len(after):
        return RateNoise(daily_noise, 0.0)
    mean = after.mean(axis=0)
    used = np.flatnonzero((mean >= LEAST_EVENTS) & (before > 0).all(axis=0))
    if before.shape[1] == 1 or mean[used].sum() < LEAST_TRAFFIC * mean.sum():
        return RateNoise(daily_noise, 0.0)
    ratios = after[:, used] / before[:, used] / expected[:, None]
    spreads = [spread(ratio) for ratio in ratios.T]
    own = np.array([found.sd / found.centre for found in spreads])
    weights = mean[used] / mean[used].sum()
    by_hour = max(float((weights * (own**2 - ROUNDING / mean[used] ** 2)).sum()), 0.0)
    kept = float((weights**2).sum())  # of the hours' variance, in the mean of a day
    by_day = max(daily_noise**2 - len(mean) * ROUNDING / mean.sum() ** 2, 0.0)
    if by_day <= by_hour * kept * (1.0 + BY_CHANCE * (2.0 / len(after)) ** 0.5):
        return RateNoise(0.0, by_hour**0.5)
    hours = min(max((by_hour - by_day) / (1.0 - kept), 0.0), by_hour)
    return RateNoise((by_day - hours * kept) ** 0.5, hours**0.5)
