"""A library of runs, as the page reads one: an index of their episodes, each played again when it is opened.

The page knows this protocol alone; who has played, and how it is played again, is the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from metric_tracker_env.schema import FAMILIES, AnomalyType, StrictModel

Fate = Literal["missed", "matched", "extra"]


class RowFate(NamedTuple):
    """What became of a row of an episode."""

    fate: Fate
    family: AnomalyType
    entity: str  # type and name


class Entry(NamedTuple):
    """A line of the index: one episode of a run."""

    seed: int
    trial: int  # of this seed in this run, from 0
    score: float | None  # None of an episode that is still played
    f1: float | None
    cost: int | None  # budget units; None where that is not known
    calls: int
    refused: int  # of the calls
    rows: tuple[RowFate, ...]
    end: str = ""  # how it ended, where that is not by a submission
    failure: str = ""  # its class, one of ``Library.failures``; empty where that is not known

    @property
    def words(self) -> list[str]:
        """What went wrong, in words."""
        counts: dict[str, int] = {}
        for row in self.rows:
            if row.fate != "matched":
                name = f"{row.fate} {FAMILIES[row.family].label}"
                counts[name] = counts.get(name, 0) + 1
        found = [name if number == 1 else f"{name} x{number}" for name, number in counts.items()]
        if self.end:
            found.insert(0, self.end.replace("_", " "))
        if self.refused:
            found.append(f"{self.refused} refused")
        return found


class Run(NamedTuple):
    """The episodes that one agent has played of one task."""

    name: str  # in the address; no other run has it
    agent: str
    kind: str
    task: str
    source: str  # as it was named to the command
    entries: Sequence[Entry]
    notes: Sequence[str] = ()  # what a reader should be told besides, each in one line
    seal: str | None = None  # hash of the seal that made the episodes; None for public ones


class Said(NamedTuple):
    """A message of a transcript."""

    role: str
    text: str
    thought: str  # what a model said to itself, where the endpoint told
    calls: tuple[tuple[str, str], ...]  # tool and arguments, word for word
    step: int  # number of the first call, or of the call that this answers; 0 for none


class Opened(NamedTuple):
    """An episode, played again."""

    state: Mapping[str, Any]  # as ``snapshot.replay`` gives it
    transcript: Sequence[Said] | None = None  # None of a player that says nothing
    note: str = ""  # what a reader should be told besides


class Estimate(StrictModel):
    """A mean with its interval."""

    mean: float
    low: float
    high: float


class BoardLine(StrictModel):
    """An agent's figures on a task."""

    agent: str
    kind: str
    run: str | None  # whose episodes can be watched
    episodes: int
    figures: dict[str, Estimate]


class Difference(StrictModel):
    """F1 of one agent's rows of a family, less that of another's over the same episodes."""

    agent: str
    other: str
    family: str
    expected: int
    f1: float
    other_f1: float
    difference: Estimate
    apart: bool  # whether the interval leaves out 0


class Board(StrictModel):
    """The leaderboard of one task, best first."""

    source: str
    task: str
    lines: tuple[BoardLine, ...]
    differences: tuple[Difference, ...]


class Library(Protocol):
    """Runs whose episodes can be watched."""

    @property
    def runs(self) -> Sequence[Run]:
        """All that could be read."""
        ...

    @property
    def faults(self) -> Sequence[str]:
        """What could not be read, each in one line."""
        ...

    @property
    def failures(self) -> Mapping[str, str]:
        """The classes of failure, and what each means, as the end of "the episode ...".

        An episode in which nothing failed has a class as well; the others come by how much they weigh.
        """
        ...

    def open(self, run: str, seed: int, trial: int) -> Opened:
        """Play an episode again.

        Raises:
            ValueError: if there is none, or it cannot be played again; in one line.
        """
        ...

    def boards(self) -> Sequence[Board]:
        """The leaderboards of the runs.

        Raises:
            ValueError: if there is nothing to compare.
        """
        ...
