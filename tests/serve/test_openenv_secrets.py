"""The OpenEnv server tells nothing of an episode that the tools do not, and no session to another."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
from helpers_openenv import SEED, Live, asked, error_of, step
from helpers_serve import PATIENCE, wait_for
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from metric_tracker_env import Session


def told_before_the_end(server: Live, **options: Any) -> list[str]:
    """All that a client can make the server say about an episode without investigating it."""
    with server.raw() as connection:
        told = [asked(connection, {"type": "reset", "data": {"seed": SEED, **options}})]
        told += [
            asked(connection, message)
            for message in (
                {"type": "state"},
                step("task_overview"),
                step("list_dates", limit=366),
                step("list_entities", limit=366),
                step("seed"),
                step("rows_for_date", date="expected"),
                step("submit", rows=[{"date": "2026-03-10"}]),
                {"type": "state"},
                {"type": "step", "data": {"tool": "task_overview", "metadata": {"expected": True}}},
                {"type": "step", "data": {"tool": 7}},
                {"type": "reset", "data": {"seed": -1}},
                {"type": "state", "data": {"all": True}},
                {"type": "mcp", "data": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}},
                {"type": "truth"},
                "[]",
            )
        ]
    return told


def test_nothing_but_the_tools_tells_of_the_episode(server: Live) -> None:
    """Whatever its seed and number of incidents, an episode reads the same until it is looked into.

    A family that a client asks for is told by the brief, which is in the answer to the reset, and by nothing else.
    """
    first = told_before_the_end(server)
    assert told_before_the_end(server, anomaly_count=9) == first
    assert [text.replace(str(SEED), "") for text in told_before_the_end(server, anomaly_count=1)] == first
    asked_for = told_before_the_end(server, scenario_family="funnel_break", anomaly_count=9)
    assert asked_for[1:] == first[1:]
    brief = json.loads(first[0])["data"]["observation"]["brief"].split("\n\n")
    assert json.loads(asked_for[0])["data"]["observation"]["brief"].split("\n\n")[1:] == brief[1:]


def test_no_answer_holds_the_truth(server: Live) -> None:
    """Neither messages nor endpoints hold the seed, the incidents or the grade of an episode under way."""
    own = Session()
    own.begin(SEED)
    own.call("submit", {"rows": []})
    expected = own.episode().expected_rows
    with server.raw() as open_session:
        asked(open_session, {"type": "reset", "data": {"seed": SEED}})
        told = told_before_the_end(server)
        for path in ("state", "metadata", "health", "schema", "openapi.json", "ready"):
            response = requests.get(f"{server.http}/{path}", timeout=PATIENCE)
            assert response.status_code == 200
            told.append(response.text)
        told.append(requests.post(f"{server.http}/reset", json={"seed": SEED}, timeout=PATIENCE).text)
    assert len(expected) == 3
    for text in told:
        assert str(SEED) not in text
        assert not re.search(r'\\?"(grade|expected|expected_rows|score|anomaly_count|config)\\?":', text)
        assert not [row for row in expected if str(row.delta_value) in text or str(row.observed_value) in text]


def test_a_request_knows_no_session(server: Live) -> None:
    """HTTP requests play nothing: each is forgotten when it is answered, and none sees another's episode."""
    with server.client() as client:
        client.reset(seed=SEED)
        assert requests.post(f"{server.http}/reset", json={"seed": 1}, timeout=PATIENCE).json()["done"] is False
        for _ in range(2):
            call = {"action": {"tool": "submit", "arguments": {"rows": []}}}
            answer = requests.post(f"{server.http}/step", json=call, timeout=PATIENCE).json()
            assert answer["observation"]["answer"] == '{"ok":false,"error":"no episode is under way; reset begins one"}'
            assert requests.get(f"{server.http}/state", timeout=PATIENCE).json()["begun"] is False
        assert server.sessions == 1
        assert client.state().step_count == 0


def test_no_session_can_be_reached_by_its_id(server: Live) -> None:
    """OpenEnv's ways to open, enter and close a session by its id are shut."""
    with server.client() as client:
        client.reset(seed=1)
        (session_id,) = server._server.sessions._sessions
        for method in ("openenv/session/create", "openenv/session/close", "tools/list", "tools/call"):
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"session_id": session_id}}
            answer = requests.post(f"{server.http}/mcp", json=call, timeout=PATIENCE).json()
            assert (answer["jsonrpc"], answer["error"]["code"]) == ("2.0", -32601)
            with server.raw() as connection:
                assert error_of(asked(connection, {"type": "mcp", "data": call}))["code"] == "UNKNOWN_TYPE"
        for query in (f"?session_id={session_id}", "?x=1&session_id=", "?session%5Fid=abc"):
            with pytest.raises(InvalidStatus) as refused, server.raw(query):
                pass
            assert refused.value.response.status_code == 403
            assert b"cannot be attached" in (refused.value.response.body or b"")
        for path in ("mcp", "harness", "ws/", "ws/ui"):
            with pytest.raises(InvalidStatus) as refused, connect(f"ws://{server.address}/{path}", proxy=None):
                pass
            assert refused.value.response.status_code == 404
        wait_for(lambda: server.sessions == 1)
        assert client.state().begun
