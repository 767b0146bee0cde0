"""What is wrong with counts on a grid, and what is made of it: missing days and hours, part days, impossible counts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from metric_tracker_env.config import MAX_DAILY_COUNT
from metric_tracker_env.history.errors import SHOWN, listed, number_of
from metric_tracker_env.history.grid import Grid
from metric_tracker_env.schema import DAYS_PER_WEEK, WEEKDAYS, weekdays_of

Missing = Literal["refuse", "fill", "zero"]
Exceeding = Literal["refuse", "keep"]

NEIGHBOURS = 4  # of the same weekday, nearest in time, whose median fills a gap
USUAL_DAYS = 28  # that tell when a day usually ends
HALF = 0.5  # of its weekday's usual count: a last day below it may be a part


def check_part_days(grid: Grid, since_told: bool, until_told: bool) -> None:
    """Refuse a first day that begins later, or a last day that ends earlier, than any of the four weeks beside it.

    A day that was named with ``since`` or ``until`` is taken as whole.
    """
    if not grid.hourly or len(grid.counts) <= DAYS_PER_WEEK:
        return
    active = grid.counts.sum(axis=2) > 0
    starts = active.argmax(axis=1)
    ends = active.shape[1] - 1 - active[:, ::-1].argmax(axis=1)
    filled = active.any(axis=1)
    for told, option, day, beside, edges in (
        (until_told, "until", len(active) - 1, slice(-1 - USUAL_DAYS, -1), ends),
        (since_told, "since", 0, slice(1, 1 + USUAL_DAYS), starts),
    ):
        usual = edges[beside][filled[beside]]
        late = option == "since"
        if told or not filled[day] or not len(usual):
            continue
        if edges[day] > usual.max() if late else edges[day] < usual.min():
            kind, verb = ("first", "begins") if late else ("last", "ends")
            name, other = grid.name(day), grid.name(1 if late else day - 1)
            what = f"the {kind} day, {name}, {verb} with hour {edges[day]}, the days beside it with {usual.min()} to "
            what += f"{usual.max()}: {option}='{other}' leaves it out, {option}='{name}' says that it is whole"
            raise grid.error(what, option, (day, int(edges[day]), 0))


def settle_missing(grid: Grid, missing: Missing) -> tuple[np.ndarray, list[str]]:
    """Refuse, fill or zero what the source does not tell.

    Returns:
        (D,) bool days whose counts are all the source's own, or zero by ``missing="zero"``; and notes.

    Raises:
        HistoryError: for anything missing that is to be refused, or that cannot be filled.
    """
    absent: np.ndarray = ~grid.seen & ~grid.skipped[:, :, None]
    notes = [f"the clock skipped {listed(grid.name(int(d), int(h)) for d, h in np.argwhere(grid.skipped))}"]
    notes = notes if grid.skipped.any() else []
    if not absent.any():
        return np.ones(len(absent), bool), notes
    told = describe(grid, absent)
    if missing == "refuse":
        at = tuple(int(i) for i in np.argwhere(absent)[0])
        what = f"{told}; missing='zero' takes them as 0 events, missing='fill' fills them, their days then not known"
        hint = "; if the clock was put forward there, name the time zone with timezone="
        one = grid.hourly and int(absent.any(axis=2).sum()) == 1
        raise grid.error(what + hint * one, "missing", (at[0], at[1], at[2]))
    if missing == "zero":
        return np.ones(len(absent), bool), [*notes, f"{told}: taken as 0 events"]
    fill(grid, absent)
    return ~np.any(absent, axis=(1, 2)), [*notes, f"{told}: filled with the median of the nearest same weekdays"]


def describe(grid: Grid, absent: np.ndarray) -> str:
    """What is missing, in words: whole days, hours of days, single steps."""
    whole = np.all(absent, axis=(1, 2))
    if whole.any():
        days = np.flatnonzero(whole)
        names = listed(grid.name(int(day)) for day in days)
        return f"{number_of(len(days), 'day')} of {len(whole):,} missing ({names}){rhythm(grid, whole)}"
    hours = absent.all(axis=2)
    if hours.any():
        places = np.argwhere(hours)
        names = listed(grid.name(int(day), int(hour)) for day, hour in places)
        often = np.flatnonzero(hours.mean(axis=0) > HALF)
        night = f": hours {listed(often.tolist(), 24)} on most days" if len(often) else ""
        return f"{number_of(len(places), 'hour')} missing ({names}){night}"
    places = np.argwhere(absent)
    names = listed(f"{grid.columns[int(s)]} at {grid.name(int(d), int(h))}" for d, h, s in places)
    return f"{number_of(len(places), 'count')} missing ({names})"


def rhythm(grid: Grid, whole: np.ndarray) -> str:
    """What the missing days have in common."""
    weekdays = weekdays_of(grid.first + np.arange(len(whole)))
    closed = [day for day in range(DAYS_PER_WEEK) if (weekdays == day).any() and whole[weekdays == day].all()]
    if len(closed) == DAYS_PER_WEEK - 1 or whole.mean() > HALF:
        return ": are the rows weeks or months? Daily or hourly counts are wanted"
    return f": every {' and '.join(WEEKDAYS[day] for day in closed)} is, closed it seems" if closed else ""


def fill(grid: Grid, absent: np.ndarray) -> None:
    """Fill gaps with the median of the same hour on the nearest days of the same weekday that have it."""
    days = np.arange(len(absent))
    for day, hour, step in np.argwhere(absent).tolist():
        like = np.flatnonzero(((days - day) % DAYS_PER_WEEK == 0) & ~absent[:, hour, step])
        if not len(like):
            weekday = WEEKDAYS[int(weekdays_of(np.array([grid.first + day]))[0])]
            lack = "has this hour" if grid.hourly else "is there"
            what = f"{grid.name(day, hour)} cannot be filled: no {weekday} {lack}; missing='zero' takes it as 0 events"
            raise grid.error(what, "missing", (day, hour, step))
        nearest = like[np.argsort(np.abs(like - day), kind="stable")[:NEIGHBOURS]]
        filled = int(np.rint(np.median(grid.counts[nearest, hour, step])))
        grid.counts[day, hour, step] = min(filled, int(grid.counts[day, hour, step - 1])) if step else filled


def check_counts(grid: Grid, exceeding: Exceeding) -> list[str]:
    """Refuse empty steps, counts beyond all bounds and steps that pass the one before; notes tell what was kept."""
    daily = grid.counts.sum(axis=1)
    for step, name in enumerate(grid.columns):
        if not daily[:, step].any():
            raise grid.error(f"step {name!r} has no event at all", "steps", (0, 0, step))
    if daily.max() > MAX_DAILY_COUNT:
        day, step = (int(i) for i in np.argwhere(daily > MAX_DAILY_COUNT)[0])
        what = f"{grid.name(day)} has {daily[day, step]:,} events; {MAX_DAILY_COUNT:,} a day are the most"
        raise grid.error(what, "duplicates", (day, 0, step))
    above = grid.counts[:, :, 1:] > grid.counts[:, :, :-1]
    if not above.any():
        return []
    number = int(above.any(axis=2).sum())
    of = f"{number:,} of {above[..., 0].size:,} {'hours' if grid.hourly else 'days'}"
    day, hour, step = (int(i) for i in np.argwhere(above)[0])
    low, high = grid.counts[day, hour, step : step + 2].tolist()
    before, after = grid.columns[step], grid.columns[step + 1]
    what = f"{grid.name(day, hour)} has {high:,} {after} but {low:,} {before}, the step before it"
    if exceeding == "keep":
        return [f"a step passes the one before it in {of}; first: {what}"]
    swapped = [i for i in range(above.shape[2]) if daily[:, i + 1].sum() > daily[:, i].sum()]
    if swapped:
        what += f"; {after} has more events in all, too: name the steps in funnel order with steps="
        raise grid.error(f"{what} ({of})", "steps", (day, hour, step + 1))
    what += f"; so it is in {of}: exceeding='keep' takes them as they are"
    if grid.hourly:
        what += ", and where events are counted in the hour in which each happened, read the event log with unit="
    raise grid.error(what, "exceeding", (day, hour, step + 1))


def look(grid: Grid, known: np.ndarray) -> list[str]:
    """Notes about what may be right or wrong: closed weekdays, days without events, a low last day."""
    entry = grid.counts[:, :, 0].sum(axis=1)
    weekdays = weekdays_of(grid.first + np.arange(len(entry)))
    notes: list[str] = []
    closed = [day for day in range(DAYS_PER_WEEK) if (weekdays == day).any() and not entry[weekdays == day].any()]
    if closed:
        notes.append(f"no event on any {' or '.join(WEEKDAYS[day] for day in closed)}")
    empty = np.flatnonzero((entry == 0) & ~np.isin(weekdays, closed))
    if len(empty):
        names = listed((grid.name(int(day)) for day in empty), SHOWN)
        notes.append(f"{number_of(len(empty), 'day')} without any event ({names}): is that a gap in the data?")
    like = known & (weekdays == weekdays[-1])
    like[-1] = False
    usual = np.median(entry[like]) if like.any() else 0.0
    if entry[-1] < HALF * usual:
        notes.append(
            f"the last day, {grid.name(len(entry) - 1)}, has {entry[-1]:,} {grid.columns[0]}, not {usual:,.0f} as usual"
            f": if it is not over, until='{grid.name(len(entry) - 2)}' leaves it out"
        )
    return notes
