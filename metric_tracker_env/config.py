"""Configuration: every default is written once, here; unknown keys and bad values are refused."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from metric_tracker_env.schema import (
    DAYS_PER_WEEK,
    DIFFICULTIES,
    HOURS_PER_DAY,
    Catalogue,
    ConversionMetricDefinition,
    Density,
    Difficulty,
    Direction,
    ScenarioFamily,
    StrictModel,
)

View = Literal["focus", "board"]
Reward = Literal["terminal", "dense"]

MAX_SEED = 2**63 - 1
MAX_DAILY_COUNT = 500_000_000  # events; twice as many an hour still fit in an int32
FIRST_CANDIDATE_DAY = 3  # incidents leave the first 3 and the last 2 days clean
LAST_CLEAN_DAYS = 2
COUNT_OF_DENSITY: dict[Density, int] = {"low": 3, "medium": 5, "high": 7}

Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]  # an int will do, text and bool will not
Positive = Annotated[Real, Field(gt=0)]
StepCost = Annotated[Real, Field(ge=0, le=1)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]
Name = Annotated[StrictStr, Field(min_length=1)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAX_SEED)]


class ConfigModel(StrictModel):
    """Base of the configs: an unknown key is refused with the keys that there are."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: object) -> object:
        if isinstance(data, Mapping):
            unknown = [key for key in data if key not in cls.model_fields]
            if unknown:
                raise ValueError(f"unknown key {', '.join(map(repr, unknown))}; allowed: {sorted(cls.model_fields)}")
        return data


class FunnelStep(ConfigModel):
    """A funnel step after the first: its events are a share of the events of the step before it."""

    name: Identifier
    rate: Real = Field(gt=0, lt=1, description="Mean share of the previous step's events.")
    noise_scale: Real = Field(default=1.0, ge=0, le=10, description="Multiple of the difficulty's hourly rate noise.")


def _conversion(numerator: str, denominator: str, name: str) -> ConversionMetricDefinition:
    description = f"{numerator} / {denominator} * 100"
    return ConversionMetricDefinition(name=name, numerator=numerator, denominator=denominator, description=description)


DEFAULT_STEPS = (
    FunnelStep(name="menu_opens", rate=0.63),
    FunnelStep(name="product_added_to_cart", rate=0.29, noise_scale=1.2),
    FunnelStep(name="orders_placed", rate=0.44, noise_scale=1.2),
    FunnelStep(name="payment_successful", rate=0.91),
)
DEFAULT_CONVERSIONS = (
    _conversion("menu_opens", "app_opens", "app_open_to_menu_open"),
    _conversion("product_added_to_cart", "menu_opens", "menu_open_to_product_added_to_cart"),
    _conversion("orders_placed", "product_added_to_cart", "product_added_to_cart_to_order_placed"),
    _conversion("payment_successful", "orders_placed", "order_placed_to_payment_successful"),
    _conversion("orders_placed", "app_opens", "app_open_to_order_placed"),
    _conversion("payment_successful", "app_opens", "app_open_to_payment_successful"),
)
# fmt: off
DEFAULT_HOURLY_WEIGHTS = (
    0.010, 0.008, 0.007, 0.007, 0.010, 0.018, 0.028, 0.040, 0.050, 0.055, 0.058, 0.060,
    0.058, 0.056, 0.054, 0.052, 0.054, 0.060, 0.072, 0.078, 0.075, 0.060, 0.038, 0.025,
)
# fmt: on


class RateNoise(ConfigModel):
    """Half-width of the uniform hourly noise of a step rate, relative, by difficulty."""

    easy: Real = Field(default=0.015, ge=0, lt=0.5)
    medium: Real = Field(default=0.025, ge=0, lt=0.5)
    hard: Real = Field(default=0.035, ge=0, lt=0.5)


