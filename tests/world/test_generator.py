"""Batches of episodes: sums and order, the same bits in any batch, any calendar and any funnel."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import make_golden
import numpy as np
import pytest
from helpers_labels import WEEKDAY_FACTORS, batch_of, clean_hours
from helpers_world import assert_same_episodes
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.schema import DIFFICULTIES, ConversionMetricDefinition, Difficulty, ScenarioFamily
from metric_tracker_env.world import planner, source
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.planner import GenerationError
from metric_tracker_env.world.source import EpisodeSource

# Sums and order


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_daily_counts_are_sums_of_hourly_counts(difficulty: Difficulty) -> None:
    """Each day's count is the sum of its 24 hours, with incidents and without."""
    batch = batch_of(difficulty, count=7)
    assert batch.hourly.shape == (300, 28, 24, 5)
    assert batch.hourly.dtype == np.int32
    assert (batch.hourly >= 0).all()
    assert (batch.daily == batch.hourly.sum(axis=2)).all()
    clean = ~(batch.plan.day[:, :, None] == np.arange(28)).any(axis=1)
    assert (batch.daily[clean] == batch.twin_daily.transpose(1, 2, 0)[clean]).all()


def test_records_agree_with_arrays() -> None:
    """The records of an episode are its arrays, day by day and hour by hour."""
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=3))
    names = GeneratorConfig().catalogue.count_metrics
    assert [record.date for record in episode.daily_metrics] == list(episode.dates)
    assert [list(record.counts.values()) for record in episode.daily_metrics] == episode.daily.tolist()
    assert [tuple(record.counts) for record in episode.hourly_metrics] == [names] * 28 * 24
    hourly = np.array([list(record.counts.values()) for record in episode.hourly_metrics]).reshape(28, 24, 5)
    assert (hourly == episode.hourly).all()
    assert [record.hour for record in episode.hourly_metrics[:25]] == [*range(24), 0]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_clean_funnel_only_narrows(difficulty: Difficulty) -> None:
    """In every clean hour each step has at most the events of the step before it."""
    hours = clean_hours(batch_of(difficulty))
    assert len(hours) == 300 * 25
    assert (np.diff(hours, axis=2) <= 0).all()


def test_only_data_quality_incidents_widen_the_funnel() -> None:
    """On incident dates, too, no hour has more events in a step than in the one before, unless that is the incident."""
    families: tuple[ScenarioFamily, ...] = (
        "rate_spike_from_median",
        "absolute_drop_in_event_count",
        "absolute_spike_in_event_count",
        "funnel_break",
        "hourly_traffic_mix_shift",
    )
    for family in families:
        assert (np.diff(batch_of("easy", family, 7).hourly, axis=3) <= 0).all(), family
    assert (np.diff(batch_of("easy", "instrumentation_data_quality_issue", 7).hourly, axis=3) > 0).any()


# Reproducibility


def test_an_episode_does_not_depend_on_its_batch() -> None:
    """700 episodes at once, in chunks of any size, shuffled and one by one are the same, bit for bit."""
    generator = MetricDataGenerator()
    config = EpisodeConfig(difficulty="hard", anomaly_count=(2, 7))
    whole = generator.generate_batch(config, list(range(700)))
    assert whole.redraws.sum() > 0  # redrawn incidents are part of the claim
    order = list(range(700))
    random.Random(0).shuffle(order)
    assert_same_episodes(whole, order, generator.generate_batch(config, order))
    start = 0
    for size in (1, 2, 255, 256, 186):
        part = order[start : start + size]
        assert_same_episodes(whole, part, generator.generate_batch(config, part))
        start += size
    assert start == 700
    redrawn = np.flatnonzero(whole.redraws)[:10].tolist()
    for seed in [*redrawn, *order[:20]]:
        assert_same_episodes(whole, [seed], generator.generate_batch(config, [seed]))


def outcome_of(maker: EpisodeSource, key: int) -> tuple[Any, ...]:
    """What a key yields: the error, or the data, their classes and the redraws that they took."""
    try:
        batch = maker.generate(np.array([key], np.uint64))
    except GenerationError as error:
        return (str(error),)
    return batch.hourly.tobytes(), batch.classes.tobytes(), int(batch.redraws[0])


