"""What an episode of a world depends on, and on what it does not."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from helpers_world import (
    WORLD,
    assert_same_episodes,
    bare_hours,
    batch_of,
    coincidence,
    generated,
    keys_of,
    layer_of,
    quiet_of,
    spans_of,
)

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeBatch

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


def assert_same_worlds(batch: EpisodeBatch, chosen: list[int], part: EpisodeBatch) -> None:
    assert_same_episodes(batch, chosen, part)
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
        assert_same_worlds(whole, part, generator.generate_batch(request, part))
        start += size
    assert start == 1200
    special = np.flatnonzero((whole.redraws > 0) | (whole.given_up > 0))[:12].tolist()
    for seed in [*special, *order[:10]]:
        assert_same_worlds(whole, [seed], generator.generate_batch(request, [seed]))


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
