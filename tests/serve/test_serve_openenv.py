"""The OpenEnv server: it plays as in process, keeps sessions apart, tells no truth, and bears what clients send."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from helpers_serve import PATIENCE, listening, wait_for
from openenv.cli.__main__ import app as openenv_command
from openenv.core.containers.runtime._server_config import parse_dockerfile_cmd, parse_openenv_app_field
from openenv.validation import Level, Verdict, run_validation
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import TASKS, GeneratorConfig, Session, __version__, get_task
from metric_tracker_env.books import BOOKS_FILE, Books, Terms, read_books
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.serve import openenv_app, openenv_env
from metric_tracker_env.serve.limits import FAILED, ServeLimits
from metric_tracker_env.serve.openenv_app import OpenEnvServer, make_server
from metric_tracker_env.serve.openenv_client import InvestigationAction, InvestigationClient
from metric_tracker_env.session import CALLS, call_schemas
from metric_tracker_env.session import session as session_module
from metric_tracker_env.tasks import HELD_OUT_SEEDS

ROOT = Path(__file__).parents[2]
NAMED = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
SEED = 1_987_654_321
DEEP = "[" * 900 + "]" * 900
SECRET = "File /srv/private.py: seed 1234567"
TRACES = ("Traceback", ".py", "site-packages", "pydantic", "0x")


class Live:
    """A running server, and what its sessions hold."""

    def __init__(self, address: str, server: OpenEnvServer) -> None:
        self.http, self.ws = f"http://{address}", f"ws://{address}/ws"
        self.address, self._server = address, server
        host, port = address.split(":")
        self.place = (host, int(port))

    @property
    def sessions(self) -> int:
        return max(self._server.sessions.active_sessions, self._server.guard.sessions)

    def client(self) -> Any:
        """A synchronous client, to be entered."""
        return InvestigationClient(base_url=self.http).sync()

    def raw(self, suffix: str = "") -> ClientConnection:
        """A connection that sends what it is told to, to be entered."""
        return connect(self.ws + suffix, proxy=None, open_timeout=PATIENCE, close_timeout=PATIENCE, max_size=2**24)


@contextlib.contextmanager
def live(task: str | None = None, token: str | None = None, **limits: Any) -> Iterator[Live]:
    """A server with limits of its own."""
    settings = ServeLimits(**limits)
    server = make_server(settings, task, token=token)
    with listening(server.app, settings) as address:
        yield Live(address, server)


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    """A server that the tests share; nothing is left in it between them."""
    with live() as running:
        yield running
        wait_for(lambda: running.sessions == 0)


def asked(connection: ClientConnection, message: object) -> str:
    """The answer to a message, as it comes."""
    connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return str(connection.recv(timeout=PATIENCE))


def error_of(text: str) -> dict[str, str]:
    """The error in a message, which holds nothing else."""
    message = json.loads(text)
    assert message["type"] == "error", text
    assert set(message["data"]) == {"message", "code"}
    assert not [trace for trace in TRACES if trace in text]
    return message["data"]


def step(tool: str, **arguments: object) -> dict[str, Any]:
    return {"type": "step", "data": {"tool": tool, "arguments": arguments}}


def caller(client: Any) -> Callable[[str, dict[str, Any]], str]:
    """A door of words to a client's session."""

    def call(tool: str, arguments: dict[str, Any]) -> str:
        return client.step(InvestigationAction(tool=tool, arguments=arguments)).observation.answer

    return call


# It keeps the books of scored episodes


def test_a_scored_server_chooses_and_writes_down(tmp_path: Path) -> None:
    """A reset takes neither seed, task nor options; what is left counts as abandoned; the books hold every call."""
    task = get_task("easy_mixed")
    with Books.kept(tmp_path, Terms.of("client", task, 4), task.name) as books:
        settings = ServeLimits()
        server = make_server(settings, books=books)
        with listening(server.app, settings) as address:
            running = Live(address, server)
            with running.client() as client:
                for given in ({"seed": 1}, {"task": "hard_mixed"}, {"difficulty": "easy"}):
                    with pytest.raises(RuntimeError, match="scored"):
                        client.reset(**given)
                assert client.reset(episode_id="mine").observation.brief == Session(task.name).begin(1)
                result = client.step(InvestigationAction(tool="list_suspicious_dates"))
                assert result.observation.told["ok"]
                last = client.step(InvestigationAction(tool="submit", arguments={"rows": []}))
                assert last.done
                assert "episode" not in last.observation.told
                client.reset()
            with running.client() as client:
                client.reset()
                client.reset()
                with pytest.raises(RuntimeError, match="none is left"):
                    client.reset()
            wait_for(lambda: running.sessions == 0)
    record = read_books(tmp_path)
    assert [len(episode.calls) for episode in record.episodes] == [2, 0, 0, 0]
    assert [episode.ended is not None for episode in record.episodes] == [True, False, False, False]
    assert (tmp_path / BOOKS_FILE).read_text().count("abandon") == 3


