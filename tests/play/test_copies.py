"""Copies of environments: they play on by themselves, go on the same, and share what never changes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID, VIEWS, assert_same, bare, make, make_lanes, pick, pick_lanes

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import View
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.sb3 import MetricTrackerVecEnv
from metric_tracker_env.world.workspace import Workspace

SHIFT = {"metric_name": "menu_opens", "date": "2026-03-18", "stddev_factor": 5.0, "direction": "down"}
# What an environment is made with, and what its episode is begun with.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({"reward": "dense"}, {}),
    "reset options": ({}, {"difficulty": "easy", "anomaly_count": 5}),
    "explicit generators": ({"anomaly_generators": [SHIFT]}, {}),
    "explicit generators as options": ({}, {"anomaly_generators": [SHIFT]}),
    "one week": ({"generator": {"num_weeks": 1}, "anomaly_count": 1}, {}),
    "world": ({"generator": {"world": {}}, "budget": 40}, {"difficulty": "hard", "anomaly_count": 0}),
}
PICKLE_BYTES = 600_000


def pickled(env: Any) -> Any:
    """What comes out of a pickle."""
    return pickle.loads(pickle.dumps(env))


DUPLICATES = pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])


def single_play(env: gym.Env[Any, Any], seed: int, steps: int, options: dict[str, Any]) -> list[Any]:
    """What a single environment tells of random steps and of the resets that they need."""
    rng, told = np.random.default_rng(seed), []
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    for step in range(steps):
        told.append(env.step(np.int64(pick(rng, inner.action_masks(), 0.9, 0.1))))
        if told[-1][2]:
            told += [inner.grade(), inner.episode().hourly, env.reset(options=options if step % 2 else None)]
    return told


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", CASES)
@DUPLICATES
def test_copies_of_single_environments(view: View, case: str, duplicate: Callable[[Any], Any]) -> None:
    """In the middle of an episode: a copy plays on first, and the original and another copy then play the same."""
    kwargs, options = CASES[case]
    env = make(view=view, **kwargs)
    env.reset(seed=4, options=options)
    single_play(env, 0, 9, options)
    first, second = duplicate(env), duplicate(env)
    told = single_play(first, 1, 60, options)
    assert sum(isinstance(item, np.ndarray) for item in told) > 2  # episodes of the copy have ended
    assert_same(single_play(env, 1, 60, options), told)
    assert_same(single_play(second, 1, 60, options), told)
    assert_same(duplicate(env).reset(seed=9), env.reset(seed=9))


def lanes_play(envs: MetricTrackerVectorEnv, seed: int, steps: int, options: dict[str, Any]) -> list[Any]:
    """What a vector environment tells of random steps, and the resets of a lane now and then."""
    rng, told = np.random.default_rng(seed), []
    for step in range(steps):
        told.append(envs.step(pick_lanes(rng, envs.action_masks(), 0.9, 0.1)))
        over = told[-1][2] if envs.autoreset_mode is AutoresetMode.DISABLED else np.arange(envs.num_envs) == step % 20
        if over.any():
            told.append(envs.reset(options={"reset_mask": over.copy(), **(options if step % 2 else {})}))
    return told


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("case", CASES)
@DUPLICATES
def test_copies_of_vector_environments(
    view: View, mode: AutoresetMode, case: str, duplicate: Callable[[Any], Any]
) -> None:
    """In the middle of the lanes' episodes: a copy plays on first, and the others then play the same."""
    kwargs, options = CASES[case]
    envs = make_lanes(3, view=view, autoreset_mode=mode, step_limit=12, **kwargs)
    envs.reset(seed=4, options=options)
    lanes_play(envs, 0, 5, options)
    first, second = duplicate(envs), duplicate(envs)
    told = lanes_play(first, 1, 40, options)
    assert_same(lanes_play(envs, 1, 40, options), told)
    assert_same(lanes_play(second, 1, 40, options), told)


