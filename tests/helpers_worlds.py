"""Histories of worlds whose parameters are known: clean or with incidents, longer than an episode can be."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np

from metric_tracker_env import EpisodeConfig, GeneratorConfig, MetricDataGenerator
from metric_tracker_env.history import History
from metric_tracker_env.schema import DAYS_PER_WEEK
from metric_tracker_env.world import rng
from metric_tracker_env.world.traffic import CleanTraffic

PIECE_WEEKS = 10  # of an episode that is a part of a history
PIECES = 4


def pieces(config: GeneratorConfig, number: int = PIECES) -> list[GeneratorConfig]:
    """Configurations of ten weeks each that follow on one another in time and trend; the last ends when it should."""
    days = PIECE_WEEKS * DAYS_PER_WEEK
    assert config.end_date is not None
    found: list[GeneratorConfig] = []
    for piece in range(number):
        grown = 1.0 + config.trend_per_day * days * piece
        changes = {
            "num_weeks": PIECE_WEEKS,
            "end_date": config.end_date - dt.timedelta(days=days * (number - 1 - piece)),
            "base_daily_count": config.base_daily_count * grown,
            "trend_per_day": config.trend_per_day / grown,
        }
        found.append(GeneratorConfig.model_validate({**config.model_dump(), **changes}))
    return found


class KnownWorld(NamedTuple):
    """A history and what was done to it."""

    history: History
    incidents: dict[str, str]  # anomaly type by date


def known_world(config: GeneratorConfig, seed: int, incidents: int = 0, number: int = PIECES) -> KnownWorld:
    """A history of ten weeks a piece, with so many incidents of every family in each piece."""
    counts: list[np.ndarray] = []
    done: dict[str, str] = {}
    for piece, part in enumerate(pieces(config, number)):
        own = seed * number + piece
        if incidents:
            episode = MetricDataGenerator(part).generate_episode(EpisodeConfig(seed=own, anomaly_count=incidents))
            counts.append(episode.hourly)
            done |= {item.date: item.anomaly_type for item in episode.anomaly_schedule}
        else:
            planes, _ = CleanTraffic(part, "medium").planes(np.array([rng.episode_key(own)], np.uint64))
            counts.append(planes[:, :, 0].transpose(2, 1, 0))
    days = np.concatenate([part.dates for part in pieces(config, number)])
    steps = (config.entry_step, *(step.name for step in config.steps))
    return KnownWorld(History(steps, days, np.concatenate(counts).astype(np.int64)), done)
