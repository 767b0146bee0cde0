"""The MCP server, played through the official client over stdio and over streamable HTTP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from helpers_serve import listening, wait_for
from helpers_session import begun, door
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from agents.players.scripts.words import investigate
from metric_tracker_env import EnvConfig, Seal, Session, get_task
from metric_tracker_env.books import BOOKS_FILE, Books, Terms, read_books
from metric_tracker_env.serve import mcp_server
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.serve.mcp_server import BEGIN, PATH, McpServer
from metric_tracker_env.session import call_schemas
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TASKS
from metric_tracker_env.tools import TOOLS

ROOT = Path(__file__).parents[2]
SEEDS = range(HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.start + 2)
NAMED_TASKS = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
DATE = EnvConfig().generator.date_names[9]
SEAL = Seal("1b" * 32)
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@contextmanager
def serving(server: McpServer, *hosts: str) -> Iterator[str]:
    """Serve over HTTP; gives the URL of the endpoint."""
    with listening(server.app(*hosts), server.limits) as address:
        yield f"http://{address}{PATH}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[ClientSession]:
    """A session of the official client over HTTP."""
    async with streamable_http_client(url) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def piped(*options: str) -> AsyncIterator[ClientSession]:
    """A session of the official client with a server of its own over stdio."""
    arguments = ["-W", "error", "-m", "metric_tracker_env.serve", "mcp", *options]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, cwd=ROOT)
    async with stdio_client(parameters) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, arguments: dict[str, Any]) -> str:
    """The text that a tool answers; it is marked as an error where the answer is not ok."""
    result = await session.call_tool(tool, arguments)
    assert len(result.content) == 1
    assert result.content[0].type == "text"
    text = result.content[0].text
    assert result.isError == (not json.loads(text)["ok"])
    return text


async def play(session: ClientSession, task: str, seed: int) -> list[str]:
    """The answers of an episode that the analyst in words plays."""
    begun = json.loads(await call(session, BEGIN, {"task": task, "seed": seed}))
    assert begun["result"]["brief"]
    script = investigate(TASKS[task].config.generator)
    answers: list[str] = []
    asked = next(script, None)
    while asked is not None:
        answers.append(await call(session, *asked))
        try:
            asked = script.send(json.loads(answers[-1]))
        except StopIteration:
            asked = None
    return answers


def in_process(task: str, seed: int) -> list[str]:
    """The answers that the same script gets without a server."""
    session = Session(task)
    session.begin(seed)
    script, answers = investigate(TASKS[task].config.generator), []
    asked = next(script, None)
    while asked is not None:
        answers.append(session.call(*asked).text)
        try:
            asked = script.send(json.loads(answers[-1]))
        except StopIteration:
            asked = None
    return answers


def test_a_scripted_model_solves_the_named_tasks_over_http() -> None:
    """Answers and grades over HTTP are those in process, word for word, and the tasks are solved."""

    async def go() -> None:
        async with connected(url) as session:
            for task in NAMED_TASKS:
                for seed in SEEDS:
                    answers = await play(session, task, seed)
                    assert answers == in_process(task, seed)
                    assert json.loads(answers[-1])["grade"]["score"] == 1.0

    with serving(McpServer()) as url:
        anyio.run(go)


def test_a_scripted_model_solves_the_named_tasks_over_stdio() -> None:
    """Answers and grades over stdio are those in process, word for word; nothing but protocol is printed."""

    async def go() -> None:
        async with piped() as session:
            for task in NAMED_TASKS:
                answers = await play(session, task, SEEDS.start)
                assert answers == in_process(task, SEEDS.start)
                assert json.loads(answers[-1])["grade"]["score"] == 1.0

    anyio.run(go)


def test_the_tools_are_those_of_the_investigation_and_begin() -> None:
    """Names, descriptions and schemas are derived from the tools'; ``begin`` comes first."""

    async def go() -> None:
        async with connected(url) as session:
            begin, *tools = (await session.list_tools()).tools
            assert begin.name == BEGIN
            assert set(begin.inputSchema["properties"]) == {"seed", "task"}
            functions = [schema["function"] for schema in call_schemas(EnvConfig().generator)]
            of_world = [schema["function"] for schema in call_schemas(TASKS["realistic_easy"].config.generator)]
            functions += [function for function in of_world if function["name"] == "list_known_events"]
            assert [tool.name for tool in tools] == [function["name"] for function in functions]
            assert [tool.inputSchema for tool in tools] == [function["parameters"] for function in functions]
            assert [tool.description for tool in tools] == [function["description"] for function in functions]

    with serving(McpServer()) as url:
        anyio.run(go)


