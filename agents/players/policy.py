"""Policies: they choose actions for many observations at once, so that their episodes are played side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium.vector import AutoresetMode

from metric_tracker_env import MetricTrackerVectorEnv
from metric_tracker_env.session.evidence import Evidence

from .failures import Course, End
from .outcome import EpisodeLine, Played, Progress, Reports, Row, calls_by_tool, rows_of
from .player import Assignment, PlaysAnything, PlaysForNothing

LANES = 250  # episodes that are played at a time


class Policy(Protocol):
    """Chooses actions for many observations at once."""

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        ...


@dataclass(frozen=True)
class PolicyPlayer(PlaysAnything, PlaysForNothing):
    """A policy as a player; the same as playing each episode in a single environment.

    Args:
        name: Shown on the leaderboard.
        policy: Of networks for the view of the configurations that it is given.
    """

    name: str
    policy: Policy
    kind = "policy"
    card = None

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play in this process, ``LANES`` episodes at a time."""
        del pool
        return play_policy(self.policy, asked, progress)


def play_policy(policy: Policy, asked: Assignment, progress: Progress | None = None) -> Played:
    """Play a policy, one episode a seed, ``LANES`` at a time."""
    parts = (asked.seeds[i : i + LANES] for i in range(0, len(asked.seeds), LANES))
    return Played.collected((_play_lanes(policy, asked, part) for part in parts), progress)


def _play_lanes(policy: Policy, asked: Assignment, seeds: Sequence[int]) -> Played:
    """One lane a seed, all at once."""
    config, lanes = asked.config, len(seeds)
    # Lanes go on with other episodes when theirs has ended; these are passed over.
    envs = MetricTrackerVectorEnv(lanes, AutoresetMode.NEXT_STEP, config=config, seal=asked.seal)
    reports = Reports(envs)
    calls: Counter[int] = Counter()
    lines: dict[int, EpisodeLine] = {}
    rows: dict[int, list[Row]] = {}
    cells: list[list[tuple[int, int]]] = [[] for _ in seeds]
    made: list[list[int]] = [[] for _ in seeds]
    evidence = [Evidence(config.generator) for _ in seeds]
    episode_return, illegal = np.zeros(lanes), np.zeros(lanes, np.int64)
    playing = np.ones(lanes, bool)
    observations, info = envs.reset(seed=list(seeds))
    while playing.any():
        chosen = np.flatnonzero(playing)
        actions = np.zeros(lanes, np.int64)
        actions[chosen] = policy.actions(observations[chosen], info["action_mask"][chosen].astype(bool))
        before = observations
        observations, rewards, ended, _, info = envs.step(actions)
        refused = info["illegal_action"]
        episode_return += rewards * playing
        illegal += refused & playing
        for lane in chosen.tolist():
            action = int(actions[lane])
            made[lane].append(action)
            if refused[lane]:
                continue
            calls[action] += 1
            reports.take(evidence[lane], action, observations[lane])
            cell = reports.cell(action, before[lane])
            if cell is not None:
                cells[lane].append(cell)
        for lane in chosen[ended[chosen]].tolist():
            told = {name: info[name][lane].item() for name in EpisodeLine._fields if name in info}
            counted = {"steps": len(made[lane]), "illegal": int(illegal[lane])}
            episode, known = envs.episode(lane), evidence[lane]
            end: End = "refused" if refused[lane] and not cells[lane] else "handed_in"
            course = Course(episode, config, cells[lane], known.shown, told["cost"], known.wasted, end)
            lines[lane] = EpisodeLine.of(
                seeds[lane], told, course, episode_return=float(episode_return[lane]), **counted
            )
            rows[lane] = rows_of(episode, cells[lane])
        playing &= ~ended
    order = range(lanes)
    return Played(
        [lines[i] for i in order],
        [rows[i] for i in order],
        calls_by_tool(calls, envs.actions),
        actions=tuple(map(tuple, made)),
    )
