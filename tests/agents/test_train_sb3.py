"""The command that trains with stable-baselines3."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_training import TASK

from agents import evaluate, train_sb3
from agents.players.models.card import read_card
from agents.tasks import held_out_seeds

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--task", "no_such"], "no_such"),
        (["--view", "board", "--algorithm", "ppo"], "ppo_board.toml"),
        (["--settings", "lanes = -1"], "lanes"),
        (["--settings", "lanes ="], "lanes ="),
        (["--resume-from", "no/such/folder"], "no/such/folder"),
        (["--total-steps", "0"], "total_steps"),
        (["--warm-start", "no_such"], "agent 'no_such' cannot demonstrate"),
        (["--warm-start", "oracle"], "agent 'oracle' cannot demonstrate"),
        (["--warm-start", "analyst", "--demonstration-episodes", "0"], "demonstrations.episodes"),
        (["--demonstration-episodes", "10"], "demonstration_episodes 10 needs warm_start"),
        (["--episodes", "100001"], "episodes 100001 is not an integer from 1 to 100000"),
        (["--workers", "0"], "workers 0 is not an integer from 1 to 256"),
    ],
)
def test_command_line_errors(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad value ends the command with exit code 2 and one line that names it."""
    with pytest.raises(SystemExit) as ended:
        train_sb3.main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_command_line(tmp_path: Path) -> None:
    """The README's command, made short: trains, prints the leaderboard, and leaves curve, leaderboard and model."""
    command = [sys.executable, "-m", "agents.train_sb3", "--task", TASK, "--total-steps", "12288"]
    command += ["--output", str(tmp_path / "run"), "--episodes", "20", "--workers", "1"]
    command += ["--settings", "evaluation_episodes = 10", "evaluations = 2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "oracle" in done.stdout
    assert "analyst" in done.stdout
    assert "in the environment" in done.stdout
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"model.zip", "model.json", "training.json", "curve.csv", "curve.png", "leaderboard.json"} <= names
    compared = json.loads((tmp_path / "run" / "leaderboard.json").read_text(encoding="utf-8"))
    assert "run" in {line["agent"] for line in compared["summary"]}


def test_a_run_is_written_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--output .`` the model has the folder's own name, on the leaderboard too, and is played from there."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    settings = ["lanes = 4", "hidden = [16]", "ppo.n_steps = 32", "ppo.batch_size = 64", "evaluations = 0"]
    command = ["--task", TASK, "--total-steps", "256", "--episodes", "4", "--workers", "1", "--output", "."]
    train_sb3.main([*command, "--settings", *settings])
    assert read_card(folder).name == "here"
    compared = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))
    assert "here" in {line["agent"] for line in compared["summary"]}
    played, elsewhere = (evaluate(path, held_out_seeds(TASK, 4), TASK) for path in (Path(), folder))
    assert played.agent == "here"
    assert played == elsewhere


def test_command_line_with_demonstrations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The warm start, made short: the run says how well the policy was fitted, and its settings hold the preset's."""
    small = ["total_steps = 256", "lanes = 4", "ppo.n_steps = 32", "ppo.batch_size = 64", "hidden = [16, 8]"]
    small += ["evaluations = 1", "evaluation_episodes = 5", "demonstrations.epochs = 2"]
    arguments = ["--task", "realistic_easy", "--warm-start", "analyst", "--demonstration-episodes", "8"]
    train_sb3.main([*arguments, "--output", str(tmp_path / "run"), "--episodes", "0", "--settings", *small])
    assert "8 demonstrations of analyst in" in capsys.readouterr().out
    kept = json.loads((tmp_path / "run" / "training.json").read_text(encoding="utf-8"))
    assert kept["network"] == "shared"
    told = kept["demonstrations"]
    assert (told["agent"], told["episodes"], told["epochs"], told["batch_size"]) == ("analyst", 8, 2, 512)
