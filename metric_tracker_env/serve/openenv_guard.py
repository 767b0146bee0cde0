"""The border of a WebSocket session: what comes in is checked and paced, what goes out tells no exception.

OpenEnv's session answers what it does not expect with the text of the exception, lets a client attach itself to a
session by its id, and never ends an idle one. This ASGI middleware stands before it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from openenv.core.env_server.types import WSErrorCode, WSErrorResponse

from metric_tracker_env.serve.limits import (
    FAILED,
    RETRY_SECONDS,
    App,
    Message,
    Receive,
    Send,
    ServeLimits,
    TokenBucket,
    further_calls,
    refuse_websocket,
)
from metric_tracker_env.serve.messages import MAX_DEPTH, deeper_than, read_message
from metric_tracker_env.serve.openenv_env import REFUSED

SESSIONS = "/ws"
MESSAGE_TYPES = ("reset", "step", "state", "close")
GOING_AWAY, TOO_BIG = 1001, 1009  # WebSocket close codes, RFC 6455 section 7.4.1
ERROR_START = WSErrorResponse(data={}).model_dump_json().split(',"data"', maxsplit=1)[0]
# Errors whose text OpenEnv takes from an exception.
EXCEPTIONS = (WSErrorCode.EXECUTION_ERROR, WSErrorCode.FACTORY_ERROR, WSErrorCode.SESSION_ERROR)


class SessionGuard:
    """ASGI middleware before OpenEnv's sessions.

    A message that is no JSON object of a known type is answered with an error, and the session goes on. One beyond
    the rate waits for its turn: a client sends the next when it has the answer, so that waiting is all it takes. A
    message that is too large, silence for too long, and answers that are not taken for as long, end the session. A
    client that finds all sessions taken has the place of the one that has been silent for longest, if that is long
    enough.

    Attributes:
        limits: The limits.

    Args:
        app: The ASGI application.
        limits: The limits.
    """

    def __init__(self, app: App, limits: ServeLimits) -> None:
        self._app, self.limits = app, limits
        self._open: set[Session] = set()

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        return len(self._open)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI asks."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
        elif scope["path"] != SESSIONS:
            await receive()  # the connect
            await refuse_websocket(scope, send, 404, "not_found", f"sessions are at {SESSIONS}")
        elif b"session_id" in parse_qs(scope.get("query_string", b""), keep_blank_values=True):
            await receive()
            told = "a connection is a session of its own; it cannot be attached to another by session_id"
            await refuse_websocket(scope, send, 403, "forbidden", told)
        elif self.sessions >= self.limits.max_sessions and not await self._free():
            await receive()  # the connect
            told = f"all {self.limits.max_sessions} sessions are taken; try again later"
            await refuse_websocket(scope, send, 503, "too_many_sessions", told, RETRY_SECONDS)
        else:
            session = Session(self._app, self.limits, receive, send)
            self._open.add(session)
            try:
                await session.run(scope)
            finally:
                self._open.discard(session)

    async def _free(self) -> bool:
        """End the session that has been silent for longest, if that is long enough; whether there is a place now."""
        now = asyncio.get_running_loop().time()
        silent = [(since, session) for session in self._open if (since := session.silent_since) is not None]
        since, longest = min(silent, key=lambda item: item[0], default=(now, None))
        if longest is None or now - since < self.limits.yield_seconds:
            return False
        longest.give_way()
        for _ in range(50):  # its end takes a few turns of the loop
            if self.sessions < self.limits.max_sessions:
                return True
            await asyncio.sleep(0.01)
        return False


class Session:
    """One connection, between the client and OpenEnv."""

    def __init__(self, app: App, limits: ServeLimits, receive: Receive, send: Send) -> None:
        self._app, self._limits, self._receive, self._send = app, limits, receive, send
        self._clock = asyncio.get_running_loop().time
        self._bucket = TokenBucket(limits.calls_per_second, limits.call_burst, self._clock())
        self._ended = self._gave_way = False
        self._wait: asyncio.Timeout | None = None  # for the client's next message
        self.silent_since: float | None = None  # None while a message is being answered

    def give_way(self) -> None:
        """End, as if the idle time were over."""
        if self._wait is not None and self.silent_since is not None:
            self._gave_way = True
            self._wait.reschedule(self._clock())

    async def run(self, scope: Message) -> None:
        """Serve the session until it ends."""
        try:
            await self._app(scope, self._checked, self._told)
        except Exception:
            if not self._ended:  # else OpenEnv tried to tell a client that has gone of it
                raise

    async def _checked(self) -> Message:
        """The next message that OpenEnv may see."""
        while True:
            self.silent_since = now = self._clock()
            try:
                async with asyncio.timeout(self._limits.idle_seconds) as self._wait:
                    message = await self._receive()
            except TimeoutError:
                told = f"the session was idle for {self._limits.idle_seconds:g} s"
                if self._gave_way:
                    told = f"the session was idle for {self._clock() - now:.0f} s, and gave its place to another client"
                return await self._end(GOING_AWAY, told, WSErrorCode.SESSION_ERROR)
            finally:
                self.silent_since = self._wait = None
            if message["type"] != "websocket.receive":
                return message
            while (wait := self._bucket.take(self._clock())) > 0.0:
                await asyncio.sleep(wait)
            text = message.get("text")
            most = self._limits.max_message_bytes
            size = 0 if text is None else len(text.encode())
            if size > most:
                return await self._end(
                    TOO_BIG, f"the message is too large; at most {most} bytes are allowed", WSErrorCode.VALIDATION_ERROR
                )
            self._bucket.charge(further_calls(size))
            fault = fault_of(text)
            if fault is None:
                return message
            await self._say({"type": "websocket.send", "text": error_frame(*fault)})

    async def _end(self, close_code: int, told: str, code: WSErrorCode) -> Message:
        """Close the connection, and tell OpenEnv that the client has gone."""
        await self._say({"type": "websocket.send", "text": error_frame(code, told)})
        await self._say({"type": "websocket.close", "code": close_code, "reason": told})
        self._ended = True
        return {"type": "websocket.disconnect", "code": close_code}

    async def _told(self, message: Message) -> None:
        """Send what OpenEnv has to say, but for the text of exceptions."""
        if self._ended:
            return  # nothing can be said on a closed connection
        text = message.get("text")
        if message["type"] == "websocket.send" and text is not None and text.startswith(ERROR_START):
            message = {**message, "text": cleaned(text)}
        self._bucket.charge(further_calls(len(text or "")))
        await self._say(message)

    async def _say(self, message: Message) -> None:
        """Send a message.

        Raises:
            TimeoutError: if the client does not take it, which OpenEnv sees as a client that has gone.
        """
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                await self._send(message)
        except TimeoutError:
            self._ended = True
            raise


def fault_of(text: str | None) -> tuple[WSErrorCode, str] | None:
    """What is wrong with a message as such; None if OpenEnv may read it."""
    if text is None:
        return WSErrorCode.INVALID_JSON, "a message is a text frame with a JSON object, not a binary frame"
    try:
        message = read_message(text)
    except ValueError as error:
        return WSErrorCode.INVALID_JSON, str(error)
    if not isinstance(message, dict):
        return WSErrorCode.VALIDATION_ERROR, "a message is a JSON object with a type"
    if message.get("type") not in MESSAGE_TYPES:
        return WSErrorCode.UNKNOWN_TYPE, f"the type of a message is one of {', '.join(MESSAGE_TYPES)}"
    if not isinstance(message.get("data", {}), dict):
        return WSErrorCode.VALIDATION_ERROR, "the data of a message are a JSON object"
    if deeper_than(MAX_DEPTH, message):
        return WSErrorCode.VALIDATION_ERROR, f"the message is nested too deep; at most {MAX_DEPTH} levels are allowed"
    return None


def cleaned(text: str) -> str:
    """An error of OpenEnv without the text of an exception that is not meant for the client."""
    data = json.loads(text)["data"]
    code, told = WSErrorCode(data["code"]), str(data["message"])
    if code in EXCEPTIONS and not told.startswith(REFUSED):
        told = FAILED
    faults = data.get("errors")
    if faults:
        told = f"{told}: {faults_told(faults)}"
    return error_frame(code, told)


def faults_told(faults: list[Mapping[str, Any]]) -> str:
    """The faults that pydantic found, in words; what was given is left out."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5])


def error_frame(code: WSErrorCode, told: str) -> str:
    """An error message as OpenEnv's clients read it."""
    return WSErrorResponse(data={"message": told, "code": code}).model_dump_json()
