"""Replay: weeks of a fitted history as clean data, with the weekdays and the level divided out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.config.replay import LATEST_DAYS, Replay
from metric_tracker_env.fitting.holiday_effects import ExpectedChanges
from metric_tracker_env.fitting.store import FittedHistory, read_fitted
from metric_tracker_env.schema import DAYS_PER_WEEK, Difficulty, weekdays_of
from metric_tracker_env.world import rng
from metric_tracker_env.world.announced import Announcements
from metric_tracker_env.world.holidays import HolidayCalendar, HolidayDates
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.traffic import plane_dtype
from metric_tracker_env.world.variants import nominal_measures

# Share of every threshold that an ordinary day stays within: the medians of some weeks differ from those of the part.
ORDINARY = 0.8

read_once = lru_cache(maxsize=8)(read_fitted)


class HistoryTraffic:
    """Clean data from a history of N days: what ``CleanTraffic`` is to drawn data.

    An episode is some weeks in a row that begin on the weekday of its first date. In ``train`` each of them may be
    another one nearby; those held out and the latest are left where they are. A day that is not known, and unless
    ``ordinary`` is False one on which a detection method finds something in the bare data, gives its place to the
    nearest ordinary day of its weekday. In a world holidays are known events: what was announced is nothing unusual.
    """

    def __init__(self, config: GeneratorConfig, replay: Replay, difficulty: Difficulty) -> None:
        """Read the history and divide weekday and level out of it.

        Raises:
            ValueError: if the history is another funnel's, has no hours where the configuration has them, or too few
                weeks or ordinary days.
        """
        self.config = config
        self.difficulty: Difficulty = difficulty
        self.dtype = plane_dtype(config)
        fitted = read_once(replay.path, replay.sha256)
        if fitted.steps != config.step_names:
            raise ValueError(f"replay: the history has the steps {fitted.steps}, and the funnel {config.step_names}")
        if config.hours and fitted.counts.shape[1] == 1:
            raise ValueError("replay: the history is daily; hours must be False")
        planes = adjusted_planes(fitted, config)
        self.exceeding = bool((planes[1:] > planes[:-1]).any())
        self._planes = planes.astype(self.dtype)
        first, weeks = part_of(fitted, replay, config)
        self._first, self._weeks = first, weeks
        self._jitter = replay.jitter if replay.weeks == "train" else 0
        self._last_only = replay.weeks == "latest"
        near = ExpectedChanges.nothing(len(fitted.dates)) if config.world is None else fitted.near_holidays
        self._holidays = HolidayCalendar(config, nominal_measures(config), near)
        self._shown = self._shown_days(fitted, planes, replay, first, weeks)
        each_week = self._holidays.announced[self._shown].reshape(-1, DAYS_PER_WEEK).sum(axis=1)
        self._most_holidays = int(each_week.max()) * config.num_weeks

    def planes(self, keys: np.ndarray, fresh: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Counts of (B,) uint64 keys, as ``CleanTraffic.planes``; they are the caller's to keep in any case."""
        del fresh
        planes = self._planes.take(self.days(keys), axis=2)
        return planes, planes.sum(axis=1)

    def holidays(self, keys: np.ndarray) -> HolidayDates:
        """What is announced of the dates of (B,) uint64 keys; in a world alone."""
        return self._holidays.of(self.days(keys), self._most_holidays)

    def days(self, keys: np.ndarray) -> np.ndarray:
        """(B,) uint64 keys -> (B, D) int64: the day of the history that each date of the episodes shows."""
        number = self.config.num_weeks
        draws = rng.uniforms(keys, Stream.WINDOWS, 1 + number)
        start = np.full(len(keys), self._weeks - number)
        if not self._last_only:
            start = (draws[0] * (self._weeks - number + 1)).astype(np.int64)
        week = start[:, None] + np.arange(number)
        if self._jitter:
            week += (draws[1:].T * (2 * self._jitter + 1)).astype(np.int64) - self._jitter
            week = np.clip(week, 0, self._weeks - 1)
        day = (week[..., None] * DAYS_PER_WEEK + np.arange(DAYS_PER_WEEK)).reshape(len(keys), -1)
        return self._shown[day]

    def _shown_days(
        self, fitted: FittedHistory, planes: np.ndarray, replay: Replay, first: int, weeks: int
    ) -> np.ndarray:
        """(7 x weeks,) int64: day of the history that stands for each day of the part."""
        catalogue = self.config.catalogue
        days = np.arange(first, first + weeks * DAYS_PER_WEEK)
        usable = (fitted.known & (fitted.expected > 0).all(axis=1))[days]
        if not usable.any():
            raise ValueError(f"replay: no day of the part {replay.weeks!r} is known")
        part = planes[:, :, days]
        values = measure.measures(catalogue, part.sum(axis=1), measure.daytime(part[0]), measure.excess(part))
        usual = measure.medians(catalogue, values[:, None, usable])
        limits = measure.thresholds(catalogue, self.difficulty, usual)
        row = catalogue.measure_of_entity
        ratios = (values[row] - usual[row]) / limits
        ratios -= self._holidays.ratios(Announcements(self.config, self.difficulty))[:, days]
        ordinary = usable & ~measure.flagged(catalogue, ratios[:, None] / ORDINARY)[:, 0].any(axis=0)
        kept = ordinary if replay.ordinary else usable
        ordinary = ordinary & ~self._holidays.announced[days]
        if self._last_only:  # these are what is to be judged
            kept = kept | (usable & (days >= days[-1] + 1 - LATEST_DAYS))
            ordinary = ordinary & (days < days[-1] + 1 - LATEST_DAYS)
        if not ordinary.any():
            raise ValueError(f"replay: no day of the part {replay.weeks!r} is ordinary at {self.difficulty}")
        return days[nearest_alike(kept, ordinary)]


