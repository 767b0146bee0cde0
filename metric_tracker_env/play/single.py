"""The engine of a single environment: the rules of a step, one action at a time, and the way back to an earlier step.

Each rule of ``Engine.step`` stands here a second time, for one lane: on plain numbers and on slices that are bound
once it takes a third of the time. The tests hold both to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np

from metric_tracker_env.config import EnvConfig, View
from metric_tracker_env.play.actions import Day, Op
from metric_tracker_env.play.board import BoardLane, BoardView
from metric_tracker_env.play.engine import Engine, write
from metric_tracker_env.play.focus import FocusLane, FocusView
from metric_tracker_env.play.observation import Lane
from metric_tracker_env.play.outcome import outcome_of
from metric_tracker_env.play.supply import EpisodeSupply, SupplyState
from metric_tracker_env.scoring import soft_f1
from metric_tracker_env.seal import Seal
from metric_tracker_env.world.labels import CellClass

# As plain numbers: the members of an enum are looked up a hundred times slower in Python 3.11.
DATE, REPORT, SUBMIT, EVENTS = int(Op.DATE), int(Op.REPORT), int(Op.SUBMIT), int(Op.EVENTS)
FOCUSED = int(Day.FOCUSED)
EXPECTED = int(CellClass.EXPECTED)
DRAFTS = 4096  # numbers of rows in drafts whose scores are remembered


class Snapshot:
    """Where an episode stands; it tells nothing of it."""

    __slots__ = ("_arrays", "_episode")

    def __init__(self, episode: object, arrays: tuple[np.ndarray, ...]) -> None:
        self._episode = episode
        self._arrays = tuple(array.copy() for array in arrays)

    def __repr__(self) -> str:
        return "<Snapshot>"

    def is_of(self, episode: object) -> bool:
        """Whether it was taken in that episode."""
        return self._episode is episode

    def put(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Write what was kept back into the arrays that it was taken of."""
        write(arrays, self._arrays)


