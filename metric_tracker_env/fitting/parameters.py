"""What a fitted world is made of, and the generator's configuration where the generator can express it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

import numpy as np
from pydantic import Field, StrictInt, ValidationError, model_validator

from metric_tracker_env.config import FunnelStep, GeneratorConfig, RateNoise, Real
from metric_tracker_env.config.base import Identifier, Positive
from metric_tracker_env.config.generator import DEFAULT_HOURLY_WEIGHTS, tail_scale
from metric_tracker_env.model import ConfigModel
from metric_tracker_env.schema import DAYS_PER_WEEK, HOURS_PER_DAY

UNIFORM = 3**0.5  # half-width of a uniform distribution of standard deviation 1

TAIL = 0.99  # share of ordinary days that a tail is told by
MOST_TAIL = 20.0  # longer ones hardly reach further: 3.8 standard deviations, of 4.0 at most
HALVINGS = 40
ROUNDING = 1 / 12  # variance of rounding to whole events
MOST_RATE = 0.9999  # of a step that loses nothing

Noise = Annotated[Real, Field(ge=0, description="Standard deviation, relative.")]
Share = Annotated[Real, Field(ge=0)]


class FittedStep(ConfigModel):
    """A funnel step after the first."""

    name: Identifier
    rate: Share = Field(le=1, description="Mean share of the previous step's events.")
    day_noise: Noise
    hour_noise: Noise


class FittedParameters(ConfigModel):
    """A world like a history: its level, patterns and noise.

    Noises are standard deviations relative to what they belong to. Level, trend, rates and hours are those of the
    history's last weeks, the noise of rates and measures that of all of it.
    """

    entry_step: Identifier
    steps: tuple[FittedStep, ...]
    num_weeks: StrictInt = Field(ge=1, description="Weeks of an episode.")
    end_date: dt.date = Field(description="Last day of the history, and of an episode.")
    level: Positive = Field(description="First-step events of a mean day at the beginning of the last weeks.")
    trend_per_day: Real = Field(description="Added share of the level a day.")
    weekday_factors: tuple[Share, ...] = Field(min_length=DAYS_PER_WEEK, max_length=DAYS_PER_WEEK)
    day_noise: Noise
    hourly_weights: tuple[Share, ...] | None = Field(description="Of sum 1; None where only days are known.")
    hour_noise: Noise
    noise: dict[str, Noise] = Field(description="Of each daily measure when level and weekday are divided out.")
    tails: dict[str, Share] = Field(description="99 % of a measure's ordinary days deviate less, in its noise.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hourly_weights is not None and len(self.hourly_weights) != HOURS_PER_DAY:
            raise ValueError(f"hourly_weights: {len(self.hourly_weights)} given; {HOURS_PER_DAY} or None are allowed")
        if self.noise.keys() != self.tails.keys():
            raise ValueError(f"tails: {list(self.tails)} given; the measures of noise, {list(self.noise)}, are allowed")
        return self

    def obstacles(self) -> tuple[str, ...]:
        """What the generator cannot express; none if it can make this world."""
        try:
            self._build()
        except ValidationError as error:
            return tuple(
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}".removeprefix(": ") for item in error.errors()
            )
        return ()

    def config(self) -> GeneratorConfig:
        """The generator's configuration of this world: without weekdays and trend, with thresholds from its noise.

        Raises:
            ValueError: if the generator cannot express it; names every obstacle.
        """
        obstacles = self.obstacles()
        if obstacles:
            raise ValueError(f"the generator cannot make this world: {'; '.join(obstacles)}")
        return self._build()

    def _build(self) -> GeneratorConfig:
        """The configuration; all difficulties have the fitted noise.

        The noise of days is without what rounding in the hours of a day adds to it; the generator rounds the whole day,
        so that this is put back.
        """
        most = max((step.hour_noise for step in self.steps), default=0.0)
        tails = list(self.tails.values())
        hourly = self.hourly_weights is not None
        days = self.num_weeks * DAYS_PER_WEEK
        count = self.level * (1.0 + self.trend_per_day * (days - 1) / 2)
        counts = (count * np.cumprod([step.rate for step in self.steps])).tolist()
        hours = HOURS_PER_DAY if hourly else 1
        return GeneratorConfig(
            entry_step=self.entry_step,
            steps=tuple(
                FunnelStep(
                    name=step.name,
                    rate=min(step.rate, MOST_RATE),
                    noise_scale=step.hour_noise / most if most else 0.0,
                    day_noise=UNIFORM * ((hours - 1) * ROUNDING / after**2 + step.day_noise**2) ** 0.5,
                    day_tail=tail_weight(tail) if step.day_noise else 0.0,
                )
                for step, after, tail in zip(self.steps, counts, tails[1 + len(self.steps) :], strict=False)
            ),
            num_weeks=self.num_weeks,
            end_date=self.end_date,
            base_daily_count=count,
            weekday_factors=(1.0,) * DAYS_PER_WEEK,
            trend_per_day=0.0,
            day_noise=UNIFORM * self.day_noise,
            day_tail=tail_weight(tails[0]),
            hourly_weights=self.hourly_weights if self.hourly_weights is not None else DEFAULT_HOURLY_WEIGHTS,
            hour_noise=UNIFORM * self.hour_noise,
            rate_noise=RateNoise(easy=UNIFORM * most, medium=UNIFORM * most, hard=UNIFORM * most),
            noise=tuple(self.noise.values()),
            adjusted=True,
            hours=hourly,
        )


def tail_weight(tail: float) -> float:
    """The weight of tails with which 99 % of a day's noise stay within ``tail`` of its standard deviations.

    Found by halving; 0 for tails that are no longer than uniform ones, and ``MOST_TAIL`` for longer than there are.
    """
    low, high = 0.0, MOST_TAIL
    if reach(low) >= tail:
        return low
    if reach(high) <= tail:
        return high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if reach(middle) < tail else (low, middle)
    return low


def reach(weight: float) -> float:
    """Standard deviations that 99 % of the noise with a weight of tails stay within."""
    return UNIFORM * TAIL * (1.0 + weight * TAIL**8) * tail_scale(weight)
