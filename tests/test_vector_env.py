"""The native vector environment: bit for bit the single environment, laid out as Gymnasium lays out its own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from helpers_env import (
    ENV_ID,
    ENV_IDS,
    REWARDS,
    SUBMIT,
    VIEWS,
    assert_same,
    bare,
    in_both_worlds,
    make_lanes,
    make_sync,
    pick_lanes,
)

from metric_tracker_env import MetricTrackerVectorEnv
from metric_tracker_env.config import Reward, View

GYMNASIUM = tuple(int(part) for part in gym.__version__.split(".")[:2])
MODES = list(AutoresetMode)
SHORT: dict[str, Any] = {"step_limit": 9, "anomaly_count": (1, 5)}
Vector = VectorEnv[Any, Any, Any]


def compare(first: Vector, second: Vector, mode: AutoresetMode, seed: int, steps: int, legal: float = 0.8) -> int:
    """Drive two vector environments with the same random actions; all they return is the same. Episodes that ended."""
    rng = np.random.default_rng(seed)
    results = first.reset(seed=seed), second.reset(seed=seed)
    assert_same(*results)
    masks = results[0][1]["action_mask"].copy()
    ended = 0
    for _ in range(steps):
        actions = pick_lanes(rng, masks, legal, submit=0.1)
        results = first.step(actions), second.step(actions)
        assert_same(*results)
        done = results[0][2].copy()
        ended += int(done.sum())
        masks = results[0][4]["action_mask"].copy()
        if mode is AutoresetMode.DISABLED and done.any():
            renewed = first.reset(options={"reset_mask": done}), second.reset(options={"reset_mask": done.copy()})
            assert_same(*renewed)
            masks[done] = renewed[0][1]["action_mask"][done]
    return ended


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("world", "num_envs", "steps"),
    [("medium_mixed", 1, 150), ("medium_mixed", 3, 80), ("medium_mixed", 300, 12), ("realistic_hard", 3, 80)],
)
def test_equal_to_gymnasiums_sync_environment(
    mode: AutoresetMode, view: View, world: str, num_envs: int, steps: int
) -> None:
    """Every array, info key, dtype and bit is that of SyncVectorEnv over single environments."""
    native = make_lanes(num_envs, task=world, view=view, autoreset_mode=mode, **SHORT)
    sync = make_sync(num_envs, mode.value, task=world, view=view, **SHORT)
    assert compare(native, sync, mode, seed=num_envs, steps=steps) >= 10


@in_both_worlds
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("legal", [1.0, 0.3])
def test_equal_with_either_reward(mode: AutoresetMode, reward: Reward, legal: float, world: str) -> None:
    """Rewards too are those of the single environments, for masked and for unmasked play."""
    options: dict[str, Any] = {"task": world, "reward": reward, "difficulty": "easy", "budget": 40}
    native = make_lanes(5, autoreset_mode=mode, **options)
    sync = make_sync(5, mode.value, **options)
    assert compare(native, sync, mode, seed=1, steps=120, legal=legal) > 10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("num_envs", [1, 3, 300])
def test_without_copies_the_bits_are_the_same(mode: AutoresetMode, view: View, num_envs: int) -> None:
    """copy=False returns what copy=True returns, in arrays that are not allocated anew."""
    kept = make_lanes(num_envs, view=view, autoreset_mode=mode, copy=False, **SHORT)
    copied = make_lanes(num_envs, view=view, autoreset_mode=mode, **SHORT)
    assert compare(kept, copied, mode, seed=4, steps=60) >= 5
    actions = np.zeros(num_envs, np.int64)
    for envs, shared in ((kept, True), (copied, False)):
        envs.reset(seed=0)
        first, second = envs.step(actions)[0], envs.step(actions)[0]
        assert np.shares_memory(first, second) is shared


@in_both_worlds
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("view", VIEWS)
def test_lane_replays_single_env(mode: AutoresetMode, view: View, world: str) -> None:
    """Lane i of a vector environment seeded s equals the single environment seeded s + i, bit for bit."""
    num_envs, seed = 4, 30
    envs = make_lanes(num_envs, task=world, view=view, autoreset_mode=mode, **SHORT)
    singles = [bare(task=world, view=view, **SHORT) for _ in range(num_envs)]
    observations, info = envs.reset(seed=seed)
    for lane, single in enumerate(singles):
        assert_same(observations[lane], single.reset(seed=seed + lane)[0])
    rng, masks, over = np.random.default_rng(0), info["action_mask"], np.zeros(num_envs, bool)
    for _ in range(80):
        actions = pick_lanes(rng, masks, legal=0.8, submit=0.1)
        observations, rewards, terminated, truncated, info = envs.step(actions)
        masks = info["action_mask"].copy()
        for lane, single in enumerate(singles):
            if over[lane]:  # NEXT_STEP: this step was the reset
                observation, told = single.reset()
                reward, done, late = 0.0, False, False
            else:
                observation, reward, done, late, told = single.step(actions[lane])
            if done and mode is AutoresetMode.SAME_STEP:
                assert_same(info["final_obs"][lane], observation)
                for key, value in told.items():
                    assert np.array_equal(info["final_info"][key][lane], value), key
                    assert info["final_info"][f"_{key}"][lane]
                observation, told = single.reset()
            assert_same(observations[lane], observation)
            assert (rewards[lane], terminated[lane], truncated[lane]) == (reward, done, late)
            assert set(told) == {key for key in info if f"_{key}" in info and info[f"_{key}"][lane]} - {
                "final_obs",
                "final_info",
            }
            assert all(np.array_equal(info[key][lane], value) for key, value in told.items())
        over = terminated & (mode is AutoresetMode.NEXT_STEP)
        if mode is AutoresetMode.DISABLED and terminated.any():
            observations, info = envs.reset(options={"reset_mask": terminated})
            for lane in np.flatnonzero(terminated):
                assert_same(observations[lane], singles[lane].reset()[0])
                masks[lane] = info["action_mask"][lane]


@in_both_worlds
def test_stocks_of_episodes_are_not_seen(world: str) -> None:
    """Lanes that go through many episodes at different paces each play their own stream, whatever is made ahead."""
    num_envs = 300
    envs = make_lanes(num_envs, task=world, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    played = np.ones(num_envs, np.int64)
    submit = np.full(num_envs, len(envs.actions) - 1)
    for _ in range(25):
        envs.step(submit)
        chosen = rng.random(num_envs) < np.linspace(0.05, 0.9, num_envs)
        chosen[0] = True
        envs.reset(options={"reset_mask": np.ones(num_envs, bool)} if rng.random() < 0.2 else None)
        played += 1
        envs.reset(options={"reset_mask": chosen})
        played += chosen
    envs.step(submit)
    assert played.max() - played.min() > 10
    for lane in range(0, num_envs, 13):
        single = bare(task=world)
        single.reset(seed=lane)
        for _ in range(played[lane] - 1):
            single.reset()
        single.step(submit[0])
        assert np.array_equal(envs.episode(lane).hourly, single.episode().hourly)


@pytest.mark.parametrize("mode", MODES)
def test_partial_resets_equal_gymnasiums(mode: AutoresetMode) -> None:
    """reset_mask resets its lanes, in the middle of their episodes too, and leaves the others as they are."""
    native = make_lanes(4, autoreset_mode=mode, **SHORT)
    sync = make_sync(4, mode.value, **SHORT)
    assert_same(native.reset(seed=5), sync.reset(seed=5))
    rng = np.random.default_rng(5)
    for _ in range(40):
        over = np.zeros(4, bool)
        for _ in range(3):
            actions = rng.integers(len(native.actions) - 1, size=4)
            results = native.step(actions), sync.step(actions)
            assert_same(*results)
            over = results[0][2]
            if over.any():
                break
        chosen = over | (rng.random(4) < 0.4)
        chosen[rng.integers(4)] = True
        seed = int(rng.integers(1000)) if rng.random() < 0.5 else None
        first = native.reset(seed=seed, options={"reset_mask": chosen})
        assert_same(first, sync.reset(seed=seed, options={"reset_mask": chosen.copy()}))
        assert np.array_equal(first[1]["_action_mask"], chosen)


def test_options_for_one_episode_of_some_lanes() -> None:
    """Options beside reset_mask hold for the episodes that begin on those lanes, and for no other."""
    options = {"scenario_family": "funnel_break", "anomaly_count": 2, "difficulty": "easy"}
    native = make_lanes(4, autoreset_mode=AutoresetMode.DISABLED)
    sync = make_sync(4, "Disabled")
    mask = np.array([True, False, True, False])
    for envs in (native, sync):
        envs.reset(seed=8)
    first = native.reset(options={"reset_mask": mask, **options})
    assert_same(first, sync.reset(options={"reset_mask": mask.copy(), **options}))
    submit = np.full(4, len(native.actions) - 1)
    assert_same(native.step(submit), sync.step(submit))
    families = [{row.anomaly_type for row in native.episode(lane).expected_rows} for lane in range(4)]
    assert [found == {"funnel_break"} for found in families] == mask.tolist()
    assert [native.episode(lane).config.difficulty for lane in range(4)] == ["easy", "medium", "easy", "medium"]
    assert_same(native.reset(), sync.reset())
    assert_same(native.step(submit), sync.step(submit))
    assert {native.episode(lane).config.difficulty for lane in range(4)} == {"medium"}


def test_the_callers_options_are_not_changed() -> None:
    """A reset leaves the dict that it is given as it is."""
    envs = make_lanes(2)
    envs.reset(seed=0)
    options = {"reset_mask": np.array([True, False]), "difficulty": "hard"}
    envs.reset(options=options)
    assert set(options) == {"reset_mask", "difficulty"}


@pytest.mark.parametrize("seed", [7, np.int64(7), [7, 8, 9], (7, 8, 9), np.array([7, 8, 9])])
def test_seeds_are_one_a_lane(seed: Any) -> None:
    """An int s means s + i for lane i; a list gives each lane its own."""
    envs = make_lanes(3)
    envs.reset(seed=seed)
    envs.step(np.full(3, len(envs.actions) - 1))
    for lane in range(3):
        single = bare()
        single.reset(seed=7 + lane)
        single.step(len(envs.actions) - 1)
        assert np.array_equal(envs.episode(lane).hourly, single.episode().hourly)


def test_none_in_a_list_goes_on_with_the_stream() -> None:
    """A lane whose seed is None plays its next episode; the other begins its stream anew."""
    envs, sync = make_lanes(2), make_sync(2, "NextStep")
    for one in (envs, sync):
        one.reset(seed=4)
    assert_same(envs.reset(seed=[None, 4]), sync.reset(seed=[None, 4]))  # pyright: ignore[reportArgumentType]
    submit = np.full(2, len(envs.actions) - 1)
    assert_same(envs.step(submit), sync.step(submit))
    single = bare()
    single.reset(seed=4)
    single.reset()
    single.step(submit[0])
    assert np.array_equal(envs.episode(0).hourly, single.episode().hourly)
    single.reset(seed=4)
    single.step(submit[0])
    assert np.array_equal(envs.episode(1).hourly, single.episode().hourly)


def test_unseeded_lanes_differ() -> None:
    """Without a seed each lane, and each environment, plays episodes of its own."""
    seen: set[bytes] = set()
    for _ in range(2):
        envs = make_lanes(3)
        envs.reset()
        envs.step(np.full(3, len(envs.actions) - 1))
        seen |= {envs.episode(lane).hourly.tobytes() for lane in range(3)}
    assert len(seen) == 6


# How Gymnasium makes and wraps it


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_make_vec_makes_the_native_environment(env_id: str) -> None:
    """make_vec builds the native environment by default, with the metadata and attributes that users look at."""
    envs = gym.make_vec(env_id, num_envs=5, view="board")
    assert isinstance(envs, MetricTrackerVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.autoreset_mode is AutoresetMode.NEXT_STEP
    assert envs.num_envs == 5
    single = gym.make(env_id, view="board")
    assert envs.single_observation_space == single.observation_space
    assert envs.single_action_space == single.action_space
    sync = make_sync(5, "NextStep", view="board")
    assert envs.observation_space == sync.observation_space
    assert envs.action_space == sync.action_space


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("as_text", [True, False])
def test_autoreset_mode_as_enum_or_text(mode: AutoresetMode, as_text: bool) -> None:
    """The mode may be given as the enum or as its value; the metadata holds the enum."""
    envs = make_lanes(2, autoreset_mode=mode.value if as_text else mode)
    assert envs.metadata["autoreset_mode"] is mode
    assert envs.autoreset_mode is mode


def test_the_spec_survives_json() -> None:
    """A vector environment made from its spec as JSON plays the same."""
    envs = make_lanes(3, difficulty="hard", anomaly_count=(1, 5), budget=9)
    assert envs.spec is not None
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert compare(envs, again, AutoresetMode.NEXT_STEP, seed=0, steps=60) > 3


@pytest.mark.parametrize("mode", MODES)
def test_record_episode_statistics(mode: AutoresetMode) -> None:
    """Gymnasium's vector wrapper records each episode's return and length, in every autoreset mode."""
    if mode is AutoresetMode.SAME_STEP and GYMNASIUM < (1, 4):
        pytest.skip("before Gymnasium 1.4 the wrapper leaves the first step of an episode out in this mode")
    num_envs = 6
    envs = vector_wrappers.RecordEpisodeStatistics(make_lanes(num_envs, autoreset_mode=mode, reward="dense", **SHORT))
    _, info = envs.reset(seed=2)
    rng, masks = np.random.default_rng(2), info["action_mask"].copy()
    returns, lengths, fresh = np.zeros(num_envs), np.zeros(num_envs, np.int64), np.zeros(num_envs, bool)
    ended = 0
    for _ in range(60):
        _, rewards, terminated, _, info = envs.step(pick_lanes(rng, masks, 0.9))
        masks = info["action_mask"].copy()
        returns = np.where(fresh, 0.0, returns + rewards)
        lengths = np.where(fresh, 0, lengths + 1)
        if terminated.any():
            ended += int(terminated.sum())
            np.testing.assert_allclose(info["episode"]["r"][terminated], returns[terminated])
            assert np.array_equal(info["episode"]["l"][terminated], lengths[terminated])
            assert np.array_equal(info["_episode"], terminated)
        fresh = terminated & (mode is AutoresetMode.NEXT_STEP)
        returns[terminated], lengths[terminated] = 0.0, 0
        if mode is AutoresetMode.DISABLED and terminated.any():
            _, told = envs.reset(options={"reset_mask": terminated.copy()})
            masks[terminated] = told["action_mask"][terminated]
    assert ended > 20
    assert envs.episode_count == ended


@pytest.mark.parametrize("mode", MODES)
def test_dict_info_to_list(mode: AutoresetMode) -> None:
    """Gymnasium's wrapper that takes info apart finds the layout that it expects."""
    envs = vector_wrappers.DictInfoToList(make_lanes(3, autoreset_mode=mode, **SHORT))
    _, infos = envs.reset(seed=0)
    assert [set(info) for info in infos] == [{"action_mask", "illegal_action"}] * 3
    submit = np.array([SUBMIT, 0, SUBMIT])
    _, _, terminated, _, infos = envs.step(submit)
    assert terminated.tolist() == [True, False, True]
    for lane, info in enumerate(infos):
        told = info["final_info"] if lane != 1 and mode is AutoresetMode.SAME_STEP else info
        assert ("score" in told) == (lane != 1)


