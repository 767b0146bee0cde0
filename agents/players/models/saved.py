"""A saved model as a player, and as an agent of one environment."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv

from ..outcome import Played, Progress
from ..player import Assignment, PlaysForNothing
from ..policy import Policy, play_policy
from ..registry import folder_of, register_folder
from .card import CARD_FILE, WEIGHTS_OF, ModelCard, check_fits, read_card
from .mlp import load_mlp
from .sb3 import load_sb3
from .shared import load_shared


@dataclass(frozen=True)
class LoadedModel(PlaysForNothing):
    """A saved model, ready to play."""

    card: ModelCard
    policy: Policy
    kind = "model"

    @property
    def name(self) -> str:
        """That of the card."""
        return self.card.name

    @property
    def trained_on(self) -> EnvConfig:
        """That of the card."""
        return self.card.config

    def check(self, config: EnvConfig) -> None:
        """Refuse a configuration with another observation or other actions.

        Raises:
            ValueError: saying what differs.
        """
        check_fits(self.card, config)

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play in this process, many episodes at a time."""
        del pool
        return play_policy(self.policy, asked, progress)


class ModelAgent:
    """A saved model as an agent of one environment."""

    def __init__(self, env: gym.Env[np.ndarray, Any], model: LoadedModel | str | Path) -> None:
        game = env.unwrapped
        if not isinstance(game, MetricTrackerEnv):
            raise TypeError(f"env is a {type(game).__name__}; saved models play MetricTrackerEnv")
        self.model = model if isinstance(model, LoadedModel) else load_model(model)
        check_fits(self.model.card, game.config)

    def begin(self, seed: int) -> None:
        """Nothing to prepare: a model knows nothing but the observation."""
        del seed

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """The greedy action."""
        return int(self.model.policy.actions(observation[None], info["action_mask"][None].astype(bool))[0])


@register_folder(CARD_FILE)
def load_model(folder: str | Path, config: EnvConfig | None = None) -> LoadedModel:
    """Load a saved model. One of policy "sb3" holds pickled code: load only files that you trust.

    Args:
        folder: Of the model, or the name of one that comes with the package, such as "pretrained/realistic_medium".
        config: What it is to play; None checks only that it plays what it was trained on.

    Raises:
        ValueError: if the folder, card or weights are missing or damaged, the model is of another environment or of a
            version with other actions or observations, or it does not fit ``config``.
        ImportError: naming the extra, if its library is not installed.
    """
    place = folder_of(folder)
    card = read_card(place)
    if config is not None:
        check_fits(card, config)
    path = place / WEIGHTS_OF[card.policy]
    if not path.is_file():
        raise ValueError(f"model folder {str(place)!r} has no {path.name}, the weights that its card speaks of")
    readers = {"sb3": load_sb3, "mlp": load_mlp, "focus": load_shared, "board": load_shared}
    return LoadedModel(card, readers[card.policy](path, card))
