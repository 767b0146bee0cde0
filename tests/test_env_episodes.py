"""Seeds and options say which episodes an environment plays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_env import VIEWS, assert_same, bare, play

from metric_tracker_env import EnvConfig, EpisodeConfig, MetricDataGenerator
from metric_tracker_env.config import View
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, DIFFICULTIES, ScenarioFamily


@pytest.mark.parametrize("view", VIEWS)
def test_a_seed_gives_the_same_stream_of_episodes(view: View) -> None:
    """reset(seed) starts a stream, reset() goes on with it: the same again for the same seed, in any environment."""
    streams = []
    for env in (bare(view=view), bare(view=view)):
        for _ in range(2):
            rng = np.random.default_rng(5)
            streams.append([play(env, 11 if number == 0 else None, rng) for number in range(4)])
    for stream in streams[1:]:
        assert_same(stream, streams[0])


def test_a_stream_does_not_repeat_an_episode() -> None:
    """The episodes of a stream differ from each other and from those of the next seed."""
    env = bare()
    seen: set[bytes] = set()
    for seed in (11, 12):
        env.reset(seed=seed)
        for _ in range(10):
            env.step(env.actions.encode("submit"))
            seen.add(env.episode().hourly.tobytes())
            env.reset()
    assert len(seen) == 20


def test_the_stream_does_not_depend_on_what_was_played() -> None:
    """Episode n of a seed is the same whether the ones before it were played, ended or skipped."""
    played, skipped = bare(), bare()
    rng = np.random.default_rng(0)
    play(played, 3, rng)
    play(played, None, rng)
    skipped.reset(seed=3)
    skipped.reset()
    skipped.step(0)
    for env in (played, skipped):
        env.reset()
        env.step(env.actions.encode("submit"))
    assert np.array_equal(played.episode().hourly, skipped.episode().hourly)


def test_without_a_seed_environments_differ() -> None:
    """Two environments that were never seeded play different episodes."""
    hourly = []
    for env in (bare(), bare()):
        env.reset()
        env.step(env.actions.encode("submit"))
        hourly.append(env.episode().hourly)
    assert not np.array_equal(hourly[0], hourly[1])


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5, 2**63 - 1, np.int64(7), np.uint32(9)])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_seed_plays_the_episode_of_the_generator(seed: Any, difficulty: Any) -> None:
    """reset(seed=s) plays what MetricDataGenerator.generate_episode makes of seed s and the same options."""
    env = bare(difficulty=difficulty, anomaly_count=(1, 5))
    env.reset(seed=seed)
    env.step(env.actions.encode("submit"))
    request = EpisodeConfig(seed=int(seed), difficulty=difficulty, anomaly_count=(1, 5))
    made = MetricDataGenerator(env.config.generator).generate_episode(request)
    assert np.array_equal(env.episode().hourly, made.hourly)
    assert np.array_equal(env.episode().classes, made.classes)
    assert env.episode().expected_rows == made.expected_rows
    assert env.episode().anomaly_schedule == made.anomaly_schedule


@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES)
def test_reset_options_hold_for_one_episode(family: ScenarioFamily) -> None:
    """An option of reset is that of this episode, which the generator makes too; the next one is as configured."""
    env, plain = bare(), bare()
    env.reset(seed=21, options={"scenario_family": family, "anomaly_count": 2, "difficulty": "easy"})
    env.step(env.actions.encode("submit"))
    request = EpisodeConfig(seed=21, scenario_family=family, anomaly_count=2, difficulty="easy")
    assert env.episode().expected_rows == MetricDataGenerator().generate_episode(request).expected_rows
    assert len(env.episode().expected_rows) == 2
    assert env.config == EnvConfig()
    plain.reset(seed=21)
    for one in (env, plain):
        one.reset()
        one.step(one.actions.encode("submit"))
    assert_same(env.episode().expected_rows, plain.episode().expected_rows)


def test_explicit_anomalies_as_a_reset_option() -> None:
    """Anomaly generators given to reset are what the episode holds."""
    env = bare()
    wanted = {"metric_name": "menu_opens", "date": "2026-03-18", "stddev_factor": 5.0, "direction": "down"}
    env.reset(seed=1, options={"anomaly_generators": [wanted]})
    env.step(env.actions.encode("submit"))
    rows = env.episode().expected_rows
    assert [(row.date, row.entity_name, row.delta_value < 0) for row in rows] == [("2026-03-18", "menu_opens", True)]
