"""The 24 analysis tools of the original against numbers worked out on paper: the seven days of helpers_view."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from helpers_view import FRI, MON, SAT, SUN, THU, TINY_CONFIG, TUE, WED, make_view, tiny_view

from metric_tracker_env.schema import ANOMALY_TYPES, MethodSpec, MetricSubmissionRow
from metric_tracker_env.tools import (
    TOOLS,
    SharedAnalysisToolkit,
    available_analysis_methods,
    available_payload_generation_methods,
    call_tool,
)
from metric_tracker_env.tools.results import Comparison

NAMES_OF_SEED = [
    "task_overview",
    "list_dates",
    "list_entities",
    "rows_for_date",
    "hourly_rows_for_date",
    "compare_rate_to_median",
    "compare_count_to_median",
    "detect_funnel_break",
    "check_impossible_counts",
    "list_suspicious_dates",
    "preview_submission",
    "show_raw_data",
    "get_metric_median",
    "get_metric_std_dev_from_median",
    "get_rows_with_abs_diff_from_median_gt",
    "get_median_filter_rows",
    "get_rate_drop_from_median_rows",
    "get_rate_spike_from_median_rows",
    "get_absolute_drop_in_event_count_rows",
    "get_absolute_spike_in_event_count_rows",
    "get_funnel_break_rows",
    "get_hourly_traffic_mix_shift_rows",
    "get_instrumentation_data_quality_issue_rows",
    "payload_generator",
]
FAMILY_METHODS = tuple(f"get_{family}_rows" for family in ANOMALY_TYPES)


def cells(rows: Sequence[MetricSubmissionRow | Comparison]) -> list[tuple[str, str]]:
    """(date, entity name) of rows, in their order."""
    return [(row.date, row.entity_name) for row in rows]


def test_toolkit_has_the_24_methods_of_the_original_and_only_tools_are_public(tiny: SharedAnalysisToolkit) -> None:
    """The 24 methods of the original are there, one more of the world, and every public name is a registered tool."""
    assert sorted(name for name in dir(tiny) if not name.startswith("_")) == sorted(TOOLS)
    assert len(NAMES_OF_SEED) == 24
    assert TOOLS.keys() - set(NAMES_OF_SEED) == {"list_known_events"}
    assert set(NAMES_OF_SEED) <= TOOLS.keys()


def test_cost_classes_are_as_designed() -> None:
    """Names and shown rows are free, a date is opened, one cell inspected, a family scanned, all surveyed or listed."""
    found = {name: spec.cost for name, spec in TOOLS.items() if spec.cost != "inspect"}
    scans = FAMILY_METHODS
    free = ("task_overview", "list_dates", "list_entities", "preview_submission", "payload_generator")
    free += ("get_rows_with_abs_diff_from_median_gt", "get_median_filter_rows", "get_metric_std_dev_from_median")
    assert found == {
        "rows_for_date": "open",
        "show_raw_data": "open",
        "list_suspicious_dates": "survey",
        "list_known_events": "calendar",
        **dict.fromkeys(scans, "scan"),
        **dict.fromkeys(free, "free"),
    }


def test_family_scans_know_their_family() -> None:
    """The seven family scans, and no other tool, carry the family that they scan for."""
    assert {spec.family: name for name, spec in TOOLS.items() if spec.family} == dict(
        zip(ANOMALY_TYPES, FAMILY_METHODS, strict=True)
    )


def test_the_methods_are_described_under_the_names_of_the_original() -> None:
    """Every tool with its description and parameters; and the scans, which are what a payload is generated from."""
    methods = available_analysis_methods()
    assert [(item.name, item.parameters) for item in methods] == [(n, spec.parameters) for n, spec in TOOLS.items()]
    assert all(item.description == TOOLS[item.name].description for item in methods)
    assert {type(item) for item in methods} == {MethodSpec}
    assert {item.name for item in available_payload_generation_methods()} == set(FAMILY_METHODS)


def test_task_overview_tells_the_rules_of_this_difficulty(tiny: SharedAnalysisToolkit) -> None:
    """The overview names the dates, the funnel and the numbers of the detection methods at medium."""
    overview = tiny.task_overview()
    rules = {rule.entity_type: rule.flagged_when for rule in overview.detection}
    assert (overview.first_date, overview.last_date, overview.num_days) == (MON, SUN, 7)
    assert overview.funnel == ("visits", "signups", "orders")
    assert [item.name for item in overview.conversions] == ["visit_to_signup", "visit_to_order"]
    assert overview.num_entities == 3 + 2 + 2 + 1 + 2
    assert "15%" in rules["event_count"]
    assert "50 events" in rules["event_count"]
    assert "4.5 points" in rules["conversion_rate"]
    assert "9%" in rules["conversion_rate"]
    assert "70%" in rules["funnel_step"]
    assert "8 to 19" in rules["hourly_mix"]
    assert rules["hourly_mix"].endswith("0.035")
    hard = SharedAnalysisToolkit(make_view(TINY_CONFIG, tiny_view().hourly, "hard")).task_overview()
    assert "10%" in hard.detection[0].flagged_when


def test_list_dates_gives_the_calendar(tiny: SharedAnalysisToolkit) -> None:
    """Seven dates from Monday to Sunday, oldest first."""
    dates = tiny.list_dates().dates
    assert [day.date for day in dates] == [MON, TUE, WED, THU, FRI, SAT, SUN]
    assert [day.weekday for day in dates][::6] == ["Monday", "Sunday"]


def test_list_entities_gives_every_entity_with_its_method(tiny: SharedAnalysisToolkit) -> None:
    """Ten entities in catalogue order, each with the method that confirms it."""
    found = [(item.entity_name, item.detection_method) for item in tiny.list_entities().entities]
    assert found == [
        ("visits", "compare_count_to_median"),
        ("signups", "compare_count_to_median"),
        ("orders", "compare_count_to_median"),
        ("visit_to_signup", "compare_rate_to_median"),
        ("visit_to_order", "compare_rate_to_median"),
        ("signups_from_visits", "detect_funnel_break"),
        ("orders_from_signups", "detect_funnel_break"),
        ("visits:daytime_share", "hourly_rows_for_date"),
        ("signups_lte_visits", "check_impossible_counts"),
        ("orders_lte_signups", "check_impossible_counts"),
    ]


def test_compare_count_to_median_of_wednesday(tiny: SharedAnalysisToolkit) -> None:
    """720 signups against a median of 1200: 40 % less, 480 / 180 thresholds."""
    assert tiny.compare_count_to_median(WED, "signups").model_dump() == {
        "date": "2026-01-07",
        "entity_type": "event_count",
        "entity_name": "signups",
        "anomaly_type": "absolute_drop_in_event_count",
        "detection_method": "compare_count_to_median",
        "baseline_value": 1200.0,
        "observed_value": 720.0,
        "delta_value": -480.0,
        "severity": "critical",
        "threshold": 180.0,
        "ratio": -2.6667,
        "is_anomaly": True,
    }


def test_compare_count_to_median_uses_the_floor_of_50_events(tiny: SharedAnalysisToolkit) -> None:
    """15 % of 240 orders are 36, so that the threshold is 50: 60 more on Saturday pass it."""
    saturday = tiny.compare_count_to_median(SAT, "orders")
    assert (saturday.threshold, saturday.ratio, saturday.is_anomaly) == (50.0, 1.2, True)


def test_compare_rate_to_median_of_friday(tiny: SharedAnalysisToolkit) -> None:
    """1325 / 2400 = 55.2083 %, which is 5.2083 points over the median and 1.1574 thresholds."""
    friday = tiny.compare_rate_to_median(FRI, "visit_to_signup")
    assert (friday.observed_value, friday.baseline_value, friday.delta_value) == (55.2083, 50.0, 5.2083)
    assert (friday.threshold, friday.ratio, friday.is_anomaly) == (4.5, 1.1574, True)
    assert (friday.anomaly_type, friday.severity) == ("rate_spike_from_median", "medium")


def test_rows_for_date_of_saturday(tiny: SharedAnalysisToolkit) -> None:
    """Every count is a quarter up and flagged, no rate moves; under 21 days the seasonal baseline is the median."""
    report = tiny.rows_for_date(SAT)
    assert (report.date, report.weekday) == ("2026-01-10", "Saturday")
    assert [(row.entity_name, row.observed_value, row.ratio, row.is_anomaly) for row in report.counts] == [
        ("visits", 3000.0, 1.6667, True),
        ("signups", 1500.0, 1.6667, True),
        ("orders", 300.0, 1.2, True),
    ]
    assert [(row.entity_name, row.observed_value, row.ratio, row.is_anomaly) for row in report.rates] == [
        ("visit_to_signup", 50.0, 0.0, False),
        ("visit_to_order", 10.0, 0.0, False),
    ]
    seasonal = report.seasonal
    assert (seasonal.entity_name, seasonal.observed_value, seasonal.seasonal_baseline, seasonal.delta_value) == (
        "visits",
        3000.0,
        2400.0,
        600.0,
    )


def test_rows_for_date_follows_weekday_and_trend() -> None:
    """Four weeks of a busy Saturday, without noise: the seasonal baseline is that Saturday, also of a busier one.

    The 720 visits that the last one has more are two thresholds of 15 % of a median of 2400.
    """
    config = TINY_CONFIG.model_copy(update={"num_weeks": 4})
    hourly = np.empty((28, 24, 3), dtype=np.int32)
    hourly[:] = (100, 50, 10)
    hourly[5::7] = (130, 65, 13)
    seasonal = SharedAnalysisToolkit(make_view(config, hourly)).rows_for_date("2026-01-10").seasonal
    assert (seasonal.observed_value, seasonal.seasonal_baseline, seasonal.delta_value) == (3120.0, 3120.0, 0.0)
    hourly[26] = (160, 80, 16)
    seasonal = SharedAnalysisToolkit(make_view(config, hourly)).rows_for_date("2026-01-10").seasonal
    assert (seasonal.observed_value, seasonal.seasonal_baseline) == (3840.0, 3120.0)
    assert (seasonal.delta_value, seasonal.ratio) == (720.0, 2.0)


def test_hourly_rows_for_date_of_thursday(tiny: SharedAnalysisToolkit) -> None:
    """12 hours of 130 visits in 2400 are a daytime share of 0.65, which is 0.15 / 0.035 thresholds up."""
    report = tiny.hourly_rows_for_date(THU)
    assert (report.daytime_first_hour, report.daytime_last_hour) == (8, 19)
    assert [record.hour for record in report.records] == list(range(24))
    assert report.records[7].counts == {"visits": 70, "signups": 35, "orders": 7}
    assert report.records[8].counts == {"visits": 130, "signups": 65, "orders": 13}
    share = report.daytime_share
    assert (share.entity_type, share.entity_name) == ("hourly_mix", "visits:daytime_share")
    assert (share.observed_value, share.baseline_value, share.delta_value) == (0.65, 0.5, 0.15)
    assert (share.threshold, share.ratio, share.severity, share.is_anomaly) == (0.035, 4.2857, "medium", True)


def test_detect_funnel_break_of_wednesday(tiny: SharedAnalysisToolkit) -> None:
    """The first step keeps 60 % of its rate and breaks; the second keeps all."""
    first, second = tiny.detect_funnel_break(WED).steps
    assert (first.entity_name, first.observed_value, first.delta_value) == ("signups_from_visits", 30.0, -20.0)
    assert (first.threshold, first.ratio, first.kept_share, first.is_anomaly) == (15.0, -1.3333, 0.6, True)
    assert (first.anomaly_type, first.severity) == ("funnel_break", "critical")
    assert (second.entity_name, second.ratio, second.kept_share, second.is_anomaly) == (
        "orders_from_signups",
        0.0,
        1.0,
        False,
    )


def test_detect_funnel_break_is_silent_about_gains_and_unknown_shares() -> None:
    """A step that doubles is not broken, and of a median rate of 0 no share can be kept."""
    hourly = np.zeros((7, 24, 3), dtype=np.int32)
    hourly[:, :, 0], hourly[:, :, 1] = 100, 40
    hourly[1, :, 1], hourly[1, :, 2] = 80, 8
    first, second = SharedAnalysisToolkit(make_view(TINY_CONFIG, hourly)).detect_funnel_break(TUE).steps
    assert (first.kept_share, first.is_anomaly) == (2.0, False)
    assert (second.observed_value, second.kept_share, second.is_anomaly) == (10.0, None, False)


def test_check_impossible_counts_of_friday(tiny: SharedAnalysisToolkit) -> None:
    """105 and 120 signups in hours of 100 visits: an excess of 5 + 20, and none of orders over signups."""
    signups, orders = tiny.check_impossible_counts(FRI).pairs
    assert (signups.entity_name, signups.numerator, signups.denominator) == ("signups_lte_visits", "signups", "visits")
    assert (signups.observed_value, signups.baseline_value, signups.severity) == (25.0, 0.0, "medium")
    assert (signups.threshold, signups.is_anomaly) == (1.0, True)
    assert [tuple(hour.model_dump().values()) for hour in signups.hours] == [(3, 105, 100, 5), (4, 120, 100, 20)]
    assert (orders.observed_value, orders.is_anomaly, orders.hours) == (0.0, False, ())


def test_one_impossible_event_is_enough() -> None:
    """An hour with one event more than the step before it is told; one with as many is not."""
    hourly = np.full((7, 24, 3), (100, 50, 10), dtype=np.int32)
    hourly[1, 7, 1], hourly[1, 8, 1] = 101, 100
    first, _ = SharedAnalysisToolkit(make_view(TINY_CONFIG, hourly)).check_impossible_counts(TUE).pairs
    assert (first.observed_value, first.is_anomaly, first.anomaly_type) == (
        1.0,
        True,
        "instrumentation_data_quality_issue",
    )
    assert [(hour.hour, hour.excess) for hour in first.hours] == [(7, 1)]


def test_the_share_that_is_kept_of_a_small_rate_is_told() -> None:
    """A median of half a percent is a median; only of none no share can be told."""
    hourly = np.full((7, 24, 3), (1000, 5, 1), dtype=np.int32)
    hourly[1, :, 1] = 2
    first, _ = SharedAnalysisToolkit(make_view(TINY_CONFIG, hourly)).detect_funnel_break(TUE).steps
    assert (first.baseline_value, first.observed_value, first.kept_share) == (0.5, 0.2, 0.4)


def test_list_suspicious_dates_strongest_first(tiny: SharedAnalysisToolkit) -> None:
    """Four dates: 25 impossible events, 20 points of 4.5, 0.15 of 0.035, 600 visits of 360."""
    found = tiny.list_suspicious_dates()
    assert found.total == 4
    assert [(day.date, day.anomaly_types, day.strength) for day in found.dates] == [
        (FRI, ("rate_spike_from_median", "instrumentation_data_quality_issue"), 25.0),
        (WED, ("rate_drop_from_median", "absolute_drop_in_event_count", "funnel_break"), 4.4444),
        (THU, ("hourly_traffic_mix_shift",), 4.2857),
        (SAT, ("absolute_spike_in_event_count",), 1.6667),
    ]


def test_list_suspicious_dates_is_cut_at_its_limit(tiny: SharedAnalysisToolkit) -> None:
    """A limit of 2 lists the 2 strongest dates and still tells how many there are."""
    found = tiny.list_suspicious_dates(limit=2)
    assert ([day.date for day in found.dates], found.total) == ([FRI, WED], 4)


def test_show_raw_data_gives_the_last_days(tiny: SharedAnalysisToolkit) -> None:
    """Two records are Saturday's and Sunday's; a limit beyond the data gives all seven."""
    saturday, sunday = tiny.show_raw_data(2).records
    assert (saturday.date, saturday.hour, saturday.counts) == (
        SAT,
        None,
        {"visits": 3000, "signups": 1500, "orders": 300},
    )
    assert (sunday.date, sunday.counts) == (SUN, {"visits": 2400, "signups": 1200, "orders": 240})
    assert [record.date for record in tiny.show_raw_data(100).records] == list(TINY_CONFIG.date_names)


def test_get_metric_median_of_one_several_and_all(tiny: SharedAnalysisToolkit) -> None:
    """One metric, two metrics, or all five with their units."""
    one = tiny.get_metric_median("signups").metrics
    assert [(item.metric_name, item.unit, item.value) for item in one] == [("signups", "events a day", 1200.0)]
    two = tiny.get_metric_median(metric_names=["visit_to_order", "orders"]).metrics
    assert {item.metric_name: item.value for item in two} == {"orders": 240.0, "visit_to_order": 10.0}
    every = tiny.get_metric_median().metrics
    assert [item.value for item in every] == [2400.0, 1200.0, 240.0, 50.0, 10.0]


def test_get_metric_std_dev_from_median_of_paper_values(tiny: SharedAnalysisToolkit) -> None:
    """visits: sqrt(600^2 / 7); signups: sqrt((480^2 + 125^2 + 300^2) / 7)."""
    found = {item.metric_name: item.value for item in tiny.get_metric_std_dev_from_median().metrics}
    assert found["visits"] == 226.7787
    assert found["signups"] == round(math.sqrt((480**2 + 125**2 + 300**2) / 7), 4) == 219.0972
    assert list(found) == ["visits", "signups", "orders", "visit_to_signup", "visit_to_order"]


def test_get_rows_with_abs_diff_from_median_gt_is_strict(tiny: SharedAnalysisToolkit) -> None:
    """A difference of 300 signups is more than 299.9, and not more than 300."""
    over = tiny.get_rows_with_abs_diff_from_median_gt(299.9, "signups").rows
    assert [(row.date, row.delta_value) for row in over] == [(WED, -480.0), (SAT, 300.0)]
    assert cells(tiny.get_rows_with_abs_diff_from_median_gt(300, metric_names=["signups"]).rows) == [(WED, "signups")]


def test_get_rows_with_abs_diff_from_median_gt_of_all_metrics(tiny: SharedAnalysisToolkit) -> None:
    """More than 90 units, of whatever metric: the counts of Wednesday, Friday and Saturday, by date."""
    assert cells(tiny.get_rows_with_abs_diff_from_median_gt(90).rows) == [
        (WED, "signups"),
        (WED, "orders"),
        (FRI, "signups"),
        (SAT, "visits"),
        (SAT, "signups"),
    ]


def test_get_median_filter_rows_takes_a_multiple_of_the_threshold(tiny: SharedAnalysisToolkit) -> None:
    """Friday's 125 signups of 180 pass 0.69 thresholds, not 0.7, and are no anomaly."""
    near = tiny.get_median_filter_rows("signups", 0.69).rows
    assert [(row.date, row.ratio, row.is_anomaly) for row in near] == [
        (WED, -2.6667, True),
        (FRI, 0.6944, False),
        (SAT, 1.6667, True),
    ]
    assert cells(tiny.get_median_filter_rows("signups", 0.7).rows) == [(WED, "signups"), (SAT, "signups")]
    assert tiny.get_median_filter_rows("signups") == tiny.get_median_filter_rows("signups", 1.0)


