"""Exported models: plain arrays that play as stable-baselines3's model does, and need neither it nor torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_models import sizes
from helpers_training import SMALL

from agents import cli, evaluate, load_model
from agents.archive import write_archive
from agents.players.models.arrays import read_arrays, write_arrays
from agents.players.models.card import CARD_FILE, WEIGHTS_OF, read_card
from agents.players.models.sb3 import read_sb3
from agents.players.models.shared import SharedPolicy
from agents.training.export import export_model
from agents.training.sb3_run import train
from agents.training.settings import TrainingConfig, merge
from metric_tracker_env import EnvConfig, GeneratorConfig
from metric_tracker_env.config import WorldConfig

ROOT = Path(__file__).parents[3]
QUICK: dict[str, Any] = {"total_steps": 256, "evaluations": 0, "checkpoints": 0}
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "focus": ({"network": "shared", "hidden": (24, 8)}, "focus"),
    "focus_world": ({"network": "shared", "hidden": (24, 8), "task": "realistic_easy"}, "focus"),
    "board": ({"view": "board"}, "board"),
    "board_world": ({"view": "board", "task": "realistic_easy"}, "board"),
    "mlp": ({}, "mlp"),
    "ppo": ({"algorithm": "ppo"}, "mlp"),
    "dqn": ({"algorithm": "dqn"}, "mlp"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (changes, _) in KINDS.items():
        train(TrainingConfig.model_validate(merge(SMALL, {**QUICK, **changes})), folder / name)
    return folder


def inputs(config: EnvConfig) -> tuple[np.ndarray, np.ndarray]:
    """Observations of about the right size, and masks."""
    draws, (numbers, actions) = np.random.default_rng(0), sizes(config)
    masks = draws.random((64, actions)) < 0.3
    masks[:, -1] = True
    return draws.normal(size=(64, numbers)).astype(np.float32), masks


@pytest.mark.parametrize("name", KINDS)
def test_an_exported_model_plays_as_the_run_does(name: str, runs: Path, tmp_path: Path) -> None:
    """Its actions are those of the model that was trained, in full precision on any input; its card tells the same."""
    card = export_model(runs / name, tmp_path / "out", half=False)
    model, origin = load_model(tmp_path / "out"), load_model(runs / name)
    assert card == model.card == origin.card.model_copy(update={"policy": KINDS[name][1]})
    observations, masks = inputs(card.config)
    assert (model.policy.actions(observations, masks) == origin.policy.actions(observations, masks)).all()
    task = KINDS[name][0].get("task", "medium_mixed")
    mine, theirs = (evaluate(folder, range(30), task) for folder in (tmp_path / "out", runs / name))
    assert (mine.episodes, mine.rows, mine.tools) == (theirs.episodes, theirs.rows, theirs.tools)


@pytest.mark.parametrize("name", ["focus_world", "board"])
def test_logits_are_those_of_the_network(name: str, runs: Path, tmp_path: Path) -> None:
    """The shared networks give the numbers that torch gives, to rounding."""
    card = export_model(runs / name, tmp_path, half=False)
    torch_policy = read_sb3(runs / name / WEIGHTS_OF["sb3"], read_card(runs / name)).policy
    observations, _ = inputs(card.config)
    wanted = torch_policy.mlp_extractor.forward_actor(torch_policy.obs_to_tensor(observations)[0]).detach().numpy()
    policy = load_model(tmp_path).policy
    assert isinstance(policy, SharedPolicy)
    assert policy.logits(observations) == pytest.approx(wanted, abs=1e-5)


def test_half_precision_halves_the_file(runs: Path, tmp_path: Path) -> None:
    """By default numbers are halves, and almost all actions stay the same."""
    export_model(runs / "focus_world", tmp_path / "half", name="mine")
    export_model(runs / "focus_world", tmp_path / "full", half=False)
    half, full = (tmp_path / name / WEIGHTS_OF["focus"] for name in ("half", "full"))
    assert {array.dtype for array in read_arrays(half).values()} == {np.dtype("float16")}
    assert half.stat().st_size < 0.6 * full.stat().st_size
    model, origin = load_model(tmp_path / "half"), load_model(tmp_path / "full")
    assert (model.name, origin.name) == ("mine", "focus_world")
    observations, masks = inputs(model.trained_on)
    same = model.policy.actions(observations, masks) == origin.policy.actions(observations, masks)
    assert same.mean() > 0.95


PROGRAM = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "stable_baselines3", "sb3_contrib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from agents import evaluate
for folder in sys.argv[1:]:
    print(len(evaluate(folder, range(5), "realistic_easy").episodes.score))
"""


