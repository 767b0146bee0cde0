"""Replay: whose weeks an episode shows, that nothing but the incidents is new in them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_worlds import known_world

from metric_tracker_env import EnvConfig, EpisodeConfig, GeneratorConfig, MetricTrackerEnv, load_config
from metric_tracker_env.config.replay import LATEST_DAYS, Replay
from metric_tracker_env.fitting import ExpectedChanges, fit_history
from metric_tracker_env.fitting.store import FittedHistory, digest
from metric_tracker_env.measure import excess
from metric_tracker_env.schema import weekdays_of
from metric_tracker_env.world import rng
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.replay import HistoryTraffic, adjusted_planes, hour_factors, nearest_alike
from metric_tracker_env.world.source import EpisodeSource
from metric_tracker_env.world.variants import nominal_measures

HELD_OUT = 196  # day from which on days are held out, of 280
KEYS = np.array([rng.episode_key(seed) for seed in range(60)], np.uint64)


@pytest.fixture(scope="module")
def fitted() -> FittedHistory:
    """A history of forty weeks with incidents on 28 of its days."""
    history = known_world(GeneratorConfig(), 5, incidents=7).history
    fit = fit_history(history)
    expected = fit.level * fit.weekday
    share, nothing = fit.expected[:, -1], ExpectedChanges.nothing(len(history.dates))
    return FittedHistory(
        history.steps, history.dates, history.counts, history.known, expected, share, HELD_OUT, nothing
    )


@pytest.fixture(scope="module")
def config(fitted: FittedHistory, tmp_path_factory: pytest.TempPathFactory) -> GeneratorConfig:
    """The held-out weeks of it."""
    path = tmp_path_factory.mktemp("history") / "history.npz"
    content = fitted.to_bytes()
    path.write_bytes(content)
    history = known_world(GeneratorConfig(), 5, incidents=7).history
    config = fit_history(history.between(last=str(history.dates[HELD_OUT - 1]))).config
    assert config is not None
    return config.model_copy(update={"replay": Replay(path=str(path), sha256=digest(content), weeks="held_out")})


def changed(config: GeneratorConfig, **changes: Any) -> GeneratorConfig:
    """The configuration with another replay."""
    assert config.replay is not None
    return config.model_copy(update={"replay": config.replay.model_copy(update=changes)})


def test_each_part_shows_its_own_days(config: GeneratorConfig, fitted: FittedHistory) -> None:
    """Training and held-out weeks lie apart, weekdays stay, and only in training do weeks change their places."""
    for weeks, low, high in (("train", 0, HELD_OUT), ("held_out", HELD_OUT, 280)):
        own = changed(config, weeks=weeks)
        assert own.replay is not None
        days = HistoryTraffic(own, own.replay, "medium").days(KEYS)
        assert days.min() >= low
        assert days.max() < high
        assert (weekdays_of(fitted.dates[days]) == own.weekdays).all()
        assert len(np.unique(days)) > 20
    as_is = changed(config, ordinary=False)
    assert as_is.replay is not None
    days = HistoryTraffic(as_is, as_is.replay, "medium").days(KEYS)
    assert (np.diff(days, axis=1) == 1).all()
    still = changed(config, weeks="train", ordinary=False, jitter=0)
    assert still.replay is not None
    assert (np.diff(HistoryTraffic(still, still.replay, "medium").days(KEYS), axis=1) == 1).all()


def test_weeks_of_training_change_places_by_no_more_than_the_jitter(config: GeneratorConfig) -> None:
    """Each week is moved by -1, 0 or 1 places on its own, as often each; the first and the last stay in the part."""
    moved = changed(config, weeks="train", ordinary=False, jitter=1)
    assert moved.replay is not None
    keys = np.array([rng.episode_key(seed) for seed in range(600)], np.uint64)
    week = HistoryTraffic(moved, moved.replay, "medium").days(keys)[:, ::7]
    week = (week - week.min()) // 7
    gaps = np.bincount((np.diff(week, axis=1) + 1).ravel())
    assert week.max() == HELD_OUT // 7 - 1
    assert gaps / gaps.sum() == pytest.approx(np.array([1, 2, 3, 2, 1]) / 9, abs=0.05)  # of two moves, and one on


def test_the_window_of_a_seed_stays_the_same(config: GeneratorConfig) -> None:
    """The first weeks that seeds show, before and after each moved: a later version plays the same ones."""
    moved = changed(config, weeks="train", ordinary=False, jitter=0)
    assert moved.replay is not None
    first = HistoryTraffic(moved, moved.replay, "medium").days(KEYS[:12])[:, 0] // 7
    assert first.tolist() == [12, 12, 24, 10, 14, 14, 22, 18, 4, 13, 13, 5]
    moved = changed(moved, jitter=2)
    assert moved.replay is not None
    weeks = HistoryTraffic(moved, moved.replay, "medium").days(KEYS[:3])[:, ::7] // 7
    assert weeks.tolist() == [[13, 14, 15, 16], [11, 11, 12, 13], [22, 24, 27, 27]]


def test_the_latest_days_stand_for_no_other(config: GeneratorConfig, fitted: FittedHistory, tmp_path: Path) -> None:
    """A day that shows something is replaced by an ordinary one, which is none of those that are to be judged."""
    counts = fitted.counts.copy()
    counts[-2 * LATEST_DAYS] *= 2  # the first of the latest days is its nearest of the same weekday
    content = replace(fitted, counts=counts).to_bytes()
    (tmp_path / "history.npz").write_bytes(content)
    latest = changed(config, path=str(tmp_path / "history.npz"), sha256=digest(content), weeks="latest")
    latest = latest.model_copy(update={"end_date": fitted.dates[-1].item()})
    assert latest.replay is not None
    days = HistoryTraffic(latest, latest.replay, "medium").days(KEYS[:1])[0]
    assert days[-LATEST_DAYS:].tolist() == list(range(280 - LATEST_DAYS, 280))
    assert days[-2 * LATEST_DAYS] < 280 - 2 * LATEST_DAYS
    assert days[:-LATEST_DAYS].max() < 280 - LATEST_DAYS
    counts = fitted.counts.copy()
    counts[-2 * LATEST_DAYS - 1] *= 2  # its nearest of the same weekday is the last day that is not judged
    content = replace(fitted, counts=counts).to_bytes()
    (tmp_path / "history.npz").write_bytes(content)
    latest = changed(latest, sha256=digest(content))
    assert latest.replay is not None
    days = HistoryTraffic(latest, latest.replay, "medium").days(KEYS[:1])[0]
    assert days[-2 * LATEST_DAYS - 1] == 280 - LATEST_DAYS - 1
    counts[-LATEST_DAYS - 1] *= 2  # neither is it kept when it shows something, nor does it stand for another then
    content = replace(fitted, counts=counts).to_bytes()
    (tmp_path / "history.npz").write_bytes(content)
    latest = changed(latest, sha256=digest(content))
    assert latest.replay is not None
    days = HistoryTraffic(latest, latest.replay, "medium").days(KEYS[:1])[0]
    assert 280 - LATEST_DAYS - 1 not in days


def test_the_latest_weeks_are_always_the_same(config: GeneratorConfig, fitted: FittedHistory) -> None:
    """The last seven days are as they are, for every seed; an episode must end on their weekday."""
    latest = changed(config, weeks="latest").model_copy(update={"end_date": fitted.dates[-1].item()})
    assert latest.replay is not None
    days = HistoryTraffic(latest, latest.replay, "medium").days(KEYS)
    assert (days == days[0]).all()
    assert days[0, -LATEST_DAYS:].tolist() == list(range(280 - LATEST_DAYS, 280))
    other = latest.model_copy(update={"end_date": fitted.dates[-2].item()})
    with pytest.raises(ValueError, match=r"replay: the latest day of the history is .*; end_date .* must be on its"):
        HistoryTraffic(other, latest.replay, "medium")


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_ordinary_weeks_have_nothing_but_what_is_injected(config: GeneratorConfig, difficulty: Any) -> None:
    """Every incident is confirmed, and hardly a date shows anything by itself, although the history has incidents."""
    source = EpisodeSource(config, EpisodeConfig(difficulty=difficulty, anomaly_count=3))
    batch = source.generate(KEYS)
    assert (batch.classes == CellClass.EXPECTED).sum() == 3 * len(KEYS)
    quiet = EpisodeSource(config, EpisodeConfig(difficulty=difficulty, anomaly_count=0)).generate(KEYS)
    assert (quiet.classes == CellClass.NATURAL).any(axis=0).sum() <= 0.1 * len(KEYS)
    as_is = changed(config, ordinary=False)
    plain = EpisodeSource(as_is, EpisodeConfig(difficulty=difficulty, anomaly_count=0)).generate(KEYS)
    assert (plain.classes == CellClass.NATURAL).any(axis=0).sum() > len(KEYS)  # the history's own incidents


def test_adjusting_leaves_what_deviates(config: GeneratorConfig, fitted: FittedHistory) -> None:
    """A day is as far from usual as it was from what was expected of it, and no step passes the one before it."""
    planes = adjusted_planes(fitted, config)
    steps = len(planes)
    usual = nominal_measures(config)[:steps]
    raw = fitted.counts.sum(axis=1) / fitted.expected
    assert planes.sum(axis=1).T / usual == pytest.approx(raw, rel=0.02)
    assert (planes == np.rint(planes)).all()
    above = excess(fitted.counts.transpose(2, 1, 0)[:, :, None].astype(float))[:, 0]
    assert ((excess(planes[:, :, None])[:, 0] > 0) == (above > 0)).mean() > 0.999
    assert not excess(planes[:, :, None])[:, 0][above == 0].any()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_no_step_passes_the_one_before_it(step: int, config: GeneratorConfig, fitted: FittedHistory) -> None:
    """A step that has as many events as the one before in each hour has no more then, whatever scales the two."""
    counts, expected = fitted.counts.copy(), fitted.expected.copy()
    counts[:, :, step] = counts[:, :, step - 1]
    expected[:, step] *= 0.8
    planes = adjusted_planes(replace(fitted, counts=counts, expected=expected), config)
    assert (planes[step] <= planes[step - 1]).all()


def test_a_weekday_with_a_mix_of_its_own_takes_the_usual_one(config: GeneratorConfig, fitted: FittedHistory) -> None:
    """Saturdays with half of the daytime traffic, as is expected of them, show the hours of any other day."""
    counts, share, saturday = fitted.counts.copy(), fitted.share.copy(), weekdays_of(fitted.dates) == 5
    counts[saturday, 8:20] //= 2
    share[saturday] *= 0.5 / (1.0 - 0.5 * share[saturday])
    before, after = (
        adjusted_planes(history, config)[0] for history in (fitted, replace(fitted, counts=counts, share=share))
    )
    mix = [planes[8:20].sum(axis=0) / planes.sum(axis=0) for planes in (before, after)]
    assert np.abs(mix[1] - mix[0]).max() < 0.002


def test_hours_take_the_usual_mix() -> None:
    """A day of the expected share gets the usual one and keeps its total; without a known share it stays."""
    entry = np.ones((24, 3))
    factors = hour_factors(entry, np.array([0.5, 0.5, 0.0]), 0.6)
    assert factors.sum(axis=0) == pytest.approx([24, 24, 24])
    assert factors[8:20, 0].sum() == pytest.approx(0.6 * 24)
    assert (factors[:, 2] == 1).all()


def test_hours_keep_the_total_of_a_day_that_is_not_as_expected() -> None:
    """However its events lie, even if there is a single one: the factors change the mix and not the count."""
    entry = np.zeros((24, 3))
    entry[2, 0], entry[10, 0] = 30.0, 10.0  # a quarter by day, where half was expected
    entry[3, 1] = 1.0
    factors = hour_factors(entry, np.full(3, 0.5), 0.6)
    assert (entry * factors).sum(axis=0) == pytest.approx([40.0, 1.0, 0.0])
    assert factors[10, 0] / factors[2, 0] == pytest.approx(0.6 / 0.4)
    assert factors[:, 2].tolist() == [0.4 / 0.5] * 8 + [0.6 / 0.5] * 12 + [0.4 / 0.5] * 4


def test_the_nearest_ordinary_day_of_the_weekday() -> None:
    """The later one of two as near, and any weekday's where its own has none."""
    ordinary = np.ones(28, bool)
    ordinary[[10, 17]] = False
    ordinary[[1, 8, 15, 22]] = False
    found = nearest_alike(ordinary, ordinary)
    assert found[[10, 17]].tolist() == [3, 24]
    assert found[8] == 9
    assert found[[0, 27]].tolist() == [0, 27]


