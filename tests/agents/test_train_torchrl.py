"""PPO with TorchRL: its environment, its advantages, and what it refuses."""

from __future__ import annotations

import runpy
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from helpers_models import LAST_RUN
from tensordict import TensorDictBase

from agents import train_ppo
from metric_tracker_env import MetricTrackerVectorEnv, get_task

with warnings.catch_warnings():
    # TorchRL 0.14 warns of classes of its own when it is imported.
    warnings.filterwarnings("ignore", "Creating .* which inherits from WeightUpdaterBase", DeprecationWarning)
    from torchrl.envs.utils import check_env_specs
    from torchrl.modules import ValueOperator
    from torchrl.objectives.value import GAE

    from agents import train_torchrl
    from agents.train_torchrl import MetricTrackerLanes, Options, train

TASK = "easy_single_spike"
CONFIG = get_task(TASK).config
SMALL = Options(task=TASK, total_steps=500, num_envs=4, num_steps=64, minibatch_size=64, update_epochs=2, hidden=16)


def any_legal(tensordict: TensorDictBase) -> TensorDictBase:
    """A policy that draws from the legal actions."""
    return tensordict.set("action", torch.multinomial(tensordict.get("action_mask").float(), 1)[:, 0])


def roll(lanes: int, steps: int, seed: int) -> TensorDictBase:
    """A rollout over the ends of episodes, (B, T)."""
    torch.manual_seed(seed)
    env = MetricTrackerLanes(lanes, CONFIG)
    env.set_seed(seed)
    return env.rollout(steps, any_legal, break_when_any_done=False)


def array_of(rollout: TensorDictBase, *key: str) -> np.ndarray:
    """An entry of a rollout as an array."""
    return rollout.get(key).numpy()


# The environment


def test_specs() -> None:
    """The environment passes TorchRL's own check of what it says it gives."""
    check_env_specs(MetricTrackerLanes(3, CONFIG), seed=0)


def test_lanes_play_what_the_vector_environment_plays() -> None:
    """A rollout holds what the vector environment gives: over the ends of episodes, with their last observations."""
    rollout = roll(lanes=4, steps=120, seed=7)
    roots = {key: array_of(rollout, key) for key in ("observation", "action_mask", "action", "done")}
    nexts = {key: array_of(rollout, "next", key) for key in ("observation", "reward", "terminated", "done", "score")}
    envs = MetricTrackerVectorEnv(4, AutoresetMode.SAME_STEP, task=TASK, reward="dense")
    observed, info = envs.reset(seed=7)
    ends = 0
    for step in range(120):
        assert np.array_equal(roots["observation"][:, step], observed)
        assert np.array_equal(roots["action_mask"][:, step], info["action_mask"])
        assert not roots["done"][:, step].any()
        observed, rewards, terminated, _, info = envs.step(roots["action"][:, step])
        last, scores = observed.copy(), np.zeros(4, np.float32)
        for lane in np.flatnonzero(terminated):
            last[lane] = info["final_obs"][lane]
            scores[lane] = info["final_info"]["score"][lane]
            ends += 1
        assert np.array_equal(nexts["observation"][:, step], last)
        assert np.array_equal(nexts["reward"][:, step, 0], rewards.astype(np.float32))
        assert np.array_equal(nexts["terminated"][:, step, 0], terminated)
        assert np.array_equal(nexts["done"][:, step, 0], terminated)
        assert np.array_equal(nexts["score"][:, step, 0], scores)
    assert ends > 8


def test_advantages_stop_at_the_end_of_an_episode() -> None:
    """TorchRL's advantages over such a rollout are those of the plain recursion, which is checked by hand."""
    rollout = roll(lanes=4, steps=120, seed=3)
    critic = ValueOperator(train_torchrl.perceptron(rollout.get("observation").shape[-1], 8, 1, 1.0))
    with torch.no_grad():
        GAE(gamma=1.0, lmbda=0.95, value_network=critic)(rollout)
        following = critic(rollout.get(("next", "observation"))[:, -1])[:, 0]
    rewards, ended = (rollout.get(("next", key))[..., 0].float().T for key in ("reward", "done"))
    values, advantages = (rollout.get(key)[..., 0].T for key in ("state_value", "advantage"))
    expected = train_ppo.generalised_advantages(rewards, values, ended, following, 1.0, 0.95)
    torch.testing.assert_close(advantages, expected, rtol=1e-4, atol=1e-5)
    assert ended.sum() > 8


# Wrong use


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "no_such"}, "task 'no_such' is not one of"),
        ({"minibatch_size": 100}, "minibatch_size 100 does not divide num_steps x num_envs = 256"),
        ({"seed": LAST_RUN + 1}, "seed 953 is not an integer from 0 to 952"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A bad option is named as by the plain PPO, before anything is trained."""
    with pytest.raises(ValueError, match=told):
        train(replace(SMALL, output=tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A model is not written over another one; each library has a folder of its own by default."""
    folder = train(replace(SMALL, total_steps=1, output=tmp_path / "run"))
    with pytest.raises(ValueError, match=r"output .* holds a model already"):
        train(replace(SMALL, output=folder))
    assert train_ppo.check(Options(), "torchrl") == Path("runs") / "medium_mixed-torchrl-seed0"


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command trains, says how it goes, and prints the score on held-out episodes."""
    small = ["--task", TASK, "--total-steps", "1", "--hidden", "8", "--num-envs", "4", "--minibatch-size", "48"]
    train_torchrl.main([*small, "--output", str(tmp_path / "run"), "--episodes", "10"])
    told = capsys.readouterr().out
    assert " 48 steps" in told
    assert "score on 10 held-out episodes: 0." in told
    with pytest.raises(SystemExit) as ended:
        train_torchrl.main([*small, "--episodes", "0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: episodes 0 is not an integer from 1 to 100000\n"


@pytest.mark.parametrize("package", ["torchrl", "tensordict", "torch", "tyro"])
def test_a_missing_package_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package that it needs, the command says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "agents.train_torchrl")
    with pytest.raises(SystemExit, match=rf"train_torchrl needs {package}; .*\[torchrl\]"):
        runpy.run_module("agents.train_torchrl", run_name="__main__")
