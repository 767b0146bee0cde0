"""The folder of a run with a language model as an index: its lines are read without their messages until one is opened.

A transcript is some hundred KB, and a run has thousands; the index holds their figures, and where each one begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError

from metric_tracker_env import EnvConfig, Seal, Task
from metric_tracker_env.model import in_one_line
from metric_tracker_env.ui.library import Entry, Opened

from ..evaluation.evaluate import Episodes, Evaluation
from ..evaluation.rows import Rows
from ..llm.card import LlmCard, read_card
from ..llm.faults import Finish
from ..llm.journal import JOURNALS, read_journal
from ..llm.run import TRANSCRIPTS_FILE
from ..llm.transcript import Briefing, Figures, Transcript, line_of
from ..players.outcome import EpisodeLine, Row
from .calls import Played
from .entries import entity_names, fates_of, title_of
from .retelling import Teller

Key = tuple[int, int]  # seed and trial


class Head(BaseModel):
    """A transcript but for its messages."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    told: str
    seed: StrictInt
    trial: StrictInt = 0
    task: str | None
    finish: Finish
    error: str | None
    figures: Figures
    rows: tuple[Row, ...]
    tools: dict[str, StrictInt]

    @property
    def line(self) -> EpisodeLine:
        """The figures of an evaluation."""
        return line_of(self.seed, self.figures)


class Placed(NamedTuple):
    """A head, and where its line is."""

    head: Head
    offset: int
    length: int


class Known(NamedTuple):
    """What may have been played."""

    config: EnvConfig
    task: Task | None
    seal: Seal | None


class Group(NamedTuple):
    """The episodes of a run that were told the same at the beginning."""

    told: str  # its digest
    task: str | None
    finished: dict[Key, Placed]  # the last attempt at each
    begun: dict[Key, Path]  # journals of those that are still played


class TranscriptFolder:
    """The run of a language model.

    Args:
        folder: With a card.

    Raises:
        ValueError: if the card is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.card = folder, read_card(folder)
        self.faults: list[str] = []
        self.groups: dict[str, Group] = {}
        for placed in self._read():
            self._group(placed.head.told, placed.head.task).finished[placed.head.seed, placed.head.trial] = placed
        self._read_journals()

    def played(self, group: Group, known: Sequence[Known]) -> Known | None:
        """Which of what may have been played a group was; None if it was none of them."""
        for item in known:
            if Briefing.of(item.config, item.task, self.card.settings.schemas, item.seal).digest == group.told:
                return item
        return None

    def entries(self, group: Group, played: Known | None) -> list[Entry]:
        """The index of a group."""
        names = [] if played is None else entity_names(played.config.generator.catalogue)
        entries = [_entry(placed.head, names) for placed in group.finished.values()]
        for (seed, trial), path in group.begun.items():
            begun = read_journal(path)
            calls = 0 if begun is None else sum(message["role"] == "tool" for message in begun.messages)
            entries.append(Entry(seed, trial, None, None, 0, calls, 0, (), "still played"))
        return sorted(entries, key=lambda entry: (entry.seed, entry.trial))

    def evaluation(self, group: Group, played: Known) -> Evaluation | None:
        """The finished episodes of a group as an evaluation; None if there are none."""
        heads = [group.finished[key].head for key in sorted(group.finished)]
        if not heads:
            return None
        lines = [head.line for head in heads]
        columns = dict(zip(EpisodeLine._fields, zip(*lines, strict=True), strict=True))
        return Evaluation(
            agent=self.card.name,
            task=None if played.task is None else played.task.name,
            config=played.config,
            episodes=Episodes.model_validate(columns),
            rows=Rows.of(head.rows for head in heads),
            tools=dict(sorted(sum((Counter(head.tools) for head in heads), Counter[str]()).items())),
            kind="language model",
            card=self.card.model_dump(mode="json"),
            seal=None if played.seal is None else played.seal.hash,
        )

    def open(self, group: Group, played: Known, key: Key) -> Opened:
        """Play an episode again from its transcript.

        Raises:
            ValueError: if there is none, it is damaged, or it is not what is answered today.
        """
        title = title_of(None if played.task is None else played.task.name)
        what, mode = Played(self.card.name, title, played.config, played.seal), self.card.settings.schemas
        if key in group.begun:
            begun = read_journal(group.begun[key])
            if begun is None:
                raise ValueError(f"seed {key[0]}: the episode has ended since the page was started; start it again")
            return Teller(what, key[0], mode).tell(begun.messages, None)
        placed = group.finished[key]
        with self.path.open("rb") as file:
            file.seek(placed.offset)
            line = file.read(placed.length)
        try:
            transcript = Transcript.model_validate_json(line)
        except ValidationError as error:
            raise ValueError(f"{str(self.path)!r}: seed {key[0]} is no transcript: {in_one_line(error)}") from None
        opened = Teller(what, key[0], mode).tell(transcript.messages, transcript.finish)
        return opened._replace(note="" if transcript.error is None else f"{transcript.finish}: {transcript.error}")

    @property
    def path(self) -> Path:
        """Of the transcripts."""
        return self.folder / TRANSCRIPTS_FILE

    def _group(self, told: str, task: str | None) -> Group:
        return self.groups.setdefault(told, Group(told, task, {}, {}))

    def _read(self) -> Iterator[Placed]:
        """All transcripts; a line that is none is a fault, and one without an end is still written."""
        if not self.path.is_file():
            return
        offset = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    try:
                        yield Placed(_head(line), offset, len(line))
                    except ValueError as error:
                        self.faults.append(f"{self.path}, line {number}, is no transcript: {in_one_line(error)}")
                offset += len(line)

    def _read_journals(self) -> None:
        for path in sorted((self.folder / JOURNALS).glob("*.jsonl")):
            try:
                begun = read_journal(path)
            except ValueError as error:
                self.faults.append(in_one_line(error))
                continue
            if begun is not None:
                key = begun.attempt.seed, begun.attempt.trial
                group = self._group(begun.attempt.told, None)
                group.finished.pop(key, None)  # an attempt that goes on
                group.begun[key] = path


def same_run(card: LlmCard, told: object) -> bool:
    """Whether a card in an evaluation is of the same run: names, prices and parallelism may differ."""
    return isinstance(told, dict) and told.get("settings") == card.settings.model_dump(mode="json")


def _head(line: bytes) -> Head:
    """The head of a line.

    Raises:
        ValueError: if it is none.
    """
    head = Head.model_validate_json(line)
    fates_of(head.rows, ())  # refuses a family that there is not
    line_of(head.seed, head.figures)
    return head


def _entry(head: Head, names: Sequence[str]) -> Entry:
    line = head.line
    return Entry(
        seed=head.seed,
        trial=head.trial,
        score=line.score,
        f1=line.f1,
        cost=line.cost,
        calls=line.steps,
        refused=line.illegal,
        rows=fates_of(head.rows, names),
        end="" if head.finish == "submitted" else head.finish,
        failure=line.failure,
    )
