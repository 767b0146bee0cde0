"""The stable-baselines3 VecEnv: the same data as DummyVecEnv over made environments, and what SB3 expects of one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from helpers_env import ENV_ID, REWARDS, SUBMIT, VIEWS, assert_same, make
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
    is_vecenv_wrapped,
)

from metric_tracker_env import EnvConfig, MetricTrackerEnv
from metric_tracker_env.sb3 import MetricTrackerVecEnv

LANES = 3


def both(lanes: int = LANES, **options: Any) -> tuple[MetricTrackerVecEnv, VecMonitor]:
    """The native environment, and DummyVecEnv over single ones in a monitor."""
    dummy = VecMonitor(DummyVecEnv([lambda: make(**options) for _ in range(lanes)]))
    dummy.reset_infos = dummy.venv.reset_infos
    return MetricTrackerVecEnv(lanes, **options), dummy


def without_clock(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Infos of lanes without the seconds that the monitor tells."""
    for info in infos:
        assert info.get("episode", {"t": 0.0}).pop("t") >= 0.0
    return infos


def assert_same_play(native: VecEnv, dummy: VecEnv, steps: int, choose: Callable[[np.ndarray], np.ndarray]) -> int:
    """Step both with equal actions and compare all that they return; the number of episodes that ended."""
    ended = 0
    for _ in range(steps):
        masks = get_action_masks(native)
        assert_same(masks, get_action_masks(dummy))
        actions = choose(masks)
        ours, theirs = native.step(actions), dummy.step(actions)
        for one, other, name in zip(ours[:3], theirs[:3], ("observations", "rewards", "dones"), strict=True):
            assert_same(one, other, name)
        assert_same(without_clock(list(ours[3])), without_clock(list(theirs[3])), "infos")
        assert [("episode" in info) for info in ours[3]] == ours[2].tolist()
        assert_same(native.reset_infos, dummy.reset_infos, "reset_infos")
        ended += int(ours[2].sum())
    return ended


