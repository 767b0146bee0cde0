"""Which episodes of a library are asked for, and how many there are of each kind that can be asked for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from metric_tracker_env.schema import AnomalyType, StrictModel
from metric_tracker_env.ui.library import Entry, Run

Order = Literal["seed", "worst", "best", "dearest"]
Outcome = Literal["missed", "extra", "flawless", "refused", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
Counts = dict[str, dict[str, int]]  # of a filter and a value of it


class Wanted(StrictModel):
    """What of the index is asked for; None means all."""

    agent: str | None = None
    task: str | None = None
    seed: int | None = None
    fate: Outcome | None = None
    failure: str | None = None  # class of failure
    family: AnomalyType | None = None
    entity: str | None = None
    order: Order = "seed"


def episode_of(run: Run, entry: Entry) -> tuple[str, str, int]:
    """Which episode was played: task, seal and seed. Those of one seed under other seals have nothing in common."""
    return run.task, run.seal or "", entry.seed


class Codes:
    """Values as numbers, in the order in which they are first met."""

    def __init__(self, values: Iterable[Hashable]) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.column = np.array([self._numbers.setdefault(value, len(self._numbers)) for value in values], np.int64)

    @property
    def values(self) -> list[Hashable]:
        """All that there are."""
        return list(self._numbers)

    def are(self, value: Hashable | None) -> np.ndarray:
        """Where the value is; everywhere for None."""
        return np.full(len(self.column), True) if value is None else self.column == self._numbers.get(value, -1)


class Choice:
    """Chooses among the episodes of runs, by columns that are made once.

    Args:
        runs: Which do not change.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._lines = lines = [(run, entry) for run in runs for entry in run.entries]
        self._place = {run.name: number for number, run in enumerate(runs)}
        entries = [entry for _, entry in lines]
        self._agent, self._task = Codes(run.agent for run, _ in lines), Codes(run.task for run, _ in lines)
        self._seed, self._failure = Codes(entry.seed for entry in entries), Codes(entry.failure for entry in entries)
        self._refused = np.array([entry.refused > 0 for entry in entries], bool)
        self._unfinished = np.array([bool(entry.end) for entry in entries], bool)
        self._known = np.array([entry.score is not None and bool(entry.failure) for entry in entries], bool)
        # A line a row of an episode.
        rows = [row for entry in entries for row in entry.rows]
        self._owner = np.repeat(np.arange(len(entries)), [len(entry.rows) for entry in entries])
        self._fate, self._family = Codes(row.fate for row in rows), Codes(row.family for row in rows)
        self._entity = Codes(row.entity for row in rows)

    def lines(self, wanted: Wanted) -> list[tuple[Run, Entry]]:
        """The episodes that are asked for, in the order that is asked for; by seed, those of one stand together."""
        found = [self._lines[place] for place in np.flatnonzero(self._fit(wanted))]
        if wanted.order == "seed":
            found.sort(key=lambda item: (*episode_of(*item), self._place[item[0].name], item[1].trial))
        elif wanted.order == "dearest":
            found.sort(key=lambda item: -1 if item[1].cost is None else item[1].cost, reverse=True)
        else:
            sign = 1 if wanted.order == "worst" else -1
            found.sort(key=lambda item: sign * (-1.0 if item[1].score is None else item[1].score))
        return found

    def counts(self, wanted: Wanted) -> Counts:
        """How many episodes there would be if one filter had another value, and the others stayed as they are."""
        values: dict[str, Sequence[Hashable]] = {
            "fate": OUTCOMES,
            "failure": [value for value in self._failure.values if value],
            "family": self._family.values,
            "entity": self._entity.values,
        }
        return {
            name: {str(value): int(self._fit(wanted.model_copy(update={name: value})).sum()) for value in each}
            for name, each in values.items()
        }

    def _fit(self, wanted: Wanted) -> np.ndarray:
        """Which episodes are asked for; those with rows of the family and the entity, which have the outcome."""
        fit = self._agent.are(wanted.agent) & self._task.are(wanted.task) & self._seed.are(wanted.seed)
        fit &= self._failure.are(wanted.failure)
        rows = self._family.are(wanted.family) & self._entity.are(wanted.entity)
        if wanted.family is not None or wanted.entity is not None:
            fit &= self._with(rows)
        if wanted.fate in ("missed", "extra"):
            fit &= self._with(rows & self._fate.are(wanted.fate))
        elif wanted.fate == "flawless":
            fit &= self._known & ~self._unfinished & ~self._with(rows & ~self._fate.are("matched"))
        elif wanted.fate is not None:
            fit &= self._refused if wanted.fate == "refused" else self._unfinished
        return fit

    def _with(self, rows: np.ndarray) -> np.ndarray:
        """Which episodes have one of these rows."""
        found = np.full(len(self._lines), False)
        found[self._owner[rows]] = True
        return found
