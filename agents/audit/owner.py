"""What the owner of an environment in his own process can do: it is his, and no score of such an agent says anything.

An agent that runs code is scored on a sealed server that keeps the books.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv

from ..players.scripts.desk import TOOL_OF_FAMILY, Desk
from ..players.scripts.oracle import Oracle

OwnerPlay = Callable[[MetricTrackerEnv, int], float]


def np_random_seed(env: MetricTrackerEnv, seed: int) -> float:
    """Read the seed of the stream from the environment, and make the episode again."""
    observation, info = env.reset(seed=seed)
    agent = Oracle(env)
    agent.begin(int(env.np_random_seed or 0))
    over = False
    while not over:
        observation, _, over, _, info = env.step(agent.act(observation, info))
    return float(info["score"])


def copies(env: MetricTrackerEnv, seed: int) -> float:
    """Try each report and ``submit`` on a copy, and keep what scores."""

    def better(report: int) -> bool:
        twin, before = copy.deepcopy(env), copy.deepcopy(env)
        twin.step(report)
        submit = len(env.actions) - 1
        return twin.step(submit)[4]["score"] > before.step(submit)[4]["score"]

    return searched(env, seed, better)


def dense_reward(env: MetricTrackerEnv, seed: int) -> float:
    """Have each report paid at once, go back where it was wrong."""

    def better(report: int) -> bool:
        here = env.snapshot()
        reward = float(env.step(report)[1])
        env.restore(here)
        return reward > 0

    return searched(env, seed, better)


def searched(env: MetricTrackerEnv, seed: int, better: Callable[[int], bool]) -> float:
    """Open the flagged dates, and report each cell that is found to be better with than without."""
    observation, info = env.reset(seed=seed)
    desk = Desk(env)
    desk.look(observation, info)

    def do(action: int) -> None:
        step = env.step(action)
        desk.look(step[0], step[4])

    do(desk.survey)
    flags = desk.flags().copy()
    for day in np.flatnonzero(flags.any(axis=0)).tolist():
        if not desk.may(desk.open(day)):
            break
        do(desk.open(day))
        for family, tool in TOOL_OF_FAMILY.items():
            if flags[family, day] and desk.may(desk.inspect(tool, day)):
                do(desk.inspect(tool, day))
        for entity in range(len(desk.entities)):
            report = desk.report(day, entity)
            if desk.may(report) and better(report):
                do(report)
    return float(env.step(desk.submit)[4]["score"])


OWNERS: dict[str, tuple[str, OwnerPlay, str]] = {  # name -> what it tries, how, and the reward that it is played with
    "np_random_seed": ("reads the seed from the environment, and makes the episode again", np_random_seed, "terminal"),
    "copies": ("tries each report on a copy of the environment", copies, "terminal"),
    "dense_reward": ("has each report paid at once, and goes back where it was wrong", dense_reward, "dense"),
}


def owner_score(play: OwnerPlay, config: EnvConfig, reward: str, seeds: range) -> float:
    """Mean score of an owner's trick."""
    env = MetricTrackerEnv(config=config, reward=reward)
    return float(np.mean([play(env, seed) for seed in seeds]))
