"""``metric_stddev_shift``: explicit anomalies that move a metric to its median plus or minus deviations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metric_tracker_env import rng
from metric_tracker_env.anomalies import (
    FAMILY_INDEX,
    TRAFFIC_FLOOR,
    GenerationError,
    Plan,
    chain_bounds,
    chain_factors,
    links_of,
    step_thresholds,
)
from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, SyntheticAnomalyGenerator
from metric_tracker_env.measure import Deviations, anomaly_type, rounded, std_dev_from_median
from metric_tracker_env.rng import Stream
from metric_tracker_env.schema import MethodSpec, SyntheticGeneratorApplication

SHIFT_MARGIN = 1.05  # least shift, in detection thresholds
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


def plan_generators(
    config: GeneratorConfig, episode: EpisodeConfig, key: int, twin: Deviations
) -> tuple[Plan, list[SyntheticGeneratorApplication]]:
    """Turn explicit generators into the plan of one episode, by date.

    Raises:
        GenerationError: for an unknown metric or date, two anomalies on one date, or a target that the funnel
            cannot carry; says which and why.
    """
    draws = iter(rng.uniforms(np.array([key], np.uint64), Stream.GENERATORS, 4096)[:, 0].tolist())
    wanted = _resolve(config, episode, draws)
    plan = Plan.empty(1, len(wanted), config.catalogue.num_steps)
    applications: list[SyntheticGeneratorApplication] = []
    for place, (day, name, spec) in enumerate(sorted(wanted, key=lambda item: item[0])):
        up = next(draws) >= 0.5 if spec.direction == "auto" else spec.direction == "up"
        applications.append(_apply(config, episode, twin, plan, place, day, name, spec, 1.0 if up else -1.0))
    return plan, applications


def _resolve(
    config: GeneratorConfig, episode: EpisodeConfig, draws: Iterator[float]
) -> list[tuple[int, str, SyntheticAnomalyGenerator]]:
    """(day, metric, generator) of every anomaly asked for; each day once."""
    names = [*config.catalogue.count_metrics, *(c.name for c in config.catalogue.conversions)]
    used: dict[int, str] = {}
    undated: list[tuple[str, SyntheticAnomalyGenerator]] = []
    wanted: list[tuple[int, str, SyntheticAnomalyGenerator]] = []

    def claim(day: int, name: str, spec: SyntheticAnomalyGenerator) -> None:
        if day in used:
            raise GenerationError(
                f"anomaly_generators: {name!r} and {used[day]!r} both ask for {config.date_names[day]}; "
                "one anomaly a date"
            )
        used[day] = name
        wanted.append((day, name, spec))

    for spec in episode.anomaly_generators:
        metrics = spec.all_metrics or tuple(names)
        for name in metrics:
            if name not in names:
                raise GenerationError(f"anomaly_generators: metric {name!r} is not one of {names}")
        try:
            days = [config.day_index(date) for date in spec.all_dates]
        except ValueError as error:
            raise GenerationError(f"anomaly_generators: {error}") from error
        for name in metrics:
            if not days:
                undated.append((name, spec))
            for day in days:
                claim(day, name, spec)
    if len(wanted) + len(undated) >= config.num_days / 2:
        raise GenerationError(
            f"anomaly_generators: {len(wanted) + len(undated)} anomalies do not leave more than half of "
            f"{config.num_days} days clean, which the medians need"
        )
    for name, spec in undated:
        free = [day for day in range(config.num_days) if day not in used]
        claim(free[int(next(draws) * len(free))], name, spec)
    return wanted


def _apply(
    config: GeneratorConfig,
    episode: EpisodeConfig,
    twin: Deviations,
    plan: Plan,
    place: int,
    day: int,
    name: str,
    spec: SyntheticAnomalyGenerator,
    sign: float,
) -> SyntheticGeneratorApplication:
    """Write one anomaly into the plan; refuses a target that the funnel cannot carry."""
    catalogue = config.catalogue
    kind = "event_count" if name in catalogue.count_metrics else "conversion_rate"
    entity = catalogue.entity(kind, name)
    series = twin.values[catalogue.measure_of_entity[entity.index], 0]
    baseline = float(twin.medians[catalogue.measure_of_entity[entity.index], 0])
    limit = float(twin.thresholds[entity.index, 0])
    deviation = std_dev_from_median(series, baseline)
    shift = max(deviation * spec.stddev_factor, SHIFT_MARGIN * limit)
    target = baseline + sign * shift

    links, alone = links_of(config, entity.index)
    ratio = target / max(float(series[day]), 1e-9)
    factors = _link_factors(config, episode, twin, day, links, ratio)
    ceiling, lone_floor = chain_bounds(config, episode.difficulty)
    for link, factor in zip(links, factors, strict=True):
        low = float(lone_floor[link]) if alone else TRAFFIC_FLOOR
        high = float(ceiling[link])
        if not low <= factor <= high:
            raise GenerationError(
                f"anomaly_generators: {name!r} cannot go to {rounded(target)} on {config.date_names[day]}: "
                f"{catalogue.count_metrics[link]} would change by a factor of {factor:.4f}, and the funnel allows "
                f"{low:.4f} to {high:.4f}; use a smaller stddev_factor or the other direction"
            )
    link_column = np.ones((catalogue.num_steps, 1))
    link_column[links, 0] = factors
    kind_of_anomaly = anomaly_type(kind, sign)
    plan.active[0, place] = True
    plan.day[0, place] = day
    plan.entity[0, place] = entity.index
    plan.family[0, place] = FAMILY_INDEX[kind_of_anomaly]
    plan.sign[0, place] = sign
    plan.size[0, place] = abs(target - series[day]) / limit
    plan.alone[0, place] = alone
    plan.factor[0, place] = chain_factors(link_column, np.array([alone]))[:, 0]
    operator = "+" if sign > 0 else "-"
    return SyntheticGeneratorApplication(
        method_name=spec.method_name,
        date=config.date_names[day],
        metric_name=name,
        metric_type=kind,
        direction="up" if sign > 0 else "down",
        anomaly_type=kind_of_anomaly,
        detection_method=entity.detection_method,
        baseline_value=rounded(baseline),
        pre_applied_value=rounded(series[day]),
        std_dev_from_median=rounded(deviation),
        stddev_factor=spec.stddev_factor,
        threshold_value=rounded(limit),
        target_value=rounded(target),
        actual_value=rounded(target),
        formula=(
            f"{name} = median {operator} max(stddev_factor * std_dev_from_median, {SHIFT_MARGIN} * detection threshold)"
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
