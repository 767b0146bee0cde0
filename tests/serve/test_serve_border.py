"""The border of the MCP server: ids that are used twice, broken text, silence, and readers that stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import anyio
import httpx
import jsonschema
import pytest
from helpers_serve import PATIENCE, listening, wait_for
from test_serve_gate import HELLO, MCP_HEADERS

from metric_tracker_env.config import MAX_SEED, EnvConfig
from metric_tracker_env.serve import mcp_server
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.serve.mcp_server import BEGIN, Client, McpServer
from metric_tracker_env.serve.mcp_tools import SeedArgument
from metric_tracker_env.session import Answer
from metric_tracker_env.tools import TOOLS

ROOT = Path(__file__).parents[2]
DATE = EnvConfig().generator.date_names[3]


class Http:
    """A session of the MCP server, in plain requests."""

    clients: ClassVar[list[httpx.Client]] = []  # that are open

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(trust_env=False, base_url=f"http://{address}", timeout=PATIENCE)
        self.clients.append(self.client)
        opened = self.post(HELLO)
        opened.raise_for_status()
        self.session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, message: object) -> httpx.Response:
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = {**MCP_HEADERS, **getattr(self, "session", {})}
        return self.client.post("/mcp", content=content, headers=headers)

    def call(self, tool: str, request: object = 7, **arguments: Any) -> dict[str, Any]:
        return self.post(call_of(tool, request, **arguments)).json()


def call_of(tool: str, request: object, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": request, "method": "tools/call", "params": params}


@contextmanager
def served(server: McpServer | None = None) -> Iterator[tuple[McpServer, str]]:
    server = server or McpServer()
    with listening(server.app(), server.limits) as address:
        try:
            yield server, address
        finally:
            while Http.clients:
                Http.clients.pop().close()


@pytest.mark.parametrize("second", [7, "7"])
def test_an_id_that_is_under_way_is_refused(monkeypatch: pytest.MonkeyPatch, second: object) -> None:
    """The second request is told so at once, the first has its own answer, and the id may be used again after it."""
    going, go_on = threading.Event(), threading.Event()
    usual = Client._call

    async def slow(self: Client, tool: str, arguments: dict[str, object]) -> Answer:
        if tool == "list_dates":
            going.set()
            await anyio.to_thread.run_sync(go_on.wait, PATIENCE)
        return await usual(self, tool, arguments)

    monkeypatch.setattr(Client, "_call", slow)
    with served() as (_, address), ThreadPoolExecutor(1) as pool:
        http = Http(address)
        http.call(BEGIN, seed=1)
        first = pool.submit(Http.call, http, "list_dates", 7)
        assert going.wait(PATIENCE)
        refused = http.post(call_of("list_entities", second))
        go_on.set()
        assert refused.status_code == 400
        assert (refused.json()["error"]["code"], refused.json()["id"]) == (-32600, second)
        assert "under way" in refused.json()["error"]["message"]
        assert "weekday" in first.result(PATIENCE)["result"]["content"][0]["text"]
        assert "entity_name" in http.call("list_entities", 7)["result"]["content"][0]["text"]


def test_many_requests_of_one_id_mix_nothing() -> None:
    """Of forty at once each has the answer to its own question, or is refused; none hangs."""
    asked = ("list_dates", "list_entities", "task_overview", "preview_submission")
    words = {"list_dates": "weekday", "list_entities": "entity_name", "task_overview": "flagged_when"}
    with served() as (_, address), ThreadPoolExecutor(12) as pool:
        http = Http(address)
        begun = http.call(BEGIN, seed=1)["result"]["content"][0]["text"]
        tools = [asked[n % len(asked)] for n in range(40)]
        assert "and 48 calls" in begun  # so that the episode goes on however many of them are answered
        rows = {"preview_submission": {"rows": []}}
        waiting = [pool.submit(Http.call, http, tool, 7, **rows.get(tool, {})) for tool in tools]
        for tool, answer in zip(tools, (one.result(PATIENCE) for one in waiting), strict=True):
            if "error" in answer:
                assert answer["error"]["code"] == -32600
            else:
                assert words.get(tool, "submitted") in answer["result"]["content"][0]["text"]


def test_a_request_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit it is answered with an error, and the session goes on."""
    usual = Client._call

    async def hanging(self: Client, tool: str, arguments: dict[str, object]) -> Answer:
        if tool == "list_dates":
            await anyio.sleep(PATIENCE)
        return await usual(self, tool, arguments)

    monkeypatch.setattr(Client, "_call", hanging)
    with served(McpServer(limits=ServeLimits(answer_seconds=1.0))) as (_, address):
        http = Http(address)
        http.call(BEGIN, seed=1)
        given_up = http.post(call_of("list_dates", 8))
        assert given_up.status_code == 504
        assert given_up.json()["error"]["message"] == "the request was not answered within 1 s"
        assert http.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).json()["result"] == {}
        assert http.post({"jsonrpc": "2.0", "id": 8, "method": "ping"}).status_code == 400  # its answer may come yet


