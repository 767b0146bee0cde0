"""What the agent sees and may do: what the engine tells a view, and what both views share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.play.layout import Layout, shares
from metric_tracker_env.play.state import Play
from metric_tracker_env.play.supply import RATIO_SCALE

REPORTED_SCALE = 0.1  # observed per reported row
UNPACK = np.float32(1.0 / RATIO_SCALE)
FLAG_OF_LEVEL = np.array([0.0, *SCAN_MULTIPLIERS], np.float32)


class Evidence(NamedTuple):
    """What tools on one date each revealed on n lanes."""

    lanes: np.ndarray  # (n,) int64
    days: np.ndarray  # (n,) int64
    row: np.ndarray  # (n,) int64, lane x D + day
    source: np.ndarray  # (n,) int64, slot x D + day
    tools: np.ndarray  # (n,) int64, rows of ActionTable.reveals
    seen: np.ndarray  # (n, E) bool, revealed on that date now
    fresh: np.ndarray  # (n, E) bool, revealed just now
    opened: np.ndarray  # (n,) bool, whether the date has been opened
    first: np.ndarray  # (n,) bool, whether it was opened just now, for the first time


class Scanned(NamedTuple):
    """What scans told n lanes."""

    lanes: np.ndarray  # (n,) int64
    actions: np.ndarray  # (n,) int64
    scans: np.ndarray  # (n,) int64, which of the scans, the survey last
    known: np.ndarray  # (n, D, 8) int8, SCAN_MULTIPLIERS that each family is now known to reach


class Reported(NamedTuple):
    """Cells that n lanes reported."""

    lanes: np.ndarray  # (n,) int64
    days: np.ndarray  # (n,) int64
    entities: np.ndarray  # (n,) int64
    actions: np.ndarray  # (n,) int64


class ViewState:
    """Observation and mask of B lanes in one view; the engine tells it what happened."""

    def __init__(self, play: Play, layout: Layout, row: int, block: int) -> None:
        self.play = play
        self.layout = layout
        actions = len(play.table)
        # Lanes are padded to whole rows and blocks, so that a row or block of any lane has one flat index.
        self._lane_rows, self._lane_blocks = -(-layout.size // row), -(-actions // block)
        self._buffer = np.zeros((play.lanes, self._lane_rows * row), np.float32)
        self._legal = np.zeros((play.lanes, self._lane_blocks * block), bool)
        self._rows, self._blocks = self._buffer.reshape(-1, row), self._legal.reshape(-1, block)
        self._flat_legal = self._legal.reshape(-1)
        self._first_action = np.arange(play.lanes) * self._legal.shape[1]
        self.observations = self._buffer[:, : layout.size]
        self.mask = self._legal[:, :actions]
        self._costs = play.table.cost
        self._dearest = int(self._costs.max())
        # (dearest, actions): what as many units can still pay.
        self._payable = np.zeros((self._dearest, self._legal.shape[1]), bool)
        self._payable[:, :actions] = self._costs <= np.arange(self._dearest)[:, None]
        self._steps_left, self._budget_left = shares(play.config.step_limit), shares(play.config.budget)
        start = layout.parts["globals"].start
        self._reported_at, self._budget_at, self._steps_at, self._scans_at = start, start + 1, start + 2, start + 3
        self._globals = slice(start, start + layout.parts["globals"].width)

    def __reduce__(self) -> tuple[object, ...]:
        # The other arrays are views of these two, and a copy would cut them off.
        return restored, (type(self), self.play, self._buffer, self._legal)

    def put(self, buffer: np.ndarray, legal: np.ndarray) -> None:
        """Take over observations and masks."""
        self._buffer[:] = buffer
        self._legal[:] = legal

    def legal(self, actions: np.ndarray) -> np.ndarray:
        """(B,) bool: whether one action on each lane is legal."""
        return self._flat_legal.take(self._first_action + actions)

    def load(self, lanes: np.ndarray) -> None:
        """A new episode begins on these lanes."""
        raise NotImplementedError

    def on_date(self, found: Evidence) -> None:
        """A tool on one date revealed cells."""
        raise NotImplementedError

    def on_scan(self, told: Scanned) -> None:
        """A scan or survey told which dates show which families."""
        raise NotImplementedError

    def on_report(self, row: Reported) -> None:
        """A cell was reported."""
        raise NotImplementedError

    def on_step(self) -> None:
        """The step is over."""
        self._buffer[:, self._steps_at] = self._steps_left.take(self.play.steps_left)

    def on_pay(self, lanes: np.ndarray) -> None:
        """The budgets of lanes have changed; called when everything else of the action is written."""
        budget = self.play.budget.take(lanes)
        self._buffer[lanes, self._budget_at] = self._budget_left.take(budget)
        short = budget < self._dearest
        if short.any():
            lanes = lanes[short]
            self._legal[lanes] = self._legal.take(lanes, axis=0) & self._payable.take(budget[short], axis=0)

    def _load_globals(self, lanes: np.ndarray) -> None:
        self._buffer[lanes, self._globals] = 0.0
        self._buffer[lanes, self._budget_at] = 1.0
        self._buffer[lanes, self._steps_at] = 1.0


def restored(view: Callable[[Play], ViewState], play: Play, buffer: np.ndarray, legal: np.ndarray) -> ViewState:
    """A copied or unpickled view."""
    made = view(play)
    made.put(buffer, legal)
    return made
