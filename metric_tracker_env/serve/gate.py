"""Who may come in: requests by the server's own names, from no other web page, and with the token if there is one.

A page in a browser can send requests to a server on the same machine, and can have a name of its own point there (DNS
rebinding). Such requests carry the page's ``Origin``, or its name in ``Host``, and are refused before anything else is
looked at; so is a session over a WebSocket, which browsers let any page open.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from metric_tracker_env.serve.limits import App, Message, Receive, Send, refuse_websocket, send_error

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
HOSTS_VARIABLE = "METRIC_TRACKER_ALLOW_HOST"  # further names, apart by spaces
TOKEN_VARIABLE = "METRIC_TRACKER_TOKEN"
SHORTEST_TOKEN = 16  # characters
FORBIDDEN, MISDIRECTED, UNAUTHORIZED = 403, 421, 401  # RFC 9110 section 15.5
OPEN_PATHS = ("/health", "/ready")  # for whoever watches the server; they tell of no episode


class Gate:
    """ASGI middleware that lets in whom it should.

    Args:
        app: The ASGI application.
        hosts: Names and addresses, without a port, that clients reach the server by, beside the loopback's.
        token: What each request must carry as ``Authorization: Bearer TOKEN``; None lets everybody in.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in (*hosts, *LOOPBACK_NAMES))
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI asks."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        fault = self._fault(scope)
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send_error(send, *fault)
        else:
            await receive()  # the connect
            await refuse_websocket(scope, send, *fault)

    def _fault(self, scope: Message) -> tuple[int, str, str] | None:
        """Why a request may not come in: status, code and words."""
        hosts, origins, tokens = (_values(scope, name) for name in (b"host", b"origin", b"authorization"))
        if len(hosts) != 1 or _name_of(hosts[0]) not in self._hosts:
            return MISDIRECTED, "unknown_host", "the server is not known by this name; --allow-host NAME makes it so"
        if any(not _is_page_of(origin, self._hosts) for origin in origins):
            return FORBIDDEN, "foreign_origin", "web pages of other origins may not use this server"
        if self._token is None or (scope["type"] == "http" and scope["path"] in OPEN_PATHS):
            return None
        scheme, _, given = (tokens[0] if len(tokens) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            return UNAUTHORIZED, "unauthorized", "the request needs the header Authorization: Bearer TOKEN"
        return None


def token_of(file: Path | None) -> str | None:
    """The token of a file, or else of the environment variable; None if there is neither.

    Raises:
        ValueError: if the file cannot be read, or the token is too short or more than one line of plain characters.
    """
    if file is not None:
        try:
            token, source = file.read_text(encoding="ascii").strip(), f"the file {file}"
        except (OSError, UnicodeError) as error:
            raise ValueError(f"the file {file} has no token that can be read: {error}") from error
    elif TOKEN_VARIABLE in os.environ:
        token, source = os.environ[TOKEN_VARIABLE].strip(), f"the environment variable {TOKEN_VARIABLE}"
    else:
        return None
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError(f"the token of {source} must be one word of at least {SHORTEST_TOKEN} plain characters")
    return token


def hosts_of(given: Iterable[str] = ()) -> tuple[str, ...]:
    """The names that were given, and those of the environment variable."""
    return (*given, *os.environ.get(HOSTS_VARIABLE, "").split())


def _values(scope: Message, name: bytes) -> list[str]:
    """What a request's headers of a name hold."""
    return [value.decode("latin-1") for header, value in scope.get("headers", ()) if header.lower() == name]


def _name_of(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host.strip().lower()


def _is_page_of(origin: str, hosts: Collection[str]) -> bool:
    """Whether an Origin header names a page that one of the hosts serves."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and _name_of(parts.netloc) in hosts


__all__ = ["HOSTS_VARIABLE", "TOKEN_VARIABLE", "Gate", "hosts_of", "token_of"]
