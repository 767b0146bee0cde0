"""Visitors' own histories on the page: read and fitted, tried with incidents by hand, and reported about.

All of it is what the commands ``fit`` and ``watch`` do, on a folder of the visitor's own that goes when he does.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from metric_tracker_env.config.replay import LATEST_DAYS
from metric_tracker_env.fitting.fit import LEAST_WEEKS
from metric_tracker_env.history import History, HistoryError
from metric_tracker_env.history.csv_file import GZIP, rows_near
from metric_tracker_env.history.sources import PARQUET, begins_with
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import DAYS_PER_WEEK, Difficulty
from metric_tracker_env.ui.own_data import Stored

from ..own_data.files import (
    AS_IS,
    FIT,
    FITTED,
    HELD_OUT,
    HISTORY,
    PICTURE,
    REPORTED,
    Reported,
    read_model,
)
from ..own_data.fit import Fitted, fit_with
from ..own_data.inject import inject
from ..own_data.options import FitOptions, fields_of
from ..own_data.picture import SHOWN_WEEKS
from ..own_data.report import Report, sentence
from ..own_data.watch import Watched, judge, watch
from ..players.player import PlayerError
from ..players.registry import find_player
from .plots import plots_of

MOST_VISITORS = 8  # whose files are kept at once
UNPACKED = 16  # times the most bytes of a file that a gzipped or parquet one may hold
READ = (".csv", ".tsv", ".txt", ".gz", ".parquet")
NUMBER_BYTES = 8
LONGEST_LINE = 1_000_000  # bytes of the names of the columns
MOST_FILES = 500  # of the server's folder that are listed
DOWNLOADS = {
    FITTED: "application/toml",
    HELD_OUT: "application/toml",
    AS_IS: "application/toml",
    FIT: "application/json",
    PICTURE: "image/png",
    HISTORY: "application/octet-stream",
}


class Workshop:
    """Makes a desk for each visitor, see ``metric_tracker_env.ui.own_data``.

    Args:
        most_bytes: Of an uploaded file, and a sixteenth of what a gzipped one may hold.
        folder: Whose files visitors may read beside their own; None for none.
        agents: Folders of models that may judge, beside the analyst.

    Raises:
        ValueError: if the folder is none.
    """

    def __init__(self, most_bytes: int, folder: Path | None = None, agents: Sequence[str] = ()) -> None:
        if folder is not None and not folder.expanduser().is_dir():
            raise ValueError(f"data {str(folder)!r} is no folder")
        self.most_bytes, self.most_visitors = most_bytes, MOST_VISITORS
        self.folder = None if folder is None else folder.expanduser().resolve()
        self.agents = {"analyst": "analyst", **{Path(name).name: name for name in agents}}

    def desk(self) -> OwnDesk:
        """One for a new visitor."""
        return OwnDesk(self)

    def files(self) -> list[str]:
        """What visitors may read of the folder, by its path in it."""
        if self.folder is None:
            return []
        names = (Path(place, name) for place, name in self._walked() if self._inside(Path(place, name)))
        return sorted(path.relative_to(self.folder).as_posix() for path in islice(names, MOST_FILES))

    def _walked(self) -> Iterator[tuple[str, str]]:
        """Folder and name of all files that are not in a hidden folder, such as a virtual environment's."""
        assert self.folder is not None
        for place, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from ((place, name) for name in sorted(names))

    def path_of(self, name: str) -> Path:
        """A file of the folder.

        Raises:
            ValueError: if there is none of that name, or it lies elsewhere.
        """
        if self.folder is None:
            raise ValueError("this server lets no file of its own be read; upload one")
        path = self.folder / name
        if "\0" in name or not self._inside(path):
            raise ValueError(f"path {name!r} is no file of the folder that this server lets be read")
        return path.resolve()

    def _inside(self, path: Path) -> bool:
        """Whether it is a file of the folder that holds data, by its name, and is not hidden."""
        assert self.folder is not None
        found = path.resolve()
        if not found.is_relative_to(self.folder) or not path.is_file():
            return False
        places = (*found.relative_to(self.folder).parts, *path.relative_to(self.folder).parts)
        return found.suffix.lower() in READ and not any(place.startswith(".") for place in places)


class Source(NamedTuple):
    """A file that a visitor has chosen."""

    name: str  # as he knows it
    path: Path
    size: int
    columns: list[str]  # where they can be told before it is read


