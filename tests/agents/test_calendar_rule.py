"""The written rule of the realistic world names roots from data and announcements, and needs both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_world import WORLD, batch_of, generated, layer_of

from agents import evaluate
from agents.players.scripts.calendar_rule import CalendarRule, Known, Sight
from agents.players.scripts.signature import NO_INCIDENT, nominal_season
from metric_tracker_env.config import EnvConfig, FunnelStep, GeneratorConfig, WorldConfig
from metric_tracker_env.schema import DIFFICULTIES, Difficulty, ScenarioFamily
from metric_tracker_env.world.source import EpisodeBatch

CATALOGUE = WORLD.catalogue
NAMES = {entity.entity_name: entity.index for entity in CATALOGUE.entities}


def known_of(rule: CalendarRule, batch: EpisodeBatch, calendar: bool = True, hours: bool = True) -> Known:
    """What a batch's analyst may know."""
    layer = layer_of(batch)
    known = Known.nothing(layer.event_of_day.shape)
    if calendar:
        lane, day = np.nonzero(layer.event_of_day >= 0)
        place = layer.event_of_day[lane, day]
        known.entity[lane, day] = layer.events.entity[lane, place]
        known.change[lane, day] = layer.events.announced[lane, place]
    if hours:
        usual = batch.final.medians[0][:, None] * nominal_season(rule.config)
        known.lost[:], known.lost_mix[:] = rule.lost_hours(batch.hourly[..., 0], usual)
    return known


def f1(named: np.ndarray, batch: EpisodeBatch) -> float:
    """Mean F1 over the episodes."""
    cells = named == np.arange(CATALOGUE.num_entities)[:, None, None]
    right, total = (
        (cells & batch.expected).sum(axis=(0, 2)),
        (cells.sum(axis=0) + batch.expected.sum(axis=0)).sum(axis=1),
    )
    return float(np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0).mean())


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_roots_can_be_told_with_the_calendar_and_not_without(difficulty: Difficulty) -> None:
    """With all data the rule names the roots; blind to announcements or to lost hours it loses what the world hides."""
    batch, rule = batch_of(difficulty, count=(1, 4)), CalendarRule(WORLD, difficulty)
    full = known_of(rule, batch)
    assert f1(rule.root_of_all(batch.final, full), batch) >= 0.985
    assert f1(rule.root_of_all(batch.final, known_of(rule, batch, calendar=False)), batch) <= 0.57
    assert f1(rule.root_of_all(batch.final, known_of(rule, batch, hours=False)), batch) <= 0.84
    named = rule.root_of_all(batch.final, full)
    assert f1(np.where(full.entity >= 0, NO_INCIDENT, named), batch) <= 0.68
    assert f1(np.where(named == full.entity, NO_INCIDENT, named), batch) <= 0.94


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_quiet_episodes_are_left_alone(difficulty: Difficulty) -> None:
    """Where nothing happened the rule names nothing, as long as it knows the calendar and the hours."""
    batch, rule = batch_of(difficulty, count=0), CalendarRule(WORLD, difficulty)
    alone = {
        name: float((rule.root_of_all(batch.final, known_of(rule, batch, **blind)) == NO_INCIDENT).all(axis=1).mean())
        for name, blind in (("full", {}), ("no calendar", {"calendar": False}), ("no hours", {"hours": False}))
    }
    assert alone["full"] >= 0.98
    assert alone["no calendar"] <= 0.05
    assert alone["no hours"] <= 0.3


@pytest.mark.parametrize("family", ["funnel_break", "rate_spike_from_median", "hourly_traffic_mix_shift"])
def test_single_families_and_three_weeks(family: ScenarioFamily) -> None:
    """A world of one family, or of three weeks, can be told as well."""
    batch, rule = batch_of("medium", family, (1, 4), 150), CalendarRule(WORLD, "medium")
    assert f1(rule.root_of_all(batch.final, known_of(rule, batch)), batch) >= 0.96
    short = GeneratorConfig(world=WorldConfig(), num_weeks=3)
    batch, rule = generated(short, "medium", "mixed", (1, 4), 150), CalendarRule(short, "medium")
    assert f1(rule.root_of_all(batch.final, known_of(rule, batch)), batch) >= 0.96


