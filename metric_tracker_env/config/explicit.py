"""Explicit anomalies: what an episode may be asked to hold, one class a generator method.

A method says which entities it moves, in which direction, and by how much; ``world.explicit`` tells whether the data
of an episode can carry that, and plans it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from metric_tracker_env.config.base import GenerationError, IsoDate, Name, Real
from metric_tracker_env.config.generator import GeneratorConfig
from metric_tracker_env.model import ConfigModel
from metric_tracker_env.schema import FUNNEL_STEP_KEEP, Catalogue, Direction, Entity, EntityType


class ExplicitAnomaly(ConfigModel):
    """What all methods have: dates, and entities on each of them. Without a date one is drawn for each entity."""

    date: IsoDate | None = Field(default=None, description="One ISO date.")
    dates: tuple[IsoDate, ...] = Field(default=(), description="Several dates.")

    summary: ClassVar[str]  # what the method does, in a sentence
    parameter: ClassVar[str]  # the field that says by how much
    expression: ClassVar[str]  # how far from the median that is; of impossible counts, the excess of an hour
    entity_types: ClassVar[tuple[EntityType, ...]]  # of what it moves
    named: ClassVar[tuple[str, str] | None] = None  # the fields that name entities: one, and several
    ways: ClassVar[tuple[Direction, ...]] = ("down", "up")  # directions that the method can take

    @model_validator(mode="after")
    def _check_once(self) -> Self:
        for fields, names in ((("date", "dates"), self.all_dates), (self.named, self.all_names)):
            if fields and len(set(names)) != len(names):
                raise ValueError(f"{' and '.join(fields)}: {list(names)} names something twice; each once")
        return self

    @classmethod
    def method(cls) -> str:
        """Name of the method: the one value of ``method_name``."""
        return cls.model_fields["method_name"].default

    @property
    def all_dates(self) -> tuple[str, ...]:
        """``dates`` and ``date`` together, in order."""
        return (*self.dates, *((self.date,) if self.date is not None else ()))

    @property
    def all_names(self) -> tuple[str, ...]:
        """What the two fields of names name together, in order."""
        if self.named is None:
            return ()
        one, several = (getattr(self, field) for field in self.named)
        return (*several, *((one,) if one is not None else ()))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Directions that the anomaly may take; of two, one is drawn."""
        return self.ways

    @classmethod
    def choices(cls, catalogue: Catalogue) -> dict[str, Entity]:
        """The entities that the method can move, by the name that a user gives."""
        return {e.entity_name: e for e in catalogue.entities if e.entity_type in cls.entity_types}

    def entities(self, catalogue: Catalogue) -> tuple[Entity, ...]:
        """The entities that are asked for, in order; all of the choices if none is named.

        Raises:
            GenerationError: for a name that is none of the choices.
        """
        choices = self.choices(catalogue)
        for name in self.all_names:
            if name not in choices:
                what = (self.named or ("name", ""))[0].removesuffix("_name")
                raise GenerationError(f"anomaly_generators: {what} {name!r} is not one of {list(choices)}")
        return tuple(choices[name] for name in self.all_names or choices)


class OfSteps(ExplicitAnomaly):
    """A method that has an entity for each step after the first, and takes the names of steps."""

    step_name: Name | None = Field(default=None, description="One step after the first.")
    step_names: tuple[Name, ...] = Field(default=(), description="Several; none means all after the first.")

    named = ("step_name", "step_names")

    @classmethod
    def choices(cls, catalogue: Catalogue) -> dict[str, Entity]:
        """The entities of the steps, by the name of the step."""
        return dict(zip(catalogue.count_metrics[1:], super().choices(catalogue).values(), strict=True))


class TargetAnomaly(ExplicitAnomaly):
    """A method that takes an entity's value to a target: its median plus or minus ``amount`` times ``unit``.

    The distance is never less than the entity's detection threshold.
    """

    unit: ClassVar[Literal["deviation", "median", "share"]]  # the entity's deviation, its median, or 1 as it is a share

    @property
    def amount(self) -> float:
        """How many units from the median the target is."""
        return getattr(self, self.parameter)

    @staticmethod
    def asking_for(amount: float) -> float:
        """The value of ``parameter`` that asks for an amount."""
        return amount


