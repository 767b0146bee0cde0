"""What is known beside incidents: announced events, some of which change nothing, and hours that were lost."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig, WorldConfig
from metric_tracker_env.measure import (
    MIN_MOVE,
    SHARE_THRESHOLD,
    anomaly_type,
    median_of_sorted,
    medians,
    threshold_table,
    thresholds,
)
from metric_tracker_env.schema import ANOMALY_TYPES, HOURS_PER_DAY, Catalogue, EntityType, EventKind
from metric_tracker_env.world import rng
from metric_tracker_env.world.announced import as_announced
from metric_tracker_env.world.holidays import NOTHING, HolidayDates
from metric_tracker_env.world.links import ALL_LINKS, TAKEN, links_of_entities, links_of_gap
from metric_tracker_env.world.plan import PerEpisode, Plan
from metric_tracker_env.world.proposals import Proposer, Targets
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import MIX_FAMILY, QUALITY_FAMILY
from metric_tracker_env.world.windows import Tries, Windows, drawn_lengths, drawn_numbers, drawn_starts

TRY_WORDS = 2
TRIES = TRY_WORDS * rng.DRAWS_PER_WORD  # windows that are tried for an event or a gap; if none is free, it is left out
EVENT_WORDS = 6  # length, effect, family, variant, size, announced; then the windows
GAP_WORDS = 2  # loss, first hour; then the dates
GAP_KEEPS = 0.1  # least share of its traffic that a date with a gap keeps


@dataclass
class Events(PerEpisode):
    """Known events of B episodes, K places each; at most one a date."""

    active: np.ndarray  # (B, K) bool
    first: np.ndarray  # (B, K) int64 day index
    length: np.ndarray  # (B, K) int64 dates
    variant: np.ndarray  # (B, K) int64, row of the variant table
    entity: np.ndarray  # (B, K) int64
    family: np.ndarray  # (B, K) int64, position in ANOMALY_TYPES
    effect: np.ndarray  # (B, K) bool, whether it came true; never announced
    announced: (
        np.ndarray
    )  # (B, K) float64, signed: % of the median; of the mix, points; of data quality, % over upstream
    holiday: np.ndarray  # (B, K) bool, whether it is one of a history's holidays, and not drawn

    @classmethod
    def empty(cls, episodes: int, places: int) -> Events:
        """Places without events."""
        return cls(*(np.full((episodes, places), fill) for fill in (False, -1, 0, 0, 0, 0, False, 0.0, False)))

    def beside(self, others: Events) -> Events:
        """These and further ones of the same episodes."""
        return Events(
            *(np.concatenate([getattr(part, field.name) for part in (self, others)], axis=1) for field in fields(self))
        )


@dataclass
class Gaps(PerEpisode):
    """Dates of B episodes that lost hours, K places each."""

    active: np.ndarray  # (B, K) bool
    day: np.ndarray  # (B, K) int64
    first: np.ndarray  # (B, K) int64, first lost hour
    last: np.ndarray  # (B, K) int64, last lost hour


def event_kind(catalogue: Catalogue, entity: int, sign: float) -> EventKind:
    """What an event that moves an entity up or down is called."""
    if entity == 0:
        return "campaign" if sign > 0 else "holiday"
    kinds: dict[EntityType, tuple[EventKind, EventKind]] = {
        "event_count": ("tracking_change", "tracking_change"),
        "conversion_rate": ("release", "price_promotion"),
        "funnel_step": ("planned_maintenance", "planned_maintenance"),
        "hourly_mix": ("changed_hours", "changed_hours"),
        "data_quality": ("logging_migration", "logging_migration"),
    }
    return kinds[catalogue.entities[entity].entity_type][int(sign > 0)]


class CalendarPlanner:
    """Draws events and gaps, each episode's from its own streams."""

    def __init__(self, config: GeneratorConfig, world: WorldConfig, proposer: Proposer, families: np.ndarray) -> None:
        self.config, self.world = config, world
        self._proposer, self._families = proposer, families
        self._links = links_of_entities(config)[proposer.table.entity] | np.uint16(1 << TAKEN)
        self._gap_links = np.uint16(links_of_gap(config) | 1 << TAKEN)
        self._entry_limit = threshold_table(config.catalogue, proposer.difficulty).rows(np.zeros(1, np.int64))

    def draw_events(self, keys: np.ndarray, bare: np.ndarray, taken: np.ndarray) -> tuple[Events, Plan]:
        """Events from (B,) keys and (M, B, D) bare measures; their links are written to ``taken``, (B, D) uint16.

        Returns:
            The events, and the plan of those with an effect.
        """
        world = self.world
        high, longest, episodes = world.events[1], world.longest, len(keys)
        number = drawn_numbers(world.events, rng.uniforms(keys, Stream.EVENTS, 1)[0])
        spot = np.flatnonzero(np.arange(high) < number[:, None])
        lane, rank = spot // max(high, 1), spot % max(high, 1)
        words, draws = drawn(keys[lane], Stream.EVENTS, rank, EVENT_WORDS)
        length = drawn_lengths(world, words[0])
        effect = words[1] >= world.without_effect
        family = self._families[(words[2] * len(self._families)).astype(np.int64)]
        variant, size = self._proposer.draw(family, words[3], words[4])
        targets = self._proposer.targets(bare, lane, variant, size)
        start = drawn_starts(self.config, length, draws)
        proposed = self._proposer.propose(bare, targets, start + length[:, None] - 1)
        links = self._links.take(variant)
        # Where it falls does not depend on whether it comes true, so that an announcement tells nothing of that.
        tries = Tries(start, np.repeat(length[:, None], TRIES, axis=1), proposed.fits)
        free = np.full(start.shape, 1 << TAKEN, np.uint16)
        chosen = tries.settle(taken, lane, rank, free, links)
        kept = np.flatnonzero(chosen >= 0)
        chosen, effect = chosen[kept], effect[kept]
        windows = Windows(spot[kept], start[kept, chosen], length[kept], targets.take(kept))
        change = proposed.value[kept, chosen] * (proposed.own[kept, chosen] - 1.0)
        change *= 100.0 / np.maximum(windows.targets.median, 1e-9)
        within = 1.0 + world.announced_within * (2.0 * words[5, kept] - 1.0)
        events = Events.empty(episodes, high)
        variant = windows.targets.variant
        for whole, part in (
            (events.active, True),
            (events.first, windows.start),
            (events.length, windows.length),
            (events.variant, variant),
            (events.entity, self._proposer.table.entity.take(variant)),
            (events.family, self._proposer.table.family.take(variant)),
            (events.effect, effect),
            (events.announced, self._announced(windows.targets, change, within)),
        ):
            whole.reshape(-1)[windows.spot] = part

        plan = Plan.empty(episodes, high * longest, self.config.catalogue.num_steps, longest)
        dated = windows.take(np.flatnonzero(effect)).write(plan, self._proposer, bare, longest)
        plan.draw_hours(keys, Stream.EVENT_RANKS, dated, np.zeros_like(dated))
        return events, plan

    def _announced(self, targets: Targets, change: np.ndarray, within: np.ndarray) -> np.ndarray:
        """(n,) changes, in %, as announced: by ``within``."""
        table, size = self._proposer.table, targets.size
        family, sign = table.family.take(targets.variant), table.sign.take(targets.variant)
        points = 100.0 * SHARE_THRESHOLD[self._proposer.difficulty] * size
        actual = np.where(
            family == MIX_FAMILY, points, np.where(family == QUALITY_FAMILY, 100.0 * size, np.abs(change))
        )
        return as_announced(sign, actual / within, family == MIX_FAMILY)

    def draw_gaps(self, keys: np.ndarray, bare: np.ndarray, entry: np.ndarray, taken: np.ndarray) -> Gaps:
        """Gaps on dates without an event; their links are written to ``taken``.

        Args:
            keys: (B,) uint64.
            bare: (M, B, D) measures without events and incidents.
            entry: (H, B, D) first-step events an hour.
            taken: (B, D) uint16, see ``links``.
        """
        world, episodes, days = self.world, len(keys), bare.shape[-1]
        high = world.gaps[1]
        number = drawn_numbers(world.gaps, rng.uniforms(keys, Stream.GAPS, 1)[0])
        spot = np.flatnonzero(np.arange(high) < number[:, None])
        lane, rank = spot // max(high, 1), spot % max(high, 1)
        words, draws = drawn(keys[lane], Stream.GAPS, rank, GAP_WORDS)
        limit = self._entry_limit.of(median_of_sorted(np.sort(bare[:1], axis=-1)))[0, lane]
        loss = limit * (world.gap_loss[0] + words[0] * (world.gap_loss[1] - world.gap_loss[0]))
        start = drawn_starts(self.config, np.ones_like(lane), draws)
        traffic = bare[0].reshape(-1).take((lane * days)[:, None] + start)
        tries = Tries(start, np.ones_like(start), traffic * (1.0 - GAP_KEEPS) >= loss[:, None])
        free = np.full(start.shape, ALL_LINKS | 1 << TAKEN, np.uint16)
        chosen = tries.settle(taken, lane, rank, free, np.full(len(lane), self._gap_links))
        kept = np.flatnonzero(chosen >= 0)
        lane, spot, day = lane[kept], spot[kept], start[kept, chosen[kept]]
        hours = lost_hours(entry[:, lane, day].astype(np.float64), loss[kept], words[1, kept])
        gaps = Gaps(*(np.full((episodes, high), fill) for fill in (False, -1, -1, -1)))
        for whole, part in zip((gaps.active, gaps.day, gaps.first, gaps.last), (True, day, *hours), strict=True):
            whole.reshape(-1)[spot] = part
        return gaps


