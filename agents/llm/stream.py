"""A reply that comes as a stream of events, put together to the reply that it would have been in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

DONE = "[DONE]"
# What comes whole in each piece; other text grows from piece to piece.
WHOLE = ("role", "id", "type", "name", "format", "signature", "index")


def is_stream(text: str) -> bool:
    """Whether a body is a stream of events, asked for or not."""
    return text.lstrip().startswith(("data:", ":", "event:"))


def put_together(text: str) -> dict[str, Any]:
    """The completion that a stream makes up; the error in it, if there is one.

    Raises:
        ValueError: if it ends before its end, or an event is no JSON.
    """
    message: dict[str, Any] = {}
    reason: object = None
    usage: object = None
    ended = False
    for data in _events(text):
        if data == DONE:
            ended = True
            break
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event of the stream is no object")
        if event.get("error"):
            return event
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            if choice.get("error"):
                return {"error": choice["error"]}
            if not choice.get("index"):
                _grow(message, choice.get("delta") or choice.get("message") or {})
                reason = choice.get("finish_reason") or reason
    if reason is None and not ended:
        raise ValueError("the stream was cut before its end")
    for call in message.get("tool_calls") or ():
        call.pop("index", None)  # which is of streams alone
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


def _events(text: str) -> Iterable[str]:
    """The data of each event."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def _grow(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a piece to what has come so far."""
    for name, value in piece.items():
        before = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif isinstance(value, list):
            whole[name] = before if isinstance(before, list) else []
            for item in value:
                _add(whole[name], item)
        elif isinstance(value, dict):
            whole[name] = before if isinstance(before, dict) else {}
            _grow(whole[name], value)
        elif isinstance(value, str) and isinstance(before, str):
            whole[name] = (value or before) if name in WHOLE else before + value
        else:
            whole[name] = value


def _add(items: list[Any], piece: Any) -> None:
    """Add a piece of a list: to the item that it goes on with, which its index tells, or else as a new one.

    Some endpoints give no index, or the same to each call: a new id is a new call, and no id goes on with the last one.
    """
    if not isinstance(piece, dict):
        items.append(piece)
        return
    for item in reversed(items):
        same = (
            isinstance(item, dict)
            and item.get("index") == piece.get("index")
            and item.get("type")
            in (
                piece.get("type"),
                piece.get("type") or item.get("type"),
            )
        )
        if same and (not piece.get("id") or item.get("id") in (None, "", piece["id"])):
            _grow(item, piece)
            return
    fresh: dict[str, Any] = {}
    _grow(fresh, piece)
    items.append(fresh)