@pytest.mark.parametrize("view", VIEWS)
@DUPLICATES
def test_copies_of_lanes_for_stable_baselines3(view: View, duplicate: Callable[[Any], Any]) -> None:
    """The native lanes copy likewise, with options for some of them."""

    def play(lanes: MetricTrackerVecEnv, seed: int, steps: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        results = [lanes.step(pick_lanes(rng, lanes.action_masks(), 0.9, 0.1)) for _ in range(steps)]
        for *_, infos in results:
            for info in infos:
                info.get("episode", {}).pop("t", None)  # when it ended, by the clock
        return results

    lanes = MetricTrackerVecEnv(3, view=view, step_limit=12)
    lanes.seed(4)
    lanes.set_options([{}, {"difficulty": "easy"}, {"anomaly_generators": [SHIFT]}])
    lanes.reset()
    play(lanes, 0, 5)
    first, second = duplicate(lanes), duplicate(lanes)
    told = play(first, 1, 40)
    assert_same(play(lanes, 1, 40), told)
    assert_same(play(second, 1, 40), told)
    assert_same(first.reset(), lanes.reset())


def test_a_copy_samples_by_itself() -> None:
    """Actions sampled from the space of a copy are those that the original samples, whose space stays where it is."""
    for env in (bare(), make_lanes(3)):
        env.action_space.seed(7)
        env.action_space.sample()
        other = copy.deepcopy(env)
        drawn = [other.action_space.sample() for _ in range(20)]
        assert_same([env.action_space.sample() for _ in range(20)], drawn)
        assert other.action_space == env.action_space
        assert other.observation_space == env.observation_space


def test_a_copy_has_a_step_cost_of_its_own() -> None:
    """Setting the step cost of a copy leaves the original's."""
    env = bare()
    env.reset(seed=0)
    other = copy.deepcopy(env)
    other.step_cost = 0.5
    assert (env.step(0)[1], other.step(0)[1]) == (-0.005, -0.5)


@pytest.mark.parametrize("view", VIEWS)
def test_copies_share_what_never_changes(view: View) -> None:
    """The action table, the layout, the configuration and the bounds of the spaces are not copied."""
    for env in (bare(view=view), make_lanes(2, view=view)):
        env.reset(seed=0)
        other = copy.deepcopy(env)
        for name in ("actions", "observation_layout", "config"):
            assert getattr(other, name) is getattr(env, name)
    single = bare(view=view)
    assert np.shares_memory(copy.deepcopy(single).observation_space.low, single.observation_space.low)  # pyright: ignore[reportAttributeAccessIssue]


def arrays_of(value: object, seen: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Every array that an object holds, however deep."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | type | Workspace | None):
        return seen
    if isinstance(value, np.ndarray):
        seen[id(value)] = value
        return seen
    seen[id(value)] = np.zeros(0)
    parts: list[object] = [*value] if isinstance(value, list | tuple | set) else []
    parts += [*value.values()] if isinstance(value, dict) else []
    parts += [*vars(value).values()] if hasattr(value, "__dict__") else []
    for part in parts:
        arrays_of(part, seen)
    return seen


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("engine", [lambda config: bare(**config), lambda config: make_lanes(3, **config)])
def test_no_array_that_play_changes_is_shared(view: View, engine: Callable[[Any], Any]) -> None:
    """Playing and resetting changes no array that a copy holds too."""
    env = engine({"view": view, "reward": "dense", "anomaly_count": (1, 5)})
    env.reset(seed=0)
    other = copy.deepcopy(env)
    mine = {key: array for key, array in arrays_of(vars(env), {}).items() if array.size}
    held = [array for array in arrays_of(vars(other), {}).values() if array.size]
    shared = [array for array in mine.values() if any(np.shares_memory(array, copied) for copied in held)]
    before = [array.copy() for array in shared]
    assert shared
    if isinstance(env, MetricTrackerEnv):
        single_play(env, 0, 80, {"difficulty": "easy"})
    else:
        lanes_play(env, 0, 80, {"difficulty": "easy"})
    assert_same(shared, before)


# Size, and other processes


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("weeks", [4, 12])
def test_a_pickle_stays_small_whatever_was_played(view: View, weeks: int) -> None:
    """Hundreds of episodes, options of many kinds and a full stock of episodes made ahead do not show in its size."""
    env = make(view=view, generator={"num_weeks": weeks})
    env.reset(seed=0)
    fresh = len(pickle.dumps(env))
    for number in range(300):
        env.reset()
        env.reset(options={"anomaly_count": 1 + number % 7, "difficulty": ("easy", "hard")[number % 2]})
    env.step(np.int64(0))
    assert abs(len(pickle.dumps(env)) - fresh) < 4000
    assert fresh < PICKLE_BYTES


def replay(data: bytes, seed: int) -> list[Any]:
    """What an environment out of a pickle tells, in another process."""
    return single_play(pickle.loads(data), seed, 60, {"difficulty": "easy"})


def test_a_pickle_goes_on_in_another_process() -> None:
    """A new interpreter that has loaded nothing plays the rest of the episode, and those after it, to the same bits."""
    envs = [make(view=view, **kwargs) for view in VIEWS for kwargs, _ in CASES.values()]
    for env in envs:
        env.reset(seed=8, options={"difficulty": "easy"})
        single_play(env, 0, 7, {})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        told = pool.starmap(replay, [(pickle.dumps(env), 3) for env in envs])
    for env, replayed in zip(envs, told, strict=True):
        assert_same(single_play(env, 3, 60, {"difficulty": "easy"}), replayed)


def test_an_environment_that_was_never_reset_can_be_copied() -> None:
    """Before the first reset a copy is as new as the original."""
    for duplicate in (copy.deepcopy, pickled):
        env = gym.make(ENV_ID)
        other = duplicate(env)
        with pytest.raises(gym.error.ResetNeeded):
            other.unwrapped.step(0)
        assert_same(other.reset(seed=3), env.reset(seed=3))


def test_an_engine_is_copied_whole() -> None:
    """Everything that an engine with many lanes keeps of them is in its copies."""
    engine = Engine(bare().config, 5)
    engine.deal(np.arange(5), None, list(range(5)))
    for action in range(12):
        engine.step(np.full(5, action))
    for other in (copy.deepcopy(engine), pickled(engine)):
        assert_same(list(other.arrays), list(engine.arrays))
        for lane in range(5):
            assert np.array_equal(other.episode(lane).hourly, engine.episode(lane).hourly)
