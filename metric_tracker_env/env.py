"""The single environment: the engine with one lane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from metric_tracker_env.actions import Action, ActionTable
from metric_tracker_env.config import MAX_SEED, EnvConfig
from metric_tracker_env.engine import Engine
from metric_tracker_env.episode import EpisodeData, EpisodeSource
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.observation import REPORTED_SCALE, Layout
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.supply import RATIO_CLIP
from metric_tracker_env.tasks import build_config

RENDER_MODES = ("ansi", "rgb_array")
RENDER_FPS = 4
EPISODE_OPTIONS = ("scenario_family", "difficulty", "anomaly_density", "anomaly_count", "anomaly_generators")
ONE_LANE = np.zeros(1, np.int64)


class MetricTrackerEnv(gym.Env[np.ndarray, np.int64]):
    """DOC"""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}

    def __init__(
        self,
        task: str | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self.config = build_config(task, config, options)
        self._engine = Engine(self.config, 1)
        self.observation_space = observation_space(self._engine)
        self.action_space = spaces.Discrete(len(self._engine.table))
        self._seeded = False
        self._started = False

    @property
    def actions(self) -> ActionTable:
        """The action table: encodes, decodes and spells actions."""
        return self._engine.table

    @property
    def observation_layout(self) -> Layout:
        """Names, places and shapes of the parts of the observation."""
        return self._engine.layout

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Starts the environment's stream of episodes anew; the first episode of seed s is the one that
                ``MetricDataGenerator.generate_episode`` makes of it. None goes on with the stream.
            options: For this episode only: any of scenario_family, difficulty, anomaly_density, anomaly_count,
                anomaly_generators.

        Returns:
            Observation (L,) float32 and info.

        Raises:
            ValueError: for a bad seed or option; nothing has changed then.
        """
        check_seed(seed)
        special = episode_source(self._engine, options)
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            # Unseeded, the stream starts from the entropy that Gymnasium drew.
            _ = self.np_random
            self._engine.seed(ONE_LANE, [self.np_random_seed if seed is None else int(seed)])
            self._seeded = True
        self._engine.deal(ONE_LANE, special)
        self._started = True
        return self._engine.observations[0].copy(), self._info(False)

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do one action.

        Args:
            action: Index of an action, see ``actions``. An illegal one changes nothing, costs a step, and is told in
                ``info["illegal_action"]``.

        Returns:
            Observation (L,) float32, reward, terminated, truncated (always False) and info; at the end info holds
            the score and its parts.

        Raises:
            ValueError: if the action is not an index of an action.
            gymnasium.error.ResetNeeded: before the first reset and after the end of an episode.
        """
        index = check_action(action, len(self._engine.table))
        if not self._engine.playing[0]:
            when = "after the end of the episode" if self._started else "before the first reset"
            raise gym.error.ResetNeeded(f"step was called {when}; call reset")
        reward, done, illegal = self._engine.step_one(index)
        info = self._info(illegal)
        if done:
            outcome = self._engine.outcome(ONE_LANE)
            info.update({name: value[0].item() for name, value in outcome._asdict().items()})
        return self._engine.observations[0].copy(), reward, done, False, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool: legal actions, as sb3-contrib asks for them."""
        return self._engine.mask[0].copy()

    def resolve(self, action: int) -> Action:
        """The concrete tool call of an action now, with the date that it stands for.

        Raises:
            ValueError: if the action is no action, or there is no date that it stands for.
        """
        return self._engine.resolve(0, check_action(action, len(self._engine.table)))

    def grade(self) -> Grade:
        """The full grade of the episode that has ended.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        episode = self.episode()
        return score_submission([episode.row(day, entity) for day, entity in self._engine.draft(0)], episode)

    def episode(self) -> EpisodeData:
        """The episode that has ended, with its truth.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        if not self._started or self._engine.playing[0]:
            raise gym.error.ResetNeeded("the truth is told when the episode has ended")
        return self._engine.episode(0)

    def render(self) -> str | np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Draw the episode as the agent has seen it; at the end with the truth.

        Returns:
            Text for "ansi", (H, W, 3) uint8 for "rgb_array", None without a render mode.
        """
        if self.render_mode is None:
            gym.logger.warn("render was called without a render_mode; give one to gymnasium.make")
            return None
        if not self._started:
            raise gym.error.ResetNeeded("render was called before the first reset; call reset")
        return render_lane(self._engine, 0, self.render_mode)

    def _info(self, illegal: bool) -> dict[str, Any]:
        return {"action_mask": self._engine.mask[0].astype(np.int8), "illegal_action": illegal}

    def __repr__(self) -> str:
        return f"<MetricTrackerEnv {self.config.view} view, {self.config.difficulty}>"


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
    if not options:
        return None
    if not isinstance(options, Mapping):
        raise ValueError(f"options {options!r} must be a dict")
    unknown = sorted(map(repr, set(options) - set(EPISODE_OPTIONS)))
    if unknown:
        raise ValueError(f"unknown reset option {', '.join(unknown)}; allowed: {list(EPISODE_OPTIONS)}")
    return engine.source(dict(options))
