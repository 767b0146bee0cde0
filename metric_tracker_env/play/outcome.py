"""How episodes ended: the parts of the score and what was spent, for all lanes at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.scoring import soft_f1


class Outcome(NamedTuple):
    """How the episodes of n lanes ended, and which they were; (n,) each."""

    score: np.ndarray  # float64, of the submitted draft
    precision: np.ndarray  # float64
    recall: np.ndarray  # float64
    f1: np.ndarray  # float64
    matched: np.ndarray  # int64 rows
    missing: np.ndarray  # int64 rows
    extra: np.ndarray  # int64 rows
    submitted: np.ndarray  # int64 rows
    expected: np.ndarray  # int64 rows
    cost: np.ndarray  # int64 units spent
    tool_calls: np.ndarray  # int64
    episode_seed: np.ndarray  # int64, of the lane's stream of episodes
    episode_number: np.ndarray  # int64, which episode of the stream


def outcome_of(
    matched: np.ndarray,
    submitted: np.ndarray,
    expected: np.ndarray,
    cost: np.ndarray,
    tool_calls: np.ndarray,
    seed: np.ndarray,
    number: np.ndarray,
) -> Outcome:
    """How drafts ended; (n,) each."""
    score = soft_f1(matched, submitted, expected)
    return Outcome(
        score=score,
        precision=np.where(submitted, matched / np.maximum(submitted, 1), expected == 0),
        recall=np.where(expected, matched / np.maximum(expected, 1), submitted == 0),
        f1=score,
        matched=matched,
        missing=expected - matched,
        extra=submitted - matched,
        submitted=submitted,
        expected=expected,
        cost=cost,
        tool_calls=tool_calls,
        episode_seed=seed,
        episode_number=number,
    )
