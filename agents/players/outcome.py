"""What comes of playing: the figures of each episode, and what became of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import (
    EpisodeData,
    GeneratorConfig,
    MetricSubmissionRow,
    MetricTrackerEnv,
    MetricTrackerVectorEnv,
    Session,
)
from metric_tracker_env.play.actions import SUBMIT, ActionTable, Day, Op
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.session.evidence import Evidence
from metric_tracker_env.submission import check_rows

from .failures import Course, End, Failure

Progress = Callable[[int], None]  # called with the number of episodes just played
# Of an episode in words that was left before its end, though there may have been nothing to find in it.
NOTHING_SCORED = dict.fromkeys(("score", "f1", "precision", "recall"), 0.0)


class Fate(IntEnum):
    """What became of a row."""

    MISSED = 0  # expected, not submitted
    MATCHED = 1  # expected and submitted
    EXTRA = 2  # submitted, not expected


class Row(NamedTuple):
    """A row of an episode."""

    day: int
    entity: int  # index in the catalogue
    family: int  # index in ANOMALY_TYPES, of what the data show in the cell
    fate: Fate


class EpisodeLine(NamedTuple):
    """What happened in one episode."""

    seed: int
    score: float
    f1: float
    precision: float
    recall: float
    net: float  # score minus the step cost of the units spent
    episode_return: float
    cost: int  # budget units spent
    tool_calls: int
    illegal: int  # actions that were not legal
    steps: int
    submitted: int  # rows
    expected: int  # rows
    grounded: int  # rows of cells that a paid call had shown
    wasted: int  # units of calls that told nothing new
    failure: Failure  # the primary class, see ``failures``

    @classmethod
    def of(cls, seed: int, told: Mapping[str, Any], course: Course, **counted: Any) -> EpisodeLine:
        """From what the environment told at the end, how the episode went, and what was counted on the way."""
        figures = {"net": told["score"] - course.config.step_cost * told["cost"], **course.figures(), **counted}
        known = {name: told[name] for name in cls._fields if name in told and name not in figures}
        return cls(seed=seed, **known, **figures)


class Played(NamedTuple):
    """Episodes that were played, in the order of their seeds."""

    lines: list[EpisodeLine]
    rows: list[list[Row]]  # of each episode
    tools: Counter[str]  # legal calls
    notes: tuple[str, ...] = ()  # what a reader of the figures should be told besides
    # Of each episode, as the environment was given them; none where a player calls tools by their names.
    actions: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def collected(cls, parts: Iterable[Played], progress: Progress | None = None) -> Played:
        """Parts as one, waited for one after the other."""
        found: list[Played] = []
        for part in parts:
            found.append(part)
            if progress is not None:
                progress(len(part.lines))
        return cls(
            [line for part in found for line in part.lines],
            [rows for part in found for rows in part.rows],
            sum((part.tools for part in found), Counter()),
            tuple(note for part in found for note in part.notes),
            tuple(actions for part in found for actions in part.actions),
        )


class InWords(NamedTuple):
    """How an episode went that was played by calling tools by name."""

    reported: Sequence[tuple[int, int]]  # (day, entity) of the rows that were handed in
    refused: int  # calls
    end: End
    tools: Counter[str]  # calls that were not refused

    def ended(self, session: Session, seed: int) -> tuple[EpisodeLine, list[Row]]:
        """Say how the episode went; one that was left before its end is ended, and scores 0."""
        before = session.standing
        if not before.done:
            session.call(SUBMIT, {"rows": []})
        episode, told = session.episode(), session.grade().model_dump()
        told |= {"cost": before.cost, "tool_calls": before.tool_calls}
        course = Course(episode, session.config, self.reported, session.revealed, before.cost, before.wasted, self.end)
        reward = session.standing.reward
        if not before.done:
            told, reward = told | NOTHING_SCORED, before.reward
        counted = {"illegal": self.refused, "steps": before.steps, "episode_return": reward}
        return EpisodeLine.of(seed, told, course, **counted), rows_of(episode, self.reported, session.revealed)


class Reports:
    """Which cell a report puts into the draft, and which call of a tool an action was."""

    def __init__(self, env: MetricTrackerEnv | MetricTrackerVectorEnv) -> None:
        self._table = table = env.actions
        self._dates = env.config.generator.date_names
        reports = table.op == int(Op.REPORT)
        self._entity: list[int] = np.where(reports, table.argument, -1).tolist()
        self._day: list[int] = table.day.tolist()
        self._last_day = env.config.generator.num_days - 1
        # In the focus view the date is the one in focus, whose position in the range is the last of its calendar.
        focused = "focus_calendar" in env.observation_layout.parts
        self._position = int(env.observation_layout.parts["focus_calendar"].places[-1]) if focused else -1

    def cell(self, action: int, observation: np.ndarray) -> tuple[int, int] | None:
        """(day, entity) of a legal action where (L,) was observed; None for one that is no report."""
        entity = self._entity[action]
        if entity < 0:
            return None
        day = self._day[action]
        if day == int(Day.FOCUSED):
            day = self._in_focus(observation)
        return day, entity

    def call(self, action: int, after: np.ndarray) -> tuple[str, dict[str, Any]]:
        """The tool that a legal action used and its arguments, where it was followed by the observation (L,)."""
        tool, arguments = self._table.decode(action)
        if "date" in arguments:
            day = self._day[action]
            arguments["date"] = self._dates[day if day >= 0 else self._in_focus(after)]
        return tool, arguments

    def take(self, evidence: Evidence, action: int, after: np.ndarray) -> None:
        """Take in what a legal action told, which was followed by the observation ``after``, (L,)."""
        if self._table.cost[action]:
            evidence.take(*self.call(action, after), int(self._table.cost[action]))

    def _in_focus(self, observation: np.ndarray) -> int:
        """Day index of the date in focus."""
        return round(float(observation[self._position]) * self._last_day)


def rows_of(episode: EpisodeData, reported: Iterable[tuple[int, int]], shown: np.ndarray | None = None) -> list[Row]:
    """What became of the rows of an episode that has ended, by date.

    Args:
        episode: With its truth.
        reported: (day, entity) of the cells of the draft.
        shown: (D, E) bool, cells that paid calls had shown: a row of another one is a guess, which matches nothing.
            None: no row is.
    """
    config, draft = episode.generator_config, set(reported)
    grounded = {cell for cell in draft if shown is None or shown[cell]}
    rows: list[Row] = []
    for truth in episode.expected_rows:
        cell = config.day_index(truth.date), config.catalogue.index[truth.entity_type, truth.entity_name]
        fate = Fate.MATCHED if cell in grounded else Fate.MISSED
        rows.append(Row(*cell, ANOMALY_TYPES.index(truth.anomaly_type), fate))
        if fate == Fate.MATCHED:
            draft.discard(cell)
    rows += [Row(*cell, ANOMALY_TYPES.index(episode.row(*cell).anomaly_type), Fate.EXTRA) for cell in draft]
    return sorted(rows)


def submitted_cells(rows: Any, generator: GeneratorConfig) -> list[tuple[int, int]]:
    """(day, entity) of the rows of a submission that was accepted."""
    return [
        (generator.day_index(row.date), generator.catalogue.index[row.entity_type, row.entity_name])
        for row in check_rows(rows, generator)
        if isinstance(row, MetricSubmissionRow)
    ]


def calls_by_tool(calls: Counter[int], actions: ActionTable) -> Counter[str]:
    """Calls of actions -> calls of tools."""
    tools: Counter[str] = Counter()
    for action, number in calls.items():
        tools[actions.decode(action).tool] += number
    return tools
