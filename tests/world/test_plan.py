"""Plans: the places of incidents, and what stands in those that hold none."""

from __future__ import annotations

import pytest
from helpers_world import WORLD, generated

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.world.plan import Plan


@pytest.mark.parametrize("config", [GeneratorConfig(), WORLD], ids=["plain", "world"])
def test_a_place_without_an_incident_has_no_day(config: GeneratorConfig) -> None:
    """Its day is -1, which is no date's; every other place has one."""
    assert (Plan.empty(3, 4, 5).day == -1).all()
    plan = generated(config, "medium", "mixed", (0, 4), 60).plan
    assert (~plan.active).any()
    assert (plan.day[~plan.active] == -1).all()
    assert (plan.day[plan.active] >= config.candidate_days.start).all()
