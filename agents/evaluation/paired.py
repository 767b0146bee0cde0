"""Two agents on the same episodes: how far apart they are, by family, with paired intervals."""

from __future__ import annotations

import numpy as np
from pydantic import StrictInt

from metric_tracker_env.schema import ANOMALY_TYPES, StrictModel

from ..players.outcome import Fate
from .evaluate import Evaluation
from .intervals import LEVEL, RESAMPLES, Interval

ALL = "all families"
CONFIGURED = "configured"  # what is no task


class Pair(StrictModel):
    """F1 of one agent's rows of a family, less that of another's, over the same episodes.

    The interval is that of the percentile bootstrap over episodes, both agents drawn together: what an episode makes
    hard for both is not taken for a difference between them.
    """

    task: str | None
    agent: str
    other: str
    family: str  # one of ``ANOMALY_TYPES``, or ``ALL``
    expected: StrictInt  # rows
    f1: float
    other_f1: float
    difference: Interval

    @property
    def title(self) -> str:
        """Name of the task."""
        return self.task or CONFIGURED

    @property
    def apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


def counts_of(evaluation: Evaluation) -> np.ndarray:
    """(F + 1, n, 3) int64: matched, submitted and expected rows of each family and of all, for each of n seeds.

    Trials of one seed are no episodes of their own, and their rows are added up.
    """
    rows = evaluation.rows
    seeds, which = np.unique(evaluation.episodes.seed, return_inverse=True)
    fates = np.zeros((len(ANOMALY_TYPES) + 1, len(seeds), len(Fate)), np.int64)
    family, episode, fate = (np.array(column, np.int64) for column in (rows.family, rows.episode, rows.fate))
    np.add.at(fates, (family, which[episode], fate), 1)
    fates[-1] = fates[:-1].sum(axis=0)
    missed, matched, extra = (fates[..., fate] for fate in (Fate.MISSED, Fate.MATCHED, Fate.EXTRA))
    return np.stack([matched, matched + extra, matched + missed], axis=-1)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """(..., 3) matched, submitted, expected -> F1; 1 where there was nothing to find and nothing was submitted."""
    matched, both = counts[..., 0], counts[..., 1] + counts[..., 2]
    return np.where(both > 0, 2.0 * matched / np.maximum(both, 1), 1.0)


def compare_pair(
    evaluation: Evaluation, other: Evaluation, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> tuple[Pair, ...]:
    """Compare two agents by family, then over all families.

    Raises:
        ValueError: if they did not play the same episodes of the same task.
    """
    if (evaluation.task, evaluation.episodes.seed) != (other.task, other.episodes.seed):
        raise ValueError(
            f"{evaluation.agent!r} and {other.agent!r} did not play the same episodes: {evaluation.task!r} and "
            f"{other.task!r}, {len(evaluation.episodes.seed):,} and {len(other.episodes.seed):,} seeds"
        )
    mine, theirs = counts_of(evaluation), counts_of(other)
    episodes = mine.shape[1]
    draws = np.random.Generator(np.random.PCG64(seed))
    weight = draws.multinomial(episodes, np.full(episodes, 1.0 / episodes), size=resamples)
    pairs: list[Pair] = []
    for family, name in enumerate([*ANOMALY_TYPES, ALL]):
        drawn = f1_of(weight @ mine[family]) - f1_of(weight @ theirs[family])
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        first, second = (float(f1_of(counts[family].sum(axis=0))) for counts in (mine, theirs))
        pairs.append(
            Pair(
                task=evaluation.task,
                agent=evaluation.agent,
                other=other.agent,
                family=name,
                expected=int(mine[family, :, 2].sum()),
                f1=first,
                other_f1=second,
                difference=Interval(mean=first - second, low=float(low), high=float(high)),
            )
        )
    return tuple(pairs)
