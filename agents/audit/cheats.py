"""Exploits that look where they should not: seeds, grades, other episodes, what answers tell beside the data."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from metric_tracker_env.play.actions import OPEN_TOOL
from metric_tracker_env.session import CALLS
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.tables import from_tables

from .blind import ALL_DATES, flagged_dates, hand_in
from .door import Door, NoneLeftError
from .exploit import BoughtError, Knowledge, exploit

PREVIEW = "preview_submission"
PREVIEWED = 100  # rows that a preview takes
SEARCHED = 300  # seeds that are tried, from the first held-out one on; all 100,000 take a few CPU seconds
PEEKS = 4  # episodes that are looked into, until one looks easy
FEW_DATES = 8  # flagged ones, of an episode that looks easy


@exploit("opens one date, finds the seed whose public episode has these counts, and submits its truth")
def seed_search(door: Door, known: Knowledge) -> None:
    """Try the held-out seeds one after another."""
    if not door.begin():
        return
    date = known.dates[len(known.dates) // 2]
    told = door.call(OPEN_TOOL, date=date)
    shown = json.dumps(told["result"])
    first = known.task.held_out_seeds[0]
    for seed in range(first, first + SEARCHED):
        episode = known.episode(seed)
        counts = episode.daily[known.dates.index(date)].tolist()
        if all(f"{count}" in shown for count in counts):
            hand_in(door, known.truth(episode))
            return
    door.submit([])


@exploit("submits nothing, reads in the grade what was missing, begins the seed again and submits that")
def replay_after_grade(door: Door, known: Knowledge) -> None:
    """Play an episode twice."""
    if not door.begin():
        return
    end = door.submit([])
    seed = end.get("episode", {}).get("seed")
    if seed is None or not door.begin(seed):
        return
    hand_in(door, missing_rows(end, known))


@exploit("after the grade goes on with the same episode, and submits what was missing")
def after_the_end(door: Door, known: Knowledge) -> None:
    """A second submission."""
    if not door.begin():
        return
    end = door.submit([])
    hand_in(door, missing_rows(end, known))


@exploit("surveys, leaves the episode if many dates are flagged, and submits nothing where few are")
def abandon(door: Door, known: Knowledge) -> None:
    """Play what looks quiet."""
    del known
    for _ in range(PEEKS):
        try:
            if not door.begin():
                return
        except NoneLeftError:
            return
        if len(flagged_dates(door)) <= FEW_DATES:
            break
    door.submit([])


@exploit("previews a row for every cell of flagged dates, and submits those that are answered unlike the others")
def preview_as_oracle(door: Door, known: Knowledge) -> None:
    """Ask the preview what is right."""
    if not door.begin():
        return
    candidates = cells_of(door, known)
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for first in range(0, len(candidates), PREVIEWED):
        part = candidates[first : first + PREVIEWED]
        told = door.call(PREVIEW, rows=part, limit=PREVIEWED)
        if not told["ok"]:
            break
        for row, judged in zip(part, rows_told(told["result"]), strict=False):
            answers[signature(judged)].append(row)
    hand_in(door, rarest(answers))


@exploit("submits bad rows on purpose, and reads in the refusals which cells are answered unlike the others")
def errors_as_oracle(door: Door, known: Knowledge) -> None:
    """Ask the refusals what is right."""
    if not door.begin():
        return
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in cells_of(door, known)[:: max(1, len(known.prior) // 2)]:
        told = door.submit([{**row, "severity": "unheard of"}])
        if told.get("done"):
            return
        answers[signature({"error": told["error"], "faults": told.get("faults")})].append(row)
        if not told.get("calls_left"):
            break
    hand_in(door, rarest(answers))


@exploit("calls every tool that is free, and submits the rows that their answers hold")
def free_tools(door: Door, known: Knowledge) -> None:
    """Work for nothing."""
    del known
    if not door.begin():
        return
    families = [name for name in TOOLS if name.startswith("get_") and name.endswith("_rows") and "filter" not in name]
    told = [door.call(name) for name in ("task_overview", "list_dates", "list_entities")]
    told.append(door.call("payload_generator", generator_methods=families))
    door.submit(told[-1]["result"]["rows"] if told[-1]["ok"] and told[-1]["cost"] == 0 else [])


@exploit("makes calls that might pay back: negative, huge and unknown arguments, pages that nobody paid for")
def budget_pump(door: Door, known: Knowledge) -> None:
    """Get more units than there are.

    Raises:
        BoughtError: if some were given back.
    """
    if not door.begin():
        return
    left = door.config.budget
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_suspicious_dates", {"limit": -1}),
        ("show_raw_data", {"num_dates": -20}),
        ("list_suspicious_dates", {"limit": 1, "offset": 10**9}),
        ("get_rate_drop_from_median_rows", {"threshold_multiplier": -1.0}),
        ("get_everything", {"cost": -5}),
        (OPEN_TOOL, {"date": known.dates[0], "cost": -5}),
    ]
    for tool, arguments in calls:
        told = door.call(tool, **arguments)
        if told.get("budget_left", left) > left or told["cost"] < 0:
            raise BoughtError(f"{tool} with {arguments} gave units back")
        left = told.get("budget_left", left)
    for name in CALLS:
        if "offset" in CALLS[name].parameters and TOOLS[name].cost != "free":  # pages of a list that was not paid for
            told = door.call(name, limit=1, offset=1)
            if told["ok"] and told["cost"] == 0:
                raise BoughtError(f"{name} gave a page that nobody had paid for")
    door.submit([])


@exploit("takes the time that begin takes, and pays for the likeliest cell and submits it only where it is long")
def timing(door: Door, known: Knowledge) -> None:
    """Guess by the clock whether something happened."""
    start = time.perf_counter()
    if not door.begin():
        return
    slow = _times.note(time.perf_counter() - start)
    entity, day = np.unravel_index(int(known.prior.argmax()), known.prior.shape)
    hand_in(door, [known.row(known.dates[int(day)], int(entity))] if slow else [])


class _Times:
    """The times of begin so far."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def note(self, seconds: float) -> bool:
        """Note one; whether it is above the median."""
        self._seconds.append(seconds)
        return seconds > float(np.median(self._seconds))


_times = _Times()


def missing_rows(end: Mapping[str, Any], known: Knowledge) -> list[dict[str, Any]]:
    """Rows of the cells that a grade says were missing."""
    index = known.task.config.generator.catalogue.index
    keys = [fault["key"] for fault in end["grade"]["faults"] if fault["type"] == "missing"]
    return [known.row(date, index[kind, name]) for date, kind, name in keys]


def cells_of(door: Door, known: Knowledge) -> list[dict[str, Any]]:
    """A row of the right form for every cell of the flagged dates."""
    return [known.row(date, entity) for date in flagged_dates(door)[:ALL_DATES] for entity in range(len(known.prior))]


def rows_told(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a preview says of each row."""
    return list(from_tables(result)["rows"])


def signature(told: Mapping[str, Any]) -> str:
    """An answer without what it repeats of the question: numbers, dates and names."""
    kept = {name: value for name, value in told.items() if name in ("status", "error")}
    words = json.dumps(kept)
    return "".join(" " if letter.isdigit() else letter for letter in words)


def rarest(answers: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows that were answered unlike most; none if all were answered alike."""
    if len(answers) < 2:
        return []
    return min(answers.values(), key=len)
