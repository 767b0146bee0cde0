"""Who may come in to either server: its own names, no foreign page, and the token; and how full it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from helpers_serve import PATIENCE, listening, wait_for
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from metric_tracker_env.serve.gate import HOSTS_VARIABLE, TOKEN_VARIABLE, hosts_of, token_of
from metric_tracker_env.serve.limits import App, ServeLimits
from metric_tracker_env.serve.mcp_server import McpServer
from metric_tracker_env.serve.openenv_app import main as openenv_main
from metric_tracker_env.serve.openenv_app import make_server
from metric_tracker_env.serve.openenv_client import InvestigationClient

TOKEN = "a-token-of-some-length"
LIMITS = ServeLimits()
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
MCP_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
Make = Callable[..., App]
SERVERS: dict[str, Make] = {
    "mcp": lambda *hosts, token=None: McpServer(limits=LIMITS).app(*hosts, token=token),
    "openenv": lambda *hosts, token=None: make_server(LIMITS, hosts=hosts, token=token).app,
}


@contextmanager
def serving(make: Make, *hosts: str, token: str | None = None) -> Iterator[str]:
    with listening(make(*hosts, token=token), LIMITS) as address:
        yield address


def post(address: str, **headers: str) -> httpx.Response:
    """Open a session: of MCP by its first request, of OpenEnv by the HTTP form of a reset."""
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        answer = client.post(f"http://{address}/mcp", json=HELLO, headers={**MCP_HEADERS, **headers})
        if answer.status_code == 200 and "serverInfo" not in answer.text:  # OpenEnv's /mcp tells where the tools are
            return client.post(f"http://{address}/reset", json={"seed": 1}, headers=headers)
        return answer


def websocket(address: str, **headers: str) -> ClientConnection:
    return connect(f"ws://{address}/ws", additional_headers=headers, open_timeout=PATIENCE, proxy=None)


@pytest.mark.parametrize("name", SERVERS)
def test_pages_of_other_sites_are_refused(name: str) -> None:
    """A page in a browser opens no session, whether it says whose it is or its name was pointed here."""
    with serving(SERVERS[name], "data.example") as address:
        port = address.rpartition(":")[2]
        for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "null", "file://", "http://[broken"):
            assert post(address, origin=origin).status_code == 403, origin
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "data.example.evil"):
            assert post(address, host=host).status_code in (400, 421), host
        for host in (f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", "[::1]", f"data.example:{port}"):
            assert post(address, host=host).status_code == 200, host
        for origin in (f"http://127.0.0.1:{port}", "http://localhost", "https://data.example", "http://[::1]:80"):
            assert post(address, origin=origin).status_code == 200, origin


def test_pages_of_other_sites_open_no_websocket() -> None:
    """Browsers let any page open a WebSocket, so the server has to look at its origin."""
    with serving(SERVERS["openenv"]) as address:
        with pytest.raises(InvalidStatus) as refused:
            websocket(address, Origin="http://evil.example")
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "foreign_origin"
        with websocket(address, Origin=f"http://{address}") as connection:
            connection.send(json.dumps({"type": "state"}))
            assert json.loads(connection.recv(timeout=PATIENCE))["type"] == "state"


@pytest.mark.parametrize("name", SERVERS)
def test_a_token_is_asked_for(name: str) -> None:
    """Without it, or with another, nothing is answered but how the server is."""
    with serving(SERVERS[name], token=TOKEN) as address:
        for given in ("", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer other", f"Bearer {TOKEN}x", f"Bearer {TOKEN} x"):
            refused = post(address, **({"authorization": given} if given else {}))
            assert refused.status_code == 401, given
            assert refused.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in refused.text
        assert post(address, authorization=f"Bearer {TOKEN}").status_code == 200
        assert post(address, authorization=f"bearer {TOKEN}").status_code == 200
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"http://{address}/ready").status_code == 200


def test_clients_show_the_token() -> None:
    """OpenEnv's client sends it as a header; without it no WebSocket opens."""
    with serving(SERVERS["openenv"], token=TOKEN) as address:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with InvestigationClient(base_url=f"http://{address}", headers=headers).sync() as client:
            assert client.reset(seed=1).observation.brief
        with pytest.raises(InvalidStatus) as refused:
            websocket(address)
        assert refused.value.response.status_code == 401
        assert refused.value.response.headers["www-authenticate"] == "Bearer"


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never from the command line, where others see it; a bad one is refused, and not repeated."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert token_of(None) is None
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(file) == TOKEN
    monkeypatch.setenv(TOKEN_VARIABLE, f"{TOKEN}2")
    assert (token_of(None), token_of(file)) == (f"{TOKEN}2", TOKEN)
    for bad in ("short", "two words of some length", "ümlaut-of-some-length", ""):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match="token") as refused:
            token_of(file)
        assert bad == "" or bad not in str(refused.value)
    with pytest.raises(ValueError, match="no token that can be read"):
        token_of(tmp_path / "none")


