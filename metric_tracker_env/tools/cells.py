"""Which cells of a view a scan finds, and the rows that describe them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.schema import ENTITY_TYPES, WEEKDAYS, AnomalyType, EntityType, MetricRecord
from metric_tracker_env.submission import shown
from metric_tracker_env.tools.registry import ToolError
from metric_tracker_env.tools.results import NORMAL, Comparison
from metric_tracker_env.view import MetricView

UNITS: dict[EntityType, str] = {
    "event_count": "events a day",
    "conversion_rate": "percent",
    "funnel_step": "percent",
    "hourly_mix": "share of the day's events",
    "data_quality": "events a day",
}


def comparison(view: MetricView, day: int, entity: int) -> Comparison:
    """One cell: its row, threshold, ratio and whether it is flagged."""
    row = view.fields(day, entity)
    flagged = bool(view.flagged[entity, day])
    if not flagged:
        row["anomaly_type"] = NORMAL
    return Comparison(
        **row,
        threshold=measure.rounded(view.thresholds[entity]),
        ratio=measure.rounded(view.ratios[entity, day]),
        is_anomaly=flagged,
    )


def comparisons(view: MetricView, day: int, entity_type: EntityType) -> tuple[Comparison, ...]:
    """The cells of one date that are of one type."""
    chosen = view.catalogue.slices[entity_type]
    return tuple(comparison(view, day, entity) for entity in range(chosen.start, chosen.stop))


def record(view: MetricView, day: int, hour: int | None = None) -> MetricRecord:
    """Event counts of a day, or of one hour of it.

    Under a budget an hour tells the first step alone: the other steps would tell counts, rates and impossible hours,
    which other tools are paid for.
    """
    counts = view.daily[day] if hour is None else view.hourly[day, hour]
    steps = 1 if hour is not None and view.visible is not None else None
    named = dict(zip(view.catalogue.count_metrics[:steps], counts[:steps].tolist(), strict=True))
    return MetricRecord.model_validate({"date": view.config.date_names[day], "hour": hour, **named})


def weekday(view: MetricView, day: int) -> str:
    """English name of a day's weekday."""
    return WEEKDAYS[view.config.weekdays[day]]


def by_date(cells: np.ndarray) -> Iterator[tuple[int, int]]:
    """(day, entity) of the cells of an (E, D) mask, by day, then in catalogue order."""
    days, entities = np.nonzero(cells.T)
    return zip(days.tolist(), entities.tolist(), strict=True)


def family_cells(view: MetricView, family: AnomalyType, multiplier: float = 1.0) -> np.ndarray:
    """(E, D) bool: cells that would be flagged as this family if every threshold were ``multiplier`` times as high."""
    found = measure.flagged(view.catalogue, view.ratios / multiplier)
    down, up = view.ratios < 0, view.ratios > 0
    for kind in ENTITY_TYPES:
        of_kind = view.catalogue.slices[kind]
        if measure.anomaly_type(kind, -1.0) != family:
            found[of_kind] &= ~down[of_kind]
        if measure.anomaly_type(kind, 1.0) != family:
            found[of_kind] &= ~up[of_kind]
    return found


class Listed(NamedTuple):
    """A page of cells: what the tools that list rows have in common."""

    dates: tuple[str, ...]  # on which any of the cells is, told or not
    cells: list[tuple[int, int]]  # (day, entity) of the page
    total: int  # cells whose values may be told
    next_offset: int | None


def next_offset(total: int, limit: int, offset: int) -> int | None:
    """The offset of the page that follows one; None after the last."""
    following = offset + limit
    return following if following < total else None


def dates_of(view: MetricView, cells: np.ndarray) -> tuple[str, ...]:
    """The dates on which any cell of an (E, D) mask is."""
    return tuple(view.config.date_names[day] for day in np.flatnonzero(cells.any(axis=0)).tolist())


def listed(view: MetricView, cells: np.ndarray, limit: int, offset: int) -> Listed:
    """A page of an (E, D) mask by date: all its dates, and those of its cells whose values may be told."""
    told = list(by_date(view.told(cells)))
    return Listed(
        dates=dates_of(view, cells),
        cells=told[offset : offset + limit],
        total=len(told),
        next_offset=next_offset(len(told), limit, offset),
    )


def chosen_metrics(
    view: MetricView, kinds: Sequence[EntityType], metric_name: str | None, metric_names: Sequence[str] | None
) -> list[int]:
    """Entity indices of the metrics that a tool is asked about: one, several, or all of some types.

    Raises:
        ToolError: if both one and several are named.
    """
    if metric_name is not None and metric_names is not None:
        raise ToolError(
            f"argument metric_name is {shown(metric_name)} and metric_names is {shown(list(metric_names))}: "
            "give one of the two, or neither for all metrics"
        )
    names = metric_names if metric_name is None else (metric_name,)
    of_kinds = [entity for entity in view.catalogue.entities if entity.entity_type in kinds]
    return [entity.index for entity in of_kinds if names is None or entity.entity_name in names]


def only(view: MetricView, entities: Sequence[int]) -> np.ndarray:
    """(E, 1) bool: True for the entities."""
    mask = np.zeros((view.catalogue.num_entities, 1), dtype=bool)
    mask[list(entities)] = True
    return mask
