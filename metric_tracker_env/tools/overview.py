"""Tools that say what the task and the data are."""

from __future__ import annotations

from metric_tracker_env import measure
from metric_tracker_env.schema import ANOMALY_TYPES, METHOD_OF_ENTITY_TYPE, Catalogue, Difficulty, EntityType
from metric_tracker_env.tools.arguments import Limit
from metric_tracker_env.tools.cells import UNITS, record, weekday
from metric_tracker_env.tools.registry import ViewTools, tool
from metric_tracker_env.tools.results import (
    CalendarDay,
    DailyRecords,
    DateList,
    DetectionRule,
    EntityInfo,
    EntityList,
    KnownEvents,
    SeverityLimits,
    TaskOverview,
)

TASK = (
    "Product metrics of a funnel: events of every step, hour by hour. Something went wrong, or went unusually well, on "
    "some of the dates. Find those anomalies and submit one row for each: the date, the entity that is the cause, the "
    "type of anomaly, the detection method that confirms it, baseline, observed value, delta and severity."
)
SCORING = (
    "A submission is judged once, as a whole. A row counts when its date, entity_type and entity_name are those of the "
    "cause of an anomaly; its worth is full when anomaly_type, detection_method, baseline_value, observed_value, "
    "delta_value and severity are right too. Every other row lowers the score: a cell that only follows from the cause "
    "(other steps below it, for example), one that is far from its median because of the weekday or the trend, a "
    "duplicate, an invalid row. Every anomaly that is not submitted lowers it as well."
)
WITHOUT_HOURS: tuple[EntityType, ...] = ("hourly_mix", "data_quality")  # types that daily data do not have
SEVERITY_MEASURE: dict[EntityType, str] = {
    "event_count": "|delta| / median",
    "conversion_rate": "|delta| in points",
    "funnel_step": "|delta| in points",
    "hourly_mix": "|delta| x 100",
    "data_quality": "|delta| in events",
}


def _flagged_when(entity_type: EntityType, catalogue: Catalogue, difficulty: Difficulty) -> str:
    """The rule of a detection method in words, with its numbers at a difficulty."""
    floor = measure.COUNT_THRESHOLD_FLOOR if catalogue.noise is None else measure.NOISE_COUNT_FLOOR
    rules: dict[EntityType, str] = {
        "event_count": (
            f"|count - median| is at least {measure.COUNT_THRESHOLD_SHARE[difficulty]:.0%} of the median, "
            f"and at least {floor:g} events"
        ),
        "conversion_rate": (
            f"|rate - median| is at least {measure.RATE_THRESHOLD_POINTS[difficulty]:g} points, "
            f"or at least {measure.RATE_THRESHOLD_SHARE[difficulty]:.0%} of the median"
        ),
        "funnel_step": f"the rate is less than {measure.FUNNEL_STEP_KEEP:.0%} of its median",
        "hourly_mix": (
            f"the share of the first step's events in the hours {measure.DAYTIME_HOURS[0]} to "
            f"{measure.DAYTIME_HOURS[-1]} differs from its median by at least {measure.SHARE_THRESHOLD[difficulty]:g}"
        ),
        "data_quality": "a step has more events in some hour than the step before it; the value is the whole excess",
    }
    if catalogue.noise is None or entity_type == "data_quality":
        return rules[entity_type]
    multiple = measure.NOISE_MULTIPLES[difficulty]
    return f"{rules[entity_type]}; and the difference is at least {multiple:g} times the usual noise of the measure"


class OverviewTools(ViewTools):
    """What the task is, which dates and entities there are, and the bare data."""

    @tool(cost="free")
    def task_overview(self) -> TaskOverview:
        """Explain the task: the data, how each entity is measured and flagged, and how a submission is judged.

        Returns:
            Difficulty, and when each type of entity is flagged, with its limits of severity; and where no brief has
            told them, date range, funnel, conversions, units, detection methods, and scoring in words.
        """
        config, catalogue, difficulty = self._view.config, self._view.catalogue, self._view.difficulty
        detection: list[DetectionRule] = []
        for kind, method in METHOD_OF_ENTITY_TYPE.items():
            if catalogue.slices[kind].start == catalogue.slices[kind].stop and kind in WITHOUT_HOURS:
                continue
            medium, high, critical = measure.SEVERITY_STEPS[kind]
            limits = SeverityLimits(measured_as=SEVERITY_MEASURE[kind], medium=medium, high=high, critical=critical)
            rule = DetectionRule(
                entity_type=kind,
                detection_method=method,
                unit=UNITS[kind],
                flagged_when=_flagged_when(kind, catalogue, difficulty),
                severity=limits,
            )
            detection.append(rule)
        return TaskOverview(
            task=TASK,
            difficulty=difficulty,
            first_date=config.date_names[0],
            last_date=config.date_names[-1],
            num_days=config.num_days,
            hours_per_day=config.hours_per_day,
            funnel=catalogue.count_metrics,
            conversions=catalogue.conversions,
            num_entities=catalogue.num_entities,
            detection=tuple(detection),
            anomaly_types=ANOMALY_TYPES,
            scoring=SCORING,
        )

    @tool(cost="free")
    def list_dates(self) -> DateList:
        """List every date of the data with its weekday.

        Returns:
            ISO dates and English weekday names, oldest first.
        """
        names = self._view.config.date_names
        return DateList(
            dates=tuple(CalendarDay(date=name, weekday=weekday(self._view, day)) for day, name in enumerate(names))
        )

    @tool(cost="free")
    def list_entities(self) -> EntityList:
        """List everything that can be anomalous on a date.

        Returns:
            Type, name, detection method and unit of each entity.
        """
        entities = tuple(
            EntityInfo(
                entity_type=item.entity_type,
                entity_name=item.entity_name,
                detection_method=item.detection_method,
                unit=UNITS[item.entity_type],
            )
            for item in self._view.catalogue.entities
        )
        return EntityList(entities=entities)

    @tool(cost="calendar", of_world=True)
    def list_known_events(self) -> KnownEvents:
        """List the events that were announced: campaigns, releases, maintenance and others.

        An announced event may have come true as announced, stronger or weaker, or not at all; and an incident may have
        happened on its dates as well. What an event moves is explained, and is no anomaly to submit.

        Returns:
            Of each event kind, first and last date, the entity that it was announced for, direction, and the expected
            change: in percent of the entity's median; in points of the day's events for hourly_mix; for data_quality
            in percent over the upstream count, in a few hours of each date.
        """
        return KnownEvents(events=self._view.known_events)

    @tool(cost="open", dates_argument="limit")
    def show_raw_data(self, limit: Limit = 7) -> DailyRecords:
        """Show the daily event counts of the most recent dates, as recorded.

        Each date that is shown costs as much as opening it.

        Args:
            limit: Number of dates; all of them when there are fewer.

        Returns:
            Events a day of every funnel step, oldest of the shown dates first.
        """
        days = self._view.config.num_days
        return DailyRecords(records=tuple(record(self._view, day) for day in range(max(days - limit, 0), days)))
