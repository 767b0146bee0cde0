"""What errors of endpoints mean, in whatever form they come."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from agents.llm.faults import pause_of, status_in, trouble_of, words_of
from agents.llm.reply import ErrorBodyError, read_reply
from agents.llm.stream import put_together


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, "no", "closed"),
        (402, "pay", "closed"),
        (403, "Country, region, or territory not supported", "closed"),
        (404, "no such model", "closed"),
        (429, '{"error": {"code": "insufficient_quota"}}', "closed"),
        (429, "slow down", "rate"),
        (413, "Request too large on tokens per minute: rate_limit_exceeded", "rate"),
        (408, "", "busy"),
        (409, "", "busy"),
        (500, "oops", "busy"),
        (503, "", "busy"),
        (529, "overloaded", "busy"),
        (None, "upstream", "busy"),
        (413, "", "context"),
        (400, "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens", "context"),
        (400, '{"error": {"code": "context_length_exceeded"}}', "context"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "context"),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "context"),
        (500, "the request exceeds the available context size", "context"),
        (None, "input is too long for this model", "context"),
        (400, "The response was filtered due to the prompt triggering Azure's content management policy", "filtered"),
        (403, "google/x requires moderation. Your input was flagged", "filtered"),
        (400, "PROHIBITED_CONTENT", "filtered"),
        (400, "Unsupported parameter: 'max_tokens'", "refused"),
        (400, "max_tokens is too large: 8192. This model supports at most 4096 completion tokens", "refused"),
        (422, '{"detail": [{"loc": ["body", "temperature"], "msg": "too hot"}]}', "refused"),
    ],
)
def test_kinds_of_trouble(status: int | None, body: str, kind: str) -> None:
    """Closed, rate, busy, context, filter and refusal are told apart by status and words."""
    assert trouble_of(status, body, {}).kind == kind


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "m", "code": 400}}, "m"),
        ({"error": "m"}, "m"),
        ([{"error": {"message": "m"}}], "m"),
        ({"object": "error", "message": "m"}, "m"),
        ({"detail": "m"}, "m"),
        ({"detail": [{"loc": ["body", "messages", 2, "x"], "msg": "extra"}]}, "'body.messages.2.x': extra"),
        ({"object": "error", "message": {"detail": [{"loc": ["a"], "msg": "extra"}]}}, "'a': extra"),
        ({"error": {"message": "Provider", "metadata": {"raw": '{"error": {"message": "deep"}}'}}}, "Provider; deep"),
        ({"errors": [{"message": "m"}, {"message": "n"}]}, "m; n"),
        ({"status": 7}, '{"status": 7}'),
        ("<html><style>b {}</style><b>Bad</b> gateway</html>", "Bad gateway"),
        ("plain", "plain"),
    ],
)
def test_words_of_an_endpoint(body: Any, words: str) -> None:
    """The endpoint's own words are found in every form that errors have."""
    assert " ".join(words_of(body).split()) == words


def test_a_status_inside_a_body() -> None:
    """The code of an error inside HTTP 200 counts as its status, if it is one."""
    told = [{"code": 429}, {"code": "503"}, {"error": {"code": 400}}, {"status": "UNAVAILABLE"}, {"code": 7}]
    assert [status_in(body) for body in told] == [429, 503, 400, None, None]


def test_pauses_that_are_asked_for() -> None:
    """Seconds, milliseconds, a date, or a field of the body; what is none of these asks for nothing."""
    assert pause_of({"retry-after": "90"}, "") == 90
    assert pause_of({"retry-after-ms": "250", "retry-after": "90"}, "") == 0.25
    assert pause_of({"retry-after": "-3"}, "") == 0
    assert pause_of({}, '{"details": [{"retryDelay": "34.5s"}]}') == 34.5
    later = pause_of({"retry-after": formatdate(time.time() + 600, usegmt=True)}, "")
    assert later is not None
    assert 300 < later < 900
    assert pause_of({"retry-after": "soon"}, "") is None


