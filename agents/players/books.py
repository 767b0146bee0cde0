"""The books that a server kept of scored episodes, as a player: each call is made again and graded again.

What a client says of itself counts for nothing: the calls are in the books, an episode that was left before its end
scores 0, and so does one that was never begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.books import BOOKS_FILE, Record, ScoredEpisode, Terms, read_books
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.scoring import Grade

from .failures import End
from .outcome import EpisodeLine, InWords, Played, Progress, Row, submitted_cells
from .player import Assignment, PlaysAnything, PlaysForNothing
from .registry import register_folder


@register_folder(BOOKS_FILE)
class BooksRun(PlaysForNothing, PlaysAnything):
    """The folder of the books as a player.

    Args:
        folder: That a server kept the books in.

    Raises:
        ValueError: if the books are damaged, or of another version of the package.
    """

    kind = "scored by a server"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._record = read_books(folder)

    @property
    def name(self) -> str:
        """As the terms have it."""
        return self.card.agent

    @property
    def card(self) -> Terms:
        """The terms."""
        return self._record.terms

    @property
    def episodes(self) -> Sequence[ScoredEpisode]:
        """Those that were begun, in order."""
        return self._record.episodes

    def check(self, config: EnvConfig) -> None:
        """Refuse another configuration than that of the terms; the view and the kind of reward reach no tool.

        Raises:
            ValueError: saying what differs.
        """
        held, asked = (each.model_dump(exclude={"view", "reward"}) for each in (self.card.config, config))
        other = [name for name in held if held[name] != asked[name]]
        if other:
            raise ValueError(f"the books in {str(self.folder)!r} are of task {self.card.task!r}: {other} differ")

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Make the calls of the episodes again.

        Raises:
            ValueError: if the episodes are not those of the books, or a call is graded otherwise than the books say.
        """
        del pool
        terms, seal = self.card, asked.seal
        if terms.seal != (None if seal is None else seal.hash):
            told = "public, so that no seal is to be given" if terms.seal is None else f"those of seal {terms.seal}"
            raise ValueError(f"the episodes of the books in {str(self.folder)!r} are {told}")
        end = terms.first_seed + terms.episodes
        beyond = [seed for seed in asked.seeds if not terms.first_seed <= seed < end]
        if beyond or len(set(asked.seeds)) != len(asked.seeds):
            raise ValueError(
                f"seed {beyond[0] if beyond else 'given twice'}: the books in {str(self.folder)!r} are of "
                f"{terms.episodes:,} episodes, each once, seeds {terms.first_seed} to {end - 1}"
            )
        held = {episode.seed: episode for episode in self._record.episodes}
        lines: list[EpisodeLine] = []
        rows: list[list[Row]] = []
        tools: Counter[str] = Counter()
        for seed in asked.seeds:
            again = Again(terms, held.get(seed) or ScoredEpisode(seed - terms.first_seed, seed), seal)
            lines.append(again.line)
            rows.append(again.rows)
            tools += again.tools
            if progress is not None:
                progress(1)
        return Played(lines, rows, tools, notes_of(self._record, [held.get(seed) for seed in asked.seeds]))


class Again:
    """A scored episode, played again call by call.

    Args:
        terms: Of the books.
        episode: What the books hold of it.
        seal: Of the episodes.

    Raises:
        ValueError: if its end is not the one in the books.
    """

    def __init__(self, terms: Terms, episode: ScoredEpisode, seal: Seal | None) -> None:
        session = Session(config=terms.config, seal=seal)
        session.begin(episode.seed)
        self.tools: Counter[str] = Counter()
        refused, reported, answer = 0, list[tuple[int, int]](), None
        for tool, arguments in episode.calls:
            answer = session.call(tool, arguments)  # pyright: ignore[reportArgumentType] - refused as it was then
            if answer.ok:
                self.tools[str(tool)] += 1
            else:
                refused += 1
            if answer.ok and tool == SUBMIT and isinstance(arguments, Mapping):
                reported = submitted_cells(arguments["rows"], terms.config.generator)
        standing, ended = session.standing, episode.ended
        if standing.done != (ended is not None) or (ended is not None and _bare(ended.grade) != _bare(session.grade())):
            raise ValueError(
                f"episode {episode.number} of the books (seed {episode.seed}) ends otherwise when its calls are made "
                "again: the books were changed, or written by another version"
            )
        end: End = "handed_in"
        if not standing.done:
            end = "left"
        elif answer is None or not answer.ok:
            end = "refused"
        elif episode.calls[-1][0] != SUBMIT:
            end = "spent"
        self.line, self.rows = InWords(reported, refused, end, self.tools).ended(session, episode.seed)


def _bare(grade: Grade) -> dict[str, Any]:
    """What of a grade is no wording."""
    return grade.model_dump(exclude={"issues", "faults"})


def notes_of(record: Record, episodes: list[ScoredEpisode | None]) -> tuple[str, ...]:
    """What to say of episodes that have no submission."""
    notes: list[str] = []
    left = sum(episode is not None and episode.ended is None for episode in episodes)
    never = sum(episode is None for episode in episodes)
    if left:
        notes.append(f"episodes that were left before their end, and score 0: {left:,}")
    if never:
        notes.append(f"episodes that were never begun, and score 0: {never:,}")
    if len(episodes) < record.terms.episodes:
        notes.append(f"the books are of {record.terms.episodes:,} episodes; these are {len(episodes):,} of them")
    return tuple(notes)
