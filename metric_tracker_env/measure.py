"""What the data show: medians, thresholds, deviations, severities. The one definition that all others read.

Arrays keep the measures or entities first and end in (B, D): B episodes, D days. Labels, tools,
observations, rendering and scoring take their values from here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from metric_tracker_env.schema import (
    ANOMALY_TYPES,
    DAYS_PER_WEEK,
    FAMILIES,
    FUNNEL_STEP_KEEP,
    AnomalyType,
    Catalogue,
    Difficulty,
    Direction,
    EntityType,
    Severity,
)

COUNT_THRESHOLD_SHARE: dict[Difficulty, float] = {"easy": 0.22, "medium": 0.15, "hard": 0.10}
COUNT_THRESHOLD_FLOOR = 50.0  # events a day
NOISE_COUNT_FLOOR = 3.0  # events a day, where the noise of the data is known
RATE_THRESHOLD_POINTS: dict[Difficulty, float] = {"easy": 6.0, "medium": 4.5, "hard": 3.0}
RATE_THRESHOLD_SHARE: dict[Difficulty, float] = {"easy": 0.12, "medium": 0.09, "hard": 0.06}
RATE_THRESHOLD_FLOOR = 1e-6  # points; keeps a rate whose median is 0 from being flagged for staying there
SHARE_THRESHOLD: dict[Difficulty, float] = {"easy": 0.05, "medium": 0.035, "hard": 0.025}
EXCESS_THRESHOLD = 1.0  # events: counts are whole, so any excess reaches it
# Of the noise of a user's own data: what a change must have to be seen.
NOISE_MULTIPLES: dict[Difficulty, float] = {"easy": 5.0, "medium": 4.0, "hard": 3.0}

DAYTIME_HOURS = range(8, 20)  # the hours of the daytime share
SCAN_MULTIPLIERS = (0.7, 1.0, 1.5)  # of the threshold, for the methods that scan all dates
SEASONAL_MIN_DAYS = 3 * DAYS_PER_WEEK  # fewer days cannot tell a weekday from an incident
MIN_MOVE = 0.5  # thresholds that a cell must have moved to belong to what moved it
VALUE_DIGITS = 4

ANOMALY_OF: dict[tuple[EntityType, Direction], AnomalyType] = {
    (family.entity_type, direction): name for name, family in FAMILIES.items() for direction in family.directions
}

# Severity is medium, high or critical from these on: of |delta| / median for counts, of |delta| x 100 for
# the daytime share, of |delta| else.
SEVERITY_STEPS: dict[EntityType, tuple[float, float, float]] = {
    "event_count": (0.12, 0.22, 0.35),
    "conversion_rate": (4.0, 8.0, 12.0),
    "funnel_step": (5.0, 10.0, 15.0),
    "hourly_mix": (10.0, 18.0, 25.0),
    "data_quality": (20.0, 60.0, 120.0),
}


class Deviations(NamedTuple):
    """Every cell of a batch against its median."""

    values: np.ndarray  # (M, B, D) float64: events, percent or share
    medians: np.ndarray  # (M, B) float64; 0 for the excesses
    thresholds: np.ndarray  # (E, B) float64, in the entity's unit
    ratios: np.ndarray  # (E, B, D) float64: (value - median) / threshold
    flagged: np.ndarray  # (E, B, D) bool: confirmed by the entity's detection method


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part / whole, and 0 where the whole is 0."""
    return part / np.where(whole > 0, whole, np.inf)


def excess(hourly: np.ndarray) -> np.ndarray:
    """Events by which a step's hourly count passes the step before it: (S, H, ...) -> (S-1, ...) float64."""
    above = np.subtract(hourly[1:], hourly[:-1])
    return np.maximum(above, 0, out=above).sum(axis=1).astype(np.float64)


def daytime(hourly_entry: np.ndarray) -> np.ndarray:
    """First-step events of the daytime hours: (H, ...) -> (...) float64."""
    return hourly_entry[DAYTIME_HOURS.start : DAYTIME_HOURS.stop].sum(axis=0).astype(np.float64)


def measures(catalogue: Catalogue, daily: np.ndarray, day_part: np.ndarray, excesses: np.ndarray) -> np.ndarray:
    """The daily series behind the entities.

    Args:
        catalogue: Entities of the funnel.
        daily: (S, ...) events a day.
        day_part: (...) first-step events of the daytime hours.
        excesses: (S-1, ...) impossible events a day.

    Returns:
        (M, ...) float64 in the order of ``Catalogue``: counts, step rates (%), skipping conversions (%),
        daytime share, excesses.
    """
    steps = catalogue.num_steps
    out = np.empty((catalogue.num_measures, *daily.shape[1:]))
    counts = out[:steps]
    counts[:] = daily  # float64 from here on: float32 counts would be divided in float32
    upstream = np.where(counts > 0, counts, np.inf)
    np.divide(counts[1:], upstream[:-1], out=out[steps : 2 * steps - 1])
    for row, conversion in enumerate(catalogue.skipping, start=2 * steps - 1):
        denominator, numerator = catalogue.spans[conversion]
        np.divide(counts[numerator], upstream[denominator], out=out[row])
    out[steps : catalogue.share_row] *= 100.0
    np.divide(day_part, upstream[0], out=out[catalogue.share_row])
    out[catalogue.share_row + 1 :] = excesses
    return out


