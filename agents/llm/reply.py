"""What an endpoint answers, checked where it comes in; what is not known of it is kept as it came."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeInt, ValidationError

from metric_tracker_env.model import in_one_line

from .stream import is_stream, put_together

Fields = dict[str, JsonValue]

DEEPEST = 100  # levels of a body; the arguments of a call are text, and may be deeper


class Function(BaseModel):
    """What a model calls."""

    name: str | None = None
    arguments: JsonValue = None  # JSON text by the protocol; some endpoints give the object


class ToolCall(BaseModel):
    """One call of a reply."""

    function: Function | None = None


class Message(BaseModel):
    """What a model says."""

    model_config = ConfigDict(extra="allow")

    content: JsonValue = None
    tool_calls: list[ToolCall] | None = None


class Choice(BaseModel):
    """The message of a reply, and why it ended."""

    message: Message
    finish_reason: str | None = None


class Body(BaseModel):
    """A chat completion."""

    choices: Annotated[list[Choice], Field(min_length=1)]


class Details(BaseModel):
    """Tokens of a kind, among the others."""

    cached_tokens: NonNegativeInt | None = None
    reasoning_tokens: NonNegativeInt | None = None


class Usage(BaseModel):
    """Tokens of a request and its reply."""

    prompt_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class Reply(NamedTuple):
    """A reply of the model."""

    message: Fields  # as it came
    finish_reason: str | None
    usage: Usage | None  # None where the endpoint does not tell, or not in full
    length: int = 0  # characters of the request and the reply
    seconds: float = 0.0  # until it came, failed requests left out
    retries: int = 0  # requests before it that failed
    waited: float = 0.0  # seconds for those, and until they were repeated


class ErrorBodyError(Exception):
    """A body that tells an error, whatever its HTTP status."""

    def __init__(self, body: object) -> None:
        super().__init__("an error")
        self.body = body


def read_reply(text: str, cleaned: Callable[[str], str]) -> Reply:
    """The reply that a body holds.

    Args:
        text: Of the body, JSON or a stream of events.
        cleaned: Takes out of a text what is not to be kept.

    Raises:
        ErrorBodyError: if it tells an error.
        ValueError: if it is no chat completion.
    """
    found = put_together(text) if is_stream(text) else json.loads(text)
    # Parsed once more as text, which is the place to clean it, also of half characters, which cannot be sent.
    written = cleaned(json.dumps(found, ensure_ascii=False)).encode("utf-8", "replace")
    body: Any = json.loads(written, parse_constant=_refuse)
    if _is_deep(body):
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    if error := _error_in(body):
        raise ErrorBodyError(error)
    try:
        choice = Body.model_validate(body).choices[0]
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None
    return Reply(body["choices"][0]["message"], choice.finish_reason, _usage(body.get("usage")), len(written))


def _error_in(body: object) -> object:
    """The body or the choice that tells an error; None for what tells none."""
    if isinstance(body, list) and body:  # as some endpoints wrap them
        body = body[0]
    if not isinstance(body, Mapping):
        return None
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0] if choices[0].get("error") else None
    told = body.get("error") or body.get("object") == "error" or body.get("detail") or body.get("errors")
    return body if told else None


def _is_deep(node: object, left: int = DEEPEST) -> bool:
    """Whether a body is nested so deeply that not every writer of JSON can write it."""
    if not isinstance(node, dict | list):
        return False
    return not left or any(_is_deep(part, left - 1) for part in (node.values() if isinstance(node, dict) else node))


def _usage(told: object) -> Usage | None:
    """Tokens of which a part is missing, or that make no sense, are not told: none at all is another matter."""
    try:
        return Usage.model_validate(told)
    except ValidationError:
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
