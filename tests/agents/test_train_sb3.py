"""Training with stable-baselines3: settings, presets, what a run leaves, and that it goes on after an interruption."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecMonitor

from agents import train_sb3
from agents.evaluation.evaluate import evaluate, held_out_seeds
from agents.players.models import load_model, read_card
from agents.training import sb3_run
from agents.training.checkpoint import Kept
from agents.training.curve import Curve, labels_of
from agents.training.recorder import Recorder
from agents.training.settings import (
    MAX_RUN_SEED,
    PRESETS,
    SEEDS_PER_RUN,
    Ramp,
    TrainingConfig,
    load_preset,
    merge,
    preset_path,
    validation_seeds,
)
from metric_tracker_env import TASKS
from metric_tracker_env.sb3 import BoardPolicy, MetricTrackerVecEnv
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TRAINING_SEEDS

ROOT = Path(__file__).parents[2]
TASK = "easy_single_spike"
SMALL: dict[str, Any] = {
    "task": TASK,
    "total_steps": 1024,
    "lanes": 4,
    "hidden": (16,),
    "learning_rate": {"start": 1e-3, "end": 1e-4, "hold": 0.25},
    "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "ent_coef": {"start": 0.01, "end": 0.001}},
    "dqn": {"buffer_size": 600, "learning_starts": 128, "batch_size": 32, "target_update_interval": 64},
    "evaluations": 4,
    "evaluation_episodes": 5,
    "checkpoints": 4,
}
KINDS = [
    {"algorithm": "maskable_ppo"},
    {"algorithm": "maskable_ppo", "view": "board", "step_cost": {"start": 0.0, "end": 0.02, "hold": 0.25}},
    {"algorithm": "ppo", "reward": "dense", "step_cost": 0.0},
    {"algorithm": "dqn"},
]
KIND_NAMES = ["maskable_ppo", "board", "ppo", "dqn"]
NAMED_KINDS = list(zip(KIND_NAMES, KINDS, strict=True))


def small(**changes: Any) -> TrainingConfig:
    """A run of some seconds."""
    return TrainingConfig.model_validate(merge(SMALL, changes))


def weights_of(folder: Path) -> list[np.ndarray]:
    """The weights of a saved model."""
    algorithm = {"maskable_ppo": MaskablePPO, "ppo": PPO, "dqn": DQN}[read_card(folder).algorithm]
    model = algorithm.load(folder / "model.zip", device="cpu", custom_objects={"buffer_size": 1})
    return [value.numpy() for value in model.policy.state_dict().values()]


def scores_of(folder: Path) -> list[tuple[float, ...]]:
    """The learning curve without the clocks."""
    points = Curve.read(folder / "curve.csv", 10**9).points
    return [(p.steps, p.score, p.low, p.high, p.precision, p.recall, p.net, p.cost) for p in points]


# Settings


def test_ramp_holds_then_falls() -> None:
    """A ramp keeps its start, then falls to its end, in a line or in a curve that ends flat."""
    ramp = Ramp(start=1.0, end=0.2, hold=0.5)
    assert [ramp(left) for left in (1.0, 0.75, 0.5)] == [1.0, 1.0, 1.0]
    assert [round(ramp(left), 12) for left in (0.25, 0.0)] == [0.6, 0.2]
    curve = Ramp(start=0.9, end=0.1, power=2.0)
    assert [round(curve(left), 12) for left in (1.0, 0.5, 0.25, 0.0)] == [0.9, 0.3, 0.15, 0.1]
    flat = Ramp(start=0.3, end=0.3)
    assert flat(1.0) == flat(0.5) == flat(0.0) == 0.3


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("task", TASKS)
def test_presets(path: Path, task: str) -> None:
    """Each preset fits every task, and is named by its algorithm and view."""
    config = TrainingConfig.model_validate({})
    for algorithm in ("maskable_ppo", "ppo", "dqn"):
        for view in ("focus", "board"):
            if preset_path(algorithm, view) == path:
                config = load_preset(path).config(task, algorithm=algorithm, view=view)
                assert (config.algorithm, config.view, config.task) == (algorithm, view, task)
                break
    assert config.name in {f"{task}-{config.view}-{config.algorithm}-seed0"}
    assert config.environment.difficulty == TASKS[task].config.difficulty


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "no_such"}, "no_such"),
        ({"algorithm": "a2c"}, "algorithm"),
        ({"view": "board", "algorithm": "ppo"}, "'ppo' has no network for view 'board'"),
        ({"view": "board", "hidden": (16, 16)}, "hidden"),
        ({"lanes": 0}, "lanes"),
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 1.5}, "total_steps"),
        ({"seed": MAX_RUN_SEED + 1}, "seed"),
        ({"seed": -1}, "seed"),
        ({"ppo": {"batch_size": 100}}, "batch_size 100 does not divide"),
        ({"ppo": {"gamma": 1.5}}, "gamma"),
        ({"step_cost": 1.5}, r"step_cost\S*\n\s+Input should be less than or equal to 1"),
        ({"step_cost": {"start": 0.1, "end": 1.5}}, r"step_cost\S*\.end\n\s+Input should be less than or equal to 1"),
        ({"step_cost": {"end": 0.1}}, r"step_cost\S*\.start\n\s+Field required"),
        ({"learning_rate": {"start": float("nan")}}, "learning_rate"),
        ({"no_such_key": 1}, "no_such_key"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], told: str) -> None:
    """Each bad setting is named with what is allowed."""
    with pytest.raises(ValueError, match=told):
        small(**changes)


def test_bad_presets_are_refused(tmp_path: Path) -> None:
    """A preset that is missing, malformed, or wrong for one of its tasks names the file and the key."""
    for text, told in (
        ("settings = 3", "settings"),
        ("[settings]\nlanes = -2", "lanes"),
        ("[settings]\n[tasks.hard_mixed]\nn_steps = 3", "n_steps"),
        ("[settings]\n[tasks.no_such]\nlanes = 3", "no_such"),
        ("[settings", "malformed"),
    ):
        path = tmp_path / "preset.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            load_preset(path)
    with pytest.raises(ValueError, match="does not exist"):
        load_preset(tmp_path / "none.toml")


def test_seeds_of_runs_and_evaluations_are_apart() -> None:
    """Lanes of any run are seeded inside the training range and no two runs share one; evaluations are held out."""
    first, last = small(seed=0), small(seed=MAX_RUN_SEED)
    assert first.first_seed == TRAINING_SEEDS.start
    assert last.first_seed + SEEDS_PER_RUN <= TRAINING_SEEDS.stop
    assert small(seed=1).first_seed - first.first_seed == SEEDS_PER_RUN
    for task in TASKS:
        checked = validation_seeds(task, 10_000)
        assert len(checked) == 10_000
        assert set(checked) <= set(HELD_OUT_SEEDS)
        assert not set(checked) & set(held_out_seeds(task, 10_000))


# Runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each kind."""
    folders: dict[str, Path] = {}
    for name, kind in NAMED_KINDS:
        folders[name] = tmp_path_factory.mktemp("runs") / name
        sb3_run.train(small(**kind), folders[name])
    return folders


