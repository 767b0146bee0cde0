"""The state of play of B lanes, whatever the view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.items import items
from metric_tracker_env.play.supply import LEVEL_COLUMNS, LaneData


class Play:
    """What has happened in the episodes of B lanes, and the data that they are about.

    Attributes:
        arrays: All arrays that say what has happened.
    """

    def __init__(self, config: EnvConfig, lanes: int, data: LaneData) -> None:
        self.config, self.lanes = config, lanes
        self.days, self.entities = config.generator.num_days, config.generator.catalogue.num_entities
        self.data = data  # row i is lane i's
        # A date of a lane is a row, lane x D + day.
        self.revealed = np.zeros((lanes * self.days, self.entities), bool)
        self.reported = np.zeros((lanes * self.days, self.entities), bool)
        self.opened = np.zeros(lanes * self.days, bool)
        self.flagged_dates = np.zeros(lanes * self.days, bool)  # known > 0 for some family
        # How many SCAN_MULTIPLIERS each family is known to reach on each date.
        self.known = np.zeros((lanes, self.days, LEVEL_COLUMNS), np.int8)
        self.focus = np.full(lanes, -1, np.int64)  # day index, -1 for none
        self.next_flagged = np.full(lanes, -1, np.int64)  # day index, -1 for none
        self.budget = np.zeros(lanes, np.int64)  # units left
        self.steps_left = np.zeros(lanes, np.int64)
        self.tool_calls = np.zeros(lanes, np.int64)
        self.reports = np.zeros(lanes, np.int64)  # rows in the draft
        self.correct = np.zeros(lanes, np.int64)  # of them expected
        self.informed = np.zeros(lanes, bool)  # the known events have been listed
        self.playing = np.zeros(lanes, bool)  # an episode is under way
        self.arrays = tuple(value for value in vars(self).values() if isinstance(value, np.ndarray))
        tables = (self.revealed, self.reported, self.opened, self.flagged_dates, self.known)
        self._tables = [items(table, lanes) for table in tables]  # an item a lane
        self._rows_revealed = items(self.revealed, lanes * self.days)

    def reveal(self, row: np.ndarray, seen: np.ndarray) -> None:
        """(n, E) bool: the cells of dates, rows lane x D + day, that are revealed from now on."""
        self._rows_revealed[row] = items(seen, len(row))

    def known_on(self, row: np.ndarray) -> np.ndarray:
        """(n, 8) int8: what is known of dates, rows lane x D + day."""
        return self.known.reshape(-1, self.known.shape[-1]).take(row, axis=0)

    def clear(self, lanes: np.ndarray) -> None:
        """A new episode begins on these lanes; its data are in place."""
        for table in self._tables:
            table[lanes] = np.zeros((), table.dtype)
        for array in (self.tool_calls, self.reports, self.correct, self.informed):
            array[lanes] = 0
        self.focus[lanes] = -1
        self.next_flagged[lanes] = -1
        self.budget[lanes] = self.config.budget
        self.steps_left[lanes] = self.config.step_limit
        self.playing[lanes] = True


class Counted(NamedTuple):
    """What an agent has left and used in an episode."""

    budget: int  # units left
    steps: int
    tool_calls: int  # that cost something


class Progress(NamedTuple):
    """What an agent has seen and done in an episode."""

    revealed: np.ndarray  # (D, E) bool
    reported: np.ndarray  # (D, E) bool
    opened: np.ndarray  # (D,) bool
    known: np.ndarray  # (7, D) int8, SCAN_MULTIPLIERS that scans have shown each family to reach
    informed: bool  # the known events have been listed
    focus: int  # day index, -1 for none
    budget: int  # units left
    steps: int
    tool_calls: int  # that cost something
