"""The realistic world's table of validity: who can name the roots, with all data, knowing more or less of the calendar.

``benchmarks/validity.py`` prints it after the clean world's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing.pool import Pool
from typing import NamedTuple

import numpy as np
import under_budget
from detectors import DETECTORS, Full, episode_f1, recheck
from tree_filter import filtered_f1
from under_budget import row_name

from agents.players.scripts.calendar_rule import CalendarRule, Known
from agents.players.scripts.signature import NO_INCIDENT, nominal_season
from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, DIFFICULTIES, Difficulty, ScenarioFamily
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import CHUNK, WORLD_CHUNK, EpisodeBatch, EpisodeSource

INCIDENTS = (1, 4)
PART = 250  # episodes of a job
SHARE_OF_OTHERS = 0.2  # of the episodes, for quiet ones and for each other setting
MIXED, QUIET = "mixed", "quiet"
THREE_WEEKS = "three weeks"
OTHERS = (THREE_WEEKS, *ALL_SCENARIO_FAMILIES[1:])  # settings of which only the rule's scores are told
RULE, BLIND, NO_HOURS = "written rule", "blind to the calendar", "without the hourly look"
SKIPPING, NEVER = "skipping event dates", "never naming the announced entity"
SPEED_ROUNDS, SPEED_EPISODES = 8, 2048
FILTER, TOLD = "boosted trees on everything but the calendar", "the same trees, told the calendar"
FILTER_EPISODES = 6000
BUDGET = 14
PLAYED = 0.1  # share of the episodes that the scripts play
AUC, AUC_EPISODES = "AUC of announcements alone, before payment", 4096


class Row(NamedTuple):
    """A line of the table: what it is called, and what it should reach."""

    name: str
    least: float = -np.inf
    most: float = np.inf


# The figures to reach, which a prototype reached.
ROWS = (
    Row(RULE, least=0.985),
    Row("its least recall of an entity", least=0.94),
    Row(BLIND, most=0.57),
    Row(FILTER, most=0.57),
    Row(TOLD),
    Row(NO_HOURS, most=0.82),
    Row(SKIPPING, most=0.68),
    Row(NEVER, most=0.93),
    Row("first flagged in a fixed order", most=0.42),
    Row("largest z of a date", most=0.42),
    Row("largest deviation of a date"),
    Row("every flagged cell", most=0.42),
    Row(row_name("analyst", False, BUDGET), least=0.86, most=0.92),
    Row(row_name("blind analyst", False, BUDGET), most=0.46),
    Row(row_name("told the dates of the incidents", False, BUDGET), most=0.94),
    Row(AUC, most=0.52),
    Row("explained cells an episode", least=15),
    Row("consequences an episode"),
    Row("natural cells an episode"),
    Row("dates of incidents that are no rows, %"),
    Row("incidents given up, %"),
    Row(f"quiet episodes left alone: {RULE}", least=0.98),
    Row(f"quiet episodes left alone: {BLIND}", most=0.05),
    Row(f"quiet episodes left alone: {NO_HOURS}", most=0.3),
    Row(row_name("analyst", True, BUDGET), least=0.95),
    Row(row_name("blind analyst", True, BUDGET)),
    Row("episodes a CPU second, world on / off", least=0.4),
)
OTHER_ROWS = tuple(row for name in OTHERS for row in (Row(f"{RULE}, {name}", least=0.96), Row(f"{BLIND}, {name}")))


class Job(NamedTuple):
    """Episodes to be judged together."""

    difficulty: Difficulty
    setting: str
    seed: int
    number: int

    @property
    def config(self) -> GeneratorConfig:
        """Calendar and funnel."""
        return GeneratorConfig(world=WorldConfig(), num_weeks=3 if self.setting == THREE_WEEKS else 4)

    @property
    def episode(self) -> EpisodeConfig:
        """What an episode holds."""
        families: dict[str, ScenarioFamily] = {name: name for name in ALL_SCENARIO_FAMILIES}
        return EpisodeConfig(
            difficulty=self.difficulty,
            scenario_family=families.get(self.setting, MIXED),
            anomaly_count=0 if self.setting == QUIET else INCIDENTS,
        )


def keys_of(job: Job) -> np.ndarray:
    """(n,) uint64 keys of a job's episodes."""
    stream = np.random.default_rng([job.seed, DIFFICULTIES.index(job.difficulty), 1])
    return stream.integers(2**63, size=job.number, dtype=np.uint64)


def known_of(rule: CalendarRule, batch: EpisodeBatch, calendar: bool, hours: bool) -> Known:
    """What an analyst knows who has read the calendar and looked at the hours of every date, or has not."""
    assert batch.layer is not None
    known, events, event_of_day = Known.nothing(batch.classes.shape[1:]), batch.layer.events, batch.layer.event_of_day
    if calendar:
        lane, day = np.nonzero(event_of_day >= 0)
        place = event_of_day[lane, day]
        known.entity[lane, day] = events.entity[lane, place]
        known.change[lane, day] = events.announced[lane, place]
    if hours:
        usual = batch.final.medians[0][:, None] * nominal_season(rule.config)
        known.lost[:], known.lost_mix[:] = rule.lost_hours(batch.hourly[..., 0], usual)
    return known


