"""The limits of the servers: the settings, the pace of calls, and the middleware that refuses requests."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from metric_tracker_env.serve.__main__ import DOORS, main
from metric_tracker_env.serve.command_line import add_limits, limits_of, settings
from metric_tracker_env.serve.limits import (
    FAILED,
    App,
    LimitsMiddleware,
    Message,
    RateLimit,
    Receive,
    Send,
    ServeLimits,
    TokenBucket,
)

SECRET = "seed 1234567 in /srv/private.py"
SMALL = ServeLimits(max_body_bytes=2048, request_burst=3, requests_per_second=0.5)


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """An application that answers with the body it was sent."""
    assert scope["type"] == "http"
    message = await receive()
    assert not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def called(
    app: App, messages: Sequence[Message | float], scope: dict[str, Any] | None = None
) -> tuple[list[Message], int]:
    """What an application sends when it is sent some messages, and how many it did not read; a number is a pause."""
    waiting, sent = list(messages), []

    async def receive() -> Message:
        first = waiting.pop(0)
        if isinstance(first, float | int):
            await asyncio.sleep(first)
            return await receive()
        return first

    async def send(message: Message) -> None:
        sent.append(message)

    full = {"type": "http", "path": "/", "headers": [], "client": ("127.0.0.1", 5), **(scope or {})}

    async def connection() -> None:
        await app(full, receive, send)

    asyncio.run(connection())
    return sent, len(waiting)


def body(content: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


def told(sent: list[Message]) -> tuple[int, dict[str, str]]:
    """Status and error of a response that is one."""
    start, content = sent
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(content["body"])
    return start["status"], json.loads(content["body"])["error"]


# Settings


@pytest.mark.parametrize("name", ServeLimits.model_fields)
def test_a_limit_has_a_default_a_description_and_no_nonsense(name: str) -> None:
    """Each limit says what it is, and refuses zero, negative numbers, text and what is beyond any use."""
    field = ServeLimits.model_fields[name]
    assert field.description
    assert ServeLimits().model_dump()[name] == field.default
    for value in (0, -1, "7", True, float("nan"), 10**12):
        with pytest.raises(ValidationError, match=name):
            ServeLimits.model_validate({name: value})


GIB = 2**30
BOUNDS: dict[str, tuple[float, float, float]] = {  # least, default, most
    "max_sessions": (1, 64, 10_000),
    "max_connections": (1, 256, 100_000),
    "max_body_bytes": (1024, 262_144, GIB),
    "max_message_bytes": (1024, 262_144, GIB),
    "idle_seconds": (1e-3, 600.0, 86_400),
    "yield_seconds": (1e-3, 120.0, 86_400),
    "answer_seconds": (1e-3, 60.0, 3600),
    "body_seconds": (1e-3, 30.0, 3600),
    "calls_per_second": (1e-3, 100.0, 1e6),
    "call_burst": (1, 200, 1_000_000),
    "requests_per_second": (1e-3, 100.0, 1e6),
    "request_burst": (1, 400, 1_000_000),
}


@pytest.mark.parametrize("name", ServeLimits.model_fields)
def test_a_limit_goes_from_its_least_to_its_most(name: str) -> None:
    """The least and the most of each limit are accepted, and what lies beyond them is not."""
    least, default, most = BOUNDS[name]
    assert getattr(ServeLimits(), name) == default
    for value in (least, most):
        assert getattr(ServeLimits.model_validate({name: value}), name) == value
    for value in (0 if least < 1 else int(least) - 1, most + 1):
        with pytest.raises(ValidationError, match=name):
            ServeLimits.model_validate({name: value})


def test_an_unknown_limit_is_refused() -> None:
    """A limit that there is not is refused with those that there are."""
    with pytest.raises(
        ValidationError, match=r"unknown key 'max_session' .*'max_sessions'.*; allowed: .*'max_sessions'"
    ):
        ServeLimits.model_validate({"max_session": 3})


def test_limits_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each limit is an option of the commands; a bad value ends them with its name, the value and what is allowed."""
    parser = argparse.ArgumentParser()
    add_limits(parser)
    assert limits_of(parser, parser.parse_args([])) == ServeLimits()
    given = [f"--{name.replace('_', '-')}=2000" for name in ServeLimits.model_fields]
    assert set(limits_of(parser, parser.parse_args(given)).model_dump().values()) == {2000}
    with pytest.raises(SystemExit):
        limits_of(parser, parser.parse_args(["--max-sessions", "0"]))
    assert "max_sessions: Input should be greater than or equal to 1, given 0" in capsys.readouterr().err