@pytest.mark.parametrize(("most", "all_succeed"), [(160, False), (planner.MAX_ATTEMPTS, True)])
def test_redraws_worked_out_together_are_those_one_by_one(
    monkeypatch: pytest.MonkeyPatch, most: int, all_succeed: bool
) -> None:
    """In a week with two incidents many are drawn many times, some in vain, each as if nothing were tried ahead."""
    monkeypatch.setattr(planner, "MAX_ATTEMPTS", most)
    week = EpisodeSource(GeneratorConfig(num_weeks=1), EpisodeConfig(difficulty="hard", anomaly_count=2))
    keys = range(1, 400)
    together = [outcome_of(week, key) for key in keys]
    monkeypatch.setattr(source, "MAX_TRIES", 1)
    assert together == [outcome_of(week, key) for key in keys]
    redraws = [outcome[-1] for outcome in together if len(outcome) > 1]
    assert sum(number > 2 for number in redraws) > 20
    assert (len(redraws) == len(together)) is all_succeed


def test_threads_that_share_a_source_do_not_disturb_each_other() -> None:
    """Batches made at once in several threads, from one source, are those made one after another."""
    shared = EpisodeSource(GeneratorConfig(), EpisodeConfig(difficulty="hard"))

    def classes_of(first: int) -> bytes:
        keys = np.arange(first, first + 200, dtype=np.uint64)
        batch = shared.generate(keys, hourly=first % 2 == 0)
        return batch.classes.tobytes() + batch.final.ratios.tobytes()

    one_by_one = [classes_of(first) for first in range(24)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(classes_of, range(24))) == one_by_one


def test_generate_episode_is_a_batch_of_one() -> None:
    """``generate_episode`` of a seed is that seed's episode in a batch, also after other episodes were made."""
    generator = MetricDataGenerator()
    batch = batch_of("hard", count=5, episodes=40)
    for seed in (39, 0, 7, 39):
        config = EpisodeConfig(seed=seed, difficulty="hard", anomaly_count=5)
        for maker in (generator, MetricDataGenerator()):
            episode = maker.generate_episode(config)
            assert (episode.hourly == batch.hourly[seed]).all()
            assert (episode.classes == batch.classes[:, seed].T).all()
            assert (episode.twin_daily == batch.twin_daily[:, seed].T).all()


def test_the_name_of_an_episode_tells_its_size_alone() -> None:
    """What is printed of an episode is its length and difficulty: no seed, no data, no truth."""
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=981, difficulty="hard"))
    assert repr(episode) == "EpisodeData(28 days, hard)"


def test_equal_configurations_are_interchangeable() -> None:
    """Two equal configurations compare and hash equal, also after each has generated, and make the same episodes."""
    first, second = GeneratorConfig(num_weeks=5), GeneratorConfig(num_weeks=5)
    episodes = [MetricDataGenerator(config).generate_episode() for config in (first, second, first, second)]
    assert all((episode.hourly == episodes[0].hourly).all() for episode in episodes)
    assert first == second != GeneratorConfig(num_weeks=6)
    assert hash(first) == hash(second)


def test_no_seed_repeats_another() -> None:
    """300 seeds are 300 different episodes, the largest seed among them."""
    hourly = batch_of().hourly
    assert len({episode.tobytes() for episode in hourly}) == 300
    largest = MetricDataGenerator().generate_batch(EpisodeConfig(), [2**63 - 1]).hourly[0]
    assert not (hourly == largest).all(axis=(1, 2, 3)).any()


def test_anomaly_settings_do_not_move_the_clean_data() -> None:
    """The clean twin is the same whatever the family and the number of incidents; app_opens at every difficulty."""
    twin = batch_of().twin_daily
    assert (batch_of(family="funnel_break", count=7).twin_daily == twin).all()
    assert (batch_of("hard").twin_daily[0] == twin[0]).all()


@pytest.mark.parametrize("name", make_golden.CASES)
def test_golden_digests(name: str) -> None:
    """What a configuration and a seed yield does not change; ``python tests/make_golden.py`` renews the digests."""
    assert make_golden.digest(name) == json.loads(make_golden.GOLDEN.read_text(encoding="utf-8"))[name]


