"""Runs of the two scripts that train with plain PyTorch and with TorchRL: what they leave, and that they learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_models import LAST_RUN, arrays_of
from helpers_tasks import FIRST_TRAINING, own_task

from agents import train_ppo
from agents.evaluation.evaluate import evaluate
from agents.players.models.card import read_card
from agents.tasks import SEEDS_PER_RUN, held_out_seeds, task_of
from agents.train_ppo import Options
from metric_tracker_env import MetricTrackerVectorEnv
from metric_tracker_env.tasks import TRAINING_SEEDS, build_config

with warnings.catch_warnings():
    # TorchRL 0.14 warns of classes of its own when it is imported.
    warnings.filterwarnings("ignore", "Creating .* which inherits from WeightUpdaterBase", DeprecationWarning)
    from agents import train_torchrl

TASK = "easy_single_spike"
SMALL = Options(task=TASK, total_steps=500, num_envs=4, num_steps=64, minibatch_size=64, update_epochs=2, hidden=16)
LEARNS = Options(task=TASK, total_steps=60_000, num_envs=128, minibatch_size=512, ent_coef=0.1, hidden=64)
TRAINERS: dict[str, Callable[[Options], Path]] = {"torch": train_ppo.train, "torchrl": train_torchrl.train}
by_either = pytest.mark.parametrize("library", TRAINERS)


@by_either
def test_a_run_leaves_a_model_that_plays(library: str, tmp_path: Path) -> None:
    """A run saves an actor that the evaluation plays, every action legal, with a card that says what it is."""
    folder = TRAINERS[library](replace(SMALL, output=tmp_path / "run"))
    card = read_card(folder)
    assert (card.name, card.library, card.masked, card.seed) == ("run", library, True, 0)
    assert card.config == build_config(TASK, options={"reward": "dense"})  # what it was trained on
    assert card.steps == 512  # 500, made up to whole rollouts
    played = evaluate(folder, held_out_seeds(TASK, 20), TASK)
    assert sum(played.episodes.illegal) == 0
    assert len(played.episodes.score) == 20


@by_either
def test_training_is_reproducible(library: str, tmp_path: Path) -> None:
    """The same seed gives the same weights, another seed others."""
    first, again, other = (
        arrays_of(TRAINERS[library](replace(SMALL, seed=seed, output=tmp_path / name)))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@by_either
def test_it_learns(library: str, tmp_path: Path) -> None:
    """A short run scores far above a model that has not learned."""
    train = TRAINERS[library]
    untrained = train(replace(LEARNS, total_steps=1, learning_rate=0.0, output=tmp_path / "untrained"))
    trained = train(replace(LEARNS, output=tmp_path / "trained"))
    before, after = (evaluate(folder, held_out_seeds(TASK, 200), TASK).mean() for folder in (untrained, trained))
    assert before < 0.2
    assert after > before + 0.3


@by_either
@pytest.mark.parametrize("seed", [0, 1, LAST_RUN])
def test_seeds_are_of_the_training_range(
    library: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lanes of a run are seeded from its own part of the training range, that of an own task too."""
    train = TRAINERS[library]
    seeds: list[Any] = []
    reset = MetricTrackerVectorEnv.reset

    def recorded(envs: MetricTrackerVectorEnv, **given: Any) -> Any:
        seeds.append(given.get("seed"))
        return reset(envs, **given)

    monkeypatch.setattr(MetricTrackerVectorEnv, "reset", recorded)
    train(replace(SMALL, total_steps=1, seed=seed, output=tmp_path / "run"))
    assert seeds[0] is not None
    assert [s for s in seeds if s is not None] == [TRAINING_SEEDS.start + seed * SEEDS_PER_RUN]
    assert TRAINING_SEEDS.start + (seed + 1) * SEEDS_PER_RUN <= TRAINING_SEEDS.stop
    seeds.clear()
    own = own_task(tmp_path)
    folder = train(replace(SMALL, task=str(own), total_steps=1, episodes=100, output=tmp_path / "own"))
    assert [s for s in seeds if s is not None] == [FIRST_TRAINING]
    assert read_card(folder).config == build_config(config=task_of(own).config, options={"reward": "dense"})
