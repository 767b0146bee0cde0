"""Tables through DuckDB: parquet files, SQL queries and relations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metric_tracker_env.history.columns import Column, encoded
from metric_tracker_env.history.errors import EXTRA, HistoryError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

WHOLE = {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"}
REAL = {"float", "double", "decimal", "hugeint", "uhugeint", "ubigint"}  # a sum of integers is a hugeint
MOMENTS = {"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "date"}
INSTANT = "timestamp with time zone"


class Query:
    """A relation of DuckDB."""

    def __init__(self, relation: DuckDBPyRelation, where: str, connection: DuckDBPyConnection | None = None) -> None:
        self.where = where
        self._connection = connection  # kept, as DuckDB before 1.2 closes one that nobody holds
        self._relation = relation
        self.names = tuple(relation.columns)
        self._types = {name: str(kind.id) for name, kind in zip(relation.columns, relation.types, strict=True)}

    def columns(self, names: Sequence[str]) -> dict[str, Column]:
        """The columns of these names; what is no number and no time comes as text."""
        from duckdb import Error

        wanted = [f"{self._expression(name)} AS c{i}" for i, name in enumerate(names)]
        try:
            arrays = self._relation.project(", ".join(wanted)).fetchnumpy()
        except Error as error:
            raise HistoryError(told(error), where=self.where) from error
        return {name: self._column(name, arrays[f"c{i}"]) for i, name in enumerate(names)}

    def _expression(self, name: str) -> str:
        """SQL that gives a column in one of few types."""
        quoted, kind = '"' + name.replace('"', '""') + '"', self._types[name]
        if kind in WHOLE:
            return f"{quoted}::BIGINT"
        if kind in REAL:
            return f"{quoted}::DOUBLE"
        if kind == INSTANT:
            return f"make_timestamp(epoch_us({quoted}))"
        return f"{quoted}::TIMESTAMP" if kind in MOMENTS else f"{quoted}::VARCHAR"

    def _column(self, name: str, found: Any) -> Column:
        """A column from what DuckDB made of it: masked where there is no value."""
        gaps, values = np.ma.getmaskarray(found), np.ma.getdata(found)
        kind = self._types[name]
        if values.dtype == object:
            filled = np.where(gaps, "", values)
            texts, codes = encoded(filled.tolist())
            return Column(name, texts, codes, where=self.where)
        if gaps.any():
            values = values.astype(np.float64) if values.dtype.kind == "i" else values.copy()
            values[gaps] = np.datetime64("NaT") if values.dtype.kind == "M" else np.nan
        zone = "UTC" if kind == INSTANT else None
        return Column(name, values, zone=zone, dates_only=kind == "date", where=self.where)


def parquet(path: Path) -> Query:
    """A parquet file."""
    return query(lambda connection: connection.read_parquet(str(path)), str(path))


def sql(text: str) -> Query:
    """The result of a query, in a database of its own; it may name files."""
    return query(lambda connection: connection.sql(text), "the query")


def query(made: Callable[[DuckDBPyConnection], DuckDBPyRelation], where: str) -> Query:
    """What is made in a database of its own.

    Raises:
        ImportError: if DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ImportError(f"parquet and SQL are read through duckdb: {EXTRA}") from error
    try:
        connection = duckdb.connect()
        return Query(made(connection), where, connection)
    except duckdb.Error as error:
        raise HistoryError(told(error), where=where) from error


def told(error: Exception) -> str:
    """The first line of what DuckDB says."""
    return f"DuckDB: {str(error).splitlines()[0]}"
