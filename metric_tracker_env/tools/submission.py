"""Tools that prepare a submission."""

from __future__ import annotations

from metric_tracker_env.measure import rounded
from metric_tracker_env.schema import NAME_FIELDS, VALUE_FIELDS, MetricSubmissionRow
from metric_tracker_env.submission import check_rows
from metric_tracker_env.tools.arguments import FAMILY_OF_METHOD, PAGE, FamilyMethods, Limit, Offset, SubmittedRows
from metric_tracker_env.tools.cells import family_cells, listed, next_offset
from metric_tracker_env.tools.registry import ViewTools, tool
from metric_tracker_env.tools.results import PreviewedRow, RowStatus, SubmissionPayload, SubmissionPreview


class SubmissionTools(ViewTools):
    """Rows before they are submitted; neither tool knows the truth."""

    @tool(cost="free")
    def preview_submission(self, rows: SubmittedRows, limit: Limit = PAGE, offset: Offset = 0) -> SubmissionPreview:
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
            tools report), not_flagged, fields_differ, not_shown, duplicate or invalid, and the issue in words.
        """
        first: dict[tuple[str, str, str], int] = {}
        found: list[PreviewedRow] = []
        for number, row in enumerate(check_rows(rows, self._view.config), start=1):
            status, issue = self._preview(row, first)
            if not isinstance(row, str):
                first.setdefault(row.key, number)
            found.append(PreviewedRow(number=number, status=status, issue=issue))
        confirmed = sum(item.status == "confirmed" for item in found)
        return SubmissionPreview(
            submitted=len(found),
            confirmed=confirmed,
            rows=tuple(found[offset : offset + limit]),
            next_offset=next_offset(len(found), limit, offset),
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

    def _preview(
        self, row: MetricSubmissionRow | str, first: dict[tuple[str, str, str], int]
    ) -> tuple[RowStatus, str | None]:
        """Status and issue of one checked row, given the numbers of the rows before it by key."""
        if isinstance(row, str):
            return "invalid", row
        if row.key in first:
            return "duplicate", f"names the cell of row {first[row.key]} again"
        view = self._view
        day, entity = view.config.day_index(row.date), view.catalogue.entity(row.entity_type, row.entity_name)
        if view.visible is not None and not view.visible[entity.index, day]:
            return "not_shown", f"no tool has shown this cell yet; {entity.detection_method} does"
        data = view.row(day, entity.index)
        differ = [field for field in VALUE_FIELDS if rounded(getattr(row, field)) != getattr(data, field)]
        # Only who has looked up the values is told the rest: a free tool must not replace the others.
        differ = differ or [field for field in NAME_FIELDS if getattr(row, field) != getattr(data, field)]
        if differ:
            return "fields_differ", f"{', '.join(differ)} not as {entity.detection_method} reports"
        if not view.flagged[entity.index, day]:
            return "not_flagged", f"{entity.detection_method} does not flag this cell"
        return "confirmed", None
