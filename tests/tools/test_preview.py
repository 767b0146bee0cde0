"""``preview_submission`` against rows of the seven days of helpers_view."""

from __future__ import annotations

import pytest
from helpers_view import MON, SUN, WED, tiny_view

from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.submission import Fault
from metric_tracker_env.tools import SharedAnalysisToolkit, ToolError


def test_preview_submission_says_what_is_wrong_with_each_row(tiny: SharedAnalysisToolkit) -> None:
    """Confirmed, duplicate, not flagged, wrong severity, wrong value, outside the calendar, not a row."""
    view = tiny_view()
    good, plain = view.row(2, 1), view.row(0, 1)
    preview = tiny.preview_submission(
        [
            good,
            good.model_dump(),
            plain,
            view.row(5, 0).model_copy(update={"severity": "low"}),
            view.row(3, 7).model_copy(update={"observed_value": 0.66, "severity": "low"}),
            good.model_copy(update={"date": "2026-01-12"}),
            {"date": WED},
        ]
    )
    assert (preview.submitted, preview.confirmed) == (7, 1)
    assert [row.number for row in preview.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.status for row in preview.rows] == [
        "confirmed",
        "duplicate",
        "not_flagged",
        "fields_differ",
        "fields_differ",
        "invalid",
        "invalid",
    ]
    assert (preview.not_flagged, preview.fields_differ, preview.not_shown) == (1, 2, 0)
    assert (preview.duplicate, preview.invalid) == (1, 2)
    assert [row.faults for row in preview.rows[:3]] == [(), (), ()]
    visits, share = view.row(5, 0), view.row(3, 7)
    assert preview.rows[3].faults == (Fault(type="wrong", row=4, key=visits.key, field="severity", given="low"),)
    assert preview.rows[4].faults == (Fault(type="wrong", row=5, key=share.key, field="observed_value", given=0.66),)
    allowed = f"an ISO date from {MON} to {SUN}"
    outside = Fault(type="invalid", row=6, field="date", given="2026-01-12", allowed=allowed)
    assert preview.rows[5].faults == (outside,)
    assert [fault.field for fault in preview.rows[6].faults] == [*MetricSubmissionRow.model_fields][1:]
    issues = [row.issue or "" for row in preview.rows]
    assert issues[0] == ""
    assert "row 1" in issues[1]
    assert "severity" in issues[3]
    assert "2026-01-12" in issues[5]
    assert "entity_type" in issues[6]


def test_preview_submission_tells_nothing_to_who_does_not_know_the_values(tiny: SharedAnalysisToolkit) -> None:
    """With wrong values the answer is the same for a flagged and a plain cell: the free tool replaces no other."""
    view = tiny_view()
    guess = {"baseline_value": 1.0, "observed_value": 2.0, "delta_value": 1.0, "severity": "critical"}
    flagged, plain = view.row(2, 1).model_copy(update=guess), view.row(0, 1).model_copy(update=guess)
    first, second = tiny.preview_submission([flagged, plain]).rows
    assert first.status == second.status == "fields_differ"
    assert first.issue == second.issue
    assert [fault.field for fault in first.faults] == ["baseline_value", "observed_value", "delta_value"]
    for one, other in zip(first.faults, second.faults, strict=True):
        assert (one.field, one.given, one.expected) == (other.field, other.given, None)


def test_preview_submission_names_the_first_of_several_duplicates(tiny: SharedAnalysisToolkit) -> None:
    """The third row of a cell is told the number of the first, as the second is."""
    good = tiny_view().row(2, 1)
    assert [row.issue for row in tiny.preview_submission([good, good, good]).rows] == [
        None,
        "names the cell of row 1 again",
        "names the cell of row 1 again",
    ]


def test_preview_submission_is_paged(tiny: SharedAnalysisToolkit) -> None:
    """A long preview is listed in parts; the counts and the numbers are those of the whole."""
    good = tiny_view().row(2, 1)
    first = tiny.preview_submission([good] * 45)
    assert (first.submitted, first.confirmed, len(first.rows), first.next_offset) == (45, 1, 30, 30)
    second = tiny.preview_submission([good] * 45, offset=30)
    assert [row.number for row in second.rows] == list(range(31, 46))
    assert second.next_offset is None
    whole = tiny.preview_submission([good] * 45, limit=45)
    assert (len(whole.rows), whole.next_offset) == (45, None)
    assert tiny.preview_submission([good] * 46, limit=45).next_offset == 45


def test_a_preview_takes_a_hundred_rows(tiny: SharedAnalysisToolkit) -> None:
    """So many rows are looked at, one more is refused."""
    assert tiny.preview_submission([{}] * 100).invalid == 100
    with pytest.raises(ToolError, match="at most 100"):
        tiny.preview_submission([{}] * 101)


def test_preview_submission_of_nothing(tiny: SharedAnalysisToolkit) -> None:
    """No rows are no fault."""
    statuses = ("confirmed", "not_flagged", "fields_differ", "not_shown", "duplicate", "invalid")
    none = {"submitted": 0, **dict.fromkeys(statuses, 0), "rows": (), "next_offset": None}
    assert tiny.preview_submission([]).model_dump() == none
