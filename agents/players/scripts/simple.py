"""Simple agents: the floor, chance, and scripts of one line that a real investigation has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import DAYTIME_HOURS
from metric_tracker_env.schema import Difficulty

from .desk import TOOL_OF_FAMILY
from .script import Script, register
from .signature import LEAST_NOISE, UNIFORM_STD, nominal_season, threshold_shares


@register("nothing")
class Nothing(Script):
    """Submits an empty draft at once."""

    def play(self) -> Iterator[int]:
        """Submit."""
        yield self.desk.submit


@register("random")
class Random(Script):
    """Draws each action uniformly from the legal ones, from a stream of the episode's seed."""

    def begin(self, seed: int) -> None:
        """Start the stream of draws."""
        self._draws = np.random.default_rng([seed, 1])

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """Draw a legal action."""
        del observation
        return int(self._draws.choice(np.flatnonzero(info["action_mask"])))


class ScanScript(Script):
    """Surveys, opens the flagged dates in order of time, inspects what their flags ask for, and reports by one rule."""

    def play(self) -> Iterator[int]:
        """Survey, open, inspect, report, submit."""
        desk = self.desk
        if desk.may(desk.survey):
            yield desk.survey
        flags = desk.flags().copy()
        for day in np.flatnonzero(flags.any(axis=0)).tolist():
            if not desk.may(desk.open(day)):
                break
            yield desk.open(day)
            for family, tool in TOOL_OF_FAMILY.items():
                if flags[family, day] and desk.may(desk.inspect(tool, day)):
                    yield desk.inspect(tool, day)
            for entity in self.choose(day):
                yield desk.report(day, entity)

    def choose(self, day: int) -> list[int]:
        """The entities to report on an opened date, among the confirmed ones."""
        raise NotImplementedError


@register("threshold")
class Threshold(ScanScript):
    """Reports every confirmed cell."""

    def choose(self, day: int) -> list[int]:
        """All that may be reported."""
        return np.flatnonzero(self.desk.confirmed(day)).tolist()


@register("zscore")
class ZScore(ScanScript):
    """Reports the confirmed cell with the largest deviation in units of its own clean noise.

    It has no cut-off beside the detection thresholds. The usual one of 3.5 changes nothing at easy and medium; at
    hard it passes over every count that stands alone, natural or not, and lifts the mean score from 0.52 to 0.73.
    """

    def __init__(self, env: gym.Env[np.ndarray, Any]) -> None:
        super().__init__(env)
        config = self.desk.config
        noise = clean_noise(config.generator, config.difficulty)
        self._unit = threshold_shares(config.generator, config.difficulty) / np.maximum(noise, LEAST_NOISE)

    def choose(self, day: int) -> list[int]:
        """The largest z."""
        z = np.abs(self.desk.deviation(day)) * self._unit * self.desk.confirmed(day)
        return [int(z.argmax())] if z.any() else []


@register("fixed_order")
class FixedOrder(ScanScript):
    """Reports the first confirmed cell on the way down the funnel.

    The order is data quality, hourly mix, then step by step its funnel step, count and rate, then the end-to-end
    conversions. A search over all orders finds none that is better by more than 0.01 at medium; rates before counts
    is worse by 0.14.
    """

    def __init__(self, env: gym.Env[np.ndarray, Any]) -> None:
        super().__init__(env)
        catalogue = self.desk.catalogue
        steps, at, spans = catalogue.num_steps, catalogue.slices, catalogue.spans
        by_the_hour = (at["data_quality"], at["hourly_mix"])  # which nobody has where only days are known
        order = [*(entity for place in by_the_hour for entity in range(place.start, place.stop)), 0]
        for step in range(1, steps):
            rates = [steps + i for i, (den, num) in enumerate(spans) if (den, num) == (step - 1, step)]
            order += [at["funnel_step"].start + step - 1, step, *rates]
        self._order = order + [steps + i for i in catalogue.skipping]

    def choose(self, day: int) -> list[int]:
        """The first of the order that may be reported."""
        confirmed = self.desk.confirmed(day)
        return [entity for entity in self._order if confirmed[entity]][:1]


def clean_noise(config: GeneratorConfig, difficulty: Difficulty) -> np.ndarray:
    """(E,) standard deviation of each entity's clean days, relative to the median; 0 for data quality."""
    catalogue = config.catalogue
    if config.noise is not None:  # which was measured, of all but the excesses
        measured = np.concatenate([config.noise, np.zeros(catalogue.num_measures - len(config.noise))])
        return measured[catalogue.measure_of_entity]
    weights = config.hour_shares
    spread = UNIFORM_STD * np.sqrt((weights**2).sum())
    rates = np.array([config.noise_of(step, difficulty) for step in config.steps]) * spread
    traffic = float(np.hypot(np.std(nominal_season(config)), UNIFORM_STD * config.day_noise))
    counts = np.sqrt(traffic**2 + np.concatenate([[0.0], np.cumsum(rates**2)]))
    conversions = [np.sqrt((rates[den:num] ** 2).sum()) for den, num in catalogue.spans]
    inside = np.isin(np.arange(len(weights)), DAYTIME_HOURS)
    share = weights[inside].sum()
    mix = UNIFORM_STD * config.hour_noise * np.sqrt((weights**2 * (inside - share) ** 2).sum()) / share
    return np.concatenate([counts, conversions, rates, [mix], np.zeros(len(rates))])
