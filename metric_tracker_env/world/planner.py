"""Where incidents fall: plans for a batch of episodes, drawn and drawn again, each episode from its own stream.

A *plan* holds the incidents of a batch as (B, K) arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig
from metric_tracker_env.measure import median_of_sorted
from metric_tracker_env.schema import ANOMALY_TYPES, HOURS_PER_DAY
from metric_tracker_env.world import rng
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import (
    FAMILY_INDEX,
    FUNNEL_FAMILY,
    QUALITY_FAMILY,
    TRAFFIC_FLOOR,
    step_thresholds,
    variant_table,
)

MAX_ATTEMPTS = 400
STRETCH_AFTER = 100  # draws after which sizes grow, for calendars whose free dates are all too busy for a drop
STRETCH = 0.01  # growth of the size a further draw

RETRIES = 8  # draws of a failed incident that are looked at together: one round of calls nearly always suffices
WORDS_PER_DRAW = 3  # date, variant, size
RANK_WORDS = HOURS_PER_DAY // rng.DRAWS_PER_WORD  # ranks of 24 hours


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


def hour_ranks(keys: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(n, H) uint16 random ranks of the hours: (n,) keys, and (n,) int64 which of a key's rankings each is."""
    words = rng.words_at(keys, Stream.RANKS, turn * RANK_WORDS, RANK_WORDS).T.copy()
    return words.astype("<u8", copy=False).view("<u2")


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

        Draws come in rounds of ``RETRIES`` for each incident that is left; the first that fits is taken. Rounds are
        looked at several together, ever more: the few incidents that need many are not worth the calls for each.
        """
        places, days, rounds = self.high, self.config.num_days, 1
        while len(spot):
            lane, attempt = spot // places, attempts.reshape(-1)[spot]
            family = plan.family.reshape(-1)[spot]
            if attempt.max() >= MAX_ATTEMPTS:
                raise GenerationError(
                    f"scenario_family {ANOMALY_TYPES[family[attempt.argmax()]]!r} with anomaly_count "
                    f"{self.episode.anomaly_count}: no date and entity passed in {MAX_ATTEMPTS} draws; "
                    "ask for fewer anomalies or less noise"
                )
            plan.day.reshape(-1)[spot] = -1
            rounds = min(rounds, -(-(MAX_ATTEMPTS - int(attempt.max())) // RETRIES))
            looked = rounds * RETRIES
            turn = np.repeat(attempt, looked) + np.tile(np.arange(looked), len(spot))
            lanes = np.repeat(lane, looked)
            start = (turn * places + np.repeat(spot - lane * places, looked)) * WORDS_PER_DRAW
            unit = rng.unit(rng.words_at(keys[lanes], Stream.REDRAW, start, WORDS_PER_DRAW))
            day = self.candidates[(unit[0] * len(self.candidates)).astype(np.int64)]
            stretch = 1.0 + STRETCH * np.maximum(turn - STRETCH_AFTER, 0)
            proposed = self._propose(twin, lanes, day, np.repeat(family, looked), unit[1], unit[2], stretch)
            free = (plan.day[lanes] != day[:, None]).all(axis=1)
            fits = (proposed.fits & free).reshape(-1, looked)
            first = fits.argmax(axis=1)
            # An episode's first round with a fit is its last here: what is taken there is free no longer.
            its_round = np.where(fits.any(axis=1), first // RETRIES, rounds)
            last = np.full(len(keys), rounds - 1)
            np.minimum.at(last, lane, its_round)
            attempts.reshape(-1)[spot] = attempt + (last[lane] + 1) * RETRIES
            chosen = np.arange(len(spot)) * looked + first
            # Two incidents of an episode may choose one date: the first keeps it.
            cell = np.where(its_round == last[lane], lane * days + day[chosen], -1 - np.arange(len(spot)))
            done = np.zeros(len(spot), bool)
            done[np.unique(cell, return_index=True)[1]] = True
            done &= cell >= 0
            chosen = chosen[done]
            self._accept(keys, plan, spot[done], 1 + turn[chosen], proposed.take(chosen))
            spot = spot[~done]
            rounds *= 2

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
            turn = attempt * self.high + spot - lane * self.high
            plan.hours.reshape(-1, HOURS_PER_DAY)[spot] = hour_ranks(keys[lane], turn)


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
