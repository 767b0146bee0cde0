"""Verify a submission: play it again from what was done, grade it again, and say what differs."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

import metric_tracker_env
from metric_tracker_env import TASKS, Seal, Task
from metric_tracker_env.model import in_one_line

from ..evaluation.evaluate import Evaluation, differing_fields
from ..players.outcome import Progress
from .differences import differences
from .evidence import replayed
from .manifest import Manifest, Part, Submission, open_submission


class Checked(NamedTuple):
    """What came of one task."""

    part: Part
    found: Evaluation | None  # as it comes of playing again; None if it cannot be
    faults: tuple[str, ...]  # none: all is as the file says


class Verdict(NamedTuple):
    """What came of a file."""

    manifest: Manifest
    digest: str
    checked: tuple[Checked, ...]

    @property
    def right(self) -> bool:
        """Whether all is as the file says."""
        return not any(each.faults for each in self.checked)

    @property
    def other_version(self) -> str | None:
        """What to say of a file that another version of the package made."""
        made, here = self.manifest.version, metric_tracker_env.__version__
        return None if made == here else f"the file was made by version {made} of the package; this is {here}"


def verify(
    path: Path, seal: Seal | None = None, pool: Executor | None = None, progress: Progress | None = None
) -> Verdict:
    """Play a submission again and compare what comes of it with what it says.

    Args:
        path: The file.
        seal: Of its episodes, once its secret has been told; None for public ones.
        pool: Processes that the episodes may be spread over.
        progress: To be told of the episodes as they are played.

    Raises:
        ValueError: in one line, if the file is no submission, or the seal is not the one of its episodes.
    """
    with open_submission(path) as opened:
        check_seal(path, opened.manifest, seal)
        parts = enumerate(opened.manifest.parts)
        checked = tuple(_checked(opened, number, part, seal, pool, progress) for number, part in parts)
        return Verdict(opened.manifest, opened.digest, checked)


def claimed(path: Path) -> tuple[Manifest, tuple[Evaluation, ...]]:
    """What a submission says, believed.

    Raises:
        ValueError: in one line, if the file is no submission or its results cannot be read.
    """
    with open_submission(path) as opened:
        found: list[Evaluation] = []
        for number, part in enumerate(opened.manifest.parts):
            try:
                data, fault = opened.entry(number, evidence=False)
                if fault is not None:
                    raise ValueError(fault)
                found.append(Evaluation.model_validate_json(data))
                if found[-1].task != part.task.name or found[-1].episodes.seed != tuple(part.seeds):
                    raise ValueError("the results are not of the task and the seeds of the manifest")
            except ValueError as error:
                raise ValueError(f"submission {str(path)!r}, task {part.task.name!r}: {in_one_line(error)}") from None
        return opened.manifest, tuple(found)


def check_seal(path: Path, manifest: Manifest, seal: Seal | None) -> None:
    """Refuse a seal that is not the one of a file's episodes.

    Raises:
        ValueError: saying what is needed.
    """
    given = None if seal is None else seal.hash
    if manifest.seal == given:
        return
    needed = "public, and no seal is to be given" if manifest.seal is None else f"sealed, with hash {manifest.seal}"
    told = "none was given" if given is None else f"the hash of the one given is {given}"
    raise ValueError(f"submission {str(path)!r}: its episodes are {needed}; {told}")


def _checked(
    opened: Submission,
    number: int,
    part: Part,
    seal: Seal | None,
    pool: Executor | None,
    progress: Progress | None,
) -> Checked:
    """Play one task again."""
    manifest, faults = opened.manifest, list[str]()
    known = TASKS.get(part.task.name)
    if known is not None and known != part.task:
        faults += [
            f"task {known.name!r} of the file is not the task of that name: {name} differs"
            for name in _other_fields(known, part.task)
        ]
    results, fault = opened.entry(number, evidence=False)
    evidence, other_fault = opened.entry(number, evidence=True)
    faults += [each for each in (fault, other_fault) if each is not None]
    found: Evaluation | None = None
    try:
        played = replayed(part.evidence, evidence, part.asked(seal), manifest.card, pool, progress)
        found = Evaluation.of(
            played,
            agent=manifest.agent,
            kind=manifest.kind,
            card=manifest.card,
            task=part.task.name,
            config=part.config,
            seal=manifest.seal,
        )
        faults += differences(Evaluation.model_validate_json(results), found)
    except ValidationError as error:
        faults.append(f"results: {in_one_line(error)}")
    except ValueError as error:
        faults.append(str(error))
    return Checked(part, found, tuple(faults))


def _other_fields(known: Task, told: Task) -> list[str]:
    """The fields in which two tasks differ; those of the configuration by their own names."""
    found = [name for name in Task.model_fields if name != "config" and getattr(known, name) != getattr(told, name)]
    return found + [f"config.{name}" for name in differing_fields(known.config, told.config)]
