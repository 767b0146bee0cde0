"""Scripted models with the quirks of endpoints as they are: each plays the good one, in its own dress."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llm_words import Answer, call, failed, good, said

Quirk = Callable[[dict[str, Any], int, set[str]], Answer]
QUIRKS: dict[str, Quirk] = {}
DECORATIONS = (
    "functions.{}",
    "{}<|channel|>commentary",
    "default_api.{}",
    "<|start|>assistant<|channel|>commentary to=functions.{}",
    "functions.{}:3",
    " {}() ",
)
HTML = "<!DOCTYPE html><html><head><title>502</title><style>b {}</style></head><body><h1>Bad gateway</h1></body></html>"
DISGUISES: tuple[Answer, ...] = (  # of what passes, all with HTTP 200
    Answer(
        200, {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream is busy"}}}
    ),
    Answer(200, {"error": {"message": "Rate limit", "code": 429}}, {"retry-after-ms": "5"}),
    Answer(200, [{"error": {"message": "The model is overloaded", "status": "UNAVAILABLE"}}]),
    Answer(200, {"object": "error", "message": "no worker", "type": "ServiceUnavailable"}),
    Answer(200, {"detail": "backend went away"}),
    Answer(
        200, {"choices": [{"index": 0, "message": {"role": "assistant"}, "error": {"code": 502, "message": "cut"}}]}
    ),
    Answer(200, {"choices": []}),
    Answer(200, {"choices": None}),
    Answer(200, {"id": "x"}),
    Answer(200, {"choices": [{"index": 0, "finish_reason": "stop"}]}),
    Answer(200, HTML, {"content-type": "text/html"}),
    Answer(200, '{"choices": [{"index": 0, "mess'),
    Answer(200, ""),
    Answer(200, "null"),
    Answer(200, 'data: {"choices": [{"index": 0, "delta": {"content": "I wi'),
    Answer(
        200,
        'data: {"choices": [{"index": 0, "delta": {"content": "I will"}}]}\n\n',
        {"content-type": "text/event-stream"},
    ),
    Answer(200, 'data: {"error": {"message": "overloaded", "code": 503}}\n\n', {"content-type": "text/event-stream"}),
    Answer(200, '{"choices": [{"index": 0, "message": {"role"', {"content-length": "5000"}),
    Answer(200, "", {"content-length": "5000"}),
    Answer(502, HTML, {"content-type": "text/html"}),
    Answer(529, "Overloaded"),
    Answer(408, {"error": "timed out"}),
)


def quirk(model: Quirk) -> Quirk:
    """Register a model by its name."""
    QUIRKS[model.__name__] = model
    return model


def replies(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Messages of the model in a conversation."""
    return [message for message in body["messages"] if message["role"] == "assistant"]


def message_of(answer: Answer) -> dict[str, Any]:
    """The message of a reply, which may be changed."""
    assert isinstance(answer.body, dict)
    return answer.body["choices"][0]["message"]


def streamed(answer: Answer, usage: bool = True, ids: bool = True) -> Answer:
    """A reply as a stream, in small pieces."""
    assert isinstance(answer.body, dict)
    (choice,) = answer.body["choices"]
    message, events = choice["message"], []
    for name, value in message.items():
        if name == "tool_calls":
            for index, item in enumerate(value):
                function = item["function"]
                head = {**item, "index": index, "function": {"name": function["name"], "arguments": ""}}
                events.append({"tool_calls": [head]})
                text = function["arguments"]
                for start in range(0, len(text), 40):
                    piece = {"index": index, "function": {"arguments": text[start : start + 40]}}
                    events.append({"tool_calls": [piece | ({"id": item["id"], "type": "function"} if ids else {})]})
        elif isinstance(value, str) and name != "role":
            events += [{name: value[start : start + 3]} for start in range(0, len(value), 3)]
        else:
            events.append({name: value})
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in events
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if usage:
        chunks.append({"choices": [], "usage": answer.body["usage"]})
    text = ": PROCESSING\n\n" + "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return Answer(200, text, {"content-type": "text/event-stream"})


