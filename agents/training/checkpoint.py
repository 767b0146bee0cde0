"""Checkpoints that a run goes on from as if it had not stopped: model, lanes, and every random state."""

from __future__ import annotations

import io
import os
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

import metric_tracker_env

from ..players.models.card import fingerprint
from .recorder import TimedVecEnv
from .settings import TrainingConfig


class Kept(NamedTuple):
    """What a checkpoint holds."""

    version: str  # of metric_tracker_env
    settings: str  # TrainingConfig as JSON
    fingerprint: str  # of the actions and the observation
    model: bytes  # stable-baselines3's zip
    envs: dict[str, Any]  # state of the lanes, in the middle of their episodes
    cpu_seconds: float  # spent on training so far
    replay: Any  # replay buffer of an off-policy algorithm
    action_space: spaces.Space[Any]  # with the random state that exploration draws from
    random_states: tuple[Any, Any, th.Tensor]  # of random, numpy and torch


class Loaded(NamedTuple):
    """A run to go on with."""

    model: Any
    envs: TimedVecEnv
    cpu_seconds: float
    random_states: tuple[Any, Any, th.Tensor]

    def restore_random_state(self) -> None:
        """Set the random states to what they were when the checkpoint was made."""
        python, numpy, torch = self.random_states
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - stable-baselines3 draws from it
        th.set_rng_state(torch)


class Checkpoint:
    """Writes the checkpoint of a run; each replaces the last in one move, so that there is always a whole one."""

    def __init__(self, path: Path, config: TrainingConfig) -> None:
        self._path, self._config = path, config

    def save(self, model: BaseAlgorithm, envs: TimedVecEnv, cpu_seconds: float) -> None:
        """Keep a run between two rollouts, and the CPU seconds spent on it so far."""
        zipped = io.BytesIO()
        model.save(zipped)
        kept = Kept(
            version=metric_tracker_env.__version__,
            settings=self._config.model_dump_json(),
            fingerprint=fingerprint(self._config.environment),
            model=zipped.getvalue(),
            # The state and not the object, which would be pickled by the name of a module of this package.
            envs=envs.__getstate__(),
            cpu_seconds=cpu_seconds,
            replay=model.replay_buffer if isinstance(model, OffPolicyAlgorithm) else None,
            action_space=model.action_space,
            random_states=(random.getstate(), np.random.get_state(), th.get_rng_state()),  # noqa: NPY002 - see above
        )
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            pickle.dump(tuple(kept), file)
        os.replace(fresh, self._path)


def load_checkpoint(path: Path, config: TrainingConfig, algorithms: Mapping[str, type[BaseAlgorithm]]) -> Loaded:
    """Read the checkpoint of a run. It holds pickled code: load only files that you trust.

    Raises:
        ValueError: if it is damaged, of another version, or of other settings than the run's.
    """
    try:
        with path.open("rb") as file:
            kept = Kept(*pickle.load(file))
    except (pickle.UnpicklingError, EOFError, TypeError, AttributeError, ImportError, IndexError) as error:
        raise ValueError(f"checkpoint {str(path)!r} cannot be read: {error}") from error
    if kept.version != metric_tracker_env.__version__ or kept.fingerprint != fingerprint(config.environment):
        raise ValueError(
            f"checkpoint {str(path)!r} was made by metric_tracker_env {kept.version} and this is "
            f"{metric_tracker_env.__version__}, whose episodes or actions may be others; start the run again"
        )
    if kept.settings != config.model_dump_json():
        raise ValueError(f"checkpoint {str(path)!r} was made with other settings than the run's; start the run again")
    envs = TimedVecEnv.__new__(TimedVecEnv)
    envs.__setstate__(kept.envs)
    zipped = io.BytesIO(kept.model)
    model = algorithms[config.algorithm].load(zipped, env=envs, device="cpu", force_reset=False)
    model.action_space = kept.action_space
    if isinstance(model, OffPolicyAlgorithm):
        model.replay_buffer = kept.replay
    return Loaded(model, envs, kept.cpu_seconds, kept.random_states)
