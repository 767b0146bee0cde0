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
    """A named stretch of the observation."""

    start: int
    shape: tuple[int, ...]
    meaning: str

    @property
    def size(self) -> int:
        """Numbers in the part."""
        return int(np.prod(self.shape))

    @property
    def slice(self) -> slice:
        """Where the part is in the flat observation."""
        return slice(self.start, self.start + self.size)


@dataclass
class Layout:
    """The parts of an observation, in order."""

    parts: dict[str, Part] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, shape: tuple[int, ...], meaning: str) -> None:
        """Append a part."""
        self.parts[name] = Part(self.size, shape, meaning)
        self.size += self.parts[name].size

    def view(self, observations: np.ndarray, name: str) -> np.ndarray:
        """(..., L) observations -> (..., *shape) of one part."""
        part = self.parts[name]
        return observations[..., part.slice].reshape(*observations.shape[:-1], *part.shape)


def calendar_features(config: EnvConfig) -> np.ndarray:
    """(D, 8) float32: weekday one-hot, then the position in the range from 0 to 1."""
    generator = config.generator
    out = np.zeros((generator.num_days, DAYS_PER_WEEK + 1), np.float32)
    out[np.arange(generator.num_days), generator.weekdays] = 1.0
    out[:, -1] = np.arange(generator.num_days) / (generator.num_days - 1)
    return out


class ViewState:
    """Observation and mask of B lanes in one view; the engine tells it what happened."""

    def __init__(self, play: Play, layout: Layout) -> None:
        self.play = play
        self.layout = layout
        self.observations = np.zeros((play.lanes, layout.size), np.float32)
        self.mask = np.zeros((play.lanes, len(play.table)), bool)
        self._costs = play.table.cost
        self._dearest = int(self._costs.max())
        self._levels = [int(c) for c in np.unique(self._costs) if c > 0]
        self._with_cost = {c: np.flatnonzero(self._costs == c) for c in self._levels}
        start = layout.parts["globals"].start
        self._reported_at, self._budget_at, self._steps_at = start, start + 1, start + 2

    def load(self, lanes: np.ndarray) -> None:
        """A new episode begins on these lanes."""
        raise NotImplementedError

    def on_date(self, lanes: np.ndarray, days: np.ndarray, tools: np.ndarray, seen: np.ndarray) -> None:
        """A tool on one date revealed cells; ``seen`` (n, E) bool is what is revealed of each date now."""
        raise NotImplementedError

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """A scan or survey told which dates show which families."""
        raise NotImplementedError

    def on_report(self, lanes: np.ndarray, days: np.ndarray, entities: np.ndarray, actions: np.ndarray) -> None:
        """A cell was reported."""
        raise NotImplementedError

    def on_step(self, paid: np.ndarray, cost: np.ndarray) -> None:
        """The step is over: ``paid`` lanes spent ``cost`` (n,) units."""
        play, config = self.play, self.play.config
        budget = play.budget[paid]
        self.observations[paid, self._budget_at] = budget / np.float32(config.budget)
        np.multiply(play.steps, np.float32(-1.0 / config.step_limit), out=self.observations[:, self._steps_at])
        self.observations[:, self._steps_at] += 1.0
        short = budget < self._dearest
        if short.any():
            lanes, budget, before = paid[short], budget[short], (budget + cost)[short]
            for price in self._levels:
                crossed = lanes[(budget < price) & (before >= price)]
                if len(crossed):
                    self.mask[crossed[:, None], self._with_cost[price]] = False

    def _load_globals(self, lanes: np.ndarray) -> None:
        self.observations[lanes, self._budget_at] = 1.0
        self.observations[lanes, self._steps_at] = 1.0


