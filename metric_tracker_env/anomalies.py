"""Incidents: which can be told apart, how large they are, where they fall, and what they do to the counts.

An incident multiplies the chain (traffic, step rates) of one date. A *variant* is one kind of incident:
family, entity and direction. A *plan* holds the incidents of a batch as (B, K) arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from metric_tracker_env import rng
from metric_tracker_env.config import FIRST_CANDIDATE_DAY, LAST_CLEAN_DAYS, EpisodeConfig, GeneratorConfig, check_fits
from metric_tracker_env.measure import (
    DAYTIME_HOURS,
    RATE_THRESHOLD_POINTS,
    RATE_THRESHOLD_SHARE,
    Deviations,
    anomaly_type,
    thresholds,
)
from metric_tracker_env.rng import Stream
from metric_tracker_env.schema import ANOMALY_TYPES, HOURS_PER_DAY, Catalogue, Difficulty

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
SHIFT_DAY_HOURS = list(range(9, 19))
SHIFT_NIGHT_HOURS = [21, 22, 23, 0, 1, 2, 3, 4]
SHIFT_LIMIT = 0.9  # most of the traffic of the hours it leaves that a mix shift may take
TRAFFIC_FLOOR = 0.05  # least share of its traffic that a drop leaves
PLAN_MARGIN = 1.08  # thresholds from the twin's median that a planned cell must reach
MAX_ATTEMPTS = 400

DRAWS_PER_INCIDENT = 3 + HOURS_PER_DAY // rng.DRAWS_PER_WORD  # date, variant, size, and 24 hour ranks
FAMILY_INDEX: dict[str, int] = {name: i for i, name in enumerate(ANOMALY_TYPES)}
FUNNEL_FAMILY = FAMILY_INDEX["funnel_break"]
MIX_FAMILY = FAMILY_INDEX["hourly_traffic_mix_shift"]
QUALITY_FAMILY = FAMILY_INDEX["instrumentation_data_quality_issue"]


class GenerationError(ValueError):
    """An episode cannot be made as asked."""


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
    family: np.ndarray  # (V,) int64
    sign: np.ndarray  # (V,) float64
    low: np.ndarray  # (V,) float64
    span: np.ndarray  # (V,) float64, high - low
    touches: np.ndarray  # (V, S) bool, links of the chain (traffic, r1, ...) that the variant multiplies
    alone: np.ndarray  # (V,) int64, the one inner step whose count changes with its neighbours staying, or 0
    floor: np.ndarray  # (S,) float64, least factor of each link
    ceiling: np.ndarray  # (S,) float64, largest factor of each link
    alone_floor: np.ndarray  # (S,) float64, least factor of a lone count
    start: np.ndarray  # (7,) int64, first variant of each family
    count: np.ndarray  # (7,) int64, variants of each family
    families: np.ndarray  # families that have a variant
    numerator: np.ndarray  # (E,) int64, step whose count is the entity's value or its numerator
    denominator: np.ndarray  # (E,) int64, step of the denominator, or -1


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
            for sign, hours in ((-1, SHIFT_DAY_HOURS), (+1, SHIFT_NIGHT_HOURS)):
                most = SHIFT_LIMIT * weights[hours].sum() / limits[i]
                offer("hourly_traffic_mix_shift", i, sign, low, min(high, most))
        elif kind == "data_quality":
            size = IMPOSSIBLE_EXCESS[difficulty]
            offer("instrumentation_data_quality_issue", i, +1, size, size)
    return sorted(found)


@lru_cache(maxsize=64)
def variant_table(config: GeneratorConfig, difficulty: Difficulty) -> VariantTable:
    """The feasible variants of a configuration, as columns."""
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    variants = feasible_variants(config, difficulty)
    touches = np.zeros((len(variants), steps), bool)
    alone = np.zeros(len(variants), np.int64)
    for row, variant in enumerate(variants):
        links, alone[row] = links_of(config, variant.entity)
        touches[row, links] = True
    ceiling, alone_floor = chain_bounds(config, difficulty)
    ends = entity_ends(catalogue)
    family = np.array([v.family for v in variants])
    count = np.bincount(family, minlength=len(ANOMALY_TYPES))
    return VariantTable(
        entity=np.array([v.entity for v in variants]),
        family=family,
        sign=np.array([float(v.sign) for v in variants]),
        low=np.array([v.low for v in variants]),
        span=np.array([v.high - v.low for v in variants]),
        touches=touches,
        alone=alone,
        floor=np.full(catalogue.num_steps, TRAFFIC_FLOOR),
        ceiling=ceiling,
        alone_floor=alone_floor,
        start=np.concatenate([[0], np.cumsum(count)[:-1]]),
        count=count,
        families=np.flatnonzero(count),
        numerator=ends[:, 0],
        denominator=ends[:, 1],
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
    hours: np.ndarray  # (B, K, H) uint16, random ranks of the hours

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
        check_fits(config, episode)
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
        self.candidates = np.arange(FIRST_CANDIDATE_DAY, config.num_days - LAST_CLEAN_DAYS)

    def draw(self, keys: np.ndarray, twin: Deviations) -> tuple[Plan, np.ndarray]:
        """Plan a batch: (B,) keys and the clean twin -> plan, and (B, K) attempts used."""
        episodes, places = len(keys), self.high
        plan = Plan.empty(episodes, places, self.config.catalogue.num_steps)
        candidates = len(self.candidates)
        words = rng.words(keys, Stream.PLAN, 1 + candidates + places)
        draws = rng.unit(words[: 1 + places]).T
        number = self.low + (draws[:, 0] * (self.high - self.low + 1)).astype(np.int64)
        plan.active[:] = np.arange(places) < number[:, None]
        order = np.argsort(words[1 + places :].T.copy(), axis=1)[:, :places]
        plan.day[:] = np.where(plan.active, self.candidates[order], -1)
        plan.family[:] = self.wanted[(draws[:, 1:] * len(self.wanted)).astype(np.int64)]
        attempts = np.zeros((episodes, places), np.int64)
        self._draw_until_fit(keys, twin, plan, attempts, plan.active.copy(), keep_days=True)
        return plan, attempts

    def redraw(
        self, keys: np.ndarray, twin: Deviations, plan: Plan, attempts: np.ndarray, failed: np.ndarray
    ) -> None:
        """Draw entity, date and size of the ``failed`` (B, K) incidents again; their families stay."""
        self._draw_until_fit(keys, twin, plan, attempts, failed, keep_days=False)

    def _draw_until_fit(
        self,
        keys: np.ndarray,
        twin: Deviations,
        plan: Plan,
        attempts: np.ndarray,
        failed: np.ndarray,
        keep_days: bool,
    ) -> None:
        """Propose incidents until each reaches its threshold on the twin on a date of its own."""
        lane, place = np.nonzero(failed)
        while len(lane):
            attempt = attempts[lane, place]
            if attempt.max() >= MAX_ATTEMPTS:
                stuck = ANOMALY_TYPES[plan.family[lane, place][attempt.argmax()]]
                raise GenerationError(
                    f"scenario_family {stuck!r} with anomaly_count {self.episode.anomaly_count}: no date and entity "
                    f"passed in {MAX_ATTEMPTS} draws; ask for fewer anomalies or less noise"
                )
            attempts[lane, place] = attempt + 1
            first = (attempt * plan.active.shape[1] + place) * DRAWS_PER_INCIDENT
            draws = self._incident_words(keys[lane], first)
            unit = rng.unit(draws[:3])
            if not keep_days:
                plan.day[lane, place] = self.candidates[(unit[0] * len(self.candidates)).astype(np.int64)]
            variant = self.table.start[plan.family[lane, place]]
            variant = variant + (unit[1] * self.table.count[plan.family[lane, place]]).astype(np.int64)
            size = self.table.low[variant] + unit[2] * self.table.span[variant]
            plan.hours[lane, place] = draws[3:].T.copy().astype("<u8", copy=False).view("<u2")
            fits = self._propose(twin, plan, lane, place, variant, size)
            if not keep_days:
                shared = (plan.day[lane] == plan.day[lane, place][:, None]).sum(axis=1) > 1
                fits &= ~shared
            keep_days = False
            lane, place = lane[~fits], place[~fits]

    @staticmethod
    def _incident_words(keys: np.ndarray, first: np.ndarray) -> np.ndarray:
        """(DRAWS_PER_INCIDENT, n) words of the redraw stream from position ``first`` of each key on."""
        index = np.arange(1, DRAWS_PER_INCIDENT + 1, dtype=np.uint64)[:, None] + first.astype(np.uint64)
        index += np.uint64(Stream.REDRAW << rng.STREAM_SHIFT)
        return rng.mix(index * rng.GAMMA + keys)

    def _propose(
        self,
        twin: Deviations,
        plan: Plan,
        lane: np.ndarray,
        place: np.ndarray,
        variant: np.ndarray,
        size: np.ndarray,
    ) -> np.ndarray:
        """Write proposed incidents into the plan; (n,) bool: whether each would be flagged beside the twin's median."""
        table, catalogue = self.table, self.config.catalogue
        steps = catalogue.num_steps
        day, family, sign = plan.day[lane, place], table.family[variant], table.sign[variant]
        entity, alone = table.entity[variant], table.alone[variant]
        measure = catalogue.measure_of_entity[entity]
        value, median = twin.values[measure, lane, day], twin.medians[measure, lane]
        limit = twin.thresholds[entity, lane]

        # Factors of the chain's links: a move of `size` thresholds from the twin's own value.
        touched = table.touches[variant].T
        unit = np.empty((steps, len(lane)))
        unit[:] = limit / np.maximum(value, 1e-9)
        rates = twin.values[steps : 2 * steps - 1, lane, day]
        rate_limits = step_thresholds(self.episode.difficulty, twin.medians[steps : 2 * steps - 1, lane])
        skipping = touched.sum(axis=0) > 1
        unit[1:] = np.where(skipping, rate_limits / np.maximum(rates, 1e-9), unit[1:])
        link = np.where(family == FUNNEL_FAMILY, size, 1.0 + sign * size * unit)
        low = np.where((alone > 0) & touched, table.alone_floor[:, None], table.floor[:, None])
        link = np.minimum(np.maximum(link, low), table.ceiling[:, None])
        link = np.where(touched & (family != QUALITY_FAMILY), link, 1.0)
        factor = chain_factors(link, alone)

        # The cell's own value after the incident.
        numerator, denominator = table.numerator[entity], table.denominator[entity]
        column = np.arange(len(lane))
        moved = factor[numerator, column] / np.where(denominator >= 0, factor[denominator, column], 1.0)
        target = np.where(family == MIX_FAMILY, value + sign * size * limit, value * moved)
        reach = sign * (target - median) / limit
        fits = (reach >= PLAN_MARGIN) | (family == QUALITY_FAMILY)

        plan.entity[lane, place] = entity
        plan.sign[lane, place] = sign
        plan.size[lane, place] = size
        plan.alone[lane, place] = alone
        plan.factor[lane, place] = factor.T
        return fits


