"""The application behind the page: a visitor's cookie, his episode, and a route for each thing that he can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from metric_tracker_env.books import Books
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.serve.gate import Gate
from metric_tracker_env.serve.limits import App, LimitsMiddleware, ServeLimits
from metric_tracker_env.serve.ready import readiness
from metric_tracker_env.session import ScoredSession
from metric_tracker_env.ui.library import Library
from metric_tracker_env.ui.options import RefusedError, options_form
from metric_tracker_env.ui.own_data import VIEW, OwnData, OwnDataRoutes
from metric_tracker_env.ui.snapshot import snapshot
from metric_tracker_env.ui.visitor import Visitor
from metric_tracker_env.ui.visitors import Alone, Visitors, loop_time
from metric_tracker_env.ui.watching import VIEWS, library_routes

STATIC = Path(__file__).parent / "static"
COOKIE = "metric_tracker_visitor"
# Everything that the page uses comes from this server.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class Begin(StrictModel):
    """What an episode to begin is; a scored one is the next of the books."""

    task: StrictStr | None = None
    seed: StrictInt | None = Field(default=None, ge=0)
    options: dict[str, Any] = Field(default_factory=dict)


class Call(StrictModel):
    """A call of a tool."""

    tool: StrictStr
    arguments: dict[str, Any] = Field(default_factory=dict)


class Cell(StrictModel):
    """A cell to put into the draft, or to take out of it."""

    day: StrictInt
    entity: StrictInt
    report: StrictBool


class Nothing(StrictModel):
    """A request that says no more than its route."""


def page_app(
    task: str,
    limits: ServeLimits,
    hosts: Iterable[str] = (),
    token: str | None = None,
    library: Library | None = None,
    own: OwnData | None = None,
    books: Books | None = None,
) -> App:
    """The ASGI application.

    Args:
        task: Played until a visitor chooses another one.
        limits: What it bears; ``max_sessions`` visitors at once.
        hosts: Names and addresses that it is reached by, beside those of the loopback; see ``Gate``.
        token: What requests must show; see ``Gate``.
        library: Runs to watch and compare; None serves Play alone.
        own: Takes visitors' own data; None has no such view.
        books: Of scored episodes, which one person plays, who is the agent of the books, from any browser.
    """
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    views = {"Play": "/", **({} if library is None else VIEWS), **({} if own is None else VIEW)}
    visitors: Visitors[Visitor] | Alone[Visitor]
    if books is None:
        visitors = Visitors(lambda: Visitor(task), limits.max_sessions)
    else:
        visitors = Alone(lambda: Visitor(ScoredSession(books)))
    desks = None if own is None else OwnDataRoutes(own, headers)

    def answer(request: Request, now: float, tell: Callable[[Visitor], dict[str, Any]]) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        try:
            cookie, visitor, lock = visitors.of(cookie, now)
            with lock:
                response: Response = JSONResponse(tell(visitor))
        except ValueError as error:
            faults = [fault._asdict() for fault in error.faults] if isinstance(error, RefusedError) else []
            response = JSONResponse({"error": in_one_line(error), "faults": faults}, 400)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
        response.headers["cache-control"] = "no-store"
        return response

    def acting(model: type[StrictModel], act: Callable[[Visitor, Any], object]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            try:
                asked = model.model_validate_json(await request.body() or b"{}")
            except ValidationError as error:
                return JSONResponse({"error": in_one_line(error)}, 400)

            def tell(visitor: Visitor) -> dict[str, Any]:
                act(visitor, asked)
                return snapshot(visitor)

            return await run_in_threadpool(answer, request, loop_time(), tell)

        return endpoint

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "page.html", headers=headers)

    async def told_views(_: Request) -> Response:
        return JSONResponse(views)

    async def state(request: Request) -> Response:
        return await run_in_threadpool(answer, request, loop_time(), snapshot)

    async def form(request: Request) -> Response:
        task = request.query_params.get("task")
        return await run_in_threadpool(answer, request, loop_time(), lambda v: options_form(v.config_of(task)))

    async def ready(_: Request) -> Response:
        return readiness(len(visitors), limits)

    routes = [
        Route("/", page),
        Route("/ready", ready),
        Route("/api/views", told_views),
        Route("/api/state", state),
        Route("/api/options", form),
        Route("/api/begin", acting(Begin, lambda v, a: v.begin(a.task, a.seed, a.options)), methods=["POST"]),
        Route("/api/call", acting(Call, lambda v, a: v.call(a.tool, a.arguments)), methods=["POST"]),
        Route(
            "/api/draft",
            acting(Cell, lambda v, a: (v.report if a.report else v.drop)(a.day, a.entity)),
            methods=["POST"],
        ),
        Route("/api/submit", acting(Nothing, lambda v, _: v.submit()), methods=["POST"]),
        Route("/api/truth", acting(Nothing, lambda v, _: v.look_at_truth()), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
        *([] if library is None else library_routes(library, headers)),
        *([] if desks is None else desks.routes),
    ]
    if desks is None:
        return Gate(LimitsMiddleware(Starlette(routes=routes), limits), hosts, token)
    app = Starlette(routes=routes, lifespan=desks.lifespan)
    return Gate(LimitsMiddleware(app, limits, body_limits=desks.body_limits), hosts, token)