def work(job: Job) -> dict[str, np.ndarray]:
    """Sums over the episodes of a job, by name."""
    config, keys = job.config, keys_of(job)
    batch = EpisodeSource(config, job.episode).generate(keys)
    rule, entities = CalendarRule(config, job.difficulty), np.arange(config.catalogue.num_entities)[:, None, None]
    knowing = {RULE: (True, True), BLIND: (False, True), NO_HOURS: (True, False)}
    if job.setting in OTHERS:
        del knowing[NO_HOURS]
    named = {name: rule.root_of_all(batch.final, known_of(rule, batch, *what)) for name, what in knowing.items()}
    if job.setting == QUIET:
        alone = {
            f"quiet episodes left alone: {name}": (found == NO_INCIDENT).all(axis=1) for name, found in named.items()
        }
        return {name: found.sum() for name, found in alone.items()}
    expected = batch.expected
    cells = {name: found == entities for name, found in named.items()}
    if job.setting in OTHERS:
        return {f"{name}, {job.setting}": episode_f1(found, expected).sum() for name, found in cells.items()}

    announced = known_of(rule, batch, True, False).entity
    cells[SKIPPING] = cells[RULE] & (announced == NO_INCIDENT)
    cells[NEVER] = cells[RULE] & (announced != entities)
    full = Full(config, job.difficulty, batch.final)
    cells |= {name: detector(full) for name, detector in DETECTORS.items() if name != "signature rule"}
    quiet = EpisodeSource(config, job.episode.model_copy(update={"anomaly_count": 0})).generate(keys)
    clean = quiet.planes.transpose(2, 3, 1, 0).astype(np.float64)
    checks = recheck(config.catalogue, job.difficulty, batch, clean)
    plan = batch.plan
    last_of = np.nonzero(plan.active & plan.last)
    checks["lost"] = int((~expected[plan.entity[last_of], last_of[0], plan.day[last_of]]).sum())
    checks["outside the partition"] = int(((batch.classes > 0) != batch.final.flagged).sum())
    classes = np.bincount(batch.classes.ravel(), minlength=len(CellClass))
    return {
        **{name: episode_f1(found, expected).sum() for name, found in cells.items()},
        **{f"check {name}": np.asarray(value) for name, value in checks.items()},
        "explained cells an episode": classes[CellClass.EXPLAINED],
        "consequences an episode": classes[CellClass.CONSEQUENCE],
        "natural cells an episode": classes[CellClass.NATURAL],
        "dates": plan.active.sum(),
        "rows": expected.sum(axis=(1, 2)),
        "found": (cells[RULE] & expected).sum(axis=(1, 2)),
        "given up": batch.given_up.sum(),
        "incidents": np.asarray(len(last_of[0])),
    }


def speed(difficulty: Difficulty) -> float:
    """Episodes a CPU second with a world / without, hours not wanted, each in chunks of its own size, in one run."""
    sources: list[tuple[EpisodeSource, int]] = [
        (
            EpisodeSource(GeneratorConfig(world=world), EpisodeConfig(difficulty=difficulty, anomaly_count=INCIDENTS)),
            size,
        )
        for world, size in ((WorldConfig(), WORLD_CHUNK), (None, CHUNK))
    ]
    keys = np.random.default_rng(0).integers(2**63, size=SPEED_EPISODES, dtype=np.uint64)
    least = [np.inf, np.inf]
    for _ in range(SPEED_ROUNDS):
        for which, (source, size) in enumerate(sources):
            started = time.process_time()
            for first in range(0, len(keys), size):
                source.generate(keys[first : first + size], hourly=False)
            least[which] = min(least[which], time.process_time() - started)
    return least[1] / least[0]


def filtered(difficulty: Difficulty, seed: int, episodes: int) -> dict[str, float]:
    """F1 of the boosted trees, without and with the calendar."""
    job = Job(difficulty, MIXED, seed, min(FILTER_EPISODES, episodes))
    batch, rule = (
        EpisodeSource(job.config, job.episode).generate(keys_of(job)),
        CalendarRule(job.config, job.difficulty),
    )
    known, calendar = known_of(rule, batch, False, True), known_of(rule, batch, True, False)
    return {FILTER: filtered_f1(rule, batch, known), TOLD: filtered_f1(rule, batch, known, calendar)}


