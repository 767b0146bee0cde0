"""The command ``python -m agents demonstrate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from itertools import repeat
from pathlib import Path
from typing import Literal

from metric_tracker_env import Task

from ..command_line import check_whole
from ..evaluation.evaluate import MAX_WORKERS, check_seeds, worker_pool
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from ..progress import progress_bar
from ..tasks import task_of
from .atif import Atif
from .chat import Chat
from .expert import Expert, played
from .offline import write_minari

Format = Literal["chat", "atif", "minari"]
WRITERS: dict[str, type[Chat] | type[Atif]] = {"chat": Chat, "atif": Atif}
CHUNK = 250  # episodes that a process plays at a time


def demonstrate(
    agent: str = "analyst",
    task: str = "realistic_medium",
    episodes: int = 1000,
    format: Format = "chat",  # noqa: A002 - what the option is called
    output: Path = Path("demonstrations.jsonl"),
    first_seed: int | None = None,
    workers: int = 1,
) -> None:
    """Write episodes of an expert as data that others learn from.

    Args:
        agent: Name of a script, or the folder of a saved model; its skill is that of the data.
        task: Named task, or a preset's path.
        episodes: Episodes.
        format: chat is JSONL of messages and tools for trainers of language models; atif is JSONL of trajectories (ATIF
            1.7); minari is a dataset of observations, actions and masks for offline reinforcement learning.
        output: File to write; of minari the folder that holds datasets. Nothing is written over.
        first_seed: Seed of the first episode, by default the task's first training one; each further one adds 1.
        workers: Processes; the file does not depend on it.
    """
    found = task_of(task)
    expert = Expert(agent, found)
    seeds = seeds_of(found, episodes, first_seed)
    check_whole("workers", workers, 1, MAX_WORKERS)
    screen, name = console(), expert.player.name
    with progress_bar(episodes) as advance:
        advance.describe(f"{name}, {found.name}")
        if format == "minari":
            dataset = write_minari(played(expert, seeds, advance), expert, name, output)
            told = f"{output}: minari.load_dataset({dataset!r}) with MINARI_DATASETS_PATH={output}"
        else:
            if output.exists():
                raise ValueError(f"output {str(output)!r} is there already; choose another file, or remove it")
            check_writable(output)
            with worker_pool(workers) if workers > 1 else nullcontext() as pool:
                write_lines(rows_of(format, agent, found, seeds, pool, advance), output)
            told = str(output)
    screen.print(f"wrote {episodes:,} episodes of {found.name} by {name} to {told}", markup=False, soft_wrap=True)


def seeds_of(task: Task, episodes: int, first_seed: int | None) -> range:
    """The seeds of the episodes.

    Raises:
        ValueError: for a bad number or seed, or held-out seeds, which are not to be learned from.
    """
    check_whole("episodes", episodes, 1, 10_000_000)
    first = task.training_seeds[0] if first_seed is None else first_seed
    seeds = range(first, first + episodes)
    check_seeds((seeds[0], seeds[-1]))
    low, end = task.held_out_seeds
    if seeds[0] < end and seeds[-1] >= low:
        raise ValueError(f"first_seed {first}: seeds {low} to {end - 1} are held out of training; take others")
    return seeds


def rows_of(
    form: str, agent: str, task: Task, seeds: Sequence[int], pool: Executor | None, advance: Callable[[int], None]
) -> Iterator[str]:
    """The lines of the file, in the order of the seeds."""
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    run = map if pool is None else pool.map
    for lines in run(written, repeat(form), repeat(agent), repeat(task), chunks):
        advance(len(lines))
        yield from lines


def written(form: str, agent: str, task: Task, seeds: Sequence[int]) -> list[str]:
    """The lines of some episodes."""
    expert = Expert(agent, task)
    writer = WRITERS[form](expert.env.config, task, expert.player.name)
    return [writer.row(shown) for shown in played(expert, seeds)]


def write_lines(lines: Iterable[str], output: Path) -> None:
    """Write a file that is whole or not there."""
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
