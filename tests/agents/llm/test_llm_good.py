"""A language model that plays well, over real HTTP: figures, transcripts and requests."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import CONFIG, KEY, SEEDS, TASK, begun, in_process, lines_of
from llm_server import ScriptedServer

from agents import Evaluation, evaluate
from agents.llm.card import LlmCard
from agents.llm.command import LlmRun, LlmSettings
from agents.llm.episode import Transcript
from agents.llm.schemas import schemas_for
from agents.players.outcome import Fate
from agents.tasks import presets
from metric_tracker_env import EnvConfig, Session
from metric_tracker_env.session import call_schemas
from metric_tracker_env.tasks import HELD_OUT_SEEDS, build_config


def test_the_good_model_scores_as_the_script_in_process(good: tuple[LlmRun, Evaluation]) -> None:
    """Over HTTP the analyst in words has the figures, tools and rows that it has in process."""
    run, result = good
    tools: Counter[str] = Counter()
    for i, seed in enumerate(SEEDS):
        game, _ = in_process(seed)
        standing, episodes = game.standing, result.episodes
        assert standing.grade is not None
        for name in ("score", "f1", "precision", "recall", "submitted", "expected"):
            assert getattr(episodes, name)[i] == getattr(standing.grade, name)
        assert (episodes.seed[i], episodes.episode_return[i]) == (seed, standing.reward)
        assert (episodes.cost[i], episodes.tool_calls[i]) == (standing.cost, standing.tool_calls)
        assert (episodes.steps[i], episodes.illegal[i]) == (standing.steps, 0)
        assert episodes.net[i] == pytest.approx(standing.grade.score - CONFIG.step_cost * standing.cost)
        own = [fate for number, fate in zip(result.rows.episode, result.rows.fate, strict=True) if number == i]
        assert own.count(Fate.MATCHED) == standing.grade.matched
        assert own.count(Fate.EXTRA) == standing.grade.submitted - standing.grade.matched
        assert own.count(Fate.MISSED) == standing.grade.missing
    for item in lines_of(run.folder):
        tools += Counter(item["tools"])
    assert result.tools == dict(tools)
    assert result.tools["submit"] == len(SEEDS)
    assert result.mean("score") >= 0.9
    assert (result.agent, result.task, result.config) == ("scripted", TASK, CONFIG)
    assert (result.kind, result.notes) == ("language model", ())
    assert LlmCard.model_validate(result.card) == run.card
    assert run.card.settings.model == "good"


def test_transcripts_hold_the_whole_conversation(server: ScriptedServer, tmp_path: Path) -> None:
    """A line an episode: brief, calls and answers as in process, tokens, finish; the model is not told the seed."""
    run = begun(server, tmp_path)
    before = len(server.requests)
    evaluate(run, SEEDS[:2], TASK)
    asked = server.requests[before:]
    told = Session(TASK).begin(SEEDS[0])
    assert {item["seed"] for item in lines_of(tmp_path)} == set(SEEDS[:2])
    for item in lines_of(tmp_path):
        _, answers = in_process(item["seed"])
        first, *rest = item["messages"]
        assert first == {"role": "user", "content": told}
        replies, tools = rest[::2], rest[1::2]
        assert [json.loads(message["content"]) for message in tools] == answers
        assert {message["role"] for message in tools} == {"tool"}
        assert [message["tool_calls"][0]["id"] for message in replies] == [m["tool_call_id"] for m in tools]
        assert [message["finish_reason"] for message in replies] == ["tool_calls"] * len(answers)
        prompts = [100 * number for number in range(1, 2 * len(answers), 2)]
        assert [message["usage"]["prompt"] for message in replies] == prompts
        assert item["tokens"] == {
            "prompt": sum(prompts),
            "cached": sum(prompts) - 100 * len(answers),
            "completion": 10 * len(answers),
            "reasoning": 4 * len(answers),
        }
        assert (item["finish"], item["error"], item["turns"]) == ("submitted", None, len(answers))
        assert (item["task"], item["unmetered"], item["retries"]) == (TASK, 0, 0)
        assert json.loads(tools[-1]["content"])["grade"]["score"] == item["figures"]["score"]
    assert len(asked) == sum(item["turns"] for item in lines_of(tmp_path))
    for body in asked:
        assert body["tools"] == schemas_for("plain", call_schemas(CONFIG.generator))
        text = json.dumps(body)
        assert not [seed for seed in SEEDS if str(seed) in text]
        assert "expected" not in json.dumps(body["messages"][1:])


def test_requests_carry_the_options(server: ScriptedServer, tmp_path: Path) -> None:
    """Model, temperature, the most tokens of a reply under the endpoint's name for it, and further fields are sent."""
    options: dict[str, Any] = {"temperature": 0.5, "max_reply_tokens": 77, "max_turns": 1, "extra": {"seed": 3}}
    for number, (field, sent) in enumerate([(None, "max_tokens"), ("max_completion_tokens", "max_completion_tokens")]):
        run = begun(server, tmp_path / str(number), "talker", KEY, tokens_field=field, **options)
        evaluate(run, SEEDS[:1], TASK)
        body = server.requests[-1]
        assert (body["model"], body["temperature"], body[sent], body["seed"]) == ("talker", 0.5, 77, 3)
        assert set(body) == {"model", "messages", "tools", "temperature", sent, "seed"}
    assert KEY in server.keys
    evaluate(begun(server, tmp_path / "plain", "talker", max_reply_tokens=None, max_turns=1), SEEDS[:1], TASK)
    assert set(server.requests[-1]) == {"model", "messages", "tools"}
    assert LlmSettings(model="x").limit_field == "max_completion_tokens"


def test_episodes_are_played_at_the_same_time(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path
) -> None:
    """Two episodes whose first replies wait for each other both end, with the figures of one after the other."""
    _, alone = good
    together = evaluate(begun(server, tmp_path, "meeting", parallel=2), SEEDS, TASK)
    assert together.episodes == alone.episodes
    assert together.rows == alone.rows
    assert together.tools == alone.tools


def test_calls_of_one_message_are_answered_in_order(server: ScriptedServer, tmp_path: Path) -> None:
    """Each call of a message is made and answered, ids that repeat or lack are replaced, and none follows submit."""
    evaluate(begun(server, tmp_path, "parallel"), SEEDS[:1], TASK)
    (item,) = lines_of(tmp_path)
    assert item["finish"] == "submitted"
    assert item["tools"] == {"task_overview": 1, "rows_for_date": 1, "list_dates": 1, "list_entities": 1, "submit": 1}
    first, second = (message["tool_calls"] for message in item["messages"] if message["role"] == "assistant")
    ids = [call["id"] for call in first]
    assert ids == ["a", "call00100", "call00101"]
    assert [m["tool_call_id"] for m in item["messages"] if m["role"] == "tool"] == [*ids, "b", "c"]
    assert [call["id"] for call in second] == ["b", "c", "d"]
    assert (item["figures"]["steps"], item["figures"]["cost"]) == (5, 1)


def test_other_funnels_are_played(server: ScriptedServer, tmp_path: Path) -> None:
    """The tools and the brief are those of the configuration that is played."""
    shop = build_config(config=presets() / "ecommerce.toml")
    evaluate(begun(server, tmp_path, "talker", max_turns=1), [HELD_OUT_SEEDS.start], config=shop)
    assert server.requests[-1]["tools"] == schemas_for("plain", call_schemas(shop.generator))
    (item,) = (Transcript.model_validate(line) for line in lines_of(tmp_path))
    assert item.messages[0]["content"] == Session(config=shop).begin(0)
    assert shop != EnvConfig()
