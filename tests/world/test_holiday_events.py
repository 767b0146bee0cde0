"""Holidays of a history as known events: what is announced, what came true, and what they explain."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_worlds import known_world

from metric_tracker_env import EnvConfig, EpisodeConfig, GeneratorConfig, MetricDataGenerator, MetricTrackerEnv
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.config.replay import Replay
from metric_tracker_env.fitting import ExpectedChanges, fit_history
from metric_tracker_env.fitting.holiday_effects import NOTHING
from metric_tracker_env.fitting.store import FittedHistory, digest
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.layer import Layer
from metric_tracker_env.world.source import EpisodeBatch

DAYS, LAST = 280, 28  # of the history; of the one window that is held out
# Days of the window, the factor of all counts there, the measure that is announced and its change.
KEPT, SURPRISE, NO_EFFECT, RATE, MIX = 9, 12, 15, 18, 21
CATALOGUE = GeneratorConfig().catalogue
ENTRY, FIRST_RATE, SHARE = 0, CATALOGUE.num_steps, CATALOGUE.share_row
HOLIDAYS: dict[int, tuple[float, int, float]] = {
    KEPT: (0.6, ENTRY, -0.42),
    SURPRISE: (0.5, ENTRY, -0.1),
    NO_EFFECT: (1.0, ENTRY, 0.3),
    RATE: (1.0, FIRST_RATE, -0.004),
    MIX: (1.0, SHARE, 0.1),
}
QUIET = WorldConfig(events=(0, 0), gaps=(0, 0))


@pytest.fixture(scope="module")
def fitted() -> FittedHistory:
    """A history of forty weeks with five holidays in its last four."""
    history = known_world(GeneratorConfig(), 3).history
    counts, near = history.counts.copy(), ExpectedChanges.nothing(DAYS)
    for day, (kept, measure, change) in HOLIDAYS.items():
        at = DAYS - LAST + day
        counts[at] = np.rint(counts[at] * kept)
        near.measure[at], near.change[at] = measure, change
    fit = fit_history(history)
    expected = fit.level * fit.weekday
    return FittedHistory(
        history.steps, history.dates, counts, history.known, expected, fit.expected[:, -1], DAYS - LAST, near
    )


@pytest.fixture(scope="module")
def config(fitted: FittedHistory, tmp_path_factory: pytest.TempPathFactory) -> GeneratorConfig:
    """The last four weeks as they are, in a world in which nothing else is announced."""
    path = tmp_path_factory.mktemp("holidays") / "history.npz"
    content = fitted.to_bytes()
    path.write_bytes(content)
    config = fit_history(known_world(GeneratorConfig(), 3).history).config
    assert config is not None
    replay = Replay(path=str(path), sha256=digest(content), weeks="held_out", ordinary=False)
    return config.model_copy(update={"replay": replay, "world": QUIET})


def episodes(config: GeneratorConfig, number: int = 40, **options: Any) -> EpisodeBatch:
    """Episodes of a configuration."""
    return MetricDataGenerator(config).generate_batch(EpisodeConfig(**options), list(range(number)))


def layer_of(batch: EpisodeBatch) -> Layer:
    """The layer that a world's batch has."""
    assert batch.layer is not None
    return batch.layer


def test_each_holiday_is_announced_as_what_others_did(config: GeneratorConfig) -> None:
    """In whole percent, at least one, the mix in points, on its own date; and whether it came true is measured."""
    episode = MetricDataGenerator(config).generate_episode(EpisodeConfig(anomaly_count=0))
    told = {episode.dates.index(event.first_date): event for event in episode.known_events}
    assert sorted(told) == sorted(HOLIDAYS)
    assert all(event.kind == "holiday" and event.first_date == event.last_date for event in told.values())
    assert [told[day].expected_change for day in (KEPT, SURPRISE, NO_EFFECT, RATE)] == [-42, -10, 30, -1]
    share = config.hour_shares[8:20].sum()
    assert told[MIX].expected_change == pytest.approx(10 * share, abs=0.06)
    assert (told[MIX].unit, told[RATE].unit) == ("points", "percent")
    assert (told[KEPT].direction, told[NO_EFFECT].direction) == ("down", "up")
    assert told[KEPT].entity_name == config.step_names[0]
    assert told[RATE].entity_name == config.catalogue.conversions[0].name
    came_true = dict(zip(sorted(told), episode.event_effects, strict=True))
    assert came_true == {KEPT: True, SURPRISE: True, NO_EFFECT: False, RATE: False, MIX: False}


def test_what_a_holiday_does_is_explained(config: GeneratorConfig) -> None:
    """Every flagged cell of its date is, by the event itself; without a world they only look like incidents."""
    quiet = episodes(config, 1, anomaly_count=0)
    flagged = quiet.final.flagged[:, 0]
    assert flagged[:, KEPT].any()
    assert flagged[:, SURPRISE].any()
    assert not flagged[:, [NO_EFFECT, RATE, MIX]].any()
    classes = quiet.classes[:, 0]
    assert (classes[:, [KEPT, SURPRISE]] == np.where(flagged[:, [KEPT, SURPRISE]], CellClass.EXPLAINED, 0)).all()
    episode = MetricDataGenerator(config).generate_episode(EpisodeConfig(anomaly_count=0))
    explained = episode.explanation(KEPT, 0)
    assert explained is not None
    assert explained in episode.known_events
    plain = episodes(config.model_copy(update={"world": None}), 1, anomaly_count=0)
    np.testing.assert_array_equal(plain.planes, quiet.planes)
    np.testing.assert_array_equal(plain.classes == CellClass.NATURAL, quiet.classes == CellClass.EXPLAINED)


