"""The MCP server: the tools of a ``Session`` for any MCP client, over stdio or streamable HTTP.

Each client has a session of its own, whose episodes begin with the tool ``begin`` and which ends with the connection:
over stdio when the client goes, over HTTP when it deletes the session or has said nothing for the idle time. The other
tools, their schemas and their answers are those of the session.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metric_tracker_env.books import Books
from metric_tracker_env.config import MAX_SEED, ConfigModel
from metric_tracker_env.model import in_one_line
from metric_tracker_env.serve.command_line import (
    add_address,
    add_books,
    add_limits,
    add_task,
    books_of,
    gate_of,
    limits_of,
    run,
)
from metric_tracker_env.serve.gate import Gate
from metric_tracker_env.serve.limits import (
    FAILED,
    LOG,
    App,
    LimitsMiddleware,
    Message,
    Receive,
    Send,
    ServeLimits,
)
from metric_tracker_env.serve.mcp_border import Border, Lines
from metric_tracker_env.serve.mcp_tools import BEGIN, SeedArgument, begin_arguments, tools_of
from metric_tracker_env.serve.ready import READY_PATH, readiness
from metric_tracker_env.session import Answer, ScoredSession, Session
from metric_tracker_env.tasks import TASKS, find_task, get_task

NAME = "metric_tracker_env"
PATH = "/mcp"
FEWEST_SEEDS = 1_000_000  # that a server which counts must have before it
DEFAULT_TASK = "medium_mixed"
INSTRUCTIONS = (
    "An analyst's investigation of weeks of funnel metrics. Call begin: it gives the brief. Spend the budget on the "
    "analysis tools, find the root cause of each incident, and call submit once, with one row a root cause."
)


class Client:
    """What one client plays.

    Args:
        task: Task to play unless ``begin`` names one: a registered name, or a file.
        once: Whether a session has one episode only.
        arguments: What ``begin`` takes.
        seeds: Of the episodes that the server chooses, shared by its sessions; None lets ``begin`` choose.
        books: Of scored episodes, which choose them and are shared by the sessions likewise.
    """

    def __init__(
        self,
        task: str | Path,
        once: bool,
        arguments: type[ConfigModel],
        seeds: Iterator[int] | None = None,
        books: Books | None = None,
    ) -> None:
        self._task, self._once, self._arguments, self._seeds, self._books = task, once, arguments, seeds, books
        self._session = self._fresh()
        self._own = self._session.task
        self._turn = anyio.Lock()  # a client may send several calls at once

    def _fresh(self) -> Session:
        """A session of the server's own task."""
        if self._books is not None:
            return ScoredSession(self._books)
        # Of seeds that follow each other, one that is told tells the next.
        return Session(self._task, names_episodes=self._seeds is None)

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Answer:
        """Call a tool, after those that came before."""
        async with self._turn:
            return await self._call(tool, arguments)

    async def _call(self, tool: str, arguments: Mapping[str, object]) -> Answer:
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
            brief = self._play(arguments)
        except ValueError as error:
            return refusal(in_one_line(error))
        practice = {"practice": True} if self._session.practice else {}
        return told({"ok": True, "result": {"brief": brief, **practice}})

    def leave(self) -> None:
        """The client has gone; a scored episode that is under way is abandoned."""
        if isinstance(self._session, ScoredSession):
            self._session.leave()

    def _play(self, arguments: Mapping[str, object]) -> str:
        """Begin the episode that is asked for, or the server's next.

        Returns:
            The brief.

        Raises:
            ValueError: for a bad argument, or when the seeds of the server are used up; nothing has changed then.
        """
        given = self._arguments.model_validate(dict(arguments)).model_dump(exclude_none=True)
        task, seed = given.pop("task", None), given.pop("seed", None)
        if task is not None:
            get_task(task)
        # Without a task the server's own is played again, whatever was played before.
        session = self._fresh() if task is None and self._session.task != self._own else self._session
        if self._seeds is not None:
            seed = next(self._seeds, None)
            if seed is None:
                raise ValueError("the server has no further episode; its seeds are used up")
        brief = session.begin(seed, task, **given)
        self._session = session
        return brief


