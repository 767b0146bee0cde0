"""What announcements lead one to expect: every cell of a plain date, moved as announced, in thresholds."""

from __future__ import annotations

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import HOURS_PER_DAY, Difficulty
from metric_tracker_env.world.variants import IMPOSSIBLE_HOURS, TRAFFIC_FLOOR, nominal_measures

SHARE_ROUNDS = 4  # Newton steps
MOST_ANNOUNCED = 95.0  # percent that an announced drop may reach
MIX_UNIT = 0.1  # points in which the mix is announced; everything else in whole percent


def as_announced(sign: np.ndarray, size: np.ndarray, of_mix: np.ndarray) -> np.ndarray:
    """(n,) changes as they are announced: rounded, never nothing, and no drop of everything.

    Args:
        sign: (n,) float64.
        size: (n,) float64 percent, or points where ``of_mix``.
        of_mix: (n,) bool, whether it is the mix of the hours that changes.
    """
    unit = np.where(of_mix, MIX_UNIT, 1.0)
    told = np.maximum(np.rint(size / unit), 1.0) * unit
    return sign * np.where(sign < 0, np.minimum(told, MOST_ANNOUNCED), told)


def common_share(limits: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """(n,) share by which (L, n) links move, each in its own limits, when their product moves by (n,) factors.

    Solved by Newton's method on the logarithm of the product.
    """
    share = (factor - 1.0) / limits.sum(axis=0)
    for _ in range(SHARE_ROUNDS):
        link = np.maximum(1.0 + share * limits, TRAFFIC_FLOOR)
        share = share - (np.log(link).sum(axis=0) - np.log(factor)) / (limits / link).sum(axis=0)
    return share


class Announcements:
    """Turns announced changes into deviations of all cells, for one funnel and difficulty.

    Only the configuration is used, no data: an announced drop of the first step by 20 % lowers all counts by 20 % of
    those of a mean day. A change of a rate lowers or raises the counts after it, that of an inner count the two rates
    beside it, that of a conversion all rates inside.
    """

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self._catalogue = config.catalogue
        self._wrong_hours = IMPOSSIBLE_HOURS[difficulty] / HOURS_PER_DAY  # share of the day, whichever hours they are
        self._nominal = nominal_measures(config)
        limits = measure.thresholds(config.catalogue, difficulty, self._nominal)
        self._limits = limits[:, None]
        steps = config.catalogue.num_steps
        rates = self._nominal[steps : 2 * steps - 1]
        self._relative = (
            measure.step_thresholds(config.catalogue, difficulty, rates) / rates
        )  # (S-1,) threshold of each step rate / the rate

    def ratios(self, entity: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Expected deviations, in thresholds, signed.

        Args:
            entity: (n,) int64, what each change was announced for.
            change: (n,) float64, as announced: percent of the median; points for the mix; for data quality percent
                over the upstream count, in a few hours.

        Returns:
            (E, n) float64.
        """
        catalogue = self._catalogue
        at, steps = catalogue.slices, catalogue.num_steps
        nominal = np.repeat(self._nominal[:, None], len(entity), axis=1)
        mix, first_pair = at["hourly_mix"].start, at["data_quality"].start
        share = nominal[catalogue.share_row] + np.where(entity == mix, change / 100.0, 0.0)
        counts, excesses = nominal[:steps].copy(), np.zeros((steps - 1, len(entity)))
        for root in np.unique(entity).tolist():
            own = np.flatnonzero(entity == root)
            if root >= first_pair:
                step = 1 + root - first_pair
                inside = self._wrong_hours
                above = counts[step - 1, own] * inside * (1.0 + change[own] / 100.0)
                excesses[step - 1, own] = counts[step - 1, own] * inside * change[own] / 100.0
                counts[step, own] += above - counts[step, own] * inside
            elif root != mix:
                counts[:, own] *= self._factors(root, np.maximum(1.0 + change[own] / 100.0, TRAFFIC_FLOOR))
        values = measure.measures(catalogue, counts, share * counts[0], excesses)
        row = catalogue.measure_of_entity
        moved = values[row] - nominal[row]
        moved[np.abs(moved) < 1e-9 * np.maximum(np.abs(nominal[row]), 1.0)] = 0.0  # what division leaves
        return moved / self._limits

    def _factors(self, root: int, factor: np.ndarray) -> np.ndarray:
        """(S, n) factors of the counts when an entity of the chain moves by (n,) factors."""
        catalogue = self._catalogue
        links, alone = catalogue.links_of(root)
        out = np.ones((catalogue.num_steps, len(factor)))
        if alone:
            out[links[0]] = factor
        elif len(links) == 1:
            out[links[0] :] = factor
        else:
            inside = np.array(links) - 1
            limits = np.repeat(self._relative[inside, None], len(factor), axis=1)
            chain = np.maximum(1.0 + common_share(limits, factor) * limits, TRAFFIC_FLOOR)
            out[links[0] : links[-1] + 1] = np.multiply.accumulate(chain, axis=0)
            out[links[-1] + 1 :] = out[links[-1]]
        return out
