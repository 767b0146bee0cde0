"""What the single and the vector environment have in common: the engine behind them, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from metric_tracker_env.config import MAX_SEED, EnvConfig, EpisodeOptions
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.play.actions import ActionTable
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.play.layout import Layout
from metric_tracker_env.play.observation import REPORTED_SCALE
from metric_tracker_env.play.supply import RATIO_CLIP
from metric_tracker_env.world.source import EpisodeSource

RENDER_MODES = ("ansi", "rgb_array")
RENDER_FPS = 4
METADATA: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}
EPISODE_OPTIONS = tuple(EpisodeOptions.model_fields)


class OnEngine:
    """What an environment, single or vector, has from its engine."""

    _engine: Engine

    @property
    def config(self) -> EnvConfig:
        """The configuration; ``step_cost`` is the one part of it that can be changed."""
        return self._engine.config

    @property
    def step_cost(self) -> float:
        """Reward lost per unit spent. It may be set at any time, for a cost that changes during training.

        Raises:
            ValueError: on setting, for a bad value; nothing has changed then.
        """
        return self._engine.step_cost

    @step_cost.setter
    def step_cost(self, value: float) -> None:
        self._engine.step_cost = value

    @property
    def actions(self) -> ActionTable:
        """The action table: encodes, decodes and spells actions."""
        return self._engine.table

    @property
    def observation_layout(self) -> Layout:
        """Names, places and shapes of the parts of the observation."""
        return self._engine.layout


def render_lane(engine: Engine, lane: int, mode: str) -> str | np.ndarray:
    """Draw a lane; see ``render``."""
    from metric_tracker_env import render  # matplotlib is an extra, and drawing is rare

    scene = render.Scene(
        engine.config, engine.episode(lane), engine.progress(lane), over=not bool(engine.playing[lane])
    )
    return render.text(scene) if mode == "ansi" else render.frame(scene)


def observation_space(engine: Engine) -> spaces.Box:
    """Box of one lane's observation."""
    low = np.zeros(engine.layout.size, np.float32)
    high = np.ones(engine.layout.size, np.float32)
    for name, part in engine.layout.parts.items():
        if name in {"deviation", "season"}:
            low[part.places], high[part.places] = -RATIO_CLIP, RATIO_CLIP
        elif name.endswith("flags"):
            high[part.places] = max(SCAN_MULTIPLIERS)
        elif name == "globals":
            high[part.start] = REPORTED_SCALE * engine.config.step_limit
    return spaces.Box(low, high, dtype=np.float32)


def entropy(env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any]) -> int:
    """Seed of an environment that was given none: the entropy that Gymnasium drew, or a draw of a user's generator."""
    drawn = env.np_random_seed
    return drawn if drawn is not None and drawn >= 0 else int(env.np_random.integers(MAX_SEED))


def check_action(action: object, actions: int) -> int:
    """The index of an action.

    Raises:
        ValueError: unless it is an integer (NumPy's or a 0-d array too) from 0 to ``actions - 1``.
    """
    if type(action) is int and 0 <= action < actions:
        return action
    value = action.item() if isinstance(action, (np.generic, np.ndarray)) and np.ndim(action) == 0 else action
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < actions:
        raise ValueError(f"action {action!r} is not an integer from 0 to {actions - 1}")
    return value


def check_seed(seed: object) -> None:
    """Refuse a seed that is neither None nor an integer from 0 to ``MAX_SEED``.

    Raises:
        ValueError: naming the seed.
    """
    if seed is None:
        return
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {seed!r} is not an integer from 0 to {MAX_SEED}")


def check_render_mode(mode: str | None) -> None:
    """Refuse an unknown render mode.

    Raises:
        ValueError: naming the mode and what is allowed.
    """
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"render_mode {mode!r} is not None or one of {list(RENDER_MODES)}")


def episode_source(engine: Engine, options: Mapping[str, Any] | None) -> EpisodeSource | None:
    """The source of an episode with options; None for the environment's own.

    Raises:
        ValueError: for an unknown option or a bad value.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise ValueError(f"options {options!r} must be a dict")
    unknown = sorted(map(repr, set(options) - set(EPISODE_OPTIONS)))
    if unknown:
        raise ValueError(f"unknown reset option {', '.join(unknown)}; allowed: {list(EPISODE_OPTIONS)}")
    return engine.source(dict(options))
