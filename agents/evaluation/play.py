"""Playing episodes: an agent one after another, a policy many at once; both give the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from agents.evaluation.outcome import Reports, Row, rows_of
from agents.players.models import Policy
from agents.players.scripts.script import AgentFactory
from metric_tracker_env import EnvConfig, MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.play.actions import ActionTable


class EpisodeLine(NamedTuple):
    """What happened in one episode, in the order of ``Episodes``."""

    seed: int
    score: float
    f1: float
    precision: float
    recall: float
    net: float
    episode_return: float
    cost: int
    tool_calls: int
    illegal: int
    steps: int
    submitted: int
    expected: int

    @classmethod
    def of(cls, seed: int, told: Mapping[str, Any], config: EnvConfig, **counted: Any) -> EpisodeLine:
        """From what the environment told at the end and what was counted on the way."""
        known = {name: told[name] for name in cls._fields if name in told}
        return cls(seed=seed, net=told["score"] - config.step_cost * told["cost"], **known, **counted)


class Played(NamedTuple):
    """Episodes that were played."""

    lines: list[EpisodeLine]
    rows: list[list[Row]]  # of each episode
    tools: Counter[str]  # legal calls


def play_agent(factory: AgentFactory, config: EnvConfig, seeds: Sequence[int]) -> Played:
    """Play an agent in a single environment, one episode a seed."""
    env = MetricTrackerEnv(config=config)
    player, reports = factory(env), Reports(env)
    calls: Counter[int] = Counter()
    lines: list[EpisodeLine] = []
    rows: list[list[Row]] = []
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        player.begin(seed)
        cells: list[tuple[int, int]] = []
        episode_return, steps, illegal, over = 0.0, 0, 0, False
        while not over:
            action = player.act(observation, info)
            before = observation
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            episode_return += reward
            steps += 1
            if info["illegal_action"]:
                illegal += 1
                continue
            calls[action] += 1
            cell = reports.cell(action, before)
            if cell is not None:
                cells.append(cell)
        lines.append(EpisodeLine.of(seed, info, config, episode_return=episode_return, steps=steps, illegal=illegal))
        rows.append(rows_of(env.episode(), cells))
    return Played(lines, rows, _by_tool(calls, env.actions))


def play_policy(policy: Policy, config: EnvConfig, seeds: Sequence[int]) -> Played:
    """Play a policy, one lane a seed, all at once."""
    lanes = len(seeds)
    # Lanes go on with other episodes when theirs has ended; these are passed over.
    envs = MetricTrackerVectorEnv(lanes, AutoresetMode.NEXT_STEP, config=config)
    reports = Reports(envs)
    calls: Counter[int] = Counter()
    lines: dict[int, EpisodeLine] = {}
    rows: dict[int, list[Row]] = {}
    cells: list[list[tuple[int, int]]] = [[] for _ in seeds]
    episode_return, steps, illegal = np.zeros(lanes), np.zeros(lanes, np.int64), np.zeros(lanes, np.int64)
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
        steps += playing
        illegal += refused & playing
        for lane in chosen[~refused[chosen]].tolist():
            action = int(actions[lane])
            calls[action] += 1
            cell = reports.cell(action, before[lane])
            if cell is not None:
                cells[lane].append(cell)
        for lane in chosen[ended[chosen]].tolist():
            told = {name: info[name][lane].item() for name in EpisodeLine._fields if name in info}
            counted = {"steps": int(steps[lane]), "illegal": int(illegal[lane])}
            lines[lane] = EpisodeLine.of(
                seeds[lane], told, config, episode_return=float(episode_return[lane]), **counted
            )
            rows[lane] = rows_of(envs.episode(lane), cells[lane])
        playing &= ~ended
    order = range(lanes)
    return Played([lines[i] for i in order], [rows[i] for i in order], _by_tool(calls, envs.actions))


def _by_tool(calls: Counter[int], actions: ActionTable) -> Counter[str]:
    """Calls of actions -> calls of tools."""
    tools: Counter[str] = Counter()
    for action, number in calls.items():
        tools[actions.decode(action).tool] += number
    return tools
