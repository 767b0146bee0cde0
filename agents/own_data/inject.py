"""An incident put into a history by hand: as it would have looked in the counts themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metric_tracker_env.config.generator import default_conversions
from metric_tracker_env.fitting import HistoryFit
from metric_tracker_env.history import History, HistoryError
from metric_tracker_env.history.record import day_of
from metric_tracker_env.measure import DAYTIME_HOURS
from metric_tracker_env.schema import HOURLY_MIX_SUFFIX, Catalogue

LEAST_CHANGE = -1.0  # everything is gone


def inject(history: History, found: HistoryFit, date: str, measure: str, change: float) -> History:
    """The history with an incident on one day.

    A change of the first count moves all that follows; one of a later count is an error of its tracking, and leaves
    the steps beside it as they are. A change of a rate moves the later steps of its end and what follows; of a rate
    that skips steps, each rate inside by the same factor. A change of the daytime share moves first-step events
    between day and night, each with what follows from it.

    Args:
        history: The counts.
        found: A fit of it, whose measures have names.
        date: Day of the incident.
        measure: One of the fit's measures.
        change: Share of the day's own value by which it changes, such as -0.3.

    Raises:
        HistoryError: if there is no such day or measure, or the day cannot have such a change; says what it can have.
    """
    if measure not in found.measures:
        raise HistoryError(f"measure {measure!r} is not one of {list(found.measures)}", value=measure)
    at = np.flatnonzero(history.dates == day_of(date, "date"))
    if not len(at):
        span = f"{history.dates[0]} to {history.dates[-1]}"
        raise HistoryError(f"date {date!r} is not a day of the history, {span}", value=date)
    if not np.isfinite(change) or change < LEAST_CHANGE or change == 0.0:
        raise HistoryError(f"change {change!r} is not a number from {LEAST_CHANGE:g}, and not 0", value=change)
    counts = history.counts.copy()
    day = counts[at[0]]  # (H, S)
    if not day.any():
        raise HistoryError(f"{date} has no event that could change", value=date)
    names = history.steps
    if measure in names:
        place = names.index(measure)
        moved = slice(0, None) if place == 0 else slice(place, place + 1)
        _scale(day, moved, 1.0 + change)
    elif measure.endswith(f":{HOURLY_MIX_SUFFIX}"):
        _shift_hours(day, change, date)
    else:
        catalogue = Catalogue(names, default_conversions(names))
        spans = {item.name: span for item, span in zip(catalogue.conversions, catalogue.spans, strict=True)}
        first, last = spans[measure]
        _scale_rates(day, first, last, change, date, measure)
    _keep_order(day, history.counts[at[0]])
    if (counts[at[0]] == history.counts[at[0]]).all():
        raise HistoryError(f"change {change:+.1%} of {measure} on {date} is less than one event", value=change)
    return replace(history, counts=counts)


def _scale(day: np.ndarray, steps: slice, factor: float | np.ndarray) -> None:
    """Multiply steps of (H, S) counts, rounded over the day so that its total moves by the factor."""
    reached = np.rint(np.cumsum(day[:, steps] * factor, axis=0)).astype(np.int64)
    day[:, steps] = np.diff(reached, axis=0, prepend=0)


def _scale_rates(day: np.ndarray, first: int, last: int, change: float, date: str, measure: str) -> None:
    """Multiply the rates from one step to another; no step may come to have more events than the one before it."""
    before = day.sum(axis=0)
    each = (1.0 + change) ** (1.0 / (last - first))
    for step in range(first + 1, last + 1):
        if before[step] * each > before[step - 1] * (1 + 1e-9) and each > 1.0:
            most = (before[first] / max(before[last], 1)) - 1.0
            what = f"change {change:+.1%} of {measure} on {date} is more than all events of the step before it"
            raise HistoryError(f"{what}; {most:+.1%} is the most that this rate can have", value=change)
    for step in range(first + 1, day.shape[1]):
        _scale(day, slice(step, step + 1), each ** (min(step, last) - first))


def _keep_order(day: np.ndarray, before: np.ndarray) -> None:
    """Where a step had no more events than the one before it, an hour is not given more unless the whole day is."""
    total = day.sum(axis=0)
    for step in range(1, day.shape[1]):
        fits = (before[:, step] <= before[:, step - 1]) & (total[step] <= total[step - 1])
        day[:, step] = np.where(fits, np.minimum(day[:, step], day[:, step - 1]), day[:, step])


def _shift_hours(day: np.ndarray, change: float, date: str) -> None:
    """Move first-step events between day and night, and what follows with them."""
    inside = np.isin(np.arange(len(day)), DAYTIME_HOURS)
    total, daytime = day[:, 0].sum(), day[inside, 0].sum()
    share = daytime / total
    wanted = share * (1.0 + change)
    if not 0.0 < share < 1.0 or wanted > 1.0:
        told = f"at most {1.0 / share - 1.0:+.1%}" if share else "none, as no event is by day"
        raise HistoryError(f"change {change:+.1%} of the daytime share on {date}: it can have {told}", value=change)
    factor = np.where(inside, wanted / share, (1.0 - wanted) / (1.0 - share))
    _scale(day, slice(0, None), factor[:, None])