class GeneratorConfig(ConfigModel):
    """The funnel, its calendar and its clean traffic; the default is a food-delivery app."""

    entry_step: Identifier = Field(default="app_opens", description="First step of the funnel.")
    steps: tuple[FunnelStep, ...] = Field(default=DEFAULT_STEPS, min_length=1, max_length=11)
    conversion_definitions: tuple[ConversionMetricDefinition, ...] = Field(default=DEFAULT_CONVERSIONS, max_length=40)
    num_weeks: StrictInt = Field(default=4, ge=1, le=12)
    end_date: dt.date | None = Field(
        default=dt.date(2026, 3, 31),
        ge=dt.date(1900, 1, 1),
        description="Last day of the data; None is yesterday, resolved once when the config is made.",
    )
    base_daily_count: Positive = Field(default=18000, ge=500, description="First-step events of a mean day 0.")
    weekday_factors: tuple[Positive, ...] = Field(
        default=(0.95, 1.0, 1.02, 1.04, 1.06, 1.12, 1.08),
        min_length=DAYS_PER_WEEK,
        max_length=DAYS_PER_WEEK,
        description="Traffic factor of Monday to Sunday.",
    )
    trend_per_day: Real = Field(default=0.0025, gt=-0.01, lt=0.05, description="Added share of the base a day.")
    day_noise: Real = Field(default=0.02, ge=0, lt=0.5, description="Half-width of the uniform day noise, relative.")
    hourly_weights: tuple[Positive, ...] = Field(
        default=DEFAULT_HOURLY_WEIGHTS, min_length=HOURS_PER_DAY, max_length=HOURS_PER_DAY
    )
    hour_noise: Real = Field(default=0.08, ge=0, lt=0.5, description="Half-width of the uniform hour-weight noise.")
    rate_noise: RateNoise = RateNoise()

    @model_validator(mode="before")
    @classmethod
    def _resolve_yesterday(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("end_date", 0) is None:
            return data | {"end_date": dt.date.today() - dt.timedelta(days=1)}
        return data

    @field_validator("end_date", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        if isinstance(value, str):
            return dt.date.fromisoformat(value)
        if type(value) is not dt.date:
            raise ValueError(f"{value!r} is not a date, an ISO date or None")
        return value

    @model_validator(mode="after")
    def _check_funnel(self) -> Self:
        names = (self.entry_step, *(step.name for step in self.steps))
        if len(set(names)) != len(names) or {"date", "hour", "counts"} & set(names):
            raise ValueError(f"steps: names {list(names)} must be distinct and none of 'date', 'hour', 'counts'")
        position = {name: i for i, name in enumerate(names)}
        seen: set[str] = set(names)
        seen |= {f"{num}_from_{den}" for num, den in zip(names[1:], names[:-1], strict=True)}
        for item in self.conversion_definitions:
            if item.name in seen:
                raise ValueError(f"conversion_definitions: the name {item.name!r} is used twice")
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
        growth = 1 + max(self.trend_per_day, 0) * self.num_days
        peak = self.base_daily_count * max(self.weekday_factors) * growth * (1 + self.day_noise)
        if peak > MAX_DAILY_COUNT:
            raise ValueError(
                f"base_daily_count: with weekday_factors, trend_per_day and day_noise a day reaches {peak:.3g} events; "
                f"at most {MAX_DAILY_COUNT:.3g}"
            )
        for step in self.steps:
            for difficulty in DIFFICULTIES:
                peak = step.rate * (1 + self.noise_of(step, difficulty))
                if peak >= 1:
                    raise ValueError(
                        f"steps: rate {step.rate} of {step.name!r} with its {difficulty} noise reaches {peak:.4f}; "
                        "it must stay below 1"
                    )
        return self

    def noise_of(self, step: FunnelStep, difficulty: Difficulty) -> float:
        """Half-width of the hourly noise of a step's rate, relative."""
        return getattr(self.rate_noise, difficulty) * step.noise_scale

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
        """Most incidents that fit: one a candidate date, fewer than half of all days, so that medians stay clean."""
        return min(len(self.candidate_days), (self.num_days - 1) // 2)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Entities and measures of this funnel."""
        names = (self.entry_step, *(step.name for step in self.steps))
        return Catalogue(names, self.conversion_definitions)

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
        return (self.dates.astype(np.int64) + 3) % DAYS_PER_WEEK  # 1970-01-01 was a Thursday

    def day_index(self, date: str | dt.date) -> int:
        """Position of a date in the episode.

        Raises:
            ValueError: if the date is malformed or outside the range.
        """
        name = date.isoformat() if isinstance(date, dt.date) else date
        if name not in self.date_names:
            raise ValueError(f"date {date!r} is not an ISO date from {self.date_names[0]} to {self.date_names[-1]}")
        return self.date_names.index(name)


class SyntheticAnomalyGenerator(ConfigModel):
    """An explicit anomaly: move a metric to its median plus or minus a number of deviations.

    ``stddev_factor`` multiplies the metric's ``std_dev_from_median``; the shift is never smaller than the
    detection threshold. ``direction`` "auto" draws one. No date draws one; no metric means all metrics.
    """

    method_name: Literal["metric_stddev_shift"] = "metric_stddev_shift"
    metric_name: Name | None = None
    metric_names: tuple[Name, ...] = ()
    date: Name | None = None
    dates: tuple[Name, ...] = ()
    stddev_factor: Real = Field(gt=0, le=1000)
    direction: Direction | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _check_once(self) -> Self:
        for field, names in (("date and dates", self.all_dates), ("metric_name and metric_names", self.all_metrics)):
            if len(set(names)) != len(names):
                raise ValueError(f"{field}: {list(names)} names something twice; each once")
        return self

    @property
    def all_dates(self) -> tuple[str, ...]:
        """``dates`` and ``date`` together, in order."""
        return (*self.dates, *((self.date,) if self.date is not None else ()))

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """``metric_names`` and ``metric_name`` together, in order."""
        return (*self.metric_names, *((self.metric_name,) if self.metric_name is not None else ()))


CountRange = tuple[Annotated[StrictInt, Field(ge=1)], Annotated[StrictInt, Field(ge=1)]]


class EpisodeOptions(ConfigModel):
    """What an episode holds; an environment is made with these, and a reset may change them for one episode."""

    scenario_family: ScenarioFamily = "mixed"
    difficulty: Difficulty = "medium"
    anomaly_density: Density = "medium"
    anomaly_count: Annotated[StrictInt, Field(ge=1)] | CountRange | None = Field(
        default=3,
        description="Incidents: a number, a (low, high) range, or None = by density (low 3, medium 5, high 7).",
    )
    anomaly_generators: tuple[SyntheticAnomalyGenerator, ...] = ()

    @field_validator("anomaly_count", mode="before")
    @classmethod
    def _read_count(cls, value: object) -> object:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in numbers)
        if value is not None and not (whole and len(numbers) == (2 if isinstance(value, (list, tuple)) else 1)):
            raise ValueError(f"{value!r} given; it must be a whole number from 1, a (low, high) pair of them, or None")
        return value

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.count_range
        if low > high:
            raise ValueError(f"anomaly_count: the range ({low}, {high}) must not fall; give (low, high)")
        return self

    @property
    def count_range(self) -> tuple[int, int]:
        """Fewest and most incidents of an episode."""
        if self.anomaly_count is None:
            return COUNT_OF_DENSITY[self.anomaly_density], COUNT_OF_DENSITY[self.anomaly_density]
        if isinstance(self.anomaly_count, int):
            return self.anomaly_count, self.anomaly_count
        return self.anomaly_count


class EpisodeConfig(EpisodeOptions):
    """What one episode asks of the generator."""

    seed: Seed = 0


class ToolCosts(ConfigModel):
    """Budget units that a tool call of each class costs."""

    free: StrictInt = Field(default=0, ge=0, le=0, description="Calendar, names, rows of shown cells: always free.")
    open: StrictInt = Field(default=1, ge=1, le=1000, description="Open a date; of raw data, each date.")
    inspect: StrictInt = Field(default=1, ge=1, le=1000, description="A further tool on one date or one metric.")
    scan: StrictInt = Field(default=1, ge=1, le=1000, description="One family over all dates.")
    survey: StrictInt = Field(default=4, ge=1, le=1000, description="All families over all dates.")


class EnvConfig(EpisodeOptions):
    """Everything that ``gymnasium.make`` accepts: the episodes, the view, the reward and the budget."""

    generator: GeneratorConfig = GeneratorConfig()
    view: View = "focus"
    reward: Reward = "terminal"
    budget: StrictInt = Field(default=16, ge=1, le=100_000, description="Units to spend on tools in an episode.")
    costs: ToolCosts = ToolCosts()
    step_cost: StepCost = Field(default=0.005, description="Reward lost per unit spent.")
    step_limit: StrictInt = Field(default=48, ge=1, le=1_000_000, description="The draft is submitted at this step.")

    @model_validator(mode="after")
    def _check_fits(self) -> Self:
        check_fits(self.generator, self.episode_config())
        return self

    def episode_config(self, **changes: Any) -> EpisodeConfig:
        """The generator's request for one episode of this environment, seed 0, with ``changes`` on top."""
        options = {name: getattr(self, name) for name in EpisodeOptions.model_fields}
        return EpisodeConfig(**{**options, **changes})


class GenerationError(ValueError):
    """An episode cannot be made as asked."""


def check_fits(generator: GeneratorConfig, episode: EpisodeConfig) -> None:
    """Refuse more incidents than the calendar can hold, and explicit generators that no data could carry.

    Raises:
        GenerationError: naming the count and the most that fits, or the unknown metric or date.
    """
    if episode.anomaly_generators:
        check_generators(generator, episode)
        return
    _, high = episode.count_range
    if high > generator.max_incidents:
        raise GenerationError(
            f"anomaly_count: {high} incidents do not fit in {generator.num_days} days; "
            f"at most {generator.max_incidents} do (one a date, fewer than half of all days)"
        )


def check_generators(generator: GeneratorConfig, episode: EpisodeConfig) -> None:
    """Refuse explicit generators with an unknown metric or date, two on one date, or too many.

    Raises:
        GenerationError: naming what and why.
    """
    names = [*generator.catalogue.count_metrics, *(item.name for item in generator.catalogue.conversions)]
    used: dict[int, str] = {}
    number = 0
    for spec in episode.anomaly_generators:
        metrics = spec.all_metrics or tuple(names)
        for name in metrics:
            if name not in names:
                raise GenerationError(f"anomaly_generators: metric {name!r} is not one of {names}")
        try:
            days = [generator.day_index(date) for date in spec.all_dates]
        except ValueError as error:
            raise GenerationError(f"anomaly_generators: {error}") from error
        number += len(metrics) * max(1, len(days))
        for name in metrics:
            for day in days:
                if day in used:
                    raise GenerationError(
                        f"anomaly_generators: {name!r} and {used[day]!r} both ask for {generator.date_names[day]}; "
                        "one anomaly a date"
                    )
                used[day] = name
    if number >= generator.num_days / 2:
        raise GenerationError(
            f"anomaly_generators: {number} anomalies do not leave more than half of {generator.num_days} days clean, "
            "which the medians need"
        )


ModelT = TypeVar("ModelT", bound=StrictModel)


def load_config(path: str | Path, model: type[ModelT] = EnvConfig) -> ModelT:
    """Read a preset from a TOML or JSON file.

    Args:
        path: File ending in ``.toml`` or ``.json``.
        model: Config class to build.

    Raises:
        ValueError: if the file is missing, has another ending, is malformed, or holds an unknown key or bad value.
    """
    file = Path(path)
    if file.suffix not in {".toml", ".json"}:
        raise ValueError(f"config file {str(file)!r} must end in .toml or .json")
    if not file.is_file():
        raise ValueError(f"config file {str(file)!r} does not exist")
    try:
        text = file.read_text(encoding="utf-8")
        data = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:  # the decoders' errors are ValueErrors
        raise ValueError(f"config file {str(file)!r} is malformed: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"config file {str(file)!r} holds {type(data).__name__}; it must hold a table of keys")
    try:
        return model.model_validate(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config file {str(file)!r}: {error}") from error


__all__ = [
    "COUNT_OF_DENSITY",
    "FIRST_CANDIDATE_DAY",
    "LAST_CLEAN_DAYS",
    "MAX_SEED",
    "EnvConfig",
    "EpisodeConfig",
    "EpisodeOptions",
    "FunnelStep",
    "GenerationError",
    "GeneratorConfig",
    "RateNoise",
    "Reward",
    "SyntheticAnomalyGenerator",
    "ToolCosts",
    "View",
    "check_fits",
    "load_config",
]
