"""A history: counts of a funnel by day, by hour where they are known, and what was noted when it was read."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.schema import HOURS_PER_DAY, weekdays_of


@dataclass(frozen=True, repr=False)
class History:
    """Counts of a funnel over D days in a row.

    ``read_history`` makes one from a file or a frame; it can also be made from arrays:

    >>> import numpy as np
    >>> days = np.arange("2026-01-01", "2026-01-29", dtype="datetime64[D]")
    >>> counts = np.full((28, 1, 2), [[[900, 300]]])
    >>> History(("visits", "orders"), days, counts)
    History(28 days from 2026-01-01 to 2026-01-28, daily, visits > orders)
    """

    steps: tuple[str, ...]  # names of the S funnel steps, in funnel order
    dates: np.ndarray  # (D,) datetime64[D], without a gap
    counts: np.ndarray  # (D, H, S) int64 events; H is 24, or 1 in daily data
    known: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # (D,) the source's own; all, if not given
    notes: tuple[str, ...] = ()  # what was found, and what was made of it

    def __post_init__(self) -> None:
        days, counts = np.asarray(self.dates), np.asarray(self.counts)
        known = np.asarray(self.known) if len(self.known) else np.ones(len(days), bool)
        if counts.ndim != 3 or counts.shape[1] not in {1, HOURS_PER_DAY} or counts.shape[2] != len(self.steps):
            what = (
                f"counts have the shape {counts.shape}; (days, {HOURS_PER_DAY} or 1, {len(self.steps)} steps) is wanted"
            )
            raise HistoryError(what)
        if counts.dtype.kind not in "iu" or (counts < 0).any():
            raise HistoryError(f"counts are {counts.dtype}; whole numbers from 0 are wanted")
        if (
            days.shape != counts.shape[:1]
            or not len(days)
            or (np.diff(days.astype("datetime64[D]").astype(np.int64)) != 1).any()
        ):
            raise HistoryError(
                f"{len(days)} dates for {len(counts)} days of counts; one a day is wanted, in order, without a gap"
            )
        if known.shape != days.shape or known.dtype != bool:
            raise HistoryError(
                f"known is {known.dtype} of shape {known.shape}; a bool for each of {len(days)} days is wanted"
            )
        for name, array in (
            ("dates", days.astype("datetime64[D]")),
            ("counts", counts.astype(np.int64)),
            ("known", known.copy()),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        kind = "hourly" if self.hourly else "daily"
        span = f"{len(self.dates)} days from {self.dates[0]} to {self.dates[-1]}"
        return f"History({span}, {kind}, {' > '.join(self.steps)})"

    @property
    def hourly(self) -> bool:
        """Whether a day has its hours."""
        return self.counts.shape[1] > 1

    @cached_property
    def daily(self) -> np.ndarray:
        """(D, S) int64 events a day."""
        return self.counts.sum(axis=1)

    @property
    def weekdays(self) -> np.ndarray:
        """(D,) int64, Monday 0 to Sunday 6."""
        return weekdays_of(self.dates)

    def between(self, first: str | dt.date | None = None, last: str | dt.date | None = None) -> History:
        """The days from ``first`` to ``last``, both included; None is the history's own end.

        >>> import numpy as np
        >>> days = np.arange("2026-01-01", "2026-01-29", dtype="datetime64[D]")
        >>> history = History(("visits",), days, np.full((28, 1, 1), 900))
        >>> history.between(last="2026-01-21")
        History(21 days from 2026-01-01 to 2026-01-21, daily, visits)

        Raises:
            HistoryError: if a date is none, or no day is left.
        """
        keep = np.ones(len(self.dates), bool)
        if first is not None:
            keep &= self.dates >= day_of(first, "first")
        if last is not None:
            keep &= self.dates <= day_of(last, "last")
        if not keep.any():
            what = f"no day from {first or self.dates[0]} to {last or self.dates[-1]}; the history goes from "
            raise HistoryError(f"{what}{self.dates[0]} to {self.dates[-1]}")
        return replace(self, dates=self.dates[keep], counts=self.counts[keep], known=self.known[keep])

    def by_day(self) -> History:
        """The same without hours."""
        return replace(self, counts=self.daily[:, None, :])


def day_of(given: object, name: str) -> np.datetime64:
    """A date that was given as an ISO date, a date or a datetime64.

    Raises:
        HistoryError: if it is none; ``name`` is that of the argument.
    """
    if isinstance(given, np.datetime64):
        given = given.astype("datetime64[D]").item()
    if isinstance(given, str):
        with suppress(ValueError):
            given = dt.date.fromisoformat(given)
    if type(given) is not dt.date:
        told = f"{name}={given!r} is not a date such as '2026-03-31'"
        raise HistoryError(told, value=given, option=name)
    return np.datetime64(given, "D")
