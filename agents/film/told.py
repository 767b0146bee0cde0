"""The pictures of an episode that was played in words: by a language model, or on a server that keeps the books."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from metric_tracker_env import Seal, Task
from metric_tracker_env.render import Scene, frame
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.ui.library import Opened

from ..page.calls import Watcher
from ..page.scored import ScoredFolder
from ..page.transcripts import Key, Known, TranscriptFolder
from .frames import Picture, outcome

LONGEST = 78  # characters of a call, as many as there is room for below a picture


class Told(NamedTuple):
    """An episode that can be played again."""

    agent: str
    task: str
    seed: int
    play: Callable[[Watcher], Opened]

    def pictures(self, scale: float) -> list[Picture]:
        """Its pictures, as ``pictures_of`` gives those of an agent."""
        found: list[Picture] = []

        def watch(scene: Scene, words: str) -> None:
            short = words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."
            found.append(Picture(frame(scene, scale), f"{len(found) + 1:>2}  {short}"))

        state = self.play(watch).state
        grade, spent = state["grade"], state["budget"]["all"] - state["budget"]["left"]
        words = "without an end" if grade is None else outcome(grade, spent)
        return [*found[:-1], found[-1]._replace(words=words)]


def of_books(folder: Path, task: Task | None, seed: int | None, seal: Seal | None) -> Told:
    """An episode of books; the first one without a seed.

    Raises:
        ValueError: if there is none of the seed, the books are of another task, or sealed without their secret at hand.
    """
    books = ScoredFolder(folder, seal)
    terms, number = books.terms, books.seeds[0] if seed is None else seed
    if task is not None and task.name != terms.task:
        raise ValueError(f"task {task.name!r}: the books in {str(folder)!r} are of {terms.task!r}")
    if number not in books.seeds:
        raise ValueError(f"seed {number} is not from {books.seeds[0]} to {books.seeds[-1]}, those of the books")
    return Told(terms.agent, terms.task, number, lambda watcher: books.open(number, watcher))


def of_model(folder: Path, task: Task | None, seed: int | None, seal: Seal | None) -> Told:
    """An episode of a language model, its first trial; the first episode of the task without a seed.

    Raises:
        ValueError: if the run has no such episode.
    """
    run = TranscriptFolder(folder)
    for each in TASKS.values() if task is None else (task,):
        known = Known(each.config, each, seal)
        for group in run.groups.values():
            keys: list[Key] = [key for key in sorted(group.finished) if key[1] == 0 and seed in (None, key[0])]
            if keys and run.played(group, [known]) is not None:
                return Told(run.card.name, each.name, keys[0][0], partial(run.open, group, known, keys[0]))
    where = "of any named task" if task is None else f"of task {task.name!r}"
    which = "" if seed is None else f" with seed {seed}"
    raise ValueError(f"the run in {str(folder)!r} has no finished episode {where}{which}")
