"""Measures of a fitted history as the page plots them: what was observed, what was expected, and what stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metric_tracker_env.fitting import HistoryFit
from metric_tracker_env.measure import NOISE_MULTIPLES
from metric_tracker_env.schema import Difficulty

DIGITS = 5  # of a number that is drawn


def plots_of(
    found: HistoryFit, names: Sequence[str], marks: Mapping[str, Sequence[str]], days: int, difficulty: Difficulty
) -> dict[str, Any]:
    """The last days of some measures.

    Args:
        found: The fit.
        names: Measures.
        marks: Dates of each measure that stand out.
        days: Last days to show.
        difficulty: Which multiple of the noise the band has.
    """
    dates = found.history.dates[-days:].astype(str).tolist()
    return {"dates": dates, "measures": [_plot(found, name, marks.get(name, ()), dates, difficulty) for name in names]}


def _plot(
    found: HistoryFit, name: str, marked: Sequence[str], dates: Sequence[str], difficulty: Difficulty
) -> dict[str, Any]:
    column = found.measures.index(name)
    share = column >= len(found.history.steps)
    return {
        "name": name,
        "share": share,
        "room": NOISE_MULTIPLES[difficulty] * float(found.noise[column]),
        "values": _numbers(found.values[-len(dates) :, column]),
        "expected": _numbers(found.expected[-len(dates) :, column]),
        "marks": [place for place, date in enumerate(dates) if date in set(marked)],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Rounded as a plot needs them; None where there is no value."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]