def test_sessions_do_not_mix() -> None:
    """Two sessions that play in turns get what each gets alone."""

    async def go() -> None:
        async with connected(url) as first, connected(url) as second:
            for session, seed in ((first, 1), (second, 2)):
                await call(session, BEGIN, {"task": "hard_mixed", "seed": seed})
            for date in EnvConfig().generator.date_names[5:10]:
                asked: tuple[str, dict[str, Any]] = ("rows_for_date", {"date": date})
                for session, alone in ((first, doors[0]), (second, doors[1])):
                    assert await call(session, *asked) == alone(*asked)

    doors = [door(begun(seed, task="hard_mixed")) for seed in (1, 2)]
    with serving(McpServer()) as url:
        anyio.run(go)


BAD: list[tuple[str, dict[str, Any], str]] = [
    (BEGIN, {"seed": -1}, "seed"),
    (BEGIN, {"seed": "7"}, "seed"),
    (BEGIN, {"seed": 1.5}, "seed"),
    (BEGIN, {"task": "hardest"}, "task 'hardest'"),
    (BEGIN, {"difficulty": "easy"}, "difficulty"),
    ("rows_for_date", {"date": DATE}, "begin begins one"),
    ("no_such_tool", {}, "begin begins one"),
]


def test_bad_calls_are_answers() -> None:
    """A bad ``begin`` changes nothing; a bad call of a tool reads and costs as in process; no answer holds a trace."""

    async def go() -> None:
        async with connected(url) as session:
            for tool, arguments, message in BAD:
                answer = json.loads(await call(session, tool, arguments))
                assert not answer["ok"]
                assert message in answer["error"]
                assert "Traceback" not in answer["error"]
            await call(session, BEGIN, {"task": "medium_mixed", "seed": 3})
            for tool, arguments in (("no_such_tool", {}), ("rows_for_date", {"date": "x"}), ("submit", {"rows": [{}]})):
                assert await call(session, tool, arguments) == alone(tool, arguments)
            assert json.loads(await call(session, "list_dates", {}))["budget_left"] == 13

    alone = door(begun(3, task="medium_mixed"))
    with serving(McpServer()) as url:
        anyio.run(go)


def test_once_gives_a_session_one_episode() -> None:
    """With ``once`` nobody begins again, so that a grade that was told cannot be used."""

    async def go() -> None:
        async with connected(url) as session:
            await call(session, BEGIN, {"seed": 1})
            await call(session, "submit", {"rows": []})
            again = json.loads(await call(session, BEGIN, {"seed": 1}))
            assert "one episode" in again["error"]
            assert "is over" in json.loads(await call(session, "list_dates", {}))["error"]

    with serving(McpServer(once=True)) as url:
        anyio.run(go)


TELLTALE = re.compile(r"expected|twin|consequence|natural|Traceback|2000000000", re.IGNORECASE)


def test_a_server_may_choose_the_episodes() -> None:
    """With a seed of the server's each episode is played once, whoever begins it, and nobody can ask for another."""
    server = McpServer("easy_mixed", seed=SEEDS.start)

    async def go() -> None:
        async with connected(url) as first, connected(url) as second:
            (begin, *_) = (await first.list_tools()).tools
            assert begin.inputSchema["properties"] == {}
            for given in ({"seed": SEEDS.start}, {"task": "hard_mixed"}):
                assert "unknown key" in json.loads(await call(first, BEGIN, given))["error"]
            for number, session in enumerate((first, second, first)):
                assert json.loads(await call(session, BEGIN, {}))["ok"]
                here = begun(SEEDS.start + number, task="easy_mixed")
                opened = await call(session, "rows_for_date", {"date": DATE})
                assert opened == here.call("rows_for_date", {"date": DATE}).text
                end = json.loads(await call(session, "submit", {"rows": []}))
                assert (end["done"], "episode" in end) == (True, False)  # whose seed would tell the next one
                assert str(SEEDS.start + number) not in json.dumps(end)

    with serving(server) as url:
        anyio.run(go)


