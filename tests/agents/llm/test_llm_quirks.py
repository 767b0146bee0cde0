"""Endpoints with quirks: each is played as the good one is, and gets back what it sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import CONFIG, SEEDS, TASK, begun, lines_of
from llm_quirks import DISGUISES, reasons, signature
from llm_server import ScriptedServer

from agents import Evaluation, evaluate
from agents.llm.command import EndpointError, LlmRun, Summary
from agents.llm.messages import is_empty, read_name
from agents.players.player import Assignment
from metric_tracker_env import get_task
from metric_tracker_env.session import CALLS


def bodies(server: ScriptedServer, model: str) -> list[dict[str, Any]]:
    """What a model was sent."""
    return [body for body in server.requests if body["model"] == model]


@pytest.mark.parametrize(
    ("model", "options", "adapted"),
    [
        ("reasoner", {}, ()),
        ("forgetful", {}, ("reasoning_content of messages not sent back",)),
        ("nameless", {}, ()),
        ("decorated", {}, ()),
        ("textual", {}, ()),
        ("streaming", {}, ("replies streamed", "stream_options left out")),
        ("streaming", {"stream": True}, ("stream_options left out",)),
        ("streamer", {}, ()),
        ("newer", {}, ("max_tokens sent as max_completion_tokens",)),
        ("picky", {}, ()),
        ("cold", {}, ()),
        ("strange", {"parallel": 1}, ()),
        ("uncounted", {}, ()),
        ("half_counted", {}, ()),
        ("good", {"schemas": "strict"}, ()),
        ("good", {"schemas": "full"}, ()),
        ("nulls", {"schemas": "strict"}, ()),
        ("narrow", {}, ()),
    ],
)
def test_whatever_the_quirk_the_play_is_the_same(
    model: str,
    options: dict[str, Any],
    adapted: tuple[str, ...],
    server: ScriptedServer,
    good: tuple[LlmRun, Evaluation],
    tmp_path: Path,
) -> None:
    """Figures, rows and calls are those of the good model; what was adapted to is told, once, and stays."""
    result = evaluate(begun(server, tmp_path, model, **options), SEEDS[:2], TASK)
    expected = evaluate(good[0], SEEDS[:2], TASK)
    assert result.episodes == expected.episodes
    assert (result.rows, result.tools, result.notes) == (expected.rows, expected.tools, ())
    for item in lines_of(tmp_path):
        assert (item["finish"], item["error"], item["attempt"]) == ("submitted", None, 1)
        assert tuple(item["adapted"]) == adapted
    refused = [body for body in bodies(server, model) if not model.startswith("stream") and "max_tokens" in body]
    assert model != "newer" or len(refused) <= 2  # one for each episode that had begun by then


def test_what_a_provider_sent_is_kept_and_sent_back(server: ScriptedServer, tmp_path: Path) -> None:
    """Fields of messages and calls that are not the protocol's are in the transcript and in what is sent, unchanged."""
    evaluate(begun(server, tmp_path, "reasoner"), SEEDS[:1], TASK)
    (item,) = lines_of(tmp_path)
    kept = [message for message in item["messages"] if message["role"] == "assistant"]
    sent = [message for message in bodies(server, "reasoner")[-1]["messages"] if message["role"] == "assistant"]
    assert len(kept) == len(sent) + 1 > 5
    for turn, message in enumerate(sent):
        for name, value in reasons(turn).items():
            assert message[name] == kept[turn][name] == value
        (call,) = message["tool_calls"]
        assert call["extra_content"] == signature(turn)["extra_content"]
        assert kept[turn]["content"] == ""
        assert "content" not in message


def test_ids_that_lack_or_repeat_are_mended_on_both_sides(server: ScriptedServer, tmp_path: Path) -> None:
    """Each call of a conversation has an id of its own, nine letters and digits where it was mended, as its answer."""
    evaluate(begun(server, tmp_path, "nameless"), SEEDS[:1], TASK)
    sent = bodies(server, "nameless")[-1]["messages"]
    ids = [call["id"] for message in sent for call in message.get("tool_calls", ())]
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ids
    assert len(set(ids)) == len(ids) > 5
    assert all(len(key) == 9 and key.isalnum() for key in ids)
    assert ids[:3] == ["call00201", "call00200", "call00300"]


def test_names_and_text_of_text_are_sent_as_the_protocol_has_it(server: ScriptedServer, tmp_path: Path) -> None:
    """A name is kept with what a template put around it, and sent without; arguments are sent as one object."""
    for model in ("decorated", "textual"):
        evaluate(begun(server, tmp_path / model, model), SEEDS[:1], TASK)
        sent = bodies(server, model)[-1]["messages"]
        for call in (call for message in sent for call in message.get("tool_calls", ())):
            assert call["function"]["name"] in CALLS
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
    (item,) = lines_of(tmp_path / "decorated")
    names = [message["tool_calls"][0]["function"]["name"] for message in item["messages"][1::2]]
    assert names[0].startswith("functions.")
    assert not set(names) & set(CALLS)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("submit", "submit"),
        ("functions.submit", "submit"),
        ("multi_tool_use/functions::submit", "submit"),
        ("submit<|channel|>json", "submit"),
        ("<|channel|>commentary to=functions.submit<|constrain|>json", "submit"),
        ("please submit", "please submit"),
        ("submit list_dates", "submit list_dates"),
        ("submit_rows", "submit_rows"),
        ("Submit", "Submit"),
        ("", ""),
        ("functions.", "functions."),
        ("submit.list", "submit.list"),
    ],
)
def test_names_are_read_without_what_templates_add(given: str, meant: str) -> None:
    """A tool is understood through prefixes and suffixes of templates, and through nothing else."""
    assert read_name(given) == meant