def test_ordinary_weeks_keep_a_holiday_that_does_what_was_announced(config: GeneratorConfig) -> None:
    """Another, and one that does nothing although much was announced, gives its place to an ordinary day."""
    assert config.replay is not None
    ordinary = config.model_copy(update={"replay": config.replay.model_copy(update={"ordinary": True})})
    episode = MetricDataGenerator(ordinary).generate_episode(EpisodeConfig(anomaly_count=0))
    kept = [episode.dates.index(event.first_date) for event in episode.known_events]
    assert kept == [KEPT, RATE]
    assert episode.event_effects == [True, False]
    assert (episode.classes != CellClass.NATURAL).all()


def test_incidents_fall_beside_holidays_and_beyond_them(config: GeneratorConfig) -> None:
    """All are confirmed on the final data; drawn events leave the dates of holidays alone."""
    world = WorldConfig(events=(2, 3), gaps=(0, 1), on_event_dates=1.0)
    batch = episodes(config.model_copy(update={"world": world}), 200, anomaly_count=3)
    layer = layer_of(batch)
    events = layer.events
    assert events.active.shape[1] == 3 + 2 * 4  # two holidays in a week, at most
    assert (events.holiday.sum(axis=1) == len(HOLIDAYS)).all()
    drawn = events.active & ~events.holiday
    assert 2.0 <= drawn.sum(axis=1).mean() <= 3.0
    for lane, place in np.argwhere(drawn)[:200]:
        dates = range(events.first[lane, place], events.first[lane, place] + events.length[lane, place])
        assert not set(dates) & set(HOLIDAYS)
    last = batch.plan.active & batch.plan.last
    lane, place = np.nonzero(last)
    assert (batch.classes[batch.plan.entity[last], lane, batch.plan.day[last]] == CellClass.EXPECTED).all()
    on_holiday = np.isin(batch.plan.day[last], list(HOLIDAYS))
    assert 0.1 < on_holiday.mean() < 0.9
    beyond = on_holiday & (batch.plan.entity[last] == 0)
    dates = set(batch.plan.day[last][beyond].tolist())
    assert {KEPT, SURPRISE} <= dates
    assert NO_EFFECT not in dates  # it was announced for the same entity, and did not come true


def test_an_episode_is_the_same_in_any_company(config: GeneratorConfig) -> None:
    """Alone, in a batch, and in an environment; taken out of a batch it keeps its own holidays."""
    assert config.replay is not None
    train = config.replay.model_copy(update={"weeks": "train", "ordinary": False})
    shifted = config.model_copy(update={"replay": train, "world": WorldConfig(events=(0, 2))})
    assert config.replay is not None
    whole = episodes(shifted, 30, anomaly_count=2)
    alone = MetricDataGenerator(shifted).generate_batch(EpisodeConfig(anomaly_count=2), [17])
    np.testing.assert_array_equal(whole.take(np.array([17])).classes, alone.classes)
    np.testing.assert_array_equal(layer_of(whole.take(np.array([17]))).events.first, layer_of(alone).events.first)
    env = MetricTrackerEnv(config=EnvConfig(generator=config, anomaly_count=0))
    env.reset(seed=3)
    env.step(env.actions.encode("submit"))
    assert [event.kind for event in env.episode().known_events] == ["holiday"] * len(HOLIDAYS)


def test_an_entity_that_no_incident_can_move_is_announced_all_the_same(
    config: GeneratorConfig, fitted: FittedHistory, tmp_path: Path
) -> None:
    """A count of the last step has no incident of its own; its holiday explains, and nothing goes beyond it."""
    near = ExpectedChanges.nothing(DAYS)
    last_count = len(config.step_names) - 1
    near.measure[DAYS - LAST + KEPT], near.change[DAYS - LAST + KEPT] = last_count, -0.4
    content = replace(fitted, near_holidays=near).to_bytes()
    (tmp_path / "history.npz").write_bytes(content)
    replay = Replay(path=str(tmp_path / "history.npz"), sha256=digest(content), weeks="held_out", ordinary=False)
    world = WorldConfig(events=(0, 0), gaps=(0, 0), on_event_dates=1.0, beyond_announced=1.0)
    batch = episodes(config.model_copy(update={"replay": replay, "world": world}), 60, anomaly_count=2)
    events = layer_of(batch).events
    assert (events.entity[events.active] == last_count).all()
    assert (events.variant[events.active] == NOTHING).all()
    assert events.effect[events.active].all()
    assert not ((batch.plan.day == KEPT) & (batch.plan.entity == last_count) & batch.plan.active).any()


def test_a_history_of_an_older_version_is_to_be_fitted_again(
    config: GeneratorConfig, fitted: FittedHistory, tmp_path: Path
) -> None:
    """A file without holidays says its format and that of this version."""
    content = fitted.to_bytes()
    (tmp_path / "history.npz").write_bytes(content)
    with np.load(tmp_path / "history.npz") as held:
        older = {name: held[name] for name in held.files} | {"format": np.int64(1)}
    with zipfile.ZipFile(tmp_path / "older.npz", "w") as file:
        for name, array in older.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array))
    sha256 = digest((tmp_path / "older.npz").read_bytes())
    replay = Replay(path=str(tmp_path / "older.npz"), sha256=sha256, weeks="held_out")
    with pytest.raises(ValueError, match="holds no fitted history: format 1; this version reads 2"):
        MetricTrackerEnv(config=EnvConfig(generator=config.model_copy(update={"replay": replay})))
