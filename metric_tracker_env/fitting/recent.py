"""The world of a history's last weeks: level, trend, weekdays, hours and rates as they are now."""

from __future__ import annotations

import numpy as np

from metric_tracker_env.fitting.funnel import Funnel
from metric_tracker_env.fitting.hours import fit_rate_noise, fit_weights
from metric_tracker_env.fitting.parameters import TAIL, FittedParameters, FittedStep
from metric_tracker_env.fitting.seasons import CLIP, spread
from metric_tracker_env.history import History, HistoryError
from metric_tracker_env.schema import DAYS_PER_WEEK

RECENT_DAYS = 16 * DAYS_PER_WEEK  # whose rates, weekdays and hours are those of the world
TREND_DAYS = 24 * DAYS_PER_WEEK  # whose line is its level: from 16 weeks alone it may be off by more than 0.5 %


def parameters_of(history: History, funnel: Funnel, good: np.ndarray, weeks: int) -> FittedParameters:
    """Parameters of the world of the last weeks; the noise of rates and measures is that of the whole history.

    Args:
        history: The history.
        funnel: What is normal in it.
        good: (D,) bool days that were learnt from.
        weeks: Weeks of an episode.

    Raises:
        HistoryError: if the last weeks are without events, or a step has more of them than the one before.
    """
    counts, hourly = history.daily.astype(np.float64), history.counts.astype(np.float64)
    recent = last_of(good, RECENT_DAYS)
    if not (counts[recent] > 0).any(axis=0).all():
        what = (
            f"no event of {history.steps[int(np.argmin(counts[recent].sum(axis=0)))]} since {history.dates[recent][0]}"
        )
        raise HistoryError(what)
    ordinary = good & ~funnel.beyond(CLIP).any(axis=1)
    filled = recent & (counts[:, 0] > 0)
    near = filled & ordinary if (filled & ordinary).sum() >= DAYS_PER_WEEK else filled
    hours = fit_weights(hourly[near, :, 0]) if history.hourly else None
    factors = weekday_means(counts[:, 0] / funnel.level[:, 0], history.weekdays, recent)
    level, trend = line(
        counts[:, 0], factors[history.weekdays], last_of(good, TREND_DAYS), len(good) - weeks * DAYS_PER_WEEK
    )
    tails = [tail(funnel.deviation[ordinary, column] / noise) for column, noise in enumerate(funnel.noise)]
    return FittedParameters(
        entry_step=history.steps[0],
        steps=tuple(
            fit_step(history, funnel, step, recent & ~funnel.beyond(CLIP)[:, len(history.steps) + step - 1], ordinary)
            for step in range(1, len(history.steps))
        ),
        num_weeks=weeks,
        end_date=history.dates[-1].item(),
        level=level,
        trend_per_day=trend,
        weekday_factors=tuple(factors.tolist()),
        day_noise=float(funnel.noise[0]),
        hourly_weights=None if hours is None else tuple(hours.weights.tolist()),
        hour_noise=0.0 if hours is None else hours.noise,
        noise=dict(zip(funnel.measures, funnel.noise.tolist(), strict=True)),
        tails=dict(zip(funnel.measures, tails, strict=True)),
    )


def last_of(good: np.ndarray, number: int) -> np.ndarray:
    """(D,) bool: the last so many of the good days."""
    chosen = np.zeros(len(good), bool)
    chosen[np.flatnonzero(good)[-number:]] = True
    return chosen


def fit_step(history: History, funnel: Funnel, step: int, recent: np.ndarray, ordinary: np.ndarray) -> FittedStep:
    """Rate of a step in the recent days, and its noise in all ordinary ones."""
    counts, hourly = history.daily, history.counts.astype(np.float64)
    measure = len(history.steps) + step - 1
    rate = float(counts[recent, step].sum() / counts[recent, step - 1].sum())
    if rate > 1.0:
        what = f"{history.steps[step]} has {rate:.2f} times the events of {history.steps[step - 1]}, the step before it"
        raise HistoryError(what, value=rate, option="steps")
    clean = ordinary & (counts[:, step - 1 : step + 1] > 0).all(axis=1)
    noise = fit_rate_noise(
        hourly[clean, :, step - 1],
        hourly[clean, :, step],
        funnel.expected[clean, measure],
        float(funnel.noise[measure]),
    )
    return FittedStep(name=history.steps[step], rate=rate, day_noise=noise.day, hour_noise=noise.hour)


def tail(deviations: np.ndarray) -> float:
    """What 99 % of the deviations stay below, either way; 0 without any."""
    known = np.abs(deviations[np.isfinite(deviations)])
    return float(np.quantile(known, TAIL)) if len(known) else 0.0


def weekday_means(ratio: np.ndarray, weekdays: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(7,) float64 mean of each weekday without incidents, of mean 1."""
    chosen = [ratio[used & (weekdays == day)] for day in range(DAYS_PER_WEEK)]
    found = np.array([spread(values).centre or values.mean() if len(values) else 0.0 for values in chosen])
    return found / found.mean()  # the centre of few events may be 0, their mean is not


def line(counts: np.ndarray, factors: np.ndarray, used: np.ndarray, start: int) -> tuple[float, float]:
    """Level at a day, and its growth a day as a share of it.

    The slope is the median over all pairs of days whole weeks apart (Theil 1950, restricted to lags in which the
    weekday cancels); the level is the mean about that line, incidents left out.
    """
    day = np.flatnonzero(used & (factors > 0))
    plain = counts[day] / factors[day]
    first, second = np.triu_indices(len(day), 1)
    apart = day[second] - day[first]
    whole = apart % DAYS_PER_WEEK == 0
    slopes = (plain[second] - plain[first])[whole] / apart[whole]
    slope = float(np.median(slopes)) if len(slopes) else 0.0
    level = spread(plain - slope * (day - start)).centre
    if level <= 0.0:  # of few events no line can be told
        return float(plain.mean()), 0.0
    return level, slope / level
