"""Calls that the tools must refuse, in words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers_view import MON, SUN, TUE, tiny_view

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.tools import SharedAnalysisToolkit, ToolError, call_tool
from metric_tracker_env.world.episode import MetricDataGenerator

FAMILY_METHODS = tuple(f"get_{family}_rows" for family in ANOMALY_TYPES)
NO_RATES = GeneratorConfig(steps=(FunnelStep(name="orders", rate=0.5),), conversion_definitions=(), num_weeks=1)


@pytest.fixture(scope="module")
def tiny() -> SharedAnalysisToolkit:
    return SharedAnalysisToolkit(tiny_view())


BAD_CALLS: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    ("rows_for_date", {}, ("date", "missing")),
    ("rows_for_date", {"date": MON, "day": 1}, ("'day'", "unknown", "it takes date")),
    ("rows_for_date", {"date": 20260105}, ("date", "20260105", "string")),
    ("rows_for_date", {"date": None}, ("date", "None", "string")),
    ("rows_for_date", {"date": "2026-1-5"}, ("date", "'2026-1-5'", MON, SUN)),
    ("hourly_rows_for_date", {"date": "2026-01-12"}, ("date", "'2026-01-12'", MON, SUN)),
    ("detect_funnel_break", {"date": "yesterday"}, ("date", "'yesterday'", MON, SUN)),
    ("check_impossible_counts", {"date": ""}, ("date", "''", MON, SUN)),
    ("compare_count_to_median", {"date": MON, "entity_name": "visit_to_order"}, ("visit_to_order", "visits, signups")),
    ("compare_rate_to_median", {"date": MON, "entity_name": "visits"}, ("entity_name", "'visits'", "visit_to_signup")),
    ("compare_rate_to_median", {"date": "x", "entity_name": "y"}, ("date", "entity_name", "'x'", "'y'")),
    ("list_suspicious_dates", {"limit": 0}, ("limit", "0", "greater than or equal to 1")),
    ("list_suspicious_dates", {"limit": -3}, ("limit", "-3", "1")),
    ("list_suspicious_dates", {"limit": 10**9}, ("limit", "1000000000", "366")),
    ("list_suspicious_dates", {"limit": 10**5000}, ("limit", "too long", "366")),
    ("list_suspicious_dates", {"limit": 2.5}, ("limit", "2.5", "integer")),
    ("show_raw_data", {"limit": True}, ("limit", "True", "integer")),
    ("show_raw_data", {"limit": "3"}, ("limit", "'3'", "integer")),
    ("get_metric_median", {"metric_name": "clicks"}, ("metric_name", "'clicks'", "visits", "visit_to_order")),
    ("get_metric_median", {"metric_name": "signups_from_visits"}, ("metric_name", "visit_to_order")),
    ("get_metric_median", {"metric_names": []}, ("metric_names", "[]", "at least 1")),
    ("get_metric_median", {"metric_names": "visits"}, ("metric_names", "'visits'")),
    ("get_metric_median", {"metric_names": ["visits", "x"]}, ("metric_names[1]", "'x'", "visits")),
    ("get_metric_median", {"metric_names": ["visits", "visits"]}, ("metric_names", "once")),
    (
        "get_metric_median",
        {"metric_name": "visits", "metric_names": ["orders"]},
        ("metric_name", "metric_names", "one"),
    ),
    ("get_metric_std_dev_from_median", {"metric_name": 7}, ("metric_name", "7", "string")),
    ("get_rows_with_abs_diff_from_median_gt", {}, ("threshold", "missing")),
    ("get_rows_with_abs_diff_from_median_gt", {"threshold": 0}, ("threshold", "greater than 0")),
    ("get_rows_with_abs_diff_from_median_gt", {"threshold": -1.5}, ("threshold", "-1.5", "greater than 0")),
    ("get_rows_with_abs_diff_from_median_gt", {"threshold": math.nan}, ("threshold", "nan", "finite")),
    ("get_rows_with_abs_diff_from_median_gt", {"threshold": 1e12}, ("threshold", "1000000000000.0")),
    ("get_median_filter_rows", {"threshold_multiplier": math.inf}, ("threshold_multiplier", "inf", "finite")),
    ("get_median_filter_rows", {"threshold_multiplier": "1"}, ("threshold_multiplier", "'1'", "number")),
    ("get_funnel_break_rows", {"threshold_multiplier": 0.0}, ("threshold_multiplier", "0.01")),
    ("get_funnel_break_rows", {"threshold_multiplier": 1e-300}, ("threshold_multiplier", "0.01")),
    ("get_funnel_break_rows", {"threshold_multiplier": False}, ("threshold_multiplier", "False", "number")),
    ("get_funnel_break_rows", {"metric_name": "visits"}, ("'metric_name'", "unknown", "threshold_multiplier")),
    ("get_rate_drop_from_median_rows", {"metric_names": []}, ("metric_names", "[]", "at least 1")),
    ("get_absolute_drop_in_event_count_rows", {"metric_names": []}, ("metric_names", "[]", "at least 1")),
    ("get_rate_drop_from_median_rows", {"metric_name": "visits"}, ("metric_name", "'visits'", "visit_to_signup")),
    ("get_absolute_drop_in_event_count_rows", {"metric_name": "visit_to_order"}, ("metric_name", "signups")),
    ("payload_generator", {"generator_methods": ["rows_for_date"]}, ("generator_methods[0]", *FAMILY_METHODS)),
    ("payload_generator", {"generator_methods": []}, ("generator_methods", "at least 1")),
    ("preview_submission", {"rows": "none"}, ("rows", "'none'")),
    ("preview_submission", {"rows": '{"rows": []}'}, ("rows", "Sequence")),
    ("preview_submission", {"rows": "[" * 100_000}, ("rows", "Sequence")),
    ("get_metric_median", {"metric_names": '["visits", "x"]'}, ("metric_names[1]", "'x'", "visits")),
    ("get_metric_median", {"metric_names": "[]"}, ("metric_names", "[]", "at least 1")),
    ("get_metric_median", {"metric_names": '"visits"'}, ("metric_names", "visits", "Sequence")),
    ("list_suspicious_dates", {"limit": 1e300}, ("limit", "366")),
    ("list_suspicious_dates", {"limit": math.inf}, ("limit", "inf", "integer")),
    ("rows_for_date", {"date": '["2026-01-05"]'}, ("date", MON, SUN)),
    ("preview_submission", {"rows": {"rows": []}}, ("rows", "Sequence")),
    ("list_dates", {"self": 1}, ("'self'", "unknown", "no arguments")),
]


@pytest.mark.parametrize(("name", "arguments", "words"), BAD_CALLS)
def test_bad_call_is_refused_in_words(
    tiny: SharedAnalysisToolkit, name: str, arguments: dict[str, object], words: tuple[str, ...]
) -> None:
    """A bad call raises an error that names the argument, the value and what is allowed; so does the method itself."""
    with pytest.raises(ToolError) as by_name:
        call_tool(tiny, name, arguments)
    for word in words:
        assert word in str(by_name.value)
    with pytest.raises(ToolError) as direct:
        getattr(tiny, name)(**arguments)
    assert str(direct.value) == str(by_name.value)


def test_the_shortest_lists_and_pages_are_accepted(tiny: SharedAnalysisToolkit) -> None:
    """One name is a list of names, one row is a page, and the last page of any list is empty."""
    assert tiny.get_rate_drop_from_median_rows(metric_names=["visit_to_order"], limit=1).total == 1
    assert tiny.get_absolute_drop_in_event_count_rows(metric_names=["orders"], limit=1).total == 1
    assert len(tiny.list_suspicious_dates(limit=1).dates) == 1
    assert tiny.payload_generator(["get_funnel_break_rows"], offset=100_000).rows == ()


def test_lists_as_text_and_whole_numbers_with_a_point_are_read(tiny: SharedAnalysisToolkit) -> None:
    """What models most often send for the same thing is read, by name and by the method itself."""
    sloppy: dict[str, Any] = {"metric_names": '["visits", "orders"]', "limit": 1.0}
    for name in ("get_absolute_drop_in_event_count_rows", "get_absolute_spike_in_event_count_rows"):
        right = call_tool(tiny, name, {"metric_names": ["visits", "orders"], "limit": 1})
        assert call_tool(tiny, name, sloppy) == right
        assert getattr(tiny, name)(**sloppy).model_dump(mode="json") == right


def test_unknown_tool_is_refused(tiny: SharedAnalysisToolkit) -> None:
    """An unknown tool, and a private name, are answered with the names of the tools."""
    for name in ("drop_table", "_view", "", "Rows_for_date"):
        with pytest.raises(ToolError, match=r"unknown; the tools are .*rows_for_date"):
            call_tool(tiny, name, {})


def test_arguments_that_are_no_object_are_refused(tiny: SharedAnalysisToolkit) -> None:
    """A list, a text, or keys that are no text are not the arguments of a call."""
    refused: list[Any] = [[MON], "date", None, {1: MON}]
    for arguments in refused:
        with pytest.raises(ToolError, match="must be an object"):
            call_tool(tiny, "rows_for_date", arguments)


def test_surplus_and_repeated_arguments_are_refused(tiny: SharedAnalysisToolkit) -> None:
    """Positional arguments are checked like named ones."""
    open_date: Any = tiny.rows_for_date
    with pytest.raises(ToolError, match="2 arguments are too many; it takes date"):
        open_date(MON, TUE)
    with pytest.raises(ToolError, match="date is given twice"):
        open_date(MON, date=TUE)
    with pytest.raises(ToolError, match="'2026-02-30'"):
        tiny.rows_for_date("2026-02-30")


def test_rates_of_a_funnel_without_any_are_refused() -> None:
    """Without conversions a rate cannot be named, and the scans of all rates find nothing."""
    episode = MetricDataGenerator(NO_RATES).generate_episode(EpisodeConfig(anomaly_count=1))
    toolkit = SharedAnalysisToolkit(episode.view)
    with pytest.raises(ToolError, match="no conversion rate"):
        toolkit.compare_rate_to_median(episode.dates[0], "orders")
    assert toolkit.get_rate_drop_from_median_rows().rows == ()
    assert toolkit.rows_for_date(episode.dates[0]).rates == ()
