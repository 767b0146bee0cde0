"""The report of a morning: what happened on the last days, in the history's own numbers."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import StrictInt

from metric_tracker_env import EpisodeData
from metric_tracker_env.fitting import HistoryFit
from metric_tracker_env.measure import excess
from metric_tracker_env.schema import FAMILIES, AnomalyType, Entity, EntityType, StrictModel

MEASURED_IN: dict[EntityType, Literal["events a day", "share"]] = {
    "event_count": "events a day",
    "conversion_rate": "share",
    "funnel_step": "share",
    "hourly_mix": "share",
    "data_quality": "events a day",
}


class Follows(StrictModel):
    """A measure that moved with the cause."""

    measure: str
    change: float  # share of what was expected


class ReportRow(StrictModel):
    """What happened on a day: the cause, and what followed from it."""

    date: str
    entity_type: EntityType
    entity_name: str
    anomaly_type: AnomalyType
    measure: str  # of the fit that the entity is told by; for impossible counts the step
    unit: Literal["events a day", "share"]
    observed: float
    expected: float  # 0 for impossible counts
    change: float | None  # observed / expected - 1; None for impossible counts
    noises: float | None  # the change in the measure's noise
    since: str  # first of the days in a row on which the same was reported
    follows: tuple[Follows, ...]
    holiday: str | None  # that the day is near to, which explains it


class Report(StrictModel):
    """What there is to look at."""

    format: StrictInt = 1
    agent: str
    first_date: str  # of the days that are judged
    last_date: str
    rows: tuple[ReportRow, ...]  # to look at, by date
    explained: tuple[ReportRow, ...]  # near a holiday
    notes: tuple[str, ...]


class Cell(NamedTuple):
    """A cell that was reported."""

    date: str
    entity: Entity


def describe(cell: Cell, found: HistoryFit, episode: EpisodeData, since: str, holiday: str | None) -> ReportRow:
    """A reported cell in the history's own numbers."""
    catalogue, day = episode.generator_config.catalogue, found.history.dates.astype(str).tolist().index(cell.date)
    entity, row = cell.entity, int(catalogue.measure_of_entity[cell.entity.index])
    told = episode.row(episode.dates.index(cell.date), entity.index)
    if entity.entity_type == "data_quality":
        above = excess(found.history.counts[day].T[:, :, None].astype(np.float64))
        observed = float(above[entity.index - catalogue.slices["data_quality"].start].item())
        expected, change, noises = 0.0, None, None
        measure = catalogue.count_metrics[1 + entity.index - catalogue.slices["data_quality"].start]
    else:
        measure = found.measures[row]
        observed, expected = float(found.values[day, row]), float(found.expected[day, row])
        change = observed / expected - 1.0
        noises = change / float(found.noise[row])
    return ReportRow(
        date=cell.date,
        entity_type=entity.entity_type,
        entity_name=entity.entity_name,
        anomaly_type=told.anomaly_type,
        measure=measure,
        unit=MEASURED_IN[entity.entity_type],
        observed=observed,
        expected=expected,
        change=change,
        noises=noises,
        since=since,
        follows=_following(cell, found, episode, day),
        holiday=holiday,
    )


def _following(cell: Cell, found: HistoryFit, episode: EpisodeData, day: int) -> tuple[Follows, ...]:
    """The other measures of the day that a detection method flags, each once."""
    catalogue = episode.generator_config.catalogue
    flagged = episode.deviations.flagged[:, 0, episode.dates.index(cell.date)]
    rows = dict.fromkeys(catalogue.measure_of_entity[np.flatnonzero(flagged)].tolist())
    rows.pop(int(catalogue.measure_of_entity[cell.entity.index]), None)
    return tuple(
        Follows(measure=found.measures[row], change=float(found.deviation[day, row]))
        for row in rows
        if row < len(found.measures) and np.isfinite(found.deviation[day, row])
    )


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
