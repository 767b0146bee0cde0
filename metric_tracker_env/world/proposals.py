"""What a variant would do to a date: the factors of a move of some thresholds, and whether it would be confirmed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import median_of_sorted, step_thresholds
from metric_tracker_env.schema import Difficulty
from metric_tracker_env.world.variants import FUNNEL_FAMILY, TRAFFIC_FLOOR, variant_table


class Targets(NamedTuple):
    """n moves as drawn, and what they are measured by in their episodes."""

    lane: np.ndarray  # (n,) int64 episode
    variant: np.ndarray  # (n,) int64
    size: np.ndarray  # (n,) float64, see PlannedAnomaly.size
    median: np.ndarray  # (n,) float64, of the entity's value
    limit: np.ndarray  # (n,) float64, its detection threshold

    def take(self, rows: np.ndarray) -> Targets:
        """Those at (m,) positions."""
        return Targets(*(a[rows] for a in self))


class Proposals(NamedTuple):
    """n moves, each on T dates."""

    value: np.ndarray  # (n, T) float64, the entity's value before the move
    own: np.ndarray  # (n, T) float64, factor of that value
    fits: np.ndarray  # (n, T) bool, whether it would be flagged beside the median
    several: np.ndarray  # (m,) int64, which of the n multiply more than one link
    chain: np.ndarray  # (m, T, S-1) float64, their factors of the counts after the first

    def take(self, rows: np.ndarray) -> Proposals:
        """Those at positions."""
        place = np.full(len(self.own), -1)
        place[rows] = np.arange(len(rows))
        several = place[self.several]
        kept = several >= 0
        return Proposals(self.value[rows], self.own[rows], self.fits[rows], several[kept], self.chain[kept])


class Proposer:
    """Works out moves of the variants of one funnel and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = config
        self.difficulty: Difficulty = difficulty
        self.table = variant_table(config, difficulty)

    def draw(
        self, family: np.ndarray, variant_draw: np.ndarray, size_draw: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Variants of (n,) families, and sizes, from draws in [0, 1): (n,) int64 and (n,) float64."""
        table = self.table
        variant = table.start.take(family) + (variant_draw * table.count.take(family)).astype(np.int64)
        return variant, table.low.take(variant) + size_draw * table.span.take(variant)

    def targets(self, base: np.ndarray, lane: np.ndarray, variant: np.ndarray, size: np.ndarray) -> Targets:
        """Moves in (n,) episodes of the data that (M, B, D) measures ``base`` are of."""
        table = self.table
        row = table.measure.take(variant) * base.shape[1] + lane
        median = median_of_sorted(np.sort(base.reshape(-1, base.shape[2]).take(row, axis=0), axis=-1))
        return Targets(lane, variant, size, median, table.limits.rows(variant).of(median))

    def propose(self, base: np.ndarray, targets: Targets, day: np.ndarray) -> Proposals:
        """Work out n moves on T dates each: (M, B, D) measures and (n, T) days."""
        table = self.table
        _, episodes, days = base.shape
        lane, variant, size, median, limit = targets
        row = table.measure.take(variant) * episodes + lane
        value = base.reshape(-1).take((row * days)[:, None] + day)
        sign = table.sign.take(variant)
        move = (sign * size)[:, None]
        factor = 1.0 + move * (limit[:, None] / np.maximum(value, 1e-9))
        broken = np.flatnonzero(table.family.take(variant) == FUNNEL_FAMILY)
        factor[broken] = size[broken, None]
        np.maximum(factor, table.least.take(variant)[:, None], out=factor)
        np.minimum(factor, table.most.take(variant)[:, None], out=factor)
        several = np.flatnonzero(table.several.take(variant))
        chain = np.empty((0, day.shape[1], self.config.catalogue.num_steps - 1))
        if len(several):
            chain = self._common_share(base, lane[several], day[several], variant[several], move[several])
            factor[several] = chain[..., -1]
        reach = value * factor
        reach -= median[:, None]
        reach *= sign[:, None]
        reach /= limit[:, None]
        return Proposals(value, factor, reach >= table.margin.take(variant)[:, None], several, chain)

    def factors(self, targets: Targets, proposed: Proposals) -> np.ndarray:
        """(n, T, S) float64 factors of the counts."""
        factors = np.where(self.table.scaled.take(targets.variant, axis=0)[:, None], proposed.own[..., None], 1.0)
        factors[proposed.several, :, 1:] = proposed.chain
        return factors

    def _common_share(
        self, base: np.ndarray, lane: np.ndarray, day: np.ndarray, variant: np.ndarray, share: np.ndarray
    ) -> np.ndarray:
        """(n, T, S-1) factors of the counts when each step rate of a variant moves by a share of its own threshold."""
        rates, medians = self._rates(base, lane, day)
        limits = step_thresholds(self.config.catalogue, self.difficulty, medians)
        link = 1.0 + share[..., None] * (limits[:, None] / np.maximum(rates, 1e-9))
        link = np.minimum(np.maximum(link, TRAFFIC_FLOOR), self.table.ceiling)
        return np.multiply.accumulate(np.where(self.table.links[variant][:, None], link, 1.0), axis=2)

    def bearable(self, base: np.ndarray, targets: Targets, day: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """(n, T) bool: whether (n, T) days that were moved already can carry (n, T, S) factors as well."""
        rates, medians = self._rates(base, targets.lane, day)
        link = factors[..., 1:] / factors[..., :-1]
        return np.all(rates * link <= medians[:, None] * self.table.ceiling, axis=2)

    def _rates(self, base: np.ndarray, lane: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, T, S-1) step rates of dates, and their (n, S-1) medians."""
        steps = self.config.catalogue.num_steps
        _, episodes, days = base.shape
        series = base.reshape(-1, days)
        row = np.arange(steps, 2 * steps - 1) * episodes + lane[:, None]
        rates = series.reshape(-1).take((row * days)[:, None] + day[..., None])
        return rates, median_of_sorted(np.sort(series.take(row, axis=0), axis=-1))
