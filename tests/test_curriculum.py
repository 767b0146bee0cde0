"""Options of the episodes to come: they hold from each lane's next episode on, in every environment alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID, SUBMIT, VIEWS, assert_same, bare, make, make_lanes, make_sync, pick_lanes
from stable_baselines3.common.vec_env import DummyVecEnv

from metric_tracker_env import EnvConfig, EpisodeConfig, MetricDataGenerator, MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import EpisodeOptions, UnknownOptionError, View
from metric_tracker_env.sb3 import MetricTrackerVecEnv

MODES = list(AutoresetMode)
HARD: dict[str, Any] = {"difficulty": "hard", "anomaly_count": (1, 5)}
Either = MetricTrackerEnv | MetricTrackerVectorEnv


def submitted(env: MetricTrackerEnv) -> EpisodeConfig:
    """End the episode under way; its name and options."""
    env.step(env.actions.encode("submit"))
    return env.episode().config


def test_options_hold_from_the_next_episode_on() -> None:
    """The episode under way is as it was; those that follow have the new options, resets with options aside."""
    env = bare()
    env.reset(seed=4)
    env.step(0)
    env.set_episode_options(**HARD)
    assert env.config == EnvConfig(**HARD)
    assert submitted(env) == EpisodeConfig(seed=4)
    env.reset()
    assert submitted(env) == EpisodeConfig(seed=4, number=1, **HARD)
    env.reset(options={"anomaly_count": 2})
    assert submitted(env) == EpisodeConfig(seed=4, number=2, difficulty="hard", anomaly_count=2)
    env.set_episode_options(scenario_family="funnel_break", difficulty="easy")
    env.reset(seed=9)
    wanted = EpisodeConfig(seed=9, scenario_family="funnel_break", difficulty="easy", anomaly_count=(1, 5))
    assert submitted(env) == wanted
    assert_same(env.episode().hourly, MetricDataGenerator().generate_episode(wanted).hourly)


@pytest.mark.parametrize("view", VIEWS)
def test_as_if_made_with_them(view: View) -> None:
    """Episode n of a seed is the same with options set on the way as in an environment that was made with them."""
    env, made = bare(view=view), bare(view=view, **HARD)
    rng = np.random.default_rng(0)
    for each in (env, made):
        each.reset(seed=6)
    env.set_episode_options(**HARD)
    for _ in range(3):
        assert_same(env.reset(), made.reset())
        done = False
        while not done:
            action = int(rng.choice(np.flatnonzero(env.action_masks())))
            ours, theirs = env.step(action), made.step(action)
            assert_same(ours, theirs)
            done = ours[2]
    assert env.config == made.config


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_envs", [1, 3, 300])
def test_lanes_equal_single_environments(mode: AutoresetMode, num_envs: int) -> None:
    """Lanes whose options change in the middle of their episodes go on as single environments to which it happens."""
    native = make_lanes(num_envs, autoreset_mode=mode, step_limit=7)
    sync = make_sync(num_envs, mode.value, step_limit=7)
    results = native.reset(seed=50), sync.reset(seed=50)
    rng, masks = np.random.default_rng(0), results[0][1]["action_mask"].copy()
    changes: dict[int, dict[str, Any]] = {
        4: {"difficulty": "hard"},
        9: {"anomaly_count": (1, 5), "scenario_family": "hourly_traffic_mix_shift"},
        10: {"task": "easy_single_spike"},
        30: {"task": "medium_mixed", "anomaly_count": 1},
    }
    for step in range(45 if num_envs < 300 else 16):
        if step in changes:
            native.set_episode_options(**changes[step])
            sync.call("set_episode_options", **changes[step])  # pyright: ignore[reportAttributeAccessIssue]
        actions = pick_lanes(rng, masks, legal=0.9, submit=0.15)
        results = native.step(actions), sync.step(actions)
        assert_same(*results)
        masks, done = results[0][4]["action_mask"].copy(), results[0][2]
        if mode is AutoresetMode.DISABLED and done.any():
            renewed = native.reset(options={"reset_mask": done}), sync.reset(options={"reset_mask": done.copy()})
            assert_same(*renewed)
            masks[done] = renewed[0][1]["action_mask"][done]


def test_each_lane_changes_with_its_own_next_episode() -> None:
    """Lanes that end at different times meet the new options at different times."""
    envs = make_lanes(2, autoreset_mode=AutoresetMode.SAME_STEP)
    submit = len(envs.actions) - 1
    envs.reset(seed=0)
    envs.set_episode_options(**HARD)
    envs.step(np.array([submit, 0]))
    assert envs.episode(0).config == EpisodeConfig(seed=0)
    envs.step(np.array([submit, submit]))
    assert envs.episode(0).config == EpisodeConfig(seed=0, number=1, **HARD)
    assert envs.episode(1).config == EpisodeConfig(seed=1)


def test_stable_baselines3_lanes_equal_dummy_vec_env() -> None:
    """env_method reaches all lanes of the native environment as it does those of DummyVecEnv; so does the method."""
    native, dummy = MetricTrackerVecEnv(3), DummyVecEnv([make for _ in range(3)])
    assert isinstance(native, MetricTrackerVecEnv)
    for env in (native, dummy):
        env.seed(2)
        env.reset()
    draws = np.random.default_rng(0)
    for step in range(60):
        if step in (10, 40):
            for env in (native, dummy):
                env.env_method("set_episode_options", difficulty="hard" if step == 10 else "easy")
        masks = native.action_masks()
        actions = np.where(masks, draws.random(masks.shape), -1.0).argmax(axis=1)
        ours, theirs = native.step(actions), dummy.step(actions)
        assert_same(ours[:3], theirs[:3])
        for one, other in zip(ours[3], theirs[3], strict=True):
            one.pop("episode", None)
            assert_same(one, other)
    assert native.config.difficulty == "easy"
    native.set_episode_options("hard_mixed")
    assert native.config == EnvConfig(**HARD)


def test_some_lanes_of_stable_baselines3_are_refused() -> None:
    """The lanes share their options, so that options for some of them only are refused."""
    env = MetricTrackerVecEnv(2)
    with pytest.raises(ValueError, match=r"\[0\] are not all 2 lanes, which share their options"):
        env.env_method("set_episode_options", indices=[0], difficulty="hard")
    assert env.config == EnvConfig()


def test_a_task_gives_its_episodes() -> None:
    """A task's or preset's episode options are taken, the rest of it stays the environment's; options go on top."""
    env = bare(view="board", budget=20)
    env.set_episode_options("hard_mixed")
    assert env.config == EnvConfig(view="board", budget=20, **HARD)
    env.set_episode_options(task="easy_single_spike", anomaly_count=1)
    assert (env.config.scenario_family, env.config.anomaly_count) == ("rate_spike_from_median", 1)
    preset = Path(__file__).parents[1] / "configs" / "hard.toml"
    env.set_episode_options(preset)
    assert env.config.difficulty == "hard"
    assert env.config.budget == 20


