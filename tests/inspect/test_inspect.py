"""The task of Inspect: evaluations by Inspect itself, with its mock model and with a scripted model's HTTP server.

Run in the virtual environment of the extra ``inspect``, which has ``openai`` too.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_inspect import (
    IGNORED,
    SEED,
    TASK,
    analyst,
    call,
    evaluated,
    metrics,
    noted,
    parts,
    played,
    samples,
    says,
    told_in,
    why,
)
from helpers_session import by_the_analyst
from inspect_ai.model import ChatMessage, ChatMessageTool, ModelOutput, ModelUsage
from inspect_ai.solver import generate
from inspect_ai.tool import ToolInfo

from metric_tracker_env import Session, get_task
from metric_tracker_env.session import REMINDER

pytestmark = IGNORED


@pytest.mark.parametrize("task", [TASK, "realistic_medium"])
def test_the_analyst_has_the_answers_and_the_grade_of_a_session(task: str, tmp_path: Path) -> None:
    """Each answer is word for word that of the session, and the score's parts are those of its grade."""
    log = evaluated(analyst(task), tmp_path, task, 2)
    first = get_task(task).held_out_seeds[0]
    for sample, seed in zip(samples(log), (first, first + 1), strict=True):
        session, answers = by_the_analyst(task, seed)
        told, standing = session.grade(), session.standing
        assert told_in(sample) == answers
        assert sample.messages[0].text == session.brief
        names = ("score", "f1", "precision", "recall")
        expected = {name: getattr(told, name) for name in names}
        expected |= {"exact": float(told.exact), "cost": standing.cost, "solved": float(told.score >= 0.9)}
        assert parts(sample) == expected
        found = noted(sample)
        assert found["grade"] == told.model_dump(mode="json")
        assert found["reward"] == pytest.approx(standing.reward)
        assert (found["finish"], found["episode"]["seed"], found["calls"]) == ("submitted", seed, standing.steps)
        assert why(sample).startswith(f"{told.matched} of {told.expected} rows found")
    assert metrics(log, "score")["mean"] == pytest.approx(sum(parts(item)["score"] for item in samples(log)) / 2)
    assert "stderr" in metrics(log, "cost")


def test_nothing_is_told_before_the_end(tmp_path: Path) -> None:
    """What the model is sent is the brief, its own calls and their answers; no seed, number, grade or metadata."""
    sent: list[tuple[list[ChatMessage], list[ToolInfo]]] = []
    good = analyst("hard_mixed")

    def watched(conversation: list[ChatMessage], tools: list[ToolInfo], *_: Any) -> ModelOutput:
        sent.append((list(conversation), tools))
        return good(conversation)

    log = evaluated(watched, tmp_path, "hard_mixed", 1, first=7)
    seed = get_task("hard_mixed").held_out_seeds[0] + 6
    session, answers = by_the_analyst("hard_mixed", seed)
    assert len(sent) == len(answers)
    last, tools = sent[-1]
    assert [message.role for message in last] == ["user"] + ["assistant", "tool"] * (len(answers) - 1)
    assert [message.text for message in last if message.role in ("user", "tool")] == [session.brief, *answers[:-1]]
    assert all(message.metadata is None for message in last)
    everything = json.dumps([message.model_dump() for message in last]) + json.dumps([t.model_dump() for t in tools])
    for word in (str(seed), "held_out", '"grade"', '\\"grade\\"', '\\"expected\\"', '\\"seed\\"'):
        assert word not in everything
    assert str(seed) in answers[-1]  # and at the end, which the model is not asked after, it is told
    (sample,) = samples(log)
    assert (sample.id, sample.metadata, sample.target) == (7, {}, "")


def test_the_tools_are_those_of_the_session(tmp_path: Path) -> None:
    """Names, order, descriptions, arguments and obligations are those of the session's own schemas."""
    told: list[ToolInfo] = []

    def watched(_: list[ChatMessage], tools: list[ToolInfo], *__: Any) -> ModelOutput:
        told[:] = tools
        return says()

    evaluated(watched, tmp_path, "realistic_easy")
    functions = [schema["function"] for schema in Session("realistic_easy").schemas]
    assert [(tool.name, tool.description) for tool in told] == [(f["name"], f["description"]) for f in functions]
    for tool, function in zip(told, functions, strict=True):
        own, shown = function["parameters"], tool.parameters.model_dump(exclude_none=True)
        assert shown.get("required", []) == own.get("required", [])
        assert shown["properties"].keys() == own["properties"].keys()
        for name, argument in shown["properties"].items():
            kept = {key: value for key, value in argument.items() if key in ("description", "enum", "type", "minimum")}
            assert kept.items() <= own["properties"][name].items()
            assert argument["description"]


@pytest.mark.parametrize("task", [TASK, "quiet_weeks"])
def test_a_model_that_calls_no_tool_scores_0(task: str, tmp_path: Path) -> None:
    """It is reminded twice, then the conversation ends; even where there is nothing to find that is no submission."""
    log = evaluated(lambda *_: says(), tmp_path, task, 2)
    for sample in samples(log):
        assert set(parts(sample).values()) == {0.0}
        assert [message.text for message in sample.messages if message.role == "user"][1:] == [REMINDER, REMINDER]
        assert sum(message.role == "assistant" for message in sample.messages) == 3
        assert why(sample) == "no grade, as the conversation was ended by no_call"
    assert metrics(log, "score") == {"mean": 0.0, "stderr": 0.0}


