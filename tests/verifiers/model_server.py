"""A model on the loopback that streams OpenAI's chat completions, and plays scripts chosen by its name."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from agents.players.scripts.words import investigate
from metric_tracker_env import GeneratorConfig

Message = dict[str, Any]
DATE = GeneratorConfig().date_names[9]
CLUMSY: tuple[tuple[str, str], ...] = (  # calls that a server must judge
    ("rows_for_date", '{"date": "yesterday"}'),
    ("rows_for_date", "{}"),
    ("rows_for_date", f'{{"date": "{DATE}", "colour": "red"}}'),
    ("show_raw_data", '{"limit": "7"}'),
    ("submit", '{"rows": "{}"}'),
    ("submit", '{"rows": [{"date": "2026-03-10"}]}'),
)


def good(messages: list[Message]) -> tuple[str, str] | None:
    """The analyst in words, brought to where the conversation is by the answers in it."""
    script = investigate(GeneratorConfig())
    asked = next(script)
    for message in messages:
        if message["role"] == "tool":
            asked = script.send(json.loads(message["content"]))
    return asked[0], json.dumps(asked[1])


def clumsy(messages: list[Message]) -> tuple[str, str] | None:
    """One bad call after another, then text instead of a submission."""
    told = sum(message["role"] == "tool" for message in messages)
    return CLUMSY[told] if told < len(CLUMSY) else None


def stuck(messages: list[Message]) -> tuple[str, str] | None:
    """A tool that there is not, for ever; verifiers answers that itself."""
    del messages
    return "no_such_tool", "{}"


MODELS = {model.__name__: model for model in (good, clumsy, stuck)}


def chunks(messages: list[Message], call: tuple[str, str] | None) -> list[Message]:
    """The parts of a reply: its beginning, its text or call, its end with what was used."""
    delta: Message = {"role": "assistant", "content": "It was the orders, I believe."}
    if call is not None:
        function = {"name": call[0], "arguments": call[1]}
        entry = {"index": 0, "id": f"call_{len(messages)}", "type": "function", "function": function}
        delta = {"role": "assistant", "content": None, "tool_calls": [entry]}
    end = "stop" if call is None else "tool_calls"
    parts = [{"index": 0, "delta": delta, "finish_reason": None}, {"index": 0, "delta": {}, "finish_reason": end}]
    frame = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return [*({**frame, "choices": [part]} for part in parts), {**frame, "choices": [], "usage": usage}]


class ModelServer:
    """The server, as a context; ``url`` is its base URL, ``requests`` the bodies that it was sent."""

    def __init__(self) -> None:
        self.requests: list[Message] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            """Answers one request."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                requests.append(body)
                said = [json.dumps(part) for part in chunks(body["messages"], MODELS[body["model"]](body["messages"]))]
                text = "".join(f"data: {part}\n\n" for part in [*said, "[DONE]"]).encode()
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
