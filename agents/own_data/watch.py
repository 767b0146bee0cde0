"""Watch a history: an agent judges its last days by the ordinary weeks before them, and says what to look at."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from metric_tracker_env import EnvConfig, EpisodeData, MetricTrackerEnv
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.config.replay import LATEST_DAYS, Replay
from metric_tracker_env.fitting import ExpectedChanges, HistoryFit, expected_changes, fit_history
from metric_tracker_env.fitting.store import digest
from metric_tracker_env.history import History, HistoryError
from metric_tracker_env.play.actions import SUBMIT

from ..command_line import check_whole, how_to_install
from ..players.player import Assignment, Player
from ..players.registry import Given, find_player
from .files import FIT, LATEST, LOCK, REPORTED, FitReport, Reported, ReportedDay, read_model, write, write_model
from .fit import fitted_history, holidays_of, windows_of, with_replay
from .report import Cell, Report, ReportRow, describe

SEED = 0  # an episode of the latest weeks is the same for every seed
# A script is not held to a budget where nothing is trained: it may look at every day and every cell.
UNITS, STEPS = 1_000, 2_000


class Watched(NamedTuple):
    """A report, and what it was made from."""

    report: Report
    fit: HistoryFit


def watch(
    folder: str | Path,
    source: Any,
    agent: Given = "analyst",
    days: int = LATEST_DAYS,
    accept: str | None = None,
    until: str | None = None,
) -> Watched:
    """Judge the last days of a history, and remember the days that were reported.

    A reported day is not believed by later fits, so that an incident that lasts stays one, until it is accepted.

    Args:
        folder: What ``fit`` wrote.
        source: The history of today, in the form that was fitted.
        agent: A script, or the folder of an agent that was trained on the fitted world.
        days: Last days to judge, 1 to 7.
        accept: All days up to this one are normal from now on, whatever was reported.
        until: Last day to read; says that it is whole.

    Raises:
        ValueError: if the folder is not one of a fit, the history is another one or cannot be read, or the agent does
            not fit.
        ImportError: if a library is missing; names the extra.
    """
    try:
        from filelock import FileLock
    except ImportError as error:
        raise ImportError(f"a folder is kept for one by filelock; {how_to_install('history')}") from error
    check_whole("days", days, 1, LATEST_DAYS)
    place, player = Path(folder), find_player(agent)
    fitted = read_model(place / FIT, FitReport)
    with ExitStack() as stack:
        stack.enter_context(FileLock(place / LOCK))  # let go of when the process ends, however it does
        reported = read_model(place / REPORTED, Reported) if (place / REPORTED).exists() else Reported()
        if accept is not None:
            reported = reported.accept(date_of(accept))
        history = fitted.reading.read(source, fitted.since, until)
        if str(history.dates[-1]) < fitted.last_date and until is None:
            what = f"the last day is {history.dates[-1]}, before that of the fit, {fitted.last_date}"
            raise HistoryError(what, value=str(history.dates[-1]), option="until")
        watched = judge(place, history, fitted, reported, player, days)
        fresh = dict(reported.days)
        for row in watched.report.rows:
            before = fresh.get(row.date)
            if before is None or not before.accepted:
                entities = {*(before.entities if before else ()), (row.entity_type, row.entity_name)}
                fresh[row.date] = ReportedDay(entities=tuple(sorted(entities)))
        write_model(place / REPORTED, Reported(days=dict(sorted(fresh.items()))))
    return watched


def judge(
    folder: Path, history: History, fitted: FitReport, reported: Reported, player: Player, days: int = LATEST_DAYS
) -> Watched:
    """Judge the last days of a history; nothing is remembered.

    Args:
        folder: To leave the weeks in that are judged.
        history: Up to the last day that is judged.
        fitted: What the fit found.
        reported: What was reported so far.
        player: Who judges.
        days: Last days to judge, 1 to 7.

    Raises:
        ValueError: if the history is too short, or the player does not fit.
    """
    found, config, near = judged_by(folder, history, fitted, reported, player)
    return report_of(player, found, config, play(player, config), reported, near, days)


def date_of(text: str) -> dt.date:
    """An ISO date.

    Raises:
        ValueError: if it is none.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"accept {text!r} is not a date such as '2026-03-31'") from None