def median_of_sorted(values: np.ndarray) -> np.ndarray:
    """Median along the last axis of sorted values (np.median without its checks)."""
    size = values.shape[-1]
    middle = values[..., size // 2]
    return middle if size % 2 else 0.5 * (values[..., size // 2 - 1] + middle)


def medians(catalogue: Catalogue, values: np.ndarray) -> np.ndarray:
    """Baseline of each measure: its median over the dates, 0 for the excesses. (M, B, D) -> (M, B)."""
    out = np.zeros(values.shape[:-1])
    rows = catalogue.share_row + 1
    out[:rows] = median_of_sorted(np.sort(values[:rows], axis=-1))
    return out


def std_dev_from_median(values: np.ndarray, median: float) -> float:
    """sqrt(mean((value - median)^2)) over the dates of one series."""
    return float(np.sqrt(np.mean((values - median) ** 2)))


class ThresholdTable(NamedTuple):
    """Thresholds as ``max(clip(share * median, floor, ceiling), noise * median)``, each in the entity's unit."""

    share: np.ndarray  # (E,) float64
    floor: np.ndarray  # (E,) float64
    ceiling: np.ndarray  # (E,) float64
    noise: np.ndarray  # (E,) float64; 0 where none is known

    def of(self, baselines: np.ndarray) -> np.ndarray:
        """(E, ...) medians -> (E, ...) thresholds."""
        share, floor, ceiling, noise = (a.reshape(-1, *[1] * (baselines.ndim - 1)) for a in self)
        return np.maximum(np.minimum(np.maximum(baselines * share, floor), ceiling), baselines * noise)

    def rows(self, chosen: np.ndarray) -> ThresholdTable:
        """The table of (n,) entities."""
        return ThresholdTable(*(a.take(chosen) for a in self))


@lru_cache(maxsize=64)
def threshold_table(catalogue: Catalogue, difficulty: Difficulty) -> ThresholdTable:
    """How each entity's threshold follows from its median."""
    floor = COUNT_THRESHOLD_FLOOR if catalogue.noise is None else NOISE_COUNT_FLOOR
    rules: dict[EntityType, tuple[float, float, float]] = {
        "event_count": (COUNT_THRESHOLD_SHARE[difficulty], floor, np.inf),
        "conversion_rate": (RATE_THRESHOLD_SHARE[difficulty], RATE_THRESHOLD_FLOOR, RATE_THRESHOLD_POINTS[difficulty]),
        "funnel_step": (1.0 - FUNNEL_STEP_KEEP, RATE_THRESHOLD_FLOOR, np.inf),
        "hourly_mix": (0.0, SHARE_THRESHOLD[difficulty], SHARE_THRESHOLD[difficulty]),
        "data_quality": (0.0, EXCESS_THRESHOLD, EXCESS_THRESHOLD),
    }
    noise = noise_limits(catalogue, difficulty).take(catalogue.measure_of_entity)
    columns = np.array([rules[entity.entity_type] for entity in catalogue.entities]).T.copy()
    return ThresholdTable(*columns, noise=noise)


def noise_limits(catalogue: Catalogue, difficulty: Difficulty) -> np.ndarray:
    """(M,) float64 least threshold of each measure that its noise asks for, as a share of its median; 0 for none."""
    found = np.zeros(catalogue.num_measures)
    if catalogue.noise is not None:
        found[: len(catalogue.noise)] = NOISE_MULTIPLES[difficulty] * np.array(catalogue.noise)
    return found


def step_thresholds(
    catalogue: Catalogue, difficulty: Difficulty, step_rates: np.ndarray, steps: slice = slice(None)
) -> np.ndarray:
    """Thresholds in points of step rates, whether or not each is a conversion entity.

    Args:
        catalogue: Entities of the funnel.
        difficulty: Of the episode.
        step_rates: (..., S-1) float64 medians in percent.
        steps: Which of the S-1 rates they are.

    Returns:
        As ``step_rates``.
    """
    first = catalogue.num_steps
    noise = noise_limits(catalogue, difficulty)[first : 2 * first - 1][steps]
    limits = np.minimum(step_rates * RATE_THRESHOLD_SHARE[difficulty], RATE_THRESHOLD_POINTS[difficulty])
    return np.maximum(limits, step_rates * noise)


def thresholds(catalogue: Catalogue, difficulty: Difficulty, baselines: np.ndarray) -> np.ndarray:
    """Smallest |delta| that the detection methods flag: (M, ...) medians -> (E, ...) in each entity's unit."""
    return threshold_table(catalogue, difficulty).of(baselines.take(catalogue.measure_of_entity, axis=0))


def deviations(catalogue: Catalogue, difficulty: Difficulty, values: np.ndarray) -> Deviations:
    """Measure every cell: (M, B, D) measures -> deviations from the median in threshold units."""
    baselines = medians(catalogue, values)
    limits = thresholds(catalogue, difficulty, baselines)
    at, steps, share_row = catalogue.slices, catalogue.num_steps, catalogue.share_row
    deltas = values[: share_row + 1] - baselines[: share_row + 1, :, None]
    conversions = at["conversion_rate"]
    ratios = np.empty((catalogue.num_entities, *values.shape[1:]))
    np.divide(deltas[:steps], limits[:steps, :, None], out=ratios[:steps])
    deltas.take(catalogue.measure_of_entity[conversions], axis=0, out=ratios[conversions], mode="clip")
    ratios[conversions] /= limits[conversions, :, None]
    np.divide(deltas[steps : 2 * steps - 1], limits[at["funnel_step"], :, None], out=ratios[at["funnel_step"]])
    if catalogue.hours:
        np.divide(deltas[share_row:], limits[at["hourly_mix"], :, None], out=ratios[at["hourly_mix"]])
        np.divide(values[share_row + 1 :], EXCESS_THRESHOLD, out=ratios[at["data_quality"]])
    return Deviations(values, baselines, limits, ratios, flagged(catalogue, ratios))


def flagged(catalogue: Catalogue, ratios: np.ndarray) -> np.ndarray:
    """Whether the detection method confirms each cell: (E, ...) ratios -> (E, ...) bool.

    Counts, rates and the hourly mix in both directions; a funnel step only when it loses, an impossible
    count only when there is an excess.
    """
    out = ratios <= -1.0
    funnel = catalogue.slices["funnel_step"]
    np.less(ratios[funnel], -1.0, out=out[funnel])
    for both in (slice(0, funnel.start), slice(funnel.stop, len(ratios))):
        out[both] |= ratios[both] >= 1.0
    return out


def seasonal_baseline(entry: np.ndarray) -> np.ndarray:
    """First-step count that weekday and trend lead one to expect.

    The slope is the median over all pairs of days a week apart (Theil 1950, restricted to lag 7, where the
    weekday cancels); the level of a weekday is the median of its detrended days. With fewer than 21 days
    a weekday cannot be told from an incident, and the plain median stands.

    Args:
        entry: (B, D) float64 first-step events a day.

    Returns:
        (B, D) float64 events a day.
    """
    days = entry.shape[-1]
    if days < SEASONAL_MIN_DAYS:
        return np.broadcast_to(median_of_sorted(np.sort(entry, axis=-1))[:, None], entry.shape).copy()
    lag = DAYS_PER_WEEK
    growth = share(entry[:, lag:], entry[:, :-lag]) - 1.0
    slope = median_of_sorted(np.sort(growth / np.maximum(lag - growth * np.arange(days - lag), 1.0), axis=-1))
    trend = np.maximum(1.0 + slope[:, None] * np.arange(days), 0.05)
    weeks = (entry / trend).reshape(len(entry), days // lag, lag)
    level = median_of_sorted(np.sort(weeks.transpose(0, 2, 1), axis=-1))
    return np.tile(level, days // lag) * trend


def anomaly_type(entity_type: EntityType, delta: float) -> AnomalyType:
    """Name of the anomaly that a deviation of this sign is."""
    return ANOMALY_OF[entity_type, "up" if delta > 0 else "down"]


def severity(entity_type: EntityType, delta: float, baseline: float) -> Severity:
    """How grave a deviation is, by ``SEVERITY_STEPS``."""
    size = abs(delta)
    if entity_type == "event_count":
        size = size / baseline if baseline > 0 else np.inf
    elif entity_type == "hourly_mix":
        size *= 100.0
    size = round(size, 9)  # 0.6 - 0.5 is a delta of 0.1
    medium, high, critical = SEVERITY_STEPS[entity_type]
    if size >= critical:
        return "critical"
    if size >= high:
        return "high"
    return "medium" if size >= medium else "low"


def rounded(value: float) -> float:
    """A value as rows and tools report it."""
    return round(float(value), VALUE_DIGITS)


def scan_strength(catalogue: Catalogue, ratios: np.ndarray) -> np.ndarray:
    """How strongly each family shows on each date: (E, B, D) ratios -> (7, B, D), in ``ANOMALY_TYPES`` order.

    Floats or scaled integers; the result has the same dtype.
    The largest signed deviation, in thresholds, of the entities that the family's scan looks at. A scan with
    multiplier m flags the dates where it is at least m.
    """
    at = catalogue.slices
    rates, counts = ratios[at["conversion_rate"]], ratios[at["event_count"]]
    least = -np.inf if ratios.dtype.kind == "f" else np.iinfo(ratios.dtype).min
    out = np.full((len(ANOMALY_TYPES), *ratios.shape[1:]), least, ratios.dtype)
    if len(rates):
        out[0] = -rates.min(axis=0)
        rates.max(axis=0, out=out[1])
    out[2] = -counts.min(axis=0)
    counts.max(axis=0, out=out[3])
    if catalogue.num_steps > 1:
        out[4] = -ratios[at["funnel_step"]].min(axis=0)
    if catalogue.hours:
        np.abs(ratios[at["hourly_mix"].start], out=out[5])
        if catalogue.num_steps > 1:
            ratios[at["data_quality"]].max(axis=0, out=out[6])
    return out
