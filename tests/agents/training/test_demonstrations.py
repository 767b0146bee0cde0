"""Demonstrations: what is played, on which seeds, and that a policy learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_training import TASK, small
from sb3_contrib import MaskablePPO

from agents import get_agent
from agents.players.models.card import read_card
from agents.tasks import held_out_seeds
from agents.training import sb3_run
from agents.training.curve import Curve
from agents.training.demonstrations import Demonstrations, agreement, clone, demonstrate
from agents.training.settings import TrainingConfig
from metric_tracker_env import TASKS, MetricTrackerEnv

SHOWN: dict[str, Any] = {"network": "shared", "hidden": (32, 8), "demonstrations": {"episodes": 60, "epochs": 6}}


def shown_of(config: TrainingConfig, episodes: int) -> Demonstrations:
    """Demonstrations of the analyst as a run has them."""
    _, envs = sb3_run.build(config)
    return demonstrate("analyst", envs, episodes, config.ppo.gamma)


@pytest.mark.parametrize(("task", "view"), [(TASK, "focus"), ("realistic_easy", "focus"), ("realistic_easy", "board")])
def test_demonstrations_are_the_agent_on_training_seeds(task: str, view: str) -> None:
    """The first round is what the agent plays alone, seed by seed, on training seeds; rewards add up to the returns."""
    hidden = (16,) if view == "board" else (16, 8)
    config = small(task=task, view=view, network="shared", hidden=hidden, seed=1)
    lanes = config.lanes
    shown = shown_of(config, lanes)
    episodes = [shown.take(np.flatnonzero(shown.episodes == number)) for number in range(lanes)]
    env = MetricTrackerEnv(config=config.environment)
    agent = get_agent("analyst")(env)
    alone: list[list[int]] = []
    for seed in range(config.first_seed, config.first_seed + lanes):
        first, end = TASKS[task].training_seeds
        assert first <= seed < end
        assert seed not in held_out_seeds(task, 100_000)
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        actions: list[int] = []
        rewards: list[float] = []
        over = False
        while not over:
            actions.append(agent.act(observation, info))
            observation, reward, over, _, info = env.step(actions[-1])
            rewards.append(float(reward))
        alone.append(actions)
        (same,) = [played for played in episodes if played.actions.tolist() == actions][:1]
        assert same.returns == pytest.approx(np.cumsum(rewards[::-1])[::-1], abs=1e-5)
        assert same.masks[np.arange(len(actions)), actions].all()
    assert sorted(alone) == sorted(played.actions.tolist() for played in episodes)


def test_each_lane_shows_as_many_episodes() -> None:
    """As many whole episodes on each lane, at least as many as were asked for: short ones are not preferred."""
    shown = shown_of(small(), 9)
    assert np.unique(shown.episodes).tolist() == list(range(12))
    assert len(shown.actions) == len(shown.returns) == len(shown.masks) == len(shown.observations)


def test_cloning_raises_the_agreement_on_other_demonstrations() -> None:
    """A fitted policy does what the agent does far more often than before, on episodes that it was not fitted to."""
    config = small(**SHOWN, seed=1)
    assert config.demonstrations is not None
    model, _ = sb3_run.build(config)
    assert isinstance(model, MaskablePPO)
    others = shown_of(small(**SHOWN, seed=2), 20)
    before = agreement(model, others)
    errors = [np.square(values(model, others) - others.returns).mean()]
    fitted = clone(model, shown_of(config, 60), config.demonstrations, 0)
    errors.append(np.square(values(model, others) - others.returns).mean())
    assert (fitted.episodes, fitted.steps > 60) == (60, True)
    assert agreement(model, others) > before + 0.2
    assert fitted.agreement > before
    assert errors[1] < errors[0]


def values(model: Any, shown: Demonstrations) -> np.ndarray:
    """What a model expects of the steps of demonstrations."""
    observations = model.policy.obs_to_tensor(shown.observations.astype(np.float32))[0]
    return model.policy.predict_values(observations).detach().numpy()[:, 0]


def test_a_run_counts_and_names_its_demonstrations(tmp_path: Path) -> None:
    """The curve begins with the fitted policy, its time includes the fit, and the card names the demonstrations."""
    sb3_run.train(small(**SHOWN), tmp_path)
    card = read_card(tmp_path)
    assert (card.demonstrator, card.demonstration_episodes) == ("analyst", 60)
    points = Curve.read(tmp_path / "curve.csv", 10**9).points
    assert [point.steps for point in points] == [0, 256, 512, 768, 1024]
    assert 0 < points[0].environment_seconds < points[0].cpu_seconds < points[-1].cpu_seconds


def test_a_run_goes_on_after_its_demonstrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped before its first step of training goes on from the fit, to the same curve and weights."""
    config = small(**SHOWN)
    sb3_run.train(config, tmp_path / "whole")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sb3_run, "_learn", stop)
        with pytest.raises(KeyboardInterrupt):
            sb3_run.train(config, tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(sb3_run, "demonstrate", stop)
        sb3_run.resume(tmp_path / "stopped")
    one, other = (Curve.read(tmp_path / name / "curve.csv", 10**9).points for name in ("whole", "stopped"))
    assert [(p.steps, p.score, p.cost) for p in one] == [(p.steps, p.score, p.cost) for p in other]
