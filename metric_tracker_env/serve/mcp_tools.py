"""The tools of the MCP server as MCP lists them: ``begin``, and the calls of a session, what they take and answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mcp.types as types
from pydantic import BaseModel, Field, create_model

from metric_tracker_env.config import ConfigModel, EpisodeOptions, GeneratorConfig, Seed
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.scoring import Grade
from metric_tracker_env.session import PlayedEpisode, call_schemas
from metric_tracker_env.session.schemas import CALLS
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.tools.tables import SAID_BEFORE

BEGIN = "begin"
STANDING: dict[str, Any] = {
    "ok": {"type": "boolean", "description": "Whether the call was carried out."},
    "cost": {"type": "integer", "description": "Units that it cost."},
    "budget_left": {"type": "integer", "description": "Units left, until the episode ends."},
    "calls_left": {"type": "integer", "description": "Calls left, until the episode ends."},
    "done": {"type": "boolean", "description": "True once the episode is over; then with grade and reward."},
    "reward": {"type": "number", "description": "Of the whole episode."},
}


BEGUN: dict[str, Any] = {
    "properties": {
        "brief": {"type": "string", "description": "What the data are, what to submit, the budget and the tools."},
        "practice": {
            "type": "boolean",
            "description": "True if the session has played the seed to its end before, so that it may know the truth.",
        },
    },
    "required": ["brief"],
}


class SeedArgument(ConfigModel):
    """What ``begin`` takes."""

    seed: Seed | None = Field(default=None, description="Of the episode; the same seed is the same episode.")


class NoArguments(ConfigModel):
    """What ``begin`` takes where the server chooses the episodes."""


def begin_arguments(chosen_by_server: bool, options: bool = False) -> type[ConfigModel]:
    """What ``begin`` takes.

    Args:
        chosen_by_server: Whether the server chooses seed and task.
        options: Whether a client may give the options of an episode.
    """
    fields: dict[str, Any] = {}
    if not chosen_by_server:
        shown: dict[str, Any] = {"enum": [*TASKS, None]}
        fields["task"] = (
            str | None,
            Field(default=None, description="Named task.", json_schema_extra=shown, max_length=80),
        )
    if options:
        for name, field in EpisodeOptions.model_fields.items():
            told = f"{field.description} By default the task's own."
            fields[name] = (field.annotation | None, Field(default=None, description=told))  # pyright: ignore[reportOperatorIssue]
    base = NoArguments if chosen_by_server else SeedArgument
    return create_model("BeginArguments", __base__=base, __doc__=base.__doc__, **fields)


def tools_of(generators: Iterable[GeneratorConfig], arguments: type[ConfigModel]) -> list[types.Tool]:
    """``begin`` with its arguments, and the calls of the sessions that a client may begin.

    Args:
        generators: Of the tasks that may be played. A tool that only some of them have is listed; where there is
            nothing for it to look at, its answer says so.
        arguments: Of ``begin``.
    """
    functions: dict[str, dict[str, Any]] = {}
    for generator in generators:
        for schema in call_schemas(generator):
            functions.setdefault(schema["function"]["name"], schema["function"])
    begin = types.Tool(
        name=BEGIN,
        title="Begin",
        description="Begin an episode, which ends one that is under way. Returns: The brief.",
        inputSchema=arguments.model_json_schema(),
        outputSchema=schema_of({"result": result_schema({}) | BEGUN}, ("ok", "result")),
        annotations=hints(reads=False),
    )
    return [begin, *(listed(function) for function in functions.values())]


def listed(function: dict[str, Any]) -> types.Tool:
    """A call of a session as MCP lists it."""
    name = function["name"]
    return types.Tool(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=function["description"],
        inputSchema=function["parameters"],
        outputSchema=output_schema(name),
        annotations=hints(reads=name != SUBMIT),
    )


def hints(reads: bool) -> types.ToolAnnotations:
    """What a client may know of a call: a tool looks at data and spends budget, the others begin or end an episode."""
    return types.ToolAnnotations(
        readOnlyHint=reads, destructiveHint=not reads, idempotentHint=reads, openWorldHint=False
    )


def output_schema(name: str) -> dict[str, Any]:
    """JSON schema of what a call that was carried out is answered."""
    result = CALLS[name].result
    if result is None:  # submit
        return schema_of({}, ("ok", "cost", "done", "grade", "reward"))
    said = SAID_BEFORE.get(result, ())
    fields = {name: _described(field.description) for name, field in result.model_fields.items() if name not in said}
    return schema_of({"result": result_schema(fields)}, ("ok", "cost", "result"))


def result_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of a result with these fields."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def schema_of(parts: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    """JSON schema of an answer with these parts beside what every answer may have."""
    grade = {"grade": _object_of(Grade), "episode": _object_of(PlayedEpisode)}
    return {"type": "object", "properties": {**STANDING, **parts, **grade}, "required": list(required)}


def _object_of(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a model, field by field, without the types inside of it."""
    fields = {name: _described(field.description) for name, field in model.model_fields.items()}
    return {"type": "object", "properties": fields}


def _described(description: str | None) -> dict[str, Any]:
    return {"description": description} if description else {}
