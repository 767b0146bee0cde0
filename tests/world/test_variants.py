"""The mean day of a configuration and the bounds of its funnel, against numbers worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.config import FunnelStep, GeneratorConfig
from metric_tracker_env.measure import step_thresholds
from metric_tracker_env.schema import ANOMALY_TYPES, ConversionMetricDefinition
from metric_tracker_env.world.variants import (
    TRAFFIC_FLOOR,
    chain_bounds,
    feasible_variants,
    nominal_measures,
)

SHOP = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="carts", rate=0.2, noise_scale=2.0), FunnelStep(name="sales", rate=0.5)),
    conversion_definitions=(ConversionMetricDefinition.of("sales", "visits"),),
    num_weeks=2,
    base_daily_count=10_000,
    trend_per_day=0.02,
)


def test_the_mean_day() -> None:
    """Counts at the middle of the trend, rates in percent, the daytime share of the weights, and no excess."""
    visits = 10_000 * (1 + 0.02 * 6.5)  # days 0 to 13
    share = sum(SHOP.hourly_weights[8:20]) / sum(SHOP.hourly_weights)
    expected = [visits, visits * 0.2, visits * 0.1, 20.0, 50.0, 10.0, share, 0.0, 0.0]
    np.testing.assert_allclose(nominal_measures(SHOP), expected, rtol=1e-12)


@pytest.mark.parametrize(("trend", "middle"), [(0.0, 10_000.0), (-0.005, 9_675.0), (0.04, 12_600.0)])
def test_growth_moves_the_mean_day(trend: float, middle: float) -> None:
    """Half of what the trend adds over the calendar is added to the counts, and nothing to the rates."""
    changed, plain = nominal_measures(SHOP.model_copy(update={"trend_per_day": trend})), nominal_measures(SHOP)
    np.testing.assert_allclose(changed[:3], [middle, middle * 0.2, middle * 0.1], rtol=1e-12)
    np.testing.assert_allclose(changed[3:], plain[3:], rtol=1e-12)


def test_the_bounds_of_the_chain() -> None:
    """A rate with its noise stays at most 1, and a lone count at least what the step after it has at its most."""
    ceiling, floor = chain_bounds(SHOP, "hard")
    carts, sales = 0.2 * (1 + 2 * 0.035), 0.5 * 1.035
    np.testing.assert_allclose(ceiling, [np.inf, 1 / carts, 1 / sales])
    np.testing.assert_allclose(floor, [TRAFFIC_FLOOR, sales, TRAFFIC_FLOOR])


def test_thresholds_of_rates() -> None:
    """The smaller one of a share of the rate and a number of points."""
    rates = np.array([10.0, 50.0])
    assert step_thresholds(SHOP.catalogue, "easy", rates) == pytest.approx([1.2, 6.0])
    assert step_thresholds(SHOP.catalogue, "hard", rates) == pytest.approx([0.6, 3.0])


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03, 0.04, 0.05])
def test_a_drop_of_a_rate_of_known_noise_stays_short_of_a_broken_step(noise: float) -> None:
    """By three noises of the rate; where that leaves nothing to draw, only breaks are drawn."""
    config = GeneratorConfig(
        entry_step="visits",
        steps=(FunnelStep(name="sales", rate=0.5, day_noise=noise),),
        conversion_definitions=(ConversionMetricDefinition.of("sales", "visits"),),
        noise=(0.01, 0.01, noise, 0.01),
        base_daily_count=10_000,
        weekday_factors=(1.0,) * 7,
        trend_per_day=0.0,
        day_noise=0.01,
    )
    threshold = max(0.09, 4 * noise)  # of the rate, at medium
    broken = max(0.3, 4 * noise)
    most = min(1.8, (broken - 3 * noise) / threshold)
    drops = [v for v in feasible_variants(config, "medium") if ANOMALY_TYPES[v.family] == "rate_drop_from_median"]
    assert [(v.low, v.high) for v in drops] == ([(1.3, pytest.approx(most))] if most > 1.3 else [])


def offered(menus: float, orders: float, night: float) -> dict[tuple[str, str, int], tuple[float, float]]:
    """Least and greatest size by family, entity and direction; at hard, of a funnel with these rates.

    Ten hours of the day have weight 1, and each other hour has that of the night.
    """
    config = GeneratorConfig(
        entry_step="visits",
        steps=(FunnelStep(name="menus", rate=menus), FunnelStep(name="orders", rate=orders)),
        hourly_weights=tuple(1.0 if 9 <= hour < 19 else night for hour in range(24)),
    )
    names = [entity.entity_name for entity in config.catalogue.entities]
    found = feasible_variants(config, "hard")
    assert found == sorted(found)
    return {(ANOMALY_TYPES[v.family], names[v.entity], v.sign): (v.low, v.high) for v in found}


DROP, SPIKE = "absolute_drop_in_event_count", "absolute_spike_in_event_count"
RATE_DROP, RATE_SPIKE = "rate_drop_from_median", "rate_spike_from_median"
MIX, QUALITY = "hourly_traffic_mix_shift", "instrumentation_data_quality_issue"
PLAIN, SHARED, KEPT, EXCESS = (1.15, 1.5), (0.6, 0.8), (0.55, 0.65), (0.05, 0.05)
ALWAYS = {
    (RATE_DROP, "visits_to_menus", -1): PLAIN,
    (RATE_DROP, "menus_to_orders", -1): PLAIN,
    (RATE_DROP, "visits_to_orders", -1): SHARED,
    (DROP, "visits", -1): PLAIN,
    (SPIKE, "visits", +1): PLAIN,
    ("funnel_break", "menus_from_visits", -1): KEPT,
    ("funnel_break", "orders_from_menus", -1): KEPT,
    (MIX, "visits:daytime_share", -1): PLAIN,
    (QUALITY, "menus_lte_visits", +1): EXCESS,
    (QUALITY, "orders_lte_menus", +1): EXCESS,
}


def test_incidents_that_the_funnel_limits() -> None:
    """A spike of menus goes up to where every visit has one, and a shift to the day up to 0.9 of the night."""
    found = offered(menus=0.85, orders=0.8, night=0.05)
    assert found == ALWAYS | {
        (RATE_SPIKE, "visits_to_menus", +1): PLAIN,
        (RATE_SPIKE, "menus_to_orders", +1): PLAIN,
        (RATE_SPIKE, "visits_to_orders", +1): SHARED,
        (DROP, "menus", -1): PLAIN,
        (SPIKE, "menus", +1): (1.15, pytest.approx((1 / (0.85 * 1.035) - 1) / 0.10)),
        (MIX, "visits:daytime_share", +1): (1.15, pytest.approx(0.9 * 0.4 / 10.7 / 0.025)),
    }


def test_incidents_that_the_funnel_rules_out() -> None:
    """At 94.5 % few menus can be added, orders limit a drop of menus, and a night without traffic has none to shift."""
    found = offered(menus=0.945, orders=0.84, night=0.0015)  # 0.012 of 10.021 parts at night is 1.2 thousandths
    assert found == {key: size for key, size in ALWAYS.items() if key[0] != MIX} | {
        (RATE_SPIKE, "menus_to_orders", +1): PLAIN,
        (RATE_SPIKE, "visits_to_orders", +1): (0.6, pytest.approx((1 / (0.945 * 1.035) - 1) * 94.5 / 3)),
        (DROP, "menus", -1): (1.15, pytest.approx((1 - 0.84 * 1.035) / 0.10)),
    }
