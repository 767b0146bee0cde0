"""Tools that scan all dates for one family of anomalies, or for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_tracker_env.measure import SCAN_MULTIPLIERS, rounded
from metric_tracker_env.schema import ANOMALY_TYPES, AnomalyType
from metric_tracker_env.submission import shown
from metric_tracker_env.tools.arguments import (
    PAGE,
    CountMetric,
    CountMetrics,
    Limit,
    Multiplier,
    Offset,
    RateMetric,
    RateMetrics,
)
from metric_tracker_env.tools.cells import chosen_metrics, dates_of, family_cells, listed, next_offset, only
from metric_tracker_env.tools.registry import ToolError, ViewTools, tool
from metric_tracker_env.tools.results import FamilyRows, SuspiciousDate, SuspiciousDates
from metric_tracker_env.view import MetricView


class ScanTools(ViewTools):
    """One scan a family, and the survey of all families."""

    @tool(cost="survey")
    def list_suspicious_dates(self, limit: Limit = PAGE, offset: Offset = 0) -> SuspiciousDates:
        """List the dates on which some detection method flags something.

        Args:
            limit: Most dates to list.
            offset: Dates to pass over, to go on with a longer list.

        Returns:
            For each date the types of anomaly that show there and, once its flagged cells have been shown, its largest
            deviation in detection thresholds; and how many dates there are in all. Strongest first; under a budget,
            where strengths are not known beforehand, oldest first.
        """
        view = self._view
        shows = np.stack([family_cells(view, family).any(axis=0) for family in ANOMALY_TYPES])
        days = np.flatnonzero(shows.any(axis=0))
        # A strength is told of dates all of whose flagged cells are.
        told = (view.told(view.flagged) == view.flagged).all(axis=0)
        strength = view.strength.max(axis=0)
        if view.visible is None:
            days = days[np.argsort(-strength[days], kind="stable")]
        return SuspiciousDates(
            total=len(days),
            next_offset=next_offset(len(days), limit, offset),
            dates=tuple(
                SuspiciousDate(
                    date=view.config.date_names[day],
                    anomaly_types=tuple(ANOMALY_TYPES[family] for family in np.flatnonzero(shows[:, day])),
                    strength=rounded(strength[day]) if told[day] else None,
                )
                for day in days[offset : offset + limit].tolist()
            ),
        )

    @tool(cost="scan")
    def get_rate_drop_from_median_rows(
        self,
        metric_name: RateMetric | None = None,
        threshold_multiplier: Multiplier = 1.0,
        metric_names: RateMetrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> FamilyRows:
        """Find the dates on which a conversion rate is far below its median.

        Args:
            metric_name: One conversion rate. Without it and ``metric_names``, all conversion rates.
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            metric_names: Several conversion rates, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in percent. Under a budget the dates are
            those of all metrics, named or not, and the rows those of cells that have been shown.
        """
        chosen = chosen_metrics(self._view, ("conversion_rate",), metric_name, metric_names)
        return _family_rows(self._view, "rate_drop_from_median", threshold_multiplier, limit, offset, chosen)

    @tool(cost="scan")
    def get_rate_spike_from_median_rows(
        self,
        metric_name: RateMetric | None = None,
        threshold_multiplier: Multiplier = 1.0,
        metric_names: RateMetrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> FamilyRows:
        """Find the dates on which a conversion rate is far above its median.

        Args:
            metric_name: One conversion rate. Without it and ``metric_names``, all conversion rates.
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            metric_names: Several conversion rates, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in percent. Under a budget the dates are
            those of all metrics, named or not, and the rows those of cells that have been shown.
        """
        chosen = chosen_metrics(self._view, ("conversion_rate",), metric_name, metric_names)
        return _family_rows(self._view, "rate_spike_from_median", threshold_multiplier, limit, offset, chosen)

    @tool(cost="scan")
    def get_absolute_drop_in_event_count_rows(
        self,
        metric_name: CountMetric | None = None,
        threshold_multiplier: Multiplier = 1.0,
        metric_names: CountMetrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> FamilyRows:
        """Find the dates on which an event count is far below its median.

        Args:
            metric_name: One funnel step. Without it and ``metric_names``, all funnel steps.
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            metric_names: Several funnel steps, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in events a day. Under a budget the dates are
            those of all metrics, named or not, and the rows those of cells that have been shown.
        """
        chosen = chosen_metrics(self._view, ("event_count",), metric_name, metric_names)
        return _family_rows(self._view, "absolute_drop_in_event_count", threshold_multiplier, limit, offset, chosen)

    @tool(cost="scan")
    def get_absolute_spike_in_event_count_rows(
        self,
        metric_name: CountMetric | None = None,
        threshold_multiplier: Multiplier = 1.0,
        metric_names: CountMetrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> FamilyRows:
        """Find the dates on which an event count is far above its median.

        Args:
            metric_name: One funnel step. Without it and ``metric_names``, all funnel steps.
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            metric_names: Several funnel steps, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in events a day. Under a budget the dates are
            those of all metrics, named or not, and the rows those of cells that have been shown.
        """
        chosen = chosen_metrics(self._view, ("event_count",), metric_name, metric_names)
        return _family_rows(self._view, "absolute_spike_in_event_count", threshold_multiplier, limit, offset, chosen)

    @tool(cost="scan", about="funnel_step")
    def get_funnel_break_rows(
        self, threshold_multiplier: Multiplier = 1.0, limit: Limit = PAGE, offset: Offset = 0
    ) -> FamilyRows:
        """Find the dates on which a funnel step loses too much of its median rate.

        Args:
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in percent.
            Under a budget these are the rows of cells that have been shown.
        """
        return _family_rows(self._view, "funnel_break", threshold_multiplier, limit, offset)

    @tool(cost="scan", about="hourly_mix")
    def get_hourly_traffic_mix_shift_rows(
        self, threshold_multiplier: Multiplier = 1.0, limit: Limit = PAGE, offset: Offset = 0
    ) -> FamilyRows:
        """Find the dates on which the daytime share of the first step's events is far from its median, either way.

        Args:
            threshold_multiplier: Multiple of the detection threshold to reach; 1 finds exactly the flagged cells. Under
                a budget it is 0.7, 1 or 1.5.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, as shares (0 to 1) of the day's events.
            Under a budget these are the rows of cells that have been shown.
        """
        return _family_rows(self._view, "hourly_traffic_mix_shift", threshold_multiplier, limit, offset)

    @tool(cost="scan", about="data_quality")
    def get_instrumentation_data_quality_issue_rows(
        self, threshold_multiplier: Multiplier = 1.0, limit: Limit = PAGE, offset: Offset = 0
    ) -> FamilyRows:
        """Find the dates on which a funnel step counts more events than the step before it in some hour.

        Args:
            threshold_multiplier: Multiple of the detection threshold, one event, to reach; 1 finds exactly the
                flagged cells. Under a budget it is 0.7, 1 or 1.5.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows as a submission has them, in impossible events a day.
            Under a budget these are the rows of cells that have been shown.
        """
        return _family_rows(self._view, "instrumentation_data_quality_issue", threshold_multiplier, limit, offset)


def _family_rows(
    view: MetricView,
    family: AnomalyType,
    multiplier: float,
    limit: int,
    offset: int,
    chosen: Sequence[int] | None = None,
) -> FamilyRows:
    """The rows of one family, of the chosen entities or of all.

    Under a budget the dates are those that the discrete action of the same price tells: of the family as a whole.

    Raises:
        ToolError: under a budget, for a multiplier that no discrete action has.
    """
    budgeted = view.visible is not None
    if budgeted and multiplier not in SCAN_MULTIPLIERS:
        allowed = ", ".join(f"{item:g}" for item in SCAN_MULTIPLIERS)
        raise ToolError(
            f"argument threshold_multiplier is {shown(multiplier)}; under a budget it must be one of {allowed}"
        )
    cells = family_cells(view, family, multiplier)
    dates = dates_of(view, cells)
    if chosen is not None:
        cells &= only(view, chosen)
    page = listed(view, cells, limit, offset)
    return FamilyRows(
        anomaly_type=family,
        threshold_multiplier=multiplier,
        dates=dates if budgeted else page.dates,
        rows=tuple(view.row(day, entity) for day, entity in page.cells),
        total=page.total,
        next_offset=page.next_offset,
    )
