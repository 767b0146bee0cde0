"""Language models over real HTTP: scripted ones, good and bad; limits, transcripts, resuming, keys, the leaderboard."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from helpers_session import begun as begun_session
from helpers_session import door
from llm_server import MALFORMED, PATIENCE, ScriptedServer

from agents import cli, command_line, evaluate
from agents.evaluation.evaluate import Evaluation, held_out_seeds
from agents.evaluation.outcome import Fate
from agents.evaluation.report import Comparison
from agents.llm import command as llm
from agents.llm import run as llm_run
from agents.llm.card import CARD_FILE, is_llm_run, key_of, slug
from agents.llm.client import Endpoint
from agents.llm.command import EndpointError, LlmCard, LlmRun, LlmSettings, Prices, Summary, card_of
from agents.llm.episode import REMINDER, Transcript
from agents.llm.run import LOCK_FILE, TRANSCRIPTS_FILE
from agents.players.scripts.words import converse, investigate
from metric_tracker_env import EnvConfig, Session, get_task
from metric_tracker_env.session import call_schemas
from metric_tracker_env.tasks import HELD_OUT_SEEDS, build_config

ROOT = Path(__file__).parents[2]
TASK = "hard_mixed"
CONFIG = get_task(TASK).config
SEEDS = held_out_seeds(TASK, 4)
KEY = "sk-a/very=secret+key"
SHORT = {"step_limit": 12, "budget": 6}  # an episode that is soon over


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """The scripted models; no client may have sent a conversation that a strict server refuses."""
    with ScriptedServer() as running:
        yield running
        assert running.faults == []


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """No variable of the machine reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            patch.delenv(name)
        patch.setenv("NO_PROXY", "*")
        yield