def test_another_process_makes_the_same_episodes() -> None:
    """A new interpreter with another hash seed gets the same digests."""
    tests = Path(make_golden.__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", "import json, make_golden; print(json.dumps(make_golden.digests()))"],
        env={**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(make_golden.GOLDEN.read_text(encoding="utf-8"))


# Calendars and funnels


@pytest.mark.parametrize("end", [dt.date(2024, 2, 26) + dt.timedelta(days=day) for day in range(7)])
def test_calendar_ends_on_any_date(end: dt.date) -> None:
    """The calendar follows ``end_date`` over a leap day, and traffic follows the weekdays of its dates."""
    config = GeneratorConfig(end_date=end, day_noise=0.0, trend_per_day=0.0)
    episode = MetricDataGenerator(config).generate_episode()
    days = [end - dt.timedelta(days=27 - day) for day in range(28)]
    assert episode.dates == tuple(day.isoformat() for day in days)
    expected = np.rint(18000 * np.array([WEEKDAY_FACTORS[day.weekday()] for day in days]))
    assert (episode.twin_daily[:, 0] == expected).all()
    assert all(config.day_index(day) == config.day_index(day.isoformat()) == i for i, day in enumerate(days))
    assert {row.date for row in episode.expected_rows} <= set(episode.dates[3:-2])


@pytest.mark.parametrize("weeks", range(1, 13))
def test_any_number_of_weeks(weeks: int) -> None:
    """1 to 12 weeks generate, with incidents outside the first 3 and the last 2 days."""
    config = GeneratorConfig(num_weeks=weeks)
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(anomaly_count=2), list(range(20)))
    assert batch.hourly.shape == (20, 7 * weeks, 24, 5)
    day = np.nonzero(batch.expected)[2]
    assert len(day) == 40
    assert day.min() >= 3
    assert day.max() < 7 * weeks - 2


def test_end_date_none_is_yesterday_resolved_once() -> None:
    """``end_date=None`` becomes yesterday when the configuration is made, and stays in it as a date."""
    before = dt.date.today()
    config = GeneratorConfig(end_date=None)
    assert config.end_date in {before - dt.timedelta(days=1), dt.date.today() - dt.timedelta(days=1)}
    assert GeneratorConfig.model_validate_json(config.model_dump_json()) == config


def chain(*rates: float, base: float = 20000) -> GeneratorConfig:
    """A funnel s0, s1, ... with a conversion for each step and one from end to end."""
    names = [f"s{i}" for i in range(len(rates) + 1)]
    pairs = [(names[i], names[i + 1]) for i in range(len(rates))]
    if len(rates) > 1:
        pairs.append((names[0], names[-1]))
    return GeneratorConfig(
        entry_step="s0",
        steps=tuple(FunnelStep(name=name, rate=rate) for name, rate in zip(names[1:], rates, strict=True)),
        conversion_definitions=tuple(
            ConversionMetricDefinition(name=f"{a}_to_{b}", numerator=b, denominator=a) for a, b in pairs
        ),
        base_daily_count=base,
    )


@pytest.mark.parametrize("rates", [(0.5,), (0.2, 0.6), (0.9, 0.3, 0.5), (0.7,) * 6, (0.8,) * 11])
def test_other_funnels(rates: tuple[float, ...]) -> None:
    """Funnels of 2 to 12 steps have their own entities, their own mean rates, and incidents that show."""
    config = chain(*rates)
    steps = len(rates) + 1
    assert config.catalogue.num_entities == steps + len(config.conversion_definitions) + 2 * len(rates) + 1
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(), list(range(50)))
    assert batch.hourly.shape == (50, 28, 24, steps)
    assert (batch.twin_daily[1:] / batch.twin_daily[:-1]).mean(axis=(1, 2)) == pytest.approx(rates, rel=0.005)
    assert (batch.expected.sum(axis=(0, 2)) == 3).all()
    assert (batch.final.flagged[batch.expected]).all()


def test_a_funnel_without_conversions() -> None:
    """A funnel without conversion metrics has no rate incidents; asking for them is an error that names the others."""
    config = chain(0.5, 0.5).model_copy(update={"conversion_definitions": ()})
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(), list(range(100)))
    kinds = {config.catalogue.entities[entity].entity_type for entity in np.nonzero(batch.expected)[0]}
    assert kinds == {"event_count", "funnel_step", "hourly_mix", "data_quality"}
    with pytest.raises(GenerationError, match=r"scenario_family: 'rate_drop_from_median'.*possible: .*funnel_break"):
        MetricDataGenerator(config).generate_episode(EpisodeConfig(scenario_family="rate_drop_from_median"))


