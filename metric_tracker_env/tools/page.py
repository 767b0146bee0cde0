"""The documentation page of the tools, made from their signatures and docstrings: ``docs/tools.md``.

``python -m metric_tracker_env.tools.page > docs/tools.md`` writes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.tools.registry import TOOLS, ToolSpec, parse_docstring
from metric_tracker_env.tools.toolkit import SharedAnalysisToolkit

HEAD = """# The analysis tools

Each is a method of `SharedAnalysisToolkit` (a result object), of `Investigation` (compact JSON, under a budget), and a
function of the OpenEnv and MCP servers. This page is made from their signatures and docstrings by
`python -m metric_tracker_env.tools.page`; names and dates are those of the default configuration.
"""


def tools_page(config: EnvConfig) -> str:
    """The page in Markdown: an index, then each tool with its cost, arguments and result."""
    told = {name: (spec.price(config.costs), _parts(name)[0][0]) for name, spec in TOOLS.items()}
    index = [f"| [`{name}`](#{name}) | {cost} | {summary} |" for name, (cost, summary) in told.items()]
    sections = [_section(name, spec, config) for name, spec in TOOLS.items()]
    return "\n".join([HEAD, "| tool | cost | what it does |", "|---|---|---|", *index, "", *sections])


def _parts(name: str) -> tuple[list[str], dict[str, str]]:
    """Paragraphs of a tool's docstring, and the description of each argument."""
    text, described = parse_docstring(getattr(SharedAnalysisToolkit, name).__doc__ or "")
    return text.split("\n\n"), described


def _section(name: str, spec: ToolSpec, config: EnvConfig) -> str:
    paragraphs, described = _parts(name)
    lines = [f"## {name}", "", f"Costs: {spec.price(config.costs)}.", "", "\n\n".join(paragraphs), ""]
    schema = spec.parameter_schema(config.generator)
    if described and schema is not None:
        lines += ["| argument | type | default | meaning |", "|---|---|---|---|"]
        for argument, meaning in described.items():
            if argument in schema["properties"]:
                field = spec.arguments.model_fields[argument]
                default = "required" if field.is_required() else f"`{field.default!r}`"
                lines.append(f"| `{argument}` | {_kind(schema['properties'][argument])} | {default} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(item) for item in schema["anyOf"])
    if "enum" in schema:
        return f"one of {len(schema['enum'])} names"
    kind = str(schema.get("type", "value"))
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    bounds = f", {low:g} to {high:g}" if low is not None and high is not None else ""
    return {"string": "date" if schema.get("format") == "date" else "text", "object": "row"}.get(kind, kind) + bounds


if __name__ == "__main__":
    print(tools_page(EnvConfig()), end="")
