"""Training runs of some seconds, for tests."""

from __future__ import annotations

from typing import Any

from agents.training.settings import TrainingConfig, merge

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
