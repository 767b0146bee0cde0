"""The random words of episodes: as published, uniform, and a function of the lane's seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.world import rng


def test_splitmix64_reference_vector() -> None:
    """The word stream of key 1234567 is the published SplitMix64 sequence of that seed."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert rng.words(np.array([1234567], np.uint64), 0, 5)[:, 0].tolist() == published
    assert rng.words(np.array([1234567], np.uint64), 0, 3, first=2)[:, 0].tolist() == published[2:]


def test_draws_are_uniform_and_streams_differ() -> None:
    """Draws lie in [0, 1) with the moments of a uniform, and two streams or keys share none."""
    keys = np.array([rng.episode_key(seed) for seed in range(50)], np.uint64)
    draws = rng.uniforms(keys, rng.Stream.PLAN, 2000)
    assert draws.shape == (2000, 50)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert draws.mean() == pytest.approx(0.5, abs=0.005)
    assert draws.std() == pytest.approx(12**-0.5, abs=0.003)
    everything = np.concatenate([draws, rng.uniforms(keys, rng.Stream.REDRAW, 2000)])
    assert len(np.unique(everything)) == everything.size


def test_keys_of_a_lane_depend_on_its_seed_alone() -> None:
    """Key n of a seed is the same in any set of lanes, and after the lane was seeded anew."""
    stream = rng.KeyStream([5, 6, 7])
    numbers = np.arange(4)
    six = stream.keys(np.full(4, 1), numbers)
    assert (rng.KeyStream([6]).keys(np.zeros(4, np.int64), numbers) == six).all()
    assert int(six[0]) == rng.episode_key(6)
    assert len({*stream.keys(np.repeat([0, 1, 2], 4), np.tile(numbers, 3)).tolist()}) == 12
    stream.reseed(np.array([2]), [6])
    assert (stream.keys(np.full(4, 2), numbers) == six).all()
