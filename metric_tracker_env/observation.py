"""What the agent sees and may do: the observation and the action mask of each view, kept up to date in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metric_tracker_env.actions import Day, Op
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.schema import ANOMALY_TYPES, DAYS_PER_WEEK
from metric_tracker_env.state import Play
from metric_tracker_env.supply import RATIO_SCALE

FAMILIES = len(ANOMALY_TYPES)
SCANS = FAMILIES * len(SCAN_MULTIPLIERS) + 1  # the survey is the last
REPORTED_SCALE = 0.1  # observed per reported row
UNPACK = np.float32(1.0 / RATIO_SCALE)
FLAG_OF_LEVEL = np.array([0.0, *SCAN_MULTIPLIERS], np.float32)


class Part(NamedTuple):
    """A named part of the observation: ``rows`` stretches of ``width`` numbers, ``stride`` apart."""

    start: int
    shape: tuple[int, ...]
    rows: int
    width: int
    stride: int
    meaning: str

    @property
    def places(self) -> np.ndarray:
        """Indices of the part's numbers in the flat observation, in ``shape``."""
        places = self.start + self.stride * np.arange(self.rows)[:, None] + np.arange(self.width)
        return places.reshape(self.shape)


@dataclass
class Layout:
    """The parts of an observation, in order; ``size`` numbers in all."""

    parts: dict[str, Part] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, width: int, meaning: str) -> slice:
        """Append a part of ``width`` numbers; where it is."""
        self.parts[name] = Part(self.size, (width,), 1, width, width, meaning)
        self.size += width
        return slice(self.size - width, self.size)

    def add_table(self, rows: int, columns: dict[str, tuple[int, str]]) -> dict[str, slice]:
        """Append a table, row by row; each group of columns (width, meaning) is a part. Where the columns are."""
        stride = sum(width for width, _ in columns.values())
        found: dict[str, slice] = {}
        at = 0
        for name, (width, meaning) in columns.items():
            shape = (rows, width) if width > 1 else (rows,)
            self.parts[name] = Part(self.size + at, shape, rows, width, stride, meaning)
            found[name] = slice(at, at + width)
            at += width
        self.size += rows * stride
        return found

    def view(self, observations: np.ndarray, name: str) -> np.ndarray:
        """(..., L) observations -> (..., *shape), the numbers of one part.

        Raises:
            ValueError: for a part that there is not; names those there are.
        """
        if name not in self.parts:
            raise ValueError(f"part {name!r} is not one of {list(self.parts)}")
        return observations[..., self.parts[name].places]


def calendar_features(config: EnvConfig) -> np.ndarray:
    """(D, 8) float32: weekday one-hot, then the position in the range from 0 to 1."""
    generator = config.generator
    out = np.zeros((generator.num_days, DAYS_PER_WEEK + 1), np.float32)
    out[np.arange(generator.num_days), generator.weekdays] = 1.0
    out[:, -1] = np.arange(generator.num_days) / (generator.num_days - 1)
    return out


def shares(whole: int) -> np.ndarray:
    """(whole + 1,) float32: 0 / whole, 1 / whole, ... 1."""
    return (np.arange(whole + 1) / whole).astype(np.float32)


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


