"""Episodes in which nothing happened: how often an agent leaves them alone, and how many false alarms it raises."""

from __future__ import annotations

import numpy as np

from metric_tracker_env.schema import StrictModel

from .evaluate import Evaluation
from .intervals import Interval, bootstrap, wilson


class Quiet(StrictModel):
    """An agent's quiet episodes, those without a row to find, and what it is worth in the others."""

    episodes: int
    left_alone: Interval  # share of the quiet episodes in which an empty list was submitted
    false_alarms: Interval  # rows submitted, a quiet episode
    precision: Interval | None  # mean over the other episodes; None if there are none
    recall: Interval | None

    @classmethod
    def of(cls, evaluation: Evaluation) -> Quiet | None:
        """The figures of an evaluation; None if no episode was quiet."""
        episodes = evaluation.episodes
        quiet = np.array(episodes.expected) == 0
        submitted = np.array(episodes.submitted, np.float64)[quiet]
        answered = np.array(episodes.score)[quiet] > 0  # what was left before its end scores 0
        alone = wilson(int(((submitted == 0) & answered).sum()), len(submitted))
        if alone is None:
            return None
        others = [np.array(values)[~quiet] for values in (episodes.precision, episodes.recall)]
        precision, recall = (bootstrap(values, bounds=(0.0, 1.0)) if len(values) else None for values in others)
        alarms = bootstrap(submitted)
        return cls(episodes=len(submitted), left_alone=alone, false_alarms=alarms, precision=precision, recall=recall)
