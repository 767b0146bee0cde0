"""What the tables of validity share: detectors that see all data, and labels checked again from the hours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.players.scripts.signature import NO_INCIDENT, SignatureRule, threshold_shares
from agents.players.scripts.simple import clean_noise
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import (
    COUNT_THRESHOLD_FLOOR,
    COUNT_THRESHOLD_SHARE,
    DAYTIME_HOURS,
    FUNNEL_STEP_KEEP,
    RATE_THRESHOLD_POINTS,
    RATE_THRESHOLD_SHARE,
    SHARE_THRESHOLD,
    Deviations,
)
from metric_tracker_env.schema import Catalogue, Difficulty
from metric_tracker_env.world.labels import MIN_MOVE, CellClass
from metric_tracker_env.world.source import EpisodeBatch

Detector = Callable[["Full"], np.ndarray]


@dataclass(frozen=True)
class Full:
    """All the data of a batch, and what a detector may know of the configuration."""

    config: GeneratorConfig
    difficulty: Difficulty
    deviations: Deviations

    @property
    def cells(self) -> np.ndarray:
        """(E, B, D) float64: |deviation| in thresholds of flagged cells, 0 elsewhere."""
        return np.abs(self.deviations.ratios) * self.deviations.flagged


def every_flagged(full: Full) -> np.ndarray:
    """Report every flagged cell."""
    return full.deviations.flagged


def largest(full: Full, sizes: np.ndarray) -> np.ndarray:
    """(E, B, D) sizes -> bool: the largest of each date, where it is above 0."""
    entities = np.arange(len(sizes))[:, None, None]
    return (sizes.argmax(axis=0) == entities) & (sizes.max(axis=0) > 0) & full.deviations.flagged


def largest_ratio(full: Full) -> np.ndarray:
    """Report the cell of each date that is the most thresholds away from its median."""
    return largest(full, full.cells)


def largest_z(full: Full) -> np.ndarray:
    """Report the cell of each date that is the furthest from its median in its own clean noise."""
    unit = threshold_shares(full.config, full.difficulty)
    noise = np.maximum(clean_noise(full.config, full.difficulty), 1e-4)
    return largest(full, full.cells * (unit / noise)[:, None, None])


def fixed_order(full: Full) -> np.ndarray:
    """Report the first flagged cell of each date: data quality, mix, funnel steps, counts, then rates."""
    at = full.config.catalogue.slices
    kinds = ("data_quality", "hourly_mix", "funnel_step", "event_count", "conversion_rate")
    order = [i for kind in kinds for i in range(at[kind].start, at[kind].stop)]
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order), 0, -1)
    return largest(full, full.deviations.flagged * rank[:, None, None])


def signature(full: Full) -> np.ndarray:
    """The signature rule, see ``agents.players.scripts.signature``."""
    named = SignatureRule(full.config, full.difficulty).name_all(full.deviations)
    entities = np.arange(full.config.catalogue.num_entities)[:, None, None]
    return (named == entities) & (named != NO_INCIDENT)


DETECTORS: dict[str, Detector] = {
    "signature rule": signature,
    "every flagged cell": every_flagged,
    "largest deviation of a date": largest_ratio,
    "largest z of a date": largest_z,
    "first flagged in a fixed order": fixed_order,
}


def recheck(catalogue: Catalogue, difficulty: Difficulty, batch: EpisodeBatch, clean: np.ndarray) -> dict[str, int]:
    """Expected rows that fail, from the hourly counts of the episodes and of their clean twins (B, D, H, S).

    Everything is worked out again here; of the package's measuring only the thresholds are used.
    """
    found = {"expected": 0, "not confirmed": 0, "wrong direction": 0, "not moved": 0}
    hourly = batch.hourly.astype(np.float64)  # (B, D, H, S)
    daily, twin = hourly.sum(axis=2), clean.sum(axis=2)
    for entity, episode, day in np.argwhere(batch.classes == CellClass.EXPECTED).tolist():
        described = catalogue.entities[entity]
        kind, first = described.entity_type, catalogue.slices[described.entity_type].start
        step = 1 + entity - first
        place = int(np.flatnonzero(batch.plan.day[episode] == day)[0])
        sign = batch.plan.sign[episode, place]
        if kind == "hourly_mix":
            inside = hourly[episode][:, list(DAYTIME_HOURS), 0].sum(axis=1)
            values = inside / daily[episode][:, 0]
            before = clean[episode, day, list(DAYTIME_HOURS), 0].sum() / twin[episode, day, 0]
            limit = SHARE_THRESHOLD[difficulty]
        elif kind == "data_quality":
            values = np.maximum(hourly[episode][:, :, step] - hourly[episode][:, :, step - 1], 0).sum(axis=1)
            before = np.maximum(clean[episode, day, :, step] - clean[episode, day, :, step - 1], 0).sum()
            limit = 1.0
        elif kind == "event_count":
            values, before = daily[episode][:, entity], twin[episode, day, entity]
            limit = max(COUNT_THRESHOLD_FLOOR, COUNT_THRESHOLD_SHARE[difficulty] * float(np.median(values)))
        else:
            den, num = (step - 1, step) if kind == "funnel_step" else catalogue.spans[entity - first]
            values = 100.0 * daily[episode][:, num] / daily[episode][:, den]
            before = 100.0 * twin[episode, day, num] / twin[episode, day, den]
            share = 1 - FUNNEL_STEP_KEEP if kind == "funnel_step" else RATE_THRESHOLD_SHARE[difficulty]
            limit = share * float(np.median(values))
            if kind == "conversion_rate":
                limit = min(limit, RATE_THRESHOLD_POINTS[difficulty])
        baseline = 0.0 if kind == "data_quality" else float(np.median(values))
        delta = values[day] - baseline
        found["expected"] += 1
        found["not confirmed"] += abs(delta) < limit * (1 - 1e-12)
        found["wrong direction"] += delta * sign <= 0
        found["not moved"] += (values[day] - before) * sign < MIN_MOVE * limit * (1 - 1e-12)
    return found


def episode_f1(named: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(B,) F1 of named cells, (E, B, D) bool each."""
    right = (named & expected).sum(axis=(0, 2))
    return 2 * right / np.maximum(named.sum(axis=(0, 2)) + expected.sum(axis=(0, 2)), 1)
