"""The vector engine as a stable-baselines3 ``VecEnv``: no loop over environments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from metric_tracker_env.base_env import check_render_mode, refuse_fixed
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.vector_env import MetricTrackerVectorEnv

# What the lanes have in common: the same for each of them.
SHARED = ("config", "step_cost", "actions", "observation_layout", "render_mode", "metadata")
METHODS = ("action_masks", "render", "set_episode_options")


class MetricTrackerVecEnv(VecMonitor):
    """Many lanes of ``MetricTrackerEnv`` in one engine, as stable-baselines3 takes them.

    Equal, bit for bit, to ``DummyVecEnv`` over as many ``gymnasium.make`` environments, seeds included: lane i of
    ``seed(s)`` is seeded s + i. An episode that ends is followed by the lane's next one in the same step; its last
    observation is ``infos[i]["terminal_observation"]`` and the score stands in ``infos[i]``. It is SB3's own
    ``VecMonitor`` of the lanes, so that return and length of each episode are logged, in ``infos[i]["episode"]``.

    Args:
        num_envs: Number of lanes.
        task: See ``MetricTrackerEnv``; so are ``config``, ``render_mode``, ``render_scale`` and the options.
        max_episode_steps: See ``MetricTrackerVectorEnv``.
        filename: Of a log of the episodes, as ``VecMonitor`` writes it; None for none.
        info_keywords: What of ``infos[i]`` to log beside return and length, for example ``("score", "cost")``.
    """

    def __init__(
        self,
        num_envs: int = 1,
        task: str | Path | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        render_mode: str | None = None,
        render_scale: float = 1.0,
        max_episode_steps: int | None = None,
        filename: str | None = None,
        info_keywords: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        check_render_mode(render_mode)
        self.envs = MetricTrackerVectorEnv(
            num_envs,
            AutoresetMode.SAME_STEP,
            task=task,
            config=config,
            render_mode=render_mode,
            render_scale=render_scale,
            max_episode_steps=max_episode_steps,
            **options,
        )
        super().__init__(Lanes(self.envs), filename, info_keywords)
        self.reset_infos = self.venv.reset_infos

    @property
    def config(self) -> EnvConfig:
        """The configuration of the lanes."""
        return self.envs.config

    @property
    def step_cost(self) -> float:
        """Reward lost per unit spent, of all lanes; it may be set at any time, here or with ``set_attr``.

        Raises:
            ValueError: on setting, for a bad value; nothing has changed then.
        """
        return self.envs.step_cost

    @step_cost.setter
    def step_cost(self, value: float) -> None:
        self.envs.step_cost = value

    def set_episode_options(self, task: str | Path | None = None, **options: Any) -> None:
        """Change what all episodes to come hold, here or with ``env_method``; see ``MetricTrackerEnv``.

        Raises:
            UnknownOptionError: for an unknown option; a TypeError and a ValueError.
            ValueError: for an unknown task, one of another generator, a bad value, or incidents that do not fit;
                nothing has changed then.
        """
        self.envs.set_episode_options(task, **options)

    def action_masks(self) -> np.ndarray:
        """(num_envs, A) bool: legal actions."""
        return self.envs.action_masks()

    def reset(self) -> np.ndarray:
        """Begin an episode on every lane, with the seeds and options given since the last reset.

        Returns:
            (num_envs, L) float32 observations; ``reset_infos`` holds an info dict a lane.

        Raises:
            ValueError: for bad seeds or options; they are dropped, and nothing else has changed.
        """
        return cast(np.ndarray, super().reset())

    def __setattr__(self, name: str, value: object) -> None:
        refuse_fixed(name)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # What SB3 keeps of the class cannot be pickled, and is the same for every object.
        return {name: value for name, value in vars(self).items() if name != "class_attributes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, class_attributes=dict(inspect.getmembers(type(self))))


class Lanes(VecEnv):
    """The lanes themselves, without a monitor."""

    def __init__(self, envs: MetricTrackerVectorEnv) -> None:
        self.envs = envs
        self._actions: np.ndarray | None = None
        self._started = False
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.metadata = envs.metadata

    def reset(self) -> np.ndarray:
        """See ``MetricTrackerVecEnv``."""
        seeds, options = self._seeds, self._options
        self._reset_seeds()
        self._reset_options()
        if len(options) != self.num_envs:
            raise ValueError(f"options has {len(options)} entries for {self.num_envs} lanes")
        groups: list[tuple[dict[str, Any], np.ndarray]] = []
        for lane, wanted in enumerate(options):
            same = [chosen for other, chosen in groups if other == wanted]
            if not same:
                same = [np.zeros(self.num_envs, bool)]
                groups.append((wanted, same[0]))
            same[0][lane] = True
        if len(groups) > 1 and not self._started:
            # A reset of some lanes asks for all of them to have begun.
            self.envs.reset(seed=seeds)
        observations = np.zeros(0, np.float32)
        for wanted, chosen in groups:
            masked = {} if chosen.all() else {"reset_mask": chosen}
            observations, info = self.envs.reset(seed=seeds, options={**wanted, **masked})
            for lane in np.flatnonzero(chosen).tolist():
                self.reset_infos[lane] = {"action_mask": info["action_mask"][lane], "illegal_action": False}
        self._started = True
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take (num_envs,) integer actions, which ``step_wait`` does."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Do the actions.

        Returns:
            Observations (num_envs, L) float32, rewards (num_envs,) float32, dones (num_envs,) bool, and an info dict
            a lane.

        Raises:
            ValueError: for actions of a wrong shape, dtype or range; nothing has changed then.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self._actions is None:
            raise gym.error.ResetNeeded("step_wait was called without step_async; give actions first")
        actions, self._actions = self._actions, None
        observations, rewards, terminated, truncated, told = self.envs.step(actions)
        dones, masks = terminated | truncated, told["action_mask"]
        infos: list[dict[str, Any]] = [
            {"action_mask": mask, "illegal_action": illegal, "TimeLimit.truncated": cut_off}
            for mask, illegal, cut_off in zip(
                masks, told["illegal_action"].tolist(), (truncated & ~terminated).tolist(), strict=True
            )
        ]
        if "final_info" in told:
            final = told["final_info"]
            parts = [name for name in final if not name.startswith("_")]
            for lane in np.flatnonzero(dones).tolist():
                self.reset_infos[lane] = {"action_mask": masks[lane], "illegal_action": False}
                for name in parts:
                    value = final[name][lane]
                    infos[lane][name] = value if isinstance(value, np.ndarray) else value.item()
                infos[lane]["terminal_observation"] = told["final_obs"][lane]
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the lanes."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each lane: what an environment of the lane's would have.

        Raises:
            AttributeError: for one that lanes do not have; names those they have.
        """
        lanes = self._lanes(indices)
        if attr_name in SHARED:
            return [getattr(self.envs, attr_name)] * len(lanes)
        if attr_name in {"observation_space", "action_space"}:
            return [getattr(self.envs, f"single_{attr_name}")] * len(lanes)
        if attr_name in METHODS:
            return [_OfLane(self, attr_name, lane) for lane in lanes]
        names = [*SHARED, "observation_space", "action_space", *METHODS]
        raise AttributeError(f"lanes have no attribute {attr_name!r}; they have {names}")

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set ``step_cost`` of all lanes; nothing else, and not some of them, as the lanes are one engine.

        ``DummyVecEnv`` sets an attribute of the outermost wrapper, which nothing reads; there,
        ``env_method("set_wrapper_attr", "step_cost", value)`` does the same as this.

        Raises:
            AttributeError: for another attribute.
            ValueError: for some lanes only, or a bad value; nothing has changed then.
        """
        if attr_name != "step_cost":
            raise AttributeError(
                f"attribute {attr_name!r} of a lane cannot be set, only 'step_cost'; give options when making the "
                "environment, or change those of the episodes to come with env_method('set_episode_options', ...)"
            )
        self._all_of(self._lanes(indices), "step_cost")
        self.envs.step_cost = value

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call ``action_masks`` or ``render`` of each lane, or ``set_episode_options`` of all lanes.

        Raises:
            AttributeError: for another method.
            TypeError: for arguments where a method takes none, or unknown ones.
            ValueError: for the options of some lanes only, or bad ones; nothing has changed then.
        """
        if method_name not in METHODS:
            raise AttributeError(f"lanes have no method {method_name!r}; they have {list(METHODS)}")
        lanes = self._lanes(indices)
        if method_name == "set_episode_options":
            self._all_of(lanes, "options")
            self.envs.set_episode_options(*method_args, **method_kwargs)
            return [None for _ in lanes]
        if method_args or method_kwargs:
            raise TypeError(f"{method_name} takes no arguments, not {method_args} {method_kwargs}")
        if method_name == "action_masks":
            masks = self.envs.action_masks()
            return [masks[lane] for lane in lanes]
        frames = self.envs.render()
        return [None if frames is None else frames[lane] for lane in lanes]

    def _all_of(self, lanes: list[int], shared: str) -> None:
        """Refuse lanes that are not all of them.

        Raises:
            ValueError: naming them and what all lanes share.
        """
        if set(lanes) != set(range(self.num_envs)):
            raise ValueError(f"indices {lanes[:8]} are not all {self.num_envs} lanes, which share their {shared}")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """False for each lane: nothing wraps it."""
        del wrapper_class
        return [False for _ in self._lanes(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A (H, W, 3) uint8 frame of each lane, None where ``render_mode`` is not "rgb_array"."""
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return cast(Sequence[np.ndarray], self.envs.render())

    def _lanes(self, indices: VecEnvIndices) -> list[int]:
        return [int(lane) for lane in self._get_indices(indices)]


class _OfLane:
    """A method of one lane, as ``get_attr`` returns it."""

    def __init__(self, lanes: Lanes, method: str, lane: int) -> None:
        self._lanes, self._method, self._lane = lanes, method, lane

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._lanes.env_method(self._method, *args, indices=self._lane, **kwargs)[0]
