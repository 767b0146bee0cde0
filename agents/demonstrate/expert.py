"""An expert's episode: what a script or a saved model did, and what the same calls are answered in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import Grade, MetricTrackerEnv, Session, Task
from metric_tracker_env.play.actions import SUBMIT, SURVEY_TOOL
from metric_tracker_env.tools.tables import from_tables

from ..evaluation.evaluate import config_of
from ..players.agent import Agent
from ..players.models.saved import ModelAgent
from ..players.outcome import Reports
from ..players.registry import find_player
from ..players.scripts.script import AGENTS, get_agent
from ..players.scripts.words import ROW_FIELDS, cells_told

TOGETHER = 250  # episodes that are made at a time
ALIKE = 1e-9  # scores that differ by no more


class Call(NamedTuple):
    """A call in words, and its answer."""

    tool: str
    arguments: dict[str, Any]
    answer: str  # as a model is sent it
    reward: float


class Steps(NamedTuple):
    """The same episode as a learner of actions sees it; n steps, L numbers, A actions."""

    observations: np.ndarray  # (n + 1, L) float32
    masks: np.ndarray  # (n + 1, A) int8
    actions: np.ndarray  # (n,) int64
    rewards: np.ndarray  # (n,) float64


class Demonstration(NamedTuple):
    """One episode of an expert."""

    seed: int
    calls: list[Call]  # the last is submit
    grade: Grade
    reward: float
    steps: Steps


class Expert:
    """Plays episodes of a task and says what it did.

    Args:
        agent: Name of a script, or the folder of a saved model.
        task: To play.

    Raises:
        ValueError: if there is no such agent, it is neither a script nor a saved model, or it does not fit the task.
    """

    def __init__(self, agent: str, task: Task) -> None:
        self.task, self.player = task, find_player(agent)
        if self.player.kind not in ("script", "model"):
            raise ValueError(f"agent {agent!r} is a {self.player.kind}; a script or a saved model can demonstrate")
        self._env = MetricTrackerEnv(config=config_of(self.player, task))
        self._agent: Agent = get_agent(agent)(self._env) if agent in AGENTS else ModelAgent(self._env, Path(agent))
        self._session = Session(config=self._env.config)
        self._reports = Reports(self._env)

    @property
    def env(self) -> MetricTrackerEnv:
        """The environment that it plays in."""
        return self._env

    def prepare(self, seeds: Sequence[int]) -> None:
        """Make the episodes of seeds that are played next together, which takes less time; they are the same."""
        self._env.prepare(seeds)
        self._session.prepare(seeds)

    def play(self, seed: int) -> Demonstration:
        """Play an episode.

        Raises:
            RuntimeError: if the calls are graded otherwise than the actions were.
        """
        env, agent = self._env, self._agent
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        self._session.begin(seed)
        observations, masks = [observation], [info["action_mask"]]
        actions, rewards = list[int](), list[float]()
        calls, told, reported = list[Call](), dict[str, list[Mapping[str, Any]]](), list[tuple[int, int]]()
        over = False
        while not over:
            action = int(agent.act(observation, info))
            before = observation
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            observations.append(observation)
            masks.append(info["action_mask"])
            actions.append(action)
            rewards.append(float(reward))
            if info["illegal_action"]:
                continue
            cell = self._reports.cell(action, before)
            if cell is not None:
                reported.append(cell)
                continue
            tool, arguments = self._reports.call(action, observation)
            if tool == SURVEY_TOOL:
                arguments["limit"] = env.config.generator.num_days  # the action tells all dates
            if tool != SUBMIT:
                calls.append(self._call(tool, arguments, told))
        calls.append(self._call(SUBMIT, {"rows": self._rows(reported, told)}, told))
        grade, standing = self._session.grade(), self._session.standing
        if abs(grade.score - info["score"]) > ALIKE or standing.cost != info["cost"]:
            raise RuntimeError(f"seed {seed}: the calls score {grade.score}, the actions {info['score']}")
        steps = Steps(np.array(observations), np.array(masks), np.array(actions, np.int64), np.array(rewards))
        return Demonstration(seed, calls, grade, standing.reward, steps)

    def _call(self, tool: str, arguments: dict[str, Any], told: dict[str, list[Mapping[str, Any]]]) -> Call:
        """Make a call, and keep what a tool on one date has told."""
        answer = self._session.call(tool, arguments)
        if answer.result is not None and "date" in answer.result:
            told.setdefault(answer.result["date"], []).append(answer.result)
        return Call(tool, arguments, answer.text, answer.reward)

    def _rows(
        self, reported: Sequence[tuple[int, int]], told: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The rows of (day, entity) of cells, as the tools on their dates told them."""
        generator = self._env.config.generator
        cells: dict[tuple[int, int], Mapping[str, Any]] = {}
        for day in {day for day, _ in reported}:
            for result in told[generator.date_names[day]]:
                for cell in cells_told(from_tables(result)):
                    cells[day, generator.catalogue.index[cell["entity_type"], cell["entity_name"]]] = cell
        return [{field: cells[cell][field] for field in ROW_FIELDS} for cell in reported]


def played(
    expert: Expert, seeds: Sequence[int], progress: Callable[[int], None] | None = None
) -> Iterator[Demonstration]:
    """The episodes of seeds, one after another."""
    for first in range(0, len(seeds), TOGETHER):
        part = seeds[first : first + TOGETHER]
        expert.prepare(part)
        for seed in part:
            yield expert.play(seed)
            if progress is not None:
                progress(1)
