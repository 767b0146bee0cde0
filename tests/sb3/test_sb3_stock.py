"""Single environments in stable-baselines3's own wrappers and functions, and the native lanes in its stacks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import ENV_ID, assert_same
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack, VecNormalize

from metric_tracker_env.sb3 import MetricTrackerVecEnv

SMALL: dict[str, Any] = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "seed": 0, "device": "cpu"}


def play_legally(env: VecEnv, steps: int) -> list[Any]:
    """What an environment returns for the first legal actions of each lane, the clock of monitors left out."""
    returned: list[Any] = [env.reset()]
    for _ in range(steps):
        observations, rewards, dones, infos = env.step(get_action_masks(env).argmax(axis=1))
        for info in infos:
            info.pop("episode", None)
        returned.append((observations, rewards.astype(np.float32), dones, list(infos)))
    return returned


@pytest.mark.parametrize("kind", [DummyVecEnv, SubprocVecEnv])
def test_make_vec_env(kind: Any) -> None:
    """SB3 makes many environments of the id, in one process or in several, that play what the native lanes play."""
    start = {"start_method": "spawn"} if kind is SubprocVecEnv else {}
    env = make_vec_env(
        ENV_ID, 2, seed=5, vec_env_cls=kind, vec_env_kwargs=start, env_kwargs={"difficulty": "hard", "step_limit": 9}
    )
    native = MetricTrackerVecEnv(2, difficulty="hard", step_limit=9)
    native.seed(5)
    try:
        assert env.env_is_wrapped(Monitor) == [True, True]
        assert_same(play_legally(env, 20), play_legally(native, 20))
        assert env.env_method("set_episode_options", anomaly_count=1) == [None, None]
        assert [config.anomaly_count for config in env.get_attr("config")] == [1, 1]
        assert env.env_method("set_wrapper_attr", "step_cost", 0.5) == [True, True]
        assert env.get_attr("step_cost") == [0.5, 0.5]
    finally:
        env.close()


def test_an_unknown_keyword_is_told_by_make_vec_env() -> None:
    """A misspelt option is Python's error in SB3's functions too."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'dificulty'"):
        make_vec_env(ENV_ID, 2, env_kwargs={"dificulty": "hard"})


@pytest.mark.parametrize("native", [False, True])
def test_stacks_of_wrappers(native: bool) -> None:
    """A model learns on normalised and stacked observations and is evaluated, on single environments and on lanes."""
    lanes = MetricTrackerVecEnv(2) if native else make_vec_env(ENV_ID, 2)
    env = VecFrameStack(VecNormalize(lanes), 2)
    model = PPO("MlpPolicy", env, **SMALL).learn(128)
    assert model.ep_info_buffer
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=3, return_episode_rewards=True)
    assert isinstance(returns, list)
    assert isinstance(lengths, list)
    assert all(1 <= length <= 48 for length in lengths)
    assert all(-0.08 <= value <= 1.0 for value in returns)


@pytest.mark.parametrize("native", [False, True])
def test_evaluation_while_it_learns(native: bool, tmp_path: Any) -> None:
    """SB3's callbacks evaluate on a monitored single environment and on the native lanes, without a warning."""
    trained, evaluated = (MetricTrackerVecEnv(1) if native else Monitor(gym.make(ENV_ID)) for _ in range(2))
    callback = EvalCallback(evaluated, n_eval_episodes=2, eval_freq=16, log_path=str(tmp_path), verbose=0)
    PPO("MlpPolicy", trained, **SMALL).learn(32, callback)
    with np.load(tmp_path / "evaluations.npz") as file:
        assert file["results"].shape == (2, 2)


def test_masked_evaluation() -> None:
    """sb3-contrib's evaluation with masks plays the native lanes without a warning."""
    model = MaskablePPO("MlpPolicy", MetricTrackerVecEnv(2), **SMALL).learn(32)
    mean, deviation = evaluate_masked(model, MetricTrackerVecEnv(2), n_eval_episodes=4)
    assert -0.08 <= float(np.mean(mean)) <= 1.0
    assert float(np.mean(deviation)) >= 0.0


class Harder(BaseCallback):
    """A curriculum: hard episodes from a number of steps on."""

    def _on_step(self) -> bool:
        if self.num_timesteps == 32:
            self.training_env.env_method("set_episode_options", difficulty="hard")
        return True


@pytest.mark.parametrize("native", [False, True])
def test_a_curriculum_as_a_callback(native: bool) -> None:
    """A callback makes the episodes harder on the way, on single environments and on lanes alike."""
    env = (
        MetricTrackerVecEnv(2, difficulty="easy")
        if native
        else make_vec_env(ENV_ID, 2, env_kwargs={"difficulty": "easy"})
    )
    MaskablePPO("MlpPolicy", env, **SMALL).learn(64, Harder())
    assert [config.difficulty for config in env.get_attr("config")] == ["hard", "hard"]
