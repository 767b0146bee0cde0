"""The environment as Gymnasium wants it: checks, copies, specs, wrappers, and every configuration."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from helpers_env import (
    ENV_ID,
    ENV_IDS,
    REWARDS,
    VIEWS,
    Env,
    assert_same,
    bare,
    follow,
    make,
    make_lanes,
    make_sync,
    pick,
    play,
)
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from metric_tracker_env import TASKS, EnvConfig, MetricTrackerEnv, get_task, load_config
from metric_tracker_env.config import Reward, View

PRESETS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))


def actions_of(env: MetricTrackerEnv, seed: int, legal: float = 0.9) -> list[int]:
    """The actions of a random episode."""
    return [step.action for step in play(env, seed, np.random.default_rng(seed), legal)[1:]]


# What Gymnasium and stable-baselines3 check


def test_one_environment_is_registered() -> None:
    """The package registers one id, with a native vector entry point."""
    assert ENV_IDS == ["MetricTracker-v0"]
    spec = gym.spec(ENV_IDS[0])
    assert spec.vector_entry_point is not None
    assert not spec.nondeterministic


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_gymnasium_finds_no_fault(env_id: str, view: View, reward: Reward) -> None:
    """Gymnasium's check_env passes without a warning."""
    check_env(gym.make(env_id, view=view, reward=reward).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("view", VIEWS)
def test_stable_baselines3_finds_no_fault(env_id: str, view: View) -> None:
    """The check_env of stable-baselines3 passes without a warning."""
    check_env_sb3(gym.make(env_id, view=view), skip_render_check=True)


@pytest.mark.parametrize("view", VIEWS)
def test_the_passive_checker_never_warns(view: View) -> None:
    """Whole episodes, legal or not, submitted or ended by the step limit, stay within the declared spaces."""
    env = make(view=view, step_limit=24)
    rng = np.random.default_rng(0)
    lengths: set[int] = set()
    for seed in range(12):
        _, info = env.reset(seed=seed)
        done, length = False, 0
        while not done:
            observation, _, done, _, info = env.step(np.int64(pick(rng, info["action_mask"], 0.5, 0.04)))
            assert env.observation_space.contains(observation)
            length += 1
        lengths.add(length)
    assert 24 in lengths
    assert min(lengths) < 24


def test_masks_are_usable_as_they_are() -> None:
    """The int8 mask of info samples legal actions; the bool one of action_masks is the same."""
    env = make()
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(200):
        assert info["action_mask"][env.action_space.sample(info["action_mask"])] == 1
    masks = env.get_wrapper_attr("action_masks")()
    assert masks.dtype == np.bool_
    assert np.array_equal(masks, info["action_mask"] == 1)


# Copies, specs, wrappers


def pickled(env: Env) -> Env:
    """The environment after a round through bytes."""
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_running_environment_goes_on_the_same(view: View, duplicate: Callable[[Env], Env]) -> None:
    """A copy made in the middle of an episode returns the same bits as the original, in this episode and the next."""
    for seed in range(3):
        env = make(view=view)
        inner = env.unwrapped
        assert isinstance(inner, MetricTrackerEnv)
        actions = actions_of(inner, seed)
        env.reset(seed=seed)
        half = len(actions) // 2
        follow(env, actions[:half])
        other = duplicate(env)
        rest = follow(env, actions[half:])
        assert_same(follow(other, actions[half:]), rest)
        for _ in range(3):
            assert_same(other.reset(), env.reset())
            again = [np.int64(i) for i in rest[0][4]["action_mask"].nonzero()[0][:3]]
            assert_same(follow(other, [int(i) for i in again]), follow(env, [int(i) for i in again]))


def test_a_copy_leaves_the_original_alone() -> None:
    """Steps of a copy do not show in the original."""
    env = bare()
    env.reset(seed=1)
    before = env.action_masks()
    other = copy.deepcopy(env)
    other.step(0)
    assert np.array_equal(env.action_masks(), before)
    assert not np.array_equal(other.action_masks(), before)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"task": "hard_mixed", "view": "board"},
        {"anomaly_count": (1, 5), "difficulty": "hard", "reward": "dense"},
        {"anomaly_count": None, "anomaly_density": "low", "costs": {"survey": 6}, "budget": 20, "step_cost": 0.01},
        {"generator": {"num_weeks": 3, "rate_noise": {"hard": 0.05}, "end_date": "2025-06-30"}},
        {"config": {"scenario_family": "funnel_break", "generator": {"num_weeks": 2}}, "anomaly_count": (1, 2)},
        {"anomaly_generators": [{"metric_name": "app_opens", "stddev_factor": 6.0, "direction": "down"}]},
    ],
    ids=str,
)
def test_a_spec_survives_json(kwargs: dict[str, Any]) -> None:
    """An environment made from its spec as JSON has the same configuration and plays the same episodes."""
    env = make(**kwargs)
    assert env.spec is not None
    other = gym.make(EnvSpec.from_json(env.spec.to_json()))
    first, second = env.unwrapped, other.unwrapped
    assert isinstance(first, MetricTrackerEnv)
    assert isinstance(second, MetricTrackerEnv)
    assert first.config.model_dump() == second.config.model_dump()
    actions = actions_of(first, 4)
    assert_same(env.reset(seed=4), other.reset(seed=4))
    assert_same(follow(other, actions), follow(env, actions))


