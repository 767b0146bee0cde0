"""What is said about a history that cannot be taken as it is."""

from __future__ import annotations

from collections.abc import Iterable

EXTRA = 'pip install "metric_tracker_env[history]"'
SHOWN = 5  # of a list, how many are told before "and 12 more"


class HistoryError(ValueError):
    """A history cannot be taken as it is: where it is wrong, what stands there, and which option decides.

    Attributes:
        row: Line of a text file as an editor counts it, or place in a frame from 0; None for no single row.
        column: Column name as the source has it.
        value: What stands there.
        option: Name of the argument that decides what to do, or that says what the source means.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        option: str | None = None,
    ) -> None:
        place = [where] if where else []
        place += [f"row {row}"] if row is not None else []
        place += [f"column {column!r}"] if column is not None else []
        super().__init__(": ".join([", ".join(place), what]) if place else what)
        self.row, self.column, self.value, self.option = row, column, value, option


def listed(items: Iterable[object], shown: int = SHOWN) -> str:
    """The first of some items, and how many more there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - shown:,} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def number_of(count: int, noun: str) -> str:
    """A count with its noun: ``1 day``, ``2 days``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
