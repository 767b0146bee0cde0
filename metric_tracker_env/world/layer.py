"""The world layer: what events and gaps make of bare data, and what they explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig, WorldConfig
from metric_tracker_env.world.calendar import CalendarPlanner, Events, Gaps, lay_holidays
from metric_tracker_env.world.holidays import NOTHING, HolidayDates
from metric_tracker_env.world.injection import Incidents, inject
from metric_tracker_env.world.links import TAKEN
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.proposals import Proposer


@dataclass
class Layer:
    """The known events and gaps of B episodes, and what they did to the data."""

    events: Events
    gaps: Gaps
    event_of_day: np.ndarray  # (B, D) int64, place of the event that was announced for each date, or NOTHING
    gap_of_day: np.ndarray  # (B, D) int64, place of the gap of each date, or NOTHING
    links: np.ndarray  # (B, D) uint16, links that events and gaps of each date touch, with an effect or not
    lane: np.ndarray  # (n,) int64, episodes of the dates that were changed
    day: np.ndarray  # (n,) int64, those dates
    moves: np.ndarray  # (M, n) float64, how far they moved the measures from the bare ones

    def take(self, episodes: np.ndarray) -> Layer:
        """The layer of some episodes, in any order."""
        order = np.argsort(self.lane, kind="stable")
        first, end = (np.searchsorted(self.lane[order], episodes, side=side) for side in ("left", "right"))
        number = end - first
        kept = np.arange(number.sum()) + np.repeat(first - np.cumsum(number) + number, number)
        kept = order[kept]
        return Layer(
            self.events.take(episodes),
            self.gaps.take(episodes),
            self.event_of_day[episodes],
            self.gap_of_day[episodes],
            self.links[episodes],
            np.repeat(np.arange(len(episodes)), number),
            self.day[kept],
            self.moves[:, kept],
        )

    @staticmethod
    def join(parts: list[Layer]) -> Layer:
        """The layers of several batches, one after another."""
        first = np.cumsum([0, *(len(part.links) for part in parts)])
        return Layer(
            Events.join([part.events for part in parts]),
            Gaps.join([part.gaps for part in parts]),
            np.concatenate([part.event_of_day for part in parts]),
            np.concatenate([part.gap_of_day for part in parts]),
            np.concatenate([part.links for part in parts]),
            np.concatenate([part.lane + at for part, at in zip(parts, first, strict=False)]),
            np.concatenate([part.day for part in parts]),
            np.concatenate([part.moves for part in parts], axis=1),
        )


class Twin(NamedTuple):
    """The data of B episodes without incidents."""

    planes: np.ndarray  # (S, H, B, D), see EpisodeBatch.planes
    values: np.ndarray  # (M, B, D) float64 measures
    layer: Layer | None = None  # None without a world
    unwritten: tuple[Incidents, ...] = ()  # what the layer changes in the planes and that is not written there yet

    def write_under(self, plan: Plan) -> None:
        """Write to the planes what the layer changes on the dates of a plan, which is all that injecting it reads."""
        if not self.unwritten:
            return
        episodes, days = self.planes.shape[2:]
        lane, place = np.nonzero(plan.active)
        read = np.zeros(episodes * days, bool)
        read[lane * days + plan.day[lane, place]] = True
        for part in self.unwritten:
            part.write_some(self.planes, read[part.cell])

    def take(self, episodes: np.ndarray) -> Twin:
        """The data of some episodes, in any order."""
        if self.layer is None:
            return Twin(self.planes.take(episodes, axis=2), self.values.take(episodes, axis=1))
        for part in self.unwritten:
            part.write_some(self.planes, np.isin(part.lane, episodes))
        return Twin(self.planes.take(episodes, axis=2), self.values.take(episodes, axis=1), self.layer.take(episodes))


class LayerMaker:
    """Lays events and gaps over bare data."""

    def __init__(self, config: GeneratorConfig, world: WorldConfig, proposer: Proposer, families: np.ndarray) -> None:
        self._config, self._proposer = config, proposer
        self._planner = CalendarPlanner(config, world, proposer, families)

    def lay(
        self,
        keys: np.ndarray,
        planes: np.ndarray,
        values: np.ndarray,
        hourly: bool,
        holidays: HolidayDates | None = None,
    ) -> Twin:
        """Draw the calendar of (B,) keys and change bare planes and measures, in place, to those of the world.

        Args:
            keys: (B,) uint64.
            planes: (S, H, B, D) bare hours; they are changed if ``hourly``, and else left to ``Twin.write_under``.
            values: (M, B, D) bare measures.
            hourly: Whether the planes are wanted.
            holidays: Of the history that the data are; None for drawn data.
        """
        config, proposer = self._config, self._proposer
        episodes, days = values.shape[1:]
        taken = np.zeros((episodes, days), np.uint16)
        known = None if holidays is None else lay_holidays(config, proposer, holidays, values, taken)
        events, plan = self._planner.draw_events(keys, values, taken)
        gaps = self._planner.draw_gaps(keys, values, planes[0], taken)
        changed = inject(config, proposer.difficulty, planes, plan)
        lost = lose_hours(planes, gaps)
        parts = (changed, lost)
        moves = [replace_measures(values, part.cell, part.measures(config.catalogue)) for part in parts]
        cell = [part.cell for part in parts]
        if known is not None:
            events = events.beside(known.events)
            cell.append(known.lane * days + known.day)
            moves.append(known.moves)
        cell = np.concatenate(cell)
        layer = Layer(
            events=events,
            gaps=gaps,
            event_of_day=_places_by_day(events.active, events.first, events.length, days),
            gap_of_day=_places_by_day(gaps.active, gaps.day, np.ones_like(gaps.day), days),
            links=taken & np.uint16((1 << TAKEN) - 1),
            lane=cell // days,
            day=cell % days,
            moves=np.concatenate(moves, axis=1),
        )
        if hourly:
            for part in parts:
                part.write(planes)
        return Twin(planes, values, layer, () if hourly else parts)


def lose_hours(planes: np.ndarray, gaps: Gaps) -> Incidents:
    """What gaps make of hourly planes (S, H, B, D), which stay as they are: no events in the lost hours."""
    hours, episodes, days = planes.shape[1:]
    lane, rank = np.nonzero(gaps.active)
    cell = lane * days + gaps.day[lane, rank]
    place = np.arange(0, hours * episodes * days, episodes * days)[:, None] + cell
    hour = np.arange(hours)[:, None]
    kept = (hour < gaps.first[lane, rank]) | (hour > gaps.last[lane, rank])
    counts = np.stack([plane.reshape(-1).take(place) for plane in planes]) * kept
    nothing = np.zeros(0, np.int64)
    return Incidents(cell, lane, nothing, nothing, place, counts)


def replace_measures(values: np.ndarray, cell: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Put the (M, n) measures of some dates, ``cell`` = b x D + d, into (M, B, D) values; (M, n) how far they move."""
    flat = values.reshape(-1)
    at = np.arange(0, len(flat), len(flat) // len(values))[:, None] + cell
    before = flat.take(at)
    flat[at.reshape(-1)] = after.reshape(-1)
    return after - before


def _places_by_day(active: np.ndarray, first: np.ndarray, length: np.ndarray, days: int) -> np.ndarray:
    """(B, K) windows -> (B, D) int64: place of the one that each date lies in, or NOTHING."""
    out = np.full((len(active), days), NOTHING)
    lane, rank = np.nonzero(active)
    start, number = first[lane, rank], length[lane, rank]
    for further in range(int(number.max(initial=0))):
        out[lane, start + np.minimum(further, number - 1)] = rank
    return out
