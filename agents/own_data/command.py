"""The commands ``fit`` and ``watch``: their options, and what they print."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_tracker_env.history.sources import PARQUET, SQL, begins_with
from metric_tracker_env.schema import Difficulty

from ..command_line import command
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from ..progress import file_bar
from .files import AS_IS, FIT, FITTED, HELD_OUT, HISTORY, PICTURE, FitReport, write, write_model
from .options import FitOptions
from .picture import draw_report
from .report import Report, sentence

if TYPE_CHECKING:
    from rich.table import Table

DEFAULT_OPTIONS = FitOptions()
LONG_FILE = 5_000_000  # bytes, from which on a bar shows how far reading is
SOMETHING = 3  # exit code of a report with something to look at
SHOWN_DAYS = 12  # unusual days that are printed; all are in the file


def fit(source: str, output: Path, options: FitOptions = DEFAULT_OPTIONS) -> None:
    """Read a history of your own, say what is normal in it, and write a world like it, to train on and to judge by.

    Args:
        source: CSV file (also gzipped), parquet file, or SQL query for DuckDB.
        output: Folder to write: fitted.toml, held_out.toml, held_out_as_is.toml, fit.json, fit.png and the history.
        options: How it is read and fitted.
    """
    from .fit import fit_with

    with shown_progress(source, "fitting") as opened:
        fitted = fit_with(options, opened, output)
    report, out = fitted.report, console()
    out.print(normal_table(report))
    _print_unusual(report)
    for note in report.notes:
        out.print(f"note: {note}", markup=False)
    held = (HELD_OUT, AS_IS) if (output / HELD_OUT).exists() else ()
    out.print(f"wrote {', '.join((FITTED, *held, FIT, PICTURE, HISTORY))} to {output}", markup=False)
    out.print(f"next: {command('train_sb3')} --task {output / FITTED}", markup=False)
    if held:
        out.print(f"and:  {command()} compare --tasks {output / HELD_OUT} --agents analyst", markup=False)


@contextmanager
def shown_progress(source: str, then: str) -> Iterator[Any]:
    """The source; where a person waits for a long text file, with a bar over it."""
    path = Path(source).expanduser()
    long = not SQL.match(source) and path.is_file() and path.stat().st_size >= LONG_FILE
    if not long or begins_with(path, PARQUET) or not sys.stderr.isatty():
        yield source
        return
    with file_bar(path, then) as stream:
        yield stream


def normal_table(report: FitReport) -> Table:
    """What is normal, and the smallest change that is seen."""
    from rich.table import Table

    until = report.held_out_from or "the end"
    table = Table(title=f"what is normal from {report.first_date} until {until}", title_justify="left")
    table.add_column("measure", overflow="fold")
    for name in ("usual", "noise", *(f"seen at {difficulty}" for difficulty in FIT_DIFFICULTIES)):
        table.add_column(name, justify="right")
    for item in report.normal:
        usual = f"{item.usual:,.0f} a day" if item.unit == "events a day" else f"{item.usual:.1%}"
        seen = (f"± {item.smallest_change[difficulty]:.1%}" for difficulty in FIT_DIFFICULTIES)
        table.add_row(item.measure, usual, f"{item.noise:.1%}", *seen)
    return table


FIT_DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")


def _print_unusual(report: FitReport) -> None:
    out = console()
    by_day: dict[str, list[str]] = {}
    for item in report.unusual:
        by_day.setdefault(item.date, []).append(f"{item.measure} {item.observed / item.expected - 1:+.0%}")
    holidays = {item.date: item.holiday for item in report.unusual}
    out.print(f"{len(by_day)} unusual days; the last {min(len(by_day), SHOWN_DAYS)}:" if by_day else "no unusual day")
    for date in list(by_day)[-SHOWN_DAYS:]:
        near = f" ({holidays[date]})" if holidays[date] else ""
        out.print(f"  {date}{near}: {', '.join(by_day[date])}", markup=False, highlight=False)
    if report.announced:
        number = len(report.announced)
        out.print(f"{number} days near holidays are known events, expected to do what holidays did before; the last:")
        for item in report.announced[-SHOWN_DAYS:]:
            told = f"  {item.date}: {item.holiday}, {item.measure} {item.change:+.0%}"
            out.print(told, markup=False, highlight=False)
    quiet = ", ".join(f"{report.natural_per_week[name]:.2f} at {name}" for name in FIT_DIFFICULTIES)
    out.print(f"dates a week that ordinary days would show without any incident: {quiet}")


def watch(
    folder: Path,
    source: str,
    agent: str = "analyst",
    days: int = 7,
    accept: str | None = None,
    until: str | None = None,
    json: Path | None = None,
    png: Path | None = None,
) -> None:
    """Say what to look at in the last days of a fitted history; the exit code is 0 for nothing, 3 for something.

    Args:
        folder: What fit wrote.
        source: The history of today, in the form that was fitted.
        agent: A script, or the folder of an agent that was trained on the fitted world.
        days: Last days to judge, 1 to 7.
        accept: All days up to this one are normal from now on, whatever was reported.
        until: Last day to read; says that it is whole.
        json: File to write the report to.
        png: Picture to draw.
    """
    from .watch import watch as watch_folder

    for path in (json, png):
        if path is not None:
            check_writable(path)
    with shown_progress(source, "judging") as opened:
        report, found = watch_folder(folder, opened, agent, days, accept, until)
    print_report(report)
    if json is not None:
        write_model(json, report)
    if png is not None:
        marks: dict[str, list[str]] = {}
        for row in report.rows:
            marks.setdefault(row.measure, []).append(row.date)
        write(png, draw_report(found, marks))
    if report.rows:
        raise SystemExit(SOMETHING)


def print_report(report: Report) -> None:
    """The report in words, the rows of a day together."""
    out = console()
    number = len({row.date for row in report.rows})
    span = f"{report.first_date} to {report.last_date}"
    out.print(
        f"{span}: {number} {'day' if number == 1 else 'days'} to look at" if number else f"{span}: nothing to look at"
    )
    for row in report.rows:
        out.print(f"  {sentence(row)}", markup=False, highlight=False)
    for row in report.explained:
        out.print(f"  explained by {row.holiday}: {sentence(row)}", markup=False, highlight=False)
    for note, times in Counter(report.notes).items():
        out.print(f"note: {note}" if times == 1 else f"note: {note} ({times} times)", markup=False)
