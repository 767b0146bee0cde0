"""Environments stepped in threads: none disturbs another, not even its own copy."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from helpers_env import VIEWS, assert_same, bare, make_lanes, pick, pick_lanes

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import View

THREADS = 4


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads take turns every few bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def play(env: MetricTrackerEnv | MetricTrackerVectorEnv) -> list[Any]:
    """What an environment tells of random steps, snapshots and new episodes with and without options."""
    rng, told = np.random.default_rng(0), []
    if isinstance(env, MetricTrackerVectorEnv):
        for step in range(60):
            told.append(env.step(pick_lanes(rng, env.action_masks(), 0.9, 0.1)))
            if step % 20 == 19:
                told.append(env.reset(options={"difficulty": "easy"}))
        return told
    for step in range(400):
        here = env.snapshot()
        env.step(pick(rng, env.action_masks(), 0.9, 0.05))
        env.restore(here)
        told.append(env.step(pick(rng, env.action_masks(), 0.9, 0.05)))
        if told[-1][2]:
            told.append(env.grade())
            told.append(env.reset(options={"difficulty": "hard"} if step % 3 == 0 else None))
    return told


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("lanes", [0, 200])
def test_threads_play_what_one_thread_plays(view: View, lanes: int) -> None:
    """Environments, and copies that share their parts, return at once in threads what they return one by one."""

    def made() -> list[MetricTrackerEnv] | list[MetricTrackerVectorEnv]:
        options: dict[str, Any] = {"view": view, "reward": "dense", "anomaly_count": (1, 5), "step_limit": 12}
        first = make_lanes(lanes, **options) if lanes else bare(**options)
        first.reset(seed=3)
        play(first)
        second = make_lanes(lanes, **options) if lanes else bare(**options)
        second.reset(seed=4)
        return [first, second, *(copy.deepcopy(first) for _ in range(THREADS - 2))]  # pyright: ignore[reportReturnType]

    one_by_one = [play(env) for env in made()]
    with ThreadPoolExecutor(THREADS) as threads:
        assert_same(list(threads.map(play, made())), one_by_one)
