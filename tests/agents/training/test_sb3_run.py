"""A run with stable-baselines3: what it leaves, that it repeats itself, and that it goes on after an interruption."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_training import KIND_NAMES, NAMED_KINDS, TASK, small
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecMonitor

from agents import evaluate, load_model
from agents.players.models.card import read_card
from agents.tasks import SEEDS_PER_RUN, held_out_seeds
from agents.training import sb3_run
from agents.training.checkpoint import Kept
from agents.training.curve import Curve
from agents.training.recorder import Recorder
from metric_tracker_env.sb3 import BoardPolicy, MetricTrackerVecEnv


def weights_of(folder: Path) -> list[np.ndarray]:
    """The weights of a saved model."""
    algorithm = {"maskable_ppo": MaskablePPO, "ppo": PPO, "dqn": DQN}[read_card(folder).algorithm]
    model = algorithm.load(folder / "model.zip", device="cpu", custom_objects={"buffer_size": 1})
    return [value.numpy() for value in model.policy.state_dict().values()]


def scores_of(folder: Path) -> list[tuple[float, ...]]:
    """The learning curve without the clocks."""
    points = Curve.read(folder / "curve.csv", 10**9).points
    return [(p.steps, p.score, p.low, p.high, p.precision, p.recall, p.net, p.cost) for p in points]


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


@pytest.mark.parametrize("name", KIND_NAMES)
def test_what_is_saved_names_no_module_of_this_package(name: str, runs: dict[str, Path]) -> None:
    """Model and checkpoint are read wherever the code is, and whatever it is called there."""
    with zipfile.ZipFile(runs[name] / "model.zip") as model:
        data = json.loads(model.read("data"))
    kept = [item for item in data.values() if isinstance(item, dict) and ":serialized:" in item]
    pickles = [base64.b64decode(item[":serialized:"]) for item in kept]
    pickles.append((runs[name] / "checkpoint.pkl").read_bytes())
    assert len(pickles) > 5
    assert any(b"stable_baselines3" in pickled for pickled in pickles)
    assert not [pickled for pickled in pickles if b"agents." in pickled]


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
