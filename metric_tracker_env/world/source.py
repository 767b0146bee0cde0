"""Batches of episodes from keys: generate, inject, measure, label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig, check_fits
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import SyntheticGeneratorApplication
from metric_tracker_env.world import rng
from metric_tracker_env.world.announced import Announcements
from metric_tracker_env.world.explicit import plan_explicit
from metric_tracker_env.world.injection import Incidents, inject
from metric_tracker_env.world.labels import CellClass, label
from metric_tracker_env.world.layer import Layer, LayerMaker, Twin, replace_measures
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.planner import RETRIES, Planner, wanted_families
from metric_tracker_env.world.proposals import Proposer
from metric_tracker_env.world.replay import HistoryTraffic
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.spans import SpanPlanner
from metric_tracker_env.world.traffic import CleanTraffic
from metric_tracker_env.world.workspace import keep_freed

CHUNK_BYTES = 8 << 20  # about what a chunk allocates

DATA_DRAWS = 64  # clean data that are tried for explicit generators
TRIES_GROWTH, MAX_TRIES = 4, 16  # redraws of an incident that are worked out together, when it fails again and again
CHUNK = 384  # episodes generated at a time: enough to amortise NumPy calls, few enough for the cache
WORLD_CHUNK = 512  # likewise in a world, which takes three times the calls


@dataclass
class EpisodeBatch:
    """B episodes of one configuration: the data, the clean twin, the incidents and the class of every cell."""

    planes: np.ndarray  # (S, H, B, D) whole numbers as floats, events an hour
    twin_daily: np.ndarray  # (S, B, D) float64, events a day of the clean twin: without incidents
    final: Deviations  # measured on the injected data
    plan: Plan
    classes: np.ndarray  # (E, B, D) int8 of CellClass
    redraws: np.ndarray  # (B,) int64, incidents drawn again because they did not pass on the final data
    given_up: np.ndarray  # (B,) int64, incidents of a world that found no place
    layer: Layer | None  # known events and lost hours; None without a world

    def take(self, episodes: np.ndarray) -> EpisodeBatch:
        """The batch of some episodes."""
        return EpisodeBatch(
            self.planes.take(episodes, axis=2),
            self.twin_daily.take(episodes, axis=1),
            Deviations(*(values.take(episodes, axis=1) for values in self.final)),
            self.plan.take(episodes),
            self.classes.take(episodes, axis=1),
            self.redraws.take(episodes),
            self.given_up.take(episodes),
            None if self.layer is None else self.layer.take(episodes),
        )

    def put(self, episodes: np.ndarray, part: EpisodeBatch) -> None:
        """Replace the incidents of some episodes and what follows from them."""
        self.planes[:, :, episodes] = part.planes
        self.twin_daily[:, episodes] = part.twin_daily
        for whole, piece in zip(self.final, part.final, strict=True):
            whole[:, episodes] = piece
        self.plan.put(episodes, part.plan)
        self.classes[:, episodes] = part.classes
        self.redraws[episodes] = part.redraws
        self.given_up[episodes] = part.given_up

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
        keep_freed(CHUNK_BYTES)  # else page faults double the time of a chunk
        self._traffic = (
            CleanTraffic(config, episode.difficulty)
            if config.replay is None
            else HistoryTraffic(config, config.replay, episode.difficulty)
        )
        proposer = Proposer(config, episode.difficulty)
        self._layers: LayerMaker | None = None
        self._planner: Planner | SpanPlanner | None = None
        if config.world is not None:
            families = wanted_families(proposer, episode)
            self._layers = LayerMaker(config, config.world, proposer, families)
            if not episode.anomaly_generators:
                self._planner = SpanPlanner(config, config.world, episode, proposer, families)
        elif not episode.anomaly_generators:
            self._planner = Planner(config, episode, proposer)

    @cached_property
    def announcements(self) -> Announcements:
        """What the announced changes of its episodes lead one to expect."""
        return Announcements(self.config, self.episode.difficulty)

    def generate(self, keys: np.ndarray, hourly: bool = True) -> EpisodeBatch:
        """Generate the episodes of (B,) uint64 keys; each is the same whatever else is in the batch.

        Args:
            keys: (B,) uint64, or (B, 4) of sealed episodes.
            hourly: Whether the planes are wanted; without, the batch has no episode in them, and takes less time.

        Raises:
            GenerationError: if the incidents cannot be realised.
        """
        if self._planner is None:
            return _join([self.generate_with_records(keys[i : i + 1])[0] for i in range(len(keys))])
        size = CHUNK if self._layers is None else WORLD_CHUNK
        parts = [self._chunk(self._planner, keys[i : i + size], hourly) for i in range(0, len(keys), size)]
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
                return self._apply(keys if attempt == 0 else rng.derived(keys, Stream.DATA, attempt))
            except GenerationError:
                continue
        return self._apply(rng.derived(keys, Stream.DATA, DATA_DRAWS))

    def _apply(self, keys: np.ndarray) -> tuple[EpisodeBatch, list[SyntheticGeneratorApplication]]:
        """Explicit generators on the clean data of (1,) keys: applied as asked or refused."""
        twin = self._twin(keys)
        deviations = measure.deviations(self.config.catalogue, self.episode.difficulty, twin.values)
        plan, applications = plan_explicit(self.config, self.episode, keys, twin.planes[0, :, 0], deviations)
        incidents = inject(self.config, self.episode.difficulty, twin.planes, plan)
        batch, passed = self._measure(twin, plan, incidents)
        for application, confirmed in zip(applications, passed[0], strict=True):
            if not confirmed:
                date, name = application.date, application.metric_name
                beside = [repr(a.metric_name) for a in applications if a.date == date and a.metric_name != name]
                raise GenerationError(
                    f"anomaly_generators: {name!r} on {date} goes {application.direction} but its detection method "
                    f"does not confirm that beside {' and '.join(beside) or 'the anomalies of other dates'}; "
                    "make it larger, or choose another date or fewer anomalies"
                )
        incidents.write(twin.planes)
        actual = batch.final.values[:, 0]
        rows = self.config.catalogue.measure_of_entity[plan.entity[0]]
        measured = [
            application.model_copy(update={"actual_value": measure.rounded(float(actual[row, day]))})
            for application, row, day in zip(applications, rows, plan.day[0], strict=True)
        ]
        return batch, measured

    def _chunk(self, planner: Planner | SpanPlanner, keys: np.ndarray, hourly: bool) -> EpisodeBatch:
        """Episodes generated together."""
        twin = self._twin(keys, hourly)
        plan, attempts = planner.draw(keys, twin)
        batch = self._settle(planner, keys, twin, plan, attempts, hourly)
        if not hourly:  # the next chunk overwrites them
            batch.planes = twin.planes[:, :, :0]
        return batch

    def _settle(
        self,
        planner: Planner | SpanPlanner,
        keys: np.ndarray,
        twin: Twin,
        plan: Plan,
        attempts: np.ndarray,
        hourly: bool,
    ) -> EpisodeBatch:
        """Inject, measure, label; incidents that do not pass are drawn again, from the clean data of their episodes."""
        twin.write_under(plan)
        incidents = inject(self.config, self.episode.difficulty, twin.planes, plan)
        batch, passed = self._measure(twin, plan, incidents)
        batch.given_up[:] = plan.given_up(attempts)
        failed = plan.active & plan.last & ~passed
        if not failed.any():
            if hourly:
                incidents.write(twin.planes)
            return batch
        again = np.flatnonzero(failed.any(axis=1))
        part = plan.take(again), attempts[again], failed[again]
        repaired = self._repair(planner, keys[again], twin.take(again), *part, hourly)
        if hourly:
            incidents.write(twin.planes)
        batch.put(again, repaired)
        return batch

    def _repair(
        self,
        planner: Planner | SpanPlanner,
        keys: np.ndarray,
        twin: Twin,
        plan: Plan,
        attempts: np.ndarray,
        failed: np.ndarray,
        hourly: bool,
        tries: int = 1,
    ) -> EpisodeBatch:
        """Draw the ``failed`` (B, K) incidents again, from the clean data of their episodes, until all pass.

        A few episodes need many redraws, and NumPy calls for each would cost more than all else. So where one incident
        of an episode failed, its next ``tries`` redraws are worked out together, each as if those before it had failed.
        """
        number = np.where(failed.sum(axis=1) == 1, tries, 1)
        end = np.cumsum(number)
        first, of = end - number, np.repeat(np.arange(len(keys)), number)
        trial = np.arange(len(of))
        tried = attempts[of] + RETRIES * (trial - first[of])[:, None] * failed[of]
        part, clean = plan.take(of), twin.take(of)
        try:
            planner.redraw(keys[of], clean, part, tried, failed[of])
        except GenerationError:
            if tries == 1:
                raise
            return self._repair(planner, keys, twin, plan, attempts, failed, hourly)
        incidents = inject(self.config, self.episode.difficulty, clean.planes, part)
        batch, passed = self._measure(clean, part, incidents)
        batch.given_up[:] = part.given_up(tried)
        fails = part.active & part.last & ~passed
        if hourly:
            incidents.write(clean.planes)
        # The first trial that does not fail as the one before it counts, or else the last.
        same = (fails == failed[of]).all(axis=1)
        chosen = np.minimum.reduceat(np.where(same, end[of] - 1, trial), first)
        found = np.ones(len(of), np.int64)  # trials may find the same redraw, which is one
        found[1:] = (tried[1:] != tried[:-1]).any(axis=1)
        redraws = np.cumsum(found)
        result = batch.take(chosen)
        result.redraws = (1 + redraws[chosen] - redraws[first]) * failed.sum(axis=1)
        left = np.flatnonzero(fails[chosen].any(axis=1))
        if len(left):
            at = chosen[left]
            further = min(tries * TRIES_GROWTH, MAX_TRIES)
            deeper = self._repair(
                planner, keys[left], twin.take(left), part.take(at), tried[at], fails[at], hourly, further
            )
            deeper.redraws += result.redraws[left]
            result.put(left, deeper)
        return result

    def _twin(self, keys: np.ndarray, hourly: bool = True) -> Twin:
        """The clean twin of (B,) keys: the data without incidents."""
        planes, daily = self._traffic.planes(keys, fresh=hourly)
        # Drawn hours keep the order of the funnel; those of a history need not.
        above = measure.excess(planes) if self._traffic.exceeding else np.zeros((len(planes) - 1, 1, 1))
        values = measure.measures(self.config.catalogue, daily, measure.daytime(planes[0]), above)
        if self._layers is None:
            return Twin(planes, values)
        return self._layers.lay(keys, planes, values, hourly, self._traffic.holidays(keys))

    def _measure(self, twin: Twin, plan: Plan, incidents: Incidents) -> tuple[EpisodeBatch, np.ndarray]:
        """The batch that writing the incidents to the planes makes, and (B, K) bool: incidents that pass."""
        catalogue, values = self.config.catalogue, twin.values.copy()
        moves = replace_measures(values, incidents.cell, incidents.measures(catalogue))
        final = measure.deviations(catalogue, self.episode.difficulty, values)
        twin_daily = twin.values[: catalogue.num_steps]
        classes, passed = label(plan, final, incidents, moves, twin.layer, catalogue.measure_of_entity)
        redraws, given_up = np.zeros((2, len(plan.active)), np.int64)
        return EpisodeBatch(twin.planes, twin_daily, final, plan, classes, redraws, given_up, twin.layer), passed


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
        Plan.join([p.plan for p in parts]),
        along(1, [p.classes for p in parts]),
        along(0, [p.redraws for p in parts]),
        along(0, [p.given_up for p in parts]),
        Layer.join(layers) if len(layers := [p.layer for p in parts if p.layer is not None]) else None,
    )
