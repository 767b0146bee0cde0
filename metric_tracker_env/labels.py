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
    plan: Plan, final: Deviations, at: np.ndarray, moves: np.ndarray, measure_of_entity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Class of each cell, measured on the final data.

    Args:
        plan: Incidents that were injected.
        final: Deviations of the final data.
        at: (n,) int64, ``b * D + d`` of each active incident.
        moves: (M, n) float64, how far the measures of its date are from the clean twin's.
        measure_of_entity: (E,) int64.

    Returns:
        (E, B, D) int8 of ``CellClass``; and (B, K) bool: the incidents whose root cell is flagged in the
        planned direction and moved there from its twin by at least half its threshold.
    """
    classes = final.flagged.view(np.int8) * np.int8(CellClass.NATURAL)
    lane, place = np.nonzero(plan.active)
    root, sign, column = plan.entity[lane, place], plan.sign[lane, place], np.arange(len(lane))
    flat = classes.reshape(len(classes), -1)
    on_date = flat.take(at, axis=1)
    flagged = on_date > 0
    move = moves.take(measure_of_entity, axis=0) / final.thresholds.take(lane, axis=1)
    on_date[flagged & ((move >= MIN_MOVE) | (move <= -MIN_MOVE))] = CellClass.CONSEQUENCE
    ratio = final.ratios.reshape(len(classes), -1)[root, at]
    confirmed = flagged[root, column] & (sign * ratio > 0) & (sign * move[root, column] >= MIN_MOVE)
    on_date[root[confirmed], column[confirmed]] = CellClass.EXPECTED
    for row, row_on_date in zip(flat, on_date, strict=True):
        row[at] = row_on_date
    passed = np.zeros_like(plan.active)
    passed[lane, place] = confirmed
    return classes, passed
