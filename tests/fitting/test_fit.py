"""Fitting finds the parameters of known worlds, with incidents and without, and says what it cannot know."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers_worlds import known_world

from metric_tracker_env import EpisodeConfig, GeneratorConfig, MetricDataGenerator
from metric_tracker_env.fitting import FittedParameters, HistoryFit, fit_history
from metric_tracker_env.fitting.parameters import UNIFORM
from metric_tracker_env.history import History, HistoryError

WORLD = GeneratorConfig(trend_per_day=0.0005)
OTHER = GeneratorConfig.model_validate(
    {
        "entry_step": "visits",
        "steps": [{"name": "signups", "rate": 0.2, "noise_scale": 2.0}, {"name": "paid", "rate": 0.7}],
        "conversion_definitions": [],
        "base_daily_count": 4000,
        "trend_per_day": -0.0004,
        "weekday_factors": [1.3, 1.2, 1.1, 1.0, 0.9, 0.6, 0.7],
        "day_noise": 0.05,
    }
)
RUNS = range(4)
A_TENTH = 7  # incidents in each ten weeks
LEVEL, NOISE = 0.005, 0.15  # relative errors that are allowed

Cases = pytest.mark.parametrize("config", [WORLD, OTHER], ids=["default", "other"])
Incidents = pytest.mark.parametrize("incidents", [0, A_TENTH], ids=["clean", "incidents"])


def level_error(config: GeneratorConfig) -> float:
    """Relative error of the first count that is allowed: 0.5 % with the default's noise of days, more with more."""
    return LEVEL * config.day_noise / WORLD.day_noise


def days_from(start: str, number: int) -> np.ndarray:
    """(D,) datetime64[D]."""
    return np.datetime64(start, "D") + np.arange(number)


@Cases
@Incidents
@pytest.mark.parametrize("seed", RUNS)
def test_known_parameters_are_found(config: GeneratorConfig, incidents: int, seed: int) -> None:
    """Levels are found within 0.5 % and noise within 15 %, also with incidents on a tenth of the days."""
    fit = fit_history(known_world(config, seed, incidents).history)
    found = fit.parameters
    start = len(fit.history.dates) - 4 * 7
    factors = np.array(config.weekday_factors)
    level = config.base_daily_count * factors.mean() * (1 + config.trend_per_day * start)
    weights = np.array(config.hourly_weights)
    trend = config.trend_per_day * config.base_daily_count * factors.mean() / level
    assert found.level == pytest.approx(level, rel=level_error(config))
    assert found.trend_per_day == pytest.approx(trend, abs=2e-4)
    assert np.array(found.weekday_factors) == pytest.approx(factors / factors.mean(), rel=0.03)
    assert np.array(found.hourly_weights) == pytest.approx(weights / weights.sum(), rel=0.03)
    assert found.day_noise == pytest.approx(config.day_noise / UNIFORM, rel=NOISE)
    assert found.hour_noise == pytest.approx(config.hour_noise / UNIFORM, rel=NOISE)
    for step, known in zip(found.steps, config.steps, strict=True):
        assert step.name == known.name
        assert step.rate == pytest.approx(known.rate, rel=LEVEL)
        assert step.hour_noise == pytest.approx(config.noise_of(known, "medium") / UNIFORM, rel=NOISE)
        assert step.day_noise == 0.0
    assert fit.notes == ()


def means_and_noise(config: GeneratorConfig) -> tuple[np.ndarray, np.ndarray]:
    """Mean and relative standard deviation of the first count and of the rates, over many clean days."""
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(anomaly_count=1), list(range(60)))
    counts = batch.twin_daily.astype(float)  # (S, B, D)
    rates = counts[1:] / counts[:-1]
    flat = counts[0] / counts[0].mean(axis=0)
    return np.array([counts[0].mean(), *rates.mean(axis=(1, 2))]), np.array(
        [flat.std(), *(rates.std(axis=(1, 2)) / rates.mean(axis=(1, 2)))]
    )


