"""Quiet episodes, incidents that find no place, explicit generators, and worlds that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_world import WORLD, generated, keys_of
from pydantic import ValidationError

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, SyntheticAnomalyGenerator, WorldConfig
from metric_tracker_env.schema import DIFFICULTIES, ScenarioFamily
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.labels import CellClass

# Quiet episodes, and incidents that find no place


@pytest.mark.parametrize("config", [GeneratorConfig(), WORLD], ids=["clean", "world"])
def test_quiet_episodes(config: GeneratorConfig) -> None:
    """Without incidents nothing is expected and nothing follows; a range from 0 draws quiet episodes as others."""
    for difficulty in DIFFICULTIES:
        batch = generated(config, difficulty, "mixed", 0, 50)
        assert not np.isin(batch.classes, (CellClass.EXPECTED, CellClass.CONSEQUENCE)).any()
        assert ((batch.classes > 0) == batch.final.flagged).all()
    numbers = (generated(config, "easy", "mixed", (0, 4), 1500).plan.active).any(axis=1)
    assert (~numbers).mean() == pytest.approx(0.2, abs=0.035)


@pytest.mark.parametrize("hourly", [True, False])
def test_a_chunk_in_which_every_incident_is_given_up(hourly: bool) -> None:
    """Where events leave no date to any incident, the episodes are quiet, and nothing fails."""
    crowded = WorldConfig(events=(12, 12), lengths=(0.0, 1.0), gaps=(6, 6), on_event_dates=1.0, beyond_announced=0.0)
    config = GeneratorConfig(world=crowded, num_weeks=3)
    family: ScenarioFamily = "instrumentation_data_quality_issue"
    source = MetricDataGenerator(config)._source(EpisodeConfig(scenario_family=family, anomaly_count=2))
    batch = source.generate(keys_of(list(range(200))), hourly)
    given_up = np.flatnonzero(batch.given_up == 2)
    assert len(given_up) > 5
    alone = source.generate(keys_of(given_up.tolist()), hourly)
    assert (alone.given_up == 2).all()
    assert not alone.expected.any()
    assert not alone.plan.active.any()


# Explicit generators in a world


def test_explicit_generators_in_a_world() -> None:
    """Generators move a metric from the world's data; the rows are theirs alone, and every flagged cell has a class."""
    shift = SyntheticAnomalyGenerator(metric_name="menu_opens", date="2026-03-12", stddev_factor=8.0, direction="down")
    found = 0
    for seed in range(12):
        request = EpisodeConfig(seed=seed, difficulty="easy", anomaly_generators=(shift,))
        episode = MetricDataGenerator(WORLD).generate_episode(request)
        assert [(row.date, row.entity_name) for row in episode.expected_rows] == [("2026-03-12", "menu_opens")]
        assert ((episode.classes.T > 0) == episode.deviations.flagged[:, 0]).all()
        (record,) = episode.applied_synthetic_generators
        assert record.actual_value == episode.expected_rows[0].observed_value
        found += len(episode.known_events)
    assert found > 40


# Bad values


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *(("events", value, "events") for value in (5, (4,), (4, 13), (-1, 2), (1.5, 2), ("1", 2), (True, 2), None)),
        ("events", (5, 4), r"events: the range \(5, 4\) must not fall"),
        *(("gaps", value, "gaps") for value in ((0, 7), (-1, 1), (1,), (1.0, 2.0))),
        ("gaps", (2, 1), r"gaps: the range \(2, 1\) must not fall"),
        *(("lengths", value, "lengths") for value in ((), (0.5, 0.4), (1.5, -0.5), (NAN,), (0.125,) * 8, 1.0, ("1",))),
        ("lengths", (0.5, 0.4), r"lengths: the probabilities \[0.5, 0.4\] sum to 0.9, not 1"),
        *(("without_effect", value, "without_effect") for value in (-0.1, 1.1, NAN, INF, "0.2", True, None)),
        *(("announced_within", value, "announced_within") for value in (-0.1, 0.6, NAN, "0.2", True)),
        *(("gap_loss", value, "gap_loss") for value in ((0, 1), (2.0,), (NAN, 1), (1, INF), (-1, 2), 1.5)),
        ("gap_loss", (2.0, 1.2), r"gap_loss: the range \(2.0, 1.2\) must not fall"),
        ("gap_loss", (2.0, 4.5), "gap_loss: 4.5 thresholds are given; at most 4.0"),
        *(("on_event_dates", value, "on_event_dates") for value in (-0.1, 1.1, NAN, True)),
        *(("beyond_announced", value, "beyond_announced") for value in (-0.1, 1.1, NAN, "x")),
        ("event", (4, 6), "unknown key 'event'"),
    ],
)
def test_bad_worlds_are_refused(field: str, value: Any, words: str) -> None:
    """A bad value of the world's configuration is an error that names the field, and is never repaired."""
    with pytest.raises(ValidationError, match=words):
        WorldConfig.model_validate({field: value})
    with pytest.raises(ValidationError, match=words):
        GeneratorConfig.model_validate({"world": {field: value}})


@pytest.mark.parametrize("weeks", [1, 2])
def test_a_world_needs_three_weeks(weeks: int) -> None:
    """Too few weeks for the events are an error that says how many are needed."""
    with pytest.raises(ValidationError, match=rf"world: {weeks} weeks cannot hold .* at least 3"):
        GeneratorConfig(world=WorldConfig(), num_weeks=weeks)


def test_more_incidents_than_a_world_holds_are_refused() -> None:
    """Every incident may last three dates, so fewer fit; the error says how many and why."""
    with pytest.raises(ValueError, match=r"8 incidents do not fit in 28 days; at most 7 do .* may last 3 dates"):
        MetricDataGenerator(WORLD).generate_episode(EpisodeConfig(anomaly_count=8))
