"""The one definition of thresholds, severities and names of deviations, against numbers worked out on paper."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest

from metric_tracker_env import measure
from metric_tracker_env.config import FunnelStep, GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES, ENTITY_TYPES, FAMILIES, Direction, EntityType, Severity


def test_every_deviation_is_of_one_family() -> None:
    """The families stand in their order, and each direction of each type of entity is named by exactly one."""
    assert tuple(FAMILIES) == ANOMALY_TYPES
    named = Counter((family.entity_type, direction) for family in FAMILIES.values() for direction in family.directions)
    assert named == {(kind, direction): 1 for kind in ENTITY_TYPES for direction in get_args(Direction)}
    for name, family in FAMILIES.items():
        for direction in family.directions:
            assert measure.anomaly_type(family.entity_type, {"down": -0.5, "up": 0.5}[direction]) == name


def test_rates_of_nothing_are_nothing() -> None:
    """A rate has no events to be a share of where its denominator has none; a date without visits has no daytime."""
    shop = GeneratorConfig(
        entry_step="visits", steps=(FunnelStep(name="carts", rate=0.2), FunnelStep(name="sales", rate=0.5))
    )
    daily = np.array([[100.0, 0.0, 1.0], [0.0, 0.0, 1.0], [3.0, 0.0, 0.0]])  # three dates, the last with one visit
    excesses = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    measured = measure.measures(shop.catalogue, daily, np.array([60.0, 0.0, 1.0]), excesses)
    assert measured.T.tolist() == [
        [100.0, 0.0, 3.0, 0.0, 0.0, 3.0, 0.6, 0.0, 3.0],
        [0.0] * 9,
        [1.0, 1.0, 0.0, 100.0, 0.0, 0.0, 1.0, 0.0, 0.0],
    ]


def test_a_rate_that_is_always_nothing_is_not_flagged_for_staying_there() -> None:
    """Where the median of a rate is 0, a date without the step is as usual, and a date with one event is flagged."""
    shop = GeneratorConfig(
        entry_step="visits", steps=(FunnelStep(name="carts", rate=0.2), FunnelStep(name="sales", rate=0.5))
    )
    daily = np.zeros((3, 1, 7))
    daily[0], daily[1:, 0, 4] = 1000.0, 1.0
    measured = measure.measures(shop.catalogue, daily, 0.5 * daily[0], np.zeros((2, 1, 7)))
    found = measure.deviations(shop.catalogue, "hard", measured)
    rates = [entity.index for entity in shop.catalogue.entities if entity.entity_type == "conversion_rate"]
    assert found.flagged[rates].sum() == len(rates)
    assert found.flagged[rates, 0, 4].all()
    assert not found.flagged[shop.catalogue.slices["funnel_step"]].any()


# Sizes from which a deviation is medium, high, critical, for a baseline of 200.
SEVERITIES: dict[EntityType, tuple[float, float, float]] = {
    "event_count": (24.0, 44.0, 70.0),
    "conversion_rate": (4.0, 8.0, 12.0),
    "funnel_step": (5.0, 10.0, 15.0),
    "hourly_mix": (0.10, 0.18, 0.25),
    "data_quality": (20.0, 60.0, 120.0),
}


@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_severities_begin_at_their_limits(kind: EntityType) -> None:
    """A deviation has the severity whose limit it reaches, whichever its sign; just below it has the one before."""
    order: tuple[Severity, ...] = get_args(Severity)
    for rank, limit in enumerate(SEVERITIES[kind], start=1):
        for sign in (-1.0, 1.0):
            assert measure.severity(kind, sign * limit, 200.0) == order[rank]
            assert measure.severity(kind, sign * limit * 0.9999, 200.0) == order[rank - 1]


def test_a_count_over_a_median_of_nothing_is_critical() -> None:
    """Any events where there are none on most days are as grave as can be."""
    assert measure.severity("event_count", 1.0, 0.0) == "critical"
