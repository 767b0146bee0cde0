"""What a grade says in words and as data: issues and faults."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers_scoring import AXIOM, GOOD, Drawn, all_cells, cells_of, drawn_episode, submissions, without
from hypothesis import given

from metric_tracker_env.schema import DIFFICULTIES, Difficulty, MetricSubmissionRow
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.submission import Fault
from metric_tracker_env.world.labels import CellClass


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_extra_row_is_told_its_class(difficulty: Difficulty) -> None:
    """A consequence names the incident of its date; a natural cell and an unflagged cell are called so."""
    seen = dict.fromkeys(CellClass, 0)
    for seed in range(5):
        episode = drawn_episode(difficulty, "mixed", 3, seed)
        root = {row.date: f"{row.entity_type} {row.entity_name} on {row.date}" for row in episode.expected_rows}
        grade = score_submission(all_cells(episode), episode)
        assert grade.missing == 0
        assert len(grade.issues) == grade.extra == 557
        told = {issue.split(" is ", 1)[0]: issue for issue in grade.issues}
        words = {
            CellClass.CONSEQUENCE: "is a consequence: it follows from the incident ",
            CellClass.NATURAL: "is natural",
            CellClass.NONE: "is not anomalous",
        }
        for cell_class, phrase in words.items():
            cells = cells_of(episode, cell_class)
            seen[cell_class] += len(cells)
            for row in cells:
                issue = told[f"extra: {row.entity_type} {row.entity_name} on {row.date}"]
                assert phrase + (root[row.date] if cell_class == CellClass.CONSEQUENCE else "") in issue
        counts = (grade.extra_consequence, grade.extra_natural, grade.extra_other)
        assert counts == tuple(len(cells_of(episode, cell_class)) for cell_class in words)
    assert seen[CellClass.CONSEQUENCE] > 0
    assert difficulty != "hard" or seen[CellClass.NATURAL] > 0


def test_missing_rows_are_named() -> None:
    """Each expected row that was not submitted is named by its key."""
    episode = drawn_episode("easy", "mixed", 5)
    grade = score_submission(episode.expected_rows[:2], episode)
    assert grade.issues == tuple(
        f"missing: {row.entity_type} {row.entity_name} on {row.date} is an incident that was not submitted"
        for row in episode.expected_rows[2:]
    )


@AXIOM
@given(submissions())
def test_faults_say_as_data_what_the_issues_say(drawn: Drawn) -> None:
    """Each count of the grade is that of its faults or of their rows; each fault names its row and its cell."""
    episode, rows = drawn
    submitted = [*rows, *rows[:2], {"date": "some day"}]
    grade = score_submission(submitted, episode)
    for name in ("missing", "extra_consequence", "extra_natural", "extra_other", "duplicate"):
        assert sum(fault.type == name for fault in grade.faults) == getattr(grade, name)
    assert len({fault.row for fault in grade.faults if fault.type == "invalid"}) == grade.invalid
    truth = {row.key: row for row in episode.expected_rows}
    for fault in grade.faults:
        row = None if fault.row is None else submitted[fault.row - 1]
        if fault.type == "missing":
            assert (row, fault.key in truth) == (None, True)
        elif fault.type == "invalid":
            assert (fault.key, isinstance(row, dict)) == (None, True)
        else:
            assert isinstance(row, MetricSubmissionRow)
            assert fault.key == row.key
        if fault.type == "wrong":
            assert isinstance(row, MetricSubmissionRow)
            assert fault.field is not None
            assert fault.given == getattr(row, fault.field)
            assert fault.expected == getattr(truth[row.key], fault.field)
        assert (fault.roots is not None and set(fault.roots) <= truth.keys()) is (fault.type == "extra_consequence")
    told = json.loads(grade.model_dump_json())["faults"]
    assert not [fault for fault in told if None in fault.values()]
    assert Grade.model_validate_json(grade.model_dump_json()) == grade


def fault_of(row: Any) -> Fault:
    """The one fault of a bad row."""
    episode = drawn_episode("medium", "rate_drop_from_median", 1)
    (fault,) = score_submission([GOOD, row], episode).faults
    return fault


def test_a_fault_shows_what_was_given_as_json_can_hold_it() -> None:
    """Short scalars are shown as they are; what is long, no scalar, no number or no text is put in words."""

    def given(value: Any) -> Any:
        return fault_of(GOOD | {"severity": value}).given

    for value in ("grave", "x" * 60, 7, -(2**53), 2**53, 0.5, True, False):
        assert (given(value), type(given(value))) == (value, type(value))
    assert given(None) is None
    for value, words in (
        ("x" * 61, "'xxxx"),
        ("a\nb", "'a\\nb'"),
        ("\ud800", "'\\ud800'"),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (10**5000, "(int, too long to show)"),
        (["low"], "['low']"),
        (float("inf"), "inf"),
    ):
        assert str(given(value)).startswith(words)
        assert isinstance(given(value), str)
    assert given(np.float64(0.5)) == 0.5


def test_a_fault_says_what_is_allowed() -> None:
    """A field that is missing, unknown or bad, and what is no row at all, is told with what belongs there."""
    fields = "the fields are " + ", ".join(GOOD)
    severities = "one of low, medium, high, critical"
    row = "an object with the fields of a row"
    assert fault_of(without("severity")) == Fault(type="invalid", row=2, field="severity", allowed=severities)
    assert fault_of(GOOD | {"note": 3}) == Fault(type="invalid", row=2, field="note", given=3, allowed=fields)
    assert fault_of(GOOD | {5: None}) == Fault(type="invalid", row=2, field="5", allowed=fields)
    assert fault_of(GOOD | {"delta_value": "1"}).allowed == "a finite number"
    assert fault_of([]) == Fault(type="invalid", row=2, given="[]", allowed=row)
    assert fault_of("none") == Fault(type="invalid", row=2, given="none", allowed=row)


def test_a_guess_is_told_by_its_row() -> None:
    """A right row whose cell no paid call had shown is missing, and the issue says which row it was."""
    episode = drawn_episode("medium", "mixed", 3)
    rows = episode.expected_rows
    grade = score_submission(rows, episode, shown=np.zeros(episode.classes.shape, bool))
    assert grade.matched == 0
    told = [issue for issue in grade.issues if issue.startswith("missing: ")]
    assert [f"guessed in row {number}, and shown by no paid call" in issue for number, issue in enumerate(told, 1)] == [
        True
    ] * len(rows)
