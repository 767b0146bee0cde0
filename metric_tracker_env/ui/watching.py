"""The routes of Watch, Compare and the leaderboard, over a library of runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import FAMILIES, StrictModel
from metric_tracker_env.ui.choosing import Choice, Counts, Wanted, episode_of
from metric_tracker_env.ui.library import Entry, Library, Opened, Run

STATIC = Path(__file__).parent / "static"
VIEWS = {"Watch": "/watch", "Compare": "/compare", "Leaderboard": "/leaderboard"}
MOST_LINES = 1000  # of the index in one answer
ASKED_LAST = 8  # filters whose lines are kept
HELD = 32  # episodes that were opened last, kept as they were played


class Lines(Wanted):
    """A part of the index."""

    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=200, ge=1, le=MOST_LINES)


class Place(StrictModel):
    """An episode."""

    run: str
    seed: int = Field(ge=0)
    trial: int = Field(default=0, ge=0)


class Shelf:
    """Opens episodes, one after another since models are not made for several at once, and keeps the last ones."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._held: OrderedDict[Place, Opened] = OrderedDict()
        self._lock = Lock()

    def open(self, place: Place) -> Opened:
        """Play an episode again.

        Raises:
            ValueError: see ``Library.open``.
        """
        with self._lock:
            found = self._held.pop(place, None) or self._library.open(place.run, place.seed, place.trial)
            self._held[place] = found
            while len(self._held) > HELD:
                self._held.popitem(last=False)
            return found


class Chosen(NamedTuple):
    """What a filter leaves."""

    lines: list[tuple[Run, Entry]]
    scores: dict[tuple[str, str, int], list[float | None]]  # of each episode, see ``episode_of``
    counts: Counts


class Index:
    """The lines of the index; what was asked for last is kept, so that its further parts come at once."""

    def __init__(self, library: Library) -> None:
        self._library, self._choice = library, Choice(library.runs)
        self._found = lru_cache(maxsize=ASKED_LAST)(self._choose)

    def part(self, asked: Lines) -> dict[str, Any]:
        """A part of the index, how many lines there are, and how many other filters would leave.

        Raises:
            ValueError: for a class of failure that there is not.
        """
        wanted = Wanted.model_validate(asked.model_dump(include=set(Wanted.model_fields)))
        if wanted.failure not in (None, *self._library.failures):
            raise ValueError(f"failure {wanted.failure!r} is not one of {list(self._library.failures)}")
        found = self._found(wanted)  # pyright: ignore[reportArgumentType] - a frozen model can be hashed
        part = found.lines[asked.offset : asked.offset + asked.limit]
        return {
            "total": len(found.lines),
            "seeds": len(found.scores),
            "counts": found.counts,
            "lines": [line_of(run, entry, found.scores[episode_of(run, entry)]) for run, entry in part],
        }

    def alike(self, run: Run, seed: int) -> list[tuple[Run, Entry]]:
        """All who played the episode of a run."""
        found = self._choice.lines(Wanted(task=run.task, seed=seed))
        return [(other, entry) for other, entry in found if other.seal == run.seal]

    def _choose(self, wanted: Wanted) -> Chosen:
        scores: dict[tuple[str, str, int], list[float | None]] = {}
        lines = self._choice.lines(wanted)
        for run, entry in lines:
            scores.setdefault(episode_of(run, entry), []).append(entry.score)
        return Chosen(lines, scores, self._choice.counts(wanted))


def library_routes(library: Library, headers: Mapping[str, str]) -> list[Route]:
    """The pages and what they ask for.

    Args:
        library: What can be opened; a browser names its runs and never a file.
        headers: Of the pages.
    """
    shelf, index = Shelf(library), Index(library)

    def document(name: str) -> Callable[..., Any]:
        async def page(_: Request) -> Response:
            return FileResponse(STATIC / name, headers=dict(headers))

        return page

    def telling(model: type[StrictModel], tell: Callable[[Any], object]) -> Callable[..., Any]:
        def answer(query: dict[str, str]) -> Response:
            try:
                return JSONResponse(tell(model.model_validate(query)))
            except (ValidationError, ValueError) as error:
                return JSONResponse({"error": in_one_line(error)}, 400)

        async def endpoint(request: Request) -> Response:
            asked = {name: value for name, value in request.query_params.items() if value}
            response = await run_in_threadpool(answer, asked)
            response.headers["cache-control"] = "no-store"
            return response

        return endpoint

    return [
        Route("/watch", document("watch.html")),
        Route("/compare", document("compare.html")),
        Route("/leaderboard", document("leaderboard.html")),
        Route("/api/runs", telling(StrictModel, lambda _: runs_of(library))),
        Route("/api/index", telling(Lines, index.part)),
        Route("/api/episode", telling(Place, lambda place: opened_of(library, shelf, index, place))),
        Route("/api/leaderboard", telling(StrictModel, lambda _: boards_of(library))),
    ]


def runs_of(library: Library) -> dict[str, Any]:
    """The runs, what can be filtered by, and what could not be read."""
    entities = {row.entity: None for run in library.runs for entry in run.entries for row in entry.rows}
    return {
        "runs": [
            {**run._asdict(), "entries": len(run.entries), "seeds": len({entry.seed for entry in run.entries})}
            for run in library.runs
        ],
        "families": {name: family.label for name, family in FAMILIES.items()},
        "entities": sorted(entities),
        "failures": dict(library.failures),
        "faults": list(library.faults),
    }


def line_of(run: Run, entry: Entry, alike: Sequence[float | None]) -> dict[str, Any]:
    """A line of the index.

    Args:
        run: Of the episode.
        entry: The episode.
        alike: Scores of the episodes of its seed that were asked for, its own included.
    """
    known = [score for score in alike if score is not None]
    return {
        **{name: getattr(run, name) for name in ("agent", "kind", "task", "seal")},
        **{name: getattr(entry, name) for name in ("trial", "score", "f1", "cost", "calls", "words", "failure")},
        "run": run.name,
        "seed": str(entry.seed),  # as text: a browser's numbers hold 53 bits of it
        "alike": len(alike),
        "low": min(known, default=None),
        "high": max(known, default=None),
    }


def opened_of(library: Library, shelf: Shelf, index: Index, place: Place) -> dict[str, Any]:
    """An episode played again, with those before and after it in its run, and those of the same seed in others.

    Raises:
        ValueError: see ``Library.open``.
    """
    opened = shelf.open(place)
    run = next(item for item in library.runs if item.name == place.run)
    keys = [(entry.seed, entry.trial) for entry in run.entries]
    at = keys.index((place.seed, place.trial))
    others = index.alike(run, place.seed)
    failure = run.entries[at].failure
    return {
        "run": run.name,
        "seed": str(place.seed),
        "trial": place.trial,
        "failure": [failure, library.failures[failure]] if failure else None,
        "state": opened.state,
        "transcript": None if opened.transcript is None else [said._asdict() for said in opened.transcript],
        "note": opened.note,
        "before": _told(keys[at - 1]) if at else None,
        "after": _told(keys[at + 1]) if at + 1 < len(keys) else None,
        "alike": [
            {"run": item.name, "agent": item.agent, "trial": entry.trial, "score": entry.score}
            for item, entry in others
        ],
    }


def _told(key: tuple[int, int]) -> tuple[str, int]:
    return str(key[0]), key[1]


def boards_of(library: Library) -> dict[str, Any]:
    """The leaderboards.

    Raises:
        ValueError: see ``Library.boards``.
    """
    return {
        "boards": [board.model_dump(mode="json") for board in library.boards()],
        "families": {name: family.label for name, family in FAMILIES.items()},
    }
