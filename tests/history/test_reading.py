"""Reading a history: every source and form gives the same counts, and what is made of gaps is as asked for."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from metric_tracker_env.history import History, HistoryError, read_history

STEPS = ("visits", "carts", "orders")
DAYS = 21

CONNECTION = duckdb.connect()  # relations live as long as theirs does


def counts_of(hours: int) -> np.ndarray:
    """(D, H, S) int64: a count for every cell that no other cell has, falling along the funnel."""
    cells = np.arange(DAYS * hours).reshape(DAYS, hours)
    return np.stack([3000 + cells, 2000 + cells, 1000 + cells], axis=2)


def frame_of(hours: int = 1) -> pd.DataFrame:
    """The counts in the wide form."""
    start = pd.Timestamp("2026-01-05")
    times = pd.date_range(start, periods=DAYS * hours, freq="h" if hours > 1 else "D").as_unit("us")
    return pd.DataFrame({"time": times, **dict(zip(STEPS, counts_of(hours).reshape(-1, 3).T, strict=True))})


def long_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The same in the long form, in no order."""
    melted = frame.melt("time", var_name="event", value_name="count")
    return melted.sample(frac=1.0, random_state=0).reset_index(drop=True)


def text_of(frame: pd.DataFrame, separator: str = ",", **kwargs: Any) -> str:
    """A frame as CSV."""
    return str(frame.to_csv(index=False, sep=separator, **kwargs))


def as_parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "history.parquet"
    frame.to_parquet(path)
    return path


def written(content: bytes, folder: Path, name: str = "history.csv") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content)
    return path


SOURCES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "csv": lambda f, folder: written(text_of(f).encode(), folder),
    "csv path as text": lambda f, folder: str(written(text_of(f).encode(), folder)),
    "semicolons": lambda f, folder: written(text_of(f, ";").encode(), folder),
    "tabs": lambda f, folder: written(text_of(f, "\t").encode(), folder, "history.tsv"),
    "bars": lambda f, folder: written(text_of(f, "|").encode(), folder),
    "gzip": lambda f, folder: written(gzip.compress(text_of(f).encode()), folder, "history.csv.gz"),
    "byte order mark": lambda f, folder: written(text_of(f).encode("utf-8-sig"), folder),
    "utf-16": lambda f, folder: written(text_of(f).encode("utf-16"), folder),
    "utf-16 without a mark": lambda f, folder: written(text_of(f).encode("utf-16-le"), folder),
    "utf-16 big-endian": lambda f, folder: written(text_of(f).encode("utf-16-be"), folder),
    "windows lines": lambda f, folder: written(text_of(f).replace("\n", "\r\n").encode(), folder),
    "quotes": lambda f, folder: written(text_of(f, quoting=1).encode(), folder),
    "blank rows": lambda f, folder: written((text_of(f, ";").replace("\n", "\n\n") + ";;;\n").encode(), folder),
    "stream": lambda f, _: io.BytesIO(text_of(f).encode()),
    "parquet": as_parquet,
    "sql": lambda f, folder: f"SELECT * FROM '{as_parquet(f, folder)}' ORDER BY 2",
    "sql over csv": lambda f, folder: f"from '{written(text_of(f).encode(), folder)}'",
    "relation": lambda f, _: CONNECTION.from_arrow(pa.Table.from_pandas(f)),
    "pandas": lambda f, _: f,
    "polars": lambda f, _: pl.from_pandas(f),
    "lazy polars": lambda f, _: pl.from_pandas(f).lazy(),
    "pyarrow": lambda f, _: pa.Table.from_pandas(f),
    "dates as python has them": lambda f, _: f.assign(time=[time.to_pydatetime() for time in f["time"]]),
    "whole floats": lambda f, _: f.astype(dict.fromkeys(set(f.columns) & {*STEPS, "count"}, float)),
    "whole floats as text": lambda f, folder: written(
        text_of(f.astype(dict.fromkeys(set(f.columns) & {*STEPS, "count"}, float))).encode(), folder
    ),
    "unsigned": lambda f, _: pl.from_pandas(f).cast(dict.fromkeys(set(f.columns) & {*STEPS, "count"}, pl.UInt64)),
    "sums of a database": lambda f, folder: (
        f"SELECT {', '.join(f'{name}::HUGEINT AS {name}' if name not in {'time', 'event'} else name for name in f)} "
        f"FROM '{as_parquet(f, folder)}'"
    ),
}