def test_names_come_from_the_command_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "a.example  b.example")
    assert hosts_of(["c.example"]) == ("c.example", "a.example", "b.example")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "argument --host: 0.0.0.0 needs the names that clients reach it by"),
        (["--token-file", "/nowhere/token"], "argument --token-file: the file /nowhere/token has no token"),
        (["--task", "gopher"], "argument --task/--config: task 'gopher' is not one of"),
        (["--config", "/nowhere/task.toml"], "argument --task/--config:"),
    ],
)
def test_bad_options_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        openenv_main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_readiness_tells_sessions_in_use() -> None:
    """How many there are and may be, and when to come again while all are taken."""
    limits = ServeLimits(max_sessions=1)
    with (
        listening(make_server(limits).app, limits) as address,
        httpx.Client(trust_env=False, base_url=f"http://{address}") as client,
    ):
        assert client.get("/ready").json() == {"status": "ready", "sessions": 0, "max_sessions": 1}
        with websocket(address) as connection:
            connection.send(json.dumps({"type": "reset", "data": {"seed": 1}}))
            assert "brief" in str(connection.recv(timeout=PATIENCE))
            full = client.get("/ready")
            assert (full.status_code, full.headers["retry-after"]) == (503, "6")
            assert full.json() == {"status": "full", "sessions": 1, "max_sessions": 1}
        wait_for(lambda: client.get("/ready").status_code == 200)


@pytest.mark.parametrize("name", SERVERS)
def test_a_method_that_there_is_not_is_told_those_there_are(name: str) -> None:
    """405 carries Allow, whatever the path."""
    with serving(SERVERS[name]) as address, httpx.Client(trust_env=False, base_url=f"http://{address}") as client:
        for method, path in (("PUT", "/mcp"), ("DELETE", "/ready"), ("PATCH", "/mcp")):
            answer = client.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert answer.headers["allow"], (method, path)
            assert method not in answer.headers["allow"]


def test_the_openapi_document_says_what_the_server_does() -> None:
    """Each route that it lists answers as it says, to what is right and to what is wrong, and no other does."""
    right = {
        "/reset": [
            {},
            {"seed": 5.0},
            {"seed": 2**53, "difficulty": "hard"},
            {"task": "easy_mixed", "episode_id": "x" * 255},
        ],
        "/step": [{"action": {"tool": "list_dates"}}, {"action": {"tool": ""}, "timeout_s": 0.5, "request_id": "a"}],
        "/mcp": [{}],
    }
    wrong = [{"seed": False}, {"seed": 1.5}, {"seed": 2**53 + 1}, {"task": "gopher"}, {"x": 1}, {"action": 1}, [], 1]
    with (
        serving(SERVERS["openenv"]) as address,
        httpx.Client(trust_env=False, base_url=f"http://{address}", timeout=PATIENCE) as client,
    ):
        document = client.get("/openapi.json").json()
        assert {"/reset", "/step", "/state", "/health", "/ready"} <= set(document["paths"])
        assert not [path for path in document["paths"] if "{" in path]
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                documented = {int(status) for status in described["responses"]}
                bodies = right.get(path, [None])
                for body in bodies:
                    assert client.request(method, path, json=body).status_code == 200, (path, body)
                for body in wrong if path in ("/reset", "/step") else ():
                    refused = client.request(method, path, json=body)
                    assert refused.status_code in documented - {200}, (path, body)
                    assert set(refused.json()["error"]) == {"code", "message"}
                if path in ("/reset", "/step"):
                    assert client.request(method, path, content=b"\xff\xfe{").status_code in documented
