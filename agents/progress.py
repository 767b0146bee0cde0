"""A progress bar over episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Advance:
    """Moves a progress bar on."""

    def __init__(
        self, move: Callable[[int], None], describe: Callable[[str], None], more: Callable[[int], None]
    ) -> None:
        self._move, self.describe, self.more = move, describe, more  # more: so many episodes are there to play besides

    def __call__(self, episodes: int) -> None:
        """So many episodes have been played."""
        self._move(episodes)


@contextmanager
def progress_bar(episodes: int) -> Iterator[Advance]:
    """A bar over so many episodes, on stderr so that stdout holds only the results."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<26}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=episodes)
        total = [episodes]

        def more(number: int) -> None:
            total[0] += number
            progress.update(bar, total=total[0])

        def describe(text: str) -> None:
            progress.update(bar, description=text)

        yield Advance(lambda number: progress.advance(bar, number), describe, more)