def test_a_multiple_that_is_just_reached_is_reached(tiny: SharedAnalysisToolkit) -> None:
    """Wednesday's orders are 96 below 240, which is 1.92 times their threshold of 50."""
    assert cells(tiny.get_median_filter_rows("orders", 1.92).rows) == [(WED, "orders")]
    assert cells(tiny.get_absolute_drop_in_event_count_rows("orders", 1.92).rows) == [(WED, "orders")]
    assert tiny.get_absolute_drop_in_event_count_rows("orders", 1.93).rows == ()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("get_rate_drop_from_median_rows", [(WED, "visit_to_signup"), (WED, "visit_to_order")]),
        ("get_rate_spike_from_median_rows", [(FRI, "visit_to_signup")]),
        ("get_absolute_drop_in_event_count_rows", [(WED, "signups"), (WED, "orders")]),
        ("get_absolute_spike_in_event_count_rows", [(SAT, "visits"), (SAT, "signups"), (SAT, "orders")]),
        ("get_funnel_break_rows", [(WED, "signups_from_visits")]),
        ("get_hourly_traffic_mix_shift_rows", [(THU, "visits:daytime_share")]),
        ("get_instrumentation_data_quality_issue_rows", [(FRI, "signups_lte_visits")]),
    ],
)
def test_family_scan_finds_its_flagged_cells(
    tiny: SharedAnalysisToolkit, method: str, expected: list[tuple[str, str]]
) -> None:
    """At multiplier 1 each scan finds exactly the cells worked out on paper."""
    found = call_tool(tiny, method, {})
    rows = tuple(MetricSubmissionRow.model_validate(row) for row in found["rows"])
    assert cells(rows) == expected
    assert found["dates"] == sorted({date for date, _ in expected})
    assert {row.anomaly_type for row in rows} == {found["anomaly_type"]} == {TOOLS[method].family}
    assert found["threshold_multiplier"] == 1.0


