"""Fit a history: read it, check it, say what is normal in it, and write a world like it and its held-out weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from metric_tracker_env import EnvConfig, GeneratorConfig, MetricTrackerEnv
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.config.replay import Replay
from metric_tracker_env.config.world import MAX_EVENTS, MIN_WORLD_WEEKS
from metric_tracker_env.fitting import ExpectedChanges, HistoryFit, expected_changes, fit_history
from metric_tracker_env.fitting.holiday_effects import NOTHING
from metric_tracker_env.fitting.store import FittedHistory, digest
from metric_tracker_env.history import History, HistoryError, HolidayWindow, holiday_windows
from metric_tracker_env.measure import thresholds
from metric_tracker_env.schema import DAYS_PER_WEEK, DIFFICULTIES, Difficulty
from metric_tracker_env.world.variants import nominal_measures

from ..command_line import check_whole
from .files import (
    AS_IS,
    FIT,
    FITTED,
    HELD_OUT,
    HISTORY,
    PICTURE,
    AnnouncedDay,
    FitReport,
    Normal,
    UnusualDay,
    toml,
    write,
    write_model,
)
from .options import FitOptions, Holidays, Reading

INCIDENTS = 3  # of an episode of the fitted world
BUDGET = 20  # where events are known: incidents last, and the list of events has its price
TRIED = 20  # episodes that are made before a configuration is written


class Fitted(NamedTuple):
    """A fitted history and the world that is like it."""

    report: FitReport
    fit: HistoryFit  # of the days that are not held out
    whole: HistoryFit  # of all days
    config: EnvConfig  # the fitted world


def fit(
    source: Any,
    output: str | Path,
    reading: Reading | None = None,
    held_out_weeks: int = 12,
    num_weeks: int = 4,
    difficulty: Difficulty = "medium",
    since: str | None = None,
    until: str | None = None,
    ignore: Iterable[str] = (),
    country: str | None = None,
    subdivision: str | None = None,
    holidays: Holidays = "explained",
) -> Fitted:
    """Fit a history and write its folder.

    Args:
        source: What ``read_history`` reads.
        output: Folder to write; its files of an earlier fit are replaced.
        reading: How it is read.
        held_out_weeks: Last weeks that are kept from the fit, to judge by; 0 for none.
        num_weeks: Weeks of an episode, 1 to 12.
        difficulty: Of the episodes: how large a change must be to be seen, 5, 4 or 3 times the noise.
        since: First day to read; says that it is whole.
        until: Last day to read; says that it is whole.
        ignore: Days that must not be learnt from, such as those of known incidents.
        country: Whose public holidays are known, as a code such as "US"; their days are not learnt from.
        subdivision: Part of the country, such as "NY".
        holidays: "explained" in reports, or also "announced" to agents: the fitted world then has known events, and
            those of the history are its holidays, expected to do what they did before.

    Raises:
        ValueError: if the history cannot be read or fitted, or a world like it cannot be made.
        ImportError: if a library is missing; names the extra.
    """
    check_whole("held_out_weeks", held_out_weeks, 0, 10_000)
    if holidays not in get_args(Holidays):
        what = f"holidays={holidays!r} is not one of {list(get_args(Holidays))}"
        raise HistoryError(what, value=holidays, option="holidays")
    reading = Reading() if reading is None else reading
    history = reading.read(source, since, until)
    days = len(history.dates)
    held_out = days - held_out_weeks * DAYS_PER_WEEK
    if held_out <= 0:
        what = f"held_out_weeks={held_out_weeks} leaves no day to fit; the history has {days // DAYS_PER_WEEK} weeks"
        raise HistoryError(what, value=held_out_weeks, option="held_out_weeks")
    windows = windows_of(history, country, subdivision)
    near = holidays_of(windows)
    ignored = {str(date) for date in ignore}
    training = history.between(last=history.dates[held_out - 1].item())
    left_out = {*near, *ignored}
    whole = fit_history(history, num_weeks, sorted(left_out))
    learnt = fit_history(training, num_weeks, sorted(left_out & set(training.dates.astype(str).tolist())))
    expected = ExpectedChanges.nothing(days)
    if holidays == "announced":
        expected = to_announce(learnt, windows, history, num_weeks, country, ignored)
    most = most_announced(expected, num_weeks)
    config = world_of(learnt.parameters.config(), difficulty, most)
    report = FitReport(
        reading=reading,
        since=since,
        first_date=str(history.dates[0]),
        last_date=str(history.dates[-1]),
        held_out_from=str(history.dates[held_out]) if held_out < days else None,
        num_weeks=num_weeks,
        difficulty=difficulty,
        country=country,
        subdivision=subdivision,
        ignore=tuple(sorted(ignored)),
        announced=announced_days(history, expected, near, learnt.measures),
        most_announced=most,
        normal=normals(learnt, config.generator),
        unusual=tuple(
            UnusualDay(**{name: getattr(item, name) for name in item.__dataclass_fields__}, holiday=near.get(item.date))
            for item in learnt.unusual
        ),
        natural_per_week=learnt.natural_per_week,
        notes=(*history.notes, *learnt.notes),
    )
    record = fitted_history(history, whole, held_out, expected)
    _write_folder(Path(output), report, learnt, record, config, held_out_weeks)
    return Fitted(report, learnt, whole, config)


def fit_with(options: FitOptions, source: Any, output: str | Path) -> Fitted:
    """Fit a history by options that stand together, see ``fit``."""
    return fit(
        source,
        output,
        options.reading,
        options.held_out_weeks,
        options.weeks,
        options.difficulty,
        options.since,
        options.until,
        options.ignore,
        options.country,
        options.subdivision,
        options.holidays,
    )


def windows_of(history: History, country: str | None, subdivision: str | None) -> tuple[HolidayWindow, ...]:
    """The holidays of a history, with the days near them; none without a country."""
    return () if country is None else holiday_windows(history, country, subdivision)


def holidays_of(windows: Iterable[HolidayWindow]) -> dict[str, str]:
    """The name of the holiday that each day near one is near to."""
    return {str(date): window.name for window in windows for date in window.dates}


def to_announce(
    learnt: HistoryFit,
    windows: tuple[HolidayWindow, ...],
    history: History,
    num_weeks: int,
    country: str | None,
    ignored: Iterable[str],
) -> ExpectedChanges:
    """What the holidays let one expect, where it is to be announced.

    Raises:
        HistoryError: if there is no holiday that lets one expect anything, or episodes are too short for known events.
    """
    why = None
    expected = expected_changes(learnt, windows, history.dates, ignored)
    if country is None:
        why = "needs country, whose holidays they are"
    elif num_weeks < MIN_WORLD_WEEKS:
        why = f"needs weeks of at least {MIN_WORLD_WEEKS}; an episode has {num_weeks}"
    elif not most_announced(expected, num_weeks):
        why = f"needs holidays: from those of {country} in this history nothing can be expected"
    if why is not None:
        raise HistoryError(f"holidays='announced' {why}", value="announced", option="holidays")
    return expected


def announced_days(
    history: History, expected: ExpectedChanges, near: dict[str, str], measures: Sequence[str]
) -> tuple[AnnouncedDay, ...]:
    """What holidays let one expect, by date."""
    return tuple(
        AnnouncedDay(date=date, holiday=near[date], measure=measures[int(measure)], change=change)
        for date, measure, change in zip(
            history.dates.astype(str).tolist(), expected.measure.tolist(), expected.change.tolist(), strict=True
        )
        if measure != NOTHING
    )


def most_announced(expected: ExpectedChanges, num_weeks: int) -> int:
    """Dates of an episode at most of which something is announced."""
    days = num_weeks * DAYS_PER_WEEK
    known = np.concatenate([np.zeros(days, np.int64), np.cumsum(expected.measure != NOTHING)])
    return min(int((known[days:] - known[:-days]).max()), MAX_EVENTS)


def world_of(generator: GeneratorConfig, difficulty: Difficulty, most: int) -> EnvConfig:
    """An environment of a fitted world, with up to ``most`` known events, or none at all where that is 0.

    Raises:
        ValueError: if its episodes cannot be made.
    """
    changes: dict[str, Any] = {}
    if most:
        generator = generator.model_copy(update={"world": WorldConfig(events=(0, most), gaps=(0, 0))})
        changes["budget"] = BUDGET
    incidents = min(INCIDENTS, generator.max_incidents)
    config = EnvConfig(generator=generator, difficulty=difficulty, anomaly_count=incidents, **changes)
    env = MetricTrackerEnv(config=config)
    for seed in range(TRIED):
        env.reset(seed=seed)
    return config


def fitted_history(
    history: History, whole: HistoryFit, held_out: int, near_holidays: ExpectedChanges, disbelieved: Iterable[str] = ()
) -> FittedHistory:
    """What a replay needs; days that are not believed count as not known."""
    known = history.known & ~np.isin(history.dates.astype(str), list(disbelieved))
    share = np.zeros(len(known))
    if history.hourly:  # the last measure
        share = np.where(np.isfinite(whole.expected[:, -1]), whole.expected[:, -1], 0.0)
    expected = whole.level * whole.weekday
    return FittedHistory(history.steps, history.dates, history.counts, known, expected, share, held_out, near_holidays)


def normals(found: HistoryFit, generator: GeneratorConfig) -> tuple[Normal, ...]:
    """What is normal in each measure, on a mean day of the last weeks, and what the detection methods see of it."""
    catalogue, nominal = generator.catalogue, nominal_measures(generator)
    of_measure = [
        next(e.index for e in catalogue.entities if catalogue.measure_of_entity[e.index] == row)
        for row in range(len(found.measures))
    ]
    seen: dict[Difficulty, np.ndarray] = {
        difficulty: thresholds(catalogue, difficulty, nominal)[of_measure] / nominal[: len(found.measures)]
        for difficulty in DIFFICULTIES
    }
    steps = len(found.history.steps)
    usual = np.nanmean(np.where(found.expected > 0, found.expected, np.nan)[-4 * DAYS_PER_WEEK :], axis=0)
    return tuple(
        Normal(
            measure=name,
            unit="events a day" if column < steps else "share",
            usual=float(usual[column]),
            noise=float(found.noise[column]),
            smallest_change={difficulty: float(share[column]) for difficulty, share in seen.items()},
        )
        for column, name in enumerate(found.measures)
    )


def _write_folder(
    folder: Path, report: FitReport, found: HistoryFit, record: FittedHistory, config: EnvConfig, held_out_weeks: int
) -> None:
    """Write everything; the report last, as it says that the folder is whole."""
    from .picture import draw_fit

    folder.mkdir(parents=True, exist_ok=True)
    content = record.to_bytes()
    replay = Replay(path=HISTORY, sha256=digest(content), weeks="held_out")
    configs = {FITTED: config}
    if held_out_weeks >= report.num_weeks:
        for name, ordinary in ((HELD_OUT, True), (AS_IS, False)):
            chosen = replay.model_copy(update={"ordinary": ordinary})
            configs[name] = with_replay(config, chosen)
    for name in (HELD_OUT, AS_IS):
        if name not in configs:
            (folder / name).unlink(missing_ok=True)  # of an earlier fit, whose history it needs
    write(folder / HISTORY, content)
    for name, held in configs.items():
        write(folder / name, toml(told(held)))
    write(folder / PICTURE, draw_fit(found))
    write_model(folder / FIT, report)


def with_replay(config: EnvConfig, replay: Replay) -> EnvConfig:
    """The same environment on a history."""
    return config.model_copy(update={"generator": config.generator.model_copy(update={"replay": replay})})


def told(config: EnvConfig) -> dict[str, Any]:
    """A configuration as the table of a file, without what is as by default."""
    return config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
