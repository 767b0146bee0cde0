"""What is known beside incidents: announced events, some of which change nothing, and hours that were lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_tracker_env.config import GeneratorConfig, WorldConfig
from metric_tracker_env.measure import SHARE_THRESHOLD, median_of_sorted, threshold_table
from metric_tracker_env.schema import HOURS_PER_DAY, Difficulty
from metric_tracker_env.world import rng
from metric_tracker_env.world.links import TAKEN, links_of_entities, links_of_gap
from metric_tracker_env.world.plan import PerEpisode, Plan
from metric_tracker_env.world.proposals import Proposer
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import MIX_FAMILY, QUALITY_FAMILY
from metric_tracker_env.world.windows import Windows, drawn_lengths, drawn_starts, place

TRIES = 8  # windows that are tried for an event or a gap; where none is free, the episode has one less
EVENT_WORDS = 6 + TRIES  # length, effect, family, variant, size, announced; windows
GAP_WORDS = 2 + TRIES  # loss, first hour; dates
MOST_ANNOUNCED = 95.0  # percent that an announced drop may reach
MIX_DIGITS = 10.0  # the mix is announced in tenths of a point, everything else in whole percent
GAP_KEEPS = 0.1  # least share of its traffic that a date with a gap keeps


@dataclass
class Events(PerEpisode):
    """Known events of B episodes, K places each; at most one a date."""

    active: np.ndarray  # (B, K) bool
    first: np.ndarray  # (B, K) int64 day index
    length: np.ndarray  # (B, K) int64 dates
    variant: np.ndarray  # (B, K) int64, row of the variant table
    effect: np.ndarray  # (B, K) bool, whether it came true; never announced
    announced: np.ndarray  # (B, K) float64, signed: % of the median; of the mix, points; of data quality, % over upstream


@dataclass
class Gaps(PerEpisode):
    """Dates of B episodes that lost hours, K places each."""

    active: np.ndarray  # (B, K) bool
    day: np.ndarray  # (B, K) int64
    first: np.ndarray  # (B, K) int64, first lost hour
    last: np.ndarray  # (B, K) int64, last lost hour


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
        world, table = self.world, self._proposer.table
        (low, high), longest, episodes = world.events, world.longest, len(keys)
        draws = rng.uniforms(keys, Stream.EVENTS, 1 + high * EVENT_WORDS)
        number = low + (draws[0] * (high - low + 1)).astype(np.int64)
        spot = np.flatnonzero(np.arange(high) < number[:, None])
        lane, rank = spot // max(high, 1), spot % max(high, 1)
        words = draws[1:].reshape(high, EVENT_WORDS, episodes)[rank, :, lane].T
        length = drawn_lengths(world.lengths, words[0])
        effect = words[1] >= world.without_effect
        family = self._families[(words[2] * len(self._families)).astype(np.int64)]
        variant, size = self._proposer.drawn(family, words[3], words[4])
        start = drawn_starts(self.config, length, words[6:].T)
        last = start + length[:, None] - 1
        proposed = self._proposer.propose(bare, lane, variant, size, last)
        links = self._links.take(variant)
        barred = np.full(len(spot), 1 << TAKEN, np.uint16)
        chosen = np.empty(len(spot), np.int64)
        for turn in range(high):
            rows = np.flatnonzero(rank == turn)
            tried = place(taken, lane[rows], start[rows], length[rows], barred[rows], proposed.fits[rows])
            chosen[rows] = tried
            found = rows[tried >= 0]
            first = start[found, chosen[found]]
            Windows(lane[found], spot[found], first, length[found], variant[found], size[found]).mark(taken, links[found])

        kept = np.flatnonzero(chosen >= 0)
        chosen, effect = chosen[kept], effect[kept]
        windows = Windows(*(a[kept] for a in (lane, spot)), start[kept, chosen], *(a[kept] for a in (length, variant, size)))
        own, relative = proposed.own[kept, chosen], proposed.relative[kept, chosen]
        actual = self._percent(windows, 100.0 * (own - 1.0) * relative)
        within = 1.0 + world.announced_within * (2.0 * words[5, kept] - 1.0)
        events = Events(*(np.full((episodes, high), fill) for fill in (False, -1, 0, 0, False, 0.0)))
        for whole, part in (
            (events.active, True),
            (events.first, windows.start),
            (events.length, windows.length),
            (events.variant, windows.variant),
            (events.effect, effect),
            (events.announced, self._announced(windows.variant, actual / within)),
        ):
            whole.reshape(-1)[windows.spot] = part

        plan = Plan.empty(episodes, high * longest, self.config.catalogue.num_steps, longest)
        windows.take(np.flatnonzero(effect)).write(plan, self._proposer, bare, longest)
        dated = np.flatnonzero(plan.active)
        plan.draw_hours(keys, Stream.EVENT_RANKS, dated, np.zeros_like(dated))
        return events, plan

    def _percent(self, windows: Windows, change: np.ndarray) -> np.ndarray:
        """Planned change of n events, signed, in the unit in which each is announced; most are in % already."""
        family, size = self._proposer.table.family.take(windows.variant), windows.size
        points = 100.0 * SHARE_THRESHOLD[self._proposer.difficulty] * size
        return np.where(family == MIX_FAMILY, points, np.where(family == QUALITY_FAMILY, 100.0 * size, change))

    def _announced(self, variant: np.ndarray, change: np.ndarray) -> np.ndarray:
        """(n,) changes as announced: rounded, never nothing, and no drop of everything."""
        table = self._proposer.table
        family, sign = table.family.take(variant), table.sign.take(variant)
        unit = np.where(family == MIX_FAMILY, 1.0 / MIX_DIGITS, 1.0)
        size = np.maximum(np.rint(np.abs(change) / unit), 1.0) * unit
        return sign * np.where(sign < 0, np.minimum(size, MOST_ANNOUNCED), size)

    def draw_gaps(self, keys: np.ndarray, bare: np.ndarray, entry: np.ndarray, taken: np.ndarray) -> Gaps:
        """Gaps on dates without an event; their links are written to ``taken``.

        Args:
            keys: (B,) uint64.
            bare: (M, B, D) measures without events and incidents.
            entry: (H, B, D) first-step events an hour.
            taken: (B, D) uint16, see ``links``.
        """
        world, episodes, days = self.world, len(keys), bare.shape[-1]
        low, high = world.gaps
        draws = rng.uniforms(keys, Stream.GAPS, 1 + high * GAP_WORDS)
        number = low + (draws[0] * (high - low + 1)).astype(np.int64)
        words = draws[1:].reshape(high, GAP_WORDS, episodes)
        limit = self._entry_limit.of(median_of_sorted(np.sort(bare[:1], axis=-1)))[0]
        gaps = Gaps(*(np.full((episodes, high), fill) for fill in (False, -1, -1, -1)))
        for rank in range(high):
            lane = np.flatnonzero(number > rank)
            loss_draw, hour_draw, *date_draws = words[rank][:, lane]
            one = np.ones_like(lane)
            loss = limit[lane] * (world.gap_loss[0] + loss_draw * (world.gap_loss[1] - world.gap_loss[0]))
            start = drawn_starts(self.config, one, np.array(date_draws).T)
            traffic = bare[0].reshape(-1).take((lane * days)[:, None] + start)
            fits = traffic * (1.0 - GAP_KEEPS) >= loss[:, None]
            chosen = place(taken, lane, start, one, np.full(len(lane), 0xFFFF, np.uint16), fits)
            found = np.flatnonzero(chosen >= 0)
            lane, day = lane[found], start[found, chosen[found]]
            first, last = lost_hours(entry[:, lane, day].astype(np.float64), loss[found], hour_draw[found])
            taken[lane, day] = self._gap_links
            gaps.active[lane, rank] = True
            gaps.day[lane, rank] = day
            gaps.first[lane, rank] = first
            gaps.last[lane, rank] = last
        return gaps


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
