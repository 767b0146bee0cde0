"""The signature rule for a world in which events are announced and hours get lost.

It first takes out what is known. Hours without events say which share of a date's traffic is missing. What was
announced is divided out at each of several scales, since an event has a size of its own or none at all; the effect of
the best scale leaves a rest, and the signature rule names the root of that rest. A root has to explain more than it
costs, and is named only if its own detection method confirms it, in the direction of the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import DAYTIME_HOURS, Deviations, step_thresholds, thresholds
from metric_tracker_env.schema import FUNNEL_STEP_KEEP, Difficulty
from metric_tracker_env.world.announced import common_share
from metric_tracker_env.world.variants import FUNNEL_BREAK_KEEP, SIZES, nominal_measures

from .signature import (
    LEAST_RELATIVE,
    NO_INCIDENT,
    UNIFORM_STD,
    Channels,
    Fits,
    SignatureRule,
)

SCALE_STEP = 0.05  # between the sizes that an announced change is tried at, of itself
# Noise of what is taken out: of an effect, since the scales are a step apart, and since announcements are rounded to a
# percent; of lost hours, since hours are noisy.
UNSURE, ROUNDED, UNSURE_HOURS = 0.03, 0.003, 0.06
UNSURE_HOLIDAY = 0.5  # of a threshold of the traffic
EMPTY_HOUR = 0.15  # an hour with less than this share of its usual events was lost
# In units of squared residual: a root of the rates or the mix, one of the traffic; no effect of an event on either.
ROOT_COST, TRAFFIC_ROOT_COST = 12.0, 6.0
NO_EFFECT_COST, NO_TRAFFIC_EFFECT_COST = 4.0, 3.0
MOST_RATE_MOVE = 0.25  # share of itself that a step rate moves by at most, whatever the difficulty
SLACK = 1.25  # a date's traffic may be this much below the median
IGNORED = 1e3  # noise of a channel that tells nothing


class Known(NamedTuple):
    """What is known of dates beside their values; arrays of one shape."""

    entity: np.ndarray  # int64, what an event was announced for, or NO_INCIDENT
    change: np.ndarray  # float64, announced: % of the median, points of the mix
    lost: np.ndarray  # float64, share of the usual traffic in empty hours; 0 where nobody looked
    lost_mix: np.ndarray  # float64, what those hours alone do to the daytime share

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> Known:
        """Nothing is known."""
        return cls(np.full(shape, NO_INCIDENT), np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def flat(self) -> Known:
        """The same as (n,) arrays."""
        return Known(*(a.reshape(-1) for a in self))

    def take(self, dates: np.ndarray) -> Known:
        """That of (m,) dates of (n,) ones."""
        return Known(*(a[dates] for a in self))


class Sight(NamedTuple):
    """How n dates differ from plain ones; R = S - 1 step rates."""

    rates: np.ndarray  # (R, n) step rate / its median
    limits: np.ndarray  # (R, n) or (R, 1) detection threshold of each step rate / its median
    entry: np.ndarray  # (n,) first-step count / what weekday and trend lead one to expect
    level: np.ndarray  # (n,) what weekday and trend lead one to expect / median
    mix: np.ndarray  # (n,) daytime share - its median; NaN where unknown
    confirmed: np.ndarray  # (E, n) int8, direction of the cells known to be confirmed by their method, 0 for others
    excess: np.ndarray  # (R, n) impossible events of each pair / threshold, 0 where unknown

    def take(self, dates: np.ndarray) -> Sight:
        """That of (m,) dates."""
        limits = np.broadcast_to(self.limits, self.rates.shape)
        return Sight(*(a[..., dates] for a in self._replace(limits=limits)))


class CalendarRule(SignatureRule):
    """Names the root of each date beside what is known, for one funnel and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        super().__init__(config, difficulty)
        self.weights = config.hour_shares
        self.daytime = daytime = np.isin(np.arange(len(self.weights)), DAYTIME_HOURS)
        # Share of the day's traffic that hourly noise alone moves between day and night.
        spread = self.weights * np.where(daytime, 1 - self.weights[daytime].sum(), self.weights[daytime].sum())
        drawn = config.hour_noise * UNIFORM_STD * float(np.sqrt((spread**2).sum()))
        nominal = nominal_measures(config)
        known = 0.0 if config.noise is None else config.noise[-1] * nominal[self.catalogue.share_row]
        self.mix_noise = max(drawn, known if config.hours else 0.0, 1e-4)
        self.mix_limit = thresholds(self.catalogue, difficulty, nominal)[self.mix] if config.hours else np.inf
        self.least_mix = SIZES[difficulty][0] * self.mix_limit
        within = 0.0 if config.world is None else config.world.announced_within
        self.scales = np.linspace(1.0 - within, 1.0 + within, 1 + round(2.0 * within / SCALE_STEP))
        # What is announced of a history's holidays is what others did, and no two do the same.
        self.unsure_traffic = 0.0 if config.replay is None else UNSURE_HOLIDAY * float(self.shares[0])
        self.step_of: dict[int, int] = {}
        for step in range(1, self.catalogue.num_steps):
            self.step_of[self.funnel + step] = step
            if step in self.single:
                self.step_of[self.single[step]] = step
        self.bounds = self._bounds()

    def _bounds(self) -> dict[int, tuple[float, float]]:
        """Least and most that the log of an incident's own factor can be, for some entities.

        A broken step loses more than a rate that only drops. Drawn incidents have the sizes of their difficulty, and no
        count moves as far as a broken step; in data of one's own they can be of any size.
        """
        own = self.config.noise is not None
        broken = float(np.log(FUNNEL_STEP_KEEP if own else FUNNEL_BREAK_KEEP[self.difficulty][1]))
        found = {self.funnel + step: (-np.inf, broken) for step in range(1, self.catalogue.num_steps)}
        if own:
            return found | dict.fromkeys(self.single.values(), (broken, np.inf))
        found |= {step: _logs(self.most_count_move(step)) for step in range(self.catalogue.num_steps)}
        return found | {entity: _logs(MOST_RATE_MOVE) for entity in self.single.values()}

    def most_count_move(self, step: int) -> float:
        """Largest share by which an incident moves a count, on a date with less traffic than the median."""
        return min(SLACK * SIZES[self.difficulty][1] * float(self.shares[step]), 0.9)

    def lost_hours(self, entry: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Share of the traffic in empty hours, and what they do to the daytime share.

        Args:
            entry: (..., H) first-step events an hour.
            usual: (...) first-step events of such a date.
        """
        empty = entry < EMPTY_HOUR * self.weights * usual[..., None]
        lost = np.minimum((self.weights * empty).sum(axis=-1), 0.95)
        day = self.weights[self.daytime].sum()
        left = (self.weights * self.daytime * ~empty).sum(axis=-1)
        return lost, left / (1.0 - lost) - day

    def roots(self, seen: Sight, known: Known) -> np.ndarray:
        """The root of each of n dates: (n,) int64 entity, or ``NO_INCIDENT``."""
        number, told = len(known.entity), np.flatnonzero(known.entity != NO_INCIDENT)
        # All scales of all dates at once: first every date without an effect, then those told of, scale by scale.
        columns = np.concatenate([np.arange(number), np.tile(told, len(self.scales))])
        scales = np.concatenate([np.zeros(number), np.repeat(self.scales, len(told))])
        fits = self._fits(seen.take(columns), known.take(columns), scales)
        best = Fits(fits.entities, fits.residual[:, :number], fits.move[:, :number])
        on_traffic = (known.entity[told] == 0) | (known.entity[told] == self.mix)
        best.residual[:, told] += np.where(on_traffic, NO_TRAFFIC_EFFECT_COST, NO_EFFECT_COST)
        scaled = (len(best.entities), len(self.scales), len(told))
        residuals, moves = fits.residual[:, number:].reshape(scaled), fits.move[:, number:].reshape(scaled)
        at = residuals.argmin(axis=1)[:, None]
        residual, move = (np.take_along_axis(values, at, axis=1)[:, 0] for values in (residuals, moves))
        better = residual < best.residual[:, told]
        best.residual[:, told] = np.where(better, residual, best.residual[:, told])
        best.move[:, told] = np.where(better, move, best.move[:, told])
        cost = np.where((best.entities == 0), TRAFFIC_ROOT_COST, ROOT_COST)
        cost[best.entities == NO_INCIDENT] = 0.0
        priced = best.residual + cost[:, None]
        if self.config.replay is not None:  # of several causes of a day the one that is seen
            root = best.entities != NO_INCIDENT
            unseen = seen.confirmed[best.entities[root]] * best.move[root] <= 0
            priced[root] = np.where(unseen, np.inf, priced[root])
        chosen = priced.argmin(axis=0)
        dates = np.arange(len(chosen))
        named = best.entities[chosen]
        named[seen.confirmed[named, dates] * best.move[chosen, dates] <= 0] = NO_INCIDENT
        if not len(seen.excess):
            return named
        strange = np.where(self.quality + np.arange(len(seen.excess))[:, None] == known.entity, 0.0, seen.excess)
        return np.where(strange.max(axis=0, initial=0.0) > 0, self.quality + strange.argmax(axis=0), named)

    def _fits(self, seen: Sight, known: Known, scale: np.ndarray) -> Fits:
        """Every root fitted to what is left of n dates without lost hours and what was announced, at (n,) scales."""
        rate_effect, entry_effect, mix_effect, ignored = self._effect(seen, known, scale)
        lost = np.log1p(-known.lost)
        rate_noise = np.sqrt(self.rate_noise**2 + _unsure(rate_effect))
        rates = seen.rates / rate_effect
        entry = np.log(np.maximum(seen.entry, LEAST_RELATIVE)) - lost - np.log(entry_effect)
        unsure = _unsure(entry_effect) + (self.unsure_traffic * (entry_effect != 1.0)) ** 2
        entry_noise = np.sqrt(self.entry_noise**2 + unsure + (UNSURE_HOURS * lost) ** 2)
        fits = self.fit(Channels(rates, seen.limits, np.where(ignored, IGNORED, rate_noise), entry, entry_noise))
        noises, limits = [], []
        for entity in fits.entities.tolist():
            noises.append(
                entry_noise if entity < self.catalogue.num_steps else rate_noise[self.step_of.get(entity, 1) - 1]
            )
            limits.append(self.bounds.get(entity, (-np.inf, np.inf)))
        least, most = np.array(limits).T[..., None]
        outside = np.maximum(np.maximum(least - fits.move, fits.move - most), 0.0)
        fits.residual[:] += (outside / np.array(noises)) ** 2

        if not self.config.hours:
            return fits
        mix = np.nan_to_num(seen.mix - mix_effect - known.lost_mix, nan=0.0)
        unsure = (UNSURE * mix_effect) ** 2 + (UNSURE_HOURS * known.lost_mix) ** 2
        mix_noise = np.sqrt(self.mix_noise**2 + unsure)
        short = np.maximum(self.least_mix - np.abs(mix), 0.0)
        shifted = fits.residual[0] + (short / mix_noise) ** 2
        return Fits(
            np.append(fits.entities, self.mix),
            np.concatenate([fits.residual + (mix / mix_noise) ** 2, shifted[None]]),
            np.concatenate([fits.move, mix[None]]),
        )

    def _effect(
        self, seen: Sight, known: Known, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What announced events do at (n,) scales: factors of rates and entry, share of the mix; what to ignore."""
        steps, change = self.catalogue.num_steps, scale * known.change / 100.0
        rates = np.ones((steps - 1, len(change)))
        ignored = np.zeros(rates.shape, bool)
        if (known.entity == NO_INCIDENT).all():
            return rates, np.ones(len(change)), np.zeros(len(change)), ignored
        # A change is announced in percent of the median, and it is a change of that many events on any date.
        of_count = np.maximum(1.0 + change / np.maximum(seen.level, LEAST_RELATIVE), LEAST_RELATIVE)
        entry = np.where(known.entity == 0, of_count, 1.0)
        for step in range(1, steps):
            inner = known.entity == step
            rates[step - 1] = np.where(inner, of_count, rates[step - 1])
            if step < steps - 1:
                rates[step] = np.where(inner, 1.0 / of_count, rates[step])
            own = (known.entity == self.funnel + step) | (known.entity == self.single.get(step, NO_INCIDENT))
            own &= known.entity != NO_INCIDENT
            rates[step - 1] = np.where(own, np.maximum(1.0 + change, LEAST_RELATIVE), rates[step - 1])
            doubted = (known.entity == self.quality + step - 1) & (scale > 0)
            ignored[step - 1 : step + 1] |= doubted
        for entity, inside in self.skipping.items():
            own = np.flatnonzero(known.entity == entity)
            if len(own):
                limits = np.broadcast_to(seen.limits[inside], rates[inside].shape)[:, own]
                share = common_share(limits, np.maximum(1.0 + change[own], LEAST_RELATIVE))
                rates[inside.start : inside.stop, own] = 1.0 + share * limits
        return rates, entry, np.where(known.entity == self.mix, change, 0.0), ignored

    def root_of_all(self, deviations: Deviations, known: Known, rounds: int = 3) -> np.ndarray:
        """The root of every date of B episodes, all data given: (B, D) int64 entity, or ``NO_INCIDENT``.

        The seasonal fit leaves out dates of events that were announced for the first step, dates with lost hours, and
        the dates found; it is made again until nothing changes or ``rounds`` are done.
        """
        steps = self.catalogue.num_steps
        values, medians, flagged = deviations.values, deviations.medians, deviations.flagged
        shape, at = values.shape[1:], self.catalogue.slices
        of_rates = slice(steps, 2 * steps - 1)
        base = np.maximum(medians[of_rates], 1e-9)
        confirmed = np.where(flagged, np.sign(deviations.ratios), 0).astype(np.int8)
        share = values[self.catalogue.share_row] - medians[self.catalogue.share_row][:, None]
        named = np.full(shape, NO_INCIDENT)
        for _ in range(rounds):
            expected = self._season(values[0], (named == 0) | (known.entity == 0) | (known.lost > 0))
            seen = Sight(
                rates=(values[of_rates] / base[..., None]).reshape(steps - 1, -1),
                limits=np.repeat(step_thresholds(self.catalogue, self.difficulty, base.T).T / base, shape[1], axis=1),
                entry=(values[0] / np.maximum(expected, 1.0)).ravel(),
                level=(expected / np.maximum(medians[0], 1.0)[:, None]).ravel(),
                mix=share.ravel(),
                confirmed=confirmed.reshape(len(confirmed), -1),
                excess=deviations.ratios[at["data_quality"]].reshape(steps - 1, -1),
            )
            found = self.roots(seen, known.flat()).reshape(shape)
            if (found == named).all():
                break
            named = found
        return named


def _logs(share: float) -> tuple[float, float]:
    """Logs of the factors that a move by a share, down or up, is."""
    return float(np.log1p(-share)), float(np.log1p(share))


def _unsure(effect: np.ndarray) -> np.ndarray:
    """Squared noise, relative, that taking out factors leaves."""
    return (UNSURE * np.log(effect)) ** 2 + np.where(effect != 1.0, ROUNDED, 0.0) ** 2
