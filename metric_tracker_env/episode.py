"""Episodes: generate, inject, measure, label; as batches of arrays and as records of one episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metric_tracker_env import measure, rng
from metric_tracker_env.anomalies import GenerationError, Plan, Planner, inject
from metric_tracker_env.config import EpisodeConfig, GeneratorConfig
from metric_tracker_env.generator import clean_planes
from metric_tracker_env.labels import CellClass, label
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import (
    ANOMALY_TYPES,
    HOURS_PER_DAY,
    MetricRecord,
    MetricSubmissionRow,
    PlannedAnomaly,
    SyntheticGeneratorApplication,
)
from metric_tracker_env.stddev_shift import plan_generators
from metric_tracker_env.view import MetricView

CHUNK = 512  # episodes generated at a time: enough to amortise NumPy's calls, few enough for the cache


@dataclass
class EpisodeBatch:
    """B episodes of one configuration: the data, the clean twin, the incidents and the class of every cell."""

    planes: np.ndarray  # (S, H, B, D) int32, events an hour
    twin_daily: np.ndarray  # (S, B, D) float64, events a day without injection
    final: Deviations  # measured on the injected data
    plan: Plan
    classes: np.ndarray  # (E, B, D) int8 of CellClass
    redraws: np.ndarray  # (B,) int64, incidents drawn again because they did not pass on the final data

    @property
    def hourly(self) -> np.ndarray:
        """(B, D, H, S) int32 events an hour; a view."""
        return self.planes.transpose(2, 3, 1, 0)

    @property
    def daily(self) -> np.ndarray:
        """(B, D, S) int64 events a day."""
        return self.final.values[: len(self.planes)].transpose(1, 2, 0).astype(np.int64)

    @property
    def expected(self) -> np.ndarray:
        """(E, B, D) bool: root cells of the incidents."""
        return self.classes == CellClass.EXPECTED


def generate_batch(config: GeneratorConfig, episode: EpisodeConfig, keys: np.ndarray) -> EpisodeBatch:
    """Generate the episodes of (B,) uint64 keys; each is the same whatever else is in the batch.

    Args:
        config: Funnel and traffic.
        episode: Family, difficulty, counts or explicit generators; its seed is not used.
        keys: One key an episode, see ``rng.KeyStream``.

    Raises:
        ValueError: if more incidents are asked for than fit.
        GenerationError: if the incidents cannot be realised.
    """
    if episode.anomaly_generators:
        return _join([_with_generators(config, episode, keys[i : i + 1])[0] for i in range(len(keys))])
    planner = Planner(config, episode)
    parts = [_generate_chunk(config, episode, planner, keys[i : i + CHUNK]) for i in range(0, len(keys), CHUNK)]
    return _join(parts)


def _generate_chunk(
    config: GeneratorConfig, episode: EpisodeConfig, planner: Planner, keys: np.ndarray
) -> EpisodeBatch:
    planes, twin = _clean(config, episode, keys)
    plan, attempts = planner.draw(keys, twin)
    batch, passed = _finish(config, episode, planes, plan, twin)
    failed = plan.active & ~passed
    while failed.any():
        again = np.flatnonzero(failed.any(axis=1))
        batch.redraws[again] += failed[again].sum(axis=1)
        planes, twin = _clean(config, episode, keys[again])
        part, tried = batch.plan.take(again), attempts[again]
        planner.redraw(keys[again], twin, part, tried, failed[again])
        attempts[again] = tried
        repaired, passed = _finish(config, episode, planes, part, twin)
        _put(batch, again, repaired)
        failed = np.zeros_like(failed)
        failed[again] = part.active & ~passed
    return batch


def _clean(config: GeneratorConfig, episode: EpisodeConfig, keys: np.ndarray) -> tuple[np.ndarray, Deviations]:
    """Planes without incidents, and what they measure to: the clean twin."""
    planes = clean_planes(config, episode.difficulty, keys)
    daily = planes.sum(axis=1).astype(np.float64)
    nothing = np.zeros((len(config.steps), *daily.shape[1:]))
    values = measure.measures(config.catalogue, daily, measure.daytime(planes[0]), nothing)
    baselines = measure.medians(config.catalogue, values)
    limits = measure.thresholds(config.catalogue, episode.difficulty, baselines)
    empty = np.empty(0)
    return planes, Deviations(values, baselines, limits, empty, empty)


def _finish(
    config: GeneratorConfig, episode: EpisodeConfig, planes: np.ndarray, plan: Plan, twin: Deviations
) -> tuple[EpisodeBatch, np.ndarray]:
    """Inject, measure on the final data, label; and (B, K) bool: the incidents that passed."""
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    column, new = inject(config, episode.difficulty, planes, plan, twin)
    flat_twin = twin.values.reshape(catalogue.num_measures, -1)
    values = flat_twin.copy()
    daily = new.sum(axis=1, dtype=np.float64)
    values[:, column] = measure.measures(catalogue, daily, measure.daytime(new[0]), measure.excess(new))
    final = measure.deviations(catalogue, episode.difficulty, values.reshape(twin.values.shape))
    classes, passed = label(plan, final, flat_twin[:, column], catalogue.measure_of_entity)
    redraws = np.zeros(len(passed), np.int64)
    return EpisodeBatch(planes.astype(np.int32), twin.values[:steps], final, plan, classes, redraws), passed


def _with_generators(
    config: GeneratorConfig, episode: EpisodeConfig, keys: np.ndarray
) -> tuple[EpisodeBatch, list[SyntheticGeneratorApplication]]:
    """One episode with explicit ``metric_stddev_shift`` generators: applied as asked or refused."""
    planes, twin = _clean(config, episode, keys)
    plan, applications = plan_generators(config, episode, int(keys[0]), twin)
    batch, passed = _finish(config, episode, planes, plan, twin)
    for application, ok in zip(applications, passed[0], strict=True):
        if not ok:
            raise GenerationError(
                f"anomaly_generators: {application.metric_name!r} on {application.date} moved {application.direction} "
                "but its detection method does not confirm it beside the other anomalies; raise stddev_factor, "
                "or choose another date or fewer anomalies"
            )
    actual = batch.final.values[:, 0]
    measured = [
        application.model_copy(update={"actual_value": measure.rounded(actual[row, day])})
        for application, row, day in zip(
            applications, config.catalogue.measure_of_entity[plan.entity[0]], plan.day[0], strict=True
        )
    ]
    return batch, measured


def _join(parts: list[EpisodeBatch]) -> EpisodeBatch:
    """Batches one after another."""
    if len(parts) == 1:
        return parts[0]

    def along(axis: int, arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays, axis=axis)

    return EpisodeBatch(
        along(2, [p.planes for p in parts]),
        along(1, [p.twin_daily for p in parts]),
        Deviations(*(along(1, list(arrays)) for arrays in zip(*(p.final for p in parts), strict=True))),
        Plan(*(along(0, [getattr(p.plan, name) for p in parts]) for name in Plan.__dataclass_fields__)),
        along(1, [p.classes for p in parts]),
        along(0, [p.redraws for p in parts]),
    )


def _put(batch: EpisodeBatch, episodes: np.ndarray, part: EpisodeBatch) -> None:
    """Replace some episodes of a batch; their count of redraws stays."""
    batch.planes[:, :, episodes] = part.planes
    for whole, piece in zip(batch.final, part.final, strict=True):
        whole[:, episodes] = piece
    batch.plan.put(episodes, part.plan)
    batch.classes[:, episodes] = part.classes


class EpisodeData:
    """One episode: its data as records or arrays, and its truth.

    Everything is built on request from the arrays of a batch and kept.
    """

    def __init__(
        self,
        generator_config: GeneratorConfig,
        config: EpisodeConfig,
        batch: EpisodeBatch,
        applications: list[SyntheticGeneratorApplication],
    ) -> None:
        self.generator_config = generator_config
        self.config = config
        self.applied_synthetic_generators = applications
        self._batch = batch

    def __repr__(self) -> str:
        return f"EpisodeData({self.generator_config.num_days} days, {self.config.difficulty})"

    @property
    def scenario_label(self) -> str:
        """The scenario family that was asked for."""
        return self.config.scenario_family

    @property
    def dates(self) -> tuple[str, ...]:
        """ISO dates, oldest first."""
        return self.generator_config.date_names

    @property
    def hourly(self) -> np.ndarray:
        """(D, H, S) int32 events an hour."""
        return self._batch.hourly[0]

    @property
    def daily(self) -> np.ndarray:
        """(D, S) int64 events a day."""
        return self._batch.daily[0]

    @property
    def twin_daily(self) -> np.ndarray:
        """(D, S) int64 events a day of the clean twin: the same seed without injection."""
        return self._batch.twin_daily[:, 0].T.astype(np.int64)

    @property
    def classes(self) -> np.ndarray:
        """(D, E) int8 of ``CellClass``."""
        return self._batch.classes[:, 0].T

    @cached_property
    def view(self) -> MetricView:
        """The data without the truth, for analysis tools."""
        return MetricView(self.generator_config, self.config.difficulty, self.hourly, self.deviations)

    @property
    def deviations(self) -> Deviations:
        """Every cell against its median, batch axis kept with B = 1."""
        return self._batch.final

    @cached_property
    def daily_metrics(self) -> list[MetricRecord]:
        """One record a day, oldest first."""
        names = self.generator_config.catalogue.count_metrics
        return [
            MetricRecord.model_validate({"date": date, "hour": None, **dict(zip(names, row, strict=True))})
            for date, row in zip(self.dates, self.daily.tolist(), strict=True)
        ]

    @cached_property
    def hourly_metrics(self) -> list[MetricRecord]:
        """One record an hour, oldest first."""
        names = self.generator_config.catalogue.count_metrics
        hourly = self.hourly.tolist()
        return [
            MetricRecord.model_validate(
                {"date": date, "hour": hour, **dict(zip(names, hourly[day][hour], strict=True))}
            )
            for day, date in enumerate(self.dates)
            for hour in range(HOURS_PER_DAY)
        ]

    @cached_property
    def expected_rows(self) -> list[MetricSubmissionRow]:
        """The true rows, measured on the final data, sorted by date, entity type and entity name."""
        day, entity = np.nonzero(self.classes == CellClass.EXPECTED)
        rows = [self.row(int(d), int(e)) for d, e in zip(day, entity, strict=True)]
        return sorted(rows, key=lambda row: row.key)

    def row(self, day: int, entity: int) -> MetricSubmissionRow:
        """The row that says what the data show in one cell."""
        return describe_cell(self.generator_config, self.deviations, day, entity)

    @cached_property
    def incident_of_day(self) -> dict[int, int]:
        """Root entity index of the incident on each day index that has one."""
        plan = self._batch.plan
        where = np.flatnonzero(plan.active[0])
        return dict(zip(plan.day[0, where].tolist(), plan.entity[0, where].tolist(), strict=True))

    @cached_property
    def anomaly_schedule(self) -> list[PlannedAnomaly]:
        """What was injected, by date."""
        plan, catalogue = self._batch.plan, self.generator_config.catalogue
        found: list[PlannedAnomaly] = []
        for place in np.flatnonzero(plan.active[0]):
            entity = catalogue.entities[plan.entity[0, place]]
            found.append(
                PlannedAnomaly(
                    date=self.dates[plan.day[0, place]],
                    anomaly_type=ANOMALY_TYPES[plan.family[0, place]],
                    entity_type=entity.entity_type,
                    entity_name=entity.entity_name,
                    detection_method=entity.detection_method,
                    direction="up" if plan.sign[0, place] > 0 else "down",
                    size=measure.rounded(plan.size[0, place]),
                )
            )
        return sorted(found, key=lambda item: item.date)


def describe_cell(config: GeneratorConfig, deviations: Deviations, day: int, entity: int) -> MetricSubmissionRow:
    """The row of one cell of a one-episode batch, with values as reported: baseline, observed, delta."""
    described = config.catalogue.entities[entity]
    measure_row = config.catalogue.measure_of_entity[entity]
    baseline = float(deviations.medians[measure_row, 0])
    observed = float(deviations.values[measure_row, 0, day])
    delta = observed - baseline
    return MetricSubmissionRow(
        date=config.date_names[day],
        entity_type=described.entity_type,
        entity_name=described.entity_name,
        anomaly_type=measure.anomaly_type(described.entity_type, delta),
        detection_method=described.detection_method,
        baseline_value=measure.rounded(baseline),
        observed_value=measure.rounded(observed),
        delta_value=measure.rounded(delta),
        severity=measure.severity(described.entity_type, delta, baseline),
    )


class MetricDataGenerator:
    """Makes episodes: one by one with records, or in batches of arrays."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        self.config = config or GeneratorConfig()

    def generate_episode(self, episode_config: EpisodeConfig | None = None) -> EpisodeData:
        """Generate one episode: the one that an environment with the same options plays after ``reset(seed=seed)``.

        Raises:
            ValueError: if more incidents are asked for than fit, or they cannot be realised.
        """
        episode = episode_config or EpisodeConfig()
        return episode_of_key(self.config, episode, rng.episode_key(episode.seed))

    def generate_batch(self, episode_config: EpisodeConfig, seeds: list[int]) -> EpisodeBatch:
        """Generate one episode a seed, as arrays; ``episode_config.seed`` is not used."""
        keys = np.array([rng.episode_key(EpisodeConfig(seed=seed).seed) for seed in seeds], np.uint64)
        return generate_batch(self.config, episode_config, keys)


def episode_of_key(config: GeneratorConfig, episode: EpisodeConfig, key: int) -> EpisodeData:
    """The episode of one key."""
    keys = np.array([key], np.uint64)
    if episode.anomaly_generators:
        batch, applications = _with_generators(config, episode, keys)
        return EpisodeData(config, episode, batch, applications)
    return EpisodeData(config, episode, generate_batch(config, episode, keys), [])