def test_the_server_is_started_within_the_limits() -> None:
    """The server itself holds messages to the limits, and believes no header about an address."""
    config = settings(echo, ServeLimits(max_message_bytes=5000), "127.0.0.1", 0)
    assert config.limit_concurrency is None  # whose refusal does not say when to come again
    assert config.ws_max_size == 5000
    assert not config.proxy_headers
    assert not config.ws_per_message_deflate


# Pace


def test_bucket_gives_its_burst_then_its_rate() -> None:
    """A bucket gives its burst at once, then a token each 1 / rate seconds, and never saves up more than its burst."""
    bucket = TokenBucket(rate=4.0, burst=2, now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.25]
    assert bucket.take(100.125) == 0.125
    assert bucket.take(100.25) == 0.0
    assert bucket.take(100.25) == 0.25
    assert [bucket.take(1000.0) for _ in range(3)] == [0.0, 0.0, 0.25]


def test_keys_have_buckets_of_their_own() -> None:
    """One key's calls cost another nothing, and of more keys than are kept the oldest is forgotten."""
    rate = RateLimit(rate=1.0, burst=1, max_keys=2)
    assert [rate.take(key, 0.0) for key in "aab"] == [0.0, 1.0, 0.0]
    assert rate.take("c", 0.0) == 0.0
    assert len(rate) == 2
    assert rate.take("b", 0.0) == 1.0
    assert rate.take("a", 0.0) == 0.0  # it was forgotten


# The middleware


@pytest.mark.parametrize("chunks", [1, 2, 2048])
def test_a_body_within_the_limit_arrives_whole(chunks: int) -> None:
    """A body of just the limit reaches the application in one piece, in however many chunks it came."""
    content = bytes(range(256)) * 8
    size = 2048 // chunks
    parts = [body(content[i * size : (i + 1) * size], more=i < chunks - 1) for i in range(chunks)]
    sent, left = called(LimitsMiddleware(echo, SMALL), parts)
    assert [sent[0]["status"], sent[1]["body"], left] == [200, content, 0]


@pytest.mark.parametrize(
    ("parts", "headers", "unread"),
    [
        ([body(b"x" * 2049)], [(b"content-length", b"2049")], 1),
        ([body(b"x")], [(b"Content-Length", b"9" * 4000)], 1),
        ([body(b"x" * 2049)], [], 0),
        ([body(b"x" * 1025, more=True)] * 1000, [(b"transfer-encoding", b"chunked")], 998),
        ([body(b"x" * 2048, more=True), body(b"x")], [(b"content-length", b"20")], 0),
    ],
    ids=["declared", "declared_absurd", "undeclared", "chunked", "declared_falsely"],
)
def test_a_body_beyond_the_limit_is_refused(parts: list[Message], headers: list[Any], unread: int) -> None:
    """A body that is too large is refused as soon as that is known, and the application is not called."""
    app = LimitsMiddleware(failing(None), SMALL)
    sent, left = called(app, parts, {"headers": headers})
    status, error = told(sent)
    assert (status, error["code"], left) == (413, "body_too_large", unread)
    assert "2048" in error["message"]


@pytest.mark.parametrize("value", [b"abc", b"", b"-5", b"1e9", b"0x10", b"9,9", b" 99999", b"+99999", b"\xb2"])
def test_a_length_that_is_no_number_is_none(value: bytes) -> None:
    """A Content-Length that is no whole number is passed over, and the body is held to the limit as it comes."""
    headers = [(b"content-length", value), (b"x-length", b"99999")]
    sent, left = called(LimitsMiddleware(echo, SMALL), [body(b"some")], {"headers": headers})
    assert (sent[0]["status"], sent[1]["body"], left) == (200, b"some", 0)
    sent, _ = called(LimitsMiddleware(failing(None), SMALL), [body(b"x" * 2049)], {"headers": headers})
    assert told(sent)[0] == 413


def test_a_declared_length_of_just_the_limit_is_read() -> None:
    """A length that is the limit is let in, one byte more is not, whatever the case of the header's name."""
    for length, status in ((2048, 200), (2049, 413)):
        headers = [(b"CONTENT-Length", str(length).encode())]
        sent, _ = called(LimitsMiddleware(echo, SMALL), [body(b"x")], {"headers": headers})
        assert sent[0]["status"] == status


