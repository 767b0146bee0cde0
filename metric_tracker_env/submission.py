"""Submitted rows: read from objects or JSON and checked, with every fault told in words."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from pydantic import ValidationError

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import MetricSubmissionRow

MAX_ROWS = 100_000
ALLOWED = f"a submission is a list of at most {MAX_ROWS:,} rows, or the JSON text of one or of {{'rows': [...]}}"

RowInput = MetricSubmissionRow | Mapping[str, object]
Submission = Sequence[RowInput | str] | Mapping[str, object] | str

_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 60


def rows_from_json(text: str) -> list[object]:
    """The rows of a JSON text as decoded; ``check_rows`` tells which of them are valid.

    Args:
        text: JSON of a list of rows, or of an object ``{"rows": [...]}``.

    Raises:
        ValueError: if the text is not JSON or not of a list.
    """
    return _listed(_decoded(text))


def rows_to_json(rows: Sequence[RowInput]) -> str:
    """JSON text of a list of rows; ``rows_from_json`` reads it back.

    Raises:
        ValueError: if a value is NaN or infinite, which JSON cannot hold.
    """
    return json.dumps([dict(row) for row in rows], allow_nan=False)


def check_rows(rows: Submission, config: GeneratorConfig) -> list[MetricSubmissionRow | str]:
    """Check a submission against the dates and entities of a configuration.

    Args:
        rows: Rows, dicts or JSON texts of one row, mixed as one likes; or one JSON text of all of them.
        config: Whose calendar and funnel the rows are about.

    Returns:
        One item a submitted row: the row, or the text that says which of its fields hold what and what is allowed.

    Raises:
        ValueError: if the submission as a whole is not a list, or has more than ``MAX_ROWS`` rows.
    """
    return [_checked(item, config) for item in _listed(_decoded(rows) if isinstance(rows, str) else rows)]


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the text {shown(text)} is not JSON ({error}); {ALLOWED}") from error


def _listed(data: object) -> list[object]:
    if isinstance(data, Mapping):
        if set(data) != {"rows"}:
            raise ValueError(f"an object with the keys {shown(sorted(map(str, data)))} is no submission; {ALLOWED}")
        data = data["rows"]
    if not isinstance(data, Sequence) or isinstance(data, str | bytes | bytearray):
        raise ValueError(f"{shown(data)} of type {type(data).__name__} is no submission; {ALLOWED}")
    if len(data) > MAX_ROWS:
        raise ValueError(f"{len(data):,} rows are too many; {ALLOWED}")
    return list(data)


def _checked(item: object, config: GeneratorConfig) -> MetricSubmissionRow | str:
    """The row, or why it is none."""
    if isinstance(item, str):
        try:
            item = _decoded(item)
        except ValueError:
            return f"{shown(item)} is neither a row nor the JSON text of one"
    if not isinstance(item, MetricSubmissionRow | Mapping):
        return f"{shown(item)} of type {type(item).__name__} is not an object with the fields of a row"
    # An instance is checked again: model_construct and model_copy make rows that nobody has looked at.
    given: dict[object, object]
    given = {name: value.item() if isinstance(value, np.generic) else value for name, value in dict(item).items()}
    known = {name: value for name, value in given.items() if name in MetricSubmissionRow.model_fields}
    bad: dict[object, str] = {name: "unknown" for name in given if name not in known}
    try:
        row = MetricSubmissionRow.model_validate(known, strict=True)
    except ValidationError as error:
        bad |= {detail["loc"][0]: detail["type"] for detail in error.errors(include_url=False)}
    else:
        if not bad and row.date in config.date_names and (row.entity_type, row.entity_name) in config.catalogue.index:
            return row
    if "date" not in bad and known["date"] not in config.date_names:
        bad["date"] = "outside"
    entity = known.get("entity_type"), known.get("entity_name")
    if not {"entity_type", "entity_name"} & set(bad) and entity not in config.catalogue.index:
        bad["entity_name"] = "absent"
    allowed = _allowed(config, entity[0])
    return "; ".join(_complaint(field, kind, given, allowed) for field, kind in bad.items())


def _complaint(field: object, kind: str, given: Mapping[object, object], allowed: Mapping[object, str]) -> str:
    if kind == "unknown":
        return f"{shown(field)} is not a field of a row; the fields are {', '.join(map(str, allowed))}"
    if kind == "missing":
        return f"{field} is missing; it is {allowed[field]}"
    return f"{field} {shown(given[field])} is not {allowed[field]}"


def _allowed(config: GeneratorConfig, entity_type: object) -> dict[object, str]:
    """What each field of a row may hold, in words."""
    names = [
        e.entity_name
        for e in config.catalogue.entities
        if isinstance(entity_type, str) and e.entity_type == entity_type
    ]
    allowed: dict[object, str] = {}
    for name, field in MetricSubmissionRow.model_fields.items():
        choices = get_args(field.annotation)
        allowed[name] = f"one of {', '.join(choices)}" if choices else "a finite number"
    allowed["date"] = f"an ISO date from {config.date_names[0]} to {config.date_names[-1]}"
    allowed["entity_name"] = f"one of {', '.join(names)}" if names else "the name of an entity of its entity_type"
    return allowed


def shown(value: object) -> str:
    """A value for a message: its repr, cut short."""
    try:
        return _shorten.repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return f"({type(value).__name__}, too long to show)"
