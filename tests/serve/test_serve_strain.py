"""One session's work does not stall the others: what is much to read or to answer waits for its own turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from helpers_serve import PATIENCE, listening, wait_for
from test_serve_border import Http, served
from websockets.sync.client import connect

from metric_tracker_env import EnvConfig, MetricDataGenerator
from metric_tracker_env.serve.limits import CALL_BYTES, ServeLimits
from metric_tracker_env.serve.mcp_server import BEGIN, McpServer
from metric_tracker_env.serve.openenv_app import make_server
from metric_tracker_env.tools.arguments import PREVIEW_ROWS

LIMITS = ServeLimits(calls_per_second=40, call_burst=60)
PREVIEWS = 12  # of the heavy session


def rows() -> list[dict[str, Any]]:
    """As many rows as a call takes."""
    config = EnvConfig()
    row = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=1)).expected_rows[0]
    return [row.model_dump()] * PREVIEW_ROWS


def strained(heavy: Callable[[], str], light: Callable[[], str]) -> None:
    """A heavy session is held to its rate, and a light one is answered in the meantime."""
    words = len(json.dumps(rows()))
    owed = PREVIEWS * (1 + words / CALL_BYTES) - LIMITS.call_burst  # calls that the rate lets through only in time
    least = (owed - words / CALL_BYTES) / LIMITS.calls_per_second  # the last one's bytes are owed at the end
    assert least > 1.0
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(lambda: [heavy() for _ in range(PREVIEWS)])
        answers = 0
        while not working.done() and answers < 50:
            assert "weekday" in light()
            answers += 1
            time.sleep(0.1)
        assert all("submitted" in told for told in working.result(PATIENCE))
    assert time.monotonic() - begun > least
    assert answers >= 5  # while the other waited


def test_mcp() -> None:
    with served(McpServer(limits=LIMITS)) as (_, address):
        first, second = Http(address), Http(address)
        for http in (first, second):
            http.call(BEGIN, seed=1)
        sent = rows()
        strained(
            lambda: json.dumps(first.call("preview_submission", rows=sent)), lambda: str(second.call("list_dates"))
        )


def test_openenv() -> None:
    with listening(make_server(LIMITS).app, LIMITS) as address:
        url = f"ws://{address}/ws"
        with connect(url, proxy=None, max_size=2**24) as first, connect(url, proxy=None, max_size=2**24) as second:

            def step(connection: Any, tool: str, **arguments: Any) -> str:
                data = {"tool": tool, "arguments": arguments}
                connection.send(json.dumps({"type": "step", "data": data}))
                return str(connection.recv(timeout=PATIENCE))

            for connection in (first, second):
                connection.send(json.dumps({"type": "reset", "data": {"seed": 1}}))
                assert "brief" in str(connection.recv(timeout=PATIENCE))
            sent = rows()
            strained(lambda: step(first, "preview_submission", rows=sent), lambda: step(second, "list_dates"))


@pytest.mark.parametrize("size", [PREVIEW_ROWS, PREVIEW_ROWS + 1])
def test_more_rows_than_a_call_takes_are_refused(size: int) -> None:
    """In words, as a bad call."""
    with served() as (_, address):
        http = Http(address)
        http.call(BEGIN, seed=1)
        told = http.call("preview_submission", rows=[{}] * size)["result"]["structuredContent"]
        assert told["ok"] == (size == PREVIEW_ROWS)
        assert told["ok"] or f"at most {PREVIEW_ROWS}" in told["error"]


def test_a_silent_websocket_gives_its_place() -> None:
    """To a client that finds all taken; not one that was heard within the time for it."""
    limits = ServeLimits(max_sessions=2, yield_seconds=1.0)
    with listening(make_server(limits).app, limits) as address:
        url = f"ws://{address}/ws"
        ask = json.dumps({"type": "reset", "data": {"seed": 1}})
        with connect(url, proxy=None, max_size=2**24) as first, connect(url, proxy=None, max_size=2**24) as second:
            for connection in (first, second):
                connection.send(ask)
                assert "brief" in str(connection.recv(timeout=PATIENCE))
            time.sleep(0.6)
            second.send(ask)
            assert "brief" in str(second.recv(timeout=PATIENCE))
            time.sleep(0.6)
            with connect(url, proxy=None, max_size=2**24) as third:
                for connection in (third, second):
                    connection.send(ask)
                    assert "brief" in str(connection.recv(timeout=PATIENCE))
                assert "gave its place to another client" in str(first.recv(timeout=PATIENCE))


def test_a_session_beyond_its_rate_is_told_when_to_come_again() -> None:
    """Over MCP, where it would have to wait for longer than an answer may take; another session goes on."""
    limits = ServeLimits(calls_per_second=0.01, call_burst=60)
    with served(McpServer(limits=limits)) as (_, address):
        first, second = Http(address), Http(address)
        first.call(BEGIN, seed=1)
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        refused = next(answer for answer in (first.post(ping) for _ in range(70)) if answer.status_code != 200)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 60
        assert "too many calls" in refused.json()["error"]["message"]
        assert second.post(ping).status_code == 200


def test_a_connection_too_many_is_told_when_to_come_again() -> None:
    """503 with Retry-After; when another connection ends there is room."""
    limits = ServeLimits(max_connections=1)
    with listening(make_server(limits).app, limits) as address:
        url = f"http://{address}/ready"
        with httpx.Client(trust_env=False) as first:
            assert first.get(url).status_code == 200
            with httpx.Client(trust_env=False) as second:
                refused = second.get(url)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "6")
            assert refused.json()["error"]["code"] == "too_many_connections"
            assert first.get(url).status_code == 200
        with httpx.Client(trust_env=False) as third:
            wait_for(lambda: third.get(url).status_code == 200)
