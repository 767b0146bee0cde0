"""The strongest player that opens no date: it knows how episodes are made, buys every flag it can, and guesses roots.

From training episodes it learns how likely each cell is the root where a date has certain flags, and it reports the
likeliest cell where that pays. Nothing that it calls shows a value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env.measure import anomaly_type, scan_strength
from metric_tracker_env.play.actions import SCAN_TOOLS, SURVEY_TOOL
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.tasks import Task
from metric_tracker_env.world.rng import episode_keys
from metric_tracker_env.world.source import EpisodeSource

LEARNED_FROM = 3000  # training episodes
SEEN = 8  # times that a pattern must have been seen, to be believed in full
LIKELY = (0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)  # least chance of a row; the best is found by trying

Pattern = tuple[int, ...]


class Guess(NamedTuple):
    """The likeliest root where a pattern shows, and how likely it is."""

    entity: int
    chance: float


class Guesser:
    """Learns a task from its training seeds."""

    def __init__(self, task: Task) -> None:
        self.task, self.config = task, task.config
        costs, left = self.config.costs, self.config.budget
        left -= costs.survey
        scans = [(family, level) for level in (1.5, 0.7) for family in range(len(SCAN_TOOLS))]
        self.scans = scans[: left // costs.scan]
        source = EpisodeSource(self.config.generator, self.config.episode_config())
        batch = source.generate(
            episode_keys([task.training_seeds[0] + place for place in range(LEARNED_FROM)]), hourly=False
        )
        strength = scan_strength(self.config.generator.catalogue, batch.final.ratios)  # (7, B, D)
        told = {(family, level): strength[family] >= level for family, level in self.scans}
        told |= {(family, 1.0): strength[family] >= 1.0 for family in range(len(SCAN_TOOLS))}
        patterns = np.stack([told[key] for key in self._keys], axis=2)  # (B, D, K)
        expected = batch.expected.transpose(1, 2, 0)
        roots = np.where(expected.any(axis=2), expected.argmax(axis=2), -1)
        self._counts: dict[Pattern, Counter[int]] = defaultdict(Counter)
        half = LEARNED_FROM // 2
        self._learn(patterns[:half], roots[:half])
        self.least = max(LIKELY, key=lambda least: self._worth(patterns[half:], roots[half:], least))
        self._learn(patterns[half:], roots[half:])

    @property
    def _keys(self) -> list[tuple[int, float]]:
        """What makes a pattern: the survey's flags first."""
        return [*((family, 1.0) for family in range(len(SCAN_TOOLS))), *self.scans]

    def _learn(self, patterns: np.ndarray, roots: np.ndarray) -> None:
        for pattern, root in zip(patterns.reshape(-1, patterns.shape[2]).tolist(), roots.ravel().tolist(), strict=True):
            for known in (tuple(pattern), tuple(pattern[: len(SCAN_TOOLS)])):
                self._counts[known][root] += 1

    def guess(self, pattern: Pattern) -> Guess:
        """The likeliest root of a date, from its flags alone where the whole pattern is rare."""
        counts = self._counts[pattern]
        if counts.total() < SEEN:
            counts = self._counts[pattern[: len(SCAN_TOOLS)]]
        cells = [(number, root) for root, number in counts.items() if root >= 0]
        number, entity = max(cells, default=(0, 0))
        return Guess(entity, number / max(counts.total(), 1))

    def _worth(self, patterns: np.ndarray, roots: np.ndarray, least: float) -> float:
        """Mean F1 of its guesses, if each counted, from such a chance on."""
        found: list[float] = []
        for episode, truth in zip(patterns.tolist(), roots.tolist(), strict=True):
            guesses = [self.guess(tuple(pattern)) for pattern in episode]
            rows = [(guess.entity, root) for guess, root in zip(guesses, truth, strict=True) if guess.chance >= least]
            total = len(rows) + sum(root >= 0 for root in truth)
            found.append(2 * sum(entity == root for entity, root in rows) / total if total else 1.0)
        return float(np.mean(found))

    def play(self, call: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
        """Buy the flags; the rows to submit.

        Args:
            call: Calls a tool by its name with arguments, and gives its result as data.
        """
        dates = self.config.generator.date_names
        flags = dict.fromkeys(self._keys, frozenset[str]())
        for item in call(SURVEY_TOOL, limit=len(dates))["dates"]:
            for name in item["anomaly_types"]:
                flags[ANOMALY_TYPES.index(name), 1.0] |= {item["date"]}
        for family, level in self.scans:
            answer = call(SCAN_TOOLS[family], threshold_multiplier=level)
            flags[family, level] = frozenset(answer["dates"])
        rows: list[dict[str, Any]] = []
        for date in dates:
            pattern = tuple(int(date in flags[key]) for key in self._keys)
            guess = self.guess(pattern)
            if guess.chance >= self.least:
                rows.append(self._row(date, guess.entity, pattern))
        return rows

    def _row(self, date: str, entity: int, pattern: Pattern) -> dict[str, Any]:
        """A row of a cell, whose direction is one that the date's flags allow."""
        described = self.config.generator.catalogue.entities[entity]
        down, up = (anomaly_type(described.entity_type, sign) for sign in (-1.0, 1.0))
        return {
            "date": date,
            "entity_type": described.entity_type,
            "entity_name": described.entity_name,
            "anomaly_type": down if pattern[ANOMALY_TYPES.index(down)] else up,
            "detection_method": described.detection_method,
            "baseline_value": 0.0,
            "observed_value": 0.0,
            "delta_value": 0.0,
            "severity": "medium",
        }