def judged_by(
    folder: Path, history: History, fitted: FitReport, reported: Reported, player: Player
) -> tuple[HistoryFit, EnvConfig, dict[str, str]]:
    """What is normal today, the environment of the latest weeks, and the days near holidays."""
    within = set(history.dates.astype(str).tolist())
    windows = windows_of(history, fitted.country, fitted.subdivision)
    near = holidays_of(windows)
    # Days that are judged are not left out, so that a second look on a day says what the first one did; what is unusual
    # in them the fit does not believe anyway.
    first_judged = str(history.dates[-min(LATEST_DAYS, len(history.dates))])
    past = [date for date in reported.disbelieved() if date in within and date < first_judged]
    past += [date for date in fitted.ignore if date in within and date < first_judged and date not in past]
    found = fit_history(history, fitted.num_weeks, sorted({*near, *past}))
    expected = ExpectedChanges.nothing(len(history.dates))
    if fitted.most_announced:
        expected = expected_changes(found, windows, history.dates, past)
    content = fitted_history(history, found, len(history.dates), expected, past).to_bytes()
    write(folder / LATEST, content)
    replay = Replay(path=os.fspath((folder / LATEST).resolve()), sha256=digest(content), weeks="latest", jitter=0)
    # Only what is known of the history itself: nothing is drawn.
    world = WorldConfig(events=(0, 0), gaps=(0, 0)) if fitted.most_announced else None
    generator = found.parameters.config().model_copy(update={"world": world})
    base = EnvConfig(generator=generator, difficulty=fitted.difficulty, anomaly_count=0)
    own = player.trained_on
    changes = (
        {"budget": UNITS, "step_limit": STEPS}
        if own is None
        else {name: getattr(own, name) for name in ("view", "budget", "step_limit", "costs", "step_cost")}
    )
    config = with_replay(base.model_copy(update=changes), replay)
    player.check(config)
    return found, config, near


def play(player: Player, config: EnvConfig) -> list[tuple[int, int]]:
    """(day, entity) of the cells that an agent reports, by date."""
    played = player.play(Assignment([SEED], config))
    return [(row.day, row.entity) for row in played.rows[0]]


def report_of(
    player: Player,
    found: HistoryFit,
    config: EnvConfig,
    cells: list[tuple[int, int]],
    reported: Reported,
    near: dict[str, str],
    days: int,
) -> Watched:
    """What the reported cells of the last days say."""
    episode = episode_of(config)
    dates, entities = episode.dates, config.generator.catalogue.entities
    judged = dates[-days:]
    chosen = [Cell(dates[day], entities[entity]) for day, entity in cells if dates[day] in judged]
    accepted = {date for date, day in reported.days.items() if day.accepted}
    rows: list[ReportRow] = []
    for cell in chosen:
        if cell.date not in accepted:
            since = since_when(cell, chosen, reported)
            rows.append(describe(cell, found, episode, since, near.get(cell.date)))
    return Watched(
        Report(
            agent=player.name,
            first_date=judged[0],
            last_date=judged[-1],
            rows=tuple(row for row in rows if row.holiday is None),
            explained=tuple(row for row in rows if row.holiday is not None),
            notes=(*found.history.notes, *found.notes),
        ),
        found,
    )


def episode_of(config: EnvConfig) -> EpisodeData:
    """The latest weeks, in which nothing was injected."""
    env = MetricTrackerEnv(config=config)
    env.reset(seed=SEED)
    env.step(env.actions.encode(SUBMIT))
    return env.episode()


def since_when(cell: Cell, chosen: list[Cell], reported: Reported) -> str:
    """The first of the days in a row, up to that of the cell, on which the same entity was reported, now or before."""
    key = cell.entity.entity_type, cell.entity.entity_name
    told = {other.date for other in chosen if other.entity == cell.entity}
    told |= {date for date, day in reported.days.items() if key in day.entities}
    first = dt.date.fromisoformat(cell.date)
    while (first - dt.timedelta(days=1)).isoformat() in told:
        first -= dt.timedelta(days=1)
    return first.isoformat()
