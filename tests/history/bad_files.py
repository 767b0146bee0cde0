"""Histories that must be refused, made by kind: a sound file with one fault in a random place."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("visits", "carts", "orders", "paid", "reviewed")


@dataclass
class BadFile:
    """A file, how it is read, and what must be said about it."""

    content: bytes
    words: tuple[str, ...]  # that the message must have
    option: str | None  # that decides
    row: int | None = None
    column: str | None = None
    value: Any = None
    suffix: str = ".csv"
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sound:
    """A sound daily or hourly table as text."""

    names: tuple[str, ...]
    times: list[dt.datetime]
    cells: list[list[str]]  # one list a row, one text a step
    hourly: bool
    separator: str

    def texts(self) -> list[str]:
        """The times as texts."""
        return [f"{time:%Y-%m-%d %H:%M}" if self.hourly else f"{time:%Y-%m-%d}" for time in self.times]

    def lines(self, times: list[str] | None = None) -> list[str]:
        """The lines of the file; row n of an editor is place n - 1."""
        rows = zip(times or self.texts(), self.cells, strict=True)
        return [self.separator.join(["date", *self.names]), *(self.separator.join([time, *row]) for time, row in rows)]


def sound(rng: np.random.Generator, hourly: bool = False, separator: str | None = None) -> Sound:
    """A random sound table of 4 to 8 weeks; no count is 0."""
    names = NAMES[: int(rng.integers(2, 6))]
    days = int(rng.integers(28, 57))
    start = dt.datetime(2025, 1, 1) + dt.timedelta(days=int(rng.integers(0, 200)))
    step = dt.timedelta(hours=1) if hourly else dt.timedelta(days=1)
    times = [start + i * step for i in range(days * (24 if hourly else 1))]
    scale = 0.6 ** np.arange(len(names)) * (400 if hourly else 9000)
    counts = np.rint(scale * rng.uniform(0.9, 1.1, (len(times), 1))).astype(int)
    chosen = separator or str(rng.choice([",", ";", "\t", "|"]))
    return Sound(names, times, [[str(count) for count in row] for row in counts], hourly, chosen)


def file_of(lines: list[str]) -> bytes:
    """Lines as the bytes of a file."""
    return ("\n".join(lines) + "\n").encode()


def pick(rng: np.random.Generator, table: Sound) -> tuple[int, int]:
    """A random row and step, not at the edges."""
    return int(rng.integers(2, len(table.cells) - 2)), int(rng.integers(len(table.names)))


KINDS: dict[str, Callable[[np.random.Generator], BadFile]] = {}


def kind(made: Callable[[np.random.Generator], BadFile]) -> Callable[[np.random.Generator], BadFile]:
    """Put a kind on the list."""
    assert made.__name__ not in KINDS
    KINDS[made.__name__] = made
    return made


def one_cell(rng: np.random.Generator, value: str, words: tuple[str, ...], option: str | None = None) -> BadFile:
    """A file with one bad count."""
    table = sound(rng, separator=";" if "," in value else None)
    row, step = pick(rng, table)
    table.cells[row][step] = value
    return BadFile(file_of(table.lines()), words, option, row + 2, table.names[step], value)


@kind
def negative(rng: np.random.Generator) -> BadFile:
    value = str(-int(rng.integers(1, 900)))
    return one_cell(rng, value, (value, "negative", "whole numbers from 0"))


@kind
def fraction(rng: np.random.Generator) -> BadFile:
    value = f"{rng.integers(100, 900)}.{rng.integers(1, 9)}5"
    return one_cell(rng, value, (value, "fraction", "whole numbers"))


@kind
def word(rng: np.random.Generator) -> BadFile:
    value = str(rng.choice(["many", "see note", "#REF!", "12 apples", "<5", "١٢"]))
    return one_cell(rng, value, (repr(value), "is no number"))


@kind
def percent_sign(rng: np.random.Generator) -> BadFile:
    value = f"{rng.integers(1, 99)}%"
    return one_cell(rng, value, (value, "percentage", "give the counts"))


@kind
def thousands(rng: np.random.Generator) -> BadFile:
    value = f"{rng.integers(1, 9)}{rng.choice([',', '.', ' '])}{rng.integers(100, 999)}"
    return one_cell(rng, value, (value, "decimal='.' or decimal=','"), "decimal")


@kind
def scientific(rng: np.random.Generator) -> BadFile:
    value = f"{rng.integers(1, 9)}.{rng.integers(1, 9)}E+05"
    return one_cell(rng, value, (value, "rounded", "write it out"))


@kind
def huge(rng: np.random.Generator) -> BadFile:
    value = str(rng.integers(1, 9)) + "0" * int(rng.integers(9, 25))
    return one_cell(rng, value, (value, "more than 500,000,000"))


@kind
def empty_cell(rng: np.random.Generator) -> BadFile:
    bad = one_cell(
        rng, str(rng.choice(["", "NA", "null", "-"])), ("missing", "missing='zero'", "missing='fill'"), "missing"
    )
    bad.value = 0
    return bad


@kind
def share_column(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    step = int(rng.integers(1, len(table.names)))
    for row in table.cells:
        row[step] = f"{rng.uniform(0.2, 0.9):.3f}"
    return BadFile(
        file_of(table.lines()), ("share", "give the events"), None, 2, table.names[step], table.cells[0][step]
    )


@kind
def percent_column(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    step = int(rng.integers(1, len(table.names)))
    for row in table.cells:
        row[step] = f"{rng.uniform(20, 90):.2f}"
    return BadFile(
        file_of(table.lines()), ("percentage", "give the events"), None, 2, table.names[step], table.cells[0][step]
    )


@kind
def missing_day(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    lines = table.lines()
    gone = f"{table.times[row]:%Y-%m-%d}"
    del lines[row + 1]
    return BadFile(file_of(lines), (gone, "1 day of", "missing='zero'", "missing='fill'"), "missing")


@kind
def missing_hour(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    row = int(rng.integers(2, len(table.times) - 26))
    gone = f"{table.times[row]:%Y-%m-%d %H:00}"
    lines = table.lines()
    del lines[row + 1]
    return BadFile(file_of(lines), (gone, "1 hour", "missing=", "timezone="), "missing")


@kind
def closed_weekday(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    keep = [i for i, time in enumerate(table.times) if time.weekday() != 6]
    lines = table.lines()
    return BadFile(
        file_of([lines[0], *(lines[i + 1] for i in keep)]), ("every Sunday", "closed", "missing='zero'"), "missing"
    )


@kind
def weekly(rng: np.random.Generator) -> BadFile:
    lines = sound(rng).lines()
    return BadFile(file_of([lines[0], *lines[1::7]]), ("weeks or months", "Daily or hourly"), "missing")


@kind
def duplicate(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=bool(rng.integers(2)))
    row, _ = pick(rng, table)
    lines = table.lines()
    lines.append(lines[row + 1])
    words = (f"row {row + 2} already", "duplicates='sum'", "duplicates='last'", table.texts()[row])
    return BadFile(file_of(lines), words, "duplicates", len(lines), table.names[0])


@kind
def step_above(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=bool(rng.integers(2)))
    row, _ = pick(rng, table)
    step = int(rng.integers(1, len(table.names)))
    value = int(table.cells[row][step - 1]) + 1
    table.cells[row][step:] = [str(value)] * (len(table.names) - step)
    words = (f"{value:,} {table.names[step]}", table.names[step - 1], "1 of", "exceeding='keep'")
    return BadFile(file_of(table.lines()), words, "exceeding", row + 2, table.names[step], value)


@kind
def swapped_steps(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    value = int(table.cells[0][0])
    for row in table.cells:
        row[0], row[1] = row[1], row[0]
    return BadFile(file_of(table.lines()), ("funnel order", "steps=", "visits"), "steps", 2, table.names[1], value)


@kind
def mixed_dates(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    times = table.texts()
    form = str(rng.choice(["%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%m/%d/%Y"]))
    times[row] = f"{table.times[row]:{form}}"
    words = (times[row], "otherwise than", times[0], "time_format")
    return BadFile(file_of(table.lines(times)), words, "time_format", row + 2, "date", times[row])


@kind
def month_or_day_first(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    times = [f"{time:%d/%m/%Y}" for time in table.times]
    row = next(i for i, time in enumerate(table.times) if time.day > 12)
    other = next(i for i, time in enumerate(table.times) if time.day > 12 and i > row)
    times[other] = f"{table.times[other]:%m/%d/%Y}"
    words = (times[other], "day and month otherwise", times[row], "time_format")
    return BadFile(file_of(table.lines(times)), words, "time_format", other + 2, "date", times[other])


@kind
def ambiguous_dates(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    days = [dt.date(2025, month, day) for month in range(1, 13) for day in range(1, 13)]
    times = [f"{day:%d/%m/%Y}" for day in days[: len(table.times)]]
    words = (times[0], "no value tells the day from the month", "%d/%m/%Y", "%m/%d/%Y")
    return BadFile(file_of(table.lines(times)), words, "time_format", 2, "date", times[0])


@kind
def no_such_date(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    times = table.texts()
    times[row] = str(rng.choice(["2025-02-30", "2025-13-01", "2025-04-31", "2025-00-10", "2025-06-00"]))
    words = (times[row], "no date or time of the calendar")
    return BadFile(file_of(table.lines(times)), words, "time_format", row + 2, "date", times[row])


@kind
def no_such_time(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    row, _ = pick(rng, table)
    times = table.texts()
    times[row] = times[row][:11] + str(rng.choice(["24:00", "25:00", "12:60", "99:99"]))
    words = (times[row], "no date or time of the calendar")
    return BadFile(file_of(table.lines(times)), words, "time_format", row + 2, "date", times[row])


@kind
def no_date(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    times = table.texts()
    times[row] = str(rng.choice(["yesterday", "Total", "Sum", "Week 12", "1. März 2025", "12:30", "25-01-31"]))
    words = (times[row], "is no date or time", "time_format")
    return BadFile(file_of(table.lines(times)), words, "time_format", row + 2, "date", times[row])


@kind
def unix_seconds(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    times = [str(int(time.replace(tzinfo=dt.UTC).timestamp())) for time in table.times]
    words = (times[0], "time_format='unix'")
    return BadFile(file_of(table.lines(times)), words, "time_format", 2, "date", times[0])


@kind
def ancient_year(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    times = table.texts()
    times[row] = str(rng.choice(["0025", "1025", "9025", "1899"])) + times[row][4:]
    words = (times[row], "years 1970 to 2200")
    return BadFile(file_of(table.lines(times)), words, "time_format", row + 2, "date", times[row])


@kind
def other_format(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    words = ("does not follow", "time_format='%d.%m.%Y'")
    return BadFile(
        file_of(table.lines()), words, "time_format", 2, "date", table.texts()[0], kwargs={"time_format": "%d.%m.%Y"}
    )


@kind
def mixed_offsets(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    row, _ = pick(rng, table)
    times = [f"{text}+01:00" if i < row else f"{text}+02:00" for i, text in enumerate(table.texts())]
    words = ("another distance from UTC", "timezone='Europe/Berlin'")
    return BadFile(file_of(table.lines(times)), words, "timezone", row + 2, "date", times[row])


@kind
def unknown_zone(rng: np.random.Generator) -> BadFile:
    zone = str(rng.choice(["Berlin", "CEST", "Europe/Bielefeld", "GMT+25", "../etc/passwd", ""]))
    return BadFile(
        file_of(sound(rng).lines()),
        (repr(zone), "not known", "Europe/Berlin"),
        "timezone",
        value=zone,
        kwargs={"timezone": zone},
    )


@kind
def part_last_day(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    lines = table.lines()[: -int(rng.integers(1, 20))]
    last, before = table.times[-1], table.times[-25]
    words = ("last day", f"until='{before:%Y-%m-%d}'", f"until='{last:%Y-%m-%d}'")
    return BadFile(file_of(lines), words, "until", len(lines), table.names[0])


@kind
def part_first_day(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    lines = table.lines()
    lines = [lines[0], *lines[1 + int(rng.integers(1, 20)) :]]
    words = ("first day", f"since='{table.times[24]:%Y-%m-%d}'", f"since='{table.times[0]:%Y-%m-%d}'")
    return BadFile(file_of(lines), words, "since", 2, table.names[0])


@kind
def ragged(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    lines = table.lines()
    lines[row + 1] += f"{table.separator}17" * int(rng.integers(1, 3))
    words = ("cells", f"{len(table.names) + 1} columns", repr(table.separator))
    return BadFile(file_of(lines), words, None, row + 2, value=lines[row + 1])


@kind
def cut_row(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = table.lines()
    lines[-1] = lines[-1].rsplit(table.separator, 1)[0]
    return BadFile(file_of(lines), ("cells", "columns"), None, len(lines), value=lines[-1])


@kind
def open_quote(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    lines = table.lines()
    lines[row + 1] = '"' + lines[row + 1]
    return BadFile(file_of(lines), ("quotes", "not closed"), None)


@kind
def no_header(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = table.lines()[1:]
    return BadFile(file_of(lines), ("first row", "names"), None, 1, value=table.texts()[0])


@kind
def names_twice(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = table.lines()
    lines[0] = lines[0].replace(table.names[-1], table.names[0])
    return BadFile(file_of(lines), (repr(table.names[0]), "2 times"), None, 1)


@kind
def latin_letters(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    row, _ = pick(rng, table)
    lines = table.lines()
    lines[row + 1] = lines[row + 1].replace(table.separator, f"{table.separator}\u00e4", 1)
    return BadFile(("\n".join(lines) + "\n").encode("cp1252"), ("0xe4", "not utf-8", "encoding='cp1252'"), "encoding")


@kind
def damaged_gzip(rng: np.random.Generator) -> BadFile:
    packed = gzip.compress(file_of(sound(rng).lines()))
    return BadFile(packed[: int(len(packed) * rng.uniform(0.3, 0.95))], ("gzipped", "damaged"), None, suffix=".csv.gz")


@kind
def other_kind_of_file(rng: np.random.Generator) -> BadFile:
    start, told = [
        (b"PK\x03\x04" + bytes(60), "Excel"),
        (b"\xd0\xcf\x11\xe0" + bytes(60), "old Excel"),
        (b'{"rows": []}', "JSON"),
        (b"[1, 2]", "JSON"),
        (b"<html></html>", "HTML"),
        (b"%PDF-1.7", "PDF"),
    ][int(rng.integers(6))]
    return BadFile(start, (told, "CSV", "parquet"), None)


@kind
def damaged_parquet(rng: np.random.Generator) -> BadFile:
    return BadFile(b"PAR1" + rng.bytes(int(rng.integers(20, 200))), ("DuckDB",), None, suffix=".parquet")


@kind
def empty_file(rng: np.random.Generator) -> BadFile:
    content = [b"", b"\n\n\n", b"  ", b"\r\n"][int(rng.integers(4))]
    return BadFile(content, ("empty",), None)


@kind
def header_alone(rng: np.random.Generator) -> BadFile:
    return BadFile(file_of(sound(rng).lines()[:1]), ("no row",), None)


@kind
def one_column(rng: np.random.Generator) -> BadFile:
    lines = sound(rng, separator=":").lines()
    return BadFile(file_of([line.replace(":", "~") for line in lines]), ("single column", "';'"), None, 1)


@kind
def unknown_step(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    name = table.names[-1]
    asked = name[:-1] + "z"
    words = (repr(asked), "is not one of the columns", f"did you mean {name!r}?")
    return BadFile(file_of(table.lines()), words, "steps", value=asked, kwargs={"steps": [*table.names[:-1], asked]})


@kind
def no_time_column(rng: np.random.Generator) -> BadFile:
    lines = sound(rng).lines()
    lines[0] = lines[0].replace("date", "when", 1)
    return BadFile(file_of(lines), ("when", "called like a time", "time="), "time")


@kind
def country_column(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = table.lines()
    lines = [f"{line}{table.separator}{'country' if i == 0 else 'DE'}" for i, line in enumerate(lines)]
    return BadFile(file_of(lines), ("'DE'", "no count", "steps="), "steps", 2, "country", "DE")


@kind
def step_without_events(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    for row in table.cells:
        row[-1] = "0"
    return BadFile(file_of(table.lines()), (repr(table.names[-1]), "no event at all"), "steps", 2, table.names[-1], 0)


@kind
def name_that_cannot_be(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    name = str(rng.choice(["Заказы", "1st step", "hour of day" * 6, "%"]))
    lines = table.lines()
    lines[0] = lines[0].replace(table.names[-1], name)
    return BadFile(file_of(lines), (repr(name), "cannot be the name", "rename it"), "steps", value=name)


@kind
def long_without_count(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = ["date;event", *(f"{time};{name}" for time in table.texts() for name in table.names)]
    return BadFile(file_of(lines), ("count=", "unit=", "'event'"), "unit")


@kind
def unknown_event(rng: np.random.Generator) -> BadFile:
    table = sound(rng)
    lines = ["date;event;count"]
    lines += [
        f"{t};{n};{c}"
        for t, row in zip(table.texts(), table.cells, strict=True)
        for n, c in zip(table.names, row, strict=True)
    ]
    asked = "card"
    return BadFile(
        file_of(lines),
        ("step 'card'", "did you mean 'carts'?"),
        "steps",
        None,
        "event",
        asked,
        kwargs={"steps": ["visits", asked]},
    )


@kind
def people_as_units(rng: np.random.Generator) -> BadFile:
    lines = ["unit;event;time"]
    visits = [(day, person) for day in range(1, 31) for person in rng.choice(40, 12, replace=False)]
    lines += [f"p{person};visit;2025-03-{day:02} {rng.integers(24):02}:15:00" for day, person in visits]
    return BadFile(file_of(lines), ("people", "visit_gap=0.5", "visit_gap=float('inf')"), "visit_gap", column="unit")


@kind
def event_without_unit(rng: np.random.Generator) -> BadFile:
    lines = [f"s{i};visit;2025-03-{i % 28 + 1:02} {i % 24:02}:15:00" for i in range(600)]
    row = int(rng.integers(2, 590))
    lines[row] = lines[row].replace(f"s{row}", "", 1)
    return BadFile(file_of(["unit;event;time", *lines]), ("no unit",), "unit", row + 2, "unit", "")


@kind
def hour_out_of_range(rng: np.random.Generator) -> BadFile:
    table = sound(rng, hourly=True)
    value = str(rng.choice(["24", "-1", "noon", "7.5"]))
    row, _ = pick(rng, table)
    lines = ["date;hour;" + ";".join(table.names)]
    for i, (time, cells) in enumerate(zip(table.times, table.cells, strict=True)):
        lines.append(f"{time:%Y-%m-%d};{value if i == row else time.hour};" + ";".join(cells))
    return BadFile(file_of(lines), (repr(value), "whole hour from 0 to 23"), "hour", row + 2, "hour", value)


def write(bad: BadFile, folder: Path) -> Path:
    """The file on disk."""
    path = folder / f"history{bad.suffix}"
    path.write_bytes(bad.content)
    return path