def legal_actions(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Random legal actions."""
    draws = np.random.default_rng(seed)
    return lambda masks: np.where(masks, draws.random(masks.shape), -1.0).argmax(axis=1)


def any_actions(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Random actions, most of them illegal."""
    draws = np.random.default_rng(seed)
    return lambda masks: draws.integers(masks.shape[1], size=len(masks))


# The same data


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("choose", [legal_actions, any_actions])
def test_equals_dummy_vec_env(view: str, reward: str, choose: Callable[[int], Any]) -> None:
    """Seeded alike, both return equal observations, rewards, dones and infos, over several episodes of each lane."""
    native, dummy = both(view=view, reward=reward, difficulty="hard")
    for env in (native, dummy):
        assert env.seed(40) == [40, 41, 42]
    assert_same(native.reset(), dummy.reset())
    assert_same(native.reset_infos, dummy.reset_infos, "reset_infos")
    assert assert_same_play(native, dummy, 160, choose(1)) >= 2 * LANES


def test_lanes_are_seeded_once() -> None:
    """A seed holds for one reset; the next reset goes on with the lanes' streams, as in DummyVecEnv."""
    native, dummy = both()
    for env in (native, dummy):
        env.seed(7)
    first, again = [], []
    for _ in range(2):
        first.append(native.reset())
        again.append(dummy.reset())
        assert_same_play(native, dummy, 60, legal_actions(2))
    assert_same(first, again)


@pytest.mark.parametrize("started", [False, True])
def test_options_hold_for_one_reset(started: bool) -> None:
    """Options of all lanes, or of each lane, change the next episodes and no others, as in DummyVecEnv."""
    native, dummy = both()
    lists: list[Any] = [
        {"scenario_family": "funnel_break"},
        [{"anomaly_count": 1}, {}, {"difficulty": "easy", "anomaly_count": 2}],
    ]
    for options in lists:
        for env in (native, dummy):
            if started:
                env.seed(1)
                env.reset()
            env.seed(9)
            env.set_options(options)
        assert_same(native.reset(), dummy.reset())
        assert_same_play(native, dummy, 120, legal_actions(3))


@pytest.mark.parametrize("algorithm", [MaskablePPO, PPO, DQN])
def test_training_is_the_same_as_on_dummy_vec_env(algorithm: Any) -> None:
    """A model trained on either has the same weights."""
    settings: dict[str, Any] = {"learning_starts": 64, "batch_size": 32, "train_freq": 4}
    if algorithm is not DQN:
        settings = {"n_steps": 32, "batch_size": 32, "n_epochs": 2}
    weights = []
    for env in both(task="easy_single_spike"):
        model = algorithm("MlpPolicy", env, seed=5, device="cpu", **settings)
        model.learn(32 * LANES * 3)
        assert model.ep_info_buffer
        weights.append([value.numpy() for value in model.policy.state_dict().values()])
    assert_same(weights[0], weights[1])


# What stable-baselines3 expects


def test_spaces_are_those_of_a_single_environment() -> None:
    """A model of single environments may be loaded on the native one, and the other way round."""
    native, dummy = both()
    check_for_correct_spaces(native, dummy.observation_space, dummy.action_space)
    check_for_correct_spaces(dummy, native.observation_space, native.action_space)


def test_save_and_load(tmp_path: Path) -> None:
    """A saved model plays on as it did and can be trained further on the native environment."""
    env = MetricTrackerVecEnv(2)
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=32, seed=1, device="cpu")
    model.learn(32)
    model.save(tmp_path / "model")
    env.seed(3)
    observations, masks = env.reset(), env.action_masks()
    again = MaskablePPO.load(tmp_path / "model", env=MetricTrackerVecEnv(4), device="cpu")
    for deterministic in (True, False):
        th.manual_seed(0)
        one, _ = model.predict(observations, deterministic=deterministic, action_masks=masks)
        th.manual_seed(0)
        other, _ = again.predict(observations, deterministic=deterministic, action_masks=masks)
        assert_same(one, other)
    assert again.learn(64, reset_num_timesteps=False).num_timesteps == 96
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        MaskablePPO.load(tmp_path / "model", env=MetricTrackerVecEnv(2, view="board"), device="cpu")


def test_wrappers_of_sb3(tmp_path: Path) -> None:
    """The lanes log episodes with their score; VecNormalize scales, and its statistics are kept in a file."""
    env = MetricTrackerVecEnv(4, filename=str(tmp_path / "log"), info_keywords=("score", "cost"))
    scaled = VecNormalize(env)
    scaled.seed(0)
    observations, ended = scaled.reset(), []
    choose = legal_actions(4)
    for _ in range(120):
        observations, rewards, dones, infos = scaled.step(choose(get_action_masks(scaled)))
        assert isinstance(observations, np.ndarray)
        assert np.abs(observations).max() <= 10.0
        assert rewards.shape == dones.shape == (4,)
        ended += [info for info in infos if "episode" in info]
    assert ended
    for info in ended:
        episode = info["episode"]
        assert 1 <= episode["l"] <= 48
        assert episode["score"] == info["score"]
        assert episode["r"] == pytest.approx(info["score"] - 0.005 * info["cost"], abs=1e-5)
    scaled.save(str(tmp_path / "statistics.pkl"))
    again = VecNormalize.load(str(tmp_path / "statistics.pkl"), MetricTrackerVecEnv(4))
    assert again.obs_rms is not None
    assert np.array_equal(again.obs_rms.mean, scaled.obs_rms.mean)  # pyright: ignore
    scaled.close()
    logged = load_results(str(tmp_path))
    assert logged["score"].tolist() == [info["score"] for info in ended]
    assert logged["l"].tolist() == [info["episode"]["l"] for info in ended]