class TwoWay(TargetAnomaly):
    """A target on either side of the median."""

    direction: Literal["down", "up", "auto"] = Field(
        default="auto", description="Side of the median; auto draws one that the data can carry."
    )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Both for "auto"."""
        return self.ways if self.direction == "auto" else (self.direction,)


class SyntheticAnomalyGenerator(TwoWay):
    """An explicit anomaly: move a metric to its median plus or minus a number of deviations.

    ``stddev_factor`` multiplies the metric's ``std_dev_from_median``; the shift is never smaller than the
    detection threshold. ``direction`` "auto" draws one. No date draws one; no metric means all metrics.
    """

    method_name: Literal["metric_stddev_shift"] = "metric_stddev_shift"
    metric_name: Name | None = Field(default=None, description="One count or conversion rate.")
    metric_names: tuple[Name, ...] = Field(default=(), description="Several; none means all.")
    stddev_factor: Real = Field(gt=0, le=1000, description="Multiple of the metric's std_dev_from_median.")

    summary = (
        "Move a count or a conversion rate to its median plus or minus stddev_factor times its std_dev_from_median, "
        "and never by less than its detection threshold."
    )
    parameter, unit, expression = "stddev_factor", "deviation", "stddev_factor * std_dev_from_median"
    entity_types = ("event_count", "conversion_rate")
    named = ("metric_name", "metric_names")

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """``metric_names`` and ``metric_name`` together, in order."""
        return self.all_names


class FunnelBreakGenerator(OfSteps, TargetAnomaly):
    """An explicit funnel break: a step keeps a share of its median rate, and the steps after it follow."""

    method_name: Literal["funnel_break"] = "funnel_break"
    keep: Real = Field(gt=0, lt=FUNNEL_STEP_KEEP, description="Share of its median rate that the step keeps.")

    summary = "Take the rate of a funnel step down to the share keep of its median."
    parameter, unit, expression = "keep", "median", "(1 - keep) * median"
    entity_types = ("funnel_step",)
    ways = ("down",)

    @property
    def amount(self) -> float:
        """What is not kept."""
        return 1.0 - self.keep

    @staticmethod
    def asking_for(amount: float) -> float:
        """What is kept."""
        return 1.0 - amount


class HourlyMixShiftGenerator(TwoWay):
    """An explicit shift of first-step events between day and night hours; the day's total stays."""

    method_name: Literal["hourly_mix_shift"] = "hourly_mix_shift"
    shift: Real = Field(gt=0, lt=1, description="Move of the daytime share from its median; 0.05 is five points.")

    summary = (
        "Move first-step events between day and night hours, so that the daytime share goes to its median plus or "
        "minus shift, and never by less than its detection threshold."
    )
    parameter, unit, expression = "shift", "share", "shift"
    entity_types = ("hourly_mix",)


class ImpossibleCountsGenerator(OfSteps):
    """An explicit data-quality issue: in a few drawn hours a step is logged above the step before it.

    There are 5, 4 or 3 such hours at easy, medium and hard; the counts of the steps after it stay true.
    """

    method_name: Literal["impossible_counts"] = "impossible_counts"
    excess: Real = Field(gt=0, le=1, description="Share of the upstream count by which the step is logged above it.")

    summary = "Log a step, in a few hours, above the count of the step before it by the share excess of that count."
    parameter, expression = "excess", "excess * upstream count"
    entity_types = ("data_quality",)
    ways = ("up",)


METHODS: dict[str, type[ExplicitAnomaly]] = {
    method.method(): method
    for method in (
        SyntheticAnomalyGenerator,
        FunnelBreakGenerator,
        HourlyMixShiftGenerator,
        ImpossibleCountsGenerator,
    )
}


def _method_of(given: Any) -> str | None:
    """Name of the method that a value is meant for; without one it is the first."""
    if isinstance(given, ExplicitAnomaly):
        return given.method()
    name = given.get("method_name", next(iter(METHODS))) if isinstance(given, Mapping) else None
    return name if isinstance(name, str) else None


AnomalyGenerator = Annotated[
    Annotated[SyntheticAnomalyGenerator, Tag("metric_stddev_shift")]
    | Annotated[FunnelBreakGenerator, Tag("funnel_break")]
    | Annotated[HourlyMixShiftGenerator, Tag("hourly_mix_shift")]
    | Annotated[ImpossibleCountsGenerator, Tag("impossible_counts")],
    Discriminator(
        _method_of,
        custom_error_type="generator_method",
        custom_error_message=f"it must be an object whose method_name is one of {list(METHODS)}",
    ),
]


def check_generators(generator: GeneratorConfig, asked: tuple[AnomalyGenerator, ...]) -> None:
    """Refuse explicit generators with an unknown name or date, two that change one thing on a date, or too many dates.

    Raises:
        GenerationError: naming what and why.
    """
    catalogue = generator.catalogue
    changed: dict[tuple[int, int], str] = {}
    undated = 0
    for item in asked:
        entities = item.entities(catalogue)
        try:
            days = [generator.day_index(date) for date in item.all_dates]
        except ValueError as error:
            raise GenerationError(f"anomaly_generators: {error}") from error
        undated += 0 if days else len(entities)
        for day, entity in itertools.product(days, entities):
            for link in catalogue.touched[entity.index]:
                if (day, link) in changed:
                    raise GenerationError(
                        f"anomaly_generators: {changed[day, link]!r} and {entity.entity_name!r} both change "
                        f"{catalogue.link_names[link]} on {generator.date_names[day]}; "
                        "anomalies of one date must each change something else"
                    )
            changed |= {(day, link): entity.entity_name for link in catalogue.touched[entity.index]}
    number = undated + len({day for day, _ in changed})
    if number >= generator.num_days / 2:
        raise GenerationError(
            f"anomaly_generators: {number} dates with anomalies do not leave more than half of {generator.num_days} "
            "days clean, which the medians need"
        )
