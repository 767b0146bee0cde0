"""How well a policy plays while it is trained."""

from __future__ import annotations

from collections.abc import Iterable

from metric_tracker_env import EnvConfig

from ..evaluation.evaluate import Evaluation, evaluate
from ..players.outcome import Progress
from ..players.policy import Policy, PolicyPlayer


def evaluate_policy(
    policy: Policy, seeds: Iterable[int], agent: str, config: EnvConfig, progress: Progress | None = None
) -> Evaluation:
    """Play one episode a seed with a policy, in batches; the same as playing each in a single environment.

    Args:
        policy: Of networks for the view of the configuration.
        seeds: ``reset`` seeds, one an episode.
        agent: Name to show.
        config: What to play.
        progress: Called with the number of episodes just played.

    Raises:
        ValueError: for bad or no seeds.
    """
    return evaluate(PolicyPlayer(agent, policy), seeds, config=config, progress=progress)
