"""Everything that a player may call: the tools and ``submit``, and their JSON schemas."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Protocol

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.tools import TOOLS, ToolSpec, tool_schemas
from metric_tracker_env.tools.arguments import SubmittedRows
from metric_tracker_env.tools.registry import function_schema, tool_spec


class Submission(Protocol):
    """What ``submit`` takes; the schemas of the tools are made from their signatures, and so is this one."""

    def submit(self, rows: SubmittedRows) -> str:
        """Submit the anomaly rows; the one submission of the episode, which ends it.

        Args:
            rows: One row for each anomaly that you found, and no others. A row counts only if a paid call has shown
                its cell.

        Returns:
            The grade: score, precision, recall, accuracy of the fields, counts of rows, and each fault in words.
        """
        ...


SUBMIT_TOOL = tool_spec(Submission.submit, "free")
CALLS: dict[str, ToolSpec] = {**TOOLS, SUBMIT: SUBMIT_TOOL}


def call_schemas(config: GeneratorConfig) -> list[dict[str, Any]]:
    """The tools and ``submit`` in OpenAI's function form, with the names and dates of a configuration."""
    return json.loads(_made(config)[0])


def call_names(config: GeneratorConfig) -> tuple[str, ...]:
    """The tools that a configuration gives something to work on, and ``submit``."""
    return _made(config)[1]


def _made(config: GeneratorConfig) -> tuple[str, tuple[str, ...]]:
    return _schemas(config)  # pyright: ignore[reportArgumentType] - it is frozen, and so hashable


@lru_cache(maxsize=16)
def _schemas(config: GeneratorConfig) -> tuple[str, tuple[str, ...]]:
    """As JSON, with their names: making them takes tens of milliseconds, and what is handed out may be changed."""
    submit = function_schema(SUBMIT_TOOL, config)
    found = tool_schemas(config) if submit is None else [*tool_schemas(config), submit]
    return json.dumps(found), tuple(item["function"]["name"] for item in found)
