"""The generator's configuration: the funnel, its calendar and its clean traffic."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from metric_tracker_env.config.base import Identifier, Positive, Real
from metric_tracker_env.config.replay import Replay
from metric_tracker_env.config.world import MIN_WORLD_WEEKS, WorldConfig
from metric_tracker_env.model import ConfigModel, Length
from metric_tracker_env.schema import (
    DAYS_PER_WEEK,
    DIFFICULTIES,
    HOURS_PER_DAY,
    RESERVED_NAMES,
    Catalogue,
    ConversionMetricDefinition,
    Difficulty,
    weekdays_of,
)

MAX_WEEKS = 12  # the median and the trend of longer episodes drown in natural cells
MIN_DAILY_COUNT = 500  # events, under the fixed thresholds
MIN_NOISY_COUNT = 20  # events, where the noise of the data is known
MAX_DAILY_COUNT = 500_000_000  # events; twice as many an hour still fit in an int32
FIRST_CANDIDATE_DAY = 3  # incidents leave the first 3 and the last 2 days clean
LAST_CLEAN_DAYS = 2

Share = Annotated[Real, Field(ge=0)]


def tail_scale(tail: float) -> float:
    """Factor of u (1 + tail x u^8), u uniform in (-1, 1), that keeps the variance of u.

    The variance is 1/3 + 2 tail / 11 + tail^2 / 19. With a tail of 1, 99 % are within 2.5 standard deviations, as of
    a normal distribution, with 4 within 3.4; of u itself within 1.7.
    """
    return (1.0 / (1.0 + 6.0 * tail / 11.0 + 3.0 * tail * tail / 19.0)) ** 0.5


def most_noise(half_width: float, tail: float) -> float:
    """Largest value of the noise of a day: that of ``half_width`` x u where its tail is longer than u's."""
    return half_width * (1.0 + tail) * tail_scale(tail)


class FunnelStep(ConfigModel):
    """A funnel step after the first: its events are a share of the events of the step before it."""

    name: Identifier = Field(description="Of the step's events; no other step has it.")
    rate: Real = Field(
        gt=0, lt=1, description="Mean share of the previous step's events; below 1 with its noise at hard, too."
    )
    noise_scale: Real = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Multiple of the difficulty's hourly rate noise; the product is at most 1.",
    )
    day_noise: Real = Field(
        default=0.0, ge=0, lt=1, description="Half-width of the noise that all hours of a day share, relative."
    )
    day_tail: Real = Field(
        default=0.0, ge=0, le=100, description="Weight of the tails of the day noise: 0 for uniform, 1 about normal."
    )


DEFAULT_STEPS = (
    FunnelStep(name="menu_opens", rate=0.63),
    FunnelStep(name="product_added_to_cart", rate=0.29, noise_scale=1.2),
    FunnelStep(name="orders_placed", rate=0.44, noise_scale=1.2),
    FunnelStep(name="payment_successful", rate=0.91),
)
DEFAULT_ENTRY = "app_opens"
DEFAULT_NAMES = (DEFAULT_ENTRY, *(step.name for step in DEFAULT_STEPS))
DEFAULT_CONVERSIONS = (
    ConversionMetricDefinition.of("menu_opens", "app_opens", "app_open_to_menu_open"),
    ConversionMetricDefinition.of("product_added_to_cart", "menu_opens", "menu_open_to_product_added_to_cart"),
    ConversionMetricDefinition.of("orders_placed", "product_added_to_cart", "product_added_to_cart_to_order_placed"),
    ConversionMetricDefinition.of("payment_successful", "orders_placed", "order_placed_to_payment_successful"),
    ConversionMetricDefinition.of("orders_placed", "app_opens", "app_open_to_order_placed"),
    ConversionMetricDefinition.of("payment_successful", "app_opens", "app_open_to_payment_successful"),
)
# fmt: off
DEFAULT_HOURLY_WEIGHTS = (
    0.010, 0.008, 0.007, 0.007, 0.010, 0.018, 0.028, 0.040, 0.050, 0.055, 0.058, 0.060,
    0.058, 0.056, 0.054, 0.052, 0.054, 0.060, 0.072, 0.078, 0.075, 0.060, 0.038, 0.025,
)
# fmt: on


