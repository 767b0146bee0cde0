"""The OpenEnv server bears what clients do: many sessions, much data, idleness, silence, and leaving."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import socket
import time
import weakref
from typing import Any, ClassVar

import pytest
import requests
from helpers_openenv import Live, asked, error_of, live, step
from helpers_serve import PATIENCE, wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from metric_tracker_env.play.engine import Engine
from metric_tracker_env.session import session as session_module


def test_sessions_are_limited() -> None:
    """One session too many is told so and closed; when another ends there is room again."""
    with live(max_sessions=2) as running:
        with running.client() as first, running.client() as second:
            first.reset(seed=1)
            second.reset(seed=2)
            with pytest.raises(InvalidStatus) as refused, running.raw():
                pass
            response = refused.value.response
            assert (response.status_code, response.headers["retry-after"]) == (503, "6")
            assert json.loads(response.body)["error"]["message"] == "all 2 sessions are taken; try again later"
            with pytest.raises(ConnectionError), running.client() as fourth:
                fourth.reset(seed=1)
            assert first.state().begun
        wait_for(lambda: running.sessions == 0)
        with running.client() as client:
            assert client.reset(seed=1).observation.brief


def test_connections_are_limited() -> None:
    """More connections than the server bears are refused, and those there are go on."""
    with live(max_connections=2) as running, running.raw() as connection:
        asked(connection, {"type": "reset"})
        with running.raw(), pytest.raises(InvalidStatus) as refused, running.raw():
            pass
        assert refused.value.response.status_code == 503
        assert json.loads(asked(connection, {"type": "state"}))["data"]["begun"]


def test_large_messages_end_the_session() -> None:
    """A message up to the limit is read, and one beyond it closes the session with the code for that."""
    with live(max_message_bytes=4096) as running:
        with running.raw() as connection:
            asked(connection, {"type": "reset", "data": {"seed": 1}})
            padding = 4096 - len(json.dumps(step("list_dates", x="")))
            assert json.loads(asked(connection, step("list_dates", x="x" * padding)))["type"] == "observation"
            with pytest.raises(ConnectionClosed) as closed:
                asked(connection, step("list_dates", x="x" * (padding + 1)))
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        wait_for(lambda: running.sessions == 0)


def test_large_bodies_are_refused() -> None:
    """A request whose body is too large, declared or in chunks, is refused."""
    with live(max_body_bytes=4096) as running:
        body = b'{"task": "' + b"x" * 5000 + b'"}'
        headers = {"content-type": "application/json"}
        for content in (body, iter([body[:3000], body[3000:]])):
            response = requests.post(f"{running.http}/reset", data=content, headers=headers, timeout=PATIENCE)
            assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_idle_sessions_are_ended() -> None:
    """A session that says nothing is told so and closed, and its engine is let go."""
    with live(idle_seconds=0.3) as running, running.raw() as connection:
        asked(connection, {"type": "reset", "data": {"seed": 1}})
        error = error_of(str(connection.recv(timeout=PATIENCE)))
        assert error == {"message": "the session was idle for 0.3 s", "code": "SESSION_ERROR"}
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        wait_for(lambda: running.sessions == 0)


def test_a_client_that_does_not_read_is_let_go() -> None:
    """Answers that nobody takes end the session, so that it does not keep its place from others."""
    with live(idle_seconds=1.0, max_sessions=1) as running:
        with running.raw() as connection:
            asked(connection, {"type": "reset", "data": {"seed": 1}})
            assert running.sessions == 1
        wait_for(lambda: running.sessions == 0)
        with socket.create_connection(running.place, PATIENCE) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(
                f"GET /ws HTTP/1.1\r\nhost: {running.address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            assert deaf.recv(12) == b"HTTP/1.1 101"
            ask = frame(json.dumps({"type": "reset", "data": {"seed": 1}}))
            with contextlib.suppress(OSError):
                deaf.sendall(ask)
                wait_for(lambda: running.sessions == 1)
                for _ in range(400):  # each answer holds the schemas of all tools, more together than sockets buffer
                    deaf.sendall(ask)
            wait_for(lambda: running.sessions == 0)
            with running.raw() as connection:
                assert "brief" in asked(connection, {"type": "reset", "data": {"seed": 1}})


def frame(text: str) -> bytes:
    """A masked text frame of up to 125 bytes, RFC 6455 section 5.2, with a mask of zeros."""
    data = text.encode()
    assert len(data) <= 125
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data


@pytest.mark.parametrize("said", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nhost: x\r\n"])
def test_connections_without_a_request_are_closed(said: bytes) -> None:
    """Who connects and says nothing, or half of a request's head, keeps no place from others."""
    with (
        live(body_seconds=0.5, max_connections=2) as running,
        socket.create_connection(running.place, PATIENCE) as first,
        socket.create_connection(running.place, PATIENCE) as second,
    ):
        for connection in (first, second):
            connection.sendall(said)
        for connection in (first, second):
            assert connection.recv(100) == b""
        assert requests.get(f"{running.http}/health", timeout=PATIENCE).status_code == 200


