"""What the tools return: JSON-friendly rows with ISO dates, names, and floats rounded to 4 decimals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metric_tracker_env.schema import (
    AnomalyType,
    ConversionMetricDefinition,
    DetectionMethod,
    Difficulty,
    EntityType,
    KnownEvent,
    MetricRecord,
    MetricSubmissionRow,
    Severity,
    StrictModel,
)
from metric_tracker_env.submission import Fault, Key

RowStatus = Literal["confirmed", "not_flagged", "fields_differ", "not_shown", "duplicate", "invalid"]
NORMAL = "normal"  # the anomaly type of a cell that has none


class Comparison(StrictModel):
    """One cell against its baseline, and whether its detection method confirms it.

    The first nine fields are those of a row; where the detection method confirms the cell, they are the row to submit.
    """

    date: str
    entity_type: EntityType
    entity_name: str
    anomaly_type: AnomalyType | Literal["normal"]
    detection_method: DetectionMethod
    baseline_value: float
    observed_value: float
    delta_value: float
    severity: Severity
    threshold: float = Field(description="Smallest deviation that is flagged, in the entity's unit.")
    ratio: float = Field(description="delta_value / threshold, signed.")
    is_anomaly: bool = Field(description="Whether the detection method confirms an anomaly here.")

    @property
    def key(self) -> Key:
        """The cell: (date, entity_type, entity_name)."""
        return self.date, self.entity_type, self.entity_name


class FunnelStepComparison(Comparison):
    """A funnel step against its median rate."""

    kept_share: float | None = Field(description="observed_value / baseline_value; None when the median is 0.")


class ImpossibleHour(StrictModel):
    """An hour in which a step counts more events than the step before it."""

    hour: int
    numerator_count: int
    denominator_count: int
    excess: int


class PairComparison(Comparison):
    """A pair of neighbouring steps: the sum of its impossible excess, and the hours that it comes from."""

    numerator: str
    denominator: str
    hours: tuple[ImpossibleHour, ...]


class SeasonalComparison(StrictModel):
    """The first step against what weekday and trend predict, in events a day."""

    entity_name: str
    observed_value: float
    seasonal_baseline: float
    delta_value: float
    ratio: float = Field(description="delta_value / the threshold of the step's count, signed.")


class CalendarDay(StrictModel):
    """A date and its weekday."""

    date: str
    weekday: str


class DateList(StrictModel):
    """Every date of the data, oldest first."""

    dates: tuple[CalendarDay, ...]


class EntityInfo(StrictModel):
    """Something that can be anomalous on a date."""

    entity_type: EntityType
    entity_name: str
    detection_method: DetectionMethod
    unit: str


class EntityList(StrictModel):
    """Every entity of a date."""

    entities: tuple[EntityInfo, ...]


class SeverityLimits(StrictModel):
    """Sizes from which a deviation is medium, high or critical; below it is low."""

    measured_as: str
    medium: float
    high: float
    critical: float


class DetectionRule(StrictModel):
    """How one type of entity is measured and when its detection method flags it."""

    entity_type: EntityType
    detection_method: DetectionMethod
    unit: str
    flagged_when: str
    severity: SeverityLimits


class TaskOverview(StrictModel):
    """The task: the data, the rules of detection, and how a submission is judged."""

    task: str
    difficulty: Difficulty
    first_date: str
    last_date: str
    num_days: int
    hours_per_day: int
    funnel: tuple[str, ...]
    conversions: tuple[ConversionMetricDefinition, ...]
    num_entities: int
    detection: tuple[DetectionRule, ...]
    anomaly_types: tuple[AnomalyType, ...]
    scoring: str


class DailyRecords(StrictModel):
    """Event counts a day, oldest first."""

    records: tuple[MetricRecord, ...]


class DateReport(StrictModel):
    """Counts and conversion rates of one date against their medians."""

    date: str
    weekday: str
    counts: tuple[Comparison, ...]
    rates: tuple[Comparison, ...]
    seasonal: SeasonalComparison


class HourlyReport(StrictModel):
    """Event counts of the hours of one date, and its daytime share."""

    date: str
    records: tuple[MetricRecord, ...]
    daytime_first_hour: int
    daytime_last_hour: int
    daytime_share: Comparison


class GapReport(HourlyReport):
    """The hours of one date in the realistic world, some of which may have been lost."""

    lost_hours: tuple[int, ...] = Field(description="Hours of which nothing was recorded.")
    lost_share: float = Field(description="Share of a usual day's first-step events that falls into these hours.")


class KnownEvents(StrictModel):
    """What was announced, by date; nothing tells whether it came true."""

    events: tuple[KnownEvent, ...]


class FunnelReport(StrictModel):
    """The funnel steps of one date."""

    date: str
    steps: tuple[FunnelStepComparison, ...]


class ImpossibleCountReport(StrictModel):
    """The pairs of neighbouring steps of one date."""

    date: str
    pairs: tuple[PairComparison, ...]


class MetricStatistic(StrictModel):
    """One statistic of one metric over all dates."""

    metric_name: str
    unit: str
    value: float


class MetricStatistics(StrictModel):
    """One statistic of some metrics."""

    statistic: Literal["median", "std_dev_from_median"]
    metrics: tuple[MetricStatistic, ...]


class Page(StrictModel):
    """A stretch of a longer list."""

    total: int = Field(description="Items of the whole list, given here or not.")
    next_offset: int | None = Field(description="The offset that gives the next items; None after the last.")


class ComparisonRows(Page):
    """Cells that a filter let through, by date; ``dates`` are all of theirs, on this page or not."""

    dates: tuple[str, ...]
    rows: tuple[Comparison, ...]


class FamilyRows(Page):
    """Cells that look like one type of anomaly, by date; ``dates`` are all of theirs, on this page or not."""

    anomaly_type: AnomalyType
    threshold_multiplier: float
    dates: tuple[str, ...]
    rows: tuple[MetricSubmissionRow, ...]


class SuspiciousDate(StrictModel):
    """A date with at least one flagged cell."""

    date: str
    anomaly_types: tuple[AnomalyType, ...]
    strength: float | None = Field(
        description="Largest deviation of its flagged cells, in thresholds; None until they have been shown."
    )


class SuspiciousDates(Page):
    """Dates with flagged cells, strongest first."""

    dates: tuple[SuspiciousDate, ...]


class SubmissionPayload(Page):
    """Rows that can be submitted as they are."""

    rows: tuple[MetricSubmissionRow, ...]


class PreviewedRow(StrictModel):
    """What the preview says about one row."""

    number: int
    status: RowStatus
    issue: str | None
    faults: tuple[Fault, ...] = Field(description="Fields that are not as they should be, as data.")


class SubmissionPreview(StrictModel):
    """What the data say about rows before they are submitted."""

    submitted: int
    confirmed: int
    not_flagged: int
    fields_differ: int
    not_shown: int
    duplicate: int
    invalid: int
    rows: tuple[PreviewedRow, ...]
    next_offset: int | None = Field(description="The offset that gives the next rows; None after the last.")
