"""Language models and endpoints that do not behave: limits, malformed calls, silence, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import CONFIG, KEY, SEEDS, SHORT, TASK, begun, lines_of
from llm_server import MALFORMED, ScriptedServer

from agents import Evaluation, evaluate
from agents.llm.command import EndpointError, LlmRun, Summary
from agents.llm.episode import REMINDER
from agents.llm.run import TRANSCRIPTS_FILE
from agents.players.outcome import Fate
from agents.players.player import Assignment
from metric_tracker_env import get_task


def test_who_says_nothing_is_not_right_where_nothing_happened(server: ScriptedServer, tmp_path: Path) -> None:
    """An empty list is the right answer to a quiet episode; no answer is none, and scores 0."""
    quiet = get_task("quiet_weeks")
    episodes = evaluate(begun(server, tmp_path, "talker"), SEEDS[:6], quiet, options=SHORT).episodes
    assert 0 in episodes.expected
    assert set(episodes.score) == set(episodes.f1) == set(episodes.net) == set(episodes.episode_return) == {0.0}


@pytest.mark.parametrize(
    ("model", "options", "finish", "figures"),
    [
        ("looping", {}, "calls_spent", {"steps": 12, "cost": 6, "illegal": 6, "tool_calls": 6}),
        ("malformed", {}, "calls_spent", {"steps": 12, "cost": 6, "illegal": 12, "tool_calls": 0}),
        ("looping", {"max_turns": 3}, "turn_limit", {"steps": 3, "cost": 3, "illegal": 0}),
        ("looping", {"max_episode_tokens": 400}, "token_limit", {"steps": 2, "cost": 2, "illegal": 0}),
        ("talker", {}, "no_call", {"steps": 0, "cost": 0}),
        ("slow", {"request_seconds": 0.3, "retries": 0}, "timeout", {"steps": 0, "cost": 0}),
        ("slow", {"episode_seconds": 0.3}, "time_limit", {"steps": 0, "cost": 0}),
        ("drip", {"episode_seconds": 0.5, "request_seconds": 0.4}, "time_limit", {"steps": 0, "cost": 0}),
        ("busy", {}, "rate_limit", {"steps": 0, "cost": 0}),
        ("closing", {}, "rate_limit", {"steps": 0, "cost": 0}),
        ("broken", {}, "error", {"steps": 0, "cost": 0}),
        ("full", {}, "context", {"steps": 1, "cost": 1}),
        ("moderated", {}, "filtered", {"steps": 1}),
        ("filtered", {}, "filtered", {"steps": 0, "cost": 0}),
        ("wordy", {}, "length", {"steps": 0, "cost": 0}),
    ],
)
def test_what_ends_an_episode(
    model: str, options: dict[str, Any], finish: str, figures: dict[str, int], server: ScriptedServer, tmp_path: Path
) -> None:
    """Budget, limits, silence and errors each end an episode with nothing submitted, for a reason that is told."""
    result = evaluate(begun(server, tmp_path, model, **options), SEEDS[:2], TASK, options=SHORT)
    assert [item["finish"] for item in lines_of(tmp_path)] == [finish] * 2
    episodes = result.episodes
    assert (set(episodes.score), set(episodes.submitted), set(episodes.recall)) == ({0.0}, {0}, {0.0})
    assert result.rows.fate == (int(Fate.MISSED),) * sum(episodes.expected)
    assert min(episodes.expected) >= 1
    for name, value in figures.items():
        assert getattr(episodes, name) == (value, value), name
    spent = pytest.approx([-0.005 * cost for cost in episodes.cost])
    assert [*episodes.net] == spent
    assert [*episodes.episode_return] == spent
    assert "submit" not in result.tools
    reasons = {
        "slow": "no reply within 0.3 s",
        "busy": "HTTP 429: Rate limit reached",
        "closing": "HTTP 429: Daily limit reached; it asks to wait 3,600 s",
        "broken": "HTTP 502: 502 Bad gateway",
        "moderated": "HTTP 403: Your input was flagged by moderation",
        "full": "HTTP 400: maximum context length is 4096 tokens",
    }
    wanted = None if finish == "time_limit" else reasons.get(model)
    assert {item["error"] for item in lines_of(tmp_path)} == {wanted}
    repeated = {"busy": 3, "broken": 3, "closing": 1}
    assert {item["retries"] for item in lines_of(tmp_path)} == {repeated.get(model, 0)}


def test_malformed_calls_cost_and_are_answered(server: ScriptedServer, tmp_path: Path) -> None:
    """Each bad call is kept as it came, answered with what is wrong, and costs a unit; none ends the conversation."""
    options = {"budget": 40, "step_limit": len(MALFORMED)}
    evaluate(begun(server, tmp_path, "malformed"), SEEDS[:1], TASK, options=options)
    (item,) = lines_of(tmp_path)
    calls = [message["tool_calls"][0]["function"] for message in item["messages"] if message["role"] == "assistant"]
    assert [(call["name"], call["arguments"]) for call in calls] == [(name or "", given) for name, given in MALFORMED]
    answers = [json.loads(message["content"]) for message in item["messages"] if message["role"] == "tool"]
    assert [answer["ok"] for answer in answers] == [False] * len(MALFORMED)
    assert [answer["cost"] for answer in answers] == [1] * len(MALFORMED)
    assert "tool 'no_such_tool' is unknown; the tools are" in answers[0]["error"]
    assert "must be an object with the arguments by name" in answers[2]["error"]
    assert "date" in answers[5]["error"]
    assert item["figures"]["illegal"] == item["figures"]["cost"] == len(MALFORMED)
    assert item["tools"] == {}


def test_a_silent_model_is_reminded(server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path) -> None:
    """After a reply without a call the model is told so in a plain message, and may go on; the reply costs nothing."""
    result = evaluate(begun(server, tmp_path, "silent"), SEEDS[:1], TASK)
    (item,) = lines_of(tmp_path)
    assert [message["role"] for message in item["messages"][:4]] == ["user", "assistant", "user", "assistant"]
    assert item["messages"][2]["content"] == REMINDER
    run, _ = good
    assert result.episodes == evaluate(run, SEEDS[:1], TASK).episodes
    evaluate(begun(server, tmp_path / "strict", "silent", reminders=0), SEEDS[:1], TASK)
    assert [item["finish"] for item in lines_of(tmp_path / "strict")] == ["no_call"]


def test_failed_requests_are_repeated(server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path) -> None:
    """Refusals for the rate and errors of the server are tried again, counted, and leave no mark on the score."""
    result = evaluate(begun(server, tmp_path, "flaky", retries=4), SEEDS[:2], TASK)
    assert result.episodes == evaluate(good[0], SEEDS[:2], TASK).episodes
    assert sum(item["retries"] for item in lines_of(tmp_path)) == 3
    assert {item["finish"] for item in lines_of(tmp_path)} == {"submitted"}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("locked", r"/v1 refuses to serve: HTTP 401: Incorrect API key provided: \[key\]"),
        ("unpaid", "/v1 refuses to serve: HTTP 429: You exceeded your current quota"),
        ("no-such-model", "/v1 refuses to serve: HTTP 404: The model 'no-such-model' does not exist"),
        ("page", "/v1 does not take the first request of an episode: a reply that is no chat completion: Expecting"),
        ("empty", "a reply that is no chat completion: choices: List should have at least 1 item"),
    ],
)
def test_an_endpoint_that_cannot_be_used_ends_the_run(
    model: str, reason: str, server: ScriptedServer, tmp_path: Path
) -> None:
    """A wrong key, an empty account, no such model, another protocol: one error, and nothing is scored for it."""
    with pytest.raises(EndpointError, match=reason) as failure:
        evaluate(begun(server, tmp_path, model, KEY, retries=0), SEEDS, TASK)
    assert KEY not in str(failure.value)
    assert "\n" not in str(failure.value)
    assert not (tmp_path / TRANSCRIPTS_FILE).exists()


def test_an_endpoint_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    """Where nobody listens, the error says so."""
    with ScriptedServer() as gone:
        pass
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:\d+/v1 cannot be reached: Connection error"):
        evaluate(begun(gone, tmp_path, retries=0), SEEDS, TASK)


def test_tokens_need_not_be_told_where_nothing_depends_on_them(server: ScriptedServer, tmp_path: Path) -> None:
    """Without a limit on tokens an endpoint that does not tell them is played; a cost is not made up."""
    run = begun(server, tmp_path, "uncounted", max_episode_tokens=None, prices={"input": 1.0, "output": 1.0})
    result = evaluate(run, SEEDS[:1], TASK)
    summary = Summary.of(run.card, TASK, result, run.transcripts(Assignment(SEEDS[:1], CONFIG, get_task(TASK))))
    assert summary.token_cost is None
    assert summary.unmetered == summary.turns > 1
    assert f"those of {summary.turns} replies are not known" in summary.lines()[-1]