def test_a_scored_server_keeps_the_books(tmp_path: Path) -> None:
    """The books choose, ``begin`` takes nothing, a second begin and a client that goes abandon, and grades are kept."""
    task = get_task("easy_mixed")
    with Books.kept(tmp_path, Terms.of("client", task, 5, seal=SEAL), task.name, SEAL) as books:
        server = McpServer(books=books)

        async def go() -> None:
            async with connected(url) as first, connected(url) as second:
                (begin, *_) = (await first.list_tools()).tools
                assert begin.inputSchema["properties"] == {}
                assert "unknown key" in json.loads(await call(first, BEGIN, {"seed": SEEDS.start}))["error"]
                assert "begin" in json.loads(await call(first, "submit", {"rows": []}))["error"]
                for session in (first, first, second):
                    assert json.loads(await call(session, BEGIN, {}))["ok"]
                here = Session(task.name, seal=SEAL)
                here.begin(SEEDS.start + 1)
                opened = await call(first, "rows_for_date", {"date": DATE})
                assert opened == here.call("rows_for_date", {"date": DATE}).text
                end = json.loads(await call(first, "submit", {"rows": []}))
                assert (end["done"], end["episode"]["seal"]) == (True, SEAL.hash)
            async with connected(url) as third:
                for left in (True, True, False):
                    told = json.loads(await call(third, BEGIN, {}))
                    assert told["ok"] is left
                assert "none is left" in told["error"]

        with serving(server) as url:
            anyio.run(go)
            wait_for(lambda: server.open_sessions == 0)
    record = read_books(tmp_path)
    assert [len(episode.calls) for episode in record.episodes] == [0, 2, 0, 0, 0]
    assert [episode.ended is not None for episode in record.episodes] == [False, True, False, False, False]
    told = (tmp_path / BOOKS_FILE).read_text()
    assert told.count("abandon") == 4
    assert SEAL.secret not in told


