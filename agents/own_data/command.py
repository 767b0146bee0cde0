"""The commands ``fit`` and ``watch``: their options, and what they print."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from metric_tracker_env.schema import FAMILIES, Difficulty

from ..command_line import command
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from .files import AS_IS, FIT, FITTED, HELD_OUT, HISTORY, PICTURE, FitReport, Reading, write, write_model
from .picture import draw_report
from .report import Report, ReportRow

if TYPE_CHECKING:
    from rich.table import Table

SOMETHING = 3  # exit code of a report with something to look at
SHOWN_DAYS = 12  # unusual days that are printed; all are in the file


def fit(
    source: str,
    output: Path,
    steps: tuple[str, ...] = (),
    held_out_weeks: int = 12,
    weeks: int = 4,
    difficulty: Difficulty = "medium",
    country: str | None = None,
    subdivision: str | None = None,
    ignore: tuple[str, ...] = (),
    time: str | None = None,
    hour: str | None = None,
    event: str | None = None,
    count: str | None = None,
    unit: str | None = None,
    timezone: str | None = None,
    time_format: str | None = None,
    decimal: Literal[".", ","] | None = None,
    missing: Literal["refuse", "zero", "fill"] = "refuse",
    duplicates: Literal["refuse", "sum", "last"] = "refuse",
    exceeding: Literal["refuse", "keep"] = "refuse",
    visit_gap: float | None = None,
    since: str | None = None,
    until: str | None = None,
    encoding: str | None = None,
) -> None:
    """Read a history of your own, say what is normal in it, and write a world like it, to train on and to judge by.

    Args:
        source: CSV file (also gzipped), parquet file, or SQL query for DuckDB.
        output: Folder to write: fitted.toml, held_out.toml, held_out_as_is.toml, fit.json, fit.png and the history.
        steps: Columns or events of the funnel, in its order; without it all that are nothing else.
        held_out_weeks: Last weeks that are kept from the fit, to judge agents by.
        weeks: Weeks of an episode, 1 to 12.
        difficulty: How large a change must be to be seen: 5, 4 or 3 times the usual noise.
        country: Whose public holidays are known, such as US or DE; needs the package holidays.
        subdivision: Part of the country, such as NY or BY.
        ignore: Days that must not be learnt from, such as 2026-03-14.
        time: Column of dates or times; without it a usual name is looked for, as for the next four.
        hour: Column of hours from 0 to 23, beside a column of dates.
        event: Column of step names, in the long form and in event logs.
        count: Column of counts, in the long form.
        unit: Column that tells whose event it is, in event logs.
        timezone: Time zone in which days are counted, such as Europe/Berlin.
        time_format: How times are written, as in strptime; or unix, or unix_ms.
        decimal: Sign before fractions; the other one then parts thousands.
        missing: What to do about missing days and hours: refuse; zero counts them as 0; fill takes the median of
            the nearest same weekdays.
        duplicates: What to do about a further count of one time and step.
        exceeding: What to do about a step with more events than the one before it.
        visit_gap: Hours without an event after which a unit begins a new visit, in event logs.
        since: First day to read; says that it is whole.
        until: Last day to read; says that it is whole.
        encoding: Of a text file that is not UTF-8.
    """
    from .fit import fit as fit_folder

    reading = Reading(
        steps=steps or None,
        time=time,
        hour=hour,
        event=event,
        count=count,
        unit=unit,
        timezone=timezone,
        time_format=time_format,
        decimal=decimal,
        missing=missing,
        duplicates=duplicates,
        exceeding=exceeding,
        visit_gap=visit_gap,
        encoding=encoding,
    )
    fitted = fit_folder(
        source, output, reading, held_out_weeks, weeks, difficulty, since, until, ignore, country, subdivision
    )
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
    report, found = watch_folder(folder, source, agent, days, accept, until)
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


def sentence(row: ReportRow) -> str:
    """A row in words."""
    told = f"{row.date}: {FAMILIES[row.anomaly_type].label} in {row.entity_name}: "
    if row.change is None or row.noises is None:
        told += f"{row.observed:,.0f} events above the step before it"
    elif row.unit == "share":
        told += f"{row.observed:.1%} instead of {row.expected:.1%} ({row.change:+.0%}, {abs(row.noises):.0f} x noise)"
    else:
        told += f"{row.observed:,.0f} instead of {row.expected:,.0f} ({row.change:+.0%}, {abs(row.noises):.0f} x noise)"
    if row.since != row.date:
        told += f", since {row.since}"
    if row.follows:
        told += f"; with it {', '.join(f'{item.measure} {item.change:+.0%}' for item in row.follows)}"
    return told
