"""Results as a session tells them: short, and nothing of them lost."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from helpers_session import door
from helpers_view import SUN, tiny_view

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import EnvConfig, EpisodeData, MetricDataGenerator, Session, SharedAnalysisToolkit
from metric_tracker_env.measure import rounded
from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.session import round as session_round
from metric_tracker_env.tasks import HELD_OUT_SEEDS
from metric_tracker_env.tools.results import (
    Comparison,
    ImpossibleHour,
    PreviewedRow,
    SubmissionPreview,
    TaskOverview,
)
from metric_tracker_env.tools.tables import SAID_BEFORE, from_tables, in_tables

CONFIGS: dict[str, dict[str, Any]] = {
    "clean": {"difficulty": "medium", "anomaly_count": 4},
    "world": {"difficulty": "hard", "anomaly_count": 3, "generator": {"world": {}}},
    "short": {"generator": {"entry_step": "visits", "steps": ({"name": "sales", "rate": 0.5},)}, "anomaly_count": 1},
}


def episode_of(name: str, seed: int) -> EpisodeData:
    config = EnvConfig.model_validate(CONFIGS[name])
    return MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed))


def plain(result: Any) -> dict[str, Any]:
    """A result as its model gives it."""
    return json.loads(result.model_dump_json())


def sent(result: Any) -> dict[str, Any]:
    """A result as a reader of the session's JSON takes it apart."""
    return from_tables(json.loads(json.dumps(in_tables(result), allow_nan=False)))


def same(told: Any, meant: Any, where: str = "") -> None:
    """What was told is what was meant, but for what tables leave out."""
    if isinstance(meant, dict):
        normal = meant.get("is_anomaly") is False
        for name, value in meant.items():
            at = f"{where}.{name}"
            if name not in told:
                assert name == "threshold" or value in (None, [], "") or name in LEFT_OUT, at
            elif name == "severity" and normal and told[name] is None:
                continue
            elif name == "delta_value" and normal:
                assert told[name] == pytest.approx(value, abs=1.1e-4), at  # made of two rounded values
            elif name == "ratio":
                assert told[name] == round(value, 3), at
            else:
                same(told[name], value, at)
    elif isinstance(meant, list):
        assert len(told or []) == len(meant), where
        for place, (item, value) in enumerate(zip(told or [], meant, strict=True)):
            same(item, value, f"{where}[{place}]")
    else:
        assert told == meant, where


LEFT_OUT = {name for names in SAID_BEFORE.values() for name in names} | {"hour"}


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_is_lost(name: str) -> None:
    """Each tool on each date, over all data: tables taken apart are the result, and every cell has its fields."""
    for seed in range(4):
        episode = episode_of(name, seed)
        tools = SharedAnalysisToolkit(episode.view)
        dates = episode.generator_config.date_names
        results = [
            *(getattr(tools, tool)(date=date) for date in dates for tool in ("rows_for_date", "hourly_rows_for_date")),
            tools.list_dates(),
            tools.list_entities(),
            tools.list_suspicious_dates(),
            tools.show_raw_data(limit=5),
            tools.get_median_filter_rows(threshold_multiplier=0.5),
            tools.get_absolute_drop_in_event_count_rows(threshold_multiplier=0.3),
            tools.payload_generator(generator_methods=["get_absolute_drop_in_event_count_rows"]),
            tools.preview_submission(rows=[row.model_dump() for row in episode.expected_rows]),
        ]
        results += [tools.detect_funnel_break(date=date) for date in dates]
        results += [tools.check_impossible_counts(date=date) for date in dates]
        results += [tools.get_rate_drop_from_median_rows(threshold_multiplier=0.3)]
        if name == "world":
            results += [tools.list_known_events()]
        for result in results:
            same(sent(result), plain(result), type(result).__name__)


def test_a_row_to_submit_can_be_copied() -> None:
    """A flagged cell that was told in a table has the nine fields of its row."""
    episode = episode_of("clean", 1)
    tools = SharedAnalysisToolkit(episode.view)
    for row in episode.expected_rows:
        results = [tools.rows_for_date(date=row.date), tools.detect_funnel_break(date=row.date)]
        results += [tools.check_impossible_counts(date=row.date)]
        cells = [
            cell for result in results for item in sent(result).values() if isinstance(item, list) for cell in item
        ]
        found = {cell["entity_name"]: cell for cell in cells}
        if row.entity_name in found:  # the others are of the hours, which are told as an object
            told = {name: found[row.entity_name][name] for name in MetricSubmissionRow.model_fields}
            assert MetricSubmissionRow.model_validate(told) == row


