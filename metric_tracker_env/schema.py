"""Names, rows and the entity catalogue: the vocabulary that every other module shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from metric_tracker_env.model import ConfigModel, StrictModel

HOURS_PER_DAY = 24
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS_PER_WEEK = 7

Difficulty = Literal["easy", "medium", "hard"]
Density = Literal["low", "medium", "high"]
Severity = Literal["low", "medium", "high", "critical"]
Direction = Literal["down", "up"]
EntityType = Literal["event_count", "conversion_rate", "funnel_step", "hourly_mix", "data_quality"]
AnomalyType = Literal[
    "rate_drop_from_median",
    "rate_spike_from_median",
    "absolute_drop_in_event_count",
    "absolute_spike_in_event_count",
    "funnel_break",
    "hourly_traffic_mix_shift",
    "instrumentation_data_quality_issue",
]
ScenarioFamily = Literal["mixed", AnomalyType]
DetectionMethod = Literal[
    "compare_count_to_median",
    "compare_rate_to_median",
    "detect_funnel_break",
    "hourly_rows_for_date",
    "check_impossible_counts",
]

EventKind = Literal[
    "campaign",
    "holiday",
    "tracking_change",
    "price_promotion",
    "release",
    "planned_maintenance",
    "changed_hours",
    "logging_migration",
]

DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
DENSITIES: tuple[Density, ...] = get_args(Density)
ENTITY_TYPES: tuple[EntityType, ...] = get_args(EntityType)
ANOMALY_TYPES: tuple[AnomalyType, ...] = get_args(AnomalyType)
ALL_SCENARIO_FAMILIES: tuple[ScenarioFamily, ...] = get_args(ScenarioFamily)
DETECTION_METHODS: tuple[DetectionMethod, ...] = get_args(DetectionMethod)

METHOD_OF_ENTITY_TYPE: dict[EntityType, DetectionMethod] = dict(zip(ENTITY_TYPES, DETECTION_METHODS, strict=True))


class Family(NamedTuple):
    """A family of anomalies: which deviations it names, and what it is called."""

    entity_type: EntityType
    directions: tuple[Direction, ...]
    label: str  # in a picture
    words: str  # after "each is"


FAMILIES: dict[AnomalyType, Family] = {
    "rate_drop_from_median": Family("conversion_rate", ("down",), "rate drop", "a drop of a conversion rate"),
    "rate_spike_from_median": Family("conversion_rate", ("up",), "rate spike", "a spike of a conversion rate"),
    "absolute_drop_in_event_count": Family("event_count", ("down",), "count drop", "a drop of an event count"),
    "absolute_spike_in_event_count": Family("event_count", ("up",), "count spike", "a spike of an event count"),
    "funnel_break": Family("funnel_step", ("down", "up"), "funnel break", "a funnel step that loses much of its rate"),
    "hourly_traffic_mix_shift": Family(
        "hourly_mix", ("down", "up"), "hourly mix shift", "a shift of traffic between the hours of the day"
    ),
    "instrumentation_data_quality_issue": Family(
        "data_quality", ("down", "up"), "data quality issue", "a funnel step that is logged above the step before it"
    ),
}
HOURLY_MIX_SUFFIX = "daytime_share"
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"  # of a funnel step and of a conversion
MAX_NAME_LENGTH = 40  # of a funnel step
RESERVED_NAMES = ("date", "hour", "counts")  # fields of a record beside its steps
FUNNEL_STEP_KEEP = 0.70  # a funnel step is broken when it keeps less than this share of its median rate


def weekdays_of(days: np.ndarray) -> np.ndarray:
    """(D,) days, as datetime64[D] or counted from 1970-01-01 -> (D,) int64, Monday 0 to Sunday 6."""
    return (days.astype(np.int64) + 3) % DAYS_PER_WEEK  # 1970-01-01 was a Thursday


class ConversionMetricDefinition(ConfigModel):
    """A conversion rate in percent: daily numerator events over daily denominator events."""

    name: str = Field(
        pattern=NAME_PATTERN, max_length=2 * MAX_NAME_LENGTH + len("_to_"), description="Of the rate; no other has it."
    )
    numerator: str = Field(description="Name of a step of the funnel.")
    denominator: str = Field(description="Name of a step before it.")
    description: str = Field(default="", description="For readers; nothing depends on it.")

    @classmethod
    def of(cls, numerator: str, denominator: str, name: str | None = None) -> ConversionMetricDefinition:
        """The rate of two steps, named for them unless a name is given."""
        return cls(
            name=name or f"{denominator}_to_{numerator}",
            numerator=numerator,
            denominator=denominator,
            description=f"{numerator} / {denominator} * 100",
        )


class MetricRecord(BaseModel):
    """Event counts of one day (``hour`` is None) or of one hour of it.

    The counts are further fields, one a funnel step, so that a record of the default funnel reads
    ``record.app_opens``; ``record.counts`` gives them as a dict.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, int] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    date: str
    hour: int | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Events by funnel step, in funnel order."""
        return dict(self.__pydantic_extra__)


class MetricSubmissionRow(StrictModel):
    """One anomaly row: the cell (date, entity), what happened there, how it was found, and its values."""

    date: str
    entity_type: EntityType
    entity_name: str
    anomaly_type: AnomalyType
    detection_method: DetectionMethod
    baseline_value: float = Field(allow_inf_nan=False)
    observed_value: float = Field(allow_inf_nan=False)
    delta_value: float = Field(allow_inf_nan=False)
    severity: Severity

    @property
    def key(self) -> tuple[str, str, str]:
        """The cell that the row is about: (date, entity_type, entity_name)."""
        return self.date, self.entity_type, self.entity_name


NAME_FIELDS = ("anomaly_type", "detection_method", "severity")  # fields of a row beside its cell: names and values
VALUE_FIELDS = ("baseline_value", "observed_value", "delta_value")


class MethodSpec(StrictModel):
    """Name, description and parameter names of a generator method or an analysis method."""

    name: str
    description: str
    parameters: tuple[str, ...] = ()


class PlannedAnomaly(StrictModel):
    """One item of the anomaly schedule: what was injected, before anything was measured.

    ``size`` is the planned move of the cell's own value from its clean twin in units of its detection
    threshold (for ``funnel_break`` the share of the rate that is kept, for
    ``instrumentation_data_quality_issue`` the relative excess over the upstream count).
    """

    date: str
    last_date: str | None = Field(default=None, description="Last of several dates; None for an incident of one.")
    anomaly_type: AnomalyType
    entity_type: EntityType
    entity_name: str
    detection_method: DetectionMethod
    direction: Direction
    size: float


class KnownEvent(StrictModel):
    """What was announced of an event: nothing tells whether it came true.

    ``expected_change`` is signed: percent of the entity's median; points of the day's traffic for ``hourly_mix``;
    percent over the upstream count, in a few hours of each date, for ``data_quality``.
    """

    kind: EventKind
    first_date: str
    last_date: str
    entity_type: EntityType
    entity_name: str
    direction: Direction
    expected_change: float
    unit: Literal["percent", "points"]


class Gap(StrictModel):
    """Hours of a date of which nothing was recorded, from ``first_hour`` to ``last_hour``, both included."""

    date: str
    first_hour: int
    last_hour: int


class SyntheticGeneratorApplication(StrictModel):
    """What one explicit generator did to one entity on one date; values in the entity's unit.

    On a date with several, ``target_value`` is without the others and ``actual_value`` with them.
    """

    method_name: str
    date: str
    metric_name: str
    metric_type: EntityType
    direction: Direction
    anomaly_type: AnomalyType
    detection_method: DetectionMethod
    baseline_value: float
    pre_applied_value: float
    std_dev_from_median: float
    stddev_factor: float | None  # None for the other methods
    threshold_value: float
    target_value: float | None  # None for impossible counts, whose excess follows from the hours that are drawn
    actual_value: float
    formula: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing that can be anomalous on a date."""

    index: int
    entity_type: EntityType
    entity_name: str
    detection_method: DetectionMethod