@Cases
@Incidents
def test_the_fitted_world_is_like_the_known_one(config: GeneratorConfig, incidents: int) -> None:
    """Data of the fitted configuration have the means and the noise of the world that was fitted."""
    fit = fit_history(known_world(config, 3, incidents).history)
    assert fit.config is not None
    start = fit.config.num_days
    grown = 1 + config.trend_per_day * (len(fit.history.dates) - start)
    now = {"base_daily_count": config.base_daily_count * grown, "trend_per_day": config.trend_per_day / grown}
    known = GeneratorConfig.model_validate({**config.model_dump(), **now})
    means, noise = means_and_noise(fit.config)
    true_means, true_noise = means_and_noise(known)
    assert means[0] == pytest.approx(true_means[0], rel=level_error(config))
    assert means[1:] == pytest.approx(true_means[1:], rel=LEVEL)
    assert noise == pytest.approx(true_noise, rel=NOISE)
    assert fit.config.end_date == config.end_date


@pytest.mark.parametrize("seed", RUNS)
def test_incidents_are_what_is_unusual(seed: int) -> None:
    """Every incident that shows in a day's sums is told, and hardly any other day."""
    world = known_world(WORLD, seed, A_TENTH)
    fit = fit_history(world.history)
    told = {item.date for item in fit.unusual}
    showing = {date for date, kind in world.incidents.items() if kind != "instrumentation_data_quality_issue"}
    assert len(showing) >= 20
    assert showing <= told
    assert len(told - set(world.incidents)) <= 1
    assert all(abs(item.noises) > 5 for item in fit.unusual)
    item = fit.unusual[0]
    column = fit.measures.index(item.measure)
    day = fit.history.dates.tolist().index(np.datetime64(item.date).item())
    assert (item.observed, item.expected) == (fit.values[day, column], fit.expected[day, column])


def test_what_can_be_seen_follows_from_the_noise() -> None:
    """The smallest change is a multiple of the noise, and ordinary days hardly show one."""
    fit = fit_history(known_world(WORLD, 1).history)
    assert fit.smallest_change["medium"]["app_opens"] == pytest.approx(4 * fit.noise[0])
    assert fit.smallest_change["hard"]["app_opens"] == pytest.approx(0.035, rel=0.15)
    assert set(fit.smallest_change["easy"]) == set(fit.measures)
    assert fit.natural_per_week["easy"] == 0.0
    assert fit.natural_per_week["medium"] <= 0.05
    assert fit.natural_per_week["hard"] <= 0.3


def drawn(days: int, seed: int, level: float = 1000.0, day_noise: tuple[float, float] = (0.01, 0.02)) -> History:
    """Hourly data of two steps, with noise of whole days in the traffic and in the rate."""
    rng = np.random.default_rng(seed)
    hours = 1.0 + 0.6 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    traffic = level * (1 + day_noise[0] * rng.standard_normal((days, 1))) * hours / hours.sum()
    entry = rng.poisson(traffic)
    rate = 0.4 * (1 + day_noise[1] * rng.standard_normal((days, 1)))
    after = rng.binomial(entry, rate)
    return History(("visits", "orders"), days_from("2025-01-06", days), np.stack([entry, after], axis=2))


def test_noise_of_days_is_told_from_noise_of_hours() -> None:
    """A rate that whole days share is found beside the chance of the single events, and the generator makes both."""
    fit = fit_history(drawn(280, 5, level=40_000, day_noise=(0.03, 0.05)))
    (step,) = fit.parameters.steps
    assert step.day_noise == pytest.approx(0.05, rel=NOISE)
    chance = np.sqrt(0.6 / 0.4 / (40_000 / 24))  # of the events of a mean hour
    assert step.hour_noise == pytest.approx(chance, rel=0.3)
    assert fit.parameters.day_noise == pytest.approx(0.03, rel=NOISE)
    assert fit.config is not None
    means, noise = means_and_noise(fit.config)
    assert means == pytest.approx([40_000, 0.4], rel=0.01)
    assert noise == pytest.approx([0.03, 0.05], rel=NOISE)


@pytest.mark.parametrize("level", [20, 200, 2000])
def test_small_counts_have_the_noise_of_chance(level: float) -> None:
    """With few events a day, levels stay unbiased and the noise is that of counting."""
    fit = fit_history(drawn(280, 7, level=level, day_noise=(0.0, 0.0)))
    assert fit.parameters.level == pytest.approx(level, rel=0.05)
    assert fit.parameters.steps[0].rate == pytest.approx(0.4, rel=0.05)
    assert fit.noise[0] == pytest.approx(level**-0.5, rel=0.15)
    assert fit.noise[1] == pytest.approx((0.4 * level) ** -0.5, rel=0.15)


