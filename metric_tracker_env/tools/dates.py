"""Tools that look at one date."""

from __future__ import annotations

from metric_tracker_env import measure
from metric_tracker_env.schema import HOURS_PER_DAY
from metric_tracker_env.tools.arguments import CountMetric, Date, RateMetric
from metric_tracker_env.tools.cells import comparison, comparisons, record, weekday
from metric_tracker_env.tools.registry import ViewTools, tool
from metric_tracker_env.tools.results import (
    Comparison,
    DateReport,
    FunnelReport,
    FunnelStepComparison,
    GapReport,
    HourlyReport,
    ImpossibleCountReport,
    ImpossibleHour,
    PairComparison,
    SeasonalComparison,
)
from metric_tracker_env.view import MetricView


class DateTools(ViewTools):
    """Counts, rates, hours and pairs of one date against their medians over all dates."""

    @tool(cost="open")
    def rows_for_date(self, date: Date) -> DateReport:
        """Compare every event count and conversion rate of one date with its median over all dates.

        Args:
            date: Date to open, in ISO format.

        Returns:
            Observed, baseline and delta (events a day for counts, percent for rates), detection threshold and
            whether it is passed; and the first step against what its weekday and the trend predict.
        """
        view = self._view
        day = view.config.day_index(date)
        observed, seasonal = float(view.daily[day, 0]), float(view.seasonal_baseline[day])
        return DateReport(
            date=date,
            weekday=weekday(view, day),
            counts=comparisons(view, day, "event_count"),
            rates=comparisons(view, day, "conversion_rate"),
            seasonal=SeasonalComparison(
                entity_name=view.catalogue.count_metrics[0],
                observed_value=measure.rounded(observed),
                seasonal_baseline=measure.rounded(seasonal),
                delta_value=measure.rounded(observed - seasonal),
                ratio=measure.rounded((observed - seasonal) / view.thresholds[0]),
            ),
        )

    @tool(cost="inspect", about="hourly_mix")
    def hourly_rows_for_date(self, date: Date) -> HourlyReport:
        """Show the event counts of each hour of one date, and compare its daytime share with the median.

        Args:
            date: Date to look at, in ISO format.

        Returns:
            24 hourly records in events an hour (under a budget of the first step alone); the share (0 to 1) of the
            first step's events that fall into the daytime hours, its median, delta, detection threshold, severity and
            whether it is an anomaly. Where hours may have been lost, also which ones were, and their usual share.
        """
        view = self._view
        day = view.config.day_index(date)
        report = HourlyReport(
            date=date,
            records=tuple(record(view, day, hour) for hour in range(HOURS_PER_DAY)),
            daytime_first_hour=measure.DAYTIME_HOURS[0],
            daytime_last_hour=measure.DAYTIME_HOURS[-1],
            daytime_share=comparison(view, day, view.catalogue.slices["hourly_mix"].start),
        )
        if view.config.world is None:
            return report
        lost = view.lost_hours(day)
        share = measure.rounded(view.config.hour_shares[list(lost)].sum())
        return GapReport(**dict(report), lost_hours=lost, lost_share=share)

    @tool(cost="inspect")
    def compare_rate_to_median(self, date: Date, entity_name: RateMetric) -> Comparison:
        """Compare one date's conversion rate with its median over all dates.

        Args:
            date: Date to look at, in ISO format.
            entity_name: Conversion rate.

        Returns:
            Observed, baseline, delta and detection threshold in percent; delta in thresholds, the type of
            anomaly ("normal" for none), its severity, and whether it is an anomaly.
        """
        entity = self._view.catalogue.entity("conversion_rate", entity_name)
        return comparison(self._view, self._view.config.day_index(date), entity.index)

    @tool(cost="inspect")
    def compare_count_to_median(self, date: Date, entity_name: CountMetric) -> Comparison:
        """Compare one date's event count with its median over all dates.

        Args:
            date: Date to look at, in ISO format.
            entity_name: Funnel step whose events are counted.

        Returns:
            Observed, baseline, delta and detection threshold in events a day; delta in thresholds, the type of
            anomaly ("normal" for none), its severity, and whether it is an anomaly.
        """
        entity = self._view.catalogue.entity("event_count", entity_name)
        return comparison(self._view, self._view.config.day_index(date), entity.index)

    @tool(cost="inspect", about="funnel_step")
    def detect_funnel_break(self, date: Date) -> FunnelReport:
        """Compare the rate of each funnel step on one date with its median, to find a step that breaks.

        Args:
            date: Date to look at, in ISO format.

        Returns:
            For each pair of neighbouring steps the rate, its median, delta and threshold in percent, the share
            of the median that is kept (1 is all of it), and whether it is an anomaly.
        """
        steps: list[FunnelStepComparison] = []
        view = self._view
        day, of_kind = view.config.day_index(date), view.catalogue.slices["funnel_step"]
        for entity in range(of_kind.start, of_kind.stop):
            observed, median = view.values[entity, day], view.baselines[entity]
            kept = measure.rounded(observed / median) if median > 0 else None
            steps.append(FunnelStepComparison(**comparison(view, day, entity).model_dump(), kept_share=kept))
        return FunnelReport(date=date, steps=tuple(steps))

    @tool(cost="inspect", about="data_quality")
    def check_impossible_counts(self, date: Date) -> ImpossibleCountReport:
        """Find the hours of one date in which a funnel step counts more events than the step before it.

        Args:
            date: Date to look at, in ISO format.

        Returns:
            For each pair of neighbouring steps the impossible events of the day, the hours that they come from
            with both counts in events an hour, and whether it is an anomaly.
        """
        view = self._view
        day = view.config.day_index(date)
        pairs = zip(comparisons(view, day, "data_quality"), view.catalogue.funnel_steps, strict=True)
        return ImpossibleCountReport(
            date=date,
            pairs=tuple(
                PairComparison(
                    **cell.model_dump(),
                    numerator=numerator,
                    denominator=denominator,
                    hours=_impossible_hours(view, day, step),
                )
                for step, (cell, (numerator, denominator)) in enumerate(pairs, start=1)
            ),
        )


def _impossible_hours(view: MetricView, day: int, step: int) -> tuple[ImpossibleHour, ...]:
    """The hours of a date in which a funnel step passes the step before it."""
    pair = view.hourly[day, :, step - 1 : step + 1].T
    excess = measure.excess(pair[:, None])[0].tolist()
    return tuple(
        ImpossibleHour(hour=hour, numerator_count=above, denominator_count=below, excess=int(surplus))
        for hour, (below, above, surplus) in enumerate(zip(*pair.tolist(), excess, strict=True))
        if surplus > 0
    )
