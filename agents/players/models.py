"""Saved models: a folder with a card, which says what the model plays, and the weights.

A model of policy "mlp" is read by NumPy alone. One of policy "sb3" is stable-baselines3's own zip, which holds
pickled code: load only files that you trust.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self, get_args

import gymnasium as gym
import numpy as np
from pydantic import Field, StrictBool, StrictInt, ValidationError, model_validator

import metric_tracker_env
from metric_tracker_env import ENV_ID, EnvConfig, MetricTrackerEnv
from metric_tracker_env.schema import StrictModel

CARD_FILE, MODEL_FILE, WEIGHTS_FILE = "model.json", "model.zip", "weights.npz"
FORMAT = 1
SB3_ALGORITHMS = ("maskable_ppo", "ppo", "dqn")

Activation = Literal["tanh", "relu"]
PolicyKind = Literal["sb3", "mlp"]
WEIGHTS_OF: dict[PolicyKind, str] = {"sb3": MODEL_FILE, "mlp": WEIGHTS_FILE}


class ModelCard(StrictModel):
    """What a saved model is."""

    name: str = Field(min_length=1, description="Shown on the leaderboard.")
    library: str = Field(min_length=1, description="That trained it: stable-baselines3, torch, torchrl, rllib.")
    algorithm: str = Field(min_length=1, description="maskable_ppo, ppo, dqn, ...")
    policy: PolicyKind = Field(description="How the weights are read.")
    masked: StrictBool = Field(description="Whether it plays legal actions only.")
    environment_id: str
    version: str = Field(description="Of metric_tracker_env, which saved it.")
    config: EnvConfig = Field(description="What it was trained on, as training began.")
    fingerprint: str = Field(description="Of the actions and the observation, see ``fingerprint``.")
    steps: StrictInt = Field(ge=0, description="Environment steps of training.")
    seed: StrictInt = Field(ge=0)
    format: Literal[1] = FORMAT

    @model_validator(mode="after")
    def _check_algorithm(self) -> Self:
        if self.policy == "sb3" and self.algorithm not in SB3_ALGORITHMS:
            raise ValueError(
                f"algorithm {self.algorithm!r} is not one of {list(SB3_ALGORITHMS)}, as policy 'sb3' needs"
            )
        if self.policy == "sb3" and self.masked != (self.algorithm == "maskable_ppo"):
            raise ValueError(f"masked {self.masked} is wrong for {self.algorithm!r}; only 'maskable_ppo' takes a mask")
        return self


class Policy(Protocol):
    """Chooses actions for many observations at once."""

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        ...


class LoadedModel(NamedTuple):
    """A saved model, ready to play."""

    card: ModelCard
    policy: Policy


class MlpPolicy:
    """A multilayer perceptron in float32: each layer but the last is followed by the activation."""

    def __init__(self, layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: Activation, masked: bool) -> None:
        self._layers, self._masked = layers, masked
        self._activation = np.tanh if activation == "tanh" else _relu

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        *hidden, (weight, bias) = self._layers
        values = observations
        for inner, offset in hidden:
            values = self._activation(values @ inner + offset)
        logits = values @ weight + bias
        if self._masked:
            logits = np.where(masks, logits, -np.inf)
        return logits.argmax(axis=1)


class Sb3Policy:
    """A model of stable-baselines3 or sb3-contrib."""

    def __init__(self, model: Any, masked: bool) -> None:
        self._model, self._masked = model, masked

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        told = {"action_masks": masks} if self._masked else {}
        chosen, _ = self._model.predict(observations, deterministic=True, **told)
        return np.asarray(chosen, np.int64)


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


def fingerprint(config: EnvConfig) -> str:
    """What the inputs and outputs of a network mean in an environment, as a SHA-256 in hex.

    It covers the view, every action (dates as day indices) and the parts of the observation, so that another view,
    funnel or number of weeks has another fingerprint. Difficulty, incidents, reward, costs and budget do not matter.
    """
    env = MetricTrackerEnv(config=config)
    day = {date: f"day {index}" for index, date in enumerate(config.generator.date_names)}
    actions: list[list[str]] = []
    for index in range(len(env.actions)):
        tool, arguments = env.actions.decode(index)
        actions.append([tool, *(f"{name}={day.get(str(value), value)}" for name, value in arguments.items())])
    parts = [[name, part.start, list(part.shape), part.stride] for name, part in env.observation_layout.parts.items()]
    meaning = json.dumps([config.view, actions, parts])
    return hashlib.sha256(meaning.encode()).hexdigest()


def check_fits(card: ModelCard, config: EnvConfig) -> None:
    """Refuse a model whose observation or actions are not those of a configuration.

    Raises:
        ValueError: saying what differs.
    """
    if fingerprint(config) == card.fingerprint:
        return
    ours, its = config.generator, card.config.generator
    differing: list[str] = []
    if config.view != card.config.view:
        differing.append(f"its view is {card.config.view!r} and the environment's {config.view!r}")
    if ours.catalogue.entities != its.catalogue.entities:
        names, others = (
            [f"{e.entity_type} {e.entity_name}" for e in generator.catalogue.entities] for generator in (its, ours)
        )
        only, missing = [n for n in names if n not in others], [n for n in others if n not in names]
        order = "" if only or missing else "; they are in another order"
        differing.append(
            f"its funnel has {len(names)} entities and the environment's {len(others)}"
            f"{_some('only in its', only)}{_some('only in the environment', missing)}{order}"
        )
    if ours.num_days != its.num_days:
        differing.append(f"its episodes have {its.num_days} days and the environment's {ours.num_days}")
    told = "; ".join(differing) or "the actions or the observation differ"
    raise ValueError(f"model {card.name!r} does not fit the environment: {told}")


def is_model(path: str | Path) -> bool:
    """Whether a path is the folder of a saved model."""
    return (Path(path) / CARD_FILE).is_file()


def write_card(
    folder: str | Path,
    *,
    name: str,
    library: str,
    algorithm: str,
    policy: PolicyKind,
    masked: bool,
    config: EnvConfig,
    steps: int,
    seed: int,
) -> ModelCard:
    """Write the card of a model into its folder, beside the weights.

    Raises:
        ValueError: for a bad field.
    """
    card = ModelCard(
        name=name,
        library=library,
        algorithm=algorithm,
        policy=policy,
        masked=masked,
        environment_id=ENV_ID,
        version=metric_tracker_env.__version__,
        config=config,
        fingerprint=fingerprint(config),
        steps=steps,
        seed=seed,
    )
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def save_mlp(
    folder: str | Path,
    layers: Sequence[tuple[np.ndarray, np.ndarray]],
    activation: Activation,
    *,
    name: str,
    library: str,
    algorithm: str,
    masked: bool,
    config: EnvConfig,
    steps: int,
    seed: int,
) -> ModelCard:
    """Save the actor of a network as plain arrays.

    Args:
        folder: Made if it is missing.
        layers: (in, out) weight and (out,) bias of each layer of the actor, in order; the last gives the logits.
        activation: After each layer but the last.
        name: Shown on the leaderboard.
        library: That trained it.
        algorithm: That trained it.
        masked: Whether it plays legal actions only.
        config: What it was trained on.
        steps: Environment steps of training.
        seed: Of the training run.

    Raises:
        ValueError: for wrong shapes, numbers that are not finite in float32, or a bad field.
    """
    if activation not in get_args(Activation):
        raise ValueError(f"activation {activation!r} is not one of {list(get_args(Activation))}")
    given = [(np.asarray(weight), np.asarray(bias)) for weight, bias in layers]
    for array in (array for pair in given for array in pair):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"layers: an array of dtype {array.dtype} is given; numbers are needed")
    with np.errstate(over="ignore"):
        arrays = [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in given]
    _check_layers(arrays, config)
    Path(folder).mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {f"weight_{i}": weight for i, (weight, _) in enumerate(arrays)}
    columns |= {f"bias_{i}": bias for i, (_, bias) in enumerate(arrays)}
    with (Path(folder) / WEIGHTS_FILE).open("wb") as file:
        np.savez(file, activation=np.array(activation), **columns)
    return write_card(
        folder,
        name=name,
        library=library,
        algorithm=algorithm,
        policy="mlp",
        masked=masked,
        config=config,
        steps=steps,
        seed=seed,
    )


def load_model(folder: str | Path, config: EnvConfig | None = None) -> LoadedModel:
    """Load a saved model. One of policy "sb3" holds pickled code: load only files that you trust.

    Args:
        folder: Of the model.
        config: What it is to play; None checks only that it plays what it was trained on.

    Raises:
        ValueError: if the folder, card or weights are missing or damaged, the model is of another environment or of a
            version with other actions or observations, or it does not fit ``config``.
        ImportError: naming the extra, if its library is not installed.
    """
    card = read_card(folder)
    if config is not None:
        check_fits(card, config)
    path = Path(folder) / WEIGHTS_OF[card.policy]
    if not path.is_file():
        raise ValueError(f"model folder {str(folder)!r} has no {path.name}, the weights that its card speaks of")
    return LoadedModel(card, _load_mlp(path, card) if card.policy == "mlp" else _load_sb3(path, card))


def read_card(folder: str | Path) -> ModelCard:
    """The card of a saved model, checked against this version of the environment.

    Raises:
        ValueError: see ``load_model``.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ValueError(f"model folder {str(folder)!r} does not exist")
    path = place / CARD_FILE
    if not path.is_file():
        raise ValueError(f"model folder {str(folder)!r} has no {CARD_FILE} (nor llm.json, as one of agents.llm has)")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"model card {str(path)!r} is not JSON: {error}") from error
    if isinstance(data, dict) and data.get("format", FORMAT) != FORMAT:
        raise ValueError(f"model card {str(path)!r} has format {data['format']!r}; this version reads format {FORMAT}")
    try:
        card = ModelCard.model_validate(data)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ValueError(f"model card {str(path)!r} is not valid: {found}") from error
    if card.environment_id != ENV_ID:
        raise ValueError(f"model {card.name!r} plays environment {card.environment_id!r}; this is {ENV_ID!r}")
    if fingerprint(card.config) != card.fingerprint:
        raise ValueError(
            f"model {card.name!r} was saved by metric_tracker_env {card.version}, whose actions or observation are not "
            f"those of this version, {metric_tracker_env.__version__}; train it again"
        )
    return card


