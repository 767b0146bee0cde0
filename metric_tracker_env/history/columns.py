"""Columns as a source gives them: text with each distinct value kept once, or typed arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metric_tracker_env.history.errors import HistoryError

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "<na>", "#n/a", "-"})
LONGEST_MISSING = max(map(len, MISSING_WORDS))


def is_missing(text: str) -> bool:
    """Whether a text stands for no value."""
    return text.strip().lower() in MISSING_WORDS


def first_missing(texts: Iterable[str]) -> int | None:
    """Place of the first text that stands for no value."""
    return next((i for i, text in enumerate(texts) if len(text) <= LONGEST_MISSING and is_missing(text)), None)


@dataclass(frozen=True)
class Column:
    """One column of N rows.

    Text is kept as its distinct values and, for each row, the place of its value among them, so that each is
    read once. Typed columns are arrays with one value a row, and ``codes`` is None.
    """

    name: str
    values: np.ndarray  # (K,) object texts, or (N,) int64, float64 (NaN missing), datetime64[us] (NaT missing)
    codes: np.ndarray | None = None  # (N,) int64 places in values
    zone: str | None = None  # of datetimes that are instants: their own time zone, the values being in UTC
    dates_only: bool = False  # datetimes that came as dates
    where: str = ""  # the source, for messages
    row_number: Callable[[int], int] = field(default=int)  # how the source counts its rows, from a place from 0

    def __len__(self) -> int:
        return len(self.values if self.codes is None else self.codes)

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.values.dtype == object

    def spread(self, of_values: np.ndarray) -> np.ndarray:
        """One entry a value -> one entry a row."""
        return of_values if self.codes is None else of_values.take(self.codes, axis=0)

    def first_row(self, value: int) -> int:
        """Place of the first row that holds the value at this place."""
        return value if self.codes is None else int(np.argmax(self.codes == value))

    def error(
        self, what: str, *, at: int | None = None, value: object = None, option: str | None = None
    ) -> HistoryError:
        """An error about this column, at the row at place ``at``."""
        row = None if at is None else self.row_number(at)
        return HistoryError(what, where=self.where, row=row, column=self.name, value=value, option=option)

    def error_of(self, value: int, what: str, option: str | None = None) -> HistoryError:
        """An error about the value at a place among ``values``: its first row is named."""
        return self.error(what, at=self.first_row(value), value=self.plain(value), option=option)

    def plain(self, value: int) -> Any:
        """The value at a place, as Python has it."""
        found = self.values[value]
        return found if isinstance(found, str) else found.item()


class Encoder:
    """Collects texts, each distinct one once."""

    def __init__(self) -> None:
        self._places: defaultdict[str, int] = defaultdict()
        self._places.default_factory = self._places.__len__  # a new text takes the next place
        self._codes: list[np.ndarray] = []

    def add(self, texts: Sequence[str]) -> None:
        """Take the texts of further rows."""
        self._codes.append(np.fromiter(map(self._places.__getitem__, texts), np.int64, len(texts)))

    def encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) object distinct texts in order of first appearance, and (N,) int64 places of the rows' texts."""
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int64)
        return objects(self._places), codes


def objects(items: Iterable[Any]) -> np.ndarray:
    """A one-dimensional array of objects, whatever they are."""
    kept = list(items)
    out = np.empty(len(kept), object)
    out[:] = kept
    return out


def encoded(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct texts and the rows' places among them."""
    encoder = Encoder()
    encoder.add(texts)
    return encoder.encoded()
