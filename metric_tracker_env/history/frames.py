"""Data frames: pandas, polars and pyarrow, through narwhals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from metric_tracker_env.history.columns import Column, encoded
from metric_tracker_env.history.errors import EXTRA, HistoryError


class Frame:
    """A data frame; lazy ones are collected."""

    where = "the frame"

    def __init__(self, source: Any) -> None:
        try:
            import narwhals as nw
        except ImportError as error:
            raise ImportError(f"data frames are read through narwhals: {EXTRA}") from error
        try:
            frame = nw.from_native(source)
        except TypeError as error:
            kinds = "the path of a file, SQL, a pandas, polars or pyarrow frame or a DuckDB relation"
            raise HistoryError(f"a history is read from {kinds}, not from {type(source).__name__}") from error
        self._frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        self.names = tuple(map(str, self._frame.columns))

    def columns(self, names: Sequence[str]) -> dict[str, Column]:
        """The columns of these names; what is no number and no time comes as text."""
        return {name: self._column(name) for name in names}

    def _column(self, name: str) -> Column:
        """A column in one of few types."""
        import narwhals as nw

        series = self._frame[name]
        kind = series.dtype
        if isinstance(kind, nw.Datetime) and kind.time_zone is not None:
            plain = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            return self._moments(name, plain.to_numpy(), zone=kind.time_zone)
        if isinstance(kind, nw.Date):
            return self._moments(name, series.cast(nw.Datetime("us")).to_numpy(), dates_only=True)
        if isinstance(kind, nw.Datetime):
            return self._moments(name, series.to_numpy())
        if kind.is_integer() and kind != nw.UInt64 and not series.null_count():
            return Column(name, series.cast(nw.Int64).to_numpy(), where=self.where)
        if kind.is_numeric():
            return Column(name, series.cast(nw.Float64).to_numpy().astype(np.float64), where=self.where)
        return self._objects(name, series.to_list())

    def _moments(self, name: str, values: np.ndarray, zone: str | None = None, dates_only: bool = False) -> Column:
        """A column of times."""
        return Column(name, values.astype("datetime64[us]"), zone=zone, dates_only=dates_only, where=self.where)

    def _objects(self, name: str, items: list[Any]) -> Column:
        """A column of Python's dates, or of texts and whatever can be written as text."""
        filled = [item for item in items if item is not None and item == item]
        if filled and all(type(item) is dt.date for item in filled):
            dates = [np.datetime64(item if type(item) is dt.date else "NaT", "us") for item in items]
            return self._moments(name, np.array(dates), dates_only=True)
        values, codes = encoded(["" if item is None or item != item else str(item) for item in items])
        return Column(name, values, codes, where=self.where)
