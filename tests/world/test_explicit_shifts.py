"""Explicit generators: ``metric_stddev_shift`` moves a metric as far as was asked, or says why it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, SyntheticAnomalyGenerator
from metric_tracker_env.schema import DIFFICULTIES, Difficulty
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator
from metric_tracker_env.world.explicit import available_synthetic_generator_methods
from metric_tracker_env.world.planner import GenerationError


def shifted_episode(seed: int = 0, difficulty: Difficulty = "medium", **fields: Any) -> EpisodeData:
    generator = SyntheticAnomalyGenerator(**fields)
    config = EpisodeConfig(seed=seed, difficulty=difficulty, anomaly_generators=(generator,))
    return MetricDataGenerator().generate_episode(config)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("app_opens", "up"),
        ("app_opens", "down"),
        ("menu_opens", "down"),
        ("orders_placed", "up"),
        ("payment_successful", "down"),
        ("menu_open_to_product_added_to_cart", "up"),
        ("order_placed_to_payment_successful", "down"),
        ("app_open_to_order_placed", "down"),
        ("app_open_to_payment_successful", "up"),
    ],
)
def test_stddev_shift_record(metric: str, direction: str, difficulty: Difficulty) -> None:
    """The record tells median, deviation and target; the data reach the target, and the expected row agrees."""
    date = "2026-03-18"
    episode = shifted_episode(5, difficulty, metric_name=metric, date=date, stddev_factor=4, direction=direction)
    (record,) = episode.applied_synthetic_generators
    sign = 1 if direction == "up" else -1

    def series_of(daily: np.ndarray) -> np.ndarray:
        counts = dict(zip(GeneratorConfig().catalogue.count_metrics, daily.T, strict=True))
        rates = {
            c.name: 100 * counts[c.numerator] / counts[c.denominator] for c in GeneratorConfig().conversion_definitions
        }
        return (counts | rates)[metric].astype(np.float64)

    series = series_of(episode.twin_daily)
    median = float(np.median(series_of(episode.daily)))
    deviation = float(np.sqrt(np.mean((series - np.median(series)) ** 2)))
    shift = max(4 * deviation, 1.05 * record.threshold_value)
    assert (record.method_name, record.metric_name, record.date) == ("metric_stddev_shift", metric, date)
    assert (record.direction, record.stddev_factor) == (direction, 4.0)
    assert record.baseline_value == pytest.approx(median, rel=1e-3)
    assert record.std_dev_from_median == pytest.approx(deviation, abs=1e-4)
    assert record.pre_applied_value == pytest.approx(series[episode.dates.index(date)], abs=1e-4)
    assert record.target_value == pytest.approx(record.baseline_value + sign * shift, rel=1e-4)
    assert record.actual_value == pytest.approx(record.target_value, rel=0.01)

    (row,) = episode.expected_rows
    assert (row.date, row.entity_name, row.entity_type) == (date, metric, record.metric_type)
    assert (row.anomaly_type, row.detection_method) == (record.anomaly_type, record.detection_method)
    assert row.observed_value == record.actual_value
    assert row.delta_value * sign > 0


def test_stddev_shift_draws_what_is_not_given() -> None:
    """No date draws one, direction auto draws one; two seeds differ and one seed repeats."""
    drawn = [shifted_episode(seed, metric_name="app_opens", stddev_factor=5) for seed in [*range(12), 0]]
    found = [(e.expected_rows[0].date, e.applied_synthetic_generators[0].direction) for e in drawn]
    assert found[0] == found[-1]
    assert len({date for date, _ in found}) > 4
    assert {direction for _, direction in found} == {"up", "down"}


@pytest.mark.parametrize("metric", ["app_opens", "payment_successful"])
def test_stddev_shift_draws_what_can_be_applied(metric: str) -> None:
    """A date or direction that was left open is drawn among those that can carry the shift."""
    for seed in range(40):
        assert len(shifted_episode(seed, "hard", metric_name=metric, stddev_factor=2.0).expected_rows) == 1


def test_stddev_shift_takes_several_metrics_and_dates() -> None:
    """One metric on three dates gives three records and rows; two generators may share an episode."""
    dates = ("2026-03-10", "2026-03-14", "2026-03-20")
    episode = shifted_episode(metric_name="app_opens", dates=dates, stddev_factor=6, direction="down")
    assert tuple(row.date for row in episode.expected_rows) == dates
    assert [record.date for record in episode.applied_synthetic_generators] == list(dates)
    both = (
        SyntheticAnomalyGenerator(metric_name="menu_opens", date=dates[0], stddev_factor=6, direction="down"),
        SyntheticAnomalyGenerator(
            metric_names=("app_open_to_menu_open",), date=dates[1], stddev_factor=30, direction="down"
        ),
    )
    two = MetricDataGenerator().generate_episode(EpisodeConfig(anomaly_generators=both))
    assert [row.entity_name for row in two.expected_rows] == ["menu_opens", "app_open_to_menu_open"]
    assert two.anomaly_schedule[1].direction == "down"


def test_stddev_shift_is_never_below_the_threshold() -> None:
    """A tiny factor still moves the metric by 1.05 thresholds, so that its own method confirms it."""
    episode = shifted_episode(metric_name="app_opens", date="2026-03-18", stddev_factor=0.001, direction="up")
    (record,) = episode.applied_synthetic_generators
    assert record.target_value == pytest.approx(record.baseline_value + 1.05 * record.threshold_value, rel=1e-6)
    assert len(episode.expected_rows) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metric_name": "clicks", "date": "2026-03-18"}, ["metric 'clicks'", "app_opens"]),
        ({"metric_name": "app_opens", "date": "2026-04-01"}, ["'2026-04-01'", "2026-03-04", "2026-03-31"]),
        ({"metric_name": "app_opens", "date": "18.03.2026"}, ["'18.03.2026'", "ISO date"]),
        ({"metric_name": "app_opens", "dates": ("2026-03-18", "2026-02-30")}, ["'2026-02-30'"]),
        (
            {"metric_names": ("app_open_to_menu_open", "menu_opens"), "date": "2026-03-18"},
            ["'app_open_to_menu_open' and 'menu_opens' both change the rate of menu_opens on 2026-03-18"],
        ),
        (
            {"metric_name": "payment_successful", "date": "2026-03-18", "direction": "up"},
            ["'payment_successful' cannot go to", "2026-03-18", "the funnel allows", "what is: direction 'down'"],
        ),
        (
            {"metric_name": "orders_placed", "date": "2026-03-18", "direction": "down"},
            ["'orders_placed' cannot go to", "no stddev_factor is possible there", "what is: direction 'up'"],
        ),
        (
            {"metric_name": "app_open_to_menu_open", "date": "2026-03-18", "direction": "up", "stddev_factor": 400},
            ["'app_open_to_menu_open' cannot go to", "possible is a stddev_factor up to"],
        ),
        (
            {"metric_name": "app_opens", "dates": tuple(f"2026-03-{day:02d}" for day in range(10, 24))},
            ["14 dates with anomalies do not leave more than half of 28 days clean"],
        ),
    ],
)
def test_stddev_shift_that_cannot_be_applied_is_an_error(fields: dict[str, Any], words: list[str]) -> None:
    """Unknown metrics and dates, two anomalies of one link, and targets the funnel cannot carry are told as such."""
    with pytest.raises(GenerationError, match="anomaly_generators: ") as caught:
        shifted_episode(**{"stddev_factor": 5, **fields})
    for word in words:
        assert word in str(caught.value)


def test_stddev_shift_beside_others_is_confirmed_or_refused() -> None:
    """Shifts of one metric on dates that are nearly there already are refused; larger ones all show."""
    dates = tuple(f"2026-03-{day:02d}" for day in range(8, 21))
    fields = {"metric_name": "app_opens", "dates": dates, "direction": "down"}
    with pytest.raises(GenerationError, match=r"'app_opens' cannot go to .* without any anomaly"):
        shifted_episode(0, "hard", stddev_factor=1.0, **fields)
    episode = shifted_episode(0, "hard", stddev_factor=5.0, **fields)
    assert tuple(row.date for row in episode.expected_rows) == dates


def test_a_shift_that_rounding_to_whole_events_undoes_is_refused() -> None:
    """Three points of a payment rate are one of 40 orders, which no method confirms; of 400 they are enough."""
    shift = SyntheticAnomalyGenerator(
        metric_name="order_placed_to_payment_successful", date="2026-03-18", direction="down", stddev_factor=0.01
    )
    asked = EpisodeConfig(difficulty="hard", anomaly_generators=(shift,))
    with pytest.raises(
        GenerationError, match=r"'order_placed_to_payment_successful' on 2026-03-18 goes down .* not con"
    ):
        MetricDataGenerator(GeneratorConfig(base_daily_count=500)).generate_episode(asked)
    (row,) = MetricDataGenerator(GeneratorConfig(base_daily_count=5000)).generate_episode(asked).expected_rows
    assert (row.date, row.entity_name) == ("2026-03-18", shift.metric_name)


def test_generator_methods_are_listed() -> None:
    """The catalogue of explicit generators names its methods and the fields that each takes."""
    specs = {spec.name: set(spec.parameters) for spec in available_synthetic_generator_methods()}
    dates, steps = {"date", "dates"}, {"step_name", "step_names"}
    assert specs == {
        "metric_stddev_shift": {"metric_name", "metric_names", "stddev_factor", "direction"} | dates,
        "funnel_break": {"keep"} | steps | dates,
        "hourly_mix_shift": {"shift", "direction"} | dates,
        "impossible_counts": {"excess"} | steps | dates,
    }