def test_a_seed_played_again_is_practice(server: Live) -> None:
    """A session that begins a seed again whose grade it was told is told that this is practice."""
    with server.client() as client:
        for practice in (False, True):
            assert client.reset(seed=4).observation.practice is practice
            client.step(InvestigationAction(tool="submit", arguments={"rows": []}))


# It is an OpenEnv server


def test_openenv_validates_the_server(server: Live) -> None:
    """OpenEnv's own command finds all that it asks of a running server."""
    result = CliRunner().invoke(openenv_command, ["validate", "--url", server.http, "--json"])
    report = json.loads(result.output)
    assert result.exit_code == 0
    assert report["passed"]
    assert report["standard_profile"] == "openenv-http/1.x"
    assert len(report["criteria"]) == 6
    assert all(criterion["passed"] for criterion in report["criteria"])


def test_openenv_validates_the_package(tmp_path: Path) -> None:
    """OpenEnv's own check of a package passes as far as it needs no container, and the files name what there is."""
    # What the Dockerfile copies: the repository may hold virtual environments, whose links cannot be verified.
    for name in ("pyproject.toml", "README.md", "LICENSE", "openenv.yaml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "metric_tracker_env", tmp_path / "metric_tracker_env")
    report = run_validation(tmp_path, max_level=Level.STATIC, skip_build=True)
    assert report.verdict is Verdict.PASS
    module, attribute = (parse_openenv_app_field((ROOT / "openenv.yaml").read_text()) or "").split(":")
    assert module == openenv_app.__name__
    assert callable(getattr(openenv_app, attribute))
    command = (parse_dockerfile_cmd((ROOT / "Dockerfile").read_text()) or "").split()
    assert command[:4] == ["python", "-m", "metric_tracker_env.serve", "openenv"]


def test_schemas_are_those_of_the_messages(server: Live) -> None:
    """The server tells the schemas of its typed messages, and its metadata the version."""
    told = requests.get(f"{server.http}/schema", timeout=PATIENCE).json()
    assert set(told["action"]["properties"]) == {"tool", "arguments", "metadata"}
    assert {"answer", "brief", "tools", "done", "reward"} <= set(told["observation"]["properties"])
    metadata = requests.get(f"{server.http}/metadata", timeout=PATIENCE).json()
    assert (metadata["name"], metadata["version"]) == ("metric_tracker_env", __version__)


# It plays as in process


@pytest.mark.parametrize("task", NAMED)
def test_the_script_solves_the_task_as_in_process(server: Live, task: str) -> None:
    """The analyst in words gets, word for word, the answers and the grades that it gets in process."""
    own = Session(task)
    generator = TASKS[task].config.generator
    with server.client() as client:
        for seed in range(HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.start + 3):
            begun = client.reset(seed=seed, task=task)
            assert begun.observation.brief == own.begin(seed)
            assert begun.observation.tools == call_schemas(generator)
            assert (begun.done, begun.reward, begun.observation.told) == (False, None, {})
            rewards: list[float] = []

            def call(tool: str, arguments: dict[str, Any], rewards: list[float] = rewards) -> str:
                result = client.step(InvestigationAction(tool=tool, arguments=arguments))
                rewards.append(result.reward)
                own_answer = own.call(tool, arguments)
                assert result.observation.answer == own_answer.text
                assert result.done == ("grade" in result.observation.told) == own_answer.done == own.standing.done
                assert result.reward == own_answer.reward
                return result.observation.answer

            grade = converse(investigate(generator), call)[-1]["grade"]
            assert grade == own.grade().model_dump(mode="json")
            assert grade["score"] > 0.9
            assert sum(rewards) == pytest.approx(own.standing.reward)


def test_a_bad_call_costs_a_unit_as_in_process(server: Live) -> None:
    """A call that names no tool, or gives what the tool does not take, is answered and paid for as in process."""
    own = Session()
    own.begin(5)
    bad: list[tuple[str, dict[str, Any]]] = [
        ("gopher", {}),
        ("get_reward", {}),
        ("_submit", {"rows": []}),
        ("", {}),
        ("rows_for_date", {}),
        ("rows_for_date", {"date": "2020-01-01"}),
        ("rows_for_date", {"date": ["2026-03-10"], "self": 1}),
        ("submit", {"rows": "none"}),
        ("submit", {"rows": [{"date": "2026-03-10"}]}),
    ]
    with server.client() as client:
        client.reset(seed=5)
        for spent, (tool, arguments) in enumerate(bad, 1):
            observation = client.step(InvestigationAction(tool=tool, arguments=arguments)).observation
            assert observation.answer == own.call(tool, arguments).text
            assert not observation.told["ok"]
            assert (observation.told["cost"], observation.budget_left) == (1, own.config.budget - spent)


def test_sessions_that_take_turns_do_not_mix(server: Live) -> None:
    """Sessions that are played in turns, call by call, each see their own episode and their own budget."""
    plays = [(name, seed) for seed in (11, 12) for name in NAMED]
    owns = [Session(name) for name, _ in plays]
    scripts = [investigate(TASKS[name].config.generator) for name, _ in plays]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in plays]
        wait_for(lambda: server.sessions == len(plays))
        for client, own, (name, seed) in zip(clients, owns, plays, strict=True):
            client.reset(seed=seed, task=name)
            own.begin(seed)
        calls = {number: next(script) for number, script in enumerate(scripts)}
        while calls:
            for number, call in list(calls.items()):
                answer = caller(clients[number])(*call)
                assert answer == owns[number].call(*call).text
                try:
                    calls[number] = scripts[number].send(json.loads(answer))
                except StopIteration:
                    del calls[number]
    assert all(own.standing.done for own in owns)