def _load_mlp(path: Path, card: ModelCard) -> MlpPolicy:
    """Layers from a file of ``save_mlp``, checked as it checks them."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        activation = arrays.pop("activation").item()
        layers = [(arrays[f"weight_{i}"], arrays[f"bias_{i}"]) for i in range(len(arrays) // 2)]
        if activation not in get_args(Activation):
            raise ValueError(f"activation {activation!r} is not one of {list(get_args(Activation))}")
        if any(array.dtype != np.float32 for array in arrays.values()):
            raise ValueError(f"dtypes {sorted({str(a.dtype) for a in arrays.values()})}; float32 is needed")
        _check_layers(layers, card.config)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error
    return MlpPolicy(layers, activation, card.masked)


def _load_sb3(path: Path, card: ModelCard) -> Sb3Policy:
    """A model that stable-baselines3 saved."""
    try:
        from sb3_contrib import MaskablePPO
        from stable_baselines3 import DQN, PPO
    except ImportError as error:
        raise ImportError(
            f"model {card.name!r} needs stable-baselines3 and sb3-contrib ({error}); "
            "install them with: pip install 'metric_tracker_env[sb3]'"
        ) from error
    algorithm = (MaskablePPO, PPO, DQN)[SB3_ALGORITHMS.index(card.algorithm)]
    # Playing needs no replay buffer, and the one of training can be large.
    changes = {"buffer_size": 1} if card.algorithm == "dqn" else None
    damage = (ValueError, AssertionError, KeyError, AttributeError, TypeError, RuntimeError, OSError, EOFError)
    try:
        model = algorithm.load(path, device="cpu", custom_objects=changes)
    except (*damage, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error
    size, actions = _sizes(card.config)
    found = model.observation_space.shape, getattr(model.action_space, "n", None)
    if found != ((size,), actions):
        raise ValueError(
            f"weights {str(path)!r} are of a network with observation {found[0]} and {found[1]} actions; "
            f"its card says ({size},) and {actions}"
        )
    return Sb3Policy(model, card.masked)


def _check_layers(layers: Sequence[tuple[np.ndarray, np.ndarray]], config: EnvConfig) -> None:
    """Refuse layers that do not lead from the observation to the actions.

    Raises:
        ValueError: naming the layer, its shapes and what is needed.
    """
    if not layers:
        raise ValueError("layers is empty; at least one layer is needed")
    width, actions = _sizes(config)
    for number, (weight, bias) in enumerate(layers):
        if weight.ndim != 2 or bias.shape != weight.shape[1:] or 0 in weight.shape:
            raise ValueError(
                f"layer {number} has a weight {weight.shape} and a bias {bias.shape}; (in, out) and (out,) are needed"
            )
        if weight.shape[0] != width:
            before = "the observation has" if number == 0 else f"layer {number - 1} gives"
            raise ValueError(f"layer {number} takes {weight.shape[0]} numbers; {before} {width}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"layer {number} holds numbers that are not finite in float32")
        width = weight.shape[1]
    if width != actions:
        raise ValueError(f"layer {len(layers) - 1} gives {width} numbers; there are {actions} actions")


def _sizes(config: EnvConfig) -> tuple[int, int]:
    """Numbers of an observation, and actions."""
    env = MetricTrackerEnv(config=config)
    return env.observation_layout.size, len(env.actions)


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, np.float32(0))


def _some(what: str, names: list[str]) -> str:
    """The first few of the names, for a message."""
    if not names:
        return ""
    return f"; {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
