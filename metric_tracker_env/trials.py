"""Several trials of an episode: from which score one counts as solved, and what that says of any k of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

SOLVED = 0.9  # score from which an episode counts as solved, unless told otherwise


def all_solved(trials: Sequence[bool], k: int) -> float:
    """pass^k of an episode: the chance that k of its trials are all solved, without bias.

    S. Yao et al.: tau-bench, 2024: C(c, k) / C(n, k), where c of n trials were solved. k = 1 is pass@1.
    """
    return comb(sum(trials), k) / comb(len(trials), k)


def any_solved(trials: Sequence[bool], k: int) -> float:
    """pass@k of an episode: the chance that at least one of k of its trials is solved, without bias.

    M. Chen et al.: Evaluating large language models trained on code, 2021: 1 - C(n - c, k) / C(n, k).
    """
    return 1 - all_solved([not solved for solved in trials], k)
