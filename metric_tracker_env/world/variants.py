"""Incidents that can be told apart: which there are, how large they are, and which links of the chain they multiply.

An incident multiplies the chain (traffic, step rates) of one date. A *variant* is one kind of incident: family, entity
and direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.config.generator import most_noise
from metric_tracker_env.measure import (
    DAYTIME_HOURS,
    ThresholdTable,
    anomaly_type,
    step_thresholds,
    threshold_table,
    thresholds,
)
from metric_tracker_env.schema import ANOMALY_TYPES, Difficulty

# Planned moves of the cell's own value, in thresholds of the entity.
SIZES: dict[Difficulty, tuple[float, float]] = {"easy": (1.5, 2.0), "medium": (1.3, 1.8), "hard": (1.15, 1.5)}
SKIPPING_SHARE = (0.6, 0.8)  # of its own threshold, by which each step inside an end-to-end conversion moves
FUNNEL_BREAK_KEEP: dict[Difficulty, tuple[float, float]] = {
    "easy": (0.40, 0.55),
    "medium": (0.48, 0.60),
    "hard": (0.55, 0.65),
}
IMPOSSIBLE_HOURS: dict[Difficulty, int] = {"easy": 5, "medium": 4, "hard": 3}
IMPOSSIBLE_EXCESS: dict[Difficulty, float] = {"easy": 0.12, "medium": 0.08, "hard": 0.05}
SHIFT_DAY_HOURS = slice(9, 19)
SHIFT_NIGHT_HOURS = (slice(0, 5), slice(21, 24))
SHIFT_LEAST = 0.01  # least share of the traffic that day and night hours each need for a mix shift
SHIFT_LIMIT = 0.9  # most of the traffic of the hours it leaves that a mix shift may take
TRAFFIC_FLOOR = 0.05  # least share of its traffic that a drop leaves
# Thresholds from the twin's median that a planned cell must reach: at 1.02 the incidents' own pull on the medians
# makes 0.8 % of the hard ones fail when they are measured, at 1.08 it is 0.15 %, and each costs a redraw.
PLAN_MARGIN = 1.08
UNBROKEN = 3.0  # noises of a rate by which the drop of it stays short of a broken funnel step
WORLD_MARGIN = 1.12  # in a world more dates pull on the medians: at 1.08 it is 0.8 % of the hard ones, so 0.3 %
FAMILY_INDEX: dict[str, int] = {name: i for i, name in enumerate(ANOMALY_TYPES)}
FUNNEL_FAMILY = FAMILY_INDEX["funnel_break"]
MIX_FAMILY = FAMILY_INDEX["hourly_traffic_mix_shift"]
QUALITY_FAMILY = FAMILY_INDEX["instrumentation_data_quality_issue"]


class Variant(NamedTuple):
    """One kind of incident."""

    family: int  # position in ANOMALY_TYPES
    entity: int
    sign: int  # +1 up, -1 down
    low: float  # sizes are drawn uniformly from low..high
    high: float


@dataclass(frozen=True)
class VariantTable:
    """The variants of a difficulty as columns, with what each does to the chain; S steps, V variants."""

    entity: np.ndarray  # (V,) int64
    measure: np.ndarray  # (V,) int64, row of the measures that holds the entity's value
    family: np.ndarray  # (V,) int64
    sign: np.ndarray  # (V,) float64
    low: np.ndarray  # (V,) float64
    span: np.ndarray  # (V,) float64, high - low
    limits: ThresholdTable  # columns (V,)
    alone: np.ndarray  # (V,) int64, the one inner step whose count changes with its neighbours staying, or 0
    scaled: np.ndarray  # (V, S) bool, counts that the factor of a variant with one link multiplies
    least: np.ndarray  # (V,) float64, bounds of that factor
    most: np.ndarray  # (V,) float64
    margin: np.ndarray  # (V,) float64, thresholds from the twin's median that the planned cell must reach
    several: np.ndarray  # (V,) bool, whether the variant multiplies more than one link
    elastic: np.ndarray  # (V,) bool, whether its size may grow
    links: np.ndarray  # (V, S-1) bool, the step rates that it multiplies
    ceiling: np.ndarray  # (S-1,) float64, largest factor of each step rate
    start: np.ndarray  # (7,) int64, first variant of each family
    count: np.ndarray  # (7,) int64, variants of each family
    families: np.ndarray  # families that have a variant


def chain_bounds(config: GeneratorConfig, difficulty: Difficulty) -> tuple[np.ndarray, np.ndarray]:
    """(S,) largest factor that keeps each hourly rate at most 1, and (S,) least factor of a lone count.

    A count on its own may fall only as far as the step after it, at that step's largest hourly rate.
    """
    peaks = rate_peaks(config, difficulty)
    if config.noise is not None:  # where the noise may reach 1, an hour's count ends at the one before it
        peaks = np.minimum(peaks, 1.0)
    ceiling = np.concatenate([[np.inf], 1.0 / peaks])
    floor = np.concatenate([[TRAFFIC_FLOOR], peaks[1:], [TRAFFIC_FLOOR]])[: len(ceiling)]
    return ceiling, floor


def rate_peaks(config: GeneratorConfig, difficulty: Difficulty) -> np.ndarray:
    """(S-1,) float64 largest hourly rate of each step by the configured noise."""
    return np.array(
        [
            step.rate * (1 + config.noise_of(step, difficulty)) * (1 + most_noise(step.day_noise, step.day_tail))
            for step in config.steps
        ]
    )


def nominal_measures(config: GeneratorConfig) -> np.ndarray:
    """(M,) the measures of a mean day, from the configured rates."""
    catalogue = config.catalogue
    middle = config.base_daily_count * (1 + config.trend_per_day * (config.num_days - 1) / 2)
    rates = np.array([step.rate for step in config.steps])
    counts = middle * np.concatenate([[1.0], np.cumprod(rates)])
    weights = np.array(config.hourly_weights)
    out = np.zeros(catalogue.num_measures)
    out[: len(counts)] = counts
    out[len(counts) : catalogue.share_row] = [
        *(100.0 * rates),
        *(100.0 * counts[num] / counts[den] for den, num in (catalogue.spans[i] for i in catalogue.skipping)),
    ]
    if catalogue.hours:
        out[catalogue.share_row] = weights[DAYTIME_HOURS.start : DAYTIME_HOURS.stop].sum() / weights.sum()
    return out


def feasible_variants(config: GeneratorConfig, difficulty: Difficulty) -> list[Variant]:
    """Every (family, entity, direction) that the bounds of the funnel allow and that has a signature of its own.

    A count of the last step is left out: with no rate after it, it looks like a change of its rate. Where thresholds
    follow from noise, so is what they leave no room for: a drop of a rate that is less than a broken funnel step, or an
    end-to-end conversion whose steps, each within its own threshold, do not reach that of the whole.
    """
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    nominal = nominal_measures(config)
    limits = thresholds(catalogue, difficulty, nominal)
    low, high = SIZES[difficulty]
    ceiling, lone_floor = chain_bounds(config, difficulty)
    rates = nominal[steps : 2 * steps - 1]
    step_limits = step_thresholds(catalogue, difficulty, rates)
    broken = limits[catalogue.slices["funnel_step"]] / np.maximum(rates, 1e-9)  # (S-1,) share of the rate that is lost
    found: list[Variant] = []

    def offer(family: str, entity: int, sign: int, least: float, most: float) -> None:
        if most >= least:
            found.append(Variant(FAMILY_INDEX[family], entity, sign, least, most))

    for entity in catalogue.entities:
        i, kind = entity.index, entity.entity_type
        if kind == "event_count" and i < max(steps - 1, 1):
            unit = nominal[i] / limits[i]
            down = (1.0 - lone_floor[i]) * unit
            up = (ceiling[i] - 1.0) * unit
            offer(anomaly_type(kind, -1), i, -1, low, min(high, down))
            offer(anomaly_type(kind, +1), i, +1, low, min(high, up))
        elif kind == "conversion_rate":
            denominator, numerator = catalogue.spans[i - steps]
            inside = np.arange(denominator, numerator)  # positions among the step rates
            room_up = float(((ceiling[1:] - 1.0) * rates / step_limits)[inside].min())
            least, most = (low, high) if len(inside) == 1 else SKIPPING_SHARE
            down = most
            if catalogue.noise is not None and len(inside) > 1:
                shares = most * step_limits[inside] / rates[inside]
                whole = limits[i] / max(float(nominal[catalogue.measure_of_entity[i]]), 1e-9)
                if not reaches(shares, PLAN_MARGIN * whole):
                    continue
            elif catalogue.noise is not None:  # a drop that stays short of a broken step
                step = int(inside[0])
                short = broken[step] - UNBROKEN * catalogue.noise[steps + step]
                down = min(most, float(short * rates[step] / limits[i]))
            offer(anomaly_type(kind, -1), i, -1, least, down)
            offer(anomaly_type(kind, +1), i, +1, least, min(most, room_up))
        elif kind == "funnel_step":
            least, most = FUNNEL_BREAK_KEEP[difficulty]
            if catalogue.noise is not None:
                lost = float(broken[i - catalogue.slices[kind].start])
                most = min(most, 1.0 - low * lost)
                least = max(min(least, 1.0 - high * lost), TRAFFIC_FLOOR)
            offer("funnel_break", i, -1, least, most)
        elif kind == "hourly_mix":
            weights = config.hour_shares
            day, night = weights[SHIFT_DAY_HOURS].sum(), sum(weights[part].sum() for part in SHIFT_NIGHT_HOURS)
            if min(day, night) < SHIFT_LEAST:
                continue
            for sign, leaving in ((-1, day), (+1, night)):
                most = SHIFT_LIMIT * leaving / limits[i]
                offer("hourly_traffic_mix_shift", i, sign, low, min(high, most))
        elif kind == "data_quality":
            size = IMPOSSIBLE_EXCESS[difficulty]
            offer("instrumentation_data_quality_issue", i, +1, size, size)
    return sorted(found)


def reaches(shares: np.ndarray, least: float) -> bool:
    """Whether steps that each move by their own share move the rate of all of them by ``least``, up and down."""
    return all(sign * (float(np.prod(1.0 + sign * shares)) - 1.0) >= least for sign in (-1.0, 1.0))


def variant_table(config: GeneratorConfig, difficulty: Difficulty) -> VariantTable:
    """The feasible variants of a configuration, as columns."""
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    variants = feasible_variants(config, difficulty)
    ceiling, alone_floor = chain_bounds(config, difficulty)
    entity = np.array([v.entity for v in variants])
    family = np.array([v.family for v in variants])
    count = np.bincount(family, minlength=len(ANOMALY_TYPES))
    touches = np.zeros((len(variants), steps), bool)
    scaled = np.zeros((len(variants), steps), bool)
    alone = np.zeros(len(variants), np.int64)
    least, most = np.full(len(variants), -np.inf), np.full(len(variants), np.inf)
    for row, variant in enumerate(variants):
        links, alone[row] = catalogue.links_of(variant.entity)
        if variant.family == QUALITY_FAMILY:
            least[row] = most[row] = 1.0
            continue
        touches[row, links] = True
        if len(links) == 1:
            last = links[0] if alone[row] else steps - 1
            scaled[row, links[0] : last + 1] = True
            least[row] = alone_floor[links[0]] if alone[row] else TRAFFIC_FLOOR
            most[row] = ceiling[links[0]]
    several = touches.sum(axis=1) > 1
    return VariantTable(
        entity=entity,
        measure=catalogue.measure_of_entity[entity],
        family=family,
        sign=np.array([float(v.sign) for v in variants]),
        low=np.array([v.low for v in variants]),
        span=np.array([v.high - v.low for v in variants]),
        limits=threshold_table(catalogue, difficulty).rows(entity),
        alone=alone,
        scaled=scaled,
        least=least,
        most=most,
        margin=np.where(family == QUALITY_FAMILY, -np.inf, PLAN_MARGIN if config.world is None else WORLD_MARGIN),
        several=several,
        elastic=~several & (family != FUNNEL_FAMILY) & (family != QUALITY_FAMILY),
        links=touches[:, 1:],
        ceiling=ceiling[1:],
        start=np.concatenate([[0], np.cumsum(count)[:-1]]),
        count=count,
        families=np.flatnonzero(count),
    )
