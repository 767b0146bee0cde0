"""Where a history comes from: a file, SQL, a frame or a relation, each as columns with names."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from metric_tracker_env.history.columns import Column
from metric_tracker_env.history.csv_file import CsvFile, RawFile
from metric_tracker_env.history.duckdb_query import Query, parquet, sql
from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.history.frames import Frame

PARQUET = b"PAR1"
SQL = re.compile(r"\s*(select|with|from)\s", re.IGNORECASE)


class Source(Protocol):
    """A table."""

    where: str  # what it is called in messages
    names: tuple[str, ...]  # of its columns

    def columns(self, names: Sequence[str]) -> dict[str, Column]:
        """The columns of these names."""
        ...


def open_source(source: Any, encoding: str | None = None) -> Source:
    """The table behind a path, an open binary file, a SQL query, a data frame or a DuckDB relation.

    Raises:
        HistoryError: if it is none of these, or cannot be read.
        ImportError: if a library is not installed; names the extra.
    """
    if isinstance(source, str) and SQL.match(source):
        return sql(source)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not path.is_file():
            raise HistoryError("there is no such file" if not path.exists() else "this is no file", where=str(source))
        return parquet(path) if begins_with(path, PARQUET) else CsvFile(RawFile(path), encoding)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return CsvFile(RawFile(source), encoding)
    duckdb = sys.modules.get("duckdb")  # whoever has a relation has imported it
    if duckdb is not None and isinstance(source, duckdb.DuckDBPyRelation):
        return Query(source, "the relation")
    return Frame(source)


def begins_with(path: Path, start: bytes) -> bool:
    """Whether a file begins with these bytes."""
    with RawFile(path).opened() as stream:
        return stream.read(len(start)) == start
