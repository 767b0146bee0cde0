"""What the actions of an agent call, in words: a tool with its arguments, or the report of a cell."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import MetricTrackerEnv
from metric_tracker_env.play.actions import FOCUSED, NEXT_FLAGGED, SUBMIT, SURVEY_TOOL, Op

from .outcome import Reports


class Asked(NamedTuple):
    """A call, or a report where ``cell`` is given."""

    tool: str
    arguments: dict[str, Any]
    cell: tuple[int, int] | None = None  # (day, entity) of a report


class ActionReader:
    """Reads the actions of one environment, in the order in which they are taken."""

    def __init__(self, env: MetricTrackerEnv) -> None:
        self._table, self._reports = env.actions, Reports(env)
        generator = env.config.generator
        self._dates, self._last = generator.date_names, generator.num_days - 1
        calendar = env.observation_layout.parts.get("focus_calendar")
        self._place = -1 if calendar is None else int(calendar.places[-1])

    def read(self, action: int, before: np.ndarray, after: np.ndarray) -> Asked:
        """What a legal action asked.

        Args:
            action: Its index.
            before: (L,) observation that it was chosen by.
            after: (L,) observation that it led to; a date "in focus" is the one that is in focus then.
        """
        tool, given = self._table.decode(action)
        arguments: dict[str, Any] = dict(given)
        if int(self._table.op[action]) == Op.DATE and arguments.get("date") in (FOCUSED, NEXT_FLAGGED):
            arguments["date"] = self._dates[round(float(after[self._place]) * self._last)]
        if tool == SURVEY_TOOL:
            arguments["limit"] = self._last + 1  # the action tells all dates
        return Asked(tool, arguments, self._reports.cell(action, before))


__all__ = ["SUBMIT", "ActionReader", "Asked"]