class SingleEngine(Engine):
    """An engine with one lane, which takes one action at a time.

    Attributes:
        observation: (L,) float32, changed in place by every step.
        legal: (A,) int8, 1 where an action is legal, changed in place by every step.
    """

    views: ClassVar[Mapping[View, type[BoardView | FocusView]]] = {"focus": FocusLane, "board": BoardLane}
    _fresh: tuple[np.ndarray, ...] = ()  # what ``arrays`` hold when an episode begins, which is always the same

    def __init__(self, config: EnvConfig, seal: Seal | None = None) -> None:
        super().__init__(config, 1, seal)

    def _attach(self, supply: EpisodeSupply, view: BoardView | FocusView) -> None:
        super()._attach(supply, view)
        assert isinstance(self._view, Lane)
        self._lane = self._view
        self._episode = object()  # stands for the episode under way
        self.observation, self.legal = self.observations[0], self.mask[0].view(np.int8)
        self._levels, self._known = supply.data.levels[0], self._play.known[0]
        self._known_words = self._known.view(np.int64)[:, 0]
        self._reached = np.empty(self._known.shape, bool)
        self._told = np.empty_like(self._known)

    def _put(self, supply: SupplyState, arrays: tuple[np.ndarray, ...]) -> None:
        super()._put(supply, arrays)
        self._take_up()

    def _begin(self, lanes: np.ndarray) -> None:
        if self._fresh:
            write(self.arrays, self._fresh)
        else:
            super()._begin(lanes)
            self._fresh = tuple(array.copy() for array in self.arrays)
        self._take_up()

    def _take_up(self) -> None:
        """The data of an episode are in place."""
        self._episode = object()
        self._lane.begin()

    def step_one(self, action: int) -> tuple[float, bool, bool]:
        """``step`` of the lane, which must be playing: reward, terminated, illegal."""
        play, lane = self._play, self._lane
        steps_left = play.steps_left.item() - 1
        play.steps_left[0] = steps_left
        op, day, argument, cost = self.table.rows[action]
        reward, legal = 0.0, self.legal.item(action)
        if legal and cost:
            budget = play.budget.item() - cost
            play.budget[0] = budget
            play.tool_calls[0] += 1
            reward -= cost * self.config.step_cost
            if op == DATE:
                self._use_date_tool(self._day(day), argument)
            elif op == EVENTS:
                play.informed[0] = True
                lane.inform(action)
            else:
                self._scan_dates(argument, action)
            lane.pay(budget)
        elif legal and op == REPORT:
            reward += self._report_cell(self._day(day), argument, action)
        done = op == SUBMIT or not steps_left  # submit is always legal
        if done:
            play.playing[0] = False
            if self.config.reward == "terminal":
                reward += self._draft_score()
        lane.tick(steps_left)
        return reward, done, not legal

    def _day(self, day: int) -> int:
        """Day index that an action of the table's ``day`` is about."""
        if day >= 0:
            return day
        return (self._play.focus if day == FOCUSED else self._play.next_flagged).item()

    def _use_date_tool(self, day: int, tool: int) -> None:
        """A tool on one date: reveal cells there."""
        play = self._play
        if tool == 0:
            play.opened[day] = True
        self._lane.reveal(day, tool)
        play.focus[0] = day

    def _scan_dates(self, scan: int, action: int) -> None:
        """A scan or survey: tell which dates show which families."""
        wanted = self._wanted[scan]
        np.greater_equal(self._levels, wanted, out=self._reached)
        np.multiply(self._reached, wanted, out=self._told)
        np.maximum(self._known, self._told, out=self._known)
        self._play.flagged_dates[...] = self._known_words  # 0 becomes False
        self._lane.flag(scan, action)

    def _report_cell(self, day: int, entity: int, action: int) -> float:
        """Add a cell to the draft; reward for it: with "dense", the change of the draft's score."""
        play = self._play
        dense = self.config.reward == "dense"
        before = self._draft_score() if dense else 0.0
        cell = day * play.entities + entity
        play.reported[day, entity] = True
        play.reports[0] += 1
        play.correct[0] += play.data.classes.item(cell) == EXPECTED
        self._lane.report(day, entity, action)
        return self._draft_score() - before if dense else 0.0

    def _draft_score(self) -> float:
        play = self._play
        return score_of(play.correct.item(), play.reports.item(), play.data.expected.item())

    def outcome_one(self) -> dict[str, float]:
        """``outcome`` of the lane, whose episode is over, by name."""
        play = self._play
        spent = self.config.budget - play.budget.item()
        expected = play.data.expected.item()
        seed, number = self._supply.name(0)
        draft = outcome_by_name(play.correct.item(), play.reports.item(), expected, spent, play.tool_calls.item())
        return draft | {"episode_seed": seed, "episode_number": number}

    def snapshot(self) -> Snapshot:
        """Where the episode under way stands."""
        return Snapshot(self._episode, self.arrays)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to where the episode stood.

        Raises:
            ValueError: for a snapshot of another episode or engine; nothing has changed then.
        """
        if not snapshot.is_of(self._episode):
            raise ValueError(
                "the snapshot is of another episode or another environment; "
                "one can only go back within the episode in which it was taken"
            )
        snapshot.put(self.arrays)


@lru_cache(maxsize=DRAFTS)
def score_of(correct: int, submitted: int, expected: int) -> float:
    """``soft_f1`` of one draft."""
    return soft_f1(correct, submitted, expected).item()


@lru_cache(maxsize=DRAFTS)
def outcome_by_name(matched: int, submitted: int, expected: int, cost: int, tool_calls: int) -> dict[str, float]:
    """``outcome_of`` one draft, of whatever episode."""
    nameless = 0, 0
    numbers = (np.array([number]) for number in (matched, submitted, expected, cost, tool_calls, *nameless))
    return {name: values[0].item() for name, values in outcome_of(*numbers)._asdict().items()}
