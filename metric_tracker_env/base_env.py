"""What the single and the vector environment have in common: the engine behind them, and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.seeding import RandomNumberGenerator
from gymnasium.vector import VectorEnv

from metric_tracker_env.config import MAX_SEED, EnvConfig, EpisodeOptions, checked_seeds, unknown_option
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.model import as_json
from metric_tracker_env.play.actions import ActionTable
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.play.layout import Layout
from metric_tracker_env.play.observation import REPORTED_SCALE
from metric_tracker_env.play.supply import RATIO_CLIP
from metric_tracker_env.seal import Seal
from metric_tracker_env.tasks import FILE_ENDINGS, find_task
from metric_tracker_env.world.source import EpisodeSource

RENDER_MODES = ("ansi", "rgb_array")
RENDER_FPS = 4
RENDER_SCALES = (0.1, 4.0)  # smallest and largest multiple of a frame's own size
METADATA: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}
EPISODE_OPTIONS = tuple(EpisodeOptions.model_fields)


# What an environment is made with and keeps; ``step_cost`` and the options of its episodes can be changed.
FIXED = frozenset({"config", "actions", "observation_layout", "seal", *EnvConfig.model_fields}) - {"step_cost"}


EngineT = TypeVar("EngineT", bound=Engine)


class OnEngine(Generic[EngineT]):
    """What an environment, single or vector, has from its engine."""

    _engine: EngineT
    _made_with: tuple[str, ...] = ()  # further attributes that keep their first value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """An environment that plays on by itself; it shares what depends on the configuration alone."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        for name, value in vars(self).items():
            if isinstance(value, spaces.Space):
                vars(other)[name] = own_space(value)
            else:
                vars(other)[name] = value if isinstance(value, EnvSpec) else copy.deepcopy(value, memo)
        return other

    @property
    def config(self) -> EnvConfig:
        """The configuration; it changes with ``step_cost`` and ``set_episode_options``, and otherwise never."""
        return self._engine.config

    @property
    def seal(self) -> Seal | None:
        """That its episodes are made with; None for public ones."""
        return self._engine.seal

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

    def prepare(self, seeds: Sequence[int]) -> None:
        """Make the first episodes of seeds together, for many resets to come; those prepared before are forgotten.

        ``reset(seed=s)`` plays the same with and without, only sooner.

        Args:
            seeds: Of resets to come, with the options that hold now.

        Raises:
            ValueError: for a bad seed; nothing has changed then.
        """
        self._engine.prepare(checked_seeds(seeds))

    def set_episode_options(self, task: str | Path | None = None, **options: Any) -> None:
        """Change what all episodes to come hold, for a curriculum; those under way stay as they are.

        A lane's next episode is the first with the new options, and episode n of a seed with some options is the
        same whenever they were set. View, reward, budget and costs stay, and so do the spaces.

        Args:
            task: A registered task or a file, see ``find_task``, whose options to take; of the same generator.
            options: Any of scenario_family, difficulty, anomaly_density, anomaly_count, anomaly_generators, on top
                of those of the task, or else of those that hold now.

        Raises:
            UnknownOptionError: for another option; a TypeError and a ValueError.
            ValueError: for an unknown task, one of another generator, a bad value, or incidents that do not fit;
                nothing has changed then.
        """
        if not options.keys() <= set(EPISODE_OPTIONS):
            raise unknown_option(options.keys() - set(EPISODE_OPTIONS), ["task", *EPISODE_OPTIONS])
        changes = options
        if task is not None:
            wanted = find_task(task).config
            if wanted.generator != self.config.generator:
                raise ValueError(
                    f"task {str(task)!r} has another generator (funnel, calendar or traffic), of which the spaces must "
                    "be made; make another environment with it"
                )
            changes = {name: getattr(wanted, name) for name in EPISODE_OPTIONS} | options
        self._engine.set_episode_options(changes)

    def __setattr__(self, name: str, value: object) -> None:
        refuse_fixed(name, self._made_with if name in vars(self) else ())
        super().__setattr__(name, self._recorded(value) if isinstance(value, EnvSpec) else value)

    def _recorded(self, spec: EnvSpec) -> EnvSpec:
        """A spec with arguments that ``spec.to_json`` can write: configs as dicts, a file as what it held when read.

        Of a seal it holds the hash, as a secret is not for files that are passed on.
        """
        arguments, spec = spec.kwargs, copy.copy(spec)
        if any(str(arguments.get(name)).endswith(FILE_ENDINGS) for name in ("task", "config")):
            held = {"task", *EnvConfig.model_fields}
            arguments = {name: value for name, value in arguments.items() if name not in held} | {"config": self.config}
        spec.kwargs = {
            name: value.hash if isinstance(value, Seal) else as_json(value) for name, value in arguments.items()
        }
        return spec


