"""Tasks as commands take them, by name or as a preset's path; and the seeds of each, in training and held out."""

from __future__ import annotations

from pathlib import Path

from metric_tracker_env.tasks import Task, find_task
from metric_tracker_env.vector_env import MAX_LANES

from .command_line import check_whole

# Seeds of run k begin at k x this, so that no two runs share a lane.
SEEDS_PER_RUN = MAX_LANES

AnyTask = str | Path | Task


def presets() -> Path:
    """The folder of the presets that come with the project: ``configs``, in this package or beside it in a clone."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def task_of(given: AnyTask) -> Task:
    """A task, by its name, or of a preset's path.

    Raises:
        ValueError: if there is none of that name, or the preset is missing or not valid.
    """
    return given if isinstance(given, Task) else find_task(given)


def held_out_seeds(task: AnyTask, episodes: int) -> range:
    """The first held-out seeds of a task.

    Raises:
        ValueError: for an unknown task or more episodes than it holds out.
    """
    first, end = task_of(task).held_out_seeds
    check_whole("episodes", episodes, 1, end - first)
    return range(first, first + episodes)


def validation_seeds(task: AnyTask, episodes: int) -> range:
    """The last held-out seeds of a task, up to half of them: for evaluations in training; reports use the first."""
    first, end = task_of(task).held_out_seeds
    return range(max((first + end) // 2, end - episodes), end)


def training_seed(task: AnyTask, run: int, lanes: int) -> int:
    """Seed of the first lane of a run; lane i is seeded i more.

    Args:
        task: What is trained on.
        run: Number of the run; no two runs share a lane.
        lanes: Of the run.

    Raises:
        ValueError: if the task's training seeds hold no such run.
    """
    found = task_of(task)
    first, end = found.training_seeds
    check_whole("seed", run, 0, max(0, (end - first) // SEEDS_PER_RUN - 1))
    start = first + run * SEEDS_PER_RUN
    if start + lanes > end:
        raise ValueError(f"task {found.name!r} has training seeds {first} to {end - 1}, too few for {lanes} lanes")
    return start
