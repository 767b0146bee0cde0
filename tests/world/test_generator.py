"""Clean traffic has the statistics it promises, and an episode is a function of its configuration and key alone."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import make_golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig, SyntheticAnomalyGenerator
from metric_tracker_env.schema import (
    DIFFICULTIES,
    ConversionMetricDefinition,
    Difficulty,
    ScenarioFamily,
)
from metric_tracker_env.world import planner, rng, source, traffic
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator
from metric_tracker_env.world.explicit import available_synthetic_generator_methods
from metric_tracker_env.world.planner import GenerationError
from metric_tracker_env.world.source import EpisodeBatch, EpisodeSource

# SEED_FACTS section 4: mean; std at easy, medium, hard; median std_dev_from_median at easy, medium, hard.
CLEAN = {
    "app_opens": (19324.0, (1010.2, 1010.2, 1010.2), (1012.9, 1012.9, 1012.9)),
    "menu_opens": (12174.4, (636.9, 637.7, 639.0), (639.3, 639.3, 640.4)),
    "product_added_to_cart": (3530.7, (184.8, 185.4, 186.2), (185.4, 186.0, 186.8)),
    "orders_placed": (1553.4, (81.4, 81.8, 82.3), (81.7, 82.1, 82.7)),
    "payment_successful": (1413.7, (74.1, 74.8, 75.4), (74.5, 75.1, 75.7)),
    "app_open_to_menu_open": (63.0016, (0.1266, 0.2109, 0.2950), (0.1243, 0.2076, 0.2892)),
    "menu_open_to_product_added_to_cart": (29.0010, (0.0696, 0.1152, 0.1608), (0.0683, 0.1134, 0.1575)),
    "product_added_to_cart_to_order_placed": (43.9967, (0.1131, 0.1809, 0.2506), (0.1098, 0.1770, 0.2438)),
    "order_placed_to_payment_successful": (91.0079, (0.2031, 0.3173, 0.4368), (0.1979, 0.3101, 0.4268)),
    "app_open_to_order_placed": (8.0387, (0.0326, 0.0533, 0.0744), (0.0320, 0.0521, 0.0732)),
    "app_open_to_payment_successful": (7.3158, (0.0334, 0.0543, 0.0754), (0.0330, 0.0530, 0.0739)),
}
DAYTIME_SHARE = (0.68441, 0.00474)  # mean, and std at each difficulty
WEEKDAY_FACTORS = (0.950, 1.000, 1.020, 1.040, 1.060, 1.120, 1.080)  # Monday to Sunday


@cache
def batch_of(
    difficulty: Difficulty = "medium", family: ScenarioFamily = "mixed", count: int = 3, episodes: int = 300
) -> EpisodeBatch:
    config = EpisodeConfig(difficulty=difficulty, scenario_family=family, anomaly_count=count)
    return MetricDataGenerator().generate_batch(config, list(range(episodes)))


def clean_hours(batch: EpisodeBatch) -> np.ndarray:
    """(n, H, S) hourly counts of every date without an incident."""
    episodes, days = batch.hourly.shape[:2]
    clean = np.ones((episodes, days), bool)
    lane, place = np.nonzero(batch.plan.active)
    clean[lane, batch.plan.day[lane, place]] = False
    return batch.hourly[clean]


def clean_series(difficulty: Difficulty) -> dict[str, np.ndarray]:
    """(B, D) clean daily values of every count and every conversion."""
    config = GeneratorConfig()
    counts = dict(zip(config.catalogue.count_metrics, batch_of(difficulty).twin_daily, strict=True))
    rates = {c.name: 100.0 * counts[c.numerator] / counts[c.denominator] for c in config.conversion_definitions}
    return counts | rates


# Statistics of clean data


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_clean_statistics(difficulty: Difficulty, name: str) -> None:
    """Every mean is within 0.5 % and every spread within 10 % of the original, over 300 seeds."""
    level = DIFFICULTIES.index(difficulty)
    mean, std, std_from_median = CLEAN[name]
    values = clean_series(difficulty)[name].astype(np.float64)
    from_median = np.sqrt(np.mean((values - np.median(values, axis=1, keepdims=True)) ** 2, axis=1))
    assert values.mean() == pytest.approx(mean, rel=0.005)
    assert values.std() == pytest.approx(std[level], rel=0.10)
    assert np.median(from_median) == pytest.approx(std_from_median[level], rel=0.10)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_clean_daytime_share(difficulty: Difficulty) -> None:
    """The share of app opens between 8 and 20 h has the original's mean and spread, and stays near its median."""
    opens = batch_of(difficulty, "funnel_break").hourly[..., 0]  # a broken funnel step leaves app_opens alone
    share = opens[:, :, 8:20].sum(axis=2) / opens.sum(axis=2)
    assert share.mean() == pytest.approx(DAYTIME_SHARE[0], rel=0.005)
    assert share.std() == pytest.approx(DAYTIME_SHARE[1], rel=0.10)
    assert np.abs(share - np.median(share, axis=1, keepdims=True)).max() < 0.025  # the threshold at hard