def test_it_plays_without_torch_and_stable_baselines3(runs: Path, tmp_path: Path) -> None:
    """An exported model plays where neither library can be imported; the run itself does not."""
    export_model(runs / "focus_world", tmp_path / "focus")
    export_model(runs / "board_world", tmp_path / "board")
    asked = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        [*asked, tmp_path / "focus", tmp_path / "board"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["5", "5"]
    refused = subprocess.run([*asked, runs / "focus_world"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "needs stable-baselines3" in refused.stderr


def test_the_command_writes_a_folder_that_plays(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``export-model`` tells what it wrote, and refuses what is none in one line."""
    cli.main(["export-model", str(runs / "mlp"), "--output", str(tmp_path / "out"), "--name", "small"])
    assert "small" in capsys.readouterr().out
    assert load_model(tmp_path / "out").name == "small"
    for folder, message in ((tmp_path / "out", "one of policy 'sb3' is exported"), (tmp_path / "none", "not exist")):
        with pytest.raises(SystemExit) as ended:
            cli.main(["export-model", str(folder), "--output", str(tmp_path / "again")])
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held.pop("trunk_weight"), r"\['trunk_weight'\] are missing"),
        (lambda held: held.update(more=held["trunk_bias"]), r"\['more'\] have no place"),
        (lambda held: held.update(trunk_weight=held["trunk_weight"][:, :-1]), r"'trunk_weight' has shape \(24, 23\)"),
        (lambda held: held.update(trunk_bias=held["trunk_bias"][:-1]), r"has shape \(.*24.*\); \(.*23.*\) is needed"),
        (lambda held: held.pop("date_code_bias"), "arrays .*'date_code_bias'.* are needed"),
        (lambda held: held.update(trunk_bias=held["trunk_bias"] * np.float32(np.nan)), "'trunk_bias' holds numbers"),
        (lambda held: held.update(date_place=held["date_place"][:-7]), r"'date_place' has shape \(21, 8\); \(28, 8\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(change: Any, message: str, runs: Path, tmp_path: Path) -> None:
    """Each array must be there with the shape that the environment asks for, and finite; the error is one line."""
    export_model(runs / "focus_world", tmp_path)
    path = tmp_path / WEIGHTS_OF["focus"]
    held = {name: array.copy() for name, array in read_arrays(path).items()}
    change(held)
    write_arrays(path, held)
    with pytest.raises(ValueError, match=message) as told:
        load_model(tmp_path)
    assert str(told.value).startswith(f"weights {str(path)!r} cannot be read: ")
    assert "\n" not in str(told.value)


def test_another_view_or_a_damaged_file_is_refused(runs: Path, tmp_path: Path) -> None:
    """A card of one network with the weights of another, and files that are none, are told in one line."""
    export_model(runs / "board", tmp_path / "board")
    export_model(runs / "focus", tmp_path / "focus")
    path = tmp_path / "board" / WEIGHTS_OF["board"]
    shutil.copy(tmp_path / "focus" / WEIGHTS_OF["focus"], path)
    with pytest.raises(ValueError, match=r"cannot be read: arrays: .* are missing"):
        load_model(tmp_path / "board")
    card = (tmp_path / "board" / CARD_FILE).read_text()
    (tmp_path / "board" / CARD_FILE).write_text(card.replace('"policy": "board"', '"policy": "focus"'))
    with pytest.raises(ValueError, match="a network of the focus plays no board view"):
        load_model(tmp_path / "board")
    path = tmp_path / "focus" / WEIGHTS_OF["focus"]
    for damage in (b"", path.read_bytes()[:500]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match="cannot be read: it is no zip file"):
            load_model(tmp_path / "focus")
    write_archive(path, {f"{number}.npy": b"" for number in range(300)})
    with pytest.raises(ValueError, match="300 entries; at most 256"):
        load_model(tmp_path / "focus")


def test_a_shared_network_fits_its_own_weeks_only(runs: Path, tmp_path: Path) -> None:
    """A model is refused by an environment with other weeks, as every saved model."""
    export_model(runs / "focus_world", tmp_path)
    other = EnvConfig(generator=GeneratorConfig(num_weeks=5, world=WorldConfig()))
    with pytest.raises(ValueError, match="its episodes have 28 days and the environment's 35"):
        load_model(tmp_path, other)
