"""A small server on the loopback that speaks OpenAI's chat completions and plays scripted models, chosen by name.

It refuses a conversation that real servers would refuse, and notes what it was asked.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from llm_quirks import QUIRKS
from llm_words import DATE, Answer, call, failed, good, looping, said

PATIENCE = 20.0  # seconds after which a handler that waits gives up, whatever happens
MESSAGE_FIELDS = {
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
OWN_FIELDS = {"reasoning_content", "reasoning_details", "annotations", "refusal"}  # of some endpoints' messages
FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MALFORMED: tuple[tuple[Any, Any], ...] = (
    ("no_such_tool", "{}"),
    ("functions.rows for date", '{"date": "2026-03-10"}'),
    ("rows_for_date", '{"date": '),
    ("rows_for_date", "[1, 2]"),
    ("rows_for_date", '"2026-03-10"'),
    ("rows_for_date", '{"date": 7}'),
    ("rows_for_date", "{}"),
    ("rows_for_date", '{"date": "2026-03-10", "colour": "red"}'),
    ("rows_for_date", '{"date": "\\ud800"}'),
    ("rows_for_date", "[" * 100_000),
    ("get_median_filter_rows", '{"threshold_multiplier": NaN}'),
    ("get_median_filter_rows", '{"limit": 1e999}'),
    ("show_raw_data", '{"num_days": ' + "9" * 5000 + "}"),
    ("list_dates", '{"\\ud800": 1}'),
    ("preview_submission", '{"rows": ' + "[" * 975 + "]" * 975 + "}"),
    ("submit", '{"rows": "all of them"}'),
    ("submit", '{"rows": [{"date": "2026-03-10"}]}'),
    (None, None),
    ("", ""),
)


def parallel(messages: list[dict[str, Any]]) -> Answer:
    """Several calls in one message, two of one id; submits in the midst of the second."""
    if len(messages) == 1:
        calls = [
            call("task_overview", "", "a"),
            call("rows_for_date", {"date": DATE}, "a"),
            call("list_dates", "{}", None),
        ]
    else:
        calls = [call("list_entities", "{}", "b"), call("submit", '{"rows": []}', "c"), call("list_dates", "{}", "d")]
    return said(messages, "several at once", calls)


def malformed(messages: list[dict[str, Any]]) -> Answer:
    """One bad call after another."""
    turn = sum(message["role"] == "assistant" for message in messages)
    return said(messages, None, [call(*MALFORMED[turn % len(MALFORMED)])])


def talker(messages: list[dict[str, Any]]) -> Answer:
    """Text, and never a tool call."""
    return said(messages, "It was the orders, I believe.")


def silent(messages: list[dict[str, Any]]) -> Answer:
    """Nothing at all until it is reminded, then the good one."""
    return good(messages) if "no tool call" in messages[0]["content"] else said(messages)


def full(messages: list[dict[str, Any]]) -> Answer:
    """One call, then no room for more."""
    return looping(messages) if len(messages) == 1 else failed(400, "maximum context length is 4096 tokens")


def half_counted(messages: list[dict[str, Any]]) -> Answer:
    """The good one on an endpoint that tells tokens in part."""
    answer = good(messages)
    assert isinstance(answer.body, dict)
    answer.body["usage"] = {"prompt_tokens": 1_000, "completion_tokens": None, "total_tokens": 1_000_000}
    return answer


def uncounted(messages: list[dict[str, Any]]) -> Answer:
    """The good one on an endpoint that does not tell tokens."""
    answer = good(messages)
    assert isinstance(answer.body, dict)
    del answer.body["usage"]
    return answer


MODELS: dict[str, Callable[[list[dict[str, Any]]], Answer]] = {
    model.__name__: model
    for model in (good, parallel, malformed, looping, talker, silent, full, uncounted, half_counted)
}


class QuietServer(ThreadingHTTPServer):
    """A server whose clients may hang up, as they do when they give a request up."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a lost connection; tell anything else as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ScriptedServer:
    """The server, as a context; ``url`` is its base URL."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []  # bodies, in the order of arrival
        self.keys: set[str] = set()  # that were sent
        self.faults: list[str] = []  # of conversations, which no client should send
        self.seen: Counter[str] = Counter()  # requests of each model
        self.mortal_after: int | None = None  # requests of "mortal" that are served before its key is void
        self.ill: set[str] = set()  # models that fail amid an episode until they are taken out
        self.meeting = threading.Barrier(2)
        self.arrived = threading.Event()
        self.stopped, self._lock = threading.Event(), threading.Lock()
        self._server = QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.meeting.abort()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    def episodes(self, model: str) -> int:
        """How many episodes of a model were begun."""
        return sum(len(body["messages"]) == 1 for body in self.requests if body["model"] == model)

    def answer(self, body: dict[str, Any], key: str) -> Answer | None:
        """What a model says; None if it says nothing."""
        model, messages = body["model"], body["messages"]
        with self._lock:
            self.requests.append(body)
            self.keys.add(key)
            self.seen[model] += 1
            number = self.seen[model]
            found = faults_of(messages)
            self.faults += found
        quirk = QUIRKS.get(model)
        self.arrived.set()
        if found:
            return failed(400, found[0])
        if quirk is not None:
            return quirk(body, number, self.ill)
        if model == "slow":
            self.stopped.wait(PATIENCE)
            return None
        if model == "locked":
            return failed(401, f"Incorrect API key provided: {key}")
        if model == "unpaid":
            return failed(429, "You exceeded your current quota", "insufficient_quota")
        if model == "busy":
            return failed(429, "Rate limit reached", retry_after_ms="10")
        if model == "flaky" and number <= 3:
            return failed(500 if number == 2 else 429, "Try again", retry_after_ms="10")
        if model == "mortal" and self.mortal_after is not None and number > self.mortal_after:
            return failed(401, "This key is void")
        if model == "page":
            return Answer(200, "<html>Welcome</html>", {"content-type": "text/html"})
        if model == "empty":
            return Answer(200, {"choices": []})
        if model == "meeting":
            if len(messages) == 1:
                self.meeting.wait(PATIENCE)
            return good(messages)
        if model == "echo":
            return said(messages, f"Your key is {key}, half of a character is \ud800.")
        if model in ("flaky", "mortal"):
            return good(messages)
        return MODELS[model](messages) if model in MODELS else failed(404, f"The model {model!r} does not exist")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one connection."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are written apart, which would wait for each other

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                data = self.rfile.read(length)
                if len(data) < length:
                    raise ConnectionError("the client hung up")
                body = json.loads(data)
                key = self.headers["Authorization"].removeprefix("Bearer ")
                if self.path != "/v1/chat/completions":
                    answer: Answer | None = failed(404, f"no such path: {self.path}")
                elif body["model"] == "drip":
                    self._drip()
                    return
                else:
                    answer = server.answer(body, key)
                if answer is None:
                    self.close_connection = True
                    return
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                self.send_response(answer.status)
                for name, value in ({"content-type": "application/json"} | answer.headers).items():
                    self.send_header(name, value)
                if "content-length" in answer.headers:  # of a reply that is cut
                    self.close_connection = True
                else:
                    self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def _drip(self) -> None:
                """A reply that never ends, a blank at a time, so that no wait for a byte is long."""
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while not server.stopped.wait(0.02):
                    self.wfile.write(b" ")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        return Handler


def _is_id(key: Any) -> bool:
    """Whether a key is one that an endpoint takes."""
    return isinstance(key, str) and key != ""


def faults_of(messages: list[dict[str, Any]]) -> list[str]:
    """What a strict server refuses a conversation for."""
    faults: list[str] = []
    open_calls: list[str] = []
    seen: set[str] = set()
    before = ""
    for message in messages:
        role = message["role"]
        if set(message) - MESSAGE_FIELDS[role] - (OWN_FIELDS if role == "assistant" else set()):
            faults.append(f"fields {sorted(message)} of {role}")
        if role == "tool":
            before = role
            if message["tool_call_id"] not in open_calls:
                faults.append(f"answer to {message['tool_call_id']!r}, which nobody called")
            else:
                open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            faults.append(f"no answer to {open_calls}")
        calls = message.get("tool_calls", [])
        content = message.get("content")
        if role == before == "user":
            faults.append("two messages of the user in a row")
        if isinstance(content, str) and not content.strip():
            faults.append(f"text {content!r}")
        if role == "assistant" and not calls and not content:
            faults.append("neither text nor calls")
        before = role
        open_calls = [item["id"] for item in calls]
        if seen & set(open_calls) or len(set(open_calls)) < len(open_calls) or not all(map(_is_id, open_calls)):
            faults.append(f"ids {open_calls}")
        seen |= set(open_calls)
        for item in calls:
            function = item["function"]
            if not FUNCTION_NAME.fullmatch(function["name"]):
                faults.append(f"name {function['name']!r}")
            if not isinstance(json.loads(function["arguments"]), dict):
                faults.append(f"arguments {function['arguments'][:50]!r}")
    if open_calls:
        faults.append(f"no answer to {open_calls}")
    return faults
