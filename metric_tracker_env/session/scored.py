"""A session for score: the books choose the episodes and hold every call, and what is left before its end counts 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metric_tracker_env.books import Books
from metric_tracker_env.session.answers import Answer
from metric_tracker_env.session.session import Session


class ScoredSession(Session):
    """A session whose episodes are scored. Several may share books: each plays an episode that no other has begun.

    Args:
        books: What is played, and where it is written down.
    """

    def __init__(self, books: Books) -> None:
        # Public seeds follow each other, so that one that is told tells the next; sealed ones tell nothing.
        super().__init__(books.task, names_episodes=books.seal is not None, seal=books.seal)
        self._books = books
        self._number: int | None = None  # of the episode under way

    @property
    def left(self) -> int:
        """Episodes of the books that nobody has begun."""
        return self._books.left

    def begin(self, seed: int | None = None, task: str | None = None, **options: Any) -> str:
        """Begin the next episode of the books; one that is under way is abandoned, and counts 0.

        Raises:
            ValueError: if a seed, task or option is given, or no episode is left; nothing has changed then.
        """
        given = [name for name, value in (("seed", seed), ("task", task), *options.items()) if value is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: these episodes are scored, so that the server chooses them")
        number = self._books.begin()
        self.leave()
        self._number = number
        return super().begin(self._books.seed(number))

    def call(self, tool: str, arguments: Mapping[str, object], positional: Sequence[object] = ()) -> Answer:
        """See ``Session.call``; the call is in the books before it is carried out, the grade before it is told."""
        if self._number is None:
            return super().call(tool, arguments, positional)
        if positional:
            raise TypeError("scored calls have their arguments by name")
        self._books.call(self._number, tool, arguments)
        answer = super().call(tool, arguments)
        if answer.done:
            self._books.end(self._number, self.standing.reward, self.grade())
            self._number = None
        return answer

    def leave(self) -> None:
        """Abandon the episode that is under way, if one is."""
        if self._number is not None:
            self._books.abandon(self._number)
            self._number = None