def entity_ends(catalogue: Catalogue) -> np.ndarray:
    """(E, 2) int64: numerator and denominator step of every entity's value, -1 where there is no denominator."""
    pairs = [(i, -1) for i in range(catalogue.num_steps)]
    pairs += [(num, den) for den, num in catalogue.spans]
    pairs += [(i, i - 1) for i in range(1, catalogue.num_steps)]
    pairs += [(0, -1)] * catalogue.num_steps
    return np.array(pairs, np.int64)


def chain_factors(link: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """(S, n) factors of the links -> (S, n) factors of the counts; a lone step leaves the steps below it."""
    factor = link.copy()
    for step in range(1, len(factor)):
        before = np.where((alone > 0) & (alone == step - 1), 1.0, factor[step - 1])
        factor[step] *= before
    return factor


def shift_hours(entry: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Move a share of the day's first-step events between day and night hours; the total stays.

    Args:
        entry: (H, n) first-step events.
        moved: (n,) share of the day's total to move, positive towards the day hours.

    Returns:
        (H, n) whole numbers with the same totals.
    """
    total = entry.sum(axis=0)
    day, night = entry[SHIFT_DAY_HOURS].sum(axis=0), entry[SHIFT_NIGHT_HOURS].sum(axis=0)
    amount = np.clip(moved * total, -SHIFT_LIMIT * day, SHIFT_LIMIT * night)
    out = entry.copy()
    out[SHIFT_DAY_HOURS] *= 1.0 + amount / np.maximum(day, 1.0)
    out[SHIFT_NIGHT_HOURS] *= 1.0 - amount / np.maximum(night, 1.0)
    for hour in range(1, HOURS_PER_DAY):
        out[hour] += out[hour - 1]
    out[-1] = total
    out = np.rint(out)
    out[1:] -= out[:-1].copy()
    return out


class Incidents(NamedTuple):
    """The hours that n incidents change; nothing is written to the planes yet."""

    row: np.ndarray  # (n,) int64, episode within the plan
    day: np.ndarray  # (n,) int64
    index: np.ndarray  # (S, H, n) int64, places in the flat planes
    counts: np.ndarray  # (S, H, n), events an hour after the incidents

    def of_lanes(self, chosen: np.ndarray) -> Incidents:
        """Those of the chosen (B,) bool episodes of the plan."""
        if chosen.all():
            return self
        kept = chosen[self.row]
        return Incidents(self.row[kept], self.day[kept], self.index[:, :, kept], self.counts[:, :, kept])

    def write(self, planes: np.ndarray) -> None:
        """Put the counts into C-contiguous planes (S, H, B, D)."""
        planes.reshape(-1)[self.index.reshape(-1)] = self.counts.reshape(-1)


def inject(
    config: GeneratorConfig,
    difficulty: Difficulty,
    planes: np.ndarray,
    plan: Plan,
    twin: Deviations,
    lanes: np.ndarray,
) -> Incidents:
    """What a plan makes of clean hourly planes (S, H, B, D), which stay as they are.

    Args:
        config: Funnel.
        difficulty: Sets the hours and sizes of impossible counts.
        planes: Clean counts.
        plan: Incidents of b <= B episodes.
        twin: Deviations of those b episodes without incidents.
        lanes: (b,) int64, where each episode of the plan is in the planes.
    """
    steps, hours, episodes, days = planes.shape
    row, place = np.nonzero(plan.active)
    day = plan.day[row, place]
    column = lanes[row] * days + day
    index = (np.arange(steps * hours)[:, None] * (episodes * days) + column).reshape(steps, hours, len(column))
    old = planes.reshape(-1).take(index)
    new = old * plan.factor[row, place].T.astype(planes.dtype)[:, None]
    np.rint(new, out=new)
    alone = plan.alone[row, place]
    for step in range(1, steps - 1):
        chosen = np.flatnonzero(alone == step)
        if len(chosen):  # rounding must not put a lone count below the step after it
            new[step][:, chosen] = np.maximum(new[step][:, chosen], old[step + 1][:, chosen])
    for step in range(1, steps):
        np.minimum(new[step], new[step - 1], out=new[step])

    family, entity, sign, size = (a[row, place] for a in (plan.family, plan.entity, plan.sign, plan.size))
    chosen = np.flatnonzero(family == MIX_FAMILY)
    if len(chosen):
        moved = (sign * size)[chosen] * twin.thresholds[entity[chosen], row[chosen]]
        before = old[:, :, chosen].astype(np.float64)
        after = before.copy()
        after[0] = shift_hours(before[0], moved)
        for step in range(1, steps):
            rate = before[step] / np.maximum(before[step - 1], 1.0)
            after[step] = np.minimum(np.rint(after[step - 1] * rate), after[step - 1])
        new[:, :, chosen] = after
    chosen = np.flatnonzero(family == QUALITY_FAMILY)
    if len(chosen):
        ranks = plan.hours[row, place][chosen]
        picked = np.argsort(ranks, axis=1, kind="stable")[:, : IMPOSSIBLE_HOURS[difficulty]]
        step = (1 + entity[chosen] - config.catalogue.slices["data_quality"].start)[:, None]
        upstream = new[step - 1, picked, chosen[:, None]]
        extra = np.maximum(np.rint(upstream * size[chosen][:, None].astype(planes.dtype)), 1.0)
        new[step, picked, chosen[:, None]] = upstream + extra
    return Incidents(row, day, index, new)