def test_returned_arrays_are_the_callers_own() -> None:
    """Later steps do not change an observation or a mask that was returned before."""
    env = bare()
    observation, info = env.reset(seed=0)
    masks = env.action_masks()
    kept = observation.copy(), info["action_mask"].copy(), masks.copy()
    observation_2, *_ = env.step(0)
    assert not np.array_equal(observation, observation_2)
    observation_2 += 1.0
    assert_same((observation, info["action_mask"], masks), kept)
    assert env.observation_space.contains(env.step(1)[0])


def test_record_episode_statistics_adds_up_the_rewards() -> None:
    """The wrapper's return and length are the sum of rewards and the number of steps."""
    env = wrappers.RecordEpisodeStatistics(make(reward="dense"))
    actions = actions_of(bare(), 2)
    env.reset(seed=2)
    steps = follow(env, actions)
    recorded = steps[-1][4]["episode"]
    assert recorded["r"] == pytest.approx(sum(step[1] for step in steps))
    assert recorded["l"] == len(actions)


def test_a_time_limit_truncates() -> None:
    """With max_episode_steps the wrapper truncates; the episode itself goes on."""
    env = make(max_episode_steps=3)
    env.reset(seed=0)
    steps = follow(env, [0, 1, 2])
    assert [(step[2], step[3]) for step in steps] == [(False, False), (False, False), (False, True)]
    assert "score" not in steps[-1][4]
    with pytest.raises(gym.error.ResetNeeded):
        bare_of(env).episode()


def bare_of(env: Env) -> MetricTrackerEnv:
    """The environment inside its wrappers."""
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.FlattenObservation,
        wrappers.NormalizeObservation,
        wrappers.NormalizeReward,
        wrappers.TimeAwareObservation,
        wrappers.Autoreset,
        wrappers.RecordEpisodeStatistics,
        wrappers.OrderEnforcing,
        wrappers.PassiveEnvChecker,
        lambda env: wrappers.TimeLimit(env, 99),
        lambda env: wrappers.FrameStackObservation(env, 3),
        lambda env: wrappers.DelayObservation(env, 2),
        lambda env: wrappers.ReshapeObservation(env, (*env.observation_space.shape, 1)),  # pyright: ignore
        lambda env: wrappers.TransformObservation(env, np.abs, None),
        lambda env: wrappers.TransformAction(env, lambda action: action, None),
        lambda env: wrappers.StickyAction(env, 0.0),
        lambda env: wrappers.TransformReward(env, lambda reward: 2.0 * float(reward)),
        lambda env: wrappers.RescaleObservation(env, np.float32(-1.0), np.float32(1.0)),
        lambda env: wrappers.ClipReward(env, -1.0, 1.0),
    ],
    ids=lambda wrap: getattr(wrap, "__name__", "wrap"),
)
@pytest.mark.parametrize("view", VIEWS)
def test_gymnasiums_wrappers_work(wrap: Callable[[Env], gym.Env[Any, Any]], view: View) -> None:
    """An episode runs in the wrapper, within the wrapper's spaces, to the same end."""
    env = wrap(make(view=view, max_episode_steps=99))  # one of them needs a time limit
    plain = bare(view=view)
    actions = actions_of(plain, 1, legal=1.0)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    steps = follow(env, actions)
    assert all(env.observation_space.contains(step[0]) for step in steps)
    plain.reset(seed=1)
    assert steps[-1][4]["score"] == follow(plain, actions)[-1][4]["score"]


