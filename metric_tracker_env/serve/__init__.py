"""Servers that let agents of other programs play: an OpenEnv server and an MCP server (extra ``serve``).

``python -m metric_tracker_env.serve openenv`` and ``python -m metric_tracker_env.serve mcp`` start them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# Looked up, not imported: openenv takes seconds to load, and either server needs only some of them.
_MISSING = [name for name in ("mcp", "openenv", "uvicorn") if find_spec(name) is None]
if _MISSING:
    _TOLD = (
        f"metric_tracker_env.serve needs {', '.join(_MISSING)}; "
        "install what is missing with: pip install 'metric_tracker_env[serve]'"
    )
    # Python keeps "-m" there while it looks for the module of a command, which is told in one line.
    raise SystemExit(_TOLD) if sys.argv[:1] == ["-m"] else ImportError(_TOLD)
