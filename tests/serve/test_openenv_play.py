"""The OpenEnv server plays as in process, keeps sessions apart, and is what OpenEnv expects."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from helpers_openenv import NAMED, Live, asked, caller, live
from helpers_serve import PATIENCE, listening, wait_for
from openenv.cli.__main__ import app as openenv_command
from openenv.core.containers.runtime._server_config import parse_dockerfile_cmd, parse_openenv_app_field
from openenv.validation import Level, Verdict, run_validation
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import TASKS, GeneratorConfig, Session, __version__, get_task
from metric_tracker_env.books import BOOKS_FILE, Books, Terms, read_books
from metric_tracker_env.serve import openenv_app
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.serve.openenv_app import make_server
from metric_tracker_env.serve.openenv_client import InvestigationAction
from metric_tracker_env.session import CALLS, call_schemas
from metric_tracker_env.tasks import HELD_OUT_SEEDS

ROOT = Path(__file__).parents[2]


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
