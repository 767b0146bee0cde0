"""What a fitted world is made of, and the generator's configuration where the generator can express it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

from pydantic import Field, StrictInt, ValidationError, model_validator

from metric_tracker_env.config import FunnelStep, GeneratorConfig, RateNoise, Real
from metric_tracker_env.config.base import Identifier, Positive
from metric_tracker_env.model import ConfigModel
from metric_tracker_env.schema import DAYS_PER_WEEK, HOURS_PER_DAY

UNIFORM = 3**0.5  # half-width of a uniform distribution of standard deviation 1

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
        found = list(self._beyond_fields())
        if not found:
            try:
                self._build()
            except ValidationError as error:
                found += [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        return tuple(found)

    def config(self) -> GeneratorConfig:
        """The generator's configuration of this world.

        Raises:
            ValueError: if the generator cannot express it; names every obstacle.
        """
        obstacles = self.obstacles()
        if obstacles:
            raise ValueError(f"the generator cannot make this world: {'; '.join(obstacles)}")
        return self._build()

    def _beyond_fields(self) -> list[str]:
        """What the configuration has no field for."""
        found: list[str] = []
        if self.hourly_weights is None:
            found.append("hourly_weights: only days are known")
        elif min(self.hourly_weights) == 0:
            found.append(
                f"hourly_weights: no events in hours {[h for h, w in enumerate(self.hourly_weights) if w == 0]}"
            )
        if min(self.weekday_factors) == 0:
            found.append(
                f"weekday_factors: no events on days {[d for d, f in enumerate(self.weekday_factors) if f == 0]}"
            )
        if not self.steps:
            found.append("steps: a funnel of one step")
        found += [f"steps: noise of whole days in the rate of {s.name!r}" for s in self.steps if s.day_noise > 0]
        return found

    def _build(self) -> GeneratorConfig:
        """The configuration; all difficulties have the fitted noise."""
        assert self.hourly_weights is not None
        most = max((step.hour_noise for step in self.steps), default=0.0)
        return GeneratorConfig(
            entry_step=self.entry_step,
            steps=tuple(
                FunnelStep(name=step.name, rate=step.rate, noise_scale=step.hour_noise / most if most else 0.0)
                for step in self.steps
            ),
            num_weeks=self.num_weeks,
            end_date=self.end_date,
            base_daily_count=self.level,
            weekday_factors=self.weekday_factors,
            trend_per_day=self.trend_per_day,
            day_noise=UNIFORM * self.day_noise,
            hourly_weights=self.hourly_weights,
            hour_noise=UNIFORM * self.hour_noise,
            rate_noise=RateNoise(easy=UNIFORM * most, medium=UNIFORM * most, hard=UNIFORM * most),
        )
