"""Incidents: which can be told apart, how large they are, where they fall, and what they do to the counts.

An incident multiplies the chain (traffic, step rates) of one date. A *variant* is one kind of incident:
family, entity and direction. A *plan* holds the incidents of a batch as (B, K) arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from metric_tracker_env import rng
from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig
from metric_tracker_env.measure import (
    DAYTIME_HOURS,
    RATE_THRESHOLD_POINTS,
    RATE_THRESHOLD_SHARE,
    ThresholdTable,
    anomaly_type,
    median_of_sorted,
    threshold_table,
    thresholds,
)
from metric_tracker_env.rng import Stream
from metric_tracker_env.schema import ANOMALY_TYPES, HOURS_PER_DAY, Difficulty

# Planned moves of the cell's own value, in thresholds of the entity.
SIZES: dict[Difficulty, tuple[float, float]] = {"easy": (1.5, 2.0), "medium": (1.3, 1.8), "hard": (1.15, 1.5)}
RATE_SIZE_LIMIT = 0.25  # a step rate never moves further than this share of itself
SKIPPING_SHARE = (0.6, 0.8)  # of its own threshold, by which each step inside an end-to-end conversion moves
FUNNEL_BREAK_KEEP: dict[Difficulty, tuple[float, float]] = {
    "easy": (0.40, 0.55),
    "medium": (0.48, 0.60),
    "hard": (0.55, 0.65),
}
IMPOSSIBLE_HOURS: dict[Difficulty, int] = {"easy": 5, "medium": 4, "hard": 3}
IMPOSSIBLE_EXCESS: dict[Difficulty, float] = {"easy": 0.12, "medium": 0.08, "hard": 0.05}
SHIFT_DAY_HOURS = slice(9, 19)
SHIFT_NIGHT_HOURS = (slice(0, 5), slice(21, 24))
SHIFT_LEAST = 0.01  # least share of the traffic that day and night hours each need for a mix shift
SHIFT_LIMIT = 0.9  # most of the traffic of the hours it leaves that a mix shift may take
TRAFFIC_FLOOR = 0.05  # least share of its traffic that a drop leaves
# Thresholds from the twin's median that a planned cell must reach: at 1.02 the incidents' own pull on the medians
# makes 0.8 % of the hard ones fail when they are measured, at 1.08 it is 0.15 %, and each costs a redraw.
PLAN_MARGIN = 1.08
MAX_ATTEMPTS = 400
STRETCH_AFTER = 100  # draws after which sizes grow, for calendars whose free dates are all too busy for a drop
STRETCH = 0.01  # growth of the size a further draw

RETRIES = 8  # draws of a failed incident that are looked at together: one round of calls nearly always suffices
WORDS_PER_DRAW = 3  # date, variant, size
RANK_WORDS = HOURS_PER_DAY // rng.DRAWS_PER_WORD  # ranks of 24 hours
FAMILY_INDEX: dict[str, int] = {name: i for i, name in enumerate(ANOMALY_TYPES)}
FUNNEL_FAMILY = FAMILY_INDEX["funnel_break"]
MIX_FAMILY = FAMILY_INDEX["hourly_traffic_mix_shift"]
QUALITY_FAMILY = FAMILY_INDEX["instrumentation_data_quality_issue"]


class Variant(NamedTuple):
    """One kind of incident."""

    family: int  # position in ANOMALY_TYPES
    entity: int
    sign: int  # +1 up, -1 down
    low: float  # sizes are drawn uniformly from low..high
    high: float


@dataclass(frozen=True)
class VariantTable:
    """The variants of a difficulty as columns, with what each does to the chain; S steps, V variants."""

    entity: np.ndarray  # (V,) int64
    measure: np.ndarray  # (V,) int64, row of the measures that holds the entity's value
    family: np.ndarray  # (V,) int64
    sign: np.ndarray  # (V,) float64
    low: np.ndarray  # (V,) float64
    span: np.ndarray  # (V,) float64, high - low
    limits: ThresholdTable  # columns (V,)
    alone: np.ndarray  # (V,) int64, the one inner step whose count changes with its neighbours staying, or 0
    scaled: np.ndarray  # (V, S) bool, counts that the factor of a variant with one link multiplies
    least: np.ndarray  # (V,) float64, bounds of that factor
    most: np.ndarray  # (V,) float64
    margin: np.ndarray  # (V,) float64, thresholds from the twin's median that the planned cell must reach
    several: np.ndarray  # (V,) bool, whether the variant multiplies more than one link
    elastic: np.ndarray  # (V,) bool, whether its size may grow
    links: np.ndarray  # (V, S-1) bool, the step rates that it multiplies
    ceiling: np.ndarray  # (S-1,) float64, largest factor of each step rate
    start: np.ndarray  # (7,) int64, first variant of each family
    count: np.ndarray  # (7,) int64, variants of each family
    families: np.ndarray  # families that have a variant


def chain_bounds(config: GeneratorConfig, difficulty: Difficulty) -> tuple[np.ndarray, np.ndarray]:
    """(S,) largest factor that keeps each hourly rate at most 1, and (S,) least factor of a lone count.

    A count on its own may fall only as far as the step after it, at that step's largest hourly rate.
    """
    peaks = np.array([step.rate * (1 + config.noise_of(step, difficulty)) for step in config.steps])
    ceiling = np.concatenate([[np.inf], 1.0 / peaks])
    floor = np.concatenate([[TRAFFIC_FLOOR], peaks[1:], [TRAFFIC_FLOOR]])
    return ceiling, floor


def nominal_measures(config: GeneratorConfig) -> np.ndarray:
    """(M,) the measures of a mean day, from the configured rates."""
    catalogue = config.catalogue
    middle = config.base_daily_count * (1 + config.trend_per_day * (config.num_days - 1) / 2)
    rates = np.array([step.rate for step in config.steps])
    counts = middle * np.concatenate([[1.0], np.cumprod(rates)])
    weights = np.array(config.hourly_weights)
    out = np.zeros(catalogue.num_measures)
    out[: len(counts)] = counts
    out[len(counts) : catalogue.share_row] = [
        *(100.0 * rates),
        *(100.0 * counts[num] / counts[den] for den, num in (catalogue.spans[i] for i in catalogue.skipping)),
    ]
    out[catalogue.share_row] = weights[DAYTIME_HOURS.start : DAYTIME_HOURS.stop].sum() / weights.sum()
    return out


def step_thresholds(difficulty: Difficulty, step_rates: np.ndarray) -> np.ndarray:
    """Detection threshold in points of step rates given in percent, whether or not each is a conversion entity."""
    return np.minimum(step_rates * RATE_THRESHOLD_SHARE[difficulty], RATE_THRESHOLD_POINTS[difficulty])


def feasible_variants(config: GeneratorConfig, difficulty: Difficulty) -> list[Variant]:
    """Every (family, entity, direction) that the bounds of the funnel allow and that has a signature of its own.

    A count of the last step is left out: with no rate after it, it looks like a change of its rate.
    """
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    nominal = nominal_measures(config)
    limits = thresholds(catalogue, difficulty, nominal)
    low, high = SIZES[difficulty]
    ceiling, lone_floor = chain_bounds(config, difficulty)
    rates = nominal[steps : 2 * steps - 1]
    step_limits = step_thresholds(difficulty, rates)
    found: list[Variant] = []

    def offer(family: str, entity: int, sign: int, least: float, most: float) -> None:
        if most >= least:
            found.append(Variant(FAMILY_INDEX[family], entity, sign, least, most))

    for entity in catalogue.entities:
        i, kind = entity.index, entity.entity_type
        if kind == "event_count" and i < steps - 1:
            unit = nominal[i] / limits[i]
            down = (1.0 - lone_floor[i]) * unit
            up = (ceiling[i] - 1.0) * unit
            offer(anomaly_type(kind, -1), i, -1, low, min(high, down))
            offer(anomaly_type(kind, +1), i, +1, low, min(high, up))
        elif kind == "conversion_rate":
            denominator, numerator = catalogue.spans[i - steps]
            inside = np.arange(denominator, numerator)  # positions among the step rates
            room_up = ((ceiling[1:] - 1.0) * rates / step_limits)[inside]
            room_down = RATE_SIZE_LIMIT * rates[inside] / step_limits[inside]
            least, most = (low, high) if len(inside) == 1 else SKIPPING_SHARE
            offer(anomaly_type(kind, -1), i, -1, least, min(most, float(room_down.min())))
            offer(anomaly_type(kind, +1), i, +1, least, min(most, float(np.minimum(room_up, room_down).min())))
        elif kind == "funnel_step":
            offer("funnel_break", i, -1, *FUNNEL_BREAK_KEEP[difficulty])
        elif kind == "hourly_mix":
            weights = np.array(config.hourly_weights) / sum(config.hourly_weights)
            day, night = weights[SHIFT_DAY_HOURS].sum(), sum(weights[part].sum() for part in SHIFT_NIGHT_HOURS)
            if min(day, night) < SHIFT_LEAST:
                continue
            for sign, leaving in ((-1, day), (+1, night)):
                most = SHIFT_LIMIT * leaving / limits[i]
                offer("hourly_traffic_mix_shift", i, sign, low, min(high, most))
        elif kind == "data_quality":
            size = IMPOSSIBLE_EXCESS[difficulty]
            offer("instrumentation_data_quality_issue", i, +1, size, size)
    return sorted(found)


def variant_table(config: GeneratorConfig, difficulty: Difficulty) -> VariantTable:
    """The feasible variants of a configuration, as columns."""
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    variants = feasible_variants(config, difficulty)
    ceiling, alone_floor = chain_bounds(config, difficulty)
    entity = np.array([v.entity for v in variants])
    family = np.array([v.family for v in variants])
    count = np.bincount(family, minlength=len(ANOMALY_TYPES))
    touches = np.zeros((len(variants), steps), bool)
    scaled = np.zeros((len(variants), steps), bool)
    alone = np.zeros(len(variants), np.int64)
    least, most = np.full(len(variants), -np.inf), np.full(len(variants), np.inf)
    for row, variant in enumerate(variants):
        links, alone[row] = links_of(config, variant.entity)
        if variant.family == QUALITY_FAMILY:
            least[row] = most[row] = 1.0
            continue
        touches[row, links] = True
        if len(links) == 1:
            last = links[0] if alone[row] else steps - 1
            scaled[row, links[0] : last + 1] = True
            least[row] = alone_floor[links[0]] if alone[row] else TRAFFIC_FLOOR
            most[row] = ceiling[links[0]]
    several = touches.sum(axis=1) > 1
    return VariantTable(
        entity=entity,
        measure=catalogue.measure_of_entity[entity],
        family=family,
        sign=np.array([float(v.sign) for v in variants]),
        low=np.array([v.low for v in variants]),
        span=np.array([v.high - v.low for v in variants]),
        limits=threshold_table(catalogue, difficulty).rows(entity),
        alone=alone,
        scaled=scaled,
        least=least,
        most=most,
        margin=np.where(family == QUALITY_FAMILY, -np.inf, PLAN_MARGIN),
        several=several,
        elastic=~several & (family != FUNNEL_FAMILY) & (family != QUALITY_FAMILY),
        links=touches[:, 1:],
        ceiling=ceiling[1:],
        start=np.concatenate([[0], np.cumsum(count)[:-1]]),
        count=count,
        families=np.flatnonzero(count),
    )


def links_of(config: GeneratorConfig, entity: int) -> tuple[list[int], int]:
    """Links of the chain that an incident of this entity multiplies, and its lone step if it is an inner count."""
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    kind = catalogue.entities[entity].entity_type
    if kind == "event_count":
        return [entity], entity
    if kind == "conversion_rate":
        denominator, numerator = catalogue.spans[entity - steps]
        return list(range(denominator + 1, numerator + 1)), 0
    if kind in {"funnel_step", "data_quality"}:
        return [1 + entity - catalogue.slices[kind].start], 0
    return [], 0


@dataclass
class Plan:
    """The incidents of B episodes, K places each."""

    active: np.ndarray  # (B, K) bool
    day: np.ndarray  # (B, K) int64
    entity: np.ndarray  # (B, K) int64
    family: np.ndarray  # (B, K) int64
    sign: np.ndarray  # (B, K) float64
    size: np.ndarray  # (B, K) float64, see PlannedAnomaly.size
    factor: np.ndarray  # (B, K, S) float64, what each step's count is multiplied by
    alone: np.ndarray  # (B, K) int64, see VariantTable.alone
    hours: np.ndarray  # (B, K, H) uint16, random ranks of the hours, for impossible counts

    @classmethod
    def empty(cls, episodes: int, places: int, steps: int) -> Plan:
        """A plan with no active incident."""
        shape = (episodes, places)
        return cls(
            active=np.zeros(shape, bool),
            day=np.full(shape, -1, np.int64),
            entity=np.zeros(shape, np.int64),
            family=np.zeros(shape, np.int64),
            sign=np.ones(shape),
            size=np.zeros(shape),
            factor=np.ones((*shape, steps)),
            alone=np.zeros(shape, np.int64),
            hours=np.zeros((*shape, HOURS_PER_DAY), np.uint16),
        )

    def take(self, episodes: np.ndarray) -> Plan:
        """The plan of some episodes."""
        return Plan(*(getattr(self, field.name)[episodes] for field in fields(self)))

    def put(self, episodes: np.ndarray, part: Plan) -> None:
        """Replace the plan of some episodes."""
        for field in fields(self):
            getattr(self, field.name)[episodes] = getattr(part, field.name)


class Planner:
    """Draws plans for a batch and draws single incidents again, each episode from its own stream."""

    def __init__(self, config: GeneratorConfig, episode: EpisodeConfig) -> None:
        self.config, self.episode = config, episode
        self.table = variant_table(config, episode.difficulty)
        wanted = (
            self.table.families
            if episode.scenario_family == "mixed"
            else np.array([FAMILY_INDEX[episode.scenario_family]])
        )
        if not self.table.count[wanted].all():
            raise GenerationError(
                f"scenario_family: {episode.scenario_family!r} has no entity that this funnel can carry at "
                f"difficulty {episode.difficulty!r}; possible: {[ANOMALY_TYPES[i] for i in self.table.families]}"
            )
        self.wanted = wanted
        self.low, self.high = episode.count_range
        self.candidates = np.array(config.candidate_days)

    def draw(self, keys: np.ndarray, twin: np.ndarray) -> tuple[Plan, np.ndarray]:
        """Plan a batch: (B,) keys and (M, B, D) measures of the clean twin -> plan, and (B, K) redraws used."""
        episodes, places = len(keys), self.high
        plan = Plan.empty(episodes, places, self.config.catalogue.num_steps)
        draws = rng.uniforms(keys, Stream.PLAN, 1 + 4 * places)
        number = self.low + (draws[0] * (self.high - self.low + 1)).astype(np.int64)
        np.less(np.arange(places), number[:, None], out=plan.active)
        plan.day[:] = np.where(plan.active, self._distinct_days(draws[1 : 1 + places]), -1)
        spot = np.flatnonzero(plan.active)
        draws = draws[1 + places :].reshape(3, places, episodes).transpose(0, 2, 1).reshape(3, -1)[:, spot]
        family = self.wanted[(draws[0] * len(self.wanted)).astype(np.int64)]
        plan.family.reshape(-1)[spot] = family
        proposed = self._propose(twin, spot // places, plan.day.reshape(-1)[spot], family, draws[1], draws[2])
        self._accept(keys, plan, spot, np.zeros_like(spot), proposed)
        attempts = np.zeros((episodes, places), np.int64)
        self._retry(keys, twin, plan, attempts, spot[~proposed.fits])
        return plan, attempts

    def _distinct_days(self, draws: np.ndarray) -> np.ndarray:
        """(K, B) draws in [0, 1) -> (B, K) candidate days without replacement: the first places of a shuffle."""
        places, episodes = draws.shape
        size = len(self.candidates)
        days = np.tile(self.candidates, episodes)
        first = np.arange(0, episodes * size, size)
        chosen = np.empty((episodes, places), np.int64)
        for place in range(places):
            pick = first + (draws[place] * (size - place)).astype(np.int64)
            chosen[:, place] = days[pick]
            days[pick] = days[first]
            first += 1
        return chosen

    def redraw(self, keys: np.ndarray, twin: np.ndarray, plan: Plan, attempts: np.ndarray, failed: np.ndarray) -> None:
        """Draw entity, date and size of the ``failed`` (B, K) incidents again; their families stay."""
        self._retry(keys, twin, plan, attempts, np.flatnonzero(failed))

    def _retry(self, keys: np.ndarray, twin: np.ndarray, plan: Plan, attempts: np.ndarray, spot: np.ndarray) -> None:
        """Draw the incidents at ``spot``, (n,) places in the flat (B, K) plan, until they fit on dates of their own.

        Of the next ``RETRIES`` draws of an incident the first that fits is taken.
        """
        places, days = self.high, self.config.num_days
        while len(spot):
            lane, attempt = spot // places, attempts.reshape(-1)[spot]
            family = plan.family.reshape(-1)[spot]
            if attempt.max() >= MAX_ATTEMPTS:
                raise GenerationError(
                    f"scenario_family {ANOMALY_TYPES[family[attempt.argmax()]]!r} with anomaly_count "
                    f"{self.episode.anomaly_count}: no date and entity passed in {MAX_ATTEMPTS} draws; "
                    "ask for fewer anomalies or less noise"
                )
            attempts.reshape(-1)[spot] = attempt + RETRIES
            plan.day.reshape(-1)[spot] = -1
            turn = np.repeat(attempt, RETRIES) + np.tile(np.arange(RETRIES), len(spot))
            lanes = np.repeat(lane, RETRIES)
            start = (turn * places + np.repeat(spot - lane * places, RETRIES)) * WORDS_PER_DRAW
            unit = rng.unit(rng.words_at(keys[lanes], Stream.REDRAW, start, WORDS_PER_DRAW))
            day = self.candidates[(unit[0] * len(self.candidates)).astype(np.int64)]
            stretch = 1.0 + STRETCH * np.maximum(turn - STRETCH_AFTER, 0)
            proposed = self._propose(twin, lanes, day, np.repeat(family, RETRIES), unit[1], unit[2], stretch)
            free = (plan.day[lanes] != day[:, None]).all(axis=1)
            fits = (proposed.fits & free).reshape(-1, RETRIES)
            chosen = np.arange(len(spot)) * RETRIES + fits.argmax(axis=1)
            # Two incidents of an episode may choose one date: the first keeps it.
            cell = np.where(fits.any(axis=1), lane * days + day[chosen], -1 - np.arange(len(spot)))
            done = np.zeros(len(spot), bool)
            done[np.unique(cell, return_index=True)[1]] = True
            done &= cell >= 0
            chosen = chosen[done]
            self._accept(keys, plan, spot[done], 1 + turn[chosen], proposed.take(chosen))
            spot = spot[~done]

    def _propose(
        self,
        twin: np.ndarray,
        lane: np.ndarray,
        day: np.ndarray,
        family: np.ndarray,
        variant_draw: np.ndarray,
        size_draw: np.ndarray,
        stretch: np.ndarray | float = 1.0,
    ) -> Proposals:
        """Work out n incidents: the factors of a move of ``size`` thresholds from the twin's own value."""
        table = self.table
        _, episodes, days = twin.shape
        variant = table.start.take(family) + (variant_draw * table.count.take(family)).astype(np.int64)
        size = table.low.take(variant) + size_draw * table.span.take(variant)
        size *= np.where(table.elastic.take(variant), stretch, 1.0)
        sign = table.sign.take(variant)
        series = twin.reshape(-1, days)
        row = table.measure.take(variant) * episodes + lane
        value = series.reshape(-1).take(row * days + day)
        median = median_of_sorted(np.sort(series.take(row, axis=0), axis=-1))
        limit = table.limits.rows(variant).of(median)

        factor = np.where(family == FUNNEL_FAMILY, size, 1.0 + sign * size * (limit / np.maximum(value, 1e-9)))
        factor = np.minimum(np.maximum(factor, table.least.take(variant)), table.most.take(variant))
        factors = np.where(table.scaled.take(variant, axis=0), factor[:, None], 1.0)
        several = np.flatnonzero(table.several.take(variant))
        if len(several):
            chain = self._common_share(twin, lane[several], day[several], variant[several], (sign * size)[several])
            factors[several, 1:] = chain
            factor[several] = chain[:, -1]
        reach = sign * (value * factor - median) / limit
        return Proposals(day, variant, size, factors, reach >= table.margin.take(variant))

    def _common_share(
        self, twin: np.ndarray, lane: np.ndarray, day: np.ndarray, variant: np.ndarray, share: np.ndarray
    ) -> np.ndarray:
        """(n, S-1) factors of the counts when each step rate of a variant moves by a share of its own threshold."""
        table, steps = self.table, self.config.catalogue.num_steps
        _, episodes, days = twin.shape
        series = twin.reshape(-1, days)
        row = np.arange(steps, 2 * steps - 1) * episodes + lane[:, None]
        rates = series.reshape(-1)[row * days + day[:, None]]
        medians = median_of_sorted(np.sort(series.take(row, axis=0), axis=-1))
        limits = step_thresholds(self.episode.difficulty, medians)
        link = 1.0 + share[:, None] * (limits / np.maximum(rates, 1e-9))
        link = np.minimum(np.maximum(link, TRAFFIC_FLOOR), table.ceiling)
        return np.multiply.accumulate(np.where(table.links[variant], link, 1.0), axis=1)

    def _accept(self, keys: np.ndarray, plan: Plan, spot: np.ndarray, attempt: np.ndarray, chosen: Proposals) -> None:
        """Write proposals into the flat places ``spot`` of the plan."""
        table, variant = self.table, chosen.variant
        plan.day.reshape(-1)[spot] = chosen.day
        plan.entity.reshape(-1)[spot] = table.entity.take(variant)
        plan.sign.reshape(-1)[spot] = table.sign.take(variant)
        plan.size.reshape(-1)[spot] = chosen.size
        plan.alone.reshape(-1)[spot] = table.alone.take(variant)
        plan.factor.reshape(-1, plan.factor.shape[-1])[spot] = chosen.factors
        impossible = np.flatnonzero(table.family.take(variant) == QUALITY_FAMILY)
        if len(impossible):
            spot, attempt = spot[impossible], attempt[impossible]
            lane = spot // self.high
            start = (attempt * self.high + spot - lane * self.high) * RANK_WORDS
            ranks = rng.words_at(keys[lane], Stream.RANKS, start, RANK_WORDS).T.copy()
            plan.hours.reshape(-1, HOURS_PER_DAY)[spot] = ranks.astype("<u8", copy=False).view("<u2")


class Proposals(NamedTuple):
    """n incidents as drawn, and whether each would be flagged beside the twin's median."""

    day: np.ndarray  # (n,) int64
    variant: np.ndarray  # (n,) int64
    size: np.ndarray  # (n,) float64
    factors: np.ndarray  # (n, S) float64, of the counts
    fits: np.ndarray  # (n,) bool

    def take(self, chosen: np.ndarray) -> Proposals:
        """Those at (m,) positions."""
        return Proposals(*(a[chosen] for a in self))
