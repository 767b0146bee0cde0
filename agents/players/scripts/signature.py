"""The signature rule: which entity is the root of what one date shows, or that there is no incident.

Every incident leaves a pattern of its own in the step rates and in the first step's traffic:

========================  ===================================================  ==============================
root                      step rates                                           first step, de-seasonalised
========================  ===================================================  ==============================
none (natural)            none moves                                           stays
first count               none moves                                           moves
count of an inner step    in and out move by the same factor, opposite ways    stays
one step rate             that one moves                                       stays
funnel step               that one moves, below 70 % of itself                 stays
end-to-end conversion     each inside moves the same way by one common share   stays
                          (0.6 to 0.8) of its own threshold
========================  ===================================================  ==============================

Impossible counts and a shifted hourly mix show nothing but themselves. Each pattern is fitted by least squares in
units of the clean noise; the entity of the best fit is the root, if its own detection method confirms it.
The rule knows the configuration and the data, never a label, so that it shows that roots are identifiable.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import DAYS_PER_WEEK, Difficulty
from metric_tracker_env.view import MetricView
from metric_tracker_env.world.variants import SIZES, SKIPPING_SHARE, nominal_measures

NO_INCIDENT = -1
UNIFORM_STD = 3.0**-0.5  # standard deviation of a uniform draw with half-width 1
MEDIAN_ERROR = 1.05  # the median is noisy too: sqrt(1 + (pi / 2) / 28 days) of the noise of a day
SEASON_ERROR = 1.3  # so is the seasonal fit, whose weekday levels are medians of a few days
LEAST_NOISE = 1e-4  # relative; keeps a noiseless configuration from dividing by 0
LEAST_RELATIVE = 1e-3  # a rate that fell to nothing, for the logarithm


class Moves(NamedTuple):
    """How n dates differ from plain ones; R = S - 1 step rates."""

    rates: np.ndarray  # (R, n) step rate / its median
    limits: np.ndarray  # (R, n) or (R, 1) detection threshold of each step rate / its median
    entry: np.ndarray  # (n,) first-step count / what weekday and trend lead one to expect
    flagged: np.ndarray  # (E, n) bool, cells known to be confirmed by their detection method
    excess: np.ndarray  # (R, n) impossible events of each pair / threshold, 0 where unknown


class Channels(NamedTuple):
    """What is left to be explained on n dates, and how much of it noise alone would leave."""

    rates: np.ndarray  # (R, n) step rate / what is expected of it
    limits: np.ndarray  # (R, n) or (R, 1), see ``Moves``
    rate_noise: np.ndarray  # (R, n) or (R, 1) relative
    entry: np.ndarray  # (n,) log of first-step count / what is expected of it
    entry_noise: np.ndarray | float  # (n,) relative


class Fits(NamedTuple):
    """How well each root would explain n dates; F roots, the first of which is ``NO_INCIDENT``."""

    entities: np.ndarray  # (F,) int64
    residual: np.ndarray  # (F, n) float64, squared, in units of the noise
    move: np.ndarray  # (F, n) float64, log of the root's own factor; of an end-to-end conversion, its common share


def nominal_season(config: GeneratorConfig) -> np.ndarray:
    """(D,) first-step traffic that the configured weekdays and trend lead one to expect / its median."""
    days = np.arange(config.num_days)
    traffic = np.array(config.weekday_factors)[config.weekdays] * (1.0 + config.trend_per_day * days)
    return traffic / np.median(traffic)


def threshold_shares(config: GeneratorConfig, difficulty: Difficulty) -> np.ndarray:
    """(E,) detection threshold of each entity / its median on a plain episode; 1 for data quality (median 0)."""
    nominal = nominal_measures(config)
    limits = measure.thresholds(config.catalogue, difficulty, nominal)
    values = nominal[config.catalogue.measure_of_entity]
    return np.divide(limits, values, out=np.ones_like(limits), where=values > 0)


def clean_noise(config: GeneratorConfig, difficulty: Difficulty, nominal: np.ndarray) -> tuple[np.ndarray, float]:
    """(R,) relative noise of the daily step rates on ordinary days, and that of the first step's count."""
    steps = config.catalogue.num_steps
    if config.noise is not None:
        return np.array(config.noise[steps : 2 * steps - 1]), config.noise[0]
    weights = config.hour_shares
    hourly = np.array([config.noise_of(step, difficulty) for step in config.steps])
    shared = np.array([step.day_noise for step in config.steps])
    daily = UNIFORM_STD * np.sqrt(hourly**2 * (weights**2).sum() + shared**2)
    rounding = np.sqrt(len(weights) / 12.0) / nominal[1:steps]  # each hour's count is a whole number
    return np.sqrt(daily**2 + rounding**2), UNIFORM_STD * config.day_noise


