"""Replies of scripted models, in the protocol's form, and the model that plays well."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from agents.players.scripts.words import investigate
from metric_tracker_env import GeneratorConfig

GENERATOR = GeneratorConfig()
DATE = GENERATOR.date_names[9]


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    body: dict[str, Any] | list[Any] | str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def call(name: Any, arguments: Any, key: Any = "call_0") -> dict[str, Any]:
    """A tool call; the arguments as text, or as whatever a bad model sends."""
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(messages: list[dict[str, Any]], content: Any = None, calls: list[dict[str, Any]] | None = None) -> Answer:
    """A reply of a model, in the protocol's form."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls is not None:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {
        "prompt_tokens": 100 * len(messages),
        "completion_tokens": 10,
        "total_tokens": 100 * len(messages) + 10,
        "prompt_tokens_details": {"cached_tokens": 100 * (len(messages) - 1)},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    return Answer(200, {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def failed(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error, in the protocol's form."""
    error = {"message": message, "type": "scripted", "code": code}
    return Answer(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def good(messages: list[dict[str, Any]]) -> Answer:
    """The analyst in words, brought to where the conversation is by the answers in it."""
    script = investigate(GENERATOR)
    tool, arguments = next(script)
    for message in messages:
        if message["role"] == "tool":
            tool, arguments = script.send(json.loads(message["content"]))
    return said(messages, None, [call(tool, json.dumps(arguments))])


def looping(messages: list[dict[str, Any]]) -> Answer:
    """The same call for ever."""
    return said(messages, None, [call("rows_for_date", json.dumps({"date": DATE}))])
