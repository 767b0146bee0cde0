"""A world's labels, and what falls where and how often."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_world import (
    WORLD,
    Seen,
    bare_hours,
    batch_of,
    coincidence,
    generated,
    generator_configs,
    layer_of,
    quiet_of,
    see,
    spans_of,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import FunnelStep, GeneratorConfig, WorldConfig
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, ANOMALY_TYPES, DIFFICULTIES, Difficulty, ScenarioFamily
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch

MIX, QUALITY = (
    ANOMALY_TYPES.index("hourly_traffic_mix_shift"),
    ANOMALY_TYPES.index("instrumentation_data_quality_issue"),
)


# Labels


def assert_labels_hold(
    config: GeneratorConfig, difficulty: Difficulty, family: ScenarioFamily, batch: EpisodeBatch
) -> None:
    """Every class is that of the definitions, worked out again from the hours of three layers; no row is lost."""
    episodes = len(batch.hourly)
    final = see(config, difficulty, batch.hourly)
    quiet = quiet_of(config, difficulty, family, episodes)
    world = see(config, difficulty, quiet.hourly)
    bare = see(config, difficulty, bare_hours(config, difficulty, episodes))
    assert (quiet.hourly.sum(axis=2) == batch.twin_daily.transpose(1, 2, 0)).all()

    roots = spans_of(batch)
    layer = layer_of(batch)
    at = roots.entity, roots.lane, roots.day
    by_incident, by_world = moved(final, world), moved(world, bare, final.threshold)
    incident_date = np.zeros(final.flagged.shape[1:], bool)
    incident_date[roots.lane, roots.day] = True
    announced = (layer.event_of_day >= 0) | (layer.gap_of_day >= 0)
    classes = np.where(final.flagged, CellClass.NATURAL, CellClass.NONE)
    classes[final.flagged & (np.abs(by_world) >= 0.5)] = CellClass.EXPLAINED
    classes[final.flagged & (np.abs(by_incident) >= 0.5)] = CellClass.CONSEQUENCE
    confirmed = final.flagged[at] & (roots.sign * final.delta[at] > 0) & (roots.sign * by_incident[at] >= 0.5)
    classes[tuple(a[confirmed] for a in at)] = CellClass.EXPECTED
    assert (batch.classes == classes).all()
    assert not (by_incident[:, ~incident_date] != 0).any()
    assert not (by_world[:, ~announced] != 0).any()
    assert confirmed[roots.last].all()
    assert (batch.expected.sum(axis=(0, 2)) == np.bincount(roots.lane[confirmed], minlength=episodes)).all()


def moved(after: Seen, before: Seen, threshold: np.ndarray | None = None) -> np.ndarray:
    """(E, B, D) move of each cell in thresholds of the final data."""
    return (after.values - before.values) / (after.threshold if threshold is None else threshold)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_labels_follow_the_definitions(difficulty: Difficulty) -> None:
    """Expected, consequence, explained, natural and nothing are what the definitions say of bare, world and final."""
    batch = batch_of(difficulty)
    assert_labels_hold(WORLD, difficulty, "mixed", batch)
    numbers = np.bincount(batch.classes.ravel(), minlength=5)
    assert numbers.min() > 0
    assert numbers[CellClass.EXPLAINED] >= 15 * len(batch.hourly)


@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES[1:])
@pytest.mark.parametrize("weeks", [3, 4])
def test_labels_of_single_families(family: ScenarioFamily, weeks: int) -> None:
    """A family's world has events and incidents of that family alone, and its labels hold."""
    config = GeneratorConfig(world=WorldConfig(), num_weeks=weeks)
    batch = generated(config, "hard", family, (0, 4), 60)
    assert_labels_hold(config, "hard", family, batch)
    events = layer_of(batch).events
    wanted = {ANOMALY_TYPES.index(family)}
    assert set(events.family[events.active].tolist()) == set(batch.plan.family[batch.plan.active].tolist()) == wanted


@settings(max_examples=40, deadline=None, derandomize=True)
@given(generator_configs(), worlds(), st.sampled_from(DIFFICULTIES), st.integers(0, 4))
def test_any_world_of_any_configuration_generates(
    config: GeneratorConfig, world: WorldConfig, difficulty: Difficulty, count: int
) -> None:
    """Whatever the funnel, the calendar and the world, episodes are made and their labels hold."""
    config = config.model_copy(update={"world": world})
    batch = generated(config, difficulty, "mixed", (0, min(count, config.max_incidents)), 5)
    assert_labels_hold(config, difficulty, "mixed", batch)
    assert_falls_as_it_may(config, batch)


