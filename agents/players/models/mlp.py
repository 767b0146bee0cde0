"""Networks as plain arrays, which NumPy alone reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from metric_tracker_env import EnvConfig

from .arrays import read_arrays, write_arrays
from .card import WEIGHTS_OF, ModelCard, sizes, write_card

Activation = Literal["tanh", "relu"]
Layer = tuple[np.ndarray, np.ndarray]  # (in, out) weight and (out,) bias


class MlpPolicy:
    """A multilayer perceptron in float32: each layer but the last is followed by the activation."""

    def __init__(self, layers: Sequence[Layer], activation: Activation, masked: bool) -> None:
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


def save_mlp(
    folder: str | Path,
    layers: Sequence[Layer],
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
    write_arrays(Path(folder) / WEIGHTS_OF["mlp"], mlp_arrays(arrays, activation))
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


def mlp_arrays(layers: Sequence[Layer], activation: Activation) -> dict[str, np.ndarray]:
    """The arrays of a file that ``load_mlp`` reads."""
    found = {"activation": np.array(activation)}
    found |= {f"weight_{i}": weight for i, (weight, _) in enumerate(layers)}
    return found | {f"bias_{i}": bias for i, (_, bias) in enumerate(layers)}


def load_mlp(path: Path, card: ModelCard) -> MlpPolicy:
    """Layers from a file of ``save_mlp``, checked as it checks them; half precision is read too."""
    try:
        arrays = read_arrays(path)
        if "activation" not in arrays or arrays["activation"].dtype.kind != "U":
            raise ValueError("it names no activation")
        activation = arrays.pop("activation").item()
        if activation not in get_args(Activation):
            raise ValueError(f"activation {activation!r} is not one of {list(get_args(Activation))}")
        number = len(arrays) // 2
        if arrays.keys() != {f"{kind}_{i}" for kind in ("weight", "bias") for i in range(number)}:
            raise ValueError(f"it holds arrays {sorted(arrays)}; a weight and a bias of each layer are needed")
        layers = [
            (arrays[f"weight_{i}"].astype(np.float32), arrays[f"bias_{i}"].astype(np.float32)) for i in range(number)
        ]
        _check_layers(layers, card.config)
    except (OSError, ValueError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error
    return MlpPolicy(layers, activation, card.masked)


def _check_layers(layers: Sequence[Layer], config: EnvConfig) -> None:
    """Refuse layers that do not lead from the observation to the actions.

    Raises:
        ValueError: naming the layer, its shapes and what is needed.
    """
    if not layers:
        raise ValueError("layers is empty; at least one layer is needed")
    width, actions = sizes(config)
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


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, np.float32(0))
