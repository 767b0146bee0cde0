"""Episodes for lanes: generated ahead in chunks, kept as the few compact arrays that playing them needs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from metric_tracker_env.anomalies import GenerationError
from metric_tracker_env.config import EnvConfig, EpisodeConfig
from metric_tracker_env.episode import CHUNK, EpisodeBatch, EpisodeData, EpisodeSource, episode_of_key
from metric_tracker_env.measure import SCAN_MULTIPLIERS, scan_strength, seasonal_baseline
from metric_tracker_env.rng import KeyStream
from metric_tracker_env.schema import ANOMALY_TYPES

RATIO_CLIP = 5.0  # thresholds; observed deviations are clipped here
RATIO_SCALE = 32_000 / RATIO_CLIP  # steps of int16 a threshold: a resolution of 0.00016
AHEAD = 256  # episodes that one refill makes at least, spread over the lanes


@dataclass
class LaneData:
    """What playing n episodes needs of them."""

    ratios: np.ndarray  # (n, D, E) int16, signed deviation x RATIO_SCALE, clipped
    classes: np.ndarray  # (n, D, E) int8 of CellClass
    levels: np.ndarray  # (n, D, 7) int8, how many SCAN_MULTIPLIERS each family reaches
    season: np.ndarray  # (n, D) int16, deviation of the first step from weekday and trend, like ratios
    expected: np.ndarray  # (n,) int64, number of expected rows

    @classmethod
    def empty(cls, lanes: int, days: int, entities: int) -> LaneData:
        """Room for the episodes of some lanes."""
        return cls(
            ratios=np.zeros((lanes, days, entities), np.int16),
            classes=np.zeros((lanes, days, entities), np.int8),
            levels=np.zeros((lanes, days, len(ANOMALY_TYPES)), np.int8),
            season=np.zeros((lanes, days), np.int16),
            expected=np.zeros(lanes, np.int64),
        )

    @classmethod
    def of(cls, source: EpisodeSource, batch: EpisodeBatch) -> LaneData:
        """The playing data of a batch."""
        catalogue, final = source.config.catalogue, batch.final
        ratios = _packed(final.ratios)
        strength = scan_strength(catalogue, ratios)
        levels = np.zeros(strength.shape, np.int8)
        for multiplier in SCAN_MULTIPLIERS:
            levels += strength >= multiplier * RATIO_SCALE
        entry = final.values[0]
        season = (entry - seasonal_baseline(entry)) / final.thresholds[0][:, None]
        return cls(
            ratios=ratios.transpose(1, 2, 0).copy(),
            classes=batch.classes.transpose(1, 2, 0).copy(),
            levels=levels.transpose(1, 2, 0).copy(),
            season=_packed(season),
            expected=batch.plan.active.sum(axis=1),
        )

    @classmethod
    def join(cls, parts: list[LaneData]) -> LaneData:
        """Parts one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def put(self, lanes: np.ndarray, other: LaneData, rows: np.ndarray) -> None:
        """Copy ``rows`` of other data into ``lanes`` of this."""
        for field in fields(self):
            getattr(self, field.name)[lanes] = getattr(other, field.name)[rows]


def _packed(ratios: np.ndarray) -> np.ndarray:
    """Ratios as int16; cutting off, not rounding, keeps a ratio below a multiplier below it."""
    scaled = ratios * RATIO_SCALE
    return np.clip(scaled, -RATIO_CLIP * RATIO_SCALE, RATIO_CLIP * RATIO_SCALE, out=scaled).astype(np.int16)


