"""The OpenEnv server answers whatever clients send in words, and its own failures without telling what they are."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import requests
from helpers_openenv import DEEP, SECRET, TRACES, Live, asked, error_of, live, step
from helpers_serve import PATIENCE, wait_for

from metric_tracker_env import Session
from metric_tracker_env.serve import openenv_env
from metric_tracker_env.serve.limits import FAILED

BAD_MESSAGES: dict[str, tuple[str | bytes, str, str]] = {
    "no_json": ("{", "INVALID_JSON", "not JSON"),
    "empty": ("", "INVALID_JSON", "not JSON"),
    "binary": (b'{"type": "state"}', "INVALID_JSON", "text frame"),
    "nan": (
        '{"type": "step", "data": {"tool": "list_dates", "arguments": {"limit": NaN}}}',
        "INVALID_JSON",
        "not JSON",
    ),
    "long_number": ('{"type": "reset", "data": {"seed": ' + "9" * 5000 + "}}", "INVALID_JSON", "a number beyond"),
    "deep": ("[" * 100_000, "INVALID_JSON", "nested too deep"),
    "half_character": ('{"type": "reset", "data": {"episode_id": "\\ud800"}}', "INVALID_JSON", "no Unicode"),
    "list": ("[]", "VALIDATION_ERROR", "a JSON object"),
    "text": ('"reset"', "VALIDATION_ERROR", "a JSON object"),
    "null": ("null", "VALIDATION_ERROR", "a JSON object"),
    "no_type": ("{}", "UNKNOWN_TYPE", "reset, step, state, close"),
    "type_is_a_list": ('{"type": ["reset"]}', "UNKNOWN_TYPE", "reset, step, state, close"),
    "unknown_type": ('{"type": "eval"}', "UNKNOWN_TYPE", "reset, step, state, close"),
    "unknown_field": ('{"type": "state", "secret": 1}', "VALIDATION_ERROR", "secret: Extra inputs"),
    "reset_of_a_list": ('{"type": "reset", "data": []}', "VALIDATION_ERROR", "the data of a message are a JSON object"),
    "deep_tool": (f'{{"type": "step", "data": {{"tool": {DEEP}}}}}', "VALIDATION_ERROR", "nested too deep"),
    "deep_data": (f'{{"type": "step", "data": {DEEP}}}', "VALIDATION_ERROR", "data of a message are"),
    "deep_rows": (
        f'{{"type": "step", "data": {{"tool": "submit", "arguments": {{"rows": {DEEP}}}}}}}',
        "VALIDATION_ERROR",
        "nested too deep",
    ),
    "step_of_nothing": ('{"type": "step"}', "VALIDATION_ERROR", "data: Field required"),
    "step_without_tool": ('{"type": "step", "data": {}}', "VALIDATION_ERROR", "tool: Field required"),
    "tool_is_a_number": ('{"type": "step", "data": {"tool": 7}}', "VALIDATION_ERROR", "tool: Input should be"),
    "arguments_are_a_list": (
        '{"type": "step", "data": {"tool": "list_dates", "arguments": []}}',
        "VALIDATION_ERROR",
        "arguments: Input should be",
    ),
    "unknown_part_of_a_call": (
        '{"type": "step", "data": {"tool": "list_dates", "budget": 99}}',
        "VALIDATION_ERROR",
        "budget: Extra inputs",
    ),
}
BAD_RESETS: dict[str, tuple[dict[str, Any], str]] = {
    "negative_seed": ({"seed": -1}, "reset: seed -1 is not an integer from 0 to"),
    "seed_is_text": ({"seed": "7"}, "reset: seed '7' is not"),
    "seed_too_large": ({"seed": 2**63}, "is not an integer from 0 to"),
    "unknown_task": ({"task": "gopher"}, "task 'gopher' is not one of ['easy_single_spike'"),
    "task_is_a_list": ({"task": []}, "task [] is not one of"),
    "config": ({"config": "/etc/passwd"}, "no argument 'config'; allowed: ('seed', 'episode_id', 'task',"),
    "budget": ({"budget": 1000}, "no argument 'budget'"),
    "prompt": ({"prompt": "x"}, "no argument 'prompt'"),
    "names_of_code": ({"self": 1, "func": 2, "session_id": 3}, "no argument 'self', 'func', 'session_id'"),
    "episode_id": ({"episode_id": 5}, "episode_id 5 must be a text"),
    "long_episode_id": ({"episode_id": "x" * 256}, "must be a text of at most 255 characters"),
    "difficulty": ({"difficulty": "insane"}, "difficulty: Input should be 'easy', 'medium' or 'hard'"),
    "count": ({"anomaly_count": "3"}, "anomaly_count: '3' given; it must be a whole number"),
    "too_many": ({"anomaly_count": 99}, "99 incidents do not fit in 28 days; at most 13 do"),
    "generators": ({"anomaly_generators": "x"}, "anomaly_generators: Input should be a valid tuple"),
    "metric": (
        {"anomaly_generators": [{"metric_name": "x" * 50_000, "stddev_factor": 3.0}]},
        "anomaly_generators: metric 'xxx",
    ),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_bad_message_is_answered_and_the_session_goes_on(server: Live, name: str) -> None:
    """What is no message, or none that there is, gets an error in words; it costs nothing and ends nothing."""
    sent, code, told = BAD_MESSAGES[name]
    with server.raw() as connection:
        asked(connection, {"type": "reset", "data": {"seed": 1}})
        before = asked(connection, {"type": "state"})
        error = error_of(asked(connection, sent))
        assert error["code"] == code
        assert told in error["message"]
        assert asked(connection, {"type": "state"}) == before


def test_a_bad_reset_changes_nothing(server: Live) -> None:
    """A reset with a bad value names it and what is allowed, and the episode under way goes on."""
    with server.raw() as connection:
        asked(connection, {"type": "reset", "data": {"seed": 1, "task": "easy_mixed"}})
        asked(connection, step("list_suspicious_dates"))
        before = asked(connection, {"type": "state"})
        for name, (data, told) in BAD_RESETS.items():
            error = error_of(asked(connection, {"type": "reset", "data": data}))
            assert error["code"] == "EXECUTION_ERROR", name
            assert told in error["message"], name
            assert len(error["message"]) < 1100, name
            assert asked(connection, {"type": "state"}) == before, name
        own = Session("easy_mixed")
        own.begin(1)
        answer = json.loads(asked(connection, step("get_funnel_break_rows")))["data"]["observation"]["answer"]
        assert json.loads(answer)["result"] == own.call("get_funnel_break_rows", {}).result


@pytest.mark.parametrize("name", BAD_RESETS)
def test_a_bad_first_reset_begins_nothing(server: Live, name: str) -> None:
    """A session whose first reset was refused plays what a later one asks for, as if there had been none."""
    with server.raw() as connection:
        error_of(asked(connection, {"type": "reset", "data": {**BAD_RESETS[name][0]}}))
        assert not json.loads(asked(connection, {"type": "state"}))["data"]["begun"]
        own = Session()
        brief = json.loads(asked(connection, {"type": "reset", "data": {"seed": 1}}))["data"]["observation"]["brief"]
        assert brief == own.begin(1)


BAD_REQUESTS: list[tuple[str, str, str | bytes | None, int, str]] = [
    ("POST", "/reset", "{", 422, "JSON decode error"),
    ("POST", "/reset", "[]", 422, "body"),
    ("POST", "/reset", '{"seed": -1}', 422, "seed: Input should be greater"),
    ("POST", "/reset", '{"seed": 1e400}', 422, "seed"),
    ("POST", "/reset", '{"seed": ' + "9" * 5000 + "}", 0, ""),
    ("POST", "/reset", "[" * 100_000, 0, ""),
    ("POST", "/reset", '{"task": "\\ud800"}', 422, "is not one of"),
    ("POST", "/reset", '{"task": "gopher"}', 422, "task 'gopher' is not one of"),
    ("POST", "/reset", '{"config": "/etc/passwd"}', 422, "body.config: Extra inputs"),
    ("POST", "/reset", '{"self": 1, "func": 2}', 422, "body.self: Extra inputs are not permitted; body.func"),
    ("POST", "/step", '{"action": {"tool": "list_dates"}, "self": 9}', 422, "body.self: Extra inputs"),
    ("POST", "/step", "{}", 422, "action: Field required"),
    ("POST", "/step", '{"action": {"tool": NaN}}', 422, "tool: Input should be"),
    ("POST", "/step", '{"action": {"tool": "list_dates", "budget": 9}}', 422, "budget: Extra inputs"),
    ("POST", "/step", '{"action": {"tool": "list_dates"}, "seed": 9}', 422, "body.seed: Extra inputs"),
    ("GET", "/reset", None, 405, "Method Not Allowed"),
    ("GET", "/../../etc/passwd", None, 404, "Not Found"),
    ("POST", "/reset", '{"seed": false}', 422, "body.seed: Input should be a valid integer"),
    ("POST", "/reset", '{"seed": 9007199254740993}', 422, "body.seed: Input should be less"),
    ("POST", "/reset", "\xff", 422, ""),
    ("GET", "/metric_tracker_env/splits", None, 404, "Not Found"),
    ("POST", "/metric_tracker_env/task", '{"split": "test", "index": 0}', 404, "Not Found"),
]


@pytest.mark.parametrize("number", range(len(BAD_REQUESTS)))
def test_a_bad_request_is_answered(server: Live, number: int) -> None:
    """A bad request gets an error in words, as JSON, without a trace and without what only the server should know."""
    method, path, content, status, told = BAD_REQUESTS[number]
    response = requests.request(
        method, server.http + path, data=content, headers={"content-type": "application/json"}, timeout=PATIENCE
    )
    error = response.json()["error"]
    assert set(error) == {"code", "message"}
    assert 400 <= response.status_code < 500 or response.status_code == status
    assert status in (0, response.status_code)
    assert told in error["message"]
    assert not [trace for trace in TRACES if trace in response.text]


def test_the_page_is_a_server_of_its_own(server: Live) -> None:
    """Where OpenEnv has a page, one line says how ours is started."""
    response = requests.get(f"{server.http}/web", timeout=PATIENCE)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert "python -m metric_tracker_env.ui" in response.text
    assert response.text.count("\n") == 1


def test_a_failure_of_the_server_is_logged_and_not_told(
    server: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that no client caused is in the log, and its text reaches nobody; the session goes on."""

    def fail(*_: object, **__: object) -> str:
        raise KeyError(SECRET)

    with server.raw() as connection, caplog.at_level(logging.ERROR):
        asked(connection, {"type": "reset", "data": {"seed": 1}})
        with monkeypatch.context() as patch:
            patch.setattr(Session, "call", fail)
            patch.setattr(Session, "begin", fail)
            for message in (step("list_dates"), {"type": "reset"}):
                error = error_of(asked(connection, message))
                assert error == {"message": FAILED, "code": "EXECUTION_ERROR"}
            response = requests.post(f"{server.http}/reset", json={}, timeout=PATIENCE)
            assert (response.status_code, response.json()["error"]["message"]) == (500, FAILED)
            patch.setattr(openenv_env.InvestigationEnvironment, "state", property(fail))
            assert error_of(asked(connection, {"type": "state"}))["message"] == FAILED
            assert requests.get(f"{server.http}/state", timeout=PATIENCE).status_code == 500
        assert json.loads(asked(connection, step("list_dates")))["type"] == "observation"
    assert SECRET in caplog.text


def test_a_session_that_cannot_begin_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a session cannot be made the client is told that and no more, and the place is free again."""
    with live() as running:

        def fail(*_: object, **__: object) -> None:
            raise KeyError(SECRET)

        with monkeypatch.context() as patch:
            patch.setattr(openenv_env.InvestigationEnvironment, "__init__", fail)
            with running.raw() as connection:
                error = error_of(str(connection.recv(timeout=PATIENCE)))
                assert error == {"message": FAILED, "code": "FACTORY_ERROR"}
        wait_for(lambda: running.sessions == 0)
        with running.client() as client:
            assert not client.state().begun
