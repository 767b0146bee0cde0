"""What one episode asks of the generator, and the check that the generator can carry it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from metric_tracker_env.config.base import ConfigModel, Name, Real, Seed
from metric_tracker_env.config.generator import GeneratorConfig
from metric_tracker_env.schema import Density, Difficulty, Direction, ScenarioFamily

COUNT_OF_DENSITY: dict[Density, int] = {"low": 3, "medium": 5, "high": 7}


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


Count = Annotated[StrictInt, Field(ge=0)]


class EpisodeOptions(ConfigModel):
    """What an episode holds; an environment is made with these, and a reset may change them for one episode."""

    scenario_family: ScenarioFamily = "mixed"
    difficulty: Difficulty = "medium"
    anomaly_density: Density = "medium"
    anomaly_count: Count | tuple[Count, Count] | None = Field(
        default=3,
        description="Incidents: a number, a (low, high) range, or None = by density (low 3, medium 5, high 7); "
        "0 is a quiet episode.",
    )
    anomaly_generators: tuple[SyntheticAnomalyGenerator, ...] = ()

    @field_validator("anomaly_count", mode="before")
    @classmethod
    def _read_count(cls, value: object) -> object:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
        if value is not None and not (whole and len(numbers) == (2 if isinstance(value, (list, tuple)) else 1)):
            raise ValueError(f"{value!r} given; it must be a whole number from 0, a (low, high) pair of them, or None")
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
            f"at most {generator.max_incidents} do (one a date, fewer than half of all days"
            f"{'' if generator.world is None else f'; in a world each may last {generator.world.longest} dates'})"
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