@pytest.mark.parametrize("weeks", [3, 12])
def test_few_and_many_weeks(weeks: int) -> None:
    """3 to 12 weeks generate, with the most incidents that fit."""
    config = GeneratorConfig(world=WorldConfig(), num_weeks=weeks)
    batch = generated(config, "hard", "mixed", config.max_incidents, 30)
    assert config.max_incidents == {3: 5, 12: 26}[weeks]
    assert_labels_hold(config, "hard", "mixed", batch)
    assert_falls_as_it_may(config, batch)


# What falls where


def links(config: GeneratorConfig, entity: int) -> set[str]:
    """Links of the chain that an incident or event of an entity touches, written out a second time."""
    names = config.catalogue.count_metrics
    rates = {f"rate of {name}" for name in names[1:]}
    described = config.catalogue.entities[entity]
    kind, name = described.entity_type, described.entity_name
    if kind == "event_count":
        step = names.index(name)
        return {"traffic"} if step == 0 else {f"rate of {n}" for n in names[step : step + 2]}
    if kind == "hourly_mix":
        return {"mix"}
    if kind == "data_quality":
        return {"traffic", "mix", "quality", *rates}
    if kind == "funnel_step":
        return {f"rate of {name.split('_from_')[0]}"}
    conversion = next(c for c in config.conversion_definitions if c.name == name)
    first, last = names.index(conversion.denominator), names.index(conversion.numerator)
    return {f"rate of {conversion.numerator}"} if last == first + 1 else rates


GAP_LINKS = {"traffic", "mix", "quality"}


def assert_falls_as_it_may(config: GeneratorConfig, batch: EpisodeBatch) -> None:
    """Windows, gaps and incidents keep to the rules of the world, episode by episode."""
    layer, world = layer_of(batch), config.world
    assert world is not None
    events, gaps, plan = layer.events, layer.gaps, batch.plan
    candidates = set(config.candidate_days)
    for lane in range(len(batch.hourly)):
        event_of: dict[int, int] = {}
        for place in np.flatnonzero(events.active[lane]).tolist():
            first, length = int(events.first[lane, place]), int(events.length[lane, place])
            assert 1 <= length <= world.longest
            for day in range(first, first + length):
                assert day in candidates
                assert day not in event_of
                event_of[day] = place
        assert [event_of.get(day, -1) for day in range(config.num_days)] == layer.event_of_day[lane].tolist()
        gap_days = gaps.day[lane][gaps.active[lane]].tolist()
        assert len(set(gap_days)) == len(gap_days)
        assert set(gap_days) <= candidates - event_of.keys()

        used: set[int] = set()
        for incident in np.unique(plan.incident[lane][plan.active[lane]]).tolist():
            own = plan.active[lane] & (plan.incident[lane] == incident)
            days, entity = sorted(plan.day[lane, own].tolist()), int(plan.entity[lane, own][0])
            assert days == list(range(days[0], days[0] + len(days)))
            assert len(days) <= world.longest
            assert plan.day[lane, own & plan.last[lane]].tolist() == [days[-1]]
            assert not used & set(days)
            assert set(days) <= candidates
            used |= set(days)
            beyond = {event_of.get(day, -1) for day in days}
            for day in days:
                if day in gap_days:
                    assert not links(config, entity) & GAP_LINKS
                if day in event_of and links(config, entity) & links(config, events.entity[lane, event_of[day]]):
                    (place,) = beyond  # the incident lies inside the one event that it goes beyond
                    assert events.entity[lane, place] == entity
                    assert events.effect[lane, place]
                    assert np.sign(events.announced[lane, place]) == plan.sign[lane, own][0]
                    assert events.family[lane, place] not in (MIX, QUALITY)
                    assert len(days) <= 2


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_incidents_coincide_with_events_only_where_they_can_be_told(difficulty: Difficulty) -> None:
    """Incidents touch other links than events and gaps on their dates, or go beyond an event that came true."""
    assert_falls_as_it_may(WORLD, batch_of(difficulty))


def test_how_often_things_happen() -> None:
    """Numbers, lengths, effects, coincidence and gaps are as frequent as the configuration says."""
    batch = batch_of("medium", count=(1, 4), episodes=3000)
    layer, plan = layer_of(batch), batch.plan
    events, gaps = layer.events, layer.gaps
    number = events.active.sum(axis=1)
    assert number.max() == 6
    assert (number < 4).mean() < 0.01
    assert number.mean() == pytest.approx(5.0, abs=0.06)
    assert events.effect[events.active].mean() == pytest.approx(0.75, abs=0.02)
    lengths = np.bincount(events.length[events.active], minlength=4)[1:] / events.active.sum()
    assert lengths == pytest.approx([0.55, 0.25, 0.20], abs=0.03)
    dates = plan.active.reshape(3000, -1, 3).sum(axis=2)
    lengths = np.bincount(dates[dates > 0], minlength=4)[1:] / (dates > 0).sum()
    assert lengths == pytest.approx([0.55, 0.25, 0.20], abs=0.04)
    assert gaps.active.sum(axis=1).mean() == pytest.approx(1.5, abs=0.03)
    assert batch.given_up.mean() < 0.01
    on_event, beyond = coincidence(batch)
    assert on_event.mean() == pytest.approx(0.53, abs=0.03)  # those that are put there, and those by chance
    assert beyond.mean() == pytest.approx(0.45 * 0.3 * 0.9, abs=0.02)
    unconfirmed = 1 - batch.expected.sum() / plan.active.sum()
    assert 0.005 < unconfirmed < 0.04


