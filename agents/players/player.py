"""What a player is: the one protocol by which scripts, saved models and language models are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from metric_tracker_env import EnvConfig, Seal, Task

from .outcome import Played, Progress


class Assignment(NamedTuple):
    """What a player is asked to play."""

    seeds: Sequence[int]  # for ``reset``, one an episode
    config: EnvConfig
    task: Task | None = None  # that the configuration is of, for a player that reads its instruction
    seal: Seal | None = None  # of the episodes; None for public ones


@runtime_checkable
class Player(Protocol):
    """Plays seeds, whatever it is made of; ``registry`` says how one is found by its name or folder."""

    @property
    def name(self) -> str:
        """Shown on the leaderboard."""
        ...

    @property
    def kind(self) -> str:
        """What it is, in a word or two: "script", "model", ..."""
        ...

    @property
    def card(self) -> BaseModel | None:
        """What it says of itself, kept in evaluations as JSON; None for one that was written and not trained."""
        ...

    @property
    def trained_on(self) -> EnvConfig | None:
        """What it learned to play: it plays in that view unless another is asked for. None if any view is alike."""
        ...

    def check(self, config: EnvConfig) -> None:
        """Refuse a configuration that it cannot play, before anything is played.

        Raises:
            ValueError: saying why.
        """
        ...

    def unpaid(self, asked: Assignment) -> int:
        """How many of the episodes would cost money to play; 0 for a player that plays for nothing.

        Raises:
            ValueError: if what it has played already cannot be read.
        """
        ...

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play one episode a seed; the result depends on what is asked alone.

        Args:
            asked: What to play.
            pool: Processes that it may spread its episodes over.
            progress: To be told of the episodes as they are played.
        """
        ...


class PlayerError(Exception):
    """What ``play`` raises if something outside keeps a player from playing at all, so that nothing is scored."""


class PlaysForNothing:
    """What a player says that costs no money."""

    def unpaid(self, asked: Assignment) -> int:
        """None."""
        del asked
        return 0


class PlaysAnything:
    """What a player says that was trained on no configuration."""

    trained_on = None

    def check(self, config: EnvConfig) -> None:
        """Any will do."""
        del config
