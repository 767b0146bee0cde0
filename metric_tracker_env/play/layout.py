"""The parts of an observation: names, places, shapes, and the features that no step changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.schema import ANOMALY_TYPES, DAYS_PER_WEEK

FAMILIES = len(ANOMALY_TYPES)
SCANS = FAMILIES * len(SCAN_MULTIPLIERS) + 1  # the survey is the last


# What a world adds to the observation, by the name of the part.
ANNOUNCED_FLAGS = "1 at the family of the event that was announced for the date"
ANNOUNCED = "deviation / threshold of each cell that the announcement leads one to expect, clipped to +-5"
MISSING = "share of a usual day's traffic in lost hours, once the hours were looked at"


class Part(NamedTuple):
    """A named part of the observation: ``rows`` stretches of ``width`` numbers, ``stride`` apart."""

    start: int
    shape: tuple[int, ...]
    rows: int
    width: int
    stride: int
    meaning: str

    @property
    def places(self) -> np.ndarray:
        """Indices of the part's numbers in the flat observation, in ``shape``."""
        places = self.start + self.stride * np.arange(self.rows)[:, None] + np.arange(self.width)
        return places.reshape(self.shape)


@dataclass
class Layout:
    """The parts of an observation, in order; ``size`` numbers in all."""

    parts: dict[str, Part] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, width: int, meaning: str) -> slice:
        """Append a part of ``width`` numbers; where it is."""
        self.parts[name] = Part(self.size, (width,), 1, width, width, meaning)
        self.size += width
        return slice(self.size - width, self.size)

    def add_table(self, rows: int, columns: dict[str, tuple[int, str]]) -> dict[str, slice]:
        """Append a table, row by row; each group of columns (width, meaning) is a part. Where the columns are."""
        stride = sum(width for width, _ in columns.values())
        found: dict[str, slice] = {}
        at = 0
        for name, (width, meaning) in columns.items():
            shape = (rows, width) if width > 1 else (rows,)
            self.parts[name] = Part(self.size + at, shape, rows, width, stride, meaning)
            found[name] = slice(at, at + width)
            at += width
        self.size += rows * stride
        return found

    def view(self, observations: np.ndarray, name: str) -> np.ndarray:
        """(..., L) observations -> (..., *shape), the numbers of one part.

        Raises:
            ValueError: for a part that there is not, naming those there are; or for observations of another length.
        """
        if name not in self.parts:
            raise ValueError(f"part {name!r} is not one of {list(self.parts)}")
        if np.shape(observations)[-1:] != (self.size,):
            raise ValueError(f"observations of shape {np.shape(observations)} must be arrays (..., {self.size})")
        return observations[..., self.parts[name].places]


def entity_of_hours(config: EnvConfig) -> int:
    """The entity that looking at a date's hours reveals; in daily data, which lose no hours, any will do."""
    generator = config.generator
    return generator.catalogue.slices["hourly_mix"].start if generator.hours else 0


def event_flags() -> np.ndarray:
    """(1 + families, families) float32: for a date's family code in ``CalendarData``, 1 at the announced family."""
    return np.eye(1 + FAMILIES, FAMILIES, k=-1, dtype=np.float32)


def calendar_features(config: EnvConfig) -> np.ndarray:
    """(D, 8) float32: weekday one-hot, then the position in the range from 0 to 1."""
    generator = config.generator
    out = np.zeros((generator.num_days, DAYS_PER_WEEK + 1), np.float32)
    out[np.arange(generator.num_days), generator.weekdays] = 1.0
    out[:, -1] = np.arange(generator.num_days) / (generator.num_days - 1)
    return out


def globals_part(config: EnvConfig) -> tuple[int, str]:
    """Width and meaning of the part that is about the whole episode."""
    width, meaning = 3 + SCANS, "reported rows x 0.1, budget left, steps left, scans made"
    return (width, meaning) if config.generator.world is None else (width + 1, f"{meaning}, known events listed")


def shares(whole: int) -> np.ndarray:
    """(whole + 1,) float32: 0 / whole, 1 / whole, ... 1."""
    return (np.arange(whole + 1) / whole).astype(np.float32)
