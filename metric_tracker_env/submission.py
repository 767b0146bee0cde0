"""Submitted rows: read from objects or JSON and checked, with every fault told in words and as data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.model import LONGEST, shown
from metric_tracker_env.schema import MetricSubmissionRow, StrictModel

MAX_ROWS = 100_000
ALLOWED = f"a submission is a list of at most {MAX_ROWS:,} rows, or the JSON text of one or of {{'rows': [...]}}"

RowInput = MetricSubmissionRow | Mapping[str, object]
Submission = Sequence[RowInput | str] | Mapping[str, object] | str

LARGEST = 2**53  # JSON readers keep whole numbers up to here

Key = tuple[str, str, str]
Scalar = str | int | float | bool | None
FaultType = Literal[
    "missing",
    "extra_consequence",
    "extra_natural",
    "extra_explained",
    "extra_other",
    "extra_guess",
    "wrong",
    "duplicate",
    "invalid",
]


class Fault(StrictModel):
    """One fault of a submission, for programs; the issues say the same in words.

    What does not apply is None, and left out of JSON.
    """

    type: FaultType
    row: int | None = Field(default=None, description="Number of the submitted row, from 1; none of a missing one.")
    key: Key | None = Field(default=None, description="Cell that a valid row names: date, entity_type, entity_name.")
    field: str | None = Field(default=None, description="Of a wrong or invalid row.")
    given: Scalar = Field(default=None, description="What the field holds; a value that is no scalar in words.")
    allowed: str | None = Field(default=None, description="What an invalid field, or an invalid row, may be.")
    expected: Scalar = Field(default=None, description="Right value of a wrong field; told with the grade alone.")
    roots: tuple[Key, ...] | None = Field(default=None, description="The incidents that a consequence follows from.")

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Complaint(NamedTuple):
    """What is wrong with one field of a row, or with the row as a whole."""

    field: object  # its name; None for the whole
    given: object  # None for a field that is missing
    allowed: str
    issue: str


class InvalidRow:
    """A submitted row that is none, and why, which is found out when it is asked for.

    Attributes:
        number: Of the row, from 1.

    Args:
        number: See above.
        look: Finds what is wrong.
    """

    def __init__(self, number: int, look: Callable[[], tuple[Complaint, ...]]) -> None:
        self.number, self._look = number, look

    @cached_property
    def complaints(self) -> tuple[Complaint, ...]:
        """What is wrong, field by field."""
        return self._look()

    @property
    def issue(self) -> str:
        """Which field holds what, and what is allowed."""
        return "; ".join(complaint.issue for complaint in self.complaints)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The same as data."""
        return tuple(
            Fault(
                type="invalid",
                row=self.number,
                field=None if field is None else str(_plain(field)),
                given=_plain(given),
                allowed=allowed,
            )
            for field, given, allowed, _ in self.complaints
        )


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


def check_rows(rows: Submission, config: GeneratorConfig) -> list[MetricSubmissionRow | InvalidRow]:
    """Check a submission against the dates and entities of a configuration.

    Args:
        rows: Rows, dicts or JSON texts of one row, mixed as one likes; or one JSON text of all of them.
        config: Whose calendar and funnel the rows are about.

    Returns:
        One item a submitted row: the row, or which of its fields hold what and what is allowed.

    Raises:
        ValueError: if the submission as a whole is not a list, or has more than ``MAX_ROWS`` rows.
    """
    items = _listed(_decoded(rows) if isinstance(rows, str) else rows)
    allowed = cache(partial(_allowed, config))  # most rows of a bad submission are bad in the same way
    return [_checked(number, item, config, allowed) for number, item in enumerate(items, start=1)]


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


def _checked(
    number: int, item: object, config: GeneratorConfig, allowed_of: Callable[[str | None], Mapping[object, str]]
) -> MetricSubmissionRow | InvalidRow:
    """The row, or why it is none."""
    if isinstance(item, str):
        try:
            item = _decoded(item)
        except ValueError:
            return _no_row(number, item, f"{shown(item)} is neither a row nor the JSON text of one")
    if not isinstance(item, MetricSubmissionRow | Mapping):
        told = f"{shown(item)} of type {type(item).__name__} is not an object with the fields of a row"
        return _no_row(number, item, told)
    # An instance is checked again: model_construct and model_copy make rows that nobody has looked at.
    given: dict[object, object]
    given = {name: value.item() if isinstance(value, np.generic) else value for name, value in dict(item).items()}
    # Which fields are wrong takes ten times as long to find out as whether any is.
    if MetricSubmissionRow.__pydantic_validator__.isinstance_python(given, strict=True):
        row = MetricSubmissionRow.model_validate(given, strict=True)
        if row.date in config.date_names and (row.entity_type, row.entity_name) in config.catalogue.index:
            return row
    return InvalidRow(number, partial(_complaints, given, config, allowed_of))


def _no_row(number: int, item: object, issue: str) -> InvalidRow:
    return InvalidRow(number, lambda: (Complaint(None, item, "an object with the fields of a row", issue),))


def _complaints(
    given: Mapping[object, object], config: GeneratorConfig, allowed_of: Callable[[str | None], Mapping[object, str]]
) -> tuple[Complaint, ...]:
    """What is wrong with the fields of a row that is none."""
    known = {name: value for name, value in given.items() if name in MetricSubmissionRow.model_fields}
    bad: dict[object, str] = {name: "unknown" for name in given if name not in known}
    try:
        MetricSubmissionRow.model_validate(known, strict=True)
    except ValidationError as error:
        bad |= {detail["loc"][0]: detail["type"] for detail in error.errors(include_url=False)}
    if "date" not in bad and known["date"] not in config.date_names:
        bad["date"] = "outside"
    entity = known.get("entity_type"), known.get("entity_name")
    if not {"entity_type", "entity_name"} & set(bad) and entity not in config.catalogue.index:
        bad["entity_name"] = "absent"
    allowed = allowed_of(entity[0] if isinstance(entity[0], str) else None)
    return tuple(_complaint(field, kind, given, allowed) for field, kind in bad.items())


def _complaint(field: object, kind: str, given: Mapping[object, object], allowed: Mapping[object, str]) -> Complaint:
    if kind == "unknown":
        names = f"the fields are {', '.join(map(str, allowed))}"
        return Complaint(field, given[field], names, f"{shown(field)} is not a field of a row; {names}")
    may_be = allowed[field]
    if kind == "missing":
        return Complaint(field, None, may_be, f"{field} is missing; it is {may_be}")
    return Complaint(field, given[field], may_be, f"{field} {shown(given[field])} is not {may_be}")


def _allowed(config: GeneratorConfig, entity_type: str | None) -> dict[object, str]:
    """What each field of a row of an entity type may hold, in words."""
    names = [e.entity_name for e in config.catalogue.entities if e.entity_type == entity_type]
    allowed: dict[object, str] = {}
    for name, field in MetricSubmissionRow.model_fields.items():
        choices = get_args(field.annotation)
        allowed[name] = f"one of {', '.join(choices)}" if choices else "a finite number"
    allowed["date"] = f"an ISO date from {config.date_names[0]} to {config.date_names[-1]}"
    allowed["entity_name"] = f"one of {', '.join(names)}" if names else "the name of an entity of its entity_type"
    return allowed


def _plain(value: object) -> Scalar:
    """A value as JSON can hold it: itself if it is a short scalar, else in words."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and len(value) <= LONGEST and value.isprintable():
        return value
    return shown(value)
