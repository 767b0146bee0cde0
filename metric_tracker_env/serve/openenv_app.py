"""The OpenEnv server: the application, and ``python -m metric_tracker_env.serve openenv``.

A client plays over a WebSocket at ``/ws``, which is a session with an engine of its own. OpenEnv's HTTP ``/reset``,
``/step`` and ``/state`` make a fresh environment for each request and forget it: ``/reset`` tells the brief and the
tools, and ``/step`` can only say that no episode is under way.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from openenv.core.env_server.http_server import HTTPEnvServer
from openenv.core.env_server.types import ConcurrencyConfig, ServerMode
from starlette.exceptions import HTTPException as StarletteHTTPException

from metric_tracker_env.serve.command_line import add_address, add_limits, limits_of, run
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
from metric_tracker_env.tasks import TASKS

API_VERSION = "1.0.0"  # of OpenEnv's HTTP interface, not of this package
MCP_PATH = "/mcp"
NO_MCP = "this server has no MCP tools; python -m metric_tracker_env.serve mcp starts one that has"
METHOD_NOT_FOUND = -32601  # JSON-RPC 2.0


class OpenEnvServer(NamedTuple):
    """The application, and OpenEnv's sessions behind it."""

    app: App
    sessions: HTTPEnvServer


def make_server(limits: ServeLimits | None = None, task: str | None = None) -> OpenEnvServer:
    """Make the server's application.

    Args:
        limits: The limits; the defaults unless given.
        task: Named task to play unless a reset names one.

    Raises:
        ValueError: for an unknown task.
    """
    limits = ServeLimits() if limits is None else limits
    InvestigationEnvironment(task)  # refuses an unknown task now, not in each session
    # Not create_app: an environment variable could make that serve a web page whose visitors share one session.
    api = FastAPI(title=NAME, version=API_VERSION, description=DESCRIPTION, docs_url=None, redoc_url=None)
    sessions = HTTPEnvServer(
        partial(InvestigationEnvironment, task),
        InvestigationAction,
        InvestigationObservation,
        concurrency_config=ConcurrencyConfig(max_concurrent_envs=limits.max_sessions),
        env_name=NAME,
        state_cls=InvestigationState,
    )
    sessions.register_routes(api, mode=ServerMode.SIMULATION)
    # OpenEnv's MCP endpoint opens, attaches to and closes sessions by their id, for whoever knows it.
    api.router.routes[:] = [route for route in api.router.routes if getattr(route, "path", None) != MCP_PATH]
    api.post(MCP_PATH, tags=["MCP"], summary="Tells where the MCP tools are")(no_mcp)
    api.add_exception_handler(RefusedError, refused)
    api.add_exception_handler(RequestValidationError, not_valid)
    api.add_exception_handler(StarletteHTTPException, http_error)
    api.add_exception_handler(Exception, failed)
    return OpenEnvServer(LimitsMiddleware(SessionGuard(api, limits), limits), sessions)


async def no_mcp(request: Request) -> dict[str, Any]:
    """Answer JSON-RPC that there are no tools here."""
    del request
    return {"jsonrpc": "2.0", "id": None, "error": {"code": METHOD_NOT_FOUND, "message": NO_MCP}}


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """An error in the form that ``limits`` uses."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


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
    return error_response(error.status_code, "not_valid" if isinstance(faults, list) else "http_error", told)


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
    parser.add_argument(
        "--task",
        choices=list(TASKS),
        help="task to play unless a reset names one; without either, the default configuration",
    )
    add_limits(parser)
    given = parser.parse_args(arguments)
    limits = limits_of(parser, given)
    run(make_server(limits, given.task).app, limits, given.host, given.port)


app: App = make_server().app  # with the default limits, for `uvicorn metric_tracker_env.serve.openenv_app:app`
