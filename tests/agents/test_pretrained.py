"""The models that come with the package: small, readable by NumPy alone, and as good as their cards say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents import ModelAgent, cli, evaluate, find_player, load_model, pretrained_names
from agents.players.models.card import CARD_FILE, WEIGHTS_OF
from agents.players.registry import folder_of, register_shelf
from agents.pretrained.figures import FIGURES_FILE, read_figures
from agents.tasks import held_out_seeds
from metric_tracker_env import MetricTrackerEnv, get_task
from metric_tracker_env.tasks import build_config

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pretrained.md"
NAMES = pretrained_names()
MOST_BYTES = 1_000_000
EPISODES = 60
STANDARD_ERRORS = 4  # of the mean of so few episodes; the card's own interval is added


def test_there_is_a_model_for_each_named_task() -> None:
    """One plays each of the tasks that the page promises, and one of them in the board view."""
    tasks = {read_figures(name).task for name in NAMES}
    assert tasks == {
        *("easy_single_spike", "medium_mixed", "hard_mixed"),
        *("realistic_easy", "realistic_medium", "realistic_hard", "quiet_weeks"),
    }
    assert {load_model(name).card.config.view for name in NAMES} == {"focus", "board"}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_holds_nothing_pickled(name: str) -> None:
    """The folder has three files of at most 1 MB in all; NumPy reads the weights without pickle."""
    folder = folder_of(name)
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted([CARD_FILE, FIGURES_FILE, WEIGHTS_OF["mlp"]])
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    with np.load(folder / WEIGHTS_OF["mlp"], allow_pickle=False) as arrays:
        assert {arrays[key].dtype.kind for key in arrays.files} <= {"f", "U"}


@pytest.mark.parametrize("name", NAMES)
def test_it_plays_as_well_as_its_card_says(name: str) -> None:
    """Score, F1 and net of some held-out episodes are those of the card, as near as so few episodes can tell."""
    figures = read_figures(name)
    played = evaluate(name, held_out_seeds(figures.task, EPISODES), figures.task)
    assert figures.episodes == 1000
    assert figures.first_seed == get_task(figures.task).held_out_seeds[0]
    assert played.agent == name.partition("/")[2]
    for figure in ("score", "f1", "net"):
        told = getattr(figures, figure)
        spread = float(np.std(getattr(played.episodes, figure))) / EPISODES**0.5
        assert told.low - STANDARD_ERRORS * spread <= played.mean(figure) <= told.high + STANDARD_ERRORS * spread
    assert figures.score.mean > 0.9
    assert max(played.episodes.illegal) == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_a_card_is_one(name: str) -> None:
    """What trained the model is a command of the present trainer, on the model's own task, view and seed."""
    from agents.training.settings import load_preset, preset_path

    figures, card = read_figures(name), load_model(name).card
    words = figures.command.split()
    assert words[:3] == ["python", "-m", "agents.train_sb3"]
    told = dict(zip(words[3::2], words[4::2], strict=True))
    assert told["--task"] == figures.task
    assert told.get("--view", "focus") == card.config.view
    warm = "--warm-start" in told
    assert card.demonstrator == told.get("--warm-start")
    settings = load_preset(preset_path("maskable_ppo", card.config.view, warm)).config(figures.task)
    asked = int(told.get("--total-steps", settings.total_steps))
    assert asked <= card.steps < asked + settings.lanes * settings.ppo.n_steps
    assert build_config(config=card.config, options={"reward": "terminal"}).generator == settings.environment.generator


def test_the_page_tells_the_figures() -> None:
    """Each row of the table in docs/pretrained.md is what the cards say."""
    rows = re.findall(r"^\| `(pretrained/\w+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(NAMES)
    for name, told in rows:
        score, f1, net, units, seconds, _ = told.split(" | ")
        figures = read_figures(name)
        assert score == str(figures.score)
        assert [f1, net] == [f"{figures.f1.mean:.3f}", f"{figures.net.mean:.3f}"]
        assert [units, seconds] == [f"{figures.cost.mean:.1f}", f"{figures.cpu_seconds:.0f}"]


PROGRAM = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "stable_baselines3", "sb3_contrib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from agents.cli import main
main(["run", "--agent", "pretrained/realistic_medium", "--task", "realistic_medium", "--episodes", "20"])
"""


def test_the_command_works_at_once_without_libraries_that_train(tmp_path: Path) -> None:
    """``run --agent pretrained/realistic_medium`` plays from any folder where neither torch nor its kin is there."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "realistic_medium: mean of 20 episodes" in done.stdout


def test_every_door_takes_the_name(tmp_path: Path) -> None:
    """The name stands for the folder in compare, in a replay, and as an agent of one environment."""
    name = "pretrained/quiet_weeks"
    assert find_player(name).name == load_model(name).name == "quiet_weeks"
    agent = ModelAgent(MetricTrackerEnv("quiet_weeks"), name)
    assert agent.model.card == load_model(folder_of(name)).card
    cli.main(["export-html", name, "--task", "quiet_weeks", "--output", str(tmp_path / "a.html")])
    assert (tmp_path / "a.html").stat().st_size > 10_000
    asked = ["--agents", name, "nothing", "--tasks", "quiet_weeks", "--episodes", "3", "--workers", "1"]
    cli.main(["compare", *asked, "--output", str(tmp_path)])
    held = json.loads((tmp_path / "compare.json").read_text())
    assert {line["agent"] for line in held["summary"]} == {"quiet_weeks", "nothing"}


def test_an_unknown_name_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither another name nor a way out of the shelf leads anywhere; a shelf has one owner."""
    for name in ("pretrained/none", "pretrained/..", "pretrained/", "pretrained/../pretrained/quiet_weeks"):
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", "--agent", name])
        assert ended.value.code == 2
        assert "is not one of ['pretrained/easy_single_spike'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="shelf 'pretrained' of players is registered twice"):
        register_shelf("pretrained", ROOT)


def test_a_folder_of_ones_own_comes_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with a dot before it is never the name of a model of the package."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "pretrained" / "mine"
    own.mkdir(parents=True)
    for path in folder_of("pretrained/quiet_weeks").iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    assert find_player("./pretrained/mine").name == "quiet_weeks"
    with pytest.raises(ValueError, match=r"a folder of your own is '\./pretrained/mine'"):
        find_player("pretrained/mine")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ('{"format": 2}', "format 2"), ("{}", "not valid")]
)
def test_figures_that_are_damaged_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """A card of figures that cannot be read is told in one line."""
    (tmp_path / FIGURES_FILE).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_figures(tmp_path)