BROKEN: dict[str, tuple[bytes, int]] = {
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"ping\xff"}', -32700),
    "a lone surrogate": (json.dumps(call_of("list_dates", 1, x="\ud800")).encode(), -32700),
    "NaN": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}', -32700),
    "a huge number": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1' + b"0" * 5000 + b"}}", -32700),
    "no JSON": (b"{", -32700),
    "nothing": (b"", -32700),
    "UTF-16": ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"), -32700),
    "a list": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
    "a text": (b'"ping"', -32600),
    "no message": (b'{"id":1}', -32600),
    "an id that is none": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    "an id that is a list": (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
    "nested too deep": (
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"[" * 99 + b"]" * 99 + b"}}",
        -32600,
    ),
    "nested without end": (b"[" * 50_000, -32700),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_messages_over_http(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is no message is 400 with JSON-RPC's error, nothing is logged, and the session goes on."""
    body, code = BROKEN[name]
    with served() as (_, address):
        http = Http(address)
        answer = http.post(body)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == code
        assert "Traceback" not in answer.text
        assert http.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).json()["result"] == {}
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_broken_lines_over_stdio() -> None:
    """Each is answered with JSON-RPC's error, and the next good line is carried out."""
    lines = [body.replace(b"\n", b"") for body, _ in BROKEN.values() if body.strip()]
    lines += [b"", b"x" * 3000, json.dumps(HELLO).encode()]
    command = [sys.executable, "-m", "metric_tracker_env.serve", "mcp", "--max-message-bytes", "2000"]
    done = subprocess.run(
        command, cwd=ROOT, input=b"\n".join(lines) + b"\n", capture_output=True, timeout=60, check=False
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert "serverInfo" in answers[-1]["result"]
    codes = [answer["error"]["code"] for answer in answers[:-1]]
    assert len(codes) == len(lines) - 2
    assert set(codes) == {-32700, -32600}


def test_a_reader_that_stops_ends_the_server() -> None:
    """Over stdio: when nobody reads the answers any more the server ends, and says nothing of it."""
    command = [sys.executable, "-m", "metric_tracker_env.serve", "mcp"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(HELLO).encode() + b"\n")
        process.stdin.flush()
        assert b"serverInfo" in process.stdout.readline()
        process.stdout.close()
        ping = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"}).encode() + b"\n"
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.stdin.write(ping)
                process.stdin.flush()
            except OSError:
                break
            time.sleep(0.05)
        assert process.wait(PATIENCE) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_a_silent_session_gives_its_place() -> None:
    """Who finds all taken has the place of the one that is silent for longest, if that is long enough; else waits."""
    limits = ServeLimits(max_sessions=2, yield_seconds=1.0)
    with served(McpServer(limits=limits)) as (server, address):
        first, second = Http(address), Http(address)
        first.call(BEGIN, seed=1)
        second.call(BEGIN, seed=1)
        with pytest.raises(httpx.HTTPStatusError) as refused:
            Http(address)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "6"
        time.sleep(0.6)
        second.call("list_dates")
        time.sleep(0.6)
        third = Http(address)
        assert third.call(BEGIN, seed=1)["result"]["structuredContent"]["ok"]
        assert first.post(call_of("list_dates", 3)).status_code == 404
        assert second.call("list_dates")["result"]["structuredContent"]["ok"]
        assert server.open_sessions == 2
        for http in (second, third):
            http.client.delete("/mcp", headers=http.session)
        wait_for(lambda: server.open_sessions == 0)


def test_structured_answers_are_as_their_schemas_say() -> None:
    """Every tool has a title, hints and a schema, which its answers fulfil; the text is the same object."""
    arguments: dict[str, dict[str, Any]] = {
        "compare_rate_to_median": {"entity_name": "app_open_to_order_placed"},
        "compare_count_to_median": {"entity_name": "orders_placed"},
        "preview_submission": {"rows": [{"date": DATE}]},
        "payload_generator": {"generator_methods": ["get_funnel_break_rows"]},
        "get_rows_with_abs_diff_from_median_gt": {"threshold": 1.0, "metric_name": "orders_placed"},
    }
    with served(McpServer("realistic_easy")) as (_, address):
        http = Http(address)
        listed = http.post({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).json()["result"]["tools"]
        assert {tool["name"] for tool in listed} == {BEGIN, "submit", *TOOLS}
        for tool in listed:
            name = tool["name"]
            assert tool["title"]
            reads = name not in (BEGIN, "submit")
            assert (tool["annotations"]["readOnlyHint"], tool["annotations"]["destructiveHint"]) == (reads, not reads)
            if name != BEGIN:
                http.call(BEGIN, seed=3)
            given = dict(arguments.get(name, {}))
            if "date" in tool["inputSchema"].get("required", ()):
                given["date"] = DATE
            if name == "submit":
                given["rows"] = []
            result = http.call(name, **given)["result"]
            assert not result["isError"], (name, result)
            assert result["structuredContent"] == json.loads(result["content"][0]["text"])
            jsonschema.validate(result["structuredContent"], tool["outputSchema"])


def test_options_of_an_episode_where_the_operator_allows_them() -> None:
    """Else they are refused in words; with a counting server too."""
    for server in (McpServer(options=True), McpServer(seed=5, options=True)):
        with served(server) as (_, address):
            http = Http(address)
            told = http.call(BEGIN, difficulty="hard", anomaly_count=[1, 1])["result"]["structuredContent"]
            assert told["ok"]
            overview = http.call("task_overview")["result"]["structuredContent"]["result"]
            assert overview["difficulty"] == "hard"
            bad = http.call(BEGIN, difficulty="harder")["result"]["structuredContent"]
            assert "difficulty" in bad["error"]
    with served() as (_, address):
        refused = Http(address).call(BEGIN, difficulty="hard")["result"]["structuredContent"]
        assert "unknown key 'difficulty'" in refused["error"]


def test_a_preset_is_served(tmp_path: Path) -> None:
    """``--config FILE``; a named task may be begun beside it, and without a name the preset comes again."""
    file = tmp_path / "two_weeks.toml"
    file.write_text('difficulty = "hard"\nbudget = 9\n[generator]\nnum_weeks = 2\n')
    with served(McpServer(str(file))) as (_, address):
        http = Http(address)
        assert "14 days" in http.call(BEGIN, seed=1)["result"]["structuredContent"]["result"]["brief"]
        assert "28 days" in http.call(BEGIN, task="easy_mixed")["result"]["structuredContent"]["result"]["brief"]
        assert "14 days" in http.call(BEGIN)["result"]["structuredContent"]["result"]["brief"]


@pytest.mark.parametrize("seed", [MAX_SEED, MAX_SEED - 999_998, MAX_SEED + 1, -1])
def test_a_counting_server_has_seeds_before_it(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A first seed that is near the last is refused at the start, not in the middle of the night."""
    with pytest.raises(ValueError, match="seed"):
        McpServer(seed=seed)
    with pytest.raises(SystemExit):
        mcp_server.main(["--seed", str(seed)])
    assert f"argument --seed {seed}: " in capsys.readouterr().err
    assert McpServer(seed=MAX_SEED - 999_999)
    assert SeedArgument(seed=MAX_SEED)


def test_the_last_seed_is_the_last() -> None:
    """When they are used up, ``begin`` says so."""
    server = McpServer(seed=1)
    server._seeds = iter(range(1))
    with served(server) as (_, address):
        http = Http(address)
        assert http.call(BEGIN)["result"]["structuredContent"]["ok"]
        told = cast("dict[str, Any]", http.call(BEGIN)["result"]["structuredContent"])
        assert told == {"ok": False, "error": "the server has no further episode; its seeds are used up"}
