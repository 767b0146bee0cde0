"""Data that nobody here made: the flights of New York in 2013, read, fitted, and held against weather and holidays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers_flights import STEPS, flight_history, flights, stormy_days, training_part

from metric_tracker_env import EpisodeConfig, MetricDataGenerator
from metric_tracker_env.fitting import HistoryFit, fit_history, holiday_effects
from metric_tracker_env.history import holiday_windows, read_history


@pytest.fixture(scope="module")
def fit() -> HistoryFit:
    """The fit of all but the last 84 days."""
    return fit_history(training_part(flight_history()))


def test_the_year_is_read_whole() -> None:
    """Every flight is counted, on its day in New York; nights are empty and one hour was skipped."""
    history = flight_history()
    assert history.counts.shape == (365, 24, 4)
    assert history.counts.sum(axis=(0, 1)).tolist() == [336_776, 328_521, 255_607, 232_703]
    assert history.daily[0].tolist() == [842, 838, 675, 553]  # 1 January: 842 flights by the table's own day
    assert not history.counts[:, :5, 1].any()
    assert history.counts[:, :5, 0].sum() == 1
    assert history.notes[0] == "the clock skipped 2013-03-10 02:00"
    assert len(history.notes) == 2


def test_the_log_of_flights_counts_the_same() -> None:
    """Read flight by flight as events of units, in UTC, the counts are those of the sums by hour."""
    table = flights().assign(flight=np.arange(len(flights())))
    log = table.melt(["flight", "time"], var_name="event", value_name="reached").query("reached")
    history = read_history(log, STEPS, unit="flight", timezone="America/New_York")
    assert np.array_equal(history.counts, flight_history().counts)
    assert history.notes == (f"{len(log):,} events of 336,776 units, each counted in the hour in which it began",)


def test_the_fit_has_the_level_and_rates_of_the_year(fit: HistoryFit) -> None:
    """Some 950 flights a day, fewer on Saturdays; 99 % depart, 77 % of these in time, 92 % of these arrive in time."""
    found = fit.parameters
    assert found.level == pytest.approx(950, rel=0.02)
    assert abs(found.trend_per_day) < 2e-4
    assert int(np.argmin(found.weekday_factors)) == 5
    assert found.weekday_factors[5] == pytest.approx(0.835, abs=0.02)
    assert [step.rate for step in found.steps] == pytest.approx([0.990, 0.767, 0.921], abs=0.01)
    assert found.day_noise == pytest.approx(0.009, abs=0.002)  # a timetable hardly varies
    assert [step.day_noise for step in found.steps] == pytest.approx([0.010, 0.135, 0.066], rel=0.2)
    assert fit.notes == ()


def test_the_generator_makes_a_world_like_it(fit: HistoryFit) -> None:
    """Nights without flights, noise of whole days, and tails longer than uniform ones."""
    config = fit.config
    assert config is not None
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(anomaly_count=0), list(range(200)))
    counts = batch.twin_daily.astype(float)  # (S, B, D)
    assert not batch.hourly[:, :, :5].any()
    assert counts.mean(axis=(1, 2)) == pytest.approx(
        fit.parameters.level * np.cumprod([1, 0.99, 0.767, 0.921]), rel=0.02
    )
    rates = counts[1:] / counts[:-1]
    assert rates[1:].std(axis=(1, 2)) / rates[1:].mean(axis=(1, 2)) == pytest.approx(fit.noise[5:7], rel=0.15)
    for rate, tail in zip(rates[1:], list(fit.parameters.tails.values())[5:7], strict=True):
        deviations = np.abs(rate / rate.mean() - 1) / rate.std()
        assert 0.9 * tail <= np.quantile(deviations, 0.99) <= 1.4 * tail  # uniform noise has 1.71


def test_unusual_days_are_storms_and_holidays(fit: HistoryFit) -> None:
    """Unusual days fall on storms of the weather table or near holidays twice as often as days do at large."""
    near = {str(date) for window in holiday_windows(fit.history, "US") for date in window.dates}
    told = {item.date for item in fit.unusual}
    explained = near | stormy_days()
    base = np.mean([str(day) in explained for day in fit.history.dates])
    assert 40 <= len(told) <= 60
    assert base < 0.25
    assert len(told & explained) >= 0.6 * len(told)
    assert {"2013-02-08", "2013-02-09", "2013-07-04", "2013-05-26", "2013-09-01"} <= told
    cancelled = {item.date for item in fit.unusual if item.measure == "scheduled_to_departed" and item.noises < -15}
    assert cancelled <= stormy_days()
    scheduled = {item.date for item in fit.unusual if item.measure == "scheduled"}
    assert len(scheduled & near) >= 0.6 * len(scheduled)


def test_ordinary_days_are_quiet(fit: HistoryFit) -> None:
    """Without anything unusual, less than a date in three weeks shows a medium change."""
    assert fit.natural_per_week["medium"] < 0.34


def test_holidays_of_the_year_have_their_effects() -> None:
    """With the holidays left out of the fit, the timetable of each shows: thin on Thanksgiving, full after it."""
    history = flight_history()
    windows = holiday_windows(history, "US")
    fit = fit_history(history, ignore=[date for window in windows for date in window.dates])
    effects = {(e.name, e.offset): e for e in holiday_effects(fit, windows) if e.measure == "scheduled"}
    changes = [effects["Thanksgiving Day", day].change for day in range(4)]
    assert changes == pytest.approx([-0.36, -0.33, 0.24, 0.11], abs=0.03)
    assert effects["Independence Day", 0].change == pytest.approx(-0.27, abs=0.03)
    assert effects["Christmas Day", 0].change == pytest.approx(-0.25, abs=0.03)
    assert ("Columbus Day", 0) not in effects
    assert all(effect.years == 1 and abs(effect.noises) > 3 for effect in effects.values())


def test_the_weather_table_is_independent() -> None:
    """Storms are told by the weather alone: a sixth of the days, among them the blizzard of February."""
    days = stormy_days()
    assert 50 <= len(days) <= 70
    assert {"2013-02-08", "2013-02-09"} <= days
    assert all(pd.Timestamp(day).year in {2012, 2013} for day in days)


def test_the_example_of_the_documents_writes_the_same_flights(tmp_path: Path) -> None:
    """The CSV of ``docs/flights.py`` is read as the history of these tests."""
    script, output = Path(__file__).parents[2] / "docs" / "flights.py", tmp_path / "flights.csv"
    subprocess.run([sys.executable, script, output], check=True)
    history = read_history(output, STEPS, timezone="America/New_York", missing="zero", until="2013-12-31")
    assert np.array_equal(history.counts, flight_history().counts)