def seeds_from(first: int) -> Iterator[int]:
    """The seeds that a server counts through.

    Raises:
        ValueError: if it is no seed, or one after which there are too few.
    """
    SeedArgument(seed=first)
    most = MAX_SEED - FEWEST_SEEDS + 1
    if first > most:
        raise ValueError(f"seed {first} leaves fewer than {FEWEST_SEEDS:,} episodes; the first may be {most} at most")
    return iter(range(first, MAX_SEED + 1))


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
            again whose grade he was told, as long as the server runs, and ``begin`` takes neither seed nor task. None
            lets ``begin`` choose.
        options: Whether ``begin`` takes the options of an episode, such as its difficulty.
        books: Makes the server one of scored episodes: the books choose them, in place of task and seed.

    Raises:
        ValueError: for an unknown task or file, a seed that is bad or leaves fewer than ``FEWEST_SEEDS``, or seed or
            options beside books.
    """

    def __init__(
        self,
        task: str | Path = DEFAULT_TASK,
        once: bool = False,
        limits: ServeLimits | None = None,
        seed: int | None = None,
        options: bool = False,
        books: Books | None = None,
    ) -> None:
        if books is not None and (seed is not None or options):
            raise ValueError("seed and options: the books choose the episodes")
        own = find_task(task if books is None else books.task)
        self.limits = limits or ServeLimits()
        self.open_sessions = 0
        self._task, self._once, self._books = task, once, books
        self._seeds = None if seed is None else seeds_from(seed)
        chosen = seed is not None or books is not None
        self._arguments = begin_arguments(chosen, options)
        offered = [own, *(() if chosen else TASKS.values())]
        self._tools = tools_of([task.config.generator for task in offered], self._arguments)
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
        client = Client(self._task, self._once, self._arguments, self._seeds, self._books)
        try:
            yield client
        finally:
            self.open_sessions -= 1
            client.leave()

    async def _list(self) -> list[types.Tool]:
        return self._tools

    async def _call(self, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        try:
            answer = await self.server.request_context.lifespan_context.call(tool, arguments)
        except Exception:
            LOG.exception("a call of an MCP session failed")
            answer = refusal(FAILED)
        content = types.TextContent(type="text", text=answer.text)
        return types.CallToolResult(content=[content], structuredContent=dict(answer.told), isError=not answer.ok)

    def app(self, *hosts: str, token: str | None = None) -> App:
        """The ASGI application, whose MCP endpoint is ``/mcp``.

        It takes POST and DELETE. The GET of MCP opens a stream of what a server says unasked, which this one never
        does; an open stream would keep a silent session from its idle time.

        Args:
            hosts: Names and addresses that it is reached by, beside those of the loopback; see ``Gate``.
            token: What clients must show; see ``Gate``.
        """
        manager = StreamableHTTPSessionManager(
            self.server,
            json_response=True,
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the gate's matter
            session_idle_timeout=self.limits.idle_seconds,
            max_request_body_size=self.limits.max_body_bytes,
            max_sessions=self.limits.max_sessions,
        )

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with manager.run():
                yield

        border = Border(manager.handle_request, self.limits, lambda: self.open_sessions)
        routes = [
            Route(PATH, Endpoint(border), methods=["POST", "DELETE"]),
            Route(READY_PATH, self._ready, methods=["GET"]),
        ]
        app = Starlette(routes=routes, lifespan=lifespan)
        return Gate(LimitsMiddleware(app, self.limits), hosts, token)

    async def _ready(self, _: Request) -> Response:
        """How many sessions there are, and may be."""
        return readiness(self.open_sessions, self.limits)

    async def serve_stdio(self) -> None:
        """Serve the one client at standard input and output, until it goes."""
        lines: Any = Lines(self.limits.max_message_bytes)
        async with stdio_server(lines, lines) as (incoming, outgoing):
            await self.server.run(incoming, outgoing, self.server.create_initialization_options())


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
    add_task(parser, DEFAULT_TASK, f"unless {BEGIN} names one")
    parser.add_argument("--once", action="store_true", help="one episode a session")
    parser.add_argument(
        "--allow-options", action="store_true", help=f"{BEGIN} takes the options of an episode, such as its difficulty"
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the first episode, each further one adds 1; begin chooses neither seed nor task then; with "
        "--books by default the first held-out one of the task",
    )
    add_books(parser)
    add_limits(parser)
    given = parser.parse_args(arguments)
    limits = limits_of(parser, given)
    if given.books is not None and given.allow_options:
        parser.error("argument --allow-options: not with --books, which choose the episodes")
    with books_of(parser, given) as books:
        seed = given.seed if books is None else None  # with books it is that of their first episode
        try:
            server = McpServer(given.task, given.once, limits, seed, given.allow_options, books)
        except ValueError as error:
            parser.error(f"argument --seed {given.seed}: {in_one_line(error)}")
        serve(parser, given, server)


def serve(parser: argparse.ArgumentParser, given: argparse.Namespace, server: McpServer) -> None:
    """Serve over HTTP or over standard input and output, as the command line asks."""
    limits = server.limits
    if given.http:
        hosts, token = gate_of(parser, given)
        run(server.app(*hosts, token=token), limits, given.host, given.port)
        return
    for name in ("host", "port", "allow_host", "token_file"):
        if getattr(given, name) != parser.get_default(name):
            parser.error(f"argument --{name.replace('_', '-')}: only with --http; without it clients come by stdio")
    if sys.stdin.isatty():
        print("serving MCP over standard input and output; Ctrl-C ends it", file=sys.stderr)
    # A thread waits for input, which no exception in this one ends: not of Ctrl-C, nor when nobody reads any more.
    for name in ("SIGINT", "SIGPIPE"):
        if hasattr(signal, name):  # the second is none of Windows
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    anyio.run(server.serve_stdio)