def test_evaluate_policy() -> None:
    """SB3's own evaluation plays the lanes to their ends, and takes returns and lengths from them without a warning."""
    env = MetricTrackerVecEnv(4)
    env.seed(0)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=32, seed=0, device="cpu")
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=10, return_episode_rewards=True)
    assert isinstance(returns, list)
    assert isinstance(lengths, list)
    assert len(returns) == 10
    assert all(1 <= length <= 48 for length in lengths)


def test_attributes_of_lanes() -> None:
    """get_attr, has_attr, env_method and env_is_wrapped answer for each lane, or for those asked for."""
    env = MetricTrackerVecEnv(3, task="hard_mixed", view="board")
    env.seed(1)
    env.reset()
    assert [config.view for config in env.get_attr("config")] == ["board"] * 3
    assert env.get_attr("action_space", indices=[0, 2]) == [env.action_space] * 2
    assert env.get_attr("observation_space", indices=1) == [env.observation_space]
    assert env.get_attr("render_mode") == [None] * 3
    assert is_masking_supported(env)
    assert env.has_attr("actions")
    assert not env.has_attr("no_such_thing")
    masks = env.env_method("action_masks")
    assert len(masks) == 3
    assert all(mask.dtype == bool and mask.shape == (1003,) for mask in masks)
    assert_same(env.get_attr("action_masks", indices=1)[0](), masks[1])
    assert_same(env.env_method("action_masks", indices=[2])[0], masks[2])
    assert is_vecenv_wrapped(env, VecMonitor)
    assert env.env_is_wrapped(Monitor) == [False] * 3
    assert env.env_is_wrapped(Monitor, indices=0) == [False]


def test_lanes_tell_no_truth() -> None:
    """Neither an attribute nor a method of a lane tells seed, episode or expected rows."""
    env = MetricTrackerVecEnv(2)
    env.reset()
    single = {name for name in dir(MetricTrackerEnv) if not name.startswith("_")}
    told = {name for name in single if env.has_attr(name)}
    shared = {"actions", "config", "metadata", "observation_layout", "render_mode", "step_cost"}
    assert told == shared | {"action_masks", "render", "set_episode_options"}
    for name in ("episode", "grade", "np_random_seed"):
        with pytest.raises(AttributeError, match=f"{name!r}"):
            env.env_method(name)


def test_images(tmp_path: Path) -> None:
    """With render_mode rgb_array SB3 gets a frame a lane, tiles them, and records a video."""
    env = MetricTrackerVecEnv(2, render_mode="rgb_array")
    env.seed(0)
    env.reset()
    frames = env.get_images()
    assert all(frame is not None and frame.dtype == np.uint8 and frame.shape[2] == 3 for frame in frames)
    assert frames[0] is not None
    tiled = env.render()
    assert tiled is not None
    assert tiled.shape[0] * tiled.shape[1] == 2 * frames[0].shape[0] * frames[0].shape[1]
    assert MetricTrackerVecEnv(2).get_images() == [None, None]
    recorder = VecVideoRecorder(env, str(tmp_path), record_video_trigger=lambda step: step == 0, video_length=2)
    recorder.reset()
    choose = legal_actions(0)
    for _ in range(3):
        recorder.step(choose(env.action_masks()))
    recorder.close()
    assert list(tmp_path.glob("*.mp4"))


def test_texts() -> None:
    """With render_mode ansi each lane draws itself as text."""
    env = MetricTrackerVecEnv(2, render_mode="ansi")
    env.seed(0)
    env.reset()
    texts = env.env_method("render")
    assert len(texts) == 2
    assert all(isinstance(text, str) and "app_opens" in text for text in texts)


def test_pickle_goes_on_alike() -> None:
    """A pickled environment goes on in the middle of its episodes, as the original does."""
    env = MetricTrackerVecEnv(3)
    env.seed(11)
    env.reset()
    choose = legal_actions(5)
    for _ in range(20):
        env.step(choose(env.action_masks()))
    again = pickle.loads(pickle.dumps(env))
    for _ in range(60):
        actions = choose(env.action_masks())
        ours, theirs = env.step(actions), again.step(actions)
        assert_same(ours[:3], theirs[:3])
        assert_same(without_clock(list(ours[3])), without_clock(list(theirs[3])))