def test_reminders_are_counted_anew_after_a_call(tmp_path: Path) -> None:
    """With one reminder a model may be silent once between two calls; silent twice, it is not asked again."""
    script = iter([says(), says(calls=[call("list_dates", {})]), says(), says()])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path, reminders=1))
    assert [message.role for message in sample.messages] == [
        *("user", "assistant", "user", "assistant", "tool", "assistant", "user", "assistant"),
    ]
    assert next(script, None) is None


def test_bad_calls_are_judged_by_the_session(tmp_path: Path) -> None:
    """Unknown tools, bad arguments and text that is no JSON cost what they cost anywhere, and are answers to read."""
    broken = 'Error parsing the following tool call arguments: {"date": '
    bad: list[tuple[str, Any, str | None]] = [
        ("no_such_tool", {}, None),
        ("rows_for_date", {"date": 7}, None),
        ("rows_for_date", {}, None),
        ("rows_for_date", {"date": "2026-03-10", "colour": "red"}, None),
        ("rows_for_date", {}, broken),
        ("task_overview", {}, broken),
        ("submit", {"rows": "all of them"}, None),
        ("submit", {"rows": [{"date": "2026-03-10"}]}, None),
    ]
    script = iter([says(calls=[call(tool, given, parse_error=error)]) for tool, given, error in bad])
    (sample,) = samples(evaluated(lambda *_: next(script, says()), tmp_path))
    session, answers = played([(tool, error or given) for tool, given, error in bad])
    assert not any(json.loads(answer)["ok"] for answer in answers)
    assert told_in(sample) == answers
    assert parts(sample)["cost"] == session.standing.cost > 0
    assert all(message.error is None for message in sample.messages if isinstance(message, ChatMessageTool))
    assert "no_such_tool" in answers[0]
    assert "must be an object" in answers[5]


def test_several_calls_in_one_reply_are_made_one_after_another(tmp_path: Path) -> None:
    """Those after the submission are answered that the episode is over, and change nothing."""
    calls: list[tuple[str, Any]] = [
        ("list_dates", {}),
        ("submit", {"rows": []}),
        ("submit", {"rows": []}),
        ("no_such", {}),
    ]
    reply = says(calls=[call(tool, given, number) for number, (tool, given) in enumerate(calls)])
    script = iter([reply])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path))
    session, answers = played(calls)
    assert told_in(sample) == answers
    assert [m.tool_call_id for m in sample.messages if isinstance(m, ChatMessageTool)] == [f"call{i}" for i in range(4)]
    assert noted(sample)["grade"] == session.grade().model_dump(mode="json")
    assert noted(sample)["finish"] == "submitted"


def test_the_step_limit_ends_an_episode(tmp_path: Path) -> None:
    """When no call is left the session grades nothing, as it does anywhere, and the model is not asked again."""
    asked: list[int] = []

    def looping(*_: Any) -> ModelOutput:
        asked.append(1)
        return says(calls=[call("list_dates", {}, len(asked))])

    (sample,) = samples(evaluated(looping, tmp_path))
    limit = get_task(TASK).config.step_limit
    session, answers = played([("list_dates", {})] * limit)
    assert session.standing.done
    assert told_in(sample) == answers
    assert len(asked) == limit
    assert noted(sample)["grade"] == session.grade().model_dump(mode="json")
    assert noted(sample)["finish"] == "calls_spent"


@pytest.mark.parametrize("limit", [{"message_limit": 6}, {"token_limit": 250}])
def test_a_limit_of_inspect_ends_an_episode_with_0(limit: dict[str, Any], tmp_path: Path) -> None:
    """Messages and tokens are Inspect's to limit; what was not submitted by then has no grade."""
    good = analyst()

    def metered(conversation: list[ChatMessage], *_: Any) -> ModelOutput:
        output = good(conversation)
        output.usage = ModelUsage(input_tokens=90, output_tokens=10, total_tokens=100)
        return output

    (sample,) = samples(evaluated(metered, tmp_path, **limit))
    assert sample.limit is not None
    assert sample.limit.type == next(iter(limit)).split("_")[0]
    assert {name: value for name, value in parts(sample).items() if name != "cost"} == dict.fromkeys(
        ("score", "f1", "precision", "recall", "exact", "solved"), 0.0
    )
    assert "a limit of Inspect" in why(sample)


def test_a_full_context_ends_the_conversation(tmp_path: Path) -> None:
    """A reply that was cut because the context is full is not reminded of anything."""
    cut = says()
    cut.choices[0].stop_reason = "model_length"
    script = iter([cut])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path))
    assert noted(sample)["finish"] == "context"


def test_another_solver_has_the_same_tools(tmp_path: Path) -> None:
    """Inspect's own ``generate`` plays the episode to the same grade, and stops where it is over."""
    (sample,) = samples(evaluated(analyst(), tmp_path, solver=generate()))
    session, answers = by_the_analyst(TASK, SEED)
    assert told_in(sample) == answers
    assert parts(sample)["score"] == session.grade().score
    assert sum(message.role == "assistant" for message in sample.messages) == len(answers)