def test_errors_nested_without_end_are_told() -> None:
    """A body that is nested deeper than anybody reads is told in part, and breaks nothing."""
    text = '{"error":' * 400 + '"deep"' + "}" * 400
    assert trouble_of(500, text, {}).reason.startswith("HTTP 500: ")
    assert trouble_of(500, "[" * 100_000, {}).kind == "busy"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "{",
        '{"choices": []}',
        '{"choices": [{"message": "x"}]}',
        '{"choices": [{"message": {"x": NaN}}]}',
        '{"choices": [{"message": {"x": 1e999}}]}',
        '{"choices": [{"message": {"x": ' + "[" * 200 + "]" * 200 + "}}]}",
        '{"choices": [{"message": {"tool_calls": [null]}}]}',
    ],
)
def test_what_is_no_completion_is_refused(text: str) -> None:
    """Anything that holds no message is an error with words, whatever JSON it is."""
    with pytest.raises(ValueError, match=r"."):
        read_reply(text, str)


def test_an_error_beside_a_cut_message_is_an_error() -> None:
    """A choice that tells an error is none, even if it has a message."""
    body = {
        "choices": [{"message": {"content": "Let"}, "finish_reason": "error", "error": {"message": "cut", "code": 502}}]
    }
    with pytest.raises(ErrorBodyError) as failure:
        read_reply(json.dumps(body), str)
    assert words_of(failure.value.body) == "cut"


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 2}, "many", [1]]
)
def test_tokens_that_make_no_sense_are_not_told(usage: Any) -> None:
    """Usage that lacks or misuses a field is none; it costs no reply."""
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    assert read_reply(json.dumps(body), str).usage is None


def stream(*deltas: Any, end: str = "data: [DONE]\n\n") -> str:
    """A stream of pieces of a message."""
    return "".join(f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in deltas) + end


def test_calls_in_pieces() -> None:
    """Calls are told apart by index or id, whether these are repeated in each piece, given once, or not at all."""
    head = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    other = {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    piece = {"function": {"arguments": '{"x"'}}
    rest = {"function": {"arguments": ":1}"}}
    whole = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    given = [
        [head | {"index": 0}, piece | {"index": 0}, other | {"index": 1}, rest | {"index": 0}],
        [head, piece, rest, other],
        [head | {"index": 0}, piece | {"index": 0}, rest | {"index": 0}, other | {"index": 0}],
        [head | {"index": 0}, piece | {"index": 0, "id": "a"}, rest | {"index": 0, "id": "a"}, other | {"index": 1}],
    ]
    for pieces in given:
        found = put_together(stream(*({"role": "assistant", "tool_calls": [each]} for each in pieces)))
        assert found["choices"][0]["message"] == {"role": "assistant", "tool_calls": whole}


def test_reasoning_in_pieces() -> None:
    """Reasoning details of one index grow; others are kept in their order, as is a signature."""
    pieces = [
        {"reasoning_details": [{"type": "reasoning.text", "text": "I ", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "see", "index": 0, "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "e", "index": 1}], "content": None},
    ]
    (choice,) = put_together(stream(*pieces))["choices"]
    assert choice["message"]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "I see", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "e", "index": 1},
    ]
    assert choice["message"]["content"] is None


def test_a_cut_stream_is_no_reply() -> None:
    """A stream without an end, or with half an event, is an error; one that only lacks [DONE] is whole."""
    for text in (stream({"content": "x"}, end=""), stream({"content": "x"}, end='data: {"cho\n\n')):
        with pytest.raises(ValueError, match=r"."):
            put_together(text)
    ended = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\r\n\r\n'
    (choice,) = put_together(stream({"content": "x"}, end=ended))["choices"]
    assert (choice["message"], choice["finish_reason"]) == ({"content": "x"}, "stop")
