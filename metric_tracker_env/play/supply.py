"""Episodes for lanes: generated ahead in chunks, kept as the few compact arrays that playing them needs."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EnvConfig, EpisodeConfig, GenerationError, GeneratorConfig
from metric_tracker_env.measure import SCAN_MULTIPLIERS, scan_strength, seasonal_baseline
from metric_tracker_env.play.items import items
from metric_tracker_env.seal import Seal
from metric_tracker_env.world.episode import EpisodeData, make_episode
from metric_tracker_env.world.layer import NOTHING, Layer
from metric_tracker_env.world.rng import KeyStream, episode_keys
from metric_tracker_env.world.source import CHUNK, EpisodeBatch, EpisodeSource

RATIO_CLIP = 5.0  # thresholds; observed deviations are clipped here
RATIO_SCALE = 32_000 / RATIO_CLIP  # steps of int16 a threshold: a resolution of 0.00016
SHARE_SCALE = 32_000  # steps of int16 that the whole of a day's traffic has
LEVEL_COLUMNS = 8  # one for each family, and padding: the families of a date are one 64-bit word
ALL = slice(None)
AHEAD = 4096  # episodes that are kept ahead at most, spread over the lanes; at least one a lane
COMPANY = 8  # episodes that are made together at least, so that the time that takes tells little of the one played


NO_EVENT = 0  # family code of a date for which nothing was announced


@dataclass
class CalendarData:
    """What is known beside the values of n episodes in a world; dates are rows."""

    family: np.ndarray  # (n x D,) int8, 1 + the family of the event that was announced for the date, or NO_EVENT
    expected: np.ndarray  # (n x D, E) int16, deviation x RATIO_SCALE that the announcement leads one to expect
    missing: np.ndarray  # (n x D,) int16, share of a usual day's traffic in lost hours x SHARE_SCALE

    @classmethod
    def empty(cls, rows: int, entities: int) -> CalendarData:
        """Room for as many dates, of which nothing is known."""
        return cls(np.zeros(rows, np.int8), np.zeros((rows, entities), np.int16), np.zeros(rows, np.int16))

    @classmethod
    def of(cls, source: EpisodeSource, layer: Layer) -> CalendarData:
        """What is known in a batch's world."""
        episodes, days = layer.event_of_day.shape
        found = cls.empty(episodes * days, source.config.catalogue.num_entities)
        events, gaps = layer.events, layer.gaps
        lane, day = np.nonzero(layer.event_of_day != NOTHING)
        place = layer.event_of_day[lane, day]
        row = lane * days + day
        found.family[row] = 1 + events.family[lane, place]
        told = source.announcements.ratios(events.entity[lane, place], events.announced[lane, place])
        found.expected[row] = _packed(told).T
        until = np.concatenate([[0.0], np.cumsum(source.config.hour_shares)])  # traffic before each hour
        lane, place = np.nonzero(gaps.active)
        lost = until[gaps.last[lane, place] + 1] - until[gaps.first[lane, place]]
        found.missing[lane * days + gaps.day[lane, place]] = np.rint(lost * SHARE_SCALE)
        return found


