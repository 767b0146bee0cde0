"""Where the incidents of a world fall: on dates of their own, beside an event, or beyond what one announced."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.world import rng
from metric_tracker_env.world.layer import NOTHING, Layer, Twin
from metric_tracker_env.world.links import TAKEN, links_of_entities
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.proposals import Proposer
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import MIX_FAMILY, QUALITY_FAMILY
from metric_tracker_env.world.windows import Windows, drawn_lengths, drawn_starts, place

TRIES = 8  # windows of one draw that are looked at together
WISH_WORDS = 3  # family, length, place
WORDS_PER_ROUND = 3 + TRIES  # event, variant, size; windows
# Rounds of draws after which an incident that cannot go beyond an event is put beside one, after which one that
# cannot be put beside any is put anywhere, and after which one that fits nowhere is given up.
BEYOND_ROUNDS, BESIDE_ROUNDS, MAX_ROUNDS = 2, 4, 12
LONGEST_BEYOND = 2  # dates
ANYWHERE, BESIDE, BEYOND = range(3)


class Wishes(NamedTuple):
    """What is drawn of the (B, I) incidents once, whatever happens to them."""

    active: np.ndarray  # bool
    family: np.ndarray  # int64
    length: np.ndarray  # int64 dates
    where: np.ndarray  # int64: ANYWHERE, BESIDE or BEYOND


class SpanPlanner:
    """Draws the incidents of a batch and draws single ones again, each episode from its own stream."""

    def __init__(
        self,
        config: GeneratorConfig,
        world: WorldConfig,
        episode: EpisodeConfig,
        proposer: Proposer,
        families: np.ndarray,
    ) -> None:
        self.config, self.world = config, world
        self._proposer, self._families = proposer, families
        self._low, self._high = episode.count_range
        self._links = links_of_entities(config)[proposer.table.entity]

    def draw(self, keys: np.ndarray, twin: Twin) -> tuple[Plan, np.ndarray]:
        """Plan a batch: (B,) keys and their twin -> plan, and (B, I) rounds of draws used."""
        longest = self.world.longest
        plan = Plan.empty(len(keys), self._high * longest, self.config.catalogue.num_steps, longest)
        wishes, rounds = self._wishes(keys), np.zeros((len(keys), self._high), np.int64)
        self._place(keys, twin, plan, rounds, wishes, np.flatnonzero(wishes.active))
        return plan, rounds

    def redraw(self, keys: np.ndarray, twin: Twin, plan: Plan, rounds: np.ndarray, failed: np.ndarray) -> None:
        """Draw the incidents of the ``failed`` (B, K) places again; their families and lengths stay."""
        longest = self.world.longest
        spot = np.flatnonzero(failed.reshape(-1, longest).any(axis=1))
        plan.active.reshape(-1, longest)[spot] = False
        self._place(keys, twin, plan, rounds, self._wishes(keys), spot)

    def _wishes(self, keys: np.ndarray) -> Wishes:
        high, world = self._high, self.world
        draws = rng.uniforms(keys, Stream.SPANS, 1 + high * WISH_WORDS)
        number = self._low + (draws[0] * (high - self._low + 1)).astype(np.int64)
        family, length, where = draws[1:].reshape(WISH_WORDS, high, len(keys)).transpose(0, 2, 1)
        beside = where < world.on_event_dates
        beyond = where < world.on_event_dates * world.beyond_announced
        return Wishes(
            active=np.arange(high) < number[:, None],
            family=self._families[(family * len(self._families)).astype(np.int64)],
            length=drawn_lengths(world.lengths, length),
            where=beside.astype(np.int64) + beyond,
        )

    def _place(
        self, keys: np.ndarray, twin: Twin, plan: Plan, rounds: np.ndarray, wishes: Wishes, spot: np.ndarray
    ) -> None:
        """Draw the incidents at (n,) places among the flat (B, I) until each fits or is given up."""
        assert twin.layer is not None
        high, longest = self._high, self.world.longest
        taken = twin.layer.links.copy()
        lane, at = np.nonzero(plan.active)
        taken[lane, plan.day[lane, at]] |= np.uint16(1 << TAKEN)
        while len(spot := spot[rounds.reshape(-1)[spot] < MAX_ROUNDS]):
            windows, start, fits, barred = self._tried(keys, twin, rounds, wishes, spot)
            rounds.reshape(-1)[spot] += 1
            chosen = np.full(len(spot), -1)
            mark = np.full(len(spot), 1 << TAKEN, np.uint16)
            for incident in range(high):  # of two incidents that want one date the first keeps it
                rows = np.flatnonzero(spot % high == incident)
                tried = place(taken, windows.lane[rows], start[rows], windows.length[rows], barred[rows], fits[rows])
                chosen[rows] = tried
                found = rows[tried >= 0]
                windows.start[found] = start[found, chosen[found]]
                windows.take(found).mark(taken, mark[found])
            found = np.flatnonzero(chosen >= 0)
            accepted = windows.take(found)
            accepted.write(plan, self._proposer, twin.values, longest)
            dated = np.flatnonzero(plan.active.reshape(-1, longest)[accepted.spot])
            places = (accepted.spot[:, None] * longest + np.arange(longest)).reshape(-1)[dated]
            plan.draw_hours(keys, Stream.RANKS, places, rounds.reshape(-1)[places // longest])
            spot = spot[chosen < 0]

    def _tried(
        self, keys: np.ndarray, twin: Twin, rounds: np.ndarray, wishes: Wishes, spot: np.ndarray
    ) -> tuple[Windows, np.ndarray, np.ndarray, np.ndarray]:
        """The next draw of n incidents, with ``TRIES`` windows each.

        Returns:
            The incidents with their first days open; (n, T) first days; (n, T) bool, windows that fit the dates and
            the data; (n,) uint16, what a date of a window must not hold.
        """
        layer, table = twin.layer, self._proposer.table
        assert layer is not None
        lane, turn = spot // self._high, rounds.reshape(-1)[spot]
        offset = 1 + self._high * WISH_WORDS + (turn * self._high + spot % self._high) * WORDS_PER_ROUND
        words = rng.unit(rng.words_at(keys[lane], Stream.SPANS, offset, WORDS_PER_ROUND))
        family, length = wishes.family.reshape(-1)[spot], wishes.length.reshape(-1)[spot]
        where = wishes.where.reshape(-1)[spot]
        where = np.minimum(where, np.where(turn < BEYOND_ROUNDS, BEYOND, np.where(turn < BESIDE_ROUNDS, BESIDE, ANYWHERE)))
        variant, size = self._proposer.drawn(family, words[1], words[2])
        start = drawn_starts(self.config, length, words[3:].T)

        announced = layer.event_of_day >= 0
        goes_on = announced & self._may_go_beyond(layer)
        beyond = np.flatnonzero((where == BEYOND) & goes_on.any(axis=1)[lane])
        day = _pick(goes_on[lane[beyond]], words[0, beyond, None])[:, 0]
        event = lane[beyond], layer.event_of_day[lane[beyond], day]
        variant[beyond] = layer.events.variant[event]
        size[beyond] = table.low.take(variant[beyond]) + words[2, beyond] * table.span.take(variant[beyond])
        lasts = layer.events.length[event]
        length[beyond] = np.minimum(np.minimum(length[beyond], LONGEST_BEYOND), lasts)
        room = (lasts - length[beyond] + 1)[:, None]
        start[beyond] = layer.events.first[event][:, None] + (words[3:, beyond].T * room).astype(np.int64)

        beside = (where > ANYWHERE) & announced.any(axis=1)[lane] & (table.family.take(variant) != QUALITY_FAMILY)
        beside[beyond] = False
        beside = np.flatnonzero(beside)
        number = announced.sum(axis=1)[lane[beside], None]
        draw = words[3:, beside].T * number
        offset_in_window = ((draw - np.floor(draw)) * length[beside, None]).astype(np.int64)
        start[beside] = _pick(announced[lane[beside]], words[3:, beside].T) - offset_in_window

        dates = self.config.candidate_days
        inside = (start >= dates.start) & (start + length[:, None] <= dates.stop)
        last = np.clip(start + length[:, None] - 1, 0, self.config.num_days - 1)
        proposed = self._proposer.propose(twin.values, lane, variant, size, last)
        fits = proposed.fits & inside
        fits[beyond] &= self._proposer.bearable(twin.values, lane[beyond], last[beyond], proposed.factors[beyond])
        barred = self._links.take(variant) | np.uint16(1 << TAKEN)
        barred[beyond] = 1 << TAKEN
        return Windows(lane, spot, np.full(len(spot), NOTHING), length, variant, size), start, fits, barred

    def _may_go_beyond(self, layer: Layer) -> np.ndarray:
        """(B, D) bool: dates of events that came true and whose entity an incident may move further."""
        events = layer.events
        family = self._proposer.table.family.take(events.variant)
        may = events.active & events.effect & (family != MIX_FAMILY) & (family != QUALITY_FAMILY)
        padded = np.concatenate([may, np.zeros((len(may), 1), bool)], axis=1)  # the last column is for NOTHING
        return np.take_along_axis(padded, layer.event_of_day, axis=1)


def _pick(dates: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(n, D) bool dates and (n, T) draws -> (n, T) int64: one of the dates that are set for each draw."""
    until = np.cumsum(dates, axis=1)
    wanted = (draws * until[:, -1:]).astype(np.int64)
    return (until[:, None] <= wanted[..., None]).sum(axis=2)
