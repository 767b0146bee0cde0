"""Batches of the world without events, their incidents, and the definitions of the labels once more."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from helpers_world import Seen, cell_values, generated, see

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import Difficulty, ScenarioFamily
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch

COUNTS = GeneratorConfig().catalogue.count_metrics
CONVERSIONS = tuple(item.name for item in GeneratorConfig().conversion_definitions)


@cache
def batch_of(
    difficulty: Difficulty = "medium", family: ScenarioFamily = "mixed", count: int = 3, episodes: int = 300
) -> EpisodeBatch:
    return generated(GeneratorConfig(), difficulty, family, count, episodes)


class Roots(NamedTuple):
    """The incidents of a batch, one item each."""

    lane: np.ndarray
    day: np.ndarray
    entity: np.ndarray
    family: np.ndarray
    sign: np.ndarray


def roots_of(batch: EpisodeBatch) -> Roots:
    lane, place = np.nonzero(batch.plan.active)
    return Roots(lane, *(getattr(batch.plan, name)[lane, place] for name in ("day", "entity", "family", "sign")))


def moves(config: GeneratorConfig, difficulty: Difficulty, batch: EpisodeBatch, seen: Seen) -> np.ndarray:
    """(E, B, D) move of each cell from its clean twin, in thresholds."""
    # A broken funnel step leaves the first step's hours as they were, so such a batch holds the twin's daytime share.
    opens = generated(config, difficulty, "funnel_break", 1, len(batch.hourly)).hourly[..., 0]
    share = opens[:, :, 8:20].sum(axis=2) / np.maximum(opens.sum(axis=2), 1)
    twin = batch.twin_daily.transpose(1, 2, 0)
    assert (opens.sum(axis=2) == twin[..., 0]).all()
    clean = cell_values(config, twin, share, np.zeros((*twin.shape[:2], twin.shape[2] - 1)))
    return (seen.values - np.array(list(clean.values()))) / seen.threshold


def assert_labels_hold(config: GeneratorConfig, difficulty: Difficulty, batch: EpisodeBatch) -> None:
    """The classes of a batch are those of the definitions, and every incident is an expected row."""
    seen = see(config, difficulty, batch.hourly)
    assert seen.keys == [(e.entity_type, e.entity_name) for e in config.catalogue.entities]
    move = moves(config, difficulty, batch, seen)
    roots = roots_of(batch)
    at = roots.entity, roots.lane, roots.day
    assert seen.flagged[at].all()
    assert (roots.sign * seen.delta[at] > 0).all()
    assert (roots.sign * move[at] >= 0.5).all()
    classes = np.where(seen.flagged, CellClass.NATURAL, CellClass.NONE)
    classes[seen.flagged & (np.abs(move) >= 0.5)] = CellClass.CONSEQUENCE
    classes[at] = CellClass.EXPECTED
    assert (batch.classes == classes).all()
    assert (batch.expected.sum(axis=(0, 2)) == batch.plan.active.sum(axis=1)).all()


WEEKDAY_FACTORS = (0.950, 1.000, 1.020, 1.040, 1.060, 1.120, 1.080)  # Monday to Sunday


def clean_hours(batch: EpisodeBatch) -> np.ndarray:
    """(n, H, S) hourly counts of every date without an incident."""
    episodes, days = batch.hourly.shape[:2]
    clean = np.ones((episodes, days), bool)
    lane, place = np.nonzero(batch.plan.active)
    clean[lane, batch.plan.day[lane, place]] = False
    return batch.hourly[clean]
