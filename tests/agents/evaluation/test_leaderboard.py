"""The leaderboard: tables, files and pictures of scripts and models, and what is refused before anything is played."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers_models import BOARD, FOCUS, TOLD, saved, threshold_layers

from agents import cli, leaderboard, save_mlp
from agents.evaluation.report import Comparison, wrapped
from agents.tasks import presets
from metric_tracker_env import get_task, load_config

TASKS = ("easy_mixed", "medium_mixed", "hard_mixed")


def test_compare_writes_a_table_a_file_and_a_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``compare`` leaves figures that read back and a picture that is not blank."""
    matplotlib_image = importlib.import_module("matplotlib.image")
    arguments = ["compare", "--episodes", "3", "--workers", "1", "--output", str(tmp_path / "results")]
    cli.main([*arguments, "--agents", "nothing", "threshold", "oracle"])
    printed = capsys.readouterr().out
    assert "hard_mixed" in printed
    assert "threshold" in printed
    written = Comparison.model_validate_json((tmp_path / "results" / "compare.json").read_text())
    assert {(line.agent, line.task) for line in written.summary} == {
        (agent, task) for agent in ("nothing", "threshold", "oracle") for task in TASKS
    }
    assert all(line.figures["score"].mean == 1.0 for line in written.summary if line.agent == "oracle")
    assert written == Comparison.of(written.evaluations)
    assert written.chosen() == ["threshold", "nothing"]
    assert [line.agent for line in written.tasks["hard_mixed"]] == ["oracle", "threshold", "nothing"]
    assert printed.index("oracle") < printed.index("threshold") < printed.index("nothing")
    assert "product_added_to_cart_to_order_placed" in printed
    assert "F1" not in printed.split("recall and precision")[0]  # it is the score
    for name in ("compare.png", "recall.png"):
        picture = matplotlib_image.imread(tmp_path / "results" / name)
        assert picture.shape[0] > 300
        assert picture.shape[1] > 800
        assert picture[..., :3].std() > 0.05


def test_names_are_broken_where_they_may_be() -> None:
    """A long name is broken after hyphens and underscores only, and loses nothing."""
    name = "medium_mixed-focus-maskable_ppo-seed0"
    lines = wrapped(name, 11).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= 11
    assert wrapped("analyst", 11) == "analyst"
    assert wrapped("indivisibleness", 5) == "indivisibleness"


def test_an_agent_without_options_of_its_own_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lone ceiling and a task of one family are drawn and printed too."""
    arguments = ["--agents", "oracle", "--tasks", "easy_single_spike", "--episodes", "2", "--workers", "1"]
    cli.main(["compare", *arguments, "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "rate_spike_from_median" in printed
    assert "funnel_break" not in printed
    assert (tmp_path / "recall.png").stat().st_size > 10_000


def test_episodes_in_which_nothing_happened_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no row was expected at all, the tables and the pictures say so."""
    quiet = get_task("quiet_weeks")
    quiet = quiet.model_copy(
        update={"name": "nothing_happened", "config": quiet.config.model_copy(update={"anomaly_count": 0})}
    )
    made = leaderboard((), quiet, 2, tmp_path, ("oracle", "threshold"), 1)
    assert made.tasks["nothing_happened"][0].figures["score"].mean == 1.0
    assert "nothing_happened" in capsys.readouterr().out
    assert (tmp_path / "recall.png").stat().st_size > 10_000


def test_leaderboard_of_models_and_agents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models of both views stand beside agents, in tables of at most 100 columns, a file and two pictures."""
    image = importlib.import_module("matplotlib.image")
    name = "medium_mixed-focus-maskable_ppo-seed0"
    save_mlp(tmp_path / "a", threshold_layers(FOCUS), "relu", name=name, masked=True, config=FOCUS, **TOLD)
    models = [tmp_path / "a", saved(tmp_path / "b", BOARD, False, name="board_net")]
    found = leaderboard(models, "medium_mixed", 5, tmp_path / "out", agents=("analyst", "nothing"), workers=1)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for text in ("analyst", "ppo-seed0", "board_net", "illegal", "hourly_traffic_mix_shift", "daytime_share"):
        assert text in printed
    assert found.tasks["medium_mixed"][0].agent == "analyst"
    assert found.models == {name, "board_net"}
    assert found == Comparison.model_validate_json((tmp_path / "out" / "leaderboard.json").read_text())
    for file in ("leaderboard.png", "recall.png"):
        picture = image.imread(tmp_path / "out" / file)
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.05


def test_compare_takes_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``compare`` and ``run`` take the folder of a model where they take a name."""
    folder, output = str(saved(tmp_path / "a")), str(tmp_path / "out")
    arguments = ["compare", "--tasks", "easy_mixed", "--episodes", "2", "--workers", "1", "--output", output]
    cli.main([*arguments, "--agents", "nothing", folder])
    written = Comparison.model_validate_json((tmp_path / "out" / "compare.json").read_text())
    assert {line.agent for line in written.summary} == {"net", "nothing"}
    cli.main(["run", "--agent", folder, "--difficulty", "hard", "--episodes", "2"])
    assert "net: mean of 2 episodes" in capsys.readouterr().out


def test_leaderboard_refuses_before_it_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that does not fit, two of one name, nobody or no task end it before an episode is played."""
    shop = load_config(presets() / "ecommerce.toml")
    net, other = saved(tmp_path / "a"), saved(tmp_path / "b", seed=1)
    wrong = saved(tmp_path / "c", shop, name="shop")

    def never(*given: Any, **named: Any) -> None:
        raise AssertionError((given, named))

    monkeypatch.setattr(sys.modules["agents.evaluation.leaderboard"], "evaluate", never)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"task 'easy_mixed': model 'shop' does not fit .* 24 entities"):
        leaderboard([net, wrong], ("easy_mixed",), 5, out)
    with pytest.raises(ValueError, match="two are named 'net'"):
        leaderboard([net, other], "easy_mixed", 5, out)
    with pytest.raises(ValueError, match="two are named 'nothing'"):
        leaderboard([], "easy_mixed", 5, out, agents=("nothing", "nothing"))
    with pytest.raises(ValueError, match="agents is empty"):
        leaderboard([], "easy_mixed", 5, out, agents=())
    with pytest.raises(ValueError, match="tasks is empty"):
        leaderboard([net], (), 5, out)
    with pytest.raises(ValueError, match=r"tasks .* names something twice"):
        leaderboard([net], ("easy_mixed", get_task("easy_mixed")), 5, out)
    with pytest.raises(ValueError, match=r"agent 'nowhere' is not one of .* and not the folder of a player"):
        leaderboard(["nowhere"], "easy_mixed", 5, out)
    assert not out.exists()