@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize("hours", [1, 24])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_history(source: str, hours: int, form: str, tmp_path: Path) -> None:
    """Files, encodings, frames and SQL, wide or long, daily or hourly, give every count at its place."""
    frame = frame_of(hours)
    made = SOURCES[source](frame if form == "wide" else long_of(frame), tmp_path)
    history = read_history(made, STEPS)
    assert history.steps == STEPS
    assert history.hourly == (hours > 1)
    assert history.dates.tolist() == [day.date() for day in pd.date_range("2026-01-05", periods=DAYS)]
    assert history.counts.dtype == np.int64
    assert np.array_equal(history.counts, counts_of(hours))
    assert history.known.all()
    assert history.notes == ()


def test_steps_are_found_in_both_forms() -> None:
    """Without steps, the wide form takes its other columns in order and the long form the larger counts first."""
    frame = frame_of()
    assert read_history(frame).steps == STEPS
    history = read_history(long_of(frame))
    assert history.steps == STEPS
    assert history.notes == ("steps by their counts: visits, carts, orders; steps= names them in another order",)


def test_a_column_without_a_name_is_left_out() -> None:
    """Row numbers that a library wrote beside the table are no step, which is noted."""
    history = read_history(io.BytesIO(frame_of().to_csv().encode()))
    assert history.steps == STEPS
    assert history.notes == ("a column without a name is left out",)


def test_columns_may_have_any_names() -> None:
    """Named columns are taken, others left alone, and a mapping renames steps."""
    frame = frame_of(24)
    wide = frame.assign(day=frame["time"].dt.strftime("%Y-%m-%d"), h=frame["time"].dt.hour, note="x").drop(
        columns="time"
    )
    history = read_history(wide, {"visits": "seen", "orders": "Bought it"}, time="day", hour="h")
    assert history.steps == ("seen", "Bought_it")
    assert history.notes == ("step 'Bought it' is called Bought_it",)
    assert np.array_equal(history.counts, counts_of(24)[:, :, [0, 2]])
    long = long_of(frame).rename(columns={"time": "t", "event": "e", "count": "c"})
    history = read_history(long, STEPS[:2], time="t", event="e", count="c")
    assert np.array_equal(history.counts, counts_of(24)[:, :, :2])
    assert history.notes == ("504 rows of other events left out: orders",)


@pytest.mark.parametrize(
    ("form", "kwargs"),
    [
        ("%Y-%m-%d", {}),
        ("%Y/%m/%d", {}),
        ("%Y%m%d", {}),
        ("%d.%m.%Y", {}),
        ("%d/%m/%Y", {}),
        ("%m/%d/%Y", {}),
        ("%m-%d-%Y", {}),
        ("%Y-%m-%d %H:%M:%S", {}),
        ("%Y-%m-%dT%H:%M:%SZ", {"timezone": "UTC"}),
        ("%m/%d/%Y %I:%M %p", {}),
        ("%d %b %y", {"time_format": "%d %b %y"}),
        ("%A, %d. %B %Y", {"time_format": "%A, %d. %B %Y"}),
    ],
)
def test_dates_in_many_forms(form: str, kwargs: dict[str, Any]) -> None:
    """Dates are read as they are written where that is plain, else as told."""
    frame = frame_of()
    frame["time"] = frame["time"].dt.strftime(form)
    history = read_history(frame, **kwargs)
    assert np.array_equal(history.counts, counts_of(1))
    assert str(history.dates[0]) == "2026-01-05"


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S.123", "%Y-%m-%d %H:%M:%S,5"]
)
def test_hours_in_many_forms(form: str) -> None:
    """Times of day are read with seconds, fractions and halves of the day."""
    frame = frame_of(24)
    frame["time"] = frame["time"].dt.strftime(form)
    assert np.array_equal(read_history(frame).counts, counts_of(24))


@pytest.mark.parametrize("unit", ["unix", "unix_ms"])
@pytest.mark.parametrize("as_text", [False, True])
def test_seconds_since_1970(unit: str, as_text: bool) -> None:
    """Numbers of seconds and milliseconds are read when it is said what they are, as moments of UTC."""
    frame = frame_of(24)
    seconds = frame["time"].astype(np.int64) // 1_000_000
    frame["time"] = seconds * (1000 if unit == "unix_ms" else 1)
    frame = frame.astype({"time": str}) if as_text else frame
    history = read_history(frame, time_format=unit)
    assert np.array_equal(history.counts, counts_of(24))
    assert history.notes[0].startswith("days are counted in UTC")


@pytest.mark.parametrize(
    ("decimal", "texts"),
    [
        (".", ["1,234", "1 234", "1'234", "1234.0", "1234", "1,234.00", "1\u202f234"]),
        (",", ["1.234", "1 234", "1\u00a0234", "1234,0", "1234", "1.234,00", "1\u2019234"]),
        (None, ["1234", "1234.0", " 1234 ", "1234.00", "1234."]),
    ],
)
def test_counts_as_countries_write_them(decimal: Any, texts: list[str]) -> None:
    """With the sign before fractions told, other signs part thousands."""
    lines = [f"2026-01-{day + 1:02};{text}" for day, text in enumerate(texts)]
    history = read_history(io.BytesIO("\n".join(["date;visits", *lines]).encode()), decimal=decimal)
    assert history.counts[:, 0, 0].tolist() == [1234] * len(texts)