@pytest.fixture(scope="module")
def good(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[LlmRun, Evaluation]:
    """A run with the good model, one episode after another, and its evaluation."""
    run = begun(server, tmp_path_factory.mktemp("runs") / "good", name="scripted", parallel=1)
    return run, evaluate(run, SEEDS, TASK)


def begun(server: ScriptedServer, folder: Path, model: str = "good", key: str | None = None, **options: Any) -> LlmRun:
    """A run with a scripted model."""
    settings = {"request_seconds": PATIENCE, "episode_seconds": 60.0, "retries": 3, "parallel": 4} | options
    return LlmRun.begin(folder, card_of(model=model, base_url=server.url, **settings), key)


def arguments(server: ScriptedServer, folder: Path, model: str = "good", *more: str) -> list[str]:
    """A command line for a scripted model."""
    given = ["--model", model, "--base-url", server.url, "--output", str(folder), "--task", TASK]
    return [*given, "--request-seconds", str(PATIENCE), "--retries", "1", *more]


def in_process(seed: int) -> tuple[Session, list[Any]]:
    """What the analyst in words does without a server."""
    session = begun_session(seed, task=TASK)
    return session, converse(investigate(CONFIG.generator), door(session))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The transcripts as a reader of the file has them."""
    return [json.loads(line) for line in (folder / TRANSCRIPTS_FILE).read_text(encoding="utf-8").splitlines()]


# The good one


def test_the_good_model_scores_as_the_script_in_process(good: tuple[LlmRun, Evaluation]) -> None:
    """Over HTTP the analyst in words has the figures, tools and rows that it has in process."""
    run, result = good
    tools: Counter[str] = Counter()
    for i, seed in enumerate(SEEDS):
        session, _ = in_process(seed)
        standing, episodes = session.standing, result.episodes
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
    assert result.language_model is not None
    assert result.language_model.settings.model == "good"


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
        assert body["tools"] == call_schemas(CONFIG.generator)
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
    assert ids == ["a", "call_1_1", "call_1_2"]
    assert [m["tool_call_id"] for m in item["messages"] if m["role"] == "tool"] == [*ids, "b", "c"]
    assert [call["id"] for call in second] == ["b", "c", "d"]
    assert (item["figures"]["steps"], item["figures"]["cost"]) == (5, 1)


# The bad ones


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
        ("busy", {}, "error", {"steps": 0, "cost": 0}),
        ("full", {}, "error", {"steps": 1, "cost": 1}),
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
        "full": "HTTP 400: maximum context length is 4096 tokens",
    }
    wanted = reasons[model] if finish in ("timeout", "error") else None
    assert {item["error"] for item in lines_of(tmp_path)} == {wanted}
    assert {item["retries"] for item in lines_of(tmp_path)} == {3 if model == "busy" else 0}


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
        ("uncounted", "does not tell how many tokens a reply took, so max_episode_tokens 1000000 cannot be kept"),
        ("half_counted", "does not tell how many tokens a reply took, so max_episode_tokens 1000000 cannot be kept"),
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
    summary = Summary.of(run.card, TASK, result, run.transcripts(SEEDS[:1], CONFIG, TASK))
    assert summary.token_cost is None
    assert summary.unmetered == summary.turns > 1
    assert f"those of {summary.turns} replies are not known" in summary.lines()[-1]


# Going on


def test_an_interrupted_run_goes_on(server: ScriptedServer, tmp_path: Path) -> None:
    """Finished episodes are kept and not played again; the result is that of a run that was not interrupted."""
    run = begun(server, tmp_path, "mortal", parallel=2)
    server.mortal_after = 28  # of about 40; an episode has at most 13
    with pytest.raises(EndpointError, match="This key is void"):
        evaluate(run, SEEDS, TASK)
    kept = (tmp_path / TRANSCRIPTS_FILE).read_bytes()
    done = len(lines_of(tmp_path))
    assert 1 <= done < len(SEEDS)
    # A crash in the middle of a line leaves a piece of it.
    (tmp_path / TRANSCRIPTS_FILE).write_bytes(kept + kept[: len(kept) // 3].split(b"\n")[0])
    server.mortal_after = None
    episodes = server.episodes("mortal")
    again = begun(server, tmp_path, "mortal", parallel=2)
    result = evaluate(again, SEEDS, TASK)
    assert server.episodes("mortal") - episodes == len(SEEDS) - done
    assert (tmp_path / TRANSCRIPTS_FILE).read_bytes().startswith(kept)
    assert sorted(item["seed"] for item in lines_of(tmp_path)) == list(SEEDS)
    whole = begun(server, tmp_path / "whole", "mortal", parallel=2)
    straight = evaluate(whole, SEEDS, TASK)
    assert result == straight.model_copy(update={"language_model": again.card})
    summaries = [
        Summary.of(again.card, TASK, result, one.transcripts(SEEDS, CONFIG, TASK)).model_copy(update={"seconds": 0.0})
        for one in (again, whole)
    ]
    assert summaries[0] == summaries[1]
    requests = len(server.requests)
    assert evaluate(tmp_path, SEEDS, TASK) == result
    assert len(server.requests) == requests


def test_other_episodes_are_not_taken_for_played(server: ScriptedServer, tmp_path: Path) -> None:
    """A transcript counts for its own seed and configuration; the view, which a model does not see, is none of it."""
    run = begun(server, tmp_path, "talker")
    evaluate(run, SEEDS[:1], TASK)
    for seeds, options, fresh in (
        (SEEDS[:2], None, 1),
        (SEEDS[:2], {"view": "board", "reward": "dense"}, 0),
        (SEEDS[:1], {"budget": 9}, 1),
        ((SEEDS[0], SEEDS[0]), {"difficulty": "easy"}, 1),
    ):
        before = server.episodes("talker")
        assert evaluate(run, seeds, TASK, options=options).episodes.seed == tuple(seeds)
        assert server.episodes("talker") - before == fresh
    own = get_task("easy_single_spike")  # whose instruction, its own, is in the brief
    for task, config, fresh in ((None, CONFIG, 0), (own.name, None, 1), (None, own.config, 1)):
        before = server.episodes("talker")
        evaluate(run, SEEDS[:1], task, config)
        assert server.episodes("talker") - before == fresh
    assert len(run.transcripts(SEEDS, CONFIG, TASK)) == 2


def test_failed_episodes_can_be_played_again(server: ScriptedServer, tmp_path: Path) -> None:
    """What the endpoint's failure ended is taken out when asked for, and what the model ended stays."""
    run = begun(server, tmp_path, "full")
    evaluate(run, SEEDS[:2], TASK)
    other = begun(server, tmp_path / "other", "talker")
    evaluate(other, SEEDS[:1], TASK)
    with run.path.open("a", encoding="utf-8") as file:
        file.write(other.path.read_text(encoding="utf-8").replace(f'"seed":{SEEDS[0]}', f'"seed":{SEEDS[3]}'))
    assert run.forget_failed() == 2
    assert [(item["seed"], item["finish"]) for item in lines_of(tmp_path)] == [(SEEDS[3], "no_call")]
    assert run.forget_failed() == 0


def test_settings_stay_the_same(server: ScriptedServer, tmp_path: Path) -> None:
    """A folder is not gone on with under other settings, which are named; names, prices and parallelism may change."""
    begun(server, tmp_path, "good", max_turns=7)
    evaluate(begun(server, tmp_path, "talker"), SEEDS[:1], TASK)  # nothing had been played with the first ones
    before = (tmp_path / CARD_FILE).read_text(encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"other settings: model 'talker' there and 'good' here; give the same ones or"
    ):
        begun(server, tmp_path, "good")
    with pytest.raises(ValueError, match=r"max_turns 64 there and 3 here; temperature None there and 0\.1 here"):
        begun(server, tmp_path, "talker", max_turns=3, temperature=0.1)
    assert (tmp_path / CARD_FILE).read_text(encoding="utf-8") == before
    again = begun(server, tmp_path, "talker", name="T", parallel=1, prices={"input": 2, "output": 8})
    assert LlmRun(tmp_path).card == again.card
    assert (again.card.name, again.card.parallel, again.card.prices) == ("T", 1, Prices(input=2, output=8))


def test_damaged_folders_are_refused(server: ScriptedServer, tmp_path: Path) -> None:
    """A line that is no transcript, and a card that is none, are named."""
    run = begun(server, tmp_path, "talker")
    evaluate(run, SEEDS[:1], TASK)
    whole = run.path.read_text(encoding="utf-8")
    for line, told in (
        ("{}", "task Field required"),
        ("{", "Invalid JSON"),
        (whole.replace("no_call", "won"), "finish"),
    ):
        run.path.write_text(whole + line.rstrip() + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=f"{TRANSCRIPTS_FILE}', line 2, is no transcript: .*{told}"):
            evaluate(run, SEEDS[:1], TASK)
    item = json.loads(whole)
    del item["figures"]["net"]
    run.path.write_text(json.dumps(item) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1, is no transcript: .*figures .* must be"):
        evaluate(run, SEEDS[:1], TASK)
    card = json.loads((tmp_path / CARD_FILE).read_text(encoding="utf-8"))
    for text, told in (
        ("{", "is not JSON"),
        (json.dumps(card | {"format": 2}), "has format 2; this version reads format 1"),
        (json.dumps(card | {"wings": 2}), "is not valid: wings 2: Extra inputs are not permitted"),
    ):
        (tmp_path / CARD_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            evaluate(tmp_path, SEEDS[:1], TASK)
    (tmp_path / CARD_FILE).unlink()
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        LlmRun(tmp_path)


def test_one_process_plays_in_a_folder(server: ScriptedServer, tmp_path: Path) -> None:
    """While another plays, episodes are not paid for twice; what has been played can still be read."""
    run = begun(server, tmp_path, "talker")
    result = evaluate(run, SEEDS[:1], TASK)
    with FileLock(tmp_path / LOCK_FILE):
        assert evaluate(run, SEEDS[:1], TASK) == result
        with pytest.raises(ValueError, match="is in use: another process plays in it"):
            evaluate(run, SEEDS[:2], TASK)
    assert len(evaluate(run, SEEDS[:2], TASK).episodes.seed) == 2


def test_a_running_loop_is_no_hindrance(server: ScriptedServer, tmp_path: Path) -> None:
    """In a notebook, whose cells run in a loop, an evaluation is the same."""
    run = begun(server, tmp_path, "talker")

    async def cell() -> Evaluation:
        return evaluate(run, SEEDS[:1], TASK)

    assert asyncio.run(cell()) == evaluate(run, SEEDS[:1], TASK)
    assert server.seen["talker"] > 0


# Keys


def test_the_key_is_nowhere(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is sent, and is in no file, output, error or repr, even if the endpoint repeats it."""
    monkeypatch.setenv("MY_KEY", KEY)
    more = ["--api-key-env", "MY_KEY", "--episodes", "1"]
    llm.main(arguments(server, tmp_path / "echo", "echo", *more))
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "locked", "locked", *more))
    assert "401" in str(ended.value)
    assert KEY in server.keys
    told = str(ended.value) + "".join(capsys.readouterr())
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 5
    run = begun(server, tmp_path / "repr", "talker", KEY)
    for text in [told, *files, repr(run), str(vars(run)), repr(run.card)]:
        assert KEY not in text
    (item,) = lines_of(tmp_path / "echo")
    assert item["messages"][1]["content"] == "Your key is [key], half of a character is ?."
    assert json.loads((tmp_path / "echo" / CARD_FILE).read_text(encoding="utf-8"))["api_key_env"] == "MY_KEY"


def test_keys_come_from_the_environment(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The named variable, or OPENAI_API_KEY, holds the key; without one only another endpoint than OpenAI is played."""
    local, own = card_of(model="x", base_url=server.url), card_of(model="x")
    named = card_of(model="x", base_url=server.url, api_key_env="MY_KEY")
    assert key_of(local) is None
    for card, variable in ((own, "OPENAI_API_KEY"), (named, "MY_KEY")):
        with pytest.raises(ValueError, match=f"api_key_env '{variable}': no such environment variable is set"):
            key_of(card)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        LlmRun.begin(tmp_path, own)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_KEY", "another-key")
    found = [key_of(card) for card in (local, own, named)]
    assert [key.get_secret_value() for key in found if key] == [KEY, KEY, "another-key"]
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with pytest.raises(ValueError, match="the key holds a blank or another character that no key has") as refused:
        key_of(own)
    assert KEY not in str(refused.value)


def test_a_key_among_the_settings_is_refused(server: ScriptedServer, tmp_path: Path) -> None:
    """Settings are stored, so that a key in them is turned down before anything is written."""
    for options in ({"extra": {"api_key": KEY}}, {"name": f"x {KEY}"}):
        with pytest.raises(ValueError, match="the key is also in the settings, which are stored") as refused:
            begun(server, tmp_path / "run", "talker", KEY, **options)
        assert KEY not in str(refused.value)
    for url in (f"http://me:{KEY}@127.0.0.1/v1", f"http://127.0.0.1/v1?key={KEY}"):
        with pytest.raises(ValueError, match="base_url: holds a user name, a query or a fragment") as refused:
            card_of(model="x", base_url=url)
        assert "sk-" not in str(refused.value)
        with pytest.raises(ValueError, match="base_url") as refused:
            LlmSettings(model="x", base_url=url)
        assert "sk-" not in str(refused.value)
    assert not list(tmp_path.iterdir())


# Options


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model and base URL come from the environment where no option says otherwise."""
    with pytest.raises(ValueError, match="model is missing; give the option or set OPENAI_MODEL"):
        card_of()
    monkeypatch.setenv("OPENAI_MODEL", "some/model:7b")
    assert card_of().settings.base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/")
    card = card_of()
    assert (card.settings.model, card.settings.base_url) == ("some/model:7b", "http://127.0.0.1:11434/v1")
    assert (card.name, slug(card.name), slug("../..")) == ("some/model:7b", "some-model-7b", "model")
    assert card_of(model="other", base_url="https://example.org/v1").settings.model == "other"


def test_prices_give_a_cost() -> None:
    """Tokens at so much a million, cached ones at their own price or at that of input."""
    assert Prices(input=2.0, output=8.0).of(1_000_000, 400_000, 500_000) == pytest.approx(6.0)
    assert Prices(input=2.0, output=8.0, cached=0.5).of(1_000_000, 400_000, 500_000) == pytest.approx(5.4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_turns": 0}, "max_turns 0: Input should be greater than or equal to 1"),
        ({"max_turns": 1.5}, "max_turns 1.5: Input should be a valid integer"),
        ({"retries": -1}, "retries -1: Input should be greater than or equal to 0"),
        ({"request_seconds": 0}, "request_seconds 0: Input should be greater than 0"),
        ({"episode_seconds": float("inf")}, "episode_seconds inf: Input should be a finite number"),
        ({"temperature": 3}, "temperature 3: Input should be less than or equal to 2"),
        ({"parallel": 0}, "parallel 0: Input should be greater than or equal to 1"),
        ({"tokens_field": "tokens"}, "tokens_field 'tokens': Input should be 'max_tokens' or 'max_completion_tokens'"),
        ({"api_key_env": "MY KEY"}, "api_key_env 'MY KEY': String should match"),
        ({"base_url": "127.0.0.1:80"}, "base_url: '127.0.0.1:80' is not of the form http"),
        ({"base_url": "http://a:port/v1"}, "base_url: 'http://a:port/v1' is not of the form http"),
        ({"base_url": "http:///v1"}, "base_url: 'http:///v1' is not of the form http"),
        ({"extra": {"model": "other"}}, "extra: 'model' cannot be given here"),
        ({"prices": {"input": 1.0, "output": None}}, "prices.output None: Input should be a valid number"),
        ({"prices": {"input": -1.0, "output": 1.0}}, "prices.input -1.0: Input should be greater than or equal to 0"),
        ({"wings": 2}, "unknown key 'wings'; allowed: .*'max_turns'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], told: str) -> None:
    """Each error names the option, its value and what is allowed."""
    with pytest.raises(ValueError, match=told):
        card_of(**{"model": "x", **options})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--task", "no_such"], "task 'no_such' is not one of"),
        (["--episodes", "0"], "episodes 0 is not an integer from 1 to 100000"),
        (["--config", "configs/hard.toml"], "are both given"),
        (["--max-turns", "0"], "max_turns 0: Input should be greater than or equal to 1"),
        (["--extra", "[]"], r"extra '[]' is not a JSON object of fields"),
        (["--extra", "{"], "extra '{' is not JSON"),
        (["--price-input", "1"], "price_input 1.0 and price_output None: give both, or no price"),
        (["--api-key-env", "NOT_SET"], "api_key_env 'NOT_SET': no such environment variable is set"),
    ],
)
def test_command_line_refuses_bad_options(
    more: list[str], told: str, server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad value ends the command with exit code 2 and one line, and nothing is written or asked."""
    before = len(server.requests)
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "run", "good", *more))
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert told in error
    assert not (tmp_path / "run").exists()
    assert len(server.requests) == before


@pytest.mark.parametrize("package", ["openai", "filelock"])
def test_a_missing_package_names_the_extra(
    package: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a package the command and the evaluation say what to install; what has been played needs neither."""
    run = begun(server, tmp_path, "talker")
    result = evaluate(run, SEEDS[:1], TASK)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"language models need {package} .*metric_tracker_env\[llm\]"):
        evaluate(run, SEEDS[:2], TASK)
    assert evaluate(run, SEEDS[:1], TASK) == result

    def absent(name: str) -> None:
        if name == package:
            raise ImportError(name)

    monkeypatch.setattr(command_line, "import_module", absent)
    with pytest.raises(SystemExit, match=rf"needs {package}; .*pip install -e '\.\[llm\]'"):
        llm.main(["--model", "x"])


# The command line and the leaderboard


def test_command_line(server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command plays, prints table, endings, tokens and cost, and writes card, transcripts and summary."""
    prices = ["--price-input", "2", "--price-output", "8", "--price-cached", "0.5"]
    llm.main(arguments(server, tmp_path, "good", "--episodes", "2", "--parallel", "2", "--name", "scripted", *prices))
    printed = capsys.readouterr().out
    assert "hard_mixed: mean of 2 held-out episodes" in printed
    assert "episodes ended: submitted 2" in printed
    names = {CARD_FILE, TRANSCRIPTS_FILE, LOCK_FILE, "summary_hard_mixed.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    summary = Summary.model_validate_json((tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8"))
    assert (summary.name, summary.model, summary.task, summary.episodes) == ("scripted", "good", TASK, 2)
    assert summary.finishes == {"submitted": 2}
    assert summary.figures["score"] == evaluate(tmp_path, SEEDS[:2], TASK).interval()
    tokens = summary.tokens
    cost = (tokens.prompt - tokens.cached) * 2e-6 + tokens.cached * 0.5e-6 + tokens.completion * 8e-6
    assert summary.token_cost == pytest.approx(cost)
    assert f"cost {cost:,.4f}" in printed
    assert LlmCard.model_validate_json((tmp_path / CARD_FILE).read_text(encoding="utf-8")) == LlmRun(tmp_path).card
    before, text = len(server.requests), (tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8")
    llm.main(arguments(server, tmp_path, "good", "--episodes", "2", "--name", "scripted", *prices))
    assert len(server.requests) == before
    assert (tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8") == text


def test_command_line_tells_what_failed(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed episodes are told with their reasons, and are played again if asked for; a preset has its own summary."""
    command = ["--model", "full", "--base-url", server.url, "--output", str(tmp_path), "--episodes", "7"]
    command += ["--config", str(ROOT / "configs" / "hard.toml"), "--retries", "0"]
    for options in ([], ["--retry-failed"]):
        before = server.episodes("full")
        with pytest.raises(SystemExit) as ended:
            llm.main([*command, *options])
        assert ended.value.code == 1
        assert server.episodes("full") - before == 7
    printed = capsys.readouterr().out
    assert "7 failed episodes are played again" in printed
    assert "episodes ended: error 7" in printed
    assert f"seed {SEEDS[0]}: error, HTTP 400: maximum context length is 4096 tokens" in printed
    assert "and 2 more; see error in" in printed
    assert (tmp_path / "summary_hard.json").is_file()


def test_command_line_stops_when_interrupted(server: ScriptedServer, tmp_path: Path) -> None:
    """Ctrl-C ends the command with one line, and leaves a folder to go on with."""
    server.arrived.clear()
    command = [sys.executable, "-m", "agents.llm", *arguments(server, tmp_path, "slow", "--episodes", "2")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert server.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.splitlines()[-1] == "interrupted; what was played is kept, and the same command goes on"
    assert "Traceback" not in error
    assert is_llm_run(tmp_path)


def test_an_interrupt_reaches_a_run_beside_a_running_loop(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a notebook too, an interrupt ends the run and not only the wait for it."""
    waited_out: list[None] = []

    async def ask(*_: Any, first: bool) -> Any:
        assert first
        os.kill(os.getpid(), signal.SIGINT)
        waited_out.append(await asyncio.sleep(PATIENCE))
        raise EndpointError("nobody asked for this")

    async def cell() -> None:
        begun(server, tmp_path, "slow", parallel=1).play(SEEDS, CONFIG, TASK)

    monkeypatch.setattr(Endpoint, "ask", ask)
    loop = asyncio.new_event_loop()  # whose cells get the interrupt as it is, as in a notebook
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    assert waited_out == []


def test_what_another_process_played_meanwhile_is_taken(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Episodes that were played between the first look and the lock are not played again."""
    run, before = begun(server, tmp_path, "talker"), server.seen["talker"]
    alone, steps = LlmRun._alone, list[int]()

    def late(self: LlmRun) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(LlmRun, "_alone", alone)
            evaluate(begun(server, tmp_path, "talker"), SEEDS[:2], TASK)
        return alone(self)

    monkeypatch.setattr(LlmRun, "_alone", late)
    assert len(run.play(SEEDS[:2], CONFIG, TASK, progress=steps.append).lines) == 2
    assert (len(lines_of(tmp_path)), steps) == (2, [2])
    assert server.seen["talker"] - before == 6  # a reply and two reminders each


def test_a_folder_that_another_took_over_is_not_scored(server: ScriptedServer, tmp_path: Path) -> None:
    """Two runs begun in one folder: what one has played is not the other's."""
    one, other = begun(server, tmp_path, "good"), begun(server, tmp_path, "talker")
    evaluate(other, SEEDS[:1], TASK)
    for seeds in (SEEDS[:1], SEEDS[:2]):
        with pytest.raises(ValueError, match="has come to hold a run with other settings"):
            evaluate(one, seeds, TASK)
    assert len(lines_of(tmp_path)) == 1


@pytest.mark.parametrize("stubborn", ["swallows a cancellation", "calls it a lost connection"])
def test_an_interrupt_wins_over_what_requests_make_of_it(
    stubborn: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may swallow a first cancellation, or end with an error of its own; Ctrl-C ends the run anyway."""
    asked: list[bool] = []
    waited_out: list[None] = []

    async def ask(*_: Any, first: bool) -> Any:
        asked.append(first)
        if len(asked) == 2:
            signal.raise_signal(signal.SIGINT)
        for _wait in range(2 if stubborn == "swallows a cancellation" else 1):
            with suppress(asyncio.CancelledError):
                waited_out.append(await asyncio.sleep(PATIENCE))
        raise EndpointError("it cannot be reached")

    monkeypatch.setattr(Endpoint, "ask", ask)
    with pytest.raises(KeyboardInterrupt):
        begun(server, tmp_path, "slow", parallel=2).play(SEEDS, CONFIG, TASK)
    assert (asked, waited_out) == ([True, True], [])


def test_the_leaderboard_takes_the_folder(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run`` and ``compare`` play a run's folder like a saved model's, and its endpoint's errors are told."""
    folder, out = good[0].folder, tmp_path / "out"
    cli.main(["run", "--agent", str(folder), "--task", TASK, "--episodes", "2", "--output", str(out / "run.json")])
    assert "scripted: mean of 2 episodes, seeds from 2000000000" in capsys.readouterr().out
    written = Evaluation.from_json(out / "run.json")
    assert written == evaluate(folder, SEEDS[:2], TASK)
    before = server.episodes("good")
    command = ["compare", "--tasks", TASK, "--episodes", "5", "--workers", "1", "--output", str(out)]
    with pytest.raises(SystemExit):
        cli.main([*command, "--agents", str(folder), "nothing"])
    assert f"holds {len(SEEDS)} of the 5 episodes of ['{TASK}']" in capsys.readouterr().err
    assert server.episodes("good") == before
    cli.main([*command, "--agents", str(folder), "nothing", "--play-missing"])
    compared = Comparison.model_validate_json((out / "compare.json").read_text(encoding="utf-8"))
    assert {line.agent for line in compared.summary} == {"scripted", "nothing"}
    assert compared.models == {"scripted"}
    assert server.episodes("good") - before == 5 - len(SEEDS)
    begun(server, tmp_path / "locked", "locked", retries=0)
    with pytest.raises(SystemExit, match=r"error: .* refuses to serve: HTTP 401"):
        cli.main(["run", "--agent", str(tmp_path / "locked"), "--task", TASK, "--episodes", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--agents", str(folder), str(folder)])
    assert ended.value.code == 2
    assert "two are named 'scripted'" in capsys.readouterr().err


def test_failures_of_the_endpoint_are_told(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Episodes that the endpoint failed in are told wherever they are scored; a run of nothing else ends with 1."""
    told = "episodes that failed by the endpoint, and score 0: 2; --retry-failed of agents.llm plays them again"
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "run", "busy", "--episodes", "2"))
    assert ended.value.code == 1
    assert told in capsys.readouterr().out
    command = ["compare", "--tasks", TASK, "--episodes", "2", "--workers", "1", "--output", str(tmp_path / "out")]
    cli.main([*command, "--agents", str(tmp_path / "run"), "nothing"])
    assert f"busy: {told}" in capsys.readouterr().out


def test_an_interrupted_comparison_says_so(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends any command with one line."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    begun(server, tmp_path, "talker")
    monkeypatch.setattr(LlmRun, "play", interrupted)
    with pytest.raises(SystemExit, match=r"^interrupted$"):
        cli.main(["run", "--agent", str(tmp_path), "--task", TASK, "--episodes", "1"])


def test_other_funnels_are_played(server: ScriptedServer, tmp_path: Path) -> None:
    """The tools and the brief are those of the configuration that is played."""
    shop = build_config(config=ROOT / "configs" / "ecommerce.toml")
    evaluate(begun(server, tmp_path, "talker", max_turns=1), [HELD_OUT_SEEDS.start], config=shop)
    assert server.requests[-1]["tools"] == call_schemas(shop.generator)
    (item,) = (Transcript.model_validate(line) for line in lines_of(tmp_path))
    assert item.messages[0]["content"] == Session(config=shop).begin(0)
    assert shop != EnvConfig()


def test_public_names_exist() -> None:
    """Everything in ``__all__`` is there, and the run's class is the one that the evaluation knows."""
    assert all(hasattr(llm, name) for name in llm.__all__)
    assert llm.LlmRun is llm_run.LlmRun
