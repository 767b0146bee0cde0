"""What the tests of the generator share: measuring once more, any configuration, and batches of the realistic world."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig, RateNoise, WorldConfig
from metric_tracker_env.schema import DIFFICULTIES, ConversionMetricDefinition, Difficulty, ScenarioFamily
from metric_tracker_env.world import rng
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.layer import Layer
from metric_tracker_env.world.source import EpisodeBatch
from metric_tracker_env.world.traffic import CleanTraffic

WORLD = GeneratorConfig(world=WorldConfig())


# The definitions of DESIGN.md 1 and 2, written out a second time, slowly and without the package's own measures.


class Seen(NamedTuple):
    """What an analyst sees of a batch, entities first: (E, B, D)."""

    keys: list[tuple[str, str]]
    values: np.ndarray
    delta: np.ndarray
    threshold: np.ndarray
    flagged: np.ndarray


def cell_values(
    config: GeneratorConfig, daily: np.ndarray, share: np.ndarray, excess: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """(B, D) value of each entity from (B, D, S) counts, (B, D) daytime shares and (B, D, S-1) excesses."""
    names = [config.entry_step, *(step.name for step in config.steps)]
    count = {name: daily[..., i].astype(np.float64) for i, name in enumerate(names)}

    def rate(numerator: str, denominator: str) -> np.ndarray:
        below = count[denominator]
        return 100.0 * np.divide(count[numerator], below, out=np.zeros_like(below), where=below > 0)

    pairs = list(zip(names[1:], names[:-1], strict=True))
    cells = {("event_count", name): count[name] for name in names}
    cells |= {("conversion_rate", c.name): rate(c.numerator, c.denominator) for c in config.conversion_definitions}
    cells |= {("funnel_step", f"{a}_from_{b}"): rate(a, b) for a, b in pairs}
    cells |= {("hourly_mix", f"{names[0]}:daytime_share"): share}
    cells |= {("data_quality", f"{a}_lte_{b}"): excess[..., i] for i, (a, b) in enumerate(pairs)}
    return cells


def threshold_of(kind: str, level: int, median: np.ndarray) -> np.ndarray:
    """Smallest deviation that is flagged of an entity of some type at a difficulty."""
    if kind == "event_count":
        return np.maximum(50.0, (0.22, 0.15, 0.10)[level] * median)
    if kind == "conversion_rate":
        return np.minimum((6.0, 4.5, 3.0)[level], (0.12, 0.09, 0.06)[level] * median)
    if kind == "funnel_step":
        return (1 - 0.70) * median
    return np.full_like(median, (0.05, 0.035, 0.025)[level] if kind == "hourly_mix" else 1.0)


def see(config: GeneratorConfig, difficulty: Difficulty, hourly: np.ndarray) -> Seen:
    """Measure every cell of (B, D, H, S) hourly counts."""
    level = DIFFICULTIES.index(difficulty)
    hourly = hourly.astype(np.int64)
    opens = hourly[..., 0].sum(axis=2)
    share = hourly[:, :, 8:20, 0].sum(axis=2) / np.where(opens > 0, opens, 1)
    excess = np.maximum(hourly[..., 1:] - hourly[..., :-1], 0).sum(axis=2).astype(np.float64)
    cells = cell_values(config, hourly.sum(axis=2), share, excess)
    values, deltas, thresholds, flags = [], [], [], []
    for (kind, _), value in cells.items():
        median = np.median(value, axis=1, keepdims=True) if kind != "data_quality" else np.zeros((len(value), 1))
        delta = value - median
        threshold = threshold_of(kind, level, median)
        if kind == "funnel_step":
            flagged = delta < -threshold
        elif kind == "data_quality":
            flagged = value > 0
        else:
            flagged = np.abs(delta) >= np.maximum(threshold, 1e-6)
        values.append(value)
        deltas.append(delta)
        thresholds.append(np.broadcast_to(threshold, value.shape))
        flags.append(flagged)
    return Seen(list(cells), np.array(values), np.array(deltas), np.array(thresholds), np.array(flags))


def conversion(name: str, numerator: str, denominator: str) -> ConversionMetricDefinition:
    return ConversionMetricDefinition(name=name, numerator=numerator, denominator=denominator)


@st.composite
def generator_configs(draw: st.DrawFn) -> GeneratorConfig:
    """A funnel of 2 to 6 steps with 500 or more events a day in the first and 100 or more in the last."""

    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high, allow_nan=False))

    rates = draw(st.lists(st.floats(0.15, 0.9), min_size=1, max_size=5))
    names = [f"s{i}" for i in range(len(rates) + 1)]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if len(pairs) > 1 else pairs
    base = max(500.0, 100 / float(np.prod(rates)) * number(1.0, 40.0))
    return GeneratorConfig(
        entry_step=names[0],
        steps=tuple(
            FunnelStep(name=name, rate=rate, noise_scale=number(0.0, 1.3))
            for name, rate in zip(names[1:], rates, strict=True)
        ),
        conversion_definitions=tuple(conversion(f"{names[i]}_to_{names[j]}", names[j], names[i]) for i, j in chosen),
        num_weeks=draw(st.integers(3, 12)),
        end_date=draw(st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1))),
        base_daily_count=base,
        weekday_factors=tuple(number(0.85, 1.15) for _ in range(7)),
        trend_per_day=number(-0.002, 0.004),
        day_noise=number(0.0, 0.05),
        hourly_weights=tuple(number(0.2, 1.0) for _ in range(24)),
        hour_noise=number(0.0, 0.2),
        rate_noise=RateNoise(easy=number(0, 0.02), medium=number(0, 0.03), hard=number(0, 0.04)),
    )


@st.composite
def worlds(draw: st.DrawFn) -> WorldConfig:
    """Any world that a configuration allows."""
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any))

    def pair(low: float, high: float, kind: Any) -> tuple[Any, Any]:
        first, second = sorted((draw(kind(low, high)), draw(kind(low, high))))
        return first, second

    return WorldConfig(
        events=pair(0, 12, st.integers),
        lengths=tuple(part / sum(lengths) for part in lengths),
        without_effect=draw(st.floats(0, 1)),
        announced_within=draw(st.floats(0, 0.5)),
        gaps=pair(0, 6, st.integers),
        gap_loss=pair(0.1, 4.0, st.floats),
        on_event_dates=draw(st.floats(0, 1)),
        beyond_announced=draw(st.floats(0, 1)),
    )


def keys_of(seeds: list[int]) -> np.ndarray:
    """(n,) uint64 episode keys."""
    return np.array([rng.episode_key(seed) for seed in seeds], np.uint64)


def generated(
    config: GeneratorConfig,
    difficulty: Difficulty = "medium",
    family: ScenarioFamily = "mixed",
    count: int | tuple[int, int] = (0, 4),
    episodes: int = 200,
) -> EpisodeBatch:
    """The episodes of the first seeds."""
    request = EpisodeConfig(difficulty=difficulty, scenario_family=family, anomaly_count=count)
    return MetricDataGenerator(config).generate_batch(request, list(range(episodes)))


@cache
def batch_of(
    difficulty: Difficulty = "medium",
    family: ScenarioFamily = "mixed",
    count: int | tuple[int, int] = (0, 4),
    episodes: int = 400,
) -> EpisodeBatch:
    """Episodes of the default world."""
    return generated(WORLD, difficulty, family, count, episodes)


def layer_of(batch: EpisodeBatch) -> Layer:
    """The layer of a batch of a world."""
    assert batch.layer is not None
    return batch.layer


def bare_hours(config: GeneratorConfig, difficulty: Difficulty, episodes: int) -> np.ndarray:
    """(B, D, H, S) hourly counts of the first seeds without events, gaps and incidents."""
    planes, _ = CleanTraffic(config, difficulty).planes(keys_of(list(range(episodes))))
    return planes.transpose(2, 3, 1, 0)


class Spans(NamedTuple):
    """Incidents, one item a date."""

    lane: np.ndarray
    place: np.ndarray
    incident: np.ndarray  # number in the episode
    day: np.ndarray
    entity: np.ndarray
    sign: np.ndarray
    last: np.ndarray


def spans_of(batch: EpisodeBatch) -> Spans:
    """The dates of a batch's incidents."""
    plan = batch.plan
    lane, place = np.nonzero(plan.active)
    names = ("incident", "day", "entity", "sign", "last")
    return Spans(lane, place, *(getattr(plan, name)[lane, place] for name in names))


