"""How far an anomaly can take an entity, and the factors that do it, against numbers worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.config import FunnelStep, GeneratorConfig
from metric_tracker_env.schema import ConversionMetricDefinition, Entity
from metric_tracker_env.world.reach import Ground, chain_factors, count_factors, nominal_ground, room, values_allowed

SHOP = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="carts", rate=0.2, noise_scale=2.0), FunnelStep(name="sales", rate=0.5)),
    conversion_definitions=(ConversionMetricDefinition.of("sales", "visits", "visit_to_sale"),),
)
CARTS_PEAK, SALES_PEAK = 0.2 * (1 + 2 * 0.035), 0.5 * 1.035  # the largest hourly rates at hard

# A date that has 24 carts of 100 visits instead of 20; 500 of 1,000 visits are from 9 to 19 h, and 200 at night.
USUAL = np.array([10_000.0, 2_000.0, 1_000.0, 20.0, 50.0, 10.0, 0.65, 0.0, 0.0])
VALUES = np.array([9_000.0, 2_160.0, 1_080.0, 24.0, 50.0, 12.0, 0.6, 0.0, 0.0])
HOURS = np.array([25.0] * 5 + [50.0] * 16 + [25.0] * 3)
LIMITS = np.array([1_000.0, 200.0, 100.0, 0.6, 6.0, 15.0, 0.025, 1.0, 1.0])  # of the entities at hard
DATE = Ground(VALUES, USUAL, HOURS, USUAL, LIMITS)


def entity(kind: str, name: str) -> Entity:
    return SHOP.catalogue.entity(kind, name)


VISITS, CARTS, SALES = (entity("event_count", name) for name in ("visits", "carts", "sales"))
CARTS_RATE = entity("funnel_step", "carts_from_visits")
END_TO_END = entity("conversion_rate", "visit_to_sale")
MIX = entity("hourly_mix", "visits:daytime_share")
# The thresholds of the two rates are 1.2 of 24 and 3 of 50 points; both rates move by a common multiple of them.
MOST_DOWN, MOST_UP = 0.95 / 0.06, (1 / SALES_PEAK - 1) / 0.06


@pytest.mark.parametrize(
    ("moved", "low", "high"),
    [
        (VISITS, 450.0, 500_000_000.0),
        (CARTS, 2_160.0 * SALES_PEAK, 2_160.0 / CARTS_PEAK),
        (SALES, 54.0, 1_080.0 / SALES_PEAK),
        (CARTS_RATE, 24.0 * 0.05, 24.0 / CARTS_PEAK),
        (END_TO_END, 12 * 0.05 * (1 - 0.05 * MOST_DOWN), 12 / SALES_PEAK * (1 + 0.05 * MOST_UP)),
        (MIX, 0.6 - 0.9 * 0.5, 0.6 + 0.9 * 0.2),
    ],
    ids=lambda item: item.entity_name if isinstance(item, Entity) else "",
)
def test_what_the_funnel_allows(moved: Entity, low: float, high: float) -> None:
    """A twentieth of the traffic stays, no rate passes 1 with its noise, and no hour is emptied by a mix shift."""
    assert values_allowed(SHOP, "hard", moved, DATE) == pytest.approx((low, high), rel=1e-12)


def test_a_single_visit_can_become_the_most_that_a_day_may_have() -> None:
    """The largest daily count is the limit of the first step, whatever the day has."""
    quiet = DATE._replace(values=np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]))
    assert values_allowed(SHOP, "hard", VISITS, quiet) == (0.05, 500_000_000.0)
    assert values_allowed(SHOP, "hard", END_TO_END, quiet) == (0.0, 0.0)  # nothing is a multiple of no sales


@pytest.mark.parametrize(
    ("sign", "value", "least", "most"),
    [
        (+1, 9_000.0, 1_050.0, 499_990_000.0),  # 1.05 thresholds, as the way to there is longer than the least move
        (-1, 9_000.0, 1_550.0, 9_550.0),  # 0.55 thresholds beyond where it is; a twentieth of 9,000 must stay
        (+1, 10_700.0, 1_250.0, 499_990_000.0),
        (-1, 10_700.0, 1_050.0, 9_465.0),
    ],
)
def test_an_anomaly_reaches_its_threshold_and_moves(sign: float, value: float, least: float, most: float) -> None:
    """Room begins at 1.05 thresholds from the median, or where the day's own value has moved by 0.55 of one."""
    date = DATE._replace(values=np.array([value, *VALUES[1:]]))
    found = room(SHOP, "hard", VISITS, date, sign)
    assert found == pytest.approx((least, most), rel=1e-12)
    assert not found.empty


