"""The OpenEnv server: the application, and ``python -m metric_tracker_env.serve openenv``.

A client plays over a WebSocket at ``/ws``, which is a session with an engine of its own. OpenEnv's HTTP ``/reset``,
``/step`` and ``/state`` make a fresh environment for each request and forget it: ``/reset`` tells the brief and the
tools, and ``/step`` can only say that no episode is under way.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from openenv.core.env_server.http_server import HTTPEnvServer
from openenv.core.env_server.types import ConcurrencyConfig, ServerMode
from starlette.exceptions import HTTPException as StarletteHTTPException

from metric_tracker_env.books import Books
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
from metric_tracker_env.serve.gate import Gate, hosts_of, token_of
from metric_tracker_env.serve.limits import FAILED, App, LimitsMiddleware, ServeLimits
from metric_tracker_env.serve.openenv_env import (
    DESCRIPTION,
    NAME,
    InvestigationAction,
    InvestigationEnvironment,
    InvestigationObservation,
    InvestigationState,
    RefusedError,
)
from metric_tracker_env.serve.openenv_guard import SessionGuard, faults_told
from metric_tracker_env.serve.openenv_http import playing
from metric_tracker_env.serve.ready import READY_PATH, readiness

API_VERSION = "1.0.0"  # of OpenEnv's HTTP interface, not of this package
MCP_PATH = "/mcp"
NO_MCP = "this server has no MCP tools; python -m metric_tracker_env.serve mcp starts one that has"
WEB_PATH = "/web"
WEB = (
    "This server is for programs. The page on which a person plays: python -m metric_tracker_env.ui "
    "(extra ui), then http://127.0.0.1:8050/\n"
)
METHOD_NOT_FOUND = -32601  # JSON-RPC 2.0
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "All sessions are taken."}}


class OpenEnvServer(NamedTuple):
    """The application, the border of its sessions, and OpenEnv's sessions behind it."""

    app: App
    guard: SessionGuard
    sessions: HTTPEnvServer


def make_server(
    limits: ServeLimits | None = None,
    task: str | Path | None = None,
    hosts: Iterable[str] = (),
    token: str | None = None,
    books: Books | None = None,
) -> OpenEnvServer:
    """Make the server's application.

    Args:
        limits: The limits; the defaults unless given.
        task: Task to play unless a reset names one: a registered name, or a file.
        hosts: Names and addresses that it is reached by, beside those of the loopback; see ``Gate``.
        token: What clients must show; see ``Gate``.
        books: Makes the server one of scored episodes, see ``InvestigationEnvironment``.

    Raises:
        ValueError: for an unknown task or file.
    """
    limits = ServeLimits() if limits is None else limits
    InvestigationEnvironment(task)  # refuses an unknown task now, not in each session
    # Not create_app: an environment variable could make that serve a web page whose visitors share one session.
    api = FastAPI(title=NAME, version=API_VERSION, description=DESCRIPTION, docs_url=None, redoc_url=None)
    sessions = HTTPEnvServer(
        partial(InvestigationEnvironment, task, books),
        InvestigationAction,
        InvestigationObservation,
        concurrency_config=ConcurrencyConfig(max_concurrent_envs=limits.max_sessions),
        env_name=NAME,
        state_cls=InvestigationState,
    )
    sessions.register_routes(api, mode=ServerMode.SIMULATION)
    # OpenEnv's MCP endpoint opens, attaches to and closes sessions by their id, for whoever knows it; its routes for
    # sets of tasks lead nowhere here; and its two routes that play check less than their schemas say.
    api.router.routes[:] = [route for route in api.router.routes if not _left_out(getattr(route, "path", ""))]
    api.include_router(playing(task))
    api.post(MCP_PATH, tags=["MCP"], summary="Tells where the MCP tools are")(no_mcp)
    guard = SessionGuard(api, limits)
    api.get(READY_PATH, tags=["Health"], summary="Tells how many sessions there are", responses=NOT_READY)(ready(guard))
    api.get(WEB_PATH, tags=["Page"], summary="Tells how the page is started", response_class=PlainTextResponse)(web)
    api.add_exception_handler(RefusedError, refused)
    api.add_exception_handler(RequestValidationError, not_valid)
    api.add_exception_handler(StarletteHTTPException, http_error)
    api.add_exception_handler(Exception, failed)
    return OpenEnvServer(Gate(LimitsMiddleware(guard, limits), hosts, token), guard, sessions)


def _left_out(path: str) -> bool:
    """Whether a route of OpenEnv's is none of this server's."""
    return path in (MCP_PATH, "/reset", "/step", "/list_environments") or path.startswith("/{env_name}/")


def ready(guard: SessionGuard) -> Callable[[], Awaitable[Response]]:
    """The route that tells readiness."""

    async def tell() -> Response:
        return readiness(guard.sessions, guard.limits)

    return tell


async def web() -> PlainTextResponse:
    """Where OpenEnv's own page would be: how ours is started, on which each visitor has an episode of his own."""
    return PlainTextResponse(WEB)


async def no_mcp(request: Request) -> dict[str, Any]:
    """Answer JSON-RPC that there are no tools here."""
    del request
    return {"jsonrpc": "2.0", "id": None, "error": {"code": METHOD_NOT_FOUND, "message": NO_MCP}}


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error in the form that ``limits`` uses."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


async def refused(_: Request, error: Exception) -> JSONResponse:
    """The answer to a reset that asks for what there is not."""
    return error_response(422, "refused", str(error))


async def not_valid(_: Request, error: Exception) -> JSONResponse:
    """The answer to a body that is not as the schema says; what was given is not repeated."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return error_response(422, "not_valid", faults_told(list(faults)))


async def http_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to a path, method or action that there is not."""
    if not isinstance(error, HTTPException | StarletteHTTPException):
        return error_response(500, "internal_error", FAILED)
    faults = error.detail
    told = faults_told(faults) if isinstance(faults, list) else str(faults)
    code = "not_valid" if isinstance(faults, list) else "http_error"
    return error_response(error.status_code, code, told, error.headers)


async def failed(_: Request, error: Exception) -> JSONResponse:
    """The answer when the server failed; the log says why."""
    del error
    return error_response(500, "internal_error", FAILED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted.

    Args:
        arguments: Of the command line; None for the program's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m metric_tracker_env.serve openenv",
        description="Serve OpenEnv sessions.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_address(parser, port=8000)
    add_task(parser, None, "unless a reset names one; without either, the default configuration")
    add_books(parser)
    add_limits(parser)
    given = parser.parse_args(arguments)
    limits, (hosts, token) = limits_of(parser, given), gate_of(parser, given)
    with books_of(parser, given) as books:
        run(make_server(limits, given.task, hosts, token, books).app, limits, given.host, given.port)


# With the default limits, for `uvicorn metric_tracker_env.serve.openenv_app:app`; names and token by the environment.
app: App = make_server(hosts=hosts_of(), token=token_of(None)).app
