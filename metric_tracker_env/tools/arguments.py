"""The types of tool arguments: what each accepts, for the check of a call and for its JSON schema alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, SkipValidation, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES, AnomalyType, MetricSubmissionRow
from metric_tracker_env.submission import MAX_ROWS, RowInput

FAMILY_OF_METHOD: dict[str, AnomalyType] = {f"get_{family}_rows": family for family in ANOMALY_TYPES}
CALL_ROWS = 1000  # most rows of a submission, which is more than any agent has a use for
PREVIEW_ROWS = 100  # most rows of a preview, which is free and may be repeated: a few milliseconds to check
PAGE = 30  # rows that a tool lists unless told otherwise, so that a result fits into a context window
NameKind = Literal["date", "count_metric", "rate_metric", "metric", "entity", "family_method"]
MARK = "x-names"  # where a schema that knows no configuration says which names belong there


def names_of(kind: NameKind, config: GeneratorConfig) -> tuple[str, ...]:
    """The legal names of a kind in a configuration; a *metric* is a daily count or a conversion rate."""
    counts = config.catalogue.count_metrics
    rates = tuple(item.name for item in config.catalogue.conversions)
    match kind:
        case "date":
            return config.date_names
        case "count_metric":
            return counts
        case "rate_metric":
            return rates
        case "metric":
            return counts + rates
        case "entity":
            return tuple(dict.fromkeys(entity.entity_name for entity in config.catalogue.entities))
        case "family_method":
            return tuple(FAMILY_OF_METHOD)


@dataclass(frozen=True)
class OneOf:
    """Marks a string that must be one of the names that the configuration has of this kind."""

    kind: NameKind

    def check(self, value: str, info: ValidationInfo) -> str:
        """Refuse another name.

        Raises:
            ValueError: names what is allowed.
        """
        if not isinstance(info.context, GeneratorConfig):
            raise TypeError(f"the validation context is {info.context!r}; it must be the GeneratorConfig of the data")
        allowed = names_of(self.kind, info.context)
        if value in allowed:
            return value
        if self.kind == "date":
            raise ValueError(f"must be an ISO date from {allowed[0]} to {allowed[-1]}")
        raise ValueError(f"must be one of {', '.join(allowed)}" if allowed else "this funnel has no conversion rate")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), MARK: self.kind}


class Distinct:
    """Marks a list whose items must differ."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}

    @staticmethod
    def check(value: Sequence[Hashable]) -> Sequence[Hashable]:
        """Refuse an item that is given twice.

        Raises:
            ValueError: if there is one.
        """
        if len(set(value)) != len(value):
            raise ValueError("must name each item once")
        return value


def fill_names(node: Any, config: GeneratorConfig) -> Any:
    """A JSON schema with each mark replaced by the names of the configuration, and without titles."""
    if isinstance(node, Mapping):
        filled = {key: fill_names(item, config) for key, item in node.items() if key not in (MARK, "title")}
        kind: NameKind | None = node.get(MARK)
        if kind == "date":
            filled |= {"format": "date"}
        elif kind is not None:
            filled |= {"enum": list(names_of(kind, config))}
        return filled
    return [fill_names(item, config) for item in node] if isinstance(node, list) else node


def marks_in(node: Any) -> set[NameKind]:
    """The kinds of names that a JSON schema asks for."""
    if isinstance(node, Mapping):
        own: set[NameKind] = {node[MARK]} if MARK in node else set()
        return own.union(*map(marks_in, node.values()))
    return set().union(*map(marks_in, node)) if isinstance(node, list) else set()


def _row_schema() -> dict[str, Any]:
    """The JSON schema of a submission row, with marks for the names."""
    schema = MetricSubmissionRow.model_json_schema()
    schema.pop("description", None)
    schema["properties"]["date"][MARK] = "date"
    schema["properties"]["entity_name"][MARK] = "entity"
    return schema


Date = Annotated[str, OneOf("date")]
CountMetric = Annotated[str, OneOf("count_metric")]
RateMetric = Annotated[str, OneOf("rate_metric")]
Metric = Annotated[str, OneOf("metric")]
FamilyMethod = Annotated[str, OneOf("family_method")]

CountMetrics = Annotated[Sequence[CountMetric], Field(min_length=1), Distinct()]
RateMetrics = Annotated[Sequence[RateMetric], Field(min_length=1), Distinct()]
Metrics = Annotated[Sequence[Metric], Field(min_length=1), Distinct()]
FamilyMethods = Annotated[Sequence[FamilyMethod], Field(min_length=1), Distinct()]

Limit = Annotated[int, Field(ge=1, le=366)]
Offset = Annotated[int, Field(ge=0, le=MAX_ROWS)]
Multiplier = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
Threshold = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
# A bad row is a finding of the preview, not a bad call, so that rows are not checked as arguments.
SubmittedRow = Annotated[RowInput, SkipValidation, WithJsonSchema(_row_schema())]
SubmittedRows = Annotated[Sequence[SubmittedRow], Field(max_length=CALL_ROWS)]
PreviewedRows = Annotated[Sequence[SubmittedRow], Field(max_length=PREVIEW_ROWS)]
