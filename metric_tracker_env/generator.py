"""Clean traffic: batches of funnels as hour-major planes, from (config, difficulty, episode keys).

Only +, -, x, /, rounding and sums in a fixed order are used, so the same key gives the same counts on
every machine and in every batch.
"""

from __future__ import annotations

import numpy as np

from metric_tracker_env import rng
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.rng import DRAW_LEVELS, Draws16, Stream
from metric_tracker_env.schema import HOURS_PER_DAY, Difficulty

FLOAT32_LIMIT = 1 << 20  # daily counts below this are exact in float32 with room for a cumulative sum


def plane_dtype(config: GeneratorConfig) -> type[np.float32] | type[np.float64]:
    """float32 where daily counts fit its mantissa (twice the SIMD width), else float64."""
    growth = 1 + abs(config.trend_per_day) * config.num_days
    peak = config.base_daily_count * max(config.weekday_factors) * growth * (1 + config.day_noise)
    return np.float32 if 4 * peak < FLOAT32_LIMIT else np.float64


def daily_traffic(config: GeneratorConfig, keys: np.ndarray) -> np.ndarray:
    """First-step events of each day: (B,) keys -> (B, D) float64, whole numbers.

    base x weekday factor x (1 + trend x day) x uniform day noise.
    """
    day = np.arange(config.num_days)
    mean = config.base_daily_count * np.array(config.weekday_factors)[config.weekdays]
    mean = mean * np.maximum(1.0 + config.trend_per_day * day, 0.05)
    draw = np.ascontiguousarray(rng.uniforms(keys, Stream.DAYS, config.num_days).T)
    return np.maximum(np.rint(mean * (1.0 + config.day_noise * (2.0 * draw - 1.0))), 1.0)


class CleanTraffic:
    """Hourly counts without any anomaly, for one configuration and difficulty."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = config
        self.dtype = plane_dtype(config)
        weights = np.array(config.hourly_weights)[:, None, None]
        means = [weights / weights.sum(), *(np.full((1, 1, 1), step.rate) for step in config.steps)]
        noises = [config.hour_noise, *(config.noise_of(step, difficulty) for step in config.steps)]
        # mean x (1 + uniform(-noise, noise)) = slope x draw + least, for one 16-bit draw
        self._slope = [(m * (2.0 * n / DRAW_LEVELS)).astype(self.dtype) for m, n in zip(means, noises, strict=True)]
        self._least = [(m * (1.0 - n + n / DRAW_LEVELS)).astype(self.dtype) for m, n in zip(means, noises, strict=True)]
        self._draws = Draws16(HOURS_PER_DAY, config.num_days)

    def planes(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) uint64 keys -> (S, H, B, D) whole numbers in ``plane_dtype``; and (S, B, D), their sums over the hours."""
        steps, episodes, days = len(self._slope), len(keys), self.config.num_days
        planes = np.empty((steps, HOURS_PER_DAY, episodes, days), self.dtype)
        daily = np.empty((steps, episodes, days), self.dtype)
        traffic = daily_traffic(self.config, keys).astype(self.dtype)
        for step, out in enumerate(planes):
            np.copyto(out, self._draws.draw(keys, Stream.HOURS + step))
            out *= self._slope[step]
            out += self._least[step]
            if step:
                out *= planes[step - 1]
                np.rint(out, out=out)
                np.add.reduce(out, axis=0, out=daily[step])
                continue
            # Cumulative rounding splits the day's exact total over the noisy hour weights.
            for hour in range(1, HOURS_PER_DAY):  # 30 times as fast as np.add.accumulate along the first axis
                out[hour] += out[hour - 1]
            out *= traffic / out[-1]
            np.rint(out, out=out)
            daily[0] = out[-1]
            for hour in range(HOURS_PER_DAY - 1, 0, -1):
                out[hour] -= out[hour - 1]
        return planes, daily