def test_tables_say_everything_once() -> None:
    """The date, the names of the columns and the detection method stand once in what a date tells."""
    episode = episode_of("clean", 1)
    row = episode.expected_rows[0]
    text = json.dumps(in_tables(SharedAnalysisToolkit(episode.view).rows_for_date(date=row.date)))
    for once in (row.date, "baseline_value", "observed_value", "compare_count_to_median", "entity_name"):
        assert text.count(once) == 1, once
    assert "threshold" not in text
    assert ".0," not in text


def test_what_the_brief_says_is_not_said_again() -> None:
    """The overview of a session has the rules of detection alone; that of the toolkit has everything."""
    overview = SharedAnalysisToolkit(episode_of("clean", 1).view).task_overview()
    told = sent(overview)
    assert set(told) == {"difficulty", "hours_per_day", "detection"}
    assert set(SAID_BEFORE[TaskOverview]) | set(told) == set(TaskOverview.model_fields)
    for rule, meant in zip(told["detection"], overview.detection, strict=True):
        assert rule["severity"] == meant.severity.model_dump()
        assert (rule["entity_type"], rule["flagged_when"]) == (meant.entity_type, meant.flagged_when)


def test_columns_of_cells_do_not_depend_on_the_data() -> None:
    """A date of normal cells has the columns of one with anomalies, and its rows end early."""
    tables = [
        in_tables(SharedAnalysisToolkit(episode_of("clean", seed).view).rows_for_date(date=date))
        for seed in range(3)
        for date in episode_of("clean", seed).generator_config.date_names
    ]
    columns = {tuple(table["columns"]) for table in tables}
    assert len(columns) == 1
    rows = [row for table in tables for name in ("counts", "rates") for row in table[name]["rows"]]
    assert {len(row) for row in rows} == {len(columns.pop()), 4}  # name, baseline, observed, ratio


def test_records_inside_of_records_are_tables() -> None:
    """The impossible hours of a pair, and the faults of a previewed row."""
    episodes = [episode_of("clean", seed) for seed in range(12)]
    rows = [(episode, row) for episode in episodes for row in episode.expected_rows]
    episode, row = next(found for found in rows if found[1].entity_type == "data_quality")
    tools = SharedAnalysisToolkit(episode.view)
    pairs = sent(tools.check_impossible_counts(date=row.date))["pairs"]
    hours = next(pair["hours"] for pair in pairs if pair["entity_name"] == row.entity_name)
    assert hours
    assert set(hours[0]) == set(ImpossibleHour.model_fields)
    wrong = row.model_dump() | {"observed_value": row.observed_value + 5, "severity": "none"}
    previewed = tools.preview_submission(rows=[row.model_dump(), wrong, {"date": 5}])
    same(sent(previewed), plain(previewed))


def test_the_counts_of_one_date() -> None:
    """A date alone is a list of one for each step of the funnel."""
    shown = SharedAnalysisToolkit(tiny_view()).show_raw_data(limit=1)
    assert in_tables(shown) == {"records": {"date": [SUN], "visits": [2400], "signups": [1200], "orders": [240]}}
    same(sent(shown), plain(shown))


def test_lists_of_one_and_of_none() -> None:
    """One record is a table of one row, whose texts stay in it; no record is an empty list."""
    cell = Comparison(
        date="2026-01-01",
        entity_type="event_count",
        entity_name="visits",
        anomaly_type="normal",
        detection_method="compare_count_to_median",
        baseline_value=100.0,
        observed_value=90.3,
        delta_value=rounded(90.3 - 100.0),
        severity="low",
        threshold=15.0,
        ratio=-0.6467,
        is_anomaly=False,
    )
    assert in_tables(cell)["threshold"] == 15  # told alone, a cell is told whole
    counts = dict.fromkeys(("submitted", "confirmed", "fields_differ", "not_shown", "duplicate", "invalid"), 0)
    one = PreviewedRow(number=1, status="not_flagged", issue=None, faults=())
    told = in_tables(SubmissionPreview(**counts, not_flagged=1, rows=(one,), next_offset=None))
    assert told["rows"] == {"columns": ["number", "status"], "rows": [[1, "not_flagged"]]}
    none = in_tables(SubmissionPreview(**counts, not_flagged=0, rows=(), next_offset=None))
    assert none["rows"] == []
    assert from_tables(none) == none


@pytest.mark.parametrize("task", ["easy_single_spike", "medium_mixed", "realistic_medium"])
def test_whole_investigations_are_short(task: str) -> None:
    """The answers that the analyst in words reads have at most 40 % of the characters of records one by one."""
    lengths: list[int] = []
    for told in (in_tables, plain):
        session, length = Session(task), 0
        with patch.object(session_round, "in_tables", told):
            for seed in HELD_OUT_SEEDS[:3]:
                session.begin(seed)
                answers = converse(investigate(session.config.generator), door(session))
                length += sum(len(json.dumps(answer, separators=(",", ":"))) for answer in answers)
        lengths.append(length)
    assert lengths[0] <= 0.4 * lengths[1]