def test_missing_days_and_hours_as_asked_for() -> None:
    """Missing days are zero and known, or filled from the same weekdays and not known."""
    frame = frame_of()
    gap = frame.drop(index=[9, 10])
    zero = read_history(gap, missing="zero")
    assert zero.daily[[9, 10]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert zero.known.all()
    assert zero.notes[0] == "2 days of 21 missing (2026-01-14, 2026-01-15): taken as 0 events"
    filled = read_history(gap, missing="fill")
    assert filled.daily[9].tolist() == np.median(counts_of(1)[[2, 16], 0], axis=0).tolist()
    assert np.flatnonzero(~filled.known).tolist() == [9, 10]
    night = frame_of(24)
    night = night[night["time"].dt.hour > 4]
    history = read_history(night, missing="zero")
    assert not history.counts[:, :5].any()
    assert np.array_equal(history.counts[:, 5:], counts_of(24)[:, 5:])
    assert "hours 0, 1, 2, 3, 4 on most days" in history.notes[0]
    with pytest.raises(HistoryError, match="cannot be filled: no Monday has this hour"):
        read_history(night, missing="fill")


def test_empty_cells_are_missing_counts() -> None:
    """A cell without a value is missing like a row without one, in frames and in text."""
    frame = frame_of().astype({"orders": "Int64"})
    frame.loc[4, "orders"] = pd.NA
    for source in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame), io.BytesIO(text_of(frame).encode())):
        with pytest.raises(HistoryError, match="1 count missing") as caught:
            read_history(source)
        assert caught.value.column == "orders"
        history = read_history(source, missing="fill")
        assert history.daily[4].tolist() == [3004, 2004, np.rint(np.median([1011, 1018]))]
        assert np.flatnonzero(~history.known).tolist() == [4]


def test_closed_days_and_empty_days_are_told() -> None:
    """Weekdays without events, single days without, and a low last day are notes."""
    frame = frame_of()
    frame.loc[frame["time"].dt.day_of_week == 6, list(STEPS)] = 0
    frame.loc[8, list(STEPS)] = 0
    assert read_history(frame).notes == (
        "no event on any Sunday",
        "1 day without any event (2026-01-13): is that a gap in the data?",
    )
    frame = frame_of()
    frame.loc[20, list(STEPS)] = [900, 800, 700]
    (note,) = read_history(frame).notes
    assert note.startswith("the last day, 2026-01-25, has 900 visits, not 3,010 as usual")


def test_duplicates_as_asked_for() -> None:
    """Two rows of one time are added up, or the last one counts."""
    frame = frame_of(24)
    again = frame.iloc[[30]].assign(visits=5, carts=4, orders=3)
    doubled = pd.concat([frame, again])
    added = read_history(doubled, duplicates="sum")
    assert added.counts[1, 6].tolist() == [3035, 2034, 1033]
    assert added.notes == ("1 hour with more than one row, added up; the first is 2026-01-06 06:00",)
    last = read_history(doubled, duplicates="last")
    assert last.counts[1, 6].tolist() == [5, 4, 3]
    expected = counts_of(24)
    expected[1, 6] = [5, 4, 3]
    assert np.array_equal(last.counts, expected)


def test_quarters_of_an_hour_add_up() -> None:
    """Rows within an hour are duplicates of it, which may be added up."""
    frame = frame_of(24)
    quarters = pd.concat([frame.assign(time=frame["time"] + pd.Timedelta(minutes=15 * i)) for i in range(4)])
    with pytest.raises(HistoryError, match="504 hours in all have more than one row"):
        read_history(quarters)
    assert np.array_equal(read_history(quarters, duplicates="sum").counts, 4 * counts_of(24))


def test_steps_above_the_one_before_can_be_kept() -> None:
    """Impossible counts are kept when that is asked for, and noted."""
    frame = frame_of()
    frame.loc[3, "carts"] = 9000
    history = read_history(frame, exceeding="keep")
    assert history.daily[3].tolist() == [3003, 9000, 1003]
    assert history.notes == (
        "a step passes the one before it in 1 of 21 days; first: 2026-01-08 has 9,000 carts but 3,003 visits, the step "
        "before it",
    )