def test_gaps_lose_the_traffic_that_they_should() -> None:
    """A gap is one window of hours without any event, of 1.2 to 2.0 count thresholds and at most one hour more."""
    batch, bare = quiet_of(WORLD, "medium"), bare_hours(WORLD, "medium", 400)
    gaps = layer_of(batch).gaps
    entry = bare[..., 0].sum(axis=2)
    limit = np.maximum(50.0, 0.15 * np.median(entry, axis=1))
    starts = set()
    for lane, place in np.argwhere(gaps.active).tolist():
        day, first, last = (int(a[lane, place]) for a in (gaps.day, gaps.first, gaps.last))
        hours = batch.hourly[lane, day]
        lost = np.zeros(24, bool)
        lost[first : last + 1] = True
        assert not hours[lost].any()
        assert (hours[~lost] == bare[lane, day, ~lost]).all()
        loss = bare[lane, day, lost, 0].sum() / limit[lane]
        assert loss >= 1.2
        assert loss - bare[lane, day, last, 0] / limit[lane] < 2.0
        starts.add(first)
    assert len(starts) > 15


def test_announcements_are_near_what_happens() -> None:
    """What came true is the announced change x U(0.8, 1.2), measured on the dates themselves, but for rounding."""
    config = GeneratorConfig(world=WorldConfig(without_effect=0, gaps=(0, 0)), day_noise=0.0)
    for difficulty in DIFFICULTIES:
        batch = generated(config, difficulty, "mixed", 0, 300)
        before = see(config, difficulty, bare_hours(config, difficulty, 300))
        after = see(config, difficulty, batch.hourly)
        events = layer_of(batch).events
        lane, place = np.nonzero(events.active & (events.family != QUALITY))
        entity, day = events.entity[lane, place], events.first[lane, place] + events.length[lane, place] - 1
        change = after.values[entity, lane, day] - before.values[entity, lane, day]
        median = np.median(before.values[entity, lane], axis=1)
        mixed = events.family[lane, place] == MIX
        change = np.where(mixed, 100.0 * change, 100.0 * change / median)
        announced = events.announced[lane, place]
        rounding = np.where(mixed, 0.05, 0.5) + 0.01 * np.abs(change) + 0.05
        assert (np.sign(change) == np.sign(announced)).all()
        size = np.abs(announced)
        capped = size >= 95.0
        assert (0.8 * (size - rounding) <= np.abs(change) + 0.1).all()
        assert (np.abs(change) <= 1.2 * (size + rounding))[~capped].all()
        ratio = np.abs(change / announced)[size > 15]
        assert ratio.min() < 0.85
        assert ratio.max() > 1.15


def test_changes_of_a_rate_below_one_percent_are_announced_in_percent_of_it() -> None:
    """However small the rate: 1 of 200 who buy are announced to be a third less, not a third of a percent."""
    rate = GeneratorConfig(
        entry_step="visits",
        steps=(FunnelStep(name="sales", rate=0.005),),
        base_daily_count=2_000_000,
        world=WorldConfig(without_effect=0, gaps=(0, 0)),
    )
    batch = generated(rate, "easy", "rate_drop_from_median", 0, 60)
    events = layer_of(batch).events
    assert events.active.any()
    told = -events.announced[events.active]
    assert told.min() >= 12 / 1.2  # a drop is one and a half to twice 12 %
    assert told.max() <= 24 * 1.3


def test_events_are_drawn_like_incidents() -> None:
    """The entities, directions and sizes of events are those of incidents on dates of their own, in distribution."""
    alone = GeneratorConfig(world=WorldConfig(on_event_dates=0, events=(3, 3), gaps=(0, 0)))
    batch = generated(alone, "hard", "mixed", 3, 4000)
    events, plan = layer_of(batch).events, batch.plan
    config = alone.catalogue
    first = plan.active & plan.last
    told = [
        np.bincount(entity * 2 + up, minlength=2 * config.num_entities) / len(entity)
        for entity, up in (
            (events.entity[events.active], events.announced[events.active] > 0),
            (plan.entity[first], plan.sign[first] > 0),
        )
    ]
    assert np.abs(told[0] - told[1]).max() < 0.012
    days = [np.bincount(day, minlength=28) / len(day) for day in (events.first[events.active], plan.day[first])]
    assert days[0][3:20] == pytest.approx(np.full(17, 1 / 22), abs=0.03)
