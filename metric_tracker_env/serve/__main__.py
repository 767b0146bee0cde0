"""``python -m metric_tracker_env.serve``: start a server on the loopback address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

# Module of this package whose ``main`` serves, and what it serves. Only the one that is asked for is loaded.
DOORS = {
    "openenv": ("openenv_app", "an OpenEnv server: sessions over WebSocket, each with an engine of its own"),
    "mcp": ("mcp_server", "an MCP server: the tools for any MCP client"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the server that the first argument names; the others are its own.

    Args:
        arguments: Of the command line; None for the program's.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m metric_tracker_env.serve", description="Start a server.")
    doors = parser.add_subparsers(dest="door", required=True)
    for name, (_, what) in DOORS.items():
        doors.add_parser(name, add_help=False, help=what)
    door, rest = parser.parse_args(given[:1]).door, given[1:]
    import_module(f"metric_tracker_env.serve.{DOORS[door][0]}").main(rest)


if __name__ == "__main__":
    main()
