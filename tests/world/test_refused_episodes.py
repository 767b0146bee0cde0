"""The seed's defects 12 to 14: what cannot be generated is refused, and the most that can be is generated."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from helpers_labels import assert_labels_hold
from helpers_world import conversion, generated, generator_configs
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metric_tracker_env.config import EnvConfig, EpisodeConfig, FunnelStep, GeneratorConfig, SyntheticAnomalyGenerator
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, DIFFICULTIES, Difficulty, ScenarioFamily, StrictModel
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.planner import GenerationError

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (EpisodeConfig, "scenario_family", "chaos"),
        (EpisodeConfig, "scenario_family", None),
        (EpisodeConfig, "difficulty", "brutal"),
        (EpisodeConfig, "difficulty", "Easy"),
        (EpisodeConfig, "anomaly_density", "dense"),
        *((EpisodeConfig, "anomaly_count", value) for value in (-1, 1.7, 3.0, NAN, INF, True, "3", (3, 1), (-1, 2))),
        *((EpisodeConfig, "anomaly_count", value) for value in ((1, 2, 3), (1,), (1.5, 2), (1, True))),
        *((EpisodeConfig, "seed", value) for value in (-1, 1.7, 1.0, 2**63, 10**30, True, NAN, "7", None)),
        (EpisodeConfig, "sed", 1),
        (EnvConfig, "scenario_family", "chaos"),
        (EnvConfig, "anomaly_count", -5),
        (EnvConfig, "anomaly_count", 14),
        (EnvConfig, "anomaly_count", (3, 14)),
        (EnvConfig, "budget", 0),
        (EnvConfig, "seed", 3),
        *((GeneratorConfig, "num_weeks", value) for value in (0, 13, 4.0, True, NAN)),
        *((GeneratorConfig, "end_date", value) for value in ("2026-02-30", "yesterday", "31.03.2026")),
        *((GeneratorConfig, "base_daily_count", value) for value in (0, -1, NAN, INF, 1e9, "many")),
        *((GeneratorConfig, "weekday_factors", value) for value in ((1.0,) * 6, (1.0,) * 6 + (NAN,), (0.0,) * 7)),
        (GeneratorConfig, "weekday_factors", (1e6,) * 7),
        *((GeneratorConfig, "hourly_weights", value) for value in ((1.0,) * 23, (1.0,) * 23 + (-1.0,))),
        *((GeneratorConfig, "day_noise", value) for value in (-0.1, 0.5, NAN)),
        *((GeneratorConfig, "trend_per_day", value) for value in (-0.5, 1.0, NAN)),
        (GeneratorConfig, "rate_noise", {"easy": 0.9}),
        (GeneratorConfig, "steps", ()),
        (GeneratorConfig, "base_daily_app_opens", 18000),
        *((FunnelStep, "rate", value) for value in (0.0, 1.0, -0.5, NAN, "half")),
        *((FunnelStep, "name", value) for value in ("", "two words", "1st", "x" * 41, 5)),
        *((FunnelStep, "noise_scale", value) for value in (-1.0, 11.0, NAN)),
        *((SyntheticAnomalyGenerator, "stddev_factor", value) for value in (NAN, INF, -INF, -2.0, 0.0, 1e6, "big")),
        (SyntheticAnomalyGenerator, "direction", "sideways"),
        (SyntheticAnomalyGenerator, "method_name", "magic"),
        (SyntheticAnomalyGenerator, "metric_names", "app_opens"),
        (SyntheticAnomalyGenerator, "metric_name", 5),
        (SyntheticAnomalyGenerator, "when", "2026-03-10"),
    ],
)
def test_defect_12_bad_values_are_refused(model: type[StrictModel], field: str, value: Any) -> None:
    """No bad value is repaired in silence: each is an error that names the field and the value that was given."""
    complete: dict[type[StrictModel], dict[str, Any]] = {
        FunnelStep: {"name": "sales", "rate": 0.5},
        SyntheticAnomalyGenerator: {"stddev_factor": 3.0},
    }
    fields = complete.get(model, {})
    model.model_validate(fields)
    with pytest.raises(ValidationError) as caught:
        model.model_validate({**fields, field: value})
    assert field in str(caught.value)
    innermost = {1e9: "1000000000.0", 1e6: "1000000.0"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert innermost.get(value, str(value))[:12] in str(caught.value)
    elif isinstance(value, str) and value:
        assert value[:10] in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"steps": (FunnelStep(name="b", rate=0.5), FunnelStep(name="b", rate=0.5))},
            ["steps: names ['a', 'b', 'b'] must be distinct"],
        ),
        ({"steps": (FunnelStep(name="a", rate=0.5),)}, ["steps: names ['a', 'a'] must be distinct"]),
        ({"steps": (FunnelStep(name="hour", rate=0.5),)}, ["none of 'date', 'hour'"]),
        ({"conversion_definitions": (conversion("x", "c", "a"),)}, ["'x' uses 'c', not one of ['a', 'b']"]),
        (
            {"conversion_definitions": (conversion("x", "a", "b"),)},
            ["conversion_definitions: 'x' needs its numerator 'a' after its denominator 'b'"],
        ),
        ({"conversion_definitions": (conversion("x", "b", "b"),)}, ["'x' needs its numerator 'b'"]),
        (
            {"conversion_definitions": (conversion("x", "b", "a"), conversion("y", "b", "a"))},
            ["pair is used twice", "('b', 'a')"],
        ),
        (
            {"conversion_definitions": (conversion("a", "b", "a"),)},
            ["conversion_definitions: the name 'a' is used twice"],
        ),
        (
            {"steps": (FunnelStep(name="b", rate=0.97),)},
            ["steps: rate 0.97 of 'b' with its hard noise reaches 1.0039; it must stay below 1"],
        ),
        (
            {"steps": (FunnelStep(name="b", rate=0.1, noise_scale=4.0),), "rate_noise": {"medium": 0.3}},
            ["steps: noise_scale 4.0 of 'b' makes its medium noise 1.2000; it must be at most 1"],
        ),
    ],
)
def test_defect_12_inconsistent_funnels_are_refused(fields: dict[str, Any], words: list[str]) -> None:
    """A funnel whose names clash, whose conversions run backwards or whose rates can pass 1 is an error."""
    good = {"entry_step": "a", "steps": (FunnelStep(name="b", rate=0.5),), "conversion_definitions": ()}
    GeneratorConfig.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        GeneratorConfig.model_validate({**good, **fields})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"metric_name": "", "date": "2026-03-10"},
        {"metric_name": "app_opens", "date": ""},
        {"metric_names": ("",), "date": "2026-03-10"},
        {"metric_name": "app_opens", "dates": ("",)},
    ],
)
def test_defect_12_an_empty_name_or_date_is_not_none(fields: dict[str, Any]) -> None:
    """An empty metric name or date is an error; it does not mean "all metrics" or "any date"."""
    with pytest.raises(ValueError, match="''"):
        MetricDataGenerator().generate_episode(
            EpisodeConfig(anomaly_generators=(SyntheticAnomalyGenerator(stddev_factor=5.0, **fields),))
        )


@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES)
def test_defect_13_more_anomalies_than_fit_is_an_error(family: ScenarioFamily) -> None:
    """More incidents than dates raise at once, naming the count and the most that fits; there is no endless loop."""
    for count in (14, 24, 10**30, (3, 14)):
        request = EpisodeConfig(scenario_family=family, anomaly_count=count)
        with pytest.raises(ValueError, match=r"anomaly_count: \d+ incidents do not fit in 28 days; at most 13 do"):
            MetricDataGenerator().generate_episode(request)
    week = EpisodeConfig(scenario_family=family, anomaly_count=3)
    with pytest.raises(ValueError, match="3 incidents do not fit in 7 days; at most 2 do"):
        MetricDataGenerator(GeneratorConfig(num_weeks=1)).generate_episode(week)


@pytest.mark.parametrize("factor", [NAN, INF, -INF, -1.0, 0.0])
def test_defect_14_stddev_factor_is_finite_and_positive(factor: float) -> None:
    """A factor that is no positive finite number is refused where it is given; the largest allowed one still works."""
    with pytest.raises(ValidationError, match="stddev_factor"):
        SyntheticAnomalyGenerator(metric_name="app_opens", date="2026-03-10", stddev_factor=factor)
    largest = SyntheticAnomalyGenerator(
        metric_name="app_opens", date="2026-03-10", stddev_factor=1000.0, direction="up"
    )
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(anomaly_generators=(largest,)))
    (row,) = episode.expected_rows
    (record,) = episode.applied_synthetic_generators
    assert row.observed_value == record.actual_value == pytest.approx(record.target_value, rel=1e-3)


# Worst cases


@pytest.mark.parametrize(
    ("weeks", "difficulty", "family"),
    list(itertools.product((1, 2, 4, 12), DIFFICULTIES, ALL_SCENARIO_FAMILIES)),
)
def test_the_largest_count_generates(weeks: int, difficulty: Difficulty, family: ScenarioFamily) -> None:
    """The most incidents a calendar allows can be made for every family and difficulty, with labels that hold."""
    config = GeneratorConfig(num_weeks=weeks)
    assert config.max_incidents == {1: 2, 2: 6, 4: 13, 12: 41}[weeks]
    batch = generated(config, difficulty, family, config.max_incidents, 300 if weeks == 1 else 50)
    assert (batch.expected.sum(axis=(0, 2)) == config.max_incidents).all()
    assert_labels_hold(config, difficulty, batch)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(generator_configs(), st.sampled_from(DIFFICULTIES), st.integers(1, 5))
def test_any_sensible_configuration_generates(config: GeneratorConfig, difficulty: Difficulty, count: int) -> None:
    """Whatever the rates, weights, noise, size and calendar, mixed episodes are made and their labels hold."""
    assert_labels_hold(config, difficulty, generated(config, difficulty, "mixed", count, 4))


def test_an_unrealisable_configuration_is_an_error_in_words() -> None:
    """Where no incident can show (a drop on the two days with 100 times the traffic), the error says what to change."""
    weekend = GeneratorConfig(num_weeks=1, weekday_factors=(1, 1, 1, 1, 1, 100, 100))
    drop = EpisodeConfig(scenario_family="absolute_drop_in_event_count", anomaly_count=1)
    with pytest.raises(GenerationError, match=r"'absolute_drop_in_event_count' with anomaly_count 1.*ask for fewer"):
        MetricDataGenerator(weekend).generate_episode(drop)
