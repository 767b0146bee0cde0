"""Environments with explicit anomaly generators."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID

from metric_tracker_env import (
    EpisodeConfig,
    GeneratorConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    MetricTrackerVectorEnv,
)
from metric_tracker_env.config import GenerationError, SyntheticAnomalyGenerator
from metric_tracker_env.world import source

HOPELESS = {"metric_name": "orders_placed", "stddev_factor": 50.0, "direction": "down", "date": "2026-03-10"}


def made(**options: Any) -> MetricTrackerEnv:
    env = gym.make(ENV_ID, **options).unwrapped
    assert isinstance(env, MetricTrackerEnv)
    return env


def test_a_stream_of_explicit_episodes_goes_on() -> None:
    """Clean data that cannot carry a generator are drawn again, so that no reset of the stream fails."""
    env = made(anomaly_generators=[{"stddev_factor": 3.0}], difficulty="hard")
    env.reset(seed=1)
    for _ in range(60):
        env.step(env.actions.encode("submit"))
        assert len(env.episode().expected_rows) == 11
        env.reset()


def test_clean_data_are_drawn_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no data can carry is given up after ``DATA_DRAWS`` different ones, the first of which is the seed's own."""
    drawn: list[bytes] = []

    def refuse(*asked: Any) -> None:
        drawn.append(asked[3].tobytes())  # the first step's hours
        raise GenerationError(f"refused {len(drawn)}")

    asked = EpisodeConfig(seed=3, anomaly_generators=(SyntheticAnomalyGenerator(stddev_factor=3.0),))
    with monkeypatch.context() as patch:
        patch.setattr(source, "plan_explicit", refuse)
        with pytest.raises(GenerationError, match=f"^refused {source.DATA_DRAWS}$"):
            MetricDataGenerator().generate_episode(asked)
    assert len(set(drawn)) == len(drawn) == source.DATA_DRAWS
    clean = MetricDataGenerator().generate_episode(EpisodeConfig(seed=3, scenario_family="funnel_break"))
    assert drawn[0] == clean.hourly[..., 0].T.astype(np.float32).tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_open_falls_on_candidate_days(seed: int) -> None:
    """A date that is drawn is none of the first 3 and the last 2."""
    generators = (SyntheticAnomalyGenerator(metric_name="app_opens", stddev_factor=3.0),)
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=seed, anomaly_generators=generators))
    (row,) = episode.expected_rows
    assert GeneratorConfig().day_index(row.date) in range(3, 26)


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        ({"metric_name": "zzz", "stddev_factor": 3.0}, "metric 'zzz' is not one of"),
        (
            {"metric_name": "app_opens", "date": "2020-01-01", "stddev_factor": 3.0},
            "date '2020-01-01' is not an ISO date",
        ),
        (
            {"metric_names": ["app_open_to_menu_open", "menu_opens"], "date": "2026-03-10", "stddev_factor": 3.0},
            "both change the rate of menu_opens on 2026-03-10",
        ),
    ],
)
def test_what_no_data_can_carry_is_refused_when_made(generator: dict[str, Any], words: str) -> None:
    """Unknown metrics and dates and two anomalies of one link on a date are refused before any reset."""
    with pytest.raises(ValueError, match=words):
        made(anomaly_generators=[generator])


def test_counts_stay_within_their_type() -> None:
    """A shift that would pass the largest daily count is refused; it does not overflow."""
    config = GeneratorConfig(base_daily_count=3e8, weekday_factors=(0.2, 1, 1, 1, 1, 0.3, 0.2))
    shift = SyntheticAnomalyGenerator(metric_name="app_opens", stddev_factor=1000.0, direction="up", date="2026-03-10")
    with pytest.raises(GenerationError, match="'app_opens' cannot go to"):
        MetricDataGenerator(config).generate_episode(EpisodeConfig(seed=1, anomaly_generators=(shift,)))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_lanes_that_cannot_go_on_say_so(mode: AutoresetMode) -> None:
    """Where no episode can be made, reset and step raise; no lane plays on without an episode."""
    envs = gym.make_vec(ENV_ID, num_envs=2, autoreset_mode=mode, anomaly_generators=[HOPELESS])
    with pytest.raises(GenerationError, match="'orders_placed' cannot go to"):
        envs.reset(seed=0)
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.zeros(2, np.int64))


def test_a_users_generator_seeds_the_stream() -> None:
    """An environment whose np_random was set starts its stream from it."""
    rows = []
    for _ in range(2):
        env = made()
        env.np_random = np.random.default_rng(5)
        env.reset()
        env.step(env.actions.encode("submit"))
        rows.append(env.episode().expected_rows)
    assert rows[0] == rows[1]


@pytest.mark.parametrize("value", [0, 20260331, 1.5, "1728000000", "2026-02-30"])
def test_an_end_date_is_a_date(value: object) -> None:
    """Numbers are no dates."""
    with pytest.raises(ValueError, match="end_date"):
        GeneratorConfig(end_date=value)  # pyright: ignore[reportArgumentType]


def test_vector_seeds_of_some_lanes() -> None:
    """A list of seeds may leave lanes open, at the first reset too."""
    envs = gym.make_vec(ENV_ID, num_envs=3)
    assert isinstance(envs, MetricTrackerVectorEnv)
    envs.reset(seed=[1, None, 3])
    actions = np.full(3, envs.actions.encode("submit"))
    envs.step(actions)
    expected = MetricDataGenerator().generate_episode(EpisodeConfig(seed=3)).expected_rows
    assert envs.episode(2).expected_rows == expected