def test_the_command_keeps_books_over_stdio(tmp_path: Path) -> None:
    """With ``--books`` the command writes each episode down, goes on with them, and refuses what does not fit."""
    (tmp_path / "seal").write_text(SEAL.secret)
    folder = str(tmp_path / "kept")
    asked = ["--books", folder, "--agent", "client", "--episodes", "3", "--task", "easy_mixed"]
    sealed = [*asked, "--seal", str(tmp_path / "seal")]

    async def go() -> None:
        async with piped(*sealed) as session:
            assert json.loads(await call(session, BEGIN, {}))["ok"]
            assert json.loads(await call(session, "submit", {"rows": []}))["done"]

    for _ in range(2):
        anyio.run(go)
    record = read_books(folder)
    assert [episode.ended is not None for episode in record.episodes] == [True, True]
    assert record.terms.seal == SEAL.hash
    for options, told in (
        (asked, "seal"),
        ([*sealed, "--allow-options"], "--allow-options"),
        ([*sealed[:4], *sealed[6:]], "--episodes: needed"),
        (["--agent", "client"], "--agent: only with --books"),
        ([*sealed[:6], "--task", "hard_mixed", *sealed[8:]], "task, config differ"),
        ([*sealed, "--seed", "-1"], "first_seed"),
        ([*sealed[:-1], str(tmp_path / "none")], "No such file"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "metric_tracker_env.serve", "mcp", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
        assert ended.returncode == 2, options
        assert told in " ".join(ended.stderr.split()), options


def test_a_seed_played_again_is_said_to_be_practice() -> None:
    """Outside scored servers a seed may be begun again after its end, and ``begin`` says that this is practice."""

    async def go() -> None:
        async with connected(url) as session:
            for practice in (False, True):
                told = json.loads(await call(session, BEGIN, {"seed": 9}))
                assert told["result"].get("practice", False) is practice
                await call(session, "submit", {"rows": []})

    with serving(McpServer()) as url:
        anyio.run(go)


def test_a_session_is_briefed_for_its_task_and_told_its_episode() -> None:
    """``begin`` gives the brief of the task that it names, as in process; the last answer the seed that it gave."""

    async def go() -> None:
        async with connected(url) as session:
            for seed, task in enumerate(("easy_single_spike", "hard_mixed", "hard_mixed")):
                told = json.loads(await call(session, BEGIN, {"task": task, "seed": seed}))
                assert told == {"ok": True, "result": {"brief": Session(task).begin(seed)}}
                end = json.loads(await call(session, "submit", {"rows": []}))
                assert (end["episode"]["seed"], end["episode"]["number"]) == (seed, 0)

    with serving(McpServer()) as url:
        anyio.run(go)


def test_nothing_before_the_end_tells_the_truth() -> None:
    """Whatever a client sends before it submits, no answer holds a word of the truth, the seed or a stack trace."""

    async def go() -> list[str]:
        async with connected(url) as session:
            told = [(await session.initialize()).model_dump_json()]
            told.append(await call(session, BEGIN, {"seed": SEEDS.start, "task": "hard_mixed"}))
            for name, spec in TOOLS.items():
                told.append(await call(session, name, {"date": DATE} if "date" in spec.parameters else {}))
            for ask in (session.list_prompts, session.list_resources):
                with pytest.raises(McpError) as refused:
                    await ask()
                told.append(str(refused.value))
            return told

    with serving(McpServer()) as url:
        for text in anyio.run(go):
            assert not TELLTALE.search(text), text


def ask(url: str, method: str = "tools/list", headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    """A request of a client that does not keep to the protocol."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, **more}
    return httpx.post(url, json=body, headers={**HEADERS, **(headers or {})})


def test_what_is_not_asked_rightly_is_refused() -> None:
    """Alien sessions, hosts, origins, paths and bodies get an error that tells nothing; the server goes on."""
    limits = ServeLimits(max_body_bytes=20_000)
    with serving(McpServer(limits=limits)) as url:
        cases: list[tuple[Callable[[], httpx.Response], int]] = [
            (partial(ask, url, headers={"mcp-session-id": "0" * 32}), 404),
            (partial(ask, url, headers={"mcp-session-id": "../../etc"}), 404),
            (partial(ask, url), 400),
            (partial(ask, url, headers={"host": "evil.example"}), 421),
            (partial(ask, url, headers={"origin": "http://evil.example"}), 403),
            (partial(httpx.get, url, headers=HEADERS), 405),
            (partial(ask, url + "/../secret"), 404),
            (partial(ask, url, padding="x" * 30_000), 413),
            (partial(httpx.post, url, content=b"{", headers=HEADERS), 400),
        ]
        for send, status in cases:
            response = send()
            assert response.status_code == status, response.text
            assert not TELLTALE.search(response.text)

        async def go() -> None:
            async with connected(url) as session:
                assert json.loads(await call(session, BEGIN, {}))["ok"]

        anyio.run(go)


def test_sessions_are_limited_and_end() -> None:
    """A session too many is refused; one that disconnects, and one that is idle, is ended and makes room."""
    server = McpServer(limits=ServeLimits(max_sessions=2, idle_seconds=1.0))

    async def stay() -> None:
        """The client of the library stays connected and says nothing; its session ends all the same."""
        async with connected(url) as session:
            await call(session, BEGIN, {})
            await anyio.to_thread.run_sync(wait_for, lambda: server.open_sessions == 0)

    async def go() -> None:
        async with connected(url) as first, connected(url) as second:
            for session in (first, second):
                await call(session, BEGIN, {})
            assert server.open_sessions == 2
            begin = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
            refused = await anyio.to_thread.run_sync(partial(ask, url, "initialize", params=begin))
            assert refused.status_code == 503
            assert server.open_sessions == 2
        wait_for(lambda: server.open_sessions == 0)

    with serving(server) as url:
        anyio.run(go)
        begin = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        assert ask(url, "initialize", params=begin).status_code == 200
        wait_for(lambda: server.open_sessions == 0)  # it said nothing more
        anyio.run(stay)


def test_a_failure_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that no client caused is an answer without its text, and the session goes on."""

    async def go() -> None:
        async with connected(url) as session:
            await call(session, BEGIN, {})
            with monkeypatch.context() as patch:
                patch.setattr(Session, "call", broken)
                answer = await call(session, "list_dates", {})
            assert "secret" not in answer
            assert json.loads(await call(session, "list_dates", {}))["ok"]

    def broken(*_: object) -> str:
        raise RuntimeError("secret")

    with serving(McpServer()) as url:
        anyio.run(go)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "hardest"], "argument --task/--config: task 'hardest' is not one of"),
        (["--max-sessions", "0"], "max-sessions"),
        (["--port", "x"], "argument --port: 'x' is not a whole number from 0 to 65535"),
        (["--http", "--port", "65536"], "argument --port: '65536' is not a whole number from 0 to 65535"),
        (["--http", "--port", "-1"], "argument --port"),
        (["--port", "8002"], "argument --port: only with --http"),
        (["--seed", "-1"], "argument --seed -1: seed: Input should be greater than or equal to 0"),
        (["--allow-host", "example.org"], "argument --allow-host: only with --http"),
        (["--http", "--host", "0.0.0.0"], "argument --host: 0.0.0.0 needs the names that clients reach it by"),
    ],
)
def test_bad_options_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad option ends the command with exit code 2 and a line that names it."""
    with pytest.raises(SystemExit) as ended:
        mcp_server.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_hosts_that_are_allowed_are_served() -> None:
    """A server is reached by the names that it was given, with a port or without, and by no others."""
    for host, status in (("data.example", 400), ("data.example:8001", 400), ("data.example.evil", 421)):
        with serving(McpServer(), "data.example") as url:
            assert ask(url, headers={"host": host}).status_code == status


def test_ctrl_c_ends_the_server_of_stdio() -> None:
    """One interrupt ends it at once, though it waits for input."""
    command = [sys.executable, "-m", "metric_tracker_env.serve", "mcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert error == b""


def test_an_unknown_task_is_refused() -> None:
    """A server of no task is refused when it is made."""
    with pytest.raises(ValueError, match="task 'hardest'"):
        McpServer("hardest")