class EpisodeSupply:
    """Hands each lane its next episode; episode n of a lane depends on the lane's seed and n alone."""

    def __init__(self, config: EnvConfig, lanes: int) -> None:
        self._config = config
        self._source = EpisodeSource(config.generator, config.episode_config())
        self._special: dict[EpisodeConfig, EpisodeSource] = {}
        self._streams = KeyStream([0] * lanes)
        self._number = np.full(lanes, -1, np.int64)  # number of the episode that each lane plays
        self._key = np.zeros(lanes, np.uint64)  # its key
        self._played: list[EpisodeSource] = [self._source] * lanes
        self._most_ahead = max(1, AHEAD // lanes)
        self._ahead = 0  # episodes that the next refill makes for a lane
        self._stock: LaneData | None = None
        self._stock_place = np.zeros(lanes, np.int64)  # row of the stock with the lane's next episode
        self._stock_left = np.zeros(lanes, np.int64)  # episodes in stock for the lane, in consecutive rows

    def source(self, changes: dict[str, object]) -> EpisodeSource | None:
        """The source of episodes with changed options; None for none.

        Raises:
            ValueError: for an unknown option, a bad value, or incidents that do not fit.
        """
        if not changes:
            return None
        request = self._config.episode_config(**changes)
        if request not in self._special:
            if len(self._special) >= 64:
                self._special.clear()
            self._special[request] = EpisodeSource(self._config.generator, request)
        return self._special[request]

    def deal(
        self,
        lanes: np.ndarray,
        into: LaneData,
        special: EpisodeSource | None = None,
        seeds: list[int | None] | None = None,
    ) -> None:
        """Put the next episode of each lane into its place of ``into``.

        Args:
            lanes: (n,) int64.
            into: The data that the lanes play.
            special: Source of these episodes instead of the configured one.
            seeds: For each of the lanes a seed that starts its stream anew, or None.

        Raises:
            GenerationError: if explicit generators cannot be applied; with ``seeds`` nothing has changed then.
        """
        if seeds is None:  # an automatic reset
            self._deal(lanes, into, special, seeds)
            return
        before = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        streams, stock, ahead, played = self._streams.copy(), self._stock, self._ahead, list(self._played)
        try:
            self._deal(lanes, into, special, seeds)
        except GenerationError:
            vars(self).update(before)
            self._streams, self._stock, self._ahead, self._played = streams, stock, ahead, played
            raise

    def _deal(
        self, lanes: np.ndarray, into: LaneData, special: EpisodeSource | None, seeds: list[int | None] | None
    ) -> None:
        if seeds is not None:
            given = [(lane, seed) for lane, seed in zip(lanes.tolist(), seeds, strict=True) if seed is not None]
            anew = np.array([lane for lane, _ in given], np.int64)
            self._streams.reseed(anew, [seed for _, seed in given])
            self._number[anew] = -1
            self._stock_left[anew] = 0
            self._ahead = 0
        self._number[lanes] += 1
        self._key[lanes] = self._streams.keys(lanes, self._number[lanes])
        source = special or self._source
        for lane in lanes.tolist():
            self._played[lane] = source
        if special is not None:
            self._stock_left[lanes] -= self._stock_left[lanes] > 0
            self._stock_place[lanes] += 1
            into.put(lanes, self._make(special, self._key[lanes]), np.arange(len(lanes)))
            return
        if not self._stock_left[lanes].all():
            self._refill(lanes)
        assert self._stock is not None
        into.put(lanes, self._stock, self._stock_place[lanes])
        self._stock_place[lanes] += 1
        self._stock_left[lanes] -= 1

    def _refill(self, wanted: np.ndarray) -> None:
        """Make episodes for every lane of ``wanted`` whose stock is empty; later also for all other such lanes."""
        depth = max(1, min(self._ahead, self._most_ahead))
        empty = np.flatnonzero(self._stock_left == 0) if self._ahead else wanted[self._stock_left[wanted] == 0]
        kept = np.flatnonzero(self._stock_left > 0)
        self._ahead = 2 * depth  # a lane that is seeded anew for each episode never pays for more than it plays
        first = self._number[empty] + np.where(np.isin(empty, wanted), 0, 1)
        numbers = first[:, None] + np.arange(depth)
        keys = self._streams.keys(np.repeat(empty, depth), numbers.ravel())
        parts = [self._make(self._source, keys[i : i + CHUNK]) for i in range(0, len(keys), CHUNK)]
        left = self._stock_left[kept]
        if len(kept) and self._stock is not None:
            old = np.repeat(self._stock_place[kept], left) + _counting(left)
            parts.append(LaneData(*(getattr(self._stock, field.name)[old] for field in fields(LaneData))))
            self._stock_place[kept] = len(keys) + np.cumsum(left) - left
        self._stock = LaneData.join(parts)
        self._stock_place[empty] = np.arange(len(empty)) * depth
        self._stock_left[empty] = depth

    @staticmethod
    def _make(source: EpisodeSource, keys: np.ndarray) -> LaneData:
        return LaneData.of(source, source.generate(keys))

    def episode(self, lane: int) -> EpisodeData:
        """The episode that a lane plays, made again from its key."""
        return episode_of_key(self._played[lane], int(self._key[lane]))


def _counting(lengths: np.ndarray) -> np.ndarray:
    """0..length-1 for each length, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