def test_family_scan_multiplier_moves_the_bar(tiny: SharedAnalysisToolkit) -> None:
    """Funnel breaks: Wednesday is at 1.33 thresholds; Friday's second step, 1.89 of 6 points down, at 0.31."""
    assert cells(tiny.get_funnel_break_rows(1.34).rows) == []
    assert cells(tiny.get_funnel_break_rows(0.31).rows) == [
        (WED, "signups_from_visits"),
        (FRI, "orders_from_signups"),
    ]


def test_family_scan_of_chosen_metrics(tiny: SharedAnalysisToolkit) -> None:
    """One name or several narrow a scan to those metrics."""
    assert cells(tiny.get_rate_drop_from_median_rows("visit_to_order").rows) == [(WED, "visit_to_order")]
    assert cells(tiny.get_rate_spike_from_median_rows("visit_to_order").rows) == []
    assert cells(tiny.get_absolute_drop_in_event_count_rows(metric_names=("visits", "orders")).rows) == [
        (WED, "orders")
    ]
    assert cells(tiny.get_absolute_spike_in_event_count_rows("visits", 1.6).rows) == [(SAT, "visits")]


def test_payload_generator_joins_scans_by_date(tiny: SharedAnalysisToolkit) -> None:
    """Two scans give their rows once, by date, whatever the order of the names."""
    names = ["get_rate_spike_from_median_rows", "get_rate_drop_from_median_rows"]
    payload = tiny.payload_generator(names)
    assert cells(payload.rows) == [(WED, "visit_to_signup"), (WED, "visit_to_order"), (FRI, "visit_to_signup")]
    assert payload == tiny.payload_generator(names[::-1])