@dataclass(frozen=True)
class Catalogue:
    """Every entity of a funnel, and where each finds its value among the measures.

    The *measures* of a date are the distinct daily series behind the entities, in this order: S counts,
    S-1 step rates (%), the conversions that skip steps (%), the daytime share, S-1 impossible-count excesses.
    Where only days are known (``hours`` is False) the last two are 0 and belong to no entity.
    """

    count_metrics: tuple[str, ...]
    conversions: tuple[ConversionMetricDefinition, ...]
    # Standard deviation of each measure before the excesses on ordinary days, relative; None for fixed thresholds.
    noise: tuple[float, ...] | None = None
    hours: bool = True  # whether the hours of a day are known

    @property
    def num_steps(self) -> int:
        """Number of funnel steps S."""
        return len(self.count_metrics)

    @cached_property
    def funnel_steps(self) -> tuple[tuple[str, str], ...]:
        """(numerator, denominator) of each pair of neighbouring steps."""
        return tuple(zip(self.count_metrics[1:], self.count_metrics[:-1], strict=True))

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """All entities of a date: counts, conversions, funnel steps, hourly mix, data quality."""
        names: dict[EntityType, list[str]] = {
            "event_count": list(self.count_metrics),
            "conversion_rate": [item.name for item in self.conversions],
            "funnel_step": [f"{num}_from_{den}" for num, den in self.funnel_steps],
            "hourly_mix": [f"{self.count_metrics[0]}:{HOURLY_MIX_SUFFIX}"],
            "data_quality": [f"{num}_lte_{den}" for num, den in self.funnel_steps],
        }
        if not self.hours:
            names["hourly_mix"] = names["data_quality"] = []
        pairs: list[tuple[EntityType, str]] = [(kind, name) for kind in ENTITY_TYPES for name in names[kind]]
        return tuple(Entity(i, kind, name, METHOD_OF_ENTITY_TYPE[kind]) for i, (kind, name) in enumerate(pairs))

    @property
    def num_entities(self) -> int:
        """Number of entities E of one date."""
        return len(self.entities)

    @cached_property
    def index(self) -> dict[tuple[str, str], int]:
        """Entity index by (entity_type, entity_name)."""
        return {(e.entity_type, e.entity_name): e.index for e in self.entities}

    @cached_property
    def slices(self) -> dict[EntityType, slice]:
        """Range of entity indices of each entity type."""
        found: dict[EntityType, slice] = {}
        stop = 0
        for kind in ENTITY_TYPES:
            start, stop = stop, stop + sum(e.entity_type == kind for e in self.entities)
            found[kind] = slice(start, stop)
        return found

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """(denominator step, numerator step) of each conversion, as funnel positions."""
        position = {name: i for i, name in enumerate(self.count_metrics)}
        return tuple((position[c.denominator], position[c.numerator]) for c in self.conversions)

    @cached_property
    def skipping(self) -> tuple[int, ...]:
        """Indices of the conversions that span more than one step (end-to-end conversions)."""
        return tuple(i for i, (den, num) in enumerate(self.spans) if num - den > 1)

    def links_of(self, entity: int) -> tuple[range, int]:
        """Links of the chain that an incident of this entity multiplies, and its lone step if it is an inner count.

        The chain is the traffic (link 0) and the rate of each step (link s). A lone step is a count that changes with
        its neighbours staying. An hourly mix and a data-quality incident multiply no link.
        """
        kind = self.entities[entity].entity_type
        place = entity - self.slices[kind].start
        if kind == "event_count":
            return range(entity, entity + 1), entity
        if kind == "conversion_rate":
            denominator, numerator = self.spans[place]
            return range(denominator + 1, numerator + 1), 0
        return (range(place + 1, place + 2), 0) if kind == "funnel_step" else (range(0), 0)

    @cached_property
    def touched(self) -> tuple[frozenset[int], ...]:
        """(E,) the links of the chain that an incident of each entity changes, and S for the hours of the traffic.

        Two incidents can share a date when they touch different links. A lone count changes the rate into its step
        and the rate out of it, and so do impossible counts.
        """
        found: list[frozenset[int]] = []
        for entity in self.entities:
            links, alone = self.links_of(entity.index)
            if entity.entity_type == "hourly_mix":
                links = (self.num_steps,)
            elif entity.entity_type == "data_quality":
                alone = 1 + entity.index - self.slices["data_quality"].start
                links = (alone,)
            out = {alone + 1} if 0 < alone < self.num_steps - 1 else set()
            found.append(frozenset(links) | out)
        return tuple(found)

    @cached_property
    def link_names(self) -> tuple[str, ...]:
        """(S + 1,) the links of ``touched`` in words."""
        rates = [f"the rate of {name}" for name in self.count_metrics[1:]]
        return (f"the number of {self.count_metrics[0]}", *rates, f"the hours of {self.count_metrics[0]}")

    @cached_property
    def measure_of_entity(self) -> np.ndarray:
        """(E,) int64: row of the measures that holds each entity's value."""
        steps = self.num_steps
        rank = {conversion: i for i, conversion in enumerate(self.skipping)}
        rows = list(range(steps))
        for i, (_, num) in enumerate(self.spans):
            rows.append(2 * steps - 1 + rank[i] if i in rank else steps + num - 1)
        rows += list(range(steps, 2 * steps - 1))
        if self.hours:
            rows += list(range(self.share_row, self.num_measures))
        return np.array(rows, dtype=np.int64)

    @property
    def share_row(self) -> int:
        """Measure row of the daytime share."""
        return 2 * self.num_steps - 1 + len(self.skipping)

    @property
    def num_measures(self) -> int:
        """Number of measures M of one date."""
        return self.share_row + self.num_steps

    def entity(self, entity_type: str, entity_name: str) -> Entity:
        """The entity of that type and name.

        Raises:
            ValueError: if there is none; names what is allowed.
        """
        found = self.index.get((entity_type, entity_name))
        if found is None:
            allowed = [f"{e.entity_type}/{e.entity_name}" for e in self.entities]
            raise ValueError(f"entity {entity_type}/{entity_name!r} is not one of {allowed}")
        return self.entities[found]
