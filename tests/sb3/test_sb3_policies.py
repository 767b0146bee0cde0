"""The board policy: its shape, what it shares over dates, and that it trains and is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO

from metric_tracker_env import EnvConfig, load_config
from metric_tracker_env.sb3 import BoardPolicy, MetricTrackerVecEnv, board_policy_kwargs
from metric_tracker_env.sb3.policies import BoardNetwork
from metric_tracker_env.sb3.shared import GLOBAL_ACTIONS, GLOBALS

ROOT = Path(__file__).parents[2]
ECOMMERCE = str(ROOT / "configs" / "ecommerce.toml")


def model_of(env: MetricTrackerVecEnv, **kwargs: Any) -> MaskablePPO:
    """A small model on the board."""
    kwargs = {"hidden": 16, **kwargs}
    return MaskablePPO(BoardPolicy, env, n_steps=16, batch_size=32, policy_kwargs=kwargs, seed=0, device="cpu")


def network_of(model: MaskablePPO) -> BoardNetwork:
    """The network of a model."""
    network = model.policy.mlp_extractor
    assert isinstance(network, BoardNetwork)
    return network


def test_logits_line_up_with_the_actions() -> None:
    """A permutation of the dates permutes the dates' logits and nothing else: each logit belongs to its own date."""
    network = BoardNetwork(days=4, features=6, actions=3, hidden=8)
    draws = th.Generator().manual_seed(0)
    table, rest = th.rand((2, 4, 6), generator=draws), th.rand((2, GLOBALS), generator=draws)
    order = th.tensor([2, 0, 3, 1])
    logits, latent = network(th.cat([table.flatten(1), rest], dim=1))
    moved, same_latent = network(th.cat([table[:, order].flatten(1), rest], dim=1))
    assert logits.shape == (2, 4 * 3 + GLOBAL_ACTIONS)
    assert th.allclose(moved[:, :12].reshape(2, 4, 3), logits[:, :12].reshape(2, 4, 3)[:, order], atol=1e-6)
    assert th.allclose(moved[:, 12:], logits[:, 12:], atol=1e-6)
    assert th.allclose(latent, same_latent, atol=1e-6)
    assert not th.allclose(logits[:, :3], logits[:, 3:6])


def test_network_reads_the_board_of_the_environment() -> None:
    """Its table and the environment's are one: features of a date, actions of a date, and what belongs to no date."""
    env = MetricTrackerVecEnv(2, view="board")
    env.seed(0)
    observations = env.reset()
    network = network_of(model_of(env))
    layout, table = env.envs.observation_layout, env.envs.actions
    assert network.features * network.days == layout.parts["globals"].start
    assert layout.parts["globals"].width == GLOBALS
    assert network.actions == table.block
    assert len(table) - 28 * table.block == GLOBAL_ACTIONS
    rows = observations[:, : layout.parts["globals"].start].reshape(2, 28, -1)
    assert np.array_equal(rows[:, :, -8:], layout.view(observations, "calendar"))


@pytest.mark.parametrize(
    "config", [EnvConfig(view="board"), load_config(ECOMMERCE).model_copy(update={"view": "board"})]
)
def test_trains_and_is_kept(config: EnvConfig, tmp_path: Path) -> None:
    """It learns on the default funnel and on another one, and a saved model has the same weights and plays alike."""
    env = MetricTrackerVecEnv(2, config=config)
    model = model_of(env, **board_policy_kwargs(config))
    before = [value.clone() for value in model.policy.parameters()]
    model.learn(64)
    changed = [not th.equal(one, other) for one, other in zip(before, model.policy.parameters(), strict=True)]
    assert all(changed)
    model.save(tmp_path / "model.zip")
    again = MaskablePPO.load(tmp_path / "model.zip", device="cpu")
    env.seed(5)
    observations, masks = env.reset(), env.action_masks()
    chosen, _ = model.predict(observations, deterministic=True, action_masks=masks)
    assert np.array_equal(chosen, again.predict(observations, deterministic=True, action_masks=masks)[0])
    assert masks[np.arange(2), chosen].all()
    network_of(again)


def test_values_and_actions_agree_with_forward() -> None:
    """The separate ways to a value and to log-probabilities give what the common one gives."""
    env = MetricTrackerVecEnv(2, view="board")
    policy = model_of(env).policy
    observations, masks = th.as_tensor(env.reset()), env.action_masks()
    with th.no_grad():
        actions, values, log_prob = policy.forward(observations, deterministic=True, action_masks=masks)
        again, log_again, entropy = policy.evaluate_actions(observations, actions, action_masks=th.as_tensor(masks))
        assert th.allclose(values, again)
        assert th.allclose(log_prob, log_again)
        assert entropy is not None
        assert (entropy > 0).all()
        assert th.allclose(policy.predict_values(observations), values)


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"days": 27}, "not those of a board view of 27 days"),
        ({"days": 0}, "days 0"),
        ({"hidden": 2.5}, "hidden 2.5"),
        ({"net_arch": [64]}, "net_arch"),
    ],
)
def test_bad_shapes_are_refused(kwargs: dict[str, Any], told: str) -> None:
    """Days that do not fit, a width that is none, and options that it has not: each is named."""
    with pytest.raises(ValueError, match=told):
        model_of(MetricTrackerVecEnv(2, view="board"), **kwargs)


def test_other_views_are_refused() -> None:
    """The focus view has no board."""
    with pytest.raises(ValueError, match="view='board'"):
        model_of(MetricTrackerVecEnv(2))
    with pytest.raises(ValueError, match="view 'focus'"):
        board_policy_kwargs(EnvConfig())
    box, discrete = spaces.Box(0, 1, (2, 3)), spaces.Discrete(4)
    with pytest.raises(ValueError, match="flat Box"):
        BoardPolicy(box, discrete, lambda _: 1e-3)
    with pytest.raises(ValueError, match="not Discrete"):
        BoardPolicy(spaces.Box(0, 1, (2153,)), spaces.MultiDiscrete([2, 2]), lambda _: 1e-3)