def test_a_body_that_does_not_arrive_is_refused() -> None:
    """A client that declares a body and does not send it is answered when its time is over."""
    limits = SMALL.model_copy(update={"body_seconds": 0.01})
    sent, _ = called(LimitsMiddleware(echo, limits), [body(b"x", more=True), 5.0, body(b"x")])
    status, error = told(sent)
    assert (status, error["code"]) == (408, "body_too_slow")


def test_a_connection_whose_body_may_be_unread_is_closed() -> None:
    """The answers 408, 413 and 429 ask for that; an answer after the body was read does not."""
    slow = SMALL.model_copy(update={"body_seconds": 0.01})
    found = {}
    for limits, app, messages in (
        (slow, echo, [body(b"x", more=True), 5.0]),
        (SMALL, echo, [body(b"x" * 2049)]),
        (SMALL, failing(None), [body(b"")]),
    ):
        sent, _ = called(LimitsMiddleware(app, limits), messages)
        found[sent[0]["status"]] = dict(sent[0]["headers"]).get(b"connection")
    app = LimitsMiddleware(echo, SMALL.model_copy(update={"request_burst": 1}), clock=lambda: 0.0)
    called(app, [body(b"")])
    sent, _ = called(app, [body(b"")])
    found[sent[0]["status"]] = dict(sent[0]["headers"]).get(b"connection")
    assert found == {408: b"close", 413: b"close", 429: b"close", 500: None}


def test_a_client_that_goes_is_not_answered() -> None:
    """A client that leaves in the middle of its body is sent nothing, and the application is not called."""
    sent, left = called(LimitsMiddleware(failing(None), SMALL), [body(b"x", more=True), {"type": "http.disconnect"}])
    assert (sent, left) == ([], 0)


def test_the_application_hears_that_its_client_has_gone() -> None:
    """After the body the application reads on from the connection."""
    heard: list[str] = []

    async def app(_: Message, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])
        await echo({"type": "http"}, lambda: asyncio.sleep(0, body(b"")), send)

    called(LimitsMiddleware(app, SMALL), [body(b"x"), {"type": "http.disconnect"}])
    assert heard == ["http.request", "http.disconnect"]


def test_requests_beyond_the_rate_are_refused() -> None:
    """Beyond its burst an address is told when to come again, whatever its headers say; another is served."""
    now = [0.0]
    app = LimitsMiddleware(echo, SMALL, clock=lambda: now[0])

    def status(host: str, forwarded: bytes = b"") -> int:
        headers = [(b"x-forwarded-for", forwarded)]
        return called(app, [body(b"")], {"client": (host, 1), "headers": headers})[0][0]["status"]

    assert [status("10.0.0.1", b"1.2.3.%d" % i) for i in range(4)] == [200, 200, 200, 429]
    assert status("10.0.0.2") == 200
    sent, left = called(app, [body(b"")], {"client": ("10.0.0.1", 1)})
    code, error = told(sent)
    assert (code, error["code"], left) == (429, "too_many_requests", 1)
    assert dict(sent[0]["headers"])[b"retry-after"] == b"3"  # a token each two seconds, rounded up
    now[0] = 2.0
    assert [status("10.0.0.1"), status("10.0.0.1")] == [200, 429]


def failing(sent_first: Message | None) -> App:
    """An application that fails, perhaps after it has sent something."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        del scope, receive
        if sent_first is not None:
            await send(sent_first)
        raise RuntimeError(SECRET)

    return app


def test_an_exception_becomes_an_error_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the application is logged in full and told in general."""
    with caplog.at_level(logging.ERROR):
        sent, _ = called(LimitsMiddleware(failing(None), SMALL), [body(b"")])
    assert told(sent) == (500, {"code": "internal_error", "message": FAILED})
    assert SECRET in caplog.text
    assert "Traceback" in caplog.text


