"""How answers look in a terminal: lists of records as tables, the rest as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metric_tracker_env import Grade, MetricSubmissionRow
from metric_tracker_env.schema import EntityType

if TYPE_CHECKING:
    from rich.console import RenderableType

ROWS = 60  # of a table, at most; the page of a tool is shorter
SAID_ELSEWHERE = ("detection_method", "is_anomaly", "entity_type")  # by the tool, the type, the name
SHORT: dict[EntityType, str] = {
    "event_count": "count",
    "conversion_rate": "rate",
    "funnel_step": "funnel step",
    "hourly_mix": "hourly mix",
    "data_quality": "data quality",
}


def told(result: Mapping[str, Any]) -> list[RenderableType]:
    """The result of a tool."""
    from rich.text import Text

    lines: list[RenderableType] = []
    for name, value in result.items():
        if _is_records(value):
            said = [{key: item for key, item in record.items() if item != result.get(key)} for record in value]
            lines.append(table(said, name))
        elif isinstance(value, Mapping):
            lines.append(Text(f"{name}: {', '.join(f'{key} {shown(item)}' for key, item in value.items())}"))
        elif value not in (None, [], ""):
            lines.append(Text(f"{name}: {shown(value)}"))
    return lines or [Text("nothing")]


def table(records: Sequence[Mapping[str, Any]], title: str) -> RenderableType:
    """Records, each of which may have fields of its own."""
    from rich.table import Table

    names = list(dict.fromkeys(name for record in records for name in record if name not in SAID_ELSEWHERE))
    names = [name for name in names if any(record.get(name) not in (None, [], "") for record in records)]
    made = Table(title=title.replace("_", " "), title_justify="left", box=None, pad_edge=False)
    for name in names:
        number = all(isinstance(record.get(name), (int, float, type(None))) for record in records)
        made.add_column(name.replace("_", " "), justify="right" if number else "left", no_wrap="name" in name)
    for record in records[:ROWS]:
        flagged = record.get("is_anomaly") is True
        made.add_row(*(shown(record.get(name)) for name in names), style="bold" if flagged else None)
    return made


def draft(rows: Sequence[MetricSubmissionRow]) -> RenderableType:
    """The rows to submit, numbered."""
    from rich.text import Text

    if not rows:
        return Text("the draft is empty; report DATE ENTITY fills it")
    numbered = [
        {
            "number": number,
            "date": row.date,
            "entity": f"{row.entity_name} ({SHORT[row.entity_type]})",
            "anomaly": row.anomaly_type,
            "observed": row.observed_value,
            "baseline": row.baseline_value,
            "severity": row.severity,
        }
        for number, row in enumerate(rows, 1)
    ]
    return table(numbered, "draft")


def graded(grade: Grade, reward: float) -> list[RenderableType]:
    """The grade, and each fault in words."""
    from rich.text import Text

    head = (
        f"score {grade.score:.3f} ({grade.matched} of {grade.expected} root causes, {grade.submitted} rows submitted), "
        f"{reward:.3f} after the units spent"
    )
    return [Text(head, style="bold"), *(Text(f"- {issue}") for issue in grade.issues)]


def shown(value: object) -> str:
    """A value in a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return " ".join(f"{name} {shown(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value)
    return str(value)


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
