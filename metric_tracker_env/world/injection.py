"""What incidents do to the hourly counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import SHARE_THRESHOLD, daytime, excess, measures
from metric_tracker_env.schema import Catalogue, Difficulty
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.variants import (
    IMPOSSIBLE_HOURS,
    MIX_FAMILY,
    QUALITY_FAMILY,
    SHIFT_DAY_HOURS,
    SHIFT_LIMIT,
    SHIFT_NIGHT_HOURS,
)


def shift_hours(entry: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Move a share of the day's first-step events between day and night hours; the total stays.

    Args:
        entry: (H, n) first-step events.
        moved: (n,) share of the day's total to move, positive towards the day hours.

    Returns:
        (H, n) whole numbers with the same totals.
    """
    total = entry.sum(axis=0)
    day = entry[SHIFT_DAY_HOURS].sum(axis=0)
    night = sum(entry[part].sum(axis=0) for part in SHIFT_NIGHT_HOURS)
    amount = np.maximum(np.minimum(moved * total, SHIFT_LIMIT * night), -SHIFT_LIMIT * day)
    out = entry.copy()
    out[SHIFT_DAY_HOURS] *= 1.0 + amount / np.maximum(day, 1.0)
    for part in SHIFT_NIGHT_HOURS:
        out[part] *= 1.0 - amount / np.maximum(night, 1.0)
    out = np.add.accumulate(out.T.copy(), axis=1).T  # cumulative rounding, as for clean traffic
    out[-1] = total
    out = np.rint(out)
    out[1:] -= out[:-1].copy()
    return out


def shift_traffic(before: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(S, H, n) counts after ``shift_hours`` of the first step; each hour's funnel follows at its own rates."""
    after = np.empty_like(before)
    after[0] = shift_hours(before[0], moved)
    rates = before[1:] / np.maximum(before[:-1], 1.0)
    for step, rate in enumerate(rates, start=1):
        np.minimum(np.rint(after[step - 1] * rate), after[step - 1], out=after[step])
    return after


class Incidents(NamedTuple):
    """The hours that n incidents change; nothing is written to the planes yet."""

    cell: np.ndarray  # (n,) int64, ``b * D + d``, lane by lane
    lane: np.ndarray  # (n,) int64
    impossible: np.ndarray  # (m,) int64, which of the n have impossible counts
    place: np.ndarray  # (H, n) int64, places in the flat planes of one step
    counts: np.ndarray  # (S, H, n), events an hour after the incidents

    def write(self, planes: np.ndarray) -> None:
        """Put the counts into C-contiguous planes (S, H, B, D)."""
        place = self.place.reshape(-1)
        for plane, counts in zip(planes, self.counts, strict=True):
            plane.reshape(-1)[place] = counts.reshape(-1)

    def write_some(self, planes: np.ndarray, dates: np.ndarray) -> None:
        """``write`` for some of the n dates, (n,) bool or positions."""
        self._replace(place=self.place[:, dates], counts=self.counts[:, :, dates]).write(planes)

    def measures(self, catalogue: Catalogue) -> np.ndarray:
        """(M, n) float64 measures of the dates with the incidents."""
        excesses = np.zeros((len(self.counts) - 1, len(self.cell)))
        excesses[:, self.impossible] = excess(self.counts.take(self.impossible, axis=2))
        return measures(catalogue, self.counts.sum(axis=1), daytime(self.counts[0]), excesses)


def inject(config: GeneratorConfig, difficulty: Difficulty, planes: np.ndarray, plan: Plan) -> Incidents:
    """What a plan makes of clean hourly planes (S, H, B, D), which stay as they are."""
    steps, hours, episodes, days = planes.shape
    spot = np.flatnonzero(plan.active)
    lane = spot // plan.active.shape[1]
    cell = lane * days + plan.day.reshape(-1)[spot]
    place = np.arange(0, hours * episodes * days, episodes * days)[:, None] + cell
    new = np.empty((steps, hours, len(cell)), planes.dtype)
    for plane, counts in zip(planes, new, strict=True):
        plane.reshape(-1).take(place, out=counts, mode="clip")
    family = plan.family.reshape(-1)[spot]
    mixed = np.flatnonzero(family == MIX_FAMILY)
    before = new.take(mixed, axis=2)
    factor = plan.factor.reshape(-1, steps).take(spot, axis=0).T
    # Cumulative rounding: the day moves by the factor even where an hour has too few events to.
    for hour in range(1, hours):
        new[:, hour] += new[:, hour - 1]
    new *= factor.astype(planes.dtype, order="C")[:, None]
    np.rint(new, out=new)
    for hour in range(hours - 1, 0, -1):
        new[:, hour] -= new[:, hour - 1]
    alone = plan.alone.reshape(-1)[spot]
    for step in range(1, steps):
        if step < steps - 1:  # rounding must not put a lone count below the step after it
            lone = np.flatnonzero(alone == step)
            new[step][:, lone] = np.maximum(new[step][:, lone], new[step + 1][:, lone])
        np.minimum(new[step], new[step - 1], out=new[step])
    if len(mixed):
        moved = (plan.sign * plan.size).reshape(-1)[spot[mixed]] * SHARE_THRESHOLD[difficulty]
        new[:, :, mixed] = shift_traffic(before.astype(np.float64), moved)
    impossible = np.flatnonzero(family == QUALITY_FAMILY)
    if len(impossible):
        at = spot[impossible]
        ranks = plan.hours.reshape(-1, hours)[at].astype(np.int32) * hours + np.arange(hours, dtype=np.int32)
        picked = np.sort(ranks, axis=1)[:, : IMPOSSIBLE_HOURS[difficulty]] % hours  # faster than a stable argsort
        step = (1 + plan.entity.reshape(-1)[at] - config.catalogue.slices["data_quality"].start)[:, None]
        upstream = new[step - 1, picked, impossible[:, None]]
        extra = np.maximum(np.rint(upstream * plan.size.reshape(-1)[at][:, None].astype(planes.dtype)), 1.0)
        new[step, picked, impossible[:, None]] = upstream + extra
    return Incidents(cell, lane, impossible, place, new)
