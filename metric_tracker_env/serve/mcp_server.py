"""The MCP server: the tools of a ``Session`` for any MCP client, over stdio or streamable HTTP.

Each client has a session of its own, whose episodes begin with the tool ``begin`` and which ends with the connection:
over stdio when the client goes, over HTTP when it deletes the session or has said nothing for the idle time. The other
tools, their schemas and their answers are those of the session.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from starlette.applications import Starlette
from starlette.routing import Route

from metric_tracker_env.config import ConfigModel, Seed
from metric_tracker_env.model import in_one_line
from metric_tracker_env.serve.command_line import ANYWHERE, LOOPBACK, add_address, add_limits, limits_of, run
from metric_tracker_env.serve.limits import (
    FAILED,
    LOG,
    App,
    LimitsMiddleware,
    Message,
    Receive,
    Send,
    ServeLimits,
    TokenBucket,
)
from metric_tracker_env.session import Answer, Session, call_schemas
from metric_tracker_env.tasks import TASKS, build_config, get_task

NAME = "metric_tracker_env"
PATH = "/mcp"
BEGIN = "begin"
DEFAULT_TASK = "medium_mixed"
INSTRUCTIONS = (
    "An analyst's investigation of weeks of funnel metrics. Call begin: it gives the brief. Spend the budget on the "
    "analysis tools, find the root cause of each incident, and call submit once, with one row a root cause."
)


class BeginArguments(ConfigModel):
    """What ``begin`` takes."""

    seed: Seed | None = Field(default=None, description="Of the episode; the same seed is the same episode.")
    task: str | None = Field(
        default=None, description="Named task.", json_schema_extra={"enum": [*TASKS, None]}, max_length=80
    )


class NoArguments(ConfigModel):
    """What ``begin`` takes where the server chooses the episodes."""


class Client:
    """What one client plays.

    Args:
        task: Named task to play unless ``begin`` names one.
        once: Whether a session has one episode only.
        limits: Whose rate of calls holds for the session.
        seeds: Of the episodes that the server chooses, shared by its sessions; None lets ``begin`` choose.
    """

    def __init__(self, task: str, once: bool, limits: ServeLimits, seeds: Iterator[int] | None = None) -> None:
        self._task, self._once, self._limits, self._seeds = task, once, limits, seeds
        # Of seeds that follow each other, one that is told tells the next.
        self._session = Session(task, names_episodes=seeds is None)
        self._bucket: TokenBucket | None = None
        self._turn = anyio.Lock()  # a client may send several calls at once

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Answer:
        """Call a tool, after those that came before."""
        async with self._turn:
            return await self._call(tool, arguments)

    async def _call(self, tool: str, arguments: Mapping[str, object]) -> Answer:
        now = anyio.current_time()
        if self._bucket is None:
            self._bucket = TokenBucket(self._limits.calls_per_second, self._limits.call_burst, now)
        wait = self._bucket.take(now)
        if wait > 0.0:
            return refusal(f"too many calls; try again in {wait:.2f} s")
        if tool == BEGIN:
            # Making an engine takes tens of milliseconds, in which other sessions go on.
            return await anyio.to_thread.run_sync(self._begin, arguments)
        if not self._session.standing.begun:
            return refusal(f"no episode is under way; {BEGIN} begins one")
        return self._session.call(tool, arguments)

    def _begin(self, arguments: Mapping[str, object]) -> Answer:
        if self._once and self._session.standing.begun:
            return refusal("this server gives a session one episode, which has begun")
        try:
            seed, task = self._chosen(arguments)
            brief = self._session.begin(seed, task)
        except ValueError as error:
            return refusal(in_one_line(error))
        return told({"ok": True, "result": {"brief": brief}})

    def _chosen(self, arguments: Mapping[str, object]) -> tuple[int | None, str]:
        """Seed and task of the next episode.

        Raises:
            ValueError: for a bad argument.
        """
        if self._seeds is not None:
            NoArguments.model_validate(dict(arguments))
            return next(self._seeds), self._task
        given = BeginArguments.model_validate(dict(arguments))
        return given.seed, self._task if given.task is None else get_task(given.task).name


def told(what: Mapping[str, Any]) -> Answer:
    """An answer of the server's own, in the form of the tools'."""
    return Answer(json.dumps(what), what)


def refusal(error: str) -> Answer:
    """The answer to a call that the server refuses."""
    return told({"ok": False, "error": error})


class Endpoint:
    """An ASGI application as an object: of a plain function a route would make a handler of requests."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)


