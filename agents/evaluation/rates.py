"""What scores do not say: whole answers, evidence, waste, and how episodes failed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from metric_tracker_env.schema import StrictModel

from ..players.failures import FAILURES, Failure
from .evaluate import Evaluation
from .intervals import Interval, bootstrap, wilson


class Rates(StrictModel):
    """Rates over an agent's episodes."""

    exact_set: Interval  # share of the episodes whose rows are exactly the expected ones
    any_root: Interval | None  # share with at least one root, of those that have some; None if none has
    grounded: Interval | None  # share of the submitted rows whose cell a paid call had shown; None without a row
    false_alarms: Interval  # rows that match nothing, an episode
    units_wasted: Interval  # units of calls that told nothing new, an episode
    failures: dict[Failure, int]  # episodes by primary class, in the order of the rule; those that there are

    @classmethod
    def of(cls, evaluation: Evaluation) -> Rates:
        """The rates of an evaluation; intervals of shares of rows take these for independent of each other."""
        episodes = evaluation.episodes
        expected, submitted, grounded = (
            np.array(values) for values in (episodes.expected, episodes.submitted, episodes.grounded)
        )
        matched = np.rint(np.array(episodes.recall) * expected).astype(np.int64)
        matched[expected == 0] = 0
        answered = (expected > 0) | (np.array(episodes.score) > 0)  # who hands nothing in is not right by that
        exact = wilson(int((answered & (matched == expected) & (matched == submitted)).sum()), len(expected))
        assert exact is not None  # there are episodes
        counted = Counter(episodes.failure)
        return cls(
            exact_set=exact,
            any_root=wilson(int((matched > 0).sum()), int((expected > 0).sum())),
            grounded=wilson(int(grounded.sum()), int(submitted.sum())),
            false_alarms=bootstrap((submitted - matched).astype(np.float64)),
            units_wasted=bootstrap(np.array(episodes.wasted, np.float64)),
            failures={failure: counted[failure] for failure in FAILURES if failure in counted},
        )
