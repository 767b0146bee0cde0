"""The focus policy: its shape, what it shares over dates, and that it trains and is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib import MaskablePPO

from metric_tracker_env import EnvConfig, get_task, load_config
from metric_tracker_env.sb3 import (
    BoardPolicy,
    FocusPolicy,
    MetricTrackerVecEnv,
    board_policy_kwargs,
    focus_policy_kwargs,
)
from metric_tracker_env.sb3.focus_policy import FLAGS, FocusNetwork
from metric_tracker_env.sb3.shared import GLOBALS

ECOMMERCE = load_config(Path(__file__).parents[2] / "configs" / "ecommerce.toml")
WORLD = get_task("realistic_easy").config


def model_of(env: MetricTrackerVecEnv, **kwargs: Any) -> MaskablePPO:
    """A small model on the focus view."""
    kwargs = {"hidden": 16, "date_hidden": 8, **kwargs}
    return MaskablePPO(FocusPolicy, env, n_steps=16, batch_size=32, policy_kwargs=kwargs, seed=0, device="cpu")


@pytest.mark.parametrize("world", [False, True])
def test_logits_line_up_with_the_dates(world: bool) -> None:
    """Dates that differ by their place alone are told apart by it; without it, a permutation permutes their logits."""
    days, focus, actions = 4, 5, 3
    network = FocusNetwork(days, focus, actions, hidden=8, date_hidden=6, world=world)
    draws = th.Generator().manual_seed(0)
    first, rest = th.rand((2, focus), generator=draws), th.rand((2, GLOBALS + world), generator=draws)
    flags = th.rand((2, days, FLAGS), generator=draws)
    announced = th.rand((2, days, 7 * world), generator=draws)
    order = th.tensor([2, 0, 3, 1])

    def outputs(where: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        parts = [first, flags[:, where].flatten(1), announced[:, where].flatten(1), rest]
        return network(th.cat(parts, dim=1))

    logits, latent = outputs(th.arange(days))
    moved, same_latent = outputs(order)
    assert logits.shape == (2, days + actions)
    assert th.allclose(moved[:, :days], logits[:, :days][:, order], atol=1e-6)
    assert th.allclose(moved[:, days:], logits[:, days:], atol=1e-6)
    assert th.allclose(latent, same_latent, atol=1e-6)
    with th.no_grad():
        network.date_place[0] += 1.0
    assert not th.allclose(outputs(order)[0][:, :days], moved[:, :days])


@pytest.mark.parametrize("config", [EnvConfig(), ECOMMERCE, WORLD])
def test_network_reads_the_view_of_the_environment(config: EnvConfig) -> None:
    """Its parts are the environment's: numbers before the table of flags, the flags, the announcements, the globals."""
    env = MetricTrackerVecEnv(2, config=config)
    network = model_of(env, **focus_policy_kwargs(config)).policy.mlp_extractor
    assert isinstance(network, FocusNetwork)
    layout = env.envs.observation_layout
    assert network.focus == layout.parts["flags"].start
    after = network.focus + network.days * (FLAGS + network.announced)
    assert after == layout.parts["globals"].start
    if config.generator.world is not None:
        assert layout.parts["announced_flags"].start == network.focus + network.days * FLAGS
    assert network.latent_dim_pi == len(env.envs.actions)


@pytest.mark.parametrize("config", [EnvConfig(), ECOMMERCE, WORLD])
def test_trains_and_is_kept(config: EnvConfig, tmp_path: Path) -> None:
    """It learns on the default funnel, another one and in the world; a saved model plays alike."""
    env = MetricTrackerVecEnv(2, config=config)
    model = model_of(env, **focus_policy_kwargs(config))
    before = [value.clone() for value in model.policy.parameters()]
    model.learn(64)
    assert all(not th.equal(one, other) for one, other in zip(before, model.policy.parameters(), strict=True))
    model.save(tmp_path / "model.zip")
    again = MaskablePPO.load(tmp_path / "model.zip", device="cpu")
    env.seed(5)
    observations, masks = env.reset(), env.action_masks()
    chosen, _ = model.predict(observations, deterministic=True, action_masks=masks)
    assert np.array_equal(chosen, again.predict(observations, deterministic=True, action_masks=masks)[0])
    assert masks[np.arange(2), chosen].all()


def test_the_board_policy_reads_the_world() -> None:
    """In the world the board has one global and one action more, and the policy learns there too."""
    config = WORLD.model_copy(update={"view": "board"})
    env = MetricTrackerVecEnv(2, config=config)
    kwargs = {**board_policy_kwargs(config), "hidden": 8}
    MaskablePPO(BoardPolicy, env, n_steps=16, batch_size=32, policy_kwargs=kwargs, seed=0, device="cpu").learn(32)
    with pytest.raises(ValueError, match="not those of a board view of 28 days;"):
        MaskablePPO(BoardPolicy, env, policy_kwargs={"hidden": 8}, device="cpu")


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"days": 27}, "not those of a focus view of 27 days"),
        ({"world": True}, "not those of a focus view of 28 days in a world"),
        ({"days": 0}, "days 0"),
        ({"hidden": 2.5}, "hidden 2.5"),
        ({"date_hidden": True}, "date_hidden True"),
        ({"net_arch": [64]}, "net_arch"),
    ],
)
def test_bad_shapes_are_refused(kwargs: dict[str, Any], told: str) -> None:
    """Days that do not fit, a width that is none, and options that it has not: each is named."""
    with pytest.raises(ValueError, match=told):
        model_of(MetricTrackerVecEnv(2), **kwargs)


def test_other_views_are_refused() -> None:
    """The board has no date in focus."""
    with pytest.raises(ValueError, match="view='focus'"):
        model_of(MetricTrackerVecEnv(2, view="board"))
    with pytest.raises(ValueError, match="view 'board'"):
        focus_policy_kwargs(EnvConfig(view="board"))