def default_conversions(names: tuple[str, ...]) -> tuple[ConversionMetricDefinition, ...]:
    """Conversions of a funnel whose steps have these names: each step, and from end to end.

    The default funnel has shorter names for its own, and one more: from the first step to the orders.
    """
    if names == DEFAULT_NAMES:
        return DEFAULT_CONVERSIONS
    pairs = list(zip(names[1:], names[:-1], strict=True))
    if len(names) > 2:
        pairs.append((names[-1], names[0]))
    return tuple(ConversionMetricDefinition.of(numerator, denominator) for numerator, denominator in pairs)


class RateNoise(ConfigModel):
    """Half-width of the uniform hourly noise of a step rate, relative, by difficulty."""

    easy: Real = Field(default=0.015, ge=0, lt=0.5, description="At easy.")
    medium: Real = Field(default=0.025, ge=0, lt=0.5, description="At medium.")
    hard: Real = Field(default=0.035, ge=0, lt=0.5, description="At hard.")


class GeneratorConfig(ConfigModel):
    """The funnel, its calendar and its clean traffic; the default is a food-delivery app."""

    entry_step: Identifier = Field(default=DEFAULT_ENTRY, description="First step of the funnel.")
    steps: Annotated[tuple[FunnelStep, ...], Length(0, 11)] = Field(
        default=DEFAULT_STEPS, description="The steps after the first, in order; at least one, unless noise is given."
    )
    conversion_definitions: Annotated[tuple[ConversionMetricDefinition, ...], Length(0, 40)] = Field(
        default=None,  # pyright: ignore[reportArgumentType] - a validator fills it, so that no user of it meets a None
        validate_default=True,
        description="Conversion rates; None is the rate of each step and that from end to end.",
    )
    num_weeks: StrictInt = Field(default=4, ge=1, le=MAX_WEEKS, description="Weeks of an episode.")
    end_date: dt.date | None = Field(
        default=dt.date(2026, 3, 31),
        ge=dt.date(1900, 1, 1),
        description="Last day of the data; None is yesterday, resolved once when the config is made.",
    )
    base_daily_count: Positive = Field(
        default=18000,
        ge=MIN_NOISY_COUNT,
        description=f"First-step events of a mean day 0; at least {MIN_DAILY_COUNT}, unless noise is given; no day may "
        f"reach more than {MAX_DAILY_COUNT:,} of them.",
    )
    weekday_factors: Annotated[tuple[Positive, ...], Length(DAYS_PER_WEEK, DAYS_PER_WEEK)] = Field(
        default=(0.95, 1.0, 1.02, 1.04, 1.06, 1.12, 1.08), description="Traffic factor of Monday to Sunday."
    )
    trend_per_day: Real = Field(default=0.0025, gt=-0.01, lt=0.05, description="Added share of the base a day.")
    day_noise: Real = Field(default=0.02, ge=0, lt=0.5, description="Half-width of the uniform day noise, relative.")
    day_tail: Real = Field(
        default=0.0, ge=0, le=100, description="Weight of the tails of the day noise: 0 for uniform, 1 about normal."
    )
    hourly_weights: Annotated[tuple[Share, ...], Length(HOURS_PER_DAY, HOURS_PER_DAY)] = Field(
        default=DEFAULT_HOURLY_WEIGHTS,
        description="Traffic of the hours 0 to 23, relative to each other; over 0, unless noise is given.",
    )
    hour_noise: Real = Field(default=0.08, ge=0, lt=0.5, description="Half-width of the uniform hour-weight noise.")
    rate_noise: RateNoise = Field(default=RateNoise(), description="Half-width of the noise of step rates.")
    world: WorldConfig | None = Field(
        default=None, description="Announced events, lost hours, incidents that last; None for none of them."
    )
    noise: tuple[Share, ...] | None = Field(
        default=None,
        description="Standard deviation of each daily measure on ordinary days, relative: the counts, the step rates, "
        "the rates that skip steps, and with hours the daytime share. A threshold is then at least 5, 4 or 3 of them "
        "at easy, medium and hard. None for the fixed thresholds alone.",
    )
    adjusted: StrictBool = Field(
        default=False,
        description="Whether the weekdays and the level of a history have been divided out of the counts; no weekday "
        "and no trend is then left in them.",
    )
    hours: StrictBool = Field(
        default=True, description="Whether the hours of a day are known; else a day is one count of each step."
    )
    replay: Replay | None = Field(
        default=None, description="Weeks of a real history as clean data; None draws them from the keys above."
    )

    @field_validator("conversion_definitions", mode="before")
    @classmethod
    def _those_of_the_steps(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            return value
        if not {"entry_step", "steps"} <= info.data.keys():
            return ()  # one of them has been refused
        return default_conversions((info.data["entry_step"], *(step.name for step in info.data["steps"])))

    @field_validator("end_date", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        if value is None:
            return dt.date.today() - dt.timedelta(days=1)
        if isinstance(value, str):
            return dt.date.fromisoformat(value)
        if type(value) is not dt.date:
            raise ValueError(f"{value!r} is not a date, an ISO date or None")
        return value

    @model_validator(mode="after")
    def _check_funnel(self) -> Self:
        names = self.step_names
        if len(set(names)) != len(names) or set(RESERVED_NAMES) & set(names):
            raise ValueError(f"steps: names {list(names)} must be distinct and none of {str(RESERVED_NAMES)[1:-1]}")
        position = {name: i for i, name in enumerate(names)}
        seen: set[str] = set(names)
        seen |= {f"{num}_from_{den}" for num, den in zip(names[1:], names[:-1], strict=True)}
        for item in self.conversion_definitions:
            if item.name in seen:
                raise ValueError(
                    f"conversion_definitions: the name {item.name!r} is used twice; "
                    "each step, rate of a step and conversion has a name of its own"
                )
            seen.add(item.name)
            for side in (item.numerator, item.denominator):
                if side not in position:
                    raise ValueError(f"conversion_definitions: {item.name!r} uses {side!r}, not one of {list(names)}")
            if position[item.numerator] <= position[item.denominator]:
                raise ValueError(
                    f"conversion_definitions: {item.name!r} needs its numerator {item.numerator!r} "
                    f"after its denominator {item.denominator!r} in the funnel {list(names)}"
                )
        pairs = [(item.numerator, item.denominator) for item in self.conversion_definitions]
        if len(set(pairs)) != len(pairs):
            raise ValueError(f"conversion_definitions: a (numerator, denominator) pair is used twice in {pairs}")
        self._check_own_data()
        growth = 1 + max(self.trend_per_day, 0) * self.num_days
        peak = self.base_daily_count * max(self.weekday_factors) * growth * (1 + self.most_day_noise)
        if peak > MAX_DAILY_COUNT:
            raise ValueError(
                f"base_daily_count: with weekday_factors, trend_per_day and day_noise a day reaches {peak:.3g} events; "
                f"at most {MAX_DAILY_COUNT:.3g}"
            )
        for step in self.steps:
            for difficulty in DIFFICULTIES:
                noise = self.noise_of(step, difficulty)
                if noise > 1:
                    raise ValueError(
                        f"steps: noise_scale {step.noise_scale} of {step.name!r} makes its {difficulty} noise "
                        f"{noise:.4f}; it must be at most 1, as a rate is never below 0"
                    )
                peak = step.rate * (1 + noise) * (1 + most_noise(step.day_noise, step.day_tail))
                if peak >= 1 and self.noise is None:
                    raise ValueError(
                        f"steps: rate {step.rate} of {step.name!r} with its {difficulty} noise reaches {peak:.4f}; "
                        "it must stay below 1"
                    )
        if self.world is not None and self.num_weeks < MIN_WORLD_WEEKS:
            raise ValueError(
                f"world: {self.num_weeks} weeks cannot hold its events; num_weeks must be at least {MIN_WORLD_WEEKS}"
            )
        return self

    def _check_own_data(self) -> None:
        """Refuse what only data of known noise may have, and what these cannot have.

        Raises:
            ValueError: naming the field, its value, and what is allowed.
        """
        for owner, own in (("day_noise", self), *((f"steps: day_noise of {step.name!r}", step) for step in self.steps)):
            if most_noise(own.day_noise, own.day_tail) > 1:
                raise ValueError(
                    f"{owner}: {own.day_noise} with day_tail {own.day_tail} reaches "
                    f"{most_noise(own.day_noise, own.day_tail):.3f}; it must stay within 1, as a count is never below 0"
                )
        if not sum(self.hourly_weights):
            raise ValueError("hourly_weights: all are 0; at least one hour needs traffic")
        if self.noise is None:
            given = {
                "steps: a funnel of one step": not self.steps,
                f"base_daily_count: {self.base_daily_count}, below {MIN_DAILY_COUNT},": (
                    self.base_daily_count < MIN_DAILY_COUNT
                ),
                "hourly_weights: hours without traffic": min(self.hourly_weights) == 0,
                "adjusted": self.adjusted,
                "hours: False": not self.hours,
                "replay": self.replay is not None,
            }
            for what, found in given.items():
                if found:
                    raise ValueError(f"{what} needs noise, from which its thresholds follow")
            return
        if self.world is not None and self.world.gaps[1] and not self.hours:
            raise ValueError(
                f"world: gaps {self.world.gaps} are lost hours, which hours=False does not have; give (0, 0)"
            )
        measures = self.catalogue.share_row + self.hours
        if len(self.noise) != measures:
            raise ValueError(f"noise: {len(self.noise)} numbers given; this funnel has {measures} measures")
        flat = len(set(self.weekday_factors)) == 1 and self.trend_per_day == 0
        if self.adjusted and not flat:
            raise ValueError(
                "adjusted: weekdays and level are divided out; weekday_factors must be all alike and trend_per_day 0"
            )
        if self.replay is not None and not self.adjusted:
            raise ValueError("replay: a history is played without its weekdays and level; adjusted must be True")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with changes that are checked; conversions that are those of the steps follow changed steps.

        Raises:
            pydantic.ValidationError: for an unknown key or a bad value.
        """
        if update and self.conversion_definitions == default_conversions(self.step_names):
            update = {"conversion_definitions": None} | dict(update)
        return super().model_copy(update=update, deep=deep)

    def noise_of(self, step: FunnelStep, difficulty: Difficulty) -> float:
        """Half-width of the hourly noise of a step's rate, relative."""
        return getattr(self.rate_noise, difficulty) * step.noise_scale

    @property
    def most_day_noise(self) -> float:
        """Largest relative noise of a day's first-step events."""
        return most_noise(self.day_noise, self.day_tail)

    @property
    def hours_per_day(self) -> int:
        """Counts of a step that a day has: 24, or 1 where only days are known."""
        return HOURS_PER_DAY if self.hours else 1

    @property
    def hour_shares(self) -> np.ndarray:
        """(H,) float64 share of a usual day's first-step events that falls into each hour."""
        weights = np.array(self.hourly_weights if self.hours else [1.0])
        return weights / weights.sum()

    @property
    def num_days(self) -> int:
        """Days of an episode, D."""
        return self.num_weeks * DAYS_PER_WEEK

    @property
    def candidate_days(self) -> range:
        """Days on which incidents are drawn: all but the first 3 and the last 2."""
        return range(FIRST_CANDIDATE_DAY, self.num_days - LAST_CLEAN_DAYS)

    @property
    def max_incidents(self) -> int:
        """Most incidents that fit: one a candidate date, fewer than half of all days, so that medians stay clean.

        In a world every one of them may last for the most dates.
        """
        longest = 1 if self.world is None else self.world.longest
        return min(len(self.candidate_days) // longest, (self.num_days - 1) // 2)

    @property
    def step_names(self) -> tuple[str, ...]:
        """Names of all steps of the funnel, the first one too."""
        return (self.entry_step, *(step.name for step in self.steps))

    @cached_property
    def catalogue(self) -> Catalogue:
        """Entities and measures of this funnel."""
        return Catalogue(self.step_names, self.conversion_definitions, self.noise, self.hours)

    @property
    def dates(self) -> np.ndarray:
        """(D,) datetime64[D], oldest first."""
        last = np.datetime64(self.end_date, "D")
        return last - np.arange(self.num_days)[::-1].astype("timedelta64[D]")

    @cached_property
    def date_names(self) -> tuple[str, ...]:
        """ISO dates, oldest first."""
        return tuple(str(day) for day in self.dates)

    @property
    def weekdays(self) -> np.ndarray:
        """(D,) int64, Monday 0 to Sunday 6."""
        return weekdays_of(self.dates)

    def day_index(self, date: str | dt.date) -> int:
        """Position of a date in the episode.

        Raises:
            ValueError: if the date is malformed or outside the range.
        """
        name = date.isoformat() if isinstance(date, dt.date) else date
        if name not in self.date_names:
            raise ValueError(f"date {date!r} is not an ISO date from {self.date_names[0]} to {self.date_names[-1]}")
        return self.date_names.index(name)