REWARD_WRAPPERS: list[Any] = [
    vector_wrappers.NormalizeReward,
    vector_wrappers.RecordEpisodeStatistics,
    lambda envs: vector_wrappers.ClipReward(envs, -1.0, 1.0),
    lambda envs: vector_wrappers.TransformAction(envs, lambda actions: actions),
]
OBSERVATION_WRAPPERS: list[Any] = [
    vector_wrappers.FlattenObservation,
    lambda envs: vector_wrappers.RescaleObservation(envs, np.float32(-1.0), np.float32(1.0)),
    lambda envs: vector_wrappers.ReshapeObservation(envs, (1, *envs.single_observation_space.shape)),
    lambda envs: vector_wrappers.TransformObservation(envs, lambda observations: observations),
]


@pytest.mark.parametrize(
    ("mode", "wrap"),
    [
        *((mode, wrap) for mode in MODES for wrap in REWARD_WRAPPERS),
        # Gymnasium refuses SAME_STEP for what changes observations.
        *((mode, wrap) for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED) for wrap in OBSERVATION_WRAPPERS),
        (AutoresetMode.NEXT_STEP, vector_wrappers.NormalizeObservation),
    ],
)
def test_vector_wrappers_work(mode: AutoresetMode, wrap: Any) -> None:
    """Gymnasium's vector wrappers take the environment, and its observations stay in their space."""
    if wrap is vector_wrappers.NormalizeObservation and GYMNASIUM < (1, 4):
        pytest.skip("before Gymnasium 1.4 the wrapper declares the space of what it was given")
    envs = wrap(make_lanes(3, autoreset_mode=mode))
    observations, info = envs.reset(seed=1)
    rng = np.random.default_rng(1)
    assert envs.observation_space.contains(observations)
    for _ in range(12):
        observations, *_, info = envs.step(pick_lanes(rng, info["action_mask"], submit=0.0))
        assert envs.observation_space.contains(observations)