def test_weekdays_and_trend() -> None:
    """Without day noise, traffic is base x weekday factor x (1 + 0.25 % x day), exactly."""
    config = GeneratorConfig(day_noise=0.0)
    twin = MetricDataGenerator(config).generate_batch(EpisodeConfig(), [0, 1]).twin_daily[0]
    first = dt.date(2026, 3, 31) - dt.timedelta(days=27)
    expected = [
        round(18000 * WEEKDAY_FACTORS[(first + dt.timedelta(days=day)).weekday()] * (1 + 0.0025 * day))
        for day in range(28)
    ]
    assert np.abs(twin - expected).max() <= 1  # a product that ends in .5 may round either way
    assert (twin[0] == twin[1]).all()


def test_a_date_has_at_least_one_visitor() -> None:
    """However few are expected, no date is empty; and no more are made up than that."""
    keys = np.array([rng.episode_key(seed) for seed in range(5)], np.uint64)
    assert (traffic.daily_traffic(GeneratorConfig(), keys, mean=np.full(28, 0.2)) == 1.0).all()


def test_day_noise_is_uniform_within_two_percent() -> None:
    """Over the pattern lies a uniform noise of +-2 % a day."""
    noisy = batch_of().twin_daily[0]
    plain = MetricDataGenerator(GeneratorConfig(day_noise=0.0)).generate_batch(EpisodeConfig(), [0]).twin_daily[0]
    noise = noisy / plain - 1.0
    assert np.abs(noise).max() <= 0.0201
    assert noise.std() == pytest.approx(0.02 / 3**0.5, rel=0.03)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_hard_clean_episodes_have_natural_count_cells(difficulty: Difficulty) -> None:
    """Weekdays and trend alone carry about 8 to 14 count cells of a hard episode past 10 %, and none at easy."""
    counts = batch_of(difficulty).twin_daily
    median = np.median(counts, axis=2, keepdims=True)
    share = {"easy": 0.22, "medium": 0.15, "hard": 0.10}[difficulty]
    cells = (np.abs(counts - median) >= share * median).sum(axis=(0, 2)).mean()
    low, high = {"easy": (0, 0.01), "medium": (0, 0.2), "hard": (8.0, 14.0)}[difficulty]
    assert low <= cells <= high


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


def assert_same_episodes(batch: EpisodeBatch, chosen: list[int], part: EpisodeBatch) -> None:
    assert (batch.hourly[chosen] == part.hourly).all()
    assert (batch.classes[:, chosen] == part.classes).all()
    assert (batch.twin_daily[:, chosen] == part.twin_daily).all()
    assert (batch.redraws[chosen] == part.redraws).all()
    for name in ("active", "day", "entity", "family", "sign", "size", "factor"):
        assert (getattr(batch.plan, name)[chosen] == getattr(part.plan, name)).all(), name
    for whole, piece in zip(batch.final, part.final, strict=True):
        assert (whole[:, chosen] == piece).all()


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


# Random streams


