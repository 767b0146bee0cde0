"""The border of the MCP server: what comes in over HTTP or stdio is a message that the protocol's library can answer.

The library keeps the answer that a request waits for under the request's id. A second one of the same session and id
took the place of the first, so that answers were swapped or lost and the connections hung: here it is refused while the
first is under way. The library answers what is no JSON, no UTF-8 or no message at all with a traceback or not at all:
here it has the error that JSON-RPC names. A session that says much waits for its turn. And a new client that finds all
sessions taken has the place of the one that has been silent for longest, if that is long enough.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO

import anyio
from mcp.types import JSONRPCMessage
from pydantic import ValidationError

from metric_tracker_env.serve.limits import (
    RETRY_SECONDS,
    App,
    Message,
    Receive,
    Send,
    ServeLimits,
    TokenBucket,
    further_calls,
    further_headers,
    replayed,
)
from metric_tracker_env.serve.messages import MAX_DEPTH, deeper_than, read_message

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603  # JSON-RPC 2.0, section 5.1
SESSION_HEADER = b"mcp-session-id"
Id = str | int | None


def rpc_error(code: int, told: str, request: Id = None) -> bytes:
    """A JSON-RPC error."""
    return json.dumps({"jsonrpc": "2.0", "id": request, "error": {"code": code, "message": told}}).encode()


class BadMessageError(ValueError):
    """What the sender of a message is answered: a JSON-RPC error."""

    def __init__(self, code: int, told: str, request: Id = None) -> None:
        super().__init__(told)
        self.answer = rpc_error(code, told, request)


def checked(text: str | bytes) -> Id:
    """Look at a message before the library does.

    Returns:
        The id of a request; None of what is answered by nothing.

    Raises:
        BadMessageError: if it is no message.
    """
    try:
        message = read_message(text)
    except ValueError as error:
        raise BadMessageError(PARSE_ERROR, str(error)) from error
    if not isinstance(message, dict):
        raise BadMessageError(INVALID_REQUEST, "a message is a JSON object; lists of messages are not taken")
    given = message.get("id")
    request = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    if deeper_than(MAX_DEPTH, message):
        told = f"the message is nested too deep; at most {MAX_DEPTH} levels are allowed"
        raise BadMessageError(INVALID_REQUEST, told, request)
    try:
        JSONRPCMessage.model_validate(message)
    except ValidationError as error:
        told = "the message is no request, notification or response of JSON-RPC 2.0"
        raise BadMessageError(INVALID_REQUEST, told, request) from error
    if "id" in message and "method" in message and request is None:  # the library would take it for a notification
        raise BadMessageError(INVALID_REQUEST, "the id of a request is a text or a whole number")
    return request if "method" in message else None


class Border:
    """ASGI middleware before the library's endpoint, for POST and DELETE.

    Args:
        app: The endpoint.
        limits: The limits.
        taken: Tells how many sessions there are.
    """

    def __init__(self, app: App, limits: ServeLimits, taken: Callable[[], int]) -> None:
        self._app, self._limits, self._taken = app, limits, taken
        self._asked: set[tuple[str, str]] = set()  # session and id of the requests under way
        self._used: dict[str, float] = {}  # when a session was last heard, that which is silent for longest first
        self._buckets: dict[str, TokenBucket] = {}  # of the same sessions

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        message = await receive()  # the whole body, which the limits have let pass
        body = message.get("body", b"")
        session = next((value.decode("latin-1") for name, value in scope["headers"] if name == SESSION_HEADER), None)
        bucket = self._buckets.get(session or "")
        if bucket is not None:
            # What is much to read, or was much to answer, waits for its turn, in which others go on.
            while (wait := bucket.take(asyncio.get_running_loop().time())) > 0.0:
                if wait > self._limits.answer_seconds:
                    told = f"too many calls; try again in {wait:.0f} s"
                    await answer(send, 429, rpc_error(INVALID_REQUEST, told), wait)
                    return
                await asyncio.sleep(wait)
            bucket.charge(further_calls(len(body)))
        try:
            request = checked(body)
        except BadMessageError as error:
            await answer(send, 400, error.answer)
            return
        if session is None:
            await self._begin(scope, replayed(body, receive), send)
            return
        asked = session, str(request)  # the library knows 1 and "1" by the same name
        if request is not None and asked in self._asked:
            told = "a request of this session with this id is under way; an id is used once"
            await answer(send, 400, rpc_error(INVALID_REQUEST, told, request))
            return
        self._hear(session)
        if request is None:
            await self._app(scope, replayed(body, receive), send)
            return
        self._asked.add(asked)
        answered = True
        try:
            answered = await self._bounded(scope, replayed(body, receive), _charged(send, bucket), request)
        finally:
            if answered:  # else the answer may come yet, and would be taken for that to another of the same id
                self._asked.discard(asked)
            self._hear(session)

    async def _bounded(self, scope: Message, receive: Receive, send: Send, request: Id) -> bool:
        """Have a request answered within the time for it; whether it was."""
        started = False

        async def told(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                await self._app(scope, receive, told)
        except TimeoutError:
            if not started:
                words = f"the request was not answered within {self._limits.answer_seconds:g} s"
                await answer(send, 504, rpc_error(INTERNAL_ERROR, words, request))
            return False
        return True

    async def _begin(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request that opens a session."""
        if self._taken() >= self._limits.max_sessions and not await self._free(scope):
            told = f"all {self._limits.max_sessions} sessions are taken; try again later"
            await answer(send, 503, rpc_error(INTERNAL_ERROR, told), RETRY_SECONDS)
            return

        async def heard(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                for name, value in message["headers"]:
                    if name.lower() == SESSION_HEADER:
                        self._open(value.decode("latin-1"))
            await send(message)

        await self._bounded(scope, receive, heard, None)

    def _open(self, session: str) -> None:
        """A session has begun."""
        now = asyncio.get_running_loop().time()
        self._buckets[session] = TokenBucket(self._limits.calls_per_second, self._limits.call_burst, now)
        self._used[session] = now
        if len(self._used) > 2 * self._limits.max_sessions:  # of sessions that have ended
            self._forget(next(iter(self._used)))

    def _hear(self, session: str) -> None:
        """A session was heard just now."""
        if self._used.pop(session, None) is not None:
            self._used[session] = asyncio.get_running_loop().time()

    def _forget(self, session: str) -> None:
        del self._used[session], self._buckets[session]
        self._asked = {asked for asked in self._asked if asked[0] != session}

    async def _free(self, scope: Message) -> bool:
        """End the session that has been silent for longest, if that is long enough; whether there is a place now."""
        now = asyncio.get_running_loop().time()
        for session, used in list(self._used.items()):
            if now - used < self._limits.yield_seconds:
                return False
            if any(name == session for name, _ in self._asked):
                continue
            self._forget(session)
            headers = [(name, value) for name, value in scope["headers"] if name == b"host"]
            headers.append((SESSION_HEADER, session.encode("latin-1")))
            await self._app({**scope, "method": "DELETE", "headers": headers}, _nothing, _unheard)
            for _ in range(50):  # its end takes a few turns of the loop
                if self._taken() < self._limits.max_sessions:
                    return True
                await asyncio.sleep(0.01)
        return False


async def answer(send: Send, status: int, body: bytes, retry_after: float | None = None) -> None:
    """Answer a request with JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += further_headers(status, retry_after)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _charged(send: Send, bucket: TokenBucket | None) -> Send:
    """A ``send`` whose bytes count as calls of a session."""

    async def told(message: Message) -> None:
        if bucket is not None:
            bucket.charge(further_calls(len(message.get("body", b""))))
        await send(message)

    return told


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    del message


class Lines:
    """Standard input and output as the library's stdio transport takes them: lines of text that are messages.

    A line that is no message is answered with an error, and the client's next is read.

    Args:
        most: Bytes of the longest line.
        incoming: Binary standard input.
        outgoing: Binary standard output.
    """

    def __init__(self, most: int, incoming: BinaryIO | None = None, outgoing: BinaryIO | None = None) -> None:
        self._most = most
        self._incoming = incoming or sys.stdin.buffer
        self._outgoing = outgoing or sys.stdout.buffer
        self._turn = anyio.Lock()

    async def __aiter__(self) -> AsyncIterator[str]:
        while line := await anyio.to_thread.run_sync(self._line):
            if not line.strip():
                continue
            try:
                if len(line) > self._most:
                    told = f"the message is too large; at most {self._most} bytes are allowed"
                    raise BadMessageError(INVALID_REQUEST, told)
                checked(line)
            except BadMessageError as error:
                await self.write(error.answer.decode() + "\n")
            else:
                yield line.decode("utf-8")

    def _line(self) -> bytes:
        """The next line; of one that is too long the beginning. Empty at the end."""
        line = self._incoming.readline(self._most + 1)
        while line and not line.endswith(b"\n") and len(line) > self._most:
            more = self._incoming.readline(self._most + 1)
            if not more or more.endswith(b"\n"):
                break
        return line

    async def write(self, text: str) -> None:
        """Write a message."""
        async with self._turn:
            await anyio.to_thread.run_sync(self._put, text.encode())

    async def flush(self) -> None:
        """Nothing is held back."""

    def _put(self, data: bytes) -> None:
        self._outgoing.write(data)
        self._outgoing.flush()
