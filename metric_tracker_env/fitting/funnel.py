"""The daily measures of a history, and what is normal in each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config.generator import default_conversions
from metric_tracker_env.fitting.seasons import OVERFIT, fit_season, spread
from metric_tracker_env.history import History
from metric_tracker_env.schema import HOURLY_MIX_SUFFIX, Catalogue


class Funnel(NamedTuple):
    """The measures of D days: the S counts, the step rates, rates that skip steps, and the daytime share."""

    measures: tuple[str, ...]  # names of the M measures
    level: np.ndarray  # (D, S) float64 events a day, without weekday
    weekday: np.ndarray  # (D, S) float64 factor of the day's weekday
    values: np.ndarray  # (D, M) float64 events, or shares of 1
    expected: np.ndarray  # (D, M) float64 what the day would have without noise
    deviation: np.ndarray  # (D, M) float64 value / expected - 1; NaN where there is no value or nothing is expected
    noise: np.ndarray  # (M,) float64 standard deviation of ordinary deviations

    def beyond(self, noises: float) -> np.ndarray:
        """(D, M) bool: values further from what is expected than so many times their noise."""
        return np.abs(self.deviation) > noises * self.noise


def fit_funnel(history: History, good: np.ndarray) -> Funnel:
    """Fit the first count, each step rate and the daytime share; what the other measures are to be follows.

    Args:
        history: The history.
        good: (D,) bool days that may be learnt from.
    """
    catalogue = Catalogue(history.steps, default_conversions(history.steps))
    counts, weekdays = history.daily.astype(np.float64), history.weekdays
    usual = np.median(counts[good], axis=0)
    rates = ratio(counts[:, 1:], counts[:, :-1])
    entry = fit_season(counts[:, 0], weekdays, good, usual[0])
    chain = [fit_season(rate, weekdays, good, usual[i + 1], counts[:, i]) for i, rate in enumerate(rates.T)]
    level = np.cumprod([season.level for season in (entry, *chain)], axis=0).T
    weekday = np.cumprod([season.weekday for season in (entry, *chain)], axis=0).T
    name_of = {span: item.name for span, item in zip(catalogue.spans, catalogue.conversions, strict=True)}
    names = [*history.steps, *(name_of[step - 1, step] for step in range(1, len(history.steps)))]
    values, expected = [*counts.T, *rates.T], [*(level * weekday).T, *(season.expected for season in chain)]
    noise = [entry.noise, *([None] * len(chain)), *(season.noise for season in chain)]
    events = [*usual, *usual[1:]]
    for before, after in (catalogue.spans[conversion] for conversion in catalogue.skipping):
        names.append(name_of[before, after])
        values.append(ratio(counts[:, after], counts[:, before]))
        expected.append(np.prod([season.expected for season in chain[before:after]], axis=0))
        noise.append(None)
        events.append(usual[after])
    if history.hourly:
        part = measure.daytime(history.counts[:, :, 0].T)
        mix = fit_season(ratio(part, counts[:, 0]), weekdays, good, float(np.median(part[good])), counts[:, 0])
        names.append(f"{history.steps[0]}:{HOURLY_MIX_SUFFIX}")
        values.append(ratio(part, counts[:, 0]))
        expected.append(mix.expected)
        noise.append(mix.noise)
        events.append(usual[0])
    deviation = [ratio(value, normal) - 1.0 for value, normal in zip(values, expected, strict=True)]
    found = [own if own is not None else derived_noise(deviation[i][good], events[i]) for i, own in enumerate(noise)]
    return Funnel(
        measures=tuple(names),
        level=level,
        weekday=weekday,
        values=np.stack(values, axis=1),
        expected=np.stack(expected, axis=1),
        deviation=np.stack(deviation, axis=1),
        noise=np.array(found),
    )


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part / whole, NaN where the whole is 0."""
    return part / np.where(whole > 0, whole, np.nan)


def derived_noise(deviation: np.ndarray, events: float) -> float:
    """Noise of a measure whose expected values follow from those of others."""
    return max(OVERFIT * spread(deviation[np.isfinite(deviation)]).sd, 1.0 / max(events, 1.0))
