"""The verifiers recipe: real rollouts by verifiers, over a live OpenEnv server, with a scripted model's HTTP server.

Run in the virtual environment of docs/recipes/verifiers; METRIC_TRACKER_SERVER_PYTHON names the python of another one,
which has the extra ``serve`` and runs the server.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import verifiers.v1 as vf
from helpers_session import by_the_analyst
from metric_tracker_verifiers import MAX_TURNS, InvestigationData, InvestigationTools, brief, load_environment
from model_server import CLUMSY, ModelServer
from pydantic import ValidationError

from metric_tracker_env import Session
from metric_tracker_env.tasks import get_task

TASK = "easy_single_spike"
FIRST = get_task(TASK).held_out_seeds[0]
BIN = Path(sys.executable).parent  # where uv is, which runs verifiers' chat loop
START_SECONDS = 60.0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of an OpenEnv server in a process of its own."""
    python = os.environ["METRIC_TRACKER_SERVER_PYTHON"]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [python, "-m", "metric_tracker_env.serve", "openenv", "--port", "0", "--max-sessions", "2"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def models() -> Iterator[ModelServer]:
    """The scripted models."""
    with ModelServer() as models:
        yield models


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifiers finds the uv of this virtual environment."""
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


def rollouts(server: str, models: ModelServer, model: str, **settings: Any) -> list[vf.Trace]:
    """What a model does, as verifiers tells it."""

    async def play() -> list[vf.Trace]:
        env = load_environment(base_url=server, task_name=TASK, **settings)
        endpoint = vf.EvalClientConfig(base_url=models.url, api_key_var="NO_SUCH_KEY")
        context = vf.ModelContext(model=model, client=endpoint, sampling=vf.SamplingConfig.model_validate({}))
        async with env.serving():
            slots = [slot for task in env.taskset for slot in env.slots(task)]
            episodes = await asyncio.gather(*(env.run_slot(slot, context) for slot in slots))
        assert all(len(episode.traces) == 1 for episode in episodes)
        return [episode.traces[0] for episode in episodes]

    return asyncio.run(play())


def analyst(seed: int) -> tuple[float, float, list[str]]:
    """Reward, score and answers of the scripted analyst, playing in this process."""
    session, answers = by_the_analyst(TASK, seed)
    return session.standing.reward, session.grade().score, answers


def told_in(trace: vf.Trace) -> list[str]:
    """The answers of tools in a trace."""
    return [str(node.message.content) for node in trace.nodes if isinstance(node.message, vf.ToolMessage)]


# Rollouts


def test_rollouts_through_the_server(server: str, models: ModelServer) -> None:
    """Two rollouts at once have the reward, score and answers that the same calls have in process."""
    traces = rollouts(server, models, "good", episodes=2)
    for trace, seed in zip(traces, (FIRST, FIRST + 1), strict=True):
        reward, score, answers = analyst(seed)
        assert trace.errors == []
        assert trace.ok
        assert trace.reward == pytest.approx(reward)
        assert trace.metrics == {"score": pytest.approx(score), "done": 1.0}
        assert score > 0.9
        assert told_in(trace) == answers[:-1]  # the model is not asked again after it has submitted
        assert trace.stop_condition == "episode_over"
        assert trace.num_turns == len(answers)
    assert told_in(traces[0]) != told_in(traces[1])
    check_what_is_shown(models)


def check_what_is_shown(models: ModelServer) -> None:
    """Requests hold the brief and the environment's own schemas, and nothing of an episode's seed."""
    session = Session(TASK)
    told = session.begin(1)
    asked = models.requests[0]
    assert asked["messages"] == [{"role": "user", "content": told}]
    ours = [schema["function"] for schema in session.schemas]
    shown = [tool["function"] for tool in asked["tools"]]
    assert [(tool["name"], tool["description"]) for tool in shown] == [
        (own["name"], own["description"]) for own in ours
    ]
    assert [tool["parameters"] for tool in shown] == [own["parameters"] for own in ours]
    assert all(str(FIRST) not in json.dumps(request) for request in models.requests)


def test_a_model_that_is_stuck_comes_to_an_end(server: str, models: ModelServer) -> None:
    """Calls of tools that there are not never reach the environment; the replies are counted all the same."""
    (trace,) = rollouts(server, models, "stuck", episodes=1)
    assert (trace.stop_condition, trace.num_turns) == ("max_turns", MAX_TURNS)
    assert trace.metrics == {"score": 0.0, "done": 0.0}


def test_bad_calls_are_judged_by_the_environment(server: str, models: ModelServer) -> None:
    """Arguments reach the environment as the model gave them, and who then gives up has paid for them."""
    (trace,) = rollouts(server, models, "clumsy", episodes=1)
    session = Session(TASK)
    session.begin(FIRST)
    expected = [session.call(tool, json.loads(arguments)).text for tool, arguments in CLUMSY]
    assert not any(json.loads(answer)["ok"] for answer in expected)
    assert told_in(trace) == expected
    assert trace.ok
    assert trace.reward == pytest.approx(session.standing.reward)
    assert trace.reward < 0
    assert trace.metrics == {"score": 0.0, "done": 0.0}
    assert trace.stop_condition == "agent_completed"


def test_the_command(server: str, models: ModelServer, tmp_path: Path) -> None:
    """The recipe's command finds the environment by its name and writes what was played."""
    command = [str(BIN / "vf-eval"), "metric-tracker-verifiers", "--env.taskset.base-url", server, "--model", "good"]
    command += ["--env.taskset.task-name", TASK, "--env.taskset.split", "training", "-n", "1", "--no-push", "--no-rich"]
    command += ["--client.base-url", models.url, "--client.api-key-var", "NO_SUCH_KEY", "-o", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.rglob("traces.jsonl")
    (line,) = file.read_text(encoding="utf-8").splitlines()
    episode = vf.WireEpisode.model_validate_json(line)
    reward, score, _ = analyst(get_task(TASK).training_seeds[0])
    assert [trace.reward for trace in episode.traces] == [pytest.approx(reward)]
    assert [trace.metrics for trace in episode.traces] == [{"score": score, "done": 1.0}]


# Wrong use


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"task_name": "no_such"}, "no_such"),
        ({"split": "test"}, "training"),
        ({"episodes": 0}, "episodes"),
        ({"first": 99_999, "episodes": 2}, "99999"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], told: str) -> None:
    """A bad setting is refused with an error that names it."""
    with pytest.raises(ValidationError, match=told):
        load_environment(**settings)


def test_no_server() -> None:
    """Without a server nothing is begun, and the error names the address."""
    env = load_environment(base_url="http://127.0.0.1:9", task_name=TASK)
    with pytest.raises(RuntimeError, match=r"base_url 'http://127\.0\.0\.1:9' is no OpenEnv server"):
        list(env.taskset)


def test_a_refused_reset_is_an_error(server: str) -> None:
    """What the server refuses is an error with its words, not an episode without tools."""

    async def begin() -> None:
        tools = InvestigationTools(vf.ToolsetConfig())
        async with tools._exit_stack:  # as verifiers' own server holds it
            row = {"base_url": server, "task_name": "no_such", "seed": 0}
            await tools.setup_task(InvestigationData.model_validate(row))

    with pytest.raises(RuntimeError, match=r"the OpenEnv server answers reset with: .*no_such"):
        asyncio.run(begin())
    with pytest.raises(RuntimeError, match=r"no OpenEnv server that plays no_such.*422"):
        brief(server, "no_such")
