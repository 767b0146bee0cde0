"""Make a submission: play, keep what was done, and write one file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from metric_tracker_env import Seal
from metric_tracker_env.model import in_one_line
from metric_tracker_env.tasks import Task

from ..evaluation.evaluate import Evaluation, card_of, config_of
from ..players.books import BooksRun
from ..players.outcome import Progress
from ..players.player import Player
from ..tasks import AnyTask, held_out_seeds, task_of
from .evidence import gathered, kind_of
from .manifest import Held, Manifest, Part, entry_names, write_submission

EPISODES = 1000


class Plan(NamedTuple):
    """What a player is to play, checked before anything is played."""

    name: str
    player: Player
    parts: tuple[Part, ...]
    seal: Seal | None


class Submitted(NamedTuple):
    """What was written."""

    digest: str
    evaluations: tuple[Evaluation, ...]


def planned(
    player: Player,
    tasks: Sequence[AnyTask] = (),
    episodes: int | None = None,
    name: str | None = None,
    play_missing: bool = False,
    seal: Seal | None = None,
) -> Plan:
    """What a player is to play for a submission.

    Args:
        player: Who plays.
        tasks: What; none is allowed for the books of a server, which are of one.
        episodes: The first held-out ones of each task; by default ``EPISODES``, or those of the books.
        name: Shown on the board; by default the player's.
        play_missing: Whether a player plays episodes that cost money.
        seal: Of the episodes; None for public ones.

    Raises:
        ValueError: for no task or a bad one, a number of episodes that it does not hold out, a player that does not
            fit, or one that would have to be paid for.
    """
    if isinstance(player, BooksRun):
        found, number = [_task_of_books(player, tasks)], player.card.episodes if episodes is None else episodes
    else:
        found, number = [task_of(each) for each in tasks], EPISODES if episodes is None else episodes
    if not found:
        raise ValueError("tasks is empty; name at least one task")
    parts: list[Part] = []
    for task in found:
        held_out_seeds(task, number)
        config = config_of(player, task)
        try:
            part = Part(task=task, view=config.view, episodes=number, evidence=kind_of(player))
        except ValidationError as error:
            raise ValueError(f"task {task.name!r}: {in_one_line(error)}") from None
        if (unpaid := player.unpaid(part.asked(seal))) and not play_missing:
            raise ValueError(
                f"agent {player.name!r} holds {number - unpaid:,} of the {number:,} episodes of {task.name!r}; give "
                "the number that it has played, or --play-missing to let it play the others"
            )
        parts.append(part)
    _manifest(name or player.name, player, tuple(parts), seal, {})  # refuses a task that is given twice
    return Plan(name or player.name, player, tuple(parts), seal)


def submit(plan: Plan, output: Path, pool: Executor | None = None, progress: Progress | None = None) -> Submitted:
    """Play, and write the file.

    Args:
        plan: Of ``planned``.
        output: The file.
        pool: Processes that the player may spread its episodes over; the file does not depend on it.
        progress: To be told of the episodes as they are played.

    Raises:
        ValueError: if the player does not tell what it did, or the file cannot be written.
    """
    name, player, parts, seal = plan
    evaluations: list[Evaluation] = []
    contents: list[bytes] = []
    for part in parts:
        asked = part.asked(seal)
        played = player.play(asked, pool, progress)
        told = {"agent": name, "kind": player.kind, "card": card_of(player), "seal": _hash_of(seal)}
        evaluations.append(Evaluation.of(played, task=part.task.name, config=part.config, **told))
        contents += [f"{evaluations[-1].model_dump_json()}\n".encode(), gathered(player, asked, played)]
    entries = dict(zip(entry_names([part.evidence for part in parts]), contents, strict=True))
    digest = write_submission(output, _manifest(name, player, parts, seal, entries), entries)
    return Submitted(digest, tuple(evaluations))


def _hash_of(seal: Seal | None) -> str | None:
    return None if seal is None else seal.hash


def _manifest(
    name: str, player: Player, parts: tuple[Part, ...], seal: Seal | None, entries: dict[str, bytes]
) -> Manifest:
    names = entry_names([part.evidence for part in parts])
    try:
        return Manifest(
            agent=name,
            kind=player.kind,
            card=card_of(player),
            seal=_hash_of(seal),
            parts=parts,
            files=tuple(Held.of(each, entries.get(each, b"")) for each in names),
        )
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None


def _task_of_books(run: BooksRun, tasks: Sequence[AnyTask]) -> Task:
    """The task that books are of.

    Raises:
        ValueError: if others are asked for, or the books are not of its first held-out episodes.
    """
    terms = run.card
    (task, *others) = [task_of(each) for each in (tasks or (terms.task,))]
    if others or task.name != terms.task:
        raise ValueError(f"tasks: the books in {str(run.folder)!r} are of task {terms.task!r} alone")
    if terms.first_seed != task.held_out_seeds[0]:
        raise ValueError(
            f"the books in {str(run.folder)!r} begin with seed {terms.first_seed}; a submission is of the first "
            f"held-out episodes, from {task.held_out_seeds[0]} on"
        )
    return task
