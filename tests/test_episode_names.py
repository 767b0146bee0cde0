"""An episode has a name, told when it has ended, from which the same episode is made and played again."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID, SUBMIT, assert_same, bare, make_lanes, pick_lanes, play
from pydantic import ValidationError

from metric_tracker_env import EpisodeConfig, EpisodeData, MetricDataGenerator, MetricTrackerVectorEnv
from metric_tracker_env.config import MAX_SEED, GeneratorConfig, SyntheticAnomalyGenerator

MODES = list(AutoresetMode)
SHORT: dict[str, Any] = {"step_limit": 6, "anomaly_count": (1, 5), "difficulty": "hard"}
DROP = SyntheticAnomalyGenerator(metric_name="menu_opens", stddev_factor=5.0, direction="down")
Name = tuple[int, int]


def assert_same_episode(first: EpisodeData, second: EpisodeData) -> None:
    """Two episodes have the same name, the same data and the same truth."""
    assert first.config == second.config
    assert_same(first.hourly, second.hourly)
    assert_same(first.classes, second.classes)
    assert_same(first.twin_daily, second.twin_daily)
    assert first.anomaly_schedule == second.anomaly_schedule
    assert first.expected_rows == second.expected_rows
    assert first.applied_synthetic_generators == second.applied_synthetic_generators


def name_of(episode: EpisodeData) -> Name:
    return episode.config.seed, episode.config.number


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"anomaly_count": (1, 5), "difficulty": "hard"},
        {"anomaly_count": None, "anomaly_density": "low", "scenario_family": "funnel_break"},
        {"anomaly_generators": [DROP]},
        {"generator": {"num_weeks": 2, "base_daily_count": 5000.0}, "anomaly_count": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 41, MAX_SEED])
def test_an_episode_is_made_again_from_its_config(options: dict[str, Any], seed: int) -> None:
    """generate_episode(episode.config) makes what was played, for any episode of a stream, its options included."""
    env = bare(**options)
    for number in range(4):
        env.reset(seed=seed if number == 0 else None)
        *_, info = env.step(env.actions.encode("submit"))
        episode = env.episode()
        assert name_of(episode) == (seed, number) == (info["episode_seed"], info["episode_number"])
        again = MetricDataGenerator(env.config.generator).generate_episode(episode.config)
        assert_same_episode(again, episode)


def test_options_of_a_reset_are_in_the_name() -> None:
    """An episode with options of its own is made again with them, and the next one without."""
    env = bare()
    env.reset(seed=5)
    for options in ({"difficulty": "hard", "anomaly_count": 1}, None, {"anomaly_generators": [DROP.model_dump()]}):
        env.reset(options=options)
        env.step(env.actions.encode("submit"))
        assert_same_episode(MetricDataGenerator().generate_episode(env.episode().config), env.episode())
    assert name_of(env.episode()) == (5, 3)


def test_batches_take_the_number() -> None:
    """A batch holds that episode of each seed."""
    generator, request = MetricDataGenerator(), EpisodeConfig(number=7, difficulty="easy")
    batch = generator.generate_batch(request, [3, 4])
    for place, seed in enumerate((3, 4)):
        episode = generator.generate_episode(request.model_copy(update={"seed": seed}))
        assert_same(batch.hourly[place], episode.hourly)


def test_an_episode_is_played_again_by_its_name() -> None:
    """Reset with the seed, and further resets up to the number, play the same episode again."""
    envs = make_lanes(3, autoreset_mode=AutoresetMode.SAME_STEP, **SHORT)
    envs.reset(seed=20)
    told: dict[str, np.ndarray] = {}
    for _ in range(4 * 6):
        told = envs.step(np.full(3, 0))[4].get("final_info", told)
    assert told["episode_number"].tolist() == [3, 3, 3]
    for lane in range(3):
        env = bare(**SHORT)
        env.reset(seed=int(told["episode_seed"][lane]))
        for _ in range(int(told["episode_number"][lane])):
            env.reset()
        env.end_episode()
        assert_same_episode(env.episode(), envs.episode(lane))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_envs", [1, 5])
def test_every_ended_episode_of_lanes_can_be_named(mode: AutoresetMode, num_envs: int) -> None:
    """In each autoreset mode the lanes tell the names of the episodes that end, and truth and grade in that step."""
    envs = make_lanes(num_envs, autoreset_mode=mode, max_episode_steps=5, **SHORT)
    generator = MetricDataGenerator(envs.config.generator)
    _, info = envs.reset(seed=100)
    rng, masks, seen = np.random.default_rng(0), info["action_mask"].copy(), set[Name]()
    for _ in range(40):
        _, _, terminated, truncated, info = envs.step(pick_lanes(rng, masks, submit=0.1))
        done, masks = terminated | truncated, info["action_mask"].copy()
        told = info.get("final_info", info) if mode is AutoresetMode.SAME_STEP else info
        for lane in range(num_envs):
            if not done[lane]:
                with pytest.raises(gym.error.ResetNeeded, match=f"lane {lane}"):
                    envs.episode(lane)
                continue
            episode = envs.episode(lane)
            assert name_of(episode) == (told["episode_seed"][lane], told["episode_number"][lane])
            assert name_of(episode) not in seen
            assert_same_episode(generator.generate_episode(episode.config), episode)
            assert envs.grade(lane).score == pytest.approx(told["score"][lane])
            assert envs.grade(lane).submitted == told["submitted"][lane]
            seen.add(name_of(episode))
        if mode is AutoresetMode.DISABLED and done.any():
            masks[done] = envs.reset(options={"reset_mask": done})[1]["action_mask"][done]
    assert {seed for seed, _ in seen} == set(range(100, 100 + num_envs))
    for lane in range(num_envs):
        numbers = sorted(number for seed, number in seen if seed == 100 + lane)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 4


def test_in_same_step_mode_the_truth_is_told_in_that_step() -> None:
    """What the last step ended is told until the next step or reset, with the draft that was submitted."""
    envs = make_lanes(2, autoreset_mode=AutoresetMode.SAME_STEP)
    submit = len(envs.actions) - 1
    envs.reset(seed=0)
    envs.step(np.array([submit, 0]))
    first = envs.episode(0)
    assert name_of(first) == (0, 0)
    assert_same_episode(envs.episode(0), first)
    with pytest.raises(gym.error.ResetNeeded, match="lane 1"):
        envs.grade(1)
    envs.step(np.array([0, submit]))
    assert name_of(envs.episode(1)) == (1, 0)
    with pytest.raises(gym.error.ResetNeeded, match="lane 0"):
        envs.episode(0)
    envs.step(np.array([submit, submit]))
    assert [name_of(envs.episode(lane)) for lane in (0, 1)] == [(0, 1), (1, 1)]
    envs.reset(options={"reset_mask": np.array([True, False])})
    for lane in (0, 1):
        with pytest.raises(gym.error.ResetNeeded, match=f"lane {lane}"):
            envs.episode(lane)


def test_names_that_are_refused() -> None:
    """A number that is none is refused with its value and what is allowed."""
    for number in (-1, 1.5, True, "3", None, MAX_SEED + 1):
        with pytest.raises(ValidationError, match="number"):
            EpisodeConfig(number=number)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"unknown reset option 'number'"):
        bare().reset(seed=0, options={"number": 3})


# Seeds that nobody gave


def test_a_drawn_seed_can_be_used_again() -> None:
    """After a reset without a seed np_random_seed is the drawn one, and a reset with it plays the same stream again."""
    env, other = bare(), bare()
    env.reset()
    seed = env.np_random_seed
    assert 0 <= seed <= MAX_SEED
    rng = np.random.default_rng(0)
    played = [play(env, None if number else seed, rng) for number in range(2)]
    rng = np.random.default_rng(0)
    assert_same([play(other, None if number else seed, rng) for number in range(2)], played)
    assert played[0][-1].info["episode_seed"] == seed == env.np_random_seed


def test_a_seed_may_be_looked_up_before_the_first_reset() -> None:
    """The number that a fresh environment or fresh lanes give is the seed of their first episodes."""
    env = gym.make(ENV_ID)
    seed = env.np_random_seed
    env.reset()
    *_, info = env.step(np.int64(SUBMIT))
    assert info["episode_seed"] == seed
    envs = make_lanes(3)
    seed = envs.np_random_seed
    assert seed is not None
    assert 0 <= seed <= MAX_SEED - 2
    envs.reset()
    told = envs.step(np.full(3, SUBMIT))[4]
    assert told["episode_seed"].tolist() == [seed, seed + 1, seed + 2]
    envs.reset(seed=seed)
    assert envs.step(np.full(3, SUBMIT))[4]["episode_number"].tolist() == [0, 0, 0]


def test_np_random_seed_is_gymnasiums() -> None:
    """As in any environment of Gymnasium it is the seed of the last seeded reset, through wrappers too; -1 is none."""
    env = gym.make(ENV_ID)
    for seed, shown in ((7, 7), (None, 7), (np.int64(9), 9), (MAX_SEED, MAX_SEED)):
        env.reset(seed=seed)  # pyright: ignore[reportArgumentType]
        assert env.np_random_seed == shown
    envs = make_lanes(2)
    envs.reset(seed=7)
    assert envs.np_random_seed == 7
    envs.reset(seed=[3, 9])
    assert envs.np_random_seed == -1


def test_a_generator_of_the_users_draws_the_seed() -> None:
    """With np_random set, an unseeded first reset draws its seed from it; the episode can be named all the same."""
    names = []
    for _ in range(2):
        env = bare()
        env.np_random = np.random.default_rng(12)
        env.reset()
        assert env.np_random_seed == -1
        env.step(env.actions.encode("submit"))
        names.append(env.episode().config)
        assert_same_episode(MetricDataGenerator().generate_episode(env.episode().config), env.episode())
    assert names[0] == names[1]
    envs = make_lanes(2)
    envs.np_random = np.random.default_rng(12)
    envs.reset()
    assert envs.step(np.full(2, SUBMIT))[4]["episode_seed"].tolist() == [names[0].seed, names[0].seed + 1]


def test_lanes_that_were_not_seeded_are_named_too() -> None:
    """Lanes with a seed and lanes without, in one reset, each tell a name that makes their episode."""
    envs = MetricTrackerVectorEnv(3, "SameStep")
    envs.reset(seed=[None, 5, None])
    told = envs.step(np.full(3, SUBMIT))[4]["final_info"]
    assert told["episode_seed"][1] == 5
    assert len(set(told["episode_seed"].tolist())) == 3
    for lane in range(3):
        made = MetricDataGenerator(GeneratorConfig()).generate_episode(
            EpisodeConfig(seed=int(told["episode_seed"][lane]), number=int(told["episode_number"][lane]))
        )
        assert_same_episode(made, envs.episode(lane))
