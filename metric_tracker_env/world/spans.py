"""Where the incidents of a world fall: on dates of their own, beside an event, or beyond what one announced."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.world import rng
from metric_tracker_env.world.calendar import Events
from metric_tracker_env.world.layer import Twin
from metric_tracker_env.world.links import TAKEN, links_of_entities
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.planner import RETRIES
from metric_tracker_env.world.proposals import Proposer
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import MIX_FAMILY, QUALITY_FAMILY, VariantTable
from metric_tracker_env.world.windows import Tries, Windows, drawn_lengths, drawn_numbers, drawn_starts

TRY_WORDS = 2
TRIES = TRY_WORDS * rng.DRAWS_PER_WORD  # windows of one draw that are looked at together
WISH_WORDS = 3  # family, length, place
DRAW_WORDS = 3  # event, variant, size; then the windows
# Of the draws that an incident may take to find a place, those after which one that cannot go beyond an event is put
# beside one, and after which one that cannot be put beside any is put anywhere; one that fits nowhere is given up.
BEYOND_DRAWS, BESIDE_DRAWS = 2, 4
MAX_REDRAWS = 7  # incidents that do not pass so often on the final data are given up
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
        self._range, self._high = episode.count_range, episode.count_range[1]
        self._links = links_of_entities(config)[proposer.table.entity]

    def draw(self, keys: np.ndarray, twin: Twin) -> tuple[Plan, np.ndarray]:
        """Plan a batch: (B,) keys and their twin -> plan, and (B, K) draws used, equal for the dates of an incident."""
        longest = self.world.longest
        plan = Plan.empty(len(keys), self._high * longest, self.config.catalogue.num_steps, longest)
        wishes, attempts = self._wishes(keys), np.zeros(plan.active.shape, np.int64)
        # Nearly all incidents fit at the first draw; of the others all further draws are looked at together.
        self._place(keys, twin, plan, attempts, wishes, np.flatnonzero(wishes.active), (1, RETRIES - 1))
        return plan, attempts

    def redraw(self, keys: np.ndarray, twin: Twin, plan: Plan, attempts: np.ndarray, failed: np.ndarray) -> None:
        """Draw the incidents of the ``failed`` (B, K) places again; their families and lengths stay."""
        longest = self.world.longest
        spot = np.flatnonzero(failed.reshape(-1, longest).any(axis=1))
        plan.active.reshape(-1, longest)[spot] = False
        plan.day.reshape(-1, longest)[spot] = -1
        spot = spot[attempts.reshape(-1, longest)[spot].max(axis=1) <= MAX_REDRAWS * RETRIES]
        self._place(keys, twin, plan, attempts, self._wishes(keys), spot, (RETRIES,))

    def _wishes(self, keys: np.ndarray) -> Wishes:
        high, world = self._high, self.world
        draws = rng.uniforms(keys, Stream.SPANS, 1 + high * WISH_WORDS)
        family, length, where = draws[1:].reshape(WISH_WORDS, high, len(keys)).transpose(0, 2, 1)
        beside = where < world.on_event_dates
        beyond = where < world.on_event_dates * world.beyond_announced
        return Wishes(
            active=np.arange(high) < drawn_numbers(self._range, draws[0])[:, None],
            family=self._families[(family * len(self._families)).astype(np.int64)],
            length=drawn_lengths(world, length),
            where=beside.astype(np.int64) + beyond,
        )

    def _place(
        self,
        keys: np.ndarray,
        twin: Twin,
        plan: Plan,
        attempts: np.ndarray,
        wishes: Wishes,
        spot: np.ndarray,
        together: tuple[int, ...],
    ) -> None:
        """Draw the incidents at (n,) places among the flat (B, I); those of which no draw fits are given up.

        Of the next ``RETRIES`` draws of an incident the first that fits is taken; so many of them at a time are looked
        at ``together``.
        """
        assert twin.layer is not None
        high, longest = self._high, self.world.longest
        taken = twin.layer.links.copy()
        lane, at = np.nonzero(plan.active)
        taken[lane, plan.day[lane, at]] |= np.uint16(1 << TAKEN)
        announced = _Announced(twin.layer.events, self._proposer.table)
        used = attempts.reshape(-1, longest).max(axis=1)
        attempts.reshape(-1, longest)[spot] = (used[spot] + RETRIES)[:, None]
        for draws in together:
            if not len(spot):
                return
            turn = (used[spot][:, None] + np.arange(draws)).reshape(-1)
            tried = self._tried(keys, twin, announced, wishes, np.repeat(spot, draws), turn)
            shape = (len(spot), draws * TRIES)
            length, barred = (np.repeat(a, TRIES).reshape(shape) for a in (tried.windows.length, tried.barred))
            tries = Tries(tried.start.reshape(shape), length, tried.fits.reshape(shape))
            mark = np.full(len(spot), 1 << TAKEN, np.uint16)
            chosen = tries.settle(taken, spot // high, spot % high, barred, mark)
            found = np.flatnonzero(chosen >= 0)
            accepted = tried.windows.take(found * draws + chosen[found] // TRIES)
            accepted = accepted._replace(start=tries.start[found, chosen[found]])
            places = accepted.write(plan, self._proposer, twin.values, longest)
            plan.draw_hours(keys, Stream.RANKS, places, attempts.reshape(-1)[places])
            used[spot] += draws
            spot = spot[chosen < 0]

    def _tried(
        self,
        keys: np.ndarray,
        twin: Twin,
        announced: _Announced,
        wishes: Wishes,
        spot: np.ndarray,
        turn: np.ndarray,
    ) -> _Tried:
        """Draw number ``turn``, (n,), of the incidents at (n,) places among the flat (B, I)."""
        table = self._proposer.table
        lane = spot // self._high
        each = DRAW_WORDS + TRY_WORDS
        offset = 1 + self._high * WISH_WORDS + (turn * self._high + spot % self._high) * each
        drawn = rng.words_at(keys[lane], Stream.SPANS, offset, each)
        words, draws = rng.unit(drawn[:DRAW_WORDS]), rng.units16(drawn[DRAW_WORDS:])
        family, length = wishes.family.reshape(-1)[spot], wishes.length.reshape(-1)[spot]
        place = turn % RETRIES  # among those of this draw or redraw
        latest = BEYOND - (place >= BEYOND_DRAWS).astype(np.int64) - (place >= BESIDE_DRAWS)
        where = np.minimum(wishes.where.reshape(-1)[spot], latest)
        variant, size = self._proposer.draw(family, words[1], words[2])
        start = drawn_starts(self.config, length, draws)

        beyond = np.flatnonzero((where == BEYOND) & (announced.surpassed.number[lane] > 0))
        event, _, _ = announced.surpassed.draw(lane[beyond], words[0, beyond, None])
        event = lane[beyond], event[:, 0]
        variant[beyond] = announced.events.variant[event]
        size[beyond] = table.low.take(variant[beyond]) + words[2, beyond] * table.span.take(variant[beyond])
        lasts = announced.events.length[event]
        length[beyond] = np.minimum(np.minimum(length[beyond], LONGEST_BEYOND), lasts)
        room = (lasts - length[beyond] + 1)[:, None]
        start[beyond] = announced.events.first[event][:, None] + (draws[beyond] * room).astype(np.int64)

        beside = (where > ANYWHERE) & (announced.dates.number[lane] > 0) & (family != QUALITY_FAMILY)
        beside[beyond] = False
        beside = np.flatnonzero(beside)
        _, day, rest = announced.dates.draw(lane[beside], draws[beside])
        start[beside] = day - (rest * length[beside, None]).astype(np.int64)

        dates = self.config.candidate_days
        last = start + (length - 1)[:, None]
        inside = (start >= dates.start) & (last < dates.stop)
        np.clip(last, 0, self.config.num_days - 1, out=last)
        targets = self._proposer.targets(twin.values, lane, variant, size)
        proposed = self._proposer.propose(twin.values, targets, last)
        fits = proposed.fits & inside
        if len(beyond):
            more = targets.take(beyond)
            factors = self._proposer.factors(more, proposed.take(beyond))
            fits[beyond] &= self._proposer.bearable(twin.values, more, last[beyond], factors)
        barred = self._links.take(variant) | np.uint16(1 << TAKEN)
        barred[beyond] = 1 << TAKEN
        return _Tried(Windows(spot, start[:, 0], length, targets), start, fits, barred)


class _Tried(NamedTuple):
    """n draws of incidents, with T windows each."""

    windows: Windows  # the first day of each is open
    start: np.ndarray  # (n, T) int64 first days
    fits: np.ndarray  # (n, T) bool, windows that lie inside the candidate dates and fit the data
    barred: np.ndarray  # (n,) uint16, what a date of a window must not hold


class _EventDates:
    """The dates of some events of B episodes, to draw from."""

    def __init__(self, events: Events, chosen: np.ndarray) -> None:
        """(B, K) bool: which events."""
        self._first, length = events.first, np.where(chosen, events.length, 0)
        self._until = np.cumsum(length, axis=1)
        self._before = self._until - length
        self.number = self._until[:, -1] if length.size else np.zeros(len(length), np.int64)  # (B,) dates

    def draw(self, lane: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n,) episodes and (n, T) draws in [0, 1) -> (n, T) event, day index of its date, and the rest of the draw."""
        draws = draws * self.number[lane, None]
        wanted = draws.astype(np.int64)
        event = (self._until[lane, None] <= wanted[..., None]).sum(axis=2)
        row = lane[:, None]
        return event, self._first[row, event] + wanted - self._before[row, event], draws - wanted


class _Announced:
    """Where incidents may coincide with events."""

    def __init__(self, events: Events, table: VariantTable) -> None:
        family = table.family.take(events.variant)
        told = (family != MIX_FAMILY) & (family != QUALITY_FAMILY)  # an incident beyond the others can be told
        told &= events.variant >= 0
        self.events = events
        self.dates = _EventDates(events, events.active)
        self.surpassed = _EventDates(events, events.active & events.effect & told)
