"""The realistic world: layers and labels by their definitions, what falls where, and one episode whatever the batch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from helpers_world import (
    WORLD,
    Seen,
    bare_hours,
    batch_of,
    generated,
    generator_configs,
    keys_of,
    layer_of,
    see,
    spans_of,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig, SyntheticAnomalyGenerator, WorldConfig
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, ANOMALY_TYPES, DIFFICULTIES, Difficulty, ScenarioFamily
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch

MIX, QUALITY = (
    ANOMALY_TYPES.index("hourly_traffic_mix_shift"),
    ANOMALY_TYPES.index("instrumentation_data_quality_issue"),
)


def quiet_of(
    config: GeneratorConfig, difficulty: Difficulty, family: ScenarioFamily = "mixed", episodes: int = 400
) -> EpisodeBatch:
    """The same seeds without incidents: what an episode's twin is."""
    return generated(config, difficulty, family, 0, episodes)


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


def coincidence(batch: EpisodeBatch) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool of a batch's incidents: any date on one of an event; any of them on an event of the very entity."""
    layer, roots = layer_of(batch), spans_of(batch)
    event = layer.event_of_day[roots.lane, roots.day]
    same = (event >= 0) & (layer.events.entity[roots.lane, event] == roots.entity)
    _, number = np.unique(np.stack([roots.lane, roots.incident]), axis=1, return_inverse=True)
    return np.bincount(number, event >= 0) > 0, np.bincount(number, same) > 0


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


# Streams: what depends on what


def announced(batch: EpisodeBatch) -> list[np.ndarray]:
    """Everything that an agent may be told of the events, and where they are."""
    events = layer_of(batch).events
    return [events.active, events.first, events.length, events.entity, events.family, events.announced]


