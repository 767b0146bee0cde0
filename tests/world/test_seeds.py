"""Held-out means held out: no seed, no episode and no data of training is in the evaluation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from agents.tasks import held_out_seeds
from metric_tracker_env import TASKS, EpisodeConfig, MetricDataGenerator
from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TRAINING_SEEDS
from metric_tracker_env.world.rng import KeyStream, episode_key
from metric_tracker_env.world.source import generate_batch

LANES, EPISODES = 4096, 500


class Keys(NamedTuple):
    """Keys of episodes; a key is all that an episode is made of, beside the configuration."""

    held_out: np.ndarray  # (100,000,) uint64, the first episode of each held-out seed
    training: np.ndarray  # (n,) uint64, many episodes of many training lanes


def keys_of(seeds: list[int], episodes: int) -> np.ndarray:
    """(len(seeds) * episodes,) uint64: keys of the first episodes of lanes with these seeds."""
    lanes, numbers = np.divmod(np.arange(len(seeds) * episodes), episodes)
    return KeyStream(seeds).keys(lanes, numbers)


@pytest.fixture(scope="module")
def keys() -> Keys:
    """All held-out episodes, and 2.2 million episodes of training, of lanes in a row and from all over the range."""
    spread = np.linspace(TRAINING_SEEDS.start, TRAINING_SEEDS.stop - 1, LANES).astype(int).tolist()
    training = [keys_of(list(TRAINING_SEEDS[:LANES]), EPISODES), keys_of(spread[1:], 50)]
    return Keys(keys_of(list(HELD_OUT_SEEDS), 1), np.concatenate(training))


@pytest.mark.parametrize("name", TASKS)
def test_the_ranges_of_seeds_are_disjoint(name: str) -> None:
    """Every task trains on one range of valid seeds and is evaluated on another, which lies above it."""
    task = TASKS[name]
    training, held_out = range(*task.training_seeds), range(*task.held_out_seeds)
    assert len(training) >= 1_000_000
    assert len(held_out) >= 100_000
    assert training.start >= 0
    assert training.stop <= held_out.start
    assert held_out.stop - 1 <= MAX_SEED


@pytest.mark.parametrize("name", TASKS)
def test_evaluation_takes_held_out_seeds_only(name: str) -> None:
    """The leaderboard's seeds are in the range that the task holds out, from its first to its last."""
    held_out = range(*TASKS[name].held_out_seeds)
    for episodes in (1, len(held_out)):
        seeds = held_out_seeds(name, episodes)
        assert len(seeds) == episodes
        assert (seeds[0], seeds[-1]) == (held_out[0], held_out[episodes - 1])


def test_no_episode_is_in_training_and_evaluation(keys: Keys) -> None:
    """Whatever training plays after its first episodes, no key is a held-out one; and no key comes twice at all."""
    assert len(keys.held_out) == len(HELD_OUT_SEEDS)
    assert len(keys.training) > LANES * EPISODES
    assert not np.isin(keys.training, keys.held_out).any()
    assert len(np.unique(np.concatenate(keys))) == len(keys.held_out) + len(keys.training)


def test_the_keys_are_those_that_are_played(keys: Keys) -> None:
    """The first key of a held-out seed makes the episode that a reset with the seed plays."""
    seeds = HELD_OUT_SEEDS[:: len(HELD_OUT_SEEDS) // 20]
    assert [episode_key(seed) for seed in seeds] == keys.held_out[
        [seed - HELD_OUT_SEEDS.start for seed in seeds]
    ].tolist()
    generator = MetricDataGenerator()
    request = EpisodeConfig(difficulty="hard")
    batch = generate_batch(generator.config, request, np.array([episode_key(seed) for seed in seeds], np.uint64))
    for lane, seed in enumerate(seeds):
        episode = generator.generate_episode(request.model_copy(update={"seed": seed}))
        assert (episode.hourly == batch.hourly[lane]).all()


def test_other_keys_are_other_data(keys: Keys) -> None:
    """No two of 3,000 sampled episodes, half of them held out, share their clean daily counts or their hourly ones."""
    sample = np.concatenate([some[:: len(some) // 1500][:1500] for some in keys])
    batch = generate_batch(MetricDataGenerator().config, EpisodeConfig(), sample)
    clean = {episode.tobytes() for episode in np.ascontiguousarray(batch.twin_daily.transpose(1, 2, 0))}
    played = {episode.tobytes() for episode in np.ascontiguousarray(batch.hourly)}
    assert len(clean) == len(played) == len(sample) == 3000
