"""A running OpenEnv server, and what a client says to it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from helpers_serve import PATIENCE, listening
from websockets.sync.client import ClientConnection, connect

from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.serve.openenv_app import OpenEnvServer, make_server
from metric_tracker_env.serve.openenv_client import InvestigationAction, InvestigationClient

NAMED = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
SEED = 1_987_654_321
DEEP = "[" * 900 + "]" * 900
SECRET = "File /srv/private.py: seed 1234567"
TRACES = ("Traceback", ".py", "site-packages", "pydantic", "0x")


class Live:
    """A running server, and what its sessions hold."""

    def __init__(self, address: str, server: OpenEnvServer) -> None:
        self.http, self.ws = f"http://{address}", f"ws://{address}/ws"
        self.address, self._server = address, server
        host, port = address.split(":")
        self.place = (host, int(port))

    @property
    def sessions(self) -> int:
        return max(self._server.sessions.active_sessions, self._server.guard.sessions)

    def client(self) -> Any:
        """A synchronous client, to be entered."""
        return InvestigationClient(base_url=self.http).sync()

    def raw(self, suffix: str = "") -> ClientConnection:
        """A connection that sends what it is told to, to be entered."""
        return connect(self.ws + suffix, proxy=None, open_timeout=PATIENCE, close_timeout=PATIENCE, max_size=2**24)


@contextlib.contextmanager
def live(task: str | None = None, token: str | None = None, **limits: Any) -> Iterator[Live]:
    """A server with limits of its own."""
    settings = ServeLimits(**limits)
    server = make_server(settings, task, token=token)
    with listening(server.app, settings) as address:
        yield Live(address, server)


def asked(connection: ClientConnection, message: object) -> str:
    """The answer to a message, as it comes."""
    connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return str(connection.recv(timeout=PATIENCE))


def error_of(text: str) -> dict[str, str]:
    """The error in a message, which holds nothing else."""
    message = json.loads(text)
    assert message["type"] == "error", text
    assert set(message["data"]) == {"message", "code"}
    assert not [trace for trace in TRACES if trace in text]
    return message["data"]


def step(tool: str, **arguments: object) -> dict[str, Any]:
    return {"type": "step", "data": {"tool": tool, "arguments": arguments}}


def caller(client: Any) -> Callable[[str, dict[str, Any]], str]:
    """A door of words to a client's session."""

    def call(tool: str, arguments: dict[str, Any]) -> str:
        return client.step(InvestigationAction(tool=tool, arguments=arguments)).observation.answer

    return call
