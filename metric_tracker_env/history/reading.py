"""Reading a history: what a source tells is found out, checked, and laid on days, hours and steps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from metric_tracker_env.history.checks import Exceeding, Missing, check_counts, check_part_days, look, settle_missing
from metric_tracker_env.history.counts import Decimal
from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.history.forms import roles_of
from metric_tracker_env.history.grid import Duplicates
from metric_tracker_env.history.laying import Wishes, lay
from metric_tracker_env.history.record import History, day_of
from metric_tracker_env.history.sources import open_source

CHOICES: dict[str, tuple[object, ...]] = {
    "missing": get_args(Missing),
    "duplicates": get_args(Duplicates),
    "exceeding": get_args(Exceeding),
    "decimal": (*get_args(Decimal), None),
}


def read_history(
    source: Any,
    steps: Sequence[str] | Mapping[str, str] | None = None,
    *,
    time: str | None = None,
    hour: str | None = None,
    event: str | None = None,
    count: str | None = None,
    unit: str | None = None,
    timezone: str | None = None,
    time_format: str | None = None,
    decimal: Decimal | None = None,
    missing: Missing = "refuse",
    duplicates: Duplicates = "refuse",
    exceeding: Exceeding = "refuse",
    visit_gap: float | None = None,
    since: str | dt.date | None = None,
    until: str | dt.date | None = None,
    encoding: str | None = None,
) -> History:
    r"""Read the counts of a funnel by day or by hour.

    Three forms are read: *wide* (one row a day or hour, one column a step), *long* (one row a time and step, with a
    count) and *event logs* (one row an event of a unit: a visit, an order). In a log each unit is counted once at
    each step that it reached, in the hour in which it began. What is found wrong is told with its row, column and
    value and the option that decides; nothing is repaired unasked, and the source is never changed.

    >>> import io
    >>> rows = "".join(f"2026-03-{day:02},{900 + day},{300 + day}\n" for day in range(1, 29))
    >>> history = read_history(io.BytesIO(f"date,visits,orders\n{rows}".encode()))
    >>> history
    History(28 days from 2026-03-01 to 2026-03-28, daily, visits > orders)
    >>> history.daily[0].tolist()
    [901, 301]

    Args:
        source: Path of a CSV file (plain or gzipped; separated by commas, semicolons, tabs or bars; UTF-8, UTF-16 or
            by ``encoding``) or of a parquet file; an open binary file with CSV; a SQL query (``select ...``) for
            DuckDB; a pandas, polars or pyarrow frame; a DuckDB relation. CSV needs no further library, the others the
            extra ``history``.
        steps: Names of the steps in the source, in funnel order; a mapping renames them. None takes, in the wide
            form, all columns that are nothing else; else all events, those with more counts first.
        time: Column of dates or times. None, here and below, looks for a usual name.
        hour: Column of hours from 0 to 23, beside a column of dates.
        event: Column of step names, in the long form and in event logs.
        count: Column of counts, in the long form.
        unit: Column that tells whose event it is, in event logs.
        timezone: Time zone in which days are counted, such as "Europe/Berlin"; times without a zone are taken to be
            in it.
        time_format: How times are written, as in ``strptime``, or "unix" or "unix_ms" for numbers since 1970.
        decimal: Sign before fractions, "." or ","; other signs then part thousands.
        missing: What to do about missing days, hours and counts: "refuse"; "zero" takes them as 0; "fill" takes the
            median of the nearest same weekdays and marks the days as not known.
        duplicates: What to do about a further count of one time and step: "refuse", "sum", or the "last" one counts.
        exceeding: What to do about a step with more events than the one before: "refuse" or "keep".
        visit_gap: In event logs, hours without an event after which a unit begins a new visit; infinity for never.
            None takes a unit as one visit, and refuses units that look like people.
        since: First day to read; says that it is whole.
        until: Last day to read; says that it is whole.
        encoding: Of a text file, where its first bytes do not tell it and it is not UTF-8.

    Returns:
        The history, with notes about what was found and what was made of it.

    Raises:
        HistoryError: if the source cannot be read as it is.
        ImportError: if a library is missing; names the extra.
    """
    choices = {"missing": missing, "duplicates": duplicates, "exceeding": exceeding, "decimal": decimal}
    for option, value in choices.items():
        if value not in CHOICES[option]:
            raise HistoryError(f"{option}={value!r} is not one of {list(CHOICES[option])}", value=value, option=option)
    if visit_gap is not None and not visit_gap > 0:
        raise HistoryError(
            f"visit_gap={visit_gap!r} is no number of hours above 0", value=visit_gap, option="visit_gap"
        )
    if isinstance(steps, str):
        raise HistoryError(f"steps={steps!r} is one text; give a list of names", value=steps, option="steps")
    first, last = number_of_day(since, "since"), number_of_day(until, "until")
    if first is not None and last is not None and first > last:
        raise HistoryError(f"since={since!r} is after until={until!r}", value=since, option="since")
    wishes = Wishes(steps, timezone, time_format, decimal, duplicates, visit_gap, first, last)
    table = open_source(source, encoding)
    roles = roles_of(table, steps, {"time": time, "hour": hour, "event": event, "count": count, "unit": unit})
    grid, names, notes = lay(table, roles, wishes)
    check_part_days(grid, since is not None, until is not None)
    known, told = settle_missing(grid, missing)
    notes += told + check_counts(grid, exceeding) + look(grid, known)
    dates = np.datetime64(grid.first, "D") + np.arange(len(known))
    return History(names, dates, grid.counts, known, tuple(notes))


def number_of_day(given: str | dt.date | None, option: str) -> int | None:
    """Days since 1970-01-01 of a date that was given, if it was."""
    return None if given is None else int(day_of(given, option).astype(np.int64))
