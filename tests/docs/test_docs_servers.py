"""The clients that the page on servers prints play through servers like those that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from helpers_docs import ROOT, blocks
from helpers_serve import listening

from metric_tracker_env.serve.limits import App, ServeLimits
from metric_tracker_env.serve.mcp_server import McpServer
from metric_tracker_env.serve.openenv_app import make_server

LIMITS = ServeLimits()
SERVERS: dict[str, Callable[[], App]] = {
    "127.0.0.1:8000": lambda: make_server(LIMITS).app,
    "127.0.0.1:8001": lambda: McpServer(limits=LIMITS).app(),
}


def test_each_client_has_a_server() -> None:
    """Every Python block of the page speaks to one of the two servers, and each server has a block."""
    programs = blocks("docs/servers.md", "python")
    assert [[place in program for place in SERVERS] for program in programs] == [[True, False], [False, True]]


@pytest.mark.parametrize("place", SERVERS)
def test_a_client_plays_an_episode(place: str) -> None:
    """A block, with a free port in the place of its own: it plays to the end, and no call of it is refused."""
    program = next(block for block in blocks("docs/servers.md", "python") if place in block)
    with listening(SERVERS[place](), LIMITS) as address:
        given = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program.replace(place, address)]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2026-03-" in done.stdout
    assert "False" not in done.stdout
    assert '"ok":false' not in done.stdout
