"""Defects 15 and 18 of the seed system; 1 to 14, 16 and 17 are tested with the labels and the score."""

from __future__ import annotations

import sys
from types import FrameType

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import ENV_ID

from metric_tracker_env import (
    EpisodeConfig,
    GeneratorConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    SharedAnalysisToolkit,
    measure,
)


def made(**options: object) -> MetricTrackerEnv:
    env = gym.make(ENV_ID, **options).unwrapped  # pyright: ignore[reportArgumentType]
    assert isinstance(env, MetricTrackerEnv)
    return env


def test_defect_15_an_empty_submission_tells_nothing_that_can_be_used() -> None:
    """The grade that names the missing rows comes when the episode is over, and nothing can be submitted after it."""
    env = made()
    env.reset(seed=3)
    with pytest.raises(gym.error.ResetNeeded):
        env.grade()
    *_, terminated, _, info = env.step(env.actions.encode("submit"))
    assert terminated
    assert info["score"] == 0.0
    assert env.grade().missing == 3
    with pytest.raises(gym.error.ResetNeeded):
        env.step(env.actions.encode("submit"))


def test_defect_15_a_right_report_looks_like_a_wrong_one() -> None:
    """Under the terminal reward a report of a root and one of its consequence give the same reward and information."""
    compared = 0
    for seed in range(20):
        answers = []
        for wanted in (1, 2):  # CellClass.EXPECTED, CellClass.CONSEQUENCE
            env = made(scenario_family="rate_drop_from_median", difficulty="easy")
            env.reset(seed=seed)
            classes = (
                MetricDataGenerator()
                .generate_episode(EpisodeConfig(seed=seed, scenario_family="rate_drop_from_median", difficulty="easy"))
                .classes
            )
            day = int(np.flatnonzero((classes == 1).any(axis=1))[0])
            entities = np.flatnonzero(classes[day, :11] == wanted)
            if not len(entities):
                break
            env.step(env.actions.encode("rows_for_date", date=env.config.generator.date_names[day]))
            entity = env.config.generator.catalogue.entities[entities[0]]
            names = {"entity_type": entity.entity_type, "entity_name": entity.entity_name}
            _, reward, terminated, truncated, info = env.step(env.actions.encode("report", date="focused", **names))
            counted = {name: value for name, value in info.items() if name != "action_mask"}
            answers.append((reward, terminated, truncated, counted, info["action_mask"].sum()))
        else:
            compared += 1
            assert answers[0] == answers[1]
    assert compared >= 5


def test_defect_15_repeating_a_report_earns_nothing() -> None:
    """A cell can be reported once; doing it again is illegal and earns nothing."""
    env = made(reward="dense", difficulty="easy", scenario_family="rate_spike_from_median")
    env.reset(seed=1)
    classes = (
        MetricDataGenerator()
        .generate_episode(EpisodeConfig(seed=1, scenario_family="rate_spike_from_median", difficulty="easy"))
        .classes
    )
    day, entity = np.argwhere(classes == 1)[0]
    env.step(env.actions.encode("rows_for_date", date=env.config.generator.date_names[day]))
    report = env.actions.report_start + int(entity)
    first = env.step(report)
    second = env.step(report)
    assert first[1] > 0
    assert second[1] == 0
    assert second[4]["illegal_action"]


def calls_of(toolkit: SharedAnalysisToolkit) -> int:
    """Python functions that one list_suspicious_dates calls."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:  # noqa: ARG001
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        toolkit.list_suspicious_dates(limit=366)
    finally:
        sys.setprofile(None)
    return count


def test_defect_18_statistics_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an episode is made no tool call computes a median or a deviation of its cells again."""
    toolkit = SharedAnalysisToolkit(MetricDataGenerator().generate_episode(EpisodeConfig(seed=5)).view)
    for name in ("medians", "deviations", "thresholds"):
        monkeypatch.setattr(measure, name, lambda *_: pytest.fail("computed again"))
    for _ in range(3):
        toolkit.list_suspicious_dates(limit=5)
        toolkit.compare_count_to_median("2026-03-10", "app_opens")
        assert toolkit.get_metric_median("app_opens")


def test_defect_18_the_survey_is_linear_in_days() -> None:
    """Three times the days mean about three times the calls of list_suspicious_dates, not nine times."""
    calls = []
    for weeks in (4, 12):
        generator = MetricDataGenerator(GeneratorConfig(num_weeks=weeks))
        episode = generator.generate_episode(EpisodeConfig(seed=2, difficulty="easy", anomaly_count=weeks))
        toolkit = SharedAnalysisToolkit(episode.view)
        calls_of(toolkit)
        calls.append(calls_of(toolkit))
    assert 0 < calls[1] <= 4 * calls[0]
