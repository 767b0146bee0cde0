"""Messages: how a model's are kept as they came, and how they are sent back as the protocol has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metric_tracker_env.session import CALLS

from .reply import Reply

Record = dict[str, Any]  # a message of a transcript

NOTES = ("finish_reason", "usage")  # what a transcript notes beside a message of the model
BAD_NAME = re.compile(r"[^A-Za-z0-9_-]")  # what the protocol does not allow in the name of a function
NAME_LENGTH = 64
LONGEST_NAME = 256  # characters of a name that are looked at
# What chat templates put around a name: "functions.x", "default_api:x", "to=functions.x", "x<|channel|>commentary",
# "x:0", "x()".
DECORATED = re.compile(
    r"(?:(?:<\|[^|]*\|>|[^<>=])*\bto=|(?:<\|[^|]*\|>|\s)*)(?:[A-Za-z0-9_-]+(?:\.|:+|/))*(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"(?:<.*|:\d+|\(\s*\)|\s)*",
    re.DOTALL,
)


def noted(reply: Reply, turn: int, taken: set[str], tokens: Mapping[str, int]) -> Record:
    """A reply as a transcript has it: as it came, but for ids of calls that lack or repeat one.

    Args:
        reply: Of the model.
        turn: Number of the reply, from 1.
        taken: Ids that the conversation has; those of this reply are added.
        tokens: Used for the reply.
    """
    found: Record = {"role": "assistant", "content": None, **reply.message}
    found["role"] = "assistant"
    given: Any = found.pop("tool_calls", None)
    if given:
        found["tool_calls"] = [_numbered(call, turn, taken) for call in given]
    return found | {"finish_reason": reply.finish_reason, "usage": dict(tokens)}


def tool_of(call: Mapping[str, Any]) -> tuple[str, Any]:
    """What a call calls: the tool, whose name is read without what a chat template put around it, and the arguments."""
    function = call["function"]
    return read_name(function["name"]), decoded(function["arguments"])


def read_name(name: str) -> str:
    """The tool that a name means; a name that means none as it is."""
    if name in CALLS:
        return name
    found = DECORATED.fullmatch(name[:LONGEST_NAME])
    return found["name"] if found is not None and found["name"] in CALLS else name


def decoded(arguments: Any) -> Any:
    """The arguments of a call: JSON text by the protocol, an object from some endpoints, nothing for no arguments.

    Text of text is read too. What is neither is given back as it is.
    """
    if arguments is None or arguments == "":
        return {}
    found = _read(arguments)
    again = _read(found)
    return again if isinstance(again, Mapping) else found


def sendable(record: Iterable[Record]) -> list[dict[str, Any]]:
    """The messages of a record as an endpoint is sent them.

    What is not known of a message goes back as it came, since some endpoints need it. Servers refuse a whole
    conversation for one call in it whose arguments are no JSON object or whose name is no name of a function, so that
    these are mended on the way; the answer to the call says what was wrong. Some refuse empty text, and some two
    messages of the user in a row: a message that says nothing is left out, and what the user says around it is joined.
    """
    found: list[dict[str, Any]] = []
    for message in record:
        sent = _assistant(message) if message["role"] == "assistant" else dict(message)
        if sent is None:
            continue
        if sent["role"] == "user" and found and found[-1]["role"] == "user":
            found[-1]["content"] += f"\n\n{sent['content']}"
        else:
            found.append(sent)
    return found


def is_empty(content: Any) -> bool:
    """Whether a content says nothing: none, blank text, or parts of it that are blank."""
    if isinstance(content, str):
        return not content.strip()
    if isinstance(content, Sequence):
        return all(isinstance(part, Mapping) and is_empty(part.get("text", part)) for part in content)
    return content is None


def _numbered(call: Mapping[str, Any], turn: int, taken: set[str]) -> Record:
    """A call with an id of its own, which its answer needs; nine letters and digits, as the strictest endpoints ask."""
    key, number = call.get("id"), 0
    if not isinstance(key, str) or not key or key in taken:
        while (key := f"call{turn:03d}{number:02d}") in taken:
            number += 1
    taken.add(key)
    function = dict(call.get("function") or {})
    function = {**function, "name": function.get("name") or "", "arguments": function.get("arguments")}
    return {**call, "id": key, "type": call.get("type") or "function", "function": function}


def _assistant(message: Record) -> dict[str, Any] | None:
    """A message of the model; None for one that says nothing."""
    kept = {name: value for name, value in message.items() if name not in NOTES}
    if "tool_calls" in kept:
        kept["tool_calls"] = [{**call, "function": _mended(call)} for call in kept["tool_calls"]]
        if is_empty(kept["content"]) and kept["content"] is not None:
            del kept["content"]
        return kept
    return None if is_empty(kept["content"]) else kept


def _mended(call: Record) -> dict[str, Any]:
    """A function as the protocol has it."""
    function, found = call["function"], decoded(call["function"]["arguments"])
    name = BAD_NAME.sub("_", read_name(function["name"]))[:NAME_LENGTH] or "_"
    if not isinstance(found, Mapping):
        text = "{}"
    else:
        given = function["arguments"]
        text = given if isinstance(given, str) and isinstance(_read(given), Mapping) else json.dumps(found)
    return {**function, "name": name, "arguments": text}


def _read(text: Any) -> Any:
    """What a JSON text holds; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
