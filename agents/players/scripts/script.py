"""Scripted agents: their registry, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from ..agent import AgentFactory, AgentPlayer
from ..registry import register_player
from .desk import Desk

AGENTS: dict[str, AgentFactory] = {}
FactoryT = TypeVar("FactoryT", bound=AgentFactory)
PRIVILEGED = ("oracle",)  # it is told the truth by the seed of the episode


def register(name: str) -> Callable[[FactoryT], FactoryT]:
    """Class decorator that enters an agent into ``AGENTS``, and its player into the registry of all players.

    Raises:
        ValueError: if the name is taken.
    """

    def enter(factory: FactoryT) -> FactoryT:
        register_player(name, partial(AgentPlayer, name, factory))
        AGENTS[name] = factory
        return factory

    return enter


def get_agent(name: str) -> AgentFactory:
    """The factory of a registered agent.

    Raises:
        ValueError: if there is none of that name; names those there are.
    """
    if name not in AGENTS:
        raise ValueError(f"agent {name!r} is not one of {list(AGENTS)}")
    return AGENTS[name]


def demonstrators() -> list[str]:
    """Names of the agents that can show others what to do: all that know no more than the environment shows."""
    return [name for name in AGENTS if name not in PRIVILEGED]


class Script:
    """An agent written as a generator: ``play`` yields actions, and the desk is up to date after each."""

    def __init__(self, place: gym.Env[np.ndarray, Any] | Desk) -> None:
        """Sit down at an environment, or at a desk."""
        self.desk = place if isinstance(place, Desk) else Desk(place)
        self._playing: Iterator[int] = iter(())

    def begin(self, seed: int) -> None:
        """Start the script from its first line."""
        del seed
        self._playing = self.play()

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """Take the script's next action; submit when it has ended."""
        self.desk.look(observation, info)
        return next(self._playing, self.desk.submit)

    def play(self) -> Iterator[int]:
        """Yield the actions of one episode."""
        raise NotImplementedError