def test_hours_without_traffic_cannot_be_shifted() -> None:
    """Where day or night has less than a hundredth of the traffic there is no mix shift; asking for one says so."""
    for share, possible in ((0.005, False), (0.02, True)):
        night = [*range(5), *range(21, 24)]
        weights = [share / 8 if hour in night else (1 - share) / 16 for hour in range(24)]
        generator = MetricDataGenerator(GeneratorConfig(hourly_weights=tuple(weights)))
        asked = EpisodeConfig(scenario_family="hourly_traffic_mix_shift", anomaly_count=1)
        if possible:
            assert [row.entity_type for row in generator.generate_episode(asked).expected_rows] == ["hourly_mix"]
        else:
            with pytest.raises(GenerationError, match=r"'hourly_traffic_mix_shift' has no entity.*funnel_break"):
                generator.generate_episode(asked)


def test_large_counts_are_exact() -> None:
    """Counts in the millions keep exact sums: no float32 rounding."""
    config = GeneratorConfig(base_daily_count=2_000_000)
    batch = MetricDataGenerator(config).generate_batch(EpisodeConfig(difficulty="hard"), list(range(20)))
    assert (batch.daily == batch.hourly.sum(axis=2, dtype=np.int64)).all()
    clean = ~(batch.plan.day[:, :, None] == np.arange(28)).any(axis=1)
    assert (batch.daily[clean] == batch.twin_daily.transpose(1, 2, 0)[clean]).all()
    assert batch.twin_daily[0].mean() == pytest.approx(2_000_000 * 1.0735, rel=0.005)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(500, 400_000), st.integers(1, 12), st.floats(-0.002, 0.005), st.integers(0, 2**63 - 1))
def test_the_days_total_is_exact(base: float, weeks: int, trend: float, seed: int) -> None:
    """At any scale the hours of the first step add up to the day's traffic, a whole number near its mean."""
    config = GeneratorConfig(base_daily_count=base, num_weeks=weeks, trend_per_day=trend, day_noise=0.0)
    episode = EpisodeConfig(scenario_family="funnel_break", anomaly_count=1)
    batch = MetricDataGenerator(config).generate_batch(episode, [seed])
    days = [day.astype(object) for day in config.dates]
    mean = [base * WEEKDAY_FACTORS[day.weekday()] * (1 + trend * i) for i, day in enumerate(days)]
    assert (batch.hourly[0, :, :, 0].sum(axis=1) == batch.twin_daily[0, 0]).all()
    assert np.abs(batch.twin_daily[0, 0] - mean).max() <= 0.51


# What a traffic mix shift does to the hours


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_mix_shift_keeps_the_total_and_the_rates_of_each_hour(difficulty: Difficulty) -> None:
    """App opens move between day and night hours; the day's total stays, and each hour's funnel keeps its rates."""
    shifted = batch_of(difficulty, "hourly_traffic_mix_shift")
    other = batch_of(difficulty, "funnel_break", 1)  # the same clean data, with its one incident on one date
    lane, place = np.nonzero(shifted.plan.active)
    day = shifted.plan.day[lane, place]
    free = day != other.plan.day[lane, 0]
    lane, day, sign = lane[free], day[free], shifted.plan.sign[lane, place][free]
    assert len(lane) >= 600
    before, after = other.hourly[lane, day], shifted.hourly[lane, day]  # (n, H, S)

    assert (before[..., 0].sum(axis=1) == after[..., 0].sum(axis=1)).all()
    moved = after[..., 0] - before[..., 0]
    assert (moved[:, 9:19].sum(axis=1) * sign > 0).all()
    assert (moved[:, [21, 22, 23, 0, 1, 2, 3, 4]].sum(axis=1) * sign < 0).all()
    assert np.abs(moved[:, [5, 6, 7, 8, 19, 20]]).max() <= 1  # the other hours move by rounding only
    assert set(sign.tolist()) == {-1.0, 1.0}
    for step in range(1, 5):
        follows = after[..., step - 1] * (before[..., step] / np.maximum(before[..., step - 1], 1))
        assert np.abs(after[..., step] - follows).max() <= 0.5
