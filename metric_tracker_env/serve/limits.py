"""What a server bears: sessions, sizes, idle time and rates, and the ASGI middleware that holds HTTP requests to it.

It needs no server library: it is plain ASGI, for whichever server stands behind it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from pydantic import Field, StrictInt

from metric_tracker_env.config import ConfigModel, Real

# The three of ASGI, https://asgi.readthedocs.io/en/latest/specs/main.html
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOG = logging.getLogger("metric_tracker_env.serve")
BYTES = 1_073_741_824  # no limit of size goes beyond a GiB
INTERNAL_ERROR = 1011  # WebSocket close codes, RFC 6455 section 7.4.1
FAILED = "the server failed on this request; its log says why"
RETRY_SECONDS = 5.0  # after which a client that found the server full may try again
CALL_BYTES = 2048  # said or answered, that count as a call of the rate: at most a few milliseconds of work


class ServeLimits(ConfigModel):
    """What a server bears from its clients."""

    max_sessions: StrictInt = Field(default=64, ge=1, le=10_000, description="Sessions at once; a further is refused.")
    max_connections: StrictInt = Field(
        default=256, ge=1, le=100_000, description="Connections at once, of sessions and of single requests."
    )
    max_body_bytes: StrictInt = Field(default=262_144, ge=1024, le=BYTES, description="Largest body of a request.")
    max_message_bytes: StrictInt = Field(
        default=262_144, ge=1024, le=BYTES, description="Largest message of a WebSocket session."
    )
    idle_seconds: Real = Field(
        default=600.0, gt=0, le=86_400, description="A session that says nothing for so long is ended."
    )
    yield_seconds: Real = Field(
        default=120.0,
        gt=0,
        le=86_400,
        description="One that says nothing for so long gives its place to another that finds all taken.",
    )
    answer_seconds: Real = Field(
        default=60.0, gt=0, le=3600, description="A request that is not answered within so long is given up."
    )
    body_seconds: Real = Field(
        default=30.0, gt=0, le=3600, description="Time in which a request's head, and then its body, must arrive."
    )
    calls_per_second: Real = Field(
        default=100.0,
        gt=0,
        le=1e6,
        description="Calls of a session, sustained; each 2 KB that it says or is answered count as one more.",
    )
    call_burst: StrictInt = Field(default=200, ge=1, le=1_000_000, description="Calls of a session at once.")
    requests_per_second: Real = Field(
        default=100.0, gt=0, le=1e6, description="Requests of a client address, sustained; opening a session is one."
    )
    request_burst: StrictInt = Field(default=400, ge=1, le=1_000_000, description="Requests of an address at once.")


class TokenBucket:
    """Tokens that come at a rate, up to a burst; it starts full.

    Args:
        rate: Tokens a second.
        burst: Most that it holds.
        now: Seconds of any clock that does not go back; each later call gives the same clock's.
    """

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._time = float(burst), now

    def take(self, now: float) -> float:
        """Take a token.

        Returns:
            0.0 if there was one, else the seconds until there will be; none is taken then.
        """
        self._tokens = min(self._burst, self._tokens + (now - self._time) * self._rate)
        self._time = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def charge(self, tokens: float) -> None:
        """Take more tokens, which may be owed: what was taken one for has turned out to be more."""
        self._tokens -= tokens


def further_calls(size: int) -> float:
    """As how many further calls of the rate so many bytes count, said or answered."""
    return size / CALL_BYTES


class RateLimit:
    """A bucket for each key; when there are too many, that which was used longest ago is forgotten.

    Args:
        rate: Tokens a second and key.
        burst: Most that a key can take at once.
        max_keys: Keys that are kept.
    """

    def __init__(self, rate: float, burst: int, max_keys: int = 4096) -> None:
        self._rate, self._burst, self._max_keys = rate, burst, max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take a token of a key; see ``TokenBucket.take``."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return bucket.take(now)

    def __len__(self) -> int:
        return len(self._buckets)


def client_address(scope: Message) -> str:
    """The address a request came from, without its port."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def error_body(code: str, message: str) -> bytes:
    """The JSON of an error, as the middleware sends it: ``{"error": {"code": ..., "message": ...}}``."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


async def send_error(send: Send, status: int, code: str, message: str, retry_after: float | None = None) -> None:
    """Answer an HTTP request with a JSON error, and ask for the connection to be closed where a body may be unread."""
    body = error_body(code, message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status in (401, 403, 408, 413, 421, 429, 503):
        headers.append((b"connection", b"close"))
    headers += further_headers(status, retry_after)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def further_headers(status: int, retry_after: float | None) -> list[tuple[bytes, bytes]]:
    """What an error says besides: when to come again, and how to show who one is."""
    headers: list[tuple[bytes, bytes]] = []
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after) + 1).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


class LimitsMiddleware:
    """ASGI middleware that holds requests to the limits, and lets no exception's text out.

    An HTTP request is refused with a JSON error: 429 beyond the rate, 413 for a body that is too large, whether its
    length is declared or it comes in chunks, 408 for one that does not arrive. Its body is read before the app is
    called. A WebSocket connection counts as one request; what is said on it is its server's matter. An exception of
    the app is logged and becomes a JSON error, status 500, or closes the WebSocket.

    Args:
        app: The ASGI application.
        limits: The limits.
        clock: Seconds; the event loop's unless given.
        body_limits: Largest body of a request to a path, where it is another than that of the limits.
    """

    def __init__(
        self,
        app: App,
        limits: ServeLimits,
        clock: Callable[[], float] | None = None,
        body_limits: Mapping[str, int] | None = None,
    ) -> None:
        self._app, self._limits, self._clock = app, limits, clock
        self._body_limits = dict(body_limits or {})
        self._rate = RateLimit(limits.requests_per_second, limits.request_burst)
        self._websockets = 0  # that are open

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI asks."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _wait(self, scope: Message) -> float:
        """Seconds until a request is within the rate; 0.0 if it is."""
        now = self._clock() if self._clock is not None else asyncio.get_running_loop().time()
        return self._rate.take(client_address(scope), now)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        wait = self._wait(scope)
        if wait > 0.0:
            await send_error(send, 429, "too_many_requests", f"too many requests; try again in {wait:.2f} s", wait)
            return
        most = self._body_limits.get(str(scope.get("path")), self._limits.max_body_bytes)
        declared = declared_length(scope)
        if declared is not None and declared > most:
            await send_error(send, 413, "body_too_large", f"the body has {declared} bytes; at most {most} are allowed")
            return
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await read_body(receive, most)
        except TimeoutError:
            seconds = self._limits.body_seconds
            await send_error(send, 408, "body_too_slow", f"the body did not arrive within {seconds:g} s")
            return
        except ConnectionError:
            return  # nobody is there to be answered
        if body is None:
            await send_error(send, 413, "body_too_large", f"the body is too large; at most {most} bytes are allowed")
            return
        started = False

        async def told(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, replayed(body, receive), told)
        except Exception:
            LOG.exception("a request to %s failed", scope.get("path"))
            if not started:  # else the server sees an unfinished response, and closes the connection
                await send_error(send, 500, "internal_error", FAILED)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        wait = self._wait(scope)
        if wait > 0.0:
            await receive()  # the connect
            await refuse_websocket(
                scope, send, 429, "too_many_requests", f"too many requests; try again in {wait:.2f} s", wait
            )
            return
        if self._websockets >= self._limits.max_connections:
            await receive()  # the connect
            told = "too many connections; try again later"
            await refuse_websocket(scope, send, 503, "too_many_connections", told, RETRY_SECONDS)
            return
        self._websockets += 1
        try:
            await self._app(scope, receive, send)
        except Exception:
            LOG.exception("a WebSocket at %s failed", scope.get("path"))
            await send({"type": "websocket.close", "code": INTERNAL_ERROR, "reason": FAILED})
        finally:
            self._websockets -= 1


def declared_length(scope: Message) -> int | None:
    """The Content-Length of a request; None if there is none or it is no number."""
    for name, value in scope.get("headers", ()):
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return None


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None if it is larger than ``most`` bytes, and no more than that is kept.

    Raises:
        ConnectionError: if the client has gone.
    """
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has gone")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body which was read, and then goes on with the connection's."""
    given = False

    async def read() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


async def refuse_websocket(
    scope: Message, send: Send, status: int, code: str, message: str, retry_after: float | None = None
) -> None:
    """Refuse a WebSocket before it is accepted, with a JSON error if the server can send one."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    headers = [(b"content-type", b"application/json"), *further_headers(status, retry_after)]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error_body(code, message)})


__all__ = [
    "FAILED",
    "LOG",
    "App",
    "LimitsMiddleware",
    "Message",
    "RateLimit",
    "Receive",
    "Send",
    "ServeLimits",
    "TokenBucket",
    "client_address",
    "error_body",
    "further_calls",
    "further_headers",
    "refuse_websocket",
    "replayed",
    "send_error",
]
