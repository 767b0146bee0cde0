"""Explicit anomalies pull at the medians that their targets are set from; here by amounts worked out on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GenerationError, GeneratorConfig, RateNoise
from metric_tracker_env.schema import SyntheticGeneratorApplication
from metric_tracker_env.world import bench
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator

# Without noise, 1,000 visits an hour from Monday to Wednesday, 500 on Thursday and Friday and 2,000 at the weekend:
# the median over four weeks is that of the twelve days between. Half of all visits have a cart, 40 % of those a sale.
STILL = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="carts", rate=0.5), FunnelStep(name="sales", rate=0.4)),
    base_daily_count=24_000,
    weekday_factors=(1.0, 1.0, 1.0, 0.5, 0.5, 2.0, 2.0),
    hourly_weights=(1.0,) * 24,
    trend_per_day=0.0,
    day_noise=0.0,
    hour_noise=0.0,
    rate_noise=RateNoise(easy=0.0, medium=0.0, hard=0.0),
)
MIDDLE = [name for name, day in zip(STILL.date_names, STILL.weekdays, strict=True) if day < 3]
SATURDAY, THURSDAY = "2026-03-21", "2026-03-19"


def made(config: GeneratorConfig, *anomalies: dict[str, Any]) -> EpisodeData:
    return MetricDataGenerator(config).generate_episode(EpisodeConfig.model_validate({"anomaly_generators": anomalies}))


def last_record(config: GeneratorConfig, *anomalies: dict[str, Any]) -> SyntheticGeneratorApplication:
    """The record of the anomaly that is last in the list."""
    date = anomalies[-1]["date"]
    (record,) = (record for record in made(config, *anomalies).applied_synthetic_generators if record.date == date)
    return record


def least_shift(metric: str, direction: str, date: str) -> dict[str, Any]:
    return {"metric_name": metric, "date": date, "direction": direction, "stddev_factor": 1e-6}


@pytest.mark.parametrize(
    ("step", "excess", "metric", "usual"),
    [
        ("carts", 0.2, "carts", 20 * 500 + 4 * 1200),  # four hours at medium
        ("carts", 1.0, "carts", 20 * 500 + 4 * 2000),
        ("sales", 0.2, "sales", 20 * 200 + 4 * 600),
    ],
)
def test_targets_are_set_from_what_impossible_counts_make_usual(
    step: str, excess: float, metric: str, usual: float
) -> None:
    """Where twelve dates have impossible counts, a shift on another one starts from the median that they make."""
    wrong = {"method_name": "impossible_counts", "step_name": step, "excess": excess, "dates": MIDDLE}
    record = last_record(STILL, wrong, least_shift(metric, "down", SATURDAY))
    assert record.baseline_value == usual
    assert record.threshold_value == pytest.approx(0.15 * usual)
    assert record.target_value == pytest.approx(usual * (1 - 1.05 * 0.15))
    assert record.actual_value == pytest.approx(record.target_value, abs=12)  # rounding of hours


@pytest.mark.parametrize("bound", ["least", "most"])
def test_a_target_at_the_bound_of_what_the_funnel_allows_is_allowed(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """The bounds are values that a date can have; one beyond them is refused with both."""
    shift = least_shift("visits", "up", MIDDLE[4])
    target = last_record(STILL, shift).target_value
    assert target is not None
    room = {"least": (target, 2 * target), "most": (0.0, target)}[bound]
    monkeypatch.setattr(bench, "values_allowed", lambda *_: room)
    assert last_record(STILL, shift).target_value == target
    beyond = {"least": (target + 1, 2 * target), "most": (0.0, target - 1)}[bound]
    monkeypatch.setattr(bench, "values_allowed", lambda *_: beyond)
    with pytest.raises(GenerationError, match="cannot go to 27780"):
        made(STILL, shift)


def test_targets_are_set_from_what_a_break_makes_usual() -> None:
    """A break of twelve dates that keeps 0.6 of the carts leaves 0.6 of the sales as usual, and the rate of sales."""
    broken = {"method_name": "funnel_break", "step_name": "carts", "keep": 0.6, "dates": MIDDLE}
    assert last_record(STILL, broken, least_shift("sales", "down", SATURDAY)).baseline_value == 0.6 * 4800
    rate = last_record(STILL, broken, least_shift("carts_to_sales", "down", SATURDAY))
    assert (rate.baseline_value, rate.pre_applied_value) == (40.0, 40.0)


def test_targets_of_the_hours_are_set_from_all_dates() -> None:
    """A drop of the traffic leaves the daytime share, and shifts leave its median lower, as the final data have it."""
    noisy = STILL.model_copy(update={"hour_noise": 0.3, "weekday_factors": (1.0,) * 7})
    days = noisy.date_names
    drop = {"metric_name": "visits", "stddev_factor": 1e-6, "direction": "down", "dates": days[3:9]}
    shifts = {"method_name": "hourly_mix_shift", "shift": 0.1, "direction": "down", "dates": days[10:17]}
    episode = made(noisy, drop, shifts)
    hourly = episode.hourly[..., 0].astype(float)
    median = float(np.median(hourly[:, 8:20].sum(axis=1) / hourly.sum(axis=1)))
    found = [r.baseline_value for r in episode.applied_synthetic_generators if r.metric_type == "hourly_mix"]
    assert found == pytest.approx([median] * 7, abs=1e-4)
    clean = made(noisy, least_shift("visits", "down", THURSDAY)).hourly[..., 0].astype(float)
    assert median < float(np.median(clean[:, 8:20].sum(axis=1) / clean.sum(axis=1))) - 1e-3
