"""The toolkit: every tool over one view, called as methods or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metric_tracker_env.submission import shown
from metric_tracker_env.tools.dates import DateTools
from metric_tracker_env.tools.metrics import MetricTools
from metric_tracker_env.tools.overview import OverviewTools
from metric_tracker_env.tools.registry import TOOLS, ToolError
from metric_tracker_env.tools.scans import ScanTools
from metric_tracker_env.tools.submission import SubmissionTools


class SharedAnalysisToolkit(OverviewTools, DateTools, MetricTools, ScanTools, SubmissionTools):
    """The analysis tools over the data of one episode; it holds no truth.

    Every call checks its arguments and raises ``ToolError`` for one that is not allowed.
    """


def call_tool(toolkit: SharedAnalysisToolkit, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Call a tool by name, as a language model does.

    Args:
        toolkit: Toolkit of the episode.
        name: Name of the tool.
        arguments: Arguments by name, as decoded from JSON.

    Returns:
        The result as JSON-able data.

    Raises:
        ToolError: for an unknown tool, or arguments that it refuses.
    """
    if not isinstance(name, str) or name not in TOOLS:
        raise ToolError(f"tool {shown(name)} is unknown; the tools are {', '.join(TOOLS)}")
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise ToolError(f"{name}: arguments {shown(arguments)} must be an object with the arguments by name")
    return getattr(toolkit, name)(**arguments).model_dump(mode="json")
