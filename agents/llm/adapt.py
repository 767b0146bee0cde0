"""The body of a request, and what of it an endpoint refuses: adapted to once and remembered for the run, or named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .card import LlmSettings, TokensField

OTHER_FIELD: dict[TokensField, TokensField] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
STREAM_ONLY = re.compile(
    r"(only|must|requires?|needs?)\b.{0,60}\bstream|stream\w*\W{1,3}(only|true)|non[- ]?stream"
    r"|\bstream\W+(must|should|has to)",
    re.IGNORECASE,
)
WANTED = re.compile(r"must be (passed|provided|included|sent)|\brequired\b|\bmissing\b", re.IGNORECASE)
SCHEMA = re.compile(r"exclusiveMinimum|uniqueItems|additionalProperties|anyOf|\bstrict\b|schema", re.IGNORECASE)
# Fields of messages and calls that are the protocol's, and stay.
PROTOCOL = frozenset(("role", "content", "tool_calls", "tool_call_id", "id", "type", "function", "name", "arguments"))


class Request:
    """What is sent, as far as the endpoint takes it.

    Args:
        settings: Of the run.
    """

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._limit_field: TokensField = settings.limit_field
        self._stream, self._tells_usage = bool(settings.stream), True
        self._left_out: set[str] = set()  # fields of messages
        self.adapted: list[str] = []  # what was changed, in words

    def body(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], limited: bool = True
    ) -> dict[str, Any]:
        """Of a request, but for the model; with the most tokens of a reply, if it is to be limited."""
        settings = self._settings
        sent = [_without(message, self._left_out) for message in messages] if self._left_out else list(messages)
        body: dict[str, Any] = {"messages": sent, "tools": list(tools), **settings.extra}
        if settings.max_reply_tokens is not None and limited:
            body[self._limit_field] = settings.max_reply_tokens
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if self._stream:
            body["stream"] = True
            if self._tells_usage:
                body["stream_options"] = {"include_usage": True}
        return body

    def adapt(self, words: str, sent: Mapping[str, Any]) -> bool:
        """Change what an endpoint refuses in its words, if something else says the same to it.

        Args:
            words: Of the endpoint.
            sent: The body that it refused. Where another request has changed that meanwhile, nothing more is changed.

        Returns:
            Whether to send the request again.
        """
        limit, own = self._limit_field, self._settings
        if "stream_options" in words and "stream_options" in sent:
            if self._tells_usage:
                self._tells_usage = False
                self.adapted.append("stream_options left out")
            return True
        if own.tokens_field is None and any(field in sent and _names(field, words) for field in OTHER_FIELD):
            if limit not in sent:
                return True
            if limit == own.limit_field:
                self._limit_field = OTHER_FIELD[limit]
                self.adapted.append(f"{limit} sent as {self._limit_field}")
                return True
        if "stream" not in sent and own.stream is None and STREAM_ONLY.search(words):
            if not self._stream:
                self._stream = True
                self.adapted.append("replies streamed")
            return True
        refused = {name for name in _fields_of(sent["messages"]) if _names_place(name, words)}
        if refused and not WANTED.search(words):
            if refused - self._left_out:
                self._left_out |= refused
                self.adapted.append(f"{', '.join(sorted(refused))} of messages not sent back")
            return True
        return False

    def advice(self, words: str, sent: Mapping[str, Any]) -> str:
        """What option changes a field that an endpoint refuses in its words; empty if it names none that is sent."""
        told = {
            "max_tokens": "--tokens-field and --max-reply-tokens change max_tokens",
            "max_completion_tokens": "--tokens-field and --max-reply-tokens change max_completion_tokens",
            "temperature": "leave --temperature out",
            "stream": "--stream changes stream",
        } | {name: f"take {name} out of --extra" for name in self._settings.extra}
        found = [advice for name, advice in told.items() if name in sent and _names(name, words)]
        if SCHEMA.search(words):
            found.append("--schemas chooses what schemas of the tools are sent: plain, strict or full")
        return "".join(f"; {advice}" for advice in found)


def _names(field: str, words: str) -> bool:
    """Whether words name a field."""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(field)}(?![A-Za-z0-9_])", words) is not None


def _names_place(field: str, words: str) -> bool:
    """Whether words name a field as one of an object, in quotes or behind a point, and not as a word among others."""
    return re.search(rf"[\"'`.\]]{re.escape(field)}(?![A-Za-z0-9_])", words) is not None


def _fields_of(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Fields of the provider's own that are sent back."""
    for message in messages:
        for item in (message, *(message.get("tool_calls") or ())):
            yield from item.keys() - PROTOCOL


def _without(message: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name not in names}
    if "tool_calls" in kept:
        kept["tool_calls"] = [{n: v for n, v in call.items() if n not in names} for call in kept["tool_calls"]]
    return kept