def part_of(fitted: FittedHistory, replay: Replay, config: GeneratorConfig) -> tuple[int, int]:
    """First day of the part of a history, on the weekday of an episode's first date, and its number of whole weeks.

    Raises:
        ValueError: if there are fewer than an episode has, or the latest do not end with the episode.
    """
    days = len(fitted.dates)
    first, stop = {"train": (0, fitted.held_out), "held_out": (fitted.held_out, days), "latest": (0, days)}[
        replay.weeks
    ]
    weekdays = weekdays_of(fitted.dates)
    beyond = 0 if stop == first else int((weekdays[stop - 1] - config.weekdays[-1]) % DAYS_PER_WEEK)
    if replay.weeks == "latest" and beyond:
        raise ValueError(
            f"replay: the latest day of the history is {fitted.dates[-1]}; end_date {config.end_date} must be on its "
            "weekday"
        )
    weeks = max((stop - beyond - first) // DAYS_PER_WEEK, 0)
    if weeks < config.num_weeks:
        raise ValueError(
            f"replay: the part {replay.weeks!r} of the history has {weeks} whole weeks; num_weeks is {config.num_weeks}"
        )
    return stop - beyond - weeks * DAYS_PER_WEEK, weeks


def adjusted_planes(fitted: FittedHistory, config: GeneratorConfig) -> np.ndarray:
    """(S, H, N) float64 whole numbers: the counts as they would be on a day of the configuration's level and mix.

    Where the mix of the hours has a weekday pattern or drifts, daytime hours and the others are scaled so that the
    expected share becomes the usual one; that leaves the first step's total, and the rates of every hour. Rounded
    cumulatively, so that a day moves by its factor even where hours have few events. A step that does not exceed the
    one before it in an hour of the history does not do so here.
    """
    raw = fitted.counts.transpose(2, 1, 0).astype(np.float64)
    if not config.hours:
        raw = raw.sum(axis=1, keepdims=True)
    nominal = nominal_measures(config)
    usual, expected = nominal[: len(raw)], fitted.expected.T
    factor = np.where(expected > 0, usual[:, None] / np.where(expected > 0, expected, 1.0), 0.0)
    plain = raw * hour_factors(raw[0], fitted.share, nominal[config.catalogue.share_row]) if config.hours else raw
    reached = np.rint(np.cumsum(plain, axis=1) * factor[:, None])
    planes = np.diff(reached, axis=1, prepend=0.0)
    for step in range(1, len(planes)):
        kept = raw[step] <= raw[step - 1]
        planes[step] = np.where(kept, np.minimum(planes[step], planes[step - 1]), planes[step])
    return planes


def hour_factors(entry: np.ndarray, share: np.ndarray, usual: float) -> np.ndarray:
    """(24, N) float64: what the hours of each day are multiplied by to have the usual mix instead of the expected one.

    Args:
        entry: (24, N) float64 first-step events.
        share: (N,) float64 expected daytime share.
        usual: Daytime share of a usual day.
    """
    known = (share > 0) & (share < 1) & (0 < usual < 1)
    inside = np.isin(np.arange(len(entry)), measure.DAYTIME_HOURS)[:, None]
    safe = np.where(known, share, 0.5)
    factors = np.where(known, np.where(inside, usual / safe, (1.0 - usual) / (1.0 - safe)), 1.0)
    total = (entry * factors).sum(axis=0)
    return factors * np.where(total > 0, entry.sum(axis=0) / np.where(total > 0, total, 1.0), 1.0)


def nearest_alike(kept: np.ndarray, ordinary: np.ndarray) -> np.ndarray:
    """(7 x weeks,) int64: each day itself if it is kept, else the nearest ordinary one, of its weekday if there is one.

    Of two as near the later one; of whichever weekday where its own has no ordinary day at all.
    """
    place = np.arange(len(kept))
    found = place.copy()
    for day in np.flatnonzero(~kept).tolist():
        alike = np.flatnonzero(ordinary & (place % DAYS_PER_WEEK == day % DAYS_PER_WEEK))
        choice = alike if len(alike) else np.flatnonzero(ordinary)
        found[day] = choice[::-1][np.abs(choice[::-1] - day).argmin()]
    return found