def test_a_mask_for_every_lane() -> None:
    """action_masks() is the bool form of the masks in info."""
    envs = make_lanes(4, view="board")
    _, info = envs.reset(seed=0)
    info = envs.step(np.array([0, 1, 2, 3]))[4]
    masks = envs.action_masks()
    assert masks.dtype == np.bool_
    assert info["action_mask"].dtype == np.int8
    assert np.array_equal(masks, info["action_mask"] == 1)


def test_masks_are_what_the_action_spaces_take() -> None:
    """The int8 masks of info, or action_masks() as int8, are what Gymnasium's spaces draw legal actions with."""
    envs, env = make_lanes(3), bare()
    _, info = envs.reset(seed=0)
    env.reset(seed=0)
    envs.action_space.seed(0)
    env.action_space.seed(0)
    for _ in range(20):
        for masks in (info["action_mask"], envs.action_masks().astype(np.int8)):
            actions = envs.action_space.sample(tuple(masks))
            assert (masks[np.arange(3), actions] == 1).all()
        action = env.action_space.sample(env.action_masks().astype(np.int8))
        assert env.action_masks()[action]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_grades_of_lanes(mode: AutoresetMode) -> None:
    """A lane whose episode has ended tells its grade and episode; one that plays does not."""
    envs = make_lanes(3, autoreset_mode=mode, difficulty="easy")
    envs.reset(seed=3)
    info = envs.step(np.array([len(envs.actions) - 1, 0, len(envs.actions) - 1]))[4]
    for lane in (0, 2):
        assert envs.grade(lane).score == info["score"][lane]
        assert envs.grade(lane).expected == info["expected"][lane] == len(envs.episode(lane).expected_rows)
    for ask in (envs.grade, envs.episode):
        with pytest.raises(gym.error.ResetNeeded, match="lane 1"):
            ask(1)


def test_different_configurations_live_side_by_side() -> None:
    """Two environments in one process do not disturb each other."""
    alone = make_lanes(2, difficulty="hard")
    first, second = make_lanes(2, difficulty="hard"), make_lanes(2, view="board", difficulty="easy")
    assert_same(first.reset(seed=1), alone.reset(seed=1))
    second.reset(seed=1)
    for action in range(20):
        actions = np.full(2, action)
        second.step(actions + 3)
        assert_same(first.step(actions), alone.step(actions))


def test_the_id_with_its_module_makes_lanes() -> None:
    """The documented main form of the id works in make_vec."""
    assert gym.make_vec(ENV_ID, num_envs=2).reset(seed=0)[0].shape[0] == 2