def assert_same_arrays(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        assert (one == other).all()


def test_announcements_tell_nothing_of_their_effect() -> None:
    """With every event true or none, the announcements are the same, bit for bit; only the data differ."""
    batches = [
        generated(GeneratorConfig(world=WorldConfig(without_effect=share)), "hard", "mixed", 0)
        for share in (0, 0.25, 1)
    ]
    for batch in batches[1:]:
        assert_same_arrays(announced(batches[0]), announced(batch))
    effects = [layer_of(batch).events.effect[layer_of(batch).events.active] for batch in batches]
    assert effects[0].all()
    assert not effects[2].any()
    changed = effects[1].mean()
    assert changed == pytest.approx(0.75, abs=0.03)


def test_the_calendar_tells_nothing_of_the_incidents() -> None:
    """Events and gaps are the same whatever the number of incidents: an episode's twin is its quiet episode."""
    quiet = quiet_of(WORLD, "medium")
    for count in (2, (0, 4), 7):
        batch = batch_of("medium", count=count)
        assert_same_arrays(announced(quiet), announced(batch))
        gaps, same = layer_of(batch).gaps, layer_of(quiet).gaps
        for name in ("active", "day", "first", "last"):
            assert (getattr(gaps, name) == getattr(same, name)).all()
        assert (batch.twin_daily == quiet.daily.transpose(2, 0, 1)).all()


def test_a_world_does_not_move_the_clean_data() -> None:
    """Dates that no event, gap or incident touches hold the hours of the bare data."""
    batch, bare = batch_of("medium"), bare_hours(WORLD, "medium", 400)
    layer = layer_of(batch)
    touched = (layer.event_of_day >= 0) | (layer.gap_of_day >= 0)
    roots = spans_of(batch)
    touched[roots.lane, roots.day] = True
    assert (batch.hourly[~touched] == bare[~touched]).all()
    assert (~touched).sum() > 400 * 10


def test_a_world_with_nothing_in_it_is_bare() -> None:
    """Without events, gaps and incidents an episode is the clean data."""
    nothing = GeneratorConfig(world=WorldConfig(events=(0, 0), gaps=(0, 0)))
    batch = generated(nothing, "easy", "mixed", 0, 50)
    assert (batch.hourly == bare_hours(nothing, "easy", 50)).all()
    assert not np.isin(batch.classes, (CellClass.EXPECTED, CellClass.CONSEQUENCE, CellClass.EXPLAINED)).any()


CHANGES: dict[str, dict[str, Any]] = {
    "events": {"events": (1, 1)},
    "lengths": {"lengths": (1.0,)},
    "without_effect": {"without_effect": 0.8},
    "announced_within": {"announced_within": 0.0},
    "gaps": {"gaps": (4, 4)},
    "gap_loss": {"gap_loss": (3.0, 3.5)},
    "on_event_dates": {"on_event_dates": 0.0},
    "beyond_announced": {"beyond_announced": 1.0},
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_parameter_of_the_world_does_something(name: str) -> None:
    """Each field of ``WorldConfig`` changes the episodes in the way that it names."""
    assert set(CHANGES) == set(WorldConfig.model_fields)
    plain = batch_of("medium")
    batch = generated(GeneratorConfig(world=WorldConfig(**CHANGES[name])), "medium", "mixed", (0, 4), 400)
    events, gaps, before = layer_of(batch).events, layer_of(batch).gaps, layer_of(plain).events
    on_event, beyond = coincidence(batch)
    if name == "events":
        assert (events.active.sum(axis=1) == 1).all()
    elif name == "lengths":
        assert set(events.length[events.active].tolist()) == {1}
        assert batch.plan.last[batch.plan.active].all()
    elif name == "without_effect":
        assert events.effect[events.active].mean() == pytest.approx(0.2, abs=0.03)
    elif name == "announced_within":
        assert (events.announced != before.announced).any()
        assert (np.sign(events.announced) == np.sign(before.announced)).all()
    elif name == "gaps":
        assert gaps.active.sum(axis=1).mean() > 3.5
    elif name == "gap_loss":
        assert (gaps.last - gaps.first)[gaps.active].mean() > 7
    elif name == "on_event_dates":
        assert on_event.mean() < 0.4
        assert not beyond.any()
    else:
        assert beyond.mean() > 0.25


# One episode whatever the batch


def assert_same_episodes(batch: EpisodeBatch, chosen: list[int], part: EpisodeBatch) -> None:
    assert (batch.hourly[chosen] == part.hourly).all()
    assert (batch.classes[:, chosen] == part.classes).all()
    assert (batch.twin_daily[:, chosen] == part.twin_daily).all()
    assert (batch.redraws[chosen] == part.redraws).all()
    assert (batch.given_up[chosen] == part.given_up).all()
    for name in ("active", "day", "entity", "sign"):
        assert (getattr(batch.plan, name)[chosen] == getattr(part.plan, name)).all(), name
    for whole, piece in zip(batch.final, part.final, strict=True):
        assert (whole[:, chosen] == piece).all()
    assert_same_arrays([a[chosen] for a in announced(batch)], announced(part))
    layer, other = layer_of(batch).take(np.sort(chosen)), layer_of(part)
    assert len(layer.lane) == len(other.lane)


def test_an_episode_does_not_depend_on_its_batch() -> None:
    """1,200 episodes at once, in parts of any size, shuffled and one by one are the same, bit for bit."""
    generator = MetricDataGenerator(WORLD)
    request = EpisodeConfig(difficulty="hard", anomaly_count=(0, 6))
    whole = generator.generate_batch(request, list(range(1200)))
    assert whole.redraws.sum() > 0  # redrawn incidents are part of the claim, and so are those that are given up
    assert whole.given_up.sum() > 0
    order = list(range(1200))
    random.Random(0).shuffle(order)
    start = 0
    for size in (1, 2, 255, 513, 429):
        part = order[start : start + size]
        assert_same_episodes(whole, part, generator.generate_batch(request, part))
        start += size
    assert start == 1200
    special = np.flatnonzero((whole.redraws > 0) | (whole.given_up > 0))[:12].tolist()
    for seed in [*special, *order[:10]]:
        assert_same_episodes(whole, [seed], generator.generate_batch(request, [seed]))


def test_hours_that_are_not_wanted_change_nothing() -> None:
    """Without the hourly planes an episode has the same values, classes and calendar."""
    source = MetricDataGenerator(WORLD)._source(EpisodeConfig(difficulty="hard", anomaly_count=(0, 4)))
    keys = keys_of(list(range(600)))
    whole, part = source.generate(keys), source.generate(keys, hourly=False)
    assert part.planes.shape[2] == 0
    assert (whole.classes == part.classes).all()
    assert (whole.final.values == part.final.values).all()
    assert_same_arrays(announced(whole), announced(part))


def test_generate_episode_is_a_batch_of_one() -> None:
    """``generate_episode`` of a seed is that seed's episode in a batch, calendar and all."""
    batch = batch_of("hard")
    layer = layer_of(batch)
    for seed in (31, 0, 7):
        episode = MetricDataGenerator(WORLD).generate_episode(
            EpisodeConfig(seed=seed, difficulty="hard", anomaly_count=(0, 4))
        )
        assert (episode.hourly == batch.hourly[seed]).all()
        assert (episode.classes == batch.classes[:, seed].T).all()
        assert len(episode.known_events) == len(episode.event_effects) == layer.events.active[seed].sum()
        assert len(episode.gaps) == layer.gaps.active[seed].sum()
        assert sum(1 for _ in episode.anomaly_schedule) == (batch.plan.active & batch.plan.last)[seed].sum()


# Quiet episodes, and incidents that find no place


@pytest.mark.parametrize("config", [GeneratorConfig(), WORLD], ids=["clean", "world"])
def test_quiet_episodes(config: GeneratorConfig) -> None:
    """Without incidents nothing is expected and nothing follows; a range from 0 draws quiet episodes as others."""
    for difficulty in DIFFICULTIES:
        batch = generated(config, difficulty, "mixed", 0, 50)
        assert not np.isin(batch.classes, (CellClass.EXPECTED, CellClass.CONSEQUENCE)).any()
        assert ((batch.classes > 0) == batch.final.flagged).all()
    numbers = (generated(config, "easy", "mixed", (0, 4), 1500).plan.active).any(axis=1)
    assert (~numbers).mean() == pytest.approx(0.2, abs=0.035)


@pytest.mark.parametrize("hourly", [True, False])
def test_a_chunk_in_which_every_incident_is_given_up(hourly: bool) -> None:
    """Where events leave no date to any incident, the episodes are quiet, and nothing fails."""
    crowded = WorldConfig(events=(12, 12), lengths=(0.0, 1.0), gaps=(6, 6), on_event_dates=1.0, beyond_announced=0.0)
    config = GeneratorConfig(world=crowded, num_weeks=3)
    family: ScenarioFamily = "instrumentation_data_quality_issue"
    source = MetricDataGenerator(config)._source(EpisodeConfig(scenario_family=family, anomaly_count=2))
    batch = source.generate(keys_of(list(range(200))), hourly)
    given_up = np.flatnonzero(batch.given_up == 2)
    assert len(given_up) > 5
    alone = source.generate(keys_of(given_up.tolist()), hourly)
    assert (alone.given_up == 2).all()
    assert not alone.expected.any()
    assert not alone.plan.active.any()


# Explicit generators in a world


def test_explicit_generators_in_a_world() -> None:
    """Generators move a metric from the world's data; the rows are theirs alone, and every flagged cell has a class."""
    shift = SyntheticAnomalyGenerator(metric_name="menu_opens", date="2026-03-12", stddev_factor=8.0, direction="down")
    found = 0
    for seed in range(12):
        request = EpisodeConfig(seed=seed, difficulty="easy", anomaly_generators=(shift,))
        episode = MetricDataGenerator(WORLD).generate_episode(request)
        assert [(row.date, row.entity_name) for row in episode.expected_rows] == [("2026-03-12", "menu_opens")]
        assert ((episode.classes.T > 0) == episode.deviations.flagged[:, 0]).all()
        (record,) = episode.applied_synthetic_generators
        assert record.actual_value == episode.expected_rows[0].observed_value
        found += len(episode.known_events)
    assert found > 40


# Bad values


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *(("events", value, "events") for value in (5, (4,), (4, 13), (-1, 2), (1.5, 2), ("1", 2), (True, 2), None)),
        ("events", (5, 4), r"events: the range \(5, 4\) must not fall"),
        *(("gaps", value, "gaps") for value in ((0, 7), (-1, 1), (1,), (1.0, 2.0))),
        ("gaps", (2, 1), r"gaps: the range \(2, 1\) must not fall"),
        *(("lengths", value, "lengths") for value in ((), (0.5, 0.4), (1.5, -0.5), (NAN,), (0.125,) * 8, 1.0, ("1",))),
        ("lengths", (0.5, 0.4), r"lengths: the probabilities \[0.5, 0.4\] sum to 0.9, not 1"),
        *(("without_effect", value, "without_effect") for value in (-0.1, 1.1, NAN, INF, "0.2", True, None)),
        *(("announced_within", value, "announced_within") for value in (-0.1, 0.6, NAN, "0.2", True)),
        *(("gap_loss", value, "gap_loss") for value in ((0, 1), (2.0,), (NAN, 1), (1, INF), (-1, 2), 1.5)),
        ("gap_loss", (2.0, 1.2), r"gap_loss: the range \(2.0, 1.2\) must not fall"),
        ("gap_loss", (2.0, 4.5), "gap_loss: 4.5 thresholds are given; at most 4.0"),
        *(("on_event_dates", value, "on_event_dates") for value in (-0.1, 1.1, NAN, True)),
        *(("beyond_announced", value, "beyond_announced") for value in (-0.1, 1.1, NAN, "x")),
        ("event", (4, 6), "unknown key 'event'"),
    ],
)
def test_bad_worlds_are_refused(field: str, value: Any, words: str) -> None:
    """A bad value of the world's configuration is an error that names the field, and is never repaired."""
    with pytest.raises(ValidationError, match=words):
        WorldConfig.model_validate({field: value})
    with pytest.raises(ValidationError, match=words):
        GeneratorConfig.model_validate({"world": {field: value}})


@pytest.mark.parametrize("weeks", [1, 2])
def test_a_world_needs_three_weeks(weeks: int) -> None:
    """Too few weeks for the events are an error that says how many are needed."""
    with pytest.raises(ValidationError, match=rf"world: {weeks} weeks cannot hold .* at least 3"):
        GeneratorConfig(world=WorldConfig(), num_weeks=weeks)


def test_more_incidents_than_a_world_holds_are_refused() -> None:
    """Every incident may last three dates, so fewer fit; the error says how many and why."""
    with pytest.raises(ValueError, match=r"8 incidents do not fit in 28 days; at most 7 do .* may last 3 dates"):
        MetricDataGenerator(WORLD).generate_episode(EpisodeConfig(anomaly_count=8))
