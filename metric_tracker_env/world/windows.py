"""Windows of dates in a row, of an event or an incident: drawn, placed clear of what is there, written to a plan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.proposals import Proposer


class Windows(NamedTuple):
    """n events or incidents, each on one date or more."""

    lane: np.ndarray  # (n,) int64 episode
    spot: np.ndarray  # (n,) int64 place among the flat (B, I) events or incidents
    start: np.ndarray  # (n,) int64 first day index
    length: np.ndarray  # (n,) int64 dates
    variant: np.ndarray  # (n,) int64
    size: np.ndarray  # (n,) float64 thresholds, of each date from its own value

    def take(self, rows: np.ndarray) -> Windows:
        """Those at (m,) positions."""
        return Windows(*(a[rows] for a in self))

    def mark(self, taken: np.ndarray, bits: np.ndarray) -> None:
        """Write bits, (n,) uint16, on the dates of windows of different episodes; ``taken`` is (B, D)."""
        day, _ = dates_of(self.start, self.length)
        taken[self.lane[:, None], day] |= bits[:, None]

    def write(self, plan: Plan, proposer: Proposer, base: np.ndarray, longest: int) -> None:
        """Put the windows into a plan that has ``longest`` places for each; ``base`` are (M, B, D) measures."""
        day, dated = dates_of(self.start, self.length)
        proposed = proposer.propose(base, self.lane, self.variant, self.size, day)
        row, further = np.nonzero(dated)
        spot = self.spot[row] * longest + further
        plan.active.reshape(-1)[spot] = True
        plan.last.reshape(-1)[spot] = further == self.length[row] - 1
        plan.write(proposer.table, spot, day[dated], self.variant[row], self.size[row], proposed.factors[dated])


def drawn_lengths(probabilities: tuple[float, ...], draws: np.ndarray) -> np.ndarray:
    """Draws in [0, 1) -> int64 lengths in dates, the first probability being that of one date."""
    longest = len(probabilities)
    reached = np.cumsum(probabilities[: longest - 1])
    return 1 + np.searchsorted(reached, draws, side="right")


def drawn_starts(config: GeneratorConfig, length: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(n,) lengths and (n, T) draws -> (n, T) first dates of windows inside the candidate dates."""
    dates = config.candidate_days
    return dates.start + (draws * (len(dates) - length + 1)[:, None]).astype(np.int64)


def place(
    taken: np.ndarray, lane: np.ndarray, start: np.ndarray, length: np.ndarray, barred: np.ndarray, fits: np.ndarray
) -> np.ndarray:
    """The first try of each of n windows, at most one an episode, that fits and keeps clear.

    Args:
        taken: (B, D) uint16, bits of what each date holds.
        lane: (n,) int64 episodes, each once.
        start: (n, T) int64 first dates of the tries.
        length: (n,) int64 dates.
        barred: (n,) uint16, bits that a date of the window must not hold.
        fits: (n, T) bool, tries that are possible at all; their windows lie inside the D dates.

    Returns:
        (n,) int64 try, and -1 where there is none.
    """
    days = taken.shape[1]
    flat, first = taken.reshape(-1), (lane * days)[:, None] + start
    held = np.zeros(start.shape, taken.dtype)
    for further in range(int(length.max(initial=0))):
        inside = np.minimum(further, length - 1)[:, None]  # a shorter window looks at its last date again
        held |= flat.take(first + inside, mode="clip")
    clear = fits & ((held & barred[:, None]) == 0)
    return np.where(clear.any(axis=1), clear.argmax(axis=1), -1)


def dates_of(start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The dates of (n,) windows: (n, L) int64 days, the last one repeated, and (n, L) bool which of them are dates."""
    further = np.arange(length.max(initial=1))
    return start[:, None] + np.minimum(further, length[:, None] - 1), further < length[:, None]
