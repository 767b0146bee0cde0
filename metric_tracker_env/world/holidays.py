"""What is announced of the days of a history: what their holidays did before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.fitting.holiday_effects import NOTHING, ExpectedChanges
from metric_tracker_env.world.announced import Announcements, as_announced


class HolidayDates(NamedTuple):
    """The dates of B episodes near a holiday, K places each; an event a date, as each has a change of its own."""

    day: np.ndarray  # (B, K) int64 day index, or NOTHING
    entity: np.ndarray  # (B, K) int64
    announced: np.ndarray  # (B, K) float64, see Events.announced


class HolidayCalendar:
    """What is announced of each of N days of a history."""

    def __init__(self, config: GeneratorConfig, nominal: np.ndarray, near: ExpectedChanges) -> None:
        """From the (M,) measures of a mean day."""
        catalogue = config.catalogue
        self._entities = catalogue.num_entities
        first_of = {int(row): entity for entity, row in reversed(list(enumerate(catalogue.measure_of_entity)))}
        self._entity = np.array([first_of.get(row, NOTHING) for row in near.measure.tolist()], np.int64)
        points = near.measure == catalogue.share_row
        size = 100.0 * np.abs(near.change) * np.where(points, nominal[catalogue.share_row], 1.0)
        self._announced = as_announced(np.sign(near.change), size, points)

    @property
    def announced(self) -> np.ndarray:
        """(N,) bool: days of which something is announced."""
        return self._entity != NOTHING

    def ratios(self, announcements: Announcements) -> np.ndarray:
        """(E, N) float64: what is announced of each day, in thresholds; 0 where nothing is."""
        known = np.flatnonzero(self.announced)
        found = np.zeros((self._entities, len(self._entity)))
        found[:, known] = announcements.ratios(self._entity[known], self._announced[known])
        return found

    def of(self, days: np.ndarray, places: int) -> HolidayDates:
        """(B, D) days of the history that the dates of episodes show -> those near a holiday, at most ``places``."""
        found = HolidayDates(
            np.full((len(days), places), NOTHING),
            np.zeros((len(days), places), np.int64),
            np.zeros((len(days), places)),
        )
        near = self.announced[days]
        lane, date = np.nonzero(near)
        rank = (np.cumsum(near, axis=1) - 1)[lane, date]
        found.day[lane, rank] = date
        found.entity[lane, rank] = self._entity[days[lane, date]]
        found.announced[lane, rank] = self._announced[days[lane, date]]
        return found
