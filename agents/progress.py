"""Progress bars: over episodes, and over the bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from typing_extensions import Buffer

BLOCK = 1 << 18  # bytes of a file that are read at once


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


class CountedFile(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(path)
        self._tell_place = tell

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Read, and tell the place."""
        number = super().readinto(buffer)
        self._tell_place(self.tell())
        return number


@contextmanager
def file_bar(path: Path, then: str, console: Console | None = None) -> Iterator[IO[bytes]]:
    """An open file, and a bar over its bytes that moves as it is read.

    Args:
        path: Of the file.
        then: What is done once it was read to its end.
        console: To draw on; stderr unless given, so that stdout holds only the results.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<26}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    size = path.stat().st_size
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(f"reading {path.name}", total=size)

        def tell(place: int) -> None:
            progress.update(bar, completed=place, description=then if place >= size else f"reading {path.name}")

        with io.BufferedReader(CountedFile(path, tell), BLOCK) as stream:
            yield stream
