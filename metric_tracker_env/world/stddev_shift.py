"""``metric_stddev_shift``: explicit anomalies that move a metric to its median plus or minus deviations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import (
    MAX_DAILY_COUNT,
    EpisodeConfig,
    GenerationError,
    GeneratorConfig,
    SyntheticAnomalyGenerator,
)
from metric_tracker_env.measure import (
    Deviations,
    anomaly_type,
    measures,
    medians,
    rounded,
    std_dev_from_median,
    thresholds,
)
from metric_tracker_env.schema import Entity, MethodSpec, SyntheticGeneratorApplication
from metric_tracker_env.world import rng
from metric_tracker_env.world.labels import MIN_MOVE
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import FAMILY_INDEX, TRAFFIC_FLOOR, chain_bounds, links_of, step_thresholds

SHIFT_MARGIN = 1.05  # least shift, in detection thresholds
MOVE_MARGIN = 1.1 * MIN_MOVE  # least move of the day's own value, in detection thresholds
MEDIAN_ROUNDS = 4  # the medians settle after two or three
MAX_DRAWS = 8192
SHARE_STEPS = 60  # halvings when the common share of an end-to-end conversion is solved

SYNTHETIC_GENERATOR_METHOD_SPECS = (
    MethodSpec(
        name="metric_stddev_shift",
        description=(
            "Move a count or a conversion rate on given dates to its median plus or minus stddev_factor times "
            "its std_dev_from_median, and never by less than its detection threshold."
        ),
        parameters=tuple(name for name in SyntheticAnomalyGenerator.model_fields if name != "method_name"),
    ),
)


def available_synthetic_generator_methods() -> list[MethodSpec]:
    """The generator methods that ``EpisodeConfig.anomaly_generators`` accepts."""
    return list(SYNTHETIC_GENERATOR_METHOD_SPECS)


class Shift(NamedTuple):
    """One anomaly that was asked for, with everything drawn that was left open."""

    day: int
    metric: str
    spec: SyntheticAnomalyGenerator
    sign: float  # +1 up, -1 down


class Baseline(NamedTuple):
    """What deviations are measured from."""

    medians: np.ndarray  # (M,) float64
    thresholds: np.ndarray  # (E,) float64


def plan_generators(
    config: GeneratorConfig, episode: EpisodeConfig, key: int, twin: Deviations
) -> tuple[Plan, list[SyntheticGeneratorApplication]]:
    """Turn explicit generators into the plan of one episode, by date.

    Targets are set from the medians as they are after all shifts, since each shift moves them a little.

    Raises:
        GenerationError: for a target that the day or the funnel cannot carry; says which and why.
    """
    catalogue = config.catalogue
    baseline = Baseline(twin.medians[:, 0], twin.thresholds[:, 0])
    draws = iter(rng.uniforms(np.array([key], np.uint64), Stream.GENERATORS, MAX_DRAWS)[:, 0].tolist())
    shifts = sorted(_resolve(config, episode, twin, baseline, draws), key=lambda shift: shift.day)
    plan, applications = Plan.empty(1, len(shifts), catalogue.num_steps), []
    for _ in range(MEDIAN_ROUNDS):
        applications = [
            _apply(config, episode, twin, baseline, plan, place, shift) for place, shift in enumerate(shifts)
        ]
        values = twin.values.copy()
        for day, factor in zip(plan.day[0], plan.factor[0], strict=True):
            daily = values[: catalogue.num_steps, :, day] * factor[:, None]
            part = values[catalogue.share_row, :, day] * daily[0]
            values[:, :, day] = measures(catalogue, daily, part, values[catalogue.share_row + 1 :, :, day])
        moved = medians(catalogue, values)
        baseline = Baseline(moved[:, 0], thresholds(catalogue, episode.difficulty, moved)[:, 0])
    return plan, applications


def _resolve(
    config: GeneratorConfig,
    episode: EpisodeConfig,
    twin: Deviations,
    baseline: Baseline,
    draws: Iterator[float],
) -> list[Shift]:
    """Every anomaly asked for, each on a day of its own; what was left open is drawn among what fits."""
    names = [*config.catalogue.count_metrics, *(c.name for c in config.catalogue.conversions)]
    undated: list[tuple[str, SyntheticAnomalyGenerator]] = []
    dated: list[tuple[int, str, SyntheticAnomalyGenerator]] = []
    for spec in episode.anomaly_generators:
        days = [config.day_index(date) for date in spec.all_dates]
        for name in spec.all_metrics or names:
            dated += [(day, name, spec) for day in days]
            undated += [] if days else [(name, spec)]
    used = {day for day, _, _ in dated}

    def first_that_fits(days: list[int], name: str, spec: SyntheticAnomalyGenerator) -> Shift:
        failure = GenerationError(f"anomaly_generators: no date is left for {name!r}")
        for day in days:
            for sign in _signs(spec, draws):
                shift = Shift(day, name, spec, sign)
                try:
                    _factors(config, episode, twin, baseline, shift)
                except GenerationError as error:
                    failure = error
                else:
                    return shift
        raise failure

    shifts = [first_that_fits([day], name, spec) for day, name, spec in dated]
    for name, spec in undated:
        free = [day for day in config.candidate_days if day not in used]
        order = sorted((next(draws), day) for day in free)
        shift = first_that_fits([day for _, day in order], name, spec)
        used.add(shift.day)
        shifts.append(shift)
    return shifts


def _signs(spec: SyntheticAnomalyGenerator, draws: Iterator[float]) -> tuple[float, ...]:
    """Directions to try, in order."""
    if spec.direction != "auto":
        return (1.0 if spec.direction == "up" else -1.0,)
    return (1.0, -1.0) if next(draws) >= 0.5 else (-1.0, 1.0)


def _target(
    config: GeneratorConfig, twin: Deviations, baseline: Baseline, shift: Shift
) -> tuple[Entity, float, float, float]:
    """Entity, its median, its std_dev_from_median on clean data, and the value that the shift asks for."""
    kind = "event_count" if shift.metric in config.catalogue.count_metrics else "conversion_rate"
    entity = config.catalogue.entity(kind, shift.metric)
    row = config.catalogue.measure_of_entity[entity.index]
    median = float(baseline.medians[row])
    deviation = std_dev_from_median(twin.values[row, 0], float(twin.medians[row, 0]))
    size = max(deviation * shift.spec.stddev_factor, SHIFT_MARGIN * float(baseline.thresholds[entity.index]))
    return entity, median, deviation, median + shift.sign * size


def _factors(
    config: GeneratorConfig, episode: EpisodeConfig, twin: Deviations, baseline: Baseline, shift: Shift
) -> np.ndarray:
    """(S,) factors of the counts that take the metric to its target.

    Raises:
        GenerationError: if the day is nearly there already, or the funnel cannot carry the target.
    """
    entity, _, _, target = _target(config, twin, baseline, shift)
    value = float(twin.values[config.catalogue.measure_of_entity[entity.index], 0, shift.day])
    limit = float(baseline.thresholds[entity.index])
    place = f"anomaly_generators: {shift.metric!r} cannot go to {rounded(target)} on {config.date_names[shift.day]}"
    if shift.sign * (target - value) < MOVE_MARGIN * limit:
        raise GenerationError(
            f"{place}: it is at {rounded(value)} there without any anomaly, and an anomaly must move it by at least "
            f"{rounded(MOVE_MARGIN * limit)}; use a larger stddev_factor or another date"
        )
    links, alone = links_of(config, entity.index)
    factors = _link_factors(config, episode, twin, shift.day, links, target / max(value, 1e-9))
    ceiling, lone_floor = chain_bounds(config, episode.difficulty)
    for link, factor in zip(links, factors, strict=True):
        low = float(lone_floor[link]) if alone else TRAFFIC_FLOOR
        high = float(ceiling[link])
        if link == 0:
            high = MAX_DAILY_COUNT / max(float(twin.values[0, 0, shift.day]), 1.0)
        if not low <= factor <= high:
            raise GenerationError(
                f"{place}: {config.catalogue.count_metrics[link]} would change by a factor of {factor:.4f}, and the "
                f"funnel allows {low:.4f} to {high:.4f}; use a smaller stddev_factor or the other direction"
            )
    column = np.ones((config.catalogue.num_steps, 1))
    column[links, 0] = factors
    return chain_factors(column, np.array([alone]))[:, 0]


def _apply(
    config: GeneratorConfig,
    episode: EpisodeConfig,
    twin: Deviations,
    baseline: Baseline,
    plan: Plan,
    place: int,
    shift: Shift,
) -> SyntheticGeneratorApplication:
    """Write one anomaly into the plan; its record."""
    entity, median, deviation, target = _target(config, twin, baseline, shift)
    value = float(twin.values[config.catalogue.measure_of_entity[entity.index], 0, shift.day])
    limit = float(baseline.thresholds[entity.index])
    kind = anomaly_type(entity.entity_type, shift.sign)
    plan.active[0, place] = True
    plan.day[0, place] = shift.day
    plan.entity[0, place] = entity.index
    plan.family[0, place] = FAMILY_INDEX[kind]
    plan.sign[0, place] = shift.sign
    plan.size[0, place] = abs(target - value) / limit
    plan.alone[0, place] = links_of(config, entity.index)[1]
    plan.factor[0, place] = _factors(config, episode, twin, baseline, shift)
    operator = "+" if shift.sign > 0 else "-"
    return SyntheticGeneratorApplication(
        method_name=shift.spec.method_name,
        date=config.date_names[shift.day],
        metric_name=shift.metric,
        metric_type=entity.entity_type,
        direction="up" if shift.sign > 0 else "down",
        anomaly_type=kind,
        detection_method=entity.detection_method,
        baseline_value=rounded(median),
        pre_applied_value=rounded(value),
        std_dev_from_median=rounded(deviation),
        stddev_factor=shift.spec.stddev_factor,
        threshold_value=rounded(limit),
        target_value=rounded(target),
        actual_value=rounded(target),
        formula=(
            f"{shift.metric} = median {operator} max(stddev_factor * std_dev_from_median, "
            f"{SHIFT_MARGIN} * detection threshold)"
        ),
    )


def _link_factors(
    config: GeneratorConfig, episode: EpisodeConfig, twin: Deviations, day: int, links: list[int], ratio: float
) -> list[float]:
    """Factors of the links whose product is ``ratio``; several links move by one common share of their thresholds."""
    if len(links) == 1:
        return [ratio]
    steps = config.catalogue.num_steps
    rows = np.array(links) + steps - 1
    limits = step_thresholds(episode.difficulty, twin.medians[rows, 0])
    units = (limits / np.maximum(twin.values[rows, 0, day], 1e-9)).tolist()
    sign = 1.0 if ratio >= 1 else -1.0
    low, high = 0.0, (1.0 - TRAFFIC_FLOOR) / max(units) if sign < 0 else 100.0
    for _ in range(SHARE_STEPS):
        middle = 0.5 * (low + high)
        product = 1.0
        for unit in units:
            product *= 1.0 + sign * middle * unit
        low, high = (middle, high) if sign * (ratio - product) > 0 else (low, middle)
    return [1.0 + sign * low * unit for unit in units]


def chain_factors(link: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """(S, n) factors of the links -> (S, n) factors of the counts; a lone step leaves the steps below it."""
    factor = link.copy()
    for step in range(1, len(factor)):
        before = np.where((alone > 0) & (alone == step - 1), 1.0, factor[step - 1])
        factor[step] *= before
    return factor