@pytest.mark.parametrize(("name", "kind"), NAMED_KINDS, ids=KIND_NAMES)
def test_a_run_leaves_a_model_that_plays(name: str, kind: dict[str, Any], runs: dict[str, Path]) -> None:
    """The folder of a run holds settings, curve, tensorboard and a model that the evaluation plays."""
    folder, config = runs[name], small(**kind)
    assert sb3_run.load_settings(folder) == config
    card = read_card(folder)
    assert (card.algorithm, card.config, card.seed) == (config.algorithm, config.environment, config.seed)
    assert card.steps >= config.total_steps
    assert card.masked == (config.algorithm == "maskable_ppo")
    played = evaluate(str(folder), held_out_seeds(TASK, 5), TASK, options={"view": config.view})
    assert len(played.episodes.score) == 5
    load_model(folder, config.environment)
    curve = Curve.read(folder / "curve.csv", 10**9)
    assert len(curve.points) == 4
    assert curve.points[-1].steps == card.steps
    assert 0 < curve.points[-1].environment_seconds < curve.points[-1].cpu_seconds
    assert list((folder / "tensorboard").iterdir())


def test_training_is_reproducible(runs: dict[str, Path], tmp_path: Path) -> None:
    """The same settings give the same weights and the same curve; another seed gives others."""
    sb3_run.train(small(), tmp_path / "again")
    sb3_run.train(small(seed=1), tmp_path / "other")
    first, again, other = (
        weights_of(folder) for folder in (runs["maskable_ppo"], tmp_path / "again", tmp_path / "other")
    )
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    assert scores_of(runs["maskable_ppo"]) == scores_of(tmp_path / "again")