def test_lost_hours_are_seen_for_what_they_are() -> None:
    """The share of traffic in empty hours is that of the lost ones; dates with all their hours have none."""
    batch, rule = batch_of("medium", count=0), CalendarRule(WORLD, "medium")
    known, gaps = known_of(rule, batch), layer_of(batch).gaps
    lost = np.zeros(known.lost.shape)
    for lane, place in np.argwhere(gaps.active).tolist():
        hours = slice(int(gaps.first[lane, place]), int(gaps.last[lane, place]) + 1)
        lost[lane, gaps.day[lane, place]] = rule.weights[hours].sum()
    assert known.lost == pytest.approx(lost)


# One date, made by hand: the default funnel at medium, where a rate is flagged from 9 % on and a count from 15 %


def sight(rates: dict[int, float] | None = None, entry: float = 1.0, mix: float = float("nan"), **flags: int) -> Sight:
    """A date with the given factors of step rates (1 to 4) and of traffic; flags are confirmed cells by name."""
    factors = np.ones((4, 1))
    for step, factor in (rates or {}).items():
        factors[step - 1] = factor
    confirmed = np.zeros((CATALOGUE.num_entities, 1), np.int8)
    for name, direction in flags.items():
        confirmed[NAMES[name]] = direction
    rule = CalendarRule(WORLD, "medium")
    return Sight(factors, rule.rate_limits, np.array([entry]), np.ones(1), np.array([mix]), confirmed, np.zeros((4, 1)))


def known(entity: str | None = None, change: float = 0.0, lost: float = 0.0, lost_mix: float = 0.0) -> Known:
    """What is known of one date."""
    told = NAMES[entity] if entity else NO_INCIDENT
    return Known(np.array([told]), np.array([change]), np.array([lost]), np.array([lost_mix]))


RATE, BREAK = "menu_open_to_product_added_to_cart", "product_added_to_cart_from_menu_opens"
OTHER, MIX = "app_open_to_menu_open", "app_opens:daytime_share"


@pytest.mark.parametrize(
    ("seen", "told", "root"),
    [
        ({"rates": {2: 0.86}, RATE: -1}, {}, RATE),
        ({"rates": {2: 0.86}, RATE: -1}, {"entity": RATE, "change": -14.0}, None),  # as announced
        ({"rates": {2: 0.86}, RATE: -1}, {"entity": RATE, "change": -17.0}, None),  # 0.8 of what was announced
        ({"rates": {2: 0.74}, RATE: -1}, {"entity": RATE, "change": -14.0}, RATE),  # beyond what was announced
        ({"rates": {2: 0.86}, RATE: -1}, {"entity": RATE, "change": 14.0}, RATE),  # the other way
        ({}, {"entity": RATE, "change": -14.0}, None),  # it did not come true
        ({"rates": {1: 0.86}, OTHER: -1}, {"entity": RATE, "change": -14.0}, OTHER),  # nor here, and something else did
        ({"rates": {1: 0.86, 2: 0.86}, OTHER: -1, RATE: -1}, {"entity": RATE, "change": -14.0}, OTHER),
        ({"rates": {2: 0.5}, RATE: -1, BREAK: -1}, {"entity": BREAK, "change": -50.0}, None),
        ({"rates": {2: 0.26}, RATE: -1, BREAK: -1}, {"entity": BREAK, "change": -50.0}, BREAK),
        ({"rates": {2: 0.86}}, {}, None),  # nothing confirms it
        ({"rates": {2: 1.25, 3: 0.8}, "product_added_to_cart": 1}, {}, "product_added_to_cart"),
        (
            {"rates": {2: 1.25, 3: 0.8}, "product_added_to_cart": 1},
            {"entity": "product_added_to_cart", "change": 23.0},
            None,
        ),
        ({"entry": 1.25, "app_opens": 1}, {}, "app_opens"),
        ({"entry": 1.25, "app_opens": 1}, {"entity": "app_opens", "change": 25.0}, None),
        ({"entry": 0.76, "app_opens": -1}, {"lost": 0.24}, None),
        (
            {"entry": 0.58, "app_opens": -1},
            {"lost": 0.24},
            "app_opens",
        ),  # more is missing than the hours that were lost
        ({"mix": -0.06, MIX: -1}, {}, MIX),
        ({"mix": -0.06, MIX: -1}, {"entity": MIX, "change": -5.5}, None),
        ({"mix": -0.06, MIX: -1}, {"lost": 0.15, "lost_mix": -0.06}, None),
        ({}, {"entity": MIX, "change": -5.5}, None),  # nobody looked at the hours
    ],
)
def test_a_date_on_paper(seen: dict[str, Any], told: dict[str, Any], root: str | None) -> None:
    """What is announced or lost is taken out; what is left has its root named, if it is confirmed in its direction."""
    (found,) = CalendarRule(WORLD, "medium").roots(sight(**seen), known(**told)).tolist()
    assert found == (NAMES[root] if root else NO_INCIDENT)


