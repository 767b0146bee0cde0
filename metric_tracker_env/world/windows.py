"""Windows of dates in a row, of an event or an incident: drawn, placed clear of what is there, written to a plan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig, WorldConfig
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.proposals import Proposer, Targets


class Windows(NamedTuple):
    """n events or incidents, each on one date or more; every date moves by the same size from its own value."""

    spot: np.ndarray  # (n,) int64 place among the flat (B, I) events or incidents
    start: np.ndarray  # (n,) int64 first day index
    length: np.ndarray  # (n,) int64 dates
    targets: Targets

    def take(self, rows: np.ndarray) -> Windows:
        """Those at (m,) positions."""
        return Windows(self.spot[rows], self.start[rows], self.length[rows], self.targets.take(rows))

    def write(self, plan: Plan, proposer: Proposer, base: np.ndarray, longest: int) -> np.ndarray:
        """Put the windows into a plan that has ``longest`` places for each; ``base`` are (M, B, D) measures.

        Returns:
            (m,) int64 flat places that were filled.
        """
        row = np.repeat(np.arange(len(self.spot)), self.length)
        further = np.arange(len(row)) - np.repeat(np.cumsum(self.length) - self.length, self.length)
        day, targets = self.start[row] + further, self.targets.take(row)
        proposed = proposer.propose(base, targets, day[:, None])
        spot = self.spot[row] * longest + further
        plan.active.reshape(-1)[spot] = True
        plan.last.reshape(-1)[spot] = further == self.length[row] - 1
        plan.write(proposer.table, spot, day, targets, proposer.factors(targets, proposed)[:, 0])
        return spot


def drawn_numbers(bounds: tuple[int, int], draws: np.ndarray) -> np.ndarray:
    """Draws in [0, 1) -> int64 numbers from the first bound to the last."""
    low, high = bounds
    return low + (draws * (high - low + 1)).astype(np.int64)


def drawn_lengths(world: WorldConfig, draws: np.ndarray) -> np.ndarray:
    """Draws in [0, 1) -> int64 lengths in dates."""
    reached = np.cumsum(world.lengths[: world.longest - 1])
    return 1 + np.searchsorted(reached, draws, side="right")


def drawn_starts(config: GeneratorConfig, length: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(n,) lengths and (n, T) draws -> (n, T) first dates of windows inside the candidate dates."""
    dates = config.candidate_days
    return dates.start + (draws * (len(dates) - length + 1)[:, None]).astype(np.int64)


class Tries(NamedTuple):
    """T windows for each of n events or incidents, of which the first that fits and keeps clear is to be taken."""

    start: np.ndarray  # (n, T) int64 first day index
    length: np.ndarray  # (n, T) int64 dates
    fits: np.ndarray  # (n, T) bool, windows that are possible at all; they lie inside the D dates

    def settle(
        self, taken: np.ndarray, lane: np.ndarray, rank: np.ndarray, barred: np.ndarray, mark: np.ndarray
    ) -> np.ndarray:
        """Take windows in the order of their ranks; of two that want one date the first keeps it.

        Args:
            taken: (B, D) uint16, bits of what each date holds; the windows that are taken add theirs.
            lane: (n,) int64 episodes.
            rank: (n,) int64 from 0, different for those of an episode.
            barred: (n, T) uint16, bits that a date of the window must not hold.
            mark: (n,) uint16, bits of what the window brings.

        Returns:
            (n,) int64 try, and -1 where there is none.
        """
        flat, further = taken.reshape(-1), np.arange(self.length.max(initial=1))
        order = np.argsort(rank, kind="stable")
        # (L, n, T) places of the windows' dates; of a short one the last date is repeated.
        dates = np.minimum(further[:, None, None], self.length[order] - 1)
        dates += ((lane * taken.shape[1])[:, None] + self.start)[order]
        barred, fits, mark = barred[order], self.fits[order], mark[order]
        tried = np.empty(len(order), np.int64)
        first = 0
        for number in np.bincount(rank).tolist():
            rows = slice(first, first + number)
            first += number
            held = np.bitwise_or.reduce(flat.take(dates[:, rows], mode="clip"), axis=0)
            held &= barred[rows]
            clear = fits[rows] > (held != 0)
            found = clear.any(axis=1)
            tried[rows] = np.where(found, clear.argmax(axis=1), -1)
            won = found.nonzero()[0] + rows.start
            flat[dates[:, won, tried[won]]] |= mark[won]
        chosen = np.empty(len(order), np.int64)
        chosen[order] = tried
        return chosen