def print_rows(figures: dict[Difficulty, dict[str, float]]) -> None:
    """Print what each line should reach, its figures, and whether one of them misses it."""
    print(f"\n{'F1 with all data, and more':62s} {'reach':>8s}" + "".join(f"{name:>9s}" for name in DIFFICULTIES))
    for row in (*ROWS, *OTHER_ROWS):
        if row.name not in figures[DIFFICULTIES[0]]:
            continue
        reach = f">= {row.least:g}" if np.isfinite(row.least) else f"<= {row.most:g}" if np.isfinite(row.most) else ""
        values = [figures[difficulty][row.name] for difficulty in DIFFICULTIES]
        missed = any(not row.least <= value <= row.most for value in values)
        print(f"{row.name:62s} {reach:>8s}" + "".join(f"{v:9.3f}" for v in values) + ("  missed" if missed else ""))


def trees_alone(episodes: int, seed: int) -> dict[str, object]:
    """Print the lines of the boosted trees; the same as a dict."""
    figures: dict[Difficulty, dict[str, float]] = {}
    for difficulty in DIFFICULTIES:
        figures[difficulty] = filtered(difficulty, seed, episodes)
    print(f"\n# Realistic world: {min(FILTER_EPISODES, episodes):,} episodes a difficulty, a quarter of them judged")
    print_rows(figures)
    return dict(figures.items())


def announced_alone(job: Job) -> float:
    """Area under the curve of the best statistic that would tell announced dates, see ``under_budget``."""
    batch = EpisodeSource(job.config, job.episode).generate(keys_of(job))
    return under_budget.announced_auc(job.config, batch)


def judge(
    difficulty: Difficulty, seed: int, episodes: int, run: Callable[[list[Job]], list[dict[str, np.ndarray]]]
) -> tuple[dict[str, float], dict[str, int], int]:
    """The figures of a difficulty, its checks of the labels, and the number of episodes that they are of."""
    others = max(PART, int(SHARE_OF_OTHERS * episodes) // PART * PART)
    numbers = {MIXED: max(PART, episodes // PART * PART), **dict.fromkeys((QUIET, *OTHERS), others)}
    jobs = [
        Job(difficulty, setting, seed + part, PART)
        for setting, number in numbers.items()
        for part in range(number // PART)
    ]
    sums: dict[str, dict[str, np.ndarray]] = {setting: {} for setting in numbers}
    for job, found in zip(jobs, run(jobs), strict=True):
        whole = sums[job.setting]
        for name, value in found.items():
            whole[name] = whole.get(name, np.zeros(())) + value
    figures: dict[str, float] = {}
    for setting in (QUIET, *OTHERS):
        figures |= {name: float(value / numbers[setting]) for name, value in sums[setting].items()}
    mixed = sums[MIXED]
    rows, found = mixed.pop("rows"), mixed.pop("found")
    dates, given_up, incidents = (mixed.pop(name) for name in ("dates", "given up", "incidents"))
    checks = {name.removeprefix("check "): int(mixed[name]) for name in mixed if name.startswith("check ")}
    figures |= {name: float(value / numbers[MIXED]) for name, value in mixed.items() if not name.startswith("check ")}
    figures["its least recall of an entity"] = float((found[rows > 0] / rows[rows > 0]).min())
    figures["dates of incidents that are no rows, %"] = float(100 * (1 - rows.sum() / dates))
    figures["incidents given up, %"] = float(100 * given_up / (given_up + incidents))
    return figures, checks, numbers[MIXED]


def table(pool: Pool, episodes: int, seed: int, trees: bool) -> tuple[dict[str, object], int]:
    """Print the table of the realistic world; the same as a dict, and the number of wrong labels.

    Args:
        pool: Of processes that work.
        episodes: Of each difficulty.
        seed: Of the episode keys.
        trees: Whether the boosted trees are wanted.
    """
    figures: dict[Difficulty, dict[str, float]] = {}
    checks: dict[Difficulty, dict[str, int]] = {}
    number = 0
    for difficulty in DIFFICULTIES:
        figures[difficulty], checks[difficulty], number = judge(
            difficulty, seed, episodes, lambda jobs: pool.map(work, jobs, chunksize=1)
        )
        figures[difficulty]["episodes a CPU second, world on / off"] = speed(difficulty)
        figures[difficulty] |= under_budget.figures(pool, difficulty, round(PLAYED * number), INCIDENTS)
        figures[difficulty][AUC] = announced_alone(Job(difficulty, MIXED, seed, AUC_EPISODES))
        if trees:
            figures[difficulty] |= filtered(difficulty, seed, episodes)

    print(f"\n# Realistic world: {number:,} episodes a difficulty with {INCIDENTS[0]} to {INCIDENTS[1]} incidents")
    for difficulty in DIFFICULTIES:
        told = ", ".join(f"{value:,} {name}" for name, value in checks[difficulty].items())
        print(f"expected rows, {difficulty}: {told}")
    print_rows(figures)
    wrong = sum(value for found in checks.values() for name, value in found.items() if name != "expected")
    return {"figures": figures, "checks": checks, "episodes": number, "processes": os.cpu_count()}, wrong