def test_a_cell_that_is_not_flagged_is_normal(tiny: SharedAnalysisToolkit) -> None:
    """Every tool on a date names the type of a confirmed cell, whose row can be copied, and calls the others normal."""
    shown: list[Comparison] = []
    for date in (MON, WED, THU, FRI, SAT):
        opened = tiny.rows_for_date(date)
        shown += [*opened.counts, *opened.rates, tiny.hourly_rows_for_date(date).daytime_share]
        shown += [*tiny.detect_funnel_break(date).steps, *tiny.check_impossible_counts(date).pairs]
        shown += [tiny.compare_count_to_median(date, "signups"), tiny.compare_rate_to_median(date, "visit_to_signup")]
    shown += tiny.get_median_filter_rows(threshold_multiplier=0.01).rows
    shown += tiny.get_rows_with_abs_diff_from_median_gt(0.001).rows
    view = tiny_view()
    assert sum(cell.is_anomaly for cell in shown) > 20
    assert sum(not cell.is_anomaly for cell in shown) > 20
    for cell in shown:
        day, entity = view.config.day_index(cell.date), view.catalogue.entity(cell.entity_type, cell.entity_name)
        row = view.row(day, entity.index).model_dump()
        own = {name: getattr(cell, name) for name in MetricSubmissionRow.model_fields}
        assert list(cell.model_dump())[: len(row)] == list(row)
        assert own == (row if cell.is_anomaly else row | {"anomaly_type": "normal"})
        assert cell.key == (cell.date, cell.entity_type, cell.entity_name)
