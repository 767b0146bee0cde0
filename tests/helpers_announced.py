"""What an announcement leads one to expect of each cell, worked out a second time: slowly, by name, from the funnel."""

from __future__ import annotations

import numpy as np
from helpers_world import cell_values, threshold_of

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES, DIFFICULTIES, Difficulty, KnownEvent

QUALITY_HOURS: dict[Difficulty, int] = {"easy": 5, "medium": 4, "hard": 3}  # of a date, with impossible counts
FAMILY_OF_EVENT = {
    ("event_count", "up"): "absolute_spike_in_event_count",
    ("event_count", "down"): "absolute_drop_in_event_count",
    ("conversion_rate", "up"): "rate_spike_from_median",
    ("conversion_rate", "down"): "rate_drop_from_median",
    ("funnel_step", "down"): "funnel_break",
    ("hourly_mix", "up"): "hourly_traffic_mix_shift",
    ("hourly_mix", "down"): "hourly_traffic_mix_shift",
    ("data_quality", "up"): "instrumentation_data_quality_issue",
}


def family_of(event: KnownEvent) -> int:
    """Position in ANOMALY_TYPES of what an event looks like."""
    return ANOMALY_TYPES.index(FAMILY_OF_EVENT[event.entity_type, event.direction])


def usual_shares(config: GeneratorConfig) -> list[float]:
    """Share of a usual day's traffic that falls into each hour."""
    return [weight / sum(config.hourly_weights) for weight in config.hourly_weights]


def usual_counts(config: GeneratorConfig) -> list[float]:
    """Events of each step on the date in the middle of the range, without weekday."""
    counts = [config.base_daily_count * (1.0 + config.trend_per_day * (7 * config.num_weeks - 1) / 2.0)]
    for step in config.steps:
        counts.append(counts[-1] * step.rate)
    return counts


def expected_ratios(config: GeneratorConfig, difficulty: Difficulty, event: KnownEvent) -> np.ndarray:
    """(E,) deviation of each cell, in thresholds, on a usual day that is moved as announced; not clipped."""
    level = DIFFICULTIES.index(difficulty)
    names = [config.entry_step, *(step.name for step in config.steps)]
    before, share = usual_counts(config), sum(usual_shares(config)[8:20])
    counts, excess, moved_share = list(before), [0.0] * len(config.steps), share
    factor = 1.0 + event.expected_change / 100.0
    if event.entity_type == "event_count":
        at = names.index(event.entity_name)
        for i in range(len(counts)) if at == 0 else (at,):
            counts[i] *= factor
    elif event.entity_type == "funnel_step":
        below = next(i for i in range(len(names)) if event.entity_name == f"{names[i]}_from_{names[i - 1]}")
        counts[below:] = [count * factor for count in counts[below:]]
    elif event.entity_type == "conversion_rate":
        ends = next(c for c in config.conversion_definitions if c.name == event.entity_name)
        first, last = names.index(ends.denominator), names.index(ends.numerator)
        rates = _moved_together([config.steps[i].rate for i in range(first, last)], factor, level)
        for step in range(first + 1, len(names)):
            rate = rates[step - first - 1] if step <= last else config.steps[step - 1].rate
            counts[step] = counts[step - 1] * rate
    elif event.entity_type == "hourly_mix":
        moved_share += event.expected_change / 100.0
    else:
        above = next(i for i in range(len(names)) if event.entity_name == f"{names[i]}_lte_{names[i - 1]}")
        hours = QUALITY_HOURS[difficulty] / 24.0
        counts[above] = (1.0 - hours) * before[above] + hours * before[above - 1] * factor
        excess[above - 1] = hours * before[above - 1] * event.expected_change / 100.0

    usual = cell_values(config, np.array(before), np.array(share), np.zeros(len(excess)))
    changed = cell_values(config, np.array(counts), np.array(moved_share), np.array(excess))
    return np.array([(changed[cell] - usual[cell]) / threshold_of(cell[0], level, usual[cell]) for cell in usual])


def _moved_together(rates: list[float], factor: float, level: int) -> list[float]:
    """Step rates whose product moves by a factor, each by the same number of its own thresholds; found by halving."""
    limits = [float(threshold_of("conversion_rate", level, np.array(100.0 * rate))) / (100.0 * rate) for rate in rates]
    low, high = -200.0, 200.0
    for _ in range(200):
        middle = (low + high) / 2.0
        reached = np.prod([max(1.0 + middle * limit, 0.0) for limit in limits])
        low, high = (middle, high) if reached < factor else (low, middle)
    return [rate * (1.0 + low * limit) for rate, limit in zip(rates, limits, strict=True)]
