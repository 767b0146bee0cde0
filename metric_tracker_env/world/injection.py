"""What incidents do to the hourly counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import daytime, excess, measures
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
    """The hours of the n dates that incidents change; nothing is written to the planes yet."""

    cell: np.ndarray  # (n,) int64, ``b * D + d``, each once
    lane: np.ndarray  # (n,) int64
    at: np.ndarray  # (k,) int64, which of the n dates each active incident of the plan is on
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
    """What a plan makes of clean hourly planes (S, H, B, D), which stay as they are.

    Incidents that share a date must touch different links of the chain (``Catalogue.touched``). They are applied one
    after the other in the order of the chain, so that each scales what the one before it left; impossible counts come
    last, as the others put an hour's funnel in order.
    """
    steps, hours, episodes, days = planes.shape
    spot = np.flatnonzero(plan.active)
    cell = spot // plan.active.shape[1] * days + plan.day.reshape(-1)[spot]
    at, turns = np.arange(len(spot)), [np.arange(len(spot))]
    taken = np.zeros(episodes * days, bool)
    taken[cell] = True
    if np.count_nonzero(taken) < len(cell):
        cell, at = np.unique(cell, return_inverse=True)
        turns = _turns(at, chain_order(config.catalogue)[plan.entity.reshape(-1)[spot]])
    place = np.arange(0, hours * episodes * days, episodes * days)[:, None] + cell
    new = np.empty((steps, hours, len(cell)), planes.dtype)
    for plane, counts in zip(planes, new, strict=True):
        plane.reshape(-1).take(place, out=counts, mode="clip")
    if len(turns) == 1:
        _move(plan, spot, new)
    else:
        for turn in turns:
            part = new.take(at[turn], axis=2)
            _move(plan, spot[turn], part)
            new[:, :, at[turn]] = part
    wrong = np.flatnonzero(plan.family.reshape(-1)[spot] == QUALITY_FAMILY)
    if len(wrong):
        _log_impossible(config.catalogue, difficulty, plan, spot[wrong], at[wrong], new)
    return Incidents(cell, cell // days, at, at[wrong], place, new)


def chain_order(catalogue: Catalogue) -> np.ndarray:
    """(E,) int64: the first link that an entity's incident touches, from the traffic down the chain."""
    return np.array([min(links) for links in catalogue.touched])


def _turns(at: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """The incidents of each turn: the first of every date, then the second of those that have one, and so on.

    Args:
        at: (k,) int64, date of each incident.
        order: (k,) int64, place of each among those of its date.
    """
    row = np.lexsort((order, at))
    sorted_at = at[row]
    turn = np.arange(len(row)) - np.searchsorted(sorted_at, sorted_at)
    return [row[turn == number] for number in range(int(turn.max()) + 1)]


def _move(plan: Plan, spot: np.ndarray, new: np.ndarray) -> None:
    """What n incidents, at flat places ``spot`` of the plan, make of the hours of their dates (S, H, n), in place."""
    steps, hours, _ = new.shape
    mixed = np.flatnonzero(plan.family.reshape(-1)[spot] == MIX_FAMILY)
    before = new.take(mixed, axis=2)
    factor = plan.factor.reshape(-1, steps).take(spot, axis=0).T
    # Cumulative rounding: the day moves by the factor even where an hour has too few events to.
    for hour in range(1, hours):
        new[:, hour] += new[:, hour - 1]
    new *= factor.astype(new.dtype, order="C")[:, None]
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
        moved = (plan.sign * plan.size).reshape(-1)[spot[mixed]] * plan.limit.reshape(-1)[spot[mixed]]
        new[:, :, mixed] = shift_traffic(before.astype(np.float64), moved)


def _log_impossible(
    catalogue: Catalogue, difficulty: Difficulty, plan: Plan, spot: np.ndarray, at: np.ndarray, new: np.ndarray
) -> None:
    """Put counts above their upstream counts: n incidents, at flat places ``spot``, on dates ``at`` of (S, H, ...)."""
    hours = new.shape[1]
    ranks = plan.hours.reshape(-1, hours)[spot].astype(np.int32) * hours + np.arange(hours, dtype=np.int32)
    picked = np.sort(ranks, axis=1)[:, : IMPOSSIBLE_HOURS[difficulty]] % hours  # faster than a stable argsort
    step = (1 + plan.entity.reshape(-1)[spot] - catalogue.slices["data_quality"].start)[:, None]
    upstream = new[step - 1, picked, at[:, None]]
    extra = np.maximum(np.rint(upstream * plan.size.reshape(-1)[spot][:, None].astype(new.dtype)), 1.0)
    new[step, picked, at[:, None]] = upstream + extra