def test_splitmix64_reference_vector() -> None:
    """The word stream of key 1234567 is the published SplitMix64 sequence of that seed."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert rng.words(np.array([1234567], np.uint64), 0, 5)[:, 0].tolist() == published
    assert rng.words(np.array([1234567], np.uint64), 0, 3, first=2)[:, 0].tolist() == published[2:]


def test_draws_are_uniform_and_streams_differ() -> None:
    """Draws lie in [0, 1) with the moments of a uniform, and two streams or keys share none."""
    keys = np.array([rng.episode_key(seed) for seed in range(50)], np.uint64)
    draws = rng.uniforms(keys, rng.Stream.PLAN, 2000)
    assert draws.shape == (2000, 50)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert draws.mean() == pytest.approx(0.5, abs=0.005)
    assert draws.std() == pytest.approx(12**-0.5, abs=0.003)
    everything = np.concatenate([draws, rng.uniforms(keys, rng.Stream.REDRAW, 2000)])
    assert len(np.unique(everything)) == everything.size


def test_keys_of_a_lane_depend_on_its_seed_alone() -> None:
    """Key n of a seed is the same in any set of lanes, and after the lane was seeded anew."""
    stream = rng.KeyStream([5, 6, 7])
    numbers = np.arange(4)
    six = stream.keys(np.full(4, 1), numbers)
    assert (rng.KeyStream([6]).keys(np.zeros(4, np.int64), numbers) == six).all()
    assert int(six[0]) == rng.episode_key(6)
    assert len({*stream.keys(np.repeat([0, 1, 2], 4), np.tile(numbers, 3)).tolist()}) == 12
    stream.reseed(np.array([2]), [6])
    assert (stream.keys(np.full(4, 2), numbers) == six).all()


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


# Explicit generators: metric_stddev_shift


def shifted_episode(seed: int = 0, difficulty: Difficulty = "medium", **fields: Any) -> EpisodeData:
    generator = SyntheticAnomalyGenerator(**fields)
    config = EpisodeConfig(seed=seed, difficulty=difficulty, anomaly_generators=(generator,))
    return MetricDataGenerator().generate_episode(config)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("app_opens", "up"),
        ("app_opens", "down"),
        ("menu_opens", "down"),
        ("orders_placed", "up"),
        ("payment_successful", "down"),
        ("menu_open_to_product_added_to_cart", "up"),
        ("order_placed_to_payment_successful", "down"),
        ("app_open_to_order_placed", "down"),
        ("app_open_to_payment_successful", "up"),
    ],
)
def test_stddev_shift_record(metric: str, direction: str, difficulty: Difficulty) -> None:
    """The record tells median, deviation and target; the data reach the target, and the expected row agrees."""
    date = "2026-03-18"
    episode = shifted_episode(5, difficulty, metric_name=metric, date=date, stddev_factor=4, direction=direction)
    (record,) = episode.applied_synthetic_generators
    sign = 1 if direction == "up" else -1

    def series_of(daily: np.ndarray) -> np.ndarray:
        counts = dict(zip(GeneratorConfig().catalogue.count_metrics, daily.T, strict=True))
        rates = {
            c.name: 100 * counts[c.numerator] / counts[c.denominator] for c in GeneratorConfig().conversion_definitions
        }
        return (counts | rates)[metric].astype(np.float64)

    series = series_of(episode.twin_daily)
    median = float(np.median(series_of(episode.daily)))
    deviation = float(np.sqrt(np.mean((series - np.median(series)) ** 2)))
    shift = max(4 * deviation, 1.05 * record.threshold_value)
    assert (record.method_name, record.metric_name, record.date) == ("metric_stddev_shift", metric, date)
    assert (record.direction, record.stddev_factor) == (direction, 4.0)
    assert record.baseline_value == pytest.approx(median, rel=1e-3)
    assert record.std_dev_from_median == pytest.approx(deviation, abs=1e-4)
    assert record.pre_applied_value == pytest.approx(series[episode.dates.index(date)], abs=1e-4)
    assert record.target_value == pytest.approx(record.baseline_value + sign * shift, rel=1e-4)
    assert record.actual_value == pytest.approx(record.target_value, rel=0.01)

    (row,) = episode.expected_rows
    assert (row.date, row.entity_name, row.entity_type) == (date, metric, record.metric_type)
    assert (row.anomaly_type, row.detection_method) == (record.anomaly_type, record.detection_method)
    assert row.observed_value == record.actual_value
    assert row.delta_value * sign > 0


def test_stddev_shift_draws_what_is_not_given() -> None:
    """No date draws one, direction auto draws one; two seeds differ and one seed repeats."""
    drawn = [shifted_episode(seed, metric_name="app_opens", stddev_factor=5) for seed in [*range(12), 0]]
    found = [(e.expected_rows[0].date, e.applied_synthetic_generators[0].direction) for e in drawn]
    assert found[0] == found[-1]
    assert len({date for date, _ in found}) > 4
    assert {direction for _, direction in found} == {"up", "down"}


@pytest.mark.parametrize("metric", ["app_opens", "payment_successful"])
def test_stddev_shift_draws_what_can_be_applied(metric: str) -> None:
    """A date or direction that was left open is drawn among those that can carry the shift."""
    for seed in range(40):
        assert len(shifted_episode(seed, "hard", metric_name=metric, stddev_factor=2.0).expected_rows) == 1


def test_stddev_shift_takes_several_metrics_and_dates() -> None:
    """One metric on three dates gives three records and rows; two generators may share an episode."""
    dates = ("2026-03-10", "2026-03-14", "2026-03-20")
    episode = shifted_episode(metric_name="app_opens", dates=dates, stddev_factor=6, direction="down")
    assert tuple(row.date for row in episode.expected_rows) == dates
    assert [record.date for record in episode.applied_synthetic_generators] == list(dates)
    both = (
        SyntheticAnomalyGenerator(metric_name="menu_opens", date=dates[0], stddev_factor=6, direction="down"),
        SyntheticAnomalyGenerator(
            metric_names=("app_open_to_menu_open",), date=dates[1], stddev_factor=30, direction="down"
        ),
    )
    two = MetricDataGenerator().generate_episode(EpisodeConfig(anomaly_generators=both))
    assert [row.entity_name for row in two.expected_rows] == ["menu_opens", "app_open_to_menu_open"]
    assert two.anomaly_schedule[1].direction == "down"


def test_stddev_shift_is_never_below_the_threshold() -> None:
    """A tiny factor still moves the metric by 1.05 thresholds, so that its own method confirms it."""
    episode = shifted_episode(metric_name="app_opens", date="2026-03-18", stddev_factor=0.001, direction="up")
    (record,) = episode.applied_synthetic_generators
    assert record.target_value == pytest.approx(record.baseline_value + 1.05 * record.threshold_value, rel=1e-6)
    assert len(episode.expected_rows) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metric_name": "clicks", "date": "2026-03-18"}, ["metric 'clicks'", "app_opens"]),
        ({"metric_name": "app_opens", "date": "2026-04-01"}, ["'2026-04-01'", "2026-03-04", "2026-03-31"]),
        ({"metric_name": "app_opens", "date": "18.03.2026"}, ["'18.03.2026'", "ISO date"]),
        ({"metric_name": "app_opens", "dates": ("2026-03-18", "2026-02-30")}, ["'2026-02-30'"]),
        (
            {"metric_names": ("app_open_to_menu_open", "menu_opens"), "date": "2026-03-18"},
            ["'app_open_to_menu_open' and 'menu_opens' both change the rate of menu_opens on 2026-03-18"],
        ),
        (
            {"metric_name": "payment_successful", "date": "2026-03-18", "direction": "up"},
            ["'payment_successful' cannot go to", "2026-03-18", "the funnel allows", "what is: direction 'down'"],
        ),
        (
            {"metric_name": "orders_placed", "date": "2026-03-18", "direction": "down"},
            ["'orders_placed' cannot go to", "no stddev_factor is possible there", "what is: direction 'up'"],
        ),
        (
            {"metric_name": "app_open_to_menu_open", "date": "2026-03-18", "direction": "up", "stddev_factor": 400},
            ["'app_open_to_menu_open' cannot go to", "possible is a stddev_factor up to"],
        ),
        (
            {"metric_name": "app_opens", "dates": tuple(f"2026-03-{day:02d}" for day in range(10, 24))},
            ["14 dates with anomalies do not leave more than half of 28 days clean"],
        ),
    ],
)
def test_stddev_shift_that_cannot_be_applied_is_an_error(fields: dict[str, Any], words: list[str]) -> None:
    """Unknown metrics and dates, two anomalies of one link, and targets the funnel cannot carry are told as such."""
    with pytest.raises(GenerationError, match="anomaly_generators: ") as caught:
        shifted_episode(**{"stddev_factor": 5, **fields})
    for word in words:
        assert word in str(caught.value)


def test_stddev_shift_beside_others_is_confirmed_or_refused() -> None:
    """Shifts of one metric on dates that are nearly there already are refused; larger ones all show."""
    dates = tuple(f"2026-03-{day:02d}" for day in range(8, 21))
    fields = {"metric_name": "app_opens", "dates": dates, "direction": "down"}
    with pytest.raises(GenerationError, match=r"'app_opens' cannot go to .* without any anomaly"):
        shifted_episode(0, "hard", stddev_factor=1.0, **fields)
    episode = shifted_episode(0, "hard", stddev_factor=5.0, **fields)
    assert tuple(row.date for row in episode.expected_rows) == dates


def test_a_shift_that_rounding_to_whole_events_undoes_is_refused() -> None:
    """Three points of a payment rate are one of 40 orders, which no method confirms; of 400 they are enough."""
    shift = SyntheticAnomalyGenerator(
        metric_name="order_placed_to_payment_successful", date="2026-03-18", direction="down", stddev_factor=0.01
    )
    asked = EpisodeConfig(difficulty="hard", anomaly_generators=(shift,))
    with pytest.raises(
        GenerationError, match=r"'order_placed_to_payment_successful' on 2026-03-18 goes down .* not con"
    ):
        MetricDataGenerator(GeneratorConfig(base_daily_count=500)).generate_episode(asked)
    (row,) = MetricDataGenerator(GeneratorConfig(base_daily_count=5000)).generate_episode(asked).expected_rows
    assert (row.date, row.entity_name) == ("2026-03-18", shift.metric_name)


def test_generator_methods_are_listed() -> None:
    """The catalogue of explicit generators names its methods and the fields that each takes."""
    specs = {spec.name: set(spec.parameters) for spec in available_synthetic_generator_methods()}
    dates, steps = {"date", "dates"}, {"step_name", "step_names"}
    assert specs == {
        "metric_stddev_shift": {"metric_name", "metric_names", "stddev_factor", "direction"} | dates,
        "funnel_break": {"keep"} | steps | dates,
        "hourly_mix_shift": {"shift", "direction"} | dates,
        "impossible_counts": {"excess"} | steps | dates,
    }
