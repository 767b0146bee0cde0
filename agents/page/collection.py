"""What the command line names, as a library of runs: results files, scripts, saved models, language models, books."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

from pydantic import JsonValue, ValidationError
from pydantic_core import from_json

from metric_tracker_env import Seal, Task
from metric_tracker_env.books import BOOKS_FILE
from metric_tracker_env.model import in_one_line
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.ui.library import Board, Entry, Opened, Run
from metric_tracker_env.ui.snapshot import replay

from ..evaluation.evaluate import Evaluation, evaluate
from ..evaluation.report import Comparison
from ..llm.card import is_llm_run
from ..players.failures import WORDS
from ..players.models.card import is_model
from ..players.models.saved import load_model
from ..players.registry import find_player, folder_of
from ..players.scripts.script import AGENTS
from ..progress import Advance
from ..replay import played
from ..tasks import held_out_seeds
from .boards import boards_of
from .entries import entries_of, name_of, title_of
from .scored import ScoredFolder
from .transcripts import Group, Known, TranscriptFolder, same_run

ALIKE = 1e-6  # scores
Opener = Callable[[int, int], Opened]
Kind = Literal["model", "transcripts", "books", "results", "script"]


class Asked(NamedTuple):
    """What scripts and saved models play that are named without results."""

    tasks: Sequence[Task]
    episodes: int
    seal: Seal | None = None


class Collection:
    """A library of runs, see ``metric_tracker_env.ui.library``.

    Args:
        given: Names of scripts; paths of results files, of folders of saved models, of runs of language models, and of
            the books that servers keep.
        asked: What is played by those that are named without results.
        progress: Told of the episodes that are played.

    Raises:
        ValueError: if one of them is none of these. A damaged one is a fault that the page tells.
    """

    def __init__(self, given: Sequence[str], asked: Asked, progress: Advance | None = None) -> None:
        self._asked, self._progress = asked, progress
        self._runs: dict[str, Run] = {}
        self._openers: dict[str, Opener] = {}
        self._faults: list[str] = []
        self._compared: list[tuple[str, Comparison]] = []
        self._alone: list[Evaluation] = []
        self._models: dict[str, tuple[Path, Mapping[str, JsonValue]]] = {}  # by the name of the card
        self._folders: list[TranscriptFolder] = []
        self._scored: list[ScoredFolder] = []
        self._boards: list[Board] | None = None
        self._lock = Lock()
        kinds = [(source, kind_of(source)) for source in given]
        # Folders first, since results files are played again with what they hold.
        for wanted, read in (
            ("model", self._read_model),
            ("transcripts", self._read_folder),
            ("books", self._read_books),
            ("results", self._read_results),
            ("script", self._play),
            ("model", self._play),
        ):
            for source, kind in kinds:
                if kind == wanted:
                    self._tried(source, partial(read, source))
        for books in self._scored:
            self._tried(str(books.folder), partial(self._add_books, books))
        for folder in self._folders:
            for group in folder.groups.values():
                self._tried(str(folder.folder), partial(self._add_group, folder, group))

    @property
    def runs(self) -> Sequence[Run]:
        """All that could be read."""
        return list(self._runs.values())

    @property
    def faults(self) -> Sequence[str]:
        """What could not be read, each in one line."""
        return self._faults

    @property
    def failures(self) -> Mapping[str, str]:
        """The classes of failure, see ``players.failures``."""
        return {**WORDS}

    def open(self, run: str, seed: int, trial: int) -> Opened:
        """Play an episode again, and say so if another score comes of it.

        Raises:
            ValueError: if there is none, or it cannot be played again.
        """
        if run not in self._runs:
            raise ValueError(f"run {run!r} is not one of {list(self._runs)}")
        entry = next((item for item in self._runs[run].entries if (item.seed, item.trial) == (seed, trial)), None)
        if entry is None:
            raise ValueError(f"run {run!r} has no seed {seed} with trial {trial}")
        try:
            opened = self._openers[run](seed, trial)
        except (ImportError, OSError) as error:
            raise ValueError(f"run {run!r}, seed {seed}: {error}") from None
        grade = opened.state["grade"]
        if grade is not None and entry.score is not None and abs(grade["score"] - entry.score) > ALIKE:
            told = (
                f"The score was {entry.score:.3f} then; played again it is {grade['score']:.3f}, as by another version."
            )
            return opened._replace(note=" ".join(filter(None, (opened.note, told))))
        return opened

    def boards(self) -> Sequence[Board]:
        """The leaderboards: those of the results files as they are, and that of all other runs.

        Raises:
            ValueError: if there is nothing to compare.
        """
        with self._lock:
            if self._boards is None:
                self._boards = boards_of(self._compared, self._alone, list(self._runs.values()))
        if not self._boards:
            raise ValueError("there is no finished episode to compare")
        return self._boards

    def _tried(self, source: str, read: Callable[[], None]) -> None:
        """Read something; what cannot be read is a fault, told once."""
        try:
            read()
        except (ValueError, OSError, ImportError) as error:
            told = f"{source}: {in_one_line(error)}".replace("\n", " ")
            if told not in self._faults:
                self._faults.append(told)

    def _read_model(self, source: str) -> None:
        folder = folder_of(source)
        model = load_model(folder)
        self._models[model.name] = folder, model.card.model_dump(mode="json")

    def _read_folder(self, source: str) -> None:
        folder = TranscriptFolder(Path(source).expanduser())
        self._folders.append(folder)
        self._faults += folder.faults

    def _read_books(self, source: str) -> None:
        self._scored.append(ScoredFolder(Path(source).expanduser(), self._asked.seal))

    def _read_results(self, source: str) -> None:
        text = Path(source).expanduser().read_bytes()
        held = from_json(text)
        if not isinstance(held, dict) or not {"evaluations", "episodes"} & held.keys():
            raise ValueError("holds neither a comparison nor an evaluation")
        try:
            if "evaluations" in held:
                comparison = Comparison.model_validate_json(text)
                evaluations = comparison.evaluations
            else:
                comparison, evaluations = None, (Evaluation.model_validate_json(text),)
        except ValidationError as error:
            first = in_one_line(error).split("; ")[0]
            raise ValueError(f"is no comparison that this version reads: {first}") from None
        entries = [self._entries_of(evaluation) for evaluation in evaluations]
        for evaluation, lines in zip(evaluations, entries, strict=True):
            self._add(evaluation, source, lines)
        if comparison is None:
            self._alone += evaluations
        else:
            self._compared.append((source, comparison))

    def _entries_of(self, evaluation: Evaluation) -> list[Entry]:
        """The index of an evaluation in a file, with what books know of it."""
        for books in self._scored:
            if books.played(evaluation):
                return books.entries(evaluation)
        return entries_of(evaluation)

    def _play(self, source: str) -> None:
        """Play the held-out episodes of the tasks, unless a results file has the model's."""
        player = find_player(source)
        told = None if player.card is None else player.card.model_dump(mode="json")
        if told is not None and any(_is_of(item, player.name, told) for item in self._evaluations()):
            return
        for task in self._asked.tasks:
            seeds = held_out_seeds(task, self._asked.episodes)
            self._more(len(seeds))
            evaluation = evaluate(player, seeds, task, progress=self._progress, seal=self._asked.seal)
            self._alone.append(evaluation)
            self._add(evaluation, source, entries_of(evaluation))

    def _more(self, episodes: int) -> None:
        """So many episodes are about to be played."""
        if self._progress is not None:
            self._progress.more(episodes)

    def _add_books(self, books: ScoredFolder) -> None:
        """Enter the episodes of books, unless a results file has them all."""
        terms = books.terms
        whole = len(books.seeds)
        if any(books.played(item) and len(item.episodes.seed) == whole for item in self._evaluations()):
            return
        if books.shut:
            name = name_of(terms.agent, terms.task, self._runs)
            kind, source = books.player.kind, str(books.folder)
            entries, notes = books.as_written(), (books.shut,)
            self._runs[name] = Run(name, terms.agent, kind, terms.task, source, entries, notes, terms.seal)
            self._openers[name] = partial(_open_scored, books)
            return
        self._more(len(books.seeds))
        evaluation = books.evaluation(self._progress)
        if books.finished:  # else what is left to play could be told from the table
            self._alone.append(evaluation)
        self._add(evaluation, str(books.folder), books.entries(evaluation))

    def _evaluations(self) -> Iterator[Evaluation]:
        for _, comparison in self._compared:
            yield from comparison.evaluations
        yield from self._alone

    def _add(self, evaluation: Evaluation, source: str, entries: Sequence[Entry]) -> None:
        """Enter an evaluation as a run."""
        task = title_of(evaluation.task)
        name = name_of(evaluation.agent, task, self._runs)
        told = evaluation.notes, evaluation.seal
        self._runs[name] = Run(name, evaluation.agent, evaluation.kind, task, source, entries, *told)
        self._openers[name] = partial(self._open_evaluated, evaluation)

    def _open_evaluated(self, evaluation: Evaluation, seed: int, trial: int) -> Opened:
        """Play an episode of an evaluation again.

        Raises:
            ValueError: if who played it is not at hand.
        """
        for books in self._scored:
            if books.played(evaluation):
                return books.open(seed)
        seal = self._seal_of(evaluation)
        agent, title = evaluation.agent, title_of(evaluation.task)
        if evaluation.card is None and agent in AGENTS:
            return Opened(replay(played(agent, evaluation.config, seed, title, seal=seal)))
        if agent in self._models and _is_of(evaluation, agent, self._models[agent][1]):
            folder = self._models[agent][0]
            return Opened(replay(played(agent, evaluation.config, seed, title, model=folder, seal=seal)))
        for held in self._folders:
            if same_run(held.card, evaluation.card):
                task = next((item for item in self._tasks() if item.name == evaluation.task), None)
                known = Known(evaluation.config, task, seal)
                for group in held.groups.values():
                    if (seed, trial) in group.finished and held.played(group, [known]) is not None:
                        return held.open(group, known, (seed, trial))
        raise ValueError(
            f"the episodes of {agent!r} are played again with its folder; name that to the command as well"
        )

    def _seal_of(self, evaluation: Evaluation) -> Seal | None:
        """The seal of an evaluation.

        Raises:
            ValueError: if it is another one than the command was given.
        """
        seal = self._asked.seal
        if evaluation.seal is None:
            return None
        if seal is None or seal.hash != evaluation.seal:
            raise ValueError(f"the episodes are sealed ({evaluation.seal}); they open with --seal and its file")
        return seal

    def _tasks(self) -> list[Task]:
        """Tasks that may have been played."""
        return [*self._asked.tasks, *TASKS.values()]

    def _known(self) -> list[Known]:
        """Everything that may have been played."""
        seals = list(dict.fromkeys((None, self._asked.seal)))
        named = {task.name: task for task in reversed(self._tasks())}
        found = [Known(task.config, task, seal) for task in self._tasks() for seal in seals]
        for item in self._evaluations():
            found += [Known(item.config, named.get(item.task or ""), seal) for seal in seals]
        return found

    def _add_group(self, folder: TranscriptFolder, group: Group) -> None:
        """Enter the episodes of a language model that were told the same as a run."""
        known = folder.played(group, self._known())
        task = title_of(group.task if known is None or known.task is None else known.task.name)
        name = name_of(folder.card.name, task, self._runs)
        entries = folder.entries(group, known)
        seal = None if known is None or known.seal is None else known.seal.hash
        source = str(folder.folder)
        self._runs[name] = Run(name, folder.card.name, "language model", task, source, entries, seal=seal)
        self._openers[name] = partial(self._open_told, folder, group, known)
        evaluation = None if known is None else folder.evaluation(group, known)
        if evaluation is not None:
            self._alone.append(evaluation)

    def _open_told(self, folder: TranscriptFolder, group: Group, known: Known | None, seed: int, trial: int) -> Opened:
        """Play an episode again from its transcript.

        Raises:
            ValueError: if it is not known what was played.
        """
        if known is None:
            raise ValueError(
                f"what was played as {title_of(group.task)!r} is not the task of that name in this version; "
                "name its preset with --tasks, or a results file that holds it"
            )
        return folder.open(group, known, (seed, trial))


def _open_scored(books: ScoredFolder, seed: int, _: int) -> Opened:
    return books.open(seed)


def _is_of(evaluation: Evaluation, name: str, card: Mapping[str, JsonValue]) -> bool:
    """Whether an evaluation is of the player with a card."""
    return evaluation.agent == name and evaluation.card == card


def kind_of(source: str) -> Kind:
    """What a name on the command line stands for.

    Raises:
        ValueError: if it stands for nothing.
    """
    if source in AGENTS:
        return "script"
    path = folder_of(source)
    if path.is_file():
        return "results"
    if path.is_dir() and is_llm_run(path):
        return "transcripts"
    if path.is_dir() and is_model(path):
        return "model"
    if (path / BOOKS_FILE).is_file():
        return "books"
    raise ValueError(
        f"run {source!r} is not one of {list(AGENTS)}, no results file, and not the folder of a saved model, of a run "
        "with a language model, or of the books that a server keeps"
    )
