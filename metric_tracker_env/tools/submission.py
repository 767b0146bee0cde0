"""Tools that prepare a submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, get_args

from metric_tracker_env.measure import rounded
from metric_tracker_env.schema import NAME_FIELDS, VALUE_FIELDS, MetricSubmissionRow
from metric_tracker_env.submission import Fault, InvalidRow, Key, check_rows
from metric_tracker_env.tools.arguments import FAMILY_OF_METHOD, PAGE, FamilyMethods, Limit, Offset, PreviewedRows
from metric_tracker_env.tools.cells import family_cells, listed, next_offset
from metric_tracker_env.tools.registry import ViewTools, tool
from metric_tracker_env.tools.results import PreviewedRow, RowStatus, SubmissionPayload, SubmissionPreview


class SubmissionTools(ViewTools):
    """Rows before they are submitted; neither tool knows the truth."""

    @tool(cost="free")
    def preview_submission(self, rows: PreviewedRows, limit: Limit = PAGE, offset: Offset = 0) -> SubmissionPreview:
        """Check rows before submitting them: their form, their dates and entities, duplicates, and the data.

        The check against the data needs the right values: a row whose values differ is told so and nothing more.
        That the data confirm a row does not mean that it is the cause of an anomaly. Under a budget a row is checked
        against the data once a tool has shown its cell.

        Args:
            rows: Rows to check.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            For each row, numbered from 1: confirmed (its detection method flags the cell and its fields are what the
            tools report), not_flagged, fields_differ, not_shown, duplicate or invalid, and the issue in words and as
            data; and how many rows there are of each.
        """
        first: dict[Key, int] = {}
        judged: list[Judged] = []
        for number, row in enumerate(check_rows(rows, self._view.config), start=1):
            judged.append(self._judge(number, row, first))
            if isinstance(row, MetricSubmissionRow):
                first.setdefault(row.key, number)
        counts = Counter(item.status for item in judged)
        return SubmissionPreview(
            submitted=len(judged),
            **{status: counts[status] for status in get_args(RowStatus)},
            rows=tuple(_previewed(item) for item in judged[offset : offset + limit]),
            next_offset=next_offset(len(judged), limit, offset),
        )

    @tool(cost="free")
    def payload_generator(
        self, generator_methods: FamilyMethods, limit: Limit = PAGE, offset: Offset = 0
    ) -> SubmissionPayload:
        """Collect the rows that some family scans flag, in the form of a submission.

        Under a budget it collects the cells that other tools have shown, and finds no new ones. It tells no cause from
        its consequences: choose from the rows before you submit them.

        Args:
            generator_methods: Family scans to run, each at its detection threshold.
            limit: Most rows to list.
            offset: Rows to pass over, to go on with a longer list.

        Returns:
            Rows with values in the unit of their entity, by date, each cell once.
        """
        view = self._view
        cells = family_cells(view, FAMILY_OF_METHOD[generator_methods[0]])
        for method in generator_methods[1:]:
            cells |= family_cells(view, FAMILY_OF_METHOD[method])
        page = listed(view, cells, limit, offset)
        rows = tuple(view.row(day, entity) for day, entity in page.cells)
        return SubmissionPayload(rows=rows, total=page.total, next_offset=page.next_offset)

    def _judge(self, number: int, row: MetricSubmissionRow | InvalidRow, first: Mapping[Key, int]) -> Judged:
        """What there is to say of one checked row, given the numbers of the rows before it by key."""
        if isinstance(row, InvalidRow):
            return Judged(number, row, "invalid", None)  # the row says it
        if row.key in first:
            return Judged(number, row, "duplicate", f"names the cell of row {first[row.key]} again")
        view = self._view
        day, entity = view.config.day_index(row.date), view.catalogue.entity(row.entity_type, row.entity_name)
        method = entity.detection_method
        if view.visible is not None and not view.visible[entity.index, day]:
            return Judged(number, row, "not_shown", f"no tool has shown this cell yet; {method} does")
        data = view.row(day, entity.index)
        differ = [field for field in VALUE_FIELDS if rounded(getattr(row, field)) != getattr(data, field)]
        # Only who has looked up the values is told the rest: a free tool must not replace the others.
        differ = differ or [field for field in NAME_FIELDS if getattr(row, field) != getattr(data, field)]
        if differ:
            return Judged(number, row, "fields_differ", f"{', '.join(differ)} not as {method} reports", tuple(differ))
        if not view.flagged[entity.index, day]:
            return Judged(number, row, "not_flagged", f"{method} does not flag this cell")
        return Judged(number, row, "confirmed", None)


class Judged(NamedTuple):
    """A row of a preview, and what there is to say of it."""

    number: int
    row: MetricSubmissionRow | InvalidRow
    status: RowStatus
    issue: str | None
    differ: tuple[str, ...] = ()  # fields whose values are not those of the data


def _previewed(item: Judged) -> PreviewedRow:
    number, row, status, issue, differ = item
    if isinstance(row, InvalidRow):
        issue, faults = row.issue, row.faults
    else:
        wrong = [(field, getattr(row, field)) for field in differ]
        faults = tuple(Fault(type="wrong", row=number, key=row.key, field=field, given=given) for field, given in wrong)
    return PreviewedRow(number=number, status=status, issue=issue, faults=faults)
