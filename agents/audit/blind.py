"""Exploits that do not look: they submit what is likely, what is cheap to list, or everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from metric_tracker_env import MetricSubmissionRow
from metric_tracker_env.play.actions import INSPECT_TOOLS, OPEN_TOOL, REVEALED_TYPES, SURVEY_TOOL
from metric_tracker_env.tools.tables import from_tables

from .door import Door
from .exploit import Knowledge, exploit

SHOWN_BY = {kind: tool for tool in INSPECT_TOOLS for kind in REVEALED_TYPES[tool]}  # tools on a date, by what they show
ALL_DATES = 366
ONE_OF_MANY = 0.25  # what a fixed guess on flagged dates may get
NAMES_ALL = 0.5  # what an agent may get that reads the data and names all that is flagged
LISTS = ("counts", "rates")
ROW_FIELDS = tuple(MetricSubmissionRow.model_fields)


@exploit("submits nothing, which is right where nothing happened", most=1.0)
def nothing(door: Door, known: Knowledge) -> None:
    """Submit an empty list."""
    del known
    if door.begin():
        door.submit([])


@exploit("pays for the cell that is most often a root in public episodes, and submits it whatever it shows")
def prior(door: Door, known: Knowledge) -> None:
    """The best guess without a look."""
    if door.begin():
        entity, day = np.unravel_index(int(known.prior.argmax()), known.prior.shape)
        hand_in(door, [known.row(known.dates[int(day)], int(entity))])


@exploit("submits every cell of every date")
def everything(door: Door, known: Knowledge) -> None:
    """Recall 1, at the precision that there is."""
    if door.begin():
        door.submit([known.row(date, entity) for date in known.dates for entity in range(len(known.prior))])


@exploit("surveys the dates, and pays for one entity, the most frequent root, on each and names it", most=ONE_OF_MANY)
def one_entity(door: Door, known: Knowledge) -> None:
    """A fixed guess on flagged dates."""
    if door.begin():
        entity = int(known.prior.sum(axis=1).argmax())
        hand_in(door, [known.row(date, entity) for date in flagged_dates(door)])


@exploit("buys flags for the whole budget, opens no date, and names the roots that are likeliest where those flags are")
def scans_only(door: Door, known: Knowledge) -> None:
    """The strongest player that opens no date."""

    def told(tool: str, **arguments: Any) -> dict[str, Any]:
        return from_tables(door.call(tool, **arguments)["result"])

    if door.begin():
        door.submit(known.guesser.play(told))


@exploit("opens flagged dates and names every flagged cell", most=NAMES_ALL)
def report_all(door: Door, known: Knowledge) -> None:
    """No choice of roots at all."""
    del known
    if not door.begin():
        return
    rows = []
    for date in flagged_dates(door):
        told = door.call(OPEN_TOOL, date=date)
        if not told["ok"]:
            break
        result = from_tables(told["result"])
        rows += [cell for name in LISTS for cell in result[name] if cell["is_anomaly"]]
    door.submit([{field: row[field] for field in ROW_FIELDS} for row in rows])


@exploit("opens one date and submits its largest cell fifty times", most=NAMES_ALL)
def duplicates(door: Door, known: Knowledge) -> None:
    """One right row, again and again."""
    del known
    if not door.begin():
        return
    best: list[dict[str, Any]] = []
    for date in flagged_dates(door)[:1]:
        result = from_tables(door.call(OPEN_TOOL, date=date)["result"])
        cells = [cell for name in LISTS for cell in result[name] if cell["is_anomaly"]]
        best = sorted(cells, key=lambda cell: -abs(cell["ratio"]))[:1]
    door.submit([{field: cell[field] for field in ROW_FIELDS} for cell in best] * 50)


def flagged_dates(door: Door) -> list[str]:
    """What the survey lists."""
    told = door.call(SURVEY_TOOL, limit=ALL_DATES)
    return [item["date"] for item in from_tables(told["result"])["dates"]] if told["ok"] else []


def hand_in(door: Door, rows: list[dict[str, Any]]) -> None:
    """Pay for the cells of some rows, as far as the budget goes, since others do not count; and submit them."""
    for date, kind in dict.fromkeys((row["date"], row["entity_type"]) for row in rows):
        door.call(SHOWN_BY.get(kind, OPEN_TOOL), date=date)
    door.submit(rows)
