"""From columns to counts on the grid, for each form that a source may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metric_tracker_env.history.columns import Column, first_missing
from metric_tracker_env.history.counts import Decimal, read_counts
from metric_tracker_env.history.errors import HistoryError, listed, number_of
from metric_tracker_env.history.event_log import count_units
from metric_tracker_env.history.forms import Form, Roles, Steps, known_steps, step_names, wide_steps
from metric_tracker_env.history.grid import Cells, Duplicates, Grid, grid_of
from metric_tracker_env.history.sources import Source
from metric_tracker_env.history.times import Moments, read_hours, read_times
from metric_tracker_env.schema import HOURS_PER_DAY


@dataclass(frozen=True)
class Wishes:
    """What was told about how to read the rows."""

    steps: Steps
    timezone: str | None
    time_format: str | None
    decimal: Decimal | None
    duplicates: Duplicates
    visit_gap: float | None
    first: int | None  # day since 1970-01-01; None is the source's own end
    last: int | None

    def holds(self, days: np.ndarray) -> np.ndarray:
        """(N,) bool: which of (N,) days are to be read."""
        keep = np.ones(len(days), bool)
        if self.first is not None:
            keep &= days >= self.first
        if self.last is not None:
            keep &= days <= self.last
        return keep


class Laid(NamedTuple):
    """Counts on the grid, before they are checked."""

    grid: Grid
    names: tuple[str, ...]  # of the steps
    notes: list[str]


def lay(source: Source, roles: Roles, wishes: Wishes) -> Laid:
    """Read the columns of a source and lay its counts on the grid."""
    wide = wide_steps(source, roles, wishes.steps) if roles.form == "wide" else []
    named = [name for name in (roles.time, roles.hour, roles.event, roles.number, roles.unit) if name]
    columns = source.columns([*named, *wide])
    time = columns[roles.time]
    if not len(time):
        raise time.error("there is no row")
    moments = read_times(time, wishes.timezone, wishes.time_format)
    if roles.hour is not None:
        moments = with_hours(time, moments, columns[roles.hour])
    laid = LAYERS[roles.form](columns, roles, wide, moments, wishes)
    if wide and wishes.steps is None and "" in source.names:
        laid.notes.append("a column without a name is left out")
    return laid


def with_hours(time: Column, moments: Moments, hour: Column) -> Moments:
    """Days with the hours of another column."""
    if moments.has_clock:
        what = f"the times have a time of day, and column {hour.name!r} has hours; one of them can count"
        raise time.error(what, option="hour")
    seconds = moments.seconds + 3600 * read_hours(hour)
    return moments._replace(seconds=seconds, elapsed=seconds, has_clock=True)


def lay_wide(columns: dict[str, Column], roles: Roles, wide: list[str], moments: Moments, wishes: Wishes) -> Laid:
    """One row a time, one column a step."""
    time = columns[roles.time]
    names, notes = step_names(wide, wishes.steps, time.where)
    found: list[np.ndarray] = []
    for name in wide:
        column = columns[name]
        if wishes.steps is None and column.is_text and not any(any(map(str.isdigit, text)) for text in column.values):
            what = f"{column.values[0]!r} is no count; if this column is no step, name those that are with steps="
            raise column.error(what, at=0, value=column.values[0], option="steps")
        found.append(read_counts(column, wishes.decimal))
    counts = np.stack(found, axis=1)
    row = np.flatnonzero(wishes.holds(moments.days))
    step = np.tile(np.arange(len(wide)), len(row))
    return gridded(time, moments, np.repeat(row, len(wide)), step, counts[row].reshape(-1), wide, names, notes, wishes)


def lay_long(columns: dict[str, Column], roles: Roles, _: list[str], moments: Moments, wishes: Wishes) -> Laid:
    """One row a time and step."""
    time = columns[roles.time]
    counts = read_counts(columns[roles.number], wishes.decimal)
    step, found, notes = steps_of(columns[roles.event], np.maximum(counts, 0), wishes)
    names, more = step_names(found, wishes.steps, time.where)
    row = np.flatnonzero(wishes.holds(moments.days) & (step >= 0))
    return gridded(time, moments, row, step[row], counts[row], found, names, notes + more, wishes)


def lay_log(columns: dict[str, Column], roles: Roles, _: list[str], moments: Moments, wishes: Wishes) -> Laid:
    """One row an event of a unit."""
    time = columns[roles.time]
    step, found, notes = steps_of(columns[roles.event], np.ones(len(moments.seconds), np.int64), wishes)
    names, more = step_names(found, wishes.steps, time.where)
    grid, told = count_units(columns[roles.unit], step, moments, found, time, wishes.visit_gap)
    keep = np.flatnonzero(wishes.holds(grid.first + np.arange(len(grid.counts))))
    if not len(keep):
        raise nothing_left(time)
    grid.cut(int(keep[0]), int(keep[-1]) + 1)
    return Laid(grid, names, [*moments.notes, *notes, *more, *told])


LAYERS: dict[Form, Callable[[dict[str, Column], Roles, list[str], Moments, Wishes], Laid]] = {
    "wide": lay_wide,
    "long": lay_long,
    "events": lay_log,
}


def gridded(
    time: Column,
    moments: Moments,
    row: np.ndarray,
    step: np.ndarray,
    count: np.ndarray,
    columns: list[str],
    names: tuple[str, ...],
    notes: list[str],
    wishes: Wishes,
) -> Laid:
    """Rows of counts on the grid: hours where the times have any that differ, else days."""
    if not len(row):
        raise nothing_left(time)
    hourly = moments.has_clock and len(np.unique(moments.hours)) > 1
    notes = [*moments.notes, *notes]
    if moments.has_clock and not hourly:
        notes.append(f"every time is in hour {moments.hours[0]}: each row is taken as a day")
    hour = moments.hours[row] if hourly else np.zeros(len(row), np.int64)
    cells = Cells(moments.days[row], hour, step, count, row)
    grid, told = grid_of(cells, HOURS_PER_DAY if hourly else 1, columns, time, moments.zone, wishes.duplicates)
    return Laid(grid, names, notes + told)


def nothing_left(time: Column) -> HistoryError:
    """The error about a source without a row that counts."""
    return time.error("there is no row of these steps and days", option="steps")


def steps_of(event: Column, weight: np.ndarray, wishes: Wishes) -> tuple[np.ndarray, list[str], list[str]]:
    """The funnel step of each row's event.

    Args:
        event: Column of event names.
        weight: (N,) int64 counts of the rows, which put steps in order where none was told.
        wishes: What was told.

    Returns:
        (N,) int64 place of each row's step, -1 for an event that is none; the steps' names in the source; and notes.
    """
    texts, codes = as_texts(event)
    if (gap := first_missing(texts)) is not None:
        raise event.error("there is no event", at=int(np.argmax(codes == gap)), option="event")
    totals = np.zeros(len(texts), np.int64)
    np.add.at(totals, codes, weight)
    notes: list[str] = []
    if wishes.steps is None:
        order = np.argsort(-totals, kind="stable").tolist()
        found = [texts[place] for place in order]
        notes.append(f"steps by their counts: {listed(found, 12)}; steps= names them in another order")
    else:
        found = known_steps(texts, wishes.steps, event.where, event.name)
        others = [text for text in texts if text not in found]
        if others:
            rows = int(np.isin(codes, [texts.index(text) for text in others]).sum())
            notes.append(f"{number_of(rows, 'row')} of other events left out: {listed(others)}")
    place_of = {text: place for place, text in enumerate(found)}
    places = np.array([place_of.get(text, -1) for text in texts], np.int64)
    return places.take(codes), found, notes


def as_texts(column: Column) -> tuple[list[str], np.ndarray]:
    """The distinct values of a column as text, and (N,) int64 places of the rows' values among them."""
    if column.codes is not None:
        texts = [str(value).strip() for value in column.values.tolist()]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return list(distinct), np.array([distinct[text] for text in texts], np.int64).take(column.codes)
    values, codes = np.unique(column.values, return_inverse=True)
    return [str(value) for value in values.tolist()], codes