def test_an_exception_after_the_start_ends_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """Once a response has begun nothing is added to it when the application fails."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    with caplog.at_level(logging.ERROR):
        sent, _ = called(LimitsMiddleware(failing(start), SMALL), [body(b"")])
    assert sent == [start]
    assert SECRET in caplog.text


def test_an_exception_closes_a_websocket(caplog: pytest.LogCaptureFixture) -> None:
    """A WebSocket whose application fails is closed with a code and a reason that tell nothing."""
    with caplog.at_level(logging.ERROR):
        sent, _ = called(LimitsMiddleware(failing(None), SMALL), [], {"type": "websocket"})
    assert sent == [{"type": "websocket.close", "code": 1011, "reason": FAILED}]
    assert SECRET in caplog.text


@pytest.mark.parametrize("extensions", [None, {"websocket.http.response": {}}])
def test_opening_websockets_is_held_to_the_rate(extensions: dict[str, Any] | None) -> None:
    """Connections beyond the rate are refused before they are accepted, in the way that the server can."""
    app = LimitsMiddleware(accepting, SMALL, clock=lambda: 0.0)
    scope = {"type": "websocket", "extensions": extensions}
    first = [called(app, [{"type": "websocket.connect"}], scope)[0][0]["type"] for _ in range(4)]
    assert first[:3] == ["websocket.accept"] * 3
    sent, left = called(app, [{"type": "websocket.connect"}], scope)
    assert left == 0
    if extensions is None:
        assert [message["type"] for message in sent] == ["websocket.close"]
        assert "too many requests" in sent[0]["reason"]
        assert sent[0]["code"] == 1008
    else:
        assert sent[0]["status"] == 429
        assert json.loads(sent[1]["body"])["error"]["code"] == "too_many_requests"


def test_websockets_are_counted_while_they_are_open() -> None:
    """As many WebSockets as there may be connections are open at once; when one closes there is room again."""
    limits = ServeLimits(max_connections=2)
    answers: list[list[str]] = []

    async def holding(scope: Message, receive: Receive, send: Send) -> None:
        del scope
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    app = LimitsMiddleware(holding, limits)
    scope = {"type": "websocket", "path": "/", "headers": [], "client": ("127.0.0.1", 5)}

    async def connection(closed: asyncio.Event) -> None:
        sent: list[str] = []
        answers.append(sent)
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked or len(answers) < 3:
                await closed.wait()
                return {"type": "websocket.disconnect"}
            asked = True
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(f"{message['type']} {message.get('code', '')}".strip())

        await app(scope, receive, send)

    async def go() -> None:
        closing = [asyncio.Event() for _ in range(4)]
        held = [asyncio.create_task(connection(closing[number])) for number in range(2)]
        await asyncio.sleep(0)
        await connection(closing[2])  # refused at once
        closing[0].set()
        await held[0]
        held.append(asyncio.create_task(connection(closing[3])))
        await asyncio.sleep(0)
        for event in closing:
            event.set()
        await asyncio.gather(*held)

    asyncio.run(go())
    assert answers == [["websocket.accept"], ["websocket.accept"], ["websocket.close 1008"], ["websocket.accept"]]


async def accepting(scope: Message, receive: Receive, send: Send) -> None:
    """An application that accepts a WebSocket."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})


def test_lifespan_passes() -> None:
    """What is no request reaches the application untouched."""
    seen: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope["type"])

    called(LimitsMiddleware(app, SMALL), [], {"type": "lifespan"})
    assert seen == ["lifespan"]


# The package


@pytest.mark.parametrize("missing", ["openenv", "mcp", "uvicorn"])
def test_what_is_missing_is_named(missing: str) -> None:
    """Without one of its libraries the package names it and the extra to install."""
    program = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "try:\n    import metric_tracker_env.serve\nexcept ImportError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"needs {missing};" in result.stdout
    assert "pip install 'metric_tracker_env[serve]'" in result.stdout
    command = f"import runpy, sys\nsys.modules[{missing!r}] = None\nsys.argv = ['-m']\n"
    command += "runpy.run_module('metric_tracker_env.serve', run_name='__main__')"
    result = subprocess.run([sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith(f"metric_tracker_env.serve needs {missing};")
    assert result.stderr.count("\n") == 1


def test_the_limits_load_no_server() -> None:
    """The limits can be imported without loading any library of the servers."""
    program = "import sys, metric_tracker_env.serve.limits; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"openenv", "mcp", "fastapi", "starlette", "uvicorn"} & set(result.stdout.split())


def test_an_unknown_server_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The command names the servers that there are."""
    with pytest.raises(SystemExit) as ended:
        main(["gopher"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ("gopher", *DOORS))
