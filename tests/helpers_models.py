"""Saved models for tests: small networks, random or written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents import save_mlp
from agents.players.models.card import WEIGHTS_OF
from agents.players.scripts.desk import Desk
from agents.tasks import SEEDS_PER_RUN
from metric_tracker_env import EnvConfig, MetricTrackerEnv
from metric_tracker_env.tasks import TRAINING_SEEDS

FOCUS, BOARD = EnvConfig(), EnvConfig(view="board")


TOLD: dict[str, Any] = {"library": "torch", "algorithm": "ppo", "steps": 7, "seed": 3}


# Number of the last run whose seeds the training range of the named tasks holds.
LAST_RUN = len(TRAINING_SEEDS) // SEEDS_PER_RUN - 1
Layers = list[tuple[np.ndarray, np.ndarray]]


def sizes(config: EnvConfig) -> tuple[int, int]:
    """Numbers of an observation, and actions."""
    env = MetricTrackerEnv(config=config)
    return env.observation_layout.size, len(env.actions)


def random_layers(config: EnvConfig, hidden: int = 24, seed: int = 0) -> Layers:
    """A network with one hidden layer."""
    draws, (inputs, actions) = np.random.default_rng(seed), sizes(config)
    first = draws.normal(size=(inputs, hidden)) / np.sqrt(inputs), draws.normal(size=hidden)
    return [first, (draws.normal(size=(hidden, actions)), draws.normal(size=actions))]


def saved(folder: Path, config: EnvConfig = FOCUS, masked: bool = True, name: str = "net", seed: int = 0) -> Path:
    """A random network, saved."""
    layers = random_layers(config, seed=seed)
    save_mlp(folder, layers, "tanh", name=name, masked=masked, config=config, **TOLD)
    return folder


def threshold_layers(config: EnvConfig) -> Layers:
    """One layer, by hand: survey; then open the next flagged date, inspect what its flags ask for, report all; submit.

    An action's logit is its rank; inspections come up from below where their family's flag is set.
    """
    env = MetricTrackerEnv(config=config)
    desk, flags = Desk(env), env.observation_layout.parts["focus_flags"].places
    inputs, actions = sizes(config)
    weight, bias = np.zeros((inputs, actions)), np.full(actions, -1000.0)
    bias[desk.survey], bias[desk.submit] = 90.0, 0.0
    bias[[desk.report(0, entity) for entity in range(len(desk.entities))]] = 30.0
    bias[env.actions.encode("rows_for_date", date="next_flagged")] = 10.0
    order = (("check_impossible_counts", 6), ("hourly_rows_for_date", 5), ("detect_funnel_break", 4))
    for rank, (tool, family) in enumerate(order):
        action = desk.inspect(tool, 0)
        weight[flags[family], action], bias[action] = 1000.0, -1000.0 + 60.0 - rank
    return [(weight, bias)]


def arrays_of(folder: Path) -> list[np.ndarray]:
    """The weights and biases of a saved network."""
    with np.load(folder / WEIGHTS_OF["mlp"]) as file:
        return [file[name] for name in sorted(file.files) if name != "activation"]