def test_a_session_goes_on_with_its_stream(server: Live) -> None:
    """Resets without a seed play on, and options hold for one episode, as in process."""
    own = Session("easy_mixed")
    with server.client() as client:
        plays: list[dict[str, Any]] = [{"seed": 3, "task": "easy_mixed"}, {}, {"scenario_family": "funnel_break"}, {}]
        for options in plays:
            client.reset(**options)
            own.begin(**options)
            assert caller(client)("list_suspicious_dates", {}) == own.call("list_suspicious_dates", {}).text


def test_the_end_is_told_and_stays(server: Live) -> None:
    """After submit the grade is told once, further calls do nothing, and a reset begins anew."""
    with server.client() as client:
        early = client.step(InvestigationAction(tool="list_dates"))
        assert (early.observation.answer, early.done) == (Session().call("list_dates", {}).text, True)
        client.reset(seed=4, episode_id="mine")
        result = client.step(InvestigationAction(tool="submit", arguments={"rows": []}))
        assert (result.done, result.reward, result.observation.told["grade"]["score"]) == (True, 0.0, 0.0)
        state = client.state()
        assert (state.episode_id, state.step_count, state.done) == ("mine", 1, True)
        again = client.step(InvestigationAction(tool="submit", arguments={"rows": []}))
        assert (again.done, again.reward) == (True, 0.0)
        assert "the episode is over" in again.observation.told["error"]
        assert not client.reset(seed=4).done
        assert client.state().model_dump() == {
            "episode_id": None,
            "step_count": 0,
            "begun": True,
            "done": False,
            "budget_left": 16,
            "calls_left": 48,
        }


def test_the_server_has_a_task_of_its_own() -> None:
    """A server may be started with a task, which a reset without one plays."""
    with live(task="easy_single_spike") as running, running.client() as client:
        own = Session("easy_single_spike")
        assert client.reset(seed=1).observation.brief == own.begin(1)
    with pytest.raises(ValueError, match="task 'gopher' is not one of"):
        make_server(task="gopher")


# It tells no truth


def test_the_end_tells_which_episode_it_was(server: Live) -> None:
    """Seed, number and options are told with the grade, and a reset with them plays the same episode again."""
    with server.client() as client:
        client.reset(seed=21, task="hard_mixed")
        client.reset(scenario_family="funnel_break", anomaly_count=2)
        first = client.step(InvestigationAction(tool="list_suspicious_dates")).observation.answer
        told = client.step(InvestigationAction(tool="submit", arguments={"rows": []})).observation.told["episode"]
        assert (told["seed"], told["number"]) == (21, 1)
        assert (told["options"]["scenario_family"], told["options"]["difficulty"]) == ("funnel_break", "hard")
    with server.client() as client:
        client.reset(seed=told["seed"], task="hard_mixed")
        for number in range(told["number"]):
            client.reset(**(told["options"] if number + 1 == told["number"] else {}))
        assert client.step(InvestigationAction(tool="list_suspicious_dates")).observation.answer == first


def test_the_brief_is_true_of_the_options(server: Live) -> None:
    """A reset with options of its own is briefed for them, as in process; the next without is briefed as the task."""
    own = Session("easy_single_spike")
    with server.client() as client:
        plays: list[dict[str, Any]] = [{"seed": 1}, {"scenario_family": "funnel_break"}, {"anomaly_count": 4}, {}]
        briefs = [client.reset(task="easy_single_spike", **options).observation.brief for options in plays]
        assert briefs == [own.begin(**options) for options in plays]
    assert ["Conversion rates spike" in brief for brief in briefs] == [True, False, False, True]
    assert "funnel step that loses" in briefs[1]


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


# It bears what clients send


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


# Limits


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


def test_the_command_serves_on_loopback_and_stops() -> None:
    """One command starts the server on the loopback address alone, and an interrupt stops it, sessions and all."""
    command = [sys.executable, "-m", "metric_tracker_env.serve", "openenv", "--port", "0", "--max-sessions", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = next(filter(None, (re.search(r"running on http://([\d.]+):(\d+)", line) for line in process.stderr)))
        assert found[1] == "127.0.0.1"
        with connect(f"ws://127.0.0.1:{found[2]}/ws", proxy=None) as connection:
            assert json.loads(asked(connection, {"type": "reset", "data": {"seed": 1}}))["type"] == "observation"
            process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=PATIENCE)
        _, rest = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in rest


def test_the_tools_are_all_there(server: Live) -> None:
    """A reset offers every tool and submit, and nothing else."""
    with server.client() as client:
        tools = client.reset().observation.tools
        names = [name for name, spec in CALLS.items() if spec.offered(GeneratorConfig())]
        assert [tool["function"]["name"] for tool in tools] == names
