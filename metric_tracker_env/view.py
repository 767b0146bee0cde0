"""What an analyst may look at: the data of one episode without any truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import Deviations
from metric_tracker_env.schema import Catalogue, Difficulty, Gap, KnownEvent, MetricSubmissionRow


@dataclass(frozen=True, repr=False)
class MetricView:
    """The data of one episode and the statistics of it, computed once; holds no label, seed or twin.

    Under a budget, ``visible`` says which cells have been paid for: tools over all dates then tell on which dates
    there is something, and the values of visible cells alone.
    """

    config: GeneratorConfig
    difficulty: Difficulty
    hourly: np.ndarray  # (D, H, S) int32 events an hour
    deviations: Deviations  # batch axis kept, B = 1
    known_events: tuple[KnownEvent, ...] = ()  # what was announced, by date
    gaps: tuple[Gap, ...] = ()  # dates of which hours were lost
    visible: np.ndarray | None = None  # (E, D) bool, cells whose values may be told; None for all

    def __repr__(self) -> str:
        return f"MetricView({self.config.date_names[0]} to {self.config.date_names[-1]})"

    @property
    def catalogue(self) -> Catalogue:
        """Entities of the funnel."""
        return self.config.catalogue

    @cached_property
    def daily(self) -> np.ndarray:
        """(D, S) int64 events a day."""
        return self.hourly.sum(axis=1, dtype=np.int64)

    @cached_property
    def values(self) -> np.ndarray:
        """(E, D) float64 value of every cell, in the entity's unit."""
        return self.deviations.values[self.catalogue.measure_of_entity, 0]

    @cached_property
    def baselines(self) -> np.ndarray:
        """(E,) float64 baseline of every entity: its median over the dates, 0 for data quality."""
        return self.deviations.medians[self.catalogue.measure_of_entity, 0]

    @property
    def thresholds(self) -> np.ndarray:
        """(E,) float64 smallest deviation that each detection method flags."""
        return self.deviations.thresholds[:, 0]

    @property
    def ratios(self) -> np.ndarray:
        """(E, D) float64 signed deviation in thresholds."""
        return self.deviations.ratios[:, 0]

    @property
    def flagged(self) -> np.ndarray:
        """(E, D) bool: cells that their detection method confirms."""
        return self.deviations.flagged[:, 0]

    @cached_property
    def strength(self) -> np.ndarray:
        """(7, D) float64 strength of each family on each date, see ``measure.scan_strength``."""
        return measure.scan_strength(self.catalogue, self.deviations.ratios)[:, 0]

    @cached_property
    def seasonal_baseline(self) -> np.ndarray:
        """(D,) float64 first-step events that weekday and trend lead one to expect."""
        entry = self.daily[:, 0].astype(np.float64)[None]
        return measure.seasonal_baseline(entry)[0]

    def lost_hours(self, day: int) -> tuple[int, ...]:
        """Hours of a date of which nothing was recorded."""
        name = self.config.date_names[day]
        return tuple(h for gap in self.gaps if gap.date == name for h in range(gap.first_hour, gap.last_hour + 1))

    def told(self, cells: np.ndarray) -> np.ndarray:
        """(E, D) bool: those of the cells whose values may be told."""
        return cells if self.visible is None else cells & self.visible

    def fields(self, day: int, entity: int) -> dict[str, Any]:
        """The fields of the row that says what the data show in one cell."""
        return _described(self.config, self.deviations, day, entity)

    def row(self, day: int, entity: int) -> MetricSubmissionRow:
        """The row that says what the data show in one cell."""
        return MetricSubmissionRow(**self.fields(day, entity))


def describe_cell(config: GeneratorConfig, deviations: Deviations, day: int, entity: int) -> MetricSubmissionRow:
    """The row of one cell of a one-episode batch, with values as reported: baseline, observed, delta."""
    return MetricSubmissionRow(**_described(config, deviations, day, entity))


def row_of_cell(
    config: GeneratorConfig, day: int, entity: int, baseline: float, observed: float
) -> MetricSubmissionRow:
    """The row of a cell with these values."""
    return MetricSubmissionRow(**_fields(config, day, entity, baseline, observed))


def _described(config: GeneratorConfig, deviations: Deviations, day: int, entity: int) -> dict[str, Any]:
    measure_row = config.catalogue.measure_of_entity[entity]
    baseline = float(deviations.medians[measure_row, 0])
    return _fields(config, day, entity, baseline, float(deviations.values[measure_row, 0, day]))


def _fields(config: GeneratorConfig, day: int, entity: int, baseline: float, observed: float) -> dict[str, Any]:
    described, delta = config.catalogue.entities[entity], observed - baseline
    return {
        "date": config.date_names[day],
        "entity_type": described.entity_type,
        "entity_name": described.entity_name,
        "anomaly_type": measure.anomaly_type(described.entity_type, delta),
        "detection_method": described.detection_method,
        "baseline_value": measure.rounded(baseline),
        "observed_value": measure.rounded(observed),
        "delta_value": measure.rounded(delta),
        "severity": measure.severity(described.entity_type, delta, baseline),
    }
