"""The mean day of a configuration and the bounds of its funnel, against numbers worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.config import FunnelStep, GeneratorConfig
from metric_tracker_env.schema import ConversionMetricDefinition
from metric_tracker_env.world.variants import TRAFFIC_FLOOR, chain_bounds, nominal_measures, step_thresholds

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
    rates = np.array([10.0, 50.0, 90.0])
    assert step_thresholds("easy", rates) == pytest.approx([1.2, 6.0, 6.0])
    assert step_thresholds("hard", rates) == pytest.approx([0.6, 3.0, 3.0])
