"""The analysis tools: 24 named methods over the data of one episode, and one more in the realistic world."""

from metric_tracker_env.tools.registry import (
    TOOLS,
    CostClass,
    ToolError,
    ToolSpec,
    available_analysis_methods,
    available_payload_generation_methods,
    tool_schemas,
)
from metric_tracker_env.tools.toolkit import SharedAnalysisToolkit, call_tool

__all__ = [
    "TOOLS",
    "CostClass",
    "SharedAnalysisToolkit",
    "ToolError",
    "ToolSpec",
    "available_analysis_methods",
    "available_payload_generation_methods",
    "call_tool",
    "tool_schemas",
]
