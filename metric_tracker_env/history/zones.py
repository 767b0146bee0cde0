"""Time zones: local time of instants, and the hours that a change of the clock leaves out or repeats."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.schema import HOURS_PER_DAY

QUARTER = 900  # seconds: clocks change by whole quarters of an hour
OFFSET = re.compile(r"UTC(?:([+-])(\d\d):(\d\d))?")


def offset_zone(seconds: int) -> str:
    """Name of a fixed distance from UTC: ``UTC``, ``UTC+02:00``."""
    if not seconds:
        return "UTC"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"UTC{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"


@lru_cache(maxsize=16)
def zone_of(name: str) -> dt.tzinfo:
    """The time zone of a name.

    Raises:
        HistoryError: if it is not known.
    """
    if (match := OFFSET.fullmatch(name)) is not None:
        sign, hours, minutes = match.groups()
        distance = dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return dt.timezone(-distance if sign == "-" else distance)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        told = f"timezone {name!r} is not known; for example 'Europe/Berlin', 'America/New_York' or 'UTC'"
        raise HistoryError(told, value=name, option="timezone") from error


def local_seconds(instants: np.ndarray, name: str) -> np.ndarray:
    """(N,) int64 seconds since 1970 in UTC -> (N,) int64 seconds of the local clock."""
    zone = zone_of(name)
    quarters, places = np.unique(instants // QUARTER, return_inverse=True)
    offsets = [dt.datetime.fromtimestamp(quarter * QUARTER, zone).utcoffset() for quarter in quarters.tolist()]
    seconds = np.array([int(offset.total_seconds()) for offset in offsets if offset is not None], np.int64)
    return instants + seconds.take(places)


def clock_changes(name: str | None, first_day: int, last_day: int) -> tuple[set[int], set[int]]:
    """Hours, counted from 1970-01-01 00:00 local time, that the clock left out, and those that it showed twice.

    Args:
        name: Time zone; None knows no changes.
        first_day: First day, since 1970-01-01.
        last_day: Last day.
    """
    left_out: set[int] = set()
    twice: set[int] = set()
    if name is None:
        return left_out, twice
    zone = zone_of(name)
    for day in range(first_day, last_day + 1):
        midnight = dt.datetime(1970, 1, 1) + dt.timedelta(days=day)
        if distance(midnight, zone) == distance(midnight + dt.timedelta(days=1), zone):
            continue
        for hour in range(HOURS_PER_DAY):
            half_past = midnight + dt.timedelta(hours=hour, minutes=30)
            before, after = distance(half_past, zone, fold=0), distance(half_past, zone, fold=1)
            if before != after:  # a moment that the clock skips has the later distance first
                (twice if before > after else left_out).add(day * HOURS_PER_DAY + hour)
    return left_out, twice


def distance(moment: dt.datetime, zone: dt.tzinfo, fold: int = 0) -> dt.timedelta:
    """How far a local time is ahead of UTC."""
    found = moment.replace(tzinfo=zone, fold=fold).utcoffset()
    assert found is not None
    return found
