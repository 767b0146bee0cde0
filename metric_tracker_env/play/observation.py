"""What the agent sees and may do: what the engine tells a view, and what both views share."""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import numpy as np

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.play.actions import NEVER_PAID, ActionTable
from metric_tracker_env.play.items import items
from metric_tracker_env.play.layout import Layout, shares
from metric_tracker_env.play.state import Play
from metric_tracker_env.play.supply import RATIO_SCALE, SHARE_SCALE, CalendarData

REPORTED_SCALE = 0.1  # observed per reported row
UNPACK, UNPACK_SHARE = np.float32(1.0 / RATIO_SCALE), np.float32(1.0 / SHARE_SCALE)
FLAG_OF_LEVEL = np.array([0.0, *SCAN_MULTIPLIERS], np.float32)


class Evidence(NamedTuple):
    """What tools on one date each revealed on n lanes."""

    lanes: np.ndarray  # (n,) int64
    days: np.ndarray  # (n,) int64
    row: np.ndarray  # (n,) int64, lane x D + day
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
    """Observation and mask of B lanes in one view; the engine tells it what happened.

    Attributes:
        observations: (B, L) float32.
        mask: (B, A) bool, legal actions.
        arrays: All arrays that say what is shown and legal.
    """

    play: Play
    observations: np.ndarray
    mask: np.ndarray
    arrays: tuple[np.ndarray, ...]

    def __init__(self, config: EnvConfig, table: ActionTable, layout: Layout, block: int) -> None:
        """Work out what depends on the configuration alone; ``of`` adds the lanes."""
        self.layout = layout
        self._actions = len(table)
        # Masks are padded to whole blocks, so that a block of any lane has one flat index.
        self._lane_blocks, self._block = -(-self._actions // block), block
        self._costs = table.cost
        self._dearest = int(self._costs[self._costs < NEVER_PAID].max())
        # (dearest, actions): what as many units can still pay.
        self._payable = np.zeros((self._dearest, self._lane_blocks * block), bool)
        self._payable[:, : self._actions] = self._costs <= np.arange(self._dearest)[:, None]
        self._steps_left, self._budget_left = shares(config.step_limit), shares(config.budget)
        start = layout.parts["globals"].start
        self._reported_at, self._budget_at, self._steps_at, self._scans_at = start, start + 1, start + 2, start + 3
        self._first = np.zeros(layout.size, np.float32)  # what is shown when an episode begins
        self._first[[self._budget_at, self._steps_at]] = 1.0
        self._fresh = np.zeros(self._actions, bool)  # what is legal then

    def of(self, play: Play) -> Self:
        """The view of a play, with nothing shown yet; shares what depends on the configuration alone."""
        other = copy.copy(self)
        other._attach(play)
        return other

    def _attach(self, play: Play) -> None:
        """Make the arrays of lanes, and the slices of them that are used."""
        self.play = play
        self.observations = np.zeros((play.lanes, self.layout.size), np.float32)
        self._legal = np.zeros((play.lanes, self._lane_blocks * self._block), bool)
        self.arrays = (self.observations, self._legal)
        self._blocks, self._flat_legal = self._legal.reshape(-1, self._block), self._legal.reshape(-1)
        self._block_items, self._lane_items = items(self._legal, len(self._blocks)), items(self._legal, play.lanes)
        self._first_action = np.arange(play.lanes) * self._legal.shape[1]
        self.mask = self._legal[:, : self._actions]

    def legal(self, actions: np.ndarray) -> np.ndarray:
        """(B,) bool: whether one action on each lane is legal."""
        return self._flat_legal.take(self._first_action + actions)

    def load(self, lanes: np.ndarray) -> None:
        """A new episode begins on these lanes."""
        self.observations[lanes] = self._first
        self.mask[lanes] = self._fresh

    def on_date(self, found: Evidence) -> None:
        """A tool on one date revealed cells."""
        raise NotImplementedError

    def on_scan(self, told: Scanned) -> None:
        """A scan or survey told which dates show which families."""
        raise NotImplementedError

    def on_events(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Lanes were told what was announced."""
        raise NotImplementedError

    def on_report(self, row: Reported) -> None:
        """A cell was reported."""
        raise NotImplementedError

    def on_step(self) -> None:
        """The step is over."""
        self.observations[:, self._steps_at] = self._steps_left.take(self.play.steps_left)

    def on_pay(self, lanes: np.ndarray) -> None:
        """The budgets of lanes have changed; called when everything else of the action is written."""
        budget = self.play.budget.take(lanes)
        self.observations[lanes, self._budget_at] = self._budget_left.take(budget)
        short = budget < self._dearest
        if short.any():
            lanes = lanes[short]
            legal = self._legal.take(lanes, axis=0)
            legal &= self._payable.take(budget[short], axis=0)
            self._lane_items[lanes] = items(legal, len(legal))

    @property
    def _known(self) -> CalendarData:
        """What is known beside the values; only asked for in a world."""
        known = self.play.data.calendar
        assert known is not None
        return known


class Lane(ViewState):
    """A view of a single lane, told of one action at a time: the rules of the view, on slices that are bound once."""

    def _attach(self, play: Play) -> None:
        super()._attach(play)
        self._shown, self._allowed = self.observations[0], self.mask[0]
        cells = play.revealed.shape  # (D, E)
        self._deviations = np.zeros(cells, np.float32)
        self._seasons = np.zeros(play.days, np.float32)
        self._confirmed = np.zeros(cells, bool)  # the cell's detection method flags it

    def begin(self) -> None:
        """The data of an episode are in place."""
        data = self.play.data
        np.multiply(data.ratios, UNPACK, out=self._deviations)
        np.multiply(data.season, UNPACK, out=self._seasons)
        np.greater(data.classes, 0, out=self._confirmed)
        if data.calendar is not None:
            self._lost = data.calendar.missing * UNPACK_SHARE

    def reveal(self, day: int, tool: int) -> None:
        """``on_date``: a tool reveals cells of a date."""
        raise NotImplementedError

    def flag(self, scan: int, action: int) -> None:
        """``on_scan``: what is known of all dates has changed."""
        raise NotImplementedError

    def inform(self, action: int) -> None:
        """``on_events``: what was announced is told."""
        raise NotImplementedError

    def report(self, day: int, entity: int, action: int) -> None:
        """``on_report``: a cell was reported."""
        raise NotImplementedError

    def tick(self, steps_left: int) -> None:
        """``on_step``: the step is over."""
        self._shown[self._steps_at] = self._steps_left.item(steps_left)

    def pay(self, budget: int) -> None:
        """``on_pay``: what is left of the budget has changed; called when everything else is written."""
        self._shown[self._budget_at] = self._budget_left.item(budget)
        if budget < self._dearest:
            legal = self._flat_legal
            np.logical_and(legal, self._payable[budget], out=legal)
