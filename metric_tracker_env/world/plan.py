"""A plan: the incidents (or events) of a batch of episodes as (B, K) arrays, a place for each of their dates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from metric_tracker_env.schema import HOURS_PER_DAY
from metric_tracker_env.world import rng
from metric_tracker_env.world.proposals import Targets
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import QUALITY_FAMILY, VariantTable

RANK_WORDS = HOURS_PER_DAY // rng.DRAWS_PER_WORD  # ranks of 24 hours


@dataclass
class PerEpisode:
    """Arrays of B episodes, the batch axis first."""

    def take(self, episodes: np.ndarray) -> Self:
        """Those of some episodes."""
        return type(self)(*(getattr(self, field.name)[episodes] for field in fields(self)))

    def put(self, episodes: np.ndarray, part: Self) -> None:
        """Replace those of some episodes."""
        for field in fields(self):
            getattr(self, field.name)[episodes] = getattr(part, field.name)

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Those of several batches, one after another."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass
class Plan(PerEpisode):
    """The incidents of B episodes, K places each; an incident has a place for each of its dates."""

    active: np.ndarray  # (B, K) bool
    incident: np.ndarray  # (B, K) int64, number of the place's incident in its episode
    last: np.ndarray  # (B, K) bool, whether the place is for the last date of its incident, which must be confirmed
    day: np.ndarray  # (B, K) int64
    entity: np.ndarray  # (B, K) int64
    family: np.ndarray  # (B, K) int64
    sign: np.ndarray  # (B, K) float64
    size: np.ndarray  # (B, K) float64, see PlannedAnomaly.size
    limit: np.ndarray  # (B, K) float64, detection threshold of the entity in the clean data
    factor: np.ndarray  # (B, K, S) float64, what each step's count is multiplied by
    alone: np.ndarray  # (B, K) int64, see VariantTable.alone
    hours: np.ndarray  # (B, K, H) uint16, random ranks of the hours, for impossible counts

    @classmethod
    def empty(cls, episodes: int, places: int, steps: int, longest: int = 1) -> Plan:
        """A plan with no active incident; each has ``longest`` of the places, for as many dates."""
        shape = (episodes, places)
        return cls(
            active=np.zeros(shape, bool),
            incident=np.tile(np.arange(places) // longest, (episodes, 1)),
            last=np.ones(shape, bool),
            day=np.full(shape, -1, np.int64),
            entity=np.zeros(shape, np.int64),
            family=np.zeros(shape, np.int64),
            sign=np.ones(shape),
            size=np.zeros(shape),
            limit=np.zeros(shape),
            factor=np.ones((*shape, steps)),
            alone=np.zeros(shape, np.int64),
            hours=np.zeros((*shape, HOURS_PER_DAY), np.uint16),
        )

    @property
    def places(self) -> int:
        """Places of an episode, K."""
        return self.active.shape[1]

    def given_up(self, attempts: np.ndarray) -> np.ndarray:
        """(B,) int64 incidents that were drawn, (B, K) times, and found no place."""
        first = np.ones(self.active.shape, bool)
        first[:, 1:] = self.incident[:, 1:] != self.incident[:, :-1]
        return (first & (attempts > 0) & ~self.active).sum(axis=1)

    def write(
        self, table: VariantTable, spot: np.ndarray, day: np.ndarray, targets: Targets, factors: np.ndarray
    ) -> None:
        """Put n moves into (n,) flat places: (n,) days, and (n, S) factors of the counts."""
        variant = targets.variant
        self.day.reshape(-1)[spot] = day
        self.entity.reshape(-1)[spot] = table.entity.take(variant)
        self.sign.reshape(-1)[spot] = table.sign.take(variant)
        self.size.reshape(-1)[spot] = targets.size
        self.limit.reshape(-1)[spot] = targets.limit
        self.alone.reshape(-1)[spot] = table.alone.take(variant)
        self.factor.reshape(-1, self.factor.shape[-1])[spot] = factors
        self.family.reshape(-1)[spot] = table.family.take(variant)

    def draw_hours(self, keys: np.ndarray, stream: Stream, spot: np.ndarray, attempt: np.ndarray) -> None:
        """Rank the hours at random where impossible counts are among the (n,) flat places of a draw."""
        impossible = np.flatnonzero(self.family.reshape(-1)[spot] == QUALITY_FAMILY)
        if len(impossible):
            spot, attempt = spot[impossible], attempt[impossible]
            lane = spot // self.places
            turn = attempt * self.places + spot - lane * self.places
            self.hours.reshape(-1, HOURS_PER_DAY)[spot] = hour_ranks(keys[lane], turn, stream)


def hour_ranks(keys: np.ndarray, turn: np.ndarray, stream: Stream = Stream.RANKS) -> np.ndarray:
    """(n, H) uint16 random ranks of the hours: (n,) keys, and (n,) int64 which of a key's rankings each is."""
    words = rng.words_at(keys, stream, turn * RANK_WORDS, RANK_WORDS).T.copy()
    return words.astype("<u8", copy=False).view("<u2")
