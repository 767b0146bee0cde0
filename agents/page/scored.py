"""The books that a server kept, as an index, and their episodes played again from the calls that were written down.

An episode that the books leave without an end may still be played, so that nothing is told of its truth. One whose
player left it is known to be over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from metric_tracker_env import Seal
from metric_tracker_env.books import ScoredEpisode
from metric_tracker_env.ui.library import Entry, Opened, Said
from metric_tracker_env.ui.snapshot import replay

from ..evaluation.evaluate import Evaluation, card_of
from ..players.books import BooksRun
from ..players.outcome import NOTHING_SCORED, Progress
from ..players.player import Assignment
from .calls import Calls, Played, Watcher
from .entries import entries_of


class End(NamedTuple):
    """An end without a submission: what the index calls it, and what is told of the episode."""

    name: str
    words: str


LEFT = End("left before its end", "The player left the episode here: it scores 0.")
OPEN = End(
    "without an end",
    "The books hold no end of this episode: it is still played, or its server was stopped. As it stands it scores 0, "
    "and its truth is not told.",
)
NEVER = End("never begun", "The episode has not begun. As the books stand it scores 0, and its truth is not told.")


class ScoredFolder:
    """The folder of books.

    Args:
        folder: That a server kept them in.
        seal: That the page was given.

    Raises:
        ValueError: if the books are damaged.
    """

    def __init__(self, folder: Path, seal: Seal | None) -> None:
        self.folder, self.player = folder, BooksRun(folder)
        self.terms, self.card = self.player.card, card_of(self.player)
        self.seeds = range(self.terms.first_seed, self.terms.first_seed + self.terms.episodes)
        self._seal = None if self.terms.seal is None else seal
        self._held = {episode.seed: episode for episode in self.player.episodes}

    def played(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation is of these books."""
        return evaluation.agent == self.terms.agent and evaluation.card == self.card

    @property
    def shut(self) -> str:
        """Why nothing can be played again, and what is shown then; empty if it can."""
        if self.terms.seal == (None if self._seal is None else self._seal.hash):
            return ""
        return (
            f"the episodes are sealed ({self.terms.seal}); without their secret there are the scores that the server "
            "wrote and the number of calls, unchecked, and no episode opens: --seal and its file open them"
        )

    def evaluation(self, progress: Progress | None = None) -> Evaluation:
        """All episodes, their calls made again and graded again.

        Raises:
            ValueError: if a grade is another than the books say.
        """
        terms = self.terms
        return Evaluation.of(
            self.player.play(Assignment(self.seeds, terms.config, None, self._seal), progress=progress),
            agent=self.player.name,
            kind=self.player.kind,
            card=self.card,
            task=terms.task,
            config=terms.config,
            seal=terms.seal,
        )

    def entries(self, evaluation: Evaluation) -> list[Entry]:
        """The index of an evaluation of these books; no row is told of an episode that may still be played."""
        found: list[Entry] = []
        for entry in entries_of(evaluation):
            end = self._end(entry.seed)
            rows = () if end in (OPEN, NEVER) else entry.rows
            found.append(entry if end is None else entry._replace(end=end.name, rows=rows))
        return found

    @property
    def finished(self) -> bool:
        """Whether no episode may still be played."""
        return not any(self._end(seed) in (OPEN, NEVER) for seed in self.seeds)

    def as_written(self) -> list[Entry]:
        """The index as the server wrote it: scores and numbers of calls, without playing anything again."""
        found: list[Entry] = []
        for seed in self.seeds:
            episode, end = self._held.get(seed), self._end(seed)
            grade = None if episode is None or episode.ended is None else episode.ended.grade
            score, f1 = (0.0, 0.0) if grade is None else (grade.score, grade.f1)
            calls = 0 if episode is None else len(episode.calls)
            found.append(Entry(seed, 0, score, f1, None, calls, 0, (), "" if end is None else end.name))
        return found

    def open(self, seed: int, watcher: Watcher | None = None) -> Opened:
        """Make the calls of an episode again.

        Args:
            seed: Of the episode.
            watcher: See ``Calls``.

        Raises:
            ValueError: if the episodes are sealed, and the secret is not at hand.
        """
        if self.shut:
            raise ValueError(self.shut)
        terms, end = self.terms, self._end(seed)
        calls = Calls(Played(terms.agent, terms.task, terms.config, self._seal), seed, watcher)
        said: list[Said] = []
        for tool, arguments in self._calls_of(seed):
            name = tool if isinstance(tool, str) else json.dumps(tool)
            said.append(Said("player", "", "", ((name, json.dumps(arguments, ensure_ascii=False)),), len(calls) + 1))
            said.append(Said("tool", calls.make(tool, arguments), "", (), len(calls)))
        if end is not None:
            said.append(Said("end", end.words, "", (), len(calls)))
        grade = calls.end_unseen().model_copy(update={**NOTHING_SCORED}) if end == LEFT else None
        return Opened(replay(calls.replayed(grade)), said, "" if end is None else end.words)

    def _calls_of(self, seed: int) -> Sequence[tuple[object, object]]:
        episode: ScoredEpisode | None = self._held.get(seed)
        return () if episode is None else episode.calls

    def _end(self, seed: int) -> End | None:
        """How an episode ended; None if it has a grade."""
        episode = self._held.get(seed)
        if episode is None:
            return NEVER
        if episode.ended is not None:
            return None
        return LEFT if episode.left else OPEN
