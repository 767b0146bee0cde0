"""How episodes fail: one rule that gives every episode a class, whatever kind of player it was.

The rule reads what was expected, what was reported and what had been paid for. What was missed comes before what was
too much: an episode has all the classes that apply to it, and the first of them is its primary one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from metric_tracker_env import EnvConfig, EpisodeData
from metric_tracker_env.schema import METHOD_OF_ENTITY_TYPE
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.world.labels import CellClass

Failure = Literal[
    "solved",
    "protocol_error",
    "gave_up",
    "wrong_root",
    "missed_detection",
    "unread_data",
    "budget_exhausted",
    "consequence_reported",
    "explained_reported",
    "natural_reported",
]
FAILURES: tuple[Failure, ...] = get_args(Failure)
# What each means, as the end of "the episode ..."; tables and pages say it in these words.
WORDS: dict[Failure, str] = {
    "solved": "has exactly the expected rows",
    "protocol_error": "ended on a refused call, a reply without one or a failed endpoint, or names a cell twice",
    "gave_up": "was left, or nothing was reported although there was something to find and units to look for it",
    "wrong_root": "has a row on the date of a missed root, of another cell",
    "missed_detection": "misses a root whose cell had been shown",
    "unread_data": "misses a root whose cell was never shown, though the units for it were left",
    "budget_exhausted": "misses a root whose cell was never shown, and no units, calls or replies were left",
    "consequence_reported": "has a row that follows from an incident",
    "explained_reported": "has a row that a known event or lost hours explain",
    "natural_reported": "has a row of a cell that nothing moved",
}
End = Literal["handed_in", "refused", "spent", "left"]  # on a bad call, by a limit, or by who played


class Course(NamedTuple):
    """How an episode went, from its beginning to its end."""

    episode: EpisodeData  # with its truth
    config: EnvConfig
    reported: Sequence[tuple[int, int]]  # (day, entity) of the rows, as often as they were handed in
    shown: np.ndarray  # (D, E) bool, cells that were paid for
    spent: int  # units
    wasted: int = 0  # units of calls that told nothing new
    end: End = "handed_in"

    @property
    def grounded(self) -> int:
        """Rows of cells that were paid for."""
        return sum(bool(self.shown[cell]) for cell in self.reported)

    def figures(self) -> dict[str, Any]:
        """What a line of an evaluation says of it."""
        return {"grounded": self.grounded, "wasted": self.wasted, "failure": failures(self)[0]}


def failures(course: Course) -> tuple[Failure, ...]:
    """The classes of an episode, the primary one first."""
    found: list[Failure] = []
    if course.end != "handed_in":
        ends: dict[End, Failure] = {"refused": "protocol_error", "spent": "budget_exhausted", "left": "gave_up"}
        found.append(ends[course.end])
    classes, costs = course.episode.classes, course.config.costs
    left = course.config.budget - course.spent
    expected = {(int(day), int(entity)) for day, entity in np.argwhere(classes == CellClass.EXPECTED)}
    rested = {cell for cell in course.reported if course.shown[cell]}
    missed, extra = expected - rested, set(course.reported) - expected
    if expected and not course.reported and left >= min(costs.open, costs.inspect):
        found.append("gave_up")
    days = {day for day, _ in extra}
    applies = set[Failure]()
    for day, entity in missed:
        method = TOOLS[METHOD_OF_ENTITY_TYPE[course.config.generator.catalogue.entities[entity].entity_type]]
        if day in days:
            applies.add("wrong_root")
        elif course.shown[day, entity]:
            applies.add("missed_detection")
        else:
            applies.add("unread_data" if left >= getattr(costs, method.cost) else "budget_exhausted")
    instead = {day for day, _ in missed}
    kinds: dict[int, Failure] = {
        CellClass.CONSEQUENCE: "consequence_reported",
        CellClass.EXPLAINED: "explained_reported",
    }
    applies |= {kinds.get(int(classes[cell]), "natural_reported") for cell in extra if cell[0] not in instead}
    found += sorted(applies, key=FAILURES.index)
    if max(Counter(course.reported).values(), default=1) > 1:
        found.append("protocol_error")
    return tuple(dict.fromkeys(found)) or ("solved",)
