"""Books of a scored run, kept as a server keeps them; for tests of what reads them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import Seal, Task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.session import ScoredSession

SEAL = Seal("c3" * 32)


def kept(
    folder: Path,
    task: Task,
    episodes: int,
    played: int = 0,
    left: int = 0,
    open_end: int = 0,
    odd: Sequence[tuple[Any, Any]] = (),
    seal: Seal | None = None,
) -> None:
    """Write books of ``someone``.

    Args:
        folder: To write them to.
        task: What is played.
        episodes: That count.
        played: So many by the analyst in words, to their end;
        left: then so many that are left after two calls, of which one is refused;
        open_end: then so many whose sessions have a call and vanish, as with a server that is killed.
        odd: Calls of one more, which is left after them.
        seal: Of the episodes.
    """
    books = Books(folder, Terms.of("someone", task, episodes, seal=seal), task.name, seal)
    session = ScoredSession(books)
    for _ in range(played):
        session.begin()
        converse(investigate(task.config.generator), lambda tool, arguments: session.call(tool, arguments).text)
    for _ in range(left):
        session.begin()
        session.call("list_suspicious_dates", {})
        session.call("nonsense", {})
    if odd:
        session.begin()
        for tool, arguments in odd:
            session.call(tool, arguments)
    session.leave()
    for _ in range(open_end):
        vanished = ScoredSession(books)
        vanished.begin()
        vanished.call("list_suspicious_dates", {})
    books.close()
