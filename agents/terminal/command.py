"""The command ``python -m agents play``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from metric_tracker_env import Seal, Session
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.session import ScoredSession

from ..command_line import need
from ..evaluation.report import console
from ..sealing import told_seal
from ..tasks import task_of
from .game import Game

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

NEEDED = {"prompt_toolkit": "agents"}
HINT = "Type help for the tools and commands; the tab key completes tools, dates and names."


def play(
    task: str = "realistic_easy",
    seed: int | None = None,
    books: Path | None = None,
    name: str = "a person",
    episodes: int = 5,
    seal: Path | None = None,
) -> None:
    """Play yourself, in the terminal, with the tools, the budget and the grade that agents have.

    Args:
        task: Named task, or a preset's path.
        seed: Of the first episode; by default the task's first training seed. Not with books.
        books: Folder to keep books of scored episodes in, for compare --agents FOLDER; held-out ones, in their order.
        name: Yours on the leaderboard, with books.
        episodes: That count, with books.
        seal: Play sealed episodes, with books: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    need(NEEDED)
    found, sealed = task_of(task), Seal.of(seal)
    if books is None and sealed is not None:
        raise ValueError("seal: only with books; a sealed episode is for a score")
    if books is not None and seed is not None:
        raise ValueError(f"seed {seed}: not with books, which choose the episodes")
    screen = console()
    with ExitStack() as stack:
        if books is None:
            session, first = Session(task), found.training_seeds[0] if seed is None else seed
        else:
            told_seal(sealed)
            terms = Terms.of(name, found, episodes, seal=sealed)
            kept = stack.enter_context(Books.kept(books, terms, task, sealed))
            session, first = ScoredSession(kept), 0
        game = Game(session, first)
        screen.print(game.brief, "", HINT, sep="\n", markup=False)
        for line in asked(game):
            for item in game.play(line):
                screen.print(item, markup=False)
            if game.over:
                break
        else:
            game.play("quit")


def asked(game: Game) -> Iterator[str]:
    """The lines that are typed; of a pipe, those that it holds."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            print(f"{game.prompt}{line}", end="" if line.endswith("\n") else "\n")
            yield line
        return
    from prompt_toolkit import PromptSession

    session: PromptSession[str] = PromptSession(completer=completer(game))
    while True:
        try:
            yield session.prompt(game.prompt)
        except (EOFError, KeyboardInterrupt):
            return


def completer(game: Game) -> Completer:
    """Completes tools, their arguments, dates and names."""
    from prompt_toolkit.completion import Completer, Completion

    class OfTools(Completer):
        """Asks the tools what could come next."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            """What the word before the cursor could be."""
            del complete_event
            text = document.text_before_cursor
            last = text.split(" ")[-1]
            return [Completion(item, start_position=-len(last)) for item in game.tools.next(text)]

    return OfTools()