@pytest.mark.parametrize("render_only", [False, True])
def test_pictures_as_observations(render_only: bool) -> None:
    """Gymnasium's wrappers put frames of a chosen size into the observation, for agents that look at pixels."""
    env = make(render_mode="rgb_array", render_scale=0.1)
    pixels = wrappers.AddRenderObservation(env, render_only=render_only)
    observation, _ = pixels.reset(seed=0)
    assert pixels.observation_space.contains(observation)
    observation, *_ = pixels.step(np.int64(0))
    assert pixels.observation_space.contains(observation)
    if render_only:
        grey = wrappers.GrayscaleObservation(pixels)
        assert grey.observation_space.contains(grey.reset(seed=0)[0])
    else:
        plain = wrappers.FilterObservation(pixels, ["state"])
        assert plain.observation_space.contains(plain.reset(seed=0)[0])


REPEATING = [getattr(wrappers, name, None) for name in ("MaxAndSkipObservation", "RepeatAction")]  # the second is new


@pytest.mark.parametrize("wrap", [wrap for wrap in REPEATING if wrap])
def test_wrappers_that_repeat_actions(wrap: Any) -> None:
    """An action that is repeated is illegal the second time, which is safe."""
    env = wrap(make(), 2)
    env.reset(seed=0)
    observation, _, terminated, truncated, info = env.step(np.int64(3))
    assert env.observation_space.contains(observation)
    assert (terminated, truncated, info["illegal_action"]) == (False, False, True)


def test_flattening_changes_nothing() -> None:
    """The observation is flat already."""
    assert_same(wrappers.FlattenObservation(make()).reset(seed=3)[0], make().reset(seed=3)[0])


def test_async_workers_play_what_the_sync_ones_play() -> None:
    """Environments in spawned processes register themselves and return the same as those in this process."""
    sync = make_sync(2, "NextStep", view="board")
    asynchronous = gym.make_vec(
        ENV_ID, num_envs=2, vectorization_mode="async", vector_kwargs={"context": "spawn"}, view="board"
    )
    try:
        assert_same(asynchronous.reset(seed=9), sync.reset(seed=9))
        rng = np.random.default_rng(0)
        for _ in range(60):
            actions = rng.integers(sync.single_action_space.n, size=2)  # pyright: ignore[reportAttributeAccessIssue]
            assert_same(asynchronous.step(actions), sync.step(actions))
    finally:
        asynchronous.close()


# Configurations


@pytest.mark.parametrize("name", TASKS)
def test_every_named_task_can_be_made(name: str) -> None:
    """A task's configuration is that of the environments, single and vector, made from its name."""
    assert bare(task=name).config == get_task(name).config
    assert make_lanes(2, task=name).config == get_task(name).config
    assert bare(task=name, view="board").config == get_task(name).config.model_copy(update={"view": "board"})


def test_every_preset_can_be_made() -> None:
    """Each file of configs/ makes an environment that plays an episode."""
    assert PRESETS, "configs/ holds no preset"
    for path in PRESETS:
        env = bare(config=str(path))
        assert env.config.model_dump() == load_config(path, EnvConfig).model_dump()
        assert play(env, 0, np.random.default_rng(0))[-1].terminated
        assert make_lanes(2, config=path).config.model_dump() == env.config.model_dump()


def test_options_go_on_top_of_a_config() -> None:
    """A config may be an object or a dict; options given beside it win."""
    config = EnvConfig(difficulty="hard", budget=7)
    assert bare(config=config).config == config
    assert bare(config={"difficulty": "hard", "budget": 7}).config == config
    assert bare(config=config, budget=9).config == EnvConfig(difficulty="hard", budget=9)
