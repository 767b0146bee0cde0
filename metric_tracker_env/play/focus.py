"""One date in focus, small enough for a stock network."""

from __future__ import annotations

import numpy as np

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import ActionTable, Day, Op
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


class FocusView(ViewState):
    """One date in focus, the next flagged date, and the flags of all dates."""

    def __init__(self, config: EnvConfig, table: ActionTable) -> None:
        days, entities = config.generator.num_days, config.generator.catalogue.num_entities
        calendar = DAYS_PER_WEEK + 1
        layout = Layout()
        self._revealed = layout.add("revealed", entities, "1 where a tool has revealed the cell of the date in focus")
        self._deviation = layout.add("deviation", entities, "its signed deviation / threshold, clipped to +-5")
        self._reportable = layout.add("reportable", entities, "1 where the cell may be reported")
        self._reported = layout.add("reported", entities, "1 where the cell is in the draft")
        self._season = layout.add("season", 1, "deviation of the first step from weekday and trend / threshold")
        self._focus_flags = layout.add("focus_flags", FAMILIES, "flags of the date in focus, see flags")
        self._focus_day = layout.add("focus_calendar", calendar, "weekday one-hot, position; 0 before any focus")
        self._world = config.generator.world is not None
        if self._world:
            self._focus_announced = layout.add("focus_announced", FAMILIES, f"of the date in focus: {ANNOUNCED_FLAGS}")
            self._announced = layout.add("announced", entities, f"of the date in focus: {ANNOUNCED}")
            self._missing = layout.add("missing", 1, f"of the date in focus: {MISSING}")
        self._of_focus = layout.size
        next_at = layout.add("next_flags", FAMILIES, "flags of the next flagged date that was not opened yet")
        layout.add("next_calendar", calendar, "its weekday one-hot and position; 0 when there is none")
        self._next_part = slice(next_at.start, layout.add("waiting", 1, "flagged, unopened dates / dates").stop)
        if self._world:
            self._next_announced = layout.add(
                "next_announced", FAMILIES, f"of the next flagged date: {ANNOUNCED_FLAGS}"
            )
        start = layout.size
        columns = {
            "flags": (FAMILIES, "largest multiplier at which a scan flagged the date, by family"),
            "opened": (1, "1 where the date was opened"),
        }
        at = layout.add_table(days, columns)
        if self._world:
            first = layout.size
            layout.add_table(days, {"announced_flags": (FAMILIES, ANNOUNCED_FLAGS)})
            self._announced_flags = slice(first, layout.size)
        layout.add("globals", *globals_part(config))
        super().__init__(config, table, layout, block=len(table))
        self._table = slice(start, start + days * at["opened"].stop)
        self._opened = start + at["opened"].start + at["opened"].stop * np.arange(days)
        self._calendar = calendar_features(config)
        inspect = np.flatnonzero((table.op == Op.DATE) & (table.day == Day.FOCUSED))
        self._costs_on_focus = np.concatenate([self._costs[:1], self._costs[inspect]])  # of opening, of further tools
        self._inspected = table.reveals[1:].argmax(axis=1)  # a cell of each further tool; it reveals all or none
        self._open_cost = int(self._costs[0])
        self._waiting = np.arange(days + 1, dtype=np.float32) * np.float32(1.0 / days)
        self._next = int(np.flatnonzero(table.day == Day.NEXT_FLAGGED)[0])
        self._on_focus = slice(int(inspect[0]), table.report_start + entities)  # further tools, then reports
        self._event_flags, self._mix = event_flags(), entity_of_hours(config)
        self._fresh = np.isin(table.op, (Op.SCAN, Op.SURVEY, Op.EVENTS, Op.SUBMIT)) & (self._costs <= config.budget)
        self._fresh[:days] = self._open_cost <= config.budget

    def on_date(self, found: Evidence) -> None:
        """Show the date in focus."""
        play, data, entities = self.play, self.play.data, self.play.entities
        lanes, days, seen = found.lanes, found.days, found.seen
        reported = play.reported.take(found.row, axis=0)
        affordable = self._costs_on_focus <= play.budget.take(lanes)[:, None]
        legal = np.empty((len(lanes), len(self._inspected) + entities), bool)
        reportable = legal[:, -entities:]
        np.greater(data.classes.take(found.row, axis=0) > 0, reported, out=reportable)
        reportable &= seen
        np.greater(affordable[:, 1:], seen.take(self._inspected, axis=1), out=legal[:, :-entities])
        self.mask[lanes, self._on_focus] = legal
        # The date that was in focus may be opened again, the new one not; before any focus both are the new one.
        before = play.focus.take(lanes)
        first = self._first_action.take(lanes)
        self._flat_legal[first + np.where(before < 0, days, before)] = affordable[:, 0]
        self._flat_legal[first + days] = False

        shown = np.empty((len(lanes), self._of_focus), np.float32)
        shown[:, self._revealed] = seen
        # What is hidden is left out as whole numbers: a float of 0 would keep its sign.
        np.multiply(data.ratios.take(found.row, axis=0) * seen, UNPACK, out=shown[:, self._deviation])
        shown[:, self._reportable] = reportable
        shown[:, self._reported] = reported
        shown[:, self._season.start] = data.season.take(found.row) * UNPACK
        shown[:, self._focus_flags] = FLAG_OF_LEVEL.take(play.known_on(found.row)[:, :FAMILIES])
        shown[:, self._focus_day] = self._calendar.take(days, axis=0)
        if self._world:
            known, informed = self._known, play.informed.take(lanes)
            shown[:, self._focus_announced] = self._event_flags.take(known.family.take(found.row) * informed, axis=0)
            shown[:, self._announced] = known.expected.take(found.row, axis=0) * informed[:, None] * UNPACK
            shown[:, self._missing.start] = known.missing.take(found.row) * (seen[:, self._mix] * UNPACK_SHARE)
        self.observations[lanes, : shown.shape[1]] = shown
        self.observations[lanes, self._opened.take(days)] = 1.0
        came = found.first & play.flagged_dates.take(found.row)
        if came.any():
            self._update_next(lanes[came])

    def on_scan(self, told: Scanned) -> None:
        """Write the flags; the scan is not legal again."""
        play, lanes = self.play, told.lanes
        shown = FLAG_OF_LEVEL.take(told.known)
        # The last column of levels is free, as the one of opened dates comes after the flags.
        shown[:, :, -1] = play.opened.reshape(play.lanes, -1).take(lanes, axis=0)
        self.observations[lanes, self._table] = shown.reshape(len(lanes), -1)
        self.observations[lanes, self._scans_at + told.scans] = 1.0
        self._flat_legal[self._first_action.take(lanes) + told.actions] = False
        focus = play.focus.take(lanes)
        self.observations[lanes, self._focus_flags] = shown[np.arange(len(lanes)), focus, :-1] * (focus >= 0)[:, None]
        self._update_next(lanes)

    def on_events(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Write what was announced for all dates, and of the date in focus what it leads one to expect."""
        play, known = self.play, self._known
        families = known.family.reshape(play.lanes, -1).take(lanes, axis=0)
        flags = self._event_flags.take(families, axis=0)
        self.observations[lanes, self._announced_flags] = flags.reshape(len(lanes), -1)
        self.observations[lanes, self._scans_at + SCANS] = 1.0
        self._flat_legal[self._first_action.take(lanes) + actions] = False
        focus = play.focus.take(lanes)
        row, some = lanes * play.days + focus, (focus >= 0)[:, None]
        self.observations[lanes, self._focus_announced] = self._event_flags.take(known.family.take(row), axis=0) * some
        self.observations[lanes, self._announced] = known.expected.take(row, axis=0) * some * UNPACK
        self._update_next(lanes)

    def on_report(self, row: Reported) -> None:
        """Mark the cell as reported."""
        lanes, _, entities, actions = row
        self.observations[lanes, self._reportable.start + entities] = 0.0
        self.observations[lanes, self._reported.start + entities] = 1.0
        self.observations[lanes, self._reported_at] += np.float32(REPORTED_SCALE)
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
        self.observations[lanes, self._next_part] = shown
        if self._world:
            families = self._known.family.take(lanes * play.days + day) * (some & play.informed.take(lanes))
            self.observations[lanes, self._next_announced] = self._event_flags.take(families, axis=0)
        self.mask[lanes, self._next] = some & (play.budget.take(lanes) >= self._open_cost)


class FocusLane(FocusView, Lane):
    """The focus of a single lane."""

    def __init__(self, config: EnvConfig, table: ActionTable) -> None:
        super().__init__(config, table)
        self._reveals, self._calendars = list(table.reveals), list(self._calendar)
        inspections = range(self._on_focus.start, table.report_start)
        # (action, cell that it reveals, cost) of each further tool
        self._further = list(zip(inspections, self._inspected.tolist(), self._costs_on_focus[1:].tolist(), strict=True))

    def _attach(self, play: Play) -> None:
        super()._attach(play)
        shown, days = self._shown, play.days
        self._revealed_now, self._deviation_now = shown[self._revealed], shown[self._deviation]
        self._reportable_now, self._reported_now = shown[self._reportable], shown[self._reported]
        self._flags_now, self._calendar_now = shown[self._focus_flags], shown[self._focus_day]
        self._next_now = shown[self._next_part]
        self._next_flags = self._next_now[:FAMILIES]
        self._next_calendar = self._next_now[FAMILIES:-1]
        self._flag_table = shown[self._table].reshape(days, -1)
        self._flags_on = self._flag_table[:, :FAMILIES]
        self._opened_column = self._flag_table[:, -1]
        self._levels = play.known[0]
        self._may_report = self._allowed[self._further[-1][0] + 1 : self._on_focus.stop]
        self._awaits = np.zeros(days, bool)
        if self._world:
            self._focus_announced_now, self._announced_now = shown[self._focus_announced], shown[self._announced]
            self._next_announced_now = shown[self._next_announced]
            self._announced_table = shown[self._announced_flags].reshape(days, -1)
            self._looked_at = play.revealed[:, self._mix]

    def reveal(self, day: int, tool: int) -> None:
        """Show the date in focus."""
        play, allowed = self.play, self._allowed
        seen, drafted, reportable = play.revealed[day], play.reported[day], self._may_report
        np.logical_or(seen, self._reveals[tool], out=seen)
        np.greater(self._confirmed[day], drafted, out=reportable)
        np.logical_and(reportable, seen, out=reportable)
        budget, before = play.budget.item(), play.focus.item()
        for action, cell, cost in self._further:
            allowed[action] = cost <= budget and not seen[cell]
        # The date that was in focus may be opened again, the new one not.
        if before >= 0:
            allowed[before] = self._open_cost <= budget
        allowed[day] = False

        self._revealed_now[...] = seen
        np.multiply(self._deviations[day], self._revealed_now, out=self._deviation_now)
        np.add(self._deviation_now, 0.0, out=self._deviation_now)  # no sign of what is hidden
        self._reportable_now[...] = reportable
        self._reported_now[...] = drafted
        self._shown[self._season.start] = self._seasons.item(day)
        self._flags_now[...] = self._flags_on[day]
        self._calendar_now[...] = self._calendars[day]
        if self._world:
            self._shown[self._missing.start] = self._lost.item(day) * self._looked_at.item(day)
            if play.informed.item():
                self._expect(day)
        if not self._opened_column.item(day):
            self._opened_column[day] = 1.0
            if play.flagged_dates.item(day):
                self._find_next()

    def flag(self, scan: int, action: int) -> None:
        """Write the flags; the scan is not legal again."""
        play = self.play
        self._flag_table[...] = FLAG_OF_LEVEL.take(self._levels)
        self._opened_column[...] = play.opened
        self._shown[self._scans_at + scan] = 1.0
        self._allowed[action] = False
        focus = play.focus.item()
        if focus >= 0:
            self._flags_now[...] = self._flags_on[focus]
        self._find_next()

    def inform(self, action: int) -> None:
        """Write what was announced for all dates, and of the date in focus what it leads one to expect."""
        self._announced_table[...] = self._event_flags.take(self._known.family, axis=0)
        self._shown[self._scans_at + SCANS] = 1.0
        self._allowed[action] = False
        focus = self.play.focus.item()
        if focus >= 0:
            self._expect(focus)
        self._find_next()

    def _expect(self, day: int) -> None:
        """Write what was announced for the date in focus."""
        self._focus_announced_now[...] = self._announced_table[day]
        np.multiply(self._known.expected[day], UNPACK, out=self._announced_now)

    def report(self, day: int, entity: int, action: int) -> None:
        """Mark the cell as reported."""
        del day  # the one in focus
        self._reportable_now[entity] = 0.0
        self._reported_now[entity] = 1.0
        self._shown[self._reported_at] += np.float32(REPORTED_SCALE)
        self._allowed[action] = False

    def _find_next(self) -> None:
        """Find the next flagged date that was not opened yet."""
        play = self.play
        np.greater(play.flagged_dates, play.opened, out=self._awaits)
        number = np.count_nonzero(self._awaits)
        if number:
            day = int(self._awaits.argmax())
            self._next_flags[...] = self._flags_on[day]
            self._next_calendar[...] = self._calendars[day]
            self._next_now[-1] = self._waiting.item(number)
            if self._world:
                self._next_announced_now[...] = self._announced_table[day]  # nothing before the events are listed
        else:
            day = -1
            self._next_now[...] = 0.0
            if self._world:
                self._next_announced_now[...] = 0.0
        play.next_flagged[0] = day
        self._allowed[self._next] = number > 0 and play.budget.item() >= self._open_cost
