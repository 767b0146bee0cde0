"""A run with a language model: a folder with a card and the transcript of each episode that has been played.

Whatever is asked of it, episodes whose transcripts are there are not played again, so that an interrupted run goes on
where it was. An episode that a failure of the endpoint ended can be played on, from where it was; every attempt at it
stays in the file, and the last one counts.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metric_tracker_env.model import in_one_line

from ..command_line import command
from ..players.outcome import Played, Progress
from ..players.player import Assignment, PlaysAnything
from ..players.registry import register_folder
from .card import CARD_FILE, LlmCard, checked_key, is_llm_run, key_of, read_card, write_card
from .client import Endpoint, missing
from .episode import play_episode
from .faults import FAILED
from .journal import JOURNALS, Begun, Journal
from .transcript import Attempt, Briefing, Transcript, Used

Key = tuple[int, int]  # seed and trial

TRANSCRIPTS_FILE, LOCK_FILE = "transcripts.jsonl", "transcripts.lock"
CANCEL_AGAIN_SECONDS = 0.2


@register_folder(CARD_FILE)
class LlmRun(PlaysAnything):
    """The folder of a run as a player; an episode that it holds is not played again.

    Args:
        folder: With a card.
        api_key: Instead of the one from the environment; it is not stored.
        retry_failed: Whether episodes that a failure of the endpoint ended are played on.

    Raises:
        ValueError: if the card is missing or damaged.
    """

    kind = "language model"

    def __init__(self, folder: str | Path, api_key: str | None = None, retry_failed: bool = False) -> None:
        self.folder, self.card, self._retry_failed = Path(folder), read_card(folder), retry_failed
        self._key = None if api_key is None else checked_key(api_key, "api_key", self.card)

    @classmethod
    def begin(cls, folder: str | Path, card: LlmCard, api_key: str | None = None, retry_failed: bool = False) -> LlmRun:
        """A run with a card, new or gone on with; in one where nothing has been played the settings may still change.

        Raises:
            ValueError: if the folder holds a run with other settings, is in use or cannot be written, or a key is
                missing.
            ImportError: naming the extra, if ``filelock`` is not installed and the folder holds an unplayed run.
        """
        if api_key is None:
            key_of(card)
        else:
            checked_key(api_key, "api_key", card)
        if is_llm_run(folder) and not (begun := cls(folder))._played():
            with begun._alone():
                write_card(folder, card, anew=not begun._played())
        else:
            write_card(folder, card)
        return cls(folder, api_key, retry_failed)

    def __repr__(self) -> str:
        return f"<LlmRun {self.card.name!r} in {str(self.folder)!r}>"

    @property
    def name(self) -> str:
        """That of the card."""
        return self.card.name

    @property
    def path(self) -> Path:
        """Of the transcripts."""
        return self.folder / TRANSCRIPTS_FILE

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play the episodes of some seeds, as many at a time as the card says, but for those that have been played.

        Args:
            asked: What to play; the task's instruction is in the brief. A seed that is given again is another trial.
            pool: Not used: what takes time is waiting.
            progress: Called with the number of episodes just played, or found.

        Raises:
            ValueError: if the transcripts are damaged, or there is no key.
            EndpointError: if the endpoint cannot be used; what has been played until then is kept.
            ImportError: naming the extra, if the client is not installed.
        """
        del pool
        config, task = asked.config, asked.task
        keys, briefing = trials(asked.seeds), self._briefing(asked)
        found = self._told(briefing)
        known = len(keys) - len(self._due(keys, found))
        if progress is not None and known:
            progress(known)
        if known < len(keys):
            key_to = key_of(self.card) if self._key is None else self._key
            endpoint = Endpoint(self.card.settings, key_to, self.card.parallel)

            async def one(key: Key) -> None:
                begun, journal = self._begun(key, briefing, found.get(key))
                found[key] = await play_episode(endpoint, self.card.settings, config, task, briefing, begun, journal)
                self._keep(found[key])
                journal.end()
                if progress is not None:
                    progress(1)

            with self._alone():
                found = self._told(briefing)  # another process may have played meanwhile
                waiting = self._due(keys, found)
                late = len(keys) - len(waiting) - known
                if progress is not None and late > 0:
                    progress(late)
                if waiting:
                    _wait_for(_all(endpoint, one, waiting, self.card.parallel))
            self._retry_failed = False
        chosen = [found[key] for key in keys]
        tools: Counter[str] = sum((Counter(item.tools) for item in chosen), Counter())
        return Played([item.line for item in chosen], [list(item.rows) for item in chosen], tools, notes_of(chosen))

    def unpaid(self, asked: Assignment) -> int:
        """How many of the episodes have not been played.

        Raises:
            ValueError: if the file is damaged.
        """
        return len(asked.seeds) - len(self.transcripts(asked))

    def transcripts(self, asked: Assignment) -> list[Transcript]:
        """The last transcripts of the episodes, in their order; those that have not been played are left out.

        Raises:
            ValueError: if the file is damaged.
        """
        found = self._told(self._briefing(asked))
        return [found[key] for key in trials(asked.seeds) if key in found]

    def attempts(self, asked: Assignment) -> list[Transcript]:
        """All transcripts of the episodes, earlier attempts too, in the order in which they ended.

        Raises:
            ValueError: if the file is damaged.
        """
        keys, digest = set(trials(asked.seeds)), self._briefing(asked).digest
        return [item for item in self._read() if item.told == digest and (item.seed, item.trial) in keys]

    def _played(self) -> bool:
        """Whether anything has been, if only a part of an episode.

        Raises:
            ValueError: if the file is damaged.
        """
        return bool(self._read()) or (self.folder / JOURNALS).exists()

    def _briefing(self, asked: Assignment) -> Briefing:
        return Briefing.of(asked.config, asked.task, self.card.settings.schemas, asked.seal)

    def _due(self, keys: Sequence[Key], found: Mapping[Key, Transcript]) -> list[Key]:
        """Those that are to be played, or played on."""
        return [key for key in keys if key not in found or (self._retry_failed and found[key].finish in FAILED)]

    def _begun(self, key: Key, briefing: Briefing, last: Transcript | None) -> tuple[Begun, Journal]:
        """An attempt as far as it has come: amid one that was interrupted, where the last one ended, or at nothing.

        Raises:
            ValueError: if the journal is damaged.
        """
        seed, trial = key
        attempt = Attempt(told=briefing.digest, seed=seed, trial=trial)
        journal = Journal(self.folder, attempt)
        begun = journal.read()
        if begun is not None and begun.attempt.attempt > (0 if last is None else last.attempt):
            attempt = begun.attempt.model_copy(update={"interruptions": begun.attempt.interruptions + 1})
            return begun._replace(attempt=attempt), journal
        if last is None:
            return Begun(attempt, Used(), ()), journal
        more = {"attempt": last.attempt + 1, "interruptions": last.interruptions}
        return Begun(attempt.model_copy(update=more), last.used, last.messages), journal

    def _told(self, briefing: Briefing) -> dict[Key, Transcript]:
        """The last transcripts of a briefing, by seed and trial.

        Raises:
            ValueError: if the file is damaged, or the folder has come to hold a run with other settings.
        """
        if read_card(self.folder).settings != self.card.settings:
            raise ValueError(f"folder {str(self.folder)!r} has come to hold a run with other settings")
        return {(item.seed, item.trial): item for item in self._read() if item.told == briefing.digest}

    def _read(self) -> list[Transcript]:
        """All transcripts; a last line without an end is passed over, which an interruption cut or another is writing.

        Raises:
            ValueError: naming the line that is none.
        """
        if not self.path.is_file():
            return []
        *lines, _ = self.path.read_bytes().split(b"\n")
        found: list[Transcript] = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(Transcript.model_validate_json(line))
            except ValidationError as error:
                raise ValueError(f"{str(self.path)!r}, line {number}, is no transcript: {in_one_line(error)}") from None
        return found

    def _keep(self, transcript: Transcript) -> None:
        """Add a transcript, so that it stays whatever comes."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(transcript.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from playing in the folder, and take off what an interruption left of a line.

        Raises:
            ValueError: if another one does so.
            ImportError: naming the extra, if ``filelock`` is not installed.
        """
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise ImportError(missing("filelock", error)) from error
        try:
            with FileLock(self.folder / LOCK_FILE, timeout=0):
                if self.path.is_file():
                    data = self.path.read_bytes()
                    os.truncate(self.path, data.rfind(b"\n") + 1)
                yield
        except Timeout:
            raise ValueError(f"folder {str(self.folder)!r} is in use: another process plays in it") from None


