"""A run of stable-baselines3 as plain arrays: what plays of it, and nothing that only trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import DQN
from torch import nn

from metric_tracker_env.sb3 import BoardPolicy, FocusPolicy

from ..players.models.arrays import write_arrays
from ..players.models.card import WEIGHTS_OF, ModelCard, PolicyKind, read_card, save_card
from ..players.models.mlp import Activation, Layer, mlp_arrays
from ..players.models.saved import load_model
from ..players.models.sb3 import read_sb3

ACTIVATIONS: dict[type[nn.Module], Activation] = {nn.Tanh: "tanh", nn.ReLU: "relu"}
CRITIC = "value_hidden"  # the layer of a shared network that only its critic reads


def export_model(run: str | Path, output: str | Path, name: str | None = None, half: bool = True) -> ModelCard:
    """Write the actor of a run as plain arrays, with a card of its own; NumPy alone plays it then.

    Args:
        run: Folder of a model that stable-baselines3 saved.
        output: Folder to write; made if it is missing.
        name: Shown on the leaderboard; by default the run's.
        half: Whether numbers are written in half precision, which halves the file; a near tie between two actions may
            then fall otherwise.

    Raises:
        ValueError: if the run is none of stable-baselines3, damaged, or of a network that is not known here.
    """
    card = read_card(run)
    if card.policy != "sb3":
        raise ValueError(f"model {card.name!r} is of policy {card.policy!r}; one of policy 'sb3' is exported")
    path = Path(run) / WEIGHTS_OF["sb3"]
    if not path.is_file():
        raise ValueError(f"model folder {str(run)!r} has no {path.name}")
    kind, arrays = actor_of(read_sb3(path, card))
    dtype = np.float16 if half else np.float32
    with np.errstate(over="ignore"):  # what becomes infinite is refused when it is read back
        written = {key: array.astype(dtype) if array.dtype.kind == "f" else array for key, array in arrays.items()}
    place = Path(output)
    place.mkdir(parents=True, exist_ok=True)
    write_arrays(place / WEIGHTS_OF[kind], written)
    made = ModelCard.model_validate({**dict(card), "policy": kind, "name": name or card.name})
    save_card(place, made)
    load_model(place)  # refuses what cannot be played
    return made


def actor_of(model: Any) -> tuple[PolicyKind, dict[str, np.ndarray]]:
    """The kind and the arrays of a model's actor.

    Raises:
        ValueError: for a network that is not known here.
    """
    policy = model.policy
    if isinstance(policy, (FocusPolicy, BoardPolicy)):
        found: dict[str, np.ndarray] = {}
        for name, tensor in policy.mlp_extractor.state_dict().items():
            layer, _, which = name.partition(".")
            if layer != CRITIC:
                values = tensor.numpy()
                found[f"{layer}_{which}" if which else layer] = values.T if which == "weight" else values
        return ("focus" if isinstance(policy, FocusPolicy) else "board"), found
    modules = [*policy.q_net.q_net] if isinstance(model, DQN) else [*policy.mlp_extractor.policy_net, policy.action_net]
    layers = [_layer(module) for module in modules if isinstance(module, nn.Linear)]
    between = {type(module) for module in modules if not isinstance(module, nn.Linear)}
    if len(between) != 1 or not between <= ACTIVATIONS.keys():
        told, known = sorted(kind.__name__ for kind in between), sorted(kind.__name__ for kind in ACTIVATIONS)
        raise ValueError(f"a network with {told} between its layers cannot be exported; one of {known} is needed")
    return "mlp", mlp_arrays(layers, ACTIVATIONS[between.pop()])


def _layer(module: nn.Linear) -> Layer:
    """(in, out) weight and (out,) bias."""
    return module.weight.detach().numpy().T, module.bias.detach().numpy()