def test_daily_data_and_one_step() -> None:
    """Days without hours are fitted, as are funnels of one step, and the generator makes them."""
    whole = known_world(WORLD, 2).history
    fit, by_day = fit_history(whole), fit_history(whole.by_day())
    assert by_day.parameters.level == fit.parameters.level
    assert by_day.noise.tolist() == fit.noise[:-1].tolist()
    assert by_day.parameters.hourly_weights is None
    assert by_day.config is not None
    assert not by_day.config.hours
    assert means_and_noise(by_day.config)[1][0] == pytest.approx(by_day.noise[0], rel=0.1)
    one = fit_history(History(whole.steps[:1], whole.dates, whole.counts[:, :, :1]))
    assert one.measures == ("app_opens", "app_opens:daytime_share")
    assert one.config is not None
    assert one.config.step_names == ("app_opens",)
    assert one.level.shape == (280, 1)


def test_closed_weekdays_and_hours() -> None:
    """Weekdays and hours without events have the factor 0 and no deviation."""
    whole = known_world(WORLD, 2).history
    counts = whole.counts.copy()
    counts[whole.weekdays == 6] = 0
    counts[:, :5] = 0
    fit = fit_history(History(whole.steps, whole.dates, counts))
    assert fit.parameters.weekday_factors[6] == 0.0
    assert np.mean(fit.parameters.weekday_factors) == pytest.approx(1.0)
    assert not fit.weekday[whole.weekdays == 6].any()
    assert not fit.expected[whole.weekdays == 6, 0].any()
    assert np.isnan(fit.deviation[whole.weekdays == 6]).all()
    assert fit.parameters.hourly_weights is not None
    assert fit.parameters.hourly_weights[:5] == (0.0,) * 5
    assert fit.unusual == ()
    assert fit.config is not None
    assert fit.config.hourly_weights[:5] == (0.0,) * 5


def test_what_the_generator_cannot_make_is_named() -> None:
    """Noise that would make counts below 0 has no configuration, and the error says which number it is."""
    fit = fit_history(drawn(280, 5, level=200, day_noise=(0.0, 0.0)))
    bad = fit.parameters.model_copy(update={"day_noise": 0.6})
    assert bad.obstacles()[0].startswith("day_noise: ")
    with pytest.raises(ValueError, match=r"cannot make this world: day_noise"):
        bad.config()


def test_a_weekday_pattern_may_change() -> None:
    """A schedule that changes for good is unusual for some weeks at most, and the noise stays small."""
    whole = known_world(WORLD, 4).history
    counts = whole.counts.copy()
    late = (np.arange(280) >= 140) & (whole.weekdays == 5)
    counts[late] = counts[late] * 8 // 10
    fit = fit_history(History(whole.steps, whole.dates, counts))
    assert fit.noise[0] == pytest.approx(WORLD.day_noise / UNIFORM, rel=0.2)
    assert len({item.date for item in fit.unusual}) <= 6
    assert fit.parameters.weekday_factors[5] == pytest.approx(0.8 * 1.12 / np.mean(WORLD.weekday_factors), rel=0.05)


@pytest.mark.parametrize("days", [1, 4, 8])
def test_an_incident_at_the_end_does_not_become_normal(days: int) -> None:
    """The level goes on as before the last days, so that an incident in them is told on every one."""
    whole = known_world(WORLD, 6).history
    counts = whole.counts.copy()
    counts[-days:] = counts[-days:] * 3 // 4
    fit = fit_history(History(whole.steps, whole.dates, counts))
    told = {item.date for item in fit.unusual if item.measure == "app_opens"}
    assert {str(day) for day in whole.dates[-days:]} <= told
    expected = fit_history(whole).expected[-days:, 0]
    assert fit.expected[-days:, 0] == pytest.approx(expected, rel=0.03)


def test_days_that_are_ignored_or_not_known_are_not_learnt_from() -> None:
    """What stands on such days changes nothing but what is told about them."""
    whole = known_world(WORLD, 8).history
    dates = [str(day) for day in whole.dates[[40, 41, 42, 200]]]
    wild = whole.counts.copy()
    wild[[40, 41, 42, 200]] = wild[[40, 41, 42, 200]] * 3 + 7
    fit = fit_history(whole, ignore=dates)
    other = fit_history(History(whole.steps, whole.dates, wild), ignore=dates)
    assert other.parameters == fit.parameters
    assert {item.date for item in other.unusual} == set(dates)
    assert other.notes == ("4 days not learnt from: ignored, or not known",)
    known = ~np.isin(np.arange(280), [40, 41, 42, 200])
    unknown = fit_history(History(whole.steps, whole.dates, wild, known))
    assert unknown.parameters == fit.parameters
    assert unknown.unusual == ()


