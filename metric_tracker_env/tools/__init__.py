"""The analysis tools: 24 named methods over the data of one episode, with typed arguments and JSON results."""

from metric_tracker_env.tools.registry import TOOLS, CostClass, ToolError, ToolSpec, tool_schemas
from metric_tracker_env.tools.toolkit import SharedAnalysisToolkit, call_tool

__all__ = ["TOOLS", "CostClass", "SharedAnalysisToolkit", "ToolError", "ToolSpec", "call_tool", "tool_schemas"]
