"""How a session tells a result: the records of a list as short rows under one line of columns, everything said once.

A language model pays for every character that it is answered, and the same record by record says each field's name, the
date and the detection method again and again. So a list of records is a *table*: ``columns`` names what stands in its
``rows``, and a text that all rows share stands beside them. Tables of one result with the same columns have them in
common, in the result itself. What the result says (its date, its type of anomaly) its records do not say again. Counts
by hour or date are lists by name. The end of a row that says nothing is left out: None, an empty list, and of a normal
cell, which is no row to submit, delta, type and severity. A threshold is left out beside the ratio that is made of it,
which has three decimals, and a whole number has no ".0". What the brief has said is not said again.

``from_tables`` gives the records back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metric_tracker_env.measure import rounded
from metric_tracker_env.schema import MetricRecord, StrictModel
from metric_tracker_env.tools.results import NORMAL, Comparison, DetectionRule, SeasonalComparison, TaskOverview

OF_RESULT = ("date", "anomaly_type")  # what a record does not repeat where its result says it
DERIVED = ("threshold", "is_anomaly")  # of a cell in a table: delta_value / ratio; whether its type is not "normal"
OF_ANOMALIES = ("delta_value", "anomaly_type", "severity")  # last in the row of a cell: a normal one ends before them
RATIO_DECIMALS = 3
SAID_BEFORE: dict[type[StrictModel], tuple[str, ...]] = {  # by the brief, and of a season by the counts of its date
    TaskOverview: (
        "task", "first_date", "last_date", "num_days", "funnel", "conversions", "num_entities", "anomaly_types",
        "scoring",
    ),
    DetectionRule: ("detection_method", "unit"),
    SeasonalComparison: ("entity_name", "observed_value"),
}  # fmt: skip
EMPTY: tuple[object, ...] = (None, "", [])
PLAIN = (str, int, type(None))  # what is told as it is


def in_tables(result: StrictModel) -> dict[str, Any]:
    """The result of a tool as a session tells it, ready for JSON."""
    said = _said(result)
    inherited = {name: said[name] for name in OF_RESULT if isinstance(said.get(name), str)}
    told = {name: _told(value, inherited) for name, value in said.items()}
    tables = [name for name, value in told.items() if isinstance(value, dict) and "rows" in value]
    if len(tables) < 2 or any(told[name]["columns"] != told[tables[0]]["columns"] for name in tables):
        return told
    columns = told[tables[0]]["columns"]
    for name in tables:
        del told[name]["columns"]
    first = list(told).index(tables[0])  # a reader meets the columns before the rows
    fields = list(told.items())
    return dict([*fields[:first], ("columns", columns), *fields[first:]])


def from_tables(told: Mapping[str, Any]) -> dict[str, Any]:
    """A result with its records as objects again, from what a session told.

    Returns:
        The fields of the result by name; a table as the list of its records. Fields that were left out are left out,
        but for those that say nothing, which are None, ``is_anomaly``, and the type "normal" of a normal cell.
    """
    columns = told.get("columns")
    inherited = {name: told[name] for name in OF_RESULT if name in told}
    return {name: _records(value, inherited, columns) for name, value in told.items() if name != "columns"}


def _said(model: StrictModel) -> dict[str, Any]:
    """The fields of a model that nothing has said before."""
    said = dict(vars(model))  # the fields in their order; no model here has others
    for name in SAID_BEFORE.get(type(model), ()):
        del said[name]
    if "ratio" in said:
        said["ratio"] = round(said["ratio"], RATIO_DECIMALS)
    return said


def _told(value: object, inherited: Mapping[str, str]) -> Any:
    """A field of a result."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, StrictModel):
        return {name: _told(item, {}) for name, item in _said(value).items() if inherited.get(name) != item}
    if not isinstance(value, tuple):
        return value
    if not value or not isinstance(value[0], StrictModel | MetricRecord):
        return [_told(item, {}) for item in value]
    if isinstance(value[0], MetricRecord):
        return _series(value, inherited)
    return _table(value, inherited)


def _series(records: Sequence[MetricRecord], inherited: Mapping[str, str]) -> dict[str, Any]:
    """Counts by hour or date: a list a funnel step, beside the dates where they differ."""
    dates = {} if "date" in inherited else {"date": [record.date for record in records]}
    return dates | {name: [record.counts[name] for record in records] for name in records[0].counts}


def _table(records: Sequence[Any], inherited: Mapping[str, str]) -> dict[str, Any]:
    """Records of one kind."""
    flat = [_flat(record) for record in records]
    names = [name for name in flat[0] if name not in inherited or any(row[name] != inherited[name] for row in flat)]
    fixed: list[str] = []  # columns whatever the records say: the same for all tables of a kind
    if isinstance(records[0], Comparison):
        fixed = [*OF_ANOMALIES, *(name for name in names if isinstance(flat[0][name], dict | list))]
        names = [name for name in names if name not in (*fixed, *DERIVED)] + fixed
    shared: dict[str, str] = {}
    columns: list[str] = []
    for name in names:
        values = [row[name] for row in flat]
        if name not in fixed and len(flat) > 1 and isinstance(values[0], str) and values.count(values[0]) == len(flat):
            shared[name] = values[0]
        elif name in fixed or any(value not in EMPTY for value in values):
            columns.append(name)
    return {**shared, "columns": columns, "rows": [_row(row, columns) for row in flat]}


def _flat(record: StrictModel) -> dict[str, Any]:
    """The fields of a record; those of one inside of it by both names, as in "severity.high"."""
    found: dict[str, Any] = {}
    for name, value in _said(record).items():
        if isinstance(value, PLAIN):
            found[name] = value
        elif isinstance(value, StrictModel):
            found |= {f"{name}.{inner}": item for inner, item in _flat(value).items()}
        else:
            found[name] = _told(value, {})
    if isinstance(record, Comparison) and not record.is_anomaly:
        found |= dict.fromkeys(OF_ANOMALIES)
    return found


def _row(record: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """A record in the order of the columns, without an end that says nothing."""
    row = [record[name] for name in columns]
    while row and row[-1] in EMPTY:
        row.pop()
    return row


def _records(value: Any, inherited: Mapping[str, str], columns: Sequence[str] | None) -> Any:
    """A field of a result, with the records of its tables as objects."""
    if not isinstance(value, dict):
        return value
    if "rows" in value:
        names = value.get("columns", columns)
        shared = {name: item for name, item in value.items() if name not in ("columns", "rows")}
        return [_record(row, names, {**inherited, **shared}) for row in value["rows"]]
    if value and all(isinstance(item, list) for item in value.values()):  # counts by hour or date
        rows = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
        return rows if "date" in value else [{**inherited, "hour": hour, **row} for hour, row in enumerate(rows)]
    return {**{name: item for name, item in inherited.items() if "entity_type" in value}, **value}


def _record(row: Sequence[Any], columns: Sequence[str], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table as an object."""
    record: dict[str, Any] = dict(shared)
    for place, name in enumerate(columns):
        item = row[place] if place < len(row) else None
        if isinstance(item, dict):
            item = _records(item, {}, None)
        outer, _, inner = name.partition(".")
        if inner:
            record.setdefault(outer, {})[inner] = item
        else:
            record[name] = item
    if "ratio" in record:
        record["is_anomaly"] = record["anomaly_type"] is not None
        if not record["is_anomaly"]:
            record["anomaly_type"] = NORMAL
            record["delta_value"] = rounded(record["observed_value"] - record["baseline_value"])
    return record