class McpServer:
    """The server of one task: makes a session for each client.

    Attributes:
        open_sessions: Clients that are connected.

    Args:
        task: Named task to play unless ``begin`` names one.
        once: Whether a session has one episode only.
        limits: What it bears.
        seed: Of the first episode, each further one adds 1, whichever session begins it: then nobody plays an episode
            again whose grade he was told, as long as the server runs, and ``begin`` takes no arguments. None lets
            ``begin`` choose.

    Raises:
        ValueError: for an unknown task or a bad seed.
    """

    def __init__(
        self,
        task: str = DEFAULT_TASK,
        once: bool = False,
        limits: ServeLimits | None = None,
        seed: int | None = None,
    ) -> None:
        get_task(task)
        BeginArguments(seed=seed)
        self.limits = limits or ServeLimits()
        self.open_sessions = 0
        self._task, self._once = task, once
        self._seeds = None if seed is None else itertools.count(seed)
        self._tools = tools_of(task, BeginArguments if seed is None else NoArguments)
        self.server: Server[Client, Any] = Server(
            NAME, version=version(NAME), instructions=INSTRUCTIONS, lifespan=self._session
        )
        self.server.list_tools()(self._list)
        # Arguments are checked by the tools, whose refusals cost a unit and say what is allowed.
        self.server.call_tool(validate_input=False)(self._call)

    @asynccontextmanager
    async def _session(self, _: Server[Client, Any]) -> AsyncIterator[Client]:
        """The session of one client, from its connection to its end."""
        self.open_sessions += 1
        try:
            yield Client(self._task, self._once, self.limits, self._seeds)
        finally:
            self.open_sessions -= 1

    async def _list(self) -> list[types.Tool]:
        return self._tools

    async def _call(self, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        try:
            answer = await self.server.request_context.lifespan_context.call(tool, arguments)
        except Exception:
            LOG.exception("a call of an MCP session failed")
            answer = refusal(FAILED)
        content = types.TextContent(type="text", text=answer.text)
        return types.CallToolResult(content=[content], isError=not answer.ok)

    def app(self, *hosts: str) -> App:
        """The ASGI application, whose MCP endpoint is ``/mcp``.

        It takes POST and DELETE. The GET of MCP opens a stream of what a server says unasked, which this one never
        does; an open stream would keep a silent session from its idle time.

        Args:
            hosts: Names and addresses that it is reached by, beside those of the loopback; other names of the Host
                header, and web pages of other origins, are refused, so that no page in a browser reaches a server on
                its machine.
        """
        names = dict.fromkeys((*hosts, LOOPBACK, "localhost", "[::1]"))
        manager = StreamableHTTPSessionManager(
            self.server,
            json_response=True,
            security_settings=TransportSecuritySettings(
                allowed_hosts=[*names, *(f"{name}:*" for name in names)],
                allowed_origins=[f"http://{name}{port}" for name in names for port in ("", ":*")],
            ),
            session_idle_timeout=self.limits.idle_seconds,
            max_request_body_size=self.limits.max_body_bytes,
            max_sessions=self.limits.max_sessions,
        )

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with manager.run():
                yield

        routes = [Route(PATH, Endpoint(manager.handle_request), methods=["POST", "DELETE"])]
        return LimitsMiddleware(Starlette(routes=routes, lifespan=lifespan), self.limits)

    async def serve_stdio(self) -> None:
        """Serve the one client at standard input and output, until it goes."""
        async with stdio_server() as (incoming, outgoing):
            await self.server.run(incoming, outgoing, self.server.create_initialization_options())


def tools_of(task: str, arguments: type[ConfigModel] = BeginArguments) -> list[types.Tool]:
    """``begin`` with its arguments and the calls of a session, as MCP lists tools."""
    begin = types.Tool(
        name=BEGIN,
        description="Begin an episode, which ends one that is under way. Returns: The brief.",
        inputSchema=arguments.model_json_schema(),
    )
    functions = [schema["function"] for schema in call_schemas(build_config(task).generator)]
    return [
        begin,
        *(types.Tool(name=f["name"], description=f["description"], inputSchema=f["parameters"]) for f in functions),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the client goes (stdio) or until interrupted (HTTP).

    Args:
        arguments: Of the command line; None for the program's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m metric_tracker_env.serve mcp",
        description="Serve the tools to MCP clients, over standard input and output unless --http is given.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--http", action="store_true", help=f"serve streamable HTTP at {PATH}")
    add_address(parser, port=8001)
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further name or address by which clients reach the server, without the port; may be repeated",
    )
    parser.add_argument("--task", choices=list(TASKS), default=DEFAULT_TASK, help="task unless begin names one")
    parser.add_argument("--once", action="store_true", help="one episode a session")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the first episode, each further one adds 1; begin chooses neither seed nor task then",
    )
    add_limits(parser)
    given = parser.parse_args(arguments)
    limits = limits_of(parser, given)
    try:
        server = McpServer(given.task, given.once, limits, given.seed)
    except ValueError as error:
        parser.error(f"argument --seed {given.seed}: {in_one_line(error)}")
    if given.http:
        if given.host in ANYWHERE and not given.allow_host:
            parser.error(
                f"argument --host: {given.host} needs the names that clients reach it by, as --allow-host NAME"
            )
        run(server.app(given.host, *given.allow_host), limits, given.host, given.port)
        return
    for name in ("host", "port", "allow_host"):
        if getattr(given, name) != parser.get_default(name):
            parser.error(f"argument --{name.replace('_', '-')}: only with --http; without it clients come by stdio")
    if sys.stdin.isatty():
        print("serving MCP over standard input and output; Ctrl-C ends it", file=sys.stderr)
    # A thread waits for input, which an exception in this one does not end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(server.serve_stdio)
