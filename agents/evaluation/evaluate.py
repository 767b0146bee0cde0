"""Play a player over seeds and say how well it does, with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import JsonValue, StrictInt, model_validator

from metric_tracker_env import EnvConfig, Seal
from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.tasks import Task, build_config

from ..command_line import check_whole
from ..players.failures import Failure
from ..players.outcome import EpisodeLine, Played, Progress
from ..players.player import Assignment, Player
from ..players.registry import Given, find_player
from ..tasks import AnyTask, task_of
from .intervals import LEVEL, RESAMPLES, Interval, bootstrap
from .rows import Rows

MAX_WORKERS = 256

Figure = Literal[
    "score", "f1", "precision", "recall", "net", "episode_return", "cost", "tool_calls", "illegal", "steps"
]
SHARES: tuple[Figure, ...] = ("score", "f1", "precision", "recall")  # figures from 0 to 1


class Episodes(StrictModel):
    """What happened in n episodes, as columns."""

    seed: tuple[StrictInt, ...]
    score: tuple[float, ...]
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    net: tuple[float, ...]  # score minus the step cost of the units spent
    episode_return: tuple[float, ...]
    cost: tuple[StrictInt, ...]  # budget units spent
    tool_calls: tuple[StrictInt, ...]
    illegal: tuple[StrictInt, ...]  # actions that were not legal
    steps: tuple[StrictInt, ...]
    submitted: tuple[StrictInt, ...]  # rows
    expected: tuple[StrictInt, ...]  # rows
    grounded: tuple[StrictInt, ...]  # rows of cells that a paid call had shown
    wasted: tuple[StrictInt, ...]  # units of calls that told nothing new
    failure: tuple[Failure, ...]  # primary class

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        lengths = {name: len(getattr(self, name)) for name in type(self).model_fields}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"episodes: the columns must be of one length, not {lengths}")
        return self


class Evaluation(StrictModel):
    """An agent's episodes with one configuration; the same input gives the same evaluation."""

    agent: str
    task: str | None
    config: EnvConfig
    episodes: Episodes
    rows: Rows
    tools: dict[str, int]  # legal calls of each tool over all episodes, reports and submissions included
    kind: str  # of player: "script", "model", ...
    card: dict[str, JsonValue] | None = None  # what the player says of itself; None for one that was not trained
    notes: tuple[str, ...] = ()  # what a reader of the figures should be told besides
    seal: str | None = None  # hash of the seal that made the episodes; None for public ones

    @classmethod
    def of(
        cls,
        played: Played,
        *,
        agent: str,
        kind: str,
        card: dict[str, JsonValue] | None,
        task: str | None,
        config: EnvConfig,
        seal: str | None,
    ) -> Self:
        """What was played, by whom, and of which episodes."""
        columns = zip(*played.lines, strict=True)
        return cls(
            agent=agent,
            task=task,
            config=config,
            episodes=Episodes.model_validate(dict(zip(EpisodeLine._fields, columns, strict=True))),
            rows=Rows.of(played.rows),
            tools=dict(sorted(played.tools.items())),
            kind=kind,
            card=card,
            notes=played.notes,
            seal=seal,
        )

    def interval(
        self, figure: Figure = "score", resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
    ) -> Interval:
        """Mean of a figure over the episodes, with its percentile bootstrap interval, see ``bootstrap``.

        Trials of one seed are no episodes of their own: where seeds come more than once, the interval is over seeds.

        Raises:
            ValueError: for too few resamples or a level that is not between 0 and 1.
        """
        check_whole("resamples", resamples, 1, 1_000_000)
        if not 0 < level < 1:
            raise ValueError(f"level {level!r} is not a number between 0 and 1")
        bounds = (0.0, 1.0) if figure in SHARES else None
        values = np.array(getattr(self.episodes, figure), np.float64)
        seeds, which, trials = np.unique(self.episodes.seed, return_inverse=True, return_counts=True)
        if len(seeds) < len(values):
            values = np.bincount(which, values) / trials
        return bootstrap(values, resamples, level, seed, bounds)

    def mean(self, figure: Figure = "score") -> float:
        """Mean of a figure over the episodes."""
        return float(np.mean(getattr(self.episodes, figure)))

    def to_json(self, path: str | Path) -> None:
        """Write the evaluation to a file."""
        Path(path).write_text(self.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: str | Path) -> Evaluation:
        """Read an evaluation that ``to_json`` wrote.

        Raises:
            ValueError: if the file is missing or holds something else.
        """
        file = Path(path)
        if not file.is_file():
            raise ValueError(f"evaluation file {str(file)!r} does not exist")
        return cls.model_validate_json(file.read_text(encoding="utf-8"))