def test_where_there_is_no_room() -> None:
    """A rate of 0.9 cannot go up by a threshold, but down; room that is a single point is not empty."""
    steep = SHOP.model_copy(update={"steps": (FunnelStep(name="carts", rate=0.9), FunnelStep(name="sales", rate=0.5))})
    date = DATE._replace(values=np.array([9_000.0, 8_100.0, 4_050.0, 90.0, 50.0, 45.0, 0.6, 0.0, 0.0]))
    usual = date._replace(medians=date.values, thresholds=np.array([0.0] * 4 + [27.0] + [0.0] * 4))
    assert room(steep, "hard", CARTS_RATE, usual, +1).empty
    assert not room(steep, "hard", CARTS_RATE, usual, -1).empty
    found = room(steep, "hard", CARTS_RATE, usual, -1)
    assert not found._replace(least=found.most).empty


@pytest.mark.parametrize(
    ("moved", "target", "factors"),
    [
        (VISITS, 13_500.0, [1.5, 1.5, 1.5]),
        (CARTS, 1_620.0, [1.0, 0.75, 1.0]),
        (CARTS_RATE, 12.0, [1.0, 0.5, 0.5]),
        (END_TO_END, 12 * 1.25 * 1.3, [1.0, 1.25, 1.25 * 1.3]),  # five thresholds of each rate
        (END_TO_END, 12 * 0.75 * 0.7, [1.0, 0.75, 0.75 * 0.7]),
        (END_TO_END, 12 * 1.025 * 1.03, [1.0, 1.025, 1.025 * 1.03]),  # half a threshold of each
        (END_TO_END, 12 * 0.975 * 0.97, [1.0, 0.975, 0.975 * 0.97]),
    ],
    ids=lambda item: item.entity_name if isinstance(item, Entity) else "",
)
def test_factors_lead_to_the_target(moved: Entity, target: float, factors: list[float]) -> None:
    """Counts after a changed link follow, a lone count is alone, and an end-to-end rate is shared by its links."""
    np.testing.assert_allclose(count_factors(SHOP, "hard", moved, DATE, target), factors, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("bound", ["least", "most"])
def test_all_that_the_funnel_allows_of_an_end_to_end_rate_is_reached(rate: float, bound: str) -> None:
    """Down to where a twentieth of a step stays, and up as far as its steps can go, be it hundreds of thresholds."""
    steps = (FunnelStep(name="carts", rate=rate), FunnelStep(name="sales", rate=rate))
    shop = SHOP.model_copy(update={"steps": steps})
    mean = nominal_ground(shop, "hard")
    low, high = values_allowed(shop, "hard", END_TO_END, mean)
    target = low if bound == "least" else high
    visits, carts, sales = count_factors(shop, "hard", END_TO_END, mean, target)
    step = 0.05 if bound == "least" else 1 / (rate * 1.035)
    assert (visits, carts, sales) == pytest.approx((1.0, step, step * step), rel=1e-9)
    assert 100 * rate * rate * sales == pytest.approx(target, rel=1e-9)


def test_a_rate_below_one_percent_is_a_rate() -> None:
    """A rate of 0.3 % that goes to 0.45 % has grown by half."""
    rare = DATE._replace(values=np.array([100_000.0, 300.0, 150.0, 0.3, 50.0, 0.15, 0.6, 0.0, 0.0]))
    np.testing.assert_allclose(count_factors(SHOP, "hard", CARTS_RATE, rare, 0.45), [1.0, 1.5, 1.5], rtol=1e-12)
    usual = rare._replace(usual=rare.values)  # thresholds of 6 % for both rates
    factors = count_factors(SHOP, "hard", END_TO_END, usual, 0.15 * 1.21)
    np.testing.assert_allclose(factors, [1.0, 1.1, 1.21], rtol=1e-9)


def test_links_multiply_down_the_chain() -> None:
    """Each count has the factors of all links up to it; a lone count passes nothing on."""
    link = np.array([[2.0, 2.0], [3.0, 3.0], [5.0, 5.0]])
    assert chain_factors(link, np.array([0, 1])).T.tolist() == [[2.0, 6.0, 30.0], [2.0, 6.0, 5.0]]


def test_the_ground_of_a_mean_day() -> None:
    """On a mean day each value is its median; hours weigh as the configuration says, in any unit."""
    tiny = tuple(1e-13 * (1.0 + (9 <= hour < 19)) for hour in range(24))  # 20 of 34 parts in the day hours
    config = SHOP.model_copy(update={"hourly_weights": tiny})
    ground = nominal_ground(config, "hard")
    assert (ground.values == ground.medians).all()
    share = ground.values[config.catalogue.share_row]
    assert values_allowed(config, "hard", MIX, ground) == pytest.approx((share - 0.9 * 20 / 34, share + 0.9 * 8 / 34))