def test_since_and_until_bound_what_is_read() -> None:
    """Rows outside are not looked at, and a part day that is named counts as whole."""
    frame = frame_of(24).iloc[:-5]
    frame.loc[2, "visits"] = 0
    history = read_history(frame, since="2026-01-06", until="2026-01-24")
    assert np.array_equal(history.counts, counts_of(24)[1:20])
    whole = read_history(frame.drop(index=range(24)), until="2026-01-25", missing="zero")
    assert not whole.counts[-1, 19:].any()
    with pytest.raises(HistoryError, match=r"no row of these steps and days"):
        read_history(frame, since="2027-01-01")


def test_what_was_told_must_be_sound() -> None:
    """Options with other values are refused with those there are."""
    frame = frame_of()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"missing": "drop"}, "missing='drop' is not one of"),
        ({"duplicates": "first"}, "duplicates='first' is not one of"),
        ({"exceeding": True}, "exceeding=True is not one of"),
        ({"decimal": "'"}, "is not one of"),
        ({"visit_gap": -1}, "visit_gap=-1 is no number of hours above 0"),
        ({"visit_gap": float("nan")}, "visit_gap=nan is no number"),
        ({"until": "31.03.2026"}, "until='31.03.2026' is not a date"),
        ({"since": 20260101}, "since=20260101 is not a date"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "is after until"),
        ({"steps": "visits"}, "is one text"),
        ({"steps": []}, "0 steps"),
        ({"steps": ["visits", "visits"]}, "twice"),
        ({"time": "when"}, "time 'when' is not one of the columns"),
        ({"hour": "visits"}, "is not a whole hour"),
        ({"count": "visits"}, "none of the columns"),
        ({"count": "visits", "unit": "carts"}, "count= and unit= are given"),
        ({"timezone": "Mars"}, "timezone 'Mars' is not known"),
    ]
    for kwargs, words in bad:
        with pytest.raises(HistoryError, match=words.replace("(", r"\(")):
            read_history(frame, **kwargs)


@pytest.mark.parametrize(
    "source", [3, None, ["a"], {"a": [1]}, "nowhere.csv", Path("/"), "select * from nowhere", "select 1 +"]
)
def test_what_is_no_source_is_refused(source: Any) -> None:
    """Other things than tables are refused in one line."""
    with pytest.raises(HistoryError) as caught:
        read_history(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "source"),
    [("duckdb", "select 1 as date, 2 as visits"), ("narwhals", pl.DataFrame({"date": ["2026-01-01"]}))],
)
def test_a_missing_library_names_the_extra(module: str, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"metric_tracker_env\[history\]"):
        read_history(source)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_need_no_library_of_frames(kind: str, tmp_path: Path) -> None:
    """A text file is read with the core alone, and parquet with DuckDB alone."""
    path = SOURCES[kind](frame_of(24), tmp_path)
    hidden = ["narwhals", "pandas", "polars", "pyarrow", *(["duckdb"] if kind == "csv" else [])]
    program = f"import sys; sys.modules.update(dict.fromkeys({hidden}))\n"
    program += "from metric_tracker_env.history import read_history\n"
    program += f"print(read_history({str(path)!r}, {STEPS}).counts.sum())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(result.stdout) == counts_of(24).sum()


def test_a_history_is_sound_and_cannot_be_changed() -> None:
    """Arrays that do not fit are refused, and those of a history are read-only."""
    days = np.arange("2026-01-01", "2026-01-08", dtype="datetime64[D]")
    counts = np.ones((7, 24, 2), np.int64)
    history = History(("a", "b"), days, counts)
    with pytest.raises(ValueError, match="read-only"):
        history.counts[0, 0, 0] = 3
    assert counts.flags.writeable
    assert history.by_day().counts.tolist() == [[[24, 24]]] * 7
    assert history.weekdays.tolist() == [3, 4, 5, 6, 0, 1, 2]
    assert len(history.between("2026-01-03", days[4]).dates) == 3
    for bad in (
        {"counts": counts[:, :5]},
        {"counts": counts[:6]},
        {"counts": counts - 2},
        {"counts": counts * 1.0},
        {"dates": days[::-1]},
        {"known": np.ones(6, bool)},
        {"known": np.ones(7)},
        {"steps": ("a",)},
    ):
        with pytest.raises(HistoryError, match="wanted"):
            History(**{"steps": ("a", "b"), "dates": days, "counts": counts, **bad})
    with pytest.raises(HistoryError, match="no day from 2027"):
        history.between(first="2027-01-01")


def test_a_format_that_names_a_part_twice_is_refused() -> None:
    """As a format that is followed by no time, not as a fault of a library."""
    with pytest.raises(HistoryError, match="time_format") as refused:
        read_history(pd.DataFrame({"date": ["2026-01-01", "2026-01-02"], "visits": [3, 4]}), time_format="%Y%Y")
    assert refused.value.option == "time_format"
