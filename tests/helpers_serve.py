"""A server that runs within a test, on a free port of the loopback address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from metric_tracker_env.serve.command_line import LOOPBACK, settings
from metric_tracker_env.serve.limits import App, ServeLimits

PATIENCE = 20.0  # seconds


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, which must be soon."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.01)


@contextmanager
def listening(app: App, limits: ServeLimits) -> Iterator[str]:
    """Serve an application as the commands do; gives its address, ``127.0.0.1:port``."""
    server = uvicorn.Server(settings(app, limits, LOOPBACK, 0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        yield f"{LOOPBACK}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
