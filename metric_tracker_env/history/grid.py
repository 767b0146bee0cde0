"""Counts on the grid of days, hours and steps, as the rows of a source tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from metric_tracker_env.history.columns import Column
from metric_tracker_env.history.counts import ABSENT
from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.history.times import day_name
from metric_tracker_env.history.zones import clock_changes
from metric_tracker_env.schema import HOURS_PER_DAY

Duplicates = Literal["refuse", "sum", "last"]

LONGEST = 36_525  # days: a hundred years


@dataclass
class Grid:
    """Counts by day, hour and step, what is not there yet, and how to speak of a cell."""

    first: int  # day since 1970-01-01
    counts: np.ndarray  # (D, H, S) int64; 0 where nothing was seen
    seen: np.ndarray  # (D, H, S) bool: the source tells the count
    rows: np.ndarray  # (D, H, S) int64 place of the first row of the source about the cell; -1 without one
    skipped: np.ndarray  # (D, H) bool: hours that the clock left out
    columns: list[str]  # of the steps, as the source names them
    where: str
    row_number: Callable[[int], int]

    @property
    def hourly(self) -> bool:
        """Whether a day has its hours."""
        return self.counts.shape[1] > 1

    def name(self, day: int, hour: int | None = None) -> str:
        """A day, or an hour of it, for messages."""
        date = day_name(self.first + day)
        return date if hour is None or not self.hourly else f"{date} {hour:02}:00"

    def error(self, what: str, option: str, at: tuple[int, int, int] | None = None) -> HistoryError:
        """An error about a cell of the grid, with its row where it has one."""
        if at is None:
            return HistoryError(what, where=self.where, option=option)
        row = self.row_number(int(self.rows[at])) if self.rows[at] >= 0 else None
        value = int(self.counts[at])
        return HistoryError(what, where=self.where, row=row, column=self.columns[at[2]], value=value, option=option)

    def cut(self, start: int, stop: int) -> None:
        """Leave out the days before ``start`` and from ``stop`` on."""
        days = slice(start, stop)
        self.first += start
        self.counts, self.seen, self.rows = self.counts[days], self.seen[days], self.rows[days]
        self.skipped = self.skipped[days]


class Cells(NamedTuple):
    """Counts as rows tell them: one entry a row and step."""

    day: np.ndarray  # (N,) int64 since 1970-01-01
    hour: np.ndarray  # (N,) int64; 0 in daily data
    step: np.ndarray  # (N,) int64
    number: np.ndarray  # (N,) int64 events, ABSENT for none
    row: np.ndarray  # (N,) int64 place of the row, rising


def empty_grid(time: Column, days: np.ndarray, hours: int, columns: list[str]) -> Grid:
    """The grid that holds these days.

    Raises:
        HistoryError: if there are none, or they span more than a hundred years.
    """
    if not len(days):
        raise time.error("there is no row with a count", option="steps")
    first, last = int(days.min()), int(days.max())
    if last - first >= LONGEST:
        what = (
            f"the times go from {day_name(first)} to {day_name(last)}; a hundred years are the most: is one mistyped?"
        )
        raise time.error(what, at=int(np.argmax(days == last)), value=day_name(last), option="until")
    shape = (last - first + 1, hours, len(columns))
    rows = np.full(shape, -1, np.int64)
    skipped = np.zeros(shape[:2], bool)
    return Grid(
        first, np.zeros(shape, np.int64), np.zeros(shape, bool), rows, skipped, columns, time.where, time.row_number
    )


def grid_of(
    cells: Cells, hours: int, columns: list[str], time: Column, zone: str | None, duplicates: Duplicates
) -> tuple[Grid, list[str]]:
    """Lay counts on the grid; notes tell what was added up.

    Args:
        cells: What the rows tell.
        hours: Hours of a day, 24 or 1.
        columns: Names of the steps in the source.
        time: The column of the times, for messages.
        zone: Time zone of the days, if it is known: an hour that the clock shows twice may have two rows.
        duplicates: What to do with a further count of one step at one time.

    Raises:
        HistoryError: for a duplicate that is to be refused.
    """
    grid = empty_grid(time, cells.day, hours, columns)
    shape = grid.counts.shape
    at = np.ravel_multi_index((cells.day - grid.first, cells.hour, cells.step), shape)
    grid.rows.reshape(-1)[at[::-1]] = cells.row[::-1]
    allowed = np.ones(shape, np.int64)
    if hours > 1:
        left_out, twice = clock_changes(zone, grid.first, grid.first + shape[0] - 1)
        grid.skipped = marked(left_out, grid)
        allowed += marked(twice, grid)[:, :, None]
    there = cells.number != ABSENT
    at, number, row = at[there], cells.number[there], cells.row[there]
    times_told = np.bincount(at, minlength=grid.seen.size).reshape(shape)
    grid.seen[:] = times_told > 0
    notes = settle(grid, at, row, times_told > allowed, duplicates)
    if duplicates == "last":
        newest = np.empty(grid.seen.size, np.int64)
        newest[at] = np.arange(len(at))
        kept = (newest[at] == np.arange(len(at))) | (times_told <= allowed).reshape(-1)[at]
        at, number = at[kept], number[kept]
    np.add.at(grid.counts.reshape(-1), at, number)
    return grid, notes


def marked(hours: set[int], grid: Grid) -> np.ndarray:
    """(D, H) bool from hours since 1970-01-01 00:00."""
    out = np.zeros(grid.counts.shape[:2], bool)
    for hour in hours:
        out[hour // HOURS_PER_DAY - grid.first, hour % HOURS_PER_DAY] = True
    return out


def settle(grid: Grid, at: np.ndarray, row: np.ndarray, doubled: np.ndarray, duplicates: Duplicates) -> list[str]:
    """Refuse cells that are told more often than they may be, or note what is made of them."""
    if not doubled.any():
        return []
    cell = np.unravel_index(int(np.argmax(doubled)), doubled.shape)
    day, hour, step = (int(i) for i in cell)
    rows = row[at == np.ravel_multi_index(cell, doubled.shape)].tolist()
    number = int(doubled.any(axis=2).sum())
    times = f"{number:,} {'hour' if grid.hourly else 'day'}{'' if number == 1 else 's'}"
    if duplicates != "refuse":
        made = "added up" if duplicates == "sum" else "told by the last of them"
        return [f"{times} with more than one row, {made}; the first is {grid.name(day, hour)}"]
    lines = grid.row_number(rows[0]), grid.row_number(rows[1])
    hint = ""
    if grid.hourly and number == 1:
        hint = "; if the clock was put back there, name the time zone with timezone="
    raise HistoryError(
        f"{grid.name(day, hour)} was told in row {lines[0]} already, and {times} in all have more than one row; "
        f"duplicates='sum' adds them up, duplicates='last' takes the last{hint}",
        where=grid.where,
        row=lines[1],
        column=grid.columns[step],
        value=grid.name(day, hour),
        option="duplicates",
    )