def reasons(turn: int) -> dict[str, Any]:
    """What a reasoning model says besides, in a turn."""
    return {
        "reasoning_content": f"thought {turn}",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": f"e{turn}", "index": 0}],
        "annotations": [],
        "refusal": None,
    }


def signature(turn: int) -> dict[str, Any]:
    """What signs a call, in a turn."""
    return {"extra_content": {"google": {"thought_signature": f"s{turn}=="}}}


@quirk
def reasoner(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Wants everything back that it sent beside its calls, and refuses text that is empty."""
    del number, ill
    told = replies(body)
    for turn, message in enumerate(told):
        sent = {name: message.get(name) for name in reasons(turn)}
        if sent != reasons(turn):
            return failed(400, "The `reasoning_content` in the thinking mode must be passed back to the API.")
        if [item.get("extra_content") for item in message["tool_calls"]] != [signature(turn)["extra_content"]]:
            return failed(400, "Function call is missing a thought_signature in functionCall parts.")
    answer = good(body["messages"])
    message = message_of(answer)
    message |= {"content": "", **reasons(len(told))}
    message["tool_calls"][0] |= signature(len(told))
    return answer


@quirk
def forgetful(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Refuses its own reasoning when it is sent back."""
    del number, ill
    if any("reasoning_content" in message for message in replies(body)):
        return failed(400, "'messages.1' : for 'role:assistant' property 'messages.1.reasoning_content' is unsupported")
    answer = good(body["messages"])
    message_of(answer)["reasoning_content"] = "I think"
    return answer


@quirk
def nameless(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Gives its calls no id, the empty one, a number, or that of another call."""
    del number, ill
    answer = good(body["messages"])
    (item,) = message_of(answer)["tool_calls"]
    turn = len(replies(body))
    item["id"] = ("call00201", "", None, 7, "call00201")[turn % 5]
    if turn % 3 == 0:
        del item["type"]
    return answer


@quirk
def decorated(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Leaves pieces of its chat template in the names of tools."""
    del number, ill
    answer = good(body["messages"])
    function = message_of(answer)["tool_calls"][0]["function"]
    function["name"] = DECORATIONS[len(replies(body)) % len(DECORATIONS)].format(function["name"])
    return answer


@quirk
def textual(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Writes lists as text, whole numbers with a point, and sometimes all arguments as text of text."""
    del number, ill
    answer = good(body["messages"])
    function = message_of(answer)["tool_calls"][0]["function"]
    given = {name: as_text(value) for name, value in json.loads(function["arguments"]).items()}
    function["arguments"] = json.dumps(given)
    if len(replies(body)) % 2:
        function["arguments"] = json.dumps(function["arguments"])
    return answer


def as_text(value: Any) -> Any:
    """A value as a sloppy model writes it."""
    if isinstance(value, list | dict):
        return json.dumps(value, indent=1)
    return float(value) if isinstance(value, int) else value


@quirk
def disguised(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Fails in all the ways that pass, one after another, before each second reply."""
    del ill
    index, second = divmod(number, 2)
    return good(body["messages"]) if second or index > len(DISGUISES) else DISGUISES[index - 1]


@quirk
def broken(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Answers nothing but a page."""
    del body, number, ill
    return Answer(502, HTML, {"content-type": "text/html"})


@quirk
def streaming(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Serves streams alone, and does not know stream_options."""
    del number, ill
    if not body.get("stream"):
        return failed(400, "This model only supports streaming; set stream to true.")
    if "stream_options" in body:
        return failed(400, "Unknown parameter: 'stream_options'.")
    answer = good(body["messages"])
    message_of(answer).update(content="let us see", reasoning_content="hm, let me think", reasoning_details=[])
    return streamed(answer, usage=False)


@quirk
def streamer(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Streams what nobody asked to be streamed."""
    del number, ill
    answer = good(body["messages"])
    message_of(answer)["content"] = None
    return streamed(answer, ids=False)


@quirk
def newer(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Knows the new name of the limit alone."""
    del number, ill
    if "max_tokens" in body:
        told = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return failed(400, told, "unsupported_parameter")
    return good(body["messages"])


@quirk
def cold(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Refuses a temperature, parallel calls and a choice of tools."""
    del number, ill
    for name in ("temperature", "parallel_tool_calls", "tool_choice"):
        if name in body:
            return failed(400, f"Unsupported value: '{name}' does not support {body[name]!r} with this model.")
    return good(body["messages"])


@quirk
def picky(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Refuses keywords of schemas that it does not know."""
    del number, ill
    text = json.dumps(body["tools"])
    for name in ("exclusiveMinimum", "uniqueItems", '"null"'):
        if name in text:
            return failed(400, f"Invalid JSON payload received. Unknown name {name} at 'tools[0].parameters'")
    return good(body["messages"])


@quirk
def waiting(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Asks to wait before each third reply, which all in all is longer than a model has."""
    del ill
    if number % 3 == 1:
        return failed(429, "Slow down", retry_after_ms="400")
    return good(body["messages"])


@quirk
def closing(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Asks to wait for an hour."""
    del body, number, ill
    return failed(429, "Daily limit reached", retry_after="3600")


@quirk
def dying(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Fails whatever it is asked while it is ill."""
    del number
    return Answer(503, "gone") if "dying" in ill else good(body["messages"])


@quirk
def narrow(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Has a context that is large enough for what there is to say, and not for the longest reply besides."""
    del number, ill
    asked = body.get("max_tokens", 0)
    if asked and len(body["messages"]) > 6:
        told = f"maximum context length is 16384 tokens. However, you requested {asked} tokens in the completion"
        return failed(400, f"This model's {told}")
    return good(body["messages"])


@quirk
def nulls(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Gives every argument, as a strict schema asks, and null for what it does not need."""
    del number, ill
    answer = good(body["messages"])
    function = message_of(answer)["tool_calls"][0]["function"]
    (tool,) = (tool for tool in body["tools"] if tool["function"]["name"] == function["name"])
    if not tool["function"].get("strict"):
        return failed(400, "strict is required")
    names = dict.fromkeys(tool["function"]["parameters"]["required"])
    function["arguments"] = json.dumps(names | json.loads(function["arguments"]))
    return answer


@quirk
def moderated(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Refuses the second request of an episode for what is in it."""
    del number, ill
    if replies(body):
        return failed(403, "Your input was flagged by moderation", reasons="violence")
    return good(body["messages"])


@quirk
def filtered(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Has its replies filtered."""
    del number, ill
    answer = said(body["messages"], "")
    assert isinstance(answer.body, dict)
    answer.body["choices"][0]["finish_reason"] = "content_filter"
    return answer


@quirk
def wordy(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Comes to no call before its reply is full."""
    del number, ill
    answer = said(body["messages"], "Let me think, ")
    assert isinstance(answer.body, dict)
    answer.body["choices"][0]["finish_reason"] = "length"
    return answer


@quirk
def strange(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Refuses one request amid a run for no reason, and serves it when it comes again."""
    del ill
    codes = {5: 400, 9: 401, 13: 404, 17: 403}
    return failed(codes[number], "Something is odd") if number in codes else good(body["messages"])


@quirk
def sickly(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Fails amid an episode while it is ill."""
    del number
    if "sickly" in ill and len(replies(body)) >= 4:
        return failed(500, "I feel faint")
    return good(body["messages"])


@quirk
def gambler(body: dict[str, Any], number: int, ill: set[str]) -> Answer:
    """Opens one date after another, and fails after a few while it is ill; well again, it submits at once."""
    del number
    told = replies(body)
    if "gambler" not in ill:
        return said(body["messages"], None, [call("submit", '{"rows": []}')])
    if len(told) >= 5:
        return failed(503, "No more today")
    return said(body["messages"], None, [call("rows_for_date", json.dumps({"date": f"2026-03-{10 + len(told)}"}))])