def test_content_that_says_nothing() -> None:
    """None, blank text and parts without text are empty; text and other parts are not."""
    empty = [None, "", " \n", [], [{"type": "text", "text": ""}], [{"type": "text", "text": None}]]
    assert [is_empty(content) for content in empty] == [True] * len(empty)
    full = [
        "x",
        [{"type": "text", "text": "x"}],
        [{"type": "text", "text": ""}, {"type": "image_url", "image_url": {}}],
    ]
    assert [is_empty(content) for content in full] == [False] * len(full)


def test_failures_in_any_dress_are_repeated(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path
) -> None:
    """Errors and nonsense with HTTP 200, pages, cut replies and streams: each is repeated, and none leaves a mark."""
    before = server.seen["disguised"]
    seeds = SEEDS
    result = evaluate(begun(server, tmp_path, "disguised", parallel=1, retries=1), seeds, TASK)
    assert result.episodes == evaluate(good[0], seeds, TASK).episodes
    assert sum(item["retries"] for item in lines_of(tmp_path)) == len(DISGUISES) - (1 if before else 0)
    assert server.seen["disguised"] - before > 2 * len(DISGUISES)


def test_a_stream_is_put_together(server: ScriptedServer, tmp_path: Path) -> None:
    """Pieces of text, of reasoning and of arguments make the message that would have come in one."""
    evaluate(begun(server, tmp_path, "streaming"), SEEDS[:1], TASK)
    (item,) = lines_of(tmp_path)
    for message in item["messages"][1::2]:
        assert (message["content"], message["reasoning_content"]) == ("let us see", "hm, let me think")
        assert (message["role"], message["finish_reason"]) == ("assistant", "tool_calls")
        (call,) = message["tool_calls"]
        assert set(call) == {"id", "type", "function"}
    assert item["unmetered"] == item["turns"]


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("cold", {"temperature": 0.3}, "'temperature' does not support 0.3 with this model.; leave --temperature out"),
        ("cold", {"extra": {"tool_choice": "required"}}, "take tool_choice out of --extra"),
        ("cold", {"extra": {"parallel_tool_calls": False}}, "take parallel_tool_calls out of --extra"),
        ("newer", {"tokens_field": "max_tokens"}, "--tokens-field and --max-reply-tokens change max_tokens"),
        ("streaming", {"stream": False}, "set stream to true"),
        ("picky", {"schemas": "full"}, "--schemas chooses what schemas of the tools are sent"),
    ],
)
def test_a_parameter_that_was_asked_for_is_named_with_its_option(
    model: str, options: dict[str, Any], told: str, server: ScriptedServer, tmp_path: Path
) -> None:
    """What the user asked for is not dropped: the run ends at once, and the error says which option to change."""
    with pytest.raises(EndpointError) as failure:
        evaluate(begun(server, tmp_path, model, **options), SEEDS, TASK)
    assert told in str(failure.value)


def test_waiting_is_not_the_models_time(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path
) -> None:
    """Pauses that an endpoint asks for may be longer than the model's time, and end no episode."""
    result = evaluate(begun(server, tmp_path, "waiting", episode_seconds=2.0, retries=2), SEEDS[:1], TASK)
    assert result.episodes == evaluate(good[0], SEEDS[:1], TASK).episodes
    (item,) = lines_of(tmp_path)
    assert item["retries"] >= 6
    assert item["waited"] > 2.0 > item["seconds"] > 0


def test_tokens_that_are_not_told_are_guessed_for_the_limit_alone(server: ScriptedServer, tmp_path: Path) -> None:
    """Without a count a long conversation still ends, by its length; no token is made up in what is told."""
    evaluate(begun(server, tmp_path, "uncounted", max_episode_tokens=40_000), SEEDS[:1], TASK)
    (item,) = lines_of(tmp_path)
    assert item["finish"] == "token_limit"
    assert (item["tokens"]["prompt"], item["unmetered"]) == (0, item["turns"])
    assert item["guessed"] >= 40_000
    text = sum(len(json.dumps(body)) for body in bodies(server, "uncounted")[-item["turns"] :])
    assert 0.8 * text / 4 < item["guessed"] < 1.2 * text / 4


def test_the_summary_tells_what_was_adapted(server: ScriptedServer, tmp_path: Path) -> None:
    """Changes of requests are in the summary, in words."""
    run = begun(server, tmp_path, "forgetful")
    result = evaluate(run, SEEDS[:2], TASK)
    summary = Summary.of(run.card, TASK, result, run.transcripts(Assignment(SEEDS[:2], CONFIG, get_task(TASK))))
    assert summary.adapted == ("reasoning_content of messages not sent back",)
    assert summary.lines()[-1] == "adapted to what the endpoint refused: reasoning_content of messages not sent back"
