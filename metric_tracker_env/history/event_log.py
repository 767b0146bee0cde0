"""Event logs: each unit is counted once at each step that it reached, in the hour in which it began.

Counted in the hour of each event, a unit that begins at 10:59 and ends at 11:01 would leave hour 10 without its end and
give hour 11 an end without a beginning: the later steps would pass the earlier ones.
"""

from __future__ import annotations

import numpy as np

from metric_tracker_env.history.columns import Column, first_missing
from metric_tracker_env.history.errors import number_of
from metric_tracker_env.history.grid import Grid, empty_grid
from metric_tracker_env.history.times import SECONDS_PER_DAY, SECONDS_PER_HOUR, Moments
from metric_tracker_env.schema import HOURS_PER_DAY

LONG_LIVED = 0.05  # share of units that may last longer than a day before they look like people


def count_units(
    unit: Column, step: np.ndarray, moments: Moments, columns: list[str], time: Column, visit_gap: float | None
) -> tuple[Grid, list[str]]:
    """Count an event log.

    Args:
        unit: What did the events: a visit, an order, or a person.
        step: (N,) int64 funnel step of each row's event, -1 for another event.
        moments: Times of the rows.
        columns: Names of the steps in the source.
        time: The column of the times, for messages.
        visit_gap: Hours without an event after which a unit begins anew; infinity never; None never, but refuses
            units that look like people.

    Raises:
        HistoryError: if a row has no unit, or units look like people and nothing was told.
    """
    codes = unit_codes(unit)
    row = np.flatnonzero(step >= 0)
    codes, step, elapsed = codes[row], step[row], moments.elapsed[row]
    if visit_gap is None:
        refuse_people(unit, codes, elapsed, row)
    visit = split(codes, elapsed, visit_gap * SECONDS_PER_HOUR) if visit_gap is not None else codes
    visit = (np.cumsum(np.bincount(visit) > 0) - 1).take(visit)  # without gaps in the numbering
    hours = HOURS_PER_DAY if moments.has_clock else 1
    start = beginnings(visit, elapsed)  # place of the first event of each visit
    began = moments.seconds[row[start]]
    grid = empty_grid(time, began // SECONDS_PER_DAY, hours, columns)
    days = began // SECONDS_PER_DAY - grid.first
    cell = days * hours + (began % SECONDS_PER_DAY // SECONDS_PER_HOUR if hours > 1 else 0)
    reached = np.zeros((len(start), len(columns)), bool)
    reached[visit, step] = True
    for place in range(len(columns)):
        counted = np.bincount(cell[reached[:, place]], minlength=grid.counts[..., 0].size)
        grid.counts[..., place] = counted.reshape(grid.counts.shape[:2])
    grid.rows.reshape(-1, len(columns))[cell[::-1]] = row[start][::-1, None]
    grid.seen[np.unique(days)] = True
    when = "hour in which" if hours > 1 else "day on which"
    notes = [f"{number_of(len(row), 'event')} of {number_of(len(start), 'unit')}, each counted in the {when} it began"]
    repeats = len(row) - int(reached.sum())
    if repeats:
        notes.append(f"{number_of(repeats, 'event')} repeated a step of the same unit, which is counted once a step")
    return grid, notes


def unit_codes(unit: Column) -> np.ndarray:
    """(N,) int64 number of each row's unit, from 0."""
    if unit.codes is not None:
        if (place := first_missing(unit.values.tolist())) is not None:
            raise unit.error_of(place, "there is no unit; each event needs one", option="unit")
        return unit.codes
    gaps = np.isnan(unit.values)
    if gaps.any():
        raise unit.error("there is no unit; each event needs one", at=int(np.argmax(gaps)), option="unit")
    return np.unique(unit.values, return_inverse=True)[1]


def refuse_people(unit: Column, codes: np.ndarray, elapsed: np.ndarray, row: np.ndarray) -> None:
    """Refuse units of which many last longer than a day."""
    number = int(codes.max()) + 1 if len(codes) else 0
    first, last = np.full(number, np.iinfo(np.int64).max), np.full(number, np.iinfo(np.int64).min)
    np.minimum.at(first, codes, elapsed)
    np.maximum.at(last, codes, elapsed)
    there = last >= first
    long = there & (last - np.where(there, first, last) > SECONDS_PER_DAY)
    if long.sum() <= LONG_LIVED * there.sum():
        return
    widest = int(np.argmax(np.where(there, last - np.where(there, first, last), -1)))
    place = int(row[np.argmax(codes == widest)])
    days = (last[widest] - first[widest]) / SECONDS_PER_DAY
    name = unit.values[unit.codes[place]] if unit.codes is not None else unit.values[place]
    what = f"unit {str(name)!r} has events over {days:,.0f} days, and {long.sum() / there.sum():.0%} of all units over "
    what += (
        "more than a day: are they people? A unit is counted once. visit_gap=0.5 begins a new visit after half an hour "
    )
    what += "without an event, visit_gap=float('inf') says that a unit may last so long"
    raise unit.error(what, at=place, value=str(name), option="visit_gap")


def split(codes: np.ndarray, elapsed: np.ndarray, gap: float) -> np.ndarray:
    """(N,) int64 number of each event's visit: a unit begins a new one after so many seconds without an event."""
    order = np.lexsort((elapsed, codes))
    unit, moment = codes[order], elapsed[order]
    new = (unit[1:] != unit[:-1]) | (moment[1:] - moment[:-1] > gap)
    visit = np.empty(len(order), np.int64)
    visit[order] = np.concatenate([[0], np.cumsum(new)])[: len(order)]
    return visit


def beginnings(visit: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """(V,) int64 place of the first event of each visit."""
    order = np.argsort(elapsed, kind="stable")
    start = np.empty(int(visit.max()) + 1 if len(visit) else 0, np.int64)
    start[visit[order[::-1]]] = order[::-1]  # the earliest is written last
    return start
