"""The history of a small shop, for tests of own data: weekdays, a trend, noise of chance, and incidents on demand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from metric_tracker_env.history import History

STEPS = ("visits", "carts", "orders")
MEASURES = (*STEPS, "visits_to_carts", "carts_to_orders", "visits_to_orders", "visits:daytime_share")
DAYS, LEVEL, RATES = 238, 1000.0, (0.4, 0.5)
FACTORS = np.array([1.0, 1.0, 1.02, 1.04, 1.1, 0.9, 0.94])
Incident = tuple[int, int, float]  # day index, step from which on counts change, factor


@cache
def shop_history(days: int = DAYS, incident: Incident | None = None, lasting: int = 1, seed: int = 1) -> History:
    """(D, 24, 3) counts; the first days are the same for any number of days."""
    hours = 1.0 + 0.8 * np.sin((np.arange(24) - 8) / 24 * 2 * np.pi)
    dates = np.datetime64("2026-01-05") + np.arange(days)
    counts = np.zeros((days, 24, 3), np.int64)
    for day in range(days):
        rng = np.random.default_rng([seed, day])
        factor = np.ones(3)
        if incident is not None and incident[0] <= day < incident[0] + lasting:
            factor[incident[1]] = incident[2]
        mean = LEVEL * FACTORS[day % 7] * (1 + 0.0005 * day) * hours / hours.sum() * factor[0]
        counts[day, :, 0] = rng.poisson(mean)
        counts[day, :, 1] = rng.binomial(counts[day, :, 0], RATES[0] * factor[1])
        counts[day, :, 2] = rng.binomial(counts[day, :, 1], RATES[1] * factor[2])
    return History(STEPS, dates, counts)


def csv_of(history: History, path: Path) -> Path:
    """The history as a CSV file by the hour."""
    rows = ["time,visits,carts,orders"]
    for date, hours in zip(history.dates, history.counts.tolist(), strict=True):
        rows += [f"{date} {hour:02}:00,{','.join(map(str, counts))}" for hour, counts in enumerate(hours)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path
