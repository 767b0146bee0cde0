"""Truth, measured: which cells are incidents, which follow from one, which are explained or only look like one."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from metric_tracker_env.measure import MIN_MOVE, Deviations, measures
from metric_tracker_env.schema import Catalogue
from metric_tracker_env.world.injection import Incidents
from metric_tracker_env.world.layer import Layer
from metric_tracker_env.world.plan import Plan


class CellClass(IntEnum):
    """What a cell (date, entity) is; every flagged cell has exactly one class above NONE."""

    NONE = 0
    EXPECTED = 1
    CONSEQUENCE = 2
    NATURAL = 3
    EXPLAINED = 4  # by a known event or by lost hours


def label(
    plan: Plan,
    final: Deviations,
    incidents: Incidents,
    moves: np.ndarray,
    layer: Layer | None,
    measure_of_entity: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Class of each cell, measured on the final data.

    Args:
        plan: Incidents that were injected.
        final: Deviations of the final data.
        incidents: The n dates that have some.
        moves: (M, n) float64, how far the measures of their dates are from the clean twin's.
        layer: What events and gaps did to the twin; None without a world.
        measure_of_entity: (E,) int64.

    Returns:
        (E, B, D) int8 of ``CellClass``; and (B, K) bool: the dates whose root cell is flagged in the
        planned direction and moved there from its twin by at least half its threshold.
    """
    classes = final.flagged.view(np.int8) * np.int8(CellClass.NATURAL)
    flat, days = classes.reshape(-1), classes.shape[-1]
    first = np.arange(0, len(flat), classes[0].size)[:, None]

    def mark(
        lane: np.ndarray, cell: np.ndarray, moves: np.ndarray, cell_class: CellClass
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = first + cell
        flagged = final.flagged.reshape(-1).take(index)
        move = moves.take(measure_of_entity, axis=0)
        move /= final.thresholds.take(lane, axis=1)
        moved = np.abs(move) >= MIN_MOVE
        moved &= flagged
        flat[index[moved]] = cell_class
        return index, flagged, move

    if layer is not None:
        mark(layer.lane, layer.lane * days + layer.day, layer.moves, CellClass.EXPLAINED)
    index, flagged, move = (a.reshape(-1) for a in mark(incidents.lane, incidents.cell, moves, CellClass.CONSEQUENCE))
    spot = np.flatnonzero(plan.active)
    root = plan.entity.reshape(-1)[spot] * len(incidents.cell) + incidents.at
    sign = plan.sign.reshape(-1)[spot]
    confirmed = flagged[root] & (sign * final.ratios.reshape(-1)[index[root]] > 0) & (sign * move[root] >= MIN_MOVE)
    flat[index[root[confirmed]]] = CellClass.EXPECTED
    passed = np.zeros_like(plan.active)
    passed.reshape(-1)[spot] = confirmed
    return classes, passed


def pulls(catalogue: Catalogue, plan: Plan, lane: int) -> np.ndarray:
    """(M, K) int8: which way each incident of an episode pulls each measure of its date by itself, or 0."""
    factor, entity = plan.factor[lane].T.copy(), plan.entity[lane]
    mixed = entity == catalogue.slices["hourly_mix"].start
    wrong = np.flatnonzero(entity >= catalogue.slices["data_quality"].start)
    pair = entity[wrong] - catalogue.slices["data_quality"].start
    factor[1 + pair, wrong] += plan.size[lane, wrong]  # what is logged too often
    excesses = np.zeros((catalogue.num_steps - 1, len(mixed)))
    excesses[pair, wrong] = 1.0
    alone = measures(catalogue, factor, factor[0], excesses)
    usual = measures(catalogue, np.ones_like(factor), np.ones_like(factor[0]), np.zeros_like(excesses))
    alone[catalogue.share_row] += mixed * plan.sign[lane]
    return (np.sign(np.round(alone - usual, 9)) * plan.active[lane]).astype(np.int8)
