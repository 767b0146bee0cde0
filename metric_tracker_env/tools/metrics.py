"""Tools that look at chosen metrics over all dates. A *metric* is a daily event count or a conversion rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.schema import EntityType
from metric_tracker_env.tools.arguments import PAGE, Limit, Metric, Metrics, Multiplier, Offset, Threshold
from metric_tracker_env.tools.cells import UNITS, chosen_metrics, comparison, listed, only
from metric_tracker_env.tools.registry import ViewTools, tool
from metric_tracker_env.tools.results import ComparisonRows, MetricStatistic, MetricStatistics
from metric_tracker_env.view import MetricView

KINDS: tuple[EntityType, ...] = ("event_count", "conversion_rate")


class MetricTools(ViewTools):
    """Medians, spread, and the dates on which a metric is far from its median."""

    @tool(cost="inspect")
    def get_metric_median(
        self, metric_name: Metric | None = None, metric_names: Metrics | None = None
    ) -> MetricStatistics:
        """Give the median of metrics over all dates, which is the baseline that they are compared with.

        Args:
            metric_name: One metric. Without it and ``metric_names``, all metrics.
            metric_names: Several metrics, instead of ``metric_name``.

        Returns:
            Medians, in events a day for counts and in percent for rates.
        """
        chosen = chosen_metrics(self._view, KINDS, metric_name, metric_names)
        values = [float(self._view.baselines[entity]) for entity in chosen]
        return MetricStatistics(statistic="median", metrics=_statistics(self._view, chosen, values))

    @tool(cost="free")
    def get_metric_std_dev_from_median(
        self, metric_name: Metric | None = None, metric_names: Metrics | None = None
    ) -> MetricStatistics:
        """Give the spread of metrics about their median: the root of the mean of (value - median) squared.

        Args:
            metric_name: One metric. Without it and ``metric_names``, all metrics.
            metric_names: Several metrics, instead of ``metric_name``.

        Returns:
            Standard deviations from the median, in events a day for counts and in points of percent for rates. Under a
            budget they are over the dates on which the metric has been shown; one that has been shown on none is left
            out.
        """
        view = self._view
        told = view.told(np.ones_like(view.flagged))
        chosen = [entity for entity in chosen_metrics(view, KINDS, metric_name, metric_names) if told[entity].any()]
        values = [
            measure.std_dev_from_median(view.values[entity, told[entity]], float(view.baselines[entity]))
            for entity in chosen
        ]
        return MetricStatistics(statistic="std_dev_from_median", metrics=_statistics(view, chosen, values))

    @tool(cost="free")
    def get_rows_with_abs_diff_from_median_gt(
        self,
        threshold: Threshold,
        metric_name: Metric | None = None,
        metric_names: Metrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> ComparisonRows:
        """Find the dates on which a metric differs from its median by more than a given number.

        Args:
            threshold: Difference to exceed, in the metric's own unit: events a day for counts, points for rates.
            metric_name: One metric. Without it and ``metric_names``, all metrics.
            metric_names: Several metrics, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows in the metric's unit, each with its detection threshold and whether it is an
            anomaly. Under a budget, dates and rows of cells that other tools have shown: it finds no new ones.
        """
        return _filtered(
            self._view,
            chosen_metrics(self._view, KINDS, metric_name, metric_names),
            lambda view: np.abs(view.values - view.baselines[:, None]) > threshold,
            limit,
            offset,
        )

    @tool(cost="free")
    def get_median_filter_rows(
        self,
        metric_name: Metric | None = None,
        threshold_multiplier: Multiplier = 1.0,
        metric_names: Metrics | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> ComparisonRows:
        """Find the dates on which a metric differs from its median by at least so many detection thresholds.

        Args:
            metric_name: One metric. Without it and ``metric_names``, all metrics.
            threshold_multiplier: Multiple of the metric's detection threshold; below 1 shows near misses too.
            metric_names: Several metrics, instead of ``metric_name``.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            All dates; and by date the rows in the metric's unit, each with its detection threshold and whether it is an
            anomaly. Under a budget, dates and rows of cells that other tools have shown: it finds no new ones.
        """
        return _filtered(
            self._view,
            chosen_metrics(self._view, KINDS, metric_name, metric_names),
            lambda view: np.abs(view.ratios) >= threshold_multiplier,
            limit,
            offset,
        )


def _filtered(
    view: MetricView, chosen: Sequence[int], keeps: Callable[[MetricView], np.ndarray], limit: int, offset: int
) -> ComparisonRows:
    """The cells of the chosen entities that an (E, D) condition keeps, of those that may be told."""
    page = listed(view, view.told(keeps(view) & only(view, chosen)), limit, offset)
    return ComparisonRows(
        dates=page.dates,
        rows=tuple(comparison(view, day, entity) for day, entity in page.cells),
        total=page.total,
        next_offset=page.next_offset,
    )


def _statistics(view: MetricView, chosen: Sequence[int], values: Sequence[float]) -> tuple[MetricStatistic, ...]:
    entities = [view.catalogue.entities[index] for index in chosen]
    return tuple(
        MetricStatistic(metric_name=item.entity_name, unit=UNITS[item.entity_type], value=measure.rounded(value))
        for item, value in zip(entities, values, strict=True)
    )
