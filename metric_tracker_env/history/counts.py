"""Counts of rows: whole numbers from 0, or no value; anything else is refused with what it looks like."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from metric_tracker_env.config import MAX_DAILY_COUNT
from metric_tracker_env.history.columns import Column, is_missing

Decimal = Literal[".", ","]

ABSENT = -1  # of a count: there is no value
MARKS = ".,'\u2019 \u00a0\u202f"  # what parts thousands in some country
GROUPED = re.compile(rf"[1-9]\d{{0,2}}(?P<mark>[{MARKS}])\d{{3}}((?P=mark)\d{{3}})*", re.ASCII)
MAX_DIGITS = 18  # of an int64
COUNTS = "counts are whole numbers from 0"


def written_as(decimal: str) -> re.Pattern[str]:
    """Numbers with this sign before the fraction, their thousands parted or not."""
    marks = MARKS.replace(decimal, "")
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>[{marks}])\d{{3}}((?P=mark)\d{{3}})*"
    return re.compile(rf"(?P<whole>\d+|{grouped})(\{decimal}(?P<part>\d*))?", re.ASCII)


NUMBERS = {None: re.compile(r"(?P<whole>\d+)(\.(?P<part>\d*))?", re.ASCII), ".": written_as("."), ",": written_as(",")}


def read_counts(column: Column, decimal: Decimal | None) -> np.ndarray:
    """Counts of a column: (N,) int64, ``ABSENT`` where there is no value.

    Args:
        column: Texts or numbers.
        decimal: Sign before the fraction; when it is given, other signs part thousands.

    Raises:
        HistoryError: for a value that is no whole number from 0, and for one that may be two numbers.
    """
    if column.is_text:
        found = np.array([count_of(column, place, decimal) for place in range(len(column.values))], np.int64)
    else:
        found = typed_counts(column)
    return column.spread(found)


def typed_counts(column: Column) -> np.ndarray:
    """Counts of a column of numbers."""
    values = column.values
    if values.dtype.kind == "M":
        raise column.error("this column has times, not counts", option="steps")
    gaps = np.isnan(values)
    wrong = ~gaps & ~((values >= 0) & (values <= MAX_DAILY_COUNT) & (values == np.rint(values)))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise column.error_of(place, told(column, str(column.plain(place))))
    return np.where(gaps, ABSENT, values).astype(np.int64)


def count_of(column: Column, place: int, decimal: Decimal | None) -> int:
    """The count that a text is."""
    text = column.values[place].strip()
    if is_missing(text):
        return ABSENT
    if not text.isascii() or not text.isdigit():
        if decimal is None and GROUPED.fullmatch(text) is not None:
            what = f"{text!r} has parted thousands or a fraction; say which with decimal='.' or decimal=','"
            raise column.error_of(place, f"{what}, the sign before a fraction", option="decimal")
        match = NUMBERS[decimal].fullmatch(text)
        if match is None or (match["part"] or "").strip("0"):
            raise column.error_of(place, told(column, text))
        text = re.sub(r"\D", "", match["whole"])
    if len(text) > MAX_DIGITS or int(text) > MAX_DAILY_COUNT:
        raise column.error_of(place, told(column, text))
    return int(text)


def told(column: Column, text: str) -> str:
    """What is wrong with a text that is no count."""
    number = as_float(text)
    if text.endswith("%"):
        return f"{text!r} is a percentage; give the counts behind it: {COUNTS}"
    if number is None:
        return f"{text!r} is no number; {COUNTS}"
    if number < 0:
        return f"{text} is negative; {COUNTS}"
    if "e" in text.lower() and column.is_text:
        return f"{text!r} is rounded to few digits; write it out: {COUNTS}"
    if number > MAX_DAILY_COUNT:
        return f"{text} is more than {MAX_DAILY_COUNT:,}, the most events that a count may have"
    others = [as_float(str(value)) for value in column.values.tolist()]
    most = max(value for value in others if value is not None and value == value)
    kind = ", a share it seems" if most <= 1 else ", a percentage it seems" if most <= 100 else ""
    return f"{text} is a fraction{kind}; {COUNTS}, so give the events behind it"


def as_float(text: str) -> float | None:
    """The number that a text is in any country, as well as can be told."""
    try:
        return None if not text.isascii() else float(text.strip().rstrip("%").replace(" ", "").replace(",", "."))
    except ValueError:
        return None
