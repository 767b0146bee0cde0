"""Means and shares with confidence intervals."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from metric_tracker_env.schema import StrictModel

RESAMPLES = 2000
LEVEL = 0.95


class Interval(StrictModel):
    """A mean or a share, and its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: np.ndarray,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Mean of (n,) values with its percentile bootstrap interval.

    Values that are all alike have no spread to draw from, and n of them do not make sure that all others are like them.
    Where a value has ``bounds``, the interval then is the widest mean that leaves n alike values as likely as the
    level asks: a share 1 - ((1 - level) / 2) ** (1 / n) may be otherwise (Clopper and Pearson, Biometrika 26, 1934),
    and at a bound.
    """
    mean = float(values.mean())
    if bounds is not None and (values == values[0]).all():
        others = 1 - ((1 - level) / 2) ** (1 / len(values))
        return Interval(mean=mean, low=mean - others * (mean - bounds[0]), high=mean + others * (bounds[1] - mean))
    draws = np.random.Generator(np.random.PCG64(seed))
    # Counts of each distinct value are enough: a resample of them is one multinomial draw.
    distinct, number = np.unique(values, return_counts=True)
    picked = draws.multinomial(len(values), number / len(values), size=resamples)
    low, high = np.quantile(picked @ distinct / len(values), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=mean, low=float(low), high=float(high))


def wilson(part: int, whole: int, level: float = LEVEL) -> Interval | None:
    """The share ``part / whole`` with its Wilson score interval; None for a share of nothing.

    E. B. Wilson: Probable inference, the law of succession, and statistical inference, JASA 22, 1927.
    """
    if whole == 0:
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = part / whole
    centre = share + z * z / (2 * whole)
    half = z * (share * (1 - share) / whole + z * z / (4 * whole * whole)) ** 0.5
    scale = 1 + z * z / whole
    low, high = (centre - half) / scale, (centre + half) / scale
    return Interval(mean=share, low=min(max(low, 0.0), share), high=max(min(high, 1.0), share))
