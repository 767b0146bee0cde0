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
    App,
    Message,
    Receive,
    Send,
    ServeLimits,
    TokenBucket,
    refuse_websocket,
)
from metric_tracker_env.serve.openenv_env import REFUSED

SESSIONS = "/ws"
MAX_DEPTH = 32  # levels of a message; a submission has 5
MESSAGE_TYPES = ("reset", "step", "state", "close")
GOING_AWAY, TOO_BIG = 1001, 1009  # WebSocket close codes, RFC 6455 section 7.4.1
ERROR_START = WSErrorResponse(data={}).model_dump_json().split(',"data"', maxsplit=1)[0]
# Errors whose text OpenEnv takes from an exception.
EXCEPTIONS = (WSErrorCode.EXECUTION_ERROR, WSErrorCode.FACTORY_ERROR, WSErrorCode.SESSION_ERROR)


class SessionGuard:
    """ASGI middleware before OpenEnv's sessions.

    A message that is no JSON object of a known type is answered with an error, and the session goes on. One beyond
    the rate waits for its turn: a client sends the next when it has the answer, so that waiting is all it takes. A
    message that is too large, silence for too long, and answers that are not taken for as long, end the session.

    Args:
        app: The ASGI application.
        limits: The limits.
    """

    def __init__(self, app: App, limits: ServeLimits) -> None:
        self._app, self._limits = app, limits

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
        else:
            await Session(self._app, self._limits, receive, send).run(scope)


class Session:
    """One connection, between the client and OpenEnv."""

    def __init__(self, app: App, limits: ServeLimits, receive: Receive, send: Send) -> None:
        self._app, self._limits, self._receive, self._send = app, limits, receive, send
        self._clock = asyncio.get_running_loop().time
        self._bucket = TokenBucket(limits.calls_per_second, limits.call_burst, self._clock())
        self._ended = False

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
            try:
                async with asyncio.timeout(self._limits.idle_seconds):
                    message = await self._receive()
            except TimeoutError:
                seconds = self._limits.idle_seconds
                return await self._end(GOING_AWAY, f"the session was idle for {seconds:g} s", WSErrorCode.SESSION_ERROR)
            if message["type"] != "websocket.receive":
                return message
            while (wait := self._bucket.take(self._clock())) > 0.0:
                await asyncio.sleep(wait)
            text = message.get("text")
            most = self._limits.max_message_bytes
            if text is not None and len(text.encode()) > most:
                return await self._end(
                    TOO_BIG, f"the message is too large; at most {most} bytes are allowed", WSErrorCode.VALIDATION_ERROR
                )
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
        message = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(message, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except UnicodeEncodeError:
        return WSErrorCode.INVALID_JSON, "the message holds an escape that is no Unicode character"
    except (ValueError, RecursionError):  # also of a number that is too long
        return WSErrorCode.INVALID_JSON, "the message is not JSON, or nested too deep, or holds a number beyond limits"
    if not isinstance(message, dict):
        return WSErrorCode.VALIDATION_ERROR, "a message is a JSON object with a type"
    if message.get("type") not in MESSAGE_TYPES:
        return WSErrorCode.UNKNOWN_TYPE, f"the type of a message is one of {', '.join(MESSAGE_TYPES)}"
    if not isinstance(message.get("data", {}), dict):
        return WSErrorCode.VALIDATION_ERROR, "the data of a message are a JSON object"
    if deeper_than(MAX_DEPTH, message):
        return WSErrorCode.VALIDATION_ERROR, f"the message is nested too deep; at most {MAX_DEPTH} levels are allowed"
    return None


def deeper_than(most: int, value: object) -> bool:
    """Whether lists and objects of decoded JSON lie in each other more than so many levels deep."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


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
