"""What announcements lead one to expect: each type of entity on a funnel whose numbers can be checked on paper."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_announced import expected_ratios
from helpers_world import WORLD, generator_configs, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GenerationError, GeneratorConfig, WorldConfig
from metric_tracker_env.schema import DIFFICULTIES, ConversionMetricDefinition, Difficulty, KnownEvent
from metric_tracker_env.world.announced import Announcements, common_share
from metric_tracker_env.world.episode import MetricDataGenerator

# 10000 visits, 5000 leads, 2000 deals a day, the same in every hour. Thresholds at medium: 1500, 750 and 300 events;
# 4.5, 3.6 and 1.8 points of the three rates; 15 and 12 points of the funnel steps; 0.035 of the mix; 1 event.
PAPER = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="leads", rate=0.5), FunnelStep(name="deals", rate=0.4)),
    conversion_definitions=(
        ConversionMetricDefinition(name="visit_to_lead", numerator="leads", denominator="visits"),
        ConversionMetricDefinition(name="lead_to_deal", numerator="deals", denominator="leads"),
        ConversionMetricDefinition(name="visit_to_deal", numerator="deals", denominator="visits"),
    ),
    base_daily_count=10_000.0,
    trend_per_day=0.0,
    hourly_weights=(1.0,) * 24,
    world=WorldConfig(),
)
NAMES = [
    *("visits", "leads", "deals", "visit_to_lead", "lead_to_deal", "visit_to_deal"),
    *("leads_from_visits", "deals_from_leads", "visits:daytime_share", "leads_lte_visits", "deals_lte_leads"),
]


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        # A fifth less of everything: 2000 / 1500, 1000 / 750, 400 / 300; no rate moves.
        ("visits", -20.0, {"visits": -4 / 3, "leads": -4 / 3, "deals": -4 / 3}),
        # 5500 leads: 55 % into it, 2000 / 5500 out of it; the deals and their rate of all visits stay.
        (
            "leads",
            10.0,
            {
                "leads": 500 / 750,
                "visit_to_lead": 5 / 4.5,
                "lead_to_deal": (100 * 2000 / 5500 - 40) / 3.6,
                "leads_from_visits": 5 / 15,
                "deals_from_leads": (100 * 2000 / 5500 - 40) / 12,
            },
        ),
        # 1400 deals: 28 % of the leads, 14 % of the visits.
        (
            "deals",
            -30.0,
            {"deals": -600 / 300, "lead_to_deal": -12 / 3.6, "visit_to_deal": -6 / 1.8, "deals_from_leads": -12 / 12},
        ),
        # 45.5 % become leads, 4550 of them, and 1820 deals, which are 18.2 % of the visits.
        (
            "visit_to_lead",
            -9.0,
            {
                "leads": -450 / 750,
                "deals": -180 / 300,
                "visit_to_lead": -1.0,
                "visit_to_deal": -1.8 / 1.8,
                "leads_from_visits": -4.5 / 15,
            },
        ),
        # A broken step keeps 60 %: 24 % of the leads, 1200 deals, 12 % of the visits.
        (
            "deals_from_leads",
            -40.0,
            {
                "deals": -800 / 300,
                "lead_to_deal": -16 / 3.6,
                "visit_to_deal": -8 / 1.8,
                "deals_from_leads": -16 / 12,
            },
        ),
        # Both rates have a threshold of 9 % of themselves, so each keeps 90 %: 45 and 36 %, 4500 leads, 1620 deals.
        (
            "visit_to_deal",
            -19.0,
            {
                "leads": -500 / 750,
                "deals": -380 / 300,
                "visit_to_lead": -5 / 4.5,
                "lead_to_deal": -4 / 3.6,
                "visit_to_deal": -3.8 / 1.8,
                "leads_from_visits": -5 / 15,
                "deals_from_leads": -4 / 12,
            },
        ),
        # Seven points of the day's traffic.
        ("visits:daytime_share", 7.0, {"visits:daytime_share": 0.07 / 0.035}),
        ("visits:daytime_share", -3.5, {"visits:daytime_share": -1.0}),
        # In 4 of 24 hours 10 % more leads than visits: 10000 / 6 x 1.1 instead of 5000 / 6, so 6000 leads a day.
        (
            "leads_lte_visits",
            10.0,
            {
                "leads": 1000 / 750,
                "visit_to_lead": 10 / 4.5,
                "lead_to_deal": (100 * 2000 / 6000 - 40) / 3.6,
                "leads_from_visits": 10 / 15,
                "deals_from_leads": (100 * 2000 / 6000 - 40) / 12,
                "leads_lte_visits": 1000 / 6,
            },
        ),
        # In 4 of 24 hours 20 % more deals than leads: 1000 instead of 2000 / 6, so 2000 x 5 / 6 + 1000 a day.
        (
            "deals_lte_leads",
            20.0,
            {
                "deals": (2000 / 3) / 300,
                "lead_to_deal": (100 * (8000 / 3) / 5000 - 40) / 3.6,
                "visit_to_deal": (100 * (8000 / 3) / 10000 - 20) / 1.8,
                "deals_from_leads": (100 * (8000 / 3) / 5000 - 40) / 12,
                "deals_lte_leads": 1000 / 6,
            },
        ),
    ],
)
def test_on_paper(name: str, change: float, expected: dict[str, float]) -> None:
    """An announced change moves these cells by so many thresholds, and all others not at all."""
    assert [entity.entity_name for entity in PAPER.catalogue.entities] == NAMES
    told = Announcements(PAPER, "medium").ratios(np.array([NAMES.index(name)]), np.array([change]))
    assert told.shape == (len(NAMES), 1)
    assert {cell: ratio for cell, ratio in zip(NAMES, told[:, 0].tolist(), strict=True) if ratio} == pytest.approx(
        expected, rel=1e-9
    )


def test_many_changes_at_once_are_told_as_one_by_one() -> None:
    """A column of the result does not depend on the others, nor on their order; none at all has no columns."""
    announcements = Announcements(WORLD, "hard")
    rng = np.random.default_rng(0)
    entity = rng.integers(0, 20, 200)
    change = np.where(entity >= 16, rng.uniform(1, 30, 200), rng.uniform(-30, 30, 200))
    together = announcements.ratios(entity, change)
    for i in range(0, 200, 7):
        assert np.array_equal(together[:, [i]], announcements.ratios(entity[[i]], change[[i]]))
    assert announcements.ratios(entity[:0], change[:0]).shape == (20, 0)


def test_links_share_a_change() -> None:
    """The product of the links is the factor, and each moves by the same number of its own limits."""
    rng = np.random.default_rng(1)
    limits = rng.uniform(0.01, 0.12, (4, 500))
    factor = rng.uniform(0.4, 1.8, 500)
    share = common_share(limits, factor)
    np.testing.assert_allclose(np.prod(1.0 + share * limits, axis=0), factor, rtol=1e-6)
    assert common_share(limits, np.ones(500)).tolist() == [0.0] * 500


def assert_as_slowly(config: GeneratorConfig, difficulty: Difficulty, events: list[KnownEvent]) -> None:
    """What announcements lead to is what the slow way finds, to a thousandth of a threshold within +-5, or just 0."""
    entity = np.array([config.catalogue.index[event.entity_type, event.entity_name] for event in events], np.int64)
    change = np.array([event.expected_change for event in events])
    told = Announcements(config, difficulty).ratios(entity, change)
    for column, event in zip(told.T, events, strict=True):
        slow = np.clip(expected_ratios(config, difficulty, event), -5.0, 5.0)
        np.testing.assert_allclose(np.clip(column, -5.0, 5.0), slow, atol=1e-3, err_msg=str(event))
        assert not column[np.abs(slow) < 1e-9].any(), event


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_events_of_the_default_funnel(difficulty: Difficulty) -> None:
    """All announcements of many episodes lead to what the slow way finds; every entity that can be is announced."""
    generator, events = MetricDataGenerator(WORLD), []
    for seed in range(60):
        events += generator.generate_episode(EpisodeConfig(seed=seed, difficulty=difficulty)).known_events
    assert_as_slowly(WORLD, difficulty, events)
    assert len({(event.entity_name, event.direction) for event in events}) > 20


@settings(max_examples=30, deadline=None, derandomize=True)
@given(generator_configs(), worlds(), st.sampled_from(DIFFICULTIES))
def test_events_of_any_funnel(config: GeneratorConfig, world: WorldConfig, difficulty: Difficulty) -> None:
    """So do those of any funnel and any world."""
    config = config.model_copy(update={"world": world})
    try:
        episode = MetricDataGenerator(config).generate_episode(EpisodeConfig(difficulty=difficulty, anomaly_count=0))
    except GenerationError:
        return
    assert_as_slowly(config, difficulty, episode.known_events)
