"""The statistics of data without incidents are those of the original."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from helpers_labels import WEEKDAY_FACTORS, batch_of

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig
from metric_tracker_env.schema import DIFFICULTIES, Difficulty
from metric_tracker_env.world import rng, traffic
from metric_tracker_env.world.episode import MetricDataGenerator

# SEED_FACTS section 4: mean; std at easy, medium, hard; median std_dev_from_median at easy, medium, hard.
CLEAN = {
    "app_opens": (19324.0, (1010.2, 1010.2, 1010.2), (1012.9, 1012.9, 1012.9)),
    "menu_opens": (12174.4, (636.9, 637.7, 639.0), (639.3, 639.3, 640.4)),
    "product_added_to_cart": (3530.7, (184.8, 185.4, 186.2), (185.4, 186.0, 186.8)),
    "orders_placed": (1553.4, (81.4, 81.8, 82.3), (81.7, 82.1, 82.7)),
    "payment_successful": (1413.7, (74.1, 74.8, 75.4), (74.5, 75.1, 75.7)),
    "app_open_to_menu_open": (63.0016, (0.1266, 0.2109, 0.2950), (0.1243, 0.2076, 0.2892)),
    "menu_open_to_product_added_to_cart": (29.0010, (0.0696, 0.1152, 0.1608), (0.0683, 0.1134, 0.1575)),
    "product_added_to_cart_to_order_placed": (43.9967, (0.1131, 0.1809, 0.2506), (0.1098, 0.1770, 0.2438)),
    "order_placed_to_payment_successful": (91.0079, (0.2031, 0.3173, 0.4368), (0.1979, 0.3101, 0.4268)),
    "app_open_to_order_placed": (8.0387, (0.0326, 0.0533, 0.0744), (0.0320, 0.0521, 0.0732)),
    "app_open_to_payment_successful": (7.3158, (0.0334, 0.0543, 0.0754), (0.0330, 0.0530, 0.0739)),
}
DAYTIME_SHARE = (0.68441, 0.00474)  # mean, and std at each difficulty


def clean_series(difficulty: Difficulty) -> dict[str, np.ndarray]:
    """(B, D) clean daily values of every count and every conversion."""
    config = GeneratorConfig()
    counts = dict(zip(config.catalogue.count_metrics, batch_of(difficulty).twin_daily, strict=True))
    rates = {c.name: 100.0 * counts[c.numerator] / counts[c.denominator] for c in config.conversion_definitions}
    return counts | rates


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_clean_statistics(difficulty: Difficulty, name: str) -> None:
    """Every mean is within 0.5 % and every spread within 10 % of the original, over 300 seeds."""
    level = DIFFICULTIES.index(difficulty)
    mean, std, std_from_median = CLEAN[name]
    values = clean_series(difficulty)[name].astype(np.float64)
    from_median = np.sqrt(np.mean((values - np.median(values, axis=1, keepdims=True)) ** 2, axis=1))
    assert values.mean() == pytest.approx(mean, rel=0.005)
    assert values.std() == pytest.approx(std[level], rel=0.10)
    assert np.median(from_median) == pytest.approx(std_from_median[level], rel=0.10)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_clean_daytime_share(difficulty: Difficulty) -> None:
    """The share of app opens between 8 and 20 h has the original's mean and spread, and stays near its median."""
    opens = batch_of(difficulty, "funnel_break").hourly[..., 0]  # a broken funnel step leaves app_opens alone
    share = opens[:, :, 8:20].sum(axis=2) / opens.sum(axis=2)
    assert share.mean() == pytest.approx(DAYTIME_SHARE[0], rel=0.005)
    assert share.std() == pytest.approx(DAYTIME_SHARE[1], rel=0.10)
    assert np.abs(share - np.median(share, axis=1, keepdims=True)).max() < 0.025  # the threshold at hard


def test_weekdays_and_trend() -> None:
    """Without day noise, traffic is base x weekday factor x (1 + 0.25 % x day), exactly."""
    config = GeneratorConfig(day_noise=0.0)
    twin = MetricDataGenerator(config).generate_batch(EpisodeConfig(), [0, 1]).twin_daily[0]
    first = dt.date(2026, 3, 31) - dt.timedelta(days=27)
    expected = [
        round(18000 * WEEKDAY_FACTORS[(first + dt.timedelta(days=day)).weekday()] * (1 + 0.0025 * day))
        for day in range(28)
    ]
    assert np.abs(twin - expected).max() <= 1  # a product that ends in .5 may round either way
    assert (twin[0] == twin[1]).all()


def test_a_date_has_at_least_one_visitor() -> None:
    """However few are expected, no date is empty; and no more are made up than that."""
    keys = np.array([rng.episode_key(seed) for seed in range(5)], np.uint64)
    assert (traffic.daily_traffic(GeneratorConfig(), keys, mean=np.full(28, 0.2)) == 1.0).all()


def test_day_noise_is_uniform_within_two_percent() -> None:
    """Over the pattern lies a uniform noise of +-2 % a day."""
    noisy = batch_of().twin_daily[0]
    plain = MetricDataGenerator(GeneratorConfig(day_noise=0.0)).generate_batch(EpisodeConfig(), [0]).twin_daily[0]
    noise = noisy / plain - 1.0
    assert np.abs(noise).max() <= 0.0201
    assert noise.std() == pytest.approx(0.02 / 3**0.5, rel=0.03)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_hard_clean_episodes_have_natural_count_cells(difficulty: Difficulty) -> None:
    """Weekdays and trend alone carry about 8 to 14 count cells of a hard episode past 10 %, and none at easy."""
    counts = batch_of(difficulty).twin_daily
    median = np.median(counts, axis=2, keepdims=True)
    share = {"easy": 0.22, "medium": 0.15, "hard": 0.10}[difficulty]
    cells = (np.abs(counts - median) >= share * median).sum(axis=(0, 2)).mean()
    low, high = {"easy": (0, 0.01), "medium": (0, 0.2), "hard": (8.0, 14.0)}[difficulty]
    assert low <= cells <= high
