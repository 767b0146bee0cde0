"""What the commands of both servers have in common: address, limits, and running under uvicorn."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import h11
import uvicorn
from pydantic import ValidationError
from uvicorn.protocols.http.h11_impl import H11Protocol

from metric_tracker_env.books import Books, Terms
from metric_tracker_env.model import in_one_line
from metric_tracker_env.seal import Seal
from metric_tracker_env.serve.gate import HOSTS_VARIABLE, TOKEN_VARIABLE, hosts_of, token_of
from metric_tracker_env.serve.limits import RETRY_SECONDS, App, Message, Receive, Send, ServeLimits, send_error
from metric_tracker_env.tasks import TASKS, find_task

LOOPBACK = "127.0.0.1"
ANYWHERE = ("0.0.0.0", "::")  # every address of the machine
MAX_PORT = 65_535
PING_SECONDS = 20.0  # a WebSocket client that does not answer pings for so long has gone
GRACE_SECONDS = 5  # for what is under way when the server is stopped


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """Options for where to listen."""
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=port_number, default=port, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further name or address by which clients reach the server, without the port; may be repeated "
        f"(also {HOSTS_VARIABLE}, apart by spaces)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file with the token that clients must show as Authorization: Bearer (also {TOKEN_VARIABLE})",
    )


def gate_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> tuple[tuple[str, ...], str | None]:
    """The names that clients may use, and the token; a bad one ends the program and says what is allowed."""
    try:
        token = token_of(given.token_file)
    except ValueError as error:
        parser.error(f"argument --token-file: {error}")
    try:
        return names_of(given.host, given.allow_host), token
    except ValueError as error:
        parser.error(f"argument --host: {error}")


def names_of(host: str, further: Iterable[str]) -> tuple[str, ...]:
    """The names that clients may use: those that are given, and the address itself.

    Raises:
        ValueError: if it is that of the whole machine, and no name is given.
    """
    hosts = hosts_of(further)
    if host not in ANYWHERE:
        return (*hosts, f"[{host}]" if ":" in host else host)
    if not hosts:
        raise ValueError(f"{host} needs the names that clients reach it by, as --allow-host NAME")
    return hosts


def add_task(parser: argparse.ArgumentParser, default: str | None, unless: str) -> None:
    """The option for what is played."""
    parser.add_argument(
        "--task",
        "--config",
        type=task_of,
        default=default,
        metavar="TASK",
        help=f"named task, or the path of a preset, to play {unless}; named are {', '.join(TASKS)}",
    )


def task_of(text: str) -> str:
    """A task of the command line.

    Raises:
        ArgumentTypeError: if there is none of that name, or the file holds none.
    """
    try:
        find_task(text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(in_one_line(error)) from error
    return text


def port_number(text: str) -> int:
    """A port of the command line.

    Raises:
        ArgumentTypeError: if it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT)) and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_PORT}")
    return int(text)


def add_books(parser: argparse.ArgumentParser) -> None:
    """Options for scored episodes."""
    group = parser.add_argument_group("scored episodes")
    group.add_argument(
        "--books",
        type=Path,
        metavar="FOLDER",
        help="keep books of all episodes there: the server chooses them, begin takes neither seed nor task, what is "
        "left before its end counts 0, and compare --agents FOLDER ranks the agent",
    )
    group.add_argument("--agent", metavar="NAME", help="who plays, as the leaderboard calls it (with --books)")
    group.add_argument("--episodes", type=int, metavar="N", help="episodes that count, played or not (with --books)")
    group.add_argument(
        "--seal",
        type=Path,
        metavar="FILE",
        help="play sealed episodes: file of the secret, or env for the variable METRIC_TRACKER_SEAL (with --books)",
    )


