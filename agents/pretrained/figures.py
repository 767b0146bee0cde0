"""The figures of a model that comes with the package: a file beside its card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, StrictInt, ValidationError

import metric_tracker_env
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel

from ..evaluation.evaluate import evaluate
from ..evaluation.intervals import Interval
from ..players.card_file import read_card_file
from ..players.registry import folder_of
from ..tasks import AnyTask, held_out_seeds, task_of

FIGURES_FILE = "figures.json"
FORMAT = 1
EPISODES = 1000


class Figures(StrictModel):
    """How well a model plays the first held-out episodes of its task, with 95 % intervals, and how it was made."""

    task: str
    first_seed: StrictInt
    episodes: StrictInt = Field(ge=1)
    score: Interval
    f1: Interval
    net: Interval = Field(description="Score minus the cost of tools.")
    cost: Interval = Field(description="Budget units an episode.")
    command: str = Field(description="That trained it.")
    cpu_seconds: float = Field(description="Of training, demonstrations included and evaluations left out.")
    version: str = Field(description="Of metric_tracker_env, which measured it.")
    format: Literal[1] = FORMAT

    @classmethod
    def measured(
        cls, model: str | Path, task: AnyTask, command: str, cpu_seconds: float, episodes: int = EPISODES
    ) -> Self:
        """Play a model.

        Args:
            model: Its name or folder.
            task: What it plays.
            command: That trained it.
            cpu_seconds: That it took.
            episodes: To play.
        """
        seeds = held_out_seeds(task, episodes)
        played = evaluate(model, seeds, task)
        return cls(
            task=task_of(task).name,
            first_seed=seeds.start,
            episodes=episodes,
            score=played.interval("score"),
            f1=played.interval("f1"),
            net=played.interval("net"),
            cost=played.interval("cost"),
            command=command,
            cpu_seconds=cpu_seconds,
            version=metric_tracker_env.__version__,
        )

    def write(self, folder: Path) -> None:
        """Write them into the folder of the model."""
        (folder / FIGURES_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_figures(model: str | Path) -> Figures:
    """The figures of a model.

    Args:
        model: Its name, such as "pretrained/realistic_medium", or its folder.

    Raises:
        ValueError: if there is no such model, or it has none.
    """
    path = folder_of(model) / FIGURES_FILE
    try:
        return Figures.model_validate(read_card_file(path, "figures", FORMAT))
    except ValidationError as error:
        raise ValueError(f"figures {str(path)!r} are not valid: {in_one_line(error)}") from None
