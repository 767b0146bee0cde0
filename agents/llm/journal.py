"""Episodes under way: what has been said so far, reply by reply, so that an interrupted run goes on amid an episode.

A run can end at any moment: by an interrupt, by an endpoint that is gone, by a loss of power. An episode that was then
begun anew would have seen its data for nothing; it goes on where it was, with all that was spent still spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from metric_tracker_env.schema import StrictModel

from .messages import Record
from .transcript import Attempt, Used

JOURNALS = "underway"
DIGITS = 12  # of the digest, in a name


class Entry(StrictModel):
    """What one reply added."""

    attempt: Attempt
    used: Used
    messages: tuple[Record, ...]


class Begun(NamedTuple):
    """An attempt as far as it has come."""

    attempt: Attempt
    used: Used
    messages: tuple[Record, ...]


def read_journal(path: Path) -> Begun | None:
    """What a journal tells of an episode under way; None if there is none.

    Raises:
        ValueError: naming the line that is none.
    """
    if not path.is_file():
        return None
    entries: list[Entry] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"]
            raise ValueError(f"{str(path)!r}, line {number}, is no part of an episode: {fault}") from None
    if not entries:
        return None
    messages = tuple(message for entry in entries for message in entry.messages)
    return Begun(entries[-1].attempt, entries[-1].used, messages)


class Journal:
    """The journal of one trial of an episode; its file is there as long as the trial is under way.

    Args:
        folder: Of the run.
        attempt: At what.
    """

    def __init__(self, folder: Path, attempt: Attempt) -> None:
        self._path = folder / JOURNALS / f"{attempt.told[:DIGITS]}-{attempt.seed}-{attempt.trial}.jsonl"
        self._written = 0  # messages

    def read(self) -> Begun | None:
        """What an interruption left; None if nothing is under way.

        Raises:
            ValueError: naming the line that is none.
        """
        return read_journal(self._path)

    def go_on(self, begun: Begun) -> None:
        """Write what there is when an attempt goes on."""
        self._path.parent.mkdir(exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(_line(begun), encoding="utf-8")
        fresh.replace(self._path)
        self._written = len(begun.messages)

    def add(self, attempt: Attempt, used: Used, messages: Sequence[Record]) -> None:
        """Write what has come since."""
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(Begun(attempt, used, tuple(messages[self._written :]))))
        self._written = len(messages)

    def end(self) -> None:
        """Take the file away: the transcript has it all."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # there is none, or others are under way
            self._path.parent.rmdir()


def _line(begun: Begun) -> str:
    return Entry(attempt=begun.attempt, used=begun.used, messages=begun.messages).model_dump_json() + "\n"
