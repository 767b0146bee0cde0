"""The schemas of the tools as an endpoint is sent them: as they are, plain for all, or strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

Mode = Literal["plain", "strict", "full"]
Schema = dict[str, Any]
# What some endpoints refuse, and what a call is told anyway when it breaks it.
REFUSED_BY_SOME = ("exclusiveMinimum", "uniqueItems", "additionalProperties", "format", "minItems", "maxItems")
NOT_IN_STRICT = ("default", "uniqueItems", "exclusiveMinimum", "minItems", "maxItems", "minimum", "maximum", "format")


def schemas_for(mode: Mode, tools: Sequence[Schema]) -> list[Schema]:
    """The tools in OpenAI's function form, with the schemas that a mode sends."""
    return [_sent(tool, MODES[mode]) for tool in tools]


def without_nulls(mode: Mode, arguments: Any) -> Any:
    """The arguments of a call; strict schemas ask for all, and null for what is left out."""
    if mode != "strict" or not isinstance(arguments, Mapping):
        return arguments
    return {name: value for name, value in arguments.items() if value is not None}


def _sent(tool: Schema, change: Callable[[Schema], Schema]) -> Schema:
    function = tool["function"]
    parameters = change(function["parameters"])
    strict = {"strict": True} if change is _strict else {}
    return {**tool, "function": {**function, "parameters": parameters, **strict}}


def _plain(schema: Schema) -> Schema:
    """Without what some endpoints refuse: no null where leaving out will do, and few keywords."""
    found = {name: value for name, value in schema.items() if name not in REFUSED_BY_SOME}
    options = [option for option in found.pop("anyOf", ()) if option.get("type") != "null"]
    if options:
        (only,) = options  # of a tool's argument there is one form besides null
        found |= _plain(only)
    if found.get("default", 0) is None:
        del found["default"]
    return _with_parts(found, _plain)


def _strict(schema: Schema) -> Schema:
    """Every object closed and every argument required; what may be left out may be null instead."""
    found = {name: value for name, value in schema.items() if name not in NOT_IN_STRICT}
    if "properties" not in found:
        return _with_parts(found, _strict)
    required, found["properties"] = set(found.get("required", ())), dict(found["properties"])
    for name, part in found["properties"].items():
        made = _strict(part)
        if name not in required and "anyOf" not in made:
            words = f"{made.pop('description')} Null is {part['default']}."
            made = {"anyOf": [made, {"type": "null"}], "description": words}
        found["properties"][name] = made
    return found | {"required": list(found["properties"]), "additionalProperties": False}


def _with_parts(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A schema whose parts are changed too."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: change(part) for name, part in found["properties"].items()}
    if "items" in found:
        found["items"] = change(found["items"])
    if "anyOf" in found:
        found["anyOf"] = [change(option) for option in found["anyOf"]]
    return found


def _full(schema: Schema) -> Schema:
    return schema


MODES: dict[Mode, Callable[[Schema], Schema]] = {"plain": _plain, "strict": _strict, "full": _full}
