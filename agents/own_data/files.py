"""The folder of a fitted history: what lies in it, and how it is written so that no crash leaves half a file."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, StrictInt

from metric_tracker_env.schema import Difficulty, StrictModel

from ..command_line import how_to_install
from .options import Reading

HISTORY, LATEST = "history.npz", "latest.npz"  # what was fitted; and what was judged last
FITTED, HELD_OUT, AS_IS = "fitted.toml", "held_out.toml", "held_out_as_is.toml"
FIT, PICTURE, REPORTED, LOCK = "fit.json", "fit.png", "reported.json", ".lock"

ModelT = TypeVar("ModelT", bound=StrictModel)


class Normal(StrictModel):
    """What is normal in a measure."""

    measure: str
    unit: Literal["events a day", "share"]
    usual: float  # on a mean day of the last weeks
    noise: float  # standard deviation of ordinary days, as a share of it
    smallest_change: dict[Difficulty, float]  # that is seen at a difficulty, as a share of it


class UnusualDay(StrictModel):
    """A measure on a day far from what is normal."""

    date: str
    measure: str
    observed: float
    expected: float
    noises: float  # signed distance in the measure's noise
    holiday: str | None = None  # that the day is near to


class AnnouncedDay(StrictModel):
    """What a day near a holiday is expected to do, by what holidays did before."""

    date: str
    holiday: str
    measure: str
    change: float  # share of what is usual


class FitReport(StrictModel):
    """What ``agents fit`` found, and how, so that ``agents watch`` does the same again."""

    format: StrictInt = 1
    reading: Reading
    since: str | None
    first_date: str
    last_date: str
    held_out_from: str | None  # first day held out; None for none
    num_weeks: StrictInt  # of an episode
    difficulty: Difficulty
    country: str | None
    subdivision: str | None
    ignore: tuple[str, ...] = ()  # days that must not be learnt from
    announced: tuple[AnnouncedDay, ...] = ()  # by date
    most_announced: StrictInt = 0  # dates of an episode at most that are such days; 0 where there are no known events
    normal: tuple[Normal, ...]
    unusual: tuple[UnusualDay, ...]
    natural_per_week: dict[Difficulty, float]  # dates that ordinary days show without any incident
    notes: tuple[str, ...]


class ReportedDay(StrictModel):
    """A day on which something was reported."""

    entities: tuple[tuple[str, str], ...]  # type and name of each
    accepted: bool = False  # whether the day is believed again


class Reported(StrictModel):
    """Every day that was reported so far: what the next fit does not believe."""

    format: StrictInt = 1
    days: dict[str, ReportedDay] = Field(default_factory=dict)

    def disbelieved(self) -> list[str]:
        """The days that are not believed, by date."""
        return sorted(date for date, day in self.days.items() if not day.accepted)

    def accept(self, last: dt.date) -> Self:
        """All reported days up to one are normal from now on.

        Raises:
            ValueError: if none of them was reported.
        """
        accepted = {date for date in self.days if date <= last.isoformat()}
        if not accepted:
            told = f"the first of them is {min(self.days)}" if self.days else "nothing was reported yet"
            raise ValueError(f"accept {last.isoformat()}: no day up to it was reported; {told}")
        days = {
            date: day.model_copy(update={"accepted": True}) if date in accepted else day
            for date, day in self.days.items()
        }
        return type(self)(days=days)


def write(path: Path, content: bytes) -> None:
    """Write a file so that there is the old one or the whole new one, whenever the machine stops."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    if os.name == "posix":  # so that the new name is on the disk, too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_model(path: Path, held: StrictModel) -> None:
    """Write a model as JSON."""
    write(path, (held.model_dump_json(indent=1) + "\n").encode())


def read_model(path: Path, model: type[ModelT]) -> ModelT:
    """Read a model that ``write_model`` wrote.

    Raises:
        ValueError: if there is none, or it is damaged.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{str(path.parent)!r} is no folder of a fitted history: it has no {path.name}") from None
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error


def toml(data: dict[str, Any]) -> bytes:
    """A table as TOML.

    Raises:
        ImportError: if tomli-w is not installed; names the extra.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise ImportError(f"configurations are written by tomli-w; {how_to_install('history')}") from error
    return tomli_w.dumps(data).encode()
