"""Clean traffic: batches of funnels as hour-major planes, from (config, difficulty, episode keys).

Only +, -, x, /, rounding and sums in a fixed order are used, so the same key gives the same counts on
every machine and in every batch.
"""

from __future__ import annotations

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.config.generator import tail_scale
from metric_tracker_env.schema import Difficulty
from metric_tracker_env.world import rng
from metric_tracker_env.world.rng import DRAW_LEVELS, Draws16, Stream
from metric_tracker_env.world.workspace import Workspace

BLOCK = 1 << 16  # draws made at a time: fewer calls for few episodes, within the cache for many
FLOAT32_LIMIT = 1 << 20  # daily counts below this are exact in float32 with room for a cumulative sum


def plane_dtype(config: GeneratorConfig) -> type[np.float32] | type[np.float64]:
    """float32 where daily counts fit its mantissa (twice the SIMD width), else float64."""
    growth = 1 + abs(config.trend_per_day) * config.num_days
    peak = config.base_daily_count * max(config.weekday_factors) * growth * (1 + config.most_day_noise)
    return np.float32 if 4 * peak < FLOAT32_LIMIT else np.float64


def mean_traffic(config: GeneratorConfig) -> np.ndarray:
    """(D,) float64 first-step events of each day without noise: base x weekday factor x (1 + trend x day)."""
    trend = 1.0 + config.trend_per_day * np.arange(config.num_days)  # 0.17 at least, at the end of twelve weeks
    return config.base_daily_count * np.array(config.weekday_factors)[config.weekdays] * trend


def daily_traffic(config: GeneratorConfig, keys: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
    """First-step events of each day: (B,) keys -> (B, D) float64, whole numbers; ``mean`` x uniform day noise."""
    mean = mean_traffic(config) if mean is None else mean
    noise = day_factors(keys, Stream.DAYS, config.num_days, config.day_noise, config.day_tail)
    noise *= mean
    return np.maximum(np.rint(noise, out=noise), 1.0, out=noise)


def day_factors(keys: np.ndarray, stream: int, days: int, half_width: float, tail: float) -> np.ndarray:
    """Noise of whole days, of mean 1 and uniform but for its tails (``tail_scale``): (B,) keys -> (B, D) float64."""
    drawn = rng.draws32(keys, stream, days)
    if tail == 0.0:
        noise = drawn * (2.0 * half_width * 2.0**-32)
        noise += 1.0 - half_width * (1.0 - 2.0**-32)
        return noise
    unit = drawn * 2.0**-31 - (1.0 - 2.0**-32)
    fourth = unit * unit
    fourth *= fourth
    return 1.0 + half_width * tail_scale(tail) * unit * (1.0 + tail * fourth * fourth)


class CleanTraffic:
    """Hourly counts without any anomaly, for one configuration and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = config
        self.dtype = plane_dtype(config)
        self.exceeding = False  # whether an hour may have more events of a step than of the one before
        self._mean = mean_traffic(config)
        self._exact = config.noise is not None
        hours = config.hours_per_day
        rates = np.array([step.rate for step in config.steps]).repeat(hours).reshape(-1, hours)
        means = np.concatenate([[config.hour_shares], rates])[:, :, None, None]
        noise = np.array([config.hour_noise, *(config.noise_of(step, difficulty) for step in config.steps)])
        noise = noise[:, None, None, None]
        # mean x (1 + uniform(-noise, noise)) = slope x draw + least, for one 16-bit draw
        self._slope = (means * (2.0 * noise / DRAW_LEVELS)).astype(self.dtype)
        self._least = (means * (1.0 - noise + noise / DRAW_LEVELS)).astype(self.dtype)
        streams = [Stream.HOURS + step for step in range(len(means))]
        self._draws = Draws16(streams, hours, config.num_days)
        self._memory = Workspace()  # of planes that are not kept

    def planes(self, keys: np.ndarray, fresh: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Counts of (B,) uint64 keys.

        Args:
            keys: (B,) uint64.
            fresh: Whether the planes are the caller's to keep; else the next call may overwrite them.

        Returns:
            (S, H, B, D) whole numbers in ``plane_dtype``; and (S, B, D), their sums over the hours.
        """
        steps, episodes, days = len(self._slope), len(keys), self.config.num_days
        shape = (steps, self.config.hours_per_day, episodes, days)
        planes = np.empty(shape, self.dtype) if fresh else self._memory.array(shape, self.dtype)
        daily = np.empty((steps, episodes, days), self.dtype)
        traffic = daily_traffic(self.config, keys, self._mean).astype(self.dtype)
        together = max(1, BLOCK // planes[0].size)
        states = self._draws.states(keys)
        for first in range(0, steps, together):
            block = slice(first, first + together)
            np.copyto(planes[block], self._draws.draw(states, block))
            planes[block] *= self._slope[block]
            planes[block] += self._least[block]
            for step in range(steps)[block]:
                if step:
                    self._vary_days(keys, step, planes[step])
                    if self._exact:
                        self._convert_exactly(planes[step - 1], planes[step], daily[step])
                    else:
                        self._convert(planes[step - 1], planes[step], daily[step])
                else:
                    self._split(traffic, planes[0], daily[0])
        return planes, daily

    @staticmethod
    def holidays(keys: np.ndarray) -> None:
        """Drawn data have none."""
        del keys

    @staticmethod
    def _split(traffic: np.ndarray, out: np.ndarray, daily: np.ndarray) -> None:
        """Split the days' exact totals over noisy hour weights, in place, by cumulative rounding."""
        for hour in range(1, len(out)):  # 30 times as fast as np.add.accumulate along the first axis
            out[hour] += out[hour - 1]
        out *= traffic / out[-1]
        np.rint(out, out=out)
        daily[:] = out[-1]
        for hour in range(len(out) - 1, 0, -1):
            out[hour] -= out[hour - 1]

    def _vary_days(self, keys: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Multiply the hourly rates of a step (H, B, D), in place, with the noise that the hours of a day share."""
        own = self.config.steps[step - 1]
        if own.day_noise:
            factors = day_factors(keys, Stream.RATE_DAYS + step, self.config.num_days, own.day_noise, own.day_tail)
            rates *= factors.astype(self.dtype)

    @staticmethod
    def _convert_exactly(before: np.ndarray, out: np.ndarray, daily: np.ndarray) -> None:
        """``_convert`` where hours have few events: by cumulative rounding, and never above the step before."""
        out *= before
        np.minimum(out, before, out=out)
        for hour in range(1, len(out)):
            out[hour] += out[hour - 1]
        np.rint(out, out=out)
        for hour in range(len(out) - 1, 0, -1):
            out[hour] -= out[hour - 1]
        np.minimum(out, before, out=out)
        np.add.reduce(out, axis=0, out=daily)

    @staticmethod
    def _convert(before: np.ndarray, out: np.ndarray, daily: np.ndarray) -> None:
        """Multiply noisy rates, in place, with the counts of the step before."""
        out *= before
        np.rint(out, out=out)
        np.add.reduce(out, axis=0, out=daily)
