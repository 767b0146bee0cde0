"""The single-file PPO: its advantages and probabilities, and what it refuses."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_models import LAST_RUN

from agents import train_ppo
from agents.tasks import SEEDS_PER_RUN
from agents.train_ppo import Options, generalised_advantages, train

TASK = "easy_single_spike"
SMALL = Options(task=TASK, total_steps=500, num_envs=4, num_steps=64, minibatch_size=64, update_epochs=2, hidden=16)


def test_advantages_by_hand() -> None:
    """An advantage counts to the end of its episode and no further, and beyond the last step by the value there."""
    rewards = torch.tensor([[0.0], [1.0], [0.0], [0.0]])
    values = torch.tensor([[0.5], [0.25], [0.5], [0.25]])
    ended = torch.tensor([[0.0], [1.0], [0.0], [0.0]])
    found = generalised_advantages(rewards, values, ended, torch.tensor([0.75]), gamma=1.0, gae_lambda=0.5)
    # errors 0.25 - 0.5, 1 - 0.25, 0.25 - 0.5, 0.75 - 0.25; an error counts half a step earlier within an episode
    assert found[:, 0].tolist() == [-0.25 + 0.375, 0.75, -0.25 + 0.25, 0.5]


def test_masked_probabilities() -> None:
    """Illegal actions have no probability and add nothing to the entropy; the others keep their proportions."""
    agent = train_ppo.Agent(3, 4, 8)
    masks = torch.tensor([[True, False, True, True], [False, False, True, False]])
    logs = agent.log_probs(torch.ones(2, 3), masks)
    assert (logs.exp()[~masks] == 0).all()
    torch.testing.assert_close(logs.exp().sum(dim=1), torch.ones(2))
    logits = agent.actor(torch.ones(2, 3))
    torch.testing.assert_close(logs[0, 0] - logs[0, 2], logits[0, 0] - logits[0, 2])
    assert (logs.exp() * logs)[1].sum() == 0


BAD_OPTIONS = [
    ({"task": "no_such"}, "task 'no_such' is not one of"),
    ({"total_steps": 0}, "total_steps 0 is not an integer from 1"),
    ({"num_envs": 0}, "num_envs 0 is not an integer from 1 to 1048576"),
    ({"num_envs": SEEDS_PER_RUN + 1}, "num_envs 1048577 is not"),
    ({"num_envs": 4.0}, "num_envs 4.0 is not an integer"),
    ({"num_steps": True}, "num_steps True is not an integer"),
    ({"minibatch_size": 1}, "minibatch_size 1 is not an integer from 2"),
    ({"minibatch_size": 100}, "minibatch_size 100 does not divide num_steps x num_envs = 256"),
    ({"update_epochs": 0}, "update_epochs 0 is not"),
    ({"hidden": -1}, "hidden -1 is not"),
    ({"threads": 0}, "threads 0 is not an integer from 1 to 256"),
    ({"seed": -1}, "seed -1 is not an integer from 0 to 952"),
    ({"seed": LAST_RUN + 1}, "seed 953 is not an integer from 0 to 952"),
    ({"episodes": 0}, "episodes 0 is not an integer from 1 to 100000"),
    ({"gamma": 1.5}, "gamma 1.5 is not a number from 0 to 1"),
    ({"gae_lambda": -0.1}, "gae_lambda -0.1 is not"),
    ({"clip_coef": 2.0}, "clip_coef 2.0 is not"),
    ({"learning_rate": float("nan")}, "learning_rate nan is not a number from 0 to 1"),
    ({"ent_coef": float("inf")}, "ent_coef inf is not"),
    ({"vf_coef": -1.0}, "vf_coef -1.0 is not"),
    ({"max_grad_norm": -1.0}, "max_grad_norm -1.0 is not"),
]


@pytest.mark.parametrize(("changes", "told"), BAD_OPTIONS)
def test_bad_options_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A bad option is named with its value and what is allowed, before anything is trained."""
    with pytest.raises(ValueError, match=told):
        train(replace(SMALL, output=tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A model is not written over another one, nor over a file."""
    folder = train(replace(SMALL, total_steps=1, output=tmp_path / "run"))
    with pytest.raises(ValueError, match=r"output .* holds a model already"):
        train(replace(SMALL, output=folder))
    with pytest.raises(ValueError, match=r"output .* is a file"):
        train(replace(SMALL, output=folder / "weights.npz"))


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command trains, says how it goes, and prints the score on held-out episodes."""
    small = ["--task", TASK, "--total-steps", "1", "--hidden", "8", "--num-envs", "4", "--minibatch-size", "48"]
    train_ppo.main([*small, "--output", str(tmp_path / "run"), "--episodes", "10"])
    told = capsys.readouterr().out
    assert " 48 steps" in told
    assert "in the environment" in told
    assert "score on 10 held-out episodes: 0." in told
    with pytest.raises(SystemExit) as ended:
        train_ppo.main([*small, "--episodes", "0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: episodes 0 is not an integer from 1 to 100000\n"


@pytest.mark.parametrize("package", ["torch", "tyro"])
def test_a_missing_package_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package that it needs, the command says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "agents.train_ppo")
    with pytest.raises(SystemExit, match=rf"train_ppo needs {package}; .*\[torch\]"):
        runpy.run_module("agents.train_ppo", run_name="__main__")
