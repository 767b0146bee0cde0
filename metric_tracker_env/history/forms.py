"""What the columns of a source are: wide or long counts, or an event log; by the names given, else by usual names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from metric_tracker_env.config.base import Identifier
from metric_tracker_env.history.errors import HistoryError, listed
from metric_tracker_env.history.sources import Source
from metric_tracker_env.schema import MAX_NAME_LENGTH, RESERVED_NAMES

Form = Literal["wide", "long", "events"]
Steps = Sequence[str] | Mapping[str, str] | None

# Names of columns that are found without being told, in lower case.
USUAL: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date", "day", "event_time", "event_timestamp", "created_at", "ts"),
    "hour": ("hour",),
    "event": ("event", "event_name", "event_type", "step"),
    "count": ("count", "events", "n"),
    "unit": ("unit", "session", "session_id", "visit", "visit_id", "order_id"),
}
MAX_STEPS = 12


class Roles(NamedTuple):
    """Which column is what."""

    form: Form
    time: str
    hour: str | None
    event: str  # "" in the wide form
    number: str  # column of counts; "" outside of the long form
    unit: str  # "" outside of the event log


def roles_of(source: Source, steps: Steps, given: Mapping[str, str | None]) -> Roles:
    """Decide what each column is.

    Args:
        source: The table.
        steps: What was told of the steps.
        given: Column names by argument (time, hour, event, count, unit); None where none was told.

    Raises:
        HistoryError: if a column is not there, or it cannot be told which one it is.
    """
    found = {role: column_of(source, role, given[role]) for role in USUAL}
    if not found["time"]:
        what = f"none of the columns {list(source.names)} is called like a time ({listed(USUAL['time'], 9)})"
        raise HistoryError(f"{what}; name it with time=", where=source.where, option="time")
    told = {role for role in ("event", "count", "unit") if given[role] is not None}
    if {"count", "unit"} <= told:
        what = "count= and unit= are given; rows are either counts or events of units"
        raise HistoryError(what, where=source.where, option="unit")
    in_columns = steps is not None and set(steps) <= set(source.names)
    if not told and (in_columns or not found["event"]):
        return Roles("wide", found["time"], found["hour"] or None, "", "", "")
    if not found["event"]:
        what = (
            f"{' and '.join(sorted(told))} given, but none of the columns {list(source.names)} is called like an event"
        )
        raise HistoryError(
            f"{what} ({listed(USUAL['event'])}); name it with event=", where=source.where, option="event"
        )
    if found["count"] and "unit" not in told:
        return Roles("long", found["time"], found["hour"] or None, found["event"], found["count"], "")
    if not found["unit"]:
        what = (
            f"column {found['event']!r} has events, but none of the columns {list(source.names)} is called like a count"
        )
        what += f" ({listed(USUAL['count'])}) or like the unit that did it ({listed(USUAL['unit'], 9)})"
        raise HistoryError(f"{what}; name one with count= or unit=", where=source.where, option="unit")
    return Roles("events", found["time"], found["hour"] or None, found["event"], "", found["unit"])


def column_of(source: Source, role: str, name: str | None) -> str:
    """The column that was named, else the one with a usual name, else "".

    Raises:
        HistoryError: if the named one is not there, or several have usual names.
    """
    if name is not None:
        if name not in source.names:
            raise unknown(source, name, role)
        return name
    for usual in USUAL[role]:
        matching = [column for column in source.names if column.strip().lower() == usual]
        if len(matching) > 1:
            what = f"the columns {matching} may both be the {role}; name one with {role}="
            raise HistoryError(what, where=source.where, option=role)
        if matching:
            return matching[0]
    return ""


def unknown(source: Source, name: object, option: str) -> HistoryError:
    """The error about a column that is not there."""
    near = difflib.get_close_matches(str(name), source.names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    what = f"{option} {name!r} is not one of the columns {list(source.names)}{hint}"
    return HistoryError(what, where=source.where, value=name, option=option)


def wide_steps(source: Source, roles: Roles, steps: Steps) -> list[str]:
    """The columns of the steps in the wide form: those named, else all that have no other role."""
    if steps is not None:
        for name in steps:
            if name not in source.names:
                raise unknown(source, name, "steps")
        return list(steps)
    found = [name for name in source.names if name and name not in {roles.time, roles.hour}]
    if not found:
        what = f"there is no column of counts beside {[name for name in (roles.time, roles.hour) if name]}"
        raise HistoryError(what, where=source.where, option="steps")
    return found


def step_names(columns: Sequence[str], steps: Steps, where: str) -> tuple[tuple[str, ...], list[str]]:
    """Names of the steps, fit for a configuration, and notes about those that had to be changed.

    Raises:
        HistoryError: if there are none or too many, a name cannot be used, or two are the same.
    """
    if not 1 <= len(columns) <= MAX_STEPS:
        what = f"{len(columns)} steps {listed(columns)}; a funnel has 1 to {MAX_STEPS}: name them with steps="
        raise HistoryError(what, where=where, option="steps")
    names: list[str] = []
    notes: list[str] = []
    for column in columns:
        name = steps[column] if isinstance(steps, Mapping) else column
        plain = re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_")
        try:
            names.append(TypeAdapter(Identifier).validate_python(plain))
        except ValidationError:
            names.append("")
        if not names[-1] or plain in RESERVED_NAMES:
            what = f"{name!r} cannot be the name of a step: latin letters, digits and '_', a letter first, at most "
            what += (
                f"{MAX_NAME_LENGTH}, none of {list(RESERVED_NAMES)}; rename it with steps={{{column!r}: 'a_name', ...}}"
            )
            raise HistoryError(what, where=where, value=name, option="steps")
        if plain != name:
            notes.append(f"step {name!r} is called {plain}")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        what = f"the steps {list(columns)} would have the name {twice.pop()!r} twice; rename one with steps={{...}}"
        raise HistoryError(what, where=where, option="steps")
    return tuple(names), notes


def known_steps(found: Iterable[str], steps: Steps, where: str, column: str) -> list[str]:
    """The steps that were named, each of which the events must have."""
    there = set(found)
    assert steps is not None
    for name in steps:
        if name not in there:
            near = difflib.get_close_matches(str(name), there, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            what = f"step {name!r} is none of the events {listed(sorted(there), 12)}{hint}"
            raise HistoryError(what, where=where, column=column, value=name, option="steps")
    return list(steps)
