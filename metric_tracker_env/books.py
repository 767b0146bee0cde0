"""The books of scored episodes: a file that says what was begun, called and submitted, whatever a player says of it.

One line of JSON a happening. The first line holds the terms: who plays, what, how many episodes, from which seed on,
and the hash of a seal. A line is in the file before what it tells is answered, so that killing the process loses
nothing; the beginning and the end of an episode are on the disk by then. An episode that was begun and has no end was
abandoned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from metric_tracker_env.config import MAX_SEED, EnvConfig, Name, Seed
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.scoring import Grade
from metric_tracker_env.seal import Seal
from metric_tracker_env.tasks import Task

PACKAGE = "metric_tracker_env"
BOOKS_FILE, LOCK_FILE = "books.jsonl", "books.lock"
MAX_EPISODES = 1_000_000


class Terms(StrictModel):
    """What is played for score, settled before the first episode."""

    event: Literal["terms"] = "terms"
    format: Literal[1] = 1
    version: str = Field(description="Of the package.")
    agent: Name = Field(description="Who plays, as the leaderboard calls it.")
    task: str = Field(description="Name of the task.")
    instruction: str = Field(description="Of the task, as the brief begins.")
    config: EnvConfig
    first_seed: Seed
    episodes: int = Field(ge=1, le=MAX_EPISODES, description="Episodes that count, played or not.")
    seal: str | None = Field(description="Hash of the seal of the episodes; null for public ones.")

    @classmethod
    def of(cls, agent: str, task: Task, episodes: int, first_seed: int | None = None, seal: Seal | None = None) -> Self:
        """The terms of a run of a task; by default from its first held-out seed on.

        Raises:
            ValueError: for a bad name, number or seed, or seeds beyond the last.
        """
        first = task.held_out_seeds[0] if first_seed is None else first_seed
        try:
            made = cls(
                version=version(PACKAGE),
                agent=agent,
                task=task.name,
                instruction=task.instruction,
                config=task.config,
                first_seed=first,
                episodes=episodes,
                seal=None if seal is None else seal.hash,
            )
        except ValidationError as error:
            raise ValueError(f"terms of the books: {in_one_line(error)}") from None
        if first + episodes > MAX_SEED + 1:
            raise ValueError(f"first_seed {first}: {episodes:,} seeds from there on go beyond {MAX_SEED}")
        return made


class Begun(StrictModel):
    """An episode begins."""

    event: Literal["begin"] = "begin"
    episode: int = Field(ge=0, description="Number in these books, from 0; its seed is first_seed + episode.")


class Called(StrictModel):
    """A call of a tool or of submit, as the player sent it."""

    event: Literal["call"] = "call"
    episode: int = Field(ge=0)
    tool: JsonValue
    arguments: JsonValue


class Ended(StrictModel):
    """An episode has ended with a grade."""

    event: Literal["end"] = "end"
    episode: int = Field(ge=0)
    reward: float
    grade: Grade


class Abandoned(StrictModel):
    """The player left an episode before its end."""

    event: Literal["abandon"] = "abandon"
    episode: int = Field(ge=0)


Event = Annotated[Terms | Begun | Called | Ended | Abandoned, Field(discriminator="event")]
EVENT: TypeAdapter[Terms | Begun | Called | Ended | Abandoned] = TypeAdapter(Event)


@dataclass
class ScoredEpisode:
    """What the books hold of an episode."""

    number: int
    seed: int
    calls: list[tuple[JsonValue, JsonValue]] = field(default_factory=list)  # tool and arguments, as they were sent
    ended: Ended | None = None  # None: under way, or abandoned
    left: bool = False  # whether its player was seen to leave it; a server that is stopped may have seen nothing


@dataclass
class Record:
    """What books hold: their terms, and the episodes that were begun, in order."""

    terms: Terms
    episodes: list[ScoredEpisode]
    whole: int  # bytes up to the end of the last whole line


def read_books(folder: str | Path) -> Record:
    """Read the books of a folder; a last line without an end is passed over, as a killed process may leave one.

    Raises:
        ValueError: if there are none, or a line is none of theirs or in the wrong place; naming the line.
    """
    path = Path(folder) / BOOKS_FILE
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ValueError(f"books {str(path)!r} cannot be read: {error.strerror}") from error
    record: Record | None = None
    for number, line in enumerate(lines, 1):
        try:
            event = EVENT.validate_json(line)
            if isinstance(event, Terms) != (record is None):
                raise ValueError("the first line, and no other, holds the terms")
            if isinstance(event, Terms):
                record = Record(event, [], 0)
            elif record is not None:
                _enter(record, event)
        except ValueError as error:
            raise ValueError(f"books {str(path)!r}, line {number}: {in_one_line(error)}") from None
    if record is None:
        raise ValueError(f"books {str(path)!r} hold no terms")
    record.whole = sum(len(line) + 1 for line in lines)
    return record


def _enter(record: Record, event: Begun | Called | Ended | Abandoned) -> None:
    """Enter what happened.

    Raises:
        ValueError: if it cannot have happened there.
    """
    number, begun = event.episode, len(record.episodes)
    if isinstance(event, Begun):
        if number != begun or number >= record.terms.episodes:
            raise ValueError(f"episode {number} begins where {begun} of {record.terms.episodes} have begun")
        record.episodes.append(ScoredEpisode(number, record.terms.first_seed + number))
        return
    if number >= begun:
        raise ValueError(f"episode {number} has not begun")
    episode = record.episodes[number]
    if episode.ended is not None:
        raise ValueError(f"episode {number} has ended before")
    if isinstance(event, Called):
        episode.calls.append((event.tool, event.arguments))
    elif isinstance(event, Ended):
        episode.ended = event
    else:
        episode.left = True


class Books:
    """Books that are being kept; threads may share them, processes may not.

    Args:
        folder: Of the books, made if it is missing. Books of the same terms are gone on with: what was under way when
            they were last kept is abandoned.
        terms: What is played.
        seal: Of the episodes, whose hash the terms hold.
        task: Whose terms they are; a session plays it.

    Raises:
        ValueError: if the folder holds books of other terms, or damaged ones, or cannot be written.
    """

    def __init__(self, folder: str | Path, terms: Terms, task: str | Path, seal: Seal | None = None) -> None:
        if terms.seal != (None if seal is None else seal.hash):
            raise ValueError("seal: the terms of the books hold the hash of another one")
        self.folder, self.terms, self.task, self.seal = Path(folder), terms, task, seal
        self._lock, self._begun = Lock(), 0
        path = self.folder / BOOKS_FILE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = path.read_bytes() if path.exists() else b""
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise ValueError(f"books {str(path)!r} cannot be written: {error.strerror}") from error
        if b"\n" not in held:  # new, or killed amid the first line
            os.truncate(path, 0)
            self._write(terms, lasting=True)
            return
        record = read_books(self.folder)
        if record.terms != terms:
            before, now = (each.model_dump(mode="json") for each in (record.terms, terms))
            other = ", ".join(name for name in now if now[name] != before[name])
            raise ValueError(f"books {str(path)!r} are of other terms: {other} differ; choose another folder")
        os.truncate(path, record.whole)
        self._begun = len(record.episodes)

    @classmethod
    @contextmanager
    def kept(cls, folder: str | Path, terms: Terms, task: str | Path, seal: Seal | None = None) -> Iterator[Self]:
        """Keep books, alone in their folder, until the end.

        Raises:
            ValueError: see ``Books``; or if another process keeps them.
            ImportError: naming the extra, if ``filelock`` is not installed.
        """
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise ImportError("books need filelock; pip install 'metric_tracker_env[serve]' brings it") from error
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with FileLock(Path(folder) / LOCK_FILE, timeout=0):
                books = cls(folder, terms, task, seal)
                try:
                    yield books
                finally:
                    books.close()
        except Timeout:
            raise ValueError(f"books in {str(folder)!r} are kept by another process") from None
        except OSError as error:
            raise ValueError(f"books in {str(folder)!r} cannot be kept: {error.strerror}") from error

    @property
    def left(self) -> int:
        """Episodes that have not begun."""
        return self.terms.episodes - self._begun

    def begin(self) -> int:
        """Begin the next episode: its number.

        Raises:
            ValueError: if all have begun.
        """
        with self._lock:
            number = self._begun
            if number >= self.terms.episodes:
                raise ValueError(f"all {self.terms.episodes:,} episodes of this run have begun; none is left")
            self._write(Begun(episode=number), lasting=True)
            self._begun += 1
        return number

    def seed(self, number: int) -> int:
        """The seed of an episode."""
        return self.terms.first_seed + number

    def call(self, number: int, tool: object, arguments: object) -> None:
        """A call is about to be carried out."""
        given = dict(arguments) if isinstance(arguments, Mapping) else arguments
        self._enter(Called.model_construct(event="call", episode=number, tool=tool, arguments=given))

    def end(self, number: int, reward: float, grade: Grade) -> None:
        """An episode has ended."""
        self._enter(Ended(episode=number, reward=reward, grade=grade), lasting=True)

    def abandon(self, number: int) -> None:
        """The player has left an episode."""
        self._enter(Abandoned(episode=number), lasting=True)

    def close(self) -> None:
        """No more is entered."""
        os.close(self._file)

    def _enter(self, event: StrictModel, lasting: bool = False) -> None:
        with self._lock:
            self._write(event, lasting)

    def _write(self, event: StrictModel, lasting: bool) -> None:
        data = event.model_dump_json().encode() + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError("a line of the books was cut off; is the disk full?")
        if lasting:
            os.fsync(self._file)


__all__ = ["BOOKS_FILE", "Books", "Record", "ScoredEpisode", "Terms", "read_books"]
