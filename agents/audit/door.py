"""Doors that an exploit is tried at: scored sessions in this process, or a server."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from metric_tracker_env import Seal, Task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import ScoredSession

from ..players.books import BooksRun
from ..players.player import Assignment


class NoneLeftError(Exception):
    """The door gives no further episode."""


class Door(ABC):
    """What an exploit plays through.

    Args:
        task: What is played.
        episodes: That count, for each exploit.
    """

    def __init__(self, task: Task, episodes: int) -> None:
        self.task, self.config, self.episodes = task, task.config, episodes

    @abstractmethod
    def begin(self, seed: int | None = None) -> bool:
        """Begin an episode, by default the door's next; whether it began.

        Raises:
            NoneLeftError: if there is no further one.
        """

    @abstractmethod
    def call(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a tool: the answer, decoded."""

    @abstractmethod
    def scores(self) -> list[float]:
        """The scores of the episodes that count; at least one."""

    def submit(self, rows: list[Any]) -> Mapping[str, Any]:
        """Submit rows."""
        return self.call(SUBMIT, rows=rows)


class BooksDoor(Door):
    """Scored sessions in this process; the score is what the books say."""

    def __init__(self, task: Task, episodes: int, folder: Path, seal: Seal | None) -> None:
        super().__init__(task, episodes)
        self._folder, self._seal = folder, seal
        self._books = Books(folder, Terms.of("exploit", task, episodes, seal=seal), task.name, seal)
        self._session = ScoredSession(self._books)

    @classmethod
    @contextmanager
    def opened(cls, task: Task, episodes: int, seal: Seal | None) -> Iterator[BooksDoor]:
        """A door whose books are gone afterwards."""
        with TemporaryDirectory() as folder:
            door = cls(task, episodes, Path(folder), seal)
            try:
                yield door
            finally:
                door._books.close()

    def begin(self, seed: int | None = None) -> bool:
        """See ``Door``."""
        if not self._books.left:
            raise NoneLeftError
        try:
            self._session.begin(seed)
        except ValueError:
            return False
        return True

    def call(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
        """See ``Door``."""
        return json.loads(self._session.call(tool, arguments).text)

    def scores(self) -> list[float]:
        """See ``Door``."""
        self._session.leave()
        seeds = [self._books.seed(number) for number in range(self.episodes)]
        played = BooksRun(self._folder).play(Assignment(seeds, self.config, self.task, self._seal))
        return [line.score for line in played.lines]


class ServerDoor(Door):
    """A session on an OpenEnv server.

    Where the server chooses the episodes, those that were left count 0, as in its books. Where it lets a client choose,
    the client tells of those that it likes: the ones with a grade.

    Args:
        task: What the server plays.
        episodes: See ``Door``.
        client: A synchronous ``InvestigationClient`` that has been entered.
    """

    def __init__(self, task: Task, episodes: int, client: Any) -> None:
        super().__init__(task, episodes)
        self._client = client
        self._begun, self._open = 0, False
        self._scores: list[float] = []
        self.scored = self._is_scored()

    def _is_scored(self) -> bool:
        try:
            self._client.reset(seed=self.task.held_out_seeds[0], task=self.task.name)
        except RuntimeError as error:
            return "scored" in str(error)
        return False

    def begin(self, seed: int | None = None) -> bool:
        """See ``Door``."""
        if (self._begun if self.scored else len(self._scores)) >= self.episodes:
            raise NoneLeftError
        if seed is None and not self.scored:
            seed = self.task.held_out_seeds[0] + self._begun
        given = {} if seed is None else {"seed": seed, "task": self.task.name}
        try:
            self._client.reset(**given)
        except RuntimeError as error:
            if "none is left" in str(error):
                raise NoneLeftError from error
            return False
        self._begun, self._open = self._begun + 1, True
        return True

    def call(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
        """See ``Door``."""
        from metric_tracker_env.serve.openenv_client import InvestigationAction

        told = self._client.step(InvestigationAction(tool=tool, arguments=arguments)).observation.told
        if "grade" in told and self._open:
            self._scores.append(told["grade"]["score"])
            self._open = False
        return told

    def scores(self) -> list[float]:
        """See ``Door``."""
        left = self._begun - len(self._scores) if self.scored else 0
        return [*self._scores, *[0.0] * left] or [0.0]