def quiet_of(
    config: GeneratorConfig, difficulty: Difficulty, family: ScenarioFamily = "mixed", episodes: int = 400
) -> EpisodeBatch:
    """The same seeds without incidents: what an episode's twin is."""
    return generated(config, difficulty, family, 0, episodes)


def coincidence(batch: EpisodeBatch) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool of a batch's incidents: any date on one of an event; any of them on an event of the very entity."""
    layer, roots = layer_of(batch), spans_of(batch)
    event = layer.event_of_day[roots.lane, roots.day]
    same = (event >= 0) & (layer.events.entity[roots.lane, event] == roots.entity)
    _, number = np.unique(np.stack([roots.lane, roots.incident]), axis=1, return_inverse=True)
    return np.bincount(number, event >= 0) > 0, np.bincount(number, same) > 0


def assert_same_episodes(batch: EpisodeBatch, chosen: list[int], part: EpisodeBatch) -> None:
    """A part of a batch holds the episodes of these places, bit for bit."""
    assert (batch.hourly[chosen] == part.hourly).all()
    assert (batch.classes[:, chosen] == part.classes).all()
    assert (batch.twin_daily[:, chosen] == part.twin_daily).all()
    assert (batch.redraws[chosen] == part.redraws).all()
    assert (batch.given_up[chosen] == part.given_up).all()
    for name in ("active", "day", "entity", "family", "sign", "size", "factor"):
        assert (getattr(batch.plan, name)[chosen] == getattr(part.plan, name)).all(), name
    for whole, piece in zip(batch.final, part.final, strict=True):
        assert (whole[:, chosen] == piece).all()
