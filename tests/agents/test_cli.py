"""The commands ``run`` and ``compare``, and the names that the package exports."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_tasks import FIRST_HELD_OUT, own_task

import agents
from agents import Comparison, Evaluation, cli, command_line
from agents.tasks import presets


def test_run_plays_an_agent_with_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``run`` takes a preset and options on top, and writes the evaluation."""
    output = tmp_path / "run.json"
    preset = str(presets() / "hard.toml")
    options = ["--scenario-family", "funnel_break", "--anomaly-count", "2", "--budget", "9"]
    cli.main(["run", "--agent", "oracle", "--config", preset, "--episodes", "4", *options, "--output", str(output)])
    result = Evaluation.from_json(output)
    assert "oracle" in capsys.readouterr().out
    assert (result.config.difficulty, result.config.anomaly_count, result.config.budget) == ("hard", 2, 9)
    assert set(result.episodes.score) == {1.0}


def test_an_own_task_is_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``run`` and ``compare`` take the path of a task, play its held-out seeds, and call it by its file's name."""
    own, run, out = own_task(tmp_path), tmp_path / "run.json", tmp_path / "out"
    cli.main(["run", "--agent", "oracle", "--task", str(own), "--episodes", "4", "--output", str(run)])
    assert f"seeds from {FIRST_HELD_OUT}" in capsys.readouterr().out
    result = Evaluation.from_json(run)
    assert (result.task, result.config.scenario_family) == ("broken_step", "funnel_break")
    assert result.episodes.seed == tuple(range(FIRST_HELD_OUT, FIRST_HELD_OUT + 4))
    command = ["compare", "--agents", "nothing", "--episodes", "2", "--workers", "1", "--output", str(out)]
    cli.main([*command, "--tasks", str(own), "easy_mixed"])
    compared = Comparison.model_validate_json((out / "compare.json").read_text(encoding="utf-8"))
    assert [line.task for line in compared.summary] == ["broken_step", "easy_mixed"]
    with pytest.raises(SystemExit):
        cli.main(["run", "--agent", "oracle", "--task", str(own), "--config", str(own)])
    assert "task 'broken_step' and config are both given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--agent", "nobody"], "agent 'nobody' is not one of"),
        (["run", "--agent", "nothing", "--task", "none"], "task 'none' is not one of"),
        (["run", "--agent", "nothing", "--budget", "0"], "budget: Input should be greater than or equal to 1"),
        (["run", "--agent", "nothing", "--config", "absent.toml"], "config file 'absent.toml' does not exist"),
        (["run", "--agent", "nothing", "--episodes", "0"], "episodes 0 is not an integer from 1"),
        (["compare", "--episodes", "-1"], "episodes -1 is not an integer from 1"),
        (["compare", "--workers", "0"], "workers 0 is not an integer from 1"),
        (["compare", "--tasks", "none"], "task 'none' is not one of"),
    ],
)
def test_command_line_refuses_bad_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bad value ends the command with code 2 and one line, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["tyro", "rich", "matplotlib"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an optional package the command says what to install."""

    def absent(name: str) -> None:
        if name == package:
            raise ImportError(name)

    monkeypatch.setattr(command_line, "import_module", absent)
    with pytest.raises(SystemExit, match=rf"needs {package}; .*pip install -e '\.\[agents\]'"):
        cli.main(["run", "--agent", "nothing"])


def test_public_names_exist() -> None:
    """Everything in ``__all__`` is there."""
    assert all(hasattr(agents, name) for name in agents.__all__)
