"""What a variant would do to a date: the factors of a move of some thresholds, and whether it would be confirmed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.measure import median_of_sorted
from metric_tracker_env.schema import Difficulty
from metric_tracker_env.world.variants import FUNNEL_FAMILY, TRAFFIC_FLOOR, step_thresholds, variant_table


class Proposals(NamedTuple):
    """n moves as drawn, each on T dates."""

    factors: np.ndarray  # (n, T, S) float64, of the counts
    own: np.ndarray  # (n, T) float64, of the entity's own value
    relative: np.ndarray  # (n, T) float64, the entity's value before the move / its median
    fits: np.ndarray  # (n, T) bool, whether it would be flagged beside the median


class Proposer:
    """Works out moves of the variants of one funnel and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = config
        self.difficulty: Difficulty = difficulty
        self.table = variant_table(config, difficulty)

    def drawn(self, family: np.ndarray, variant_draw: np.ndarray, size_draw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variants of (n,) families, and sizes, from draws in [0, 1): (n,) int64 and (n,) float64."""
        table = self.table
        variant = table.start.take(family) + (variant_draw * table.count.take(family)).astype(np.int64)
        return variant, table.low.take(variant) + size_draw * table.span.take(variant)

    def propose(
        self, base: np.ndarray, lane: np.ndarray, variant: np.ndarray, size: np.ndarray, day: np.ndarray
    ) -> Proposals:
        """Work out n moves on T dates each.

        Args:
            base: (M, B, D) measures of the data that are moved.
            lane: (n,) int64.
            variant: (n,) int64.
            size: (n,) float64 thresholds, from the date's own value.
            day: (n, T) int64.
        """
        table = self.table
        _, episodes, days = base.shape
        sign = table.sign.take(variant)
        series = base.reshape(-1, days)
        row = table.measure.take(variant) * episodes + lane
        value = series.reshape(-1).take((row * days)[:, None] + day)
        median = median_of_sorted(np.sort(series.take(row, axis=0), axis=-1))
        limit = table.limits.rows(variant).of(median)

        move = (sign * size)[:, None]
        factor = 1.0 + move * (limit[:, None] / np.maximum(value, 1e-9))
        np.copyto(factor, size[:, None], where=(table.family.take(variant) == FUNNEL_FAMILY)[:, None])
        least, most = table.least.take(variant)[:, None], table.most.take(variant)[:, None]
        factor = np.minimum(np.maximum(factor, least), most)
        factors = np.where(table.scaled.take(variant, axis=0)[:, None], factor[..., None], 1.0)
        several = np.flatnonzero(table.several.take(variant))
        if len(several):
            chain = self._common_share(base, lane[several], day[several], variant[several], move[several])
            factors[several, :, 1:] = chain
            factor[several] = chain[..., -1]
        reach = sign[:, None] * (value * factor - median[:, None]) / limit[:, None]
        relative = value / np.maximum(median, 1e-9)[:, None]
        return Proposals(factors, factor, relative, reach >= table.margin.take(variant)[:, None])

    def _common_share(
        self, base: np.ndarray, lane: np.ndarray, day: np.ndarray, variant: np.ndarray, share: np.ndarray
    ) -> np.ndarray:
        """(n, T, S-1) factors of the counts when each step rate of a variant moves by a share of its own threshold."""
        rates, medians = self._rates(base, lane, day)
        limits = step_thresholds(self.difficulty, medians)
        link = 1.0 + share[..., None] * (limits[:, None] / np.maximum(rates, 1e-9))
        link = np.minimum(np.maximum(link, TRAFFIC_FLOOR), self.table.ceiling)
        return np.multiply.accumulate(np.where(self.table.links[variant][:, None], link, 1.0), axis=2)

    def bearable(self, base: np.ndarray, lane: np.ndarray, day: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """(n, T) bool: whether dates that were moved already can carry (n, T, S) factors as well."""
        rates, medians = self._rates(base, lane, day)
        link = factors[..., 1:] / factors[..., :-1]
        return (rates * link <= medians[:, None] * self.table.ceiling).all(axis=2)

    def _rates(self, base: np.ndarray, lane: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, T, S-1) step rates of dates, and their (n, S-1) medians."""
        steps = self.config.catalogue.num_steps
        _, episodes, days = base.shape
        series = base.reshape(-1, days)
        row = np.arange(steps, 2 * steps - 1) * episodes + lane[:, None]
        rates = series.reshape(-1).take((row * days)[:, None] + day[..., None])
        return rates, median_of_sorted(np.sort(series.take(row, axis=0), axis=-1))
