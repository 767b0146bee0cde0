"""Every date and entity at once, for networks that share their weights over dates."""

from __future__ import annotations

import numpy as np

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import ActionTable, Op
from metric_tracker_env.play.items import items, runs
from metric_tracker_env.play.layout import (
    ANNOUNCED,
    ANNOUNCED_FLAGS,
    FAMILIES,
    MISSING,
    SCANS,
    Layout,
    calendar_features,
    entity_of_hours,
    event_flags,
    globals_part,
)
from metric_tracker_env.play.observation import (
    FLAG_OF_LEVEL,
    REPORTED_SCALE,
    UNPACK,
    UNPACK_SHARE,
    Evidence,
    Lane,
    Reported,
    Scanned,
    ViewState,
)
from metric_tracker_env.play.state import Play
from metric_tracker_env.schema import DAYS_PER_WEEK


class BoardView(ViewState):
    """Every date and entity at once: one row of features a date, then the globals."""

    def __init__(self, config: EnvConfig, table: ActionTable) -> None:
        days, entities = config.generator.num_days, config.generator.catalogue.num_entities
        layout = Layout()
        columns = {
            "revealed": (entities, "1 where a tool has revealed the cell"),
            "deviation": (entities, "signed deviation / threshold of revealed cells, clipped to +-5"),
            "season": (1, "deviation of the first step from weekday and trend / threshold, on opened dates"),
            "reported": (entities, "1 where the cell is in the draft"),
            "flags": (FAMILIES, "largest multiplier at which a scan flagged the date, by family"),
        }
        self._world = config.generator.world is not None
        if self._world:
            columns |= {
                "announced": (entities, ANNOUNCED),
                "announced_flags": (FAMILIES, ANNOUNCED_FLAGS),
                "missing": (1, MISSING),
            }
        columns["calendar"] = DAYS_PER_WEEK + 1, "weekday one-hot, position in the range"
        at = layout.add_table(days, columns)
        layout.add("globals", *globals_part(config))
        super().__init__(config, table, layout, block=table.block)
        self._at, self._evidence, self._width = at, at["season"].stop, at["calendar"].stop
        self._first[: days * self._width].reshape(days, -1)[:, at["calendar"]] = calendar_features(config)
        self._event_flags, self._mix = event_flags(), entity_of_hours(config)
        # After a tool, those that would reveal nothing more than it did are not legal any more.
        inside = (table.reveals[None] <= table.reveals[:, None]).all(axis=2)
        self._keep = np.ones((table.date_tools, table.block), bool)
        self._keep[:, : table.date_tools] = ~inside
        self._fresh = (table.op != Op.REPORT) & (self._costs <= config.budget)

    def _attach(self, play: Play) -> None:
        super()._attach(play)
        table = self.observations[:, : play.days * self._width]
        self._dates = table.reshape(play.lanes, play.days, -1)  # a view
        self._evidence_items = runs(self.observations, self._evidence)

    def on_date(self, found: Evidence) -> None:
        """Write the revealed cells of the date; its confirmed cells may be reported."""
        data, entities = self.play.data, self.play.entities
        shown = np.empty((len(found.lanes), self._evidence), np.float32)
        shown[:, :entities] = found.seen
        # What is hidden is left out as whole numbers: a float of 0 would keep its sign.
        np.multiply(data.ratios.take(found.row, axis=0) * found.seen, UNPACK, out=shown[:, entities:-1])
        shown[:, -1] = data.season.take(found.row) * found.opened * UNPACK
        place = found.lanes * self.layout.size + found.days * self._width
        self._evidence_items[place] = items(shown, len(shown))
        if self._world:
            lost = self._known.missing.take(found.row) * (found.seen[:, self._mix] * UNPACK_SHARE)
            self._dates[found.lanes, found.days, self._at["missing"].start] = lost
        at = found.lanes * self._lane_blocks + found.days
        block = self._blocks.take(at, axis=0)
        block &= self._keep.take(found.tools, axis=0)
        block[:, -entities:] |= (data.classes.take(found.row, axis=0) > 0) & found.fresh
        self._block_items[at] = items(block, len(block))

    def on_scan(self, told: Scanned) -> None:
        """Write the flags; the scan is not legal again."""
        self._dates[told.lanes, :, self._at["flags"]] = FLAG_OF_LEVEL.take(told.known)[:, :, :FAMILIES]
        self.observations[told.lanes, self._scans_at + told.scans] = 1.0
        self.mask[told.lanes, told.actions] = False

    def on_events(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write what was announced for all dates, and what it leads one to expect."""
        play, known, at = self.play, self._known, self._at
        families = known.family.reshape(play.lanes, -1).take(lanes, axis=0)
        expected = known.expected.reshape(play.lanes, play.days, -1).take(lanes, axis=0)
        self._dates[lanes, :, at["announced"]] = expected * UNPACK
        self._dates[lanes, :, at["announced_flags"]] = self._event_flags.take(families, axis=0)
        self.observations[lanes, self._scans_at + SCANS] = 1.0
        self.mask[lanes, actions] = False

    def on_report(self, row: Reported) -> None:
        """Mark the cell as reported."""
        lanes, days, entities, actions = row
        self._dates[lanes, days, self._at["reported"].start + entities] = 1.0
        self.observations[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
        self.mask[lanes, actions] = False


class BoardLane(BoardView, Lane):
    """The board of a single lane."""

    def __init__(self, config: EnvConfig, table: ActionTable) -> None:
        super().__init__(config, table)
        self._reveals, self._kept = list(table.reveals), list(self._keep)

    def _attach(self, play: Play) -> None:
        super()._attach(play)
        at, dates, entities = self._at, self._dates[0], play.entities
        self._revealed_on, self._deviation_on = dates[:, at["revealed"]], dates[:, at["deviation"]]
        self._season_on = dates[:, at["season"].start]
        self._reported_cells = dates[:, at["reported"]]
        self._flags = dates[:, at["flags"]]
        self._levels = play.known[0, :, :FAMILIES]
        self._reports_on = self._blocks[:, -entities:]
        self._fresh_cells = np.zeros(entities, bool)
        if self._world:
            self._announced_on, self._announced_flags = dates[:, at["announced"]], dates[:, at["announced_flags"]]
            self._missing_on, self._looked_at = dates[:, at["missing"].start], play.revealed[:, self._mix]

    def reveal(self, day: int, tool: int) -> None:
        """Write the revealed cells of the date; its confirmed cells may be reported."""
        seen, shown, fresh = self.play.revealed[day], self._reveals[tool], self._fresh_cells
        np.greater(shown, seen, out=fresh)
        np.logical_and(fresh, self._confirmed[day], out=fresh)
        np.logical_or(seen, shown, out=seen)
        revealed = self._revealed_on[day]
        revealed[...] = seen
        deviation = self._deviation_on[day]
        np.multiply(self._deviations[day], revealed, out=deviation)
        np.add(deviation, 0.0, out=deviation)  # no sign of what is hidden
        self._season_on[day] = self._seasons.item(day) if self.play.opened.item(day) else 0.0
        if self._world:
            self._missing_on[day] = self._lost.item(day) * self._looked_at.item(day)
        block, reports = self._blocks[day], self._reports_on[day]
        np.logical_and(block, self._kept[tool], out=block)
        np.logical_or(reports, fresh, out=reports)

    def flag(self, scan: int, action: int) -> None:
        """Write the flags; the scan is not legal again."""
        self._flags[...] = FLAG_OF_LEVEL.take(self._levels)
        self._shown[self._scans_at + scan] = 1.0
        self._allowed[action] = False

    def inform(self, action: int) -> None:
        """Write what was announced for all dates, and what it leads one to expect."""
        known = self._known
        np.multiply(known.expected, UNPACK, out=self._announced_on)
        self._announced_flags[...] = self._event_flags.take(known.family, axis=0)
        self._shown[self._scans_at + SCANS] = 1.0
        self._allowed[action] = False

    def report(self, day: int, entity: int, action: int) -> None:
        """Mark the cell as reported."""
        self._reported_cells[day, entity] = 1.0
        self._shown[self._reported_at] += np.float32(REPORTED_SCALE)
        self._allowed[action] = False
