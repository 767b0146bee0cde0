"""Text files: CSV and its relatives, as text, cell by cell; the encoding and the separator are found out."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, cast

from metric_tracker_env.history.columns import Column, Encoder
from metric_tracker_env.history.errors import HistoryError

SEPARATORS = (",", ";", "\t", "|")
ROWS_AT_A_TIME = 1 << 12  # few enough that the garbage collector does not go over them again and again
SAMPLE_BYTES = 1 << 16
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",  # before its own beginning, which is that of UTF-16
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
GZIP = b"\x1f\x8b"
OTHER_KINDS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"SQLite format": "a SQLite database",
    b"{": "JSON",
    b"[": "JSON",
    b"<": "HTML or XML",
}


VALUE = re.compile(r"[\d\s.,:/+%-]*\d[\d\s.,:/+%-]*")  # what no column is called


class Rows(Protocol):
    """What ``csv.reader`` makes."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class RawFile:
    """The bytes of a file, or of an open binary stream, from the beginning as often as wanted."""

    def __init__(self, source: Path | IO[bytes]) -> None:
        self._source = source
        self.name = str(source) if isinstance(source, Path) else str(getattr(source, "name", "the stream"))

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes; a stream is left open."""
        if isinstance(self._source, Path):
            try:
                stream = self._source.open("rb")
            except OSError as error:
                raise HistoryError(f"cannot be read: {error.strerror}", where=self.name) from error
            with stream:
                yield stream
        else:
            self._source.seek(0)
            yield self._source


class CsvFile:
    """A delimited text file, plain or gzipped, with its column names in the first row."""

    def __init__(self, raw: RawFile, encoding: str | None) -> None:
        self.where = raw.name
        self._raw = raw
        sample = self._sample()
        self._encoding = encoding or guess_encoding(sample)
        self._separator = self._guess_separator()
        self.names = self._header()

    def columns(self, names: Sequence[str]) -> dict[str, Column]:
        """The columns of these names, as text; rows without any value are left out."""
        places = [self.names.index(name) for name in names]
        encoders = [Encoder() for _ in names]
        for rows in self._blocks():
            cells = list(zip(*rows, strict=True))
            for encoder, place in zip(encoders, places, strict=True):
                encoder.add(cells[place])
        found: dict[str, Column] = {}
        for name, encoder in zip(names, encoders, strict=True):
            values, codes = encoder.encoded()
            found[name] = Column(name, values, codes, where=self.where, row_number=self.line)
        return found

    def line(self, place: int) -> int:
        """Line of the file, from 1, on which the row at a place ends."""
        with self._rows() as reader:
            lines = (reader.line_num for _ in filled(reader))
            return next(islice(lines, place + 1, None))  # the first filled row holds the names

    def numbered(self) -> Iterator[tuple[int, list[str]]]:
        """Every row, the header's too, with the line on which it ends."""
        with self._rows() as reader:
            for row in filled(reader):
                yield reader.line_num, row

    def _sample(self) -> bytes:
        """The first bytes of the content, unpacked; what is known to be no table in text is refused."""
        with self._bytes() as stream:
            sample = stream.read(SAMPLE_BYTES)
        for start, kind in OTHER_KINDS.items():
            if sample.lstrip().startswith(start):
                known = "CSV (plain or gzipped), parquet, data frames and SQL through DuckDB are read"
                raise HistoryError(f"this is {kind}; {known}", where=self.where)
        return sample

    def _guess_separator(self) -> str:
        """The separator that cuts the first rows into the most columns, if it can be into the same number each."""
        with self._text() as stream:
            head = list(islice(filter(str.strip, stream), 20))
        if not head:
            raise HistoryError("the file is empty", where=self.where)
        found: dict[str, tuple[bool, int]] = {}
        for separator in SEPARATORS:
            try:
                widths = [len(row) for row in filled(csv.reader(head, delimiter=separator))]
            except csv.Error:
                continue
            if widths and widths[0] > 1:
                found[separator] = len(set(widths)) == 1, widths[0]
        if not found:
            told = f"{head[0].rstrip()[:80]!r} is a single column; columns are separated by ',', ';', tab or '|'"
            raise HistoryError(told, where=self.where, row=1)
        return max(found, key=found.__getitem__)

    def _header(self) -> tuple[str, ...]:
        """Column names, each once; none may look like a value."""
        with self._rows() as reader:
            names = tuple(name.strip() for name in next(filled(reader)))
        for name, count in Counter(filter(None, names)).items():
            if count > 1:
                raise HistoryError(f"the column name {name!r} stands {count} times", where=self.where, row=1)
            if VALUE.fullmatch(name):
                told = f"{name!r} is a value; the first row must hold the names of the columns"
                raise HistoryError(told, where=self.where, row=1, value=name)
        return names

    def _blocks(self) -> Iterator[list[list[str]]]:
        """The rows below the header, many at a time, each as wide as the header."""
        width, place = len(self.names), 0
        with self._rows() as reader:
            rows = filled(reader)
            next(rows)
            while block := list(islice(rows, ROWS_AT_A_TIME)):
                if set(map(len, block)) != {width}:
                    wrong = next(i for i, row in enumerate(block) if len(row) != width)
                    raise HistoryError(
                        f"{len(block[wrong])} cells, but the {width} columns {list(self.names)} have names; "
                        f"cells are separated by {self._separator!r}, and a cell that holds it must be quoted",
                        where=self.where,
                        row=self.line(place + wrong),
                        value=self._separator.join(block[wrong]),
                    )
                place += len(block)
                yield block

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        """The content, unpacked."""
        with self._raw.opened() as stream:
            packed = stream.read(len(GZIP)) == GZIP
            stream.seek(0)
            try:
                yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise HistoryError(f"the gzipped file is damaged: {error}", where=self.where) from error

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        """The content as text."""
        with self._bytes() as stream:
            try:
                text = io.TextIOWrapper(stream, encoding=self._encoding, newline="")
            except LookupError as error:
                told = f"encoding {self._encoding!r} is not known; for example 'utf-8', 'cp1252' or 'utf-16'"
                raise HistoryError(told, where=self.where, value=self._encoding, option="encoding") from error
            try:
                yield text
            except UnicodeError as error:
                told = f"the text is not {self._encoding} ({error}); say what it is, for example encoding='cp1252'"
                raise HistoryError(told, where=self.where, option="encoding") from error
            finally:
                text.detach()

    @contextmanager
    def _rows(self) -> Iterator[Rows]:
        """The rows of the file."""
        with self._text() as stream:
            reader = csv.reader(stream, delimiter=self._separator, strict=True)
            try:
                yield reader
            except csv.Error as error:
                told = f"the quotes or cells of this row are not closed as CSV wants it: {error}"
                raise HistoryError(told, where=self.where, row=reader.line_num) from error
            except UnicodeDecodeError as error:
                told = f"byte {error.object[error.start]:#04x} is not {self._encoding}"
                told += "; say what the text is written in, for example encoding='cp1252'"
                raise HistoryError(told, where=self.where, row=reader.line_num + 1, option="encoding") from error


def guess_encoding(sample: bytes) -> str:
    """By the byte order mark; else UTF-16 where every other byte is 0; else UTF-8."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if sample[first::2].count(0) > len(sample) // 4:
            return encoding
    return "utf-8"


def filled(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """The rows that hold anything."""
    return filter(any, rows)


def rows_near(path: Path, row: int, encoding: str | None = None, beside: int = 2) -> list[tuple[int, list[str]]]:
    """The rows of a text file around a line, each with its line as an editor counts it; the header comes first.

    Rows that cannot be read are left out, so that a damaged file has what stands before the damage.
    """
    found: list[tuple[int, list[str]]] = []
    with suppress(HistoryError):
        for line, cells in CsvFile(RawFile(path), encoding).numbered():
            if not found or abs(line - row) <= beside:
                found.append((line, cells))
            if line > row + beside:
                break
    return found
