"""How far an anomaly can move an entity on a date: what the funnel can carry, and the factors that do it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import MAX_DAILY_COUNT, GeneratorConfig
from metric_tracker_env.measure import step_thresholds, thresholds
from metric_tracker_env.schema import Difficulty, Entity
from metric_tracker_env.world.labels import MIN_MOVE
from metric_tracker_env.world.variants import (
    SHIFT_DAY_HOURS,
    SHIFT_LIMIT,
    SHIFT_NIGHT_HOURS,
    TRAFFIC_FLOOR,
    chain_bounds,
    nominal_measures,
)

TARGET_MARGIN = 1.05  # least distance of a target from the median, in detection thresholds
MOVE_MARGIN = 1.1 * MIN_MOVE  # least move of the day's own value, in detection thresholds
SHARE_STEPS = 60  # halvings when the common share of an end-to-end conversion is solved


class Ground(NamedTuple):
    """What a date holds without any anomaly, and what its values are measured from."""

    values: np.ndarray  # (M,) float64 measures of the date
    usual: np.ndarray  # (M,) float64 medians without any anomaly
    entry: np.ndarray  # (H,) first-step events an hour
    medians: np.ndarray  # (M,) float64 medians with the anomalies
    thresholds: np.ndarray  # (E,) float64


def nominal_ground(config: GeneratorConfig, difficulty: Difficulty) -> Ground:
    """A mean day of a configuration."""
    nominal = nominal_measures(config)
    limits = thresholds(config.catalogue, difficulty, nominal)
    return Ground(nominal, nominal, np.array(config.hourly_weights), nominal, limits)


class Room(NamedTuple):
    """Distances from the median to which an anomaly can take an entity in one direction; none if they are empty."""

    least: float
    most: float

    @property
    def empty(self) -> bool:
        """Whether no anomaly in this direction is possible."""
        return self.least > self.most


def room(config: GeneratorConfig, difficulty: Difficulty, entity: Entity, ground: Ground, sign: float) -> Room:
    """Room for a target of an entity on a date, above (+1) or below (-1) the median."""
    row = config.catalogue.measure_of_entity[entity.index]
    value, median = float(ground.values[row]), float(ground.medians[row])
    limit = float(ground.thresholds[entity.index])
    low, high = values_allowed(config, difficulty, entity, ground)
    least = max(TARGET_MARGIN * limit, MOVE_MARGIN * limit + sign * (value - median))
    return Room(least, high - median if sign > 0 else median - low)


def values_allowed(
    config: GeneratorConfig, difficulty: Difficulty, entity: Entity, ground: Ground
) -> tuple[float, float]:
    """Least and greatest value that the funnel lets an anomaly give to an entity on a date."""
    value = float(ground.values[config.catalogue.measure_of_entity[entity.index]])
    if entity.entity_type == "hourly_mix":
        total = float(ground.entry.sum())
        day = float(ground.entry[SHIFT_DAY_HOURS].sum())
        night = sum(float(ground.entry[part].sum()) for part in SHIFT_NIGHT_HOURS)
        return value - SHIFT_LIMIT * day / total, value + SHIFT_LIMIT * night / total
    links, alone = config.catalogue.links_of(entity.index)
    ceiling, lone_floor = chain_bounds(config, difficulty)
    ceiling[0] = MAX_DAILY_COUNT / float(ground.values[0])  # traffic has at least one event a day
    if len(links) == 1:
        floor = float(lone_floor[links[0]]) if alone else TRAFFIC_FLOOR
        return value * floor, value * float(ceiling[links[0]])
    units = _link_units(config, difficulty, links, ground)
    down = min((1.0 - TRAFFIC_FLOOR) / unit for unit in units)
    up = min((float(ceiling[link]) - 1.0) / unit for link, unit in zip(links, units, strict=True))
    return value * _product(units, -down), value * _product(units, up)


def count_factors(
    config: GeneratorConfig, difficulty: Difficulty, entity: Entity, ground: Ground, target: float
) -> np.ndarray:
    """(S,) factors of the counts that take a count or a rate to its target."""
    links, alone = config.catalogue.links_of(entity.index)
    value = float(ground.values[config.catalogue.measure_of_entity[entity.index]])
    column = np.ones((config.catalogue.num_steps, 1))
    column[list(links), 0] = _link_factors(config, difficulty, links, ground, target / value)
    return chain_factors(column, np.array([alone]))[:, 0]


def _link_factors(
    config: GeneratorConfig, difficulty: Difficulty, links: range, ground: Ground, ratio: float
) -> list[float]:
    """Factors of the links whose product is ``ratio``; several links move by one common share of their thresholds."""
    if len(links) == 1:
        return [ratio]
    units = _link_units(config, difficulty, links, ground)
    sign = 1.0 if ratio >= 1 else -1.0
    low, high = 0.0, (1.0 - TRAFFIC_FLOOR) / max(units) if sign < 0 else max(100.0, (ratio - 1.0) / max(units))
    for _ in range(SHARE_STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if sign * (ratio - _product(units, sign * middle)) > 0 else (low, middle)
    return [1.0 + sign * low * unit for unit in units]


def _link_units(config: GeneratorConfig, difficulty: Difficulty, links: range, ground: Ground) -> list[float]:
    """Detection thresholds of the rates of several links, as shares of the rates of the date."""
    rows = np.array(links) + config.catalogue.num_steps - 1
    of_links = slice(links.start - 1, links.stop - 1)
    limits = step_thresholds(config.catalogue, difficulty, ground.usual[rows], of_links)
    return (limits / np.maximum(ground.values[rows], 1e-9)).tolist()


def _product(units: list[float], share: float) -> float:
    """What links together multiply by when each moves by a share of its unit."""
    product = 1.0
    for unit in units:
        product *= 1.0 + share * unit
    return product


def chain_factors(link: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """(S, n) factors of the links -> (S, n) factors of the counts; a lone step leaves the steps below it."""
    factor = link.copy()
    for step in range(1, len(factor)):
        before = np.where((alone > 0) & (alone == step - 1), 1.0, factor[step - 1])
        factor[step] *= before
    return factor
