"""The JSON schemas of the tools: complete, valid, and in step with what a call accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from helpers_view import MON, SUN, TINY_CONFIG, tiny_view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metric_tracker_env import MetricDataGenerator
from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig, ToolCosts, WorldConfig
from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.tools import TOOLS, CostClass, SharedAnalysisToolkit, call_tool, tool_schemas
from metric_tracker_env.tools.registry import ViewTools, parse_docstring, tool
from metric_tracker_env.tools.results import EntityList
from metric_tracker_env.view import MetricView

DEFAULT, WORLD = GeneratorConfig(), GeneratorConfig(world=WorldConfig())
NO_RATES = GeneratorConfig(steps=(FunnelStep(name="orders", rate=0.5),), conversion_definitions=(), num_weeks=1)
# Keywords of JSON Schema 2020-12 that the schemas use, and what each holds.
KEYWORDS: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "description": str,
    "default": (int, float, type(None)),
    "enum": list,
    "format": str,
    "properties": dict,
    "required": list,
    "additionalProperties": bool,
    "items": dict,
    "anyOf": list,
    "minItems": int,
    "maxItems": int,
    "uniqueItems": bool,
    "minimum": (int, float),
    "maximum": (int, float),
    "exclusiveMinimum": (int, float),
}
# What an argument of each name takes, and its default, in whichever tool.
LIMITS: dict[str, dict[str, Any]] = {
    "limit": {"minimum": 1, "maximum": 366, "default": 30},
    "offset": {"minimum": 0, "maximum": 100_000, "default": 0},
    "threshold_multiplier": {"minimum": 0.01, "maximum": 100, "default": 1.0},
    "threshold": {"exclusiveMinimum": 0, "maximum": 1e9},
    "metric_names": {"minItems": 1, "uniqueItems": True, "default": None},
    "generator_methods": {"minItems": 1, "uniqueItems": True},
    "rows": {"maxItems": 100},
}
TYPES = {"object", "array", "string", "number", "integer", "null"}


def parameters_of(config: GeneratorConfig) -> dict[str, dict[str, Any]]:
    """Parameter schema by tool name."""
    return {item["function"]["name"]: item["function"]["parameters"] for item in tool_schemas(config)}


def assert_valid_schema(schema: Mapping[str, Any]) -> None:
    """Only known keywords with values of the right kind, non-empty enums, and requirements that exist."""
    for keyword, value in schema.items():
        assert keyword in KEYWORDS, keyword
        assert isinstance(value, KEYWORDS[keyword]), (keyword, value)
    assert schema.get("type") in TYPES or "anyOf" in schema
    assert schema.get("enum", ["any"])
    assert set(schema.get("required", [])) <= set(schema.get("properties", {}))
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
        assert_valid_schema(part)


def from_schema(schema: Mapping[str, Any], config: GeneratorConfig) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    if "anyOf" in schema:
        return st.one_of([from_schema(option, config) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date":
        return st.sampled_from(config.date_names)
    match schema["type"]:
        case "null":
            return st.none()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1e9))
            excluded = "exclusiveMinimum" in schema
            return st.floats(low, schema.get("maximum", 1e9), exclude_min=excluded, allow_nan=False)
        case "array":
            items = from_schema(schema["items"], config)
            unique = schema.get("uniqueItems", False)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=3, unique=unique)
        case "object":
            fields = {name: from_schema(part, config) for name, part in schema["properties"].items()}
            required = {name: fields[name] for name in schema["required"]}
            optional = {name: part for name, part in fields.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    "config", [DEFAULT, TINY_CONFIG, NO_RATES, WORLD], ids=["default", "tiny", "no rates", "world"]
)
def test_schemas_are_valid_and_complete(config: GeneratorConfig) -> None:
    """Every tool is a function with a description, and every argument has one; nothing else is accepted."""
    for item in tool_schemas(config):
        assert set(item) == {"type", "function"}
        assert item["type"] == "function"
        function = item["function"]
        assert set(function) == {"name", "description", "parameters"}
        assert function["description"].count("Returns: ") == 1
        parameters = function["parameters"]
        assert parameters["type"] == "object"
        assert parameters["additionalProperties"] is False
        assert_valid_schema(parameters)
        for name, argument in parameters["properties"].items():
            assert name in TOOLS[function["name"]].parameters
            assert argument["description"].endswith("."), name
        assert json.loads(json.dumps(item)) == item


def test_every_tool_has_a_schema() -> None:
    """The default funnel in a world has something for all 25 tools, and each argument is in its schema."""
    found = parameters_of(WORLD)
    assert list(found) == list(TOOLS)
    assert len(found) == 25
    assert {name: tuple(schema["properties"]) for name, schema in found.items()} == {
        name: spec.parameters for name, spec in TOOLS.items()
    }


def test_the_tool_of_the_world_is_offered_in_a_world_alone() -> None:
    """Without a world the known events have no schema, and the schemas of the other tools are the same in both."""
    found = parameters_of(WORLD)
    assert found.pop("list_known_events")["properties"] == {}
    assert found == parameters_of(DEFAULT)
    assert [spec.name for spec in TOOLS.values() if spec.of_world] == ["list_known_events"]


@pytest.mark.parametrize("argument", LIMITS)
def test_arguments_have_the_limits_of_their_name(argument: str) -> None:
    """An argument takes the same numbers, and as many items, in every tool that has it; a week of raw data is shown."""
    found = {
        name: schema["properties"][argument]
        for name, schema in parameters_of(DEFAULT).items()
        if argument in schema["properties"]
    }
    assert found
    for name, schema in found.items():
        expected = LIMITS[argument] | ({"default": 7} if name == "show_raw_data" else {})
        told = schema.get("anyOf", [schema])[0] | {key: schema[key] for key in ("default",) if key in schema}
        words = {"type", "description", "items"}
        assert {key: value for key, value in told.items() if key not in words} == expected, name


def test_names_and_dates_are_those_of_the_configuration() -> None:
    """Enums hold the metrics of the funnel, and the calendar is told with each date."""
    found = parameters_of(TINY_CONFIG)
    rate, count = found["compare_rate_to_median"]["properties"], found["compare_count_to_median"]["properties"]
    assert rate["entity_name"]["enum"] == ["visit_to_signup", "visit_to_order"]
    assert count["entity_name"]["enum"] == ["visits", "signups", "orders"]
    assert count["date"]["format"] == "date"
    assert count["date"]["description"].endswith(f"From {MON} to {SUN}.")
    several = found["get_metric_median"]["properties"]["metric_names"]["anyOf"][0]
    assert several["items"]["enum"] == ["visits", "signups", "orders", "visit_to_signup", "visit_to_order"]
    assert len(found["payload_generator"]["properties"]["generator_methods"]["items"]["enum"]) == 7
    assert found["payload_generator"]["properties"]["generator_methods"]["uniqueItems"] is True


def test_rows_have_the_schema_of_a_submission_row() -> None:
    """The rows of a preview are described field by field."""
    row = parameters_of(TINY_CONFIG)["preview_submission"]["properties"]["rows"]["items"]
    assert set(row["properties"]) == set(row["required"]) == set(MetricSubmissionRow.model_fields)
    assert "visits:daytime_share" in row["properties"]["entity_name"]["enum"]


def test_a_funnel_without_rates_has_no_arguments_for_them() -> None:
    """An argument without a legal value is left out, and so is the tool that cannot do without it."""
    found = parameters_of(NO_RATES)
    assert set(TOOLS) - set(found) == {"compare_rate_to_median", "list_known_events"}
    assert list(found["get_rate_drop_from_median_rows"]["properties"]) == [
        "threshold_multiplier",
        "limit",
        "offset",
    ]


@pytest.mark.parametrize("name", list(TOOLS))
def test_whatever_the_schema_allows_the_tool_accepts(name: str) -> None:
    """Arguments drawn from a tool's schema are accepted, and the result is JSON, in a world and where it is offered."""
    views = [view for view in (tiny_view(), world_view()) if TOOLS[name].offered(view.config)]
    assert len(views) == 1 + (not TOOLS[name].of_world)
    for view in views:
        assert_accepts(name, view)


