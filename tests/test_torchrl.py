"""TorchRL's own constructors and wrappers take the environment, without an adapter."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import pytest
import torch
from helpers_env import ENV_ID, SUBMIT

with warnings.catch_warnings():
    # TorchRL 0.14 warns of classes of its own when it is imported.
    warnings.filterwarnings("ignore", "Creating .* which inherits from WeightUpdaterBase", DeprecationWarning)
    from torchrl.envs import ActionMask, GymEnv, GymWrapper, SerialEnv, TransformedEnv
    from torchrl.envs.libs.gym import default_info_dict_reader
    from torchrl.envs.utils import check_env_specs

pytestmark = pytest.mark.filterwarnings("default")  # TorchRL warns of its own future


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"categorical_action_encoding": True},
        {"frame_skip": 2},
        {"view": "board", "difficulty": "hard"},
        {"from_pixels": True, "pixels_only": False, "render_scale": 0.1},
        {"max_episode_steps": 4},
    ],
    ids=str,
)
def test_gym_env(options: dict[str, Any]) -> None:
    """GymEnv makes the environment from its id, with TorchRL's options and the environment's own."""
    env = GymEnv(ENV_ID, **options)
    rollout = env.rollout(4)
    assert rollout.batch_size[0] <= 4
    assert rollout["observation"].dtype == torch.float32
    assert ("pixels" in set(rollout.keys())) == ("from_pixels" in options)


def test_specs() -> None:
    """TorchRL's own check of specs passes, for a single environment and for native lanes."""
    check_env_specs(GymEnv(ENV_ID))
    check_env_specs(GymWrapper(gym.make(ENV_ID), categorical_action_encoding=True))
    for mode in ("SameStep", "Disabled"):
        check_env_specs(GymWrapper(gym.make_vec(ENV_ID, num_envs=2, autoreset_mode=mode)))


def test_a_misspelt_option_is_told() -> None:
    """GymEnv drops the keyword that it adds itself, and an option that there is not is the user's to see."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'dificulty'"):
        GymEnv(ENV_ID, dificulty="hard")


def test_masks_of_a_stock_environment() -> None:
    """The mask is read from info and drives TorchRL's ActionMask, so that a random policy is never illegal."""
    env = GymEnv(ENV_ID, categorical_action_encoding=True)
    env.set_info_dict_reader(default_info_dict_reader(["action_mask"]))
    env.reset()
    masked = TransformedEnv(env, ActionMask(action_key="action", mask_key="action_mask"))
    masked.set_seed(3)
    rollout = masked.rollout(40)
    legal = rollout["action_mask"].bool().gather(1, rollout["action"][:, None])
    assert legal.all()
    assert len(rollout) > 1


def test_native_lanes_in_its_wrapper() -> None:
    """GymWrapper plays native lanes over the ends of episodes, with the mask as an observation."""
    env = GymWrapper(
        gym.make_vec(ENV_ID, num_envs=3, autoreset_mode="Disabled", step_limit=5), categorical_action_encoding=True
    ).auto_register_info_dict()
    rollout = env.rollout(12, break_when_any_done=False)
    assert rollout.batch_size == (3, 12)
    assert rollout["next", "done"].sum() >= 3
    assert rollout["action_mask"].shape == (3, 12, SUBMIT + 1)


def test_batches_of_stock_environments() -> None:
    """SerialEnv runs several of them."""
    played = SerialEnv(2, lambda: GymEnv(ENV_ID)).rollout(3, break_when_any_done=False)  # random play may submit
    assert played.batch_size == (2, 3)


def test_a_curriculum() -> None:
    """The options of the episodes to come are changed through TorchRL's environments."""
    single = GymEnv(ENV_ID)
    lanes = GymWrapper(gym.make_vec(ENV_ID, num_envs=2, autoreset_mode="SameStep"))
    for env in (single, lanes):
        env.reset()
        env.unwrapped.set_episode_options(difficulty="hard")
        assert env.unwrapped.config.difficulty == "hard"
