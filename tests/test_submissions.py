"""What a submission may look like, and what becomes of rows that are none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers_scoring import GOOD, all_cells, drawn_episode, tiny_episode, without
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.submission import MAX_ROWS, InvalidRow, check_rows, rows_from_json, rows_to_json


def test_rows_come_as_objects_dicts_and_json() -> None:
    """Rows, dicts, JSON texts of one row, and one JSON text of all of them score the same."""
    episode = drawn_episode("hard", "mixed", 4)
    truth = episode.expected_rows
    text = rows_to_json(truth)
    mixed = [truth[0], truth[1].model_dump(), dict(truth[2]), truth[3].model_dump_json()]
    for rows in (truth, tuple(truth), mixed, text, f'{{"rows": {text}}}', {"rows": mixed}):
        assert score_submission(rows, episode).score == 1.0


def test_json_round_trip() -> None:
    """Rows survive the way to JSON and back, and so does a grade."""
    episode = drawn_episode("hard", "mixed", 4)
    text = rows_to_json(episode.expected_rows)
    back = rows_from_json(text)
    assert [MetricSubmissionRow.model_validate(row) for row in back] == episode.expected_rows
    assert back == rows_from_json(json.dumps({"rows": back}))
    assert check_rows(text, episode.generator_config) == episode.expected_rows
    grade = score_submission(text[:-1] + ', {"date": "\\ud800"}]', episode)
    assert grade.invalid == 1
    assert Grade.model_validate_json(grade.model_dump_json()) == grade
    with pytest.raises(ValueError, match="JSON compliant"):
        rows_to_json([{"baseline_value": float("nan")}])


@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (5, "5 of type int"),
        (None, "None of type NoneType"),
        (b"[]", "of type bytes"),
        (iter([]), "of type list_iterator"),
        ({"date": "x", "severity": "low"}, r"keys \['date', 'severity'\]"),
        ({"rows": 3}, "3 of type int"),
        ("the rate fell", "'the rate fell' is not JSON"),
        ("7", "7 of type int"),
        ('"[]"', "of type str"),
        ('{"row": []}', r"keys \['row'\]"),
        ("[" * 100_000, "is not JSON"),
        ("[" + "1" * 5000 + "]", "is not JSON"),
        ([{}] * (MAX_ROWS + 1), "100,001 rows are too many"),
    ],
)
def test_what_is_no_list_is_an_error(submission: Any, words: str) -> None:
    """A submission that is no list of rows raises, and says what was given and what is allowed."""
    episode = drawn_episode("medium", "mixed", 1)
    with pytest.raises(ValueError, match=words) as caught:
        score_submission(submission, episode)
    assert "a submission is a list of at most 100,000 rows, or the JSON text of one" in str(caught.value)


def test_the_longest_submission_is_read() -> None:
    """Just as many rows as are allowed are a submission."""
    assert rows_from_json(json.dumps([0] * MAX_ROWS)) == [0] * MAX_ROWS
    with pytest.raises(ValueError, match="100,001 rows are too many"):
        rows_from_json(json.dumps([0] * (MAX_ROWS + 1)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD | {"date": "2026-13-01"}, "date '2026-13-01' is not an ISO date from 2026-03-04 to 2026-03-31"),
        (GOOD | {"date": "2026-04-01"}, "date '2026-04-01' is not an ISO date from 2026-03-04 to 2026-03-31"),
        (GOOD | {"date": 20260310}, "date 20260310 is not an ISO date from 2026-03-04 to 2026-03-31"),
        (
            GOOD | {"entity_type": "event_count", "entity_name": "clicks"},
            "entity_name 'clicks' is not one of "
            "app_opens, menu_opens, product_added_to_cart, orders_placed, payment_successful",
        ),
        (
            GOOD | {"entity_type": "hourly_mix"},
            f"entity_name '{GOOD['entity_name']}' is not one of app_opens:daytime_share",
        ),
        (
            GOOD | {"entity_type": "events"},
            "entity_type 'events' is not one of event_count, conversion_rate, funnel_step, hourly_mix, data_quality",
        ),
        (GOOD | {"entity_type": ["hourly_mix"]}, "entity_type ['hourly_mix'] is not one of event_count, "),
        (without("date") | {"severity": "grave"}, "date is missing; it is an ISO date from 2026-03-04 to 2026-03-31"),
        (GOOD | {"severity": "grave"}, "severity 'grave' is not one of low, medium, high, critical"),
        (GOOD | {"severity": ["low"]}, "severity ['low'] is not one of low, medium, high, critical"),
        (GOOD | {"baseline_value": float("nan")}, "baseline_value nan is not a finite number"),
        (GOOD | {"observed_value": float("inf")}, "observed_value inf is not a finite number"),
        (GOOD | {"delta_value": "-3.5"}, "delta_value '-3.5' is not a finite number"),
        (GOOD | {"delta_value": True}, "delta_value True is not a finite number"),
        (GOOD | {"delta_value": None}, "delta_value None is not a finite number"),
        (GOOD | {"delta_value": 10**400}, "is not a finite number"),
        (GOOD | {"delta_value": 10**5000}, "delta_value (int, too long to show) is not a finite number"),
        (without("severity"), "severity is missing; it is one of low, medium, high, critical"),
        (without("entity_name") | {"entity_type": "hourly_mix"}, "is missing; it is one of app_opens:daytime_share"),
        (
            GOOD | {"note": "sure"},
            "'note' is not a field of a row; the fields are date, entity_type, entity_name, anomaly_type, "
            "detection_method, baseline_value, observed_value, delta_value, severity",
        ),
        (GOOD | {1: 2, "\ud800": 3}, "1 is not a field of a row"),
        (GOOD | {"anomaly_type": "x" * 1000}, "anomaly_type 'xxxxxxxxxx"),
        (MetricSubmissionRow(**GOOD).model_copy(update={"severity": "grave"}), "severity 'grave' is not one of"),
        (7, "7 of type int is not an object with the fields of a row"),
        (None, "None of type NoneType is not an object with the fields of a row"),
        ([GOOD], "of type list is not an object with the fields of a row"),
        ("not a row", "'not a row' is neither a row nor the JSON text of one"),
        ("[]", "[] of type list is not an object"),
        ('{"date": "2026-03-10", "baseline_value": NaN}', "baseline_value nan is not a finite number"),
    ],
)
def test_a_bad_row_is_told_in_words(row: Any, message: str) -> None:
    """A bad row raises nothing: it counts as invalid, and its issue names field, value and what is allowed."""
    episode = drawn_episode("medium", "rate_drop_from_median", 1)
    grade = score_submission([GOOD, row], episode)
    assert (grade.submitted, grade.matched, grade.invalid) == (2, 1, 1)
    assert grade.score == pytest.approx(2 / 3)
    (issue,) = grade.issues
    assert issue.startswith("row 2 is invalid: ")
    assert message in issue
    assert len(issue) < 1200
    assert Grade.model_validate_json(grade.model_dump_json()) == grade


def test_all_faults_of_a_row_are_told_at_once() -> None:
    """A row with several bad fields gets one message with all of them, date and entity included."""
    episode = drawn_episode("medium", "rate_drop_from_median", 1)
    (told,) = check_rows(
        [GOOD | {"date": "yesterday", "entity_name": "x", "severity": "grave", "note": 1}], episode.generator_config
    )
    assert isinstance(told, InvalidRow)
    for part in ("date 'yesterday'", "entity_name 'x'", "severity 'grave'", "'note' is not a field"):
        assert part in told.issue


def test_whole_and_numpy_numbers_are_numbers() -> None:
    """Values may be int or NumPy scalars; they are the same row."""
    episode = drawn_episode("medium", "instrumentation_data_quality_issue", 1)
    (row,) = episode.expected_rows
    fields = dict(row) | {"baseline_value": 0, "observed_value": np.int64(row.observed_value)}
    fields["delta_value"] = np.float32(row.delta_value)
    assert check_rows([fields], episode.generator_config) == [row]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from([*GOOD, "note"]) | st.text(max_size=3), inner, max_size=9)
            ),
            max_leaves=12,
        ),
        max_size=6,
    )
)
def test_no_row_breaks_the_grader(rows: list[Any]) -> None:
    """Whatever the rows hold, the grader counts them and never raises."""
    episode = drawn_episode("medium", "rate_drop_from_median", 1)
    grade = score_submission(rows, episode)
    assert grade.submitted == grade.invalid == len(rows)
    assert grade.score == 0.0
    assert len(grade.issues) == len(rows) + 1


def test_grading_leaves_the_episode_as_it_was() -> None:
    """Grading twice gives the same grade, and the truth does not change."""
    episode = tiny_episode()
    before = [row.model_copy() for row in episode.expected_rows]
    first = score_submission(all_cells(episode), episode)
    assert score_submission(all_cells(episode), episode) == first
    assert episode.expected_rows == before