@pytest.mark.parametrize(("name", "kind"), NAMED_KINDS, ids=KIND_NAMES)
def test_resume_gives_what_no_interruption_gives(
    name: str, kind: dict[str, Any], runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped between two checkpoints and resumed ends with the weights and curve of one that was not."""

    def stop(recorder: Recorder) -> bool:
        if recorder.num_timesteps >= 700:
            raise KeyboardInterrupt
        return True

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_on_step", stop)
        with pytest.raises(KeyboardInterrupt):
            sb3_run.train(small(**kind), tmp_path)
    assert not (tmp_path / "model.json").exists()
    resumed, _ = sb3_run.resume(tmp_path)
    assert resumed == small(**kind)
    for one, two in zip(weights_of(runs[name]), weights_of(tmp_path), strict=True):
        assert np.array_equal(one, two)
    assert scores_of(tmp_path) == scores_of(runs[name])


def test_the_step_cost_follows_its_ramp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each rollout is played at the ramp's step cost, evaluations at the task's."""
    paid: list[float] = []

    def note(recorder: Recorder) -> bool:
        paid.append(recorder.training_env.get_attr("step_cost")[0])
        return True

    monkeypatch.setattr(Recorder, "_on_step", note)
    config = small(step_cost={"start": 0.0, "end": 0.04, "hold": 0.5}, ppo={"n_steps": 64})
    curve = sb3_run.train(config, tmp_path)
    assert sorted(set(paid)) == pytest.approx([0.0, 0.02])
    assert [paid.count(cost) for cost in sorted(set(paid))] == [64 * 3, 64]
    for point in curve.points:
        assert point.net == pytest.approx(point.score - 0.005 * point.cost)


def test_a_run_is_what_its_settings_say() -> None:
    """A model put together by hand, its lanes seeded from the run's own range, learns the same weights."""
    config = small(view="board", seed=2)
    by_settings, _ = sb3_run.build(config)
    by_settings.learn(256)
    envs = MetricTrackerVecEnv(4, task=TASK, view="board")
    by_hand = MaskablePPO(
        BoardPolicy,
        VecMonitor(envs),
        learning_rate=1e-3,
        n_steps=32,
        batch_size=64,
        n_epochs=2,
        gamma=1.0,
        ent_coef=0.01,
        policy_kwargs={"hidden": 16},
        seed=2,
        device="cpu",
    )
    envs.seed(2 * SEEDS_PER_RUN)
    by_hand.learn(256)
    states = [model.policy.state_dict().values() for model in (by_settings, by_hand)]
    assert all(np.array_equal(one.numpy(), two.numpy()) for one, two in zip(*states, strict=True))


# Wrong use


def test_labels_of_a_curve_do_not_overlap() -> None:
    """Scores that are close share one label, best on top; the others have their own, at their height."""
    found = labels_of({"oracle": 1.0, "analyst": 0.99, "zscore": 0.7, "random": 0.01, "nothing": 0.0})
    assert [text for text, _ in found] == ["random 0.010\nnothing 0.000", "zscore 0.700", "oracle 1.000\nanalyst 0.990"]
    assert [height for _, height in found] == pytest.approx([0.005, 0.7, 0.995])


def test_a_folder_holds_one_run(runs: dict[str, Path]) -> None:
    """A run is not written over another, and a complete one is not resumed."""
    with pytest.raises(ValueError, match="holds a run already"):
        sb3_run.train(small(), runs["maskable_ppo"])
    with pytest.raises(ValueError, match="complete"):
        sb3_run.resume(runs["maskable_ppo"])


def test_resume_of_nothing_is_refused(tmp_path: Path) -> None:
    """A folder without a run, or a run without a checkpoint, cannot be resumed."""
    with pytest.raises(ValueError, match="holds no run"):
        sb3_run.resume(tmp_path)
    (tmp_path / "training.json").write_text(small().model_dump_json(), encoding="utf-8")
    with pytest.raises(ValueError, match="checkpoint"):
        sb3_run.resume(tmp_path)


def test_wrong_checkpoints_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    """A checkpoint that is damaged, of another version, or of other settings is told apart."""
    (tmp_path / "training.json").write_text(small().model_dump_json(), encoding="utf-8")
    (tmp_path / "curve.csv").write_bytes((runs["maskable_ppo"] / "curve.csv").read_bytes())
    data = (runs["maskable_ppo"] / "checkpoint.pkl").read_bytes()
    kept = Kept(*pickle.loads(data))
    for content, told in (
        (data[: len(data) // 2], "cannot be read"),
        (b"no checkpoint", "cannot be read"),
        (pickle.dumps(tuple(kept._replace(version="0.0.1"))), "0.0.1"),
        (pickle.dumps(tuple(kept._replace(fingerprint="other"))), "start the run again"),
        (pickle.dumps(tuple(kept._replace(settings="{}"))), "other settings"),
    ):
        (tmp_path / "checkpoint.pkl").write_bytes(content)
        with pytest.raises(ValueError, match=told):
            sb3_run.resume(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--task", "no_such"], "no_such"),
        (["--view", "board", "--algorithm", "ppo"], "ppo_board.toml"),
        (["--settings", "lanes = -1"], "lanes"),
        (["--settings", "lanes ="], "lanes ="),
        (["--resume-from", "no/such/folder"], "no/such/folder"),
        (["--total-steps", "0"], "total_steps"),
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