def evaluate(
    agent: Given,
    seeds: Iterable[int],
    task: AnyTask | None = None,
    config: EnvConfig | Mapping[str, object] | str | Path | None = None,
    options: Mapping[str, object] | None = None,
    workers: int = 1,
    pool: Executor | None = None,
    progress: Progress | None = None,
    seal: Seal | None = None,
) -> Evaluation:
    """Play one episode a seed.

    Args:
        agent: A player; the name or folder of one (see ``players.registry``), such as a script's name or the folder of
            a saved model or of a run with a language model; or a factory of agents (one that can be pickled, if there
            are several workers). A trained player plays in the view that it was trained on, unless the options name
            one: the episodes of a seed are the same in both.
        seeds: ``reset`` seeds, one an episode.
        task: A task, or its name, or the path of a preset, whose name the evaluation tells; or else
        config: Configuration, or the path of a preset.
        options: Changes on top of either.
        workers: Processes that the player may spread its episodes over; the result does not depend on it.
        pool: Worker processes to use instead of starting ``workers``.
        progress: Called with the number of episodes just played.
        seal: Of the episodes; None for public ones.

    Raises:
        ValueError: for an unknown agent, task or option, bad or no seeds, a bad number of workers, or a player that is
            damaged or does not fit the configuration.
        EndpointError: if the endpoint of a language model cannot be used.
    """
    player = find_player(agent)
    check_whole("workers", workers, 1, MAX_WORKERS)
    chosen = check_seeds(seeds)
    found = None if task is None else task_of(task)
    built = config_of(player, found, config, options)
    with nullcontext(pool) if pool is not None or workers == 1 else worker_pool(workers) as processes:
        played = player.play(Assignment(chosen, built, found, seal), processes, progress)
    return Evaluation.of(
        played,
        agent=player.name,
        kind=player.kind,
        card=card_of(player),
        task=None if found is None else found.name,
        config=built,
        seal=None if seal is None else seal.hash,
    )


def card_of(player: Player) -> dict[str, JsonValue] | None:
    """What a player says of itself, as JSON holds it."""
    return None if player.card is None else player.card.model_dump(mode="json")


def config_of(
    player: Player,
    task: Task | None = None,
    config: EnvConfig | Mapping[str, object] | str | Path | None = None,
    options: Mapping[str, object] | None = None,
) -> EnvConfig:
    """What a player will play, in the view that it was trained on unless the options name one.

    Raises:
        ValueError: for bad options, both a task and a config, or a configuration that the player cannot play.
    """
    if task is not None and config is not None:
        raise ValueError(f"task {task.name!r} and config are both given; give one of them")
    own = {} if player.trained_on is None else {"view": player.trained_on.view}
    built = build_config(None, config if task is None else task.config, {**own, **(options or {})})
    player.check(built)
    return built


def differing_fields(one: EnvConfig, other: EnvConfig) -> list[str]:
    """The names of the fields in which two configurations differ."""
    return [name for name in EnvConfig.model_fields if getattr(one, name) != getattr(other, name)]


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """Worker processes, started afresh so that they inherit nothing."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list.

    Raises:
        ValueError: if there are none, or one is not an integer from 0 to ``MAX_SEED``.
    """
    try:
        found = list(seeds)
    except TypeError as error:
        raise ValueError(f"seeds {seeds!r} is not a sequence of integers") from error
    if not found:
        raise ValueError("seeds is empty; at least one episode is needed")
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seeds: {seed!r} is not an integer from 0 to {MAX_SEED}")
    return [int(seed) for seed in found]