def test_the_step_cost_of_all_lanes_can_be_changed() -> None:
    """After ``set_attr`` the lanes pay what lanes made with that step cost pay, through SB3's wrappers too."""
    lanes, dear = MetricTrackerVecEnv(3), MetricTrackerVecEnv(3, step_cost=0.25)
    for each in (lanes, dear):
        each.seed(1)
        each.reset()
    VecMonitor(lanes).set_attr("step_cost", 0.25, indices=range(3))
    actions = np.array([0, 1, 2])
    taken = lanes.step(actions)
    assert_same(taken, dear.step(actions))
    assert taken[1].tolist() == [-0.25] * 3
    assert lanes.config == dear.config
    assert lanes.get_attr("step_cost", 1) == [0.25]
    lanes.step_cost = dear.step_cost = 0.5
    taken = lanes.step(actions + 1)
    assert_same(taken, dear.step(actions + 1))
    assert taken[1].tolist() == [-0.5] * 3


# Bad input


def test_bad_actions_change_nothing() -> None:
    """Actions of a wrong shape, dtype or range are refused, naming what is allowed; the lanes go on as before."""
    env, untouched = MetricTrackerVecEnv(2), MetricTrackerVecEnv(2)
    for lanes in (env, untouched):
        lanes.seed(2)
        lanes.reset()
    for bad in (np.zeros(3, int), np.zeros(2), np.array([0, SUBMIT + 1]), np.array([-1, 0])):
        with pytest.raises(ValueError, match="action"):
            env.step(bad)
    with pytest.raises(gym.error.ResetNeeded, match="step_async"):
        env.step_wait()
    ours, theirs = env.step(np.array([SUBMIT, 1])), untouched.step(np.array([SUBMIT, 1]))
    assert_same(ours[:3], theirs[:3])
    assert_same(without_clock(list(ours[3])), without_clock(list(theirs[3])))


def test_bad_use_is_refused() -> None:
    """A step before reset, bad options, unknown attributes and setting one: each error says what is wrong."""
    env = MetricTrackerVecEnv(2)
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step(np.zeros(2, int))
    env.reset()
    env.set_options({"no_such_option": 1})
    with pytest.raises(ValueError, match="no_such_option"):
        env.reset()
    env.reset()
    env.set_options([{}])
    with pytest.raises(ValueError, match="1 entries for 2 lanes"):
        env.reset()
    with pytest.raises(AttributeError, match="'config' of a lane cannot be set, only 'step_cost'"):
        env.set_attr("config", EnvConfig())
    for lanes in ([1, 1], [0], [0, 5], [-1, 0]):
        with pytest.raises(ValueError, match="all 2 lanes"):
            env.set_attr("step_cost", 0.1, indices=lanes)
    with pytest.raises(ValueError, match="step_cost"):
        env.set_attr("step_cost", -0.1)
    assert env.get_attr("step_cost") == [0.005, 0.005]
    with pytest.raises(AttributeError, match="action_masks"):
        env.env_method("grade")
    with pytest.raises(TypeError, match="no arguments"):
        env.env_method("action_masks", 1)
    for lanes in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="num_envs"):
            MetricTrackerVecEnv(lanes)  # pyright: ignore
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match=r"unexpected keyword argument 'lanes'; allowed: .*'step_limit'"):
            MetricTrackerVecEnv(2, lanes=3)
    with pytest.raises(AttributeError, match="'budget' cannot be set"):
        env.budget = 3


def test_error_names_the_extra() -> None:
    """Without stable-baselines3 the import fails with the command that installs it, and the package itself works."""
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        f"import gymnasium; gymnasium.make({ENV_ID!r})\n"
        "try:\n    import metric_tracker_env.sb3\n"
        "except ImportError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout
    assert "pip install 'metric_tracker_env[sb3]'" in told
