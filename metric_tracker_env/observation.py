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
        """(..., L) observations -> (..., *shape), the numbers of one part."""
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


class Reported(NamedTuple):
    """Cells that n lanes reported."""

    lanes: np.ndarray  # (n,) int64
    days: np.ndarray  # (n,) int64
    entities: np.ndarray  # (n,) int64
    actions: np.ndarray  # (n,) int64


class ViewState:
    """Observation and mask of B lanes in one view; the engine tells it what happened."""

    def __init__(self, play: Play, layout: Layout, row: int) -> None:
        self.play = play
        self.layout = layout
        # Lanes are padded to whole rows, so that a row of any lane has one flat index.
        self._lane_rows = -(-layout.size // row)
        self._buffer = np.zeros((play.lanes, self._lane_rows * row), np.float32)
        self._rows = self._buffer.reshape(-1, row)
        self.observations = self._buffer[:, : layout.size]
        self.mask = np.zeros((play.lanes, len(play.table)), bool)
        self._costs = play.table.cost
        self._dearest = int(self._costs.max())
        self._levels = [int(c) for c in np.unique(self._costs) if c > 0]
        self._with_cost = {c: np.flatnonzero(self._costs == c) for c in self._levels}
        self._steps_left, self._budget_left = shares(play.config.step_limit), shares(play.config.budget)
        start = layout.parts["globals"].start
        self._reported_at, self._budget_at, self._steps_at, self._scans_at = start, start + 1, start + 2, start + 3
        self._globals = slice(start, start + layout.parts["globals"].width)

    def __reduce__(self) -> tuple[object, ...]:
        # The other arrays are views of these two, and a copy would cut them off.
        return restored, (type(self), self.play, self._buffer, self.mask)

    def put(self, buffer: np.ndarray, mask: np.ndarray) -> None:
        """Take over observations and masks."""
        self._buffer[:] = buffer
        self.mask[:] = mask

    def load(self, lanes: np.ndarray) -> None:
        """A new episode begins on these lanes."""
        raise NotImplementedError

    def on_date(self, found: Evidence) -> None:
        """A tool on one date revealed cells."""
        raise NotImplementedError

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """A scan or survey told which dates show which families."""
        raise NotImplementedError

    def on_report(self, row: Reported) -> None:
        """A cell was reported."""
        raise NotImplementedError

    def on_step(self, paid: np.ndarray, cost: np.ndarray) -> None:
        """The step is over: ``paid`` lanes spent ``cost`` (n,) units."""
        play = self.play
        self._buffer[:, self._steps_at] = self._steps_left.take(play.config.step_limit - play.steps)
        if not len(paid):
            return
        budget = play.budget[paid]
        self._buffer[paid, self._budget_at] = self._budget_left.take(budget)
        short = budget < self._dearest
        if short.any():
            lanes, budget, before = paid[short], budget[short], (budget + cost)[short]
            for price in self._levels:
                crossed = lanes[(budget < price) & (before >= price)]
                if len(crossed):
                    self.mask[crossed[:, None], self._with_cost[price]] = False

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
        super().__init__(play, layout, row=at["calendar"].stop)
        self._at = at
        self._dates = self._rows.reshape(play.lanes, self._lane_rows, -1)[:, : play.days]
        self._dates[:, :, at["calendar"]] = calendar_features(play.config)
        self._evidence = at["season"].stop
        table = play.table
        self._blocks = self.mask[:, : play.days * table.block].reshape(play.lanes, play.days, table.block)
        self._block_rows = table.block
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
        play, data, entities = self.play, self.play.data, self.play.entities
        lanes, days, row, source, tools, seen, fresh = found
        shown = np.empty((len(lanes), self._evidence), np.float32)
        shown[:, :entities] = seen
        np.multiply(seen, UNPACK, out=shown[:, entities:-1])
        shown[:, entities:-1] *= data.ratios.reshape(-1, entities).take(source, axis=0)
        shown[:, -1] = data.season.reshape(-1).take(source) * (play.opened.reshape(-1).take(row) * UNPACK)
        self._rows[lanes * self._lane_rows + days, : self._evidence] = shown
        reportable = data.classes.reshape(-1, entities).take(source, axis=0) > 0
        reportable &= fresh
        block = self._blocks[lanes, days]
        block &= self._keep.take(tools, axis=0)
        block[:, -entities:] |= reportable
        self._blocks[lanes, days] = block

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write the flags; the scan is not legal again."""
        self._dates[lanes, :, self._at["flags"]] = FLAG_OF_LEVEL.take(self.play.known[lanes])
        self._buffer[lanes, self._scans_at + actions - self.play.table.scan_start] = 1.0
        self.mask[lanes, actions] = False

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
        super().__init__(play, layout, row=layout.size)
        self._dates = self._buffer[:, start : start + days * at["opened"].stop].reshape(play.lanes, days, -1)
        self._flags, self._opened = at["flags"], at["opened"].start
        self._calendar = np.concatenate([calendar_features(play.config), np.zeros((1, calendar), np.float32)])
        table = play.table
        inspect = np.flatnonzero((table.op == Op.DATE) & (table.day == Day.FOCUSED))
        self._inspect_costs = self._costs[inspect]
        self._inspected = table.reveals[1:].argmax(axis=1)  # a cell of each further tool; it reveals all or none
        self._next = int(np.flatnonzero(table.day == Day.NEXT_FLAGGED)[0])
        self._on_focus = slice(int(inspect[0]), table.report_start + entities)  # further tools, then reports
        self._open = slice(0, days)
        self._fresh = np.isin(table.op, (Op.SCAN, Op.SURVEY, Op.SUBMIT)) & (self._costs <= play.config.budget)
        self._fresh[self._open] = self._costs[0] <= play.config.budget

    def load(self, lanes: np.ndarray) -> None:
        """No date is in focus."""
        self._buffer[lanes] = 0.0
        self._load_globals(lanes)
        self.mask[lanes] = self._fresh

    def on_date(self, found: Evidence) -> None:
        """Show the date in focus."""
        play, data, entities = self.play, self.play.data, self.play.entities
        lanes, days, row, source, tools, seen, _ = found
        reported = play.reported.reshape(-1, entities).take(row, axis=0)
        legal = np.empty((len(lanes), len(self._inspected) + entities), bool)
        reportable = legal[:, -entities:]
        np.greater(data.classes.reshape(-1, entities).take(source, axis=0), 0, out=reportable)
        reportable &= seen
        np.greater(reportable, reported, out=reportable)
        budget = play.budget[lanes][:, None]
        np.greater(self._inspect_costs <= budget, seen.take(self._inspected, axis=1), out=legal[:, :-entities])
        self.mask[lanes, self._on_focus] = legal

        shown = np.empty((len(lanes), self._focus_day.stop), np.float32)
        shown[:, self._revealed] = seen
        np.multiply(seen, UNPACK, out=shown[:, self._deviation])
        shown[:, self._deviation] *= data.ratios.reshape(-1, entities).take(source, axis=0)
        shown[:, self._reportable] = reportable
        shown[:, self._reported] = reported
        shown[:, self._season.start] = data.season.reshape(-1).take(source) * UNPACK
        shown[:, self._focus_flags] = FLAG_OF_LEVEL.take(play.known.reshape(-1, FAMILIES).take(row, axis=0))
        shown[:, self._focus_day] = self._calendar.take(days, axis=0)
        self._buffer[lanes, : shown.shape[1]] = shown
        opened = tools == 0
        if not opened.all():
            lanes, days, budget = lanes[opened], days[opened], budget[opened]
        if len(lanes):
            self._dates[lanes, days, self._opened] = 1.0
            self.mask[lanes, self._open] = self._costs[0] <= budget
            self.mask[lanes, days] = False
            self._update_next(lanes)

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write the flags; the scan is not legal again."""
        play = self.play
        self._dates[lanes, :, self._flags] = FLAG_OF_LEVEL.take(play.known[lanes])
        self._buffer[lanes, self._scans_at + actions - play.table.scan_start] = 1.0
        self.mask[lanes, actions] = False
        focused = lanes[play.focus[lanes] >= 0]
        self._buffer[focused, self._focus_flags] = FLAG_OF_LEVEL.take(play.known[focused, play.focus[focused]])
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
        waiting = play.flagged_dates[lanes] > play.opened[lanes]
        number = waiting.sum(axis=1)
        some = number > 0
        day = np.where(some, waiting.argmax(axis=1), play.days)
        play.next_flagged[lanes] = np.where(some, day, -1)
        shown = np.empty((len(lanes), FAMILIES + self._calendar.shape[1] + 1), np.float32)
        known = play.known[lanes, np.minimum(day, play.days - 1)]
        shown[:, :FAMILIES] = FLAG_OF_LEVEL.take(known * some[:, None])
        shown[:, FAMILIES:-1] = self._calendar.take(day, axis=0)
        shown[:, -1] = number * np.float32(1.0 / play.days)
        self._buffer[lanes, self._next_part] = shown
        self.mask[lanes, self._next] = some & (self._costs[self._next] <= play.budget[lanes])


def restored(view: type[BoardView] | type[FocusView], play: Play, buffer: np.ndarray, mask: np.ndarray) -> ViewState:
    """A copied or unpickled view."""
    made = view(play)
    made.put(buffer, mask)
    return made


VIEWS: dict[str, type[BoardView] | type[FocusView]] = {"focus": FocusView, "board": BoardView}
