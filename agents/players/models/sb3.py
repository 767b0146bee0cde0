"""Models that stable-baselines3 or sb3-contrib saved."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...command_line import how_to_install
from .card import SB3_ALGORITHMS, ModelCard, sizes

# What a saved model holds to be trained on with, and what to read instead. Playing needs none of it: a replay buffer
# can be large, and schedules and the like are pickled by the name of a module that may not be there.
FOR_TRAINING: dict[str, Any] = {
    "learning_rate": 0.0,
    "lr_schedule": None,
    "clip_range": 0.0,
    "clip_range_vf": None,
    "exploration_schedule": None,
    "action_noise": None,
    "ep_info_buffer": None,
    "ep_success_buffer": None,
    "_last_obs": None,
    "_last_episode_starts": None,
    "_last_original_obs": None,
    "buffer_size": 1,
}


class Sb3Policy:
    """A model of stable-baselines3 or sb3-contrib."""

    def __init__(self, model: Any, masked: bool) -> None:
        self._model, self._masked = model, masked

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        told = {"action_masks": masks} if self._masked else {}
        chosen, _ = self._model.predict(observations, deterministic=True, **told)
        return np.asarray(chosen, np.int64)


def load_sb3(path: Path, card: ModelCard) -> Sb3Policy:
    """A model that stable-baselines3 saved, as a policy."""
    return Sb3Policy(read_sb3(path, card), card.masked)


def read_sb3(path: Path, card: ModelCard) -> Any:
    """A model that stable-baselines3 saved.

    Raises:
        ValueError: if it is damaged, or of another network than its card says.
        ImportError: naming the extra, if the library is not installed.
    """
    try:
        from sb3_contrib import MaskablePPO
        from stable_baselines3 import DQN, PPO
    except ImportError as error:
        raise ImportError(
            f"model {card.name!r} needs stable-baselines3 and sb3-contrib ({error}); {how_to_install('sb3')}"
        ) from error
    algorithm = (MaskablePPO, PPO, DQN)[SB3_ALGORITHMS.index(card.algorithm)]
    damage = (ValueError, AssertionError, KeyError, AttributeError, TypeError, RuntimeError, OSError, EOFError)
    try:
        model = algorithm.load(path, device="cpu", custom_objects=FOR_TRAINING)
    except (*damage, ImportError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error
    size, actions = sizes(card.config)
    found = model.observation_space.shape, getattr(model.action_space, "n", None)
    if found != ((size,), actions):
        raise ValueError(
            f"weights {str(path)!r} are of a network with observation {found[0]} and {found[1]} actions; "
            f"its card says ({size},) and {actions}"
        )
    return model
