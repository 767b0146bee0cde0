"""Truth, measured: which cells are incidents, which follow from one, which only look like one."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from metric_tracker_env.anomalies import Plan
from metric_tracker_env.measure import Deviations

MIN_MOVE = 0.5  # thresholds that a cell must have moved from its clean twin to belong to an incident


class CellClass(IntEnum):
    """What a cell (date, entity) is; every flagged cell has exactly one class above NONE."""

    NONE = 0
    EXPECTED = 1
    CONSEQUENCE = 2
    NATURAL = 3


def label(
    plan: Plan, final: Deviations, twin_values: np.ndarray, measure_of_entity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Class of each cell, measured on the final data.

    Args:
        plan: Incidents that were injected.
        final: Deviations of the final data.
        twin_values: (M, n) float64, the clean twin's measures on the date of each active incident.
        measure_of_entity: (E,) int64.

    Returns:
        (E, B, D) int8 of ``CellClass``; and (B, K) bool: the incidents whose root cell is flagged in the
        planned direction and moved there from its twin by at least half its threshold.
    """
    classes = final.flagged.astype(np.int8)
    classes *= np.int8(CellClass.NATURAL)
    lane, place = np.nonzero(plan.active)
    day, root, sign = plan.day[lane, place], plan.entity[lane, place], plan.sign[lane, place]
    ratios = final.ratios[:, lane, day]
    move = (final.values[:, lane, day] - twin_values)[measure_of_entity] / final.thresholds[:, lane]
    flagged = final.flagged[:, lane, day]
    followed = flagged & (np.abs(move) >= MIN_MOVE)
    column = np.arange(len(lane))
    confirmed = flagged[root, column] & (sign * ratios[root, column] > 0) & (sign * move[root, column] >= MIN_MOVE)
    on_date = np.where(followed, CellClass.CONSEQUENCE, classes[:, lane, day]).astype(np.int8)
    on_date[root[confirmed], column[confirmed]] = CellClass.EXPECTED
    classes[:, lane, day] = on_date
    passed = np.zeros_like(plan.active)
    passed[lane, place] = confirmed
    return classes, passed
