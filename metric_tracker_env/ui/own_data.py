"""The routes of My data: a visitor's own history, read, fitted, tried with incidents and reported about.

The page knows this protocol alone; how a history is read, fitted and judged is the business of what stands behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from anyio import CapacityLimiter, to_thread
from pydantic import Field, StrictStr, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from metric_tracker_env.config import Real
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.ui.visitors import Visitors, loop_time

STATIC = Path(__file__).parent / "static"
VIEW = {"My data": "/my-data"}
COOKIE = "metric_tracker_own_data"
UPLOAD = "/api/own/upload"
LONGEST_NAME = 120  # characters
WORKERS = 4  # requests that are worked on at once


class Stored(NamedTuple):
    """A file to hand out."""

    content: bytes
    media_type: str


class Desk(Protocol):
    """What one visitor has: a file, its fit, and what was asked about it.

    What is wrong with a file or an answer is a fault that the state tells; nothing of it is an exception.
    """

    def state(self) -> Mapping[str, Any]:
        """All that the page shows."""
        ...

    def take(self, name: str, content: bytes) -> None:
        """A file that was sent."""
        ...

    def open(self, path: str) -> None:
        """A file that the server has."""
        ...

    def fit(self, options: Mapping[str, str]) -> None:
        """Read and fit the file."""
        ...

    def try_incident(self, date: str, measure: str, change: float, agent: str) -> None:
        """What an agent says the morning after an incident."""
        ...

    def report(self, until: str, agent: str, accept: str) -> None:
        """The report of a morning."""
        ...

    def stored(self, name: str) -> Stored | None:
        """A file of the fit; None if there is none of that name."""
        ...

    def close(self) -> None:
        """Delete what is kept."""
        ...


class OwnData(Protocol):
    """Makes desks."""

    @property
    def most_bytes(self) -> int:
        """Of an uploaded file."""
        ...

    @property
    def most_visitors(self) -> int:
        """Whose data are kept at once."""
        ...

    def desk(self) -> Desk:
        """One for a new visitor."""
        ...


class File(StrictModel):
    """A file that the server has."""

    path: StrictStr = Field(max_length=1000)


class Options(StrictModel):
    """How to read and fit."""

    options: dict[str, StrictStr]


class Incident(StrictModel):
    """An incident to try."""

    date: StrictStr
    measure: StrictStr
    change: Real
    agent: StrictStr


class Morning(StrictModel):
    """A report to make."""

    until: StrictStr
    agent: StrictStr
    accept: StrictStr = ""


Act = Callable[[Desk], object]


class OwnDataRoutes:
    """The page and what it asks for.

    Args:
        own: Makes what a visitor has.
        headers: Of the page.
    """

    def __init__(self, own: OwnData, headers: Mapping[str, str]) -> None:
        self._own = own
        self._desks: Visitors[Desk] = Visitors(own.desk, own.most_visitors, lambda desk: desk.close())
        self._headers = dict(headers)
        self._turns: CapacityLimiter | None = None  # made in the loop that it is of
        self.body_limits = {UPLOAD: own.most_bytes}
        self.routes = [
            Route("/my-data", self._page),
            Route("/api/own/state", self._state),
            Route(UPLOAD, self._upload, methods=["POST"]),
            Route("/api/own/open", self._acting(File, lambda d, a: d.open(a.path)), methods=["POST"]),
            Route("/api/own/fit", self._acting(Options, lambda d, a: d.fit(a.options)), methods=["POST"]),
            Route(
                "/api/own/try",
                self._acting(Incident, lambda d, a: d.try_incident(a.date, a.measure, a.change, a.agent)),
                methods=["POST"],
            ),
            Route(
                "/api/own/report",
                self._acting(Morning, lambda d, a: d.report(a.until, a.agent, a.accept)),
                methods=["POST"],
            ),
            Route("/api/own/file/{name}", self._file),
        ]

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Nothing of the visitors' data outlives the server."""
        yield
        await run_in_threadpool(self._desks.close)

    async def _page(self, _: Request) -> Response:
        return FileResponse(STATIC / "my_data.html", headers=self._headers)

    async def _state(self, request: Request) -> Response:
        # A visitor is who has sent something: a look, which any page elsewhere could cause, takes nobody's place.
        if not self._desks.knows(request.cookies.get(COOKIE)):
            return await self._in_turn(self._look)
        return await self._in_turn(self._answer, request, loop_time(), lambda _: None)

    def _look(self) -> Response:
        return JSONResponse(self._own.desk().state(), headers={"cache-control": "no-store"})

    async def _in_turn(self, work: Callable[..., Response], *arguments: object) -> Response:
        """Work in a thread, a few at a time, so that the other views have threads left."""
        if self._turns is None:
            self._turns = CapacityLimiter(WORKERS)
        return await to_thread.run_sync(work, *arguments, limiter=self._turns)

    async def _upload(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name or "\\" in name:
            return JSONResponse({"error": f"name {name[:LONGEST_NAME]!r} is no name of a file"}, 400)
        content = await request.body()
        return await self._in_turn(self._answer, request, loop_time(), lambda desk: desk.take(name, content))

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not self._desks.knows(request.cookies.get(COOKIE)):
            return JSONResponse({"error": f"there is no file {name!r}"}, 404)
        return await self._in_turn(self._hand_out, request, loop_time(), name)

    def _acting(self, model: type[StrictModel], act: Callable[[Desk, Any], object]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            try:
                asked = model.model_validate_json(await request.body() or b"{}")
            except ValidationError as error:
                return JSONResponse({"error": in_one_line(error)}, 400)
            return await self._in_turn(self._answer, request, loop_time(), lambda desk: act(desk, asked))

        return endpoint

    def _answer(self, request: Request, now: float, act: Act) -> Response:
        cookie, desk, lock = self._desks.of(request.cookies.get(COOKIE), now)
        with lock:
            act(desk)
            return self._private(JSONResponse(desk.state()), cookie)

    def _hand_out(self, request: Request, now: float, name: str) -> Response:
        cookie, desk, lock = self._desks.of(request.cookies.get(COOKIE), now)
        with lock:
            found = desk.stored(name)
        if found is None:
            return self._private(JSONResponse({"error": f"there is no file {name!r}"}, 404), cookie)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return self._private(Response(found.content, media_type=found.media_type, headers=headers), cookie)

    def _private(self, response: Response, cookie: str) -> Response:
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/api/own")
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        return response