@contextmanager
def books_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Iterator[Books | None]:
    """The books that the command line asks for, kept until the end; None without ``--books``.

    A bad value ends the program and says what is allowed.
    """
    if given.books is None:
        for name in ("agent", "episodes", "seal"):
            if getattr(given, name) is not None:
                parser.error(f"argument --{name}: only with --books")
        yield None
        return
    for name in ("agent", "episodes", "task"):
        if getattr(given, name) is None:
            parser.error(f"argument --{name}: needed with --books")
    with ExitStack() as stack:
        try:
            seal = Seal.of(given.seal)
            terms = Terms.of(given.agent, find_task(given.task), given.episodes, getattr(given, "seed", None), seal)
            books = stack.enter_context(Books.kept(given.books, terms, given.task, seal))
        except (ValueError, ImportError) as error:
            parser.error(f"argument --books: {in_one_line(error)}")
        sealed = "public episodes" if terms.seal is None else f"sealed episodes, hash of the seal: {terms.seal}"
        done = terms.episodes - books.left
        more = f", of which {done:,} were begun before" if done else ""
        print(f"books in {given.books}: {terms.agent}, {terms.episodes:,} {sealed}{more}", file=sys.stderr, flush=True)
        yield books


def add_limits(parser: argparse.ArgumentParser) -> None:
    """An option for each limit."""
    group = parser.add_argument_group("limits")
    for name, field in ServeLimits.model_fields.items():
        kind = type(field.default)
        group.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=field.default, metavar="N", help=field.description
        )


def limits_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> ServeLimits:
    """The limits that the command line gives; a bad value ends the program and says what is allowed."""
    try:
        return ServeLimits(**{name: getattr(given, name) for name in ServeLimits.model_fields})
    except ValidationError as error:
        parser.error(in_one_line(error))


async def full(scope: Message, receive: Receive, send: Send) -> None:
    """What is answered to requests on a connection too many."""
    del scope, receive
    told = "too many connections; try again later"
    await send_error(send, 503, "too_many_connections", told, RETRY_SECONDS)


def patient_for(seconds: float, most: int) -> type[H11Protocol]:
    """Uvicorn's HTTP protocol, which ends a connection whose next request does not come within so many seconds.

    Nor does it wait longer for a client to take an answer. Without it a connection that says nothing, or half of a
    head, or does not read, counts against ``max_connections`` for ever. Requests on more connections than ``most`` are
    told when to try again, which uvicorn's own limit does not.
    """

    class Patient(H11Protocol):
        """One connection."""

        _usual: App
        _waiting: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _upgraded = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Begin to wait."""
            self._usual = self.app
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            """Stop waiting when a head is whole."""
            self.app = self._usual if len(self.connections) <= most else full
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._wait()
            else:
                self._stop()

        def on_response_complete(self) -> None:
            """Wait for the next request."""
            super().on_response_complete()
            self._stop()
            self._wait()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            """Leave the connection to another protocol, whose limits are others."""
            self._upgraded = True
            super().handle_websocket_upgrade(event)
            self._stop()

        def connection_lost(self, exc: Exception | None) -> None:
            """There is nothing to wait for."""
            self._stop()
            self._is_read()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            """The client does not keep up; give it so long."""
            super().pause_writing()
            self._is_read()
            # Closing would wait for what is unsent.
            self._unread = self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            """It has caught up."""
            self._is_read()
            super().resume_writing()

        def _is_read(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def _wait(self) -> None:
            if self._waiting is None and not self._upgraded:
                self._waiting = self.loop.call_later(seconds, self._give_up)

        def _stop(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _give_up(self) -> None:
            self._waiting = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.close()

    return Patient


def settings(app: App, limits: ServeLimits, host: str, port: int, **changes: Any) -> uvicorn.Config:
    """How uvicorn runs an application within the limits."""
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "http": patient_for(limits.body_seconds, limits.max_connections),
        "ws_max_size": limits.max_message_bytes,
        "ws_ping_interval": PING_SECONDS,
        "ws_ping_timeout": PING_SECONDS,
        # Compression would cost each session hundreds of KB and most of its time, for a few KB an answer.
        "ws_per_message_deflate": False,
        # A client that writes a header of a proxy itself would choose the address its requests count against.
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }
    return uvicorn.Config(app, **{**options, **changes})  # pyright: ignore[reportArgumentType] - ASGI types by name


def run(app: App, limits: ServeLimits, host: str, port: int) -> None:
    """Serve until interrupted."""
    gc.collect()
    gc.freeze()  # else each full collection walks all that was imported, and every client waits for it
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has stopped
        uvicorn.Server(settings(app, limits, host, port)).run()
