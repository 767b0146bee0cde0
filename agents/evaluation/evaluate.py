"""Play an agent, a saved model or a language model over seeds and say how well it does, with confidence intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import StrictInt, model_validator

from agents.evaluation.intervals import LEVEL, RESAMPLES, Interval, bootstrap
from agents.evaluation.outcome import Rows
from agents.evaluation.play import EpisodeLine, Played, play_agent, play_policy
from agents.llm.card import LlmCard, is_llm_run
from agents.llm.run import LlmRun
from agents.players.models import LoadedModel, ModelCard, Policy, check_fits, load_model
from agents.players.scripts.script import AGENTS, AgentFactory, get_agent
from metric_tracker_env import EnvConfig
from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.tasks import build_config, get_task

CHUNK = 50  # episodes that a worker plays at a time
LANES = 250  # episodes that a policy plays at a time
MAX_WORKERS = 256

Figure = Literal[
    "score", "f1", "precision", "recall", "net", "episode_return", "cost", "tool_calls", "illegal", "steps"
]
SHARES: tuple[Figure, ...] = ("score", "f1", "precision", "recall")  # figures from 0 to 1
Player = str | Path | LoadedModel | LlmRun | AgentFactory


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
    model: ModelCard | None = None  # None for an agent that is no saved model
    language_model: LlmCard | None = None  # None for an agent that is none

    def interval(
        self, figure: Figure = "score", resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
    ) -> Interval:
        """Mean of a figure over the episodes, with its percentile bootstrap interval, see ``bootstrap``.

        Raises:
            ValueError: for too few resamples or a level that is not between 0 and 1.
        """
        check_count("resamples", resamples, 1_000_000)
        if not 0 < level < 1:
            raise ValueError(f"level {level!r} is not a number between 0 and 1")
        bounds = (0.0, 1.0) if figure in SHARES else None
        return bootstrap(np.array(getattr(self.episodes, figure), np.float64), resamples, level, seed, bounds)

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
    agent: Player,
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
        agent: Name of a registered agent; a factory (one that can be pickled, if there are several workers); the folder
            of a saved model; or a loaded one. A model plays in this process, in batches, and in the view that it was
            trained on, unless the options name one: the episodes of a seed are the same in both. The folder of a run
            with a language model (``agents.llm``), or the run, plays what it has no transcript of.
        seeds: ``reset`` seeds, one an episode.
        task: Named task; or else
        config: Configuration, or the path of a preset.
        options: Changes on top of either.
        workers: Processes to spread the episodes of an agent over; the result does not depend on it.
        pool: Worker processes to use instead of starting ``workers``.
        progress: Called with the number of episodes just played.

    Raises:
        ValueError: for an unknown agent, task or option, bad or no seeds, a bad number of workers, or a model that is
            damaged or does not fit the configuration.
        EndpointError: if the endpoint of a language model cannot be used.
    """
    player = find_player(agent)
    check_count("workers", workers, MAX_WORKERS)
    played = check_seeds(seeds)
    if isinstance(player, LoadedModel):
        built = build_config(task, config, options_of(player.card, options))
        check_fits(player.card, built)
        return evaluate_policy(player.policy, played, player.card.name, built, task, player.card, progress)
    built = build_config(task, config, options)
    if isinstance(player, LlmRun):
        parts = [player.play(played, built, task, progress)]
        return _evaluation(player.card.name, task, built, parts, language_model=player.card)
    work = [(player, built, played[i : i + CHUNK]) for i in range(0, len(played), CHUNK)]
    if pool is not None:
        parts = _collect(pool.map(_play_chunk, work), progress)
    elif workers == 1:
        parts = _collect(map(_play_chunk, work), progress)
    else:
        with worker_pool(workers) as own:
            parts = _collect(own.map(_play_chunk, work), progress)
    name = agent if isinstance(agent, str) else getattr(agent, "__name__", type(agent).__name__)
    return _evaluation(name, task, built, parts)


def evaluate_policy(
    policy: Policy,
    seeds: Sequence[int],
    agent: str,
    config: EnvConfig,
    task: str | None = None,
    model: ModelCard | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play one episode a seed with a policy, in batches; the same as playing each in a single environment.

    Args:
        policy: Of networks for the view of the configuration.
        seeds: ``reset`` seeds, one an episode.
        agent: Name to show.
        config: What to play.
        task: Name of the task that the configuration is of.
        model: Card of the saved model that the policy is of.
        progress: Called with the number of episodes just played.

    Raises:
        ValueError: for bad or no seeds.
    """
    played = check_seeds(seeds)
    chunks = (played[i : i + LANES] for i in range(0, len(played), LANES))
    parts = _collect((play_policy(policy, config, chunk) for chunk in chunks), progress)
    return _evaluation(agent, task, config, parts, model)


def find_player(agent: Player) -> LoadedModel | LlmRun | AgentFactory:
    """What a name, the folder of a saved model or of a run with a language model, or a factory stands for.

    Raises:
        ValueError: if there is none of that name, or the model cannot be loaded.
    """
    if isinstance(agent, LoadedModel | LlmRun):
        return agent
    if isinstance(agent, str) and agent in AGENTS:
        return get_agent(agent)
    if isinstance(agent, (str, Path)):
        if not Path(agent).is_dir():
            raise ValueError(f"agent {str(agent)!r} is not one of {list(AGENTS)} and not the folder of a model")
        return LlmRun(agent) if is_llm_run(agent) else load_model(agent)
    if not callable(agent):
        raise ValueError(f"agent {agent!r} is neither one of {list(AGENTS)}, nor a saved model, nor a factory")
    return agent


def options_of(card: ModelCard, options: Mapping[str, object] | None = None) -> dict[str, object]:
    """Options with the view of a model, unless they name one."""
    return {"view": card.config.view, **(options or {})}


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


def _play_chunk(work: tuple[AgentFactory, EnvConfig, list[int]]) -> Played:
    """Play some episodes in this process."""
    return play_agent(*work)


def _collect(parts: Iterable[Played], progress: Callable[[int], None] | None) -> list[Played]:
    """Wait for all parts."""
    found: list[Played] = []
    for part in parts:
        found.append(part)
        if progress is not None:
            progress(len(part.lines))
    return found


def _evaluation(
    agent: str,
    task: str | None,
    config: EnvConfig,
    parts: Sequence[Played],
    model: ModelCard | None = None,
    language_model: LlmCard | None = None,
) -> Evaluation:
    """Put parts together."""
    columns = zip(*(line for part in parts for line in part.lines), strict=True)
    tools: Counter[str] = sum((part.tools for part in parts), Counter())
    return Evaluation(
        agent=agent,
        task=task,
        config=config,
        episodes=Episodes.model_validate(dict(zip(EpisodeLine._fields, columns, strict=True))),
        rows=Rows.of(rows for part in parts for rows in part.rows),
        tools=dict(sorted(tools.items())),
        model=model,
        language_model=language_model,
    )