@pytest.mark.parametrize("make_either", [bare, lambda **options: make_lanes(2, **options)], ids=["make", "make_vec"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"difficulty": "Hard"}, ["difficulty", "Hard", "hard"]),
        ({"anomaly_count": 99}, ["anomaly_count", "99", "13"]),
        ({"anomaly_generators": [{"metric_name": "nope", "stddev_factor": 3.0}]}, ["nope", "app_opens"]),
        ({"task": "nobody"}, ["nobody", "hard_mixed", ".toml"]),
        ({"task": "configs/ecommerce.toml"}, ["ecommerce.toml", "generator", "make another"]),
        ({"view": "board"}, ["'view'", "difficulty"]),
        ({"budget": 3, "difficulty": "hard"}, ["'budget'", "difficulty"]),
        ({"generator": {"num_weeks": 2}}, ["'generator'", "difficulty"]),
        ({"colour": 3}, ["'colour'", "difficulty"]),
    ],
    ids=str,
)
def test_refused_options_change_nothing(
    make_either: Any, given: dict[str, Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad options, and those of which the spaces are made, are refused; the episodes to come are as before."""
    monkeypatch.chdir(Path(__file__).parents[1])
    env, other = make_either(), make_either()
    with pytest.raises(ValueError, match=r".") as caught:
        env.set_episode_options(**given)
    assert all(word in str(caught.value) for word in words)
    unknown = bool(given.keys() - EpisodeOptions.model_fields.keys() - {"task"})
    assert isinstance(caught.value, TypeError) is unknown
    assert isinstance(caught.value, UnknownOptionError) is unknown
    assert env.config == other.config
    for each in (env, other):
        each.reset(seed=1)
    assert_same(env.reset(), other.reset())


def test_through_gymnasiums_wrappers() -> None:
    """Wrappers pass the call on, as they do for any method."""
    env = gym.wrappers.RecordEpisodeStatistics(gym.make(ENV_ID))
    env.reset(seed=3)
    env.get_wrapper_attr("set_episode_options")(**HARD)
    env.reset()
    env.step(np.int64(SUBMIT))
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    assert inner.episode().config == EpisodeConfig(seed=3, number=1, **HARD)


# Attributes that cannot be set


@pytest.mark.parametrize("name", [*sorted(EnvConfig.model_fields.keys() - {"step_cost"}), "config", "actions"])
def test_setting_what_would_change_nothing_is_refused(name: str) -> None:
    """Options, which are no attributes, are not taken as one: not on any environment, nor through its wrappers."""
    message = rf"'{name}' cannot be set.*step_cost.*set_episode_options.*difficulty"
    wrapped = gym.wrappers.RecordEpisodeStatistics(make())
    for env in (bare(), make_lanes(2), MetricTrackerVecEnv(2)):
        with pytest.raises(AttributeError, match=message):
            setattr(env, name, 3)
    with pytest.raises(AttributeError, match=message):
        wrapped.set_wrapper_attr(name, 3)
    sync = make_sync(2, "NextStep")
    with pytest.raises(AttributeError, match=message):
        sync.set_attr(name, 3)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match=name):
        MetricTrackerVecEnv(2).set_attr(name, 3)


@pytest.mark.parametrize("name", ["num_envs", "autoreset_mode", "copy", "render_mode", "max_episode_steps"])
def test_what_lanes_are_made_with_stays(name: str) -> None:
    """Lanes keep what they were made with."""
    envs = make_lanes(2)
    before = getattr(envs, name)
    with pytest.raises(AttributeError, match=f"{name!r} cannot be set"):
        setattr(envs, name, before)
    assert getattr(envs, name) == before


def test_what_can_be_set_works() -> None:
    """The step cost works through wrappers and Gymnasium's vector environments; attributes of a user's own are free."""
    sync = make_sync(2, "NextStep")
    sync.set_attr("step_cost", 0.5)  # pyright: ignore[reportAttributeAccessIssue]
    sync.reset(seed=0)
    assert sync.step(np.array([0, 1]))[1].tolist() == [-0.5, -0.5]
    for env in (bare(), make_lanes(2)):
        env.note = "mine"  # pyright: ignore[reportAttributeAccessIssue]
        assert env.note == "mine"  # pyright: ignore[reportAttributeAccessIssue]