class SignatureRule:
    """Names the root of each date, for one funnel and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = config
        self.difficulty: Difficulty = difficulty
        self.catalogue = catalogue = config.catalogue
        steps = catalogue.num_steps
        nominal = nominal_measures(config)
        self.shares = threshold_shares(config, difficulty)
        rates = nominal[steps : 2 * steps - 1]
        self.rate_limits = (measure.step_thresholds(catalogue, difficulty, rates) / rates)[:, None]
        rate_noise, entry_noise = clean_noise(config, difficulty, nominal)
        self.rate_noise = np.maximum(MEDIAN_ERROR * rate_noise, LEAST_NOISE)[:, None]  # (R, 1) relative
        self.entry_noise = max(SEASON_ERROR * entry_noise, LEAST_NOISE)
        self.least_count_move = SIZES[difficulty][0] * self.shares[:steps]
        self.inner_counts = range(1, steps - 1)
        self.single = {num: steps + i for i, (den, num) in enumerate(catalogue.spans) if num - den == 1}
        self.skipping = {steps + i: slice(*catalogue.spans[i]) for i in catalogue.skipping}
        self.funnel = catalogue.slices["funnel_step"].start - 1  # + numerator step
        self.quality = catalogue.slices["data_quality"].start
        self.mix = catalogue.slices["hourly_mix"].start

    def fit(self, seen: Channels) -> Fits:
        """Fit every root to n dates by least squares; impossible counts and a shifted mix are not among them."""
        rate_noise, rates = seen.rate_noise, seen.rates
        shift = np.log(np.maximum(rates, LEAST_RELATIVE))
        z = shift / rate_noise
        unexplained = (z**2).sum(axis=0)
        entry = np.abs(seen.entry)
        season = (entry / seen.entry_noise) ** 2

        fits = {NO_INCIDENT: (unexplained + season, np.zeros(entry.shape))}
        least = np.log1p(self.least_count_move)  # an incident is at least this large; a natural cell need not be
        short = np.maximum(least[0] - entry, 0.0)
        fits[0] = unexplained + (short / seen.entry_noise) ** 2, seen.entry
        weight = rate_noise**-2
        for step in self.inner_counts:
            into, out = step - 1, step
            both = weight[into] + weight[out]
            factor = (shift[into] * weight[into] - shift[out] * weight[out]) / both
            short = np.maximum(least[step] - np.abs(factor), 0.0)
            fits[step] = unexplained + season - both * (factor**2 - short**2), factor
        for step in range(1, self.catalogue.num_steps):
            fit = unexplained + season - z[step - 1] ** 2, shift[step - 1]
            fits[self.funnel + step] = fit
            if step in self.single:
                fits[self.single[step]] = fit
        linear = rates - 1.0
        for entity, inside in self.skipping.items():
            limit = np.broadcast_to(seen.limits[inside], linear[inside].shape)
            scaled = limit * weight[inside]
            share = (linear[inside] * scaled).sum(axis=0) / (limit * scaled).sum(axis=0)
            share = np.copysign(np.clip(np.abs(share), *SKIPPING_SHARE), share)
            rest = ((linear[inside] - share * limit) ** 2 * weight[inside]).sum(axis=0)
            fits[entity] = unexplained + season - (z[inside] ** 2).sum(axis=0) + rest, share
        residual, move = (np.array(arrays) for arrays in zip(*fits.values(), strict=True))
        return Fits(np.array(list(fits)), residual, move)

    def name(self, moves: Moves) -> np.ndarray:
        """The root of each date: (n,) int64 entity, or ``NO_INCIDENT``."""
        entry = np.log(np.maximum(moves.entry, LEAST_RELATIVE))
        entities, residual, _ = self.fit(Channels(moves.rates, moves.limits, self.rate_noise, entry, self.entry_noise))
        residual[1:][~moves.flagged[entities[1:]]] = np.inf
        for step, single in self.single.items():
            residual[entities == single] = np.where(
                moves.flagged[self.funnel + step], np.inf, residual[entities == single]
            )
        named = entities[residual.argmin(axis=0)]
        if not self.catalogue.hours:
            return named
        named = np.where(moves.flagged[self.mix], self.mix, named)
        if not len(moves.excess):
            return named
        impossible = moves.excess.max(axis=0, initial=0.0) > 0
        return np.where(impossible, self.quality + moves.excess.argmax(axis=0), named)

    def name_all(self, deviations: Deviations, rounds: int = 3) -> np.ndarray:
        """The root of every date of B episodes, all data given: (B, D) int64 entity, or ``NO_INCIDENT``.

        The seasonal fit is made again without the dates found, until nothing changes or ``rounds`` are done.
        """
        steps = self.catalogue.num_steps
        values, medians, flagged = deviations.values, deviations.medians, deviations.flagged
        shape = values.shape[1:]
        entities = len(flagged)
        of_rates = slice(steps, 2 * steps - 1)
        base = np.maximum(medians[of_rates], 1e-9)
        rates = (values[of_rates] / base[..., None]).reshape(steps - 1, -1)
        limits = np.repeat(measure.step_thresholds(self.catalogue, self.difficulty, base.T).T / base, shape[1], axis=1)
        excess = deviations.ratios[self.catalogue.slices["data_quality"]].reshape(steps - 1, -1)
        flat = flagged.reshape(entities, -1)
        named = np.full(shape, NO_INCIDENT)
        for _ in range(rounds):
            expected = self._season(values[0], named == 0)
            entry = (values[0] / np.maximum(expected, 1.0)).ravel()
            found = self.name(Moves(rates, limits, entry, flat, excess)).reshape(shape)
            if (found == named).all():
                break
            named = found
        return named

    def _season(self, entry: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """(B, D) first-step counts to expect; those that are known to have ``moved`` are not believed."""
        if entry.shape[1] < measure.SEASONAL_MIN_DAYS:
            season = nominal_season(self.config)
            return np.median(entry / season, axis=1, keepdims=True) * season
        fit = measure.seasonal_baseline(entry)
        if not moved.any():
            return fit
        return measure.seasonal_baseline(np.where(moved, _from_weekday(entry, moved), entry))


def _from_weekday(entry: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(B, D) mean of the same weekday's dates that have not moved; the date itself where there are none."""
    weeks = (len(entry), -1, DAYS_PER_WEEK)
    kept = (~moved).reshape(weeks)
    total = (entry.reshape(weeks) * kept).sum(axis=1)
    number = kept.sum(axis=1)
    mean = np.tile(total / np.maximum(number, 1), entry.shape[1] // DAYS_PER_WEEK)
    return np.where(np.tile(number, entry.shape[1] // DAYS_PER_WEEK) > 0, mean, entry)


def name_roots(view: MetricView) -> list[tuple[int, int]]:
    """(day, entity) of every incident that the rule finds in an episode's data."""
    named = SignatureRule(view.config, view.difficulty).name_all(view.deviations)[0]
    return [(int(day), int(named[day])) for day in np.flatnonzero(named != NO_INCIDENT)]