def test_it_is_played_like_any_other(config: GeneratorConfig) -> None:
    """The same episode from an environment twice, alone or in another process's bits, with the real dates' weekdays."""
    first, second = (MetricTrackerEnv(config=EnvConfig(generator=config)) for _ in range(2))
    for seed in range(3):
        one, other = first.reset(seed=seed)[0], second.reset(seed=seed)[0]
        np.testing.assert_array_equal(one, other)
    batch = EpisodeSource(config, EpisodeConfig(anomaly_count=2)).generate(KEYS)
    alone = EpisodeSource(config, EpisodeConfig(anomaly_count=2)).generate(KEYS[7:8])
    np.testing.assert_array_equal(batch.planes[:, :, 7:8], alone.planes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sha256": "0" * 64}, "has the sha256 .* and not 0000"),
        ({"path": "/nowhere/x.npz"}, "replay: path '/nowhere/x.npz' cannot be read"),
    ],
)
def test_another_file_is_refused(config: GeneratorConfig, change: dict[str, str], told: str) -> None:
    """A missing file and one of another content, by the path and what is wrong."""
    with pytest.raises(ValueError, match=told):
        MetricTrackerEnv(config=EnvConfig(generator=changed(config, **change)))


def test_what_does_not_fit_is_refused(config: GeneratorConfig, fitted: FittedHistory, tmp_path: Path) -> None:
    """Another funnel, days without hours, too few weeks, a file of something else."""
    assert config.replay is not None

    def play(record: FittedHistory, **changes: Any) -> None:
        content = record.to_bytes()
        (tmp_path / "other.npz").write_bytes(content)
        replay = Replay(path=str(tmp_path / "other.npz"), sha256=digest(content), weeks="held_out")
        HistoryTraffic(config.model_copy(update=changes), replay, "medium")

    play(fitted)
    with pytest.raises(ValueError, match="replay: the history has the steps"):
        play(replace(fitted, steps=("a", *fitted.steps[1:])))
    with pytest.raises(ValueError, match="replay: the history is daily; hours must be False"):
        play(replace(fitted, counts=fitted.counts.sum(axis=1, keepdims=True)))
    with pytest.raises(ValueError, match="part 'held_out' of the history has 3 whole weeks; num_weeks is 4"):
        play(replace(fitted, held_out=280 - 27))
    with pytest.raises(ValueError, match="no day of the part 'held_out' is known"):
        play(replace(fitted, known=np.arange(280) < HELD_OUT))
    (tmp_path / "text.npz").write_text("no array", encoding="utf-8")
    text = Replay(path=str(tmp_path / "text.npz"), sha256=digest(b"no array"))
    with pytest.raises(ValueError, match="holds no fitted history"):
        HistoryTraffic(config, text, "medium")


def test_the_path_is_relative_to_the_file(config: GeneratorConfig, tmp_path: Path) -> None:
    """A preset beside its history may be moved with it."""
    assert config.replay is not None
    (tmp_path / "history.npz").write_bytes(Path(config.replay.path).read_bytes())
    moved = EnvConfig(generator=changed(config, path="history.npz"))
    (tmp_path / "own.json").write_text(moved.model_dump_json(), encoding="utf-8")
    loaded = load_config(tmp_path / "own.json")
    assert loaded.generator.replay is not None
    assert loaded.generator.replay.path == str(tmp_path / "history.npz")
    MetricTrackerEnv(config=loaded).reset(seed=1)