class BoardView(ViewState):
    """Every date and entity at once."""

    def __init__(self, play: Play) -> None:
        days, entities = play.days, play.entities
        layout = Layout()
        layout.add("revealed", (days, entities), "1 where a tool has revealed the cell")
        layout.add("deviation", (days, entities), "signed deviation / threshold of revealed cells, clipped to +-5")
        layout.add("reported", (days, entities), "1 where the cell is in the draft")
        layout.add("flags", (days, FAMILIES), "largest multiplier at which a scan flagged the date, by family")
        layout.add("season", (days,), "deviation of the first step from weekday and trend / threshold, opened dates")
        layout.add("calendar", (days, DAYS_PER_WEEK + 1), "weekday one-hot, position in the range")
        layout.add("globals", (3 + SCANS,), "reported rows x 0.1, budget left, steps left, scans made")
        super().__init__(play, layout)
        part = layout.parts["calendar"]
        self.observations[:, part.slice] = calendar_features(play.config).ravel()
        self._dynamic = part.start
        self._cells = self.observations[:, : 3 * days * entities].reshape(play.lanes, 3 * days, entities)
        self._flags = layout.view(self.observations, "flags")
        table = play.table
        self._blocks = self.mask[:, : days * table.block].reshape(play.lanes, days, table.block)
        # A tool stays legal while some cell that it reveals is hidden.
        self._reveals = table.reveals.T.astype(np.float32)
        self._fresh = (table.op != Op.REPORT) & (self._costs <= play.config.budget)
        self._tool_costs = table.cost[: table.date_tools]

    def load(self, lanes: np.ndarray) -> None:
        """Clear the board."""
        self.observations[lanes, : self._dynamic] = 0.0
        self.observations[lanes, self.layout.parts["globals"].slice] = 0.0
        self._load_globals(lanes)
        self.mask[lanes] = self._fresh

    def on_date(self, lanes: np.ndarray, days: np.ndarray, tools: np.ndarray, seen: np.ndarray) -> None:
        """Write the revealed cells of the date; its confirmed cells may be reported."""
        play, table = self.play, self.play.table
        row = lanes * play.days + days
        self._cells[lanes, days] = seen
        ratios = play.data.ratios.reshape(-1, play.entities).take(row, axis=0)
        self._cells[lanes, play.days + days] = ratios * (seen * UNPACK)
        opened = tools == 0
        at = self.layout.parts["season"].start + days[opened]
        self.observations[lanes[opened], at] = play.data.season[lanes[opened], days[opened]] * UNPACK
        block = np.empty((len(lanes), table.block), bool)
        affordable = self._tool_costs <= play.budget[lanes][:, None]
        hidden = (~seen).astype(np.float32) @ self._reveals > 0
        np.logical_and(hidden, affordable, out=block[:, : table.date_tools])
        reportable = (play.data.classes.reshape(-1, play.entities).take(row, axis=0) > 0) & seen
        reportable &= ~play.reported.reshape(-1, play.entities).take(row, axis=0)
        block[:, table.date_tools :] = reportable
        self._blocks[lanes, days] = block

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write the flags; the scan is not legal again."""
        self._flags[lanes] = FLAG_OF_LEVEL[self.play.known[lanes].transpose(0, 2, 1)]
        first = self.layout.parts["globals"].start + 3
        self.observations[lanes, first + actions - self.play.table.scan_start] = 1.0
        self.mask[lanes, actions] = False

    def on_report(self, lanes: np.ndarray, days: np.ndarray, entities: np.ndarray, actions: np.ndarray) -> None:
        """Mark the cell as reported."""
        self._cells[lanes, 2 * self.play.days + days, entities] = 1.0
        self.observations[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
        self.mask[lanes, actions] = False


class FocusView(ViewState):
    """One date in focus, and the flags of all dates."""

    def __init__(self, play: Play) -> None:
        days, entities = play.days, play.entities
        layout = Layout()
        layout.add("revealed", (entities,), "1 where a tool has revealed the cell of the date in focus")
        layout.add("deviation", (entities,), "signed deviation / threshold of revealed cells, clipped to +-5")
        layout.add("reportable", (entities,), "1 where the cell may be reported")
        layout.add("reported", (entities,), "1 where the cell is in the draft")
        layout.add("season", (1,), "deviation of the first step from weekday and trend / threshold")
        layout.add("focus_flags", (FAMILIES,), "flags of the date in focus, see flags")
        layout.add("focus_calendar", (DAYS_PER_WEEK + 1,), "weekday one-hot, position in the range; 0 before any focus")
        layout.add("next_flags", (FAMILIES,), "flags of the next flagged date that was not opened yet")
        layout.add("next_calendar", (DAYS_PER_WEEK + 1,), "its weekday one-hot and position; 0 when there is none")
        layout.add("waiting", (1,), "flagged dates that were not opened yet / dates")
        layout.add("flags", (FAMILIES, days), "largest multiplier at which a scan flagged the date, by family")
        layout.add("opened", (days,), "1 where the date was opened")
        layout.add("globals", (3 + SCANS,), "reported rows x 0.1, budget left, steps left, scans made")
        super().__init__(play, layout)
        self._calendar = np.concatenate([calendar_features(play.config), np.zeros((1, DAYS_PER_WEEK + 1), np.float32)])
        table = play.table
        self._open = slice(0, days)
        self._next = int(np.flatnonzero(table.day == Day.NEXT_FLAGGED)[0])
        self._inspect = np.flatnonzero((table.op == Op.DATE) & (table.day == Day.FOCUSED))
        self._inspected = table.reveals[1:].T.astype(np.float32)
        self._reports = slice(table.report_start, table.report_start + entities)
        self._fresh = np.isin(table.op, (Op.SCAN, Op.SURVEY, Op.SUBMIT)) & (self._costs <= play.config.budget)
        self._fresh[self._open] = self._costs[0] <= play.config.budget
        self._at = {name: part.slice for name, part in layout.parts.items()}

    def load(self, lanes: np.ndarray) -> None:
        """No date is in focus."""
        self.observations[lanes] = 0.0
        self._load_globals(lanes)
        self.mask[lanes] = self._fresh

    def on_date(self, lanes: np.ndarray, days: np.ndarray, tools: np.ndarray, seen: np.ndarray) -> None:
        """Show the date in focus."""
        play, obs, at = self.play, self.observations, self._at
        row = lanes * play.days + days
        ratios = play.data.ratios.reshape(-1, play.entities).take(row, axis=0)
        reported = play.reported.reshape(-1, play.entities).take(row, axis=0)
        reportable = (play.data.classes.reshape(-1, play.entities).take(row, axis=0) > 0) & seen & ~reported
        entities = play.entities
        shown = np.empty((len(lanes), 4 * entities + 1), np.float32)
        shown[:, :entities] = seen
        np.multiply(ratios, seen * UNPACK, out=shown[:, entities : 2 * entities])
        shown[:, 2 * entities : 3 * entities] = reportable
        shown[:, 3 * entities : -1] = reported
        shown[:, -1] = play.data.season.reshape(-1).take(row) * UNPACK
        obs[lanes, : shown.shape[1]] = shown
        obs[lanes, at["focus_calendar"]] = self._calendar[days]
        obs[lanes, at["focus_flags"]] = FLAG_OF_LEVEL[play.known[lanes, :, days]]
        self.mask[lanes, self._reports] = reportable
        budget = play.budget[lanes][:, None]
        hidden = (~seen).astype(np.float32) @ self._inspected > 0
        self.mask[lanes[:, None], self._inspect] = hidden & (self._costs[self._inspect] <= budget)
        opened = np.flatnonzero(tools == 0)
        if len(opened):
            lanes, days = lanes[opened], days[opened]
            obs[lanes, at["opened"].start + days] = 1.0
            self.mask[lanes, self._open] = self._costs[0] <= budget[opened]
            self.mask[lanes, days] = False
            self._update_next(lanes)

    def on_scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write the flags; the scan is not legal again."""
        play, at = self.play, self._at
        self.observations[lanes, at["flags"]] = FLAG_OF_LEVEL[play.known[lanes].reshape(len(lanes), -1)]
        self.observations[lanes, at["globals"].start + 3 + actions - play.table.scan_start] = 1.0
        self.mask[lanes, actions] = False
        focused = lanes[play.focus[lanes] >= 0]
        self.observations[focused, at["focus_flags"]] = FLAG_OF_LEVEL[play.known[focused, :, play.focus[focused]]]
        self._update_next(lanes)

    def on_report(self, lanes: np.ndarray, days: np.ndarray, entities: np.ndarray, actions: np.ndarray) -> None:
        """Mark the cell as reported."""
        self.observations[lanes, self._at["reportable"].start + entities] = 0.0
        self.observations[lanes, self._at["reported"].start + entities] = 1.0
        self.observations[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
        self.mask[lanes, actions] = False

    def _update_next(self, lanes: np.ndarray) -> None:
        """Find the next flagged date that was not opened yet."""
        play, obs, at = self.play, self.observations, self._at
        waiting = play.flagged_dates[lanes] & ~play.opened[lanes]
        number = waiting.sum(axis=1)
        day = np.where(number > 0, waiting.argmax(axis=1), play.days)
        play.next_flagged[lanes] = np.where(number > 0, day, -1)
        obs[lanes, at["waiting"].start] = number / np.float32(play.days)
        obs[lanes, at["next_calendar"]] = self._calendar[day]
        known = FLAG_OF_LEVEL[play.known[lanes, :, np.minimum(day, play.days - 1)]]
        obs[lanes, at["next_flags"]] = known * (number > 0)[:, None]
        self.mask[lanes, self._next] = (number > 0) & (self._costs[self._next] <= play.budget[lanes])


VIEWS: dict[str, type[BoardView] | type[FocusView]] = {"focus": FocusView, "board": BoardView}