@dataclass
class LaneData:
    """What playing n episodes needs of them; dates are rows, so that a date of any episode has one index."""

    ratios: np.ndarray  # (n x D, E) int16, signed deviation x RATIO_SCALE, clipped
    classes: np.ndarray  # (n x D, E) int8 of CellClass
    levels: np.ndarray  # (n, D, 8) int8, how many SCAN_MULTIPLIERS each family reaches; the last column is 0
    season: np.ndarray  # (n x D,) int16, deviation of the first step from weekday and trend, like ratios
    expected: np.ndarray  # (n,) int64, number of expected rows
    calendar: CalendarData | None = None  # None without a world
    _episodes: tuple[np.ndarray, ...] = field(init=False, repr=False)  # (n,) each: the arrays with an item an episode

    def __post_init__(self) -> None:
        self._episodes = tuple(items(array, len(self.expected)) for array in self.arrays)

    def __reduce__(self) -> tuple[object, ...]:
        return LaneData, tuple(
            getattr(self, field.name) for field in fields(self) if field.init
        )  # items are made again

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order of the fields."""
        own = (getattr(self, field.name) for field in fields(self) if field.init and field.name != "calendar")
        return (*own, *(() if self.calendar is None else vars(self.calendar).values()))

    @classmethod
    def empty(cls, lanes: int, generator: GeneratorConfig) -> LaneData:
        """Room for the episodes of some lanes."""
        days, entities = generator.num_days, generator.catalogue.num_entities
        return cls(
            ratios=np.zeros((lanes * days, entities), np.int16),
            classes=np.zeros((lanes * days, entities), np.int8),
            levels=np.zeros((lanes, days, LEVEL_COLUMNS), np.int8),
            season=np.zeros(lanes * days, np.int16),
            expected=np.zeros(lanes, np.int64),
            calendar=None if generator.world is None else CalendarData.empty(lanes * days, entities),
        )

    @classmethod
    def of(cls, source: EpisodeSource, batch: EpisodeBatch) -> LaneData:
        """The playing data of a batch."""
        catalogue, final = source.config.catalogue, batch.final
        ratios = _packed(final.ratios)
        strength = scan_strength(catalogue, ratios)
        levels = np.zeros((LEVEL_COLUMNS, *strength.shape[1:]), np.int8)
        for multiplier in SCAN_MULTIPLIERS:
            levels[: len(strength)] += strength >= math.ceil(multiplier * RATIO_SCALE)  # whole numbers as they are
        entry = final.values[0]
        season = (entry - seasonal_baseline(entry)) / final.thresholds[0][:, None]
        return cls(
            ratios=_by_date(ratios),
            classes=_by_date(batch.classes),
            levels=levels.transpose(1, 2, 0).copy(),
            season=_packed(season).reshape(-1),
            expected=batch.expected.sum(axis=0, dtype=np.uint16).sum(axis=1, dtype=np.int64),
            calendar=None if batch.layer is None else CalendarData.of(source, batch.layer),
        )

    def put(self, rows: np.ndarray | slice | int, other: LaneData, others: np.ndarray | slice = ALL) -> None:
        """Write episodes of another, all or those in its rows ``others``, into ``rows`` of this."""
        for mine, theirs in zip(self._episodes, other._episodes, strict=True):
            mine[rows] = theirs[others]


def drawn(source: EpisodeSource) -> bool:
    """Whether the incidents of episodes are drawn, and so may be told by the time that drawing them takes."""
    return not source.episode.anomaly_generators


def _by_date(cells: np.ndarray) -> np.ndarray:
    """(E, n, D) -> (n x D, E)."""
    out = np.empty((cells[0].size, len(cells)), cells.dtype)
    for entity, values in enumerate(cells):  # all at once, they would drive each other out of the cache
        out[:, entity] = values.reshape(-1)
    return out


def _packed(ratios: np.ndarray) -> np.ndarray:
    """Ratios as int16; cutting off, not rounding, keeps a ratio below a multiplier below it."""
    scaled = ratios * RATIO_SCALE
    return np.clip(scaled, -RATIO_CLIP * RATIO_SCALE, RATIO_CLIP * RATIO_SCALE, out=scaled).astype(np.int16)


class Prepared:
    """The first episodes of some seeds, made together, to be dealt one by one in any order.

    Args:
        source: Of episodes whose incidents are drawn.
        seeds: One an episode.
        seal: Of the episodes; None for public ones.

    Raises:
        GenerationError: if one of them cannot be made.
    """

    def __init__(self, source: EpisodeSource, seeds: Sequence[int], seal: Seal | None = None) -> None:
        self.source = source
        self.places = {seed: place for place, seed in enumerate(dict.fromkeys(seeds))}
        self._batch = source.generate(episode_keys(list(self.places), seal=seal))
        self.data = LaneData.of(source, self._batch)

    def episode(self, name: EpisodeConfig) -> EpisodeData:
        """One of them, with its truth."""
        return EpisodeData(self.source.config, name, self._batch.take(np.array([self.places[name.seed]])), [])


class Played(NamedTuple):
    """Which episodes are or were played, from which each can be made again; (n,) each."""

    seed: np.ndarray  # int64, of the lane's stream of episodes
    number: np.ndarray  # int64, which episode of the stream
    made_by: np.ndarray  # EpisodeSource
    seal: Seal | None = None
    prepared: Prepared | None = None  # where some of them may lie

    def name(self, place: int) -> EpisodeConfig:
        """The configuration that names one of them."""
        source: EpisodeSource = self.made_by[place]
        return source.episode.model_copy(update={"seed": int(self.seed[place]), "number": int(self.number[place])})

    def episode(self, place: int) -> EpisodeData:
        """One of them, made again, with its truth."""
        source: EpisodeSource = self.made_by[place]
        name, ready = self.name(place), self.prepared
        if ready is not None and source is ready.source and name.number == 0 and name.seed in ready.places:
            return ready.episode(name)
        return make_episode(source, name, self.seal, COMPANY if drawn(source) else 1)


class SupplyState(NamedTuple):
    """What of a supply cannot be made again from the configuration."""

    streams: KeyStream
    next: np.ndarray  # (B,) int64, number of the episode that each lane plays next
    special: dict[int, EpisodeConfig]  # options of the episodes that lanes play, where not the configured ones
    data: LaneData  # the episodes that the lanes play


class EpisodeSupply:
    """Hands each lane its next episode; episode n of a lane depends on the lane's seed and n alone.

    Attributes:
        data: The episodes that the lanes play; row i is lane i's.
        seal: Of the episodes; None for public ones.
    """

    def __init__(self, config: EnvConfig, lanes: int, seal: Seal | None = None) -> None:
        self._config, self._lanes, self.seal = config, lanes, seal
        self._source = EpisodeSource(config.generator, config.episode_config())
        self._special: dict[EpisodeConfig, EpisodeSource] = {}
        self._ring = max(1, min(CHUNK, AHEAD // lanes))
        self._none = self._room(0)
        self._clear(KeyStream([0] * lanes, seal))

    def _clear(self, streams: KeyStream) -> None:
        """Lanes that were never dealt an episode."""
        self._streams = streams
        self._next = np.zeros(self._lanes, np.int64)
        self._made_by = np.full(self._lanes, self._source, object)  # source of the episode that each lane plays
        self.data = self._room(self._lanes)
        self._ahead = self._none  # episode n of a lane lies in place n % ring of the lane's own ring
        self._left = np.zeros(self._lanes, np.int64)  # episodes made ahead for each lane, from the next one on
        self._batch = 0  # a refill makes a multiple of as many episodes; 0 for just those that are asked for
        self._prepared: Prepared | None = None

    def _room(self, episodes: int) -> LaneData:
        return LaneData.empty(episodes, self._config.generator)

    def fresh(self) -> EpisodeSupply:
        """A supply of the same configuration, which it shares, for as many lanes that were never dealt an episode."""
        other = copy.copy(self)
        other._special = dict(self._special)
        other._clear(self._streams)
        return other

    def state(self) -> SupplyState:
        """What ``put`` takes over; what was made ahead is left out, as the keys make it again."""
        special = {lane: made.episode for lane, made in enumerate(self._made_by) if made is not self._source}
        return SupplyState(self._streams, self._next, special, self.data)

    def put(self, state: SupplyState) -> None:
        """Go on from the state of another supply."""
        self._streams = state.streams.copy()
        self._next[:] = state.next
        for lane, request in state.special.items():
            self._made_by[lane] = self._source_of(request)
        self.data.put(ALL, state.data)

    def configure(self, config: EnvConfig) -> None:
        """Make the episodes to come by another configuration of the same generator; those under way stay.

        Raises:
            ValueError: if its incidents do not fit; nothing has changed then.
        """
        self._source = EpisodeSource(config.generator, config.episode_config())
        self._config = config
        self._left[:] = 0  # what was made ahead is not what is wanted now
        self._prepared = None

    def prepare(self, seeds: Sequence[int]) -> None:
        """Make the first episodes of seeds together, which are then dealt in no time; those of before are forgotten.

        Where the incidents of an episode are not drawn, or one episode cannot be made, nothing is prepared: each is
        made when it is dealt.
        """
        self._prepared = None
        if len(seeds) and drawn(self._source):
            with suppress(GenerationError):
                self._prepared = Prepared(self._source, seeds, self.seal)

    def source(self, changes: dict[str, object]) -> EpisodeSource | None:
        """The source of episodes with changed options; None for none.

        Raises:
            ValueError: for an unknown option, a bad value, or incidents that do not fit.
        """
        return self._source_of(self._config.episode_config(**changes)) if changes else None

    def _source_of(self, request: EpisodeConfig) -> EpisodeSource:
        """The source of episodes with these options."""
        if request == self._source.episode:
            return self._source
        if request not in self._special:
            if len(self._special) >= 64:
                self._special.clear()
            self._special[request] = EpisodeSource(self._config.generator, request)
        return self._special[request]

    def deal(
        self, lanes: np.ndarray, special: EpisodeSource | None = None, seeds: Sequence[int | None] | None = None
    ) -> None:
        """Give each lane its next episode.

        Args:
            lanes: (n,) int64.
            special: Source of these episodes instead of the configured one.
            seeds: For each of the lanes a seed that starts its stream anew, or None.

        Raises:
            GenerationError: if explicit generators cannot be applied; nothing has changed then.
        """
        at = lanes if len(lanes) > 1 else int(lanes[0])  # one lane is dealt to in a third of the time
        before = self._streams, self._next, self._left
        given = [(lane, seed) for lane, seed in zip(lanes.tolist(), seeds or (), strict=False) if seed is not None]
        if given:
            self._restart(given)
        try:
            if special is not None:
                self.data.put(lanes, *self._specials(lanes, special))
                self._left[lanes] = np.maximum(self._left[lanes], 1)  # the configured one is passed over
            elif not self._deal_prepared(lanes, seeds):
                if not self._left[at].all():
                    self._refill(lanes)
                self.data.put(at, self._ahead, self._places(at, self._next[at]))
        except GenerationError:
            self._streams, self._next, self._left = before
            self._left[[lane for lane, _ in given]] = 0  # episodes of the new seeds may lie in their places
            raise
        self._made_by[at] = self._source if special is None else special
        self._next[at] += 1
        self._left[at] -= 1

    def _deal_prepared(self, lanes: np.ndarray, seeds: Sequence[int | None] | None) -> bool:
        """Give lanes the episodes that were prepared for their seeds, if all were."""
        ready = self._prepared
        if ready is None or seeds is None or len(seeds) < len(lanes):
            return False
        places = [-1 if seed is None else ready.places.get(seed, -1) for seed in seeds]
        if min(places) < 0:
            return False
        self.data.put(lanes, ready.data, np.array(places))
        self._left[lanes] = 1  # the episode is one of the stream, and the next one is not made yet
        return True

    def _restart(self, given: list[tuple[int, int]]) -> None:
        """Start the streams of some lanes anew, in copies; what was made ahead for them is dropped."""
        anew = np.array([lane for lane, _ in given])
        self._streams, self._next, self._left = self._streams.copy(), self._next.copy(), self._left.copy()
        self._streams.reseed(anew, [seed for _, seed in given])
        self._next[anew] = 0
        self._left[anew] = 0
        self._batch = 0  # a lane that is seeded anew for each episode pays for little more than it plays

    def _specials(self, lanes: np.ndarray, special: EpisodeSource) -> tuple[LaneData, slice]:
        """The next episodes of lanes from another source, in company; and where they are among these."""
        numbers = self._next[lanes]
        beside = np.arange(-(-COMPANY // len(lanes)) if drawn(special) else 1)[:, None]
        keys = self._streams.keys(np.tile(lanes, len(beside)), (numbers + beside).ravel())
        try:
            made = LaneData.of(special, special.generate(keys, hourly=False))
        except GenerationError:
            if len(keys) == len(lanes):
                raise
            # It may be of one that is not wanted.
            made = LaneData.of(special, special.generate(keys[: len(lanes)], hourly=False))
        return made, slice(0, len(lanes))

    def _places(self, lanes: np.ndarray | int, numbers: np.ndarray) -> np.ndarray:
        """Places among those made ahead for episodes ``numbers`` of lanes."""
        return lanes * self._ring + numbers % self._ring

    def _refill(self, wanted: np.ndarray, least: int = COMPANY) -> None:
        """Make an episode for those ``wanted`` that have none ahead; later whole batches, the emptiest lanes first.

        Where those are few, further ones of theirs are made with them, ``least`` in all.
        """
        if self._batch:
            ahead, lanes = np.nonzero(np.arange(self._ring)[:, None] >= self._left)
            count = -(-np.count_nonzero(self._left == 0) // self._batch) * self._batch
            ahead, lanes = ahead[:count], lanes[:count]
        else:
            lanes = wanted[self._left[wanted] == 0]
            each = min(-(-least // len(lanes)), self._ring) if drawn(self._source) else 1
            lanes, ahead = np.tile(lanes, each), np.repeat(np.arange(each), len(lanes))
        keys = self._streams.keys(lanes, self._next[lanes] + ahead)
        places = self._places(lanes, self._next[lanes] + ahead)  # free until they are counted as left
        if self._ahead is self._none:
            self._ahead = self._room(self._lanes * self._ring)
        try:
            for first in range(0, len(keys), CHUNK):
                part = slice(first, first + CHUNK)
                made = self._source.generate(keys[part], hourly=False)
                self._ahead.put(places[part], LaneData.of(self._source, made))
        except GenerationError:
            if self._batch or not ahead.any():
                raise
            self._refill(wanted, 1)  # it may be of one that is not wanted yet
            return
        self._left += np.bincount(lanes, minlength=self._lanes)
        self._batch = min(CHUNK, 2 * len(keys))

    def played(self, lanes: np.ndarray) -> Played:
        """The episodes that lanes play."""
        streams = self._streams
        return Played(streams.seeds[lanes], self._next[lanes] - 1, self._made_by[lanes], self.seal, self._prepared)

    def name(self, lane: int) -> tuple[int, int]:
        """Seed and number of the episode that a lane plays."""
        return self._streams.seeds.item(lane), self._next.item(lane) - 1

    def played_again(self, names: Sequence[EpisodeConfig]) -> Played:
        """Episodes by their names, from sources of this supply."""
        made_by = np.empty(len(names), object)
        for place, name in enumerate(names):
            made_by[place] = self._source_of(name.model_copy(update={"seed": 0, "number": 0}))
        return Played(
            np.array([name.seed for name in names], np.int64),
            np.array([name.number for name in names], np.int64),
            made_by,
            self.seal,
        )
