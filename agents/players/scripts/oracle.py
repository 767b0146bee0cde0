"""The oracle: told the truth, it shows that every episode can be solved under the budget. Privileged; the ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env import MetricDataGenerator, MetricTrackerEnv
from metric_tracker_env.play.actions import OPEN_TOOL
from metric_tracker_env.world.labels import CellClass

from .desk import TOOL_OF_TYPE
from .script import Script, register


@register("oracle")
class Oracle(Script):
    """Makes the episode again from its seed, reads the answers there, and reveals just what reporting them needs."""

    def __init__(self, env: gym.Env[np.ndarray, Any]) -> None:
        super().__init__(env)
        game = env.unwrapped
        assert isinstance(game, MetricTrackerEnv)  # as the desk has made sure
        self._generator = MetricDataGenerator(game.config.generator, game.seal)
        self._truth: list[tuple[int, int]] = []

    def begin(self, seed: int) -> None:
        """Look up the truth of the episode."""
        super().begin(seed)
        episode = self._generator.generate_episode(self.desk.config.episode_config(seed=seed))
        day, entity = np.nonzero(episode.classes == CellClass.EXPECTED)
        self._truth = list(zip(day.tolist(), entity.tolist(), strict=True))

    def play(self) -> Iterator[int]:
        """Open, inspect where needed, report."""
        desk = self.desk
        for day, entity in self._truth:
            if not desk.may(desk.open(day)):
                break
            yield desk.open(day)
            tool = TOOL_OF_TYPE[desk.entities[entity].entity_type]
            if tool != OPEN_TOOL and desk.may(desk.inspect(tool, day)):
                yield desk.inspect(tool, day)
            if desk.may(desk.report(day, entity)):
                yield desk.report(day, entity)