@pytest.mark.parametrize(
    ("days", "kwargs", "words"),
    [
        (20, {}, "20 days to learn from; 3 weeks are the least, and 16 make a good fit"),
        (30, {"ignore": [f"2025-01-{day:02}" for day in range(10, 30)]}, "10 days to learn from"),
        (90, {"weeks": 0}, "weeks=0 is not a whole number from 1 to 12"),
        (90, {"weeks": 13}, "weeks=13 is not a whole number"),
        (90, {"weeks": True}, "weeks=True is not a whole number"),
        (90, {"weeks": 4.0}, "weeks=4.0 is not a whole number"),
        (90, {"ignore": ["2024-12-24"]}, "ignore has '2024-12-24', not a day from 2025-01-06 to 2025-04-05"),
        (90, {"ignore": ["yesterday"]}, "ignore='yesterday' is not a date"),
    ],
)
def test_what_cannot_be_fitted_is_refused(days: int, kwargs: dict[str, Any], words: str) -> None:
    """Too short histories and bad options are refused with what is allowed."""
    with pytest.raises(HistoryError, match=words):
        fit_history(drawn(days, 1), **kwargs)


@pytest.mark.parametrize("days", [21, 22, 27, 34, 35, 50, 111])
def test_short_histories_are_fitted_with_a_warning(days: int) -> None:
    """From three weeks on there is a fit; below sixteen it is told to be uncertain."""
    fit = fit_history(drawn(days, 2))
    assert fit.notes == (f"{days} days to learn from; with fewer than 16 weeks the fit is uncertain",)
    assert fit.parameters.level == pytest.approx(1000, rel=0.1)
    assert np.isfinite(fit.noise).all()
    assert (fit.noise > 0).all()


def test_a_history_without_recent_events_or_order_is_refused() -> None:
    """A step that ended, or that passes the one before it for good, is no funnel to fit."""
    whole = drawn(280, 3)
    ended = whole.counts.copy()
    ended[100:, :, 1] = 0
    with pytest.raises(HistoryError, match="no event of orders since"):
        fit_history(History(whole.steps, whole.dates, ended))
    with pytest.raises(HistoryError, match=r"orders has 2\.\d\d times the events of visits"):
        fit_history(History(whole.steps, whole.dates, whole.counts[:, :, ::-1]))


def test_parameters_are_data() -> None:
    """They come back from JSON as they were, and refuse what is unknown or out of range."""
    found: FittedParameters = fit_history(known_world(WORLD, 0).history).parameters
    text = found.model_dump_json()
    assert FittedParameters.model_validate_json(text) == found
    data = json.loads(text)
    for change in (
        {"colour": 3},
        {"level": -1.0},
        {"day_noise": -0.1},
        {"weekday_factors": [1.0] * 6},
        {"hourly_weights": [1.0] * 23},
        {"tails": {}},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            FittedParameters.model_validate_json(json.dumps(data | change))


def test_the_same_history_gives_the_same_fit() -> None:
    """Nothing is drawn."""
    first, second = (fit_history(known_world(OTHER, 1, A_TENTH).history) for _ in range(2))
    assert first.parameters == second.parameters
    assert repr(first) == repr(second)
    assert isinstance(first, HistoryFit)


def test_who_is_open_at_night_alone_is_fitted() -> None:
    """No event lies by day: the daytime share is always 0, nothing of it is unusual, and the world is like it."""
    days = np.datetime64("2026-01-05") + np.arange(140)
    counts = np.zeros((140, 24, 2), np.int64)
    rng = np.random.default_rng(1)
    counts[:, 20:, 0] = rng.poisson(200, (140, 4))
    counts[:, :, 1] = rng.binomial(counts[:, :, 0], 0.3)
    fit = fit_history(History(("visits", "orders"), days, counts))
    assert fit.measures[-1] == "visits:daytime_share"
    assert not fit.expected[:, -1].any()
    assert np.isfinite(fit.noise).all()
    assert {item.measure for item in fit.unusual} <= {"visits", "orders", "visits_to_orders"}
    assert fit.config is not None
    generator = MetricDataGenerator(fit.config)
    assert generator.generate_episode(EpisodeConfig(anomaly_count=0)).hourly[:, :20].sum() == 0
    assert len(generator.generate_episode(EpisodeConfig(anomaly_count=2)).expected_rows) == 2