def world_view() -> MetricView:
    """The data of an episode of the realistic world."""
    return MetricDataGenerator(WORLD).generate_episode(EpisodeConfig(seed=4, anomaly_count=2)).view


def assert_accepts(name: str, view: MetricView) -> None:
    """A tool accepts whatever its schema allows."""
    toolkit = SharedAnalysisToolkit(view)

    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(from_schema(parameters_of(view.config)[name], view.config))
    def accepts(arguments: dict[str, object]) -> None:
        if arguments.get("metric_name") is not None:
            arguments.pop("metric_names", None)  # the one rule that spans two arguments
        result = call_tool(toolkit, name, arguments)
        assert json.loads(json.dumps(result, allow_nan=False)) == result

    accepts()


@pytest.mark.parametrize("name", list(TOOLS))
def test_a_tool_is_described_as_data(name: str) -> None:
    """What describes a tool can be written as JSON, without the model of its arguments, and its text names no class."""
    spec = TOOLS[name]
    told = json.loads(spec.model_dump_json())
    assert set(told) == {"name", "description", "parameters", "cost", "dates_argument", "of_world", "about"}
    assert (told["name"], tuple(told["parameters"])) == (name, spec.parameters)
    assert "class" not in repr(spec)


def test_cost_classes_are_the_fields_of_tool_costs() -> None:
    """A cost class is a field of the config's costs, so that each tool has a price."""
    assert set(get_args(CostClass)) == set(ToolCosts.model_fields)
    assert all(getattr(ToolCosts(), spec.cost) >= 0 for spec in TOOLS.values())


def test_registry_refuses_duplicates_unknown_costs_and_bare_docstrings() -> None:
    """A taken name, a cost class without a price, and an argument that nobody described are errors at import."""

    def list_entities(self: ViewTools) -> EntityList:
        """List again."""
        raise NotImplementedError

    def undescribed(self: ViewTools, limit: int) -> EntityList:
        """List some."""
        raise NotImplementedError

    unknown: Any = "cheap"
    before = list(TOOLS)
    with pytest.raises(ValueError, match="'list_entities' is registered already"):
        tool(cost="free")(list_entities)
    with pytest.raises(ValueError, match=r"describes \[\]; its arguments are \['limit'\]"):
        tool(cost="free")(undescribed)
    with pytest.raises(ValueError, match="'cheap' is not one of"):
        tool(cost=unknown)
    assert list(TOOLS) == before


def test_parse_docstring_reads_google_style() -> None:
    """Summary, paragraphs and returns make the description; each argument keeps its folded lines."""
    text = """Do it.

        More about it,
        on two lines.

        Args:
            first: The first
                of two.
            second: The second.

        Returns:
            Events a day.

        Raises:
            ValueError: never.
        """
    description, arguments = parse_docstring(text)
    assert description == "Do it.\n\nMore about it, on two lines.\n\nReturns: Events a day."
    assert arguments == {"first": "The first of two.", "second": "The second."}