def test_answers_that_nobody_reads_end_a_connection() -> None:
    """A client of single requests that sends and never reads keeps no place from others."""
    with (
        live(body_seconds=0.5, max_connections=4, request_burst=1_000_000) as running,
        socket.create_connection(running.place, PATIENCE) as deaf,
    ):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            send_for_ever(deaf, b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")  # the largest answer


def send_for_ever(connection: socket.socket, data: bytes) -> None:
    """Send until that fails."""
    while True:
        connection.sendall(data)


def test_connections_that_are_used_stay_open() -> None:
    """A session outlives the time for a request's head, and so does a connection from one request to the next."""
    with live(body_seconds=2.0) as running, running.raw() as connection:
        with contextlib.closing(http.client.HTTPConnection(*running.place, timeout=PATIENCE)) as plain:
            plain.connect()
            for _ in range(4):
                plain.request("GET", "/health")
                answer = plain.getresponse()
                assert (answer.status, answer.read() != b"", answer.will_close) == (200, True, False)
                time.sleep(0.6)
            plain.sock.sendall(b"GET /hea")
            assert plain.sock.recv(100) == b""
        assert "brief" in asked(connection, {"type": "reset", "data": {"seed": 1}})


def test_calls_beyond_the_rate_wait() -> None:
    """A session that calls faster than it may is slowed down: every call is answered, in order."""
    with live(calls_per_second=200.0, call_burst=1) as running, running.raw() as connection:
        asked(connection, {"type": "reset", "data": {"seed": 1}})
        for number in range(20):
            connection.send(json.dumps(step("rows_for_date", date=f"no{number}")))
        answers = [str(connection.recv(timeout=PATIENCE)) for _ in range(20)]
        assert [f"no{number}" in answer for number, answer in enumerate(answers)] == [True] * 20


def test_requests_beyond_the_rate_are_refused() -> None:
    """An address that asks too often is told to wait, for requests and for opening sessions alike."""
    with live(requests_per_second=0.01, request_burst=2) as running:
        headers = {"x-forwarded-for": "1.2.3.4"}
        codes = [
            requests.get(f"{running.http}/health", headers=headers, timeout=PATIENCE).status_code for _ in range(3)
        ]
        assert codes == [200, 200, 429]
        with pytest.raises(InvalidStatus) as refused, running.raw():
            pass
        assert refused.value.response.status_code == 429


# Ends


class Seen(Engine):
    """Engines that were made and are still held by somebody."""

    alive: ClassVar[weakref.WeakSet[Engine]] = weakref.WeakSet()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.alive.add(self)


def leave(connection: ClientConnection) -> None:
    """Go without a word, as a client does whose machine loses power."""
    connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", ["close_message", "close_frame", "gone"])
def test_a_session_that_ends_leaves_nothing(server: Live, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """However a client goes, its place is free and its engine is let go; the others play on."""
    monkeypatch.setattr(session_module, "Engine", Seen)
    with server.raw() as other, contextlib.ExitStack() as entered:
        asked(other, {"type": "reset", "data": {"seed": 1}})
        connections = [entered.enter_context(server.raw()) for _ in range(3)]
        for connection in connections:
            asked(connection, {"type": "reset", "data": {"seed": 2}})
        assert (server.sessions, len(Seen.alive)) == (4, 4)
        for connection in connections:
            if end == "close_message":
                connection.send('{"type": "close"}')
                with pytest.raises(ConnectionClosed):
                    connection.recv(timeout=PATIENCE)
            elif end == "gone":
                leave(connection)
            connection.close()
        wait_for(lambda: server.sessions == 1)
        wait_for(lambda: gc.collect() >= 0 and len(Seen.alive) == 1)
        assert json.loads(asked(other, {"type": "state"}))["data"]["begun"]
    wait_for(lambda: gc.collect() >= 0 and not Seen.alive)


def test_a_client_that_goes_during_its_call_ends_its_session(server: Live) -> None:
    """Calls that are under way when their client goes do no harm."""
    for _ in range(5):
        with server.raw() as connection:
            asked(connection, {"type": "reset", "data": {"seed": 1}})
            for _ in range(4):
                connection.send(json.dumps(step("list_suspicious_dates")))
            leave(connection)
    wait_for(lambda: server.sessions == 0)
