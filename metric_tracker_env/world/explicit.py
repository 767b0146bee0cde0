"""Explicit anomalies: from what an episode is asked to hold to its plan, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metric_tracker_env.config import METHODS, EpisodeConfig, ExplicitAnomaly, GenerationError, GeneratorConfig
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import Entity, MethodSpec, SyntheticGeneratorApplication
from metric_tracker_env.world import rng
from metric_tracker_env.world.advice import advice
from metric_tracker_env.world.bench import Ask, Bench
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.rng import Stream

MEDIAN_ROUNDS = 4  # the medians settle after two or three
MAX_DRAWS = 8192


def available_synthetic_generator_methods() -> list[MethodSpec]:
    """The generator methods that ``EpisodeConfig.anomaly_generators`` accepts."""
    return [
        MethodSpec(
            name=name,
            description=method.summary,
            parameters=tuple(field for field in method.model_fields if field != "method_name"),
        )
        for name, method in METHODS.items()
    ]


def plan_explicit(
    config: GeneratorConfig, episode: EpisodeConfig, keys: np.ndarray, entry: np.ndarray, twin: Deviations
) -> tuple[Plan, list[SyntheticGeneratorApplication]]:
    """Turn explicit generators into the plan of one episode, by date.

    Args:
        config: Funnel and calendar.
        episode: What is asked for.
        keys: (1,) uint64, or (1, 4) sealed: that of the episode.
        entry: (H, D) first-step events an hour without any anomaly.
        twin: Deviations of that data, B = 1.

    Raises:
        GenerationError: for an anomaly that the day or the funnel cannot carry; says which, why, and what they can.
    """
    bench = Bench(config, episode.difficulty, entry, twin)
    draws = iter(rng.uniforms(keys, Stream.GENERATORS, MAX_DRAWS)[:, 0].tolist())
    asks = sorted(_resolve(bench, episode, draws), key=lambda ask: (ask.day, ask.entity.index))
    plan, records = Plan.empty(1, len(asks), config.catalogue.num_steps), []
    for _ in range(MEDIAN_ROUNDS):
        records = []
        for place, ask in enumerate(asks):
            fault = bench.fault(ask)
            if fault:
                raise GenerationError(f"{fault}; {advice(bench, ask.spec, ask.entity, [ask.day])}")
            records.append(bench.write(plan, place, ask, keys))
        bench.settle(plan)
    return plan, records


def _resolve(bench: Bench, episode: EpisodeConfig, draws: Iterator[float]) -> list[Ask]:
    """Every anomaly asked for; those without a date get one of their own, drawn among those that can carry them."""
    config = bench.config
    dated: list[tuple[int, Entity, ExplicitAnomaly]] = []
    undated: list[tuple[Entity, ExplicitAnomaly]] = []
    for spec in episode.anomaly_generators:
        days = [config.day_index(date) for date in spec.all_dates]
        for entity in spec.entities(config.catalogue):
            dated += [(day, entity, spec) for day in days]
            undated += [] if days else [(entity, spec)]
    used = {day for day, _, _ in dated}

    def first_that_fits(days: list[int], entity: Entity, spec: ExplicitAnomaly) -> Ask:
        fault = None
        for day in days:
            for sign in _signs(spec, draws):
                ask = Ask(day, entity, spec, sign)
                fault = bench.fault(ask)
                if fault is None:
                    return ask
        if fault is None:
            raise GenerationError(f"anomaly_generators: no date is left for {entity.entity_name!r}")
        raise GenerationError(f"{fault}; {advice(bench, spec, entity, days)}")

    asks = [first_that_fits([day], entity, spec) for day, entity, spec in dated]
    for entity, spec in undated:
        free = [day for day in config.candidate_days if day not in used]
        order = sorted((next(draws), day) for day in free)
        ask = first_that_fits([day for _, day in order], entity, spec)
        used.add(ask.day)
        asks.append(ask)
    return asks


def _signs(spec: ExplicitAnomaly, draws: Iterator[float]) -> tuple[float, ...]:
    """Directions to try, in order."""
    if len(spec.directions) == 1:
        return (1.0 if spec.directions == ("up",) else -1.0,)
    return (1.0, -1.0) if next(draws) >= 0.5 else (-1.0, 1.0)
