"""Play an agent over seeds and say how well it does, with a bootstrap confidence interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import StrictInt, model_validator

from agents.base import AGENTS, AgentFactory, get_agent
from metric_tracker_env import EnvConfig, MetricTrackerEnv
from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.tasks import build_config, get_task

CHUNK = 50  # episodes that a worker plays at a time
MAX_WORKERS = 256
RESAMPLES = 2000
LEVEL = 0.95

Figure = Literal["score", "f1", "precision", "recall", "episode_return", "cost", "tool_calls", "steps"]


class Interval(StrictModel):
    """A mean and its bootstrap confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Episodes(StrictModel):
    """What happened in n episodes, as columns."""

    seed: tuple[StrictInt, ...]
    score: tuple[float, ...]
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    episode_return: tuple[float, ...]
    cost: tuple[StrictInt, ...]  # budget units spent
    tool_calls: tuple[StrictInt, ...]
    steps: tuple[StrictInt, ...]
    submitted: tuple[StrictInt, ...]  # rows
    expected: tuple[StrictInt, ...]  # rows

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
    tools: dict[str, int]  # calls of each tool over all episodes, reports and submissions included

    def interval(
        self, figure: Figure = "score", resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
    ) -> Interval:
        """Mean of a figure over the episodes, with its percentile bootstrap interval.

        Raises:
            ValueError: for too few resamples or a level that is not between 0 and 1.
        """
        check_count("resamples", resamples, 1_000_000)
        if not 0 < level < 1:
            raise ValueError(f"level {level!r} is not a number between 0 and 1")
        values = np.array(getattr(self.episodes, figure), np.float64)
        draws = np.random.Generator(np.random.PCG64(seed))
        # Counts of each distinct value are enough: a resample of them is one multinomial draw.
        distinct, number = np.unique(values, return_counts=True)
        picked = draws.multinomial(len(values), number / len(values), size=resamples)
        low, high = np.quantile(picked @ distinct / len(values), [(1 - level) / 2, (1 + level) / 2])
        return Interval(mean=float(values.mean()), low=float(low), high=float(high))

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
    agent: str | AgentFactory,
    seeds: Iterable[int],
    task: str | None = None,
    config: EnvConfig | Mapping[str, object] | str | Path | None = None,
    options: Mapping[str, object] | None = None,
    workers: int = 1,
    pool: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play one episode a seed.

    Args:
        agent: Name of a registered agent, or a factory (one that can be pickled, if there are several workers).
        seeds: ``reset`` seeds, one an episode.
        task: Named task; or else
        config: Configuration, or the path of a preset.
        options: Changes on top of either.
        workers: Processes to spread the episodes over; the result does not depend on it.
        pool: Worker processes to use instead of starting ``workers``.
        progress: Called with the number of episodes just played.

    Raises:
        ValueError: for an unknown agent, task or option, bad or no seeds, or a bad number of workers.
    """
    factory = get_agent(agent) if isinstance(agent, str) else agent
    if not callable(factory):
        raise ValueError(f"agent {agent!r} is neither one of {list(AGENTS)} nor a factory")
    check_count("workers", workers, MAX_WORKERS)
    played = check_seeds(seeds)
    built = build_config(task, config, options)
    work = [(agent, built, played[i : i + CHUNK]) for i in range(0, len(played), CHUNK)]
    parts: list[_Played] = []

    def collect(results: Iterable[_Played]) -> None:
        for part in results:
            parts.append(part)
            if progress is not None:
                progress(len(part.rows))

    if pool is not None:
        collect(pool.map(_play_chunk, work))
    elif workers == 1:
        collect(map(_play_chunk, work))
    else:
        with worker_pool(workers) as own:
            collect(own.map(_play_chunk, work))
    rows = [row for part in parts for row in part.rows]
    columns = dict(zip(Episodes.model_fields, zip(*rows, strict=True), strict=True))
    tools: Counter[str] = sum((part.tools for part in parts), Counter())
    return Evaluation(
        agent=agent if isinstance(agent, str) else getattr(agent, "__name__", type(agent).__name__),
        task=task,
        config=built,
        episodes=Episodes.model_validate(columns),
        tools=dict(sorted(tools.items())),
    )


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """Worker processes, started afresh so that they inherit nothing."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def held_out_seeds(task: str, episodes: int) -> range:
    """The first held-out seeds of a task.

    Raises:
        ValueError: for an unknown task or more episodes than it holds out.
    """
    first, end = get_task(task).held_out_seeds
    check_count("episodes", episodes, end - first)
    return range(first, first + episodes)


def check_count(name: str, value: object, most: int) -> None:
    """Refuse what is not a whole number from 1 to ``most``.

    Raises:
        ValueError: naming the argument, the value and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
        raise ValueError(f"{name} {value!r} is not an integer from 1 to {most}")


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


class _Played(NamedTuple):
    """Rows in the order of ``Episodes``, and the tools called."""

    rows: list[tuple[float, ...]]
    tools: Counter[str]


def _play_chunk(work: tuple[str | AgentFactory, EnvConfig, list[int]]) -> _Played:
    """Play some episodes in this process."""
    agent, config, seeds = work
    env = MetricTrackerEnv(config=config)
    player = (get_agent(agent) if isinstance(agent, str) else agent)(env)
    calls: Counter[int] = Counter()
    rows: list[tuple[float, ...]] = []
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        player.begin(seed)
        episode_return, steps, over = 0.0, 0, False
        while not over:
            action = player.act(observation, info)
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            episode_return += reward
            steps += 1
            calls[action] += 1
        rows.append(
            (
                seed,
                *(info[name] for name in ("score", "f1", "precision", "recall")),
                episode_return,
                *(info[name] for name in ("cost", "tool_calls")),
                steps,
                *(info[name] for name in ("submitted", "expected")),
            )
        )
    tools: Counter[str] = Counter()
    for action, number in calls.items():
        tools[env.actions.decode(action).tool] += number
    return _Played(rows, tools)
