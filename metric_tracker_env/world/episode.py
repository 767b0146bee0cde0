"""One episode: its data and its truth as records, and the generator that makes it from a seed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import (
    ANOMALY_TYPES,
    Gap,
    KnownEvent,
    MetricRecord,
    MetricSubmissionRow,
    PlannedAnomaly,
    SyntheticGeneratorApplication,
)
from metric_tracker_env.seal import Seal
from metric_tracker_env.view import MetricView, describe_cell
from metric_tracker_env.world import labels, rng
from metric_tracker_env.world.calendar import event_kind
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch, EpisodeSource

Backend = Literal["pandas", "polars", "pyarrow"]


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
        known, gaps = tuple(self.known_events), tuple(self.gaps)
        return MetricView(self.generator_config, self.config.difficulty, self.hourly, self.deviations, known, gaps)

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
            for hour in range(self.generator_config.hours_per_day)
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
            repeats = self.generator_config.hours_per_day if hourly else 1
            columns: dict[str, Any] = {"date": np.repeat(np.array(self.dates), repeats).tolist()}
            if hourly:
                columns["hour"] = np.tile(np.arange(repeats), len(self.dates)).tolist()
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
    def incidents_of_day(self) -> dict[int, tuple[int, ...]]:
        """Root entity indices of the incidents on each day index that has some."""
        found: dict[int, tuple[int, ...]] = {}
        for place in np.flatnonzero(self._batch.plan.active[0]):
            day, root = int(self._batch.plan.day[0, place]), int(self._batch.plan.entity[0, place])
            found[day] = (*found.get(day, ()), root)
        return found

    def causes(self, day: int, entity: int) -> tuple[int, ...]:
        """Root entity indices of the incidents that a cell follows from: those of its date that pull it where it went.

        All incidents of the date where none of them does so by itself.
        """
        catalogue, plan = self.generator_config.catalogue, self._batch.plan
        row = catalogue.measure_of_entity[entity]
        nothing = np.zeros((catalogue.num_steps - 1, 1))
        values = [
            measure.measures(catalogue, daily[day][:, None], np.zeros(1), nothing)
            for daily in (self.twin_daily, self.daily)
        ]
        went = np.sign(values[1][row, 0] - values[0][row, 0])
        pulling = (labels.pulls(catalogue, plan, 0)[row] == went) & (plan.day[0] == day)
        return tuple(plan.entity[0, pulling].tolist()) or self.incidents_of_day[day]

    @cached_property
    def anomaly_schedule(self) -> list[PlannedAnomaly]:
        """What was injected, by date; an incident of several dates is one item."""
        plan, catalogue = self._batch.plan, self.generator_config.catalogue
        found: list[PlannedAnomaly] = []
        for place in np.flatnonzero(plan.active[0] & plan.last[0]):
            entity = catalogue.entities[plan.entity[0, place]]
            own = plan.active[0] & (plan.incident[0] == plan.incident[0, place])
            first, last = int(plan.day[0, own].min()), int(plan.day[0, place])
            found.append(
                PlannedAnomaly(
                    date=self.dates[first],
                    last_date=self.dates[last] if last > first else None,
                    anomaly_type=ANOMALY_TYPES[plan.family[0, place]],
                    entity_type=entity.entity_type,
                    entity_name=entity.entity_name,
                    detection_method=entity.detection_method,
                    direction="up" if plan.sign[0, place] > 0 else "down",
                    size=measure.rounded(plan.size[0, place]),
                )
            )
        return sorted(found, key=lambda item: item.date)

    @cached_property
    def known_events(self) -> list[KnownEvent]:
        """What was announced, by date; none without a world. It may be told to an agent."""
        return [event for event, _ in self._events.values()]

    @cached_property
    def event_effects(self) -> list[bool]:
        """Whether each of the ``known_events`` came true. It is part of the truth."""
        return [effect for _, effect in self._events.values()]

    @cached_property
    def gaps(self) -> list[Gap]:
        """Dates that lost hours, by date; none without a world."""
        return list(self._gaps.values())

    def explanation(self, day: int, entity: int) -> KnownEvent | Gap | None:
        """The event or gap that explains a cell of class ``EXPLAINED``; None for any other cell."""
        layer = self._batch.layer
        if layer is None or self.classes[day, entity] != CellClass.EXPLAINED:
            return None
        place = int(layer.event_of_day[0, day])
        return self._events[place][0] if place in self._events else self._gaps[int(layer.gap_of_day[0, day])]

    @cached_property
    def _events(self) -> dict[int, tuple[KnownEvent, bool]]:
        """Announcements by their place in the batch, by date, and whether they came true."""
        if self._batch.layer is None:
            return {}
        events, catalogue, found = self._batch.layer.events, self.generator_config.catalogue, {}
        for place in np.argsort(events.first[0], kind="stable")[np.count_nonzero(~events.active[0]) :].tolist():
            first, entity = int(events.first[0, place]), catalogue.entities[events.entity[0, place]]
            change = float(events.announced[0, place])
            announced = KnownEvent(
                kind="holiday" if events.holiday[0, place] else event_kind(catalogue, entity.index, change),
                first_date=self.dates[first],
                last_date=self.dates[first + int(events.length[0, place]) - 1],
                entity_type=entity.entity_type,
                entity_name=entity.entity_name,
                direction="up" if change > 0 else "down",
                expected_change=measure.rounded(change),
                unit="points" if entity.entity_type == "hourly_mix" else "percent",
            )
            found[place] = announced, bool(events.effect[0, place])
        return found

    @cached_property
    def _gaps(self) -> dict[int, Gap]:
        """Gaps by their place in the batch, by date."""
        if self._batch.layer is None:
            return {}
        gaps = self._batch.layer.gaps
        found = {
            place: Gap(
                date=self.dates[gaps.day[0, place]],
                first_hour=int(gaps.first[0, place]),
                last_hour=int(gaps.last[0, place]),
            )
            for place in np.flatnonzero(gaps.active[0]).tolist()
        }
        return dict(sorted(found.items(), key=lambda item: item[1].date))


class MetricDataGenerator:
    """Makes episodes: one by one with records, or in batches of arrays.

    Args:
        config: The defaults unless given.
        seal: Makes the sealed episodes instead of the public ones; a ``Seal``, or the path of its file.

    Raises:
        ValueError: for a seal that cannot be read.
    """

    def __init__(self, config: GeneratorConfig | None = None, seal: Seal | str | Path | None = None) -> None:
        self.config, self.seal = config or GeneratorConfig(), Seal.of(seal)
        self._sources: dict[EpisodeConfig, EpisodeSource] = {}

    def generate_episode(self, episode_config: EpisodeConfig | None = None) -> EpisodeData:
        """Generate one episode: the one that an environment with the same options plays after ``reset(seed=seed)``.

        With ``number`` n it is the one after n further resets without a seed. ``generate_episode(episode.config)``
        makes an episode again, bit for bit, wherever it was played.

        Raises:
            ValueError: if more incidents are asked for than fit, or they cannot be realised.
        """
        episode = episode_config or EpisodeConfig()
        return make_episode(self._source(episode), episode, self.seal)

    def generate_batch(self, episode_config: EpisodeConfig, seeds: list[int]) -> EpisodeBatch:
        """Generate episode ``episode_config.number`` of each seed, as arrays; ``episode_config.seed`` is not used."""
        number = episode_config.number
        keys = rng.episode_keys([EpisodeConfig(seed=seed).seed for seed in seeds], number, self.seal)
        return self._source(episode_config).generate(keys)

    def _source(self, episode: EpisodeConfig) -> EpisodeSource:
        """The source of a request; seed and number are not part of it."""
        request = episode.model_copy(update={"seed": 0, "number": 0})
        if request not in self._sources:
            self._sources[request] = EpisodeSource(self.config, request)
        return self._sources[request]


def make_episode(
    source: EpisodeSource, config: EpisodeConfig, seal: Seal | None = None, company: int = 1
) -> EpisodeData:
    """The episode that ``config`` names, from the source of its options.

    Args:
        source: Of episodes with these options.
        config: Names the episode.
        seal: Of the episodes; None for public ones.
        company: Episodes to make together with it, itself included: the time that this takes then tells little of it.
    """
    if company > 1:
        keys = rng.episode_keys([config.seed], config.number, seal)
        beside = [rng.episode_keys([config.seed], config.number + further, seal) for further in range(1, company)]
        try:
            batch = source.generate(np.concatenate([keys, *beside])).take(np.zeros(1, np.int64))
        except GenerationError:  # it may be of one that is not wanted
            return make_episode(source, config, seal)
        return EpisodeData(source.config, config, batch, [])
    batch, applications = source.generate_with_records(rng.episode_keys([config.seed], config.number, seal))
    return EpisodeData(source.config, config, batch, applications)
