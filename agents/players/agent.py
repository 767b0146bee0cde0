"""Agents: they play one environment, action by action, so that their episodes can be spread over processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv, Seal
from metric_tracker_env.session.evidence import Evidence

from .failures import Course, End
from .outcome import EpisodeLine, Played, Progress, Reports, Row, calls_by_tool, rows_of
from .player import Assignment, PlaysAnything, PlaysForNothing

CHUNK = 50  # episodes that a process plays at a time


class Agent(Protocol):
    """Plays episodes of the environment that it was made for."""

    def begin(self, seed: int) -> None:
        """An episode begins, after ``env.reset(seed=seed)``; only a privileged or a random agent uses the seed."""
        ...

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """The next action: (L,) float32 observation and info, as ``reset`` and ``step`` return them -> action index."""
        ...


AgentFactory = Callable[[gym.Env[np.ndarray, Any]], Agent]


@dataclass(frozen=True)
class AgentPlayer(PlaysAnything, PlaysForNothing):
    """Agents as a player: one is made for each environment.

    Args:
        name: Shown on the leaderboard.
        factory: Makes an agent of an environment; one that can be pickled, to be played by several processes.
    """

    name: str
    factory: AgentFactory
    kind = "script"
    card = None

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play in this process, or ``CHUNK`` episodes at a time in those of the pool."""
        chunks = [asked.seeds[i : i + CHUNK] for i in range(0, len(asked.seeds), CHUNK)]
        run = map if pool is None else pool.map
        return Played.collected(
            run(play_agent, repeat(self.factory), repeat(asked.config), chunks, repeat(asked.seal)), progress
        )


def play_agent(factory: AgentFactory, config: EnvConfig, seeds: Sequence[int], seal: Seal | None = None) -> Played:
    """Play an agent in a single environment, one episode a seed."""
    env = MetricTrackerEnv(config=config, seal=seal)
    player, reports = factory(env), Reports(env)
    calls: Counter[int] = Counter()
    lines: list[EpisodeLine] = []
    rows: list[list[Row]] = []
    made: list[tuple[int, ...]] = []
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        player.begin(seed)
        cells: list[tuple[int, int]] = []
        actions: list[int] = []
        evidence = Evidence(config.generator)
        episode_return, illegal, over = 0.0, 0, False
        while not over:
            action = player.act(observation, info)
            actions.append(int(action))
            before = observation
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            episode_return += reward
            if info["illegal_action"]:
                illegal += 1
                continue
            calls[action] += 1
            reports.take(evidence, action, observation)
            cell = reports.cell(action, before)
            if cell is not None:
                cells.append(cell)
        episode = env.episode()
        end: End = "refused" if info["illegal_action"] and not cells else "handed_in"
        course = Course(episode, config, cells, evidence.shown, info["cost"], evidence.wasted, end)
        counted = {"episode_return": episode_return, "steps": len(actions), "illegal": illegal}
        lines.append(EpisodeLine.of(seed, info, course, **counted))
        rows.append(rows_of(episode, cells))
        made.append(tuple(actions))
    return Played(lines, rows, calls_by_tool(calls, env.actions), actions=tuple(made))
