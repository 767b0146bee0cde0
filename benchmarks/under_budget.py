"""What scripts reach in the realistic world under the budget of its tasks, and what announcements give away unpaid."""

from __future__ import annotations

from multiprocessing.pool import Pool
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from agents.players.agent import AgentFactory, play_agent
from agents.players.scripts.calendar_analyst import CalendarAnalyst
from agents.players.scripts.script import get_agent
from metric_tracker_env import EnvConfig, MetricDataGenerator, get_task
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import DAYS_PER_WEEK, Difficulty
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch

PART = 50  # episodes that a process plays at a time
FIRST_SEED = 3_000_000_000  # neither trained on nor held out


class ToldAnalyst(CalendarAnalyst):
    """The analyst, told on which dates there is a row to find, but not which; it opens no other date."""

    def __init__(self, env: gym.Env[np.ndarray, Any]) -> None:
        super().__init__(env)
        self._generator = MetricDataGenerator(self.desk.config.generator)
        self._dates = np.zeros(self.desk.days, bool)

    def begin(self, seed: int) -> None:
        """Look up the dates."""
        super().begin(seed)
        episode = self._generator.generate_episode(self.desk.config.episode_config(seed=seed))
        self._dates = (episode.classes == CellClass.EXPECTED).any(axis=1)

    def promise(self, flags: np.ndarray, announced: np.ndarray) -> np.ndarray:
        """1 for the dates, 0 for all others."""
        del flags, announced
        return self._dates.astype(np.float64)


def factories() -> dict[str, AgentFactory]:
    """The scripts that play, by what their row is called."""
    return {
        "analyst": get_agent("analyst"),
        "blind analyst": get_agent("analyst_blind"),
        "told the dates of the incidents": ToldAnalyst,
    }


class Job(NamedTuple):
    """Episodes of one script."""

    name: str
    config: EnvConfig
    first: int


def work(job: Job) -> tuple[str, bool, np.ndarray]:
    """Name, whether the episodes were quiet, and the F1 of each."""
    seeds = range(job.first, job.first + PART)
    played = play_agent(factories()[job.name], job.config, list(seeds))
    return job.name, not job.config.count_range[1], np.array([line.f1 for line in played.lines])


def figures(pool: Pool, difficulty: Difficulty, episodes: int, incidents: tuple[int, int]) -> dict[str, float]:
    """Mean F1 of each script with incidents, and the share of quiet episodes that it leaves alone."""
    base = get_task(f"realistic_{difficulty}").config
    configs = [base.model_copy(update={"anomaly_count": count}) for count in (incidents, 0)]
    jobs = [
        Job(name, config, FIRST_SEED + part * PART)
        for name in factories()
        for config in configs
        for part in range(max(1, episodes // PART))
    ]
    found: dict[tuple[str, bool], list[np.ndarray]] = {}
    for name, quiet, scores in pool.map(work, jobs, chunksize=1):
        found.setdefault((name, quiet), []).append(scores)
    return {row_name(name, quiet, base.budget): float(np.mean(np.concatenate(s))) for (name, quiet), s in found.items()}


def row_name(name: str, quiet: bool, budget: int) -> str:
    """What a script's row is called."""
    return f"quiet episodes left alone: {name}, budget {budget}" if quiet else f"{name}, budget {budget}"


def announced_auc(config: GeneratorConfig, batch: EpisodeBatch) -> float:
    """How well the best of several statistics tells dates of announced events that changed nothing from plain dates.

    Dates of incidents, of lost hours and of events with an effect are left out, and dates are compared with those of
    their own weekday: what was left out falls on some weekdays more than on others. All the data are given, which is
    the most that an agent can know without paying for the calendar.

    Returns:
        Area under the curve of the best statistic, at least 0.5.
    """
    layer = batch.layer
    assert layer is not None
    lane, day = np.nonzero(layer.event_of_day >= 0)
    place = layer.event_of_day[lane, day]
    told = np.zeros(layer.event_of_day.shape, bool)
    told[lane, day] = ~layer.events.effect[lane, place]
    left_out = layer.gap_of_day >= 0
    left_out[lane, day] |= layer.events.effect[lane, place]
    at = np.nonzero(batch.plan.active)
    left_out[at[0], batch.plan.day[at]] = True
    left_out[:, [d for d in range(left_out.shape[1]) if d not in config.candidate_days]] = True
    ratios, flagged = np.abs(batch.final.ratios), batch.final.flagged
    counts = batch.final.values[0]
    statistics = [
        ratios.max(axis=0),
        ratios.mean(axis=0),
        flagged.sum(axis=0).astype(np.float64),
        counts / np.median(counts, axis=1, keepdims=True),
        *np.abs(batch.final.ratios),
    ]
    groups = [
        (told & ~left_out & on, ~told & ~left_out & on) for on in (config.weekdays == w for w in range(DAYS_PER_WEEK))
    ]
    pairs = [float(positive.sum()) * float(negative.sum()) for positive, negative in groups]
    areas = [np.average([area_under_curve(s[p], s[n]) for p, n in groups], weights=pairs) for s in statistics]
    return float(max(max(area, 1.0 - area) for area in areas))


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Share of the pairs in which the positive is larger, ties counted half (Mann and Whitney's U over its most)."""
    values = np.concatenate([positive, negative])
    order = np.sort(values)
    rank = 0.5 * (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") + 1)
    most = len(positive) * len(negative)
    return float((rank[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2) / max(most, 1))
