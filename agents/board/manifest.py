"""What a submission says of itself, and the file that it is: a zip of JSON, of bounded size, with a hash of each entry.

manifest.json           who played what, with which version; and size and SHA-256 of every other entry
00/results.json         the evaluation of the first task, as ``run --output`` writes it
00/actions.jsonl        what was done in it, an episode a line; or transcripts.jsonl, or books.jsonl
01/...                  the second task
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, JsonValue, StrictInt, ValidationError, model_validator

import metric_tracker_env
from metric_tracker_env import ENV_ID, EnvConfig, Seal
from metric_tracker_env.config import Name, View
from metric_tracker_env.model import in_one_line, shown
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.tasks import Task, build_config

from ..archive import Archive, Limits, write_archive
from ..players.player import Assignment

MANIFEST, RESULTS = "manifest.json", "results.json"
FORMAT = 1
LONGEST_NAME = 100  # characters
MOST_TASKS, MOST_EPISODES = 32, 100_000
LIMITS = Limits(file=256 << 20, unpacked=1 << 30, entries=1 + 2 * MOST_TASKS)

EvidenceKind = Literal["actions", "transcripts", "books"]


def _shown_as_it_is(name: str) -> str:
    """Refuse a name that a terminal or a table may take for more than a name.

    Raises:
        ValueError: saying what is allowed.
    """
    if len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("[]"):
        raise ValueError(f"{shown(name)} is not a name of 1 to {LONGEST_NAME} printable characters without [ and ]")
    return name


PlainName = Annotated[Name, AfterValidator(_shown_as_it_is)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Held(StrictModel):
    """An entry of the file."""

    name: Name
    size: StrictInt = Field(ge=0, description="Bytes, unpacked.")
    sha256: Digest

    @classmethod
    def of(cls, name: str, data: bytes) -> Self:
        """An entry with such contents."""
        return cls(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


class Part(StrictModel):
    """What was played of one task: its first held-out episodes."""

    task: Task
    view: View = Field(description="That was played in.")
    episodes: StrictInt = Field(ge=1, le=MOST_EPISODES)
    evidence: EvidenceKind

    @model_validator(mode="after")
    def _check_episodes(self) -> Self:
        _shown_as_it_is(self.task.name)
        first, end = self.task.held_out_seeds
        if self.episodes > end - first:
            raise ValueError(f"episodes {self.episodes:,}: task {self.task.name!r} holds out {end - first:,}")
        if self.task.config.generator.replay is not None:
            raise ValueError(f"task {self.task.name!r} plays a history of its owner's, which no submission holds")
        return self

    @property
    def seeds(self) -> range:
        """The first held-out ones."""
        first = self.task.held_out_seeds[0]
        return range(first, first + self.episodes)

    @property
    def config(self) -> EnvConfig:
        """That of the task, in the view that was played."""
        return build_config(None, self.task.config, {"view": self.view})

    def asked(self, seal: Seal | None) -> Assignment:
        """What was to be played."""
        return Assignment(self.seeds, self.config, self.task, seal)


class Manifest(StrictModel):
    """Who played what."""

    format: Literal[1] = FORMAT
    version: str = Field(default=metric_tracker_env.__version__, description="Of the package that played.")
    environment_id: str = ENV_ID
    agent: PlainName = Field(description="Shown on the board.")
    kind: PlainName = Field(description="Of player: script, model, language model, ...")
    card: dict[str, JsonValue] | None = Field(description="What the player says of itself; null for a script.")
    seal: Digest | None = Field(description="Hash of the seal of the episodes; null for public ones.")
    parts: tuple[Part, ...] = Field(min_length=1, max_length=MOST_TASKS)
    files: tuple[Held, ...] = Field(description="Every other entry, in order.")

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        tasks = [part.task.name for part in self.parts]
        if len(set(tasks)) != len(tasks):
            raise ValueError(f"parts: {tasks} names a task twice; each once")
        needed = entry_names([part.evidence for part in self.parts])
        if [held.name for held in self.files] != needed:
            raise ValueError(f"files: {[held.name for held in self.files]} must be {needed}")
        return self


def entry_names(evidence: list[EvidenceKind]) -> list[str]:
    """The entries of the parts, in order."""
    return [f"{i:02d}/{name}" for i, kind in enumerate(evidence) for name in (RESULTS, f"{kind}.jsonl")]


class Submission(NamedTuple):
    """A file that is open for reading."""

    manifest: Manifest
    digest: str  # SHA-256 of the manifest, and so of everything
    archive: Archive

    def entry(self, part: int, evidence: bool) -> tuple[bytes, str | None]:
        """Results or evidence of a part, and what is wrong with them, if they are not those of the manifest.

        Raises:
            ValueError: if the entry is missing or damaged.
        """
        held = self.manifest.files[2 * part + evidence]
        data = self.archive.read(held.name)
        found = Held.of(held.name, data)
        return data, None if found == held else f"entry {held.name!r} is not the one that the manifest has the hash of"


def write_submission(path: Path, manifest: Manifest, entries: Mapping[str, bytes]) -> str:
    """Write a file; the digest of it. The same contents give the same bytes."""
    data = (manifest.model_dump_json(indent=1) + "\n").encode()
    write_archive(path, {MANIFEST: data, **entries})
    return hashlib.sha256(data).hexdigest()


@contextmanager
def open_submission(path: Path) -> Iterator[Submission]:
    """Open a file.

    Raises:
        ValueError: in one line, if it cannot be read, is no submission, or is one of another format or environment.
    """
    try:
        archive = Archive(path, LIMITS)
    except ValueError as error:
        raise ValueError(f"submission {str(path)!r}: {error}") from None
    with archive:
        try:
            data = archive.read(MANIFEST)
            manifest = Manifest.model_validate_json(data)
            if manifest.environment_id != ENV_ID:
                raise ValueError(f"it is of environment {manifest.environment_id!r}; this is {ENV_ID!r}")
            other = set(archive.names) ^ {MANIFEST, *(held.name for held in manifest.files)}
            if other:
                raise ValueError(f"entries {sorted(other)} are in the file or in its manifest, and not in both")
        except ValueError as error:
            told = in_one_line(error) if isinstance(error, ValidationError) else str(error)
            raise ValueError(f"submission {str(path)!r}: {told}") from None
        yield Submission(manifest, hashlib.sha256(data).hexdigest(), archive)
