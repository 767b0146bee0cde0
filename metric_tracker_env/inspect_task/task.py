"""The task: held-out episodes of a named task, each of them a sample."""

# pyright: reportMissingImports=false

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample

from metric_tracker_env import ENV_ID, __version__
from metric_tracker_env.inspect_task.play import REMINDERS, begin, investigate, leave
from metric_tracker_env.inspect_task.scores import grade, solved
from metric_tracker_env.seal import Seal
from metric_tracker_env.session import brief
from metric_tracker_env.tasks import find_task
from metric_tracker_env.trials import SOLVED

MOST_REMINDERS = 100


@task
def investigation(
    task: str = "hard_mixed",
    episodes: int = 50,
    first: int = 1,
    reminders: int = REMINDERS,
    threshold: float = SOLVED,
    seal: str | None = None,
) -> Task:
    """Investigate funnel metrics with analysis tools and submit the root causes.

    A sample's id is the number of its episode among the held-out ones. The model is told neither that nor the seed.

    Args:
        task: Named task, or a task's file.
        episodes: How many held-out episodes.
        first: Number of the first of them.
        reminders: After replies without a tool call, one after another, until the episode ends.
        threshold: Score from which an episode counts as solved.
        seal: Play sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.

    Raises:
        ValueError: naming the argument, its value and what is allowed.
    """
    played, sealed = find_task(task), Seal.of(seal)
    there_are = len(range(*played.held_out_seeds))
    _check_whole("first", first, 1, there_are)
    _check_whole("episodes", episodes, 1, there_are + 1 - first)
    _check_whole("reminders", reminders, 0, MOST_REMINDERS)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold!r} is not a number from 0 to 1")
    told = brief(played.config, played)
    about = {"environment": ENV_ID, "task": played.name}
    return Task(
        dataset=MemoryDataset([Sample(told, id=number) for number in range(first, first + episodes)], played.name),
        setup=begin(task, seal),
        solver=investigate(reminders),
        cleanup=leave,
        scorer=[grade(), solved(threshold)],
        version=__version__,
        metadata=about if sealed is None else about | {"seal": sealed.hash},
    )


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} {value!r} is not an integer from {least} to {most}")
