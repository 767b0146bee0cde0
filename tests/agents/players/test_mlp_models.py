"""Networks as plain arrays: they are what their layers say, and play alike in lanes and in single environments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers_models import BOARD, FOCUS, TOLD, random_layers, saved, sizes, threshold_layers

from agents import ModelAgent, evaluate, load_model, save_mlp
from agents.players.models.card import ModelCard
from agents.players.models.mlp import Activation
from agents.tasks import held_out_seeds
from metric_tracker_env import EnvConfig
from metric_tracker_env.config import View
from metric_tracker_env.tasks import build_config


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_network_is_what_its_layers_say(activation: Activation, tmp_path: Path) -> None:
    """Greedy actions equal a plain float64 evaluation of the layers, over all actions or over the legal ones."""
    layers, draws = random_layers(FOCUS), np.random.default_rng(1)
    observations = draws.normal(size=(50, sizes(FOCUS)[0])).astype(np.float32)
    masks = draws.random((50, sizes(FOCUS)[1])) < 0.2
    masks[:, -1] = True
    (weight, bias), (last, offset) = layers
    inner = observations @ weight + bias
    logits = (np.tanh(inner) if activation == "tanh" else np.maximum(inner, 0)) @ last + offset
    for masked in (False, True):
        save_mlp(tmp_path, layers, activation, name="net", masked=masked, config=FOCUS, **TOLD)
        actions = load_model(tmp_path).policy.actions(observations, masks)
        assert actions.dtype == np.int64
        assert (actions == np.where(masks | (not masked), logits, -np.inf).argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[2:], "layers is empty"),
        (lambda layers: layers[1:], "layer 0 takes 24 numbers; the observation has 361"),
        (lambda layers: layers[:1], "layer 0 gives 24 numbers; there are 75 actions"),
        (lambda layers: [layers[0], (layers[1][0][:-1], layers[1][1])], "layer 1 takes 23 numbers; layer 0 gives 24"),
        (lambda layers: [layers[0], (layers[1][0], layers[1][1][:-1])], r"layer 1 has a weight \(24, 75\) and a bias"),
        (lambda layers: [layers[0], (layers[1][0].T, layers[1][1])], r"layer 1 has a weight \(75, 24\)"),
        (
            lambda layers: [layers[0], (layers[1][0] * np.nan, layers[1][1])],
            "layer 1 holds numbers that are not finite",
        ),
        (lambda layers: [(layers[0][0], layers[0][1] + 1e300), layers[1]], "layer 0 holds numbers that are not finite"),
        (lambda layers: [(layers[0][0].astype(object), layers[0][1]), layers[1]], "dtype object"),
    ],
)
def test_save_refuses_other_layers(change: Any, message: str, tmp_path: Path) -> None:
    """Layers must lead from the observation to the actions with finite numbers; nothing is written otherwise."""
    with pytest.raises(ValueError, match=message):
        save_mlp(tmp_path / "a", change(random_layers(FOCUS)), "tanh", name="x", masked=True, config=FOCUS, **TOLD)
    assert not (tmp_path / "a").exists()


def test_a_model_plays_this_environment_only() -> None:
    """An environment of another kind is refused by name."""
    with pytest.raises(TypeError, match="CartPoleEnv; saved models play MetricTrackerEnv"):
        ModelAgent(gym.make("CartPole-v1"), "nowhere")


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("view", ["focus", "board"])
def test_many_lanes_play_as_single_environments(view: View, masked: bool, tmp_path: Path) -> None:
    """A model in a batch does what it does in single environments, to the last row, with illegal actions too."""
    saved(tmp_path, EnvConfig(view=view), masked)
    seeds = held_out_seeds("hard_mixed", 260)  # more than one batch
    together = evaluate(tmp_path, seeds, "hard_mixed")
    alone = evaluate(partial(ModelAgent, model=tmp_path), seeds, "hard_mixed", options={"view": view})
    assert together.episodes == alone.episodes
    assert together.rows == alone.rows
    assert together.tools == alone.tools
    assert (together.kind, alone.kind, alone.card) == ("model", "script", None)
    assert ModelCard.model_validate(together.card) == load_model(tmp_path).card
    assert (max(together.episodes.illegal) > 0) != masked


def test_a_network_written_by_hand_plays_as_the_script(tmp_path: Path) -> None:
    """One linear layer that surveys, opens, inspects and reports gives the evaluation of the threshold script."""
    save_mlp(tmp_path, threshold_layers(FOCUS), "relu", name="by_hand", masked=True, config=FOCUS, **TOLD)
    for task in ("easy_mixed", "hard_mixed"):
        model, script = (evaluate(agent, range(40), task) for agent in (tmp_path, "threshold"))
        assert model.episodes == script.episodes
        assert model.rows == script.rows
        assert model.tools == script.tools
        assert model.interval().mean > 0.2


def test_a_model_plays_in_its_own_view(tmp_path: Path) -> None:
    """A board model plays a focus task in the board view, unless the options name a view that it does not fit."""
    saved(tmp_path, BOARD)
    result = evaluate(str(tmp_path), range(3), "medium_mixed")
    assert result.config == build_config("medium_mixed", options={"view": "board"})
    assert result.agent == "net"
    with pytest.raises(ValueError, match="its view is 'board' and the environment's 'focus'"):
        evaluate(tmp_path, range(3), "medium_mixed", options={"view": "focus"})