def refuse_fixed(name: str, made_with: tuple[str, ...] = ()) -> None:
    """Refuse to set an attribute where that would change nothing, or half of what it seems to.

    Raises:
        AttributeError: naming the attribute and what can be changed instead.
    """
    if name in FIXED or name in made_with:
        raise AttributeError(
            f"{name!r} cannot be set, as an environment is made with it; what can be changed is step_cost, and for "
            f"episodes to come, with set_episode_options(), any of {list(EPISODE_OPTIONS)}"
        )


def render_lane(engine: Engine, lane: int, mode: str, scale: float) -> str | np.ndarray:
    """Draw a lane; see ``render``."""
    from metric_tracker_env import render  # matplotlib is an extra, and drawing is rare

    scene = render.Scene(
        engine.config, engine.episode(lane), engine.progress(lane), over=not bool(engine.playing[lane])
    )
    return render.text(scene) if mode == "ansi" else render.frame(scene, scale)


def own_space(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """A space with the same bounds, which it shares, and a generator of its own, where it has sampled."""
    other = copy.copy(space)
    drawing = {name: value for name, value in vars(space).items() if isinstance(value, RandomNumberGenerator)}
    vars(other).update(copy.deepcopy(drawing))
    return other


def observation_space(engine: Engine) -> spaces.Box:
    """Box of one lane's observation."""
    low = np.zeros(engine.layout.size, np.float32)
    high = np.ones(engine.layout.size, np.float32)
    for name, part in engine.layout.parts.items():
        if name in {"deviation", "season", "announced"}:
            low[part.places], high[part.places] = -RATIO_CLIP, RATIO_CLIP
        elif name in {"flags", "focus_flags", "next_flags"}:
            high[part.places] = max(SCAN_MULTIPLIERS)
        elif name == "globals":
            high[part.start] = REPORTED_SCALE * engine.config.step_limit
    return spaces.Box(low, high, dtype=np.float32)


def first_seed(env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any], count: int = 1) -> int:
    """Seed of ``count`` lanes that are reset without one: ``np_random_seed``, or a draw of a user's generator."""
    seed = env.np_random_seed
    return seed if seed is not None and seed >= 0 else int(env.np_random.integers(MAX_SEED)) % (MAX_SEED + 2 - count)


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


def check_render_mode(mode: str | None, modes: tuple[str, ...] = RENDER_MODES) -> None:
    """Refuse an unknown render mode.

    Raises:
        ValueError: naming the mode and what is allowed.
    """
    if mode is not None and mode not in modes:
        raise ValueError(f"render_mode {mode!r} is not None or one of {list(modes)}")


def check_render_scale(scale: object) -> float:
    """The scale of frames.

    Raises:
        ValueError: unless it is a number within ``RENDER_SCALES``.
    """
    low, high = RENDER_SCALES
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.number)) or not low <= scale <= high:
        raise ValueError(f"render_scale {scale!r} is not a number from {low:g} to {high:g}")
    return float(scale)


def episode_source(engine: Engine, options: Mapping[str, Any] | None) -> EpisodeSource | None:
    """The source of an episode with options; None for the environment's own.

    Raises:
        ValueError: for an unknown option or a bad value.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise ValueError(f"options {options!r} must be a dict")
    return engine.source(options)
