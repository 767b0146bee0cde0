"""Times of rows: from texts, numbers and datetimes to the local day and hour that they fall on."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

import numpy as np

from metric_tracker_env.history.columns import Column, first_missing
from metric_tracker_env.history.zones import local_seconds, offset_zone, zone_of
from metric_tracker_env.schema import HOURS_PER_DAY

SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = SECONDS_PER_HOUR * HOURS_PER_DAY
UNIX_UNITS = {"unix": 1, "unix_ms": 1000}  # values of time_format: units a second
YEARS = range(1970, 2201)

CLOCK = (
    r"(?:[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"(?: ?(?P<half>[AaPp])[Mm])?(?: ?(?P<zone>Z|z|UTC|(?P<sign>[+-])(?P<off>\d\d)(?::?(?P<offmin>\d\d))?))?)?"
)
FORMS = {
    "year-month-day": re.compile(r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d\d?)(?P=sep)(?P<day>\d\d?)" + CLOCK),
    "yyyymmdd": re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)" + CLOCK),
    "day.month.year": re.compile(r"(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})" + CLOCK),
    "day and month, year": re.compile(r"(?P<day>\d\d?)(?P<sep>[/-])(?P<month>\d\d?)(?P=sep)(?P<year>\d{4})" + CLOCK),
}
EITHER = "day and month, year"  # which of the two comes first must be found out
UNKNOWN = "is no date or time in a form that is known"
HELP = "say how it is written with time_format, for example time_format='%d.%m.%Y %H:%M'"


class Moments(NamedTuple):
    """The times of N rows."""

    seconds: np.ndarray  # (N,) int64 local time as seconds since 1970-01-01 00:00
    elapsed: np.ndarray  # (N,) int64 the same without jumps of the clock, where the source tells instants
    has_clock: bool  # whether any is not midnight
    zone: str | None  # in which the days are counted, if it is known
    notes: tuple[str, ...]

    @property
    def days(self) -> np.ndarray:
        """(N,) int64 days since 1970-01-01."""
        return self.seconds // SECONDS_PER_DAY

    @property
    def hours(self) -> np.ndarray:
        """(N,) int64 hours of the day."""
        return self.seconds % SECONDS_PER_DAY // SECONDS_PER_HOUR


class Written(NamedTuple):
    """The distinct times of a column as they are written."""

    seconds: np.ndarray  # (K,) int64 since 1970-01-01 00:00 of the clock on the wall, or of UTC for instants
    offsets: np.ndarray | None = None  # (K,) int64 seconds ahead of UTC, where the source tells instants


def read_times(column: Column, timezone: str | None, time_format: str | None) -> Moments:
    """The times of a column.

    Args:
        column: Texts, whole numbers or datetimes.
        timezone: Name of the time zone in which days are counted; times without one are taken to be in it.
        time_format: As in ``strptime``, or "unix" (seconds since 1970) or "unix_ms".

    Raises:
        HistoryError: for a value that is no time, for formats that differ, and where a day could be another.
    """
    if time_format in UNIX_UNITS:
        written = unix_times(column, time_format)
    elif column.values.dtype.kind == "M":
        written = typed_times(column)
    elif time_format is not None:
        written = formatted_times(column, time_format)
    else:
        written = guessed_times(column)
    return placed(column, written, timezone)


def placed(column: Column, written: Written, timezone: str | None) -> Moments:
    """Times in the time zone in which days are counted."""
    notes: list[str] = []
    seconds, offsets, zone = written.seconds, written.offsets, timezone
    if offsets is None:
        if timezone is not None:
            zone_of(timezone)  # refuses a name that is not known
    else:
        if timezone is None:
            zone = column.zone or offset_zone(one_offset(column, offsets))
            notes.append(f"days are counted in {zone}, as the times are written; timezone= counts them in another")
        assert zone is not None
        seconds = local_seconds(written.seconds, zone)
    has_clock = bool((seconds % SECONDS_PER_DAY).any())
    if offsets is not None and has_clock and not ((written.seconds + offsets) % SECONDS_PER_DAY).any():
        what = f"every time is a midnight, but not in {zone}: these are whole days, which cannot be cut anew"
        raise column.error_of(0, what, option="timezone")
    return Moments(column.spread(seconds), column.spread(written.seconds), has_clock, zone, tuple(notes))


def one_offset(column: Column, offsets: np.ndarray) -> int:
    """The distance from UTC that all times have."""
    other = offsets != offsets[:1]
    if other.any():
        place = int(np.argmax(other))
        what = f"{column.plain(place)!r} is written with another distance from UTC than {column.plain(0)!r} before it; "
        what += "name the time zone in which days are counted, for example timezone='Europe/Berlin'"
        raise column.error_of(place, what, option="timezone")
    return int(offsets[0])


def typed_times(column: Column) -> Written:
    """Datetimes of a frame or a database."""
    gaps = np.isnat(column.values)
    if gaps.any():
        raise column.error("there is no time", at=int(np.argmax(gaps)), option="time")
    micros = column.values.astype("datetime64[us]").astype(np.int64)
    seconds = micros // 1_000_000
    check_years(column, seconds)
    return Written(seconds, np.zeros_like(seconds) if column.zone is not None else None)


def unix_times(column: Column, time_format: str) -> Written:
    """Numbers of seconds, or milliseconds, since 1970."""
    try:
        values = np.array([int(text) for text in column.values.tolist()], np.int64)
    except (ValueError, OverflowError) as error:
        raise column.error(f"time_format={time_format!r} wants whole numbers: {error}", option="time_format") from error
    seconds = values // UNIX_UNITS[time_format]
    check_years(column, seconds)
    return Written(seconds, np.zeros_like(seconds))


def formatted_times(column: Column, time_format: str) -> Written:
    """Texts in a format that was told."""
    texts = texts_of(column)
    seconds = np.empty(len(texts), np.int64)
    offsets = np.zeros(len(texts), np.int64)
    aware = False
    for place, text in enumerate(texts):
        try:
            found = dt.datetime.strptime(text, time_format)
        except (ValueError, re.error) as error:  # a format that names a part twice is no pattern
            what = f"{text!r} does not follow time_format={time_format!r} ({error})"
            raise column.error_of(place, what, option="time_format") from error
        if (offset := found.utcoffset()) is not None:
            aware, offsets[place] = True, int(offset.total_seconds())
        seconds[place] = (found.replace(tzinfo=None) - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1)
    seconds -= offsets
    check_years(column, seconds)
    return Written(seconds, offsets if aware else None)


def guessed_times(column: Column) -> Written:
    """Texts in one of the forms that are known; all must have the same."""
    texts = texts_of(column)
    try:
        table = np.array(texts, "S")
    except UnicodeEncodeError as error:
        place = next(i for i, text in enumerate(texts) if not text.isascii())
        raise column.error_of(place, f"{texts[place]!r} {UNKNOWN}; {HELP}", "time_format") from error
    letters = table.view(np.uint8).reshape(len(texts), -1)
    shapes = np.where((letters >= ord("0")) & (letters <= ord("9")), ord("0"), letters)
    left = np.arange(len(texts))
    parts: dict[str, np.ndarray] = {}
    family, either = None, False
    while len(left):
        place = int(left[0])
        form, match = match_of(column, place, texts[place])
        here = form, match["hour"] is not None, match["zone"] is not None, match.groupdict().get("sep")
        if family is None:
            family, either = here, form == EITHER
        elif here != family:
            what = f"{texts[place]!r} is written otherwise than {texts[0]!r} before it; {HELP}"
            raise column.error_of(place, what, option="time_format")
        same = (shapes[left] == shapes[place]).all(axis=1)
        take_parts(parts, letters, left[same], match)
        left = left[~same]
    assert family is not None
    if either:
        order_day_and_month(column, parts)
    return assembled(column, parts, has_zone=family[2])


def texts_of(column: Column) -> list[str]:
    """The distinct texts of a time column."""
    texts = [str(value).strip() for value in column.values.tolist()]
    if (place := first_missing(texts)) is not None:
        raise column.error_of(place, "there is no time", option="time")
    return texts


def match_of(column: Column, place: int, text: str) -> tuple[str, re.Match[str]]:
    """The form that a text has."""
    for form, pattern in FORMS.items():
        if (match := pattern.fullmatch(text)) is not None:
            return form, match
    hint = "; for seconds since 1970 give time_format='unix'" if re.fullmatch(r"\d{9,13}(\.0)?", text) else ""
    raise column.error_of(place, f"{text!r} {UNKNOWN}; {HELP}{hint}", option="time_format")


def take_parts(parts: dict[str, np.ndarray], letters: np.ndarray, rows: np.ndarray, match: re.Match[str]) -> None:
    """Read the numbers of texts that have their digits in the same places."""
    found = {"year", "month", "day", "hour", "minute", "second", "off", "offmin"}
    for name in found:
        if name not in parts:
            parts[name] = np.zeros(len(letters), np.int64)
        start, end = match.span(name)
        for position in range(start, end):
            parts[name][rows] = 10 * parts[name][rows] + letters[rows, position] - ord("0")
    for name in ("half", "sign"):
        if name not in parts:
            parts[name] = np.zeros(len(letters), np.int64)
        if match[name] is not None:
            parts[name][rows] = letters[rows, match.start(name)]


def order_day_and_month(column: Column, parts: dict[str, np.ndarray]) -> None:
    """Which of two numbers is the day: the one that passes 12 somewhere."""
    first, second = parts["day"] > 12, parts["month"] > 12
    if first.any() and second.any():
        place, other = int(np.argmax(first)), int(np.argmax(second))
        place, other = max(place, other), min(place, other)
        texts = column.values
        what = f"{texts[place]!r} has day and month otherwise than {texts[other]!r} before it; {HELP}"
        raise column.error_of(place, what, option="time_format")
    if second.any():
        parts["day"], parts["month"] = parts["month"], parts["day"]
    elif not first.any():
        what = f"{column.values[0]!r}: no value tells the day from the month"
        what += "; give time_format='%d/%m/%Y' or time_format='%m/%d/%Y', and the time of day after it if there is one"
        raise column.error_of(0, what, option="time_format")


def assembled(column: Column, parts: dict[str, np.ndarray], has_zone: bool) -> Written:
    """Seconds from their parts; a part out of its range is refused."""
    year, month, day, hour = (parts[name] for name in ("year", "month", "day", "hour"))
    half = parts["half"]
    twelve = half > 0
    wrong = (month < 1) | (month > 12) | (hour >= HOURS_PER_DAY) | (parts["minute"] >= 60) | (parts["second"] >= 60)
    wrong |= twelve & ((hour < 1) | (hour > 12))
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    wrong |= (day < 1) | (days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) != months)
    if wrong.any():
        place = int(np.argmax(wrong))
        what = f"{column.plain(place)!r} is no date or time of the calendar"
        raise column.error_of(place, what, option="time_format")
    afternoon = (half == ord("p")) | (half == ord("P"))
    hour = np.where(twelve, hour % 12 + 12 * afternoon, hour)
    seconds = days * SECONDS_PER_DAY + hour * SECONDS_PER_HOUR + parts["minute"] * 60 + parts["second"]
    check_years(column, seconds)
    if not has_zone:
        return Written(seconds)
    offsets = (parts["off"] * 60 + parts["offmin"]) * 60 * np.where(parts["sign"] == ord("-"), -1, 1)
    return Written(seconds - offsets, offsets)


def check_years(column: Column, seconds: np.ndarray) -> None:
    """Refuse years that no product has data of."""
    first, last = (int(np.datetime64(f"{year}-01-01", "s").astype(np.int64)) for year in (YEARS.start, YEARS.stop))
    wrong = (seconds < first) | (seconds >= last)
    if wrong.any():
        place = int(np.argmax(wrong))
        what = f"{str(column.values[place])!r} is not in the years {YEARS.start} to {YEARS.stop - 1}"
        raise column.error_of(place, what, option="time_format")


def read_hours(column: Column) -> np.ndarray:
    """Hours of the day of a column of their own: (N,) int64 from 0 to 23."""
    hours = np.empty(len(column.values), np.int64)
    for place, value in enumerate(column.values.tolist()):
        text = str(value).strip().removesuffix(".0")
        if not (text.isascii() and text.isdigit() and int(text) < HOURS_PER_DAY):
            raise column.error_of(place, f"{text!r} is not a whole hour from 0 to {HOURS_PER_DAY - 1}", option="hour")
        hours[place] = int(text)
    return column.spread(hours)


def day_name(day: int) -> str:
    """ISO date of a day since 1970-01-01."""
    return str(np.datetime64(int(day), "D"))
