"""Models of stable-baselines3: saved ones play as they did in memory, wherever the code that trained them is."""

from __future__ import annotations

import importlib
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from helpers_models import FOCUS, TOLD, sizes

from agents import cli, evaluate, load_model, write_card
from agents.players.models.card import CARD_FILE, WEIGHTS_OF
from metric_tracker_env import EnvConfig, GeneratorConfig, MetricTrackerEnv
from metric_tracker_env.config import View


class Spaces(gym.Env[np.ndarray, np.int64]):
    """The spaces of the environment, which are all that a model is built from."""

    def __init__(self, config: EnvConfig) -> None:
        made = MetricTrackerEnv(config=config)
        self.observation_space, self.action_space = made.observation_space, made.action_space


def write_copy(folder: Path, name: str) -> Path:
    """A folder with the card of another."""
    (folder / name).mkdir()
    shutil.copy(folder / CARD_FILE, folder / name)
    return folder / name


def untrained(algorithm: str, config: EnvConfig) -> Any:
    """A small model of stable-baselines3 or sb3-contrib."""
    from metric_tracker_env.sb3 import BoardPolicy, board_policy_kwargs

    made = getattr(
        importlib.import_module("sb3_contrib" if algorithm == "maskable_ppo" else "stable_baselines3"),
        {"maskable_ppo": "MaskablePPO", "ppo": "PPO", "dqn": "DQN"}[algorithm],
    )
    env: Any = Spaces(config)
    if config.view == "board":
        return made(BoardPolicy, env, policy_kwargs=board_policy_kwargs(config), device="cpu", seed=1)
    return made("MlpPolicy", env, policy_kwargs={"net_arch": [16]}, device="cpu", seed=1)


@pytest.mark.parametrize(
    ("algorithm", "view"), [("maskable_ppo", "focus"), ("maskable_ppo", "board"), ("ppo", "focus"), ("dqn", "focus")]
)
def test_models_of_stable_baselines3_play(algorithm: str, view: View, tmp_path: Path) -> None:
    """A model that was saved with its card plays as the model in memory does, masked where it takes a mask."""
    config = EnvConfig(view=view)
    model = untrained(algorithm, config)
    model.save(tmp_path / WEIGHTS_OF["sb3"])
    masked = algorithm == "maskable_ppo"
    told = {"library": "stable-baselines3", "algorithm": algorithm, "steps": 0, "seed": 1}
    write_card(tmp_path, name=algorithm, policy="sb3", masked=masked, config=config, **told)
    loaded = load_model(tmp_path, config)
    draws = np.random.default_rng(0)
    observations = draws.random((30, sizes(config)[0]), np.float32)
    masks = draws.random((30, sizes(config)[1])) < 0.3
    masks[:, -1] = True
    found = loaded.policy.actions(observations, masks)
    expected, _ = model.predict(observations, deterministic=True, **({"action_masks": masks} if masked else {}))
    assert found.dtype == np.int64
    assert (found == expected).all()
    result = evaluate(tmp_path, range(3), "medium_mixed")
    assert (result.agent, len(result.episodes.score)) == (algorithm, 3)
    if masked:
        assert masks[np.arange(30), found].all()
        assert max(result.episodes.illegal) == 0


@pytest.mark.parametrize("algorithm", ["maskable_ppo", "dqn"])
def test_schedules_of_code_that_is_gone_do_not_matter(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed for training alone is not read: its module may have moved; what plays must be there."""
    gone: Any = types.ModuleType("gone")
    exec("class Ramp:\n    def __call__(self, left): return left", gone.__dict__)
    monkeypatch.setitem(sys.modules, "gone", gone)
    model = untrained(algorithm, FOCUS)
    model.lr_schedule = model.learning_rate = model.clip_range = model.exploration_schedule = gone.Ramp()
    masked = algorithm == "maskable_ppo"
    told: dict[str, Any] = TOLD | {"algorithm": algorithm}
    write_card(tmp_path, name="x", policy="sb3", masked=masked, config=FOCUS, **told)
    observations, masks = np.zeros((5, sizes(FOCUS)[0]), np.float32), np.ones((5, sizes(FOCUS)[1]), bool)
    expected, _ = model.predict(observations, deterministic=True, **({"action_masks": masks} if masked else {}))
    model.save(tmp_path / WEIGHTS_OF["sb3"])
    model.policy_kwargs["gone"] = gone.Ramp()
    other = write_copy(tmp_path, "other")
    model.save(other / WEIGHTS_OF["sb3"])
    monkeypatch.delitem(sys.modules, "gone")
    assert load_model(tmp_path).policy.actions(observations, masks).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="cannot be read: No module named 'gone'"):
        load_model(other)


def test_a_zip_of_another_network_is_refused(tmp_path: Path) -> None:
    """Weights whose spaces are not those of the card, or that are damaged, are told as such."""
    untrained("ppo", EnvConfig(generator=GeneratorConfig(num_weeks=2))).save(tmp_path / WEIGHTS_OF["sb3"])
    told = {"library": "stable-baselines3", "algorithm": "ppo", "steps": 0, "seed": 1}
    write_card(tmp_path, name="x", policy="sb3", masked=False, config=FOCUS, **told)
    assert isinstance(Spaces(FOCUS).action_space, spaces.Discrete)
    with pytest.raises(ValueError, match=r"are of a network with observation \(.*; its card says \(361,\) and 75"):
        load_model(tmp_path)
    for damage in (b"", b"not a zip"):
        (tmp_path / WEIGHTS_OF["sb3"]).write_bytes(damage)
        with pytest.raises(ValueError, match=r"weights .*model\.zip' cannot be read"):
            load_model(tmp_path)


def test_a_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without sb3-contrib the error says what to install, and the command line ends with it."""
    (tmp_path / WEIGHTS_OF["sb3"]).write_bytes(b"")
    told = {"library": "stable-baselines3", "algorithm": "ppo", "steps": 0, "seed": 1}
    write_card(tmp_path, name="x", policy="sb3", masked=False, config=FOCUS, **told)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(ImportError, match=r"model 'x' needs .* pip install 'metric_tracker_env\[sb3\]'"):
        load_model(tmp_path)
    with pytest.raises(SystemExit, match=r"error: model 'x' needs .*\[sb3\]"):
        cli.main(["run", "--agent", str(tmp_path)])
    assert capsys.readouterr().out == ""