class HolidayLayer(NamedTuple):
    """The holidays of B episodes as events, and how far they moved the n dates that they are on."""

    events: Events
    lane: np.ndarray  # (n,) int64
    day: np.ndarray  # (n,) int64
    moves: np.ndarray  # (M, n) float64, from the medians: what a holiday does is all that is unusual on its date


def lay_holidays(
    config: GeneratorConfig, proposer: Proposer, dates: HolidayDates, bare: np.ndarray, taken: np.ndarray
) -> HolidayLayer:
    """Events from the holidays of (M, B, D) bare measures; their links are written to ``taken``, (B, D) uint16.

    Whether one came true is measured: its entity moved as announced, by ``MIN_MOVE`` thresholds.
    """
    catalogue, table = config.catalogue, proposer.table
    lane, place = np.nonzero(dates.day != NOTHING)
    day, entity, announced = (array[lane, place] for array in dates)
    usual = medians(catalogue, bare)
    moves = bare[:, lane, day] - usual[:, lane]
    limit = thresholds(catalogue, proposer.difficulty, usual)[entity, lane]
    sign = np.sign(announced)
    types = [catalogue.entities[index].entity_type for index in entity.tolist()]
    families = [ANOMALY_TYPES.index(anomaly_type(*of)) for of in zip(types, sign.tolist(), strict=True)]
    events = Events.empty(*dates.day.shape)
    alike = (table.entity == entity[:, None]) & (table.sign == sign[:, None])
    for whole, part in (
        (events.active, True),
        (events.first, day),
        (events.length, 1),
        (events.variant, np.where(alike.any(axis=1), alike.argmax(axis=1), NOTHING)),
        (events.entity, entity),
        (events.family, families),
        (events.effect, sign * moves[catalogue.measure_of_entity[entity], np.arange(len(entity))] >= MIN_MOVE * limit),
        (events.announced, announced),
        (events.holiday, True),
    ):
        whole[lane, place] = part
    taken[lane, day] |= links_of_entities(config)[entity] | np.uint16(1 << TAKEN)
    return HolidayLayer(events, lane, day, moves)


def drawn(keys: np.ndarray, stream: Stream, rank: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What (n,) ranks of a stream draw: (count, n) numbers in [0, 1) and (n, T) of 16 bits, for the tries."""
    words = rng.words_at(keys, stream, 1 + rank * (count + TRY_WORDS), count + TRY_WORDS)
    return rng.unit(words[:count]), rng.units16(words[count:])


def lost_hours(entry: np.ndarray, loss: np.ndarray, draw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and last hour of windows that hold at least some traffic, the start drawn from all that can.

    Args:
        entry: (H, n) events an hour, each date with at least ``loss`` of them.
        loss: (n,) events.
        draw: (n,) draws in [0, 1).
    """
    until = np.cumsum(entry, axis=0)  # whole numbers: exact in any order
    before = until - entry
    starts = (until[-1] - before >= loss).sum(axis=0)
    first = (draw * starts).astype(np.int64)
    reached = until - before[first, np.arange(len(first))] >= loss
    return first, np.minimum(reached.argmax(axis=0), HOURS_PER_DAY - 1)
