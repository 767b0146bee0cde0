"""Submissions for tests: made, taken apart, changed, and put together again as somebody would who cheats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agents import find_player
from agents.archive import Archive
from agents.board.manifest import LIMITS, MANIFEST, Held, Manifest, write_submission
from agents.board.submit import Submitted, planned, submit
from agents.tasks import AnyTask
from metric_tracker_env import Seal

Change = Callable[[dict[str, Any]], object]


def made(
    path: Path,
    agent: str | Path = "analyst",
    tasks: Iterable[AnyTask] = ("easy_mixed",),
    episodes: int | None = 8,
    name: str | None = None,
    seal: Seal | None = None,
) -> Submitted:
    """A submission of some episodes."""
    return submit(planned(find_player(agent), tuple(tasks), episodes, name, seal=seal), path)


def contents(path: Path) -> dict[str, bytes]:
    """The entries of a file."""
    with Archive(path, LIMITS) as archive:
        return {name: archive.read(name) for name in archive.names}


def rewritten(path: Path, manifest: Change | None = None, **entries: Callable[[bytes], bytes]) -> None:
    """Change a file, and give its manifest the hashes of what there is now.

    Args:
        path: The file.
        manifest: Changes its manifest in place.
        entries: Changes of the first part's entries, by their names without number and ending.
    """
    held = contents(path)
    told = json.loads(held.pop(MANIFEST))
    for name, change in entries.items():
        (full,) = [each for each in held if each.startswith(f"00/{name}.")]
        held[full] = change(held[full])
    told["files"] = [Held.of(name, data).model_dump() for name, data in held.items()]
    if manifest is not None:
        manifest(told)
    write_submission(path, Manifest.model_validate_json(json.dumps(told)), held)


def of_json(change: Change) -> Callable[[bytes], bytes]:
    """A change of an entry that is one JSON object."""

    def changed(data: bytes) -> bytes:
        held = json.loads(data)
        change(held)
        return (json.dumps(held) + "\n").encode()

    return changed


def of_lines(change: Callable[[list[Any]], object]) -> Callable[[bytes], bytes]:
    """A change of an entry that is JSON line by line."""

    def changed(data: bytes) -> bytes:
        held = [json.loads(line) for line in data.splitlines()]
        change(held)
        return "".join(json.dumps(line) + "\n" for line in held).encode()

    return changed
