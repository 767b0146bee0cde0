"""Episodes: generate, inject, measure, label; as batches of arrays and as records of one episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from metric_tracker_env import measure, rng
from metric_tracker_env.anomalies import Plan, Planner
from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig, check_fits
from metric_tracker_env.generator import CleanTraffic
from metric_tracker_env.injection import Incidents, inject
from metric_tracker_env.labels import CellClass, label
from metric_tracker_env.measure import Deviations
from metric_tracker_env.rng import Stream
from metric_tracker_env.schema import (
    ANOMALY_TYPES,
    HOURS_PER_DAY,
    MetricRecord,
    MetricSubmissionRow,
    PlannedAnomaly,
    SyntheticGeneratorApplication,
)
from metric_tracker_env.stddev_shift import plan_generators
from metric_tracker_env.view import MetricView, describe_cell

ALLOCATOR_HINT_BYTES = 8 << 20  # about what a chunk allocates
Backend = Literal["pandas", "polars", "pyarrow"]

DATA_DRAWS = 64  # clean data that are tried for explicit generators
CHUNK = 256  # episodes generated at a time: enough to amortise NumPy calls, few enough for the cache


@dataclass
class EpisodeBatch:
    """B episodes of one configuration: the data, the clean twin, the incidents and the class of every cell."""

    planes: np.ndarray  # (S, H, B, D) whole numbers as floats, events an hour
    twin_daily: np.ndarray  # (S, B, D) float64, events a day without injection
    final: Deviations  # measured on the injected data
    plan: Plan
    classes: np.ndarray  # (E, B, D) int8 of CellClass
    redraws: np.ndarray  # (B,) int64, incidents drawn again because they did not pass on the final data

    def put(self, episodes: np.ndarray, part: EpisodeBatch) -> None:
        """Replace some episodes."""
        self.planes[:, :, episodes] = part.planes
        self.twin_daily[:, episodes] = part.twin_daily
        for whole, piece in zip(self.final, part.final, strict=True):
            whole[:, episodes] = piece
        self.plan.put(episodes, part.plan)
        self.classes[:, episodes] = part.classes
        self.redraws[episodes] = part.redraws

    @cached_property
    def hourly(self) -> np.ndarray:
        """(B, D, H, S) int32 events an hour, hour-major in memory."""
        return self.planes.astype(np.int32).transpose(2, 3, 1, 0)

    @property
    def daily(self) -> np.ndarray:
        """(B, D, S) int64 events a day."""
        return self.final.values[: len(self.planes)].transpose(1, 2, 0).astype(np.int64)

    @property
    def expected(self) -> np.ndarray:
        """(E, B, D) bool: root cells of the incidents."""
        return self.classes == CellClass.EXPECTED


class EpisodeSource:
    """Makes episodes of one configuration from keys; what depends on the configuration alone is worked out once."""

    def __init__(self, config: GeneratorConfig, episode: EpisodeConfig) -> None:
        """Prepare to generate.

        Raises:
            ValueError: if more incidents are asked for than fit.
            GenerationError: if the family has no entity that the funnel can carry.
        """
        check_fits(config, episode)
        self.config, self.episode = config, episode
        # Freeing a large block once makes glibc keep freed memory up to twice its size (its dynamic mmap
        # threshold); else a dropped chunk goes back to the system, and page faults double the next one's time.
        np.empty(ALLOCATOR_HINT_BYTES, np.uint8)
        self._traffic = CleanTraffic(config, episode.difficulty)
        self._planner = None if episode.anomaly_generators else Planner(config, episode)

    def generate(self, keys: np.ndarray, hourly: bool = True) -> EpisodeBatch:
        """Generate the episodes of (B,) uint64 keys; each is the same whatever else is in the batch.

        Args:
            keys: (B,) uint64.
            hourly: Whether the planes are wanted; without, the batch has no episode in them, and takes less time.

        Raises:
            GenerationError: if the incidents cannot be realised.
        """
        if self._planner is None:
            return _join([self.generate_with_records(keys[i : i + 1])[0] for i in range(len(keys))])
        parts = [self._chunk(self._planner, keys[i : i + CHUNK], hourly) for i in range(0, len(keys), CHUNK)]
        return _join(parts)

    def generate_with_records(self, keys: np.ndarray) -> tuple[EpisodeBatch, list[SyntheticGeneratorApplication]]:
        """One episode, (1,) keys, with the records of its explicit generators.

        Clean data that cannot carry them, because a day is nearly at its target already, are drawn again.

        Raises:
            GenerationError: if none of ``DATA_DRAWS`` clean data can carry the generators as asked.
        """
        if self._planner is not None:
            return self.generate(keys), []
        for attempt in range(DATA_DRAWS - 1):
            try:
                return self._apply(keys if attempt == 0 else rng.words(keys, Stream.DATA, 1, attempt)[0])
            except GenerationError:
                continue
        return self._apply(rng.words(keys, Stream.DATA, 1, DATA_DRAWS)[0])

    def _apply(self, keys: np.ndarray) -> tuple[EpisodeBatch, list[SyntheticGeneratorApplication]]:
        """Explicit generators on the clean data of (1,) keys: applied as asked or refused."""
        planes, values = self._clean(keys)
        twin = measure.deviations(self.config.catalogue, self.episode.difficulty, values)
        plan, applications = plan_generators(self.config, self.episode, int(keys[0]), twin)
        incidents = inject(self.config, self.episode.difficulty, planes, plan)
        batch, passed = self._measure(planes, values, plan, incidents)
        for application, confirmed in zip(applications, passed[0], strict=True):
            if not confirmed:
                raise GenerationError(
                    f"anomaly_generators: {application.metric_name!r} on {application.date} goes "
                    f"{application.direction} but its detection method does not confirm that beside the other "
                    "anomalies; raise stddev_factor, or choose another date or fewer anomalies"
                )
        incidents.write(planes)
        actual = batch.final.values[:, 0]
        rows = self.config.catalogue.measure_of_entity[plan.entity[0]]
        measured = [
            application.model_copy(update={"actual_value": measure.rounded(float(actual[row, day]))})
            for application, row, day in zip(applications, rows, plan.day[0], strict=True)
        ]
        return batch, measured

    def _chunk(self, planner: Planner, keys: np.ndarray, hourly: bool) -> EpisodeBatch:
        """Episodes generated together."""
        planes, values = self._clean(keys, fresh=hourly)
        plan, attempts = planner.draw(keys, values)
        batch = self._settle(planner, keys, planes, values, plan, attempts, hourly)
        if not hourly:  # the next chunk overwrites them
            batch.planes = planes[:, :, :0]
        return batch

    def _settle(
        self,
        planner: Planner,
        keys: np.ndarray,
        planes: np.ndarray,
        values: np.ndarray,
        plan: Plan,
        attempts: np.ndarray,
        hourly: bool,
    ) -> EpisodeBatch:
        """Inject, measure, label; incidents that do not pass are drawn again, from the clean data of their episodes."""
        incidents = inject(self.config, self.episode.difficulty, planes, plan)
        batch, passed = self._measure(planes, values, plan, incidents)
        failed = plan.active & ~passed
        if not failed.any():
            if hourly:
                incidents.write(planes)
            return batch
        again = np.flatnonzero(failed.any(axis=1))
        part, tried, clean = plan.take(again), attempts[again], planes.take(again, axis=2)
        twin = self._clean_measures(clean, clean.sum(axis=1))
        planner.redraw(keys[again], twin, part, tried, failed[again])
        repaired = self._settle(planner, keys[again], clean, twin, part, tried, hourly)
        repaired.redraws += failed[again].sum(axis=1)
        if hourly:
            incidents.write(planes)
        batch.put(again, repaired)
        return batch

    def _clean(self, keys: np.ndarray, fresh: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Planes without incidents, and what they measure to: the clean twin, (M, B, D)."""
        planes, daily = self._traffic.planes(keys, fresh)
        return planes, self._clean_measures(planes, daily)

    def _clean_measures(self, planes: np.ndarray, daily: np.ndarray) -> np.ndarray:
        nothing = np.zeros((len(planes) - 1, 1, 1))  # clean hours keep the order of the funnel
        return measure.measures(self.config.catalogue, daily, measure.daytime(planes[0]), nothing)

    def _measure(
        self, planes: np.ndarray, values: np.ndarray, plan: Plan, incidents: Incidents
    ) -> tuple[EpisodeBatch, np.ndarray]:
        """The batch that writing the incidents to the planes makes, and (B, K) bool: incidents that pass.

        Takes ``values``, the measures of the clean twin, over and changes them to the final ones.
        """
        catalogue = self.config.catalogue
        twin_daily = values[: catalogue.num_steps].copy()
        flat = values.reshape(-1)
        at = np.arange(0, len(flat), len(flat) // len(values))[:, None] + incidents.cell
        before, after = flat.take(at), incidents.measures(catalogue)
        flat[at.reshape(-1)] = after.reshape(-1)
        final = measure.deviations(catalogue, self.episode.difficulty, values)
        classes, passed = label(plan, final, incidents, after - before, catalogue.measure_of_entity)
        redraws = np.zeros(len(plan.active), np.int64)
        return EpisodeBatch(planes, twin_daily, final, plan, classes, redraws), passed


def generate_batch(config: GeneratorConfig, episode: EpisodeConfig, keys: np.ndarray) -> EpisodeBatch:
    """The episodes of (B,) uint64 keys, see ``EpisodeSource.generate``; the seed of ``episode`` is not used."""
    return EpisodeSource(config, episode).generate(keys)


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

    def frame(self, hourly: bool = False, backend: Backend = "pandas") -> Any:
        """The counts as a data frame: one row a day, or one an hour; columns date, hour (if hourly), then the steps.

        Args:
            hourly: Whether rows are hours.
            backend: Library of the frame.

        Returns:
            A ``pandas.DataFrame``, ``polars.DataFrame`` or ``pyarrow.Table``.

        Raises:
            ImportError: if narwhals or the backend is not installed.
            ValueError: for another backend.
        """
        if backend not in get_args(Backend):
            raise ValueError(f"backend {backend!r} is not one of {list(get_args(Backend))}")
        try:
            import narwhals as nw

            counts = self.hourly.reshape(-1, self.hourly.shape[-1]) if hourly else self.daily
            repeats = HOURS_PER_DAY if hourly else 1
            columns: dict[str, Any] = {"date": np.repeat(np.array(self.dates), repeats).tolist()}
            if hourly:
                columns["hour"] = np.tile(np.arange(HOURS_PER_DAY), len(self.dates)).tolist()
            columns |= dict(zip(self.generator_config.catalogue.count_metrics, counts.T.tolist(), strict=True))
            return nw.from_dict(columns, backend=backend).to_native()
        except ImportError as error:
            raise ImportError(
                f'a data frame needs narwhals and {backend}: pip install "metric_tracker_env[frames]"'
            ) from error

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


class MetricDataGenerator:
    """Makes episodes: one by one with records, or in batches of arrays."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        self.config = config or GeneratorConfig()
        self._sources: dict[EpisodeConfig, EpisodeSource] = {}

    def generate_episode(self, episode_config: EpisodeConfig | None = None) -> EpisodeData:
        """Generate one episode: the one that an environment with the same options plays after ``reset(seed=seed)``.

        Raises:
            ValueError: if more incidents are asked for than fit, or they cannot be realised.
        """
        episode = episode_config or EpisodeConfig()
        return episode_of_key(self._source(episode), rng.episode_key(episode.seed), episode)

    def generate_batch(self, episode_config: EpisodeConfig, seeds: list[int]) -> EpisodeBatch:
        """Generate one episode a seed, as arrays; ``episode_config.seed`` is not used."""
        keys = np.array([rng.episode_key(EpisodeConfig(seed=seed).seed) for seed in seeds], np.uint64)
        return self._source(episode_config).generate(keys)

    def _source(self, episode: EpisodeConfig) -> EpisodeSource:
        """The source of a request; the seed is not part of it."""
        request = episode.model_copy(update={"seed": 0})
        if request not in self._sources:
            self._sources[request] = EpisodeSource(self.config, request)
        return self._sources[request]


def episode_of_key(source: EpisodeSource, key: int, config: EpisodeConfig | None = None) -> EpisodeData:
    """The episode of one key, with ``config`` as its label (the source's, unless given)."""
    batch, applications = source.generate_with_records(np.array([key], np.uint64))
    return EpisodeData(source.config, config or source.episode, batch, applications)