class OwnDesk:
    """What one visitor has."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        self._source: Source | None = None
        self._given: dict[str, str] = {}  # options as the form had them
        self._history: History | None = None
        self._fitted: Fitted | None = None
        self._tried: dict[str, Any] | None = None
        self._report: dict[str, Any] | None = None
        self._fault: dict[str, Any] | None = None

    def take(self, name: str, content: bytes) -> None:
        """A file that was sent."""
        with self._telling("file"):
            path = self._place / "upload"
            path.write_bytes(content)
            self._choose(name, path)

    def open(self, path: str) -> None:
        """A file that the server has."""
        with self._telling("file"):
            self._choose(path, self._workshop.path_of(path))

    def fit(self, options: Mapping[str, str]) -> None:
        """Read and fit the file."""
        self._forget()
        self._given = dict(options)
        with self._telling("fit"):
            if self._source is None:
                raise ValueError("choose a file first")
            chosen = FitOptions.of_texts(options)
            self._history = chosen.reading.read(self._source.path, chosen.since, chosen.until)
            (self._folder / REPORTED).unlink(missing_ok=True)  # of the history before
            self._fitted = fit_with(chosen, self._history, self._folder)

    def try_incident(self, date: str, measure: str, change: float, agent: str) -> None:
        """What an agent says the morning after an incident, and what it says without."""
        with self._telling("try"):
            fitted, history = self._whole()
            player = find_player(self._agent(agent))
            changed = inject(history, fitted.whole, date, measure, change)
            tried = self._place / "tried"
            tried.mkdir(exist_ok=True)
            plain, told = (
                judge(tried, item.between(last=date), fitted.report, Reported(), player) for item in (history, changed)
            )
            normal = {item.measure: item for item in fitted.report.normal}[measure]
            self._tried = {
                "date": date,
                "measure": measure,
                "change": change,
                "agent": agent,
                "seen": normal.smallest_change[fitted.report.difficulty],
                "verdict": verdict(told.report, date, measure),
                "without": [sentence(row) for row in (*plain.report.rows, *plain.report.explained)],
                **words_of(told, fitted.report.difficulty),
            }

    def report(self, until: str, agent: str, accept: str) -> None:
        """The report of a morning; what it tells is not believed by later ones."""
        with self._telling("report"):
            fitted, history = self._whole()
            given = self._agent(agent)
            found = watch(self._folder, history, given, LATEST_DAYS, accept or None, until)
            state = read_model(self._folder / REPORTED, Reported)
            words = words_of(found, fitted.report.difficulty)
            self._report = {"until": until, "disbelieved": state.disbelieved(), **words}

    def state(self) -> dict[str, Any]:
        """All that the page shows."""
        source, fitted = self._source, self._fitted
        return {
            "form": [field._asdict() for field in fields_of(FitOptions)],
            "files": self._workshop.files(),
            "agents": list(self._workshop.agents),
            "most_bytes": self._workshop.most_bytes,
            "source": None
            if source is None
            else {"name": source.name, "bytes": source.size, "columns": source.columns},
            "options": self._given,
            "fault": self._fault,
            "fit": None if fitted is None or self._history is None else told_fit(fitted, self._history, self._folder),
            "tried": self._tried,
            "report": self._report,
        }

    def stored(self, name: str) -> Stored | None:
        """A file of the fit."""
        if self._fitted is None or name not in DOWNLOADS or not (self._folder / name).exists():
            return None
        return Stored((self._folder / name).read_bytes(), DOWNLOADS[name])

    def close(self) -> None:
        """Delete what is kept."""
        if self._kept is not None:
            self._kept.cleanup()
        self._kept = self._source = None
        self._forget()

    @property
    def _place(self) -> Path:
        if self._kept is None:
            self._kept = tempfile.TemporaryDirectory(prefix="metric_tracker_own_")
        return Path(self._kept.name)

    @property
    def _folder(self) -> Path:
        """That of the fit."""
        folder = self._place / "own"
        folder.mkdir(exist_ok=True)
        return folder

    def _choose(self, name: str, path: Path) -> None:
        """A file that is not too much when it is unpacked; else there is none."""
        self._forget()
        self._source, self._given = None, {}
        check_unpacked(name, path, UNPACKED * self._workshop.most_bytes)
        self._source = Source(name, path, path.stat().st_size, header(name, path))

    def _forget(self) -> None:
        """What was found in another file, or read otherwise."""
        self._history = self._fitted = self._tried = self._report = None

    def _whole(self) -> tuple[Fitted, History]:
        if self._fitted is None or self._history is None:
            raise ValueError("read and fit a file first")
        return self._fitted, self._history

    def _agent(self, name: str) -> str:
        if name not in self._workshop.agents:
            raise ValueError(f"agent {name!r} is not one of {list(self._workshop.agents)}")
        return self._workshop.agents[name]

    @contextmanager
    def _telling(self, about: str) -> Iterator[None]:
        """Keep what is wrong as a fault, at its row where it has one."""
        self._fault = None
        try:
            yield
        except (ValueError, ImportError, OSError, PlayerError) as error:
            self._fault = {"about": about, **fault_of(error, self._source, self._given.get("encoding") or None)}


def check_unpacked(name: str, path: Path, most: int) -> None:
    """Refuse a file that holds too much once it is unpacked.

    Raises:
        HistoryError: naming the limit.
    """
    size = 0
    if begins_with(path, PARQUET):
        size = bytes_of_numbers(path)
    elif begins_with(path, GZIP):
        with suppress(EOFError, zlib.error), gzip.open(path) as stream:  # which the reader tells, too
            while size <= most and (chunk := stream.read(1 << 20)):
                size += len(chunk)
    if size > most:
        raise HistoryError(f"the packed file holds more than {most:,} bytes", where=name)


def bytes_of_numbers(path: Path) -> int:
    """What the cells of a parquet file take as numbers; 0 of a broken one, which the reader tells."""
    import duckdb

    with suppress(duckdb.Error), duckdb.connect() as connection:
        rows = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [os.fspath(path)]).fetchone()
        columns = connection.execute("SELECT count(*) FROM parquet_schema(?)", [os.fspath(path)]).fetchone()
        assert rows is not None
        assert columns is not None  # of an aggregate there is one row
        return NUMBER_BYTES * int(rows[0] or 0) * int(columns[0])
    return 0


def header(name: str, path: Path) -> list[str]:
    """Names of the columns of a text file; none where they cannot be told yet.

    Raises:
        HistoryError: if its first line has no end.
    """
    if begins_with(path, PARQUET):
        return []
    open_file = gzip.open if begins_with(path, GZIP) else open
    with open_file(path, "rb") as stream, suppress(EOFError, zlib.error, gzip.BadGzipFile):
        start = stream.read(LONGEST_LINE)
        if len(start) == LONGEST_LINE and b"\n" not in start and b"\r" not in start:
            raise HistoryError(f"its first line is longer than {LONGEST_LINE:,} bytes", where=name)
    found = rows_near(path, 1, beside=0)
    return [name.strip() for name in found[0][1]] if found else []


def fault_of(error: Exception, source: Source | None, encoding: str | None) -> dict[str, Any]:
    """What is wrong, where, which option decides, and the rows of a text file around it."""
    text = in_one_line(error)
    told = {"message": text, "row": None, "column": None, "value": None, "option": None, "near": []}
    if source is not None:
        told["message"] = text.replace(os.fspath(source.path), source.name)
    if isinstance(error, HistoryError):
        told |= {"row": error.row, "column": error.column, "option": error.option}
        told["value"] = None if error.value is None else str(error.value)
        if error.row is not None and source is not None and not begins_with(source.path, PARQUET):
            told["near"] = rows_near(source.path, error.row, encoding)
    return told


def told_fit(fitted: Fitted, history: History, folder: Path) -> dict[str, Any]:
    """What a fit found, as the page shows it."""
    report = fitted.report
    days: dict[str, dict[str, Any]] = {}
    marks: dict[str, list[str]] = {}
    for item in report.unusual:
        marks.setdefault(item.measure, []).append(item.date)
        day = days.setdefault(item.date, {"date": item.date, "holiday": item.holiday, "changes": []})
        day["changes"].append({"measure": item.measure, "change": item.observed / item.expected - 1.0})
    least = min(max(LEAST_WEEKS, report.num_weeks) * DAYS_PER_WEEK + LATEST_DAYS, len(history.dates) - 1)
    return {
        **report.model_dump(mode="json", include={"first_date", "last_date", "held_out_from", "difficulty", "notes"}),
        "steps": history.steps,
        "days": len(history.dates),
        "hourly": history.hourly,
        "first_morning": str(history.dates[least]),
        "normal": [item.model_dump(mode="json") for item in report.normal],
        "measures": fitted.whole.measures,
        "unusual": list(days.values()),
        "natural_per_week": report.natural_per_week,
        "plots": plots_of(fitted.fit, fitted.fit.measures, marks, len(fitted.fit.history.dates), report.difficulty),
        "files": [name for name in DOWNLOADS if (folder / name).exists()],
    }


def words_of(found: Watched, difficulty: Difficulty) -> dict[str, Any]:
    """A report in the words of the command, and the measures that it is about."""
    report, marks = found.report, dict[str, list[str]]()
    for row in (*report.rows, *report.explained):
        marks.setdefault(row.measure, []).append(row.date)
    names = [name for name in found.fit.measures if name in marks] or found.fit.history.steps[:1]
    return {
        "agent": report.agent,
        "first_date": report.first_date,
        "last_date": report.last_date,
        "rows": [{"date": row.date, "measure": row.measure, "text": sentence(row)} for row in report.rows],
        "explained": [{"holiday": row.holiday, "text": sentence(row)} for row in report.explained],
        "notes": list(dict.fromkeys(report.notes)),
        "plots": plots_of(found.fit, names, marks, SHOWN_WEEKS * DAYS_PER_WEEK, difficulty),
    }


def verdict(report: Report, date: str, measure: str) -> str:
    """Whether an incident was named, named as something else, put down to a holiday, or missed."""
    there = [row for row in report.rows if row.date == date]
    if any(row.measure == measure for row in there):
        return "named"
    if there:
        return "otherwise"
    return "holiday" if any(row.date == date for row in report.explained) else "missed"
