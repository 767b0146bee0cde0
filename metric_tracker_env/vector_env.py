"""The vector environment: the engine with many lanes, without a loop over environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from metric_tracker_env.base_env import (
    METADATA,
    RENDER_MODES,
    OnEngine,
    check_render_mode,
    check_render_scale,
    episode_source,
    first_seed,
    observation_space,
    render_lane,
)
from metric_tracker_env.config import EnvConfig, check_seed
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.play.outcome import Outcome
from metric_tracker_env.scoring import Grade, score_draft
from metric_tracker_env.seal import Seal
from metric_tracker_env.tasks import build_config
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.rng import fresh_seed
from metric_tracker_env.world.workspace import keep_freed

MAX_LANES = 1 << 20
NO_LANES = np.zeros(0, np.int64)
LIST = "_list"  # ending of the render modes that draw every step and hand the pictures out together
VECTOR_RENDER_MODES = (*RENDER_MODES, *(mode + LIST for mode in RENDER_MODES))


class MetricTrackerVectorEnv(OnEngine[Engine], VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many lanes of ``MetricTrackerEnv`` in one engine; what ``gymnasium.make_vec`` builds.

    Lane i, seeded s, plays bit for bit what the single environment seeded s + i plays, in every autoreset mode.

    Args:
        num_envs: Number of lanes.
        autoreset_mode: ``AutoresetMode.NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``, or its value as text.
        copy: Whether ``reset`` and ``step`` return copies of observations and masks. Without copies they, and the
            mask in ``final_info``, are the environment's own arrays, which the next step changes: twice as fast.
        task: See ``MetricTrackerEnv``; so are ``config``, ``render_scale`` and the options.
        render_mode: "ansi" or "rgb_array"; or "ansi_list" or "rgb_array_list", which draw every lane at every step,
            and with which ``render`` returns the pictures since it was last called or the episode began.
        max_episode_steps: Step of an episode at which it is truncated, as ``TimeLimit`` does to single environments;
            None or -1 for never. A truncated lane tells its score and its parts too, but is not paid it.
        seal: See ``MetricTrackerEnv``.
    """

    _made_with = ("num_envs", "autoreset_mode", "copy", "render_mode", "render_scale", "max_episode_steps")

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        task: str | Path | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        render_mode: str | None = None,
        render_scale: float = 1.0,
        max_episode_steps: int | None = None,
        seal: Seal | str | Path | None = None,
        **options: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or not 1 <= num_envs <= MAX_LANES:
            raise ValueError(f"num_envs {num_envs!r} is not an integer from 1 to {MAX_LANES}")
        if not isinstance(copy, bool):
            raise ValueError(f"copy {copy!r} is not True or False")
        check_render_mode(render_mode, VECTOR_RENDER_MODES)
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError as error:
            allowed = [mode.value for mode in AutoresetMode]
            raise ValueError(f"autoreset_mode {autoreset_mode!r} is not one of {allowed}") from error
        modes = {"render_modes": list(VECTOR_RENDER_MODES), "autoreset_mode": self.autoreset_mode}
        self.metadata = METADATA | modes
        self.num_envs = int(num_envs)
        self.copy = copy
        self.render_mode = render_mode
        self.render_scale = check_render_scale(render_scale)
        self.max_episode_steps = check_max_episode_steps(max_episode_steps)
        self._engine = Engine(build_config(task, config, options), self.num_envs, Seal.of(seal))
        if copy:
            keep_freed(self._engine.observations.nbytes)
        self.single_observation_space = observation_space(self._engine)
        self.single_action_space = spaces.Discrete(len(self._engine.table))
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._all = np.arange(self.num_envs)
        self._everywhere = np.ones(self.num_envs, bool)
        self._started = np.zeros(self.num_envs, bool)
        self._ended = np.zeros(self.num_envs, bool)  # the last step of these lanes ended an episode
        in_place = self.autoreset_mode is AutoresetMode.SAME_STEP and not copy
        mask = np.zeros(self._engine.mask.shape if in_place else (0, 0), np.int8)
        self._final = mask, NO_LANES  # the masks of lanes that have ended, and which these are; without copies
        self._pictures: list[list[Any]] = []  # of each lane, in the render modes that collect them
        super().reset(seed=fresh_seed(self.num_envs))  # so that np_random_seed is a seed of ours without a given one

    @cached_property
    def observation_space(self) -> spaces.Space[np.ndarray]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Box of all lanes' observations; made when asked for, as its bounds weigh 20 KB a lane in the board view."""
        return batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode on every lane, or on those of ``options["reset_mask"]``.

        Args:
            seed: An int s seeds lane i with s + i; a list gives each lane its own; None goes on with the streams.
            options: ``reset_mask``, (num_envs,) bool with at least one True; others as in ``MetricTrackerEnv``, for
                the episodes that begin now: those that an autoreset begins are as configured.

        Returns:
            Observations (num_envs, L) float32 and info.

        Raises:
            ValueError: for bad seeds or options; nothing has changed then.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ValueError(f"options {options!r} must be a dict")
        further = {} if options is None else dict(options)
        chosen = check_reset_mask(further.pop("reset_mask", self._everywhere), self.num_envs)
        seeds = self._lane_seeds(seed)
        special = episode_source(self._engine, further)
        lanes = np.flatnonzero(chosen)
        if not self._started[~chosen].all():
            raise gym.error.ResetNeeded("options['reset_mask'] leaves out lanes that were never reset; reset all first")
        unseeded = [lane for lane in lanes.tolist() if seeds[lane] is None and not self._started[lane]]
        if unseeded:
            drawn = first_seed(self, self.num_envs)
            for lane in unseeded:
                seeds[lane] = drawn + lane
        self._engine.deal(lanes, special, [seeds[lane] for lane in lanes.tolist()])
        self._engine.keep(NO_LANES)
        super().reset(seed=int(seed) if isinstance(seed, (int, np.integer)) else None)
        if seed is not None and not isinstance(seed, (int, np.integer)):
            self._np_random_seed = -1  # Gymnasium's word for unknown: no single seed gives these lanes
        self._started[lanes] = True
        self._ended[lanes] = False
        self._collect(lanes, begun=lanes)
        return self._observations(), self._info(chosen, np.zeros(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do one action on every lane.

        Args:
            actions: (num_envs,) integers, each an index of an action. In NEXT_STEP mode the action of a lane whose
                episode has just ended is not used: the lane is reset, with reward 0.

        Returns:
            Observations (num_envs, L) float32, rewards (num_envs,) float64, terminations and truncations
            (num_envs,) bool, and info; parts of the score where an episode ends (in SAME_STEP mode inside
            ``final_info``, beside ``final_obs``).

        Raises:
            ValueError: for actions of a wrong shape, dtype or range; nothing has changed then.
            gymnasium.error.ResetNeeded: before the first reset; in DISABLED mode also when a lane has ended.
        """
        chosen = check_actions(actions, self.num_envs, len(self._engine.table))
        if not self._started.all():
            raise gym.error.ResetNeeded("step was called before the first reset; call reset")
        renewed = np.flatnonzero(self._ended)
        if len(renewed) and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise gym.error.ResetNeeded(
                f"step was called while the episodes of lanes {renewed.tolist()[:8]} have ended; "
                "reset them with options={'reset_mask': ...}"
            )
        # In NEXT_STEP mode these lanes are not playing, so the engine passes them over; they are dealt below.
        rewards, terminated, illegal = self._engine.step(chosen)
        truncated = self._truncated(renewed)
        done = terminated | truncated
        if len(renewed):
            self._engine.deal(renewed)
        ended = np.flatnonzero(done)
        self._engine.end(ended)
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = done
            info = self._info(self._everywhere, illegal)
            if len(ended):
                info.update(self._spread(self._engine.outcome(ended), ended, done))
            self._collect(self._all, begun=renewed)
            return self._observations(), rewards, terminated, truncated, info
        final: dict[str, Any] = {}
        self._engine.keep(ended)
        if len(ended):
            final_obs = np.empty(self.num_envs, object)  # None
            for lane, shown in zip(ended.tolist(), self._engine.observations.take(ended, axis=0), strict=True):
                final_obs[lane] = shown
            final = {"action_mask": self._final_mask(ended), "_action_mask": done.copy()}
            final |= {"illegal_action": illegal & done, "_illegal_action": done.copy()}
            final |= self._spread(self._engine.outcome(ended), ended, done)
            final = {"final_obs": final_obs, "_final_obs": done.copy(), "final_info": final, "_final_info": done.copy()}
            self._ended[ended] = True  # should dealing fail, the next step says that these lanes need a reset
            self._engine.deal(ended)
            self._ended[ended] = False
        info = self._info(self._everywhere, illegal & ~done) | final
        self._collect(self._all, begun=ended)
        return self._observations(), rewards, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """(num_envs, A) bool: legal actions."""
        return self._engine.mask.copy()

    def grade(self, lane: int) -> Grade:
        """The full grade of the episode that the last step of a lane ended, as ``episode``.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way there.
        """
        episode, draft = self._told(lane)
        return score_draft(draft, episode)

    def episode(self, lane: int) -> EpisodeData:
        """The episode that the last step of a lane ended, with its truth.

        In SAME_STEP mode the lane plays the next one already; the truth of this one is told until the next step.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way there.
        """
        return self._told(lane)[0]

    def _told(self, lane: int) -> tuple[EpisodeData, list[tuple[int, int]]]:
        """The episode that the last step of a lane ended, and its draft."""
        if isinstance(lane, bool) or not isinstance(lane, (int, np.integer)) or not 0 <= lane < self.num_envs:
            raise ValueError(f"lane {lane!r} is not an integer from 0 to {self.num_envs - 1}")
        kept = self._engine.kept(int(lane))
        if kept is not None:
            return kept
        if not self._started[lane] or self._engine.playing[lane]:
            raise gym.error.ResetNeeded(f"the truth of lane {lane} is told when its episode has ended")
        return self._engine.episode(lane), self._engine.draft(lane)

    def render(self) -> tuple[Any, ...] | None:
        """Draw every lane.

        Returns:
            A tuple of texts or of (H, W, 3) uint8 frames; of lists of them in the render modes that collect them.
        """
        if self.render_mode is None:
            gym.logger.warn("render was called without a render_mode; give one to gymnasium.make_vec")
            return None
        if not self._started.all():
            raise gym.error.ResetNeeded("render was called before the first reset; call reset")
        if self.render_mode.endswith(LIST):
            pictures, self._pictures = self._pictures, [[] for _ in range(self.num_envs)]
            return tuple(pictures)
        return tuple(self._draw(lane, self.render_mode) for lane in range(self.num_envs))

    def _draw(self, lane: int, mode: str) -> str | np.ndarray:
        return render_lane(self._engine, lane, mode, self.render_scale)

    def _collect(self, lanes: np.ndarray, begun: np.ndarray) -> None:
        """Draw lanes in the render modes that collect pictures, after those of lanes that have begun an episode."""
        if self.render_mode is None or not self.render_mode.endswith(LIST):
            return
        self._pictures = self._pictures or [[] for _ in range(self.num_envs)]
        for lane in begun.tolist():
            self._pictures[lane] = []
        for lane in lanes.tolist():
            self._pictures[lane].append(self._draw(lane, self.render_mode.removesuffix(LIST)))

    def _truncated(self, renewed: np.ndarray) -> np.ndarray:
        """(num_envs,) bool: lanes that this step brought to the time limit; not those that it renews."""
        if self.max_episode_steps is None:
            return np.zeros(self.num_envs, bool)
        late = self._engine.steps >= self.max_episode_steps
        late[renewed] = False
        return late

    def _observations(self) -> np.ndarray:
        return self._engine.observations.copy() if self.copy else self._engine.observations

    def _final_mask(self, ended: np.ndarray) -> np.ndarray:
        """(num_envs, A) int8: the masks of lanes that have ended, and 0 on the others; like all masks, see ``copy``."""
        if self.copy:
            mask = np.zeros(self._engine.mask.shape, np.int8)
        else:
            mask, before = self._final
            mask[before] = 0
            self._final = mask, ended
        mask[ended] = self._engine.mask[ended]
        return mask

    def _info(self, present: np.ndarray, illegal: np.ndarray) -> dict[str, Any]:
        mask = self._engine.mask.view(np.int8)
        if self.copy or not present.all():
            mask = mask * present[:, None] if not present.all() else mask.copy()
        return {
            "action_mask": mask,
            "_action_mask": present.copy(),
            "illegal_action": illegal,
            "_illegal_action": present.copy(),
        }

    def _spread(self, outcome: Outcome, lanes: np.ndarray, done: np.ndarray) -> dict[str, np.ndarray]:
        """Parts of the score as Gymnasium lays out vector info: an array over all lanes and where it holds."""
        info: dict[str, np.ndarray] = {}
        whole = np.zeros((len(outcome), self.num_envs), np.int64)  # all parts have as many bytes, and the same zero
        whole[:, lanes] = np.array([values.view(np.int64) for values in outcome])
        held = np.repeat(done[None], len(outcome), axis=0)
        for name, values, row, where in zip(outcome._fields, outcome, whole, held, strict=True):
            info[name], info[f"_{name}"] = row.view(values.dtype), where
        return info

    def _lane_seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            check_seed(seed)
            check_seed(int(seed) + self.num_envs - 1)
            return [int(seed) + i for i in range(self.num_envs)]
        try:
            seeds = list(seed)
        except TypeError as error:
            raise ValueError(f"seed {seed!r} is not None, an integer or a list of them") from error
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed has {len(seeds)} entries for {self.num_envs} lanes")
        for item in seeds:
            check_seed(item)
        return [None if item is None else int(item) for item in seeds]


def check_max_episode_steps(steps: object) -> int | None:
    """The time limit of an episode; None for none.

    Raises:
        ValueError: unless it is None, -1 or an integer from 1.
    """
    if steps is None:
        return None
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or (steps < 1 and steps != -1):
        raise ValueError(f"max_episode_steps {steps!r} is not one of None, -1 and integers from 1")
    return None if steps == -1 else int(steps)


def check_reset_mask(mask: object, lanes: int) -> np.ndarray:
    """The lanes to reset.

    Raises:
        ValueError: unless it is a (lanes,) bool array with at least one True.
    """
    if not isinstance(mask, np.ndarray) or mask.shape != (lanes,) or mask.dtype != np.bool_:
        shown = f"{type(mask).__name__} {getattr(mask, 'dtype', '')} {getattr(mask, 'shape', '')}"
        raise ValueError(f"options['reset_mask'] is {shown.strip()}; it must be a bool array of shape ({lanes},)")
    if not mask.any():
        raise ValueError("options['reset_mask'] has no True; at least one lane must be reset")
    return mask


def check_actions(actions: object, lanes: int, size: int) -> np.ndarray:
    """(lanes,) int64 actions.

    Raises:
        ValueError: for a wrong shape, a dtype that is not an integer, or an action outside 0 to ``size - 1``.
    """
    array = np.asarray(actions)
    if array.shape != (lanes,) or array.dtype.kind not in "iu":
        raise ValueError(f"actions have shape {array.shape} and dtype {array.dtype}; ({lanes},) integers are needed")
    chosen = array.astype(np.int64, copy=False)
    if chosen.view(np.uint64).max() >= size:  # those below 0 are the largest
        lane = int(np.flatnonzero((array < 0) | (array >= size))[0])
        raise ValueError(f"action {array[lane]} of lane {lane} is not an integer from 0 to {size - 1}")
    return chosen