class BoardView(ViewState):
    """Every date and entity at once: one row of features a date, then the globals."""

    def __init__(self, play: Play) -> None:
        entities = play.entities
        layout = Layout()
        columns = {
            "revealed": (entities, "1 where a tool has revealed the cell"),
            "deviation": (entities, "signed deviation / threshold of revealed cells, clipped to +-5"),
            "season": (1, "deviation of the first step from weekday and trend / threshold, on opened dates"),
            "reported": (entities, "1 where the cell is in the draft"),
            "flags": (FAMILIES, "largest multiplier at which a scan flagged the date, by family"),
            "calendar": (DAYS_PER_WEEK + 1, "weekday one-hot, position in the range"),
        }
        at = layout.add_table(play.days, columns)
        layout.add("globals", 3 + SCANS, "reported rows x 0.1, budget left, steps left, scans made")
        table = play.table
        super().__init__(play, layout, row=at["calendar"].stop, block=table.block)
        self._at = at
        self._dates = self._rows.reshape(play.lanes, self._lane_rows, -1)[:, : play.days]
        self._dates[:, :, at["calendar"]] = calendar_features(play.config)
        self._evidence = at["season"].stop
        # After a tool, those that would reveal nothing more than it did are not legal any more.
        inside = (table.reveals[None] <= table.reveals[:, None]).all(axis=2)
        self._keep = np.ones((table.date_tools, table.block), bool)
        self._keep[:, : table.date_tools] = ~inside
        self._fresh = (table.op != Op.REPORT) & (self._costs <= play.config.budget)

    def load(self, lanes: np.ndarray) -> None:
        """Clear the board."""
        self._dates[lanes, :, : self._at["calendar"].start] = 0.0
        self._load_globals(lanes)
        self.mask[lanes] = self._fresh

    def on_date(self, found: Evidence) -> None:
        """Write the revealed cells of the date; its confirmed cells may be reported."""
        data, entities = self.play.data, self.play.entities
        shown = np.empty((len(found.lanes), self._evidence), np.float32)
        shown[:, :entities] = found.seen
        np.multiply(found.seen, UNPACK, out=shown[:, entities:-1])
        shown[:, entities:-1] *= data.ratios.take(found.source, axis=0)
        shown[:, -1] = data.season.take(found.source) * (found.opened * UNPACK)
        self._rows[found.lanes * self._lane_rows + found.days, : self._evidence] = shown
        at = found.lanes * self._lane_blocks + found.days
        block = self._blocks.take(at, axis=0)
        block &= self._keep.take(found.tools, axis=0)
        block[:, -entities:] |= (data.classes.take(found.source, axis=0) > 0) & found.fresh
        self._blocks[at] = block

    def on_scan(self, told: Scanned) -> None:
        """Write the flags; the scan is not legal again."""
        self._dates[told.lanes, :, self._at["flags"]] = FLAG_OF_LEVEL.take(told.known[:, :, :FAMILIES])
        self._buffer[told.lanes, self._scans_at + told.scans] = 1.0
        self.mask[told.lanes, told.actions] = False

    def on_report(self, row: Reported) -> None:
        """Mark the cell as reported."""
        lanes, days, entities, actions = row
        self._rows[lanes * self._lane_rows + days, self._at["reported"].start + entities] = 1.0
        self._buffer[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
        self.mask[lanes, actions] = False


class FocusView(ViewState):
    """One date in focus, the next flagged date, and the flags of all dates."""

    def __init__(self, play: Play) -> None:
        days, entities, calendar = play.days, play.entities, DAYS_PER_WEEK + 1
        layout = Layout()
        self._revealed = layout.add("revealed", entities, "1 where a tool has revealed the cell of the date in focus")
        self._deviation = layout.add("deviation", entities, "its signed deviation / threshold, clipped to +-5")
        self._reportable = layout.add("reportable", entities, "1 where the cell may be reported")
        self._reported = layout.add("reported", entities, "1 where the cell is in the draft")
        self._season = layout.add("season", 1, "deviation of the first step from weekday and trend / threshold")
        self._focus_flags = layout.add("focus_flags", FAMILIES, "flags of the date in focus, see flags")
        self._focus_day = layout.add("focus_calendar", calendar, "weekday one-hot, position; 0 before any focus")
        next_at = layout.add("next_flags", FAMILIES, "flags of the next flagged date that was not opened yet")
        layout.add("next_calendar", calendar, "its weekday one-hot and position; 0 when there is none")
        self._next_part = slice(next_at.start, layout.add("waiting", 1, "flagged, unopened dates / dates").stop)
        start = layout.size
        columns = {
            "flags": (FAMILIES, "largest multiplier at which a scan flagged the date, by family"),
            "opened": (1, "1 where the date was opened"),
        }
        at = layout.add_table(days, columns)
        layout.add("globals", 3 + SCANS, "reported rows x 0.1, budget left, steps left, scans made")
        super().__init__(play, layout, row=layout.size, block=len(play.table))
        self._table = slice(start, start + days * at["opened"].stop)
        self._opened = start + at["opened"].start + at["opened"].stop * np.arange(days)
        self._calendar = calendar_features(play.config)
        table = play.table
        inspect = np.flatnonzero((table.op == Op.DATE) & (table.day == Day.FOCUSED))
        self._costs_on_focus = np.concatenate([self._costs[:1], self._costs[inspect]])  # of opening, of further tools
        self._inspected = table.reveals[1:].argmax(axis=1)  # a cell of each further tool; it reveals all or none
        self._open_cost = int(self._costs[0])
        self._waiting = np.arange(days + 1, dtype=np.float32) * np.float32(1.0 / days)
        self._next = int(np.flatnonzero(table.day == Day.NEXT_FLAGGED)[0])
        self._on_focus = slice(int(inspect[0]), table.report_start + entities)  # further tools, then reports
        self._fresh = np.isin(table.op, (Op.SCAN, Op.SURVEY, Op.SUBMIT)) & (self._costs <= play.config.budget)
        self._fresh[:days] = self._open_cost <= play.config.budget

    def load(self, lanes: np.ndarray) -> None:
        """No date is in focus."""
        self._buffer[lanes] = 0.0
        self._load_globals(lanes)
        self.mask[lanes] = self._fresh

    def on_date(self, found: Evidence) -> None:
        """Show the date in focus."""
        play, data, entities = self.play, self.play.data, self.play.entities
        lanes, days, seen = found.lanes, found.days, found.seen
        reported = play.reported.take(found.row, axis=0)
        affordable = self._costs_on_focus <= play.budget.take(lanes)[:, None]
        legal = np.empty((len(lanes), len(self._inspected) + entities), bool)
        reportable = legal[:, -entities:]
        np.greater(data.classes.take(found.source, axis=0) > 0, reported, out=reportable)
        reportable &= seen
        np.greater(affordable[:, 1:], seen.take(self._inspected, axis=1), out=legal[:, :-entities])
        self.mask[lanes, self._on_focus] = legal
        # The date that was in focus may be opened again, the new one not; before any focus both are the new one.
        before = play.focus.take(lanes)
        first = self._first_action.take(lanes)
        self._flat_legal[first + np.where(before < 0, days, before)] = affordable[:, 0]
        self._flat_legal[first + days] = False

        shown = np.empty((len(lanes), self._focus_day.stop), np.float32)
        shown[:, self._revealed] = seen
        deviation = shown[:, self._deviation]
        np.multiply(seen, UNPACK, out=deviation)
        deviation *= data.ratios.take(found.source, axis=0)
        shown[:, self._reportable] = reportable
        shown[:, self._reported] = reported
        shown[:, self._season.start] = data.season.take(found.source) * UNPACK
        shown[:, self._focus_flags] = FLAG_OF_LEVEL.take(play.known_on(found.row)[:, :FAMILIES])
        shown[:, self._focus_day] = self._calendar.take(days, axis=0)
        self._buffer[lanes, : shown.shape[1]] = shown
        self._buffer[lanes, self._opened.take(days)] = 1.0
        came = found.first & play.flagged_dates.take(found.row)
        if came.any():
            self._update_next(lanes[came])

    def on_scan(self, told: Scanned) -> None:
        """Write the flags; the scan is not legal again."""
        play, lanes = self.play, told.lanes
        shown = FLAG_OF_LEVEL.take(told.known)
        # The last column of levels is free, as the one of opened dates comes after the flags.
        shown[:, :, -1] = play.opened.reshape(play.lanes, -1).take(lanes, axis=0)
        self._buffer[lanes, self._table] = shown.reshape(len(lanes), -1)
        self._buffer[lanes, self._scans_at + told.scans] = 1.0
        self._flat_legal[self._first_action.take(lanes) + told.actions] = False
        focus = play.focus.take(lanes)
        self._buffer[lanes, self._focus_flags] = shown[np.arange(len(lanes)), focus, :-1] * (focus >= 0)[:, None]
        self._update_next(lanes)

    def on_report(self, row: Reported) -> None:
        """Mark the cell as reported."""
        lanes, _, entities, actions = row
        self._buffer[lanes, self._reportable.start + entities] = 0.0
        self._buffer[lanes, self._reported.start + entities] = 1.0
        self._buffer[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
        self.mask[lanes, actions] = False

    def _update_next(self, lanes: np.ndarray) -> None:
        """Find the next flagged date that was not opened yet."""
        play = self.play
        flagged, opened = play.flagged_dates.reshape(play.lanes, -1), play.opened.reshape(play.lanes, -1)
        waiting = flagged.take(lanes, axis=0) > opened.take(lanes, axis=0)
        number = np.add.reduce(waiting, axis=1)
        some = number > 0
        day = waiting.argmax(axis=1)
        play.next_flagged[lanes] = np.where(some, day, -1)
        shown = np.empty((len(lanes), FAMILIES + self._calendar.shape[1] + 1), np.float32)
        shown[:, :FAMILIES] = FLAG_OF_LEVEL.take(play.known_on(lanes * play.days + day)[:, :FAMILIES])
        shown[:, FAMILIES:-1] = self._calendar.take(day, axis=0)
        shown[:, -1] = self._waiting.take(number)
        shown *= some[:, None]
        self._buffer[lanes, self._next_part] = shown
        self.mask[lanes, self._next] = some & (play.budget.take(lanes) >= self._open_cost)


def restored(view: type[BoardView] | type[FocusView], play: Play, buffer: np.ndarray, legal: np.ndarray) -> ViewState:
    """A copied or unpickled view."""
    made = view(play)
    made.put(buffer, legal)
    return made


VIEWS: dict[str, type[BoardView] | type[FocusView]] = {"focus": FocusView, "board": BoardView}