def test_impossible_counts() -> None:
    """Impossible counts are a root unless a logging migration of the very pair was announced."""
    rule, pair = CalendarRule(WORLD, "medium"), "orders_placed_lte_product_added_to_cart"
    date = sight(rates={3: 1.2, 4: 0.85})
    date.excess[2] = 90.0
    assert rule.roots(date, known()).tolist() == [NAMES[pair]]
    assert rule.roots(date, known(pair, 8.0)).tolist() == [NO_INCIDENT]
    other = "menu_opens_lte_app_opens"
    assert rule.roots(date, known(other, 8.0)).tolist() == [NAMES[pair]]


def test_dates_are_judged_one_by_one() -> None:
    """A date's root does not depend on the dates beside it: scripts ask for one at a time."""
    rule = CalendarRule(WORLD, "medium")
    dates = [sight({2: 0.86}, **{RATE: -1}), sight(entry=1.25, app_opens=1), sight()]
    told = [known(RATE, -14.0), known(), known("app_opens", 20.0)]
    joined = Sight(*(np.concatenate(arrays, axis=-1) for arrays in zip(*dates, strict=True)))
    together = rule.roots(joined, Known(*(np.concatenate(arrays) for arrays in zip(*told, strict=True))))
    assert together.tolist() == [rule.roots(d, k).item() for d, k in zip(dates, told, strict=True)]
    assert together.tolist() == [NO_INCIDENT, 0, NO_INCIDENT]


@pytest.mark.parametrize("hours", [True, False])
@pytest.mark.parametrize(("rates", "least"), [((), 0.9), ((0.4, 0.5), 0.84)])
def test_the_analyst_plays_worlds_of_known_noise(hours: bool, rates: tuple[float, ...], least: float) -> None:
    """With hours or days alone, with a step or three, and at rates whose thresholds are wider than drawn sizes."""
    noise = [0.01] * (1 + len(rates)) + [0.05] * len(rates) + [0.02] * (len(rates) > 1) + [0.01] * hours
    steps = [FunnelStep(name=f"s{i}", rate=rate, day_noise=0.0866) for i, rate in enumerate(rates)]
    config = GeneratorConfig(
        entry_step="visits",
        steps=tuple(steps),
        noise=tuple(noise),
        hours=hours,
        adjusted=True,
        weekday_factors=(1.0,) * 7,
        trend_per_day=0.0,
        day_noise=0.017,
        base_daily_count=5000,
        world=WorldConfig(events=(0, 4), gaps=(0, 0)),
    )
    options = {"generator": config, "anomaly_count": 3, "budget": 20}
    analyst, blind = (
        evaluate(agent, range(1_000_000, 1_000_100), config=EnvConfig.model_validate(options)).mean("f1")
        for agent in ("analyst", "analyst_blind")
    )
    assert analyst >= least
    assert blind <= analyst - 0.1