def trials(seeds: Sequence[int]) -> list[Key]:
    """The seeds with the number of the trial: how often each has come before."""
    before: Counter[int] = Counter()
    found: list[Key] = []
    for seed in seeds:
        found.append((seed, before[seed]))
        before[seed] += 1
    return found


def notes_of(chosen: Sequence[Transcript]) -> tuple[str, ...]:
    """What to say of episodes that the endpoint failed in, or that were played in pieces."""
    notes: list[str] = []
    failed = sum(item.finish in FAILED for item in chosen)
    if failed:
        notes.append(
            f"episodes that failed by the endpoint, and score 0: {failed:,}; "
            f"--retry-failed of {command('llm')} plays them on"
        )
    pieces = [item for item in chosen if item.attempt > 1 or item.interruptions]
    if pieces:
        attempts = sum(item.attempt - 1 for item in pieces)
        interruptions = sum(item.interruptions for item in pieces)
        notes.append(
            f"episodes that were played on from where they had stopped: {len(pieces):,} ({attempts:,} failures of the "
            f"endpoint, {interruptions:,} interruptions)"
        )
    return tuple(notes)


async def _all(
    endpoint: Endpoint, one: Callable[[Key], Coroutine[Any, Any, None]], keys: Sequence[Key], parallel: int
) -> None:
    """Play all, some at a time; the first fault that is of the run ends the others.

    Raises:
        EndpointError: the fault.
    """
    waiting = iter(keys)

    async def work() -> None:
        for key in waiting:  # shared: each takes the next
            await one(key)

    async with endpoint:
        tasks = [asyncio.create_task(work()) for _ in range(min(parallel, len(keys)))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await _end(tasks)
        for task in done:
            task.result()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what still runs until it has ended, whatever it says to that.

    Once may not be enough: a connection that is being made can swallow a cancellation. And what a request tells as its
    end, for example that the connection was lost, is no fault of the endpoint.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not log it


def _wait_for(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; on a thread of its own where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def cancellable() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a loop runs without a task")
        begun.set_result((loop, task))
        await work

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(asyncio.run, cancellable())
        try:
            running.result()
        except BaseException:  # an interrupt, which comes to this thread alone
            with suppress(RuntimeError):  # the loop has ended by itself
                loop, task = begun.result()
                loop.call_soon_threadsafe(task.cancel)
            raise
